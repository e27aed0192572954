/** Opening accounts and booking transfers. The triggers of the ledger check everything again. */

import assert from "node:assert";
import { sql } from "drizzle-orm";
import { type Micro, toMicro, ZERO } from "../../rules/amount.ts";
import { type Period, periodNumber } from "../../rules/period.ts";
import {
  type AccountKind,
  type AccountName,
  BOTTOMLESS,
  isBalanced,
  type Leg,
} from "../../rules/posting.ts";
import type { Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";

/** A transfer to be booked. */
export interface Booking {
  /** Made by the caller from what the transfer is about; booking the same key twice does nothing. */
  readonly key: string;
  readonly kind: string;
  readonly at: Temporal.Instant;
  readonly legs: readonly Leg[];
  /** The month it belongs to, where it belongs to one. */
  readonly period?: Period;
}

export type TransferId = bigint;

/** Opens accounts that do not exist yet. */
export async function openLedgerAccounts(
  tx: Tx,
  currency: string,
  names: readonly AccountName[],
): Promise<void> {
  if (names.length === 0) return;
  const rows = names.map(({ kind, owner = 0n, peer = 0n }) => ({
    kind,
    owner: String(owner),
    peer: String(peer),
    floor: floorOf(kind),
  }));
  await tx.execute(sql`
    INSERT INTO ledger.account (kind, owner, peer, currency, floor)
    SELECT DISTINCT kind, owner, peer, ${currency}::text, floor
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS wanted(kind text, owner bigint, peer bigint, floor bigint)
     ORDER BY kind, owner, peer
    ON CONFLICT (kind, owner, peer, currency) DO NOTHING`);
}

/**
 * Books a transfer: all its legs in one statement, zero in sum, or nothing.
 *
 * @returns the new transfer, or undefined when the key was booked before
 * @throws Error with SQLSTATE 23514 (`balance_floor`) when an account would fall below its floor
 */
export async function book(
  tx: Tx,
  currency: string,
  booking: Booking,
): Promise<TransferId | undefined> {
  assert(isBalanced(booking.legs), `the transfer ${booking.key} is not balanced`);
  const period = booking.period === undefined ? null : periodNumber(booking.period);
  const [made] = await tx.execute<{ id: string }>(sql`
    INSERT INTO ledger.transfer (key, kind, at, period)
    VALUES (${booking.key}, ${booking.kind}, ${sqlTime(booking.at)}, ${period})
    ON CONFLICT (key) DO NOTHING RETURNING id`);
  if (made === undefined) return undefined;
  const rows = booking.legs.map(({ account: { kind, owner = 0n, peer = 0n }, amount }) => ({
    kind,
    owner: String(owner),
    peer: String(peer),
    amount: String(amount),
  }));
  const entries = await tx.execute(sql`
    INSERT INTO ledger.entry (transfer, account, amount)
    SELECT ${made.id}::bigint, a.id, leg.amount
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS leg(kind text, owner bigint, peer bigint, amount bigint)
      JOIN ledger.account a ON a.kind = leg.kind AND a.owner = leg.owner AND a.peer = leg.peer AND a.currency = ${currency}
    RETURNING account`);
  assert(
    entries.length === booking.legs.length,
    `the transfer ${booking.key} names an account that does not exist`,
  );
  return BigInt(made.id);
}

/** What is on an account; 0 for one that was never opened. */
export async function balanceOf(
  tx: Pick<Tx, "execute">,
  currency: string,
  { kind, owner = 0n, peer = 0n }: AccountName,
): Promise<Micro> {
  const [row] = await tx.execute<{ amount: string }>(sql`
    SELECT b.amount FROM ledger.account a JOIN ledger.balance b ON b.account = a.id
     WHERE a.kind = ${kind} AND a.owner = ${owner} AND a.peer = ${peer} AND a.currency = ${currency}`);
  return row === undefined ? ZERO : toMicro(BigInt(row.amount));
}

/** Locks an account's balance and tells it; nobody else can move it before this transaction ends. */
export async function lockBalance(
  tx: Tx,
  currency: string,
  { kind, owner = 0n, peer = 0n }: AccountName,
): Promise<Micro> {
  const [row] = await tx.execute<{ amount: string }>(sql`
    SELECT b.amount FROM ledger.account a JOIN ledger.balance b ON b.account = a.id
     WHERE a.kind = ${kind} AND a.owner = ${owner} AND a.peer = ${peer} AND a.currency = ${currency} FOR NO KEY UPDATE OF b`);
  assert(row !== undefined, `the account ${kind}:${owner}:${peer} does not exist`);
  return toMicro(BigInt(row.amount));
}

function floorOf(kind: AccountKind): string | null {
  return BOTTOMLESS.has(kind) ? null : "0";
}
