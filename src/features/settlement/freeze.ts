/** The freeze: what a month needs to be closed is written down once, so that a late close gives the same result. */

import { sql } from "drizzle-orm";
import { closesAt, type Period, periodNumber } from "../../rules/period.ts";
import type { Database, Tx } from "../../store/database.ts";
import { sqlTime } from "../../store/time.ts";

/**
 * How many flattrs one range of patrons holds: many, so that a payee's legs are few, but not more than one
 * transaction can sort in memory; and half of a small month, so that two workers have something to share.
 * Measured by `bench/settle.ts`.
 */
const RANGE_FLATTRS_MIN = 20_000;
const RANGE_FLATTRS_MAX = 400_000;

/** A peer that answered nothing for so long gets no new shares: they wait at home. */
const SILENT_DAYS = 90;

/**
 * Fixes a month that is over: each patron's budget and available money, who is paid and on which way, and the ranges
 * of the close. The caller holds the month's lock alone, so nobody is in the middle of a change.
 */
export async function freeze(database: Database, tx: Tx, period: Period): Promise<void> {
  const month = periodNumber(period);
  const { currency } = database.settings;
  const silentSince = closesAt(period).subtract({ hours: 24 * SILENT_DAYS });
  await tx.execute(
    sql`SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)`,
  );
  // A payee of this instance is paid to his earnings; one of a peer through that peer; everybody else's money waits
  // until he proves who he is. Who is a peer is what was learnt before: nothing is asked now.
  await tx.execute(sql`
    WITH seen AS MATERIALIZED (
      SELECT patron, split, count(*) AS flattrs FROM flattr WHERE period = ${month} GROUP BY GROUPING SETS ((patron), (split))),
    patrons AS (
      INSERT INTO settlement (period, patron, range, budget, available, account, state)
      SELECT ${month}, patron,
             (sum(flattrs) OVER (ORDER BY patron) - 1)::bigint
               / GREATEST(${RANGE_FLATTRS_MIN}::bigint, LEAST(${RANGE_FLATTRS_MAX}::bigint, (sum(flattrs) OVER () / 2 + 1)::bigint)),
             COALESCE(wanted.amount, 0), b.amount, a.id, 'frozen'
        FROM seen
        LEFT JOIN ledger.account a ON a.kind = 'budget' AND a.owner = patron AND a.peer = 0 AND a.currency = ${currency}
        LEFT JOIN ledger.balance b ON b.account = a.id
        LEFT JOIN LATERAL (SELECT amount FROM budget
                            WHERE budget.patron = seen.patron AND since < ${sqlTime(closesAt(period))}
                            ORDER BY id DESC LIMIT 1) wanted ON true
       WHERE patron IS NOT NULL
       ORDER BY patron),
    peer_of_host AS MATERIALIZED (
      SELECT w.host, w.peer FROM host_way w JOIN peer ON peer.id = w.peer
       WHERE peer.state = 'open'
         AND NOT EXISTS (SELECT FROM statement s
                          WHERE s.peer = peer.id AND s.direction = 'out' AND s.due_at IS NOT NULL AND s.receipt_seq IS NULL
                            AND s.at < ${sqlTime(silentSince)} AND COALESCE(peer.heard_at, s.at) < ${sqlTime(silentSince)})
         -- Nothing is written to a peer that is silent: then what was never sent tells it.
         AND NOT (COALESCE(peer.heard_at, peer.since) < ${sqlTime(silentSince)}
                  AND EXISTS (SELECT FROM line l JOIN period c ON c.id = l.period
                               WHERE l.peer = peer.id AND l.state = 'outbound' AND l.seq IS NULL AND c.closes < ${sqlTime(silentSince)}))),
    peer_of_actor AS MATERIALIZED (SELECT a.id AS actor, w.peer FROM peer_of_host w JOIN actor a ON a.host = w.host)
    INSERT INTO period_payee (period, split, payee, weight, parts, way, account)
    SELECT ${month}, p.split, p.payee, p.weight, count(*) OVER (PARTITION BY p.split),
           CASE WHEN own.id IS NOT NULL THEN 'own' WHEN outbound.id IS NOT NULL THEN 'peer' ELSE 'waiting' END,
           COALESCE(earnings.id, outbound.id, waiting.id)
      FROM seen
      JOIN split_part p ON p.split = seen.split
      LEFT JOIN account own ON own.actor = p.payee
      LEFT JOIN ledger.account earnings
        ON earnings.kind = 'earnings' AND earnings.owner = own.id AND earnings.peer = 0 AND earnings.currency = ${currency}
      LEFT JOIN peer_of_actor way ON own.id IS NULL AND way.actor = p.payee
      LEFT JOIN ledger.account outbound
        ON outbound.kind = 'outbound' AND outbound.owner = 0 AND outbound.peer = way.peer AND outbound.currency = ${currency}
      LEFT JOIN ledger.account waiting
        ON waiting.kind = 'waiting' AND waiting.owner = p.payee AND waiting.peer = 0 AND waiting.currency = ${currency} AND own.id IS NULL
     WHERE seen.split IS NOT NULL AND NOT EXISTS (SELECT FROM payee_unpaid u WHERE u.payee = p.payee)`);
  await tx.execute(sql`
    INSERT INTO settlement_range (period, range, lo, hi)
    SELECT period, range, min(patron), max(patron) FROM settlement WHERE period = ${month} GROUP BY period, range`);
  // Without figures about the new rows the close would be planned for a handful of them.
  await tx.execute(
    sql`ANALYZE settlement (period, patron, state), period_payee (period, split, payee, parts)`,
  );
  await tx.execute(sql`UPDATE period SET state = 'frozen' WHERE id = ${month}`);
}
