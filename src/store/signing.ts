/** The key that signs receipts: Ed25519, made once, its private half encrypted in the database. */

import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  SignJWT,
} from "jose";
import type postgres from "postgres";
import type { Drizzle } from "./database.ts";
import type { Vault } from "./keys.ts";
import { sqlTime, type Temporal } from "./time.ts";
import { eq } from "drizzle-orm";
import { signingKey } from "./schema.ts";

/** Signs what the instance promises. */
export interface Signer {
  /** A compact JWS over the claims (RFC 7515), with the key's id in its header. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
}

const ALGORITHM = "EdDSA";
const USE = "receipt";

const placeOf = (id: string) => `signing_key:${id}`;

/** Makes the receipt key if there is none. Call it under the migration lock. */
export async function ensureSigningKey(
  sql: postgres.Sql,
  vault: Vault,
  at: Temporal.Instant,
): Promise<void> {
  const [known] = await sql`SELECT FROM signing_key WHERE use = ${USE} AND retired_at IS NULL`;
  if (known !== undefined) return;
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, {
    crv: "Ed25519",
    extractable: true,
  });
  const id = await calculateJwkThumbprint(await exportJWK(publicKey));
  const publicJwk: JWK = { ...(await exportJWK(publicKey)), kid: id, alg: ALGORITHM, use: "sig" };
  const sealed = vault.seal(Buffer.from(JSON.stringify(await exportJWK(privateKey))), placeOf(id));
  await sql`
    INSERT INTO signing_key (id, use, public_jwk, sealed, created_at)
    VALUES (${id}, ${USE}, ${JSON.stringify(publicJwk)}, ${Buffer.from(sealed)}, ${sqlTime(at)})`;
}

/** Opens the receipt key. */
export async function openSigner(database: Drizzle, vault: Vault): Promise<Signer> {
  const keys = await database.select().from(signingKey).where(eq(signingKey.use, USE));
  const key = keys.find(({ retiredAt }) => retiredAt === null);
  if (key === undefined)
    throw new Error("the database has no key for receipts: run fediflattr migrate");
  const privateKey = await importJWK(
    JSON.parse(Buffer.from(vault.unseal(key.sealed, placeOf(key.id))).toString()),
    ALGORITHM,
  );
  return {
    sign: (claims) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: ALGORITHM, kid: key.id, typ: "JWT" })
        .sign(privateKey),
  };
}

/** All public keys that ever signed, as they are published (RFC 7517). */
export async function publicKeys(database: Drizzle): Promise<{ keys: JWK[] }> {
  const keys = await database.select({ publicJwk: signingKey.publicJwk }).from(signingKey);
  return { keys: keys.map(({ publicJwk }) => JSON.parse(publicJwk) as JWK) };
}
