/** What somebody of this instance says to those who want to follow, or do. */

import { and, eq, sql } from "drizzle-orm";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { actorUri, type Account } from "../account/create.ts";
import { actor } from "../account/schema.ts";
import { tell } from "../activity/tell.ts";
import { unnotify } from "../notice/notify.ts";
import { beginFollow } from "./arrive.ts";
import { answerDocument } from "./documents.ts";
import { followOver, newId, pairOf } from "./follow.ts";
import { follow } from "./schema.ts";

/** A follower of somebody of this instance. */
export interface Follower {
  readonly followee: Account;
  readonly follower: ActorId;
  readonly at: Temporal.Instant;
}

/**
 * Somebody may follow. Saying so again says so again: the first answer may have been lost.
 *
 * @throws Refusal "not_found" when nobody of that id asked
 */
export async function acceptFollower(
  database: Database,
  { followee, follower, at }: Follower,
): Promise<void> {
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [row] = await tx
        .update(follow)
        .set({ state: "accepted" })
        .where(isPair(follower, followee.actor))
        .returning();
      if (row === undefined) throw new Refusal("not_found");
      await beginFollow(tx, row);
      await unnotify(tx, {
        account: sql`SELECT ${followee.id}::bigint`,
        kinds: ["follow_request"],
        actor: follower,
      });
      await tellAnswer(tx, database.settings.origin, followee, row, "Accept", at);
    }),
  );
}

/**
 * Somebody may not follow, or no longer: a request is refused, and a follower goes. They are told.
 *
 * @throws Refusal "not_found" when nobody of that id asked or follows
 */
export async function removeFollower(
  database: Database,
  { followee, follower, at }: Follower,
): Promise<void> {
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [row] = await tx.delete(follow).where(isPair(follower, followee.actor)).returning();
      if (row === undefined) throw new Refusal("not_found");
      await followOver(tx, row);
      await tellAnswer(tx, database.settings.origin, followee, row, "Reject", at);
    }),
  );
}

/** Those who want to follow and have no answer, oldest first. */
export async function followRequests(
  { drizzle }: Pick<Database, "drizzle">,
  followee: ActorId,
): Promise<readonly { follower: ActorId; uri: string; since: Temporal.Instant }[]> {
  return drizzle
    .select({ follower: follow.follower, uri: actor.uri, since: follow.since })
    .from(follow)
    .innerJoin(actor, eq(actor.id, follow.follower))
    .where(and(eq(follow.followee, followee), eq(follow.state, "requested")))
    .orderBy(follow.since)
    .limit(REQUESTS_MAX);
}

/** So many requests are shown at once: nobody reads more. */
const REQUESTS_MAX = 200;

const isPair = (follower: ActorId, followee: ActorId) =>
  and(eq(follow.follower, follower), eq(follow.followee, followee));

/** Says to a follower elsewhere that he may follow, or may not. */
export async function tellAnswer(
  tx: Tx,
  origin: string,
  { actor: sender, name }: Account,
  { uri, follower }: typeof follow.$inferSelect,
  type: "Accept" | "Reject",
  at: Temporal.Instant,
): Promise<void> {
  const [asked] = await tx.select({ uri: actor.uri }).from(actor).where(eq(actor.id, follower));
  const own = actorUri(origin, name);
  await tell(tx, {
    sender,
    activity: type,
    document: answerDocument(`${own}#answers/${await newId(tx, at)}`, type, {
      id: uri,
      follower: asked!.uri,
      followee: own,
    }),
    subject: pairOf(sender, follower),
    to: [follower],
    at,
  });
}
