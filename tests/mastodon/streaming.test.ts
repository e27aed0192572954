import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { endToken } from "../../src/features/access/token.ts";
import type { Account } from "../../src/features/account/create.ts";
import {
  announceEvent,
  forgetEvents,
  openEvents,
  type StreamEvent,
} from "../../src/features/notice/stream.ts";
import { boostPost, unboostPost } from "../../src/features/post/boost.ts";
import { deletePost, editPost, writePost } from "../../src/features/post/write.ts";
import type { Database } from "../../src/store/database.ts";
import { streamNamed } from "../../src/edges/mastodon/streams.ts";
import { at, person, testDatabase } from "../support/database.ts";
import {
  type Ear,
  ear,
  listener,
  NotOpened,
  quiet,
  streamNode,
  tokenOf,
} from "../support/sockets.ts";
import { until } from "../support/process.ts";

const NOW = at("2026-11-10");

async function follow({ sql }: Database, follower: Account, followee: Account): Promise<void> {
  await sql`INSERT INTO follow (follower, followee, state, since) VALUES (${follower.actor}, ${followee.actor}, 'accepted', now())`;
}

/** Ada follows Bob; Eve follows nobody. Each has a token. */
async function town() {
  const database = await testDatabase();
  const [ada, bob, eve] = [
    await person(database, "ada"),
    await person(database, "bob"),
    await person(database, "eve"),
  ];
  await follow(database, ada, bob);
  const tokens = {
    ada: await tokenOf(database, ada),
    bob: await tokenOf(database, bob),
    eve: await tokenOf(database, eve),
  };
  const write = (text: string, more: Partial<Parameters<typeof writePost>[1]> = {}) =>
    writePost(database, { author: bob, text, at: NOW, ...more });
  return { database, ada, bob, eve, tokens, write };
}

const events = ({ frames }: Ear) =>
  frames.map(({ stream, event }) => `${stream.join(" ")}: ${event}`);

/** Waits until an ear has heard so much, and then for what it should not hear. */
async function heard({ frames }: Ear, count: number): Promise<void> {
  await until(10_000, async () => (frames.length >= count ? true : undefined), `frame ${count}`);
  await quiet();
}

async function statusOfOpening(opening: Promise<unknown>): Promise<number> {
  const error = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(NotOpened);
  return (error as NotOpened).status;
}

describe("a socket", () => {
  test("opens with the token as protocol, in the address or in its header; the protocol is said back", async () => {
    const { database, tokens, write } = await town();
    const node = await streamNode(database);
    const { secret } = tokens.ada;
    const ears = [
      await ear(node, { protocol: secret, path: "/api/v1/streaming?stream=user" }),
      await ear(node, { path: `/api/v1/streaming/?access_token=${secret}&stream=user` }),
      await ear(node, {
        path: "/api/v1/streaming?stream=user",
        headers: { authorization: `Bearer ${secret}` },
      }),
    ];
    expect(ears.map(({ socket }) => socket.protocol)).toEqual([secret, "", ""]);
    const { id } = await write("Hello");
    for (const one of ears) {
      const frame = await one.frame();
      expect(frame).toMatchObject({
        stream: ["user"],
        event: "update",
        payload: { id: String(id), content: "<p>Hello</p>", account: { username: "bob" } },
      });
    }
  });

  test.each([
    ["no token", {}, 401],
    ["a wrong token", { protocol: "wrong" }, 401],
    ["a token that is no text for it", { headers: { authorization: "Basic abc" } }, 401],
    ["a huge token", { path: `/api/v1/streaming?access_token=${"x".repeat(8_000)}` }, 401],
    ["another address", { path: "/api/v1/streaming/user" }, 404],
    ["another address of ours", { path: "/api/v1/timelines/home" }, 404],
  ])("does not open with %s", async (_, options, status) => {
    const { database } = await town();
    const node = await streamNode(database);
    expect(await statusOfOpening(ear(node, options))).toBe(status);
  });

  test("does not open for an app without a person, nor for a token that has ended", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database);
    const own = await tokenOf(database, undefined);
    expect(await statusOfOpening(ear(node, { protocol: own.secret }))).toBe(401);
    await database.drizzle.transaction((tx) => endToken(tx, tokens.ada.id, NOW));
    expect(await statusOfOpening(ear(node, { protocol: tokens.ada.secret }))).toBe(401);
  });

  test("is closed on every node when its token ends, long before the next heartbeat, and others stay", async () => {
    const { database, ada, tokens } = await town();
    const other = await tokenOf(database, ada);
    const [one, two] = [await streamNode(database), await streamNode(database)];
    const gone = [
      await listener(one, tokens.ada.secret, "user"),
      await listener(two, tokens.ada.secret, "user"),
    ];
    const stays = await listener(two, other.secret, "user");
    const since = performance.now();
    await database.drizzle.transaction((tx) => endToken(tx, tokens.ada.id, NOW));
    expect(await Promise.all(gone.map(({ closed }) => closed))).toEqual([1008, 1008]);
    expect(performance.now() - since).toBeLessThan(5_000);
    expect(stays.socket.readyState).toBe(stays.socket.OPEN);
  });

  test("is closed at the next heartbeat when its token went with its app, without a word", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database, { limits: { heartbeatMs: 1_000 } });
    const gone = await listener(node, tokens.ada.secret, "user");
    await database.sql`DELETE FROM token WHERE id = ${tokens.ada.id}`;
    expect(await gone.closed).toBe(1008);
  });

  test("is let go when nobody is there, and stays while somebody answers", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database, { limits: { heartbeatMs: 1_000 } });
    const here = await listener(node, tokens.ada.secret, "user");
    const away = await listener(node, tokens.bob.secret, "user");
    away.socket.pause();
    await sleep(3_500);
    expect(here.socket.readyState).toBe(here.socket.OPEN);
    away.socket.resume();
    await away.closed;
  });

  test("opens so often for one account, and again when one is closed", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database, { limits: { perAccount: 2 } });
    const first = await ear(node, { protocol: tokens.ada.secret });
    await ear(node, { protocol: tokens.ada.secret });
    expect(await statusOfOpening(ear(node, { protocol: tokens.ada.secret }))).toBe(429);
    await ear(node, { protocol: tokens.bob.secret });
    first.socket.close();
    await first.closed;
    await until(3_000, () => ear(node, { protocol: tokens.ada.secret }).catch(() => undefined));
  });

  test("opens so often for all together", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database, { limits: { all: 1 } });
    await ear(node, { protocol: tokens.ada.secret });
    expect(await statusOfOpening(ear(node, { protocol: tokens.bob.secret }))).toBe(503);
  });

  test("says goodbye when the server goes, and the server does not wait for it", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database);
    const polite = await listener(node, tokens.ada.secret, "user");
    const deaf = await listener(node, tokens.bob.secret, "user");
    deaf.socket.pause();
    const since = performance.now();
    await node.close();
    expect(performance.now() - since).toBeLessThan(3_000);
    expect(await polite.closed).toBe(1001);
  });

  test("half a handshake, and one that breaks off, leave nothing behind", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database, { limits: { perAccount: 1 } });
    const [host, port] = node.url.split(":");
    const handshake = (lines: readonly string[]) =>
      new Promise<string>((resolve) => {
        const socket = connect(Number(port), host, () => socket.write(lines.join("\r\n")));
        let answer = "";
        socket.on("data", (part) => {
          answer += part.toString();
          socket.destroy();
        });
        socket.on("close", () => resolve(answer));
        socket.on("error", () => resolve(answer));
      });
    const head = [
      `GET /api/v1/streaming?access_token=${tokens.ada.secret} HTTP/1.1`,
      "Host: home.example",
      "Connection: Upgrade",
      "Upgrade: websocket",
    ];
    expect(await handshake([...head, "", ""])).toMatch(/^HTTP\/1\.1 400 /);
    expect(
      await handshake([...head, "Sec-WebSocket-Version: 1", "Sec-WebSocket-Key: x", "", ""]),
    ).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(
      await handshake([
        ...head,
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==",
        "",
        "",
      ]),
    ).toMatch(/^HTTP\/1\.1 101 /);
    await until(3_000, () => ear(node, { protocol: tokens.ada.secret }).catch(() => undefined));
  });

  test("that is refused is closed, also when the other side never hangs up", async () => {
    const { database } = await town();
    const node = await streamNode(database);
    const [host, port] = node.url.split(":");
    const socket = connect({ port: Number(port), host: host!, allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    const gone = new Promise<string>((resolve) => socket.once("error", () => resolve("gone")));
    socket.write(
      "GET /api/v1/streaming HTTP/1.1\r\nHost: home.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    await new Promise<void>((resolve) => {
      socket.once("end", resolve);
      socket.resume();
    });
    // Who still writes into it hears that nobody is there.
    const writing = setInterval(() => socket.write("x"), 50);
    onTestFinished(() => clearInterval(writing));
    expect(await Promise.race([gone, sleep(3_000, "kept")])).toBe("gone");
  });

  test("a request that wants another protocol, or no socket at all, is a request like any other", async () => {
    const { database } = await town();
    const node = await streamNode(database);
    const plain = await fetch(`http://${node.url}/api/v1/streaming`);
    expect(plain.status).toBe(404);
    const [host, port] = node.url.split(":");
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), host, () =>
        socket.write(
          "GET / HTTP/1.1\r\nHost: home.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
        ),
      );
      socket.once("data", (part) => {
        socket.destroy();
        resolve(part.toString());
      });
    });
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  });
});

describe("a hostile client", () => {
  test("that talks without an end is closed, whatever it says", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database);
    const talker = await ear(node, { protocol: tokens.eve.secret });
    for (let n = 0; n < 200; n += 1) talker.say({ type: "subscribe", stream: "user" });
    // Who still talks when the door is shut may not hear why.
    expect([1006, 1008]).toContain(await talker.closed);
    const pinger = await ear(node, { protocol: tokens.eve.secret });
    for (let n = 0; n < 200; n += 1) pinger.socket.ping();
    expect([1006, 1008]).toContain(await pinger.closed);
  });

  test("that says much at once, or no text, is closed", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database);
    const loud = await ear(node, { protocol: tokens.eve.secret });
    loud.say("x".repeat(5_000));
    expect(await loud.closed).toBe(1009);
    const strange = await ear(node, { protocol: tokens.eve.secret });
    strange.socket.send(Buffer.from([1, 2, 3]), { binary: true });
    expect(await strange.closed).toBe(1003);
  });

  test("that says nonsense is told what to say, and heard again", async () => {
    const { database, tokens, write } = await town();
    const node = await streamNode(database);
    const { frames, ...odd } = await ear(node, { protocol: tokens.ada.secret });
    const nonsense = [
      "{",
      "null",
      "[]",
      { type: "subscribe" },
      { type: "subscribe", stream: 5 },
      { type: "shout", stream: "user" },
      { type: "subscribe", stream: "hashtag" },
      { type: "subscribe", stream: "hashtag", tag: "" },
      { type: "subscribe", stream: "list", list: "x" },
      { type: "subscribe", stream: "list", list: "99999999999999999999" },
      { type: "subscribe", stream: "__proto__" },
      { type: "subscribe", stream: "x".repeat(500) },
    ];
    for (const words of nonsense) odd.say(words);
    await until(3_000, async () => (frames.length >= nonsense.length - 1 ? true : undefined));
    expect(frames.every(({ status }) => status === 400)).toBe(true);
    await odd.listen("user");
    await write("Hello");
    expect((await odd.frame(({ event }) => event === "update")).payload.content).toBe(
      "<p>Hello</p>",
    );
  });

  test("that does not read is let go before it fills the memory; others are told", async () => {
    const { database, tokens, write } = await town();
    const node = await streamNode(database, {
      limits: { waitingBytes: 256 * 1024 },
      render: async () => ({ id: "1", content: "x".repeat(512 * 1024) }),
    });
    const deaf = await listener(node, tokens.ada.secret, "user");
    const good = await listener(node, tokens.bob.secret, "user");
    deaf.socket.pause();
    for (let n = 0; n < 40; n += 1) await write(`${n}`);
    await until(10_000, async () => (events(good).length === 40 ? true : undefined));
    deaf.socket.resume();
    expect(await deaf.closed).toBe(1006);
  });

  test("listens to so many streams with one socket", async () => {
    const { database, tokens } = await town();
    const node = await streamNode(database, { limits: { streams: 3 } });
    const greedy = await listener(
      node,
      tokens.eve.secret,
      ["hashtag", { tag: "a" }],
      "user",
      "public",
    );
    greedy.say({ type: "subscribe", stream: "hashtag", tag: "b" });
    expect(await greedy.frame()).toMatchObject({ error: "too_many_streams", status: 429 });
    greedy.say({ type: "unsubscribe", stream: "user" });
    await greedy.listen("hashtag", { tag: "b" });
    expect(greedy.frames).toEqual([]);
  });
});

describe("a stream", () => {
  test("of a person tells what stands in his home, and nobody else", async () => {
    const { database, tokens, bob, write } = await town();
    const node = await streamNode(database);
    const [ada, own, eve] = [
      await listener(node, tokens.ada.secret, "user"),
      await listener(node, tokens.bob.secret, "user"),
      await listener(node, tokens.eve.secret, "user"),
    ];
    const { id } = await write("One", { visibility: "followers" });
    await editPost(database, { author: bob, post: id, text: "Two", at: NOW });
    await deletePost(database, { author: bob, post: id, at: NOW });
    for (const one of [ada, own]) {
      await one.frame(({ event }) => event === "delete");
      // The change and the deletion came so soon that there was nothing to show any more, or there was.
      expect(events(one).every((line) => /^user: (update|status\.update)$/.test(line))).toBe(true);
    }
    await quiet();
    expect(eve.frames).toEqual([]);
  });

  test("tells changes and deletions of what it told", async () => {
    const { database, tokens, bob, write } = await town();
    const node = await streamNode(database);
    const ada = await listener(node, tokens.ada.secret, "user", "public");
    const { id } = await write("One");
    expect((await ada.frame(({ stream }) => stream[0] === "user")).event).toBe("update");
    expect((await ada.frame(({ stream }) => stream[0] === "public")).event).toBe("update");
    await editPost(database, { author: bob, post: id, text: "Two", at: NOW });
    const changed = await ada.frame(({ stream }) => stream[0] === "user");
    expect(changed).toMatchObject({
      event: "status.update",
      payload: { id: String(id), content: "<p>Two</p>" },
    });
    expect((await ada.frame(({ stream }) => stream[0] === "public")).event).toBe("status.update");
    await deletePost(database, { author: bob, post: id, at: NOW });
    expect(await ada.frame(({ stream }) => stream[0] === "user")).toMatchObject({
      event: "delete",
      payload: String(id),
    });
    expect(await ada.frame(({ stream }) => stream[0] === "public")).toMatchObject({
      event: "delete",
      payload: String(id),
    });
  });

  test("tells boosts, and that they were taken back", async () => {
    const { database, tokens, eve, bob } = await town();
    const node = await streamNode(database);
    const ada = await listener(node, tokens.ada.secret, "user", "public");
    const { id } = await writePost(database, { author: eve, text: "From Eve", at: NOW });
    await ada.frame(({ stream }) => stream[0] === "public");
    const boost = await boostPost(database, { account: bob, post: id, at: NOW });
    expect(await ada.frame()).toMatchObject({
      stream: ["user"],
      event: "update",
      payload: { id: String(boost), account: { username: "bob" }, reblog: { id: String(id) } },
    });
    await unboostPost(database, { account: bob, post: id, at: NOW });
    expect(await ada.frame(({ stream }) => stream[0] === "user")).toMatchObject({
      event: "delete",
      payload: String(boost),
    });
  });

  test.each([
    ["public", "public", {}],
    ["public:local", "public", {}],
    ["hashtag", "public", { tag: "Bread" }],
    ["hashtag:local", "public", { tag: "bread" }],
  ])("%s tells what is public, and never what is not", async (stream, visibility, more) => {
    const { database, tokens, write } = await town();
    const node = await streamNode(database);
    const eve = await listener(node, tokens.eve.secret, [stream, more]);
    for (const hidden of ["unlisted", "followers", "direct"] as const)
      await write(`Hidden #bread ${hidden} @ada`, { visibility: hidden });
    await write("Shown #bread", { visibility: visibility as "public" });
    const frame = await eve.frame();
    expect(frame.payload.content).toContain("Shown");
    expect(frame.stream).toEqual(
      Object.hasOwn(more, "tag") ? [stream, (more as { tag: string }).tag] : [stream],
    );
    await quiet();
    expect(eve.frames).toEqual([]);
  });

  test("of other servers, and of pictures, tells nothing else; answers are not in public ones", async () => {
    const { database, tokens, write } = await town();
    const node = await streamNode(database);
    const eve = await listener(
      node,
      tokens.eve.secret,
      "public:remote",
      "public:media",
      "public:local",
      ["hashtag", { tag: "a" }],
    );
    const first = await write("One");
    await write("Answer #a", { inReplyTo: first.uri });
    await heard(eve, 2);
    expect(events(eve)).toEqual(["public:local: update", "hashtag a: update"]);
  });

  test("direct posts reach whom they speak to by his notifications alone", async () => {
    const { database, tokens, write } = await town();
    const node = await streamNode(database);
    const [ada, eve] = [
      await listener(node, tokens.ada.secret, "user", "public", "direct", "user:notification"),
      await listener(node, tokens.eve.secret, "user", "public", "direct", "user:notification"),
    ];
    await write("@ada psst", { visibility: "direct" });
    await heard(ada, 2);
    expect(events(ada).sort()).toEqual(["user: notification", "user:notification: notification"]);
    expect(eve.frames).toEqual([]);
  });

  test("that a private post is gone is told to nobody who could not read it", async () => {
    const { database, tokens, bob, write } = await town();
    const node = await streamNode(database);
    const [ada, eve] = [
      await listener(node, tokens.ada.secret, "user", "public"),
      await listener(node, tokens.eve.secret, "user", "public"),
    ];
    const direct = await write("To myself", { visibility: "direct" });
    const followers = await write("To followers", { visibility: "followers" });
    await deletePost(database, { author: bob, post: direct.id, at: NOW });
    await deletePost(database, { author: bob, post: followers.id, at: NOW });
    const gone = await ada.frame(({ event }) => event === "delete");
    expect(gone).toMatchObject({ stream: ["user"], payload: String(followers.id) });
    await quiet();
    expect(eve.frames).toEqual([]);
  });

  test("tells nothing of people who are muted or blocked, by either", async () => {
    const { database, tokens, ada, bob, eve, write } = await town();
    const { sql } = database;
    const zoe = await person(database, "zoe");
    const zoes = await tokenOf(database, zoe);
    await follow(database, eve, bob);
    await sql`INSERT INTO mute (account, actor, since) VALUES (${ada.id}, ${bob.actor}, now())`;
    await sql`INSERT INTO person_block (blocker, blocked, since) VALUES (${bob.actor}, ${zoe.actor}, now())`;
    await sql`INSERT INTO mute (account, actor, since, until) VALUES (${eve.id}, ${bob.actor}, now(), '2026-11-09')`;
    const node = await streamNode(database);
    const streams = ["user", "public", ["hashtag", { tag: "a" }]] as const;
    const [muting, past, blocked] = [
      await listener(node, tokens.ada.secret, ...streams),
      await listener(node, tokens.eve.secret, ...streams),
      await listener(node, zoes.secret, ...streams),
    ];
    await write("Hello #a");
    await past.frame(({ stream }) => stream[0] === "user");
    await heard(past, 2);
    expect(muting.frames).toEqual([]);
    expect(blocked.frames).toEqual([]);
    expect(node.rendered.filter((line) => !line.includes("eve"))).toEqual([]);
    expect(events(past)).toEqual(["public: update", "hashtag a: update"]);
  });

  test("of a list tells what its members write, to its owner alone, and what is only there is not at home", async () => {
    const { database, tokens, ada, bob, eve, write } = await town();
    const { sql } = database;
    await sql`INSERT INTO list (id, account, title, is_exclusive) VALUES (7, ${ada.id}, 'Bakers', true)`;
    await sql`INSERT INTO list_member (list, actor) VALUES (7, ${bob.actor})`;
    await follow(database, eve, bob);
    const node = await streamNode(database);
    const owner = await listener(node, tokens.ada.secret, ["list", { list: "7" }], "user");
    const thief = await ear(node, { protocol: tokens.eve.secret });
    thief.say({ type: "subscribe", stream: "list", list: "7" });
    expect(await thief.frame()).toMatchObject({ error: "Record not found", status: 404 });
    await write("Bread", { visibility: "followers" });
    expect(await owner.frame()).toMatchObject({ stream: ["list", "7"], event: "update" });
    await quiet();
    expect([...owner.frames, ...thief.frames]).toEqual([]);
  });

  test("needs its scope, and notifications are in no stream of an app that may not read them", async () => {
    const { database, ada, write } = await town();
    const node = await streamNode(database);
    const statuses = await tokenOf(database, ada, ["read:statuses"]);
    const news = await tokenOf(database, ada, ["read:notifications"]);
    const push = await tokenOf(database, ada, ["push", "write"]);
    const [one, two, three] = [
      await ear(node, { protocol: statuses.secret }),
      await ear(node, { protocol: news.secret }),
      await ear(node, { protocol: push.secret, path: "/api/v1/streaming?stream=user" }),
    ];
    expect(await three.frame()).toMatchObject({ error: "insufficient_scope", status: 401 });
    two.say({ type: "subscribe", stream: "public" });
    expect(await two.frame()).toMatchObject({ error: "insufficient_scope", status: 401 });
    one.say({ type: "subscribe", stream: "list", list: "1" });
    expect(await one.frame()).toMatchObject({ error: "insufficient_scope", status: 401 });
    await one.listen("user");
    await two.listen("user:notification");
    await write("@ada hello");
    expect((await two.frame()).event).toBe("notification");
    expect((await one.frame()).event).toBe("update");
    await quiet();
    expect([...one.frames, ...two.frames, ...three.frames]).toEqual([]);
  });

  test("tells changes of filters to their owner, and announcements to everybody", async () => {
    const { database, tokens, ada } = await town();
    const node = await streamNode(database);
    const [one, two] = [
      await listener(node, tokens.ada.secret, "user", "public"),
      await listener(node, tokens.bob.secret, "user"),
    ];
    await database.drizzle.transaction(async (tx) => {
      await announceEvent(tx, { kind: "filters", account: ada.id, at: NOW });
      await announceEvent(tx, { kind: "announcement", subject: 5n, at: NOW });
      await announceEvent(tx, { kind: "announcement_gone", subject: 5n, at: NOW });
    });
    await one.frame(({ event }) => event === "announcement.delete");
    await two.frame(({ event }) => event === "announcement.delete");
    expect(events(one)).toEqual(["user: filters_changed", "user: announcement"]);
    expect(one.frames[0]).not.toHaveProperty("payload");
    expect(events(two)).toEqual(["user: announcement"]);
  });

  test("that is known nowhere is accepted, and silent; ended ones are silent, too", async () => {
    const { database, tokens, write } = await town();
    const node = await streamNode(database);
    const ada = await listener(node, tokens.ada.secret, "public:something", "direct", "user");
    ada.say({ type: "unsubscribe", stream: "user" });
    await ada.listen("public:media");
    await write("Hello");
    await quiet();
    expect(ada.frames).toEqual([]);
  });

  test("of many sockets of one account is rendered once", async () => {
    const { database, tokens, write } = await town();
    const node = await streamNode(database);
    const ears = [];
    for (let n = 0; n < 5; n += 1)
      ears.push(await listener(node, tokens.ada.secret, "user", "public", "public:local"));
    await write("Hello");
    for (const one of ears) for (let n = 0; n < 3; n += 1) await one.frame();
    expect(node.rendered.sort()).toEqual(["status ada home", "status ada public"]);
  });

  test("is not told any more what was being made ready when it was left, or when its token ended", async () => {
    const { database, tokens, write } = await town();
    let release = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const node = await streamNode(database, {
      render: async (_, id) => {
        await gate;
        return { id: String(id) };
      },
    });
    const [leaving, ending, staying] = [
      await listener(node, tokens.ada.secret, "public", "public:local"),
      await listener(node, tokens.bob.secret, "public"),
      await listener(node, tokens.eve.secret, "public"),
    ];
    await write("Hello");
    await until(3_000, async () => (node.rendered.length === 3 ? true : undefined));
    leaving.say({ type: "unsubscribe", stream: "public" });
    await database.drizzle.transaction((tx) => endToken(tx, tokens.bob.id, NOW));
    await ending.closed;
    release();
    await staying.frame();
    await heard(leaving, 1);
    expect(events(leaving)).toEqual(["public:local: update"]);
    expect(ending.frames).toEqual([]);
  });

  test("one view that cannot be made keeps no other from being told", async () => {
    const { database, tokens, ada, write } = await town();
    const node = await streamNode(database, {
      render: async (_, id, account) => {
        if (account.id === ada.id) throw new Error("a fault of this test");
        return { id: String(id) };
      },
    });
    const [broken, good] = [
      await listener(node, tokens.ada.secret, "public"),
      await listener(node, tokens.bob.secret, "public"),
    ];
    await write("One");
    await write("Two");
    await good.frame();
    await good.frame(() => true, 6_000);
    expect(broken.frames).toEqual([]);
  });
});

test("names of streams are read strictly", () => {
  expect(streamNamed("constructor")).toMatchObject({ kind: "silent" });
  expect(streamNamed("hashtag", { tag: "#Brötchen" })).toMatchObject({
    tag: "brötchen",
    names: ["hashtag", "#Brötchen"],
  });
  expect(streamNamed("hashtag", { tag: "\ud800" })).toBeUndefined();
  // In the one question for all sockets it would be an error for everybody.
  expect(streamNamed("hashtag", { tag: "a\0b" })).toBeUndefined();
  expect(streamNamed("list", { list: "0" })).toBeUndefined();
  expect(streamNamed("public:remote:media")).toMatchObject({ where: "elsewhere", onlyMedia: true });
});

describe("events", () => {
  /** Listens as a node does. */
  async function reader(database: Database) {
    const events = openEvents(database);
    const heard: StreamEvent[] = [];
    const leave = await events.listen((event) => heard.push(event));
    return { events, heard, leave, subjects: () => heard.map(({ subject }) => Number(subject)) };
  }

  const say = (database: Database, subject: bigint) =>
    database.drizzle.transaction((tx) => announceEvent(tx, { kind: "post", subject, at: NOW }));

  test("reach two nodes within a second, once", async () => {
    const { database } = await town();
    const [one, two] = [await reader(database), await reader(database)];
    const all: number[] = [];
    const tookMs: number[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const since = performance.now();
      for (let n = 0; n < 20; n += 1) await say(database, BigInt(all.push(all.length + 1)));
      await until(10_000, async () =>
        one.heard.length >= all.length && two.heard.length >= all.length ? true : undefined,
      );
      tookMs.push(performance.now() - since);
    }
    // The best of three: the machine may have stood still for a moment.
    expect(Math.min(...tookMs)).toBeLessThan(1_500);
    await sleep(600);
    expect([one.subjects(), two.subjects()]).toEqual([all, all]);
    one.events.close();
    two.events.close();
  });

  test("that are committed late, in another order, are not missed, and none comes twice", async () => {
    const { database } = await town();
    const one = await reader(database);
    const commits: (() => void)[] = [];
    const open = Array.from({ length: 5 }, (_, n) =>
      database.drizzle.transaction(async (tx) => {
        await announceEvent(tx, { kind: "post", subject: BigInt(n), at: NOW });
        await new Promise<void>((resolve) => (commits[n] = resolve));
      }),
    );
    await until(2_000, async () => (commits.filter(Boolean).length === 5 ? true : undefined));
    for (let n = 0n; n < 10n; n += 1n) await say(database, 100n + n);
    await sleep(500);
    // A node that comes in between hears only what is committed after it came.
    const two = await reader(database);
    for (const n of [3, 0, 4, 1, 2]) {
      commits[n]!();
      await open[n];
      await sleep(n % 2 === 0 ? 250 : 10);
    }
    await until(10_000, async () =>
      one.heard.length >= 15 && two.heard.length >= 5 ? true : undefined,
    );
    await sleep(600);
    expect(one.subjects().toSorted((a, b) => a - b)).toEqual([
      0,
      1,
      2,
      3,
      4,
      ...Array.from({ length: 10 }, (_, n) => 100 + n),
    ]);
    expect(two.subjects().toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
    one.events.close();
    two.events.close();
  });

  test("that are rolled back never were", async () => {
    const { database } = await town();
    const one = await reader(database);
    await database.drizzle
      .transaction(async (tx) => {
        await announceEvent(tx, { kind: "post", subject: 1n, at: NOW });
        throw new Error("no");
      })
      .catch(() => {});
    await say(database, 2n);
    await until(10_000, async () => (one.heard.length > 0 ? true : undefined));
    await sleep(600);
    expect(one.subjects()).toEqual([2]);
    one.events.close();
  });

  test("survive a database that is away for a moment", async () => {
    const { database } = await town();
    const one = await reader(database);
    await database.sql`ALTER TABLE stream_event RENAME TO away`;
    await sleep(600);
    await database.sql`ALTER TABLE away RENAME TO stream_event`;
    await database.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    await say(database, 1n).catch(() => say(database, 1n));
    await until(5_000, async () => (one.heard.length > 0 ? true : undefined));
    expect(one.subjects()).toEqual([1]);
    one.events.close();
  });

  test("a listener that fails keeps no other from hearing; nobody is asked for whom nobody listens", async () => {
    const { database } = await town();
    const events = openEvents(database);
    const heard: bigint[] = [];
    await events.listen(() => {
      throw new Error("a fault of this test");
    });
    const leave = await events.listen(({ subject }) => heard.push(subject!));
    await say(database, 1n);
    await until(2_000, async () => (heard.length > 0 ? true : undefined));
    leave();
    await say(database, 2n);
    await sleep(500);
    expect(heard).toEqual([1n]);
    events.close();
    await sleep(300);
    const again = openEvents(database);
    await again.listen(({ subject }) => heard.push(subject!));
    await say(database, 3n);
    await until(2_000, async () => (heard.length > 1 ? true : undefined));
    expect(heard).toEqual([1n, 3n]);
    again.close();
  });

  test("are read by their index, however many others there are, and forgotten after minutes", async () => {
    const { database } = await town();
    const { sql } = database;
    await sql`INSERT INTO stream_event (kind, subject, at, tx) SELECT 'post', n, ${"2026-11-10T11:50:00Z"}::timestamptz, '3'::xid8 FROM generate_series(1, 30000) n`;
    await sql`ANALYZE stream_event`;
    await say(database, 1n);
    const [{ snapshot }] = await sql<
      [{ snapshot: string }]
    >`SELECT pg_current_snapshot()::text AS snapshot`;
    const plan = await sql.unsafe(
      `EXPLAIN SELECT id FROM stream_event WHERE tx >= pg_snapshot_xmax('${snapshot}'::pg_snapshot)`,
    );
    expect(JSON.stringify(plan)).toContain("stream_event_tx");
    await forgetEvents(database, NOW);
    const left = await sql<{ subject: bigint }[]>`SELECT subject FROM stream_event`;
    expect(left.map(({ subject }) => subject)).toEqual([1n]);
  });
});
