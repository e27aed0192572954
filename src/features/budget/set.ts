/** The monthly budget (R1). */

import { eq } from "drizzle-orm";
import { isWholeMinor, type Micro, PERSONAL_AMOUNT_MAX } from "../../rules/amount.ts";
import type { Period } from "../../rules/period.ts";
import type { Database, Settings } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { account } from "../account/schema.ts";
import { change } from "../settlement/change.ts";
import { budget } from "./schema.ts";

/**
 * Sets the monthly budget; the last one set before a month ends counts for the whole of it. 0 is a pause.
 *
 * @returns the month for which it counts first
 * @throws Refusal "budget_too_low" below the minimum, "budget_invalid" when it is not whole minor units
 */
export async function setBudget(
  database: Database,
  { patron, amount, at }: { patron: AccountId; amount: Micro; at: Temporal.Instant },
): Promise<Period> {
  refuseBudget(database.settings, amount);
  return change(database, at, async (tx, period) => {
    await tx.insert(budget).values({ patron, since: at, amount });
    return period;
  });
}

/**
 * Sets up to which a message to `@flattr` may raise the budget: only a session of the browser may, since whoever holds
 * an app's token can write messages.
 *
 * @param ceiling undefined: up to the budget that is set, which is no raise
 * @throws Refusal "budget_invalid" when it is not whole minor units
 */
export async function setBudgetCeiling(
  { drizzle, settings: { currency } }: Pick<Database, "drizzle" | "settings">,
  { patron, ceiling }: { readonly patron: AccountId; readonly ceiling: Micro | undefined },
): Promise<void> {
  const isOutside = (amount: Micro) =>
    amount < 0n || amount > PERSONAL_AMOUNT_MAX || !isWholeMinor(amount, currency);
  if (ceiling !== undefined && isOutside(ceiling)) throw new Refusal("budget_invalid");
  await drizzle
    .update(account)
    .set({ budgetCeiling: ceiling ?? null })
    .where(eq(account.id, patron));
}

/** @throws Refusal "budget_too_low" below the minimum, "budget_invalid" when it is not whole minor units */
export function refuseBudget(
  { currency, minimumBudget }: Pick<Settings, "currency" | "minimumBudget">,
  amount: Micro,
): void {
  if (amount < 0n || amount > PERSONAL_AMOUNT_MAX || !isWholeMinor(amount, currency))
    throw new Refusal("budget_invalid");
  if (amount !== 0n && amount < minimumBudget) throw new Refusal("budget_too_low");
}
