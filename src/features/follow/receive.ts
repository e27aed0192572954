/** What people of other servers say about following: each function is the effect of one activity. */

import { and, eq, isNull, or, sql } from "drizzle-orm";
import type { Settings, Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { account, actor } from "../account/schema.ts";
import { tell, untell } from "../activity/tell.ts";
import { answerDocument } from "./documents.ts";
import { newId, pairOf } from "./follow.ts";
import { follow } from "./schema.ts";

/** A Follow that arrived. */
export interface TakenFollow {
  readonly id: string;
  readonly follower: ActorId;
  readonly followerUri: string;
  /** The URI of whoever is to be followed. */
  readonly object: string;
  readonly at: Temporal.Instant;
}

/**
 * Somebody elsewhere wants to follow somebody here, and may at once unless that one decides himself. A Follow that
 * comes again is answered again: the first answer may have been lost.
 *
 * @returns the state of the follow; undefined when there is nobody here of that address
 */
export async function takeFollow(
  tx: Tx,
  { origin }: Settings,
  { id, follower, followerUri, object, at }: TakenFollow,
): Promise<"requested" | "accepted" | undefined> {
  const [found] = await tx
    .select({ id: actor.id, isLocked: actor.isLocked, account: account.id })
    .from(actor)
    .leftJoin(account, eq(account.actor, actor.id))
    .where(and(eq(actor.uri, object), isNull(actor.deletedAt)));
  // The instance's own bot has no account and can be followed, too; the instance actor cannot.
  const isOwn =
    found !== undefined && (found.account !== null || object === `${origin}/users/flattr`);
  if (!isOwn) return undefined;
  const [row] = await tx
    .insert(follow)
    .values({
      follower,
      followee: found.id,
      uri: id,
      state: found.isLocked ? "requested" : "accepted",
      since: at,
    })
    .onConflictDoUpdate({ target: [follow.follower, follow.followee], set: { uri: id } })
    .returning();
  if (row!.state === "accepted") {
    const answer = { sender: found.id, activity: "Accept", subject: pairOf(found.id, follower) };
    // One answer is enough, to the newest question: whoever asks without end must not make a queue.
    await untell(tx, answer);
    await tell(tx, {
      ...answer,
      document: answerDocument(`${object}#answers/${await newId(tx, at)}`, "Accept", {
        id,
        follower: followerUri,
        followee: object,
      }),
      to: [follower],
      at,
    });
  }
  return row!.state;
}

/** An answer to a Follow of somebody here. */
export interface TakenAnswer {
  readonly answer: "Accept" | "Reject";
  /** Who answers: whoever was to be followed. */
  readonly actor: ActorId;
  /** The id of the Follow, where it is named. */
  readonly followId: string | undefined;
  /** The URI of the follower, where the Follow is embedded. */
  readonly follower: string | undefined;
}

/** The one who was asked accepts, or refuses, now or later. @returns false when nothing like that was asked */
export async function takeAnswer(
  tx: Tx,
  { answer, actor: followee, followId, follower }: TakenAnswer,
): Promise<boolean> {
  const which = and(eq(follow.followee, followee), isMeant(followId, "follower", follower));
  const rows =
    answer === "Accept"
      ? await tx.update(follow).set({ state: "accepted" }).where(which).returning()
      : await tx.delete(follow).where(which).returning();
  return rows.length > 0;
}

/** Somebody elsewhere no longer follows. @returns false when there was no such follow */
export async function takeUnfollow(
  tx: Tx,
  {
    follower,
    followId,
    followee,
  }: { follower: ActorId; followId: string | undefined; followee: string | undefined },
): Promise<boolean> {
  const gone = await tx
    .delete(follow)
    .where(and(eq(follow.follower, follower), isMeant(followId, "followee", followee)))
    .returning();
  return gone.length > 0;
}

/** Somebody elsewhere wants nothing to do with somebody here: neither follows the other any more. */
export async function takeBlock(
  tx: Tx,
  { actor: blocker, object }: { actor: ActorId; object: string },
): Promise<boolean> {
  const blocked = sql`(SELECT id FROM actor WHERE uri = ${object})`;
  const gone = await tx
    .delete(follow)
    .where(
      or(
        and(eq(follow.follower, blocker), sql`${follow.followee} = ${blocked}`),
        and(eq(follow.followee, blocker), sql`${follow.follower} = ${blocked}`),
      ),
    )
    .returning();
  return gone.length > 0;
}

/** Somebody is gone: so are the follows of and by them. */
export async function forgetFollows(tx: Tx, gone: ActorId): Promise<void> {
  await tx.delete(follow).where(or(eq(follow.follower, gone), eq(follow.followee, gone)));
}

/** True when anybody follows this actor; of actors elsewhere only followers of this instance are known. */
export async function isFollowed(tx: Tx, followee: ActorId): Promise<boolean> {
  const [row] = await tx
    .select({ follower: follow.follower })
    .from(follow)
    .where(and(eq(follow.followee, followee), eq(follow.state, "accepted")))
    .limit(1);
  return row !== undefined;
}

/** By the id of the Follow, or by the other actor: some servers name an id that they never sent. */
function isMeant(
  followId: string | undefined,
  side: "follower" | "followee",
  other: string | undefined,
) {
  return or(
    followId === undefined ? sql`false` : eq(follow.uri, followId),
    other === undefined
      ? sql`false`
      : sql`${follow[side]} = (SELECT id FROM actor WHERE uri = ${other})`,
  );
}
