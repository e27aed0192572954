/** The keys that sign: one for receipts, one for statements. Ed25519, made once, encrypted in the database. */

import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  SignJWT,
} from "jose";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
} from "node:crypto";
import type postgres from "postgres";
import type { Drizzle } from "./database.ts";
import type { Vault } from "./keys.ts";
import { sqlTime, type Temporal } from "./time.ts";
import { and, desc, eq, isNull } from "drizzle-orm";
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
  const keys = await database
    .select({ publicJwk: signingKey.publicJwk })
    .from(signingKey)
    .where(eq(signingKey.use, USE));
  return { keys: keys.map(({ publicJwk }) => JSON.parse(publicJwk) as JWK) };
}

/** The Ed25519 key with which the instance actor signs statements. */
export interface StatementKey {
  /** Such as `https://home.example/actor#ed25519-1`. */
  readonly id: string;
  readonly privateKey: KeyObject;
}

const STATEMENT_USE = "statement";

/** Opens the key that signs statements; makes it when this instance has none yet. */
export async function openStatementKey(
  database: Drizzle,
  vault: Vault,
  { origin, at }: { origin: string; at: Temporal.Instant },
): Promise<StatementKey> {
  const id = `${origin}/actor#ed25519-1`;
  const known = await newestStatementKey(database);
  if (known === undefined) {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    await database
      .insert(signingKey)
      .values({
        id,
        use: STATEMENT_USE,
        publicJwk: JSON.stringify(publicKey.export({ format: "jwk" })),
        sealed: vault.seal(
          Buffer.from(JSON.stringify(privateKey.export({ format: "jwk" }))),
          placeOf(id),
        ),
        createdAt: at,
      })
      .onConflictDoNothing();
  }
  // Whoever was quicker made the one that counts.
  const key = (await newestStatementKey(database))!;
  const jwk = JSON.parse(
    Buffer.from(vault.unseal(key.sealed, placeOf(key.id))).toString(),
  ) as JsonWebKey;
  return { id: key.id, privateKey: createPrivateKey({ key: jwk, format: "jwk" }) };
}

async function newestStatementKey(database: Drizzle) {
  const [key] = await database
    .select()
    .from(signingKey)
    .where(and(eq(signingKey.use, STATEMENT_USE), isNull(signingKey.retiredAt)))
    .orderBy(desc(signingKey.createdAt))
    .limit(1);
  return key;
}

/** The public halves of all keys that may sign statements, as the instance actor shows them. */
export async function statementKeys(
  database: Drizzle,
): Promise<{ id: string; publicKey: KeyObject }[]> {
  const keys = await database
    .select()
    .from(signingKey)
    .where(and(eq(signingKey.use, STATEMENT_USE), isNull(signingKey.retiredAt)))
    .orderBy(signingKey.createdAt);
  return keys.map(({ id, publicJwk }) => ({
    id,
    publicKey: createPublicKey({ key: JSON.parse(publicJwk) as JsonWebKey, format: "jwk" }),
  }));
}
