/** Complaints of other servers about people of this instance. */

import { sql } from "drizzle-orm";
import type { Settings, Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { plainText } from "../post/clean.ts";
import { COMMENT_CHARS_MAX, countOpen, REPORTED_POSTS_MAX } from "./report.ts";
import { report } from "./schema.ts";

/** Open complaints of one server: one that sends more says nothing new. */
const OPEN_MAX = 100;

/** Addresses that one activity may name. */
const OBJECTS_MAX = REPORTED_POSTS_MAX + 1;

/**
 * Keeps a complaint that names somebody of this instance, or a post of his. Only posts of that one person are kept.
 *
 * @param objects the addresses that it names
 * @param content why, as the other server wrote it
 * @returns true when it was kept; false when it is about nobody here, or too many of that server's are open
 */
export async function takeFlag(
  tx: Tx,
  { origin }: Pick<Settings, "origin">,
  {
    reporter,
    objects,
    content,
    at,
  }: {
    readonly reporter: ActorId;
    readonly objects: readonly string[];
    readonly content: string;
    readonly at: Temporal.Instant;
  },
): Promise<boolean> {
  const own = objects.filter((uri) => uri.startsWith(`${origin}/`)).slice(0, OBJECTS_MAX);
  if (own.length === 0) return false;
  const named = await tx.execute<{ target: string; post: string | null }>(sql`
    SELECT n.target, n.post FROM (
      SELECT w.place, a.id AS target, NULL::bigint AS post
        FROM jsonb_array_elements_text(${JSON.stringify(own)}::jsonb) WITH ORDINALITY AS w(uri, place)
        JOIN actor a ON a.uri = w.uri JOIN account x ON x.actor = a.id
      UNION ALL
      SELECT w.place, p.author, p.id
        FROM jsonb_array_elements_text(${JSON.stringify(own)}::jsonb) WITH ORDINALITY AS w(uri, place)
        JOIN thing t ON t.uri = w.uri JOIN post p ON p.thing = t.id JOIN account x ON x.actor = p.author) n
     ORDER BY n.place`);
  const [first] = named;
  if (first === undefined) return false;
  const open = await countOpen(
    tx,
    sql`EXISTS (SELECT FROM actor a JOIN actor b ON b.host = a.host WHERE a.id = r.reporter AND b.id = ${reporter}::bigint)`,
    OPEN_MAX,
  );
  if (open >= OPEN_MAX) return false;
  const posts = named.flatMap(({ target, post }) =>
    target === first.target && post !== null ? [post] : [],
  );
  await tx.insert(report).values({
    id: sql`new_id(${sqlTime(at)})`,
    reporter,
    target: BigInt(first.target),
    posts: [...new Set(posts)],
    comment: [...plainText(content).replaceAll("\0", "").toWellFormed()]
      .slice(0, COMMENT_CHARS_MAX)
      .join(""),
    category: "other",
    isForwarded: false,
    at,
  });
  return true;
}
