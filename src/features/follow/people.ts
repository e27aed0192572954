/** Lists of people, page by page: followers, whom somebody follows, mutes, blocks, requests. */

import { type Database, LAST_ID } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { AccountId } from "../account/create.ts";

/** Actors below or above an id, the largest id first. */
export interface PeoplePage {
  readonly limit: number;
  readonly maxId: bigint | undefined;
  readonly sinceId: bigint | undefined;
  readonly minId: bigint | undefined;
}

/** Which list. */
export type PeopleList =
  | { readonly kind: "followers" | "following"; readonly of: ActorId }
  | { readonly kind: "blocked" | "asking"; readonly of: ActorId }
  | { readonly kind: "muted"; readonly of: AccountId };

/** One page of a list, in the order of the actors' ids; each is found by one index. */
export async function peopleIn(
  { sql }: Pick<Database, "sql">,
  list: PeopleList,
  { limit, maxId, sinceId, minId }: PeoplePage,
  at: Temporal.Instant,
): Promise<readonly ActorId[]> {
  const from = {
    followers: sql`(SELECT follower AS actor FROM follow WHERE followee = ${list.of} AND state = 'accepted')`,
    following: sql`(SELECT followee AS actor FROM follow WHERE follower = ${list.of} AND state = 'accepted')`,
    asking: sql`(SELECT follower AS actor FROM follow WHERE followee = ${list.of} AND state = 'requested')`,
    blocked: sql`(SELECT blocked AS actor FROM person_block WHERE blocker = ${list.of})`,
    muted: sql`(SELECT actor FROM mute WHERE account = ${list.of} AND (until IS NULL OR until > ${sqlTime(at)}::timestamptz))`,
  }[list.kind];
  const rows = await sql<{ actor: bigint }[]>`
    SELECT l.actor FROM ${from} l JOIN actor a ON a.id = l.actor AND a.deleted_at IS NULL
     WHERE l.actor < ${maxId ?? LAST_ID} AND l.actor > ${minId ?? sinceId ?? -1n}
     ORDER BY ${minId === undefined ? sql`l.actor DESC` : sql`l.actor ASC`} LIMIT ${limit}`;
  const ids = rows.map(({ actor }) => actor);
  return minId === undefined ? ids : ids.toReversed();
}
