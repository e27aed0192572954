/** Taking a click back (P7): whole as long as its month is open, afterwards the favourite alone. */

import { type Period, periodFromNumber, periodNumber, periodOf } from "../../rules/period.ts";
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
 * What was given in a month that is over stays given. Then the favourite is withdrawn all the same, once, and that is
 * the one thing that is different after the refusal.
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
      () => sql<[{ taken: bigint | null }]>`
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
        SELECT (SELECT id FROM gone) AS taken, (SELECT count(*) FROM entered) AS entered`,
    ),
  );
  if (row.taken !== null) return row.taken;
  const closed = await withdrawFavourite(database, { patron, thing, at });
  throw closed === undefined
    ? new Refusal("not_found")
    : new Refusal("period_closed", { period: closed, withdrawn: "true" });
}

/**
 * Withdraws the favourite that is left of a flattr whose month is over: the newest one that was told. The money stays
 * where it is. That this was said is remembered by the id of the Undo, so it is said once.
 *
 * @returns the month of the newest flattr; undefined when there never was one
 */
async function withdrawFavourite(
  { sql, settings }: Database,
  { patron, thing, at }: { patron: AccountId; thing: ThingId; at: Temporal.Instant },
): Promise<Period | undefined> {
  const now = sqlTime(at);
  const [row] = await retrying(
    () => sql<[{ period: number | null }]>`
      WITH given AS MATERIALIZED (
        SELECT id, period, split, private OR source = 'subscription' AS silent FROM flattr
         WHERE patron = ${patron} AND thing = ${thing} AND period < ${periodNumber(periodOf(at))}),
      told AS MATERIALIZED (
        SELECT id, period, split FROM given WHERE NOT silent ORDER BY period DESC LIMIT 1),
      once AS (
        INSERT INTO activity (id, actor, kind, at)
        SELECT ${`${settings.origin}/likes/`} || told.id || '#undo', x.actor, 'Undo', ${now}::timestamptz
          FROM told JOIN account x ON x.id = ${patron}
        ON CONFLICT DO NOTHING RETURNING id),
      unsaid AS (
        DELETE FROM delivery d USING told
         WHERE d.subject = ${patron}::bigint # ${thing}::bigint AND d.flattr = told.id AND d.activity = 'Like' AND d.attempts = 0
        RETURNING d.payee),
      undone AS (
        INSERT INTO delivery (id, activity, flattr, patron, thing, period, payee, at, subject)
        SELECT new_id(${now}), 'Undo', told.id, ${patron}, ${thing}, told.period, p.payee, ${now}, ${patron}::bigint # ${thing}::bigint
          FROM told
          JOIN once ON true
          JOIN split_part p ON p.split = told.split
          JOIN actor a ON a.id = p.payee
          JOIN payee_standing s ON s.payee = p.payee
         WHERE a.host <> ${new URL(settings.origin).host}
           AND COALESCE(s.reason, 'payee_declined') = 'payee_declined'
           AND NOT EXISTS (SELECT FROM unsaid WHERE unsaid.payee = p.payee))
      SELECT (SELECT max(period) FROM given) AS period`,
  );
  return row.period === null ? undefined : periodFromNumber(row.period);
}
