/**
 * Reading what other servers keep in collections: the newest posts of somebody who is newly followed, the answers to a
 * post that somebody looks at, and what it answers. Collections are of strangers, so little of each is read.
 */

import { eq, sql } from "drizzle-orm";
import { type Document, idOf, isDocument, listOf, typesOf } from "../../rules/activity-streams.ts";
import { canonicalAddress, sameOrigin } from "../../rules/address.ts";
import { actor } from "../../features/account/schema.ts";
import { actorBackfill } from "../../features/follow/arrive.ts";
import { bringPost } from "../../features/post/home.ts";
import { POST_TYPES, type ReadPost, readPost } from "../../features/post/read.ts";
import { keepPost } from "../../features/post/receive.ts";
import { missingAbove, postAncestors, postReplies } from "../../features/post/thread.ts";
import { retrying } from "../../store/database.ts";
import { handle, type JobHandler } from "../../store/jobs.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import { type AfterwardsParts, fetchPost, followersOf, quietly } from "./afterwards.ts";
import { type Fetcher, isTheirs } from "./fetch.ts";

/** Pages of one collection that are read, whatever it says of its length. */
const PAGES_MAX = 2;

/** Entries of one collection that are looked at. */
const ITEMS_MAX = 20;

/** Posts upwards of one that are fetched at once. */
const ANCESTORS_MAX = 20;

/** How often the newest posts of one actor are read at most, in hours. */
const OUTBOX_AGAIN_HOURS = 6;

/** Collections and their pages. @see https://www.w3.org/TR/activitystreams-core/#collections */
const COLLECTION_TYPES: ReadonlySet<string> = new Set([
  "Collection",
  "CollectionPage",
  "OrderedCollection",
  "OrderedCollectionPage",
]);

/** The jobs that read collections. */
export function backfillJobs(parts: AfterwardsParts): readonly JobHandler[] {
  return [
    handle(actorBackfill, (payload) => quietly(() => readOutbox(parts, BigInt(payload.actor)))),
    handle(postReplies, (payload) => quietly(() => readThread(parts, BigInt(payload.post)))),
    handle(postAncestors, (payload) => quietly(() => readAbove(parts, BigInt(payload.post)))),
  ];
}

/** Keeps the newest posts of somebody elsewhere, at their places in the home timelines of who follows him from here. */
async function readOutbox(parts: AfterwardsParts, id: bigint): Promise<void> {
  const { database, clock, fetcher } = parts;
  const { drizzle, settings } = database;
  const [who] = await drizzle.select().from(actor).where(eq(actor.id, id));
  if (who === undefined || who.outbox === null || who.deletedAt !== null) return;
  const { uri, outbox, outboxReadAt } = who;
  if (sameOrigin(uri, settings.origin) || !sameOrigin(outbox, uri)) return;
  if (isRecent(outboxReadAt, clock.real())) return;
  await fetcher.refuseBlocked(uri);
  const items = await readCollection(fetcher, outbox, uri);
  // Asked for, whatever became of it: who follows in the next hours does not ask again.
  await drizzle.update(actor).set({ outboxReadAt: clock.real() }).where(eq(actor.id, id));
  for (const item of items) {
    const post = postOf(item, uri);
    if (post === undefined) continue;
    await leniently<unknown>(() =>
      typeof post === "string"
        ? fetchPost(parts, post, ({ thing }) => thing.payees.some(({ payee }) => payee === uri))
        : keepEmbedded(parts, post, { id, uri }),
    );
  }
}

function isRecent(readAt: Temporal.Instant | null, now: Temporal.Instant): boolean {
  return (
    readAt !== null &&
    readAt.epochMilliseconds > now.subtract({ hours: OUTBOX_AGAIN_HOURS }).epochMilliseconds
  );
}

/** The post of an entry of his outbox: embedded, where it is of his server and so is what it came in; else its id. */
function postOf(item: unknown, author: string): Document | string | undefined {
  if (!isDocument(item) || !typesOf(item).includes("Create")) return undefined;
  if (idOf(item["actor"]) !== author) return undefined;
  const [object] = listOf(item["object"]);
  const id = idOf(object);
  if (id === undefined || !sameOrigin(id, author)) return undefined;
  const isWhole = isDocument(object) && typesOf(object).some((type) => POST_TYPES.has(type));
  return isWhole ? object : id;
}

/** Keeps a post that came from its author's own server inside something else. */
async function keepEmbedded(
  { database, clock }: AfterwardsParts,
  document: Document,
  author: { readonly id: bigint; readonly uri: string },
): Promise<void> {
  const at = clock.now();
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const read = readPost(document, author.uri, await followersOf(tx, author.id), at);
      if (read.visibility !== "public" && read.visibility !== "unlisted") return;
      await keepPost(tx, database.settings, { read, author: author.id, at });
    }),
  );
}

/** Fetches what a post answers, and then the answers to it that its own server names. */
async function readThread(parts: AfterwardsParts, id: bigint): Promise<void> {
  const { database, fetcher } = parts;
  await readAbove(parts, id);
  const [post] = await database.drizzle.execute<{ uri: string }>(sql`
    SELECT t.uri FROM post p JOIN thing t ON t.id = p.thing WHERE p.id = ${id}::bigint AND p.deleted_at IS NULL`);
  if (post === undefined || sameOrigin(post.uri, database.settings.origin)) return;
  const { document, url } = await fetcher.document(post.uri);
  if (document["id"] !== post.uri || !sameOrigin(url, post.uri)) return;
  const items = await readCollection(fetcher, document["replies"], post.uri);
  const named = [...new Set(items.map(idOf))].filter(
    (one) =>
      one !== undefined &&
      canonicalAddress(one) !== undefined &&
      !sameOrigin(one, database.settings.origin),
  ) as string[];
  const known = await database.drizzle.execute<{ uri: string }>(sql`
    SELECT t.uri FROM thing t JOIN post p ON p.thing = t.id
     WHERE t.uri IN (SELECT value FROM jsonb_array_elements_text(${JSON.stringify(named)}::jsonb))`);
  const isKnown = new Set(known.map(({ uri }) => uri));
  // What it lists must be of this conversation: nobody makes us keep what he likes.
  const conversation = new Set([post.uri, ...named]);
  const isAnswer = ({ inReplyTo }: ReadPost) => inReplyTo !== null && conversation.has(inReplyTo);
  for (const uri of named)
    if (!isKnown.has(uri)) await leniently(() => fetchPost(parts, uri, isAnswer));
}

/** Fetches what a post answers, one after the other upwards; then each of them may belong into more home timelines. */
async function readAbove(parts: AfterwardsParts, id: bigint): Promise<void> {
  const { database, clock } = parts;
  const found: bigint[] = [];
  while (found.length < ANCESTORS_MAX) {
    const missing = await missingAbove(database.drizzle, id);
    if (missing === undefined || sameOrigin(missing, database.settings.origin)) break;
    const post = await leniently(() => fetchPost(parts, missing));
    // A page, another spelling of its id, or something that was deleted: there is no way on.
    if (post?.uri !== missing) break;
    found.push(post.id);
  }
  if (found.length === 0) return;
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      for (const one of [...found, id].toSorted((first, second) => (first < second ? -1 : 1)))
        await bringPost(tx, one, { at: clock.now(), isNews: false });
    }),
  );
}

/**
 * The first entries of a collection, which must be of the origin of whom it belongs to, and so each of its pages.
 *
 * @param collection its address, or itself
 * @throws what the fetcher throws, for its first document
 */
async function readCollection(
  fetcher: Fetcher,
  collection: unknown,
  owner: string,
): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  const seen = new Set<string>();
  let next = collection;
  // The collection itself comes before its pages.
  for (let steps = 0; steps <= PAGES_MAX && items.length < ITEMS_MAX; steps += 1) {
    const page = await pageOf(fetcher, next, owner, seen);
    if (page === undefined) break;
    const found = listOf(page["orderedItems"] ?? page["items"]);
    items.push(...found.slice(0, ITEMS_MAX - items.length));
    next = typesOf(page).some((type) => type.endsWith("Page")) ? page["next"] : page["first"];
  }
  return items;
}

/** A collection or a page of it, each address once; undefined for what is neither, or of another origin. */
async function pageOf(
  fetcher: Fetcher,
  page: unknown,
  owner: string,
  seen: Set<string>,
): Promise<Document | undefined> {
  const [one] = listOf(page);
  const isCollection = (document: Document) =>
    typesOf(document).some((type) => COLLECTION_TYPES.has(type));
  // Embedded in what was fetched from there; where nothing is in it, it is only named.
  if (isDocument(one) && isCollection(one)) {
    const isWhole = ["items", "orderedItems", "first"].some((name) => one[name] !== undefined);
    if (isWhole) return one;
  }
  const address = idOf(one);
  if (address === undefined || !sameOrigin(address, owner) || seen.has(address)) return undefined;
  seen.add(address);
  const { document, url } = await fetcher.document(address);
  return sameOrigin(url, owner) && isCollection(document) ? document : undefined;
}

/** One entry that cannot be read keeps nobody from the others. */
async function leniently<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal || isTheirs(error)) return undefined;
    throw error;
  }
}
