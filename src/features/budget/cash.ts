/** Real money in and out by hand: the manual rail. */

import { eq, sql } from "drizzle-orm";
import { isWholeMinor, type Micro, PERSONAL_AMOUNT_MAX, toMicro } from "../../rules/amount.ts";
import { move, moneyIn } from "../../rules/posting.ts";
import type { Database, Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { book, lockBalance } from "../ledger/book.ts";
import { change } from "../settlement/change.ts";
import { fundLate } from "../settlement/late.ts";
import { cash } from "./schema.ts";

/** Real money that moved. */
export interface Payment {
  readonly patron: AccountId;
  readonly amount: Micro;
  /** The bank's reference. The same one again books nothing. */
  readonly reference?: string | undefined;
  readonly note?: string | undefined;
  readonly at: Temporal.Instant;
}

/** What became of a payment. */
export interface Booked {
  readonly id: bigint;
  /** False when this reference had been booked before. */
  readonly booked: boolean;
}

/**
 * Books money that came in for a patron. If a month that is over found his purse empty and its grace still runs,
 * that month is funded with it in the same transaction.
 *
 * @throws Refusal "amount_invalid" unless it is above zero and whole minor units, "reference_taken" when the
 *   reference stands for another payment
 */
export async function fund(database: Database, payment: Payment): Promise<Booked> {
  refuseAmount(database, payment.amount);
  return change(database, payment.at, async (tx) => {
    const booked = await bookCash(database, tx, payment, payment.amount);
    if (booked.booked) await fundLate(database, tx, payment);
    return booked;
  });
}

/**
 * Books money that went back to a patron.
 *
 * @throws Refusal "balance_too_low" when so much is not there or not free, and as for `fund`
 */
export async function refund(database: Database, payment: Payment): Promise<Booked> {
  refuseAmount(database, payment.amount);
  return change(database, payment.at, async (tx) => {
    const there = await lockBalance(tx, database.settings.currency, {
      kind: "budget",
      owner: payment.patron,
    });
    const [row] = await tx.execute<{ reserved: string }>(sql`
      SELECT COALESCE(sum(LEAST(budget, available)), 0)::text AS reserved FROM settlement WHERE patron = ${payment.patron} AND state = 'frozen'`);
    // A reference that was booked before is answered as such, whatever is there now.
    const known =
      payment.reference !== undefined &&
      (await knownReference(tx, payment.reference)) !== undefined;
    if (!known && payment.amount > there - BigInt(row!.reserved))
      throw new Refusal("balance_too_low");
    return bookCash(database, tx, payment, toMicro(-payment.amount));
  });
}

async function bookCash(
  database: Database,
  tx: Tx,
  { patron, reference, note, at }: Payment,
  amount: Micro,
): Promise<Booked> {
  // One transaction at a time per patron, so that the same reference sent twice at once finds the first one.
  await lockBalance(tx, database.settings.currency, { kind: "budget", owner: patron });
  const earlier = reference === undefined ? undefined : await knownReference(tx, reference);
  if (earlier !== undefined) {
    if (earlier.patron !== patron || earlier.amount !== amount)
      throw new Refusal("reference_taken", { reference: reference! });
    return { id: earlier.id, booked: false };
  }
  const [row] = await tx.execute<{ id: string }>(sql`SELECT new_id(${sqlTime(at)}) AS id`);
  const id = BigInt(row!.id);
  const legs =
    amount > 0n
      ? moneyIn(patron, amount)
      : move(toMicro(-amount), { kind: "budget", owner: patron }, { kind: "world" });
  const transfer = await book(tx, database.settings.currency, {
    key: `cash:${id}`,
    kind: amount > 0n ? "fund" : "refund",
    at,
    legs,
  });
  await tx.insert(cash).values({
    id,
    patron,
    amount,
    reference: reference ?? null,
    note: note ?? null,
    at,
    transfer: transfer!,
  });
  return { id, booked: true };
}

async function knownReference(tx: Tx, reference: string) {
  const [found] = await tx.select().from(cash).where(eq(cash.reference, reference));
  return found;
}

function refuseAmount({ settings }: Database, amount: Micro): void {
  if (amount <= 0n || amount > PERSONAL_AMOUNT_MAX || !isWholeMinor(amount, settings.currency))
    throw new Refusal("amount_invalid");
}
