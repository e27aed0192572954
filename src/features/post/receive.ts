/** Posts of other servers: each function is the effect of one activity. */

import { and, eq, isNull, sql } from "drizzle-orm";
import { sameOrigin } from "../../rules/address.ts";
import { type Document, idsOf } from "../../rules/activity-streams.ts";
import type { Settings, Tx } from "../../store/database.ts";
import { addJob } from "../../store/jobs.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { account, actor } from "../account/schema.ts";
import { activity } from "../activity/schema.ts";
import { takeOnce } from "../activity/taken.ts";
import { forgetFollows, isFollowed } from "../follow/receive.ts";
import { thing } from "../thing/schema.ts";
import { rememberThing } from "../thing/thing.ts";
import { bringPost, tellOfEdit, tellOfPost, withdrawBoosts } from "./home.ts";
import { actorsOfUris, keepMarks } from "./marks.ts";
import { isVote, takeVote } from "./poll.ts";
import { type ReadPost, readPost } from "./read.ts";
import { boost, favourite, post } from "./schema.ts";
import { missingAbove, postAncestors } from "./thread.ts";
import { emptyPost, keepEdit } from "./write.ts";

/** A post in an activity of its author. */
export interface TakenPost {
  readonly document: Document;
  readonly actor: ActorId;
  readonly actorUri: string;
  readonly at: Temporal.Instant;
}

/**
 * Keeps a post that concerns somebody here: by somebody who is followed from here, or speaking to somebody here, or
 * answering a post of this instance. All others are none of our business. A vote in a poll of this instance is counted,
 * and is no post.
 *
 * @returns the post's id, also when it was known; undefined when it is not kept
 * @throws Refusal "document_invalid" or "no_payee" when it is no post of that author
 */
export async function takePost(
  tx: Tx,
  settings: Settings,
  taken: TakenPost,
): Promise<bigint | undefined> {
  if (isVote(taken.document, settings) && (await takeVote(tx, taken)) !== undefined)
    return undefined;
  const read = readPost(
    taken.document,
    taken.actorUri,
    await followersOf(tx, taken.actor),
    taken.at,
  );
  if (!(await concernsUs(tx, settings, taken.actor, read))) return undefined;
  return keepPost(tx, settings, { read, author: taken.actor, at: taken.at, isNews: true });
}

/** A post that is kept, and whose it is. */
export interface KeptPost {
  readonly read: ReadPost;
  readonly author: ActorId;
  readonly at: Temporal.Instant;
  /** True for what its author just sent: people here are told. */
  readonly isNews?: boolean;
}

/**
 * Keeps a post that somebody here wanted: found by its address, or passed on by somebody who is followed. It comes into
 * the home timelines of its author's followers, at its place by its age.
 *
 * @returns the post's id, also when it was known; undefined when it was deleted before it came
 * @throws Refusal "document_invalid" when its address belongs to somebody else
 */
export async function keepPost(
  tx: Tx,
  settings: Settings,
  { read, author, at, isNews = false }: KeptPost,
): Promise<bigint | undefined> {
  // Its deletion may have overtaken it.
  const [gone] = await tx
    .select({ id: activity.id })
    .from(activity)
    .where(eq(activity.id, tombstoneOf(read.thing.uri, author)));
  if (gone !== undefined) return undefined;
  await refuseTaken(tx, read.thing.uri, author);
  const of = await rememberThing(tx, settings, read.thing, at);
  const [known] = await tx.select({ id: post.id }).from(post).where(eq(post.thing, of));
  if (known !== undefined) return known.id;
  const [made] = await tx
    .insert(post)
    .values({
      id: sql`new_id(${sqlTime(read.at)})`,
      author,
      thing: of,
      ...columnsOf(read),
      visibility: read.visibility,
      inReplyTo: read.inReplyTo,
      at: read.at,
      editedAt: read.updated,
    })
    .onConflictDoNothing({ target: post.thing })
    .returning({ id: post.id, author: post.author });
  if (made === undefined) return undefined;
  await keepMarks(tx, made, await actorsOfUris(tx, read.mentions), read.tags);
  await bringPost(tx, made.id, { at, isNews });
  if (!isNews) return made.id;
  await tellOfPost(tx, made.id, at);
  // What it answers decides in whose home it belongs.
  if (
    read.inReplyTo !== null &&
    read.visibility !== "direct" &&
    (await isFollowed(tx, author)) &&
    (await missingAbove(tx, made.id)) !== undefined
  )
    await addJob(tx, postAncestors, { post: String(made.id) }, `${postAncestors.name}:${made.id}`);
  return made.id;
}

/**
 * The author changed a post. It keeps its id, who may see it and what it answers. An older change that comes later
 * changes nothing; a post that was not known yet is taken as it is now.
 *
 * @returns false when it is not kept here
 * @throws Refusal "document_invalid" or "no_payee" when it is no post of that author
 */
export async function takeEdit(tx: Tx, settings: Settings, taken: TakenPost): Promise<boolean> {
  const read = readPost(
    taken.document,
    taken.actorUri,
    await followersOf(tx, taken.actor),
    taken.at,
  );
  const [row] = await tx
    .select({ post })
    .from(post)
    .innerJoin(thing, eq(thing.id, post.thing))
    .where(and(eq(thing.uri, read.thing.uri), eq(post.author, taken.actor)))
    .for("update", { of: post });
  if (row === undefined) return (await takePost(tx, settings, taken)) !== undefined;
  const known = row.post;
  if (known.deletedAt !== null) return false;
  // Without a date it is a new count of a poll, unless the words are others.
  const edited = read.updated ?? (read.html === known.html ? null : taken.at);
  if (
    edited !== null &&
    known.editedAt !== null &&
    Temporal.Instant.compare(edited, known.editedAt) < 0
  )
    return false;
  const isOther = read.html !== known.html || read.summary !== known.summary;
  if (isOther) await keepEdit(tx, known);
  await tx
    .update(post)
    .set({ ...columnsOf(read), editedAt: edited ?? known.editedAt })
    .where(eq(post.id, known.id));
  await keepMarks(tx, known, await actorsOfUris(tx, read.mentions), read.tags);
  // A new count of a poll is no news.
  if (isOther) await tellOfEdit(tx, { id: known.id, author: taken.actor, at: taken.at });
  return true;
}

/**
 * The author deleted a post. Flattrs that it has still count (R12). One that is not known is remembered as gone, since
 * it may arrive after its deletion.
 *
 * @returns false when nothing of that author is known at this address
 */
export async function takeDeletion(
  tx: Tx,
  { object, actor: by, actorUri, at }: Omit<TakenPost, "document"> & { readonly object: string },
): Promise<boolean> {
  if (!sameOrigin(object, actorUri)) return false;
  await takeOnce(tx, { id: tombstoneOf(object, by), actor: by, kind: "Tombstone", at });
  const [known] = await tx
    .select({ id: post.id, thing: post.thing })
    .from(post)
    .innerJoin(thing, eq(thing.id, post.thing))
    .where(and(eq(thing.uri, object), eq(post.author, by)))
    .for("update", { of: post });
  if (known !== undefined) {
    await emptyPost(tx, known, at);
    return true;
  }
  // Something that was flattred here and is not kept as a post: gone when its author says so.
  const gone = await tx
    .update(thing)
    .set({ deletedAt: at })
    .where(
      and(
        eq(thing.uri, object),
        isNull(thing.deletedAt),
        sql`EXISTS (SELECT FROM split_part s WHERE s.split = ${thing.split} AND s.payee = ${by})`,
        sql`NOT EXISTS (SELECT FROM post p WHERE p.thing = ${thing.id})`,
      ),
    )
    .returning({ id: thing.id });
  return gone.length > 0;
}

/**
 * Where it is remembered that an author deleted something: beside the ids of activities, of which none has a space in
 * it, so that neither takes the place of the other, nor one author that of another.
 */
function tombstoneOf(uri: string, author: ActorId): string {
  return `tombstone ${author} ${uri}`;
}

/** Somebody is gone: so is everything that they wrote, liked, passed on and followed, and what was told of it. */
export async function forgetAuthor(tx: Tx, gone: ActorId, at: Temporal.Instant): Promise<void> {
  // Before what they hang on goes: nothing else leads to them.
  await tx.execute(sql`
    DELETE FROM notification n USING (
      SELECT p.id AS post FROM favourite f JOIN post p ON p.thing = f.thing WHERE f.actor = ${gone}
      UNION SELECT b.post FROM boost b WHERE b.actor = ${gone}) about
     WHERE n.post = about.post AND n.actor = ${gone}`);
  await forgetFollows(tx, gone);
  await tx.delete(favourite).where(eq(favourite.actor, gone));
  await withdrawBoosts(tx, await tx.delete(boost).where(eq(boost.actor, gone)).returning(), at);
  await tx.execute(sql`
    WITH gone AS (
      UPDATE post SET text = NULL, html = '', summary = NULL, attachments = NULL, poll = NULL, in_reply_to = NULL, url = NULL,
                      pinned_at = NULL, deleted_at = ${sqlTime(at)}
       WHERE author = ${gone} AND deleted_at IS NULL RETURNING id, thing),
    unmarked AS (DELETE FROM post_mention m USING gone WHERE m.post = gone.id),
    untagged AS (DELETE FROM post_tag t USING gone WHERE t.post = gone.id),
    unboosted AS (DELETE FROM boost b USING gone WHERE b.post = gone.id),
    unedited AS (DELETE FROM post_edit e USING gone WHERE e.post = gone.id),
    unworded AS (DELETE FROM post_word w USING gone WHERE w.post = gone.id),
    left_home AS (DELETE FROM home h USING gone WHERE h.post = gone.id),
    untold AS (DELETE FROM notification n USING gone WHERE n.post = gone.id),
    said AS (INSERT INTO stream_event (kind, subject, at) SELECT 'delete', id, ${sqlTime(at)}::timestamptz FROM gone)
    UPDATE thing t SET deleted_at = ${sqlTime(at)}, title = NULL FROM gone WHERE t.id = gone.thing AND t.deleted_at IS NULL`);
}

/**
 * An address that is known already stays whose it is: a post at the address of a person, or of somebody else's post,
 * would draw away what others give to them.
 *
 * @throws Refusal "document_invalid"
 */
async function refuseTaken(tx: Tx, uri: string, author: ActorId): Promise<void> {
  const [row] = await tx.execute<{ taken: boolean }>(sql`
    SELECT EXISTS (SELECT FROM actor a WHERE a.uri = ${uri})
        OR EXISTS (SELECT FROM thing t WHERE t.uri = ${uri}
                      AND NOT EXISTS (SELECT FROM split_part s WHERE s.split = t.split AND s.payee = ${author})) AS taken`);
  if (row!.taken)
    throw new Refusal("document_invalid", { rule: "its address belongs to somebody else" });
}

/** What may change about a post. */
function columnsOf(read: ReadPost) {
  return {
    html: read.html,
    summary: read.summary,
    isSensitive: read.isSensitive,
    language: read.language,
    url: read.url,
    attachments: read.attachments,
    poll: read.poll,
  };
}

async function followersOf(tx: Tx, author: ActorId): Promise<string | null> {
  const [row] = await tx
    .select({ followers: actor.followers })
    .from(actor)
    .where(eq(actor.id, author));
  return row?.followers ?? null;
}

async function concernsUs(
  tx: Tx,
  { origin }: Settings,
  author: ActorId,
  { mentions, addressed, inReplyTo }: ReadPost,
): Promise<boolean> {
  if (await isFollowed(tx, author)) return true;
  const own = [...new Set([...mentions, ...addressed])].filter((uri) => sameOrigin(uri, origin));
  if (own.length > 0) {
    const [person] = await tx
      .select({ id: account.id })
      .from(account)
      .innerJoin(actor, eq(actor.id, account.actor))
      .where(
        sql`${actor.uri} IN (SELECT value FROM jsonb_array_elements_text(${JSON.stringify(own)}::jsonb))`,
      )
      .limit(1);
    if (person !== undefined) return true;
  }
  if (inReplyTo === null || !sameOrigin(inReplyTo, origin)) return false;
  const [answered] = await tx
    .select({ id: post.id })
    .from(post)
    .innerJoin(thing, eq(thing.id, post.thing))
    .where(and(eq(thing.uri, inReplyTo), isNull(post.deletedAt)));
  return answered !== undefined;
}

/** The authors that a document names, of its own origin. */
export function authorsOf(document: Document): readonly string[] {
  const [id] = idsOf(document);
  return id === undefined
    ? []
    : idsOf(document["attributedTo"]).filter((author) => sameOrigin(author, id));
}
