/** What closed months owe creators at peers: lines, and the Transfers that carry them. */

import assert from "node:assert";
import { and, eq, inArray, sql } from "drizzle-orm";
import { type Micro, toMicro } from "../../rules/amount.ts";
import { move } from "../../rules/posting.ts";
import { type Period, periodFromNumber, periodNumber } from "../../rules/period.ts";
import { COUNT_PATRONS_MIN, LINES_MAX } from "../../rules/statement.ts";
import { retrying, type Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { book } from "../ledger/book.ts";
import { lockPeer, type Peer, type PeerId, positionOf } from "../peer/peer.ts";
import { trustLine } from "../peer/schema.ts";
import { lockStanding } from "../settlement/give-back.ts";
import { periodAddress, type StatementParts, writeStatement } from "../statement/write.ts";
import { isRecovering } from "./again.ts";
import { makeLines, type Part } from "./lines.ts";
import { line } from "./schema.ts";
import { ensureTerms } from "./terms.ts";

/**
 * Writes down what each creator at a peer is owed for every month that is closed, and the Transfers for what can be
 * sent now: one transaction per peer. Safe to run again, at once and half.
 *
 * @returns the peers to which something was written
 */
export async function sendTransfers(
  parts: StatementParts,
  at: Temporal.Instant,
  /** Asked before a peer's log is written: false when it must not be written now. */
  mayWrite: (peer: PeerId) => Promise<boolean> = async () => true,
): Promise<PeerId[]> {
  const { drizzle } = parts.database;
  await makeLines(drizzle);
  const peers = await drizzle.execute<{ peer: string }>(sql`
    SELECT p.id AS peer
      FROM peer p,
           -- One is enough: this is asked after each Receipt, when the others are still on their way.
           LATERAL (SELECT FROM line l WHERE l.peer = p.id AND l.state = 'outbound' AND (l.seq IS NULL OR l.due_at <= ${sqlTime(at)}) LIMIT 1) due
     WHERE p.state = 'open' ORDER BY 1`);
  const written: PeerId[] = [];
  for (const { peer } of peers) {
    const id = BigInt(peer);
    if (!(await mayWrite(id))) continue;
    const isWritten = await retrying(() =>
      drizzle.transaction(async (tx) => {
        const locked = await lockPeer(tx, id);
        return locked.state === "open" && (await sendTo(parts, tx, { peer: locked, at }));
      }),
    );
    if (isWritten) written.push(id);
  }
  return written;
}

interface Due extends Record<string, unknown> {
  readonly period: number;
  readonly part: Part;
  readonly payee: string;
  readonly uri: string;
  readonly amount: string;
  readonly count: number;
  readonly patrons: number;
  /** True when it was refused before. */
  readonly again: boolean;
}

/** Writes Transfers of what is due to one peer and fits into what it lets us owe. */
async function sendTo(
  parts: StatementParts,
  tx: Tx,
  { peer, at }: { peer: Peer; at: Temporal.Instant },
): Promise<boolean> {
  const { currency } = parts.database.settings;
  if (await isRecovering(tx, peer.id)) return false;
  await lockStanding(tx);
  const due = await tx.execute<Due>(sql`
    SELECT l.period, l.part, l.payee::text, a.uri, l.amount::text, l.count, l.patrons, l.seq IS NOT NULL AS again
      FROM line l JOIN actor a ON a.id = l.payee
     WHERE l.peer = ${peer.id} AND l.state = 'outbound' AND (l.seq IS NULL OR l.due_at <= ${sqlTime(at)})
     ORDER BY l.period, l.part DESC, a.uri COLLATE "C" FOR UPDATE OF l`);
  let room = await roomAt(tx, peer.id, currency);
  const mayRepeat = due.some(({ again }) => again) && (await mayTryAgain(tx, peer.id, at));
  const fitting = due.filter(({ amount, again }) => {
    if (again && !mayRepeat) return false;
    if (room === undefined) return true;
    if (BigInt(amount) > room) return false;
    room -= BigInt(amount);
    return true;
  });
  if (fitting.length === 0) return false;
  await ensureTerms(parts, tx, { peer, at });
  for (const lines of batches(fitting)) await writeTransfer(parts, tx, { peer, lines, at });
  return true;
}

/** Refused Transfers after which a peer is left alone for the rest of an hour. */
const REFUSALS_AN_HOUR_MAX = 10;

/** A peer that says again and again that there is room, and then that there is none, gets no endless log of ours. */
async function mayTryAgain(tx: Tx, peer: PeerId, at: Temporal.Instant): Promise<boolean> {
  const [refused] = await tx.execute<{ count: number }>(sql`
    SELECT count(*)::int AS count FROM statement s JOIN ledger.transfer t ON t.key = 'unsent:' || s.peer || ':' || s.seq
     WHERE s.peer = ${peer} AND s.direction = 'out' AND s.kind = 'Transfer' AND s.at > ${sqlTime(at.subtract({ hours: 1 }))}`);
  return refused!.count < REFUSALS_AN_HOUR_MAX;
}

/** How much more the peer lets us owe, as far as it said; what is on its way counts. */
async function roomAt(tx: Tx, peer: PeerId, currency: string): Promise<bigint | undefined> {
  const [terms] = await tx
    .select({ limit: trustLine.theirLimit })
    .from(trustLine)
    .where(and(eq(trustLine.peer, peer), eq(trustLine.currency, currency)));
  if (terms === undefined || terms.limit === null) return undefined;
  const position = (await positionOf(tx, peer, currency))!;
  const [sent] = await tx.execute<{ amount: string }>(
    sql`SELECT COALESCE(sum(amount), 0)::text AS amount FROM line WHERE peer = ${peer} AND state = 'sent'`,
  );
  return terms.limit - (position.acceptedOut - position.settledOut) - BigInt(sent!.amount);
}

/** Lines of one month and part, at most as many as one Transfer takes. */
function batches(due: readonly Due[]): Due[][] {
  const made: Due[][] = [];
  for (const one of due) {
    const last = made.at(-1);
    const [first] = last ?? [];
    if (
      last !== undefined &&
      last.length < LINES_MAX &&
      first!.period === one.period &&
      first!.part === one.part
    )
      last.push(one);
    else made.push([one]);
  }
  return made;
}

async function writeTransfer(
  parts: StatementParts,
  tx: Tx,
  { peer, lines, at }: { peer: Peer; lines: readonly Due[]; at: Temporal.Instant },
): Promise<void> {
  const { origin, currency } = parts.database.settings;
  const { period: month, part } = lines[0]!;
  const period: Period = periodFromNumber(month);
  const total: Micro = toMicro(lines.reduce((sum, { amount }) => sum + BigInt(amount), 0n));
  const { seq } = await writeStatement(parts, tx, peer, {
    type: ["Offer", "Transfer"],
    object: periodAddress(origin, period),
    body: {
      kind: part,
      period,
      currency,
      total: String(total),
      lines: lines.map(({ uri, amount, count, patrons }) => ({
        beneficiary: uri,
        amount,
        ...(patrons >= COUNT_PATRONS_MIN ? { count } : {}),
      })),
    },
    at,
    isSent: true,
  });
  const payees = JSON.stringify(lines.map(({ payee }) => payee));
  const sent = await tx
    .update(line)
    .set({ state: "sent", seq, reason: null, dueAt: null })
    .where(
      and(
        eq(line.period, period),
        eq(line.part, part),
        sql`${line.payee} IN (SELECT value::bigint FROM jsonb_array_elements_text(${payees}::jsonb))`,
        eq(line.state, "outbound"),
      ),
    )
    .returning({ payee: line.payee });
  assert(sent.length === lines.length);
  await book(tx, currency, {
    key: `transfer:${periodNumber(period)}:${peer.id}:${part}:${seq}`,
    kind: "transfer_out",
    at,
    period,
    legs: move(total, { kind: "outbound", peer: peer.id }, { kind: "in_flight", peer: peer.id }),
  });
}

/** A confirmed payment or new Terms made room: what was refused for the limit may go again. */
export async function makeRoom(
  tx: Tx,
  { peer, at }: { peer: PeerId; at: Temporal.Instant },
): Promise<void> {
  await tx
    .update(line)
    .set({ dueAt: at })
    .where(
      and(
        eq(line.peer, peer),
        eq(line.state, "outbound"),
        inArray(line.reason, ["overLimit", "overdue"]),
      ),
    );
}
