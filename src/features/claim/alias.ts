/** Actors elsewhere that are a person's own (R9). */

import type { Database } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { change } from "../settlement/change.ts";
import { ensureActors } from "../account/actor.ts";
import { alias } from "./schema.ts";

/** Remembers that an actor is the person's own: its flattrs leave the running month's division, closed months stay. */
export async function addAlias(
  database: Database,
  { account, payee, at }: { account: AccountId; payee: string; at: Temporal.Instant },
): Promise<void> {
  await change(database, at, async (tx) => {
    const actors = await ensureActors(tx, [{ uri: payee }], at);
    await tx
      .insert(alias)
      .values({ account, payee: actors.get(payee)!, since: at })
      .onConflictDoNothing({ target: [alias.account, alias.payee] });
  });
}
