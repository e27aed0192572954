/** Somebody gets a new password. */

import { eq } from "drizzle-orm";
import type { Database } from "../../store/database.ts";
import type { AccountId } from "./create.ts";
import { hashPassword } from "./password.ts";
import { account } from "./schema.ts";
import { endSessionsOf } from "./session.ts";

/**
 * Sets a password and ends all sessions: whoever knew the old one is out. Apps keep what they were allowed.
 *
 * @returns how many sessions ended
 * @throws Refusal "account_invalid" when the password is too short or too long
 */
export async function setPassword(
  { drizzle }: Pick<Database, "drizzle">,
  id: AccountId,
  password: string,
): Promise<number> {
  const passwordHash = await hashPassword(password);
  return drizzle.transaction(async (tx) => {
    await tx.update(account).set({ passwordHash }).where(eq(account.id, id));
    return endSessionsOf(tx, id);
  });
}
