/** Passing posts on: `Announce`, by people of this instance and of others. */

import { and, eq, isNull, or, sql } from "drizzle-orm";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { actorUri, type Account } from "../account/create.ts";
import { actor } from "../account/schema.ts";
import { tell } from "../activity/tell.ts";
import { thing } from "../thing/schema.ts";
import { bringBoost, withdrawBoosts } from "./home.ts";
import { type Boost, boostDocument, unboostDocument } from "./note.ts";
import { boost, post } from "./schema.ts";

/** Somebody of this instance and a post. */
export interface OwnBoost {
  readonly account: Account;
  readonly post: bigint;
  readonly at: Temporal.Instant;
}

/**
 * Passes a post on to one's followers. Again changes nothing.
 *
 * @returns the boost's id
 * @throws Refusal "not_found" when there is no such post, or it is not for everybody
 */
export async function boostPost(
  database: Database,
  { account, post: id, at }: OwnBoost,
): Promise<bigint> {
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const found = await openPost(tx, eq(post.id, id));
      if (found === undefined) throw new Refusal("not_found");
      const own = actorUri(database.settings.origin, account.name);
      const [row] = await tx.execute<{ id: string }>(sql`SELECT new_id(${sqlTime(at)}) AS id`);
      const uri = `${own}#boosts/${row!.id}`;
      const [made] = await tx
        .insert(boost)
        .values({ id: BigInt(row!.id), actor: account.actor, post: id, uri, at })
        .onConflictDoNothing()
        .returning();
      if (made === undefined) return boostBy(tx, account.actor, id);
      await bringBoost(tx, made.id, at);
      await tellBoost(
        tx,
        account,
        found,
        "Announce",
        {
          id: uri,
          actor: own,
          post: found.uri,
          author: found.authorUri,
          at,
        },
        at,
      );
      return made.id;
    }),
  );
}

async function boostBy(tx: Tx, by: ActorId, of: bigint): Promise<bigint> {
  const [known] = await tx
    .select({ id: boost.id })
    .from(boost)
    .where(and(eq(boost.actor, by), eq(boost.post, of)));
  if (known === undefined) throw new Refusal("not_found");
  return known.id;
}

/** Takes a boost back. Changes nothing when there is none. */
export async function unboostPost(
  database: Database,
  { account, post: id, at }: OwnBoost,
): Promise<void> {
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [gone] = await tx
        .delete(boost)
        .where(and(eq(boost.actor, account.actor), eq(boost.post, id)))
        .returning();
      if (gone === undefined) return;
      await withdrawBoosts(tx, [gone], at);
      const [found] = await tx
        .select({ id: post.id, uri: thing.uri, author: post.author, authorUri: actor.uri })
        .from(post)
        .innerJoin(thing, eq(thing.id, post.thing))
        .innerJoin(actor, eq(actor.id, post.author))
        .where(eq(post.id, id));
      await tellBoost(
        tx,
        account,
        found!,
        "Undo",
        {
          id: gone.uri,
          actor: actorUri(database.settings.origin, account.name),
          post: found!.uri,
          author: found!.authorUri,
          at: gone.at,
        },
        at,
      );
    }),
  );
}

/** An Announce that arrived. */
export interface TakenBoost {
  readonly id: string;
  readonly actor: ActorId;
  /** The URI of what is passed on. */
  readonly object: string;
  readonly at: Temporal.Instant;
}

/** Somebody elsewhere passes a post on. @returns false when no such post is known here, or it is not for everybody */
export async function takeBoost(
  tx: Tx,
  { id, actor: by, object, at }: TakenBoost,
): Promise<boolean> {
  const found = await openPost(tx, eq(thing.uri, object));
  if (found === undefined) return false;
  const [made] = await tx
    .insert(boost)
    .values({ id: sql`new_id(${sqlTime(at)})`, actor: by, post: found.id, uri: id, at })
    .onConflictDoNothing()
    .returning({ id: boost.id });
  if (made !== undefined) await bringBoost(tx, made.id, at);
  return true;
}

/** Somebody elsewhere takes a boost back. @returns false when there was none */
export async function takeUnboost(
  tx: Tx,
  {
    actor: by,
    id,
    object,
    at,
  }: {
    actor: ActorId;
    id: string | undefined;
    object: string | undefined;
    at: Temporal.Instant;
  },
): Promise<boolean> {
  const gone = await tx
    .delete(boost)
    .where(
      and(
        eq(boost.actor, by),
        or(
          id === undefined ? sql`false` : eq(boost.uri, id),
          object === undefined
            ? sql`false`
            : sql`${boost.post} = (SELECT p.id FROM post p JOIN thing t ON t.id = p.thing WHERE t.uri = ${object})`,
        ),
      ),
    )
    .returning();
  await withdrawBoosts(tx, gone, at);
  return gone.length > 0;
}

interface OpenPost {
  readonly id: bigint;
  readonly uri: string;
  readonly author: ActorId;
  readonly authorUri: string;
}

/** A post that everybody may see: only such are passed on. */
async function openPost(tx: Tx, which: ReturnType<typeof eq>): Promise<OpenPost | undefined> {
  const [found] = await tx
    .select({ id: post.id, uri: thing.uri, author: post.author, authorUri: actor.uri })
    .from(post)
    .innerJoin(thing, eq(thing.id, post.thing))
    .innerJoin(actor, eq(actor.id, post.author))
    .where(and(which, isNull(post.deletedAt), sql`${post.visibility} IN ('public', 'unlisted')`));
  return found;
}

async function tellBoost(
  tx: Tx,
  { actor: sender }: Account,
  { id, author }: OpenPost,
  activity: "Announce" | "Undo",
  document: Boost,
  at: Temporal.Instant,
): Promise<void> {
  await tell(tx, {
    sender,
    activity,
    document: activity === "Announce" ? boostDocument(document) : unboostDocument(document),
    // A boost and its end are one subject for each who boosts, so that the end never overtakes.
    subject: sender ^ id,
    at,
    to: [author],
    followersOf: sender,
  });
}
