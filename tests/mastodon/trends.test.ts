/** What many people flattr these days, by the client API. */

import { expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { countTrends } from "../../src/features/flattr/trend.ts";
import { type Ask, clientHouse } from "../support/client.ts";
import { person, testDatabase } from "../support/database.ts";
import { strictStatus } from "../support/strict.ts";

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const writer = await person(database, "writer");
  const asWriter = await opened.as(writer);
  const fans: { account: Account; ask: Ask }[] = [];
  for (const name of ["ann", "ben", "cora"]) {
    const account = await person(database, name);
    fans.push({ account, ask: await opened.as(account, "read write flattr:write") });
  }
  const trending = async (query = "", ask = opened.ask) => {
    const { status, body } = await ask("GET", `/api/v1/trends/statuses${query}`);
    expect(status).toBe(200);
    return (body as { id: string }[]).map(({ id }) => id);
  };
  return {
    ...opened,
    database,
    writer,
    asWriter,
    fans,
    trending,
    count: () => countTrends(database, opened.parts.clock.now()),
    say: async (status: string, visibility = "public") =>
      (await asWriter("POST", "/api/v1/statuses", { status, visibility })).body.id as string,
    /** So many of the fans favourite a post. */
    like: async (id: string, many: number) => {
      for (const { ask } of fans.slice(0, many))
        expect((await ask("POST", `/api/v1/statuses/${id}/favourite`)).status).toBe(200);
    },
  };
}

test("posts stand in the order of how many flattr them, from one counting to the next", async () => {
  const { ask, asWriter, fans, say, like, count, trending } = await house();
  const [one, three, two, none] = [await say("1"), await say("3"), await say("2"), await say("0")];
  await like(one, 1);
  await like(three, 3);
  await like(two, 2);
  expect(await trending()).toEqual([]);
  await count();
  expect(await trending()).toEqual([three, two, one]);
  expect(await trending("?limit=1&offset=1")).toEqual([two]);
  expect(await trending("?offset=3")).toEqual([]);
  const [stranger] = (await ask("GET", "/api/v1/trends/statuses")).body;
  strictStatus(stranger, { isSignedIn: false });
  const [shown] = (await fans[0]!.ask("GET", "/api/v1/trends/statuses")).body;
  strictStatus(shown);
  expect(shown.favourited).toBe(true);

  // What is gone is gone at once; what was taken back, when it is counted again.
  await asWriter("DELETE", `/api/v1/statuses/${one}`);
  expect(await trending()).toEqual([three, two]);
  await like(none, 1);
  for (const { ask: asFan } of fans) await asFan("POST", `/api/v1/statuses/${three}/unfavourite`);
  await count();
  expect(await trending()).toEqual([two, none]);
});

test("new flattrs weigh more than old ones, and those of last week nothing", async () => {
  const { say, like, count, trending, setTime } = await house();
  const [old, fresh] = [await say("Old"), await say("Fresh")];
  await like(old, 3);
  setTime("2026-11-16T12:00:00Z");
  await like(fresh, 1);
  await count();
  expect(await trending()).toEqual([fresh, old]);
  setTime("2026-11-17T12:01:00Z");
  await count();
  expect(await trending()).toEqual([fresh]);
});

test("private flattrs, and favourites that are none, neither count nor show", async () => {
  const { ask, as, fans, database, say, count, trending } = await house();
  const [hidden, liked, both] = [await say("Hidden"), await say("Liked"), await say("Both")];
  const [open, secret] = fans;
  const quiet = await as(fans[2]!.account, "read write", { countsFlattrs: false });
  await secret!.ask("PUT", "/api/flattr/v1/preferences", { private: true });
  for (const id of [hidden, both]) await secret!.ask("POST", `/api/v1/statuses/${id}/favourite`);
  for (const id of [liked, both]) await quiet("POST", `/api/v1/statuses/${id}/favourite`);
  await open!.ask("POST", `/api/v1/statuses/${both}/favourite`);
  expect(await database.sql`SELECT FROM flattr`).toHaveLength(3);
  await count();
  expect(await trending()).toEqual([both]);
  expect(await trending("", secret!.ask)).toEqual([both]);
  expect(await database.sql`SELECT flattrs FROM trend`).toMatchObject([{ flattrs: 1 }]);
  expect((await ask("GET", `/api/v1/statuses/${hidden}/favourited_by`)).body).toEqual([]);
});

test("only public posts trend, and nobody sees those of somebody who blocks him", async () => {
  const { fans, writer, asWriter, say, like, count, trending } = await house();
  const open = await say("Open");
  await like(open, 1);
  for (const { ask } of fans) await ask("POST", `/api/v1/accounts/${writer.actor}/follow`);
  for (const visibility of ["unlisted", "private"])
    await like(await say(visibility, visibility), 3);
  await like(await say("@ann @ben @cora psst", "direct"), 3);
  await count();
  expect(await trending()).toEqual([open]);
  expect(await trending("", fans[0]!.ask)).toEqual([open]);
  await asWriter("POST", `/api/v1/accounts/${fans[0]!.account.actor}/block`);
  expect(await trending("", fans[0]!.ask)).toEqual([]);
});

test("tags and links do not trend: the lists are there, and empty", async () => {
  const { ask, say, like, count } = await house();
  await like(await say("#bread https://bread.example/"), 3);
  await count();
  for (const path of ["trends/tags", "trends/links"])
    expect(await ask("GET", `/api/v1/${path}`), path).toMatchObject({ status: 200, body: [] });
});
