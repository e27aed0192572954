/** Months follow each other: the one that is over is frozen, the next one opens, in one transaction. */

import { sql } from "drizzle-orm";
import {
  closesAt,
  opensAt,
  type Period,
  periodAfter,
  periodFromNumber,
  periodNumber,
  periodOf,
} from "../../rules/period.ts";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { closePeriod } from "./close.ts";
import { freeze } from "./freeze.ts";
import { period as periods } from "./schema.ts";
import { openSubscriptions } from "./subscriptions.ts";

/** Key space of the lock that changes share and the freeze takes alone; `enter_period` uses the same. */
const PERIOD_LOCK = 1_179_403_636;

/** One process at a time turns the months. */
const TURN_LOCK = 1_179_403_637;

/**
 * Brings the months up to an instant: freezes every month that is over and opens the next one, in order. A month can
 * only be frozen when the one before is closed, since it needs to know what that one left; after a long pause this
 * closes the months in between, too. Does nothing when the month of `at` is open already.
 */
export async function turnMonths(database: Database, at: Temporal.Instant): Promise<void> {
  for (;;) {
    const step = await nextStep(database.drizzle, at);
    if (step.do === "nothing") return;
    if (step.do === "close") await closePeriod(database, step.period);
    else await retrying(() => database.drizzle.transaction((tx) => turn(database, tx, at)));
  }
}

type Step =
  | { readonly do: "nothing" }
  | { readonly do: "turn" }
  | { readonly do: "close"; readonly period: Period };

async function nextStep(tx: Pick<Tx, "execute">, at: Temporal.Instant): Promise<Step> {
  const [row] = await tx.execute<{ over: boolean; unclosed: number | null }>(sql`
    SELECT closes <= ${sqlTime(at)} AS over, (SELECT min(id) FROM period WHERE state = 'frozen') AS unclosed
      FROM period ORDER BY id DESC LIMIT 1`);
  if (row === undefined) return { do: "turn" };
  if (!row.over) return { do: "nothing" };
  return row.unclosed === null
    ? { do: "turn" }
    : { do: "close", period: periodFromNumber(row.unclosed) };
}

/** One turn: freeze what is over, open the next. Looks again under the lock, since another process may have done it. */
async function turn(database: Database, tx: Tx, at: Temporal.Instant): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${TURN_LOCK})`);
  if ((await nextStep(tx, at)).do !== "turn") return;
  const [latest] = await tx.execute<{ id: number }>(
    sql`SELECT max(id) AS id FROM period HAVING max(id) IS NOT NULL`,
  );
  if (latest === undefined) {
    await openPeriod(database, tx, periodOf(at));
    return;
  }
  const over = periodFromNumber(latest.id);
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${PERIOD_LOCK}, ${latest.id})`);
  await freeze(database, tx, over);
  await openPeriod(database, tx, periodAfter(over));
}

async function openPeriod(database: Database, tx: Tx, id: Period): Promise<void> {
  await makeRoom(tx, id);
  const { feeBasisPoints } = database.settings;
  await tx
    .insert(periods)
    .values({ id, opens: opensAt(id), closes: closesAt(id), feeBasisPoints, state: "open" });
  await openSubscriptions(tx, id);
}

/** Partitions for a month and the one after it. */
async function makeRoom(tx: Tx, period: Period): Promise<void> {
  await tx.execute(
    sql`SELECT make_partitions(${periodNumber(period)}), make_partitions(${periodNumber(periodAfter(period))})`,
  );
}
