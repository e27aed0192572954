/** Who may follow, and whom one does not want to see or hear, by the client API. */

import { describe, expect, test } from "vitest";
import { type Ask, clientHouse } from "../support/client.ts";
import { person, testDatabase } from "../support/database.ts";
import { strictAccount, strictRelationship, strictStatus } from "../support/strict.ts";

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const someone = async (name: string) => {
    const account = await person(database, name);
    return { account, id: String(account.actor), ask: await opened.as(account) };
  };
  return {
    ...opened,
    database,
    alice: await someone("alice"),
    bob: await someone("bob"),
    carol: await someone("carol"),
    dave: await someone("dave"),
  };
}

/** All ids of a list, by pages of one that Link leads to. */
async function turned(ask: Ask, path: string): Promise<string[]> {
  const ids: string[] = [];
  for (let next: string | undefined = `${path}?limit=1`; next !== undefined && ids.length < 9;) {
    const { status, body, headers } = await ask("GET", next);
    expect(status).toBe(200);
    expect(body.length).toBeLessThanOrEqual(1);
    for (const account of body) strictAccount(account);
    ids.push(...body.map(({ id }: { id: string }) => id));
    const link = headers.get("link");
    expect(link === null).toBe(body.length === 0);
    if (link !== null) expect(link).toMatch(/min_id=\d+>; rel="prev"/);
    const found = /<([^>]+)>; rel="next"/.exec(link ?? "")?.[1];
    next = found === undefined ? undefined : new URL(found).pathname + new URL(found).search;
  }
  return ids;
}

describe("requests to follow", () => {
  /** Bob decides himself; alice and carol asked. */
  async function asked() {
    const opened = await house();
    const { alice, bob, carol } = opened;
    await bob.ask("PATCH", "/api/v1/accounts/update_credentials", { locked: true });
    for (const { ask } of [alice, carol]) {
      const { body } = await ask("POST", `/api/v1/accounts/${bob.id}/follow`);
      strictRelationship(body);
      expect(body).toMatchObject({ id: bob.id, following: false, requested: true });
    }
    return opened;
  }
  const standing = async (ask: Ask, id: string) =>
    (await ask("GET", `/api/v1/accounts/relationships?id[]=${id}`)).body[0];
  const followers = async ({ bob }: Awaited<ReturnType<typeof asked>>) =>
    (await bob.ask("GET", `/api/v1/accounts/${bob.id}/followers`)).body.map(
      ({ id }: { id: string }) => id,
    );

  test("are listed for whom they are for, page by page, and for nobody else", async () => {
    const { alice, bob, carol, dave } = await asked();
    expect(await turned(bob.ask, "/api/v1/follow_requests")).toEqual([carol.id, alice.id]);
    for (const { ask } of [alice, dave])
      expect((await ask("GET", "/api/v1/follow_requests")).body).toEqual([]);
  });

  test("are granted: whoever asked follows from then on, and reads what is for followers", async () => {
    const opened = await asked();
    const { alice, bob, carol } = opened;
    const { id } = (
      await bob.ask("POST", "/api/v1/statuses", { status: "Friends", visibility: "private" })
    ).body;
    expect(await followers(opened)).toEqual([]);
    expect((await alice.ask("GET", `/api/v1/statuses/${id}`)).status).toBe(404);
    const { status, body } = await bob.ask("POST", `/api/v1/follow_requests/${alice.id}/authorize`);
    expect(status).toBe(200);
    strictRelationship(body);
    expect(body).toMatchObject({
      id: alice.id,
      followed_by: true,
      requested_by: false,
      following: false,
    });
    expect(await standing(alice.ask, bob.id)).toMatchObject({ following: true, requested: false });
    expect(await followers(opened)).toEqual([alice.id]);
    expect((await alice.ask("GET", `/api/v1/statuses/${id}`)).status).toBe(200);
    expect((await carol.ask("GET", `/api/v1/statuses/${id}`)).status).toBe(404);
    expect(await turned(bob.ask, "/api/v1/follow_requests")).toEqual([carol.id]);
    const news = await bob.ask("GET", "/api/v1/notifications?types[]=follow_request");
    expect(news.body.map(({ account }: { account: { id: string } }) => account.id)).toEqual([
      carol.id,
    ]);
  });

  test("are refused: whoever asked does not follow, and may ask again", async () => {
    const opened = await asked();
    const { alice, bob, carol } = opened;
    const path = `/api/v1/follow_requests/${alice.id}/reject`;
    const { status, body } = await bob.ask("POST", path);
    expect(status).toBe(200);
    strictRelationship(body);
    expect(body).toMatchObject({ id: alice.id, followed_by: false, requested_by: false });
    expect(await standing(alice.ask, bob.id)).toMatchObject({ following: false, requested: false });
    expect(await followers(opened)).toEqual([]);
    expect(await turned(bob.ask, "/api/v1/follow_requests")).toEqual([carol.id]);
    expect((await bob.ask("POST", path)).status).toBe(404);
    const again = await alice.ask("POST", `/api/v1/accounts/${bob.id}/follow`);
    expect(again.body.requested).toBe(true);
  });

  test("are answered by whom they are for alone", async () => {
    const opened = await asked();
    const { alice, bob, dave } = opened;
    for (const { ask } of [alice, dave])
      for (const id of [alice.id, bob.id, dave.id])
        for (const answer of ["authorize", "reject"])
          expect((await ask("POST", `/api/v1/follow_requests/${id}/${answer}`)).status).toBe(404);
    expect(await followers(opened)).toEqual([]);
    expect(await turned(bob.ask, "/api/v1/follow_requests")).toHaveLength(2);
    // Nobody becomes a follower who did not ask.
    expect((await bob.ask("POST", `/api/v1/follow_requests/${dave.id}/authorize`)).status).toBe(
      404,
    );
    expect(await followers(opened)).toEqual([]);
  });
});

describe.each([
  ["mutes", "mute", "muting"],
  ["blocks", "block", "blocking"],
])("/api/v1/%s", (list, act, word) => {
  test("holds whom one chose, page by page, until one thinks again, and is one's own", async () => {
    const { alice, bob, carol, dave } = await house();
    for (const { id } of [carol, bob, dave, bob]) {
      const { status, body } = await alice.ask("POST", `/api/v1/accounts/${id}/${act}`);
      expect(status).toBe(200);
      strictRelationship(body);
      expect(body).toMatchObject({ id, [word]: true });
    }
    expect(await turned(alice.ask, `/api/v1/${list}`)).toEqual([dave.id, carol.id, bob.id]);
    const above = await alice.ask("GET", `/api/v1/${list}?min_id=${bob.id}&limit=1`);
    expect(above.body.map(({ id }: { id: string }) => id)).toEqual([carol.id]);
    expect((await bob.ask("GET", `/api/v1/${list}`)).body).toEqual([]);
    const { body } = await alice.ask("POST", `/api/v1/accounts/${carol.id}/un${act}`);
    expect(body).toMatchObject({ id: carol.id, [word]: false });
    expect(await turned(alice.ask, `/api/v1/${list}`)).toEqual([dave.id, bob.id]);
  });
});

test("a mute for a while is listed until it ends", async () => {
  const { alice, bob, setTime } = await house();
  await alice.ask("POST", `/api/v1/accounts/${bob.id}/mute`, { duration: 60 });
  expect(await turned(alice.ask, "/api/v1/mutes")).toEqual([bob.id]);
  setTime("2026-11-10T12:01:00Z");
  expect(await turned(alice.ask, "/api/v1/mutes")).toEqual([]);
});

test("a muted conversation says so in each of its posts, and nothing more is told of it", async () => {
  const { alice, bob, carol } = await house();
  const say = async ({ ask }: typeof alice, status: string, answered?: string) =>
    (await ask("POST", "/api/v1/statuses", { status, in_reply_to_id: answered })).body.id as string;
  const told = async () =>
    (await alice.ask("GET", "/api/v1/notifications")).body.map(
      ({ type, account }: { type: string; account: { username: string } }) =>
        `${type} ${account.username}`,
    );
  const root = await say(alice, "Root");
  const answer = await say(bob, "@alice one", root);
  const other = await say(alice, "Something else");
  expect(await told()).toEqual(["mention bob"]);
  const muted = await alice.ask("POST", `/api/v1/statuses/${answer}/mute`);
  strictStatus(muted.body);
  expect(muted.body).toMatchObject({ id: answer, muted: true });
  expect((await alice.ask("GET", `/api/v1/statuses/${root}`)).body.muted).toBe(true);
  expect((await alice.ask("GET", `/api/v1/statuses/${other}`)).body.muted).toBe(false);
  expect((await bob.ask("GET", `/api/v1/statuses/${root}`)).body.muted).toBe(false);

  const below = await say(carol, "@alice two", answer);
  for (const act of ["favourite", "reblog"])
    await carol.ask("POST", `/api/v1/statuses/${root}/${act}`);
  expect(await told()).toEqual(["mention bob"]);
  await carol.ask("POST", `/api/v1/statuses/${other}/favourite`);
  expect(await told()).toEqual(["favourite carol", "mention bob"]);

  const heard = await alice.ask("POST", `/api/v1/statuses/${below}/unmute`);
  strictStatus(heard.body);
  expect(heard.body).toMatchObject({ id: below, muted: false });
  expect((await alice.ask("GET", `/api/v1/statuses/${answer}`)).body.muted).toBe(false);
  await say(bob, "@alice three", below);
  expect(await told()).toEqual(["mention bob", "favourite carol", "mention bob"]);
});
