/** Mentions and hashtags of posts: who is meant, and what is kept of it. */

import { sql } from "drizzle-orm";
import type { Tx } from "../../store/database.ts";
import type { ActorId } from "../account/actor.ts";
import { flattrActorUri } from "../account/own.ts";
import { postMention, postTag } from "./schema.ts";
import type { Handle, Mentioned } from "./text.ts";
import { keepWordsOf } from "./words.ts";

/** Somebody who is spoken to, with the row's id. */
export interface MentionedActor extends Mentioned {
  readonly id: ActorId;
}

/** People spoken to in one post. */
export const MENTIONS_MAX = 50;

/** Hashtags of one post that are kept. */
export const TAGS_MAX = 50;

/** The actors that these handles mean, as far as they are known; nobody is looked up elsewhere. */
export async function actorsOfHandles(
  tx: Tx,
  origin: string,
  handles: readonly Handle[],
): Promise<readonly MentionedActor[]> {
  if (handles.length === 0) return [];
  const own = new URL(origin).host;
  const wanted = handles
    .slice(0, MENTIONS_MAX)
    .map(({ name, host }) => ({ name: name.toLowerCase(), host: host ?? own }));
  return actorsWhere(
    tx,
    sql`JOIN jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) AS wanted(name text, host text COLLATE "C")
          ON a.host = wanted.host AND lower(a.name) = wanted.name
        WHERE a.host <> ${own} OR a.uri = ${flattrActorUri(origin)} OR EXISTS (SELECT FROM account x WHERE x.actor = a.id)`,
  );
}

/** Those of these actors that are known. */
export async function actorsOfUris(
  tx: Tx,
  uris: readonly string[],
): Promise<readonly MentionedActor[]> {
  if (uris.length === 0) return [];
  return actorsWhere(
    tx,
    sql`WHERE a.uri IN (${sql.join(
      uris.slice(0, MENTIONS_MAX).map((uri) => sql`${uri}`),
      sql`, `,
    )})`,
  );
}

/** Keeps the mentions, hashtags and words of a post, instead of those that it had. */
export async function keepMarks(
  tx: Tx,
  { id: post, author }: { readonly id: bigint; readonly author: ActorId },
  mentions: readonly { readonly id: ActorId }[],
  tags: readonly string[],
): Promise<void> {
  await tx.delete(postMention).where(sql`${postMention.post} = ${post}`);
  await tx.delete(postTag).where(sql`${postTag.post} = ${post}`);
  if (mentions.length > 0)
    await tx
      .insert(postMention)
      .values(mentions.map(({ id }) => ({ post, actor: id })))
      .onConflictDoNothing();
  if (tags.length > 0)
    await tx
      .insert(postTag)
      .values(tags.slice(0, TAGS_MAX).map((tag) => ({ post, tag, author })))
      .onConflictDoNothing();
  await keepWordsOf(tx, post);
}

async function actorsWhere(
  tx: Tx,
  which: ReturnType<typeof sql>,
): Promise<readonly MentionedActor[]> {
  const rows = await tx.execute<{
    id: string;
    uri: string;
    name: string | null;
    host: string;
    url: string | null;
    gone: boolean;
  }>(sql`
    SELECT DISTINCT ON (a.uri) a.id, a.uri, a.name, a.host, a.url, a.deleted_at IS NOT NULL AS gone
      FROM actor a ${which} ORDER BY a.uri`);
  return rows
    .filter(({ gone }) => !gone)
    .map(({ id, uri, name, host, url }) => ({ id: BigInt(id), uri, name: name ?? "?", host, url }));
}
