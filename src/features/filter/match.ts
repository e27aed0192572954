/** What somebody's filters say to posts: read and made ready for each page, since nobody has many. */

import { type Database, TEXTS } from "../../store/database.ts";
import { fromSqlTime, sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { Viewer } from "../post/visible.ts";
import { compileKeywords, type Keyword, matchedIn } from "./keywords.ts";
import type { FILTER_PLACES, filter } from "./schema.ts";

/** Where posts are shown. */
export type FilterPlace = (typeof FILTER_PLACES)[number];

/** What happens to a post that a filter means. */
export type FilterAction = (typeof filter.$inferSelect)["action"];

/** A post, as far as filters look at it. */
export interface Filterable {
  /** Of the post, never of a boost. */
  readonly id: bigint;
  readonly author: ActorId;
  /** Plain texts that people would read; asked for only when some filter has words. */
  readonly texts: () => readonly string[];
}

/** A filter that means a post, and why. */
export interface FilterMatch {
  readonly id: bigint;
  readonly title: string;
  readonly places: readonly FilterPlace[];
  readonly action: FilterAction;
  readonly until: Temporal.Instant | undefined;
  readonly keywords: readonly string[];
  /** The post itself was chosen. */
  readonly isChosen: boolean;
}

/** Characters of one post that are looked at: twice as many as anybody may write here. */
const CHARS_MAX = 10_000;

interface Row {
  readonly id: bigint;
  readonly title: string;
  readonly places: readonly FilterPlace[];
  readonly action: FilterAction;
  readonly until: Date | null;
  readonly keywords: readonly Keyword[] | null;
  readonly posts: readonly string[] | null;
}

/**
 * The filters that mean each of these posts in this place, in the order of the posts; one's own posts are never meant.
 * One query, and one pass over each text, however many words there are.
 *
 * @returns undefined when the viewer has no filter here
 */
export async function matchFilters(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer,
  place: FilterPlace,
  posts: readonly Filterable[],
  at: Temporal.Instant,
): Promise<readonly (readonly FilterMatch[])[] | undefined> {
  if (posts.length === 0) return undefined;
  const ids = [...new Set(posts.map(({ id }) => String(id)))];
  const rows = await sql<Row[]>`
    SELECT f.id, f.title, f.places, f.action, f.until,
           (SELECT jsonb_agg(jsonb_build_object('keyword', k.keyword, 'isWholeWord', k.is_whole_word) ORDER BY k.id)
              FROM filter_keyword k WHERE k.filter = f.id) AS keywords,
           (SELECT jsonb_agg(c.post::text) FROM filter_post c
             WHERE c.filter = f.id AND c.post = ANY(${sql.array(ids, TEXTS)}::bigint[])) AS posts
      FROM filter f
     WHERE f.account = ${viewer.id} AND f.places ? ${place}
       AND (f.until IS NULL OR f.until > ${sqlTime(at)}::timestamptz)
     ORDER BY f.id`;
  if (rows.length === 0) return undefined;
  const words = rows.flatMap((row, n) =>
    (row.keywords ?? []).map((keyword) => ({ ...keyword, filter: n })),
  );
  const compiled = words.length === 0 ? undefined : compileKeywords(words);
  return posts.map((post) => {
    if (post.author === viewer.actor) return [];
    const found = new Map<number, string[]>();
    if (compiled !== undefined)
      for (const place of matchedIn(compiled, post.texts().join("\n").slice(0, CHARS_MAX))) {
        const { filter: n, keyword } = words[place]!;
        found.set(n, [...(found.get(n) ?? []), keyword]);
      }
    return rows.flatMap((row, n): FilterMatch[] => {
      const keywords = found.get(n) ?? [];
      const isChosen = row.posts?.includes(String(post.id)) ?? false;
      if (keywords.length === 0 && !isChosen) return [];
      const { id, title, places, action, until } = row;
      return [
        {
          id,
          title,
          places,
          action,
          until: until === null ? undefined : fromSqlTime(until),
          keywords,
          isChosen,
        },
      ];
    });
  });
}
