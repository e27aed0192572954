/** Posts by the client API: reading, writing, and what people do with them. */

import { describe, expect, test } from "vitest";
import { setPreferences } from "../../src/features/account/find.ts";
import { eur, person, remotePost, snapshot, testDatabase } from "../support/database.ts";
import { type Ask, clientHouse } from "../support/client.ts";
import { strictAccount, strictRelationship, strictStatus } from "../support/strict.ts";

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice", { budget: "2.00", money: "20.00" });
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
  };
}

async function posted(ask: Ask, body: Record<string, unknown>) {
  const answer = await ask("POST", "/api/v1/statuses", body);
  expect(answer.status).toBe(200);
  strictStatus(answer.body);
  return answer.body as Record<string, unknown> & { id: string };
}

describe("writing", () => {
  test("a post is there at once, in the author's home timeline and on his profile, with all strict fields", async () => {
    const { asAlice, alice, ask } = await house();
    const made = await posted(asAlice, { status: "Hello #World, see https://a.example/x" });
    expect(made["content"]).toContain('class="mention hashtag"');
    expect(made["visibility"]).toBe("public");
    expect(made["application"]).toEqual({ name: "Test client", website: "https://client.example" });
    const home = await asAlice("GET", "/api/v1/timelines/home");
    expect(home.body.map(({ id }: { id: string }) => id)).toEqual([made.id]);
    const profile = await ask("GET", `/api/v1/accounts/${alice.actor}/statuses`);
    strictStatus(profile.body[0], { isSignedIn: false });
    expect(profile.body[0].favourited).toBeUndefined();
    const found = await ask("GET", `/api/v1/accounts/${alice.actor}`);
    strictAccount(found.body);
    expect(found.body.statuses_count).toBe(1);
  });

  test("every form of body says the same", async () => {
    const { asAlice } = await house();
    const json = await posted(asAlice, { status: "One", visibility: "unlisted", sensitive: true });
    const form = await asAlice(
      "POST",
      "/api/v1/statuses",
      "status=One&visibility=unlisted&sensitive=true",
      { "content-type": "application/x-www-form-urlencoded" },
    );
    const data = new FormData();
    data.set("status", "One");
    data.set("visibility", "unlisted");
    data.set("sensitive", "true");
    const multipart = await asAlice("POST", "/api/v1/statuses", data);
    for (const { body } of [form, multipart])
      expect(body).toMatchObject({
        content: json["content"],
        visibility: "unlisted",
        sensitive: true,
      });
  });

  test("the same Idempotency-Key writes once, also at the same time; other words under it are refused", async () => {
    const { asAlice, database } = await house();
    const write = (status: string) =>
      asAlice("POST", "/api/v1/statuses", { status }, { "idempotency-key": "k1" });
    const answers = await Promise.all([write("Once"), write("Once"), write("Once")]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const before = await snapshot(database);
    const other = await write("Twice");
    expect(other.status).toBe(422);
    expect(other.body.error).toBe("idempotency_mismatch");
    expect(await snapshot(database)).toBe(before);
    expect((await asAlice("GET", "/api/v1/timelines/home")).body).toHaveLength(1);
  });

  test.each([
    ["nothing", { status: "  " }, "post_invalid"],
    ["too much", { status: "x".repeat(5001) }, "post_invalid"],
    ["an unknown visibility", { status: "x", visibility: "everybody" }, "visibility_invalid"],
    ["a later time", { status: "x", scheduled_at: "2027-01-01T00:00:00Z" }, "post_unscheduled"],
    ["pictures of nobody", { status: "x", media_ids: ["123"] }, "media_unknown"],
    ["words for the pictures' ids", { status: "x", media_ids: ["abc"] }, "media_unknown"],
  ])("%s is refused and writes nothing", async (_, body, code) => {
    const { asAlice } = await house();
    const answer = await asAlice("POST", "/api/v1/statuses", body);
    expect([answer.status, answer.body.error]).toEqual([422, code]);
    expect((await asAlice("GET", "/api/v1/timelines/home")).body).toEqual([]);
  });

  test("editing keeps what it was before; deleting gives the words back", async () => {
    const { asAlice, asBob, ask } = await house();
    const { id } = await posted(asAlice, { status: "First" });
    expect((await asBob("PUT", `/api/v1/statuses/${id}`, { status: "Mine" })).status).toBe(404);
    const edited = await asAlice("PUT", `/api/v1/statuses/${id}`, { status: "Second" });
    expect(edited.body.content).toBe("<p>Second</p>");
    expect(edited.body.edited_at).not.toBeNull();
    const history = await ask("GET", `/api/v1/statuses/${id}/history`);
    expect(history.body.map(({ content }: { content: string }) => content)).toEqual([
      "<p>First</p>",
      "<p>Second</p>",
    ]);
    expect((await asAlice("GET", `/api/v1/statuses/${id}/source`)).body).toEqual({
      id,
      text: "Second",
      spoiler_text: "",
    });
    expect((await asBob("GET", `/api/v1/statuses/${id}/source`)).status).toBe(404);
    expect((await asBob("DELETE", `/api/v1/statuses/${id}`)).status).toBe(404);
    expect((await asAlice("DELETE", `/api/v1/statuses/${id}`)).body.text).toBe("Second");
    expect((await ask("GET", `/api/v1/statuses/${id}`)).status).toBe(404);
    expect((await asAlice("GET", "/api/v1/timelines/home")).body).toEqual([]);
  });
});

test("what no database can keep, and ends that are no instants, are the asker's fault", async () => {
  const { ask, asAlice, alice } = await house();
  const nothing = encodeURIComponent("a\0b");
  for (const path of [
    `timelines/tag/${nothing}`,
    `timelines/tag/x?any[]=${nothing}&none[]=${nothing}`,
    `accounts/${alice.actor}/statuses?tagged=${nothing}`,
  ])
    expect(await ask("GET", `/api/v1/${path}`), path).toMatchObject({ status: 200, body: [] });
  const poll = { options: ["a", "b"], expires_in: 999_999_999_999_999 };
  const answer = await asAlice("POST", "/api/v1/statuses", { status: "x", poll });
  expect(answer.status).toBe(422);
});

describe("who may see what", () => {
  test("a direct post is for those it names, in every list and by every route", async () => {
    const { asAlice, asBob, asEve, ask, alice } = await house();
    const { id } = await posted(asAlice, { status: "@bob psst-planted", visibility: "direct" });
    expect((await asBob("GET", `/api/v1/statuses/${id}`)).status).toBe(200);
    for (const [who, stranger] of [
      ["eve", asEve],
      ["nobody", ask],
    ] as const) {
      for (const path of [
        `/api/v1/statuses/${id}`,
        `/api/v1/statuses/${id}/context`,
        `/api/v1/statuses/${id}/history`,
        `/api/v1/statuses/${id}/favourited_by`,
      ])
        expect((await stranger("GET", path)).status, `${who} ${path}`).toBe(404);
      for (const path of [
        "/api/v1/timelines/public",
        "/api/v1/timelines/public?local=true",
        `/api/v1/accounts/${alice.actor}/statuses`,
        `/api/v1/statuses?id[]=${id}`,
        "/api/v2/search?q=planted",
      ])
        expect(JSON.stringify((await stranger("GET", path)).body), `${who} ${path}`).not.toContain(
          "psst-planted",
        );
    }
    for (const act of ["favourite", "reblog", "bookmark", "mute", "pin", "unfavourite"])
      expect((await asEve("POST", `/api/v1/statuses/${id}/${act}`)).status, act).toBe(404);
  });

  test("a direct answer is for those it names, not for whom it answers", async () => {
    const { asAlice, asBob, asEve } = await house();
    const root = await posted(asBob, { status: "Root" });
    const about = await posted(asAlice, {
      status: "@eve what do you think of this?",
      visibility: "direct",
      in_reply_to_id: root.id,
    });
    expect((await asEve("GET", `/api/v1/statuses/${about.id}`)).status).toBe(200);
    expect((await asBob("GET", `/api/v1/statuses/${about.id}`)).status).toBe(404);
    const toHim = await posted(asAlice, {
      status: "just between us",
      visibility: "direct",
      in_reply_to_id: root.id,
    });
    expect((await asBob("GET", `/api/v1/statuses/${toHim.id}`)).status).toBe(200);
  });

  test("a post for followers is for followers", async () => {
    const { asAlice, asBob, asEve, alice } = await house();
    const followed = await asBob("POST", `/api/v1/accounts/${alice.actor}/follow`);
    strictRelationship(followed.body);
    expect(followed.body).toMatchObject({ following: true, showing_reblogs: true });
    const { id } = await posted(asAlice, { status: "For friends", visibility: "private" });
    expect((await asBob("GET", `/api/v1/statuses/${id}`)).body.visibility).toBe("private");
    expect((await asBob("GET", "/api/v1/timelines/home")).body).toHaveLength(1);
    expect((await asEve("GET", `/api/v1/statuses/${id}`)).status).toBe(404);
    expect((await asBob("POST", `/api/v1/statuses/${id}/reblog`)).status).toBe(404);
  });

  test("whoever is blocked sees nothing of the other", async () => {
    const { asAlice, asBob, bob } = await house();
    const { id } = await posted(asAlice, { status: "Open to all" });
    expect((await asAlice("POST", `/api/v1/accounts/${bob.actor}/block`)).body.blocking).toBe(true);
    expect((await asBob("GET", `/api/v1/statuses/${id}`)).status).toBe(404);
    expect((await asBob("POST", `/api/v1/statuses/${id}/favourite`)).status).toBe(404);
  });
});

describe("a favourite is a flattr", () => {
  test("twice counts once; taking back takes the flattr back", async () => {
    const { asAlice, asBob, database } = await house();
    const { id } = await posted(asBob, { status: "Worth something" });
    const first = await asAlice("POST", `/api/v1/statuses/${id}/favourite`);
    strictStatus(first.body);
    expect(first.body).toMatchObject({
      favourited: true,
      favourites_count: 1,
      flattr: { period: "2026-11", given: true },
    });
    expect(first.body.flattr.value).toBeUndefined();
    const again = await asAlice("POST", `/api/v1/statuses/${id}/favourite`);
    expect(again.body.favourites_count).toBe(1);
    const count = async () =>
      (await database.sql<[{ many: number }]>`SELECT count(*)::int AS many FROM flattr`)[0].many;
    expect(await count()).toBe(1);
    const list = await asAlice("GET", "/api/v1/favourites");
    expect(list.body.map((one: { id: string }) => one.id)).toEqual([id]);
    const back = await asAlice("POST", `/api/v1/statuses/${id}/unfavourite`);
    expect(back.body).toMatchObject({
      favourited: false,
      favourites_count: 0,
      flattr: { given: false },
    });
    expect(await count()).toBe(0);
    expect((await asAlice("GET", "/api/v1/favourites")).body).toEqual([]);
  });

  test("is answered with the post as it is read from then on, whoever made it and however it counts", async () => {
    const { asAlice, asBob, asEve, as, alice, database } = await house();
    const rich = await as(alice, "read write money:read");
    const quiet = await as(alice, "read write", { countsFlattrs: false });
    const post = async (ask: Ask, body: object) => (await posted(ask, { ...body })).id;
    const poll = { options: ["yes", "no"], expires_in: 3600 };
    const passed = await asEve(
      "POST",
      `/api/v1/statuses/${await post(asBob, { status: "Passed on" })}/reblog`,
    );
    const mention = { status: "@alice only you", visibility: "direct" };
    const cases: readonly (readonly [Ask, string])[] = [
      [asAlice, await post(asBob, { status: "Public" })],
      [rich, await post(asBob, { status: "With its value", spoiler_text: "Money" })],
      [quiet, await post(asBob, { status: "Just nice" })],
      [asAlice, await post(asAlice, { status: "My own" })],
      [asAlice, await post(asBob, mention)],
      [asAlice, await post(asBob, { status: "Which?", poll })],
      [asAlice, passed.body.id],
    ];
    await asEve("POST", `/api/v1/statuses/${cases[0]![1]}/favourite`);
    for (const isPrivate of [false, true]) {
      await database.sql`UPDATE account SET flattrs_private = ${isPrivate} WHERE id = ${alice.id}`;
      for (const [ask, id] of cases) {
        const first = await ask("POST", `/api/v1/statuses/${id}/favourite`);
        expect(first.status).toBe(200);
        strictStatus(first.body);
        const { body: read } = await ask("GET", `/api/v1/statuses/${first.body.id}`);
        expect(first.body).toEqual(read);
        expect(read.favourited).toBe(true);
        const again = await ask("POST", `/api/v1/statuses/${id}/favourite`);
        expect(again.body).toEqual(read);
        await ask("POST", `/api/v1/statuses/${id}/unfavourite`);
      }
    }
  });

  test("with money:read the value of a click is shown, to nobody else", async () => {
    const { asAlice, asBob, as, alice } = await house();
    const { id } = await posted(asBob, { status: "Worth something" });
    await asAlice("POST", `/api/v1/statuses/${id}/favourite`);
    const rich = await as(alice, "read money:read");
    expect((await rich("GET", `/api/v1/statuses/${id}`)).body.flattr).toEqual({
      period: "2026-11",
      given: true,
      value: String(eur("2.00")),
    });
    expect((await asBob("GET", `/api/v1/statuses/${id}`)).body.flattr).toEqual({
      period: "2026-11",
      given: false,
    });
  });

  test.each([
    ["from an app that does not count", "all", false],
    ["in mode explicit", "explicit", true],
  ] as const)(
    "%s is none, and leaves a flattr that was given on purpose as it is",
    async (_, flattrMode, countsFlattrs) => {
      const { asBob, as, alice, database } = await house();
      await setPreferences(database, alice.id, { flattrMode });
      const ask = await as(alice, "read write flattr:write", { countsFlattrs });
      const { id, uri } = await posted(asBob, { status: "Just nice" });
      const mark = async (act: string) => {
        const { status, body } = await ask("POST", `/api/v1/statuses/${id}/${act}`);
        expect(status).toBe(200);
        strictStatus(body);
        return [body.favourited, body.flattr.given] as const;
      };
      const flattrs = () => database.sql`SELECT id, source FROM flattr`;
      expect(await mark("favourite")).toEqual([true, false]);
      expect(await flattrs()).toEqual([]);
      expect(await mark("unfavourite")).toEqual([false, false]);
      await ask("POST", "/api/flattr/v1/flattrs", { url: uri });
      const given = [...(await flattrs())];
      expect(given).toMatchObject([{ source: "click" }]);
      for (let turn = 0; turn < 2; turn += 1) {
        expect(await mark("unfavourite")).toEqual([false, true]);
        expect(await mark("favourite")).toEqual([true, true]);
        expect([...(await flattrs())]).toEqual(given);
      }
    },
  );

  test("is taken back also where the post is not to be seen any more", async () => {
    const { asAlice, asBob, alice, database } = await house();
    const { id } = await posted(asBob, { status: "Worth something" });
    await asAlice("POST", `/api/v1/statuses/${id}/favourite`);
    await asBob("POST", `/api/v1/accounts/${alice.actor}/block`);
    expect((await asAlice("GET", `/api/v1/statuses/${id}`)).status).toBe(404);
    expect((await asAlice("POST", `/api/v1/statuses/${id}/unfavourite`)).status).toBe(404);
    const [flattrs] = await database.sql<[{ many: number }]>`
      SELECT count(*)::int AS many FROM flattr`;
    expect(flattrs.many).toBe(0);
  });

  test("of a boost the post itself is meant", async () => {
    const { asAlice, asBob, asEve } = await house();
    const { id } = await posted(asBob, { status: "Passed on" });
    const boost = await asEve("POST", `/api/v1/statuses/${id}/reblog`);
    strictStatus(boost.body);
    expect(boost.body.reblog.id).toBe(id);
    expect(boost.body.id).not.toBe(id);
    const liked = await asAlice("POST", `/api/v1/statuses/${boost.body.id}/favourite`);
    expect(liked.body).toMatchObject({ id, favourited: true, flattr: { given: true } });
    expect((await asEve("POST", `/api/v1/statuses/${id}/reblog`)).body.id).toBe(boost.body.id);
    expect((await asEve("POST", `/api/v1/statuses/${id}/unreblog`)).body).toMatchObject({
      id,
      reblogged: false,
      reblogs_count: 0,
    });
  });
});

describe("conversations", () => {
  test("a boost that is deleted or changed by its own id is not the post", async () => {
    const { asAlice, asBob, ask, database } = await house();
    const { id } = await posted(asAlice, { status: "Passed on" });
    const boost = async (asker: Ask) =>
      (await asker("POST", `/api/v1/statuses/${id}/reblog`)).body.id as string;
    const [ofBob, ofAlice] = [await boost(asBob), await boost(asAlice)];
    const before = await database.sql`SELECT text FROM post`;
    // Hers is the post, and not his boost of it.
    expect((await asAlice("DELETE", `/api/v1/statuses/${ofBob}`)).status).toBe(404);
    for (const one of [ofBob, ofAlice])
      expect((await asAlice("PUT", `/api/v1/statuses/${one}`, { status: "Else" })).status).toBe(
        404,
      );
    const gone = await asAlice("DELETE", `/api/v1/statuses/${ofAlice}`);
    expect(gone).toMatchObject({ status: 200, body: { id: ofAlice, reblog: { id } } });
    expect((await asAlice("DELETE", `/api/v1/statuses/${ofAlice}`)).status).toBe(404);
    expect((await ask("GET", `/api/v1/statuses/${id}`)).body.reblogs_count).toBe(1);
    expect((await asBob("DELETE", `/api/v1/statuses/${ofBob}`)).status).toBe(200);
    expect((await ask("GET", `/api/v1/statuses/${id}`)).body.reblogs_count).toBe(0);
    expect(await database.sql`SELECT text FROM post`).toEqual(before);
  });

  test("stand above and below, each answer under what it answers", async () => {
    const { asAlice, asBob, asEve, ask } = await house();
    const root = await posted(asAlice, { status: "Root" });
    const first = await posted(asBob, { status: "@alice one", in_reply_to_id: root.id });
    const second = await posted(asEve, { status: "@alice two", in_reply_to_id: root.id });
    const below = await posted(asAlice, { status: "@bob below one", in_reply_to_id: first.id });
    expect(first["in_reply_to_id"]).toBe(root.id);
    const ids = (list: { id: string }[]) => list.map(({ id }) => id);
    const { body } = await ask("GET", `/api/v1/statuses/${root.id}/context`);
    expect(ids(body.ancestors)).toEqual([]);
    expect(ids(body.descendants)).toEqual([first.id, below.id, second.id]);
    const deep = await ask("GET", `/api/v1/statuses/${below.id}/context`);
    expect(ids(deep.body.ancestors)).toEqual([root.id, first.id]);
    expect((await ask("GET", `/api/v1/statuses/${root.id}`)).body.replies_count).toBe(2);
  });
});

describe("paging", () => {
  test("follows Link through all pages, in both directions, without a gap", async () => {
    const { asAlice, setTime } = await house();
    const ids: string[] = [];
    for (let n = 0; n < 7; n += 1) {
      setTime(`2026-11-10T12:00:0${n}Z`);
      ids.unshift((await posted(asAlice, { status: `Post ${n}` })).id);
    }
    const seen: string[] = [];
    let path: string | undefined = "/api/v1/timelines/home?limit=3";
    let first: string | undefined;
    while (path !== undefined) {
      const { body, headers } = await asAlice("GET", path);
      if (body.length === 0) break;
      seen.push(...body.map(({ id }: { id: string }) => id));
      first ??= headers.get("link")!.match(/<([^>]+)>; rel="prev"/)![1];
      const next = headers.get("link")?.match(/<([^>]+max_id=(\d+))>; rel="next"/);
      path = next?.[1] === undefined ? undefined : next[1].replace(/^https?:\/\/[^/]+/, "");
    }
    expect(seen).toEqual(ids);
    const above = await asAlice("GET", `/api/v1/timelines/home?min_id=${ids[5]}&limit=2`);
    expect(above.body.map(({ id }: { id: string }) => id)).toEqual([ids[3], ids[4]]);
    const since = await asAlice("GET", `/api/v1/timelines/home?since_id=${ids[5]}&limit=2`);
    expect(since.body.map(({ id }: { id: string }) => id)).toEqual([ids[0], ids[1]]);
    expect(first).toContain("min_id=");
    for (const bad of [
      "limit=0",
      "limit=-1",
      "limit=abc",
      "max_id=abc",
      "max_id=99999999999999999999",
    ])
      expect((await asAlice("GET", `/api/v1/timelines/home?${bad}`)).status, bad).toBe(200);
  });

  test("bookmarks are one's own, and turn by their own order", async () => {
    const { asAlice, asBob } = await house();
    const one = await posted(asBob, { status: "One" });
    const two = await posted(asBob, { status: "Two" });
    await asAlice("POST", `/api/v1/statuses/${two.id}/bookmark`);
    await asAlice("POST", `/api/v1/statuses/${one.id}/bookmark`);
    await asAlice("POST", `/api/v1/statuses/${one.id}/bookmark`);
    const list = await asAlice("GET", "/api/v1/bookmarks?limit=1");
    expect(list.body.map(({ id }: { id: string }) => id)).toEqual([one.id]);
    const next = list.headers.get("link")!.match(/<https?:\/\/[^/]+([^>]+)>; rel="next"/)![1]!;
    expect((await asAlice("GET", next)).body[0].id).toBe(two.id);
    expect((await asBob("GET", "/api/v1/bookmarks")).body).toEqual([]);
    await asAlice("POST", `/api/v1/statuses/${one.id}/unbookmark`);
    expect((await asAlice("GET", "/api/v1/bookmarks")).body).toHaveLength(1);
  });
});

describe("search", () => {
  test("finds people, tags, own posts, and posts of people who want to be found", async () => {
    const { asAlice, asBob, database, bob } = await house();
    await posted(asAlice, { status: "My zebra is striped #zebras" });
    await posted(asBob, { status: "Another zebra" });
    const search = async (ask: Ask, q: string) =>
      (await ask("GET", `/api/v2/search?q=${encodeURIComponent(q)}`)).body;
    expect((await search(asAlice, "zebra")).statuses).toHaveLength(1);
    expect((await search(asAlice, "striped zebra")).statuses).toHaveLength(1);
    expect((await search(asAlice, "striped giraffe")).statuses).toEqual([]);
    expect(
      (await search(asAlice, "#zeb")).hashtags.map(({ name }: { name: string }) => name),
    ).toEqual(["zebras"]);
    expect(
      (await search(asAlice, "bo")).accounts.map(({ acct }: { acct: string }) => acct),
    ).toEqual(["bob"]);
    await database.sql`UPDATE actor SET is_indexable = true WHERE id = ${bob.actor}`;
    expect((await search(asAlice, "zebra")).statuses).toHaveLength(2);
  });

  test.each(["favourite", "bookmark"])(
    "a %s makes a post of somebody who does not want to be found one's own to find",
    async (mark) => {
      const { asAlice, asEve, asBob, database } = await house();
      const { id } = await posted(asBob, { status: "x" });
      // As if it had come from elsewhere.
      await database.sql`UPDATE post SET text = NULL, html = '<p>A quokka smiles</p>' WHERE id = ${BigInt(id)}`;
      await database.sql`DELETE FROM post_word`;
      const found = async (ask: Ask) =>
        (await ask("GET", "/api/v2/search?q=quokka")).body.statuses.map(
          (one: { id: string }) => one.id,
        );
      expect(await found(asAlice)).toEqual([]);
      for (let turn = 0; turn < 2; turn += 1)
        await asAlice("POST", `/api/v1/statuses/${id}/${mark}`);
      expect(await found(asAlice)).toEqual([id]);
      expect(await found(asEve)).toEqual([]);
    },
  );

  test("strangers make nobody ask elsewhere, not for somebody who is known by name alone either", async () => {
    const { ask, asAlice, parts, database } = await house();
    await remotePost(database, "https://b.test/1", "https://b.test/users/ann");
    await database.sql`UPDATE actor SET name = 'ann', host = 'b.test' WHERE uri = 'https://b.test/users/ann'`;
    const asked: string[] = [];
    const { resolver } = parts;
    Object.assign(parts, {
      resolver: {
        ...resolver,
        actor: (text: string) => {
          asked.push(text);
          return resolver.actor(text);
        },
      },
    });
    for (const query of ["", "&resolve=false"])
      expect((await ask("GET", `/api/v2/search?q=@ann@b.test${query}`)).status).toBe(200);
    expect((await asAlice("GET", "/api/v2/search?q=@ann@b.test")).status).toBe(200);
    expect(asked).toEqual([]);
    await asAlice("GET", "/api/v2/search?q=@ann@b.test&resolve=true");
    expect(asked).toEqual(["@ann@b.test"]);
  });

  test("many favourites at once are all found, also several of one post", async () => {
    const { asAlice, asBob, asEve, database } = await house();
    const ids: string[] = [];
    for (let n = 0; n < 6; n += 1) ids.push((await posted(asBob, { status: `n${n}` })).id);
    await database.sql`UPDATE post SET text = NULL, html = '<p>quokka ' || id || ' quokka</p>'`;
    await database.sql`DELETE FROM post_word`;
    await Promise.all(
      ids.flatMap((id) =>
        [asAlice, asEve].map((ask) => ask("POST", `/api/v1/statuses/${id}/favourite`)),
      ),
    );
    const { body } = await asAlice("GET", "/api/v2/search?q=quokka");
    expect(body.statuses.map((one: { id: string }) => one.id).toSorted()).toEqual(ids.toSorted());
    expect((await asAlice("GET", `/api/v2/search?q=${ids[3]}`)).body.statuses).toHaveLength(1);
  });

  test("strangers find people, and make us ask nobody", async () => {
    const { ask } = await house();
    expect((await ask("GET", "/api/v2/search?q=alice")).body.accounts).toHaveLength(1);
    expect((await ask("GET", "/api/v2/search?q=x@y.example&resolve=true")).status).toBe(401);
    expect((await ask("GET", "/api/v2/search?q=alice&offset=20")).status).toBe(401);
  });
});

describe("tokens", () => {
  test("a bad one is refused everywhere, also where none is needed", async () => {
    const { ask } = await house();
    for (const authorization of ["Bearer nonsense", "Basic abc", "Bearer", "Bearer a b"])
      for (const path of ["/api/v1/instance", "/api/v1/timelines/home", "/api/v1/statuses/1"])
        expect((await ask("GET", path, undefined, { authorization })).status).toBe(401);
    expect((await ask("GET", "/api/v1/timelines/home")).status).toBe(401);
  });

  test("each route asks for its scope", async () => {
    const { as, alice } = await house();
    const reader = await as(alice, "read");
    expect((await reader("POST", "/api/v1/statuses", { status: "x" })).status).toBe(403);
    expect((await reader("POST", "/api/v1/statuses/1/favourite")).status).toBe(403);
    const writer = await as(alice, "write:favourites");
    expect((await writer("GET", "/api/v1/timelines/home")).status).toBe(403);
    expect((await writer("POST", "/api/v1/statuses/1/favourite")).status).toBe(404);
  });
});
