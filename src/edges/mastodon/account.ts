/** Accounts as clients read them. @see https://docs.joinmastodon.org/entities/Account/ */

import type { ActorId } from "../../features/account/actor.ts";
import { type SeenActor, seeActors } from "../../features/account/see.ts";
import { cleanName } from "../../features/post/clean.ts";
import { isoTime, type Temporal } from "../../store/time.ts";
import { cleaned } from "./cleaned.ts";
import type { ClientParts } from "./frame.ts";

/** A JSON object of the client API. */
export type Entity = Readonly<Record<string, unknown>>;

type AccountParts = Pick<ClientParts, "database">;

/** Accounts by the ids of their actors; who is gone is missing. */
export async function accountEntities(
  { database }: AccountParts,
  ids: Iterable<ActorId>,
): Promise<ReadonlyMap<ActorId, Entity>> {
  const { origin } = database.settings;
  const seen = await seeActors(database, ids);
  const moved = await seeActors(
    database,
    [...seen.values()].flatMap(({ movedTo }) => (movedTo === undefined ? [] : [movedTo])),
  );
  return new Map(
    [...seen].map(([id, one]) => {
      const target = one.movedTo === undefined ? undefined : moved.get(one.movedTo);
      return [id, accountEntity(one, origin, target)];
    }),
  );
}

/** Accounts in the order of the ids; who is gone is left out. */
export async function accountList(
  parts: AccountParts,
  ids: readonly ActorId[],
): Promise<readonly Entity[]> {
  const entities = await accountEntities(parts, ids);
  return ids.map((id) => entities.get(id)).filter((entity) => entity !== undefined);
}

/** One account; undefined when it is gone. */
export async function accountOf(parts: AccountParts, id: ActorId): Promise<Entity | undefined> {
  return (await accountEntities(parts, [id])).get(id);
}

function accountEntity(one: SeenActor, origin: string, movedTo: SeenActor | undefined): Entity {
  const name = one.name ?? "unknown";
  const avatar = one.icon ?? `${origin}/avatars/missing.png`;
  const header = one.header ?? `${origin}/headers/missing.png`;
  return {
    id: String(one.id),
    username: name,
    acct: one.isHere ? name : `${name}@${one.host}`,
    display_name: cleanName(one.displayName ?? ""),
    locked: one.isLocked,
    bot: one.kind === "Service" || one.kind === "Application",
    group: one.kind === "Group",
    discoverable: one.isDiscoverable ?? true,
    indexable: one.isIndexable,
    created_at: `${isoTime(one.since).slice(0, 10)}T00:00:00.000Z`,
    note: cleaned(one.summary ?? ""),
    url: one.url ?? one.uri,
    uri: one.uri,
    avatar,
    avatar_static: avatar,
    header,
    header_static: header,
    followers_count: one.followers,
    following_count: one.following,
    statuses_count: one.posts,
    last_status_at: one.lastPostAt === undefined ? null : isoTime(one.lastPostAt).slice(0, 10),
    hide_collections: false,
    noindex: !one.isIndexable,
    emojis: [],
    roles: [],
    fields: one.fields.map((field) => ({
      name: cleanName(field.name),
      value: cleaned(field.value),
      verified_at: null,
    })),
    ...(movedTo === undefined ? {} : { moved: accountEntity(movedTo, origin, undefined) }),
    flattr: { accepts: one.isPaid, claimed: one.isClaimed },
  };
}

/** An instant as clients read it. */
export function instantText(at: Temporal.Instant): string {
  return isoTime(at);
}
