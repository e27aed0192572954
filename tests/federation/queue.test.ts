/** Who delivers, and who takes back what was to be delivered, does no more the more waits: also when that was little a moment ago. */

import { expect, onTestFinished, test } from "vitest";
import { endDeliveries, putBack, takeDue } from "../../src/features/activity/due.ts";
import { unfavouriteThing } from "../../src/features/flattr/favourite.ts";
import type { Database } from "../../src/store/database.ts";
import { Temporal } from "../../src/store/time.ts";
import { person, testDatabase } from "../support/database.ts";
import { observe } from "../support/plans.ts";

const NOW = Temporal.Instant.from("2026-11-20T12:00:00Z");

/** Taken at once, and what waits beside it. */
const LIMIT = 20;
const MANY = 4_000;

/** Rows that the steps of a statement may look at for each one that it is about. */
const ROWS_EACH = 20;

test("a queue that was short when it was looked at first is not read through when it is long", async () => {
  const database = await testDatabase();
  const alice = await person(database, "alice");
  const { id: patron } = alice;
  const likes = (first: number, many: number) => database.sql`
    INSERT INTO delivery (id, activity, flattr, patron, thing, period, payee, at, subject)
    SELECT n, 'Like', n, ${patron}, n, 202611, n, now(), n FROM generate_series(${first}::int, ${first + many - 1}::int) AS n`;
  await likes(1, 8);
  // As the server does by itself as long as hardly anything waits.
  await database.sql`VACUUM (ANALYZE) delivery`;
  const { database: observed, plansOf } = await observe(database, onTestFinished);
  const work = async () => {
    await workOn(observed);
    await unfavouriteThing(observed, { account: alice, thing: 1n, counts: true, at: NOW });
  };
  // On each connection, so that it has a plan.
  await Promise.all([work(), work(), work(), work()]);
  await likes(1_000, MANY);
  const plans = await plansOf(work);
  const onQueue = plans.filter(({ query }) => /\bdelivery\b/.test(query));
  expect(onQueue.map(({ query }) => /UPDATE|DELETE/.exec(query)![0])).toEqual([
    "UPDATE",
    "UPDATE",
    "DELETE",
    "DELETE",
  ]);
  for (const { text, scanned, rows } of onQueue) {
    expect(scanned, text).not.toContain("delivery");
    expect(rows, text).toBeLessThan(ROWS_EACH * LIMIT);
  }
});

/** Takes some, puts half of them back, and lets the other half go. */
async function workOn(database: Database): Promise<void> {
  const { due, orphans } = await takeDue(database, { now: NOW, leaseMs: 60_000, limit: LIMIT });
  // None of the things is there.
  expect(due).toEqual([]);
  const taken = orphans.map(({ id }) => id);
  const lease = NOW.add({ milliseconds: 60_000 });
  const back = taken.slice(taken.length / 2);
  await putBack(
    database,
    back.map((id) => ({ id, lease, due: NOW.add({ hours: 1 }), error: undefined })),
  );
  await endDeliveries(database, taken.slice(0, taken.length / 2), NOW);
}
