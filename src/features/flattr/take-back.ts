/** Taking a click back (P7): whole as long as its month is open, afterwards the favourite alone. */

import { periodFromNumber, periodNumber, periodOf } from "../../rules/period.ts";
import type { Database } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { inOpenMonth } from "../settlement/change.ts";
import type { ThingId } from "../thing/thing.ts";
import { holdFavourite, unsayings, whileItStands } from "./favourite.ts";
import type { FlattrId } from "./give.ts";

/** Which flattr. */
export interface TakenBack {
  readonly patron: AccountId;
  readonly thing: ThingId;
  readonly at: Temporal.Instant;
}

/**
 * Takes a flattr of the running month back, as if it had never been made, with the favourite that it was. What was told
 * elsewhere is withdrawn; what was not told yet never will be.
 *
 * What was given in a month that is over stays given. Then the favourite is withdrawn all the same, and that is the one
 * thing that is different after the refusal.
 *
 * @throws Refusal "period_closed" when it was made in a month that is over, "not_found" when there is none
 */
export async function takeBackFlattr(database: Database, which: TakenBack): Promise<FlattrId> {
  // Refused when it is done: what is withdrawn stays withdrawn.
  return takenOf(
    await inOpenMonth(database, which.at, () =>
      whileItStands(database, which, (tx) => takeBack(tx, which)),
    ),
  );
}

/**
 * The same inside a transaction.
 *
 * @param tx `sql`: the client of the transaction
 * @throws Refusal as `takeBackFlattr`
 */
export async function takeBackIn(
  tx: Pick<Database, "sql" | "settings">,
  which: TakenBack,
): Promise<FlattrId> {
  await holdFavourite(tx, which);
  return takenOf(await takeBack(tx, which));
}

/** What became of it: the flattr, or the month of the newest one that stays. */
interface Row {
  readonly taken: bigint | null;
  readonly closed: number | null;
}

async function takeBack(
  tx: Pick<Database, "sql" | "settings">,
  { patron, thing, at }: TakenBack,
): Promise<Row> {
  const month = periodNumber(periodOf(at));
  const [row] = await tx.sql<[Row]>`
    WITH entered AS MATERIALIZED (SELECT enter_period(${month})),
    taken AS (
      DELETE FROM flattr WHERE period = ${month} AND patron = ${patron} AND thing = ${thing} RETURNING id),
    earlier AS MATERIALIZED (
      SELECT max(period) AS period FROM flattr
       WHERE patron = ${patron} AND thing = ${thing} AND period < ${month} AND NOT EXISTS (SELECT FROM taken)),
    unliked AS (
      DELETE FROM favourite v USING account x
       WHERE x.id = ${patron} AND v.actor = x.actor AND v.thing = ${thing}
         AND (EXISTS (SELECT FROM taken) OR (SELECT period FROM earlier) IS NOT NULL)
      RETURNING v.*),
    ${unsayings(tx, { patron, thing, at })}
    SELECT (SELECT id FROM taken) AS taken, (SELECT period FROM earlier) AS closed, (SELECT count(*) FROM entered) AS entered`;
  return row;
}

function takenOf({ taken, closed }: Row): FlattrId {
  if (taken !== null) return taken;
  throw closed === null
    ? new Refusal("not_found")
    : new Refusal("period_closed", { period: periodFromNumber(closed), withdrawn: "true" });
}
