/** Secrets that somebody shows to be let in: tokens, codes, cookies. Only their digests are kept. */

import { createHash, randomBytes } from "node:crypto";

/** 256 bits: nobody guesses one, so its digest needs no salt. */
const SECRET_BYTES = 32;

/** A new secret, as text of 43 characters that needs no escaping anywhere. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** What is kept of a secret: SHA-256. */
export function digestOf(secret: string): Uint8Array {
  return createHash("sha256").update(secret).digest();
}
