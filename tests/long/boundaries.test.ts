/**
 * Two years of month boundaries, crossed by real processes whose clock is shifted so that each boundary is only
 * seconds away, in several time zones; some are crossed by `serve` alone.
 */

import { expect, test } from "vitest";
import { createAccount } from "../../src/features/account/create.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { rememberThing } from "../../src/features/thing/thing.ts";
import { turnMonths } from "../../src/features/settlement/turn.ts";
import { readConfig } from "../../src/config.ts";
import { openInstance } from "../../src/instance.ts";
import { toMicro } from "../../src/rules/amount.ts";
import type { Database } from "../../src/store/database.ts";
import { Temporal } from "../../src/store/time.ts";
import { Model, monthAfter, monthOf, startOf } from "../support/model.ts";
import {
  newFolder,
  removeFolder,
  runJson,
  runProgram,
  type Serving,
  serve,
  startScript,
  TRIAL_ORIGIN,
  until,
} from "../support/process.ts";
import { compare } from "./compare.ts";

const BOUNDARIES = Number(process.env["BOUNDARIES"] ?? 24);

/** Two turns of a year and a 29 February lie in the two years from here. */
const FIRST_MONTH = 202711;

const ZONES = ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"] as const;

/** How long before the boundary the processes start, and how long after it they click on. */
const LEAD_MS = 8000;
const AFTER_MS = 700;

/** Each of these, counted from 0, is crossed by a running `serve`, which closes the month by its own tick. */
const SERVED = new Set([1, 3, 5]);

/** The tick comes each minute. */
const TICK_MS_MAX = 90_000;

const PEOPLE = ["anna", "ben", "cleo"];
const THINGS = Array.from({ length: 60 }, (_, place) => ({
  uri: `https://things.example/${place}`,
  authors: [{ payee: `https://elsewhere.example/u/${place % 9}`, weight: 1 }],
}));

/** What a process was told about a click, and the span of the shifted clock in which it was made. */
interface Click {
  readonly flattr: string;
  readonly period: string;
  readonly again: boolean;
  readonly from: number;
  readonly to: number;
}

test("every click lands in the month that the shifted clock says, and every month closes", async () => {
  const folder = await newFolder();
  const begin = startOf(FIRST_MONTH);
  const clicks: Click[] = [];
  let crossed = 0;
  try {
    const model = await fill(folder, begin);
    let month = FIRST_MONTH;
    for (let count = 0; count < BOUNDARIES; count += 1, month = monthAfter(month)) {
      const crossing = await cross(folder, month, count);
      clicks.push(...crossing);
      if (crossing.some(isIn(month)) && crossing.some(isIn(monthAfter(month)))) crossed += 1;
    }
    await withDatabase(folder, async (database) => {
      await verify(database, clicks);
      await feed(database, model, month);
      expect(await compare(database, model, "all")).toBeUndefined();
    });
    process.stdout.write(
      `${BOUNDARIES} boundaries, ${crossed} with clicks on both sides, ${clicks.length} clicks\n`,
    );
    expect(crossed).toBe(BOUNDARIES);
  } finally {
    await removeFolder(folder);
  }
});

const isIn = (month: number) => (click: Click) => click.period === textOf(month);

const textOf = (month: number) =>
  `${Math.trunc(month / 100)}-${String(month % 100).padStart(2, "0")}`;

/** Crosses the end of a month. @returns the clicks of all processes */
async function cross(folder: string, month: number, count: number): Promise<Click[]> {
  const boundary = startOf(monthAfter(month));
  const shift = boundary - LEAD_MS - Date.now();
  const shifted = () => Date.now() + shift;
  const environment = {
    CLOCK_OFFSET: `PT${Math.trunc(shift / 1000)}.${String(shift % 1000).padStart(3, "0")}S`,
    TZ: ZONES[count % ZONES.length]!,
    // Nothing expires in these two years: only a tick gives back, and most months are settled by hand.
    UNCLAIMED_MONTHS: "36",
  };
  const byCommand = async (): Promise<Click> => {
    const from = shifted();
    const [answer] = await runJson(folder, ["flattr", "anna", THINGS.at(-1)!.uri], environment);
    return { ...(answer as unknown as Click), from, to: shifted() };
  };
  const from = shifted();
  const serving = SERVED.has(count) ? serve(folder, environment) : undefined;
  const clicker = startScript(
    `${import.meta.dirname}/worker.ts`,
    folder,
    ["clock", String(boundary + AFTER_MS)],
    environment,
  );
  const [before, { status, stdout, stderr }] = await Promise.all([byCommand(), clicker.ended]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const to = shifted();
  const clicks = stdout
    .split("\n")
    .filter((line) => line.includes("flattr"))
    .map((line) => ({ ...(JSON.parse(line) as Click), from, to }));
  const after = await byCommand();
  expect(after.period).toBe(textOf(monthAfter(month)));
  if (serving !== undefined) await untilClosedByTick(folder, month, await serving);
  const [summary] = await runJson(folder, ["settle"], environment);
  expect(summary).toMatchObject({ period: textOf(month), state: "closed" });
  const checked = await runProgram(folder, ["check"], environment);
  expect({ status: checked.status, words: checked.stdout }).toEqual({
    status: 0,
    words: "The books are right.\n",
  });
  return [...clicks, before, after];
}

/** Waits until the running instance has closed a month, then ends it. */
async function untilClosedByTick(folder: string, month: number, serving: Serving): Promise<void> {
  await withDatabase(folder, async ({ sql }) => {
    await until(
      TICK_MS_MAX,
      async () => {
        const [row] = await sql<{ state: string }[]>`SELECT state FROM period WHERE id = ${month}`;
        return row?.state === "closed" ? true : undefined;
      },
      `the close of ${month} by serve`,
    );
  });
  serving.child.kill("SIGTERM");
  const { status, stderr } = await serving.ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
}

async function withDatabase<T>(
  folder: string,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const instance = await openInstance(readConfig({ DATA_DIR: folder, ORIGIN: TRIAL_ORIGIN }));
  try {
    return await work(instance.database);
  } finally {
    await instance.close();
  }
}

/** People with money for all months, and things. */
async function fill(folder: string, begin: number): Promise<Model> {
  const at = Temporal.Instant.fromEpochMilliseconds(begin);
  const settings = { feeBasisPoints: 0, minimumBudget: 2_000_000n, unclaimedMonths: 36 };
  const people = new Map(PEOPLE.map((name) => [name, `${TRIAL_ORIGIN}/users/${name}`]));
  const model = new Model(settings, people, THINGS, begin);
  await withDatabase(folder, async (database) => {
    await turnMonths(database, at);
    for (const name of PEOPLE) {
      const email = `${name}@mail.example`;
      const { id: patron } = await createAccount(database, { name, email, role: "user", at });
      await setBudget(database, { patron, amount: toMicro(2_110_000n), at });
      await fund(database, { patron, amount: toMicro(90_000_000n), at });
      model.apply({ at: begin, do: "budget", patron: name, amount: 2_110_000n });
      model.apply({ at: begin, do: "fund", patron: name, amount: 90_000_000n });
    }
    for (const { uri, authors } of THINGS)
      await database.drizzle.transaction((tx) =>
        rememberThing(tx, database.settings, { uri, kind: "Note", payees: authors }, at),
      );
  });
  return model;
}

/** Every click that was acknowledged is there, made when the shifted clock said, in the month of that instant. */
async function verify({ sql }: Database, clicks: readonly Click[]): Promise<void> {
  const rows = await sql<
    { id: bigint; period: number; at: Date }[]
  >`SELECT id, period, at FROM flattr`;
  const known = new Map(rows.map((row) => [String(row.id), row]));
  const made = clicks.filter(({ again }) => !again);
  expect(new Set(made.map(({ flattr }) => flattr)).size).toBe(rows.length);
  for (const { flattr, period, again, from, to } of clicks) {
    const row = known.get(flattr);
    expect(row, `flattr ${flattr} in ${period}`).toBeDefined();
    expect(textOf(row!.period)).toBe(period);
    expect(monthOf(row!.at.getTime())).toBe(row!.period);
    if (again) continue;
    expect(row!.at.getTime()).toBeGreaterThanOrEqual(from);
    expect(row!.at.getTime()).toBeLessThanOrEqual(to);
  }
}

/** Tells the model what was clicked, and that the clock went on. */
async function feed({ sql }: Database, model: Model, open: number): Promise<void> {
  const rows = await sql<{ patron: string; thing: string; at: Date }[]>`
    SELECT a.name AS patron, t.uri AS thing, f.at FROM flattr f JOIN account a ON a.id = f.patron JOIN thing t ON t.id = f.thing ORDER BY f.id`;
  let month = FIRST_MONTH;
  for (const { patron, thing, at } of rows) {
    // After each boundary somebody settled, seconds after it.
    while (month < monthOf(at.getTime())) {
      month = monthAfter(month);
      model.apply({ at: startOf(month), do: "tick" });
    }
    expect(model.apply({ at: at.getTime(), do: "flattr", patron, thing, private: false })).toBe(
      "ok",
    );
  }
  expect(month).toBe(open);
}
