/** Passwords: argon2id, few at a time. */

import { hash, verify } from "@node-rs/argon2";
import { Refusal } from "../../store/refusal.ts";

/** 19 MiB, two passes: the smallest setting that OWASP recommends, about 15 ms. */
const OPTIONS = { algorithm: 2 /* argon2id */, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const CHARS_MIN = 8;
const CHARS_MAX = 256;

/** Spellings of one password are one password. */
function normalise(password: string): string {
  return password.normalize("NFKC");
}

/** @throws Refusal "account_invalid" when the password is too short or too long */
export async function hashPassword(password: string): Promise<string> {
  const length = [...normalise(password)].length;
  if (length < CHARS_MIN || length > CHARS_MAX) {
    throw new Refusal("account_invalid", {
      what: "password",
      rule: `a password has ${CHARS_MIN} to ${CHARS_MAX} characters`,
    });
  }
  return hash(normalise(password), OPTIONS);
}

/** True when the password is the one that was hashed. */
export async function isPassword(passwordHash: string, password: string): Promise<boolean> {
  return verify(passwordHash, normalise(password));
}
