/** Who of this instance can be looked at: people with an account, and the instance's bot. */

import { eq } from "drizzle-orm";
import type { Database, Drizzle, Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { actorUri } from "./create.ts";
import { flattrActorUri } from "./own.ts";
import { account, actor } from "./schema.ts";

/** Somebody of this instance, as everybody may see him. */
export type Person = Omit<typeof actor.$inferSelect, "name"> & {
  readonly name: string;
  readonly since: Temporal.Instant;
  /** Wants to be shown in directories. */
  readonly isDiscoverable: boolean;
};

/** The person of this name, also one who is gone; undefined when there never was one. */
export async function personNamed(
  tx: Tx | Drizzle,
  origin: string,
  name: string,
): Promise<Person | undefined> {
  if (!/^[a-z0-9_]{1,30}$/.test(name)) return undefined;
  const uri = actorUri(origin, name);
  const [found] = await tx
    .select({ actor, since: account.createdAt, isDiscoverable: account.isDiscoverable })
    .from(actor)
    .leftJoin(account, eq(account.actor, actor.id))
    .where(eq(actor.uri, uri));
  // Anybody may be named as a payee at an address of ours; that makes nobody a person.
  if (found === undefined || (found.since === null && uri !== flattrActorUri(origin)))
    return undefined;
  return {
    ...found.actor,
    name,
    since: found.since ?? found.actor.foundAt,
    isDiscoverable: found.isDiscoverable ?? true,
  };
}

/** Whether somebody of this name lives here: no more than that, since it is asked for each activity that comes to him. */
export async function standingNamed(
  { sql, settings: { origin } }: Pick<Database, "sql" | "settings">,
  name: string,
): Promise<"here" | "gone" | undefined> {
  if (!/^[a-z0-9_]{1,30}$/.test(name)) return undefined;
  const uri = actorUri(origin, name);
  const [found] = await sql<{ is_gone: boolean }[]>`
    SELECT a.deleted_at IS NOT NULL AS is_gone FROM actor a
     WHERE a.uri = ${uri} AND (${uri === flattrActorUri(origin)} OR EXISTS (SELECT FROM account x WHERE x.actor = a.id))`;
  if (found === undefined) return undefined;
  return found.is_gone ? "gone" : "here";
}
