/** What follows from an activity and needs the network: jobs, each safe to run again. */

import { eq, sql } from "drizzle-orm";
import { isDocument } from "../../rules/activity-streams.ts";
import { actor } from "../../features/account/schema.ts";
import { takeBoost } from "../../features/post/boost.ts";
import { type ReadPost, readPost } from "../../features/post/read.ts";
import { authorsOf, keepPost } from "../../features/post/receive.ts";
import { type Database, type Drizzle, retrying, type Tx } from "../../store/database.ts";
import { handle, type JobHandler, type JobKind } from "../../store/jobs.ts";
import { Refusal } from "../../store/refusal.ts";
import { type Clock, Temporal } from "../../store/time.ts";
import { type Fetcher, isGone } from "./fetch.ts";

/** Strangers cause these jobs: what their servers do not answer within minutes is not worth more. */
const ATTEMPTS_MAX = 5;

/** Somebody who is followed passed on a post that is not known here. */
export const postBoosted: JobKind<{
  /** The Announce. */
  readonly id: string;
  readonly actor: string;
  readonly object: string;
  readonly at: string;
}> = { name: "post.boosted", attemptsMax: ATTEMPTS_MAX };

/** Somebody says that he has moved. */
export const actorMoved: JobKind<{
  readonly actor: string;
  readonly target: string;
}> = { name: "actor.moved", attemptsMax: ATTEMPTS_MAX };

/** What the jobs need. */
export interface AfterwardsParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly fetcher: Fetcher;
}

/** The jobs of this edge. */
export function afterwardsJobs(parts: AfterwardsParts): readonly JobHandler[] {
  return [
    handle(postBoosted, (payload) => quietly(() => fetchBoosted(parts, payload))),
    handle(actorMoved, (payload) => quietly(() => checkMove(parts, payload))),
  ];
}

/**
 * Fetches a post from its own server and keeps it.
 *
 * @param isWanted looks at it first, where not every post is meant
 * @returns undefined when it is no post, or not its author's, or not wanted
 * @throws EgressError or StatusError when its server cannot be asked, Refusal "payee_blocked" when it may not be
 */
export async function fetchPost(
  { database, clock, fetcher }: AfterwardsParts,
  address: string,
  isWanted: (read: ReadPost) => boolean = () => true,
): Promise<{ readonly id: bigint; readonly uri: string } | undefined> {
  const { document, url } = await fetcher.document(address);
  // What is served speaks for itself only: its id is where it came from.
  if (!isDocument(document) || document["id"] !== url) return undefined;
  const [author] = authorsOf(document);
  if (author === undefined) return undefined;
  await fetcher.refuseBlocked(author);
  const by = await fetcher.actor(author);
  const at = clock.now();
  const id = await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const read = readPost(document, author, await followersOf(tx, by), at);
      if (read.visibility !== "public" && read.visibility !== "unlisted") return undefined;
      if (!isWanted(read)) return undefined;
      return keepPost(tx, database.settings, { read, author: by, at });
    }),
  );
  return id === undefined ? undefined : { id, uri: url };
}

async function fetchBoosted(
  parts: AfterwardsParts,
  { id, actor: by, object, at }: NonNullable<(typeof postBoosted)["payload"]>,
): Promise<void> {
  const found = await fetchPost(parts, object);
  if (found === undefined) return;
  const { database } = parts;
  await retrying(() =>
    database.drizzle.transaction((tx) =>
      takeBoost(tx, {
        id,
        actor: BigInt(by),
        object: found.uri,
        at: Temporal.Instant.from(at),
      }),
    ),
  );
}

async function checkMove(
  { database, clock, fetcher }: AfterwardsParts,
  { actor: gone, target }: NonNullable<(typeof actorMoved)["payload"]>,
): Promise<void> {
  const there = await fetcher.actor(target, { newerThan: clock.now() });
  await database.drizzle
    .update(actor)
    .set({ movedTo: target })
    .where(
      sql`${actor.id} = ${BigInt(gone)}
        AND EXISTS (SELECT FROM actor t WHERE t.id = ${there} AND t.also_known_as ? ${actor.uri})`,
    );
}

/** Does what was asked for: what is gone or is not what it says needs no second try; a server that does not answer does. */
export async function quietly(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal) && !isGone(error)) throw error;
  }
}

/** The address of somebody's followers, where it is known. */
export async function followersOf(tx: Tx | Drizzle, id: bigint): Promise<string | null> {
  const [row] = await tx.select({ followers: actor.followers }).from(actor).where(eq(actor.id, id));
  return row?.followers ?? null;
}
