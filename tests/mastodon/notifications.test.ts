/** Notifications by the client API, one by one and in groups. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CROWDED,
  groupKeyOf,
  groupNotices,
  rangeOfGroup,
} from "../../src/features/notice/group.ts";
import { NOTIFICATION_KINDS } from "../../src/features/notice/schema.ts";
import { type Ask, clientHouse, tokenFor } from "../support/client.ts";
import { person, testDatabase } from "../support/database.ts";
import { strictAccount, strictNotification, strictStatus } from "../support/strict.ts";

const FANS = ["bob", "carol", "dave"] as const;

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice");
  const fans = await Promise.all(
    FANS.map(async (name) => {
      const account = await person(database, name);
      return { account, id: String(account.actor), ask: await opened.as(account) };
    }),
  );
  const asAlice = await opened.as(alice);
  return {
    ...opened,
    database,
    alice,
    asAlice,
    bob: fans[0]!,
    carol: fans[1]!,
    dave: fans[2]!,
    fans,
  };
}

async function posted(ask: Ask, status: string, more: Record<string, unknown> = {}) {
  const answer = await ask("POST", "/api/v1/statuses", { status, ...more });
  expect(answer.status).toBe(200);
  return (answer.body as { id: string }).id;
}

interface Notification {
  readonly id: string;
  readonly type: string;
  readonly group_key: string;
  readonly account: { readonly id: string; readonly username: string };
  readonly status?: { readonly id: string; readonly filtered: readonly unknown[] };
}

async function told(ask: Ask, query = ""): Promise<readonly Notification[]> {
  const { status, body } = await ask("GET", `/api/v1/notifications${query}`);
  expect(status).toBe(200);
  for (const one of body) strictNotification(one);
  return body;
}

const kinds = (list: readonly Notification[]) => list.map(({ type }) => type);

/** What happens to alice, the oldest first: favourite, reblog, mention, follow of bob; favourite of carol. */
async function eventful() {
  const opened = await house();
  const { asAlice, bob, carol, alice } = opened;
  const post = await posted(asAlice, "Hello");
  await bob.ask("POST", `/api/v1/statuses/${post}/favourite`);
  await bob.ask("POST", `/api/v1/statuses/${post}/reblog`);
  const mention = await posted(bob.ask, "@alice <img src=x onerror=alert(1)>");
  await bob.ask("POST", `/api/v1/accounts/${alice.actor}/follow`);
  await carol.ask("POST", `/api/v1/statuses/${post}/favourite`);
  return { ...opened, post, mention };
}

describe("notifications", () => {
  test("say what happened, the newest first, each with its person and post", async () => {
    const { asAlice, bob, post, mention } = await eventful();
    const all = await told(asAlice);
    expect(kinds(all)).toEqual(["favourite", "follow", "mention", "reblog", "favourite"]);
    expect(all.map(({ status }) => status?.id)).toEqual([post, undefined, mention, post, post]);
    expect(all[1]!.account.id).toBe(bob.id);
    expect(JSON.stringify(all)).not.toContain("<img");
    expect(await told(bob.ask)).toEqual([]);
    const one = await asAlice("GET", `/api/v1/notifications/${all[2]!.id}`);
    expect(one.body).toEqual(all[2]);
  });

  test("come page by page, both ways, by the addresses of Link", async () => {
    const { asAlice } = await eventful();
    const all = await told(asAlice);
    const seen: string[] = [];
    let path: string | undefined = "/api/v1/notifications?limit=2&exclude_types[]=poll";
    for (let pages = 0; path !== undefined && pages < 9; pages += 1) {
      const answer = await asAlice("GET", path);
      seen.push(...answer.body.map(({ id }: Notification) => id));
      const next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
      path = next === undefined ? undefined : new URL(next).pathname + new URL(next).search;
    }
    expect(seen).toEqual(all.map(({ id }) => id));
    const above = await told(asAlice, `?min_id=${all[4]!.id}&limit=2`);
    expect(above.map(({ id }) => id)).toEqual([all[2]!.id, all[3]!.id]);
    const newest = await told(asAlice, `?since_id=${all[4]!.id}&limit=2`);
    expect(newest.map(({ id }) => id)).toEqual([all[0]!.id, all[1]!.id]);
  });

  test("are chosen by kind and person; kinds that nobody knows mean none", async () => {
    const { asAlice, carol, bob } = await eventful();
    expect(kinds(await told(asAlice, "?types[]=follow&types[]=mention"))).toEqual([
      "follow",
      "mention",
    ]);
    expect(kinds(await told(asAlice, "?exclude_types[]=favourite&exclude_types[]=x"))).toEqual([
      "follow",
      "mention",
      "reblog",
    ]);
    expect(await told(asAlice, "?types[]=admin.sign_up")).toEqual([]);
    expect(kinds(await told(asAlice, `?account_id=${carol.id}`))).toEqual(["favourite"]);
    expect(kinds(await told(asAlice, `?account_id=${bob.id}`))).toHaveLength(4);
    expect((await asAlice("GET", "/api/v1/notifications?account_id=x")).status).toBe(404);
  });

  test("are of all kinds that clients know, and of no other", async () => {
    const { database, alice, asAlice, bob } = await house();
    const post = BigInt(await posted(asAlice, "Hello"));
    for (const kind of NOTIFICATION_KINDS)
      await database.sql`
        INSERT INTO notification (id, account, kind, actor, post, at)
        VALUES (new_id('2026-11-10'), ${alice.id}, ${kind}, ${bob.account.actor},
                ${kind.startsWith("follow") ? null : post}, '2026-11-10')`;
    expect(kinds(await told(asAlice)).toSorted()).toEqual([...NOTIFICATION_KINDS].toSorted());
  });

  test("of people who are muted or blocked are left out; muted without notifications they stay", async () => {
    const { asAlice, bob, carol, setTime } = await eventful();
    await asAlice("POST", `/api/v1/accounts/${bob.id}/mute`, { notifications: false });
    expect(await told(asAlice)).toHaveLength(5);
    await asAlice("POST", `/api/v1/accounts/${bob.id}/mute`, { duration: 60 });
    const [left, ...more] = await told(asAlice);
    expect([left!.account.id, more]).toEqual([carol.id, []]);
    expect((await asAlice("GET", "/api/v2/notifications")).body.notification_groups).toHaveLength(
      1,
    );
    setTime("2026-11-10T12:02:00Z");
    const hidden = (await told(asAlice)).find(({ account }) => account.id === bob.id)!;
    await asAlice("POST", `/api/v1/accounts/${bob.id}/block`);
    expect(await told(asAlice)).toHaveLength(1);
    expect((await asAlice("GET", `/api/v1/notifications/${hidden.id}`)).status).toBe(404);
    expect((await asAlice("GET", "/api/v1/notifications/unread_count")).body).toEqual({ count: 1 });
  });

  test("that a filter hides are not counted as unread either", async () => {
    const { asAlice } = await eventful();
    const counts = () =>
      Promise.all(
        ["v1", "v2"].map(
          async (version) =>
            (await asAlice("GET", `/api/${version}/notifications/unread_count`)).body.count,
        ),
      );
    expect(await counts()).toEqual([5, 4]);
    await asAlice("POST", "/api/v2/filters", {
      title: "Nobody speaks to me",
      context: ["notifications"],
      filter_action: "hide",
      keywords_attributes: [{ keyword: "alice", whole_word: false }],
    });
    expect(await told(asAlice)).toHaveLength(4);
    expect(await counts()).toEqual([4, 3]);
  });

  test("of posts that one may not see any more are left out", async () => {
    const { asAlice, bob, alice } = await house();
    await asAlice("POST", `/api/v1/accounts/${bob.id}/follow`, { notify: true });
    const secret = await posted(bob.ask, "For followers", { visibility: "private" });
    const gone = await posted(bob.ask, "@alice soon gone");
    expect((await told(asAlice)).map(({ status }) => status?.id)).toEqual([gone, secret]);
    await bob.ask("DELETE", `/api/v1/statuses/${gone}`);
    await bob.ask("POST", `/api/v1/accounts/${alice.actor}/remove_from_followers`);
    await asAlice("POST", `/api/v1/accounts/${bob.id}/unfollow`);
    expect(await told(asAlice)).toEqual([]);
    expect((await asAlice("GET", "/api/v2/notifications")).body).toEqual({
      accounts: [],
      statuses: [],
      notification_groups: [],
    });
  });

  test("that filters mean are hidden or say so", async () => {
    const { asAlice, mention, post } = await eventful();
    const filter = (action: string, keyword: string) =>
      asAlice("POST", "/api/v2/filters", {
        title: action,
        context: ["notifications"],
        filter_action: action,
        keywords_attributes: [{ keyword, whole_word: false }],
      });
    await filter("warn", "onerror");
    // One's own post is never filtered.
    await filter("hide", "Hello");
    const warned = await told(asAlice);
    expect(warned.find(({ status }) => status?.id === mention)!.status!.filtered).toHaveLength(1);
    expect(warned.filter(({ status }) => status?.id === post)).toHaveLength(3);
    const { id } = warned.find(({ status }) => status?.id === mention)!;
    await filter("hide", "img");
    expect(kinds(await told(asAlice))).not.toContain("mention");
    expect((await asAlice("GET", `/api/v1/notifications/${id}`)).status).toBe(404);
    const grouped = (await asAlice("GET", "/api/v2/notifications")).body;
    expect(JSON.stringify(grouped)).not.toContain("onerror");
  });

  test("are dismissed one by one or all, by their owner alone", async () => {
    const { asAlice, bob } = await eventful();
    const all = await told(asAlice);
    const { id } = all[0]!;
    expect((await bob.ask("GET", `/api/v1/notifications/${id}`)).status).toBe(404);
    expect((await bob.ask("POST", `/api/v1/notifications/${id}/dismiss`)).status).toBe(404);
    expect((await bob.ask("POST", "/api/v1/notifications/clear")).status).toBe(200);
    expect(await told(asAlice)).toEqual(all);
    expect((await asAlice("POST", `/api/v1/notifications/${id}/dismiss`)).body).toEqual({});
    expect((await asAlice("POST", `/api/v1/notifications/${id}/dismiss`)).status).toBe(404);
    expect(await told(asAlice)).toEqual(all.slice(1));
    expect((await asAlice("POST", "/api/v1/notifications/clear")).body).toEqual({});
    expect(await told(asAlice)).toEqual([]);
  });

  test("are unread until the marker says otherwise", async () => {
    const { asAlice } = await eventful();
    const count = async (query = "", version = 1) =>
      (await asAlice("GET", `/api/v${version}/notifications/unread_count${query}`)).body.count;
    expect(await count()).toBe(5);
    expect(await count("", 2)).toBe(4);
    expect(await count("?limit=3")).toBe(3);
    expect(await count("?limit=3", 2)).toBe(3);
    expect(await count("?types[]=favourite")).toBe(2);
    expect(await count("?types[]=favourite&grouped_types[]=follow", 2)).toBe(2);
    const [, , third] = await told(asAlice);
    await asAlice("POST", "/api/v1/markers", { notifications: { last_read_id: third!.id } });
    expect(await count()).toBe(2);
  });

  test("want their scopes", async () => {
    const { as, alice, ask, asAlice } = await eventful();
    const reads = await as(alice, "read:notifications");
    const writes = await as(alice, "write:notifications");
    const [{ id }] = (await told(asAlice)) as [Notification];
    for (const path of [
      "",
      "/unread_count",
      "/policy",
      "/requests",
      "/requests/merged",
      `/${id}`,
    ]) {
      expect((await ask("GET", `/api/v1/notifications${path}`)).status, path).toBe(401);
      expect((await writes("GET", `/api/v1/notifications${path}`)).status, path).toBe(403);
      expect((await reads("GET", `/api/v1/notifications${path}`)).status, path).toBe(200);
    }
    for (const path of ["", "/unread_count", "/policy", `/ungrouped-${id}`]) {
      expect((await writes("GET", `/api/v2/notifications${path}`)).status, path).toBe(403);
      expect((await reads("GET", `/api/v2/notifications${path}`)).status, path).toBe(200);
    }
    for (const path of ["v1/notifications/clear", `v1/notifications/${id}/dismiss`])
      expect((await reads("POST", `/api/${path}`)).status, path).toBe(403);
    expect((await asAlice("GET", "/api/v2/notifications/policy")).body).toMatchObject({
      for_not_following: "accept",
      summary: { pending_requests_count: 0 },
    });
  });
});

describe("groups of notifications", () => {
  const groupsOf = async (ask: Ask, query = "") => {
    const { status, body, headers } = await ask("GET", `/api/v2/notifications${query}`);
    expect(status).toBe(200);
    for (const account of body.accounts) strictAccount(account);
    for (const post of body.statuses) strictStatus(post);
    return { ...body, headers } as {
      accounts: { id: string }[];
      partial_accounts?: { id: string }[];
      statuses: { id: string }[];
      notification_groups: {
        group_key: string;
        type: string;
        notifications_count: number;
        sample_account_ids: string[];
        page_max_id: string;
        page_min_id: string;
        status_id?: string;
      }[];
      headers: Headers;
    };
  };

  test("hold all favourites of a post on one day, with everybody and all posts once", async () => {
    const { asAlice, bob, carol, post, mention, app, database, alice } = await eventful();
    const all = await told(asAlice);
    const found = await groupsOf(asAlice);
    expect(found.notification_groups.map(({ type }) => type)).toEqual([
      "favourite",
      "follow",
      "mention",
      "reblog",
    ]);
    const [favourite, , lone] = found.notification_groups;
    expect(favourite).toEqual({
      group_key: all[0]!.group_key,
      notifications_count: 2,
      type: "favourite",
      most_recent_notification_id: Number(all[0]!.id),
      page_min_id: all[4]!.id,
      page_max_id: all[0]!.id,
      latest_page_notification_at: "2026-11-10T12:00:00.000Z",
      sample_account_ids: [carol.id, bob.id],
      status_id: post,
    });
    expect(lone!.group_key).toBe(`ungrouped-${all[2]!.id}`);
    expect(new Set(found.accounts.map(({ id }) => id))).toEqual(new Set([bob.id, carol.id]));
    expect(new Set(found.statuses.map(({ id }) => id))).toEqual(new Set([post, mention]));
    // The number that typed clients read is exact in the text, although JavaScript cannot hold it.
    const token = await tokenFor(database, alice, "read");
    const text = await app.request("/api/v2/notifications", {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await text.text()).toContain(`"most_recent_notification_id":${all[0]!.id},`);
  });

  test("begin anew each day, and only of the kinds that are wanted", async () => {
    const { asAlice, dave, post, setTime } = await eventful();
    setTime("2026-11-11T00:00:00Z");
    await dave.ask("POST", `/api/v1/statuses/${post}/favourite`);
    const of = async (query = "") =>
      (await groupsOf(asAlice, query)).notification_groups
        .filter(({ type }) => type === "favourite")
        .map(({ notifications_count }) => notifications_count);
    expect(await of()).toEqual([1, 2]);
    expect(await of("?grouped_types[]=follow")).toEqual([1, 1, 1]);
    expect(await of("?grouped_types[]=favourite&grouped_types[]=mention")).toEqual([1, 2]);
  });

  test("come page by page, and no notification is left out or told twice", async () => {
    const { asAlice } = await eventful();
    const all = await told(asAlice);
    let path: string | undefined = "?limit=1";
    let many = 0;
    const keys: string[] = [];
    for (let pages = 0; path !== undefined && pages < 9; pages += 1) {
      const { notification_groups, headers } = await groupsOf(asAlice, path);
      for (const group of notification_groups) {
        many += group.notifications_count;
        keys.push(group.type);
      }
      const next = /<([^>]+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
      path = next === undefined ? undefined : new URL(next).search;
    }
    expect(many).toBe(all.length);
    // The crowd is parted by what came between its two.
    expect(keys).toEqual(["favourite", "follow", "mention", "reblog", "favourite"]);
    const above = await groupsOf(asAlice, `?min_id=${all[4]!.id}&limit=2`);
    expect(above.notification_groups.map(({ page_max_id }) => page_max_id)).toEqual([
      all[2]!.id,
      all[3]!.id,
    ]);
  });

  test("tell of the others only name and picture, where that is enough", async () => {
    const { asAlice, bob, carol } = await eventful();
    const found = await groupsOf(asAlice, "?expand_accounts=partial_avatars&types[]=favourite");
    expect(found.accounts.map(({ id }) => id)).toEqual([carol.id]);
    expect(found.partial_accounts).toEqual([
      {
        id: bob.id,
        acct: "bob",
        url: expect.any(String),
        avatar: expect.any(String),
        avatar_static: expect.any(String),
        locked: false,
        bot: false,
      },
    ]);
    expect((await groupsOf(asAlice)).partial_accounts).toBeUndefined();
  });

  test("are read, and dismissed, by their key and their owner alone", async () => {
    const { asAlice, bob, carol } = await eventful();
    const all = await told(asAlice);
    for (const [key, people] of [
      [all[0]!.group_key, [carol.id, bob.id]],
      [`ungrouped-${all[0]!.id}`, [carol.id]],
      [all[1]!.group_key, [bob.id]],
      [all[2]!.group_key, [bob.id]],
    ] as const) {
      const path = `/api/v2/notifications/${key}`;
      const { body } = await asAlice("GET", path);
      expect(body.notification_groups, key).toHaveLength(1);
      expect(body.notification_groups[0]).toMatchObject({
        group_key: key,
        sample_account_ids: people,
      });
      const accounts = (await asAlice("GET", `${path}/accounts`)).body;
      for (const account of accounts) strictAccount(account);
      expect(accounts.map(({ id }: { id: string }) => id)).toEqual(people);
      for (const [method, address] of [
        ["GET", path],
        ["GET", `${path}/accounts`],
        ["POST", `${path}/dismiss`],
      ] as const)
        expect((await bob.ask(method, address)).status, address).toBe(404);
    }
    const crowd = `/api/v2/notifications/${all[0]!.group_key}`;
    expect((await asAlice("POST", `${crowd}/dismiss`)).body).toEqual({});
    expect((await asAlice("GET", crowd)).status).toBe(404);
    expect((await asAlice("POST", `${crowd}/dismiss`)).status).toBe(404);
    expect(kinds(await told(asAlice))).toEqual(["follow", "mention", "reblog"]);
  });

  test("with keys that nobody made are not there", async () => {
    const { asAlice } = await house();
    for (const key of [
      "x",
      "mention-1-1",
      "favourite--1",
      "favourite-1-9999999999",
      "favourite-9999999999999999999-1",
      "ungrouped-9999999999999999999",
      "ungrouped-1%20OR%201=1",
      "follow-1-1-1",
    ])
      expect((await asAlice("GET", `/api/v2/notifications/${key}`)).status, key).toBe(404);
  });

  test("are found again by their keys", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...NOTIFICATION_KINDS),
        fc.bigInt(0n, 2n ** 60n),
        fc.option(fc.bigInt(0n, 2n ** 60n), { nil: undefined }),
        (kind, id, post) => {
          const range = rangeOfGroup(groupKeyOf({ id, kind, actor: 1n, post }))!;
          if ("id" in range) {
            expect([CROWDED.includes(kind), range.id]).toEqual([false, id]);
            return;
          }
          expect([range.kind, range.post]).toEqual([kind, post]);
          expect(range.from <= id && id < range.below).toBe(true);
        },
      ),
    );
  });

  test("cover what they were made of, from where the page begins", () => {
    const notice = fc.record({
      id: fc.bigInt(1n, 2n ** 45n),
      kind: fc.constantFrom(...NOTIFICATION_KINDS),
      actor: fc.bigInt(1n, 5n),
      post: fc.option(fc.bigInt(1n, 3n), { nil: undefined }),
    });
    fc.assert(
      fc.property(
        fc.array(notice, { maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        (all, limit) => {
          const { groups, covered } = groupNotices(all, limit, CROWDED);
          expect(groups.length).toBeLessThanOrEqual(limit);
          expect(groups.flatMap(({ notices }) => notices)).toHaveLength(covered);
          expect(new Set(groups.flatMap(({ notices }) => notices))).toEqual(
            new Set(all.slice(0, covered)),
          );
          if (covered < all.length) expect(groups).toHaveLength(limit);
        },
      ),
    );
  });
});
