/** Peers: other instances with which this one keeps a line, what they may owe, and which keys are believed. */

import assert from "node:assert";
import { and, eq, ne, notInArray, sql } from "drizzle-orm";
import { AMOUNT_MAX, type Micro, toMicro } from "../../rules/amount.ts";
import type { Database, Drizzle, Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { openLedgerAccounts } from "../ledger/book.ts";
import { clearAlarms } from "./alarm.ts";
import { peer, peerKey, position, trustLine } from "./schema.ts";

export type PeerId = bigint;
export type Peer = typeof peer.$inferSelect;
export type Position = typeof position.$inferSelect;
export type TrustLine = typeof trustLine.$inferSelect;

/** An instance as it was found at its own origin. */
export interface FoundInstance {
  /** Its instance actor. */
  readonly actor: string;
  /** `URL.host`, port included. */
  readonly host: string;
  /** Where it takes statements. */
  readonly ledger: string;
  readonly keys: readonly { readonly id: string; readonly publicKeyMultibase: string }[];
}

/** New lines in one day: whoever invents instances gets no further. */
const NEW_LINES_A_DAY = 10;

/** One new line at a time, so that they can be counted. */
const NEW_LINES_LOCK = 1_179_403_640;

/**
 * Opens a line with an instance that was met for the first time: pins its keys, gives it the limit of new peers. One
 * that is known keeps its line.
 */
export async function openPeer(
  { settings }: Pick<Database, "settings">,
  tx: Tx,
  found: FoundInstance,
  at: Temporal.Instant,
): Promise<PeerId> {
  const [known] = await tx.select().from(peer).where(eq(peer.actor, found.actor));
  if (known !== undefined) {
    await pinAgain(tx, found, at);
    return known.id;
  }
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${NEW_LINES_LOCK})`);
  if (!(await mayMeet(tx, at))) throw new Refusal("peer_limit_reached");
  const [made] = await tx
    .insert(peer)
    .values({
      id: sql`new_id(${sqlTime(at)})`,
      actor: found.actor,
      host: found.host,
      ledger: found.ledger,
      state: "open",
      since: at,
    })
    .onConflictDoNothing()
    .returning({ id: peer.id });
  if (made === undefined) {
    // Somebody else was quicker; or the host is known under another actor, which would be a second line with it.
    const [other] = await tx.select().from(peer).where(eq(peer.actor, found.actor));
    if (other === undefined) throw new Refusal("peer_unknown", { host: found.host });
    return other.id;
  }
  await tx.insert(peerKey).values(found.keys.map((key) => ({ peer: made.id, ...key, since: at })));
  await openLine(tx, made.id, { currency: settings.currency, limit: settings.peerLimit });
  return made.id;
}

/**
 * True for a known peer of which nothing was ever taken in. It may have changed its keys without a word, since it may
 * not know that it was found: what was pinned is still no more than what its origin showed.
 */
export async function isUnheard(tx: Tx | Drizzle, actor: string): Promise<boolean> {
  // The table of statements belongs to a feature nearer to the rim.
  const [unheard] = await tx.execute(sql`
    SELECT FROM peer p WHERE p.actor = ${actor}
       AND NOT EXISTS (SELECT FROM statement s WHERE s.peer = p.id AND s.direction = 'in')`);
  return unheard !== undefined;
}

/**
 * Pins the keys that a known peer shows now instead of those that it showed before, while nothing of it was ever taken
 * in: that is still the first contact. After that only its own signed word changes its keys.
 */
export async function pinAgain(tx: Tx, found: FoundInstance, at: Temporal.Instant): Promise<void> {
  const [known] = await tx.select().from(peer).where(eq(peer.actor, found.actor)).for("update");
  if (known === undefined || !(await isUnheard(tx, found.actor))) return;
  await tx.delete(peerKey).where(
    and(
      eq(peerKey.peer, known.id),
      notInArray(
        peerKey.id,
        found.keys.map(({ id }) => id),
      ),
    ),
  );
  for (const key of found.keys)
    await tx
      .insert(peerKey)
      .values({ peer: known.id, ...key, since: at })
      .onConflictDoUpdate({
        target: [peerKey.peer, peerKey.id],
        set: { publicKeyMultibase: key.publicKeyMultibase, since: at },
        setWhere: ne(peerKey.publicKeyMultibase, key.publicKeyMultibase),
      });
}

/** False when so many new peers came within a day that no more are met: nobody need be asked then. */
export async function mayMeet(tx: Tx | Drizzle, at: Temporal.Instant): Promise<boolean> {
  const [recent] = await tx.execute<{ count: number }>(
    sql`SELECT count(*)::int AS count FROM peer WHERE since > ${sqlTime(at.subtract({ hours: 24 }))}`,
  );
  return recent!.count < NEW_LINES_A_DAY;
}

/** Opens the accounts and counters of one currency towards a peer. Opening twice changes nothing. */
export async function openLine(
  tx: Tx,
  id: PeerId,
  { currency, limit }: { currency: string; limit: Micro },
): Promise<void> {
  await tx.insert(trustLine).values({ peer: id, currency, limit }).onConflictDoNothing();
  await tx.insert(position).values({ peer: id, currency }).onConflictDoNothing();
  await openLedgerAccounts(tx, currency, [
    { kind: "outbound", peer: id },
    { kind: "in_flight", peer: id },
    { kind: "payable", peer: id },
    { kind: "receivable", peer: id },
  ]);
  await setFloor(tx, id, currency);
}

/**
 * Says how much a peer may owe. What it owes already stays: with a lower limit nothing new is accepted until it has
 * paid.
 *
 * @throws Refusal "peer_unknown"
 */
export async function setPeerLimit(
  database: Database,
  { host, currency, limit }: { host: string; currency: string; limit: Micro },
): Promise<TrustLine> {
  return database.drizzle.transaction(async (tx) => {
    const { id } = await lockPeerOf(tx, host);
    if (currency !== database.settings.currency)
      throw new Refusal("currency_invalid", { currency });
    await openLine(tx, id, { currency, limit });
    const [line] = await tx
      .update(trustLine)
      .set({ limit })
      .where(and(eq(trustLine.peer, id), eq(trustLine.currency, currency)))
      .returning();
    await setFloor(tx, id, currency);
    return line!;
  });
}

/** The receivable's floor is the limit; where more is owed already, what is owed: the database refuses any more. */
async function setFloor(tx: Tx, id: PeerId, currency: string): Promise<void> {
  await tx.execute(sql`
    UPDATE ledger.account a SET floor = LEAST(-l."limit", b.amount)
      FROM trust_line l, ledger.balance b
     WHERE a.kind = 'receivable' AND a.peer = ${id} AND a.currency = ${currency} AND l.peer = a.peer AND l.currency = a.currency
       AND b.account = a.id AND a.floor IS DISTINCT FROM LEAST(-l."limit", b.amount)`);
}

/** Lets a peer owe so much more than it does, for once, where it was accepted before a restore. */
export async function allowOwed(
  tx: Tx,
  { peer: id, currency }: { peer: PeerId; currency: string },
  more: Micro,
): Promise<void> {
  await tx.execute(sql`
    UPDATE ledger.account a SET floor = b.amount - ${more}::bigint FROM ledger.balance b
     WHERE a.kind = 'receivable' AND a.peer = ${id} AND a.currency = ${currency} AND b.account = a.id AND a.floor > b.amount - ${more}::bigint`);
}

/**
 * Freezes a line by the operator's wish, or opens it again. A fork is not opened: two people must agree about that.
 *
 * @returns how the line stands, and the alarms that count as seen now
 * @throws Refusal "peer_unknown", "peer_forked"
 */
export async function freezePeer(
  database: Database,
  { host, isFrozen, at }: { host: string; isFrozen: boolean; at: Temporal.Instant },
): Promise<{ state: Peer["state"]; seen: readonly string[] }> {
  return database.drizzle.transaction(async (tx) => {
    const known = await lockPeerOf(tx, host);
    if (known.state === "forked") throw new Refusal("peer_forked", { host });
    // Whoever opens a line has seen what was wrong with it.
    const seen = isFrozen ? [] : await clearAlarms(tx, { peer: known.id, at });
    const state = isFrozen ? "frozen" : "open";
    await tx.update(peer).set({ state }).where(eq(peer.id, known.id));
    return { state, seen };
  });
}

/** Locks a peer: one statement at a time is numbered or taken in, all peers in parallel. */
export async function lockPeer(tx: Tx, id: PeerId): Promise<Peer> {
  const [locked] = await tx.select().from(peer).where(eq(peer.id, id)).for("update");
  assert(locked !== undefined, "a peer that is not there");
  return locked;
}

async function lockPeerOf(tx: Tx, host: string): Promise<Peer> {
  const [locked] = await tx.select().from(peer).where(eq(peer.host, host)).for("update");
  if (locked === undefined) throw new Refusal("peer_unknown", { host });
  return locked;
}

/** The peer of a host. @throws Refusal "peer_unknown" */
export async function peerOfHost(tx: Tx | Drizzle, host: string): Promise<Peer> {
  const [found] = await tx.select().from(peer).where(eq(peer.host, host));
  if (found === undefined) throw new Refusal("peer_unknown", { host });
  return found;
}

/** The peer with this instance actor. */
export async function peerOfActor(tx: Tx | Drizzle, actor: string): Promise<Peer | undefined> {
  const [found] = await tx.select().from(peer).where(eq(peer.actor, actor));
  return found;
}

/** What is owed in a currency, both ways: counters that only grow. */
export async function positionOf(
  tx: Tx | Drizzle,
  id: PeerId,
  currency: string,
): Promise<Position | undefined> {
  const [found] = await tx
    .select()
    .from(position)
    .where(and(eq(position.peer, id), eq(position.currency, currency)));
  return found;
}

/** Which counter grows, by how much. */
export type Growth = Partial<
  Record<"acceptedIn" | "settledIn" | "acceptedOut" | "settledOut", Micro>
>;

/** False when a counter would grow beyond what any amount may be: a peer can say such things, and then they are not booked. */
export function canGrow(counter: Micro, by: Micro): boolean {
  return counter + by <= AMOUNT_MAX;
}

/** Lets counters grow, and tells how they stand then. The peer must be locked. */
export async function grow(
  tx: Tx,
  { peer: id, currency }: { peer: PeerId; currency: string },
  by: Growth,
): Promise<Position> {
  assert(Object.values(by).every((amount) => amount > 0n));
  const [grown] = await tx
    .update(position)
    .set({
      acceptedIn: sql`${position.acceptedIn} + ${by.acceptedIn ?? 0n}`,
      settledIn: sql`${position.settledIn} + ${by.settledIn ?? 0n}`,
      acceptedOut: sql`${position.acceptedOut} + ${by.acceptedOut ?? 0n}`,
      settledOut: sql`${position.settledOut} + ${by.settledOut ?? 0n}`,
    })
    .where(and(eq(position.peer, id), eq(position.currency, currency)))
    .returning();
  assert(grown !== undefined, "a line that was never opened");
  return grown;
}

/** The lines with a peer: currency and limit. */
export async function linesOf(tx: Tx | Drizzle, id: PeerId): Promise<TrustLine[]> {
  return tx.select().from(trustLine).where(eq(trustLine.peer, id)).orderBy(trustLine.currency);
}

/** What the peer may still owe before its limit: below zero when the limit was lowered. */
export function headroomOf(line: TrustLine, at: Position): Micro {
  return toMicro(line.limit - (at.acceptedIn - at.settledIn));
}
