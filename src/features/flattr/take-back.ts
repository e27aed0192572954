/** Taking a click back, as long as its month is open (P7). */

import { periodAfter, periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, retrying } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { inOpenMonth } from "../settlement/change.ts";
import type { ThingId } from "../thing/thing.ts";
import type { FlattrId } from "./give.ts";

/**
 * Takes a flattr of the running month back, as if it had never been made. What was told elsewhere is withdrawn; what
 * was not told yet never will be.
 *
 * @throws Refusal "period_closed" when it was made in a month that is over, "not_found" when there is none
 */
export async function takeBackFlattr(
  database: Database,
  { patron, thing, at }: { patron: AccountId; thing: ThingId; at: Temporal.Instant },
): Promise<FlattrId> {
  const { sql, settings } = database;
  const period = periodOf(at);
  const month = periodNumber(period);
  const now = sqlTime(at);
  const [row] = await inOpenMonth(database, at, () =>
    retrying(
      () => sql<[{ taken: bigint | null; earlier: boolean }]>`
        WITH entered AS MATERIALIZED (SELECT enter_period(${month})),
        gone AS (DELETE FROM flattr WHERE period = ${month} AND patron = ${patron} AND thing = ${thing} RETURNING id, split, source, private),
        unsaid AS (
          DELETE FROM delivery d USING gone
           WHERE d.subject = ${patron}::bigint # ${thing}::bigint AND d.flattr = gone.id AND d.activity = 'Like' AND d.attempts = 0
          RETURNING d.payee),
        undone AS (
          -- Whoever was told, or is being told right now: what one patron says about one thing arrives in its order,
          -- so that what is given again later stays given.
          INSERT INTO delivery (id, activity, flattr, patron, thing, period, payee, at, subject)
          SELECT new_id(${now}), 'Undo', gone.id, ${patron}, ${thing}, ${month}, p.payee, ${now}, ${patron}::bigint # ${thing}::bigint
            FROM gone
            JOIN split_part p ON p.split = gone.split
            JOIN actor a ON a.id = p.payee
            JOIN payee_standing s ON s.payee = p.payee
           WHERE NOT gone.private AND gone.source <> 'subscription' AND a.host <> ${new URL(settings.origin).host}
             AND COALESCE(s.reason, 'payee_declined') = 'payee_declined'
             AND NOT EXISTS (SELECT FROM unsaid WHERE unsaid.payee = p.payee))
        SELECT (SELECT id FROM gone) AS taken, (SELECT count(*) FROM entered) AS entered,
               EXISTS (SELECT FROM flattr WHERE patron = ${patron} AND thing = ${thing} AND period < ${month}
                          AND period >= ${periodNumber(periodAfter(period, -1))}) AS earlier`,
    ),
  );
  if (row.taken !== null) return row.taken;
  throw row.earlier
    ? new Refusal("period_closed", { period: periodAfter(period, -1) })
    : new Refusal("not_found");
}
