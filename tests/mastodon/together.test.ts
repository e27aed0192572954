/** What several people ask at the same moment is one question to the database; each gets the answer for himself alone. */

import { expect, test } from "vitest";
import { blockPerson } from "../../src/features/follow/block.ts";
import { followActor } from "../../src/features/follow/follow.ts";
import { type Answer, type Ask, clientHouse } from "../support/client.ts";
import { at, person, testDatabase } from "../support/database.ts";

const NOW = "2026-11-20T12:00:00Z";

/** How often everything is asked at once. */
const ROUNDS = 5;

/**
 * Alice writes to everybody, to her followers and to Bob, and asks something; Bob and Carol follow her, Eve is blocked,
 * Dan knows nobody. Carol passes one post on.
 */
async function town() {
  const database = await testDatabase();
  const house = clientHouse(database, NOW);
  const money = { budget: "2.00", money: "9.00" };
  const alice = await person(database, "alice", money);
  const bob = await person(database, "bob", money);
  const carol = await person(database, "carol", money);
  const eve = await person(database, "eve");
  const dan = await person(database, "dan");
  for (const follower of [bob, carol])
    await followActor(database, {
      follower,
      uri: "https://home.example/users/alice",
      at: at("2026-11-19"),
    });
  await blockPerson(database, { account: alice, actor: eve.actor, at: at("2026-11-19") });
  const people = [alice, bob, carol, eve, dan];
  const asks = new Map<string, Ask>();
  for (const one of people) asks.set(one.name, await house.as(one));
  const by = (name: string) => asks.get(name)!;
  const posts: string[] = [];
  for (const [visibility, status] of [
    ["public", "To everybody"],
    ["private", "To my followers"],
    ["direct", "@bob To you"],
  ])
    posts.push((await by("alice")("POST", "/api/v1/statuses", { status, visibility })).body.id);
  await by("bob")("POST", `/api/v1/statuses/${posts[0]}/favourite`);
  await by("bob")("POST", `/api/v1/statuses/${posts[2]}/bookmark`);
  await by("carol")("POST", `/api/v1/statuses/${posts[1]}/favourite`);
  const { body: boost } = await by("carol")("POST", `/api/v1/statuses/${posts[0]}/reblog`);
  await by("bob")("POST", `/api/v1/statuses/${posts[0]}/mute`);
  const poll = { options: ["tea", "coffee"], expires_in: 3600 };
  const { body: asked } = await by("alice")("POST", "/api/v1/statuses", { status: "Tea?", poll });
  for (const [place, name] of ["bob", "carol"].entries())
    await by(name)("POST", `/api/v1/polls/${asked.id}/votes`, { choices: [place] });
  posts.push(asked.id, boost.id);
  asks.set("somebody without a token", house.ask);
  asks.set("somebody with a token that is none", (method, path) =>
    house.ask(method, path, undefined, { authorization: "Bearer none" }),
  );
  const { body: gone } = await by("dan")("POST", "/api/v1/statuses", { status: "Not for long" });
  await by("dan")("DELETE", `/api/v1/statuses/${gone.id}`);
  const paths = [
    "/api/v1/accounts/verify_credentials",
    ...[...posts, gone.id, "1"].map((id) => `/api/v1/statuses/${id}`),
    ...people.map(({ actor }) => `/api/v1/accounts/${actor}`),
  ];
  return { asks, posts, paths };
}

const told = ({ status, body }: Answer) => ({ status, body });

test("people who look at the same moment see what each of them sees alone", async () => {
  const { asks, posts, paths } = await town();
  const questions = [...asks].flatMap(([name, ask]) => paths.map((path) => ({ name, ask, path })));
  const alone = new Map<string, unknown>();
  for (const { name, ask, path } of questions)
    alone.set(`${name} ${path}`, told(await ask("GET", path)));
  // What each of them sees alone differs, so that a mistake would show.
  const statusOf = (name: string, post: number) =>
    alone.get(`${name} /api/v1/statuses/${posts[post]}`) as Answer;
  expect(
    [...asks.keys()].map((name) => posts.map((_, post) => statusOf(name, post).status)),
  ).toEqual([
    [200, 200, 200, 200, 200],
    [200, 200, 200, 200, 200],
    [200, 200, 404, 200, 200],
    [404, 404, 404, 404, 404],
    [200, 404, 404, 200, 200],
    [200, 404, 404, 200, 200],
    [401, 401, 401, 401, 401],
  ]);
  expect(
    ["alice", "bob", "carol", "dan"].map((name) => {
      const { favourited, reblogged, muted } = statusOf(name, 0).body;
      return { favourited, reblogged, muted, votes: statusOf(name, 3).body.poll.own_votes };
    }),
  ).toEqual([
    { favourited: false, reblogged: false, muted: false, votes: [] },
    { favourited: true, reblogged: false, muted: true, votes: [0] },
    { favourited: false, reblogged: true, muted: false, votes: [1] },
    { favourited: false, reblogged: false, muted: false, votes: [] },
  ]);
  for (let round = 0; round < ROUNDS; round += 1) {
    // In another order each time.
    const turned = questions.toSorted(
      (one, other) => orderIn(round, one.path + one.name) - orderIn(round, other.path + other.name),
    );
    await Promise.all(
      turned.map(async ({ name, ask, path }) =>
        expect(told(await ask("GET", path)), `${name} ${path}`).toEqual(
          alone.get(`${name} ${path}`),
        ),
      ),
    );
  }
});

/** A place that depends on the round. */
function orderIn(round: number, text: string): number {
  return [...text].reduce((all, letter) => (all * 31 + letter.charCodeAt(0) + round) % 9973, round);
}
