/**
 * What clients may wish of a timeline, each proved by the exact list of posts: the public one, that of a hashtag, that of
 * somebody's profile; favourites in the order in which they were given; and looking among those alone whom one follows.
 */

import { randomBytes } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { openFetcher } from "../../src/edges/federation/fetch.ts";
import { openResolver } from "../../src/edges/federation/resolve.ts";
import { clientApp } from "../../src/edges/mastodon/app.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import { takeAnswer } from "../../src/features/follow/receive.ts";
import { readPost } from "../../src/features/post/read.ts";
import { keepPost } from "../../src/features/post/receive.ts";
import { openEgress } from "../../src/store/egress.ts";
import { openVault } from "../../src/store/keys.ts";
import { type Ask, clientHouse, tokenFor } from "../support/client.ts";
import { person, testDatabase } from "../support/database.ts";
import { type Neighbour, neighbour } from "../support/house.ts";
import { canvas, formOf } from "../support/pictures.ts";
import { note } from "../support/town.ts";

/** Ann writes elsewhere; each thing that happens is a second younger than the one before. */
async function village() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const ann = await neighbour(database);
  const names = new Map<string, string>();
  let second = 0;
  const tick = () => {
    second += 1;
    const time = `2026-11-22T12:00:${String(second).padStart(2, "0")}Z`;
    opened.setTime(time);
    return time;
  };
  const someone = async (name: string) => {
    const account = await person(database, name);
    return { account, id: String(account.actor), ask: await opened.as(account) };
  };
  return {
    ...opened,
    database,
    ann,
    someone,
    tick,
    /** Writes a post here; it has a name from then on. */
    say: async (name: string, ask: Ask, more: Record<string, unknown> = {}) => {
      tick();
      const { status, body } = await ask("POST", "/api/v1/statuses", { status: name, ...more });
      expect([status, body.error]).toEqual([200, undefined]);
      names.set(body.id, name);
      return { id: body.id as string, uri: body.uri as string };
    },
    /** A post of Ann's becomes known here. */
    arrives: async (name: string, more: Record<string, unknown> = {}) => {
      const document = note(ann.uri, { content: `<p>${name}</p>`, published: tick(), ...more });
      const now = opened.parts.clock.now();
      const read = readPost(document, ann.uri, `${ann.uri}/followers`, now);
      const id = await database.drizzle.transaction((tx) =>
        keepPost(tx, database.settings, { read, author: ann.id, at: now }),
      );
      names.set(String(id), name);
      return { id: String(id) };
    },
    boost: async (name: string, ask: Ask, id: string) => {
      tick();
      const { status, body } = await ask("POST", `/api/v1/statuses/${id}/reblog`);
      expect(status).toBe(200);
      names.set(body.id, name);
    },
    picture: async (ask: Ask) => {
      const file = await canvas(8, 8).png().toBuffer();
      return (await ask("POST", "/api/v2/media", formOf({ file }))).body.id as string;
    },
    /** The names of the posts at an address, in the order shown; and where the pages beside it are. */
    page: async (ask: Ask, path: string) => {
      const { status, body, headers } = await ask("GET", path);
      expect(status, path).toBe(200);
      const link = headers.get("link") ?? "";
      const beside = (rel: string) => {
        const found = new RegExp(`<([^>]+)>; rel="${rel}"`).exec(link)?.[1];
        return found === undefined ? undefined : new URL(found);
      };
      return {
        shown: (body as { id: string }[]).map(({ id }) => names.get(id) ?? id),
        next: beside("next"),
        prev: beside("prev"),
      };
    },
  };
}

const tags = (...names: readonly string[]) => ({
  tag: names.map((name) => ({ type: "Hashtag", name: `#${name}` })),
});

const PHOTO = {
  attachment: [
    { type: "Document", mediaType: "image/png", url: "https://far.example/media/1.png" },
  ],
};

/** A handful of posts that differ; the oldest first. */
async function square() {
  const opened = await village();
  const { say, arrives, boost, picture, someone, page } = opened;
  const alice = await someone("alice");
  const bob = await someone("bob");
  const plain = await say("plain #bread", alice.ask);
  await say("picture #bread #salt #pepper", alice.ask, {
    media_ids: [await picture(alice.ask)],
  });
  const far = await arrives("far", tags("bread"));
  const photo = await arrives("far photo", { ...PHOTO, ...tags("bread", "salt") });
  const asked = await say("bob's #salt", bob.ask);
  await say("bob's #pepper", bob.ask);
  const answer = await say("answer #bread", alice.ask, { in_reply_to_id: asked.id });
  const reply = await arrives("far answer", { ...tags("bread"), inReplyTo: plain.uri });
  const quiet = await say("quiet #bread", alice.ask, { visibility: "unlisted" });
  await say("for friends #bread", alice.ask, { visibility: "private" });
  await boost("boost of far photo", alice.ask, photo.id);
  await boost("boost of far answer", alice.ask, reply.id);
  for (const { id } of [quiet, plain])
    expect((await alice.ask("POST", `/api/v1/statuses/${id}/pin`)).status).toBe(200);
  return {
    ...opened,
    alice,
    bob,
    plain,
    answer,
    far,
    /** By which wishes a timeline shows something else than is wanted, to a stranger or to Bob: all is for both. */
    wrongIn: async (path: string, wanted: Readonly<Record<string, readonly string[]>>) => {
      const wrong: { wish: string; shown: readonly string[]; wanted: readonly string[] }[] = [];
      for (const ask of [opened.ask, bob.ask])
        for (const [wish, names] of Object.entries(wanted)) {
          const { shown } = await page(ask, `${path}?${wish}`);
          if (shown.join("\n") !== names.join("\n")) wrong.push({ wish, shown, wanted: names });
        }
      return wrong;
    },
  };
}

test("the public timeline: of here, of elsewhere, with pictures; neither answers nor boosts, nor what is not for all", async () => {
  const { wrongIn } = await square();
  const here = ["bob's #pepper", "bob's #salt", "picture #bread #salt #pepper", "plain #bread"];
  const all = [...here.slice(0, 2), "far photo", "far", ...here.slice(2)];
  expect(
    await wrongIn("/api/v1/timelines/public", {
      "": all,
      "local=false&remote=false&only_media=false": all,
      "local=true": here,
      "remote=true": ["far photo", "far"],
      "only_media=true": ["far photo", "picture #bread #salt #pepper"],
      "only_media=1&local=1": ["picture #bread #salt #pepper"],
      "only_media=true&remote=true": ["far photo"],
      "local=true&limit=1": ["bob's #pepper"],
    }),
  ).toEqual([]);
});

describe("the timeline of a hashtag", () => {
  test("with any, all and none of other tags, of here, with pictures", async () => {
    const { wrongIn } = await square();
    const bread = [
      "far answer",
      "answer #bread",
      "far photo",
      "far",
      "picture #bread #salt #pepper",
      "plain #bread",
    ];
    expect(
      await wrongIn("/api/v1/timelines/tag/bread", {
        "": bread,
        "any[]=salt": [...bread.slice(0, 2), "bob's #salt", ...bread.slice(2)],
        "any[]=salt&any[]=pepper": [
          ...bread.slice(0, 2),
          "bob's #pepper",
          "bob's #salt",
          ...bread.slice(2),
        ],
        "any[]=nobodys": bread,
        "all[]=salt": ["far photo", "picture #bread #salt #pepper"],
        "all[]=%23Salt": ["far photo", "picture #bread #salt #pepper"],
        "all[]=salt&all[]=pepper": ["picture #bread #salt #pepper"],
        "all[]=nobodys": [],
        "none[]=salt": ["far answer", "answer #bread", "far", "plain #bread"],
        "none[]=pepper": ["far answer", "answer #bread", "far photo", "far", "plain #bread"],
        "none[]=salt&none[]=bread": [],
        "all[]=salt&none[]=pepper": ["far photo"],
        "any[]=pepper&none[]=salt": [
          "far answer",
          "answer #bread",
          "bob's #pepper",
          "far",
          "plain #bread",
        ],
        "local=true": ["answer #bread", "picture #bread #salt #pepper", "plain #bread"],
        "only_media=true": ["far photo", "picture #bread #salt #pepper"],
        "only_media=true&local=true": ["picture #bread #salt #pepper"],
        "all[]=salt&local=true": ["picture #bread #salt #pepper"],
      }),
    ).toEqual([]);
    expect(await wrongIn("/api/v1/timelines/tag/BREAD", { "": bread })).toEqual([]);
    expect(
      await wrongIn("/api/v1/timelines/tag/nobodys", {
        "": [],
        "any[]=pepper": ["bob's #pepper", "picture #bread #salt #pepper"],
      }),
    ).toEqual([]);
  });

  test("of elsewhere alone", async () => {
    const { wrongIn } = await square();
    expect(
      await wrongIn("/api/v1/timelines/tag/bread", {
        "remote=true": ["far answer", "far photo", "far"],
      }),
    ).toEqual([]);
  });

  test("a tag that is asked for twice, or in two spellings, is one", async () => {
    const { wrongIn } = await square();
    const both = ["far photo", "picture #bread #salt #pepper"];
    expect(
      await wrongIn("/api/v1/timelines/tag/bread", {
        "all[]=salt&all[]=salt": both,
        "all[]=salt&all[]=SALT": both,
        "any[]=bread&all[]=bread&all[]=salt": both,
      }),
    ).toEqual([]);
  });
});

describe("a profile", () => {
  test("without answers, without boosts, with pictures, with a tag, what is on top", async () => {
    const { wrongIn, alice, ann, bob } = await square();
    const own = [
      "quiet #bread",
      "answer #bread",
      "picture #bread #salt #pepper",
      "plain #bread",
    ] as const;
    const boosts = ["boost of far answer", "boost of far photo"] as const;
    const posts = own.filter((name) => name !== "answer #bread");
    expect(
      await wrongIn(`/api/v1/accounts/${alice.id}/statuses`, {
        "": [...boosts, ...own],
        // A boost is no answer, also one of an answer.
        "exclude_replies=true": [...boosts, ...posts],
        "exclude_reblogs=true": own,
        "exclude_replies=true&exclude_reblogs=true": posts,
        // A boost has no pictures and no tags of its own.
        "only_media=true": ["picture #bread #salt #pepper"],
        "tagged=bread": own,
        "tagged=Salt": ["picture #bread #salt #pepper"],
        "tagged=bread&exclude_replies=true": posts,
        "tagged=bread&only_media=true": ["picture #bread #salt #pepper"],
        "tagged=nobodys": [],
        "tagged=": [...boosts, ...own],
        "pinned=true": ["quiet #bread", "plain #bread"],
        "pinned=true&exclude_replies=true": ["quiet #bread", "plain #bread"],
        "pinned=false": [...boosts, ...own],
      }),
    ).toEqual([]);
    expect(
      await wrongIn(`/api/v1/accounts/${ann.id}/statuses`, {
        "": ["far answer", "far photo", "far"],
        "exclude_replies=true": ["far photo", "far"],
        "only_media=true": ["far photo"],
        "tagged=salt": ["far photo"],
        "pinned=true": [],
      }),
    ).toEqual([]);
    expect(
      await wrongIn(`/api/v1/accounts/${bob.id}/statuses`, {
        "": ["bob's #pepper", "bob's #salt"],
        "tagged=salt": ["bob's #salt"],
      }),
    ).toEqual([]);
  });

  test("shows its owner and its followers what is for them, by each wish", async () => {
    const { alice, someone, page } = await square();
    const fan = await someone("fan");
    await fan.ask("POST", `/api/v1/accounts/${alice.id}/follow`);
    for (const { ask } of [alice, fan])
      for (const wish of ["exclude_reblogs=true&exclude_replies=true", "tagged=bread"])
        expect((await page(ask, `/api/v1/accounts/${alice.id}/statuses?${wish}`)).shown[0]).toBe(
          "for friends #bread",
        );
  });

  test("without answers still has what somebody adds to his own posts", async () => {
    const { alice, say, wrongIn, plain, answer } = await square();
    await say("second part", alice.ask, { in_reply_to_id: plain.id });
    await say("second part of the answer", alice.ask, { in_reply_to_id: answer.id });
    // "Filter out statuses in reply to a different account."
    expect(
      await wrongIn(`/api/v1/accounts/${alice.id}/statuses`, {
        "exclude_replies=true&exclude_reblogs=true": [
          "second part of the answer",
          "second part",
          "quiet #bread",
          "picture #bread #salt #pepper",
          "plain #bread",
        ],
      }),
    ).toEqual([]);
  });
});

describe("favourites", () => {
  const ofAlice = async (opened: Awaited<ReturnType<typeof village>>) => {
    const alice = await opened.someone("alice");
    const bob = await opened.someone("bob");
    const one = await opened.say("one", bob.ask);
    const two = await opened.arrives("two");
    const three = await opened.say("three", bob.ask);
    const four = await opened.say("four", bob.ask);
    const quiet = await opened.as(alice.account, "read write", { countsFlattrs: false });
    const like = async ({ id }: { id: string }, act = "favourite", ask = alice.ask) => {
      opened.tick();
      expect((await ask("POST", `/api/v1/statuses/${id}/${act}`)).status).toBe(200);
    };
    return { ...opened, alice, bob, one, two, three, four, like, quiet };
  };

  test("stand in the order in which they were given, and their cursors turn the pages", async () => {
    const opened = await ofAlice(await village());
    const { database, alice, bob, one, two, three, four, like, quiet, page } = opened;
    // Neither in the order of the posts, nor all of them flattrs.
    await like(three);
    await like(two, "favourite", quiet);
    await like(one);
    await bob.ask("POST", `/api/v1/statuses/${four.id}/favourite`);
    const given = await database.sql<{ id: string }[]>`
      SELECT id::text FROM favourite WHERE actor = ${alice.account.actor} ORDER BY at DESC`;

    const first = await page(alice.ask, "/api/v1/favourites?limit=2");
    expect(first.shown).toEqual(["one", "two"]);
    expect(first.next!.origin).toBe("https://home.example");
    expect(first.next!.searchParams.get("max_id")).toBe(given[1]!.id);
    expect(first.prev!.searchParams.get("min_id")).toBe(given[0]!.id);
    const second = await page(alice.ask, first.next!.pathname + first.next!.search);
    expect(second.shown).toEqual(["three"]);
    const third = await page(alice.ask, second.next!.pathname + second.next!.search);
    expect([third.shown, third.next]).toEqual([[], undefined]);

    // What is given later stands on the page before.
    await like(four);
    const before = await page(alice.ask, first.prev!.pathname + first.prev!.search);
    expect(before.shown).toEqual(["four"]);
    expect((await page(alice.ask, "/api/v1/favourites")).shown).toEqual([
      "four",
      "one",
      "two",
      "three",
    ]);
    expect((await page(bob.ask, "/api/v1/favourites")).shown).toEqual(["four"]);
  });

  test("given again stand on top", async () => {
    const { alice, one, two, three, like, quiet, page } = await ofAlice(await village());
    for (const post of [one, three]) await like(post);
    await like(two, "favourite", quiet);
    await like(one, "unfavourite");
    expect((await page(alice.ask, "/api/v1/favourites")).shown).toEqual(["two", "three"]);
    await like(one);
    await like(three);
    expect((await page(alice.ask, "/api/v1/favourites")).shown).toEqual(["one", "two", "three"]);
  });
});

describe("following=true", () => {
  /** Alice follows two of those whose names begin alike, and asked a third. */
  async function crowd() {
    const opened = await village();
    const { database, someone } = opened;
    const alice = await someone("alice");
    const [near, , locked, fan] = [
      await someone("tim_near"),
      await someone("tim_nobody"),
      await someone("tim_locked"),
      await someone("tim_fan"),
    ];
    const far = await neighbour(database, "https://far.example/users/tim");
    await neighbour(database, "https://other.example/users/tim");
    await locked.ask("PATCH", "/api/v1/accounts/update_credentials", { locked: true });
    await fan.ask("POST", `/api/v1/accounts/${alice.id}/follow`);
    const asks = async (id: string, act: string) =>
      (await alice.ask("POST", `/api/v1/accounts/${id}/${act}`)).body.requested as boolean;
    expect(await asks(near.id, "follow")).toBe(false);
    expect(await asks(locked.id, "follow")).toBe(true);
    expect(await asks(String(far.id), "follow")).toBe(true);
    await accepted(far);
    return { ...opened, alice, near, fan, asks };

    async function accepted(by: Neighbour) {
      await database.drizzle.transaction((tx) =>
        takeAnswer(tx, {
          answer: "Accept",
          actor: by.id,
          followId: undefined,
          follower: `${database.settings.origin}/users/alice`,
        }),
      );
    }
  }

  const accts = (list: { acct: string }[]) => list.map(({ acct }) => acct).toSorted();
  const ALL = [
    "tim@far.example",
    "tim@other.example",
    "tim_fan",
    "tim_locked",
    "tim_near",
    "tim_nobody",
  ];

  test.each([
    ["/api/v2/search", (body: { accounts: { acct: string }[] }) => accts(body.accounts)],
    ["/api/v1/accounts/search", accts],
  ] as [string, (body: unknown) => string[]][])(
    "in %s finds those alone whom one follows",
    async (path, found) => {
      const { alice, near, fan, asks } = await crowd();
      const search = async (ask: Ask, query: string) => {
        const { status, body } = await ask("GET", `${path}?${query}`);
        expect(status).toBe(200);
        return found(body);
      };
      expect(await search(alice.ask, "q=tim")).toEqual(ALL);
      expect(await search(alice.ask, "q=tim&following=false")).toEqual(ALL);
      expect(await search(alice.ask, "q=tim&following=true")).toEqual([
        "tim@far.example",
        "tim_near",
      ]);
      expect(await search(alice.ask, "q=tim_n&following=true")).toEqual(["tim_near"]);
      expect(await search(alice.ask, "q=tim_f&following=true")).toEqual([]);
      expect(await search(alice.ask, "q=tim@far.example&following=true")).toEqual([
        "tim@far.example",
      ]);
      expect(await search(alice.ask, "q=tim@other.example&following=true")).toEqual([]);
      expect(await search(alice.ask, "q=tim&following=true&limit=1&offset=2")).toEqual([]);
      expect(await search(fan.ask, "q=tim&following=true")).toEqual([]);
      expect(await search(fan.ask, "q=ali&following=true")).toEqual(["alice"]);
      await asks(near.id, "unfollow");
      expect(await search(alice.ask, "q=tim&following=true")).toEqual(["tim@far.example"]);
    },
  );

  test("holds also for a whole handle that other servers may be asked for", async () => {
    const { alice, parts, database } = await crowd();
    const { clock } = parts;
    const egress = openEgress({
      allowedPrivate: [],
      userAgent: "test",
      lookup: () => Promise.reject(new Error("nobody has a name")),
    });
    onTestFinished(() => egress.close());
    const { origin } = database.settings;
    const keys = openActorKeys(database, openVault(randomBytes(32)), clock);
    const fetcher = openFetcher({ database, egress, keys, clock, origin });
    const app = clientApp({
      ...parts,
      resolver: openResolver({ database, fetcher, egress, clock }),
    });
    const token = await tokenFor(database, alice.account, "read");
    const found = async (path: string, handle: string, more: string) => {
      const answer = await app.request(
        `${path}?q=${encodeURIComponent(handle)}&resolve=true${more}`,
        {
          headers: { authorization: `Bearer ${token}` },
        },
      );
      expect(answer.status).toBe(200);
      const body = (await answer.json()) as { acct: string }[] | { accounts: { acct: string }[] };
      return accts(Array.isArray(body) ? body : body.accounts);
    };
    for (const path of ["/api/v2/search", "/api/v1/accounts/search"]) {
      for (const [handle, acct] of [
        ["@tim@far.example", "tim@far.example"],
        ["@tim_near@home.example", "tim_near"],
      ] as const)
        expect(await found(path, handle, "&following=true"), handle).toEqual([acct]);
      for (const [handle, acct] of [
        ["@tim@other.example", "tim@other.example"],
        ["@tim_nobody@home.example", "tim_nobody"],
      ] as const) {
        expect(await found(path, handle, ""), handle).toEqual([acct]);
        expect(await found(path, handle, "&following=true"), `${path} ${handle}`).toEqual([]);
      }
    }
  });
});
