/** Finding local accounts, and what people choose about themselves. */

import { eq } from "drizzle-orm";
import type { Database, Drizzle, Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Account, AccountId } from "./create.ts";
import { account } from "./schema.ts";

/** @throws Refusal "account_unknown" */
export async function accountNamed(tx: Tx | Drizzle, name: string): Promise<Account> {
  const [found] = await tx
    .select()
    .from(account)
    .where(eq(account.name, name.replace(/^@/, "").toLowerCase()));
  if (found === undefined) throw new Refusal("account_unknown", { name });
  return found;
}

/** What somebody may choose: whether favourites count (P5) and whether flattrs are private (P14). */
export type Preferences = Partial<Pick<Account, "flattrMode" | "flattrsPrivate">>;

/** Changes preferences. Flattrs that exist stay as they are. */
export async function setPreferences(
  database: Database,
  id: AccountId,
  preferences: Preferences,
): Promise<Account> {
  if (Object.keys(preferences).length === 0)
    throw new Refusal("account_invalid", { what: "preferences", rule: "say at least one" });
  const [changed] = await database.drizzle
    .update(account)
    .set(preferences)
    .where(eq(account.id, id))
    .returning();
  if (changed === undefined) throw new Refusal("account_unknown", { name: String(id) });
  return changed;
}
