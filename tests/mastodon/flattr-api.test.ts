/** Our own API: what it does, what it refuses, and that its description is true. */

import { beforeEach, describe, expect, test } from "vitest";
import type { Guard } from "../../src/edges/mastodon/frame.ts";
import { OPENAPI } from "../../src/edges/mastodon/openapi.ts";
import type { Account } from "../../src/features/account/create.ts";
import { declinePayments } from "../../src/features/claim/standing.ts";
import { writePost } from "../../src/features/post/write.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import {
  at,
  localPost,
  person,
  remotePost,
  snapshot,
  testDatabase,
  type TestDatabase,
} from "../support/database.ts";
import { type Ask, type ClientHouse, clientHouse } from "../support/client.ts";

const API = "/api/flattr/v1";
const URL_1 = "https://b.test/1";
const READS = "flattr:read money:read";

let database: TestDatabase;
let house: ClientHouse;
let ada: Account;
let bob: Account;
let app: Ask;

beforeEach(async () => {
  database = await testDatabase();
  house = clientHouse(database);
  ada = await person(database, "ada", { budget: "7.00", money: "20.00" });
  bob = await person(database, "bob");
  app = await house.as(ada, "flattr:read flattr:write money:read");
  await remotePost(database, URL_1, "https://b.test/u");
});

describe("flattrs", () => {
  test("an address is flattred once a month, shown in the list, and taken back (P6, P7, P12)", async () => {
    const first = await app("POST", `${API}/flattrs`, { url: URL_1 });
    expect(first).toMatchObject({
      status: 200,
      body: { period: "2026-11", again: false, code: null, thing: { uri: URL_1, kind: "Note" } },
    });
    const again = await app("POST", `${API}/flattrs`, { url: URL_1 });
    expect(again).toMatchObject({
      status: 200,
      body: { id: first.body.id, again: true, code: "flattr_once" },
    });
    await app("POST", `${API}/flattrs`, { acct: "@bob" });
    expect((await app("GET", `${API}/flattrs/current`)).body).toEqual({
      period: "2026-11",
      count: 2,
      closes_at: "2026-12-01T00:00:00.000Z",
      days_left: 20,
      currency: "EUR",
      budget: "7000000",
      available: "20000000",
      value: "3500000",
    });
    const list = await app("GET", `${API}/flattrs?limit=1`);
    expect(list.body).toHaveLength(1);
    const next = /<([^>]+)>; rel="next"/.exec(list.headers.get("link")!)![1]!;
    const second = await app("GET", new URL(next).pathname + new URL(next).search);
    expect(second.body).toEqual([
      {
        id: first.body.id,
        period: "2026-11",
        source: "click",
        private: false,
        at: "2026-11-10T12:00:00.000Z",
        thing: first.body.thing,
      },
    ]);
    const back = /<([^>]+)>; rel="prev"/.exec(second.headers.get("link")!)![1]!;
    expect((await app("GET", new URL(back).pathname + new URL(back).search)).body).toEqual(
      list.body,
    );
    expect((await app("GET", `${API}/flattrs?since_id=${first.body.id}`)).body).toEqual(list.body);
    expect((await app("GET", `${API}/flattrs?period=2026-10`)).body).toEqual([]);

    expect(await app("DELETE", `${API}/flattrs?url=${encodeURIComponent(URL_1)}`)).toMatchObject({
      status: 200,
      body: { id: first.body.id },
    });
    expect((await app("GET", `${API}/flattrs/current`)).body).toMatchObject({
      count: 1,
      value: "7000000",
    });
    expect(await app("DELETE", `${API}/flattrs?url=${encodeURIComponent(URL_1)}`)).toMatchObject({
      status: 404,
      body: { error: "not_found", error_description: expect.stringContaining(".") },
    });
  });

  test("without money it stands, and who may know of money is told so; nothing else is at its address (D4)", async () => {
    const ed = await person(database, "ed", { budget: "2.00" });
    const code = async (scopes: string, url: string) =>
      (await (await house.as(ed, scopes))("POST", `${API}/flattrs`, { url })).body.code;
    await remotePost(database, "https://b.test/2", "https://b.test/u");
    expect(await code("flattr:write", URL_1)).toBeNull();
    expect(await code("flattr:write money:read", "https://b.test/2")).toBe("no_means");
    expect(await code("flattr:write money:read", "https://b.test/2")).toBe("flattr_once");
    expect(await app("GET", `${API}/nothing`)).toMatchObject({
      status: 404,
      body: { error: "not_found" },
    });
  });

  test("what is shown now is what the settlement gives (P6)", async () => {
    for (const n of [1, 2, 3])
      await remotePost(database, `https://b.test/p${n}`, "https://b.test/u");
    for (const n of [1, 2, 3]) await app("POST", `${API}/flattrs`, { url: `https://b.test/p${n}` });
    const { body } = await app("GET", `${API}/flattrs/current`);
    await settle(database, { at: at("2026-12-01T00:05:00Z") });
    house.setTime("2026-12-02T00:00:00Z");
    const statement = await app("GET", `${API}/statement?period=2026-11`);
    expect(body.value).toBe("2333333");
    expect(statement.body).toMatchObject({
      state: "closed",
      settlement: "settled",
      currency: "EUR",
      spent: "7000000",
      count: 3,
    });
    expect(statement.body.gave.map((one: { amount: string }) => one.amount)).toEqual([
      "2333334",
      "2333333",
      "2333333",
    ]);
    const taken = await app("DELETE", `${API}/flattrs`, { url: "https://b.test/p1" });
    expect(taken).toMatchObject({ status: 409, body: { error: "period_closed" } });
    expect(await app("GET", `${API}/receipt?period=2026-11`)).toMatchObject({
      status: 404,
      body: { error: "receipt_unknown" },
    });
  });

  test("a private flattr is told to nobody (P14)", async () => {
    await app("POST", `${API}/flattrs`, { url: URL_1, private: true });
    const [row] = await database.sql`SELECT private FROM flattr`;
    expect(row).toEqual({ private: true });
    expect(await database.sql`SELECT FROM delivery`).toHaveLength(0);
    const lookup = () => house.ask("GET", `${API}/things/lookup?url=${URL_1}`);
    // Not by its being known, either.
    expect((await lookup()).status).toBe(404);
    const [{ id }] = await database.sql<
      [{ id: bigint }]
    >`SELECT id FROM thing WHERE uri = ${URL_1}`;
    expect((await house.ask("GET", `${API}/things/${id}`)).status).toBe(404);
    const other = await house.as(bob, "flattr:write");
    await other("POST", `${API}/flattrs`, { url: URL_1 });
    const { pathname } = new URL((await lookup()).headers.get("location")!);
    const thing = await house.ask("GET", pathname);
    expect(thing.body).toMatchObject({ uri: URL_1, flattrs: 1 });
  });

  test("refusals have their codes, and change nothing (D4)", async () => {
    const own = await localPost(database, ada);
    const [mine] = await database.sql<[{ uri: string }]>`SELECT uri FROM thing WHERE id = ${own}`;
    const shy = await person(database, "shy");
    await declinePayments(database, {
      payee: `${database.settings.origin}/users/shy`,
      at: at("2026-11-09"),
    });
    const secret = await writePost(database, {
      author: bob,
      text: "@shy hello",
      visibility: "direct",
      at: at("2026-11-09"),
    });
    const before = await snapshot(database);
    for (const [body, status, error] of [
      [{ url: mine.uri }, 403, "flattr_owner"],
      [{ acct: `@${shy.name}` }, 403, "payee_declined"],
      [{ url: "https://nobody.test/" }, 422, "no_payee"],
      [{ url: "javascript:alert(1)" }, 422, "url_invalid"],
      [{ url: "https://b.test/\0" }, 422, "url_invalid"],
      [{}, 422, "url_invalid"],
      [{ url: secret.uri }, 404, "not_found"],
      [{ url: ["https://b.test/1"] }, 422, "url_invalid"],
    ] as const)
      expect(await app("POST", `${API}/flattrs`, body), JSON.stringify(body)).toMatchObject({
        status,
        body: { error, error_description: expect.stringMatching(/\.$/) },
      });
    for (const path of [
      "statement?period=2026-13",
      "flattrs?period=x",
      "receipt",
      "statement?period=2020-01",
    ])
      expect(await app("GET", `${API}/${path}`), path).toMatchObject({
        status: 422,
        body: { error: "period_invalid" },
      });
    expect(await snapshot(database)).toBe(before);
  });
});

describe("subscriptions (P8)", () => {
  test("are made, paused, gone on with and ended", async () => {
    const made = await app("POST", `${API}/subscriptions`, { url: URL_1, months: 3 });
    expect(made).toMatchObject({
      status: 200,
      body: { months_left: 3, paused_at: null, thing: { uri: URL_1 } },
    });
    expect((await app("POST", `${API}/subscriptions/pause`, { url: URL_1 })).body.paused_at).toBe(
      "2026-11-10T12:00:00.000Z",
    );
    expect((await app("GET", `${API}/subscriptions`)).body).toMatchObject([
      { months_left: 3, paused_at: "2026-11-10T12:00:00.000Z" },
    ]);
    expect((await app("POST", `${API}/subscriptions`, { url: URL_1 })).body).toMatchObject({
      months_left: null,
      paused_at: null,
    });
    for (const months of [0, 121, -1, "x", 1.5])
      expect(await app("POST", `${API}/subscriptions`, { url: URL_1, months })).toMatchObject({
        status: 422,
        body: { error: "subscription_invalid" },
      });
    expect((await app("DELETE", `${API}/subscriptions?url=${URL_1}`)).status).toBe(200);
    expect((await app("GET", `${API}/subscriptions`)).body).toEqual([]);
    expect((await app("DELETE", `${API}/subscriptions?url=${URL_1}`)).body.error).toBe("not_found");
  });
});

describe("money", () => {
  test("a budget can be read, and never set, by an app (W09)", async () => {
    expect((await app("GET", `${API}/budget`)).body).toMatchObject({
      currency: "EUR",
      budget: "7000000",
      minimum: "2000000",
      ceiling: "7000000",
    });
    const before = await snapshot(database);
    expect(await app("PUT", `${API}/budget`, { budget: "9000000" })).toMatchObject({
      status: 403,
      body: { error: "money_in_browser", error_description: expect.stringContaining("/settings") },
    });
    expect(await snapshot(database)).toBe(before);
  });

  test("without money:read there are counts, and no amounts", async () => {
    await app("POST", `${API}/flattrs`, { url: URL_1 });
    const poor = await house.as(ada, "read write flattr:read flattr:write");
    expect((await poor("GET", `${API}/flattrs/current`)).body).toEqual({
      period: "2026-11",
      count: 1,
      closes_at: "2026-12-01T00:00:00.000Z",
      days_left: 20,
    });
    for (const path of ["statement", "budget", "receipt?period=2026-11"])
      expect(await poor("GET", `${API}/${path}`)).toMatchObject({
        status: 403,
        body: { error: "money_hidden" },
      });
  });

  test("each route wants its scope, and a token", async () => {
    for (const [scopes, method, path] of [
      ["read write follow push money:read flattr:write", "GET", "flattrs/current"],
      ["read write follow push money:read flattr:read", "POST", "flattrs"],
      [READS, "PUT", "preferences"],
      [READS, "DELETE", "subscriptions"],
      ["money:read", "GET", "statement"],
    ] as const) {
      const asked = await (await house.as(bob, scopes))(method, `${API}/${path}`);
      expect(asked, path).toMatchObject({ status: 403, body: { error: "insufficient_scope" } });
      expect(await house.ask(method, `${API}/${path}`)).toMatchObject({
        status: 401,
        body: { error: "invalid_token" },
      });
    }
  });
});

test("preferences are read and changed (P5, P14)", async () => {
  expect((await app("GET", `${API}/preferences`)).body).toEqual({ mode: "all", private: false });
  expect((await app("PUT", `${API}/preferences`, { mode: "explicit" })).body).toEqual({
    mode: "explicit",
    private: false,
  });
  expect((await app("PUT", `${API}/preferences`, { private: true })).body).toEqual({
    mode: "explicit",
    private: true,
  });
  expect((await app("PUT", `${API}/preferences`, { mode: "some" })).status).toBe(400);
  expect((await app("PUT", `${API}/preferences`, {})).status).toBe(422);
  const [row] =
    await database.sql`SELECT flattr_mode, flattrs_private FROM account WHERE id = ${bob.id}`;
  expect(row).toEqual({ flattr_mode: "all", flattrs_private: false });
});

describe("things (D3, D8)", () => {
  test("are looked up by everybody, without any effect", async () => {
    await app("POST", `${API}/flattrs`, { url: URL_1 });
    const before = await snapshot(database);
    const things = await database.sql`SELECT id FROM thing ORDER BY id`;
    const found = await house.ask(
      "GET",
      `${API}/things/lookup?url=${encodeURIComponent(`${URL_1}?utm_source=x`)}`,
    );
    expect(found.status).toBe(302);
    expect(found.headers.get("access-control-allow-origin")).toBe("*");
    const thing = await house.ask("GET", new URL(found.headers.get("location")!).pathname);
    expect(thing).toMatchObject({
      status: 200,
      body: {
        uri: URL_1,
        payees: [{ uri: "https://b.test/u", weight: 1 }],
        period: "2026-11",
        flattrs: 1,
      },
    });
    expect(JSON.stringify(thing.body)).not.toContain("ada");
    for (const path of [
      "things/lookup?url=https://b.test/unknown",
      "things/lookup?url=@bob",
      "things/lookup?acct=@nobody@b.test",
      "things/1",
      "things/abc",
      `things/${"9".repeat(30)}`,
    ])
      expect(await house.ask("GET", `${API}/${path}`), path).toMatchObject({
        status: 404,
        body: { error: "not_found" },
      });
    expect(await snapshot(database)).toBe(before);
    expect(await database.sql`SELECT id FROM thing ORDER BY id`).toEqual(things);
  });

  test.each(["followers", "direct"] as const)("a %s post is not there", async (visibility) => {
    const { uri } = await writePost(database, {
      author: bob,
      text: "@ada hello",
      visibility,
      at: at("2026-11-09"),
    });
    const [row] = await database.sql<[{ id: bigint }]>`SELECT id FROM thing WHERE uri = ${uri}`;
    expect((await house.ask("GET", `${API}/things/${row.id}`)).status).toBe(404);
    expect((await house.ask("GET", `${API}/things/lookup?url=${uri}`)).status).toBe(404);
  });
});

describe("the description", () => {
  /** Every route with the scopes that its guard wants. */
  const routes = () => {
    const found = new Map<string, Set<string>>();
    for (const { method, path, handler } of house.app.routes) {
      if (!path.startsWith(`${API}/`) || method === "ALL") continue;
      const key = `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, "{$1}")}`;
      const scopes = found.get(key) ?? new Set();
      for (const one of (handler as unknown as Partial<Guard>).wanted ?? []) scopes.add(one);
      found.set(key, scopes);
    }
    return found;
  };
  const documented = () =>
    new Map<string, { oauth: string[] }[]>(
      Object.entries(OPENAPI.paths).flatMap(([path, methods]) =>
        Object.entries(
          methods as unknown as Record<string, { security: { oauth: string[] }[] }>,
        ).map(
          ([method, { security }]) =>
            [`${method} ${path}`, security] as [string, { oauth: string[] }[]],
        ),
      ),
    );

  test("names every route, and no other", () => {
    expect(routes().size).toBeGreaterThan(15);
    expect([...documented().keys()].sort()).toEqual([...routes().keys()].sort());
  });

  test("says the scopes that are wanted", async () => {
    const real = routes();
    const told = documented();
    expect([...real].some(([, scopes]) => scopes.size > 0)).toBe(true);
    for (const [route, scopes] of real) {
      const wanted = told.get(route)!.flatMap(({ oauth }) => oauth);
      expect(
        wanted.filter((scope) => scope !== "money:read"),
        route,
      ).toEqual([...scopes]);
      // What wants money:read is refused without, before anything is looked at.
      const [method, path] = route.split(" ") as [string, string];
      const poor = await house.as(ada, [...scopes].join(" ") || "read");
      const asked = await poor(method.toUpperCase(), path.replace("{id}", "1"));
      expect(asked.body?.error === "money_hidden", route).toBe(wanted.includes("money:read"));
    }
  });

  test("every reference in it leads somewhere, and it is served to everybody", async () => {
    const served = await house.ask("GET", `${API}/openapi.json`);
    expect(served.headers.get("access-control-allow-origin")).toBe("*");
    expect(served.body.servers).toEqual([{ url: database.settings.origin }]);
    const references = [...JSON.stringify(served.body).matchAll(/"\$ref":"([^"]+)"/g)].map(
      ([, to]) => to!,
    );
    expect(references.length).toBeGreaterThan(20);
    for (const to of references)
      expect(Object.keys(served.body.components.schemas), to).toContain(
        to.replace("#/components/schemas/", ""),
      );
  });

  test("what is answered has the members that are promised", async () => {
    await app("POST", `${API}/flattrs`, { url: URL_1 });
    await app("POST", `${API}/subscriptions`, { url: URL_1 });
    const members = (name: keyof typeof OPENAPI.components.schemas) =>
      Object.keys(
        (OPENAPI.components.schemas[name] as unknown as { properties: object }).properties,
      ).sort();
    for (const [path, name] of [
      ["flattrs/current", "Current"],
      ["flattrs", "Flattr"],
      ["statement", "Statement"],
      ["subscriptions", "Subscription"],
      ["budget", "Budget"],
      ["preferences", "Preferences"],
    ] as const) {
      const { body } = await app("GET", `${API}/${path}`);
      expect(Object.keys(Array.isArray(body) ? body[0] : body).sort(), path).toEqual(members(name));
    }
  });
});
