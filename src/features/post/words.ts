/** The words of posts that may be searched: one's own, those that one kept, and those of people who want to be found. */

import { sql } from "drizzle-orm";
import {
  type Database,
  type Drizzle,
  LAST_ID,
  retrying,
  TEXTS,
  type Tx,
} from "../../store/database.ts";
import { gatherEach } from "../../store/gather.ts";
import type { Temporal } from "../../store/time.ts";
import { plainText } from "./clean.ts";
import { type Condition, mayRead, type Viewer, wantsToSee } from "./visible.ts";

/** Words of one post that are kept, and the longest one in characters. */
const WORDS_MAX = 200;
const WORD_CHARS_MAX = 40;

/** Words of one question. */
const ASKED_MAX = 8;

/** Of the newest posts with the longest word so many are looked at, and of one's own, favourited and bookmarked ones. */
const CANDIDATES_MAX = 2_000;
const OWN_MAX = 1_000;

/** The words of a text in the form in which they are kept: letters and digits, in lower case, each once. */
export function wordsOf(text: string): readonly string[] {
  const words = new Set<string>();
  for (const [word] of text
    .normalize("NFKC")
    .toLowerCase()
    .matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    if ([...word].length <= WORD_CHARS_MAX) words.add(word);
    if (words.size === WORDS_MAX) break;
  }
  return [...words];
}

/** What stands in a post. */
interface Written {
  readonly text: string | null;
  readonly html: string | null;
  readonly summary: string | null;
}

function wordsIn({ text, html, summary }: Written): readonly string[] {
  return wordsOf(`${summary ?? ""} ${text ?? plainText(html ?? "")}`);
}

/** Keeps the words of a post beside those that are kept of it. */
async function keepWords(tx: Tx | Drizzle, post: bigint, written: Written): Promise<void> {
  const words = wordsIn(written);
  await tx.execute(sql`
    INSERT INTO post_word (word, post)
    SELECT value, ${post}::bigint FROM jsonb_array_elements_text(${JSON.stringify(words)}::jsonb)
     -- In the order in which everybody writes the words of one post.
     ORDER BY value COLLATE "C" ON CONFLICT DO NOTHING`);
}

/**
 * Keeps the words of a new or changed post, instead of those that it had, if it may be searched: if it is of this
 * instance, or public and of somebody who wants to be found, or if somebody here favourited or bookmarked it.
 */
export async function keepWordsOf(tx: Tx | Drizzle, id: bigint): Promise<void> {
  const [found] = await tx.execute<{
    text: string | null;
    html: string | null;
    summary: string | null;
  }>(sql`
    SELECT p.text, p.html, p.summary FROM post p JOIN actor a ON a.id = p.author
     WHERE p.id = ${id}::bigint AND p.deleted_at IS NULL
       AND (p.text IS NOT NULL OR (a.is_indexable AND p.visibility = 'public')
            OR EXISTS (SELECT FROM bookmark k WHERE k.post = p.id)
            OR EXISTS (SELECT FROM favourite f JOIN account x ON x.actor = f.actor WHERE f.thing = p.thing))`);
  if (found === undefined) return;
  await tx.execute(sql`DELETE FROM post_word WHERE post = ${id}::bigint`);
  await keepWords(tx, id, found);
}

/** What somebody wants to find again. */
type Wanted = Written & { readonly post: bigint };

/**
 * Somebody here favourited or bookmarked a post: it may be searched from now on. Words that are kept already stay. Posts
 * that come together are one statement; several people may want one post at the same time.
 */
export const keepWordsWanted = gatherEach<Pick<Database, "sql">, Wanted, void>(({ sql: raw }) => ({
  work: async (wanted) => {
    const kept = wanted.flatMap(({ post, ...written }) =>
      wordsIn(written).map((word) => ({ word, post })),
    );
    const column = (of: (one: (typeof kept)[number]) => string) => raw.array(kept.map(of), TEXTS);
    await retrying(
      () => raw`
        INSERT INTO post_word (word, post)
        SELECT kept.word, p.id
          FROM unnest(${column(({ word }) => word)}::text[], ${column(({ post }) => String(post))}::bigint[]) AS kept(word, post)
          JOIN post p ON p.id = kept.post
         WHERE p.deleted_at IS NULL AND NOT EXISTS (SELECT FROM post_word w WHERE w.post = p.id OFFSET 0)
         ORDER BY p.id, kept.word COLLATE "C"
        ON CONFLICT DO NOTHING`,
    );
    return wanted.map(() => undefined);
  },
  running: 1,
}));

/** Somebody here wants to find a thing again: where it is a post that may be read, its words are kept. */
export async function keepWordsOfThing(
  database: Pick<Database, "sql">,
  thing: bigint,
): Promise<void> {
  const [found] = await database.sql<Wanted[]>`
    SELECT id AS post, text, html, summary FROM post WHERE thing = ${thing} AND deleted_at IS NULL`;
  if (found !== undefined) await keepWordsWanted(database, found);
}

/** What is looked for among posts. */
export interface PostSearch {
  readonly text: string;
  readonly limit: number;
  readonly offset: number;
  readonly maxId: bigint | undefined;
  readonly minId: bigint | undefined;
  /** Only by this actor. */
  readonly author: bigint | undefined;
}

/**
 * The newest posts with all of these words that the viewer may search: his own, those that he favourited or bookmarked,
 * and public ones of people who want to be found. The longest word leads, since it is the rarest as a rule; of the posts
 * that have it only the newest are looked at, and of one's own and one author's the newest with any words, so that no
 * question costs more the more there is.
 */
export async function searchPosts(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer,
  { text, limit, offset, maxId = LAST_ID, minId = -1n, author }: PostSearch,
  at: Temporal.Instant,
): Promise<readonly bigint[]> {
  const words = wordsOf(text).slice(0, ASKED_MAX);
  const [leading, ...others] = words.toSorted((one, other) => other.length - one.length);
  if (leading === undefined) return [];
  const inRange = (column: Condition) => sql`${column} < ${maxId} AND ${column} > ${minId}`;
  const isWanted = sql`
    (${author ?? null}::bigint IS NULL OR p.author = ${author ?? null}::bigint)
    AND (SELECT count(*) FROM unnest(${sql.array(others, TEXTS)}) AS wanted(word)
          WHERE EXISTS (SELECT FROM post_word w WHERE w.word = wanted.word AND w.post = p.id OFFSET 0)) = ${others.length}
    AND ${mayRead(sql, viewer)} AND ${wantsToSee(sql, viewer, sql`p.author`, at)}`;
  const newest = sql`ORDER BY p.id DESC LIMIT ${limit + offset}`;
  const rows = await sql<{ id: bigint }[]>`
    SELECT id FROM (
      (SELECT p.id
         FROM (SELECT post FROM post_word WHERE word = ${leading} AND ${inRange(sql`post`)}
                ORDER BY post DESC LIMIT ${CANDIDATES_MAX}) found
         JOIN post p ON p.id = found.post JOIN actor a ON a.id = p.author
        WHERE (p.author = ${viewer.actor} OR (a.is_indexable AND p.visibility = 'public')
               OR EXISTS (SELECT FROM favourite f WHERE f.thing = p.thing AND f.actor = ${viewer.actor} OFFSET 0)
               OR EXISTS (SELECT FROM bookmark k WHERE k.account = ${viewer.id} AND k.post = p.id OFFSET 0))
          AND ${isWanted} ${newest})
      UNION
      (SELECT p.id
         FROM ((SELECT id FROM post WHERE author = ${viewer.actor} AND ${inRange(sql`id`)} ORDER BY id DESC LIMIT ${OWN_MAX})
               UNION ALL
               (SELECT k.post FROM bookmark k WHERE k.account = ${viewer.id} ORDER BY k.id DESC LIMIT ${OWN_MAX})
               UNION ALL
               (SELECT o.id FROM (SELECT f.thing FROM favourite f WHERE f.actor = ${viewer.actor} ORDER BY f.id DESC LIMIT ${OWN_MAX}) f
                  JOIN post o ON o.thing = f.thing)) own
         JOIN post_word w ON w.word = ${leading} AND w.post = own.id
         JOIN post p ON p.id = own.id
        WHERE ${inRange(sql`p.id`)} AND ${isWanted} ${newest})
      UNION
      (SELECT p.id
         FROM (SELECT id FROM post WHERE author = ${author ?? null}::bigint AND ${inRange(sql`id`)} ORDER BY id DESC LIMIT ${OWN_MAX}) theirs
         JOIN post_word w ON w.word = ${leading} AND w.post = theirs.id
         JOIN post p ON p.id = theirs.id JOIN actor a ON a.id = p.author
        WHERE a.is_indexable AND p.visibility = 'public' AND ${isWanted} ${newest})) found
     ORDER BY id DESC LIMIT ${limit} OFFSET ${offset}`;
  return rows.map(({ id }) => id);
}

/** Hashtags that are stepped over in search of some that may be shown, and posts of each that are looked at. */
const TAG_STEPS_MAX = 200;
const TAG_POSTS_MAX = 100;

/**
 * Hashtags of public posts that begin like this, in their order: what nobody may read does not show what it is about.
 * Steps from tag to tag, however many posts each has.
 */
export async function searchTags(
  { sql }: Pick<Database, "sql">,
  { text, limit }: { readonly text: string; readonly limit: number },
): Promise<readonly string[]> {
  const begins = text.trim().replace(/^#/, "").normalize("NFKC").toLowerCase();
  if (!/^[\p{L}\p{N}\p{M}_]{1,100}$/u.test(begins)) return [];
  const rows = await sql<{ tag: string }[]>`
    WITH RECURSIVE step AS (
      (SELECT tag, 1 AS n FROM post_tag WHERE tag >= ${begins} ORDER BY tag LIMIT 1)
      UNION ALL
      SELECT (SELECT t.tag FROM post_tag t WHERE t.tag > step.tag ORDER BY t.tag LIMIT 1), step.n + 1
        FROM step WHERE starts_with(step.tag, ${begins}) AND step.n < ${TAG_STEPS_MAX})
    SELECT tag FROM step
     WHERE starts_with(tag, ${begins})
       AND EXISTS (
         SELECT FROM (SELECT t.post FROM post_tag t WHERE t.tag = step.tag ORDER BY t.post DESC LIMIT ${TAG_POSTS_MAX}) newest
           JOIN post p ON p.id = newest.post
          WHERE p.visibility = 'public' AND p.deleted_at IS NULL)
     LIMIT ${limit}`;
  return rows.map(({ tag }) => tag);
}
