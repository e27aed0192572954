/** What somebody wants to hear nothing of: his filters hide it where he is told of things. */

import { type Database, TEXTS } from "../../store/database.ts";
import type { Clock, Temporal } from "../../store/time.ts";
import { plainText } from "../post/clean.ts";
import type { Attachment, Poll } from "../post/schema.ts";
import type { Viewer } from "../post/visible.ts";
import { matchFilters } from "./match.ts";

interface Row {
  readonly id: bigint;
  readonly author: bigint;
  readonly summary: string | null;
  readonly text: string | null;
  readonly html: string | null;
  readonly attachments: readonly Attachment[] | null;
  readonly poll: Poll | null;
}

/** Those of these posts that the filters of the viewer hide where he is told of them. */
export async function hiddenPosts(
  database: Pick<Database, "sql">,
  viewer: Viewer,
  ids: readonly bigint[],
  at: Temporal.Instant,
): Promise<ReadonlySet<bigint>> {
  // Most people have no filter: their posts are not even read.
  const rows = await database.sql<Row[]>`
    SELECT p.id, p.author, p.summary, p.text, p.html, p.attachments, p.poll FROM post p
     WHERE p.id = ANY(${database.sql.array([...new Set(ids)].map(String), TEXTS)}::bigint[])
       AND EXISTS (SELECT FROM filter f WHERE f.account = ${viewer.id} AND f.action = 'hide' AND f.places ? 'notifications')`;
  const posts = rows.map(({ id, author, summary, text, html, attachments, poll }) => ({
    id,
    author,
    texts: () => [
      summary ?? "",
      text ?? plainText(html ?? ""),
      ...(attachments ?? []).map(({ description }) => description ?? ""),
      ...(poll?.options ?? []).map(({ title }) => title),
    ],
  }));
  const matches = await matchFilters(database, viewer, "notifications", posts, at);
  const hidden = posts.filter((_, n) => matches?.[n]?.some(({ action }) => action === "hide"));
  return new Set(hidden.map(({ id }) => id));
}

/** The same for one post now, for those who know nothing of filters. */
export const hiding =
  (database: Pick<Database, "sql">, clock: Clock) =>
  async (viewer: Viewer, post: bigint): Promise<boolean> =>
    (await hiddenPosts(database, viewer, [post], clock.now())).has(post);
