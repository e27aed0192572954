/** Home timelines: what arrives is put into those of its readers at once, in the transaction of its arrival. */

import { type SQL, sql } from "drizzle-orm";
import type { Database, Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { notifyAll } from "../notice/notify.ts";

/** Entries of one home timeline that are kept; who wants to read further back looks at people's profiles. */
export const HOME_ENTRIES_MAX = 800;

/** A boost does not show a post again that stands among so many newest entries. */
const BOOST_NEWEST = 40;

/** What is older than this when it arrives is old: no open stream is told of it, and it may be too old for a home. */
const NEWS_HOURS = 24;

/** Accounts whose timelines are cut in one statement. */
const TRIMMED_ACCOUNTS = 50;

/** True when the post `p` is too old for the full home of the account `x`. */
const isTooOld = sql`COALESCE(p.id < (SELECT o.id FROM home o WHERE o.account = x.id ORDER BY o.id DESC OFFSET ${sql.raw(String(HOME_ENTRIES_MAX - 1))} LIMIT 1), false)`;

/**
 * Puts a post into the home timelines of its author, if he is of this instance, and of all who follow him from here;
 * an answer only of those who follow the one who is answered, too, or are he. A post to single people stands in no
 * home but its author's. Again changes nothing.
 *
 * @param isNews false for what is fetched afterwards: no open stream is told, nobody is told of a new post
 */
export async function bringPost(
  tx: Tx,
  id: bigint,
  { at, isNews }: { readonly at: Temporal.Instant; readonly isNews: boolean },
): Promise<void> {
  await tx.execute(sql`
    WITH p AS MATERIALIZED (
      SELECT p.id, p.author, p.visibility, p.in_reply_to, r.author AS answered, p.at < ${newsFrom(at)}::timestamptz AS is_old
        FROM post p
        LEFT JOIN thing rt ON rt.uri = p.in_reply_to
        LEFT JOIN post r ON r.thing = rt.id
       WHERE p.id = ${id}::bigint AND p.deleted_at IS NULL),
    reader AS (
      SELECT x.id, p.id AS post FROM p JOIN account x ON x.actor = p.author
      UNION ALL
      SELECT x.id, p.id FROM p JOIN follow f ON f.followee = p.author AND f.state = 'accepted' JOIN account x ON x.actor = f.follower
       WHERE p.visibility <> 'direct'
         AND (p.in_reply_to IS NULL OR p.answered IN (p.author, x.actor)
              OR EXISTS (SELECT FROM follow g WHERE g.follower = x.actor AND g.followee = p.answered AND g.state = 'accepted'))),
    brought AS (
      INSERT INTO home (account, id, post, actor)
      SELECT x.id, p.id, p.id, p.author FROM p JOIN reader x ON x.post = p.id
       WHERE NOT p.is_old OR NOT ${isTooOld}
       ORDER BY x.id
      ON CONFLICT DO NOTHING
      RETURNING account)
    INSERT INTO stream_event (kind, subject, at)
    SELECT 'post', p.id, ${sqlTime(at)}::timestamptz FROM p
     WHERE ${isNews} AND NOT p.is_old AND (p.visibility = 'public' OR EXISTS (SELECT FROM brought))`);
}

/**
 * Tells people here of a post: those who are spoken to, and those who want to be told of each post of its author,
 * unless it answers somebody else.
 */
export async function tellOfPost(tx: Tx, id: bigint, at: Temporal.Instant): Promise<void> {
  const [post] = await tx.execute<{ author: string; tells_followers: boolean }>(sql`
    SELECT p.author, p.visibility <> 'direct' AND (p.in_reply_to IS NULL OR r.author = p.author) AS tells_followers
      FROM post p LEFT JOIN thing rt ON rt.uri = p.in_reply_to LEFT JOIN post r ON r.thing = rt.id
     WHERE p.id = ${id}::bigint AND p.deleted_at IS NULL`);
  if (post === undefined) return;
  const actor = BigInt(post.author);
  await notifyAll(tx, { kind: "mention", actor, post: id, at }, mentionedIn(id));
  if (post.tells_followers)
    await notifyAll(
      tx,
      { kind: "status", actor, post: id, at },
      sql`SELECT x.id AS account FROM follow f JOIN account x ON x.actor = f.follower
           WHERE f.followee = ${actor}::bigint AND f.state = 'accepted' AND f.notifies
             AND NOT EXISTS (SELECT FROM post_mention m WHERE m.post = ${id}::bigint AND m.actor = f.follower)`,
    );
}

/** The author changed a post: those who are spoken to now are told, and those of this instance who passed it on. */
export async function tellOfEdit(
  tx: Tx,
  {
    id,
    author,
    at,
  }: { readonly id: bigint; readonly author: bigint; readonly at: Temporal.Instant },
): Promise<void> {
  await notifyAll(tx, { kind: "mention", actor: author, post: id, at }, mentionedIn(id));
  await notifyAll(
    tx,
    { kind: "update", actor: author, post: id, at },
    sql`SELECT x.id AS account FROM boost b JOIN account x ON x.actor = b.actor WHERE b.post = ${id}::bigint`,
  );
  await tx.execute(
    sql`INSERT INTO stream_event (kind, subject, at) VALUES ('edit', ${id}::bigint, ${sqlTime(at)})`,
  );
}

/**
 * Puts a boost into the home timelines of who passed the post on, if he is of this instance, and of all who follow him
 * from here and want to see boosts, unless the post stands among the newest entries there. The author is told, if he
 * is of this instance.
 */
export async function bringBoost(tx: Tx, id: bigint, at: Temporal.Instant): Promise<void> {
  const [row] = await tx.execute<{ actor: string; post: string }>(sql`
    WITH b AS MATERIALIZED (
      SELECT b.id, b.actor, b.post, b.at < ${newsFrom(at)}::timestamptz AS is_old FROM boost b WHERE b.id = ${id}::bigint),
    p AS MATERIALIZED (SELECT id FROM b),
    reader AS (
      SELECT x.id FROM b JOIN account x ON x.actor = b.actor
      UNION ALL
      SELECT x.id FROM b JOIN follow f ON f.followee = b.actor AND f.state = 'accepted' AND f.shows_boosts JOIN account x ON x.actor = f.follower),
    brought AS (
      INSERT INTO home (account, id, post, actor)
      SELECT x.id, b.id, b.post, b.actor FROM b CROSS JOIN p CROSS JOIN reader x
       WHERE NOT EXISTS (
               SELECT FROM home h
                WHERE h.post = b.post AND h.account = x.id
                  AND h.id >= COALESCE((SELECT o.id FROM home o WHERE o.account = x.id ORDER BY o.id DESC OFFSET ${BOOST_NEWEST - 1}::int LIMIT 1), 0))
         AND (NOT b.is_old OR NOT ${isTooOld})
       ORDER BY x.id
      ON CONFLICT DO NOTHING
      RETURNING account),
    said AS (
      INSERT INTO stream_event (kind, subject, at)
      SELECT 'boost', b.id, ${sqlTime(at)}::timestamptz FROM b WHERE NOT b.is_old AND EXISTS (SELECT FROM brought))
    SELECT actor, post FROM b`);
  if (row === undefined) return;
  const post = BigInt(row.post);
  await notifyAll(
    tx,
    { kind: "reblog", actor: BigInt(row.actor), post, at },
    sql`SELECT x.id AS account FROM post p JOIN account x ON x.actor = p.author WHERE p.id = ${post}::bigint`,
  );
}

/** Boosts that were taken back leave the timelines, and their authors' news. */
export async function withdrawBoosts(
  tx: Tx,
  gone: readonly { readonly id: bigint; readonly actor: bigint; readonly post: bigint }[],
  at: Temporal.Instant,
): Promise<void> {
  if (gone.length === 0) return;
  await tx.execute(sql`
    WITH gone AS MATERIALIZED (
      SELECT * FROM unnest(${listed(gone.map(({ id }) => id))}::bigint[], ${listed(gone.map(({ actor }) => actor))}::bigint[],
                           ${listed(gone.map(({ post }) => post))}::bigint[]) AS one(id, actor, post)),
    left_home AS (DELETE FROM home h USING gone WHERE h.post = gone.post AND h.id = gone.id),
    untold AS (DELETE FROM notification n USING gone WHERE n.post = gone.post AND n.actor = gone.actor AND n.kind = 'reblog')
    INSERT INTO stream_event (kind, subject, at) SELECT 'delete', id, ${sqlTime(at)}::timestamptz FROM gone`);
}

/** A post is gone: so are all boosts of it; they leave the timelines, and what people were told about it goes, too. */
export async function dropPost(tx: Tx, id: bigint, at: Temporal.Instant): Promise<void> {
  await tx.execute(sql`
    WITH left_home AS (DELETE FROM home WHERE post = ${id}::bigint),
    untold AS (DELETE FROM notification WHERE post = ${id}::bigint),
    unpassed AS (DELETE FROM boost WHERE post = ${id}::bigint RETURNING id)
    INSERT INTO stream_event (kind, subject, at)
    SELECT 'delete', gone.id, ${sqlTime(at)}::timestamptz FROM (SELECT ${id}::bigint AS id UNION ALL SELECT id FROM unpassed) gone`);
}

/**
 * Cuts all home timelines to their newest entries. A few accounts at a time, each in a statement of its own.
 *
 * @returns how many entries went
 */
export async function trimHomes({ sql: raw }: Pick<Database, "sql">): Promise<number> {
  let after: AccountId = 0n;
  let many = 0;
  for (;;) {
    const [row] = await raw<[{ last: bigint | null; many: number }]>`
      WITH few AS MATERIALIZED (SELECT id FROM account WHERE id > ${after} ORDER BY id LIMIT ${TRIMMED_ACCOUNTS}),
      cut AS MATERIALIZED (
        SELECT s.id, (SELECT h.id FROM home h WHERE h.account = s.id ORDER BY h.id DESC OFFSET ${HOME_ENTRIES_MAX} LIMIT 1) AS first FROM few s),
      gone AS (DELETE FROM home h USING cut WHERE h.account = cut.id AND h.id <= cut.first RETURNING h.id)
      SELECT (SELECT max(id) FROM few) AS last, (SELECT count(*)::int FROM gone) AS many`;
    many += row.many;
    if (row.last === null) return many;
    after = row.last;
  }
}

/** The accounts of people of this instance who are spoken to in a post. */
function mentionedIn(id: bigint): SQL {
  return sql`SELECT x.id AS account FROM post_mention m JOIN account x ON x.actor = m.actor WHERE m.post = ${id}::bigint`;
}

function newsFrom(at: Temporal.Instant): string {
  return sqlTime(at.subtract({ hours: NEWS_HOURS }));
}

/** As PostgreSQL writes lists: of these it knows how long they are, so it finds few rows by their index. */
function listed(ids: readonly bigint[]): string {
  return `{${ids.join(",")}}`;
}
