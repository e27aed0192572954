/** Subscriptions fire when a month opens (R17). */

import { sql } from "drizzle-orm";
import { opensAt, type Period, periodNumber } from "../../rules/period.ts";
import type { Tx } from "../../store/database.ts";
import { sqlTime } from "../../store/time.ts";

/**
 * One flattr for each subscription that was made before this opening, is not paused and has openings left. Whose
 * payees all declined, are blocked, gone or the patron himself, or whose thing is gone, is skipped; the opening counts all the same.
 */
export async function openSubscriptions(tx: Tx, period: Period): Promise<void> {
  const opens = sqlTime(opensAt(period));
  // A millisecond holds 65,536 ids: with more subscriptions than that the later ones count on.
  await tx.execute(sql`
    WITH due AS MATERIALIZED (
      SELECT s.id, s.patron, s.thing, t.split, a.flattrs_private AS private, t.deleted_at IS NULL AS is_there
        FROM subscription s JOIN thing t ON t.id = s.thing JOIN account a ON a.id = s.patron
       WHERE s.ended_at IS NULL AND s.paused_at IS NULL AND s.since < ${opens}
         FOR UPDATE OF s),
    counted AS (
      UPDATE subscription s
         SET months_left = s.months_left - 1, ended_at = CASE WHEN s.months_left = 1 THEN ${opens}::timestamptz END
        FROM due WHERE s.id = due.id),
    -- Filtered first, then put in order: ids are drawn in the order of the subscriptions, whatever the plan is.
    firing AS MATERIALIZED (
      SELECT * FROM due
       WHERE is_there AND EXISTS (
         SELECT FROM split_part p JOIN payee_standing s ON s.payee = p.payee
          WHERE p.split = due.split AND s.reason IS NULL AND NOT is_own(due.patron, p.payee))),
    placed AS MATERIALIZED (SELECT *, row_number() OVER (ORDER BY id) AS place FROM firing)
    INSERT INTO flattr (period, id, patron, thing, split, source, private, at)
    SELECT ${periodNumber(period)}, (floor(extract(epoch FROM ${opens}::timestamptz) * 1000)::bigint + place / 65536 << 16) | (place % 65536),
           patron, thing, split, 'subscription', private, ${opens}
      FROM placed
    ON CONFLICT (period, patron, thing) DO NOTHING`);
}
