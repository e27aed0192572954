import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import postgres from "postgres";
import { describe, expect, onTestFinished, test } from "vitest";
import { addressOf } from "../../src/store/database.ts";
import { countExact, forgetRates, openRates, type Rates } from "../../src/store/rates.ts";
import { type Clock, sqlTime, Temporal } from "../../src/store/time.ts";
import { at, testDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/process.ts";

/** A clock that stands still until it is moved. */
function hands(start = "2026-11-10T12:00:00Z"): Clock & { move(ms: number): void } {
  let now = at(start);
  return { now: () => now, real: () => now, move: (ms) => (now = now.add({ milliseconds: ms })) };
}

function node(database: TestDatabase, clock: Clock): Rates {
  const rates = openRates(database, clock);
  onTestFinished(() => rates.close());
  return rates;
}

/** What is really held: garbage is collected first. */
function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

const FIVE = { limit: 5, windowMs: 60_000 };

/** How often it is allowed, of so many tries. */
const allowed = (rates: Rates, key: string, tries: number, limit = FIVE) =>
  Array.from({ length: tries }, () => rates.take(key, limit)).filter(({ isOver }) => !isOver)
    .length;

describe("what is rare and dear", () => {
  test("is counted exactly, by however many at once", async () => {
    const database = await testDatabase();
    const now = at("2026-11-10T12:00:10Z");
    const all = await Promise.all(
      Array.from({ length: 20 }, () => countExact(database, { key: "sign-in ada", ...FIVE, now })),
    );
    expect(all.map(({ count }) => count).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
    expect(all.filter(({ isOver }) => !isOver)).toHaveLength(5);
    expect(new Set(all.map(({ resetAt }) => String(resetAt)))).toEqual(
      new Set(["2026-11-10T12:01:00Z"]),
    );
    const other = await countExact(database, { key: "sign-in bob", ...FIVE, now });
    expect(other).toMatchObject({ count: 1, isOver: false });
    const later = await countExact(database, {
      key: "sign-in ada",
      ...FIVE,
      now: at("2026-11-10T12:01:00Z"),
    });
    expect(later).toMatchObject({ count: 1, isOver: false });
  });

  test("keeps keys of any length apart, and short", async () => {
    const database = await testDatabase();
    const now = at("2026-11-10");
    const long = "x".repeat(100_000);
    await countExact(database, { key: `${long}a`, ...FIVE, now });
    const { count } = await countExact(database, { key: `${long}b`, ...FIVE, now });
    expect(count).toBe(1);
    const [{ longest }] = await database.sql<[{ longest: number }]>`
      SELECT max(length(key))::int AS longest FROM rate`;
    expect(longest).toBe(64);
  });
});

describe("what is counted for every request", () => {
  test("stops at the limit, says what is left and when it begins anew", async () => {
    const clock = hands();
    const rates = node(await testDatabase(), clock);
    expect([1, 2, 3, 4, 5].map(() => rates.take("a", FIVE).remaining)).toEqual([4, 3, 2, 1, 0]);
    const { isOver, remaining, resetAt } = rates.take("a", FIVE);
    expect([isOver, remaining, String(resetAt)]).toEqual([true, 0, "2026-11-10T12:01:00Z"]);
    expect(rates.take("b", FIVE).isOver).toBe(false);
    clock.move(59_999);
    expect(rates.take("a", FIVE).isOver).toBe(true);
    clock.move(1);
    expect(rates.take("a", FIVE)).toMatchObject({ isOver: false, remaining: 4 });
  });

  test("holds on two nodes within a second, and what was refused is not counted", async () => {
    const database = await testDatabase();
    const clock = hands();
    const [one, two] = [node(database, clock), node(database, clock)];
    expect(allowed(one, "ada", 3)).toBe(3);
    expect(allowed(two, "ada", 1)).toBe(1);
    await sleep(1_000);
    // Three and one: one more is left for both together, as soon as each has asked.
    expect(allowed(two, "ada", 1)).toBe(1);
    await sleep(1_000);
    expect(allowed(two, "ada", 10)).toBe(0);
    allowed(one, "ada", 1);
    await sleep(1_000);
    expect(allowed(one, "ada", 10)).toBe(0);
    const [{ count }] = await database.sql<
      [{ count: number }]
    >`SELECT count FROM rate WHERE key = 'ada'`;
    expect(count).toBeLessThanOrEqual(6);
  });

  test("is written together: thousands of keys, a few statements; and at the end what is left", async () => {
    const database = await testDatabase();
    const clock = hands();
    const rates = openRates(database, clock);
    for (let n = 0; n < 2_500; n += 1) rates.take(`key ${n}`, FIVE);
    for (let n = 0; n < 2_500; n += 1) rates.take(`key ${n}`, FIVE);
    await rates.close();
    const [{ keys, sum }] = await database.sql<[{ keys: number; sum: number }]>`
      SELECT count(*)::int AS keys, sum(count)::int AS sum FROM rate`;
    expect([keys, sum]).toEqual([2_500, 5_000]);
  });

  test("nodes that write the same keys in another order do not stand in each other's way", async () => {
    const database = await testDatabase();
    const clock = hands();
    const nodes = Array.from({ length: 4 }, () => openRates(database, clock));
    for (const [place, rates] of nodes.entries())
      for (let n = 0; n < 900; n += 1)
        rates.take(`key ${place % 2 === 0 ? n : 899 - n}`, { limit: 100, windowMs: 60_000 });
    await Promise.all(nodes.map((rates) => rates.close()));
    const [{ sum }] = await database.sql<
      [{ sum: number }]
    >`SELECT sum(count)::int AS sum FROM rate`;
    expect(sum).toBe(3_600);
  });

  test("one key may have limits of several lengths", async () => {
    const database = await testDatabase();
    const rates = openRates(database, hands());
    for (let n = 0; n < 4; n += 1) {
      expect(rates.take("ada", FIVE).remaining).toBe(4 - n);
      expect(rates.take("ada", { limit: 9, windowMs: 3_600_000 }).remaining).toBe(8 - n);
    }
    await rates.close();
    expect((await database.sql`SELECT FROM rate WHERE count = 4`).count).toBe(2);
  });

  test("never waits for the database: without it each node counts by itself, and writes it down afterwards", async () => {
    const database = await testDatabase();
    const clock = hands();
    await database.sql`ALTER TABLE rate RENAME TO away`;
    const rates = node(database, clock);
    expect(allowed(rates, "ada", 3)).toBe(3);
    await sleep(1_200);
    expect(allowed(rates, "ada", 10)).toBe(2);
    await database.sql`ALTER TABLE away RENAME TO rate`;
    await until(5_000, async () => {
      const found = await database.sql`SELECT FROM rate WHERE key = 'ada' AND count = 5`;
      return found.count === 1 ? true : undefined;
    });
  });

  test("a database that cannot be reached at all stops nothing, not even the end", async () => {
    const sql = postgres({
      ...addressOf("postgres://nobody@127.0.0.1:1/nothing"),
      max: 1,
      types: { bigint: postgres.BigInt },
    });
    const rates = openRates({ sql }, hands());
    expect(allowed(rates, "ada", 10)).toBe(5);
    const since = performance.now();
    await rates.close();
    expect(performance.now() - since).toBeLessThan(4_000);
    await sql.end({ timeout: 0 });
  });

  test("hundreds of thousands of strangers fill no memory", async () => {
    const database = await testDatabase();
    const rates = openRates(database, hands());
    rates.take("ada", FIVE);
    const before = heapBytes();
    for (let n = 0; n < 300_000; n += 1) rates.take(`stranger ${n}`, FIVE);
    expect(heapBytes() - before).toBeLessThan(100 * 1024 * 1024);
    await rates.close();
    const [{ keys }] = await database.sql<
      [{ keys: number }]
    >`SELECT count(*)::int AS keys FROM rate`;
    expect(keys).toBeLessThanOrEqual(20_000);
    expect((await database.sql`SELECT FROM rate WHERE key = 'ada'`).count).toBe(1);
  });
});

test("what is over is deleted, and nothing else", async () => {
  const database = await testDatabase();
  const now = Temporal.Instant.from("2026-11-10T12:00:30Z");
  await countExact(database, { key: "a", ...FIVE, now });
  await database.sql`
    INSERT INTO rate SELECT 'old ' || n, ${sqlTime(now)}::timestamptz - n * interval '1 second', 1 FROM generate_series(1, 25000) n`;
  await forgetRates(database, now);
  expect(
    (await database.sql<{ key: string }[]>`SELECT key FROM rate`).map(({ key }) => key),
  ).toEqual(["a"]);
});
