/** Dividing in sets: what `rules/month.ts` says for one patron, in SQL for a whole range of them. */

import { sql } from "drizzle-orm";
import type { Micro } from "../../rules/amount.ts";
import { closesAt, type Period, periodNumber } from "../../rules/period.ts";
import type { Database, Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";

/** Patrons whose month is divided together, from `lo` to `hi`. */
export interface Range {
  readonly period: Period;
  readonly lo: bigint;
  readonly hi: bigint;
  /** The transfer's key: a pure function of the month and the range. */
  readonly key: string;
  /** When the transfer counts. */
  readonly at: Temporal.Instant;
  /** Given for one patron whose empty purse was filled within the grace: what is there now. */
  readonly late?: Micro;
}

/** The share of one flattr `c` of a patron who spends `s`: equal parts, the first ones one micro larger. */
const SHARE = sql`(s.spent - s.fee) / s.flattrs + (c.place <= (s.spent - s.fee) % s.flattrs)::int`;

/**
 * Divides the budgets of a range of patrons: shares, settlements and the ledger's entries, all in one statement. Only
 * patrons that still wait for it are touched, so running it again does nothing.
 *
 * The division is that of `rules/division.ts` (nothing in it passes 64 bits); where several payees share, that of
 * `rules/split.ts`, in numeric.
 *
 * @returns how many patrons were settled
 */
export async function divideRange(database: Database, tx: Tx, range: Range): Promise<number> {
  const month = periodNumber(range.period);
  const { currency } = database.settings;
  const isLate = range.late !== undefined;
  const money = isLate ? sql`${range.late}::bigint` : sql`s.available`;
  // A range is read whole, so nested loops are never right for it, and right after a freeze the planner has no figures
  // to know that by. One late patron is the opposite.
  await tx.execute(
    sql`SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true), set_config('enable_nestloop', ${isLate ? "on" : "off"}, true)`,
  );
  const [row] = await tx.execute<{ patrons: number }>(sql`
    WITH patron AS MATERIALIZED (
      SELECT s.patron, s.budget, s.account, ${money} AS available, a.actor AS own
        FROM settlement s JOIN account a ON a.id = s.patron
       WHERE s.period = ${month} AND s.patron BETWEEN ${range.lo} AND ${range.hi} AND s.state = ${isLate ? "unfunded" : "frozen"}
         FOR NO KEY UPDATE OF s),
    -- One row for each payee of each flattr that counts, numbered in the order of the division.
    counted AS MATERIALIZED (
      SELECT f.patron, f.id AS flattr, p.payee, p.weight, p.parts, p.account,
             dense_rank() OVER (PARTITION BY f.patron ORDER BY (f.source = 'subscription') DESC, f.id) AS place
        FROM flattr f
        JOIN patron ON patron.patron = f.patron
        JOIN period_payee p ON p.period = ${month} AND p.split = f.split
       WHERE f.period = ${month} AND f.patron BETWEEN ${range.lo} AND ${range.hi} AND p.payee <> patron.own
         AND NOT EXISTS (SELECT FROM alias l
                          WHERE l.account = f.patron AND l.payee = p.payee AND l.since < ${sqlTime(closesAt(range.period))})),
    spending AS MATERIALIZED (
      SELECT *, (spent / 10000) * fee_bp + (spent % 10000) * fee_bp / 10000 AS fee
        FROM (SELECT patron.patron, patron.account, patron.budget, COALESCE(n.flattrs, 0) AS flattrs,
                     CASE WHEN n.flattrs > 0 THEN LEAST(patron.budget, patron.available) ELSE 0 END AS spent,
                     patron.available, (SELECT fee_bp::bigint FROM period WHERE id = ${month}) AS fee_bp
                FROM patron LEFT JOIN (SELECT patron, max(place) AS flattrs FROM counted GROUP BY patron) n USING (patron)) x),
    several AS (
      SELECT x.*, a.uri, div(x.amount::numeric * weight, whole) AS whole_part, mod(x.amount::numeric * weight, whole) AS remainder
        FROM (SELECT c.*, ${SHARE} AS amount, sum(c.weight) OVER (PARTITION BY c.patron, c.flattr) AS whole
                FROM counted c JOIN spending s USING (patron) WHERE s.spent > 0 AND c.parts > 1) x
        JOIN actor a ON a.id = x.payee),
    given AS MATERIALIZED (
      SELECT c.patron, c.flattr, c.payee, c.account, ${SHARE} AS amount
        FROM counted c JOIN spending s USING (patron) WHERE s.spent > 0 AND c.parts = 1
      UNION ALL
      SELECT patron, flattr, payee, account,
             (whole_part + (row_number() OVER (PARTITION BY patron, flattr ORDER BY remainder DESC, uri COLLATE "C")
                            <= amount - sum(whole_part) OVER (PARTITION BY patron, flattr))::int)::bigint
        FROM several),
    made AS (
      INSERT INTO ledger.transfer (key, kind, at, period)
      SELECT ${range.key}, ${isLate ? "late" : "settle"}, ${sqlTime(range.at)}, ${month} WHERE EXISTS (SELECT FROM spending WHERE spent > 0)
      RETURNING id),
    settled AS (
      UPDATE settlement s
         SET state = CASE WHEN ${isLate} THEN 'late'
                          WHEN x.flattrs > 0 AND x.budget > 0 AND x.available = 0 THEN 'unfunded' ELSE 'settled' END,
             flattrs = x.flattrs, spent = x.spent, fee = x.fee, transfer = CASE WHEN x.spent > 0 THEN (SELECT id FROM made) END
        FROM spending x WHERE s.period = ${month} AND s.patron = x.patron),
    shares AS (
      INSERT INTO share (period, patron, flattr, payee, amount)
      SELECT ${month}, patron, flattr, payee, amount FROM given),
    entries AS (
      INSERT INTO ledger.entry (transfer, account, amount)
      SELECT made.id, leg.account, leg.amount
        FROM made, (
          SELECT account, -spent AS amount FROM spending WHERE spent > 0
          UNION ALL
          SELECT account, sum(amount)::bigint FROM given GROUP BY account HAVING sum(amount) > 0
          UNION ALL
          SELECT (SELECT id FROM ledger.account WHERE kind = 'fee' AND currency = ${currency}), sum(fee)::bigint
            FROM spending HAVING sum(fee) > 0) leg
       ORDER BY leg.account)
    SELECT count(*)::int AS patrons FROM spending`);
  return row!.patrons;
}
