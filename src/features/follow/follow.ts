/** Following people of this instance. */

import { eq } from "drizzle-orm";
import type { Database } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { Account } from "../account/create.ts";
import { account, actor } from "../account/schema.ts";
import { follow } from "./schema.ts";

/**
 * Follows somebody by URI. Following twice changes nothing.
 *
 * @throws Refusal "follow_invalid" for oneself, "follow_elsewhere" for somebody of another server
 */
export async function followActor(
  database: Database,
  { follower, uri, at }: { follower: Account; uri: string; at: Temporal.Instant },
): Promise<void> {
  const [found] = await database.drizzle
    .select({ id: actor.id })
    .from(actor)
    .innerJoin(account, eq(account.actor, actor.id))
    .where(eq(actor.uri, uri));
  if (found === undefined) throw new Refusal("follow_elsewhere", { uri });
  if (found.id === follower.actor) throw new Refusal("follow_invalid");
  await database.drizzle
    .insert(follow)
    .values({ follower: follower.actor, followee: found.id, since: at })
    .onConflictDoNothing();
}
