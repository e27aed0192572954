/** Subscriptions: a flattr that repeats itself at each opening of a month (P8, R17). */

import { and, eq, isNull, sql } from "drizzle-orm";
import type { Database, Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { change } from "../settlement/change.ts";
import type { ThingId } from "../thing/thing.ts";
import { subscription } from "./schema.ts";

export type Subscription = typeof subscription.$inferSelect;

/** Ten years; whoever wants longer subscribes without end. */
const MONTHS_MAX = 120;

interface Which {
  readonly patron: AccountId;
  readonly thing: ThingId;
  readonly at: Temporal.Instant;
}

/**
 * Subscribes from the next opening on. A running subscription gets the new length and goes on if it was paused.
 *
 * @param months how many openings; null: without end
 * @throws Refusal "subscription_invalid" for a length that is none, "flattr_owner" or "payee_declined" as for a click
 */
export async function subscribe(
  database: Database,
  { patron, thing, months, at }: Which & { months: number | null },
): Promise<Subscription> {
  if (months !== null && !(Number.isInteger(months) && months >= 1 && months <= MONTHS_MAX))
    throw new Refusal("subscription_invalid");
  return change(database, at, async (tx) => {
    await refuseUnpaid(tx, patron, thing);
    const [made] = await tx
      .insert(subscription)
      .values({ id: sql`new_id(${sqlTime(at)})`, patron, thing, since: at, monthsLeft: months })
      .onConflictDoUpdate({
        target: [subscription.patron, subscription.thing],
        targetWhere: isNull(subscription.endedAt),
        set: { monthsLeft: months, pausedAt: null },
      })
      .returning();
    return made!;
  });
}

/** Ends a subscription; the flattr of the running month stays. @throws Refusal "not_found" */
export async function unsubscribe(database: Database, which: Which): Promise<Subscription> {
  return alter(database, which, { endedAt: which.at });
}

/** A paused subscription makes no flattrs and uses up no openings. @throws Refusal "not_found" */
export async function pauseSubscription(database: Database, which: Which): Promise<Subscription> {
  return alter(database, which, { pausedAt: which.at });
}

async function alter(
  database: Database,
  { patron, thing, at }: Which,
  to: Partial<Subscription>,
): Promise<Subscription> {
  return change(database, at, async (tx) => {
    const [changed] = await tx
      .update(subscription)
      .set(to)
      .where(
        and(
          eq(subscription.patron, patron),
          eq(subscription.thing, thing),
          isNull(subscription.endedAt),
        ),
      )
      .returning();
    if (changed === undefined) throw new Refusal("not_found");
    return changed;
  });
}

async function refuseUnpaid(tx: Tx, patron: AccountId, thing: ThingId): Promise<void> {
  const payees = await tx.execute<{ own: boolean; reason: string | null }>(sql`
    SELECT is_own(${patron}, p.payee) AS own, s.reason
      FROM thing t JOIN split_part p ON p.split = t.split JOIN payee_standing s ON s.payee = p.payee
     WHERE t.id = ${thing} AND t.deleted_at IS NULL`);
  if (payees.length === 0) throw new Refusal("not_found");
  if (payees.some(({ own, reason }) => !own && reason === null)) return;
  if (payees.some(({ own }) => own)) throw new Refusal("flattr_owner");
  throw new Refusal(
    payees.some(({ reason }) => reason === "payee_declined") ? "payee_declined" : "payee_blocked",
  );
}
