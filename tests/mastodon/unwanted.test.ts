/** Whom somebody mutes or blocks, or who blocks him, he meets nowhere; and what he filters is filtered where many meet. */

import { expect, test } from "vitest";
import { countTrends } from "../../src/features/flattr/trend.ts";
import { type Ask, clientHouse } from "../support/client.ts";
import { person, testDatabase } from "../support/database.ts";

/** Eve wrote and passed on what everybody may see; Ada answered her, and Bob answered Ada. */
async function house() {
  const database = await testDatabase();
  const { as, parts } = clientHouse(database);
  const [ada, bob, eve] = [
    await person(database, "ada"),
    await person(database, "bob"),
    await person(database, "eve"),
  ];
  const [asAda, asBob, asEve] = [await as(ada), await as(bob), await as(eve)];
  await asEve("PATCH", "/api/v1/accounts/update_credentials", { indexable: true });
  const say = async (ask: Ask, status: string, to?: string) =>
    (await ask("POST", "/api/v1/statuses", { status, in_reply_to_id: to })).body.id as string;
  const root = await say(asEve, "A zebra is a horse");
  const middle = await say(asBob, "@eve no", root);
  const leaf = await say(asBob, "Yes", middle);
  const boosted = await say(asBob, "Bread");
  const boost = (await asEve("POST", `/api/v1/statuses/${boosted}/reblog`)).body.id as string;
  const passedOn = (await asBob("POST", `/api/v1/statuses/${root}/reblog`)).body.id as string;
  await asBob("POST", `/api/v1/statuses/${root}/favourite`);
  await countTrends(database, parts.clock.now());
  const ids = async (path: string, of = (body: unknown) => body as { id: string }[]) =>
    of((await asAda("GET", path)).body).map(({ id }) => id);
  return {
    asAda,
    asEve,
    ada,
    eve,
    root,
    boost,
    passedOn,
    trending: () => ids("/api/v1/trends/statuses"),
    above: () =>
      ids(
        `/api/v1/statuses/${leaf}/context`,
        (body) => (body as { ancestors: { id: string }[] }).ancestors,
      ),
    found: () =>
      ids("/api/v2/search?q=zebra", (body) => (body as { statuses: { id: string }[] }).statuses),
    ofEve: () => ids(`/api/v1/accounts/${eve.actor}/statuses`),
    ofBob: () => ids(`/api/v1/accounts/${bob.actor}/statuses`),
    middle,
  };
}

test.each([
  ["she mutes her", "asAda", "mute"],
  ["she blocks her", "asAda", "block"],
  ["she is blocked by her", "asEve", "block"],
] as const)("trends, conversations, search and boosts, when %s", async (_, who, what) => {
  const town = await house();
  const { root, middle, passedOn, ada, eve } = town;
  expect(await town.trending()).toEqual([root]);
  expect(await town.above()).toEqual([root, middle]);
  expect(await town.found()).toEqual([root]);
  expect(await town.ofBob()).toContain(passedOn);
  const whom = who === "asAda" ? eve.actor : ada.actor;
  expect((await town[who]("POST", `/api/v1/accounts/${whom}/${what}`)).status).toBe(200);
  expect(await town.trending()).toEqual([]);
  expect(await town.above()).toEqual([middle]);
  expect(await town.found()).toEqual([]);
  expect(await town.ofBob()).not.toContain(passedOn);
});

test("the profile of somebody who blocks is empty, with what he passed on", async () => {
  const { asEve, ada, ofEve, root, boost } = await house();
  expect(await ofEve()).toEqual([boost, root]);
  await asEve("POST", `/api/v1/accounts/${ada.actor}/block`);
  expect(await ofEve()).toEqual([]);
});

test("what is filtered in public is filtered among trends", async () => {
  const { asAda, trending, root } = await house();
  const filter = { title: "Animals", context: ["public"], filter_action: "hide" };
  const keywords = { keywords_attributes: [{ keyword: "zebra" }] };
  expect(await trending()).toEqual([root]);
  expect((await asAda("POST", "/api/v2/filters", { ...filter, ...keywords })).status).toBe(200);
  expect(await trending()).toEqual([]);
});
