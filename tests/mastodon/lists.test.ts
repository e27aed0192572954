/** Lists by the client API. */

import { describe, expect, test } from "vitest";
import { type Ask, clientHouse } from "../support/client.ts";
import { person, testDatabase } from "../support/database.ts";
import { strictAccount } from "../support/strict.ts";

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice");
  const bob = await person(database, "bob");
  const carol = await person(database, "carol");
  const eve = await person(database, "eve");
  const asAlice = await opened.as(alice);
  for (const { actor } of [bob, carol]) await asAlice("POST", `/api/v1/accounts/${actor}/follow`);
  return { ...opened, alice, bob, carol, eve, asAlice, asEve: await opened.as(eve) };
}

async function made(ask: Ask, title = "Friends") {
  const { status, body } = await ask("POST", "/api/v1/lists", { title });
  expect(status).toBe(200);
  return `/api/v1/lists/${(body as { id: string }).id}`;
}

const idsOf = (body: readonly { id: string }[]) => body.map(({ id }) => id);

describe("lists", () => {
  test("are made, read, changed and taken away", async () => {
    const { asAlice } = await house();
    const { body: list } = await asAlice("POST", "/api/v1/lists", "title=<b>x</b>&exclusive=true", {
      "content-type": "application/x-www-form-urlencoded",
    });
    expect(list).toEqual({
      id: expect.stringMatching(/^\d+$/),
      title: "<b>x</b>",
      replies_policy: "list",
      exclusive: true,
    });
    const path = `/api/v1/lists/${list.id}`;
    const changed = { ...list, title: "New", replies_policy: "followed", exclusive: false };
    expect(
      (
        await asAlice("PUT", path, {
          title: "New",
          replies_policy: "followed",
          exclusive: false,
        })
      ).body,
    ).toEqual(changed);
    expect((await asAlice("PUT", path, {})).body).toEqual(changed);
    expect((await asAlice("GET", path)).body).toEqual(changed);
    expect((await asAlice("GET", "/api/v1/lists")).body).toEqual([changed]);
    expect((await asAlice("DELETE", path)).body).toEqual({});
    expect((await asAlice("GET", path)).status).toBe(404);
  });

  test("hold people whom one follows, page by page, and show what they write", async () => {
    const { asAlice, as, bob, carol, eve } = await house();
    const path = await made(asAlice);
    const add = (...ids: bigint[]) =>
      asAlice("POST", `${path}/accounts`, { account_ids: ids.map(String) });
    expect((await add(eve.actor)).status).toBe(404);
    expect((await add(bob.actor, eve.actor)).status).toBe(404);
    expect((await asAlice("GET", `${path}/accounts`)).body).toEqual([]);
    expect((await add(bob.actor, carol.actor)).body).toEqual({});
    expect((await add(bob.actor)).status).toBe(200);
    const first = await asAlice("GET", `${path}/accounts?limit=1`);
    for (const account of first.body) strictAccount(account);
    const next = /<([^>]+)>; rel="next"/.exec(first.headers.get("link")!)![1]!;
    expect(next).toContain("limit=1");
    const { pathname, search } = new URL(next);
    const second = await asAlice("GET", pathname + search);
    expect(new Set([...idsOf(first.body), ...idsOf(second.body)])).toEqual(
      new Set([String(bob.actor), String(carol.actor)]),
    );
    const all = await asAlice("GET", `${path}/accounts?limit=0`);
    expect(all.body).toHaveLength(2);
    expect(all.headers.has("link")).toBe(false);
    expect(idsOf((await asAlice("GET", `/api/v1/accounts/${bob.actor}/lists`)).body)).toEqual([
      path.split("/").at(-1),
    ]);

    const post = await (await as(bob))("POST", "/api/v1/statuses", { status: "Hello" });
    const shown = path.replace("/lists/", "/timelines/list/");
    expect(idsOf((await asAlice("GET", shown)).body)).toEqual([post.body.id]);
    const gone = await asAlice("DELETE", `${path}/accounts`, `account_ids[]=${bob.actor}`, {
      "content-type": "application/x-www-form-urlencoded",
    });
    expect(gone.body).toEqual({});
    expect((await asAlice("DELETE", `${path}/accounts?account_ids[]=${bob.actor}`)).status).toBe(
      200,
    );
    expect(idsOf((await asAlice("GET", `${path}/accounts`)).body)).toEqual([String(carol.actor)]);
  });

  test("of others are not there, whatever is asked", async () => {
    const { asAlice, asEve, bob } = await house();
    const path = await made(asAlice);
    await asAlice("POST", `${path}/accounts`, { account_ids: [String(bob.actor)] });
    await asEve("POST", `/api/v1/accounts/${bob.actor}/follow`);
    const people = { account_ids: [String(bob.actor)] };
    for (const [method, address, body] of [
      ["GET", path],
      ["PUT", path, { title: "Mine" }],
      ["DELETE", path],
      ["GET", `${path}/accounts`],
      ["POST", `${path}/accounts`, people],
      ["DELETE", `${path}/accounts`, people],
      ["GET", path.replace("/lists/", "/timelines/list/")],
      ["GET", "/api/v1/lists/x"],
    ] as const)
      expect((await asEve(method, address, body)).status, `${method} ${address}`).toBe(404);
    expect((await asEve("GET", `/api/v1/accounts/${bob.actor}/lists`)).body).toEqual([]);
    expect((await asAlice("GET", path)).body.title).toBe("Friends");
    expect((await asAlice("GET", `${path}/accounts`)).body).toHaveLength(1);
  });

  test("that cannot be are refused", async () => {
    const { asAlice } = await house();
    for (const wrong of [
      {},
      { title: " " },
      { title: "x".repeat(201) },
      { title: "a\u0000" },
      { title: "T", replies_policy: "some" },
    ]) {
      const { status, body } = await asAlice("POST", "/api/v1/lists", wrong);
      expect([status, body.error], JSON.stringify(wrong)).toEqual([422, "list_invalid"]);
    }
    const path = await made(asAlice);
    expect((await asAlice("PUT", path, { title: "" })).status).toBe(422);
    expect((await asAlice("POST", `${path}/accounts`, { account_ids: ["x"] })).status).toBe(404);
  });

  test("want their scopes", async () => {
    const { as, alice, ask } = await house();
    const reads = await as(alice, "read:lists");
    const writes = await as(alice, "write:lists");
    const path = await made(writes);
    expect((await ask("GET", path)).status).toBe(401);
    expect((await writes("GET", path)).status).toBe(403);
    expect((await reads("GET", path)).status).toBe(200);
    expect((await reads("POST", "/api/v1/lists", { title: "x" })).status).toBe(403);
    expect((await reads("DELETE", path)).status).toBe(403);
  });
});
