/** Writing, changing and deleting posts of this instance. */

import { and, eq, isNull, sql } from "drizzle-orm";
import { canonicalAddress } from "../../rules/address.ts";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { addJob, type JobKind } from "../../store/jobs.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { actorUri, type Account } from "../account/create.ts";
import { flattrActorUri } from "../account/own.ts";
import { tell } from "../activity/tell.ts";
import { releaseMedia, takeMedia } from "../media/attach.ts";
import { rememberThing } from "../thing/thing.ts";
import { thing } from "../thing/schema.ts";
import { postAt, postById } from "./find.ts";
import { actorsOfHandles, actorsOfUris, keepMarks, type MentionedActor } from "./marks.ts";
import {
  createDocument,
  deleteDocument,
  type Note,
  updateDocument,
  type Visibility,
} from "./note.ts";
import { bringPost, dropPost, tellOfEdit, tellOfPost } from "./home.ts";
import { awaitEnd, type NewPoll, openPoll } from "./poll.ts";
import { post, postEdit, postMention, postTag, postWord, written } from "./schema.ts";
import { marksOf } from "./text.ts";

export type Post = typeof post.$inferSelect & { readonly uri: string };

/** What somebody wrote. */
export interface Writing {
  readonly text: string;
  /** A warning above it. */
  readonly summary?: string | undefined;
  readonly isSensitive?: boolean | undefined;
  /** As in BCP 47; something else is no language. */
  readonly language?: string | undefined;
}

/** A post before it is one. */
export interface NewPost extends Writing {
  readonly author: Account;
  /** Public unless said otherwise. */
  readonly visibility?: Visibility | undefined;
  /** The URI of what it answers. */
  readonly inReplyTo?: string | undefined;
  /** Ids of pictures that its author uploaded. */
  readonly media?: readonly bigint[] | undefined;
  /** What its readers may choose between. */
  readonly poll?: NewPoll | undefined;
  /** The program it is written with. */
  readonly app?: bigint | undefined;
  /** The same key and digest again write nothing more. */
  readonly once?: { readonly key: string; readonly digest: Uint8Array } | undefined;
  readonly at: Temporal.Instant;
}

/** Somebody wrote to `@flattr` alone: what he wants is read as soon as the post is there. */
export const spokenToBot: JobKind<{ readonly post: string }> = { name: "post.spoken_to_bot" };

/** Characters of one post; more than most servers allow, so that what comes from them fits. */
const TEXT_CHARS_MAX = 5000;

/** Characters of a warning. */
const SUMMARY_CHARS_MAX = 500;

/**
 * Publishes a post of a local account, which is a thing from then on. Followers and those who are spoken to are told.
 *
 * @throws Refusal "post_invalid" when it is empty or too long, "url_invalid" when it answers something that is no
 *   address, "poll_invalid", "media_unknown" for pictures that are not the author's, or not free, "idempotency_mismatch" when the key
 *   stands for another post
 */
export async function writePost(
  database: Database,
  {
    author,
    visibility = "public",
    inReplyTo,
    media = [],
    poll,
    app,
    once,
    at,
    ...writing
  }: NewPost,
): Promise<Post> {
  refuseBad(writing, media.length > 0);
  if (inReplyTo !== undefined && canonicalAddress(inReplyTo) === undefined)
    throw new Refusal("url_invalid", { url: inReplyTo });
  const opened = poll === undefined ? null : openPoll(poll, at);
  const { settings } = database;
  const payee = actorUri(settings.origin, author.name);
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const earlier = once === undefined ? undefined : await writtenBefore(tx, author, once);
      if (earlier !== undefined) return earlier;
      const [row] = await tx.execute<{ id: string }>(sql`SELECT new_id(${sqlTime(at)}) AS id`);
      const id = BigInt(row!.id);
      const uri = `${payee}/posts/${id}`;
      const thing = await rememberThing(
        tx,
        settings,
        { uri, kind: opened === null ? "Note" : "Question", payees: [{ payee, weight: 1 }] },
        at,
      );
      const [made] = await tx
        .insert(post)
        .values({
          id,
          author: author.actor,
          thing,
          ...columnsOf(writing),
          visibility,
          inReplyTo: inReplyTo ?? null,
          attachments: await attachmentsOf(tx, settings.origin, author, { ids: media, post: id }),
          poll: opened,
          app: app ?? null,
          at,
        })
        .returning();
      if (once !== undefined)
        await tx.insert(written).values({ ...once, account: author.id, post: id, at });
      const marks = await markPost(tx, settings.origin, made!, payee);
      const note: Note = { ...made!, uri, author: payee, ...marks };
      await tell(tx, {
        sender: author.actor,
        activity: "Create",
        document: createDocument(note, settings.origin),
        subject: id,
        at,
        ...toldOf(note, author, marks.mentions),
      });
      if (opened !== null) await awaitEnd(tx, id, opened, at);
      await bringPost(tx, id, { at, isNews: true });
      await tellOfPost(tx, id, at);
      const bot = flattrActorUri(settings.origin);
      if (visibility === "direct" && marks.mentions.some((one) => one.uri === bot))
        await addJob(tx, spokenToBot, { post: String(id) }, `spoken to bot ${id}`);
      return { ...made!, uri };
    }),
  );
}

/**
 * Changes a post. Who may see it and what it answers stay; what it was before is kept.
 *
 * @param media the pictures that it has from now on, also those that it had; undefined: they stay
 * @throws Refusal "not_found" when the account has no such post, "post_invalid", "media_unknown"
 */
export async function editPost(
  database: Database,
  {
    author,
    post: id,
    media,
    at,
    ...writing
  }: Writing & {
    readonly author: Account;
    readonly post: bigint;
    readonly media?: readonly bigint[] | undefined;
    readonly at: Temporal.Instant;
  },
): Promise<Post> {
  refuseBad(writing, media === undefined || media.length > 0);
  const { origin } = database.settings;
  const payee = actorUri(origin, author.name);
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [locked] = await tx.select().from(post).where(isOwn(author, id)).for("update");
      const before = await postById(tx, id);
      if (locked === undefined || before === undefined) throw new Refusal("not_found");
      await keepEdit(tx, locked);
      const attachments =
        media === undefined
          ? locked.attachments
          : await attachmentsOf(tx, origin, author, { ids: media, post: id });
      refuseBad(writing, attachments !== null);
      const [made] = await tx
        .update(post)
        .set({ ...columnsOf(writing), attachments, editedAt: at })
        .where(eq(post.id, id))
        .returning();
      if (made === undefined) throw new Refusal("not_found");
      const marks = await markPost(tx, origin, made, payee);
      const note: Note = { ...made, uri: before.uri, author: payee, ...marks };
      // Whoever was told of the post is told of its change, even if it does not speak to them any more.
      const earlier = await actorsOfUris(
        tx,
        before.mentions.map(({ uri }) => uri),
      );
      await tell(tx, {
        sender: author.actor,
        activity: "Update",
        document: updateDocument(note, origin, at),
        subject: id,
        at,
        ...toldOf(note, author, [...marks.mentions, ...earlier]),
      });
      await tellOfEdit(tx, { id, author: author.actor, at });
      return { ...made, uri: before.uri };
    }),
  );
}

/**
 * Deletes a post: its words go, that there was one stays. Flattrs that it has still count (R12).
 *
 * @throws Refusal "not_found" when the account has no such post
 */
export async function deletePost(
  database: Database,
  { author, post: id, at }: { author: Account; post: bigint; at: Temporal.Instant },
): Promise<void> {
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const note = await postById(tx, id);
      const [gone] = await tx
        .select({ id: post.id, thing: post.thing })
        .from(post)
        .where(isOwn(author, id))
        .for("update");
      if (gone === undefined || note === undefined) throw new Refusal("not_found");
      const mentions = await actorsOfUris(
        tx,
        note.mentions.map(({ uri }) => uri),
      );
      await emptyPost(tx, gone, at);
      await tell(tx, {
        sender: author.actor,
        activity: "Delete",
        document: deleteDocument(note, at),
        subject: id,
        at,
        ...toldOf(note, author, mentions),
      });
    }),
  );
}

/** Keeps how a post was, since it is about to be changed. */
export async function keepEdit(tx: Tx, before: typeof post.$inferSelect): Promise<void> {
  const { id, text, html, summary, isSensitive, attachments, poll, at, editedAt } = before;
  await tx
    .insert(postEdit)
    .values({ post: id, at: editedAt ?? at, text, html, summary, isSensitive, attachments, poll })
    .onConflictDoNothing();
}

/** Takes the words of a post away, and everything that hangs on it, in the transaction of whoever decided that. */
export async function emptyPost(
  tx: Tx,
  { id, thing: of }: { readonly id: bigint; readonly thing: bigint },
  at: Temporal.Instant,
): Promise<void> {
  await tx
    .update(post)
    .set({
      text: null,
      html: "",
      summary: null,
      attachments: null,
      poll: null,
      inReplyTo: null,
      url: null,
      pinnedAt: null,
      deletedAt: at,
    })
    .where(eq(post.id, id));
  await tx
    .update(thing)
    .set({ deletedAt: at, title: null })
    .where(and(eq(thing.id, of), isNull(thing.deletedAt)));
  await tx.delete(postMention).where(eq(postMention.post, id));
  await tx.delete(postTag).where(eq(postTag.post, id));
  await tx.delete(postEdit).where(eq(postEdit.post, id));
  await tx.delete(postWord).where(eq(postWord.post, id));
  await releaseMedia(tx, id, at);
  await dropPost(tx, id, at);
}

function refuseBad({ text, summary = "" }: Writing, hasMedia: boolean): void {
  const isBad = (words: string, max: number) =>
    [...words].length > max || words.includes("\0") || !words.isWellFormed();
  if (
    (text.trim() === "" && !hasMedia) ||
    isBad(text, TEXT_CHARS_MAX) ||
    isBad(summary, SUMMARY_CHARS_MAX)
  )
    throw new Refusal("post_invalid", { max: String(TEXT_CHARS_MAX) });
}

/**
 * The post that this key has written. Whoever asks at the same time with the same key waits for the first.
 *
 * @throws Refusal "idempotency_mismatch"
 */
async function writtenBefore(
  tx: Tx,
  author: Account,
  { key, digest }: NonNullable<NewPost["once"]>,
): Promise<Post | undefined> {
  await tx.execute(
    sql`SELECT pg_advisory_xact_lock(hashtextextended(${`written ${author.id} ${key}`}, 0))`,
  );
  const [found] = await tx
    .select({ written, post, uri: thing.uri })
    .from(written)
    .innerJoin(post, eq(post.id, written.post))
    .innerJoin(thing, eq(thing.id, post.thing))
    .where(and(eq(written.account, author.id), eq(written.key, key)));
  if (found === undefined) return undefined;
  if (!Buffer.from(found.written.digest).equals(digest)) throw new Refusal("idempotency_mismatch");
  return { ...found.post, uri: found.uri };
}

async function attachmentsOf(
  tx: Tx,
  origin: string,
  author: Account,
  { ids, post }: { readonly ids: readonly bigint[]; readonly post: bigint },
) {
  return ids.length === 0 ? null : takeMedia(tx, origin, { account: author.id, ids, post });
}

function columnsOf({ text, summary = "", isSensitive, language }: Writing) {
  return {
    text,
    summary: summary.trim() === "" ? null : summary.trim(),
    isSensitive: isSensitive ?? summary.trim() !== "",
    language:
      language !== undefined && /^[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}$/i.test(language)
        ? language
        : null,
  };
}

/** Finds out who is spoken to, and keeps it: those who are named, and the author of what it answers. */
async function markPost(
  tx: Tx,
  origin: string,
  of: typeof post.$inferSelect,
  author: string,
): Promise<{ mentions: readonly MentionedActor[]; tags: readonly string[] }> {
  const { text, inReplyTo, visibility } = of;
  const { handles, tags } = marksOf(text ?? "");
  const named = await actorsOfHandles(tx, origin, handles);
  // Whoever names somebody in a message for few means those alone, whatever it answers.
  const isForNamed = visibility === "direct" && named.length > 0;
  const answered = inReplyTo === null || isForNamed ? undefined : await postAt(tx, inReplyTo);
  const spokenTo = answered === undefined ? [] : await actorsOfUris(tx, [answered.author]);
  const mentions = new Map([...named, ...spokenTo].map((who) => [who.uri, who]));
  mentions.delete(author);
  const kept = [...mentions.values()];
  await keepMarks(tx, of, kept, tags);
  return { mentions: kept, tags };
}

function toldOf(
  { visibility }: Note,
  author: Account,
  mentions: readonly MentionedActor[],
): Pick<Parameters<typeof tell>[1], "to" | "followersOf"> {
  return {
    to: mentions.map(({ id }) => id),
    ...(visibility === "direct" ? {} : { followersOf: author.actor }),
  };
}

const isOwn = ({ actor }: Account, id: bigint) =>
  and(eq(post.id, id), eq(post.author, actor), isNull(post.deletedAt));
