/** What was read about actors elsewhere is kept, so that nobody has to be asked twice. */

import { and, eq, notInArray, sql } from "drizzle-orm";
import type { Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "./actor.ts";
import type { Profile } from "./document.ts";
import { actor, actorKey } from "./schema.ts";

/**
 * Writes a profile down, and its keys. Keys that it no longer has are dropped: whoever has lost one signs no more.
 *
 * @param profile read from the actor's own server (`profileOfDocument`)
 */
export async function rememberProfile(
  tx: Tx,
  profile: Profile,
  at: Temporal.Instant,
): Promise<ActorId> {
  const said = {
    kind: profile.kind,
    name: profile.name ?? null,
    displayName: profile.displayName ?? null,
    summary: profile.summary ?? null,
    url: profile.url ?? null,
    icon: profile.icon ?? null,
    header: profile.header ?? null,
    inbox: profile.inbox ?? null,
    sharedInbox: profile.sharedInbox ?? null,
    outbox: profile.outbox ?? null,
    followers: profile.followers ?? null,
    following: profile.following ?? null,
    isLocked: profile.isLocked,
    isIndexable: profile.isIndexable ?? false,
    fields: profile.fields,
    alsoKnownAs: profile.alsoKnownAs,
    movedTo: profile.movedTo ?? null,
    fetchedAt: at,
  };
  const [kept] = await tx
    .insert(actor)
    .values({
      id: sql`new_id(${sqlTime(at)})`,
      uri: profile.uri,
      host: new URL(profile.uri).host,
      foundAt: at,
      ...said,
    })
    .onConflictDoUpdate({ target: actor.uri, set: said })
    .returning({ id: actor.id });
  const { id } = kept!;
  const ids = profile.keys.map((key) => key.id);
  await tx
    .delete(actorKey)
    .where(
      ids.length === 0
        ? eq(actorKey.actor, id)
        : and(eq(actorKey.actor, id), notInArray(actorKey.id, ids)),
    );
  // In one order, so that two who remember the same never wait for each other.
  for (const key of profile.keys.toSorted((one, other) => (one.id < other.id ? -1 : 1))) {
    const found = { actor: id, publicPem: key.publicPem, fetchedAt: at };
    await tx
      .insert(actorKey)
      .values({ id: key.id, ...found })
      .onConflictDoUpdate({ target: actorKey.id, set: found });
  }
  return id;
}
