/** Months follow each other: the one that is over is frozen, the next one opens, in one transaction. */

import { eq, sql } from "drizzle-orm";
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
import { setting } from "../../store/schema.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { closePeriod } from "./close.ts";
import { freeze } from "./freeze.ts";
import { period as periods } from "./schema.ts";
import { openSubscriptions } from "./subscriptions.ts";

/** Key space of the lock that changes share and the freeze takes alone; `enter_period` uses the same. */
const PERIOD_LOCK = 1_179_403_636;

/** Name of the setting with the fee that is published. */
const PUBLISHED_FEE = "fee_basis_points";

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
    else {
      // Before any lock: making a partition waits for clicks, which may wait for the month.
      await makeRoom(database.drizzle, step.period);
      await retrying(() => database.drizzle.transaction((tx) => turn(database, tx, at)));
    }
  }
}

/** `period`: the month that a turn opens, or that must be closed before. */
type Step = { readonly do: "nothing" } | { readonly do: "turn" | "close"; readonly period: Period };

async function nextStep(tx: Pick<Tx, "execute">, at: Temporal.Instant): Promise<Step> {
  const [row] = await tx.execute<{ latest: number; over: boolean; unclosed: number | null }>(sql`
    SELECT id AS latest, closes <= ${sqlTime(at)} AS over, (SELECT min(id) FROM period WHERE state = 'frozen') AS unclosed
      FROM period ORDER BY id DESC LIMIT 1`);
  if (row === undefined) return { do: "turn", period: periodOf(at) };
  if (!row.over) return { do: "nothing" };
  if (row.unclosed !== null) return { do: "close", period: periodFromNumber(row.unclosed) };
  return { do: "turn", period: periodAfter(periodFromNumber(row.latest)) };
}

/** One turn: freeze what is over, open the next. Looks again under the lock, since another process may have done it. */
async function turn(database: Database, tx: Tx, at: Temporal.Instant): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${TURN_LOCK})`);
  const step = await nextStep(tx, at);
  if (step.do !== "turn") return;
  const [latest] = await tx.execute<{ id: number }>(
    sql`SELECT max(id) AS id FROM period HAVING max(id) IS NOT NULL`,
  );
  if (latest !== undefined) {
    await tx.execute(sql`SELECT pg_advisory_xact_lock(${PERIOD_LOCK}, ${latest.id})`);
    await freeze(database, tx, periodFromNumber(latest.id));
  }
  await openPeriod(database, tx, step.period);
}

async function openPeriod(database: Database, tx: Tx, id: Period): Promise<void> {
  const [published] = await tx.select().from(setting).where(eq(setting.name, PUBLISHED_FEE));
  const feeBasisPoints =
    published === undefined ? database.settings.feeBasisPoints : Number(published.value);
  await tx
    .insert(periods)
    .values({ id, opens: opensAt(id), closes: closesAt(id), feeBasisPoints, state: "open" });
  await openSubscriptions(tx, id);
}

/**
 * Publishes the fee of this process for the months that open from now on, whichever process opens them: a command
 * that runs with other settings must not change it.
 */
export async function publishFee({ drizzle, settings }: Database): Promise<void> {
  const value = String(settings.feeBasisPoints);
  await drizzle
    .insert(setting)
    .values({ name: PUBLISHED_FEE, value })
    .onConflictDoUpdate({ target: setting.name, set: { value } });
}

/** Partitions for a month and the one after it. */
async function makeRoom(tx: Pick<Tx, "execute">, period: Period): Promise<void> {
  await tx.execute(
    sql`SELECT make_partitions(${periodNumber(period)}), make_partitions(${periodNumber(periodAfter(period))})`,
  );
}
