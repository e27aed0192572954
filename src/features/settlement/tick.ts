/** What the clock brings: each minute, whatever is due, in order. */

import { sql } from "drizzle-orm";
import { periodFromNumber } from "../../rules/period.ts";
import type { Database } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { closePeriod, finalisePeriods } from "./close.ts";
import { giveBackExpired } from "./expire.ts";
import { turnMonths } from "./turn.ts";

/** Opens, freezes, closes and finalises the months that are due at an instant. Any number of workers at once. */
export async function tick(database: Database, at: Temporal.Instant): Promise<void> {
  await turnMonths(database, at);
  const frozen = await database.drizzle.execute<{ id: number }>(
    sql`SELECT id FROM period WHERE state = 'frozen' ORDER BY id`,
  );
  for (const { id } of frozen) await closePeriod(database, periodFromNumber(id));
  await finalisePeriods(database, at);
  await giveBackExpired(database, at);
}
