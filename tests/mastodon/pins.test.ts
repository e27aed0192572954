/** What stands on top of a profile, by the client API. */

import { expect, test } from "vitest";
import { type Ask, clientHouse } from "../support/client.ts";
import { person, testDatabase } from "../support/database.ts";
import { strictStatus } from "../support/strict.ts";

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice");
  const bob = await person(database, "bob");
  const asAlice = await opened.as(alice);
  return {
    ...opened,
    asAlice,
    asBob: await opened.as(bob),
    say: async (status: string, visibility = "public", ask: Ask = asAlice) =>
      (await ask("POST", "/api/v1/statuses", { status, visibility })).body.id as string,
    pin: (id: string, ask: Ask = asAlice) => ask("POST", `/api/v1/statuses/${id}/pin`),
    pinned: async (ask: Ask = opened.ask) =>
      (await ask("GET", `/api/v1/accounts/${alice.actor}/statuses?pinned=true`)).body.map(
        ({ id }: { id: string }) => id,
      ) as string[],
  };
}

test("a post is put on top of the profile for everybody to see, and taken from there", async () => {
  const { asAlice, asBob, ask, say, pin, pinned } = await house();
  const [open, unlisted, plain] = [
    await say("Open"),
    await say("Quiet", "unlisted"),
    await say("Plain"),
  ];
  for (const id of [open, unlisted, open]) {
    const { status, body } = await pin(id);
    expect(status).toBe(200);
    strictStatus(body);
    expect(body).toMatchObject({ id, pinned: true });
  }
  for (const eyes of [ask, asBob, asAlice]) expect(await pinned(eyes)).toEqual([unlisted, open]);
  expect((await asAlice("GET", `/api/v1/statuses/${plain}`)).body.pinned).toBe(false);
  const { status, body } = await asAlice("POST", `/api/v1/statuses/${open}/unpin`);
  expect([status, body.id, body.pinned]).toEqual([200, open, false]);
  expect((await asAlice("POST", `/api/v1/statuses/${open}/unpin`)).status).toBe(200);
  expect(await pinned()).toEqual([unlisted]);
});

test("five posts stand there at most, also when many come at once; one that is taken away makes room", async () => {
  const { asAlice, say, pin, pinned } = await house();
  const ids: string[] = [];
  for (let n = 0; n < 7; n += 1) ids.push(await say(`${n}`));
  const answers = await Promise.all(ids.map((id) => pin(id)));
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    200, 200, 200, 200, 200, 422, 422,
  ]);
  const [refused] = answers.flatMap(({ status }, n) => (status === 422 ? [ids[n]!] : []));
  expect((await pin(refused!)).body).toEqual({
    error: "pin_invalid",
    error_description: expect.stringMatching(/^At most 5 /),
  });
  const [first] = await pinned();
  expect((await pin(first!)).status).toBe(200);
  await asAlice("POST", `/api/v1/statuses/${first}/unpin`);
  expect((await pin(refused!)).status).toBe(200);
  expect(await pinned()).toHaveLength(5);
});

test("somebody else's post, and one that is not for everybody, never stand there", async () => {
  const { asBob, say, pin, pinned } = await house();
  const hers = await say("Hers");
  const refused = [
    await pin(hers, asBob),
    await pin(await say("Followers", "private")),
    await pin(await say("@bob psst", "direct")),
  ];
  for (const { status, body } of refused)
    expect([status, body.error]).toEqual([422, "pin_invalid"]);
  expect(await pinned()).toEqual([]);
  // Nor does anybody take what is somebody else's from there.
  await pin(hers);
  await asBob("POST", `/api/v1/statuses/${hers}/unpin`);
  expect(await pinned()).toEqual([hers]);
});

test("a post that is deleted makes room for another", async () => {
  const { asAlice, say, pin, pinned } = await house();
  for (let n = 0; n < 7; n += 1) {
    const id = await say(`${n}`);
    expect((await pin(id)).status).toBe(200);
    await asAlice("DELETE", `/api/v1/statuses/${id}`);
  }
  expect(await pinned()).toEqual([]);
});
