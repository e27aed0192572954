/**
 * A process that works on an instance and may be killed at any moment. What it says, a line of JSON each:
 * `opened`, `try` before an action, `did` after it was acknowledged, `closed` when a month is.
 *
 *   close YYYY-MM MILLISECONDS   closes a month as `settle` does
 *   ranges YYYY-MM MILLISECONDS  the same, and counts the ranges that this process divided
 *   clock MILLISECONDS           clicks by its own clock until that says so late
 *   click SEED MILLISECONDS      clicks, takes back, sets budgets and pays in until it is told to end
 */

import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "drizzle-orm";
import { readConfig } from "../../src/config.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { closePeriod, closeRange } from "../../src/features/settlement/close.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { type Instance, openInstance } from "../../src/instance.ts";
import { toMicro } from "../../src/rules/amount.ts";
import { parsePeriod } from "../../src/rules/period.ts";
import type { Database } from "../../src/store/database.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { surviveVanishedDatabase } from "../../src/store/survive.ts";
import { Temporal } from "../../src/store/time.ts";
import { randomOf } from "./random.ts";

/** Workers that must begin together wait for this lock of the database. */
const START_LOCK = 4711;

/** Actions that are under way at once; each lane has patrons of its own. */
const LANES = 3;

surviveVanishedDatabase();
const [mode = "", first = "", second = ""] = process.argv.slice(2);
const state = { ending: false };
process.on("SIGTERM", () => (state.ending = true));

const instance = await openInstance(readConfig(process.env));
try {
  say({ opened: mode });
  if (mode === "click") await clickAround(instance.database, Number(first), Number(second));
  else if (mode === "clock") await clickByClock(instance, Number(first));
  else await closeMonth(instance.database);
} finally {
  await instance.close();
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function closeMonth(database: Database): Promise<void> {
  const period = parsePeriod(first)!;
  const at = Temporal.Instant.fromEpochMilliseconds(Number(second));
  await database.drizzle.execute(
    sql`SELECT pg_advisory_lock_shared(${START_LOCK}), pg_advisory_unlock_shared(${START_LOCK})`,
  );
  let ranges = 0;
  if (mode === "ranges") {
    while (await closeRange(database, period)) ranges += 1;
    await closePeriod(database, period);
  }
  const { state: closed } = await settle(database, { period, at });
  say({ closed, ranges });
}

/** Clicks again and again: each thing counts once in each month. */
async function clickByClock({ database, clock }: Instance, until: number): Promise<void> {
  const people = await database.sql<{ id: bigint }[]>`SELECT id FROM account ORDER BY id`;
  // Not what the bot writes when a month has closed: nobody is paid for that.
  const things = await database.sql<
    { id: bigint }[]
  >`SELECT id FROM thing WHERE uri LIKE 'https://things.example/%' ORDER BY id`;
  for (let turn = 0; clock.now().epochMilliseconds < until; turn += 1) {
    const patron = people[turn % people.length]!.id;
    const thing = things[Math.floor(turn / people.length) % things.length]!.id;
    const gift = { patron, thing, source: "click", at: clock.now() } as const;
    const { flattr, period, again } = await giveFlattr(database, gift);
    say({ flattr: String(flattr), period, again });
    await sleep(5);
  }
}

async function clickAround(database: Database, seed: number, from: number): Promise<void> {
  const people = await database.sql<
    { id: bigint; name: string }[]
  >`SELECT id, name FROM account WHERE name LIKE 'p%' ORDER BY id`;
  const things = await database.sql<
    { id: bigint; uri: string }[]
  >`SELECT id, uri FROM thing ORDER BY id`;
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    const random = randomOf(seed * LANES + lane);
    const mine = people.filter((_person, place) => place % LANES === lane);
    for (let turn = 0; !state.ending; turn += 1) {
      const ms = from + turn * LANES + lane;
      const at = Temporal.Instant.fromEpochMilliseconds(ms);
      const { id: patron, name } = random.pick(mine);
      const { id: thing, uri } = random.pick(things);
      const kind = random.below(100);
      const cents = BigInt(1 + random.below(400)) * 10_000n;
      const who = { at: ms, patron: name };
      if (kind < 60)
        await acknowledge({ ...who, do: "flattr", thing: uri }, async () => {
          const given = await giveFlattr(database, { patron, thing, source: "click", at });
          return given.again ? "again" : "ok";
        });
      else if (kind < 75)
        await acknowledge({ ...who, do: "undo", thing: uri }, async () => {
          await takeBackFlattr(database, { patron, thing, at });
          return "ok";
        });
      else if (kind < 85)
        await acknowledge(
          { ...who, do: "budget", amount: String(cents + 2_000_000n) },
          async () => {
            await setBudget(database, { patron, amount: toMicro(cents + 2_000_000n), at });
            return "ok";
          },
        );
      else
        await acknowledge(
          { ...who, do: "fund", amount: String(cents), reference: String(ms) },
          async () => {
            const reference = String(ms);
            const { booked } = await fund(database, {
              patron,
              amount: toMicro(cents),
              reference,
              at,
            });
            return booked ? "ok" : "again";
          },
        );
    }
  });
  await Promise.all(lanes);
}

/** Says what will be tried, and when it is done, that it is. */
async function acknowledge(action: object, work: () => Promise<string>): Promise<void> {
  say({ try: action });
  const result = await work().catch((error: unknown) => {
    if (error instanceof Refusal) return error.reason;
    throw error;
  });
  say({ did: action, result });
}
