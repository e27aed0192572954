/** What a follow brings into the home timeline, and what its end takes out of it. */

import { sql } from "drizzle-orm";
import type { Tx } from "../../store/database.ts";
import { addJob, type JobKind } from "../../store/jobs.ts";
import type { ActorId } from "../account/actor.ts";

/** Posts of somebody newly followed that stand in the home timeline at once: two pages. */
const BROUGHT_POSTS = 40;

/** Newest posts of somebody that are looked at for these; those to single people are left out. */
const LOOKED_AT_POSTS = 200;

/** A server that does not answer within a few tries is asked at the next follow. */
const BACKFILL_ATTEMPTS_MAX = 5;

/** Somebody elsewhere was followed: his newest posts are read from his own server. */
export const actorBackfill: JobKind<{ readonly actor: string }> = {
  name: "actor.backfill",
  attemptsMax: BACKFILL_ATTEMPTS_MAX,
};

/** Whom a follow is about. */
export interface FollowPair {
  readonly follower: ActorId;
  readonly followee: ActorId;
}

/**
 * A follow was accepted: the newest posts of the followee that are known here come into the home timeline of a follower
 * of this instance, and those of somebody elsewhere are asked for. The tables belong to rooms nearer to the rim.
 */
export async function beginFollow(tx: Tx, { follower, followee }: FollowPair): Promise<void> {
  const [row] = await tx.execute<{ is_here: boolean; is_elsewhere: boolean }>(sql`
    WITH reader AS MATERIALIZED (SELECT id, actor FROM account WHERE actor = ${follower}::bigint),
    newest AS MATERIALIZED (
      SELECT p.* FROM (SELECT p.id, p.author, p.visibility, p.deleted_at, p.in_reply_to FROM post p
                        WHERE p.author = ${followee}::bigint AND EXISTS (SELECT FROM reader) ORDER BY p.id DESC LIMIT ${LOOKED_AT_POSTS}) p
       WHERE p.deleted_at IS NULL AND p.visibility <> 'direct' ORDER BY p.id DESC LIMIT ${BROUGHT_POSTS}),
    brought AS (
      INSERT INTO home (account, id, post, actor)
      SELECT reader.id, n.id, n.id, n.author
        FROM reader CROSS JOIN newest n
        LEFT JOIN thing rt ON rt.uri = n.in_reply_to
        LEFT JOIN post r ON r.thing = rt.id
       WHERE n.in_reply_to IS NULL OR r.author IN (n.author, reader.actor)
          OR EXISTS (SELECT FROM follow g WHERE g.follower = reader.actor AND g.followee = r.author AND g.state = 'accepted')
       ORDER BY n.id
      ON CONFLICT DO NOTHING)
    SELECT EXISTS (SELECT FROM reader) AS is_here, a.outbox IS NOT NULL AS is_elsewhere FROM actor a WHERE a.id = ${followee}::bigint`);
  if (row?.is_here === true && row.is_elsewhere)
    await addJob(
      tx,
      actorBackfill,
      { actor: String(followee) },
      `${actorBackfill.name}:${followee}`,
    );
}

/** A follow is over: what the followee wrote and passed on leaves the follower's home timeline, and he the lists. */
export async function endFollow(tx: Tx, { follower, followee }: FollowPair): Promise<void> {
  await tx.execute(sql`
    WITH reader AS MATERIALIZED (SELECT id FROM account WHERE actor = ${follower}::bigint),
    unlisted AS (
      DELETE FROM list_member m USING list l, reader
       WHERE l.account = reader.id AND m.list = l.id AND m.actor = ${followee}::bigint)
    DELETE FROM home h USING reader WHERE h.account = reader.id AND h.actor = ${followee}::bigint`);
}

/** What somebody passed on leaves the home timeline of a follower who does not want to see that any more. */
export async function dropBoosts(tx: Tx, { follower, followee }: FollowPair): Promise<void> {
  await tx.execute(sql`
    DELETE FROM home h USING account x
     WHERE x.actor = ${follower}::bigint AND h.account = x.id AND h.actor = ${followee}::bigint AND h.id <> h.post`);
}
