/** Filters by the client API: what is made, whom it concerns, and what it does to posts. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { renderFor } from "../../src/edges/mastodon/render.ts";
import { compileKeywords, matchedIn } from "../../src/features/filter/keywords.ts";
import { type Ask, clientHouse } from "../support/client.ts";
import { cpuTimer } from "../support/cpu.ts";
import { person, testDatabase } from "../support/database.ts";
import { until } from "../support/process.ts";
import { listener, quiet, streamNode, tokenOf } from "../support/sockets.ts";

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice");
  const bob = await person(database, "bob");
  const eve = await person(database, "eve");
  return {
    ...opened,
    database,
    alice,
    bob,
    eve,
    asAlice: await opened.as(alice),
    asBob: await opened.as(bob),
    asEve: await opened.as(eve),
    say: async (text: string, more: Record<string, unknown> = {}) =>
      (await (await opened.as(bob))("POST", "/api/v1/statuses", { status: text, ...more }))
        .body as {
        id: string;
        content: string;
      },
  };
}

/** Alice follows bob, who is in a list of hers. */
async function circle() {
  const opened = await house();
  const { asAlice, bob } = opened;
  await asAlice("POST", `/api/v1/accounts/${bob.actor}/follow`);
  const { id: list } = (await asAlice("POST", "/api/v1/lists", { title: "Friends" })).body;
  const account_ids = [String(bob.actor)];
  await asAlice("POST", `/api/v1/lists/${list}/accounts`, { account_ids });
  return { ...opened, list: list as string };
}

async function made(ask: Ask, body: Record<string, unknown>) {
  const { status, body: filter } = await ask("POST", "/api/v2/filters", {
    title: "No",
    context: ["public"],
    ...body,
  });
  expect(status).toBe(200);
  return filter as {
    id: string;
    keywords: { id: string; keyword: string; whole_word: boolean }[];
  };
}

const publicly = async (ask: Ask) =>
  (await ask("GET", "/api/v1/timelines/public")).body as {
    id: string;
    filtered: {
      filter: Record<string, unknown>;
      keyword_matches: unknown;
      status_matches: unknown;
    }[];
  }[];

describe("the words of filters", () => {
  const found = (keywords: readonly string[], text: string, isWholeWord = false) =>
    matchedIn(compileKeywords(keywords.map((keyword) => ({ keyword, isWholeWord }))), text).map(
      (place) => keywords[place],
    );

  test("are found in every case and anywhere, or only where words begin and end", () => {
    expect(found(["Cat", "dog"], "A conCATenation")).toEqual(["Cat"]);
    expect(found(["cat"], "A concatenation", true)).toEqual([]);
    expect(found(["cat"], "A (CAT), of course", true)).toEqual(["cat"]);
    expect(found(["cat"], "cat", true)).toEqual(["cat"]);
    expect(found(["cat"], "cats cat", true)).toEqual(["cat"]);
    expect(found(["über"], "ÜBER alles", true)).toEqual(["über"]);
    expect(found(["ber"], "über", true)).toEqual([]);
    expect(found(["кот"], "котик", true)).toEqual([]);
    expect(found(["#tag"], "a#tag", true)).toEqual(["#tag"]);
    expect(found(["𝒜"], "𝒜𝒜", true)).toEqual([]);
    expect(found(["two  words"], "Two\nWords")).toEqual(["two  words"]);
  });

  test("are found behind characters that nobody sees", () => {
    expect(found(["spoiler"], "spo\u200biler")).toEqual(["spoiler"]);
    expect(found(["e\u0301clair"], "\u00e9clair", true)).toEqual(["e\u0301clair"]);
  });

  test("mean nothing but themselves, whatever they hold", () => {
    const texts = fc.string({
      unit: fc.constantFrom("a", "b", ".", "*", "(", "[", "\\", " ", "A"),
    });
    fc.assert(
      fc.property(fc.array(texts, { maxLength: 6 }), texts, (keywords, text) => {
        const plain = (one: string) => one.toLowerCase().replaceAll(/\s+/g, " ");
        expect(found(keywords, text)).toEqual(
          keywords.filter(
            (keyword) =>
              plain(keyword).trim() !== "" && ` ${plain(text)} `.includes(plain(keyword).trim()),
          ),
        );
      }),
    );
  });

  test("are found in one pass, whatever text and words are made for", () => {
    const keywords = Array.from({ length: 500 }, (_, n) => ({
      keyword: `${"a".repeat(n % 99)}b`,
      isWholeWord: true,
    }));
    const spentMs = cpuTimer();
    const compiled = compileKeywords(keywords);
    for (let n = 0; n < 40; n += 1) matchedIn(compiled, "a".repeat(10_000));
    // One text after the other with each word would compare 20 thousand million letters.
    expect(spentMs()).toBeLessThan(3_000);
    // A hundred words end at each letter, and none of them where a word ends.
    const nested = compileKeywords(
      Array.from({ length: 100 }, (_, n) => ({ keyword: "a".repeat(n + 1), isWholeWord: true })),
    );
    const spentAgainMs = cpuTimer();
    for (let n = 0; n < 40; n += 1) expect(matchedIn(nested, "a".repeat(10_000))).toEqual([]);
    expect(spentAgainMs()).toBeLessThan(3_000);
  });
});

describe("filters", () => {
  test("warn: posts say which filter it was, by content, warning, picture and poll; boosts by what was passed on", async () => {
    const { asAlice, asEve, eve, say } = await house();
    const filter = await made(asAlice, {
      context: ["public", "home"],
      expires_in: 3600,
      keywords_attributes: [
        { keyword: "cat", whole_word: true },
        { keyword: "mouse", whole_word: "false" },
      ],
    });
    const byWord = await say("A <b>cat</b> & more");
    const byWarning = await say("Fine", { spoiler_text: "dormouse" });
    const byChoice = await say("Which?", {
      poll: { options: ["cat", "dog"], expires_in: 3600 },
    });
    const not = await say("concatenation");
    const shown = await publicly(asAlice);
    const results = new Map(shown.map(({ id, filtered }) => [id, filtered]));
    expect(results.get(byWord.id)).toEqual([
      {
        filter: {
          id: filter.id,
          title: "No",
          context: ["public", "home"],
          expires_at: "2026-11-10T13:00:00.000Z",
          filter_action: "warn",
        },
        keyword_matches: ["cat"],
        status_matches: null,
      },
    ]);
    expect(results.get(byWarning.id)![0]!.keyword_matches).toEqual(["mouse"]);
    expect(results.get(byChoice.id)).toHaveLength(1);
    expect(results.get(not.id)).toEqual([]);
    expect((await publicly(asEve)).every(({ filtered }) => filtered.length === 0)).toBe(true);

    await asAlice("POST", `/api/v1/accounts/${eve.actor}/follow`);
    await asEve("POST", `/api/v1/statuses/${byWord.id}/reblog`);
    const home = (await asAlice("GET", "/api/v1/timelines/home")).body;
    expect(home[0].reblog.id).toBe(byWord.id);
    expect(home[0].filtered).toHaveLength(1);
    expect(home[0].reblog.filtered).toEqual(home[0].filtered);
  });

  test("hide: posts are not there, in this place alone, until the filter ends; one's own always are", async () => {
    const { asAlice, asBob, say, setTime } = await house();
    await made(asAlice, {
      filter_action: "hide",
      expires_in: "60",
      keywords_attributes: [{ keyword: "cat" }],
    });
    await made(asBob, { filter_action: "hide", keywords_attributes: [{ keyword: "cat" }] });
    const { id } = await say("A cat");
    expect(await publicly(asAlice)).toEqual([]);
    expect((await publicly(asBob)).map((one) => one.id)).toEqual([id]);
    expect((await asAlice("GET", `/api/v1/statuses/${id}`)).status).toBe(200);
    setTime("2026-11-10T12:01:00Z");
    expect((await publicly(asAlice)).map((one) => one.id)).toEqual([id]);
  });

  test.each([
    ["home", ["home", "list"]],
    ["public", ["public", "tag"]],
    ["account", ["account"]],
    ["thread", []],
    ["notifications", []],
  ])("of the place %s mean posts on the pages %j alone", async (place, meant) => {
    const { asAlice, bob, list, say } = await circle();
    const { id } = await say("A cat #pets");
    const pages = {
      home: "timelines/home",
      list: `timelines/list/${list}`,
      public: "timelines/public",
      tag: "timelines/tag/pets",
      account: `accounts/${bob.actor}/statuses`,
    };
    /** The pages on which the post is, and those on which it says why it is meant. */
    const shown = async () => {
      const found: { there: string[]; marked: string[] } = { there: [], marked: [] };
      for (const [page, path] of Object.entries(pages)) {
        const [post] = (await asAlice("GET", `/api/v1/${path}`)).body;
        if (post === undefined) continue;
        expect(post.id).toBe(id);
        found.there.push(page);
        if (post.filtered.length > 0) found.marked.push(page);
      }
      return found;
    };
    const all = Object.keys(pages);
    const filter = await made(asAlice, {
      context: [place],
      keywords_attributes: [{ keyword: "cat" }],
    });
    expect(await shown()).toEqual({ there: all, marked: meant });
    await asAlice("PUT", `/api/v2/filters/${filter.id}`, { filter_action: "hide" });
    const there = all.filter((page) => !meant.includes(page));
    expect(await shown()).toEqual({ there, marked: [] });
    expect((await asAlice("GET", `/api/v1/statuses/${id}`)).status).toBe(200);
  });

  test("mean what open streams tell as they mean the pages, for their owner alone", async () => {
    const { database, parts, alice, bob, eve, asAlice, asBob, asEve, list, say } = await circle();
    await asEve("POST", `/api/v1/accounts/${bob.actor}/follow`);
    const filter = (filter_action: string, context: string, keyword: string) =>
      made(asAlice, { filter_action, context: [context], keywords_attributes: [{ keyword }] });
    await filter("hide", "home", "cat");
    await filter("warn", "public", "cat");
    await filter("warn", "home", "dog");
    await filter("hide", "public", "dog");
    await filter("hide", "notifications", "bird");
    const node = await streamNode(database, { render: renderFor(parts) });
    const streams = ["user", "public", ["hashtag", { tag: "pets" }]] as const;
    const [hers, others] = [
      await listener(node, (await tokenOf(database, alice)).secret, ...streams, ["list", { list }]),
      await listener(node, (await tokenOf(database, eve)).secret, ...streams),
    ];
    const expectTold = async ({ frames }: typeof hers, expected: readonly string[]) => {
      const look = async () => (frames.length >= expected.length ? true : undefined);
      await until(10_000, look, expected.join(", "));
      await quiet();
      const told = frames
        .splice(0)
        .map(({ stream, event, payload }) =>
          event === "notification"
            ? event
            : `${stream[0]} ${event} ${payload.filtered.length > 0 ? "marked" : "plain"}`,
        );
      expect(told.toSorted()).toEqual(expected);
    };
    const everywhere = ["hashtag update plain", "public update plain", "user update plain"];

    await say("A cat #pets");
    await expectTold(hers, ["hashtag update marked", "public update marked"]);
    await expectTold(others, everywhere);
    const { id } = await say("A dog #pets");
    await expectTold(hers, ["list update marked", "user update marked"]);
    await expectTold(others, everywhere);
    await asBob("PUT", `/api/v1/statuses/${id}`, { status: "A cat after all #pets" });
    await expectTold(hers, ["hashtag status.update marked", "public status.update marked"]);
    await say("@alice a bird", { visibility: "direct" });
    await expectTold(hers, []);
    await say("@alice a fish", { visibility: "direct" });
    await expectTold(hers, ["notification"]);
  });

  test("look into conversations, too, but never at the post that was asked for", async () => {
    const { asAlice, say } = await house();
    const { id } = await say("A cat");
    const answer = await say("Another cat", { in_reply_to_id: id });
    const context = async () => (await asAlice("GET", `/api/v1/statuses/${id}/context`)).body;
    await made(asAlice, { context: ["thread"], keywords_attributes: [{ keyword: "another" }] });
    expect((await context()).descendants[0].filtered).toHaveLength(1);
    await made(asAlice, {
      context: ["thread"],
      filter_action: "hide",
      keywords_attributes: [{ keyword: "cat" }],
    });
    expect(await context()).toEqual({ ancestors: [], descendants: [] });
    expect((await asAlice("GET", `/api/v1/statuses/${answer.id}`)).status).toBe(200);
  });

  test("single posts can be chosen, once each, if one may read them", async () => {
    const { asAlice, asBob, say } = await house();
    const { id } = await say("Anything");
    const secret = await say("For nobody", { visibility: "private" });
    const filter = await made(asAlice, { filter_action: "hide" });
    const chosen = `/api/v2/filters/${filter.id}/statuses`;
    const first = await asAlice("POST", chosen, { status_id: id });
    expect(first.body).toEqual({ id: expect.stringMatching(/^\d+$/), status_id: id });
    expect((await asAlice("POST", chosen, { status_id: id })).body).toEqual(first.body);
    expect((await asAlice("POST", chosen, { status_id: secret.id })).status).toBe(404);
    expect((await asAlice("POST", chosen, {})).status).toBe(404);
    expect((await asAlice("GET", chosen)).body).toEqual([first.body]);
    expect(await publicly(asAlice)).toEqual([]);
    const one = `/api/v2/filters/statuses/${first.body.id}`;
    expect((await asBob("GET", one)).status).toBe(404);
    expect((await asBob("DELETE", one)).status).toBe(404);
    expect((await asAlice("GET", one)).body).toEqual(first.body);
    expect((await asAlice("DELETE", one)).status).toBe(200);
    expect((await publicly(asAlice)).map((post) => post.id)).toEqual([id]);
  });

  test("are changed, with their words, and taken away", async () => {
    const { asAlice } = await house();
    const { id, keywords } = await made(asAlice, {
      title: "<script>alert(1)</script>",
      expires_in: 60,
      keywords_attributes: [{ keyword: "one" }, { keyword: "two", whole_word: false }],
    });
    expect(keywords.map(({ whole_word }) => whole_word)).toEqual([true, false]);
    const changed = await asAlice(
      "PUT",
      `/api/v2/filters/${id}`,
      [
        "title=Other&context[]=home&context[]=thread&filter_action=blur&expires_in=",
        `keywords_attributes[0][id]=${keywords[0]!.id}&keywords_attributes[0][_destroy]=true`,
        `keywords_attributes[1][id]=${keywords[1]!.id}&keywords_attributes[1][keyword]=2`,
        "keywords_attributes[2][keyword]=three",
      ].join("&"),
      { "content-type": "application/x-www-form-urlencoded" },
    );
    expect(changed.body).toEqual({
      id,
      title: "Other",
      context: ["home", "thread"],
      expires_at: null,
      filter_action: "blur",
      keywords: [
        { id: keywords[1]!.id, keyword: "2", whole_word: false },
        { id: expect.any(String), keyword: "three", whole_word: true },
      ],
      statuses: [],
    });
    // Nothing said changes nothing.
    expect((await asAlice("PUT", `/api/v2/filters/${id}`, {})).body).toEqual(changed.body);
    const added = await asAlice("POST", `/api/v2/filters/${id}/keywords`, { keyword: "four" });
    expect(added.body.keyword).toBe("four");
    const word = `/api/v2/filters/keywords/${added.body.id}`;
    expect((await asAlice("PUT", word, { keyword: "4", whole_word: false })).body).toEqual({
      id: added.body.id,
      keyword: "4",
      whole_word: false,
    });
    expect((await asAlice("GET", word)).body.keyword).toBe("4");
    expect((await asAlice("GET", `/api/v2/filters/${id}/keywords`)).body).toHaveLength(3);
    expect((await asAlice("DELETE", word)).status).toBe(200);
    expect((await asAlice("GET", word)).status).toBe(404);
    expect((await asAlice("DELETE", `/api/v2/filters/${id}`)).body).toEqual({});
    expect((await asAlice("GET", "/api/v2/filters")).body).toEqual([]);
  });

  test("of others are not there, whatever is asked", async () => {
    const { asAlice, asEve } = await house();
    const { id, keywords } = await made(asAlice, { keywords_attributes: [{ keyword: "cat" }] });
    const mine = await made(asEve, { keywords_attributes: [{ keyword: "dog" }] });
    const before = (await asAlice("GET", "/api/v2/filters")).body;
    const word = keywords[0]!.id;
    for (const [method, path, body] of [
      ["GET", `/api/v2/filters/${id}`],
      ["PUT", `/api/v2/filters/${id}`, { title: "Mine" }],
      ["DELETE", `/api/v2/filters/${id}`],
      ["GET", `/api/v2/filters/${id}/keywords`],
      ["POST", `/api/v2/filters/${id}/keywords`, { keyword: "x" }],
      ["GET", `/api/v2/filters/${id}/statuses`],
      ["GET", `/api/v2/filters/keywords/${word}`],
      ["PUT", `/api/v2/filters/keywords/${word}`, { keyword: "x" }],
      ["DELETE", `/api/v2/filters/keywords/${word}`],
      ["GET", `/api/v1/filters/${word}`],
      ["PUT", `/api/v1/filters/${word}`, { phrase: "x", context: ["home"] }],
      ["DELETE", `/api/v1/filters/${word}`],
      ["GET", "/api/v2/filters/abc"],
      // Somebody else's word through one's own filter.
      ["PUT", `/api/v2/filters/${mine.id}`, { keywords_attributes: [{ id: word, keyword: "x" }] }],
      [
        "PUT",
        `/api/v2/filters/${mine.id}`,
        { keywords_attributes: [{ id: word, _destroy: true }] },
      ],
    ] as const)
      expect((await asEve(method, path, body)).status, `${method} ${path}`).toBe(404);
    expect((await asAlice("GET", "/api/v2/filters")).body).toEqual(before);
  });

  test("that cannot be are refused, and change nothing", async () => {
    const { asAlice } = await house();
    const fine = { title: "T", context: ["home"] };
    for (const wrong of [
      { ...fine, title: "" },
      { ...fine, title: "x".repeat(201) },
      { ...fine, title: "a\u0000b" },
      { title: "T" },
      { ...fine, context: [] },
      { ...fine, context: ["everywhere"] },
      { ...fine, filter_action: "explode" },
      { ...fine, expires_in: "soon" },
      { ...fine, expires_in: 999_999_999_999_999 },
      { ...fine, expires_in: 0 },
      { ...fine, keywords_attributes: [{ keyword: "" }] },
      { ...fine, keywords_attributes: [{ keyword: "\u200b" }] },
      { ...fine, keywords_attributes: [{ keyword: "x".repeat(101) }] },
    ]) {
      const { status, body } = await asAlice("POST", "/api/v2/filters", wrong);
      expect(status, JSON.stringify(wrong)).toBe(422);
      expect(body.error).toBe("filter_invalid");
      expect(body.error_description).toMatch(/^This filter cannot be made so: .+\.$/);
    }
    expect((await asAlice("GET", "/api/v2/filters")).body).toEqual([]);
  });

  test("have limits for each person, also when many come at once", async () => {
    const { asAlice, asBob, database } = await house();
    const words = Array.from({ length: 240 }, (_, n) => ({ keyword: `word ${n}` }));
    const answers = await Promise.all(
      [1, 2, 3].map((n) =>
        asAlice("POST", "/api/v2/filters", {
          title: `T${n}`,
          context: ["home"],
          keywords_attributes: words,
        }),
      ),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 422]);
    const [{ many } = { many: 0n }] = await database.sql<{ many: bigint }[]>`
      SELECT count(*) AS many FROM filter_keyword`;
    expect(Number(many)).toBe(480);
    expect((await made(asBob, { keywords_attributes: [{ keyword: "x" }] })).id).toBeDefined();
    // Making long words ready is what costs.
    const long = Array.from({ length: 101 }, (_, n) => ({ keyword: `${n} `.padEnd(100, "x") }));
    const body = { title: "Long", context: ["home"], keywords_attributes: long };
    expect((await asBob("POST", "/api/v2/filters", body)).status).toBe(422);
  });

  test("are, for older clients, one for each word", async () => {
    const { asAlice } = await house();
    const old = await asAlice("POST", "/api/v1/filters", {
      phrase: "cat",
      context: ["home", "public"],
      irreversible: true,
      whole_word: false,
      expires_in: 60,
    });
    expect(old.body).toEqual({
      id: expect.stringMatching(/^\d+$/),
      phrase: "cat",
      context: ["home", "public"],
      whole_word: false,
      expires_at: "2026-11-10T12:01:00.000Z",
      irreversible: true,
    });
    const [filter] = (await asAlice("GET", "/api/v2/filters")).body;
    expect(filter).toMatchObject({ title: "cat", filter_action: "hide" });
    const path = `/api/v1/filters/${old.body.id}`;
    expect((await asAlice("GET", path)).body).toEqual(old.body);
    expect(
      (await asAlice("PUT", path, { phrase: "dog", context: ["home"], irreversible: false })).body,
    ).toMatchObject({ phrase: "dog", context: ["home"], irreversible: false, whole_word: false });
    await asAlice("POST", `/api/v2/filters/${filter.id}/keywords`, { keyword: "bird" });
    expect((await asAlice("GET", "/api/v1/filters")).body).toHaveLength(2);
    expect((await asAlice("PUT", path, { phrase: "cow", context: ["public"] })).status).toBe(422);
    expect((await asAlice("PUT", path, { phrase: "cow", context: ["home"] })).body.phrase).toBe(
      "cow",
    );
    for (const { id } of (await asAlice("GET", "/api/v1/filters")).body)
      expect((await asAlice("DELETE", `/api/v1/filters/${id}`)).status).toBe(200);
    expect((await asAlice("GET", "/api/v2/filters")).body).toEqual([]);
  });

  test("want their scopes, and tell open streams of each change", async () => {
    const { as, alice, ask, database } = await house();
    const reads = await as(alice, "read:filters");
    const writes = await as(alice, "write:filters");
    const { id } = await made(writes, {});
    expect((await ask("GET", "/api/v2/filters")).status).toBe(401);
    expect((await writes("GET", "/api/v2/filters")).status).toBe(403);
    expect((await reads("DELETE", `/api/v2/filters/${id}`)).status).toBe(403);
    expect((await reads("GET", "/api/v1/filters")).status).toBe(200);
    await writes("DELETE", `/api/v2/filters/${id}`);
    const events = await database.sql`SELECT account FROM stream_event WHERE kind = 'filters'`;
    expect(events.map(({ account }) => account as bigint)).toEqual([alice.id, alice.id]);
  });
});
