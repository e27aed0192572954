/**
 * Waiting money that goes back to the very patrons who gave it, to the micro (R12, R13). It waits since a close, or
 * since a peer refused it (kinds `refused` and `refused_late`, from all patrons of the month and payee).
 */

import assert from "node:assert";
import { type SQL, sql } from "drizzle-orm";
import { type Period, periodFromNumber, periodNumber } from "../../rules/period.ts";
import type { Database, Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";

/** What goes back, and why. */
export interface GiveBack {
  /** Of the whole; one transfer per month gets the month added. */
  readonly key: string;
  readonly at: Temporal.Instant;
  /** Which waiting credits: a condition on `e` (entry), `a` (its account; `a.owner` is the payee), `t` (its transfer). */
  readonly which: SQL;
}

/**
 * Gives back every waiting credit that `which` names and that was neither given back nor collected. The closed months
 * keep their figures; each credit can be resolved once.
 *
 * @returns the months of which something went back
 */
export async function giveBackOf(
  database: Database,
  tx: Tx,
  { key, at, which }: GiveBack,
): Promise<Period[]> {
  const { currency } = database.settings;
  // The accounts are locked first, in the order in which bookings lock them: nobody collects them meanwhile.
  await tx.execute(sql`
    SELECT FROM ledger.balance b WHERE b.account IN (${dueEntries(sql`e.account`, currency, which)}) ORDER BY b.account FOR NO KEY UPDATE`);
  const months = await tx.execute<{ period: number }>(
    dueEntries(sql`DISTINCT t.period`, currency, which),
  );
  const periods = months.map(({ period }) => periodFromNumber(period)).sort();
  for (const period of periods)
    await giveBackMonth(tx, period, { key: `${key}:${period}`, at, currency, which });
  return periods;
}

async function giveBackMonth(
  tx: Tx,
  period: Period,
  { key, at, currency, which }: GiveBack & { readonly currency: string },
): Promise<void> {
  const month = periodNumber(period);
  const due = dueEntries(
    sql`e.transfer, e.account, e.amount, a.owner AS payee, t.kind`,
    currency,
    sql`t.period = ${month} AND ${which}`,
  );
  const [made] = await tx.execute<{ id: string }>(sql`
    INSERT INTO ledger.transfer (key, kind, at, period) VALUES (${key}, 'return', ${sqlTime(at)}, ${month}) RETURNING id`);
  assert(made !== undefined);
  // One statement, one view: what is resolved is what is given back, whatever is credited meanwhile.
  await tx.execute(sql`
    WITH due AS MATERIALIZED (${due}),
    resolved AS (
      INSERT INTO ledger.resolution (transfer, account, resolved_by)
      SELECT transfer, account, ${made.id}::bigint FROM due),
    back AS (
      SELECT s.account, sum(sh.amount)::bigint AS amount
        FROM due
        JOIN settlement s ON s.period = ${month}
         AND (s.transfer = due.transfer
              OR (due.kind = 'refused' AND s.state = 'settled') OR (due.kind = 'refused_late' AND s.state = 'late'))
        JOIN share sh ON sh.period = ${month} AND sh.patron = s.patron AND sh.payee = due.payee
       GROUP BY s.account HAVING sum(sh.amount) > 0)
    INSERT INTO ledger.entry (transfer, account, amount)
    SELECT ${made.id}::bigint, account, amount FROM back
    UNION ALL
    SELECT ${made.id}::bigint, account, -sum(amount)::bigint FROM due GROUP BY account`);
}

/** Key of the lock below. */
const STANDING_LOCK = 1_179_403_638;

/**
 * One at a time: who changes who is paid, and who ends a close or funds a month late. Whoever comes second sees what
 * the first one wrote, so money for somebody who is not paid is given back by one of them.
 */
export async function lockStanding(tx: Tx): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${STANDING_LOCK})`);
}

/** Waiting credits that are not resolved. */
function dueEntries(columns: SQL, currency: string, which: SQL): SQL {
  return sql`
    SELECT ${columns}
      FROM ledger.account a
      JOIN ledger.entry e ON e.account = a.id AND e.amount > 0
      JOIN ledger.transfer t ON t.id = e.transfer
     WHERE a.kind = 'waiting' AND a.currency = ${currency} AND (${which})
       AND NOT EXISTS (SELECT FROM ledger.resolution r WHERE r.transfer = e.transfer AND r.account = e.account)`;
}
