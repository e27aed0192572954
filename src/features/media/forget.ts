/** Pictures that nobody has any use for. */

import type { Database } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { UNATTACHED_HOURS_MAX } from "./limits.ts";

/** So many go at once, so that no transaction holds much. */
const BATCH = 100;

/**
 * Forgets pictures that have belonged to no post for a day: uploaded and never used, or of posts that were deleted.
 * Pictures of people go with the change that replaces them.
 *
 * @returns how many
 */
export async function forgetMedia(
  { sql }: Pick<Database, "sql">,
  at: Temporal.Instant,
): Promise<number> {
  const before = sqlTime(at.subtract({ hours: UNATTACHED_HOURS_MAX }));
  for (let many = 0; ;) {
    const { count } = await sql`
      DELETE FROM media WHERE post IS NULL AND id IN (
        SELECT id FROM media
         WHERE post IS NULL AND purpose = 'attachment' AND created_at < ${before}::timestamptz
         ORDER BY created_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)`;
    many += count;
    if (count < BATCH) return many;
  }
}
