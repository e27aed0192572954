/**
 * Random months of random instances against a model in plain code. `MONTHS` sets how many, `SEED` repeats a run; a
 * list of events that fails is made as short as a little time allows.
 */

import { afterAll, expect, test } from "vitest";
import { addAlias } from "../../src/features/claim/alias.ts";
import {
  acceptPayments,
  blockPayments,
  declinePayments,
  forgetActor,
  unblockPayments,
} from "../../src/features/claim/standing.ts";
import { fund, refund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { pauseSubscription, subscribe, unsubscribe } from "../../src/features/flattr/subscribe.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { tick } from "../../src/features/settlement/tick.ts";
import { turnMonths } from "../../src/features/settlement/turn.ts";
import { deleteThing, rememberThing, thingAt } from "../../src/features/thing/thing.ts";
import { toMicro } from "../../src/rules/amount.ts";
import type { Database } from "../../src/store/database.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { Temporal } from "../../src/store/time.ts";
import { person, testDatabase } from "../support/database.ts";
import {
  Model,
  type ModelEvent,
  type ModelThing,
  monthAfter,
  monthOf,
  startOf,
} from "../support/model.ts";
import { compare } from "./compare.ts";
import { chosenSeed, randomOf, type Random } from "./random.ts";
import { TEST_ORIGIN } from "../support/server.ts";

const MONTHS = Number(process.env["MONTHS"] ?? 10_000);

/** Months of one instance; each has a database of its own. */
const MONTHS_PER_DATABASE = 50;

/** Instances that run at once. */
const AT_ONCE = 4;

const SHRINKS_MAX = 40;

const DAY_MS = 86_400_000;

const seed = chosenSeed();

const databases = Math.ceil(MONTHS / MONTHS_PER_DATABASE);
const batches = Array.from({ length: Math.ceil(databases / AT_ONCE) }, (_, batch) =>
  Array.from(
    { length: Math.min(AT_ONCE, databases - batch * AT_ONCE) },
    (_, place) => seed + batch * AT_ONCE + place,
  ),
);

test.each(batches.map((seeds) => [seeds[0]!, seeds] as const))(
  "random months come out as the model says, from seed %i on",
  async (_first, seeds) => {
    expect(await Promise.all(seeds.map(runInstance))).toEqual(seeds.map(() => "as the model says"));
  },
);

/** What the months had in them, so that nobody is content with empty ones. */
const seen: Record<string, number> = {};

function count(model: Model): void {
  const add = (what: string, more = 1) => (seen[what] = (seen[what] ?? 0) + more);
  for (const { state, flattrs, settlements } of model.months) {
    if (state === "open") continue;
    add("months");
    add("flattrs", flattrs.length);
    add("from subscriptions", flattrs.filter(({ subscribed }) => subscribed).length);
    for (const { state: outcome, shares } of settlements.values()) {
      add(outcome);
      add("shares", Object.keys(shares).length);
    }
  }
  add("returned", model.waiting.filter(({ state }) => state === "returned").length);
}

afterAll(() => {
  const words = Object.entries(seen).map(([what, times]) => `${what} ${times}`);
  process.stdout.write(`${words.join(", ")} (SEED=${seed})\n`);
  if (MONTHS >= 1000)
    for (const what of ["settled", "late", "lapsed", "returned", "from subscriptions"])
      expect(seen[what], what).toBeGreaterThan(0);
});

/** One instance through all its months. @returns how it went: the seed and a short list of events when it differs */
async function runInstance(instanceSeed: number): Promise<string> {
  const months = Math.min(MONTHS_PER_DATABASE, MONTHS);
  const plan = makePlan(randomOf(instanceSeed), months);
  const difference = await play(plan, plan.events);
  if (difference === undefined) return "as the model says";
  const events = await shrink(plan, difference.place);
  const last = await play(plan, events);
  return [
    `SEED=${instanceSeed} MONTHS=${months}: ${difference.words}`,
    `Shortest list found, fee ${plan.feeBasisPoints}, waits ${plan.unclaimedMonths} months:`,
    ...events.map((event) => JSON.stringify(event, withBigInts)),
    last?.words ?? "(which does not fail any more)",
  ].join("\n");
}

const withBigInts = (key: string, value: unknown): unknown =>
  key === "at"
    ? new Date(value as number).toISOString()
    : typeof value === "bigint"
      ? `${value}n`
      : value;

interface Plan {
  readonly feeBasisPoints: number;
  readonly unclaimedMonths: number;
  readonly begin: number;
  readonly people: readonly string[];
  readonly things: readonly ModelThing[];
  readonly events: readonly ModelEvent[];
}

interface Difference {
  readonly place: number;
  readonly words: string;
}

const uriOf = (name: string) => `${TEST_ORIGIN}/users/${name}`;
const PEOPLE = ["anna", "ben", "cleo", "dora"];
const STRANGERS = [
  "https://one.example/users/zoe",
  "https://one.example/users/yan",
  "https://two.example:8443/@xi",
  "https://two.example:8443/@wim",
];
const HOSTS = ["one.example", "two.example:8443", "nobody.example"];

/** An instance and what happens to it. */
function makePlan(random: Random, months: number): Plan {
  const everybody = [...PEOPLE.map(uriOf), ...STRANGERS];
  const authorsOf = (count: number) => {
    const payees = new Set<string>();
    while (payees.size < count) payees.add(random.pick(everybody));
    return [...payees].map((payee) => ({
      payee,
      weight: random.pick([1, 1, 2, 3, 7, 333, 1_000_000_000]),
    }));
  };
  const things: ModelThing[] = everybody.map((payee, place) => ({
    uri: `https://things.example/alone/${place}`,
    authors: [{ payee, weight: 1 }],
  }));
  for (let place = 0; place < 5; place += 1)
    things.push({
      uri: `https://things.example/together/${place}`,
      authors: authorsOf(2 + random.below(3)),
    });
  const begin =
    startOf(202401 + random.below(12) + 100 * random.below(80)) + random.below(20 * DAY_MS);
  const events: ModelEvent[] = [];
  let month = monthOf(begin);
  for (let count = 0; count < months; count += 1) {
    const opens = Math.max(startOf(month), begin);
    events.push(...monthEvents(random, opens, startOf(monthAfter(month)), things, authorsOf));
    month = monthAfter(month);
  }
  return {
    feeBasisPoints: random.pick([0, 0, 1, 250, 333, 1000]),
    unclaimedMonths: 3 + random.below(4),
    begin,
    people: PEOPLE,
    things,
    events,
  };
}

/** A month's events in the order of time; one of them often stands in for the clock's own work. */
function monthEvents(
  random: Random,
  opens: number,
  closes: number,
  things: readonly ModelThing[],
  authorsOf: (count: number) => ModelThing["authors"],
): ModelEvent[] {
  const instants = [opens, opens + 1, opens + 7 * DAY_MS - 1, opens + 7 * DAY_MS, closes - 1];
  const when = () =>
    random.chance(25)
      ? Math.min(random.pick(instants), closes - 1)
      : opens + random.below(closes - opens);
  const events: ModelEvent[] = [];
  const count = 4 + random.below(12);
  for (let place = 0; place < count; place += 1)
    events.push(randomEvent(random, when(), things, authorsOf));
  for (let ticks = random.pick([0, 1, 1, 1, 2, 3]); ticks > 0; ticks -= 1)
    events.push({ at: random.chance(50) ? opens : when(), do: "tick" });
  // Mostly someone has money and a budget, or nothing would move.
  if (random.chance(50))
    events.push({
      at: when(),
      do: "fund",
      patron: random.pick(PEOPLE),
      amount: cents(random, 900),
    });
  events.sort((one, other) => one.at - other.at);
  // An instance that began in the middle of a month has no month before that could be over.
  if (random.chance(5) && opens === startOf(monthOf(opens)))
    events.push(belated(random, opens, things));
  return events;
}

/** Something that comes from a clock that is late: its month is over. */
function belated(random: Random, opens: number, things: readonly ModelThing[]): ModelEvent {
  const patron = random.pick(PEOPLE);
  const at = opens - 1 - random.below(DAY_MS);
  return random.chance(50)
    ? { at, do: "budget", patron, amount: 5_000_000n }
    : { at, do: "flattr", patron, thing: random.pick(things).uri, private: false };
}

const cents = (random: Random, max: number) => BigInt(1 + random.below(max)) * 10_000n;

function randomEvent(
  random: Random,
  at: number,
  things: readonly ModelThing[],
  authorsOf: (count: number) => ModelThing["authors"],
): ModelEvent {
  const patron = random.pick(PEOPLE);
  const thing = random.pick(things).uri;
  const payee = random.pick(STRANGERS);
  const kind = random.below(100);
  if (kind < 45) return { at, do: "flattr", patron, thing, private: random.chance(20) };
  if (kind < 52) return { at, do: "undo", patron, thing };
  if (kind < 61) {
    const amount = random.chance(15)
      ? random.pick([0n, 10_000n, 1_990_000n])
      : 2_000_000n + cents(random, 500);
    return { at, do: "budget", patron, amount };
  }
  if (kind < 71) {
    const event = { at, do: "fund", patron, amount: cents(random, 600) } as const;
    return random.chance(30) ? { ...event, reference: `bank ${random.below(12)}` } : event;
  }
  if (kind < 75) return { at, do: "refund", patron, amount: cents(random, 600) };
  if (kind < 82)
    return { at, do: "subscribe", patron, thing, months: random.pick([null, 1, 2, 3, 3]) };
  if (kind < 84) return { at, do: "unsubscribe", patron, thing };
  if (kind < 86) return { at, do: "pause", patron, thing };
  if (kind < 88) return { at, do: "fee", feeBasisPoints: random.pick([0, 1, 100, 999, 1000]) };
  if (kind < 90) return { at, do: "authors", thing, authors: authorsOf(1 + random.below(4)) };
  if (kind < 93) return { at, do: random.chance(40) ? "decline" : "accept", payee };
  if (kind < 98) {
    const target = random.chance(50)
      ? { kind: "payee" as const, target: random.pick([...STRANGERS, uriOf("dora")]) }
      : { kind: "host" as const, target: random.pick(HOSTS) };
    return { at, do: random.chance(40) ? "block" : "unblock", ...target };
  }
  // These cannot be undone, so they are rare: a month in which nobody is left says little.
  if (!random.chance(12)) return { at, do: "tick" };
  if (random.chance(50)) return { at, do: "alias", patron, payee };
  return random.chance(50) ? { at, do: "delete", thing } : { at, do: "forget", payee };
}

/** Plays events to a new instance and to the model. @returns where they first differ */
async function play(plan: Plan, events: readonly ModelEvent[]): Promise<Difference | undefined> {
  const fresh = await testDatabase({
    feeBasisPoints: plan.feeBasisPoints,
    unclaimedMonths: plan.unclaimedMonths,
  });
  let database: Database = fresh;
  const since = new Date(plan.begin).toISOString();
  const accounts = new Map<string, bigint>();
  for (const name of plan.people) accounts.set(name, (await person(database, name, { since })).id);
  for (const { uri, authors } of plan.things) await remember(database, uri, authors, plan.begin);
  await turnMonths(database, Temporal.Instant.from(since));
  const people = new Map(plan.people.map((name) => [name, uriOf(name)]));
  const model = new Model({ ...plan, minimumBudget: 2_000_000n }, people, plan.things, plan.begin);

  let month = monthOf(plan.begin);
  for (const [place, event] of events.entries()) {
    if (monthOf(event.at) > month) {
      // Other plans of the database must not change a result.
      if (month % 3 === 0) await fresh.sql`ANALYZE`;
      month = monthOf(event.at);
      const words = await compare(database, model);
      if (words !== undefined) return { place, words };
    }
    if (event.do === "fee")
      database = {
        ...fresh,
        settings: { ...fresh.settings, feeBasisPoints: event.feeBasisPoints },
      };
    const wanted = model.apply(event);
    const found = event.do === "fee" ? "ok" : await doEvent(database, accounts, event);
    if (found !== wanted)
      return {
        place: place + 1,
        words: `${JSON.stringify(event, withBigInts)}: ${found} instead of ${wanted}`,
      };
    if (place % 97 === 96) {
      const findings = await checkBooks(database);
      if (findings.length > 0) return { place: place + 1, words: JSON.stringify(findings[0]) };
    }
  }
  // Beyond the last event everything ends: grace, waiting, everything goes home.
  const last: ModelEvent = {
    at: startOf(monthAfter(monthOf(events.at(-1)?.at ?? plan.begin))) + 8 * DAY_MS,
    do: "tick",
  };
  model.apply(last);
  await doEvent(database, accounts, last);
  const words = (await compare(database, model, "all")) ?? firstOf(await checkBooks(database));
  if (words === undefined) count(model);
  return words === undefined ? undefined : { place: events.length, words };
}

const firstOf = (findings: readonly object[]) =>
  findings.length === 0 ? undefined : JSON.stringify(findings[0]);

async function remember(
  database: Database,
  uri: string,
  authors: ModelThing["authors"],
  at: number,
): Promise<void> {
  await database.drizzle.transaction((tx) =>
    rememberThing(
      tx,
      database.settings,
      { uri, kind: "Note", payees: authors },
      Temporal.Instant.fromEpochMilliseconds(at),
    ),
  );
}

/** The model does not tell apart why somebody is not paid. */
const UNPAID = new Set([
  "payee_declined",
  "payee_blocked",
  "payee_gone",
  "no_payee",
  "payee_unpaid",
]);

async function doEvent(
  database: Database,
  accounts: ReadonlyMap<string, bigint>,
  event: ModelEvent,
): Promise<string> {
  try {
    return await runEvent(database, accounts, event);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return UNPAID.has(error.reason) ? "payee_unpaid" : error.reason;
  }
}

async function runEvent(
  database: Database,
  accounts: ReadonlyMap<string, bigint>,
  event: ModelEvent,
): Promise<string> {
  const at = Temporal.Instant.fromEpochMilliseconds(event.at);
  const patron = "patron" in event ? accounts.get(event.patron)! : 0n;
  const thing = "thing" in event ? (await thingAt(database.drizzle, event.thing))!.id : 0n;
  switch (event.do) {
    case "tick":
      await tick(database, at);
      return "ok";
    case "fee":
      return "ok";
    case "budget":
      await setBudget(database, { patron, amount: toMicro(event.amount), at });
      return "ok";
    case "fund": {
      const { booked } = await fund(database, {
        patron,
        amount: toMicro(event.amount),
        reference: event.reference,
        at,
      });
      return booked ? "ok" : "again";
    }
    case "refund":
      await refund(database, { patron, amount: toMicro(event.amount), at });
      return "ok";
    case "flattr": {
      const gift = { patron, thing, source: "click", private: event.private, at } as const;
      return (await giveFlattr(database, gift)).again ? "again" : "ok";
    }
    case "undo":
      await takeBackFlattr(database, { patron, thing, at });
      return "ok";
    case "subscribe":
      await subscribe(database, { patron, thing, months: event.months, at });
      return "ok";
    case "unsubscribe":
      await unsubscribe(database, { patron, thing, at });
      return "ok";
    case "pause":
      await pauseSubscription(database, { patron, thing, at });
      return "ok";
    case "alias":
      await addAlias(database, { account: patron, payee: event.payee, at });
      return "ok";
    case "decline":
      await declinePayments(database, { payee: event.payee, at });
      return "ok";
    case "accept":
      await acceptPayments(database, { payee: event.payee, at });
      return "ok";
    case "forget":
      await forgetActor(database, { payee: event.payee, at });
      return "ok";
    case "block":
      await blockPayments(database, { kind: event.kind, target: event.target, at });
      return "ok";
    case "unblock":
      await unblockPayments(database, { kind: event.kind, target: event.target, at });
      return "ok";
    case "authors":
      await remember(database, event.thing, event.authors, event.at);
      return "ok";
    case "delete":
      await deleteThing(database, { uri: event.thing, at });
      return "ok";
  }
}

/** Leaves out ever smaller parts of the list as long as what is left still fails. */
async function shrink(plan: Plan, length: number): Promise<readonly ModelEvent[]> {
  let events = plan.events.slice(0, length);
  let tries = 0;
  for (let part = Math.ceil(events.length / 2); part >= 1; part = Math.floor(part / 2)) {
    for (let from = 0; from < events.length && tries < SHRINKS_MAX; tries += 1) {
      const shorter = [...events.slice(0, from), ...events.slice(from + part)];
      const difference = shorter.length === 0 ? undefined : await play(plan, shorter);
      if (difference === undefined) from += part;
      else events = shorter.slice(0, difference.place);
    }
  }
  return events;
}
