/** Three processes close one month at once, and once more. */

import { expect, test } from "vitest";
import { sql } from "drizzle-orm";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { turnMonths } from "../../src/features/settlement/turn.ts";
import { toMicro } from "../../src/rules/amount.ts";
import { periodFromNumber } from "../../src/rules/period.ts";
import { Temporal } from "../../src/store/time.ts";
import {
  person,
  remotePost,
  snapshot,
  testDatabase,
  type TestDatabase,
  testMasterKeyFile,
} from "../support/database.ts";
import { Model, type ModelEvent, monthAfter, startOf } from "../support/model.ts";
import { newFolder, removeFolder, startScript } from "../support/process.ts";
import { TEST_ORIGIN } from "../support/server.ts";
import { compare } from "./compare.ts";
import { planRanges } from "./ranges.ts";
import { chosenSeed, randomOf } from "./random.ts";

const MONTHS = 6;
const WORKERS = 3;
const PATRONS = 120;
const PATRONS_PER_RANGE = 2;
const START_LOCK = 4711;
const FIRST_MONTH = 202611;

const seed = chosenSeed();

test(`three processes close the same month once, whatever they get in each other's way (SEED=${seed})`, async () => {
  const random = randomOf(seed);
  const database = await testDatabase({ feeBasisPoints: 333 });
  const folder = await newFolder();
  const uriOf = (name: string) => `${TEST_ORIGIN}/users/${name}`;
  const names = Array.from({ length: PATRONS }, (_, place) => `p${place}`);
  const accounts = new Map<string, bigint>();
  for (const name of names) accounts.set(name, (await person(database, name)).id);
  const things = Array.from({ length: 30 }, (_, place) => {
    const payee =
      place % 3 === 0 ? uriOf(names[place]!) : `https://s${place % 7}.example/u/${place}`;
    const other = { payee: `https://other.example/u/${place % 4}`, weight: 3 };
    return {
      uri: `https://things.example/${place}`,
      authors: [{ payee, weight: 2 }, ...(place % 2 === 0 ? [other] : [])],
    };
  });
  const ids = new Map<string, bigint>();
  for (const { uri, authors } of things) {
    const weights = Object.fromEntries(authors.map(({ payee, weight }) => [payee, weight]));
    ids.set(uri, await remotePost(database, uri, weights));
  }
  const settings = { feeBasisPoints: 333, minimumBudget: 2_000_000n, unclaimedMonths: 12 };
  const people = new Map(names.map((name) => [name, uriOf(name)]));
  const model = new Model(settings, people, things, startOf(FIRST_MONTH));

  const took: number[] = [];
  let month = FIRST_MONTH;
  for (let count = 0; count < MONTHS; count += 1, month = monthAfter(month)) {
    const events = monthEvents();
    for (const event of events) {
      const refused = await run(event).then(
        () => "ok",
        (error: Error) => error.message,
      );
      expect(["ok", "again"]).toContain(refused === "ok" ? model.apply(event) : refused);
    }
    const over = startOf(monthAfter(month));
    await turnMonths(database, Temporal.Instant.fromEpochMilliseconds(over));
    await planRanges(database, month, PATRONS_PER_RANGE);
    const mode = count % 2 === 0 ? "ranges" : "close";
    took.push(...(await closeTogether(month, over, mode)));
    model.apply({ at: over, do: "tick" });
    expect(await compare(database, model, "all")).toBeUndefined();
    expect(await checkBooks(database)).toEqual([]);

    const before = await snapshot(database);
    await closeTogether(month, over, mode);
    expect(await snapshot(database)).toBe(before);
  }
  const counted = took.filter((ranges) => ranges > 0);
  process.stdout.write(
    `${MONTHS} months closed twice by ${WORKERS} processes; ranges of each where counted: ${took.join(" ")}\n`,
  );
  // In the months that were counted, more than one of them had something to do.
  expect(counted.length).toBeGreaterThan(MONTHS / 2);
  await removeFolder(folder);

  function monthEvents(): ModelEvent[] {
    const list: ModelEvent[] = [];
    let at = startOf(month) + 1000;
    for (const patron of names) {
      if (month === FIRST_MONTH || random.chance(20))
        list.push({
          at: (at += 7),
          do: "budget",
          patron,
          amount: 2_000_000n + BigInt(random.below(500)) * 10_000n,
        });
      if (random.chance(70))
        list.push({
          at: (at += 7),
          do: "fund",
          patron,
          amount: BigInt(1 + random.below(600)) * 10_000n,
        });
      for (let flattrs = random.below(6); flattrs > 0; flattrs -= 1) {
        const { uri, authors } = random.pick(things);
        if (authors.length === 1 && authors[0]!.payee === uriOf(patron)) continue;
        list.push({ at: (at += 7), do: "flattr", patron, thing: uri, private: false });
      }
    }
    return list;
  }

  async function run(event: ModelEvent): Promise<void> {
    const at = Temporal.Instant.fromEpochMilliseconds(event.at);
    const patron = "patron" in event ? accounts.get(event.patron)! : 0n;
    if (event.do === "budget")
      await setBudget(database, { patron, amount: toMicro(event.amount), at });
    if (event.do === "fund") await fund(database, { patron, amount: toMicro(event.amount), at });
    if (event.do === "flattr")
      await giveFlattr(database, { patron, thing: ids.get(event.thing)!, source: "click", at });
  }

  async function closeTogether(number: number, at: number, mode: string): Promise<number[]> {
    return closeAtOnce(database, folder, [mode, periodFromNumber(number), String(at)]);
  }
});

/** Starts the workers, lets them begin together, and says how many ranges each had. */
async function closeAtOnce(
  database: TestDatabase,
  folder: string,
  args: string[],
): Promise<number[]> {
  const environment = {
    DATABASE_URL: database.url,
    MASTER_KEY_FILE: testMasterKeyFile(),
    ORIGIN: TEST_ORIGIN,
  };
  const script = `${import.meta.dirname}/worker.ts`;
  const workers = await database.drizzle.transaction(async (tx) => {
    await tx.execute(sql`SELECT pg_advisory_xact_lock(${START_LOCK})`);
    const started = Array.from({ length: WORKERS }, () =>
      startScript(script, folder, args, environment),
    );
    await Promise.all(started.map(waitUntilOpened));
    return started;
  });
  const ranges: number[] = [];
  for (const { ended } of workers) {
    const { status, stdout, stderr } = await ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const last = JSON.parse(stdout.trim().split("\n").at(-1)!) as {
      closed: string;
      ranges: number;
    };
    expect(last.closed).toBe("closed");
    ranges.push(last.ranges);
  }
  return ranges;
}

async function waitUntilOpened({ child, stdout }: ReturnType<typeof startScript>): Promise<void> {
  while (!stdout().includes("opened")) {
    if (child.exitCode !== null) throw new Error("a worker ended before it began");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
