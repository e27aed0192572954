import { describe, expect, test } from "vitest";
import {
  acceptFollower,
  followRequests,
  removeFollower,
} from "../../src/features/follow/answer.ts";
import { followActor } from "../../src/features/follow/follow.ts";
import type { Sql } from "../../src/store/database.ts";
import { at } from "../support/database.ts";
import { nameServer, remoteHost, rsaKey, signedPost } from "../support/hostile.ts";
import { type House, neighbour, openHouse } from "../support/house.ts";
import { BOB, everything, follows, likes, note, postAt, told, town } from "../support/town.ts";

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
    ["Flag", { object: ["https://elsewhere.example/users/eve"], content: "bad" }],
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
    const answers = await Promise.all(Array.from({ length: 30 }, () => ann.send(house, like)));
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
  test("is answered with an Accept that embeds the Follow; asked again, with one for the newest", async () => {
    const { database, house, ann } = await town();
    const follow = ann.says({ type: "Follow", object: BOB });
    expect((await ann.send(house, follow)).status).toBe(202);
    const again = { ...follow, id: `${ann.uri}#again` };
    expect((await ann.send(house, again)).status).toBe(202);
    expect(await follows(database)).toEqual([`${ann.uri} accepted ${BOB}`]);
    const answers = await told(database);
    expect(answers.map(({ activity, inbox }) => [activity, inbox])).toEqual([
      ["Accept", "https://far.example/inbox"],
    ]);
    expect(answers[0]!.document).toMatchObject({
      type: "Accept",
      actor: BOB,
      object: { id: again.id, type: "Follow", actor: ann.uri, object: BOB },
      to: [ann.uri],
    });
    await ann.send(house, { type: "Undo", object: again });
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

describe("strangers at the inbox", () => {
  /** Somebody who is not known here, as his keyId and his actor say. */
  async function knock(house: House, uri: string, from: string): Promise<Response> {
    const { privateKey } = await rsaKey(0);
    const body = JSON.stringify({
      "@context": "https://www.w3.org/ns/activitystreams",
      id: `${uri}/likes/1`,
      type: "Like",
      actor: uri,
      object: `${BOB}/posts/1`,
    });
    const headers = signedPost({
      url: "https://home.example/inbox",
      body,
      keyId: `${uri}#main-key`,
      privateKey,
      date: new Date(house.clock.real().epochMilliseconds),
    });
    return house.fetch("/inbox", {
      method: "POST",
      headers: { ...headers, "x-forwarded-for": from },
      body,
    });
  }

  test("whose name servers never answer keep nobody else waiting", async () => {
    const { database, ann, post } = await town();
    const silent = await nameServer();
    const house = await openHouse(database, { nameServers: [silent.address] });
    const answered: number[] = [];
    const slow = Array.from({ length: 50 }, async (_, place) => {
      const name = `tarpit${place}.example`;
      const { status } = await knock(house, `https://${name}/users/e`, `198.51.100.${place}`);
      answered.push(status);
    });
    await expect.poll(() => new Set(silent.asked).size, { timeout: 20_000 }).toBe(50);
    expect((await ann.send(house, { type: "Like", object: post })).status).toBe(202);
    expect(answered).toEqual([]);
    await Promise.all(slow);
    expect(new Set(answered)).toEqual(new Set([401]));
    expect(await likes(database)).toEqual([`${ann.uri} ${post} -`]);
  }, 60_000);

  test("N06 N07 lead us to no private place, and those who are public are asked", async () => {
    const { database } = await town();
    const E = await remoteHost("127.0.0.3");
    const inside = await remoteHost("127.0.0.9");
    const names = await nameServer({
      "inside.example": ["127.0.0.9"],
      "mixed.example": ["93.184.216.34", "10.0.0.1"],
      "six.example": ["fd12:0:0:0:0:0:0:1"],
    });
    const house = await openHouse(database, { hosts: [E], nameServers: [names.address] });
    const e = await E.actor("e");
    E.at("/users/moved", (_, response) => {
      response.writeHead(302, { location: `${inside.origin}/users/e` }).end();
    });
    const before = await everything(database);
    for (const uri of [
      `https://${inside.host}/users/e`,
      "https://127.0.0.9/users/e",
      "https://10.0.0.1/users/e",
      "https://169.254.169.254/users/e",
      "https://[::1]/users/e",
      "https://[::ffff:7f00:9]/users/e",
      "https://inside.example/users/e",
      "https://mixed.example/users/e",
      "https://six.example/users/e",
      "https://localhost/users/e",
      `${E.origin}/users/moved`,
    ])
      expect((await knock(house, uri, "198.51.100.7")).status, uri).toBe(401);
    // Not even by http.
    expect((await knock(house, `${inside.origin}/users/e`, "198.51.100.7")).status).toBe(400);
    expect(inside.connections()).toBe(0);
    expect(names.asked).toContain("inside.example");
    const added = (await everything(database)).split("\n").filter((line) => !before.includes(line));
    // The instance actor signs its questions; nothing else is new.
    expect(added.filter((line) => !line.includes("https://home.example/"))).toEqual([]);
    const { privateKey } = e;
    const body = JSON.stringify({
      "@context": "https://www.w3.org/ns/activitystreams",
      id: `${e.uri}/likes/1`,
      type: "Like",
      actor: e.uri,
      object: BOB,
    });
    const headers = signedPost({
      url: "https://home.example/inbox",
      body,
      keyId: e.keyId,
      privateKey,
      date: new Date(house.clock.real().epochMilliseconds),
    });
    expect((await house.fetch("/inbox", { method: "POST", headers, body })).status).toBe(202);
    expect(await likes(database)).toEqual([`${e.uri} ${BOB} -`]);
  }, 60_000);

  test("F09 who embed what they like change nothing about whose it is", async () => {
    const { database, house, ann, post } = await town();
    const paid = () => database.sql`
      SELECT t.uri, a.uri AS payee FROM thing t JOIN split_part s ON s.split = t.split JOIN actor a ON a.id = s.payee ORDER BY 1, 2`;
    const before = await paid();
    const spoofed = (id: string) => ({
      type: "Like",
      object: { id, type: "Note", attributedTo: ann.uri, content: "mine" },
    });
    expect((await ann.send(house, spoofed("https://v.example/n/1"))).status).toBe(202);
    expect(await likes(database)).toEqual([]);
    expect((await ann.send(house, spoofed(post))).status).toBe(202);
    expect(await likes(database)).toEqual([`${ann.uri} ${post} -`]);
    expect(await paid()).toEqual(before);
  });

  test("N12 are never asked for their collections", async () => {
    const { database, post } = await town();
    const E = await remoteHost("127.0.0.3");
    const house = await openHouse(database, { hosts: [E] });
    const e = await E.actor("e", {
      outbox: `${E.origin}/users/e/outbox`,
      followers: `${E.origin}/users/e/followers`,
      following: `${E.origin}/users/e/following`,
      featured: `${E.origin}/users/e/featured`,
    });
    const endless = (path: string) =>
      E.serve(path, {
        "@context": "https://www.w3.org/ns/activitystreams",
        id: `${E.origin}${path}`,
        type: "OrderedCollection",
        totalItems: -1,
        first: `${E.origin}${path}`,
        next: `${E.origin}${path}`,
      });
    for (const name of ["outbox", "followers", "following", "featured", "replies"])
      endless(`/users/e/${name}`);
    const object = {
      ...note(e.uri),
      to: [`${E.origin}/users/e/followers`, BOB],
      replies: `${E.origin}/users/e/replies`,
    };
    const says = async (activity: Record<string, unknown>) => {
      const body = JSON.stringify({
        "@context": "https://www.w3.org/ns/activitystreams",
        id: `${e.uri}#${String(activity["type"])}`,
        actor: e.uri,
        ...activity,
      });
      const headers = signedPost({
        url: "https://home.example/inbox",
        body,
        keyId: e.keyId,
        privateKey: e.privateKey,
        date: new Date(house.clock.real().epochMilliseconds),
      });
      return (await house.fetch("/inbox", { method: "POST", headers, body })).status;
    };
    expect(await says({ type: "Follow", object: BOB })).toBe(202);
    expect(await says({ type: "Create", object })).toBe(202);
    expect(await says({ type: "Announce", object: post })).toBe(202);
    expect(await says({ type: "Like", object: post })).toBe(202);
    expect(await says({ type: "Add", object: object.id, target: `${e.uri}/featured` })).toBe(202);
    expect(await postAt(database, object.id)).toMatchObject({ gone: false });
    expect(E.requests.map(({ path }) => path)).toEqual(["/users/e"]);
  });

  test("whose ids are longer than an index holds are refused for good", async () => {
    const { database, house, ann, post } = await town();
    const before = await everything(database);
    const id = (letters: number) => `${ann.uri}/${"ä".repeat(letters)}`;
    const long = await ann.send(house, { type: "Like", object: post, id: id(1020) });
    expect([long.status, await long.json()]).toMatchObject([400, { error: "id_invalid" }]);
    expect((await ann.send(house, { type: "Delete", object: id(1500) })).status).toBe(202);
    expect((await ann.send(house, { type: "Follow", object: id(1500) })).status).toBe(202);
    const left = (await everything(database)).split("\n").filter((line) => !before.includes(line));
    expect(left.filter((line) => !line.startsWith("activity "))).toEqual([]);
    expect((await ann.send(house, { type: "Like", object: post, id: id(1000) })).status).toBe(202);
    expect(await likes(database)).toEqual([`${ann.uri} ${post} -`]);
  });
});
