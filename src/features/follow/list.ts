/** Who follows whom, page by page. */

import { and, asc, count, eq, gt } from "drizzle-orm";
import type { Database } from "../../store/database.ts";
import type { ActorId } from "../account/actor.ts";
import { actor } from "../account/schema.ts";
import { follow } from "./schema.ts";

/** Actors on one page. */
const PAGE_ACTORS = 100;

/** One page: URIs, and where the next one starts. */
export interface ActorPage {
  readonly actors: readonly string[];
  readonly next: bigint | undefined;
}

/** followers: who follows this actor. following: whom this actor follows. Requests are neither. */
export type FollowSide = "followers" | "following";

/** How many there are. */
export async function countFollows(
  { drizzle }: Pick<Database, "drizzle">,
  side: FollowSide,
  of: ActorId,
): Promise<number> {
  const [row] = await drizzle.select({ many: count() }).from(follow).where(isOf(side, of));
  return row!.many;
}

/** One page of them, in the order of their ids; `after` is the last one of the page before. */
export async function followPage(
  { drizzle }: Pick<Database, "drizzle">,
  side: FollowSide,
  of: ActorId,
  after: bigint,
): Promise<ActorPage> {
  const other = side === "followers" ? follow.follower : follow.followee;
  const rows = await drizzle
    .select({ id: other, uri: actor.uri })
    .from(follow)
    .innerJoin(actor, eq(actor.id, other))
    .where(and(isOf(side, of), gt(other, after)))
    .orderBy(asc(other))
    .limit(PAGE_ACTORS + 1);
  const page = rows.slice(0, PAGE_ACTORS);
  return {
    actors: page.map(({ uri }) => uri),
    next: rows.length > PAGE_ACTORS ? page.at(-1)!.id : undefined,
  };
}

/** Somebody who follows this actor or asks to, by URI; undefined when nobody of that URI does. */
export async function followerAt(
  { drizzle }: Pick<Database, "drizzle">,
  followee: ActorId,
  uri: string,
): Promise<ActorId | undefined> {
  const [row] = await drizzle
    .select({ id: follow.follower })
    .from(follow)
    .innerJoin(actor, eq(actor.id, follow.follower))
    .where(and(eq(follow.followee, followee), eq(actor.uri, uri)));
  return row?.id;
}

const isOf = (side: FollowSide, of: ActorId) =>
  and(
    eq(side === "followers" ? follow.followee : follow.follower, of),
    eq(follow.state, "accepted"),
  );
