import { describe, expect, onTestFinished, test } from "vitest";
import { backfillJobs } from "../../src/edges/federation/backfill.ts";
import { openFetcher } from "../../src/edges/federation/fetch.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import { blockPayments } from "../../src/features/claim/standing.ts";
import { actorBackfill } from "../../src/features/follow/arrive.ts";
import { followActor } from "../../src/features/follow/follow.ts";
import { takeAnswer } from "../../src/features/follow/receive.ts";
import { takePost } from "../../src/features/post/receive.ts";
import { postAncestors, postReplies, wantReplies } from "../../src/features/post/thread.ts";
import { openEgress } from "../../src/store/egress.ts";
import { openMasterKey } from "../../src/store/keys.ts";
import { at, person, testDatabase, testMasterKeyFile } from "../support/database.ts";
import { remoteHost, type RemoteHost } from "../support/hostile.ts";
import { setClock } from "../support/house.ts";

const PUBLIC = "https://www.w3.org/ns/activitystreams#Public";
const CORE = "https://www.w3.org/ns/activitystreams";
const NOW = at("2026-11-21");

/** A house with Bob, who follows the writer on another server; and the jobs, with real requests to these servers. */
async function town(others: readonly RemoteHost[] = []) {
  const database = await testDatabase();
  const bob = await person(database, "bob");
  const host = await remoteHost();
  const clock = setClock(NOW);
  const egress = openEgress({
    allowedPrivate: [host, ...others].map((one) => one.host),
    userAgent: "test",
  });
  onTestFinished(() => egress.close());
  const keys = openActorKeys(database, await openMasterKey(testMasterKeyFile(), undefined), clock);
  const fetcher = openFetcher({ database, egress, keys, clock, origin: database.settings.origin });
  const jobs = backfillJobs({ database, clock, fetcher });
  const run = (name: string, payload: unknown) =>
    jobs.find((job) => job.name === name)!.run(payload);

  const outbox = `${host.origin}/users/writer/outbox`;
  const writer = await host.actor("writer", {
    outbox,
    followers: `${host.origin}/users/writer/followers`,
  });
  const id = await fetcher.actor(writer.uri);
  await followActor(database, { follower: bob, uri: writer.uri, at: at("2026-11-20") });
  await database.drizzle.transaction((tx) =>
    takeAnswer(tx, {
      answer: "Accept",
      actor: id,
      followId: undefined,
      follower: "https://home.example/users/bob",
    }),
  );

  let made = 0;
  const note = (more: Record<string, unknown> = {}, of = host) => {
    const uri = `${of.origin}/n/${(made += 1)}`;
    const document = {
      "@context": CORE,
      id: uri,
      type: "Note",
      attributedTo: writer.uri,
      content: `<p>${made}</p>`,
      published: `2026-11-10T00:00:${String(made % 60).padStart(2, "0")}Z`,
      to: [PUBLIC],
      ...more,
    };
    of.serve(new URL(uri).pathname, document);
    return document;
  };
  const create = (object: unknown, more = {}) => ({
    type: "Create",
    actor: writer.uri,
    object,
    ...more,
  });
  const backfill = () => run(actorBackfill.name, { actor: String(id) });
  const home = async () => {
    const rows = await database.sql<{ uri: string }[]>`
      SELECT t.uri FROM home h JOIN post p ON p.id = h.post JOIN thing t ON t.id = p.thing WHERE h.account = ${bob.id} ORDER BY h.id DESC`;
    return rows.map(({ uri }) => uri);
  };
  const asked = () => host.requests.map(({ path }) => path);
  /** The writer answers something, and sends that. */
  const arrive = async (document: Record<string, unknown>) => {
    const kept = await database.drizzle.transaction((tx) =>
      takePost(tx, database.settings, { document, actor: id, actorUri: writer.uri, at: NOW }),
    );
    return kept!;
  };
  const posts = async () => {
    const rows = await database.sql<
      { uri: string }[]
    >`SELECT t.uri FROM post p JOIN thing t ON t.id = p.thing ORDER BY t.uri`;
    return rows.map(({ uri }) => uri);
  };
  return {
    database,
    bob,
    host,
    clock,
    run,
    outbox,
    writer,
    id,
    note,
    create,
    backfill,
    home,
    asked,
    arrive,
    posts,
  };
}

const collection = (id: string, more: Record<string, unknown>) => ({
  "@context": CORE,
  id,
  type: "OrderedCollection",
  ...more,
});

describe("somebody newly followed", () => {
  test("is asked for his posts by a job, once he has accepted", async () => {
    const { database, id } = await town();
    const jobs = await database.sql<{ payload: unknown }[]>`
      SELECT j.payload FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id WHERE t.identifier = ${actorBackfill.name}`;
    expect(jobs).toEqual([{ payload: { actor: String(id) } }]);
  });

  test("has his newest posts in the home timeline, at their place, and nobody is told", async () => {
    const { database, host, outbox, note, create, backfill, home, asked } = await town();
    const whole = note();
    const named = note();
    const hidden = note({ to: [`${host.origin}/users/writer/followers`] });
    const quiet = note({ to: [], cc: [PUBLIC] });
    const path = new URL(outbox).pathname;
    host.serve(path, collection(outbox, { totalItems: 4, first: `${outbox}?page=1` }));
    host.serve(`${path}?page=1`, {
      ...collection(`${outbox}?page=1`, { next: `${outbox}?page=2` }),
      type: "OrderedCollectionPage",
      orderedItems: [create(whole), create(named.id)],
    });
    host.serve(`${path}?page=2`, {
      ...collection(`${outbox}?page=2`, { next: `${outbox}?page=3` }),
      type: "OrderedCollectionPage",
      orderedItems: [
        create(hidden),
        { type: "Announce", object: "https://x.example/1" },
        create(quiet),
      ],
    });
    await backfill();
    expect(await home()).toEqual([quiet.id, named.id, whole.id]);
    expect(asked().slice(1)).toEqual([
      path,
      `${path}?page=1`,
      `${path}?page=2`,
      new URL(named.id).pathname,
    ]);
    expect(host.requests.slice(1).every(({ headers }) => headers["signature"] !== undefined)).toBe(
      true,
    );
    expect(await database.sql`SELECT FROM notification`).toHaveLength(0);
    expect(
      await database.sql`SELECT FROM stream_event WHERE kind = 'post' AND subject IN (SELECT post FROM home)`,
    ).toHaveLength(0);
  });

  test("is asked again after six hours, not before", async () => {
    const { clock, host, outbox, note, create, backfill, home } = await town();
    const path = new URL(outbox).pathname;
    host.serve(path, collection(outbox, { orderedItems: [create(note())] }));
    await backfill();
    host.serve(path, collection(outbox, { orderedItems: [create(note())] }));
    clock.set(NOW.add({ hours: 5 }));
    await backfill();
    expect(await home()).toHaveLength(1);
    clock.set(NOW.add({ hours: 7 }));
    await backfill();
    expect(await home()).toHaveLength(2);
  });

  test("N12 is not read without end: of endless pages two, of many entries twenty", async () => {
    const { host, outbox, note, create, backfill, home, asked } = await town();
    const path = new URL(outbox).pathname;
    let page = 0;
    host.at(path, (request, response) => {
      page += 1;
      const body = {
        ...collection(`${host.origin}${request.url!}`, {
          totalItems: 1e9,
          first: `${outbox}?page=1`,
          next: `${outbox}?page=${page + 1}`,
        }),
        ...(request.url!.includes("page")
          ? { type: "OrderedCollectionPage", orderedItems: [create(note())] }
          : {}),
      };
      response
        .writeHead(200, { "content-type": "application/activity+json" })
        .end(JSON.stringify(body));
    });
    await backfill();
    expect(asked().filter((one) => one.startsWith(path))).toHaveLength(3);
    expect(await home()).toHaveLength(2);

    const many = await town();
    const items = Array.from({ length: 50 }, () => many.create(many.note()));
    many.host.serve(path, collection(many.outbox, { totalItems: -1, orderedItems: items }));
    await many.backfill();
    expect(await many.home()).toHaveLength(20);
  });

  test("N12 pages that are themselves, elsewhere, of no kind or broken are read once or not at all", async () => {
    const other = await remoteHost("127.0.0.2");
    const { host, outbox, note, create, backfill, asked, home, clock } = await town([other]);
    const path = new URL(outbox).pathname;
    const first = { ...collection(outbox, {}), type: "OrderedCollectionPage" };
    const tries = [
      { ...first, next: outbox, orderedItems: [create(note())] },
      { ...first, orderedItems: "no list" },
      { ...first, orderedItems: [null, 1, "x", [], {}, { type: "Create" }] },
      collection(outbox, { first: `${other.origin}/page` }),
      collection(outbox, { first: "http://10.0.0.1/page" }),
      collection(outbox, { first: { type: "OrderedCollectionPage" } }),
      { id: outbox, type: "Note", orderedItems: [create(note())] },
    ];
    for (const [place, document] of tries.entries()) {
      clock.set(NOW.add({ hours: 7 * place }));
      const before = asked().length;
      host.serve(path, document);
      await backfill();
      expect(asked().slice(before), JSON.stringify(document)).toEqual([path]);
    }
    expect(other.requests).toEqual([]);
    expect(await home()).toHaveLength(1);
  });

  test("keeps nothing that is another's, whatever his outbox says", async () => {
    const other = await remoteHost("127.0.0.2");
    const { host, outbox, note, create, backfill, posts, writer } = await town([other]);
    const mallory = await host.actor("mallory");
    const path = new URL(outbox).pathname;
    host.serve(
      path,
      collection(outbox, {
        orderedItems: [
          create(note({ attributedTo: mallory.uri })),
          create(note({ attributedTo: mallory.uri }).id),
          create(note(), { actor: mallory.uri }),
          create({ ...note(), id: `${other.origin}/n/1` }),
          create(note({}, other).id),
          create({ ...note(), id: writer.uri }),
          create({ ...note(), id: "https://home.example/users/bob/posts/1" }),
          create(note({ type: "Hologram" })),
        ],
      }),
    );
    await backfill();
    expect(await posts()).toEqual([]);
    expect(other.requests).toEqual([]);
  });

  test("is not asked when he is blocked, and tried again when his server is not there", async () => {
    const { database, writer, backfill, asked, clock, host, outbox } = await town();
    host.at(new URL(outbox).pathname, (_, response) => void response.writeHead(503).end());
    await expect(backfill()).rejects.toThrow();
    await blockPayments(database, { kind: "payee", target: writer.uri, at: NOW });
    clock.set(NOW.add({ minutes: 5 }));
    const before = asked().length;
    await backfill();
    expect(asked()).toHaveLength(before);
  });
});

describe("a conversation", () => {
  const replies = (post: string, items: readonly unknown[]) => ({
    id: `${post}/replies`,
    type: "Collection",
    first: {
      type: "CollectionPage",
      partOf: `${post}/replies`,
      next: `${post}/replies?page=2`,
      items,
    },
  });

  test("is asked for when somebody looks at it, at most every quarter of an hour", async () => {
    const { database, note, arrive } = await town();
    const id = await arrive(note());
    const want = (minutes: number) => wantReplies(database, id, NOW.add({ minutes }));
    expect(await want(0)).toBe(true);
    expect(await want(14)).toBe(false);
    expect(await want(15)).toBe(true);
    const jobs = await database.sql<{ payload: unknown }[]>`
      SELECT j.payload FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id WHERE t.identifier = ${postReplies.name}`;
    expect(jobs).toEqual([{ payload: { post: String(id) } }]);
  });

  test("gets the answers that its server names, each from its own", async () => {
    const other = await remoteHost("127.0.0.2");
    const { database, host, note, arrive, run, posts } = await town([other]);
    const reader = await other.actor("reader");
    const root = note();
    const own = note({ inReplyTo: root.id });
    const deeper = note({ inReplyTo: own.id });
    const far = note({ inReplyTo: root.id, attributedTo: reader.uri }, other);
    const alien = note();
    const secret = note({ inReplyTo: root.id, to: [] });
    host.serve(new URL(root.id).pathname, {
      ...root,
      replies: replies(root.id, [own.id, secret.id, alien.id]),
    });
    host.serve(`${new URL(root.id).pathname}/replies?page=2`, {
      "@context": CORE,
      id: `${root.id}/replies?page=2`,
      type: "CollectionPage",
      items: [
        far,
        deeper.id,
        "https://home.example/users/bob/posts/1",
        "javascript:1",
        `${host.origin}/n/none`,
      ],
      next: `${root.id}/replies?page=2`,
    });
    const id = await arrive(root);
    await run(postReplies.name, { post: String(id) });
    expect(await posts()).toEqual([deeper.id, far.id, own.id, root.id].toSorted());
    const [{ author }] = await database.sql<[{ author: string }]>`
      SELECT a.uri AS author FROM post p JOIN thing t ON t.id = p.thing JOIN actor a ON a.id = p.author WHERE t.uri = ${far.id}`;
    expect(author).toBe(reader.uri);
    // What is known is not asked for again.
    const before = host.requests.length;
    await run(postReplies.name, { post: String(id) });
    expect(host.requests.slice(before).map(({ path }) => path)).not.toContain(
      new URL(own.id).pathname,
    );
  });

  test("N12 of answers without end twenty are read", async () => {
    const { host, note, arrive, run, posts } = await town();
    const root = note();
    const answers = Array.from({ length: 60 }, () => note({ inReplyTo: root.id }).id);
    host.serve(new URL(root.id).pathname, { ...root, replies: replies(root.id, answers) });
    await run(postReplies.name, { post: String(await arrive(root)) });
    expect(await posts()).toHaveLength(21);
  });

  test("goes upwards to its beginning, and then belongs into the home of who follows its author", async () => {
    const { note, arrive, run, home, posts } = await town();
    const root = note();
    const middle = note({ inReplyTo: root.id });
    const answer = note({ inReplyTo: middle.id });
    const id = await arrive(answer);
    expect(await home()).toEqual([]);
    await run(postAncestors.name, { post: String(id) });
    expect(await posts()).toEqual([root.id, middle.id, answer.id]);
    expect(await home()).toEqual([answer.id, middle.id, root.id]);
  });

  test("upwards without end or in a circle stops after twenty", async () => {
    const { host, note, arrive, run, posts, writer } = await town();
    const [one, other] = [note(), note()];
    host.serve(new URL(one.id).pathname, { ...one, inReplyTo: other.id });
    host.serve(new URL(other.id).pathname, { ...other, inReplyTo: one.id });
    await run(postAncestors.name, { post: String(await arrive({ ...one, inReplyTo: other.id })) });
    expect(await posts()).toHaveLength(2);

    for (let place = 1; place < 40; place += 1)
      host.serve(`/deep/${place}`, {
        "@context": CORE,
        id: `${host.origin}/deep/${place}`,
        type: "Note",
        attributedTo: writer.uri,
        content: "x",
        to: [PUBLIC],
        inReplyTo: `${host.origin}/deep/${place + 1}`,
      });
    const id = await arrive(note({ inReplyTo: `${host.origin}/deep/1` }));
    await run(postAncestors.name, { post: String(id) });
    expect(await posts()).toHaveLength(2 + 1 + 20);
  });

  test("asks nobody for what is ours", async () => {
    const { note, arrive, run, asked } = await town();
    const id = await arrive(note({ inReplyTo: "https://home.example/users/bob/posts/1" }));
    const before = asked().length;
    await run(postAncestors.name, { post: String(id) });
    expect(asked()).toHaveLength(before);
  });
});
