/** The freeze: what a month needs to be closed is written down once, so that a late close gives the same result. */

import { sql } from "drizzle-orm";
import { closesAt, type Period, periodNumber } from "../../rules/period.ts";
import type { Database, Tx } from "../../store/database.ts";
import { sqlTime } from "../../store/time.ts";

/**
 * How many flattrs one range of patrons holds: enough that a payee's legs are few, little enough that two workers
 * have something to share and one transaction fits into memory. Measured in `bench/settle.ts`.
 */
const RANGE_FLATTRS = 150_000;

/**
 * Fixes a month that is over: each patron's budget and available money, who is paid and on which way, and the ranges
 * of the close. The caller holds the month's lock alone, so nobody is in the middle of a change.
 */
export async function freeze(database: Database, tx: Tx, period: Period): Promise<void> {
  const month = periodNumber(period);
  const { currency } = database.settings;
  await tx.execute(sql`SELECT set_config('work_mem', '64MB', true)`);
  await tx.execute(sql`
    WITH patron AS (SELECT patron, count(*) AS flattrs FROM flattr WHERE period = ${month} GROUP BY patron)
    INSERT INTO settlement (period, patron, range, budget, available, account, state)
    SELECT ${month}, patron, (sum(flattrs) OVER (ORDER BY patron) - 1)::bigint / ${RANGE_FLATTRS},
           COALESCE(wanted.amount, 0), b.amount, a.id, 'frozen'
      FROM patron
      LEFT JOIN ledger.account a ON a.kind = 'budget' AND a.owner = patron AND a.peer = 0 AND a.currency = ${currency}
      LEFT JOIN ledger.balance b ON b.account = a.id
      LEFT JOIN LATERAL (SELECT amount FROM budget
                          WHERE budget.patron = patron.patron AND since < ${sqlTime(closesAt(period))}
                          ORDER BY id DESC LIMIT 1) wanted ON true
     ORDER BY patron`);
  await tx.execute(sql`
    INSERT INTO settlement_range (period, range, lo, hi)
    SELECT period, range, min(patron), max(patron) FROM settlement WHERE period = ${month} GROUP BY period, range`);
  // A payee of this instance is paid to his earnings; everybody else's money waits until he proves who he is.
  await tx.execute(sql`
    WITH flattred AS (SELECT DISTINCT split FROM flattr WHERE period = ${month})
    INSERT INTO period_payee (period, split, payee, weight, parts, way, account)
    SELECT ${month}, p.split, p.payee, p.weight, count(*) OVER (PARTITION BY p.split),
           CASE WHEN own.id IS NULL THEN 'waiting' ELSE 'own' END, a.id
      FROM flattred
      JOIN split_part p ON p.split = flattred.split
      JOIN payee_standing s ON s.payee = p.payee AND s.reason IS NULL
      LEFT JOIN account own ON own.actor = p.payee
      LEFT JOIN ledger.account a ON a.kind = CASE WHEN own.id IS NULL THEN 'waiting' ELSE 'earnings' END
                                AND a.owner = COALESCE(own.id, p.payee) AND a.peer = 0 AND a.currency = ${currency}
     ORDER BY p.split, p.payee`);
  await tx.execute(sql`UPDATE period SET state = 'frozen' WHERE id = ${month}`);
}
