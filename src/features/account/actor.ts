/** Actors: everybody with a URI, of this instance and of any other. */

import assert from "node:assert";
import { and, eq, inArray, isNull, sql } from "drizzle-orm";
import type { Drizzle, Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { actor } from "./schema.ts";

export type ActorId = bigint;

/** The rows of these actors, made where they are missing. */
export async function ensureActors(
  tx: Tx,
  known: readonly { uri: string; name?: string }[],
  at: Temporal.Instant,
): Promise<Map<string, ActorId>> {
  const rows = known.map(({ uri, name }) => ({ uri, host: new URL(uri).host, name: name ?? null }));
  await tx.execute(sql`
    INSERT INTO actor (id, uri, host, name, found_at)
    SELECT new_id(${sqlTime(at)}), uri, host, name, ${sqlTime(at)}
      FROM (SELECT DISTINCT ON (uri) uri, host, name
              FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS wanted(uri text COLLATE "C", host text, name text)
             ORDER BY uri) AS wanted
    ON CONFLICT (uri) DO UPDATE SET name = COALESCE(excluded.name, actor.name)`);
  const found = await tx
    .select({ id: actor.id, uri: actor.uri })
    .from(actor)
    .where(
      inArray(
        actor.uri,
        rows.map(({ uri }) => uri),
      ),
    );
  return new Map(found.map(({ id, uri }) => [uri, id]));
}

/** The URI of an actor. */
export async function uriOf(tx: Tx | Drizzle, id: ActorId): Promise<string> {
  const [found] = await tx.select({ uri: actor.uri }).from(actor).where(eq(actor.id, id));
  assert(found !== undefined, "an actor that is not there");
  return found.uri;
}

/** The actor of a URI; undefined when it is not known here, or gone. */
export async function actorAt(tx: Tx | Drizzle, uri: string): Promise<ActorId | undefined> {
  const [found] = await tx
    .select({ id: actor.id })
    .from(actor)
    .where(and(eq(actor.uri, uri), isNull(actor.deletedAt)));
  return found?.id;
}
