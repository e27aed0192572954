/** A close that takes long enough to be hit: the frozen plan cut into many small ranges. */

import { sql } from "drizzle-orm";
import type { Database } from "../../src/store/database.ts";

/**
 * Plans the ranges of a frozen month anew, a few patrons each. Nothing of it may be done yet.
 *
 * @returns how many ranges there are now
 */
export async function planRanges(
  { drizzle }: Database,
  month: number,
  patronsPerRange: number,
): Promise<number> {
  return drizzle.transaction(async (tx) => {
    const [done] = await tx.execute(
      sql`SELECT FROM settlement_range WHERE period = ${month} AND done = 1 LIMIT 1`,
    );
    if (done !== undefined) throw new Error(`the close of ${month} has begun`);
    await tx.execute(sql`DELETE FROM settlement_range WHERE period = ${month}`);
    const made = await tx.execute(sql`
      INSERT INTO settlement_range (period, range, lo, hi)
      SELECT ${month}, place, min(patron), max(patron)
        FROM (SELECT patron, (row_number() OVER (ORDER BY patron) - 1) / ${patronsPerRange}::int AS place
                FROM settlement WHERE period = ${month}) planned
       GROUP BY place RETURNING range`);
    return made.length;
  });
}
