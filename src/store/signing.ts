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
import type { Drizzle, Tx } from "./database.ts";
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

/** The first key of an instance, made when it has none yet. */
export async function ensureStatementKey(
  database: Drizzle,
  vault: Vault,
  { origin, at }: { origin: string; at: Temporal.Instant },
): Promise<void> {
  if ((await newestStatementKey(database)) === undefined)
    await makeStatementKey(database, vault, { id: statementKeyId(origin, 1), at });
}

/**
 * The key that signs statements now, or an older one by its id. It is read anew each time, since an operator may change
 * it while other processes run; only opening it is remembered.
 */
export function openStatementKeys(
  vault: Vault,
): (tx: Drizzle | Tx, id?: string) => Promise<StatementKey> {
  const opened = new Map<string, StatementKey>();
  return async (tx, id) => {
    const row = await (id === undefined ? newestStatementKey(tx) : statementKeyOf(tx, id));
    if (row === undefined) throw new Error("the database has no key for statements");
    const known = opened.get(row.id);
    if (known !== undefined) return known;
    const secret = vault.unseal(row.sealed, placeOf(row.id));
    const key = JSON.parse(Buffer.from(secret).toString()) as JsonWebKey;
    const made = { id: row.id, privateKey: createPrivateKey({ key, format: "jwk" }) };
    opened.set(row.id, made);
    return made;
  };
}

/**
 * Makes the next key and retires the one before, in the transaction that tells all peers: what they are told must be
 * signed before this is called.
 */
export async function retireStatementKey(
  tx: Tx,
  vault: Vault,
  { retired, next, at }: { retired: string; next: NextKey; at: Temporal.Instant },
): Promise<void> {
  await tx.update(signingKey).set({ retiredAt: at }).where(eq(signingKey.id, retired));
  await insertStatementKey(tx, vault, { ...next, at });
}

/** A key that is made and not used yet. */
export interface NextKey {
  readonly id: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Draws the key that comes after those that this instance ever had. */
export async function drawStatementKey(tx: Tx, origin: string): Promise<NextKey> {
  const known = await tx
    .select({ id: signingKey.id })
    .from(signingKey)
    .where(eq(signingKey.use, STATEMENT_USE));
  return { id: statementKeyId(origin, known.length + 1), ...generateKeyPairSync("ed25519") };
}

function statementKeyId(origin: string, number: number): string {
  return `${origin}/actor#ed25519-${number}`;
}

async function makeStatementKey(
  database: Drizzle,
  vault: Vault,
  { id, at }: { id: string; at: Temporal.Instant },
): Promise<void> {
  await insertStatementKey(database, vault, { id, ...generateKeyPairSync("ed25519"), at });
}

async function insertStatementKey(
  database: Drizzle | Tx,
  vault: Vault,
  { id, publicKey, privateKey, at }: NextKey & { at: Temporal.Instant },
): Promise<void> {
  const secret = Buffer.from(JSON.stringify(privateKey.export({ format: "jwk" })));
  await database
    .insert(signingKey)
    .values({
      id,
      use: STATEMENT_USE,
      publicJwk: JSON.stringify(publicKey.export({ format: "jwk" })),
      sealed: vault.seal(secret, placeOf(id)),
      createdAt: at,
    })
    .onConflictDoNothing();
}

async function newestStatementKey(database: Drizzle | Tx) {
  const [key] = await database
    .select()
    .from(signingKey)
    .where(and(eq(signingKey.use, STATEMENT_USE), isNull(signingKey.retiredAt)))
    .orderBy(desc(signingKey.createdAt), desc(signingKey.id))
    .limit(1);
  return key;
}

async function statementKeyOf(database: Drizzle | Tx, id: string) {
  const [key] = await database
    .select()
    .from(signingKey)
    .where(and(eq(signingKey.use, STATEMENT_USE), eq(signingKey.id, id)));
  return key;
}

/** The public halves of the keys that sign statements; those that did once only when asked for. */
export async function statementKeys(
  database: Drizzle,
  { withRetired = false } = {},
): Promise<{ id: string; publicKey: KeyObject; retiredAt: Temporal.Instant | null }[]> {
  const keys = await database
    .select()
    .from(signingKey)
    .where(
      and(
        eq(signingKey.use, STATEMENT_USE),
        withRetired ? undefined : isNull(signingKey.retiredAt),
      ),
    )
    .orderBy(signingKey.createdAt);
  return keys.map(({ id, publicJwk, retiredAt }) => ({
    id,
    retiredAt,
    publicKey: createPublicKey({ key: JSON.parse(publicJwk) as JsonWebKey, format: "jwk" }),
  }));
}
