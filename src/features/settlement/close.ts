/** Closing a month that is frozen: ranges of patrons, any number of workers, restartable at any point. */

import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "drizzle-orm";
import { closesAt, graceEndsAt, type Period, periodNumber } from "../../rules/period.ts";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { addJob, type JobKind } from "../../store/jobs.ts";
import { Temporal } from "../../store/time.ts";
import { divideRange } from "./divide.ts";
import { giveBackOf, lockStanding } from "./give-back.ts";
import { receiptsDue } from "./receipt.ts";

/** A month has money for creators at peers: it is to be sent. */
export const transfersDue: JobKind<{ period: Period }> = { name: "transfers.due" };

/** How often a worker looks whether the others are done with their last ranges. */
const LOOK_MS = 20;

/** Divides every range that is not divided yet, waits for those of other workers, and ends the close. */
export async function closePeriod(database: Database, period: Period): Promise<void> {
  while ((await closeRange(database, period)) || (await isUndone(database, period))) {
    // Another range, or one more look at those that other workers hold.
  }
  await retrying(() => database.drizzle.transaction((tx) => finishClose(database, tx, period)));
}

/**
 * Divides one range that nobody else is at.
 *
 * @returns false when there was none
 */
export async function closeRange(database: Database, period: Period): Promise<boolean> {
  const month = periodNumber(period);
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [range] = await tx.execute<{ range: number; lo: string; hi: string }>(sql`
        SELECT range, lo, hi FROM settlement_range WHERE period = ${month} AND done = 0
         ORDER BY range LIMIT 1 FOR UPDATE SKIP LOCKED`);
      if (range === undefined) return false;
      await divideRange(database, tx, {
        period,
        lo: BigInt(range.lo),
        hi: BigInt(range.hi),
        key: `settle:${period}:${range.range}`,
        at: closesAt(period),
      });
      await tx.execute(
        sql`UPDATE settlement_range SET done = 1 WHERE period = ${month} AND range = ${range.range}`,
      );
      return true;
    }),
  );
}

async function isUndone(database: Database, period: Period): Promise<boolean> {
  const [undone] = await database.drizzle.execute(
    sql`SELECT FROM settlement_range WHERE period = ${periodNumber(period)} AND done = 0 LIMIT 1`,
  );
  if (undone === undefined) return false;
  await sleep(LOOK_MS);
  return true;
}

/** frozen → closed, when all ranges are done. Who declined or was blocked since the freeze gives back at once. */
export async function finishClose(database: Database, tx: Tx, period: Period): Promise<void> {
  const month = periodNumber(period);
  const [row] = await tx.execute<{ state: string }>(
    sql`SELECT state FROM period WHERE id = ${month} FOR UPDATE`,
  );
  if (row?.state !== "frozen") return;
  await lockStanding(tx);
  await tx.execute(sql`UPDATE period SET state = 'closed' WHERE id = ${month}`);
  const [unpaid] = await tx.execute(sql`
    SELECT FROM period_payee p JOIN payee_unpaid u ON u.payee = p.payee WHERE p.period = ${month} AND p.way = 'waiting' LIMIT 1`);
  if (unpaid !== undefined) {
    await giveBackOf(database, tx, {
      key: `return:${period}:close`,
      at: closesAt(period),
      which: sql`t.period = ${month} AND a.owner IN (SELECT payee FROM payee_unpaid)`,
    });
  }
  await addJob(tx, receiptsDue, { period, kind: "patron" }, `receipts:${period}:patron`);
  await addJob(tx, transfersDue, { period }, `transfers:${period}`);
}

/** closed → final for every month whose grace is over: what was not funded lapses. */
export async function finalisePeriods(database: Database, at: Temporal.Instant): Promise<void> {
  await database.drizzle.transaction(async (tx) => {
    const closed = await tx.execute<{ id: number; period: Period }>(sql`
      SELECT id, to_char(opens AT TIME ZONE 'UTC', 'YYYY-MM') AS period FROM period WHERE state = 'closed' ORDER BY id FOR UPDATE`);
    for (const { id, period } of closed) {
      if (Temporal.Instant.compare(at, graceEndsAt(period)) < 0) continue;
      await tx.execute(
        sql`UPDATE settlement SET state = 'lapsed' WHERE period = ${id} AND state = 'unfunded'`,
      );
      await tx.execute(sql`UPDATE period SET state = 'final' WHERE id = ${id}`);
      await addJob(tx, receiptsDue, { period, kind: "creator" }, `receipts:${period}:creator`);
      await addJob(tx, transfersDue, { period }, `transfers:${period}`);
    }
  });
}
