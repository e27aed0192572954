/** Posts for a few: no address shows a word of them to anybody else, wherever one looks (A01). */

import { expect, test } from "vitest";
import { countTrends } from "../../src/features/flattr/trend.ts";
import { SCOPES } from "../../src/rules/scope.ts";
import { at, person, testDatabase } from "../support/database.ts";
import { type Ask, clientHouse } from "../support/client.ts";
import { openHouse } from "../support/house.ts";
import { canvas, formOf } from "../support/pictures.ts";
import { addressAt, everyId, routesOf } from "../support/routes.ts";

/** A word, a tag and a picture's description, which stand in nothing that everybody may see. */
const MARK = /zebrafink|quokkatag|narwhalpicture/i;
const WORDS = ["zebrafink", "zebra", "quokkatag", "quokka", "#quokkatag", "narwhalpicture"];

const NOW = "2026-11-21T12:00:00Z";

/** Alice has written to her followers and to Bob, who follows her and has done with it all that he can. */
async function town() {
  const database = await testDatabase();
  const api = clientHouse(database, NOW);
  const all = SCOPES.join(" ");
  const alice = await person(database, "alice", { budget: "2.00", money: "9.00" });
  const bob = await person(database, "bob", { budget: "2.00", money: "9.00" });
  const eve = await person(database, "eve");
  const asAlice = await api.as(alice, all);
  const asBob = await api.as(bob, all);
  const done = async (ask: Ask, method: string, path: string, body?: unknown) => {
    const answer = await ask(method, path, body);
    expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBe(200);
    return answer.body as { id: string; uri: string };
  };
  await done(asBob, "POST", `/api/v1/accounts/${alice.actor}/follow`);
  const secrets: { id: string; uri: string }[] = [];
  for (const [visibility, to] of [
    ["private", ""],
    ["direct", "@bob "],
  ] as const) {
    const { id: picture } = await done(
      asAlice,
      "POST",
      "/api/v2/media",
      formOf({ file: await canvas(8, 8).png().toBuffer(), description: "narwhalpicture" }),
    );
    const written = { status: `${to}zebrafink #quokkatag`, spoiler_text: "zebrafink", visibility };
    const post = await done(asAlice, "POST", "/api/v1/statuses", {
      ...written,
      media_ids: [picture],
    });
    await done(asAlice, "PUT", `/api/v1/statuses/${post.id}`, {
      ...written,
      status: `${written.status} again`,
    });
    const poll = await done(asAlice, "POST", "/api/v1/statuses", {
      ...written,
      poll: { options: ["zebrafink", "quokkatag"], expires_in: 3600 },
    });
    await done(asBob, "POST", `/api/v1/polls/${poll.id}/votes`, { choices: [0] });
    for (const verb of ["favourite", "bookmark"])
      await done(asBob, "POST", `/api/v1/statuses/${post.id}/${verb}`);
    // Answered in public by somebody who may read it, and passed on by its author to her own followers.
    await done(asBob, "POST", "/api/v1/statuses", { status: "Indeed", in_reply_to_id: post.id });
    await asAlice("POST", `/api/v1/statuses/${post.id}/reblog`);
    secrets.push(post, poll);
  }
  const open = await done(asAlice, "POST", "/api/v1/statuses", { status: "Hello #everybody" });
  await done(asBob, "POST", `/api/v1/statuses/${open.id}/favourite`);
  await countTrends(database, at(NOW));
  const house = await openHouse(database, { at: NOW });
  return { database, api, house, alice, eve, asAlice, asBob, secrets, open, all };
}

type Town = Awaited<ReturnType<typeof town>>;

/** Every address of the client API that answers GET, with every id; and what is asked of them beside. */
async function addresses({ database, api, alice, secrets }: Town): Promise<readonly string[]> {
  const ids = await everyId(database);
  expect(ids.length).toBeGreaterThan(20);
  const paths = routesOf(api.app)
    .filter(({ method }) => method === "GET")
    .map(({ path }) => path);
  expect(paths.length).toBeGreaterThan(60);
  const uris = secrets.map(({ uri }) => encodeURIComponent(uri));
  return [
    ...paths.flatMap((path) =>
      path.includes(":") ? ids.map((id) => addressAt(path, id)) : [path],
    ),
    // Few at a time: of longer lists the rest is not looked at.
    ...["statuses", "accounts"].flatMap((path) =>
      chunksOf(ids, 20).map(
        (some) => `/api/v1/${path}?${some.map((id) => `id[]=${id}`).join("&")}`,
      ),
    ),
    ...uris.map((uri) => `/api/v2/search?q=${uri}&resolve=true`),
    ...uris.map((uri) => `/api/v2/search?q=${uri}`),
    ...uris.map((uri) => `/api/flattr/v1/things/lookup?url=${uri}`),
    ...WORDS.flatMap((word) => {
      const q = encodeURIComponent(word);
      return [
        `/api/v2/search?q=${q}`,
        `/api/v2/search?q=${q}&type=hashtags`,
        `/api/v2/search?q=${q}&type=accounts`,
        `/api/v2/search?q=${q}&type=statuses`,
        `/api/v2/search?q=${q}&type=statuses&account_id=${alice.actor}`,
        `/api/v1/accounts/search?q=${q}`,
        `/api/v1/timelines/tag/${q}`,
        `/api/v1/timelines/tag/${q}?local=true&only_media=true`,
        `/api/v1/timelines/tag/everybody?any[]=${q}`,
        `/api/v1/accounts/${alice.actor}/statuses?tagged=${q}`,
      ];
    }),
    ...["local=true", "only_media=true", "limit=40&min_id=0"].map(
      (query) => `/api/v1/timelines/public?${query}`,
    ),
    ...["only_media=true", "pinned=true", "exclude_replies=true"].map(
      (query) => `/api/v1/accounts/${alice.actor}/statuses?${query}`,
    ),
  ];
}

function chunksOf<T>(list: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, n) =>
    list.slice(n * size, (n + 1) * size),
  );
}

/** Those of the addresses where one of the words stands, in the body or a header. */
async function found(ask: Ask, asked: readonly string[]): Promise<string[]> {
  const shown: string[] = [];
  for (const address of asked) {
    const { status, body, headers } = await ask("GET", address);
    expect(status, address).toBeLessThan(500);
    // Where the next page is, is said with what was asked.
    const others = [...headers].filter(([name]) => name !== "link");
    if (MARK.test(JSON.stringify([body, others]))) shown.push(address);
  }
  return shown;
}

test("no route of the client API shows them to a stranger, nor to somebody who lives here", async () => {
  const here = await town();
  const { api, eve, asBob, all } = here;
  const asked = await addresses(here);
  expect(await found(api.ask, asked)).toEqual([]);
  expect(await found(await api.as(eve, all), asked)).toEqual([]);

  // The same by Bob, so that it is known that there was something to be found.
  const kinds = new Set(
    (await found(asBob, asked)).map((path) => path.split("?")[0]!.replaceAll(/\d{10,}/g, ":id")),
  );
  expect([...kinds]).toEqual(
    expect.arrayContaining([
      "/api/v1/statuses",
      "/api/v1/statuses/:id",
      "/api/v1/statuses/:id/context",
      "/api/v1/statuses/:id/history",
      "/api/v1/polls/:id",
      "/api/v1/accounts/:id/statuses",
      "/api/v1/timelines/home",
      "/api/v1/favourites",
      "/api/v1/bookmarks",
      "/api/v1/notifications",
      "/api/v2/search",
    ]),
  );
}, 300_000);

test("no page and no document shows them, and the pages of their tag are those of a tag that nobody has used", async () => {
  const { database, house, secrets, open } = await town();
  const ids = await everyId(database);
  const paths = [
    ...[
      "/",
      "/actor",
      "/actor/outbox",
      "/actor/followers",
      "/inbox",
      "/sitemap.xml",
      "/robots.txt",
    ],
    ...["/nodeinfo/2.0", "/nodeinfo/2.1", "/.well-known/nodeinfo", "/.well-known/host-meta"],
    "/.well-known/webfinger?resource=acct:alice@home.example",
    ...["alice", "bob"].flatMap((name) => [
      `/@${name}`,
      `/@${name}.rss`,
      `/users/${name}`,
      `/users/${name}.rss`,
      `/users/${name}.json`,
      `/users/${name}?before=${"9".repeat(18)}`,
      ...["inbox", "outbox", "followers", "following", "liked", "collections/featured"].flatMap(
        (of) => [`/users/${name}/${of}`, `/users/${name}/${of}?cursor=${"9".repeat(18)}`],
      ),
      `/users/${name}/outbox?cursor=0`,
    ]),
    ...["everybody", "quokka"].map((tag) => `/tags/${tag}`),
    ...secrets.flatMap(({ uri }) => {
      const { pathname } = new URL(uri);
      return ["", "/activity", "/replies", "/likes", "/shares", "?embed=1"].map(
        (of) => `${pathname}${of}`,
      );
    }),
    ...ids.flatMap((id) => [
      `/likes/${id}`,
      `/users/alice/posts/${id}`,
      `/users/bob/posts/${id}`,
      `/media/${id}.webp`,
    ]),
  ];
  const shown: string[] = [];
  for (const path of paths)
    for (const accept of ["text/html", "application/activity+json", "application/json"]) {
      const answer = await house.document(path, accept);
      expect(answer.status, path).toBeLessThan(500);
      const said = `${await answer.text()} ${[...answer.headers].join(" ")}`;
      if (MARK.test(said)) shown.push(`${path} as ${accept}`);
    }
  expect(shown).toEqual([]);
  for (const { uri } of secrets)
    for (const accept of ["text/html", "application/activity+json"])
      expect((await house.document(new URL(uri).pathname, accept)).status, accept).toBe(404);
  // What everybody may see is there.
  expect(await (await house.document("/users/alice", "text/html")).text()).toContain("Hello");
  expect((await house.document(new URL(open.uri).pathname)).status).toBe(200);

  const page = async (tag: string) =>
    (await (await house.document(`/tags/${tag}`, "text/html")).text()).replaceAll(tag, "TAG");
  expect(await page("quokkatag")).toBe(await page("nobodystag"));
}, 120_000);
