/** Things: what can be flattred, and who is paid for it. */

import assert from "node:assert";
import { and, eq, inArray, isNull, sql } from "drizzle-orm";
import { ADDRESS_CHARS_MAX, canonicalAddress, sameOrigin } from "../../rules/address.ts";
import { type Payee, takingPart, WEIGHT_MAX } from "../../rules/split.ts";
import type { Database, Drizzle, Settings, Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { ensureActors } from "../account/actor.ts";
import { account, actor } from "../account/schema.ts";
import { openLedgerAccounts } from "../ledger/book.ts";
import { thing, thingAddress } from "./schema.ts";

export type ThingId = bigint;
export type SplitId = bigint;
export type Thing = typeof thing.$inferSelect;

/** A thing as somebody describes it. */
export interface NewThing {
  /** Its id at home, kept as it is: ids are compared byte by byte. */
  readonly uri: string;
  readonly kind: string;
  readonly payees: readonly Payee[];
  readonly title?: string | undefined;
  /** `preferredUsername`, when the thing is an actor. */
  readonly name?: string | undefined;
  /** Other addresses that lead to it. */
  readonly addresses?: readonly string[];
}

/** At most so many people share one thing. */
const PAYEES_MAX = 50;

/** Other addresses of one thing. */
const ADDRESSES_MAX = 10;

/**
 * Remembers a thing, or what has changed about one: new authors count for later flattrs only.
 *
 * @throws Refusal "no_payee" when nobody would be paid, "url_invalid" for an address that cannot be kept
 */
export async function rememberThing(
  tx: Tx,
  settings: Settings,
  { uri, kind, payees, title, name, addresses = [] }: NewThing,
  at: Temporal.Instant,
): Promise<ThingId> {
  if (canonicalAddress(uri) === undefined)
    throw new Refusal("url_invalid", { url: uri.slice(0, ADDRESS_CHARS_MAX) });
  const split = await ensureSplit(tx, settings, payees, at);
  if (name !== undefined) await ensureActors(tx, [{ uri, name }], at);
  const [row] = await tx
    .insert(thing)
    .values({
      id: sql`new_id(${sqlTime(at)})`,
      uri,
      kind,
      split,
      title: title ?? null,
      foundAt: at,
    })
    .onConflictDoUpdate({
      target: thing.uri,
      set: { split, kind, title: sql`coalesce(excluded.title, ${thing.title})` },
    })
    .returning({ id: thing.id });
  const others = new Set([
    canonicalAddress(uri)!,
    ...addresses.map((address) => canonicalAddress(address) ?? ""),
  ]);
  others.delete(uri);
  others.delete("");
  for (const address of [...others].slice(0, ADDRESSES_MAX)) {
    // Whoever had the address first keeps it: nobody can take another thing's address over, or that of a person.
    await tx.execute(sql`
      INSERT INTO thing_address (address, thing)
      SELECT ${address}, ${row!.id} WHERE NOT EXISTS (SELECT FROM actor WHERE uri = ${address}) ON CONFLICT DO NOTHING`);
  }
  return row!.id;
}

/** The thing at an address: by its id, or by another spelling or address that is known to lead to it. */
export async function thingAt(tx: Tx | Drizzle, address: string): Promise<Thing | undefined> {
  if (address.length > ADDRESS_CHARS_MAX) return undefined;
  const [byId] = await tx.select().from(thing).where(eq(thing.uri, address));
  if (byId !== undefined) return byId;
  const canonical = canonicalAddress(address);
  for (const spelling of new Set([address, canonical])) {
    if (spelling === undefined) continue;
    const [found] = await tx
      .select({ thing })
      .from(thingAddress)
      .innerJoin(thing, eq(thing.id, thingAddress.thing))
      .where(eq(thingAddress.address, spelling));
    if (found !== undefined) return found.thing;
  }
  if (canonical === undefined || canonical === address) return undefined;
  const [byCanonical] = await tx.select().from(thing).where(eq(thing.uri, canonical));
  return byCanonical;
}

/** The thing with this id, which is there. */
export async function thingWith(tx: Tx | Drizzle, id: ThingId): Promise<Thing> {
  const [found] = await tx.select().from(thing).where(eq(thing.id, id));
  assert(found !== undefined, "a thing that is not there");
  return found;
}

/**
 * The split with these payees. Equal ones are one row, and each payee has a ledger account from then on: earnings
 * for people of this instance, waiting for everybody else.
 */
async function ensureSplit(
  tx: Tx,
  settings: Settings,
  payees: readonly Payee[],
  at: Temporal.Instant,
): Promise<SplitId> {
  const parts = takingPart(payees, new Set());
  if (parts.length === 0 || parts.length > PAYEES_MAX) throw new Refusal("no_payee");
  for (const { payee, weight } of parts) {
    if (
      !Number.isSafeInteger(weight) ||
      weight > WEIGHT_MAX ||
      canonicalAddress(payee) === undefined
    )
      throw new Refusal("no_payee", { payee });
  }
  const key = JSON.stringify(parts.map(({ payee, weight }) => [payee, weight]));
  const [known] = await tx.execute<{ id: string }>(sql`SELECT id FROM split WHERE key = ${key}`);
  if (known !== undefined) return BigInt(known.id);

  await refuseUnknownOwn(tx, settings, parts);
  const actors = await ensureActors(
    tx,
    parts.map(({ payee }) => ({ uri: payee })),
    at,
  );
  const rows = parts.map(({ payee, weight }) => ({ payee: String(actors.get(payee)), weight }));
  const [made] = await tx.execute<{ id: string }>(sql`
    WITH made AS (INSERT INTO split (id, key) VALUES (new_id(${sqlTime(at)}), ${key}) ON CONFLICT (key) DO NOTHING RETURNING id),
         filled AS (INSERT INTO split_part (split, payee, weight)
                    SELECT made.id, part.payee, part.weight
                      FROM made, jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS part(payee bigint, weight bigint))
    SELECT id FROM made`);
  await openWaitingAccounts(tx, settings.currency, [...actors.values()]);
  if (made !== undefined) return BigInt(made.id);
  const [other] = await tx.execute<{ id: string }>(sql`SELECT id FROM split WHERE key = ${key}`);
  return BigInt(other!.id);
}

/** Somebody of this instance has an account or is nobody: money must not wait for who may be called so one day. */
async function refuseUnknownOwn(
  tx: Tx,
  { origin }: Settings,
  parts: readonly Payee[],
): Promise<void> {
  const own = parts.filter(({ payee }) => sameOrigin(payee, origin)).map(({ payee }) => payee);
  if (own.length === 0) return;
  const known = await tx
    .select({ uri: actor.uri })
    .from(actor)
    .innerJoin(account, eq(account.actor, actor.id))
    .where(inArray(actor.uri, own));
  const unknown = own.find((payee) => !known.some(({ uri }) => uri === payee));
  if (unknown !== undefined) throw new Refusal("no_payee", { payee: unknown });
}

/** People of this instance are paid to their earnings; for all others an account opens where money can wait. */
async function openWaitingAccounts(
  tx: Tx,
  currency: string,
  actors: readonly bigint[],
): Promise<void> {
  const local = await tx.execute<{ actor: string }>(sql`
    SELECT actor FROM account WHERE actor IN (SELECT value::bigint FROM jsonb_array_elements_text(${JSON.stringify(actors.map(String))}::jsonb))`);
  const own = new Set(local.map(({ actor }) => BigInt(actor)));
  await openLedgerAccounts(
    tx,
    currency,
    actors.filter((id) => !own.has(id)).map((owner) => ({ kind: "waiting", owner })),
  );
}

/** Remembers that a thing is gone: it cannot be flattred any more; flattrs that it has still count (R12). */
export async function deleteThing(
  { drizzle }: Pick<Database, "drizzle">,
  { uri, at }: { uri: string; at: Temporal.Instant },
): Promise<void> {
  await drizzle
    .update(thing)
    .set({ deletedAt: at })
    .where(and(eq(thing.uri, uri), isNull(thing.deletedAt)));
}
