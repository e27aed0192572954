/** Closing a month by hand. */

import { sql } from "drizzle-orm";
import { type Micro, toMicro } from "../../rules/amount.ts";
import { type Period, periodFromNumber, periodNumber } from "../../rules/period.ts";
import type { Database, Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import { closePeriod, finalisePeriods } from "./close.ts";
import { giveBackExpired } from "./expire.ts";
import { turnMonths } from "./turn.ts";

/** What a month came to. Without names: for the operator's eyes and the open data. */
export interface Summary {
  readonly period: Period;
  readonly state: "open" | "frozen" | "closed" | "final";
  /** Patrons with a flattr in the month, and those of them whose money moved. */
  readonly patrons: number;
  readonly paying: number;
  /** Patrons with an empty purse whose month can still be funded. */
  readonly unfunded: number;
  readonly flattrs: number;
  readonly spent: Micro;
  readonly fee: Micro;
  /** For creators of this instance, of peers, and waiting for all others; what came back later included. */
  readonly own: Micro;
  readonly peers: Micro;
  readonly waiting: Micro;
}

/**
 * Closes a month that is over, and the months before it; runs as often as you like.
 *
 * @param period the newest month that is over, unless named
 * @throws Refusal "period_open" when it is not over, "period_invalid" when this instance does not know it
 */
export async function settle(
  database: Database,
  { period: named, at }: { period?: Period | undefined; at: Temporal.Instant },
): Promise<Summary> {
  await turnMonths(database, at);
  const period = await chooseOver(database, named);
  await closePeriod(database, period);
  await finalisePeriods(database, at);
  await giveBackExpired(database, at);
  return summaryOf(database.drizzle, period);
}

/** One dry run at a time. */
const DRY_RUN_LOCK = 1_179_403_639;

/** Thrown to undo a dry run. */
class DryRunIsOver extends Error {
  readonly summary: Summary;
  constructor(summary: Summary) {
    super("the dry run is over");
    this.summary = summary;
  }
}

/**
 * Says what `settle` would do, and does nothing: everything happens in one transaction that is then rolled back.
 *
 * @throws as `settle`
 */
export async function settleDryRun(
  database: Database,
  wish: { period?: Period | undefined; at: Temporal.Instant },
): Promise<Summary> {
  try {
    return await database.drizzle.transaction(async (tx) => {
      // Two at once would each hold a range that the other one waits for.
      await tx.execute(sql`SELECT pg_advisory_xact_lock(${DRY_RUN_LOCK})`);
      throw new DryRunIsOver(await settle({ ...database, drizzle: tx }, wish));
    });
  } catch (error) {
    if (error instanceof DryRunIsOver) return error.summary;
    throw error;
  }
}

async function chooseOver({ drizzle }: Database, named: Period | undefined): Promise<Period> {
  const months = await drizzle.execute<{ id: number; state: string }>(
    sql`SELECT id, state FROM period ORDER BY id DESC`,
  );
  const open = months.find(({ state }) => state === "open");
  if (named === undefined) {
    const over = months.find(({ state }) => state !== "open");
    if (over === undefined)
      throw new Refusal("period_open", { period: periodFromNumber(open!.id) });
    return periodFromNumber(over.id);
  }
  const month = months.find(({ id }) => id === periodNumber(named));
  if (month?.state === "open" || (open !== undefined && periodNumber(named) > open.id))
    throw new Refusal("period_open", { period: named });
  if (month === undefined)
    throw new Refusal("period_invalid", { period: named, why: "this instance did not exist then" });
  return named;
}

/** What a month came to so far. */
export async function summaryOf(tx: Pick<Tx, "execute">, period: Period): Promise<Summary> {
  const month = periodNumber(period);
  const [row] = await tx.execute<Record<string, string | number> & { state: Summary["state"] }>(sql`
    SELECT p.state, s.*, w.*
      FROM period p,
           (SELECT count(*)::int AS patrons, count(*) FILTER (WHERE spent > 0)::int AS paying,
                   count(*) FILTER (WHERE state = 'unfunded')::int AS unfunded, COALESCE(sum(flattrs), 0)::int AS flattrs,
                   COALESCE(sum(spent), 0)::text AS spent, COALESCE(sum(fee), 0)::text AS fee
              FROM settlement WHERE period = ${month}) s,
           (SELECT COALESCE(sum(e.amount) FILTER (WHERE a.kind = 'earnings'), 0)::text AS own,
                   COALESCE(sum(e.amount) FILTER (WHERE a.kind = 'outbound'), 0)::text AS peers,
                   COALESCE(sum(e.amount) FILTER (WHERE a.kind = 'waiting'), 0)::text AS waiting
              FROM ledger.transfer t JOIN ledger.entry e ON e.transfer = t.id AND e.amount > 0 JOIN ledger.account a ON a.id = e.account
             WHERE t.period = ${month} AND t.kind IN ('settle', 'late')) w
     WHERE p.id = ${month}`);
  const amount = (name: string) => toMicro(BigInt(row![name]!));
  const count = (name: string) => Number(row![name]);
  return {
    period,
    state: row!.state,
    patrons: count("patrons"),
    paying: count("paying"),
    unfunded: count("unfunded"),
    flattrs: count("flattrs"),
    spent: amount("spent"),
    fee: amount("fee"),
    own: amount("own"),
    peers: amount("peers"),
    waiting: amount("waiting"),
  };
}
