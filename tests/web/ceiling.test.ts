/** What is set on the page of one's own money is what the bot goes by. */

import { expect, test } from "vitest";
import { openBot } from "../../src/features/bot/message.ts";
import { answerOrder } from "../../src/features/bot/order.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { writePost } from "../../src/features/post/write.ts";
import { clickNow } from "../../src/features/settlement/report.ts";
import { at, eur, snapshot, testDatabase } from "../support/database.ts";
import { handClock, hiddenFields, resident, signInAs, site, visitor } from "../support/visitor.ts";

const PASSWORD = "correct horse battery";

test("the bot raises a budget up to the ceiling of the page; above it says where, and changes nothing", async () => {
  const database = await testDatabase();
  const clock = handClock();
  const alice = await resident(database, "alice", PASSWORD);
  await setBudget(database, { patron: alice.id, amount: eur("5.00"), at: at("2026-11-01") });
  await openBot(database, clock.now());
  const who = visitor(site(database, clock), database.settings.origin);
  await signInAs(who, "alice", PASSWORD);
  const setCeiling = async (amount: string) => {
    const page = await (await who.get("/settings")).text();
    const hidden = hiddenFields(page, "/settings/ceiling");
    expect((await who.send("/settings/ceiling", { ...hidden, amount })).status).toBe(303);
  };
  const budget = async () => (await clickNow(database, alice.id, clock.now())).budget;
  const order = async (text: string) => {
    clock.advance({ seconds: 1 });
    const now = clock.now();
    const { id } = await writePost(database, {
      author: alice,
      text: `@flattr ${text}`,
      visibility: "direct",
      at: now,
    });
    await answerOrder(database, id, now);
    const [answer] = await database.sql<[{ said: string }]>`
      SELECT COALESCE(p.html, p.text) AS said FROM post p JOIN actor b ON b.id = p.author WHERE b.name = 'flattr' ORDER BY p.id DESC LIMIT 1`;
    return answer.said;
  };
  const link = `${database.settings.origin}/settings`;
  const budgets = () => database.sql`SELECT * FROM budget ORDER BY id`;

  // Without a ceiling the budget itself is it.
  expect(await order("budget 5.01")).toContain(link);
  expect(await budget()).toBe(eur("5.00"));

  await setCeiling("10");
  expect(await order("budget 10.00")).not.toContain(link);
  expect(await budget()).toBe(eur("10.00"));
  const [books, set] = [await snapshot(database), await budgets()];
  expect(await order("budget 10.01")).toContain(link);
  expect(await budgets()).toEqual(set);
  expect(await snapshot(database)).toBe(books);

  // A lower ceiling holds from then on; what is set stays, and may be lowered.
  await setCeiling("6.00");
  expect(await budget()).toBe(eur("10.00"));
  expect(await order("budget 4.00")).not.toContain(link);
  expect(await order("budget 6.01")).toContain(link);
  expect(await budget()).toBe(eur("4.00"));
  expect(await order("budget 6.00")).not.toContain(link);
  expect(await budget()).toBe(eur("6.00"));

  await setCeiling("");
  expect(await order("budget 6.01")).toContain(link);
  expect(await budget()).toBe(eur("6.00"));
});
