/** The two actors of the instance itself: one that signs for it, one that writes and reads messages. */

import { inArray, sql } from "drizzle-orm";
import type { Drizzle, Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "./actor.ts";
import { actorUri } from "./create.ts";
import { actor } from "./schema.ts";

/** The URI of the instance actor: signs fetches and statements, owns no posts. */
export function instanceActorUri(origin: string): string {
  return `${origin}/actor`;
}

/** The URI of `@flattr`, who writes to creators and reads what they answer. */
export function flattrActorUri(origin: string): string {
  return actorUri(origin, "flattr");
}

/** The instance's own actors. */
export interface OwnActors {
  readonly instance: ActorId;
  readonly flattr: ActorId;
}

/** The rows of both, made when they are missing. Safe to call again, and by several processes at once. */
export async function ensureOwnActors(
  tx: Tx | Drizzle,
  origin: string,
  at: Temporal.Instant,
): Promise<OwnActors> {
  const instance = instanceActorUri(origin);
  const flattr = flattrActorUri(origin);
  const known = await idsOf(tx, [instance, flattr]);
  if (known.size < 2) {
    const { host } = new URL(origin);
    const made = sqlTime(at);
    await tx.execute(sql`
      INSERT INTO actor (id, uri, host, name, kind, found_at)
      VALUES (new_id(${made}), ${instance}, ${host}, 'actor', 'Application', ${made}),
             (new_id(${made}), ${flattr}, ${host}, 'flattr', 'Service', ${made})
      ON CONFLICT (uri) DO UPDATE SET name = excluded.name, kind = excluded.kind`);
    for (const [uri, id] of await idsOf(tx, [instance, flattr])) known.set(uri, id);
  }
  return { instance: known.get(instance)!, flattr: known.get(flattr)! };
}

async function idsOf(tx: Tx | Drizzle, uris: readonly string[]): Promise<Map<string, ActorId>> {
  const found = await tx
    .select({ id: actor.id, uri: actor.uri })
    .from(actor)
    .where(inArray(actor.uri, [...uris]));
  return new Map(found.map(({ id, uri }) => [uri, id]));
}
