/** What many people flattr these days: counted now and then, so that nobody who asks waits for the counting. */

import type { Database } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { type Viewer, wantsToSee } from "../post/visible.ts";

/** How far back is looked, and how many posts are ranked. */
const DAYS = 7;
const RANKED_MAX = 100;

/** Flattrs of one day weigh twice as much as those of the day before the day before. */
const HALF_LIFE_HOURS = 48;

/** An id holds the milliseconds at which it was made above these bits. */
const TAIL_BITS = 16n;

/**
 * Counts anew. Only public flattrs of public posts count, each person once for each post; newer ones count more.
 */
export async function countTrends(
  { sql }: Pick<Database, "sql">,
  at: Temporal.Instant,
): Promise<void> {
  const since = at.subtract({ hours: DAYS * 24 });
  const oldest = BigInt(since.epochMilliseconds) << TAIL_BITS;
  await sql.begin(async (tx) => {
    await tx`DELETE FROM trend`;
    await tx`
      INSERT INTO trend (post, rank, flattrs, at)
      SELECT post, row_number() OVER (ORDER BY heat DESC, post DESC), flattrs, ${sqlTime(at)}
        FROM (SELECT p.id AS post, count(*) AS flattrs,
                     sum(0.5 ^ (extract(epoch FROM ${sqlTime(at)}::timestamptz - f.at) / ${HALF_LIFE_HOURS * 3600})) AS heat
                FROM favourite f JOIN post p ON p.thing = f.thing
               WHERE f.id > ${oldest} AND f.period IS NOT NULL AND f.uri IS NOT NULL
                 AND p.visibility = 'public' AND p.deleted_at IS NULL
               GROUP BY p.id) counted
       ORDER BY heat DESC, post DESC LIMIT ${RANKED_MAX}`;
  });
}

/** The posts that most people flattr, by rank, of people whom the viewer wants to see. */
export async function trendingPosts(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer | undefined,
  { offset, limit }: { readonly offset: number; readonly limit: number },
  at: Temporal.Instant,
): Promise<readonly bigint[]> {
  const rows = await sql<{ post: bigint }[]>`
    SELECT r.post FROM trend r JOIN post p ON p.id = r.post
     WHERE r.rank > ${offset} AND ${wantsToSee(sql, viewer, sql`p.author`, at)} ORDER BY r.rank LIMIT ${limit}`;
  return rows.map(({ post }) => post);
}
