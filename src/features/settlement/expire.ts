/** Money that nobody claimed goes back to its patrons after a time (R13). */

import { eq, sql } from "drizzle-orm";
import { periodAfter, periodNumber, periodOf } from "../../rules/period.ts";
import type { Database } from "../../store/database.ts";
import { setting } from "../../store/schema.ts";
import type { Temporal } from "../../store/time.ts";
import { change } from "./change.ts";
import { giveBackOf } from "./give-back.ts";

/** Name of the setting that remembers before which month everything has expired. */
const EXPIRED = "expired_before";

/** Gives back what waits since months that ended more than `UNCLAIMED_MONTHS` before the month of `at`. */
export async function giveBackExpired(database: Database, at: Temporal.Instant): Promise<void> {
  const oldest = periodNumber(periodAfter(periodOf(at), -database.settings.unclaimedMonths));
  const [done] = await database.drizzle.select().from(setting).where(eq(setting.name, EXPIRED));
  if (done !== undefined && Number(done.value) >= oldest) return;
  await change(database, at, async (tx) => {
    await giveBackOf(database, tx, {
      key: `return:expired:${oldest}`,
      at,
      which: sql`t.period < ${oldest}`,
    });
    // Looked for once a month, not once a minute.
    await tx
      .insert(setting)
      .values({ name: EXPIRED, value: String(oldest) })
      .onConflictDoUpdate({ target: setting.name, set: { value: String(oldest) } });
  });
}
