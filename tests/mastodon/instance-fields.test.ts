/**
 * What old clients read of an instance before anybody signs in: every field of `GET /api/v1/instance`, in its form and
 * with what is true here; the hosts that Ice Cubes opens in the app; and that pages of other origins may ask all of it.
 */

import { describe, expect, test } from "vitest";
import { clientApp } from "../../src/edges/mastodon/app.ts";
import { limitsFor } from "../../src/edges/mastodon/limits.ts";
import { clientHouse } from "../support/client.ts";
import { eur, person, remotePost, testDatabase } from "../support/database.ts";
import { neighbour } from "../support/house.ts";

const text = expect.any(String);
const number = expect.any(Number);

describe("GET /api/v1/instance", () => {
  test("has every field that clients read, each in its form", async () => {
    const database = await testDatabase();
    const { ask } = clientHouse(database);
    const { status, headers, body } = await ask("GET", "/api/v1/instance");
    expect(status).toBe(200);
    expect(headers.get("content-type")).toMatch(/^application\/json/);
    expect(headers.get("cache-control")).toMatch(/^public, max-age=\d+$/);
    expect(body).toMatchObject({
      uri: "home.example",
      title: text,
      short_description: text,
      description: text,
      email: text,
      // Ice Cubes reads its first three characters as a number.
      version: expect.stringMatching(/^\d\.\d+\.\d+ \(compatible; Fediflattr 0\.0\.0\)$/),
      urls: { streaming_api: "wss://home.example" },
      stats: { user_count: 0, status_count: 0, domain_count: 0 },
      // Here it is an address, in the second version an object.
      thumbnail: "https://home.example/headers/missing.png",
      languages: expect.arrayContaining(["en"]),
      registrations: false,
      approval_required: false,
      invites_enabled: false,
      configuration: {
        statuses: {
          max_characters: 5000,
          max_media_attachments: number,
          characters_reserved_per_url: number,
        },
        accounts: {
          max_featured_tags: number,
          max_pinned_statuses: number,
          max_profile_fields: number,
        },
        media_attachments: {
          supported_mime_types: expect.arrayContaining(["image/jpeg", "image/png"]),
          description_limit: number,
          image_size_limit: number,
          image_matrix_limit: number,
          video_size_limit: number,
          video_frame_rate_limit: number,
          video_matrix_limit: number,
        },
        polls: {
          max_options: number,
          max_characters_per_option: number,
          min_expiration: number,
          max_expiration: number,
        },
      },
      contact_account: null,
      rules: [{ id: "1", text, hint: text }],
      flattr: {
        currency: "EUR",
        minimum_budget: String(eur("2.00")),
        bot: "https://home.example/users/flattr",
      },
    });
    for (const name of ["title", "short_description", "description"])
      expect(body[name], name).not.toBe("");
    for (const language of body.languages) expect(language).toMatch(/^[a-z]{2}$/);
    expect(body.rules[0].text).toMatch(/favourite is a flattr/);
  });

  test("says the same as the second version", async () => {
    const { ask } = clientHouse(await testDatabase());
    const { body: one } = await ask("GET", "/api/v1/instance");
    const { body: two } = await ask("GET", "/api/v2/instance");
    for (const name of ["title", "version", "description", "languages", "rules", "flattr"]) {
      expect(one[name], name).toBeDefined();
      expect(one[name], name).toEqual(two[name]);
    }
    expect(one.uri).toBe(two.domain);
    expect(one.thumbnail).toBe(two.thumbnail.url);
    expect(one.urls.streaming_api).toBe(two.configuration.urls.streaming);
    expect(one.email).toBe(two.contact.email);
    expect([one.registrations, one.approval_required]).toEqual([
      two.registrations.enabled,
      two.registrations.approval_required,
    ]);
    expect(two.configuration).toMatchObject(one.configuration);
  });

  test("counts the people, their posts and the servers that are known", async () => {
    const database = await testDatabase();
    const { ask, as } = clientHouse(database);
    const [alice] = [await person(database, "alice"), await person(database, "bob")];
    const asAlice = await as(alice);
    const say = async (status: string) =>
      (await asAlice("POST", "/api/v1/statuses", { status })).body.id as string;
    await say("One");
    await say("Two");
    await asAlice("DELETE", `/api/v1/statuses/${await say("Gone")}`);
    await neighbour(database, "https://far.example/users/ann");
    await neighbour(database, "https://far.example/users/ben");
    await neighbour(database, "https://near.example/users/cora");
    expect((await ask("GET", "/api/v1/instance")).body.stats).toEqual({
      user_count: 2,
      status_count: 2,
      domain_count: 2,
    });
  });

  test("tells the origin, the currency and the smallest budget that the operator set", async () => {
    const database = await testDatabase({
      origin: "http://127.0.0.1:4711",
      currency: "USD",
      minimumBudget: eur("3.00"),
    });
    const { ask } = clientHouse(database);
    const { body } = await ask("GET", "/api/v1/instance");
    expect(body).toMatchObject({
      uri: "127.0.0.1:4711",
      urls: { streaming_api: "ws://127.0.0.1:4711" },
      thumbnail: "http://127.0.0.1:4711/headers/missing.png",
      description: expect.stringContaining("3.00 USD"),
      flattr: {
        currency: "USD",
        minimum_budget: "3000000",
        bot: "http://127.0.0.1:4711/users/flattr",
      },
    });
  });
});

describe("GET /api/v1/instance/peers", () => {
  test("lists each other server of which somebody is known, once, and never this one", async () => {
    const database = await testDatabase();
    const { ask } = clientHouse(database);
    const peers = async () => {
      const { status, headers, body } = await ask("GET", "/api/v1/instance/peers");
      expect(status).toBe(200);
      expect(headers.get("cache-control")).toMatch(/^public, max-age=\d+$/);
      return body as unknown;
    };
    expect(await peers()).toEqual([]);
    await person(database, "alice");
    expect(await peers()).toEqual([]);
    await neighbour(database, "https://near.example:8443/users/cora");
    await neighbour(database, "https://far.example/users/ann");
    await neighbour(database, "https://far.example/users/ben");
    // Known by the address alone, as whoever is paid for a post there.
    await remotePost(database, "https://blog.example/1", "https://blog.example/users/dan");
    // As `URL.host` has them: Ice Cubes compares the host of a link with them.
    expect(await peers()).toEqual(["blog.example", "far.example", "near.example:8443"]);
  });
});

describe("pages of other origins", () => {
  const ORIGIN = { origin: "https://phanpy.example" };
  const listed = (header: string | null) =>
    (header ?? "").split(/\s*,\s*/).map((name) => name.toLowerCase());
  const EXPOSED = [
    "link",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "retry-after",
  ];

  test.each([
    ["GET", "/api/v2/instance"],
    ["GET", "/api/v1/timelines/home"],
    ["POST", "/api/v1/statuses"],
    ["PUT", "/api/v1/statuses/1"],
    ["DELETE", "/api/v1/statuses/1"],
    ["PATCH", "/api/v1/accounts/update_credentials"],
    ["POST", "/api/v2/media"],
    ["POST", "/api/v1/apps"],
    ["POST", "/oauth/token"],
    ["POST", "/oauth/revoke"],
    ["GET", "/.well-known/oauth-authorization-server"],
    ["GET", "/api/flattr/v1/flattrs"],
    ["GET", "/api/v1/nothing/like/that"],
  ])("may ask %s %s, and need not ask again whether they may for a day", async (method, path) => {
    const { ask } = clientHouse(await testDatabase());
    const { status, headers, body } = await ask("OPTIONS", path, undefined, {
      ...ORIGIN,
      "access-control-request-method": method,
      "access-control-request-headers": "authorization,content-type,idempotency-key",
    });
    expect([status, body]).toEqual([204, ""]);
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("access-control-max-age")).toBe("86400");
    expect(listed(headers.get("access-control-allow-methods")).toSorted()).toEqual([
      "delete",
      "get",
      "head",
      "patch",
      "post",
      "put",
    ]);
    expect(listed(headers.get("access-control-allow-headers")).toSorted()).toEqual([
      "authorization",
      "content-type",
      "idempotency-key",
    ]);
    // Any page may ask, so that none may do so with what a browser keeps.
    expect(headers.get("access-control-allow-credentials")).toBeNull();
    // A question whether one may ask is no request of the client.
    expect(headers.get("x-ratelimit-limit")).toBeNull();
  });

  test("read where the next page is, and how often they may ask", async () => {
    const database = await testDatabase();
    const { ask, as } = clientHouse(database);
    const asAlice = await as(await person(database, "alice"));
    await asAlice("POST", "/api/v1/statuses", { status: "Hello" });
    for (const who of [ask, asAlice]) {
      const { status, headers } = await who("GET", "/api/v1/timelines/public", undefined, ORIGIN);
      expect(status).toBe(200);
      expect(headers.get("access-control-allow-origin")).toBe("*");
      expect(listed(headers.get("access-control-expose-headers"))).toEqual(
        expect.arrayContaining(EXPOSED),
      );
      expect(headers.get("link")).toMatch(/max_id=\d+>; rel="next".*min_id=\d+>; rel="prev"/);
      for (const name of ["limit", "remaining"])
        expect(headers.get(`x-ratelimit-${name}`), name).toMatch(/^\d+$/);
      expect(headers.get("x-ratelimit-reset")).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    }
  });

  test("read why they are refused, too", async () => {
    const database = await testDatabase();
    const { ask, as, parts } = clientHouse(database);
    const asAlice = await as(await person(database, "alice"));
    const reader = await as(await person(database, "bob"), "read");
    const refused = [
      await ask("GET", "/api/v1/timelines/home", undefined, ORIGIN),
      await ask("GET", "/api/v1/instance", undefined, { ...ORIGIN, authorization: "Bearer x" }),
      await reader("POST", "/api/v1/statuses", { status: "x" }, ORIGIN),
      await asAlice("GET", "/api/v1/statuses/1", undefined, ORIGIN),
      await ask("GET", "/api/v1/nothing", undefined, ORIGIN),
      await asAlice("POST", "/api/v1/statuses", { status: "" }, ORIGIN),
      await asAlice("POST", "/api/v1/statuses", "{", ORIGIN),
      await ask("POST", "/oauth/token", {}, ORIGIN),
    ];
    expect(refused.map(({ status }) => status)).toEqual([401, 401, 403, 404, 404, 422, 400, 401]);
    const tight = clientApp({ ...parts, limits: limitsFor(1) });
    const often = async () =>
      tight.request(
        "/api/v1/instance",
        { headers: ORIGIN },
        {
          remoteAddress: "192.0.2.7",
        },
      );
    expect((await often()).status).toBe(200);
    const late = await often();
    expect(late.status).toBe(429);
    expect(late.headers.get("retry-after")).toMatch(/^\d+$/);
    for (const { headers } of [...refused, late]) {
      expect(headers.get("access-control-allow-origin")).toBe("*");
      expect(listed(headers.get("access-control-expose-headers"))).toEqual(
        expect.arrayContaining(EXPOSED),
      );
    }
  });
});
