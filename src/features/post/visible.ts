/** Who may see what: conditions that every query of posts for somebody is made of. */

import type { Sql } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import type { ActorId } from "../account/actor.ts";

/** Whose eyes look; undefined for strangers. */
export interface Viewer {
  /** The row of `account`. */
  readonly id: AccountId;
  readonly actor: ActorId;
}

/** A piece of a query. */
export type Condition = ReturnType<Sql>;

/** A viewer, or the columns of a query that name one; NULL for strangers. */
export interface ViewerIn {
  readonly id: AccountId | Condition;
  readonly actor: ActorId | Condition;
}

/**
 * True for posts `p` that the viewer may read: what everybody may, his own, those of people he follows for their
 * followers, and those that speak to him. Never of somebody who blocks him. Not true, but not always false, where the
 * columns that name the viewer are NULL.
 *
 * `OFFSET 0`, here and in other conditions of this kind, makes PostgreSQL look each row up by itself: otherwise it may
 * read all that the viewer ever did to have it at hand for a page of twenty.
 */
export function mayRead(sql: Sql, viewer: ViewerIn | undefined): Condition {
  if (viewer === undefined)
    return sql`(p.deleted_at IS NULL AND p.visibility IN ('public', 'unlisted'))`;
  const { actor } = viewer;
  return sql`(p.deleted_at IS NULL
    AND (p.visibility IN ('public', 'unlisted') OR p.author = ${actor}
         OR EXISTS (SELECT FROM post_mention pm WHERE pm.post = p.id AND pm.actor = ${actor} OFFSET 0)
         OR (p.visibility = 'followers'
             AND EXISTS (SELECT FROM follow fo WHERE fo.follower = ${actor} AND fo.followee = p.author AND fo.state = 'accepted' OFFSET 0)))
    AND ${notBlockedBy(sql, viewer, sql`p.author`)})`;
}

/** True for actors who do not block the viewer. */
export function notBlockedBy(sql: Sql, viewer: ViewerIn | undefined, actor: Condition): Condition {
  if (viewer === undefined) return sql`true`;
  return sql`NOT EXISTS (SELECT FROM person_block pb WHERE pb.blocker = ${actor} AND pb.blocked = ${viewer.actor} OFFSET 0)`;
}

/** True for actors whom the viewer wants to see: neither muted now, nor blocked by one of the two. */
export function wantsToSee(
  sql: Sql,
  viewer: Viewer | undefined,
  actor: Condition,
  at: Temporal.Instant,
): Condition {
  if (viewer === undefined) return sql`true`;
  return sql`(NOT EXISTS (SELECT FROM mute mu WHERE mu.account = ${viewer.id} AND mu.actor = ${actor}
                             AND (mu.until IS NULL OR mu.until > ${sqlTime(at)}::timestamptz) OFFSET 0)
    AND NOT EXISTS (SELECT FROM person_block pb WHERE pb.blocker = ${viewer.actor} AND pb.blocked = ${actor} OFFSET 0)
    AND ${notBlockedBy(sql, viewer, actor)})`;
}
