import { describe, expect, test } from "vitest";
import {
  acceptFollower,
  followRequests,
  removeFollower,
} from "../../src/features/follow/answer.ts";
import { followActor } from "../../src/features/follow/follow.ts";
import type { Sql } from "../../src/store/database.ts";
import { at } from "../support/database.ts";
import { neighbour, openHouse } from "../support/house.ts";
import { BOB, everything, follows, likes, told, town } from "../support/town.ts";

describe("the way in", () => {
  test("goes through the door alone", async () => {
    const { database, house, ann, post } = await town();
    const like = ann.says({ type: "Like", object: post });
    const before = await everything(database);
    const knock = (path: string, headers: Record<string, string>, method = "POST") =>
      house.fetch(path, {
        method,
        headers: { "content-type": "application/activity+json", ...headers },
        body: JSON.stringify(like),
      });
    for (const path of ["/inbox", "/users/bob/inbox"]) {
      // Without a signature, and with words that might mean something behind the door.
      expect((await knock(path, {})).status).toBe(401);
      const forged = {
        admitted: "1",
        "x-admitted": JSON.stringify({ activity: like, actorUri: ann.uri, id: like["id"] }),
        "x-fedify-skip-signature-verification": "true",
        "x-forwarded-for": "127.0.0.1",
      };
      expect((await knock(path, forged)).status).toBe(401);
      for (const method of ["PUT", "PATCH", "DELETE"])
        expect((await knock(path, {}, method)).status, method).toBe(404);
    }
    // Other spellings of the address, and other places, lead nowhere.
    for (const path of [
      "/inbox/",
      "//inbox",
      "/users/bob/inbox/",
      "/users/bob/outbox",
      "/users/bob",
      "/actor/inbox",
      "/users/%62ob/inbox",
      "/INBOX",
    ])
      expect([404, 405], path).toContain((await knock(path, {})).status);
    expect(await everything(database)).toBe(before);

    expect((await ann.send(house, like)).status).toBe(202);
    expect(await likes(database)).toEqual([`${ann.uri} ${post} -`]);
  });

  test("is closed for who is not there", async () => {
    const { house, ann, post } = await town();
    const like = { type: "Like", object: post };
    expect((await ann.send(house, like, { path: "/users/nobody/inbox" })).status).toBe(404);
    expect((await ann.send(house, like, { path: "/users/bob/inbox" })).status).toBe(202);
  });

  test("leads a document of two types to the statements, and never to the inbox", async () => {
    const { database, house, ann } = await town();
    const before = await everything(database);
    const statement = { type: ["Offer", "Transfer"], object: "2026-11" };
    expect((await ann.send(house, statement)).status).toBe(204);
    expect(house.statements).toHaveLength(1);
    expect(JSON.parse(house.statements[0]!)).toMatchObject(statement);
    // In a personal inbox it is an activity of no kind that is known.
    expect((await ann.send(house, statement, { path: "/users/bob/inbox" })).status).toBe(202);
    expect(house.statements).toHaveLength(1);
    expect(await everything(database)).toBe(before);
  });

  test("takes nothing that is too long", async () => {
    const { database, house, ann, post } = await town();
    const answer = await ann.send(house, { type: "Like", object: post, note: "x".repeat(300_000) });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ error: "body_too_large" });
    expect(await likes(database)).toEqual([]);
  });

  test.each([
    ["View", { object: BOB }],
    ["Listen", { object: BOB }],
    ["Dance", { object: BOB }],
    ["Add", { object: `${BOB}/posts/1`, target: `${BOB}/collections/featured` }],
    ["Remove", { object: `${BOB}/posts/1` }],
    ["Like", {}],
    ["Follow", {}],
    ["Create", { object: "https://far.example/n/1" }],
    ["Create", { object: { type: "Hologram", id: "https://far.example/n/1" } }],
    ["Announce", { object: "https://elsewhere.example/n/1" }],
    ["Undo", { object: "https://far.example/never/was" }],
    ["Delete", { object: "https://far.example/never/was" }],
    ["Accept", { object: "https://far.example/never/was" }],
    ["Flag", { object: [BOB], content: "bad" }],
  ])("%s of %o is nothing to us", async (type, more) => {
    const { database, house, ann } = await town();
    const before = await everything(database);
    expect((await ann.send(house, { type, ...more })).status).toBe(202);
    const after = await everything(database);
    const added = after.split("\n").filter((line) => !before.includes(line));
    // At most its id is remembered.
    expect(added.filter((line) => !line.startsWith("activity "))).toEqual([]);
  });
});

describe("Likes", () => {
  test("are counted once, whatever the month, and however often they come", async () => {
    const { database, house, ann, post } = await town();
    const like = ann.says({
      "@context": [
        "https://www.w3.org/ns/activitystreams",
        { fl: "https://w3id.org/fep/9b24#", paymentPeriod: "fl:paymentPeriod" },
      ],
      type: "Like",
      object: post,
      paymentPeriod: "2026-11",
    });
    const answers = await Promise.all(Array.from({ length: 40 }, () => ann.send(house, like)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(await likes(database)).toEqual([`${ann.uri} ${post} 202611`]);
    const [{ many }] = await database.sql<
      [{ many: bigint }]
    >`SELECT count(*) AS many FROM activity`;
    expect(many).toBe(1n);
  });

  test("come back under one id after an Undo, as snac sends them", async () => {
    const { database, house, ann, post } = await town();
    const like = { id: `${ann.uri}/l/md5`, type: "Like", object: post };
    const undo = () => ({ type: "Undo", object: ann.says(like) });
    await ann.send(house, like);
    await ann.send(house, undo());
    expect(await likes(database)).toEqual([]);
    await ann.send(house, like);
    expect(await likes(database)).toEqual([`${ann.uri} ${post} -`]);
    await ann.send(house, { type: "Undo", object: like.id });
    expect(await likes(database)).toEqual([]);
  });

  test("of a person make that person a thing", async () => {
    const { database, house, ann } = await town();
    await ann.send(house, { type: "Like", object: BOB });
    expect(await likes(database)).toEqual([`${ann.uri} ${BOB} -`]);
  });

  test("are taken back by their actor alone", async () => {
    const { database, house, ann, post } = await town();
    const eve = await neighbour(database, "https://evil.example/users/eve");
    const like = ann.says({ type: "Like", object: post });
    await ann.send(house, like);
    const before = await likes(database);
    await eve.send(house, { type: "Undo", object: like });
    await eve.send(house, { type: "Undo", object: like["id"] });
    await eve.send(house, { type: "Undo", object: { ...like, actor: eve.uri } });
    expect(await likes(database)).toEqual(before);
    await ann.send(house, { type: "Undo", object: like });
    expect(await likes(database)).toEqual([]);
  });

  test("need at most three statements on the whole way in, and one for what they do", async () => {
    const { database, post } = await town();
    const ann = await neighbour(database);
    const statements: string[] = [];
    const client = (database.drizzle as typeof database.drizzle & { $client: Sql }).$client;
    const unsafe = client.unsafe.bind(client);
    client.unsafe = ((query: string, ...more: []) => {
      statements.push(query);
      return unsafe(query, ...more);
    }) as typeof unsafe;
    const sql = new Proxy(database.sql, {
      apply(target, self, args: unknown[]) {
        if (Array.isArray(args[0])) statements.push(args[0].join("?"));
        return Reflect.apply(target, self, args) as unknown;
      },
    });
    const house = await openHouse({ ...database, sql });
    for (const path of ["/inbox", "/users/bob/inbox"]) {
      // The first one may look for the key.
      await ann.send(house, { type: "Like", object: BOB });
      statements.length = 0;
      expect((await ann.send(house, { type: "Like", object: post }, { path })).status).toBe(202);
      expect(statements.length).toBeLessThanOrEqual(3);
      // Whether there is such a person is asked where it matters.
      expect(statements.some((statement) => statement.includes("is_gone"))).toBe(path !== "/inbox");
      expect(statements.filter((statement) => /INSERT|UPDATE|DELETE/.test(statement))).toHaveLength(
        1,
      );
      expect(await likes(database)).toContain(`${ann.uri} ${post} -`);
    }
  });
});

describe("following", () => {
  test("is answered with an Accept that embeds the Follow, each time", async () => {
    const { database, house, ann } = await town();
    const follow = ann.says({ type: "Follow", object: BOB });
    expect((await ann.send(house, follow)).status).toBe(202);
    expect((await ann.send(house, { ...follow, id: `${ann.uri}#again` })).status).toBe(202);
    expect(await follows(database)).toEqual([`${ann.uri} accepted ${BOB}`]);
    const answers = await told(database);
    expect(answers.map(({ activity, inbox }) => [activity, inbox])).toEqual([
      ["Accept", "https://far.example/inbox"],
      ["Accept", "https://far.example/inbox"],
    ]);
    expect(answers[0]!.document).toMatchObject({
      type: "Accept",
      actor: BOB,
      object: { id: follow["id"], type: "Follow", actor: ann.uri, object: BOB },
      to: [ann.uri],
    });
    await ann.send(house, { type: "Undo", object: follow });
    expect(await follows(database)).toEqual([]);
  });

  test("does not begin again when an old Follow comes again", async () => {
    const { database, house, ann, post } = await town();
    const follow = ann.says({ type: "Follow", object: BOB });
    const announce = ann.says({ type: "Announce", object: post });
    for (const activity of [follow, announce]) {
      await ann.send(house, activity);
      await ann.send(house, { type: "Undo", object: activity });
      expect((await ann.send(house, activity)).status).toBe(202);
    }
    expect(await follows(database)).toEqual([]);
    expect(await database.sql`SELECT uri FROM boost`).toEqual([]);
    expect(await told(database)).toHaveLength(1);
  });

  test("waits when somebody decides himself", async () => {
    const { database, bob, house, ann } = await town();
    await database.sql`UPDATE actor SET is_locked = true WHERE id = ${bob.actor}`;
    await ann.send(house, { type: "Follow", object: BOB });
    expect(await follows(database)).toEqual([`${ann.uri} requested ${BOB}`]);
    expect(await told(database)).toEqual([]);
    const [request] = await followRequests(database, bob.actor);
    expect(request).toMatchObject({ uri: ann.uri });
    const pair = { followee: bob, follower: request!.follower, at: at("2026-11-22") };
    await acceptFollower(database, pair);
    expect(await follows(database)).toEqual([`${ann.uri} accepted ${BOB}`]);
    await removeFollower(database, pair);
    expect(await follows(database)).toEqual([]);
    expect((await told(database)).map(({ activity }) => activity)).toEqual(["Accept", "Reject"]);
    await expect(removeFollower(database, pair)).rejects.toMatchObject({ reason: "not_found" });
  });

  test.each(["by id", "embedded", "embedded with another id"])(
    "of somebody elsewhere is accepted %s",
    async (how) => {
      const { database, bob, house, ann } = await town();
      const eve = await neighbour(database, "https://evil.example/users/eve");
      expect(
        await followActor(database, { follower: bob, uri: ann.uri, at: at("2026-11-21") }),
      ).toBe("requested");
      expect(
        await followActor(database, { follower: bob, uri: ann.uri, at: at("2026-11-21") }),
      ).toBe("requested");
      const [{ document, inbox }] = (await told(database)) as unknown as [
        { document: Record<string, unknown>; inbox: string },
      ];
      expect(inbox).toBe("https://far.example/inbox");
      expect(document).toMatchObject({ type: "Follow", actor: BOB, object: ann.uri });
      const { "@context": _, ...bare } = document;
      const object =
        how === "by id"
          ? document["id"]
          : how === "embedded"
            ? bare
            : { ...bare, id: "https://home.example/other" };
      // Nobody else can answer for her, and she cannot answer for somebody else.
      await eve.send(house, { type: "Accept", object });
      await eve.send(house, { type: "Reject", object });
      expect(await follows(database)).toEqual([`${BOB} requested ${ann.uri}`]);
      await ann.send(house, { type: "Accept", object });
      expect(await follows(database)).toEqual([`${BOB} accepted ${ann.uri}`]);
      await ann.send(house, { type: "Reject", object });
      expect(await follows(database)).toEqual([]);
    },
  );

  test("ends on both sides with a Block", async () => {
    const { database, bob, house, ann } = await town();
    await ann.send(house, { type: "Follow", object: BOB });
    await followActor(database, { follower: bob, uri: ann.uri, at: at("2026-11-21") });
    const eve = await neighbour(database, "https://evil.example/users/eve");
    await eve.send(house, { type: "Block", object: BOB });
    expect(await follows(database)).toHaveLength(2);
    await ann.send(house, { type: "Block", object: BOB });
    expect(await follows(database)).toEqual([]);
  });

  test("of the instance actor is not possible, of nobody neither", async () => {
    const { database, house, ann } = await town();
    await house.document("/actor");
    for (const object of [
      "https://home.example/actor",
      "https://home.example/users/nobody",
      ann.uri,
    ])
      expect((await ann.send(house, { type: "Follow", object })).status).toBe(202);
    expect(await follows(database)).toEqual([]);
    expect(await told(database)).toEqual([]);
  });
});
