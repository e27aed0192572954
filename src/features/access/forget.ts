/** What is over is forgotten. */

import type { Database } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { IDLE_DAYS_MAX, LIFE_DAYS_MAX } from "../account/session.ts";

/** Codes live for minutes; a used one is remembered longer, so that who shows it again is noticed. */
const GRANT_HOURS = 24;

/** An app that nobody has let in by then was registered for nothing; it may register again. */
const APP_HOURS = 24;

/** Rows of one statement. */
const BATCH_MAX = 1_000;

/**
 * Deletes codes of yesterday, sessions that ended by themselves, and apps that nobody uses, some thousands at a time.
 *
 * @param now real time
 */
export async function forgetStale(
  { sql }: Pick<Database, "sql">,
  now: Temporal.Instant,
): Promise<void> {
  const before = (hours: number) => sqlTime(now.subtract({ hours }));
  await untilNone(
    () => sql`
      DELETE FROM access_grant WHERE digest IN (
        SELECT digest FROM access_grant WHERE created_at < ${before(GRANT_HOURS)}
         ORDER BY created_at LIMIT ${BATCH_MAX} FOR UPDATE SKIP LOCKED)`,
  );
  await untilNone(
    () => sql`
      DELETE FROM session WHERE id IN (
        SELECT id FROM session
         WHERE seen_at < ${before(IDLE_DAYS_MAX * 24)} OR created_at < ${before(LIFE_DAYS_MAX * 24)}
         LIMIT ${BATCH_MAX} FOR UPDATE SKIP LOCKED)`,
  );
  await untilNone(
    () => sql`
      DELETE FROM app WHERE id IN (
        SELECT a.id FROM app a
         WHERE a.created_at < ${before(APP_HOURS)}
           AND NOT EXISTS (SELECT FROM token t WHERE t.app = a.id)
           AND NOT EXISTS (SELECT FROM access_grant g WHERE g.app = a.id)
         LIMIT ${BATCH_MAX} FOR UPDATE SKIP LOCKED)`,
  );
}

async function untilNone(forget: () => Promise<{ readonly count: number }>): Promise<void> {
  while ((await forget()).count === BATCH_MAX);
}
