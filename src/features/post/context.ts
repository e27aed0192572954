/** The conversation around a post, as far as it is known here. */

import type { Database } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { mayRead, type Viewer, wantsToSee } from "./visible.ts";

/** Posts above and below; whoever is not signed in sees less, so that nobody makes us read whole trees. */
const LIMITS = {
  viewer: { above: 100, below: 400, depth: 30 },
  stranger: { above: 40, below: 60, depth: 20 },
} as const;

/** What a post answers, the first one first; and what answers it, each below what it answers. */
export interface Conversation {
  readonly ancestors: readonly bigint[];
  readonly descendants: readonly bigint[];
}

/** The conversation around a post, as the viewer may see it. */
export async function conversationOf(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer | undefined,
  of: bigint,
  at: Temporal.Instant,
): Promise<Conversation> {
  const { above, below, depth } = LIMITS[viewer === undefined ? "stranger" : "viewer"];
  const [up, down] = await Promise.all([
    sql<{ id: bigint }[]>`
      WITH RECURSIVE up AS (
        SELECT p.in_reply_to AS uri, 0 AS level FROM post p WHERE p.id = ${of} AND p.in_reply_to IS NOT NULL
        UNION ALL
        SELECT p.in_reply_to, up.level + 1 FROM up JOIN thing t ON t.uri = up.uri JOIN post p ON p.thing = t.id
         WHERE p.in_reply_to IS NOT NULL AND up.level < ${above})
      SELECT p.id FROM up JOIN thing t ON t.uri = up.uri JOIN post p ON p.thing = t.id
       WHERE p.id <> ${of} AND ${mayRead(sql, viewer)} AND ${wantsToSee(sql, viewer, sql`p.author`, at)} ORDER BY up.level DESC`,
    sql<{ id: bigint }[]>`
      WITH RECURSIVE down AS (
        SELECT p.id, t.uri, ARRAY[p.id] AS path, 0 AS level FROM post p JOIN thing t ON t.id = p.thing WHERE p.id = ${of}
        UNION ALL
        SELECT p.id, t.uri, down.path || p.id, down.level + 1
          FROM down
         CROSS JOIN LATERAL (SELECT c.* FROM post c WHERE c.in_reply_to = down.uri ORDER BY c.id LIMIT ${below}) p
          JOIN thing t ON t.id = p.thing
         WHERE down.level < ${depth} AND p.id <> ALL(down.path))
      SELECT down.id FROM (SELECT * FROM down LIMIT ${below + 1}) down JOIN post p ON p.id = down.id
       WHERE down.level > 0 AND ${mayRead(sql, viewer)} AND ${wantsToSee(sql, viewer, sql`p.author`, at)}
       ORDER BY down.path`,
  ]);
  return { ancestors: up.map(({ id }) => id), descendants: down.map(({ id }) => id) };
}
