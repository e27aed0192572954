/** What one account gave and received in a month, for its owner alone. */

import { sql } from "drizzle-orm";
import { type Micro, smaller, toMicro } from "../../rules/amount.ts";
import { valueOfClick } from "../../rules/month.ts";
import { closesAt, type Period, periodNumber, periodOf } from "../../rules/period.ts";
import type { Database } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { balanceOf } from "../ledger/book.ts";

/** One payee of one flattr. */
export interface Given {
  readonly thing: string;
  readonly payee: string;
  /** Undefined as long as nothing was divided. */
  readonly amount: Micro | undefined;
  /** own: credited to somebody of this instance · waiting · returned: it came back · undefined before the freeze. */
  readonly state: "own" | "peer" | "waiting" | "returned" | "left out" | undefined;
}

/** What one thing brought its creator. */
export interface Received {
  readonly thing: string;
  readonly flattrs: number;
  readonly amount: Micro;
}

/** What a peer promised for a month: pending until its real money came. */
export interface Promised {
  readonly host: string;
  readonly amount: Micro;
  /** The part that is covered, and available. */
  readonly released: Micro;
}

/** One account's month. */
export interface MonthReport {
  readonly period: Period;
  readonly state: "open" | "frozen" | "closed" | "final";
  /** What became of this account's budget: as in `settlement`, or undefined without flattrs or before the freeze. */
  readonly settlement: "frozen" | "settled" | "unfunded" | "late" | "lapsed" | undefined;
  readonly budget: Micro;
  readonly available: Micro;
  readonly flattrs: number;
  readonly spent: Micro;
  readonly fee: Micro;
  readonly feeBasisPoints: number;
  /** What a click would be worth if the month closed now; only while it is open. */
  readonly valueOfClick: Micro | undefined;
  readonly gave: readonly Given[];
  readonly received: readonly Received[];
  /** From patrons of other instances, by the instance that owes it. */
  readonly promised: readonly Promised[];
  /** What is on the accounts now; pending: promised by other instances and not covered. */
  readonly balance: Balances;
}

/** @returns undefined for a month that this instance does not know */
export async function monthReport(
  database: Database,
  account: AccountId,
  period: Period,
): Promise<MonthReport | undefined> {
  const month = periodNumber(period);
  const { currency } = database.settings;
  return database.drizzle.transaction(
    async (tx) => {
      const [known] = await tx.execute<{ state: MonthReport["state"]; fee_bp: number }>(
        sql`SELECT state, fee_bp FROM period WHERE id = ${month}`,
      );
      if (known === undefined) return undefined;
      const balance = await balancesIn(tx, currency, account);
      const [settled] = await tx.execute<{
        state: NonNullable<MonthReport["settlement"]>;
        budget: string;
        available: string;
        flattrs: number;
        spent: string;
        fee: string;
      }>(sql`
        SELECT state, budget, available, flattrs, spent, fee FROM settlement WHERE period = ${month} AND patron = ${account}`);
      const gave = (await givenBy(tx, account, month)).map((row) => ({
        thing: row.thing,
        payee: row.payee,
        amount: row.amount === null ? undefined : amountOf(row.amount),
        state: row.state ?? undefined,
      }));
      const received = await tx.execute<{ thing: string; flattrs: number; amount: string }>(sql`
        SELECT t.uri AS thing, count(*)::int AS flattrs, sum(sh.amount)::text AS amount
          FROM share sh JOIN account me ON me.actor = sh.payee AND me.id = ${account}
          JOIN flattr f ON f.period = ${month} AND f.id = sh.flattr JOIN thing t ON t.id = f.thing
         WHERE sh.period = ${month} GROUP BY t.uri ORDER BY sum(sh.amount) DESC, t.uri`);
      const promised = await tx.execute<{ host: string; amount: string; released: string }>(sql`
        SELECT p.host, sum(l.amount)::text AS amount,
               COALESCE(sum(l.amount) FILTER (WHERE t.released_at IS NOT NULL), 0)::text AS released
          FROM transfer_line l JOIN transfer_in t ON t.peer = l.peer AND t.seq = l.seq JOIN peer p ON p.id = l.peer
         WHERE l.account = ${account} AND l.period = ${month} AND l.currency = ${currency} GROUP BY p.host ORDER BY p.host`);
      const open = known.state === "open";
      const budget =
        settled === undefined ? await budgetBefore(tx, account, period) : amountOf(settled.budget);
      const available = settled === undefined ? balance.budget : amountOf(settled.available);
      const counting =
        settled === undefined || settled.state === "frozen"
          ? await countingNow(tx, account, month)
          : settled.flattrs;
      return {
        period,
        state: known.state,
        settlement: settled?.state,
        budget,
        available,
        flattrs: counting,
        spent: amountOf(settled?.spent ?? "0"),
        fee: amountOf(settled?.fee ?? "0"),
        feeBasisPoints: known.fee_bp,
        valueOfClick: open
          ? valueOfClick(smaller(budget, available), known.fee_bp, counting)
          : undefined,
        gave,
        received: received.map(({ thing, flattrs, amount }) => ({
          thing,
          flattrs,
          amount: amountOf(amount),
        })),
        promised: promised.map(({ host, amount, released }) => ({
          host,
          amount: amountOf(amount),
          released: amountOf(released),
        })),
        balance,
      };
    },
    { isolationLevel: "repeatable read", accessMode: "read only" },
  );
}

/** The running month of one account, as it would be divided if it closed now (P6). */
export interface ClickNow {
  readonly period: Period;
  readonly closes: Temporal.Instant;
  readonly budget: Micro;
  /** What is there to be given. */
  readonly available: Micro;
  /** Flattrs that count. */
  readonly flattrs: number;
  /** What each of them would get; undefined without any. */
  readonly value: Micro | undefined;
}

/** What is on somebody's accounts. */
export interface Balances {
  readonly budget: Micro;
  readonly earnings: Micro;
  /** Promised by other instances and not covered. */
  readonly pending: Micro;
}

/** What is on an account now, for its owner alone. */
export async function balancesOf(
  { drizzle, settings: { currency } }: Pick<Database, "drizzle" | "settings">,
  account: AccountId,
): Promise<Balances> {
  return drizzle.transaction((tx) => balancesIn(tx, currency, account), {
    isolationLevel: "repeatable read",
    accessMode: "read only",
  });
}

async function balancesIn(tx: Read, currency: string, account: AccountId): Promise<Balances> {
  return {
    budget: await balanceOf(tx, currency, { kind: "budget", owner: account }),
    earnings: await balanceOf(tx, currency, { kind: "earnings", owner: account }),
    pending: await pendingOf(tx, account, currency),
  };
}

/** What a click is worth now, for its owner alone. */
export async function clickNow(
  { drizzle, settings }: Pick<Database, "drizzle" | "settings">,
  account: AccountId,
  at: Temporal.Instant,
): Promise<ClickNow> {
  const period = periodOf(at);
  const month = periodNumber(period);
  return drizzle.transaction(
    async (tx) => {
      const [known] = await tx.execute<{ fee_bp: number }>(
        sql`SELECT fee_bp FROM period WHERE id = ${month}`,
      );
      const budget = await budgetBefore(tx, account, period);
      const available = await balanceOf(tx, settings.currency, { kind: "budget", owner: account });
      const flattrs = await countingNow(tx, account, month);
      const feeBasisPoints = known?.fee_bp ?? settings.feeBasisPoints;
      const value = valueOfClick(smaller(budget, available), feeBasisPoints, flattrs);
      return { period, closes: closesAt(period), budget, available, flattrs, value };
    },
    { isolationLevel: "repeatable read", accessMode: "read only" },
  );
}

type Read = Parameters<Parameters<Database["drizzle"]["transaction"]>[0]>[0];

const amountOf = (text: string): Micro => toMicro(BigInt(text));

async function pendingOf(tx: Read, account: AccountId, currency: string): Promise<Micro> {
  const [row] = await tx.execute<{ amount: string }>(sql`
    SELECT COALESCE(sum(b.amount), 0)::text AS amount FROM ledger.account a JOIN ledger.balance b ON b.account = a.id
     WHERE a.kind = 'pending' AND a.owner = ${account} AND a.currency = ${currency}`);
  return amountOf(row!.amount);
}

async function givenBy(tx: Read, account: AccountId, month: number) {
  return tx.execute<{
    thing: string;
    payee: string;
    amount: string | null;
    state: Given["state"] | null;
  }>(sql`
    SELECT t.uri AS thing, a.uri AS payee, sh.amount::text AS amount,
           CASE WHEN sh.amount IS NULL THEN CASE WHEN st.state IN ('settled', 'late') THEN 'left out' END
                WHEN back.kind = 'return' THEN 'returned'
                WHEN refused.key IS NOT NULL THEN 'waiting'
                ELSE pp.way END AS state
      FROM flattr f
      JOIN thing t ON t.id = f.thing
      JOIN split_part p ON p.split = f.split
      JOIN actor a ON a.id = p.payee
      LEFT JOIN settlement st ON st.period = f.period AND st.patron = f.patron
      LEFT JOIN share sh ON sh.period = f.period AND sh.patron = f.patron AND sh.flattr = f.id AND sh.payee = p.payee
      LEFT JOIN period_payee pp ON pp.period = f.period AND pp.split = f.split AND pp.payee = p.payee
      -- What a peer refused waits since then, and may have come back from there.
      LEFT JOIN line l ON pp.way = 'peer' AND l.period = f.period AND l.payee = p.payee AND l.state = 'waiting'
       AND l.part = CASE st.state WHEN 'settled' THEN 'settlement' ELSE 'correction' END
      LEFT JOIN ledger.transfer refused ON refused.key = CASE l.part WHEN 'settlement' THEN 'refused' ELSE 'refused_late' END || ':' || l.peer || ':' || l.seq
      LEFT JOIN ledger.account w ON l.seq IS NOT NULL AND w.kind = 'waiting' AND w.owner = p.payee
      LEFT JOIN ledger.resolution r ON r.transfer = COALESCE(refused.id, st.transfer) AND r.account = COALESCE(w.id, pp.account)
      LEFT JOIN ledger.transfer back ON back.id = r.resolved_by
     WHERE f.period = ${month} AND f.patron = ${account}
     ORDER BY (f.source = 'subscription') DESC, f.id, a.uri`);
}

async function budgetBefore(tx: Read, account: AccountId, period: Period): Promise<Micro> {
  const [row] = await tx.execute<{ amount: string }>(sql`
    SELECT amount FROM budget WHERE patron = ${account} AND since < ${sqlTime(closesAt(period))} ORDER BY id DESC LIMIT 1`);
  return amountOf(row?.amount ?? "0");
}

/** Flattrs that would count if the month were frozen now. */
async function countingNow(tx: Read, account: AccountId, month: number): Promise<number> {
  const [row] = await tx.execute<{ flattrs: number }>(sql`
    SELECT count(*)::int AS flattrs FROM flattr f
     WHERE f.period = ${month} AND f.patron = ${account}
       AND EXISTS (SELECT FROM split_part p JOIN payee_standing s ON s.payee = p.payee
                    WHERE p.split = f.split AND s.reason IS NULL AND NOT is_own(f.patron, p.payee))`);
  return row!.flattrs;
}
