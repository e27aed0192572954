/**
 * `kill -9` of processes and of the database at any moment, on a durable embedded server. After each kill the next
 * start needs no help, the books are right, what was acknowledged is there once, and what was not is there once or not
 * at all. In the end every month is what the model says. `KILLS` sets how many, `SEED` repeats the choices.
 */

import { expect, test } from "vitest";
import { sql } from "drizzle-orm";
import { readConfig } from "../../src/config.ts";
import { createAccount } from "../../src/features/account/create.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { turnMonths } from "../../src/features/settlement/turn.ts";
import { rememberThing } from "../../src/features/thing/thing.ts";
import { type Instance, openInstance } from "../../src/instance.ts";
import { toMicro } from "../../src/rules/amount.ts";
import { periodFromNumber } from "../../src/rules/period.ts";
import type { Database } from "../../src/store/database.ts";
import { Temporal } from "../../src/store/time.ts";
import { Model, type ModelEvent, monthAfter, startOf } from "../support/model.ts";
import {
  childrenOf,
  type Ended,
  killHard,
  newFolder,
  postmasterOf,
  removeFolder,
  type Running,
  runProgram,
  serve,
  startProgram,
  startScript,
  TRIAL_ORIGIN,
  until,
} from "../support/process.ts";
import { compare } from "./compare.ts";
import { planRanges } from "./ranges.ts";
import { chosenSeed, randomOf } from "./random.ts";

const KILLS = Number(process.env["KILLS"] ?? 120);
const FIRST_START_KILLS = Math.ceil(KILLS / 12);
const MONTHS = Math.max(2, Math.ceil(KILLS / 20));
const PATRONS = 240;
const FIRST_MONTH = 203001;

/** A process whose database was killed says so and ends; it does not wait for ever. */
const END_MS_MAX = 40_000;

const DAY_MS = 86_400_000;

const seed = chosenSeed();
const random = randomOf(seed);
const WORKER = `${import.meta.dirname}/worker.ts`;
const counts = {
  node: 0,
  database: 0,
  backend: 0,
  serve: 0,
  missed: 0,
  acknowledged: 0,
  unsure: 0,
  unsureDone: 0,
  closed: 0,
};

const at = (ms: number) => Temporal.Instant.fromEpochMilliseconds(ms);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test(`a first start that is killed at any moment leaves nothing that hinders the next (SEED=${seed})`, async () => {
  for (let kill = 0; kill < FIRST_START_KILLS; kill += 1) {
    const folder = await newFolder();
    try {
      const running = startProgram(folder, ["migrate"]);
      await pause(300 + random.below(2700));
      if (running.child.exitCode === null && killHard(running.pid)) counts.node += 1;
      else counts.missed += 1;
      await running.ended;
      const { status, stderr } = await runProgram(folder, ["check"]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(await postmasterOf(folder)).toBeUndefined();
    } finally {
      await removeFolder(folder);
    }
  }
});

/** An action as a worker names it. */
type Action = ModelEvent & { readonly do: "flattr" | "undo" | "budget" | "fund" };

interface Tried {
  readonly action: Action;
  /** Undefined when the worker was killed before it was told. */
  readonly result: string | undefined;
}

test(`nothing that was acknowledged is lost and nothing is doubled, whoever is killed (SEED=${seed})`, async () => {
  const folder = await newFolder();
  try {
    const model = await fill(folder);
    let month = FIRST_MONTH;
    for (let count = 0; count < MONTHS; count += 1, month = monthAfter(month)) {
      const clock = { next: startOf(month) + DAY_MS };
      const goal = ((count + 1) * KILLS) / MONTHS;
      // About half of a month's kills hit clicks, the others its close.
      while (killsSoFar() < goal - KILLS / MONTHS / 2)
        await clickRound(folder, month, model, clock);
      await closeMonth(folder, month, model, goal);
      counts.closed += 1;
    }
    const clock = { next: startOf(month) + DAY_MS };
    while (killsSoFar() < KILLS) await clickRound(folder, month, model, clock);
    await withInstance(folder, async ({ database }) => {
      expect(await compare(database, model, "all")).toBeUndefined();
    });
  } finally {
    await removeFolder(folder);
    process.stdout.write(
      `kills: ${counts.node} of node (${counts.serve} of them serve), ${counts.database} of the database, ${counts.backend} of one backend; came too late: ${counts.missed}; ` +
        `acknowledged: ${counts.acknowledged}; not acknowledged: ${counts.unsure}, of which done: ${counts.unsureDone}; months closed: ${counts.closed}\n`,
    );
  }
});

const killsSoFar = () => counts.node + counts.database + counts.backend;

/** Opens the instance as the next process would, looks at it, and closes it again. */
async function withInstance<T>(
  folder: string,
  work: (instance: Instance) => Promise<T>,
): Promise<T> {
  const config = readConfig({ DATA_DIR: folder, ORIGIN: TRIAL_ORIGIN, FEE_BASIS_POINTS: "250" });
  const instance = await openInstance(config);
  try {
    return await work(instance);
  } finally {
    await instance.close();
  }
}

/** People with budgets and money, things, and the model of them. */
async function fill(folder: string): Promise<Model> {
  const begin = startOf(FIRST_MONTH);
  const names = Array.from({ length: PATRONS }, (_, place) => `p${String(place).padStart(3, "0")}`);
  const uriOf = (name: string) => `${TRIAL_ORIGIN}/users/${name}`;
  const things = Array.from({ length: 40 }, (_, place) => ({
    uri: `https://things.example/${place}`,
    authors: [
      {
        payee: place % 4 === 0 ? uriOf(names[place]!) : `https://s${place % 5}.example/u`,
        weight: 2,
      },
      ...(place % 3 === 0 ? [{ payee: "https://other.example/u", weight: 1 }] : []),
    ],
  }));
  const settings = { feeBasisPoints: 250, minimumBudget: 2_000_000n, unclaimedMonths: 12 };
  const people = new Map(names.map((name) => [name, uriOf(name)]));
  const model = new Model(settings, people, things, begin);
  await withInstance(folder, async ({ database }) => {
    for (const [place, name] of names.entries()) {
      const email = `${name}@mail.example`;
      const { id: patron } = await createAccount(database, {
        name,
        email,
        role: "user",
        at: at(begin),
      });
      // Some begin without money or without a budget.
      const money = place % 5 === 0 ? 0n : BigInt(place % 7) * 1_230_000n;
      const budget = place % 11 === 0 ? 0n : 2_000_000n + BigInt(place) * 10_000n;
      await setBudget(database, { patron, amount: toMicro(budget), at: at(begin) });
      model.apply({ at: begin, do: "budget", patron: name, amount: budget });
      if (money === 0n) continue;
      await fund(database, { patron, amount: toMicro(money), at: at(begin) });
      model.apply({ at: begin, do: "fund", patron: name, amount: money });
    }
    for (const { uri, authors } of things)
      await database.drizzle.transaction((tx) =>
        rememberThing(tx, database.settings, { uri, kind: "Note", payees: authors }, at(begin)),
      );
  });
  return model;
}

/** A process clicks, `serve` may run beside it, and something is killed. */
async function clickRound(
  folder: string,
  month: number,
  model: Model,
  clock: { next: number },
): Promise<void> {
  const serving = random.chance(30) ? await serve(folder, shiftedTo(month)) : undefined;
  const clicker = startScript(WORKER, folder, [
    "click",
    String(random.below(1e9)),
    String(clock.next),
  ]);
  if (random.chance(85)) await untilSaid(clicker, "opened");
  await pause(random.below(1200));
  const hit = await killSomething(folder, serving === undefined ? [clicker] : [clicker, serving]);
  if (hit === "database" && serving !== undefined) {
    await until(30_000, async () => isReady(serving.address), "the server under serve");
    expect(serving.child.exitCode).toBeNull();
  }
  await endAll([clicker, ...(serving === undefined ? [] : [serving])]);
  await look(folder, month, model, triedBy(await clicker.ended), clock);
}

/** Processes close a month while the next one is clicked in, and something is killed until it is closed. */
async function closeMonth(
  folder: string,
  month: number,
  model: Model,
  goal: number,
): Promise<void> {
  const next = monthAfter(month);
  const over = startOf(next);
  await withInstance(folder, async ({ database }) => {
    await turnMonths(database, at(over));
    await planRanges(database, month, 1);
  });
  model.apply({ at: over, do: "tick" });
  const clock = { next: over + 1000 };
  for (let isClosed = false; !isClosed;) {
    const closers = Array.from({ length: 1 + random.below(3) }, () =>
      startScript(WORKER, folder, ["close", periodFromNumber(month), String(over)]),
    );
    const clicker = startScript(WORKER, folder, [
      "click",
      String(random.below(1e9)),
      String(clock.next),
    ]);
    const everybody = [...closers, clicker];
    if (killsSoFar() < goal) {
      if (random.chance(85)) await untilSaid(random.pick(closers), "opened");
      await pause(random.below(500));
      const victims = random.chance(70) ? [random.pick(closers)] : everybody;
      const hit = await killSomething(folder, victims);
      // Those that are left may close the month, or go down, too.
      if (hit === "node" && random.chance(60)) for (const { pid } of everybody) killHard(pid);
    } else await untilAnyEnded(closers);
    await endAll(everybody);
    await look(folder, next, model, triedBy(await clicker.ended), clock);
    isClosed = await withInstance(folder, async ({ database }) => {
      const [row] = await database.drizzle.execute<{ state: string }>(
        sql`SELECT state FROM period WHERE id = ${month}`,
      );
      return row!.state !== "frozen";
    });
  }
  await withInstance(folder, async ({ database }) => {
    expect(await compare(database, model, "all")).toBeUndefined();
  });
}

/** The instance's clock in the first hour of a month. */
function shiftedTo(month: number): Record<string, string> {
  const seconds = Math.round((startOf(month) + 1_800_000 - Date.now()) / 1000);
  return { CLOCK_OFFSET: `PT${seconds}S`, FEE_BASIS_POINTS: "250" };
}

async function isReady(address: string): Promise<true | undefined> {
  return fetch(`${address}/readyz`, { signal: AbortSignal.timeout(2000) }).then(
    async (response) => {
      await response.arrayBuffer();
      return response.status === 200 ? true : undefined;
    },
    () => undefined,
  );
}

async function untilSaid({ child, stdout }: Running, word: string): Promise<void> {
  await until(
    END_MS_MAX,
    async () => (stdout().includes(word) || child.exitCode !== null ? true : undefined),
    word,
  );
}

async function untilAnyEnded(runs: readonly Running[]): Promise<void> {
  await Promise.race(runs.map(({ ended }) => ended));
}

/** Kills one of the processes, the database with or without its children, or one backend. */
async function killSomething(
  folder: string,
  processes: readonly Running[],
): Promise<"node" | "database" | "backend" | "nothing"> {
  const kind = random.below(100);
  const postmaster = await postmasterOf(folder);
  if (kind < 50 || postmaster === undefined) {
    const victim = random.pick(processes);
    const runs = victim.child.exitCode === null && victim.child.signalCode === null;
    if (!runs || !killHard(victim.pid)) {
      counts.missed += 1;
      return "nothing";
    }
    counts.node += 1;
    if (victim.child.spawnargs.includes("serve")) counts.serve += 1;
    return "node";
  }
  const children = await childrenOf(postmaster);
  if (kind < 85) {
    counts.database += 1;
    killHard(postmaster);
    if (kind < 65) for (const child of children) killHard(child);
    return "database";
  }
  // The newest child is a backend; the postmaster then ends all others and recovers by itself.
  const backend = children.at(-1);
  if (backend === undefined || !killHard(backend)) {
    counts.missed += 1;
    return "nothing";
  }
  counts.backend += 1;
  return "backend";
}

/** Tells everybody to end. Whoever lost his database has to end by himself. */
async function endAll(runs: readonly Running[]): Promise<void> {
  for (const { child } of runs) child.kill("SIGTERM");
  for (const run of runs) {
    let late: NodeJS.Timeout | undefined;
    const inTime = await Promise.race([
      run.ended.then(() => true),
      new Promise<boolean>((resolve) => {
        late = setTimeout(resolve, END_MS_MAX, false);
      }),
    ]);
    clearTimeout(late);
    if (inTime) continue;
    killHard(run.pid);
    expect.fail(`SEED=${seed}: a process hung: ${run.stdout().slice(-300)} ${run.stderr()}`);
  }
}

/** A line of a worker: an action, its amount as text. */
interface Line {
  readonly try?: { readonly amount?: string };
  readonly did?: { readonly amount?: string };
  readonly result?: string;
}

/** What a worker tried, in its order, and what it was told. A line that was cut off was not said. */
function triedBy({ stdout }: Ended): Tried[] {
  const tried = new Map<number, Tried>();
  const complete = stdout.slice(0, stdout.lastIndexOf("\n") + 1);
  for (const line of complete.split("\n").filter(Boolean)) {
    const { try: begun, did, result } = JSON.parse(line) as Line;
    const raw = begun ?? did;
    if (raw === undefined) continue;
    const { amount, ...rest } = raw;
    const action = (amount === undefined ? rest : { ...rest, amount: BigInt(amount) }) as Action;
    tried.set(action.at, { action, result });
  }
  return [...tried.values()].sort((one, other) => one.action.at - other.action.at);
}

/** Starts again without help and checks everything; then the model knows what has happened. */
async function look(
  folder: string,
  month: number,
  model: Model,
  tried: readonly Tried[],
  clock: { next: number },
): Promise<void> {
  await withInstance(folder, async ({ database }) => {
    await untilAlone(database);
    expect(await checkBooks(database), `SEED=${seed}`).toEqual([]);
    for (const { action, result } of tried) {
      const there = await isThere(database, month, action, tried);
      if (result === undefined) {
        counts.unsure += 1;
        if (there !== true) continue;
        counts.unsureDone += 1;
        model.apply(action);
        continue;
      }
      counts.acknowledged += 1;
      const words = `SEED=${seed}: ${action.do} at ${action.at} by ${action.patron}`;
      expect(model.apply(action), words).toBe(result);
      if (result === "ok") expect(there, words).not.toBe(false);
    }
    expect(await compareNow(database, model), `SEED=${seed}`).toBeUndefined();
  });
  clock.next = Math.max(clock.next, ...tried.map(({ action }) => action.at + 10)) + 10;
}

/** A killed process's statements may still run; what counts is what they leave. */
async function untilAlone({ drizzle }: Database): Promise<void> {
  await until(
    20_000,
    async () => {
      const [other] = await drizzle.execute(sql`
        SELECT FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid() LIMIT 1`);
      return other === undefined ? true : undefined;
    },
    "the end of other backends",
  );
}

/** True when an action has left its trace exactly once, undefined when a later one took the trace away. */
async function isThere(
  { sql: raw }: Database,
  month: number,
  action: Action,
  tried: readonly Tried[],
): Promise<boolean | undefined> {
  const when = new Date(action.at).toISOString();
  if (action.do === "fund") {
    const rows = await raw`
      SELECT FROM cash JOIN account a ON a.id = cash.patron WHERE reference = ${action.reference!} AND a.name = ${action.patron} AND amount = ${action.amount}`;
    return rows.length === 1;
  }
  if (action.do === "budget") {
    const rows = await raw`
      SELECT FROM budget b JOIN account a ON a.id = b.patron WHERE since = ${when} AND a.name = ${action.patron} AND amount = ${action.amount}`;
    return rows.length === 1;
  }
  const rows = await raw<{ at: Date }[]>`
    SELECT f.at FROM flattr f JOIN account a ON a.id = f.patron JOIN thing t ON t.id = f.thing
     WHERE f.period = ${month} AND a.name = ${action.patron} AND t.uri = ${action.thing}`;
  const later = tried.some(
    ({ action: other }) =>
      other.at > action.at &&
      (other.do === "flattr" || other.do === "undo") &&
      other.patron === action.patron &&
      other.thing === action.thing,
  );
  if (action.do === "undo") return later ? undefined : rows.length === 0;
  const mine = rows.some((row) => row.at.getTime() === action.at);
  return mine ? true : later ? undefined : false;
}

/** Flattrs of the open month and balances are compared at each look; closed months when they are closed. */
async function compareNow({ sql: raw }: Database, model: Model): Promise<string | undefined> {
  const open = model.months.at(-1)!;
  const rows = await raw<{ name: string; uri: string }[]>`
    SELECT a.name, t.uri FROM flattr f JOIN account a ON a.id = f.patron JOIN thing t ON t.id = f.thing WHERE f.period = ${open.number}`;
  const found = rows.map(({ name, uri }) => `${name} ${uri}`).sort();
  const wanted = open.flattrs.map(({ patron, thing }) => `${patron} ${thing}`).sort();
  const surplus = found.filter((one) => !wanted.includes(one));
  const missing = wanted.filter((one) => !found.includes(one));
  if (found.length !== wanted.length || surplus.length + missing.length > 0)
    return `month ${open.number}: surplus ${surplus.join(", ")}; missing ${missing.join(", ")}`;
  const [cash] = await raw<
    [{ amount: bigint }]
  >`SELECT COALESCE(sum(amount), 0)::bigint AS amount FROM cash`;
  return cash.amount === model.inside
    ? undefined
    : `paid in ${cash.amount} instead of ${model.inside}`;
}
