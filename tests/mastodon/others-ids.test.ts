/** What belongs to one person, asked for by another: by every route that takes an id, with every id there is (W10). */

import { createECDH, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { SCOPES } from "../../src/rules/scope.ts";
import { person, remotePost, testDatabase } from "../support/database.ts";
import { type Ask, clientHouse } from "../support/client.ts";
import { canvas, formOf } from "../support/pictures.ts";
import { addressAt, everyId, everyRow, routesOf } from "../support/routes.ts";

/** Stands in everything that is Alice's alone. */
const MARK = "zebrafink";

const ALL = SCOPES.join(" ");

/** A house in which Alice has one of everything, Bob is her friend, and Mallory is nobody to her. */
async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice", { budget: "2.00", money: "9.00" });
  const bob = await person(database, "bob");
  const mallory = await person(database, "mallory", { budget: "2.00" });
  const asAlice = await opened.as(alice, ALL);
  const asBob = await opened.as(bob, ALL);
  const done = async (ask: Ask, method: string, path: string, body?: unknown) => {
    const answer = await ask(method, path, body);
    expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBe(200);
    return answer.body as { id: string; uri: string; keywords: { id: string }[] };
  };
  await done(asBob, "POST", `/api/v1/accounts/${alice.actor}/follow`);
  await done(asAlice, "PATCH", "/api/v1/accounts/update_credentials", { locked: true });
  const eve = await person(database, "eve");
  await done(await opened.as(eve, ALL), "POST", `/api/v1/accounts/${alice.actor}/follow`);

  const upload = async () =>
    done(
      asAlice,
      "POST",
      "/api/v2/media",
      formOf({ file: await canvas(8, 8).png().toBuffer(), description: MARK }),
    );
  const media = await upload();
  const friends = await done(asAlice, "POST", "/api/v1/statuses", {
    status: `${MARK} for friends #${MARK}`,
    visibility: "private",
    media_ids: [(await upload()).id],
  });
  const poll = await done(asAlice, "POST", "/api/v1/statuses", {
    status: `${MARK}?`,
    visibility: "private",
    poll: { options: [`${MARK} yes`, `${MARK} no`], expires_in: 3600 },
  });
  const direct = await done(asAlice, "POST", "/api/v1/statuses", {
    status: `@bob ${MARK}`,
    visibility: "direct",
  });
  await done(asAlice, "PUT", `/api/v1/statuses/${friends.id}`, { status: `${MARK} edited` });
  await done(asBob, "POST", "/api/v1/statuses", {
    status: `@alice ${MARK}`,
    visibility: "direct",
    in_reply_to_id: direct.id,
  });
  await done(asBob, "POST", `/api/v1/statuses/${friends.id}/favourite`);
  for (const verb of ["bookmark", "mute"])
    await done(asAlice, "POST", `/api/v1/statuses/${friends.id}/${verb}`);

  const list = await done(asAlice, "POST", "/api/v1/lists", { title: MARK });
  await done(asAlice, "POST", `/api/v1/accounts/${bob.actor}/follow`);
  await done(asAlice, "POST", `/api/v1/lists/${list.id}/accounts`, {
    account_ids: [String(bob.actor)],
  });
  const filter = await done(asAlice, "POST", "/api/v2/filters", {
    title: MARK,
    context: ["public"],
    keywords_attributes: [{ keyword: MARK }],
  });
  await done(asAlice, "POST", `/api/v2/filters/${filter.id}/statuses`, { status_id: friends.id });
  await done(asAlice, "POST", `/api/v1/accounts/${bob.actor}/note`, { comment: MARK });
  await done(asAlice, "POST", "/api/v1/reports", { account_id: String(bob.actor), comment: MARK });
  await done(asAlice, "POST", "/api/v1/markers", { home: { last_read_id: friends.id } });

  const point = createECDH("prime256v1").generateKeys("base64url");
  await done(asAlice, "POST", "/api/v1/push/subscription", {
    subscription: {
      endpoint: `https://push.example/${MARK}`,
      keys: { p256dh: point, auth: randomBytes(16).toString("base64url") },
    },
  });
  const thing = "https://b.test/flattred-privately";
  await remotePost(database, thing, "https://b.test/u");
  await done(asAlice, "PUT", "/api/flattr/v1/preferences", { private: true });
  await done(asAlice, "POST", "/api/flattr/v1/flattrs", { url: thing });
  await done(asAlice, "POST", "/api/flattr/v1/subscriptions", { url: thing });
  return {
    ...opened,
    database,
    alice,
    bob,
    eve,
    asAlice,
    asMallory: await opened.as(mallory, ALL),
    mallory,
    thing,
    ids: {
      media: media.id,
      friends: friends.id,
      poll: poll.id,
      direct: direct.id,
      list: list.id,
      filter: filter.id,
      keyword: filter.keywords[0]!.id,
    },
    uris: { friends: friends.uri, direct: direct.uri },
  };
}

/** What a writer sends to a route of any kind: enough for each to change something, if it is let. */
const wishOf = (own: bigint) => ({
  status: "Mine",
  title: "Mine",
  description: "Mine",
  comment: "Mine",
  keyword: "mine",
  phrase: "mine",
  context: ["home"],
  choices: [0],
  account_ids: [String(own)],
});

test("no route that takes an id shows or changes what is somebody else's", async () => {
  const { database, app, asAlice, asMallory, mallory } = await house();
  const ids = await everyId(database);
  expect(ids.length).toBeGreaterThan(25);
  // Groups of notifications have names that are made of ids.
  const named = [
    ...ids,
    ...ids.map((id) => `ungrouped-${id}`),
    ...ids.flatMap((id) =>
      ["favourite", "reblog"].map(
        (kind) => `${kind}-${id}-${(BigInt(ids[0]!) >> 16n) / 86400000n}`,
      ),
    ),
  ];
  const routes = routesOf(app).filter(({ path }) => path.includes(":"));
  expect(routes.length).toBeGreaterThan(60);
  const wrong: string[] = [];
  const seenByHerself = new Set<string>();
  const before = await everyRow(database);
  for (const { method, path } of routes) {
    const body = method === "GET" ? undefined : wishOf(mallory.actor);
    for (const id of path.includes(":key") ? named : ids) {
      const { status, body: shown } = await asMallory(method, addressAt(path, id), body);
      if (status >= 500) wrong.push(`${method} ${path} answers ${status}`);
      if (JSON.stringify(shown).includes(MARK)) wrong.push(`${method} ${path} shows it`);
    }
    const after = await everyRow(database);
    const gone = [...before].filter((row) => !after.has(row));
    if (gone.length > 0) wrong.push(`${method} ${path} changes ${gone.join(", ")}`);
  }
  expect(wrong).toEqual([]);

  // The same by Alice, so that it is known that there was something to be found.
  for (const { method, path } of routes)
    if (method === "GET")
      for (const id of path.includes(":key") ? named : ids)
        if (JSON.stringify((await asAlice("GET", addressAt(path, id))).body).includes(MARK))
          seenByHerself.add(path);
  expect([...seenByHerself]).toEqual(
    expect.arrayContaining([
      "/api/v1/statuses/:id",
      "/api/v1/statuses/:id/source",
      "/api/v1/statuses/:id/history",
      "/api/v1/statuses/:id/context",
      "/api/v1/polls/:id",
      "/api/v1/media/:id",
      "/api/v1/lists/:id",
      "/api/v1/accounts/:id/lists",
      "/api/v1/accounts/:id/statuses",
      "/api/v1/filters/:id",
      "/api/v2/filters/:id",
      "/api/v2/filters/:id/keywords",
      "/api/v2/filters/keywords/:id",
      "/api/v1/notifications/:id",
      "/api/v2/notifications/:key",
    ]),
  );
}, 300_000);

test("an id in a body or a query means nothing that the sender may not see", async () => {
  const { database, asMallory, alice, bob, eve, thing, ids, uris } = await house();
  const made = async (path: string, body: unknown) => (await asMallory("POST", path, body)).body.id;
  const filter = await made("/api/v2/filters", { title: "Mine", context: ["home"] });
  const list = await made("/api/v1/lists", { title: "Mine" });
  const before = await everyRow(database);
  const url = encodeURIComponent(thing);
  const cases: readonly (readonly [string, string, unknown?])[] = [
    ["POST", "/api/v1/statuses", { status: "Mine", media_ids: [ids.media] }],
    ["POST", "/api/v1/statuses", { status: "Mine", in_reply_to_id: ids.friends }],
    ["POST", "/api/v1/statuses", { status: "Mine", in_reply_to_id: ids.direct }],
    ["POST", `/api/v2/filters/${filter}/statuses`, { status_id: ids.friends }],
    [
      "PUT",
      `/api/v2/filters/${filter}`,
      { keywords_attributes: [{ id: ids.keyword, keyword: "mine" }] },
    ],
    [
      "PUT",
      `/api/v2/filters/${filter}`,
      { keywords_attributes: [{ id: ids.keyword, _destroy: true }] },
    ],
    ["POST", `/api/v1/polls/${ids.poll}/votes`, { choices: [0] }],
    ["POST", `/api/v1/follow_requests/${eve.actor}/authorize`],
    [
      "POST",
      "/api/v1/reports",
      { account_id: String(alice.actor), status_ids: [ids.friends, ids.direct] },
    ],
    ["GET", `/api/v1/statuses?id[]=${Object.values(ids).join("&id[]=")}`],
    ["GET", `/api/v2/search?resolve=true&q=${encodeURIComponent(uris.friends)}`],
    ["GET", `/api/v2/search?resolve=true&q=${encodeURIComponent(uris.direct)}`],
    ["GET", `/api/v2/search?q=zebra&account_id=${alice.actor}`],
    ["GET", `/api/v1/timelines/list/${list}`],
    ["GET", `/api/v1/notifications?account_id=${bob.actor}`],
    ["POST", "/api/v1/notifications/clear"],
    ["GET", "/api/v1/push/subscription"],
    ["PUT", "/api/v1/push/subscription", { data: { alerts: { mention: false } } }],
    ["DELETE", "/api/v1/push/subscription"],
    ["POST", "/api/flattr/v1/flattrs", { url: uris.friends }],
    ["POST", "/api/flattr/v1/subscriptions", { url: uris.direct }],
    ["DELETE", `/api/flattr/v1/flattrs?url=${url}`],
    ["POST", "/api/flattr/v1/subscriptions/pause", { url: thing }],
    ["DELETE", `/api/flattr/v1/subscriptions?url=${url}`],
    ["GET", "/api/flattr/v1/flattrs"],
    ["GET", "/api/flattr/v1/subscriptions"],
  ];
  for (const [method, path, body] of cases) {
    const answer = await asMallory(method, path, body);
    const name = `${method} ${path} ${JSON.stringify(body ?? {})} answers ${answer.status}`;
    expect(answer.status, name).toBeLessThan(500);
    for (const mark of [MARK, thing]) expect(JSON.stringify(answer.body), name).not.toContain(mark);
    const after = await everyRow(database);
    expect(
      [...before].filter((row) => !after.has(row)),
      name,
    ).toEqual([]);
    // What is said of posts that he may not see is kept nowhere.
    const written = [...after].filter((row) => !before.has(row)).join("\n");
    for (const id of [ids.friends, ids.direct, ids.media, ids.keyword])
      expect(written, name).not.toContain(id);
  }
});
