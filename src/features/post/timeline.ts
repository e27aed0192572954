/** Timelines: which posts stand in them, page by page. Each reads one index from where the page begins. */

import { type Database, type Sql, TEXTS } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { type Condition, mayRead, notBlockedBy, type Viewer, wantsToSee } from "./visible.ts";

/** Which page: below `maxId`, above `sinceId` (the newest first) or directly above `minId`. */
export interface TimelinePage {
  readonly limit: number;
  readonly maxId: bigint | undefined;
  readonly sinceId: bigint | undefined;
  readonly minId: bigint | undefined;
}

/** Ids of posts and boosts, the newest first; `cursor` is what the page is turned by where that is another id. */
export interface TimelineEntry {
  readonly id: bigint;
  readonly cursor: bigint;
}

/**
 * The bounds of a page for the column that it is turned by, with its order and limit. Bounds that were not asked for are
 * left out: PostgreSQL would think that they leave hardly a row, and that any index were good enough.
 */
function turned(sql: Sql, column: Condition, { limit, maxId, sinceId, minId }: TimelinePage) {
  const above = minId ?? sinceId;
  const isBelow = maxId === undefined ? sql`true` : sql`${column} < ${maxId}`;
  const isAbove = above === undefined ? sql`true` : sql`${column} > ${above}`;
  return {
    column,
    bounds: sql`(${isBelow} AND ${isAbove})`,
    order:
      minId === undefined ? sql`${column} DESC LIMIT ${limit}` : sql`${column} ASC LIMIT ${limit}`,
    inOrder: <T>(rows: readonly T[]) => (minId === undefined ? rows : rows.toReversed()),
  };
}

/** What people whom somebody follows wrote and passed on, and he himself. */
export async function homeTimeline(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer,
  page: TimelinePage,
  at: Temporal.Instant,
): Promise<readonly TimelineEntry[]> {
  const { bounds, order, inOrder } = turned(sql, sql`h.id`, page);
  const rows = await sql<TimelineEntry[]>`
    SELECT h.id, h.id AS cursor
      FROM home h JOIN post p ON p.id = h.post
     WHERE h.account = ${viewer.id} AND ${bounds} AND p.deleted_at IS NULL
       AND ${wantsToSee(sql, viewer, sql`h.actor`, at)} AND ${wantsToSee(sql, viewer, sql`p.author`, at)}
       AND NOT EXISTS (SELECT FROM list l JOIN list_member lm ON lm.list = l.id
                        WHERE l.account = ${viewer.id} AND l.is_exclusive AND lm.actor = h.actor)
     ORDER BY ${order}`;
  return inOrder(rows);
}

/** What stands in somebody's home timeline of people on one of his lists. */
export async function listTimeline(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer,
  list: bigint,
  page: TimelinePage,
  at: Temporal.Instant,
): Promise<readonly TimelineEntry[]> {
  const { bounds, order, inOrder } = turned(sql, sql`h.id`, page);
  const rows = await sql<TimelineEntry[]>`
    SELECT one.id, one.id AS cursor FROM (
      SELECT h.id FROM list_member lm
       CROSS JOIN LATERAL (
         SELECT h.id FROM home h JOIN post p ON p.id = h.post
           LEFT JOIN thing rt ON rt.uri = p.in_reply_to LEFT JOIN post r ON r.thing = rt.id
          WHERE h.account = ${viewer.id} AND h.actor = lm.actor AND ${bounds} AND p.deleted_at IS NULL
            AND ${wantsToSee(sql, viewer, sql`p.author`, at)}
            AND (p.in_reply_to IS NULL OR h.id <> h.post OR r.author IN (p.author, ${viewer.actor})
                 OR EXISTS (SELECT FROM list l WHERE l.id = ${list}
                               AND (l.replies = 'followed' OR (l.replies = 'list' AND EXISTS (
                                 SELECT FROM list_member o WHERE o.list = l.id AND o.actor = r.author)))))
          ORDER BY ${order}) h
       WHERE lm.list = ${list} AND ${wantsToSee(sql, viewer, sql`lm.actor`, at)}) one
     ORDER BY ${turned(sql, sql`one.id`, page).order}`;
  return inOrder(rows);
}

/** Whose posts: of all, of this instance alone, or of others alone. */
export type TimelinePlace = "all" | "here" | "elsewhere";

/** What everybody may read, of this instance alone, of others alone, or of all that is known; without answers. */
export async function publicTimeline(
  { sql, settings }: Pick<Database, "sql" | "settings">,
  viewer: Viewer | undefined,
  { where, onlyMedia }: { readonly where: TimelinePlace; readonly onlyMedia: boolean },
  page: TimelinePage,
  at: Temporal.Instant,
): Promise<readonly TimelineEntry[]> {
  const { bounds, order, inOrder } = turned(sql, sql`p.id`, page);
  const { host } = new URL(settings.origin);
  const place = {
    all: sql`true`,
    here: sql`p.text IS NOT NULL`,
    elsewhere: sql`p.text IS NULL AND a.host <> ${host}`,
  }[where];
  const rows = await sql<TimelineEntry[]>`
    SELECT p.id, p.id AS cursor
      FROM post p JOIN actor a ON a.id = p.author
     WHERE p.visibility = 'public' AND p.deleted_at IS NULL AND p.in_reply_to IS NULL AND ${bounds} AND ${place}
       ${onlyMedia ? sql`AND p.attachments IS NOT NULL` : sql``}
       AND ${wantsToSee(sql, viewer, sql`p.author`, at)}
     ORDER BY ${order}`;
  return inOrder(rows);
}

/** Which posts with hashtags are wanted. */
export interface TagWish {
  readonly tag: string;
  readonly any: readonly string[];
  readonly all: readonly string[];
  readonly none: readonly string[];
  readonly where: TimelinePlace;
  readonly onlyMedia: boolean;
}

/**
 * Of the posts with a tag, one in so many is taken to be wanted; where too few of them are, this many are looked at. A
 * page costs no more the more there are.
 */
const TAGGED_PER_POST = 10;
const TAGGED_MAX = 2_000;

/** Public posts with a hashtag. */
export async function tagTimeline(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer | undefined,
  { tag, any, all, none, where, onlyMedia }: TagWish,
  page: TimelinePage,
  at: Temporal.Instant,
): Promise<readonly TimelineEntry[]> {
  const { bounds, order, inOrder } = turned(sql, sql`p.id`, page);
  const has = (tags: readonly string[]) =>
    sql`(SELECT count(*) FROM post_tag o WHERE o.post = p.id AND o.tag = ANY(${sql.array([...tags], TEXTS)}))`;
  let rows: readonly TimelineEntry[] = [];
  for (const many of [page.limit * TAGGED_PER_POST, TAGGED_MAX]) {
    const one = turned(sql, sql`pt.post`, { ...page, limit: many });
    // Of each tag as many as the page could need, so that several tags are still read from their index.
    rows = await sql<TimelineEntry[]>`
      SELECT p.id, p.id AS cursor
        FROM (SELECT DISTINCT m.post FROM unnest(${sql.array([tag, ...any], TEXTS)}) AS wanted(tag)
               CROSS JOIN LATERAL (SELECT pt.post FROM post_tag pt WHERE pt.tag = wanted.tag AND ${one.bounds}
                                    ORDER BY ${one.order}) m) found
        JOIN post p ON p.id = found.post
       WHERE p.visibility = 'public' AND p.deleted_at IS NULL AND ${bounds}
         AND (${where !== "here"} OR p.text IS NOT NULL) AND (${where !== "elsewhere"} OR p.text IS NULL) AND (${!onlyMedia} OR p.attachments IS NOT NULL)
         AND ${has(all)} = ${all.length} AND ${has(none)} = 0
         AND ${wantsToSee(sql, viewer, sql`p.author`, at)}
       ORDER BY ${order}`;
    if (rows.length === page.limit) break;
  }
  return inOrder(rows);
}

/** What of somebody is shown on his profile. */
export interface ProfileWish {
  readonly hidesReplies: boolean;
  readonly hidesBoosts: boolean;
  readonly onlyMedia: boolean;
  readonly onlyPinned: boolean;
  readonly tag: string | undefined;
}

/** Among so many of somebody's posts are answers to himself looked for. */
const CONTINUED_MAX = 200;

/** What somebody wrote and passed on, as far as the viewer may see it. */
export async function profileTimeline(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer | undefined,
  author: ActorId,
  { hidesReplies, hidesBoosts, onlyMedia, onlyPinned, tag }: ProfileWish,
  page: TimelinePage,
  at: Temporal.Instant,
): Promise<readonly TimelineEntry[]> {
  const own = turned(sql, tag === undefined ? sql`p.id` : sql`pt.post`, page);
  const passed = turned(sql, sql`b.id`, page);
  const { order, inOrder } = turned(sql, sql`one.id`, page);
  const plain = !onlyMedia && !onlyPinned && tag === undefined;
  const which =
    tag === undefined
      ? sql`post p WHERE p.author = ${author}`
      : sql`post_tag pt JOIN post p ON p.id = pt.post WHERE pt.author = ${author} AND pt.tag = ${tag}`;
  const isShown = sql`
    ${mayRead(sql, viewer)} AND p.visibility <> 'direct'
    ${onlyMedia ? sql`AND p.attachments IS NOT NULL` : sql``} ${onlyPinned ? sql`AND p.pinned_at IS NOT NULL` : sql``}`;
  // Who answers himself goes on writing.
  const continued = sql`
      (SELECT p.id
         FROM (SELECT p.* FROM ${which} AND ${own.bounds} ORDER BY ${turned(sql, own.column, { ...page, limit: CONTINUED_MAX }).order}) p
         JOIN thing rt ON rt.uri = p.in_reply_to JOIN post r ON r.thing = rt.id AND r.author = p.author
        WHERE ${isShown} ORDER BY ${turned(sql, sql`p.id`, page).order})
      UNION ALL`;
  const rows = await sql<TimelineEntry[]>`
    SELECT one.id, one.id AS cursor FROM (
      (SELECT p.id FROM ${which} AND ${own.bounds} AND ${isShown} ${hidesReplies ? sql`AND p.in_reply_to IS NULL` : sql``}
        ORDER BY ${own.order})
      UNION ALL
      ${hidesReplies ? continued : sql``}
      (SELECT b.id FROM boost b JOIN post p ON p.id = b.post
        WHERE ${plain && !hidesBoosts} AND b.actor = ${author} AND ${passed.bounds} AND ${mayRead(sql, viewer)}
          AND ${notBlockedBy(sql, viewer, sql`b.actor`)} AND ${wantsToSee(sql, viewer, sql`p.author`, at)}
        ORDER BY ${passed.order})) one
     ORDER BY ${order}`;
  return inOrder(rows);
}

/** What somebody favourited, the newest favourite first. */
export async function favouritesOf(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer,
  page: TimelinePage,
): Promise<readonly TimelineEntry[]> {
  const { bounds, order, inOrder } = turned(sql, sql`f.id`, page);
  const rows = await sql<TimelineEntry[]>`
    SELECT p.id, f.id AS cursor FROM favourite f JOIN post p ON p.thing = f.thing
     WHERE f.actor = ${viewer.actor} AND ${bounds} AND ${mayRead(sql, viewer)} ORDER BY ${order}`;
  return inOrder(rows);
}

/** What somebody bookmarked, the newest bookmark first. */
export async function bookmarksOf(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer,
  page: TimelinePage,
): Promise<readonly TimelineEntry[]> {
  const { bounds, order, inOrder } = turned(sql, sql`k.id`, page);
  const rows = await sql<TimelineEntry[]>`
    SELECT p.id, k.id AS cursor FROM bookmark k JOIN post p ON p.id = k.post
     WHERE k.account = ${viewer.id} AND ${bounds} AND ${mayRead(sql, viewer)} ORDER BY ${order}`;
  return inOrder(rows);
}

/** Who favourited a post, as far as that is public, the newest first; or who passed it on. */
export async function reactedBy(
  { sql }: Pick<Database, "sql">,
  kind: "favourite" | "boost",
  of: { readonly post: bigint; readonly thing: bigint },
  page: TimelinePage,
): Promise<readonly TimelineEntry[]> {
  const { bounds, order, inOrder } = turned(sql, sql`r.id`, page);
  const rows =
    kind === "favourite"
      ? await sql<TimelineEntry[]>`
          SELECT r.actor AS id, r.id AS cursor FROM favourite r WHERE r.thing = ${of.thing} AND r.uri IS NOT NULL AND ${bounds} ORDER BY ${order}`
      : await sql<TimelineEntry[]>`
          SELECT r.actor AS id, r.id AS cursor FROM boost r WHERE r.post = ${of.post} AND ${bounds} ORDER BY ${order}`;
  return inOrder(rows);
}
