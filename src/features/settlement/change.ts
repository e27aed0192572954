/** The gate that every change passes which could touch a month's result. */

import { sql } from "drizzle-orm";
import { type Period, periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, retrying, sqlFailure, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import { turnMonths } from "./turn.ts";

/** Raised by `enter_period`: this month is not open. */
const MONTH_NOT_OPEN = "FL001";

/**
 * One transaction at an instant, inside the month that is open then. If the month of `at` has not begun, the one
 * before is frozen first, so nothing that happens in a month can touch an earlier one.
 *
 * @throws Refusal "period_closed" when the month of `at` is over: some other process's clock is ahead
 */
export async function change<T>(
  database: Database,
  at: Temporal.Instant,
  work: (tx: Tx, period: Period) => Promise<T>,
): Promise<T> {
  const period = periodOf(at);
  return inOpenMonth(database, at, () =>
    retrying(() =>
      database.drizzle.transaction(async (tx) => {
        await tx.execute(sql`SELECT enter_period(${periodNumber(period)})`);
        return work(tx, period);
      }),
    ),
  );
}

/**
 * Runs an attempt that fails when its month is not open; turns the months and tries once more.
 *
 * @throws Refusal "period_closed" when the month is over
 */
export async function inOpenMonth<T>(
  database: Database,
  at: Temporal.Instant,
  attempt: () => Promise<T>,
): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (sqlFailure(error)?.code !== MONTH_NOT_OPEN) throw error;
  }
  await turnMonths(database, at);
  try {
    return await attempt();
  } catch (error) {
    if (sqlFailure(error)?.code === MONTH_NOT_OPEN)
      throw new Refusal("period_closed", { period: periodOf(at) });
    throw error;
  }
}
