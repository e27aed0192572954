/** What an address means, as far as it is known here. */

import { eq } from "drizzle-orm";
import type { Database } from "../../store/database.ts";
import { actorAt, type ActorId } from "../account/actor.ts";
import { actorUri } from "../account/create.ts";
import { thingAt } from "../thing/thing.ts";
import { post } from "./schema.ts";

/** Somebody, or something that somebody wrote. */
export type Meant = { readonly actor: ActorId } | { readonly post: bigint };

/** The person or post at an address; undefined when nothing here knows it. Nobody elsewhere is asked. */
export async function meantHere(
  { drizzle, settings: { origin } }: Pick<Database, "drizzle" | "settings">,
  address: string,
): Promise<Meant | undefined> {
  const own = address.startsWith(`${origin}/@`)
    ? /^@([a-z0-9_]{1,30})$/i.exec(address.slice(origin.length + 1))?.[1]
    : undefined;
  const direct = await actorAt(
    drizzle,
    own === undefined ? address : actorUri(origin, own.toLowerCase()),
  );
  if (direct !== undefined) return { actor: direct };
  const thing = await thingAt(drizzle, address);
  if (thing === undefined) return undefined;
  const [found] = await drizzle.select({ id: post.id }).from(post).where(eq(post.thing, thing.id));
  if (found !== undefined) return { post: found.id };
  const actor = await actorAt(drizzle, thing.uri);
  return actor === undefined ? undefined : { actor };
}
