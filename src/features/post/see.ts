/** Posts as somebody sees them: with their counts, and with what he himself did with them. */

import { type Period, periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, type Sql, TEXTS } from "../../store/database.ts";
import { gatherEach } from "../../store/gather.ts";
import { fromSqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { Attachment, Poll } from "./schema.ts";
import type { Mentioned } from "./text.ts";
import { type Condition, mayRead, type Viewer, type ViewerIn } from "./visible.ts";

/** Somebody who is spoken to. */
export interface SeenMention extends Mentioned {
  readonly id: string;
}

/** A post, as one viewer sees it. */
export interface SeenPost {
  readonly id: bigint;
  readonly thing: bigint;
  readonly uri: string;
  readonly author: ActorId;
  readonly text: string | null;
  readonly html: string | null;
  readonly summary: string | null;
  readonly isSensitive: boolean;
  readonly language: string | null;
  readonly visibility: "public" | "unlisted" | "followers" | "direct";
  readonly inReplyTo: string | null;
  /** The post that it answers and its author, where they are known here. */
  readonly answered: { readonly id: bigint; readonly author: ActorId } | undefined;
  readonly url: string | null;
  readonly attachments: readonly Attachment[] | null;
  readonly poll: Poll | null;
  readonly app: { readonly name: string; readonly website: string | null } | undefined;
  readonly at: Temporal.Instant;
  readonly editedAt: Temporal.Instant | null;
  readonly mentions: readonly SeenMention[];
  readonly tags: readonly string[];
  readonly favourites: number;
  readonly boosts: number;
  readonly replies: number;
  /** What the viewer did; undefined for strangers. */
  readonly own: OwnMarks | undefined;
}

/** What a viewer did with a post. */
export interface OwnMarks {
  readonly isFavourite: boolean;
  readonly isBoosted: boolean;
  readonly isBookmarked: boolean;
  readonly isPinned: boolean;
  /** The conversation is muted. */
  readonly isMuted: boolean;
  /** True when he flattred it in the running month. */
  readonly isFlattred: boolean;
  /** His choices in its poll. */
  readonly choices: readonly number[];
}

/** What stands in a timeline: a post, or somebody's boost of one. */
export interface SeenStatus {
  readonly id: bigint;
  readonly post: SeenPost;
  readonly boost:
    | { readonly actor: ActorId; readonly uri: string; readonly at: Temporal.Instant }
    | undefined;
}

/** How far up is looked for the first post of a conversation. */
const THREAD_DEPTH_MAX = 100;

/** The largest count that is looked up: who has more does not need to know exactly. */
const COUNT_MAX = 100_000;

interface Row {
  /** Which of the looks. */
  readonly n: bigint;
  readonly status: bigint;
  readonly boost_actor: bigint | null;
  readonly boost_uri: string | null;
  readonly boost_at: Date | null;
  readonly id: bigint;
  readonly thing: bigint;
  readonly uri: string;
  readonly author: bigint;
  readonly text: string | null;
  readonly html: string | null;
  readonly summary: string | null;
  readonly is_sensitive: boolean;
  readonly language: string | null;
  readonly visibility: SeenPost["visibility"];
  readonly in_reply_to: string | null;
  readonly answered: bigint | null;
  readonly answered_author: bigint | null;
  readonly url: string | null;
  readonly attachments: readonly Attachment[] | null;
  readonly poll: Poll | null;
  readonly app_name: string | null;
  readonly app_website: string | null;
  readonly at: Date;
  readonly edited_at: Date | null;
  readonly mentions: readonly SeenMention[] | null;
  readonly tags: readonly string[] | null;
  readonly favourites: number;
  readonly boosts: number;
  readonly replies: number;
  readonly is_favourite: boolean;
  readonly is_boosted: boolean;
  readonly is_bookmarked: boolean;
  readonly is_pinned: boolean;
  readonly is_muted: boolean;
  readonly is_flattred: boolean;
  readonly choices: readonly number[] | null;
}

/**
 * Those of these posts and boosts that the viewer may see, in the order asked for. One query, however many; single ones
 * that are asked for together share it, whoever asks.
 *
 * @param ids of posts or boosts
 */
export async function seePosts(
  database: Pick<Database, "sql">,
  viewer: Viewer | undefined,
  ids: readonly bigint[],
  at: Temporal.Instant,
): Promise<readonly SeenStatus[]> {
  if (ids.length === 0) return [];
  const looks = ids.map((id) => ({ id, viewer, at }));
  const seen =
    looks.length === 1
      ? [await seePost(database, looks[0]!)]
      : await readPosts(database, looks, periodOf(at));
  return seen.filter((one) => one !== undefined);
}

/** Somebody looks at a post or a boost. */
interface Look {
  readonly id: bigint;
  readonly viewer: Viewer | undefined;
  readonly at: Temporal.Instant;
}

const seePost = gatherEach<Pick<Database, "sql">, Look, SeenStatus | undefined>((database) => ({
  work: (looks) => readPosts(database, looks, periodOf(looks[0]!.at)),
  lane: ({ at }) => periodNumber(periodOf(at)),
}));

/** What each of these looks in one month shows; undefined where there is nothing, or nothing that the viewer may see. */
async function readPosts(
  { sql }: Pick<Database, "sql">,
  looks: readonly Look[],
  period: Period,
): Promise<readonly (SeenStatus | undefined)[]> {
  const column = (of: (look: Look) => bigint | undefined) =>
    sql.array(looks.map((look) => of(look)?.toString() ?? null) as string[], TEXTS);
  // Of strangers both are NULL, and nothing is theirs.
  const viewer: ViewerIn = { id: sql`w.account`, actor: sql`w.reader` };
  const rows = await sql<Row[]>`
    SELECT w.n, w.id AS status, b.actor AS boost_actor, b.uri AS boost_uri, b.at AS boost_at,
           p.id, p.thing, t.uri, p.author, p.text, p.html, p.summary, p.is_sensitive, p.language, p.visibility, p.in_reply_to,
           r.id AS answered, r.author AS answered_author, p.url, p.attachments, p.poll, p.at, p.edited_at,
           app.name AS app_name, app.website AS app_website,
           (SELECT jsonb_agg(jsonb_build_object('id', m.id::text, 'uri', m.uri, 'name', COALESCE(m.name, '?'), 'host', m.host, 'url', m.url) ORDER BY m.id)
              FROM post_mention pm JOIN actor m ON m.id = pm.actor WHERE pm.post = p.id) AS mentions,
           (SELECT jsonb_agg(pt.tag ORDER BY pt.tag) FROM post_tag pt WHERE pt.post = p.id) AS tags,
           (SELECT count(*)::int FROM (SELECT FROM favourite f WHERE f.thing = p.thing AND f.uri IS NOT NULL LIMIT ${COUNT_MAX}) c) AS favourites,
           (SELECT count(*)::int FROM (SELECT FROM boost o WHERE o.post = p.id LIMIT ${COUNT_MAX}) c) AS boosts,
           (SELECT count(*)::int FROM (SELECT FROM post o WHERE o.in_reply_to = t.uri AND o.deleted_at IS NULL
                                          AND o.visibility IN ('public', 'unlisted') LIMIT ${COUNT_MAX}) c) AS replies,
           ${ownMarks(sql, viewer, period)}
      FROM unnest(${column(({ id }) => id)}::bigint[], ${column((look) => look.viewer?.id)}::bigint[], ${column((look) => look.viewer?.actor)}::bigint[])
           WITH ORDINALITY AS w(id, account, reader, n)
      LEFT JOIN boost b ON b.id = w.id
      JOIN post p ON p.id = COALESCE(b.post, w.id)
      JOIN thing t ON t.id = p.thing
      LEFT JOIN thing rt ON rt.uri = p.in_reply_to
      LEFT JOIN post r ON r.thing = rt.id AND r.deleted_at IS NULL
      LEFT JOIN app ON app.id = p.app
     WHERE ${mayRead(sql, viewer)}`;
  const found = new Map(rows.map((row) => [Number(row.n), row]));
  return looks.map((look, place) => {
    const row = found.get(place + 1);
    return row === undefined ? undefined : statusOf(row, look.viewer !== undefined);
  });
}

function ownMarks(sql: Sql, { id, actor }: ViewerIn, period: Period): Condition {
  return sql`
    EXISTS (SELECT FROM favourite f WHERE f.thing = p.thing AND f.actor = ${actor} OFFSET 0) AS is_favourite,
    EXISTS (SELECT FROM boost o WHERE o.post = p.id AND o.actor = ${actor} OFFSET 0) AS is_boosted,
    EXISTS (SELECT FROM bookmark k WHERE k.account = ${id} AND k.post = p.id OFFSET 0) AS is_bookmarked,
    p.pinned_at IS NOT NULL AS is_pinned,
    CASE WHEN EXISTS (SELECT FROM thread_mute tm WHERE tm.account = ${id} OFFSET 0) THEN EXISTS (
      WITH RECURSIVE above AS (
        SELECT t.uri, p.in_reply_to, 0 AS level
        UNION ALL
        SELECT above.in_reply_to, hp.in_reply_to, above.level + 1
          FROM above LEFT JOIN thing ht ON ht.uri = above.in_reply_to LEFT JOIN post hp ON hp.thing = ht.id
         WHERE above.in_reply_to IS NOT NULL AND above.level < ${THREAD_DEPTH_MAX})
      SELECT FROM above JOIN thread_mute tm ON tm.account = ${id} AND tm.root = above.uri) ELSE false END AS is_muted,
    EXISTS (SELECT FROM flattr f WHERE f.period = ${periodNumber(period)} AND f.patron = ${id} AND f.thing = p.thing OFFSET 0) AS is_flattred,
    CASE WHEN p.poll IS NOT NULL THEN
      (SELECT jsonb_agg(v.choice ORDER BY v.choice) FROM poll_vote v WHERE v.post = p.id AND v.actor = ${actor}) END AS choices`;
}

function statusOf(row: Row, isSignedIn: boolean): SeenStatus {
  return {
    id: row.status,
    post: postOf(row, isSignedIn),
    boost:
      row.boost_actor === null
        ? undefined
        : { actor: row.boost_actor, uri: row.boost_uri!, at: fromSqlTime(row.boost_at!) },
  };
}

function postOf(row: Row, isSignedIn: boolean): SeenPost {
  return {
    id: row.id,
    thing: row.thing,
    uri: row.uri,
    author: row.author,
    text: row.text,
    html: row.html,
    summary: row.summary,
    isSensitive: row.is_sensitive,
    language: row.language,
    visibility: row.visibility,
    inReplyTo: row.in_reply_to,
    answered:
      row.answered === null ? undefined : { id: row.answered, author: row.answered_author! },
    url: row.url,
    attachments: row.attachments,
    poll: row.poll,
    app: row.app_name === null ? undefined : { name: row.app_name, website: row.app_website },
    at: fromSqlTime(row.at),
    editedAt: row.edited_at === null ? null : fromSqlTime(row.edited_at),
    mentions: row.mentions ?? [],
    tags: row.tags ?? [],
    favourites: row.favourites,
    boosts: row.boosts,
    replies: row.replies,
    own: isSignedIn
      ? {
          isFavourite: row.is_favourite,
          isBoosted: row.is_boosted,
          isBookmarked: row.is_bookmarked,
          isPinned: row.is_pinned,
          isMuted: row.is_muted,
          isFlattred: row.is_flattred,
          choices: row.choices ?? [],
        }
      : undefined,
  };
}

/** A post that a viewer may see, for doing something with it; undefined when there is none for him. */
export interface Target {
  readonly post: bigint;
  readonly thing: bigint;
  readonly uri: string;
  readonly author: ActorId;
  readonly visibility: SeenPost["visibility"];
  readonly text: string | null;
  readonly html: string | null;
  readonly summary: string | null;
  /** Who passed it on, where a boost was named. */
  readonly booster: ActorId | null;
}

/** What a status id means to a viewer: a boost means the post that was passed on. */
export async function findTarget(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer | undefined,
  id: bigint,
): Promise<Target | undefined> {
  const [row] = await sql<Target[]>`
    SELECT p.id AS post, p.thing, t.uri, p.author, p.visibility, p.text, p.html, p.summary, b.actor AS booster
      FROM (SELECT ${id}::bigint AS id) w LEFT JOIN boost b ON b.id = w.id
      JOIN post p ON p.id = COALESCE(b.post, w.id) JOIN thing t ON t.id = p.thing
     WHERE ${mayRead(sql, viewer)}`;
  return row;
}

/** A post that somebody favourited, whether he may see it now or not; undefined when he did not. */
export async function ownFavourite(
  { sql }: Pick<Database, "sql">,
  { actor }: Viewer,
  id: bigint,
): Promise<Pick<Target, "post" | "thing"> | undefined> {
  const [row] = await sql<Pick<Target, "post" | "thing">[]>`
    SELECT p.id AS post, p.thing
      FROM (SELECT COALESCE((SELECT b.post FROM boost b WHERE b.id = ${id}), ${id}::bigint) AS id) w
      JOIN post p ON p.id = w.id JOIN favourite f ON f.thing = p.thing AND f.actor = ${actor}`;
  return row;
}
