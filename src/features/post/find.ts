/** Posts as they are read: with their author, mentions and hashtags. */

import { and, count, desc, eq, inArray, isNull, lt, type SQL, sql } from "drizzle-orm";
import { type Drizzle, LAST_ID, type Tx } from "../../store/database.ts";
import type { ActorId } from "../account/actor.ts";
import { actor } from "../account/schema.ts";
import { thing } from "../thing/schema.ts";
import type { Note } from "./note.ts";
import { post, postMention, postTag } from "./schema.ts";
import type { Mentioned } from "./text.ts";

/** Posts on one page. */
const PAGE_POSTS = 20;

/** What strangers may read. */
const isOpen = and(inArray(post.visibility, ["public", "unlisted"]), isNull(post.deletedAt));

/** The post with this URI, also one that is gone. */
export async function postAt(tx: Tx | Drizzle, uri: string): Promise<Note | undefined> {
  const [found] = await notesWhere(tx, eq(thing.uri, uri), 1);
  return found;
}

/** The post with this id, also one that is gone. */
export async function postById(tx: Tx | Drizzle, id: bigint): Promise<Note | undefined> {
  const [found] = await notesWhere(tx, eq(post.id, id), 1);
  return found;
}

/** What strangers may read of somebody, the newest first; `before` is the last one of the page before. */
export async function openPostsOf(
  tx: Tx | Drizzle,
  author: ActorId,
  before: bigint = LAST_ID,
): Promise<{ readonly notes: readonly Note[]; readonly next: bigint | undefined }> {
  const which = and(eq(post.author, author), isOpen, lt(post.id, before))!;
  const rows = await notesWhere(tx, which, PAGE_POSTS + 1);
  const notes = rows.slice(0, PAGE_POSTS);
  return { notes, next: rows.length > PAGE_POSTS ? notes.at(-1)!.id : undefined };
}

/** How many posts of somebody strangers may read. */
export async function countOpenPosts(tx: Tx | Drizzle, author: ActorId): Promise<number> {
  const [row] = await tx
    .select({ many: count() })
    .from(post)
    .where(and(eq(post.author, author), isOpen));
  return row!.many;
}

/** So many posts with a hashtag are looked at, from here or not: a page costs no more the more there are. */
const TAGGED_MAX = 2_000;

/** Public posts of this instance with a hashtag, the newest first, as far as they are among the newest of all. */
export async function taggedPosts(
  tx: Tx | Drizzle,
  origin: string,
  tag: string,
): Promise<readonly Note[]> {
  const which = and(
    eq(actor.host, new URL(origin).host),
    eq(post.visibility, "public"),
    isNull(post.deletedAt),
    sql`${post.id} IN (SELECT pt.post FROM ${postTag} pt WHERE pt.tag = ${tag} ORDER BY pt.post DESC LIMIT ${TAGGED_MAX})`,
  )!;
  return notesWhere(tx, which, PAGE_POSTS);
}

/** How often a post was liked and passed on, as far as this instance knows; nobody's name, and nothing private. */
export async function reactionsTo(
  tx: Tx | Drizzle,
  id: bigint,
): Promise<{ readonly favourites: number; readonly boosts: number }> {
  const [row] = await tx.execute<{ favourites: number; boosts: number }>(sql`
    SELECT (SELECT count(*)::int FROM favourite f WHERE f.thing = p.thing AND f.uri IS NOT NULL) AS favourites,
           (SELECT count(*)::int FROM boost b WHERE b.post = p.id) AS boosts
      FROM post p WHERE p.id = ${id}`);
  return row ?? { favourites: 0, boosts: 0 };
}

async function notesWhere(tx: Tx | Drizzle, which: SQL, limit: number): Promise<Note[]> {
  const rows = await tx
    .select({
      post,
      uri: thing.uri,
      author: actor.uri,
      mentions: sql<Mentioned[] | null>`(
        SELECT jsonb_agg(jsonb_build_object('uri', m.uri, 'name', COALESCE(m.name, '?'), 'host', m.host, 'url', m.url) ORDER BY m.uri)
          FROM ${postMention} pm JOIN actor m ON m.id = pm.actor WHERE pm.post = ${post.id})`,
      tags: sql<string[] | null>`(
        SELECT jsonb_agg(pt.tag ORDER BY pt.tag) FROM ${postTag} pt WHERE pt.post = ${post.id})`,
    })
    .from(post)
    .innerJoin(thing, eq(thing.id, post.thing))
    .innerJoin(actor, eq(actor.id, post.author))
    .where(which)
    .orderBy(desc(post.id))
    .limit(limit);
  return rows.map(({ post, uri, author, mentions, tags }) => ({
    ...post,
    uri,
    author,
    mentions: mentions ?? [],
    tags: tags ?? [],
  }));
}
