/** Following and no longer following, by people of this instance. */

import { and, eq, isNull, sql } from "drizzle-orm";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { actorUri, type Account } from "../account/create.ts";
import { account, actor } from "../account/schema.ts";
import { tell } from "../activity/tell.ts";
import { notify, unnotify } from "../notice/notify.ts";
import { beginFollow, dropBoosts, endFollow } from "./arrive.ts";
import { isBlockedEitherWay } from "./blocked.ts";
import { followDocument, unfollowDocument } from "./documents.ts";
import { follow } from "./schema.ts";

/** requested: the other has to answer first. */
export type FollowState = "requested" | "accepted";

/** Whom somebody of this instance follows, and how. */
export interface OwnFollow {
  readonly follower: Account;
  readonly uri: string;
  readonly at: Temporal.Instant;
  /** He wants to see what the other passes on; true at first. */
  readonly showsBoosts?: boolean | undefined;
  /** He wants to be told of each post; false at first. */
  readonly notifies?: boolean | undefined;
}

/**
 * Follows somebody by URI. Somebody elsewhere is asked, and must have been fetched before. Following twice changes
 * nothing but what is wanted to be seen.
 *
 * @throws Refusal "follow_invalid" for oneself, "follow_elsewhere" for somebody whose inbox is not known,
 *   "follow_blocked" when one of the two blocks the other
 */
export async function followActor(
  database: Database,
  { follower, uri, at, showsBoosts, notifies }: OwnFollow,
): Promise<FollowState> {
  const { origin } = database.settings;
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [found] = await tx
        .select({ actor, account: account.id })
        .from(actor)
        .leftJoin(account, eq(account.actor, actor.id))
        .where(and(eq(actor.uri, uri), isNull(actor.deletedAt)));
      const isOwn = found?.account !== null;
      if (found === undefined || (!isOwn && found.actor.inbox === null))
        throw new Refusal("follow_elsewhere", { uri });
      if (found.actor.id === follower.actor) throw new Refusal("follow_invalid");
      const pair = { follower: follower.actor, followee: found.actor.id };
      if (await isBlockedEitherWay(tx, pair.follower, pair.followee))
        throw new Refusal("follow_blocked");
      const own = actorUri(origin, follower.name);
      const id = `${own}#follows/${await newId(tx, at)}`;
      const [made] = await tx
        .insert(follow)
        .values({
          ...pair,
          uri: id,
          state: isOwn && !found.actor.isLocked ? "accepted" : "requested",
          since: at,
          ...(showsBoosts === undefined ? {} : { showsBoosts }),
          ...(notifies === undefined ? {} : { notifies }),
        })
        .onConflictDoNothing()
        .returning();
      if (made === undefined) return changeFollow(tx, pair, { showsBoosts, notifies });
      if (made.state === "accepted") await beginFollow(tx, pair);
      if (found.account !== null)
        await notify(tx, {
          account: found.account,
          kind: made.state === "accepted" ? "follow" : "follow_request",
          actor: follower.actor,
          at,
        });
      if (!isOwn)
        await tell(tx, {
          sender: follower.actor,
          activity: "Follow",
          document: followDocument({ id, follower: own, followee: uri }),
          subject: pairOf(follower.actor, found.actor.id),
          to: [found.actor.id],
          at,
        });
      return made.state;
    }),
  );
}

/** No longer follows somebody. @returns false when nobody was followed, and nothing changed */
export async function unfollowActor(
  database: Database,
  { follower, uri, at }: { follower: Account; uri: string; at: Temporal.Instant },
): Promise<boolean> {
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [gone] = await tx
        .delete(follow)
        .where(
          and(
            eq(follow.follower, follower.actor),
            sql`${follow.followee} = (SELECT id FROM actor WHERE uri = ${uri})`,
          ),
        )
        .returning();
      if (gone === undefined) return false;
      await followOver(tx, gone);
      await tellUnfollow(tx, actorUri(database.settings.origin, follower.name), gone, uri, at);
      return true;
    }),
  );
}

/** What a follow brought with it goes with it: entries of timelines and lists, and the news of it. */
export async function followOver(tx: Tx, gone: typeof follow.$inferSelect): Promise<void> {
  await endFollow(tx, gone);
  await unnotify(tx, {
    account: sql`SELECT x.id FROM account x WHERE x.actor = ${gone.followee}::bigint`,
    kinds: ["follow", "follow_request"],
    actor: gone.follower,
  });
}

/** Tells somebody elsewhere that he is not followed any more. `own` and `uri`: the URIs of both. */
export async function tellUnfollow(
  tx: Tx,
  own: string,
  gone: typeof follow.$inferSelect,
  uri: string,
  at: Temporal.Instant,
): Promise<void> {
  await tell(tx, {
    sender: gone.follower,
    activity: "Undo",
    document: unfollowDocument(`${own}#undos/${await newId(tx, at)}`, {
      id: gone.uri,
      follower: own,
      followee: uri,
    }),
    subject: pairOf(gone.follower, gone.followee),
    to: [gone.followee],
    at,
  });
}

/** What is said about two actors is said in order, whoever of them follows. */
export function pairOf(one: ActorId, other: ActorId): bigint {
  return one ^ other;
}

/** A number for an activity's id. */
export async function newId(tx: Tx, at: Temporal.Instant): Promise<bigint> {
  const [row] = await tx.execute<{ id: string }>(sql`SELECT new_id(${sqlTime(at)}) AS id`);
  return BigInt(row!.id);
}

/** Changes what is wanted to be seen of somebody who is followed already. */
async function changeFollow(
  tx: Tx,
  pair: { readonly follower: ActorId; readonly followee: ActorId },
  wanted: Pick<OwnFollow, "showsBoosts" | "notifies">,
): Promise<FollowState> {
  const which = and(eq(follow.follower, pair.follower), eq(follow.followee, pair.followee));
  const set = Object.fromEntries(
    Object.entries(wanted).filter(([, value]) => value !== undefined),
  ) as Partial<typeof follow.$inferInsert>;
  if (Object.keys(set).length > 0) await tx.update(follow).set(set).where(which);
  if (wanted.showsBoosts === false) await dropBoosts(tx, pair);
  const [known] = await tx.select({ state: follow.state }).from(follow).where(which);
  return known?.state ?? "requested";
}
