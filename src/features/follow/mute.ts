/** Not wanting to see somebody for a while or for good; he never learns of it. */

import { and, eq } from "drizzle-orm";
import { type Database, retrying } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { Account } from "../account/create.ts";
import { uriOfPerson } from "./block.ts";
import { mute } from "./schema.ts";

/** A mute, by somebody of this instance. */
export interface OwnMute {
  readonly account: Account;
  readonly actor: ActorId;
  /** What he does is not told either; true unless said otherwise. */
  readonly hidesNotifications?: boolean | undefined;
  /** When it ends by itself; undefined: never. */
  readonly until?: Temporal.Instant | undefined;
  readonly at: Temporal.Instant;
}

/**
 * Mutes somebody. Again changes how.
 *
 * @throws Refusal "not_found" for nobody, "oneself"
 */
export async function mutePerson(
  database: Database,
  { account, actor, hidesNotifications = true, until, at }: OwnMute,
): Promise<void> {
  if (actor === account.actor) throw new Refusal("oneself");
  const how = { hidesNotifications, until: until ?? null };
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      await uriOfPerson(tx, actor);
      await tx
        .insert(mute)
        .values({ account: account.id, actor, since: at, ...how })
        .onConflictDoUpdate({ target: [mute.account, mute.actor], set: how });
    }),
  );
}

/** Ends a mute. @returns false when there was none */
export async function unmutePerson(
  { drizzle }: Pick<Database, "drizzle">,
  { account, actor }: Pick<OwnMute, "account" | "actor">,
): Promise<boolean> {
  const gone = await drizzle
    .delete(mute)
    .where(and(eq(mute.account, account.id), eq(mute.actor, actor)))
    .returning();
  return gone.length > 0;
}
