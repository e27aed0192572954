/** What people of other servers say about following: each function is the effect of one activity. */

import { and, eq, isNull, or, sql } from "drizzle-orm";
import type { Settings, Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { account, actor } from "../account/schema.ts";
import { tell, untell } from "../activity/tell.ts";
import { notify } from "../notice/notify.ts";
import { beginFollow } from "./arrive.ts";
import { isBlockedBy } from "./blocked.ts";
import { answerDocument } from "./documents.ts";
import { followOver, newId, pairOf } from "./follow.ts";
import { follow, personBlock } from "./schema.ts";

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
 * comes again is answered again: the first answer may have been lost. Whoever is blocked is refused.
 *
 * @returns the state of the follow; undefined when there is nobody here of that address
 */
export async function takeFollow(
  tx: Tx,
  { origin }: Settings,
  { id, follower, followerUri, object, at }: TakenFollow,
): Promise<"requested" | "accepted" | "refused" | undefined> {
  const [found] = await tx
    .select({ id: actor.id, isLocked: actor.isLocked, account: account.id })
    .from(actor)
    .leftJoin(account, eq(account.actor, actor.id))
    .where(and(eq(actor.uri, object), isNull(actor.deletedAt)));
  // The instance's own bot has no account and can be followed, too; the instance actor cannot.
  const isOwn =
    found !== undefined && (found.account !== null || object === `${origin}/users/flattr`);
  if (!isOwn) return undefined;
  const answer = async (type: "Accept" | "Reject") => {
    const said = { sender: found.id, activity: type, subject: pairOf(found.id, follower) };
    // One answer is enough, to the newest question: whoever asks without end must not make a queue.
    await untell(tx, said);
    await tell(tx, {
      ...said,
      document: answerDocument(`${object}#answers/${await newId(tx, at)}`, type, {
        id,
        follower: followerUri,
        followee: object,
      }),
      to: [follower],
      at,
    });
  };
  if (await isBlockedBy(tx, found.id, follower)) {
    await answer("Reject");
    return "refused";
  }
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
    .returning({ state: follow.state, isNew: sql<boolean>`xmax = 0` });
  if (row!.isNew && found.account !== null)
    await notify(tx, {
      account: found.account,
      kind: row!.state === "accepted" ? "follow" : "follow_request",
      actor: follower,
      at,
    });
  if (row!.state === "accepted") await answer("Accept");
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
  if (answer === "Reject") {
    const gone = await tx.delete(follow).where(which).returning();
    for (const one of gone) await followOver(tx, one);
    return gone.length > 0;
  }
  const asked = await tx
    .select({ follower: follow.follower, followee: follow.followee, state: follow.state })
    .from(follow)
    .where(which)
    .for("update");
  await tx.update(follow).set({ state: "accepted" }).where(which);
  for (const { state, ...pair } of asked) if (state === "requested") await beginFollow(tx, pair);
  return asked.length > 0;
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
  for (const one of gone) await followOver(tx, one);
  return gone.length > 0;
}

/** A Block that arrived. */
export interface TakenBlock {
  readonly id: string;
  readonly actor: ActorId;
  /** The URI of whoever is blocked. */
  readonly object: string;
  readonly at: Temporal.Instant;
}

/**
 * Somebody elsewhere wants nothing to do with somebody here: neither follows the other any more, and who is blocked
 * sees nothing of who blocks.
 *
 * @returns false when there is nobody here of that address
 */
export async function takeBlock(
  tx: Tx,
  { id, actor: blocker, object, at }: TakenBlock,
): Promise<boolean> {
  const [found] = await tx
    .select({ id: actor.id })
    .from(actor)
    .innerJoin(account, eq(account.actor, actor.id))
    .where(eq(actor.uri, object));
  if (found === undefined) return false;
  await tx
    .insert(personBlock)
    .values({ blocker, blocked: found.id, uri: id, since: at })
    .onConflictDoUpdate({
      target: [personBlock.blocker, personBlock.blocked],
      set: { uri: id },
    });
  for (const one of await dropBetween(tx, blocker, found.id)) await followOver(tx, one);
  return true;
}

/** Somebody elsewhere takes a Block back. @returns false when there was none */
export async function takeUnblock(
  tx: Tx,
  {
    actor: blocker,
    id,
    object,
  }: { actor: ActorId; id: string | undefined; object: string | undefined },
): Promise<boolean> {
  const gone = await tx
    .delete(personBlock)
    .where(
      and(
        eq(personBlock.blocker, blocker),
        or(
          id === undefined ? sql`false` : eq(personBlock.uri, id),
          object === undefined
            ? sql`false`
            : sql`${personBlock.blocked} = (SELECT id FROM actor WHERE uri = ${object})`,
        ),
      ),
    )
    .returning();
  return gone.length > 0;
}

/** Ends the follows between two, in both directions. @returns those that there were */
export async function dropBetween(tx: Tx, one: ActorId, other: ActorId) {
  return tx
    .delete(follow)
    .where(
      or(
        and(eq(follow.follower, one), eq(follow.followee, other)),
        and(eq(follow.follower, other), eq(follow.followee, one)),
      ),
    )
    .returning();
}

/** Somebody is gone: so are the follows of and by them. */
export async function forgetFollows(tx: Tx, gone: ActorId): Promise<void> {
  const over = await tx
    .delete(follow)
    .where(or(eq(follow.follower, gone), eq(follow.followee, gone)))
    .returning();
  for (const one of over) await followOver(tx, one);
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
