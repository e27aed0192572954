/** Who of those that listen is told of what: found for all of them in one query. */

import { type Database, TEXTS } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { StreamEvent } from "./stream.ts";

/** What is listened to at this moment. */
export interface Listened {
  /** The accounts of all who listen to a timeline. */
  readonly accounts: readonly bigint[];
  readonly tags: readonly string[];
  readonly lists: readonly bigint[];
}

/** Where a post stands, of those places that somebody listens to. */
export interface Audience {
  /** True: in the timelines of everybody. */
  readonly isPublic: boolean;
  /** True: public with its hashtags, also when it is an answer. */
  readonly isTagged: boolean;
  /** True: written here. */
  readonly isHere: boolean;
  readonly hasMedia: boolean;
  /** Accounts in whose home timeline it stands. */
  readonly home: ReadonlySet<bigint>;
  /** Its hashtags. */
  readonly tags: ReadonlySet<string>;
  /** The lists on which it stands, with the account of each. */
  readonly lists: ReadonlyMap<bigint, bigint>;
  /** Accounts that do not want to see whoever wrote it or passed it on, or are not wanted by them. */
  readonly hidden: ReadonlySet<bigint>;
}

interface Row {
  readonly is_public: boolean;
  readonly is_tagged: boolean;
  readonly is_here: boolean;
  readonly has_media: boolean;
  readonly home: readonly bigint[];
  readonly tags: readonly string[];
  readonly lists: readonly bigint[];
  readonly owners: readonly bigint[];
  readonly hidden: readonly bigint[];
}

/**
 * Where a post, a change of one or a boost stands; undefined when it is gone.
 *
 * @param at the time of the domain: some do not want to see somebody for a while
 */
export async function audienceOf(
  { sql }: Pick<Database, "sql">,
  { kind, subject }: Pick<StreamEvent, "kind" | "subject">,
  { accounts, tags, lists }: Listened,
  at: Temporal.Instant,
): Promise<Audience | undefined> {
  const ids = (list: readonly bigint[]) => sql`${sql.array(list.map(String), TEXTS)}::bigint[]`;
  const [row] = await sql<Row[]>`
    WITH said AS MATERIALIZED (
      SELECT p.id, p.author, p.author AS bringer, p.visibility, p.in_reply_to, p.text IS NOT NULL AS is_here,
             p.attachments IS NOT NULL AS has_media, false AS is_boost
        FROM post p WHERE p.id = ${subject ?? null} AND p.deleted_at IS NULL AND ${kind !== "boost"}
      UNION ALL
      SELECT p.id, p.author, b.actor, p.visibility, p.in_reply_to, p.text IS NOT NULL, p.attachments IS NOT NULL, true
        FROM boost b JOIN post p ON p.id = b.post
       WHERE b.id = ${subject ?? null} AND p.deleted_at IS NULL AND ${kind === "boost"}),
    stands AS MATERIALIZED (
      SELECT h.account, h.actor, h.id, h.post
        FROM said JOIN home h ON h.post = said.id
       WHERE h.account = ANY (${ids(accounts)}) AND (h.id = ${subject ?? null} OR ${kind === "edit"})),
    listed AS MATERIALIZED (
      SELECT DISTINCT l.id, l.account
        FROM said CROSS JOIN stands s
        JOIN list l ON l.account = s.account AND l.id = ANY (${ids(lists)})
        JOIN list_member lm ON lm.list = l.id AND lm.actor = s.actor
        JOIN account x ON x.id = l.account
        LEFT JOIN thing rt ON rt.uri = said.in_reply_to LEFT JOIN post r ON r.thing = rt.id
       WHERE said.in_reply_to IS NULL OR s.id <> s.post OR r.author IN (said.author, x.actor) OR l.replies = 'followed'
          OR (l.replies = 'list' AND EXISTS (SELECT FROM list_member o WHERE o.list = l.id AND o.actor = r.author)))
    SELECT NOT said.is_boost AND said.visibility = 'public' AND said.in_reply_to IS NULL AS is_public,
           NOT said.is_boost AND said.visibility = 'public' AS is_tagged, said.is_here, said.has_media,
           ARRAY(SELECT DISTINCT s.account FROM stands s
                  WHERE NOT EXISTS (SELECT FROM list l JOIN list_member lm ON lm.list = l.id AND lm.actor = s.actor
                                     WHERE l.account = s.account AND l.is_exclusive)) AS home,
           ARRAY(SELECT t.tag FROM post_tag t WHERE t.post = said.id AND t.tag = ANY (${sql.array([...tags], TEXTS)}::text[])) AS tags,
           ARRAY(SELECT id FROM listed ORDER BY id) AS lists, ARRAY(SELECT account FROM listed ORDER BY id) AS owners,
           ARRAY(SELECT x.id FROM account x
                  WHERE x.id = ANY (${ids(accounts)})
                    AND (EXISTS (SELECT FROM mute m WHERE m.account = x.id AND m.actor IN (said.author, said.bringer)
                                    AND (m.until IS NULL OR m.until > ${sqlTime(at)}::timestamptz))
                         OR EXISTS (SELECT FROM person_block b WHERE b.blocker = x.actor AND b.blocked IN (said.author, said.bringer))
                         OR EXISTS (SELECT FROM person_block b WHERE b.blocked = x.actor AND b.blocker IN (said.author, said.bringer)))) AS hidden
      FROM said`;
  if (row === undefined) return undefined;
  return {
    isPublic: row.is_public,
    isTagged: row.is_tagged,
    isHere: row.is_here,
    hasMedia: row.has_media,
    home: new Set(row.home),
    tags: new Set(row.tags),
    lists: new Map(row.lists.map((list, place) => [list, row.owners[place]!])),
    hidden: new Set(row.hidden),
  };
}

/**
 * Who is told that a post or boost is gone: everybody when everybody could read it, else those who could. The id of a
 * private post says when somebody wrote to somebody.
 *
 * @returns undefined: everybody
 */
export async function audienceOfGone(
  { sql }: Pick<Database, "sql">,
  subject: bigint,
  accounts: readonly bigint[],
): Promise<ReadonlySet<bigint> | undefined> {
  const [row] = await sql<{ is_open: boolean; readers: readonly bigint[] }[]>`
    SELECT p.visibility IN ('public', 'unlisted') AS is_open,
           ARRAY(SELECT x.id FROM account x
                  WHERE x.id = ANY (${sql.array(accounts.map(String), TEXTS)}::bigint[])
                    AND (x.actor = p.author
                         OR (p.visibility = 'followers'
                             AND EXISTS (SELECT FROM follow f WHERE f.follower = x.actor AND f.followee = p.author AND f.state = 'accepted')))) AS readers
      FROM post p WHERE p.id = ${subject}`;
  // Only what was public could be passed on, and of a boost that was taken back nothing stays.
  return row === undefined || row.is_open ? undefined : new Set(row.readers);
}
