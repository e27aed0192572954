/** Following and no longer following, by people of this instance. */

import { and, eq, isNull, sql } from "drizzle-orm";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { actorUri, type Account } from "../account/create.ts";
import { account, actor } from "../account/schema.ts";
import { tell } from "../activity/tell.ts";
import { followDocument, unfollowDocument } from "./documents.ts";
import { follow } from "./schema.ts";

/** requested: the other has to answer first. */
export type FollowState = "requested" | "accepted";

/**
 * Follows somebody by URI. Somebody elsewhere is asked, and must have been fetched before. Following twice changes
 * nothing.
 *
 * @throws Refusal "follow_invalid" for oneself, "follow_elsewhere" for somebody whose inbox is not known
 */
export async function followActor(
  database: Database,
  { follower, uri, at }: { follower: Account; uri: string; at: Temporal.Instant },
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
      const own = actorUri(origin, follower.name);
      const id = `${own}#follows/${await newId(tx, at)}`;
      const [made] = await tx
        .insert(follow)
        .values({
          follower: follower.actor,
          followee: found.actor.id,
          uri: id,
          state: isOwn && !found.actor.isLocked ? "accepted" : "requested",
          since: at,
        })
        .onConflictDoNothing()
        .returning();
      if (made === undefined) return stateOf(tx, follower.actor, found.actor.id);
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
      const own = actorUri(database.settings.origin, follower.name);
      await tell(tx, {
        sender: follower.actor,
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
      return true;
    }),
  );
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

async function stateOf(tx: Tx, follower: ActorId, followee: ActorId): Promise<FollowState> {
  const [known] = await tx
    .select({ state: follow.state })
    .from(follow)
    .where(and(eq(follow.follower, follower), eq(follow.followee, followee)));
  return known?.state ?? "requested";
}
