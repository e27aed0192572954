/** Money that arrives within the grace funds the month that is over (R11). */

import { sql } from "drizzle-orm";
import type { Micro } from "../../rules/amount.ts";
import { graceEndsAt, periodFromNumber } from "../../rules/period.ts";
import type { Database, Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { addJob } from "../../store/jobs.ts";
import { Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { divideRange } from "./divide.ts";
import { giveBackOf, lockStanding } from "./give-back.ts";
import { receiptsDue } from "./receipt.ts";

/** Money that came in for a patron and is booked already. */
export interface Arrival {
  readonly patron: AccountId;
  readonly amount: Micro;
  readonly at: Temporal.Instant;
}

/**
 * Divides the first money that arrives over the flattrs of a month that found an empty purse, if there is one whose
 * grace still runs: the smaller of that month's budget and the payment, once. Call it in the transaction that booked it.
 */
export async function fundLate(
  database: Database,
  tx: Tx,
  { patron, amount, at }: Arrival,
): Promise<void> {
  const [row] = await tx.execute<{ period: number; state: string }>(sql`
    SELECT period, state FROM settlement
     WHERE patron = ${patron} AND available = 0 AND state IN ('frozen', 'unfunded', 'lapsed')
     ORDER BY period DESC LIMIT 1 FOR UPDATE`);
  if (row === undefined) return;
  const period = periodFromNumber(row.period);
  if (Temporal.Instant.compare(at, graceEndsAt(period)) >= 0) return;
  // Another process's clock has ended the grace already; by a fresh clock this payment belongs to the running month.
  if (row.state === "lapsed") throw new Refusal("period_closed", { period });
  await lockStanding(tx);
  const one = { period, lo: patron, hi: patron };
  // The close has not come to this patron yet: settle him now, which finds the purse as empty as it was.
  if (row.state === "frozen")
    await divideRange(database, tx, { ...one, key: `settle:${period}:patron:${patron}`, at });
  const key = `late:${period}:${patron}`;
  await divideRange(database, tx, { ...one, key, at, late: amount });
  await giveBackOf(database, tx, {
    key: `return:${key}`,
    at,
    which: sql`t.key = ${key} AND a.owner IN (SELECT payee FROM payee_unpaid)`,
  });
  await addJob(
    tx,
    receiptsDue,
    { period, kind: "patron", account: String(patron) },
    `receipts:${period}:patron:${patron}`,
  );
}
