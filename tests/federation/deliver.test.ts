import { randomBytes } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { openFetcher } from "../../src/edges/federation/fetch.ts";
import { type DeliveryLimits, startDelivery } from "../../src/edges/federation/deliver.ts";
import { pauseOf } from "../../src/edges/federation/send.ts";
import { ensureActors } from "../../src/features/account/actor.ts";
import type { Account } from "../../src/features/account/create.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import {
  endDeliveries,
  forgetMessages,
  putBack,
  takeDue,
} from "../../src/features/activity/due.ts";
import {
  type Failure,
  forgetHosts,
  healthOf,
  hostsFailed,
} from "../../src/features/activity/host.ts";
import { hostPauseMs } from "../../src/rules/retry.ts";
import { tell, type Telling } from "../../src/features/activity/tell.ts";
import { blockPayments, unblockPayments } from "../../src/features/claim/standing.ts";
import { takeFollow } from "../../src/features/follow/receive.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { wayWanted } from "../../src/features/peer/way.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import type { Database } from "../../src/store/database.ts";
import { openEgress } from "../../src/store/egress.ts";
import { openVault } from "../../src/store/keys.ts";
import { Temporal } from "../../src/store/time.ts";
import { at, person, remotePost, testDatabase } from "../support/database.ts";
import {
  isSigned,
  isSigned9421,
  type Sink,
  sink,
  testClock,
  type TestClock,
  type Told,
  until,
} from "../support/sink.ts";

const HOME = "https://home.example";

/** One vault for all: keys are made once for each database. */
const vault = openVault(randomBytes(32));

async function post(work: Database, clock: TestClock, sinks: readonly Sink[]) {
  const egress = openEgress({
    allowedPrivate: sinks.map(({ host }) => host),
    userAgent: `Fediflattr/0.1.0 (+${HOME})`,
  });
  onTestFinished(() => egress.close());
  const keys = openActorKeys(work, vault, clock);
  const fetcher = openFetcher({ database: work, egress, keys, clock, origin: HOME });
  return {
    egress,
    keys,
    fetcher,
    start: (limits: Partial<DeliveryLimits> = {}) => {
      const delivery = startDelivery({ database: work, egress, keys, fetcher, clock, limits });
      onTestFinished(() => delivery.stop());
      return delivery;
    },
  };
}

/** An actor elsewhere whose inbox is known. */
async function neighbour(
  { drizzle, sql }: Database,
  { origin }: Pick<Sink, "origin">,
  name: string,
  { inbox = `${origin}/users/${name}/inbox`, shared }: { inbox?: string; shared?: string } = {},
): Promise<bigint> {
  const uri = `${origin}/users/${name}`;
  const actors = await drizzle.transaction((tx) =>
    ensureActors(tx, [{ uri, name }], at("2026-11-01")),
  );
  const id = actors.get(uri)!;
  await sql`UPDATE actor SET inbox = ${inbox}, shared_inbox = ${shared ?? null}, fetched_at = '2026-11-01' WHERE id = ${id}`;
  return id;
}

async function flattrOf(database: Database, patron: Account, { origin }: Sink, path = "/posts/1") {
  const thing = await remotePost(database, `${origin}${path}`, `${origin}/users/ann`);
  const { flattr } = await giveFlattr(database, {
    patron: patron.id,
    thing,
    source: "click",
    at: at("2026-11-10"),
  });
  return { thing, flattr: flattr! };
}

async function say(
  database: Database,
  sender: Account,
  telling: Partial<Telling> & { readonly id?: string },
) {
  const { id = `${HOME}/users/${sender.name}/posts/1/activity`, ...rest } = telling;
  await database.drizzle.transaction((tx) =>
    tell(tx, {
      sender: sender.actor,
      activity: "Create",
      document: { id, type: "Create", actor: `${HOME}/users/${sender.name}` },
      subject: 1n,
      at: at("2026-11-10"),
      ...rest,
    }),
  );
}

const left = async ({ sql }: Database) =>
  Number((await sql<[{ count: bigint }]>`SELECT count(*) AS count FROM delivery`)[0].count);

/** A message goes right after its last delivery. */
const isForgotten = async ({ sql }: Database) => (await sql`SELECT 1 FROM message`).length === 0;

const rows = ({ sql }: Database) =>
  sql<{ activity: string; attempts: number; last_error: string | null; due_at: Date }[]>`
    SELECT activity, attempts, last_error, due_at FROM delivery ORDER BY id`;

/** Waits until everything was tried and failed. */
async function failed(database: Database): Promise<void> {
  await until(async () => {
    const all = await rows(database);
    return all.length > 0 && all.every(({ last_error }) => last_error !== null);
  });
  await database.sql`UPDATE delivery SET last_error = NULL`;
}

const lanesOf = ({ sql }: Database) =>
  sql<{ host: string; failures: number; next_try_at: Date | null }[]>`
    SELECT host, failures, next_try_at FROM host_health ORDER BY host`;

/** Enough for the table to be looked at twice. */
const twoLooks = () => new Promise((resolve) => setTimeout(resolve, 500));

describe("a flattr of something elsewhere", () => {
  test("arrives as a Like, signed by the patron, and its Undo after it", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const far = await sink();
    const { start, keys } = await post(database, clock, [far]);
    const alice = await person(database, "alice");
    await neighbour(database, far, "ann");
    const { thing, flattr } = await flattrOf(database, alice, far);
    start();
    await until(async () => (await left(database)) === 0);
    expect(far.activities()).toEqual([
      {
        "@context": [
          "https://www.w3.org/ns/activitystreams",
          "https://w3id.org/security/data-integrity/v1",
          { fl: "https://w3id.org/fep/9b24#", paymentPeriod: "fl:paymentPeriod" },
        ],
        id: `${HOME}/likes/${flattr}`,
        type: "Like",
        actor: `${HOME}/users/alice`,
        object: `${far.origin}/posts/1`,
        to: [`${far.origin}/users/ann`],
        published: "2026-11-10T12:00:00Z",
        paymentPeriod: "2026-11",
      },
    ]);
    const [asked] = far.asked;
    const { publicPem } = await keys.keyPairOf(alice.actor);
    expect(asked).toMatchObject({
      method: "POST",
      path: "/users/ann/inbox",
      headers: {
        "user-agent": `Fediflattr/0.1.0 (+${HOME})`,
        "content-type": "application/activity+json",
        host: far.host,
      },
    });
    expect(String(asked!.headers["signature"])).toContain(`keyId="${HOME}/users/alice#main-key"`);
    expect(isSigned(asked!, publicPem)).toBe(true);
    expect(isSigned({ ...asked!, body: `${asked!.body} ` }, publicPem)).toBe(false);

    await takeBackFlattr(database, { patron: alice.id, thing, at: at("2026-11-11") });
    await until(() => far.asked.length === 2);
    expect(far.activities()[1]).toMatchObject({
      id: `${HOME}/likes/${flattr}#undo`,
      type: "Undo",
      actor: `${HOME}/users/alice`,
      object: {
        id: `${HOME}/likes/${flattr}`,
        type: "Like",
        actor: `${HOME}/users/alice`,
        object: `${far.origin}/posts/1`,
      },
      published: "2026-11-11T12:00:00Z",
    });
    await until(async () => (await left(database)) === 0);
  });

  test("makes its host, if it takes it, be asked at once how its people are paid", async () => {
    const database = await testDatabase();
    const far = await sink();
    const dead = await sink();
    const { start } = await post(database, testClock(), [far, dead]);
    await dead.die();
    const alice = await person(database, "alice");
    for (const there of [far, dead]) {
      await neighbour(database, there, "ann");
      await flattrOf(database, alice, there);
    }
    start();
    await until(async () => (await left(database)) === 1);
    const asked = () =>
      database.sql`SELECT key FROM graphile_worker.jobs WHERE task_identifier = ${wayWanted.name}`;
    await until(async () => (await asked()).length > 0);
    await failed(database);
    expect(await asked()).toEqual([{ key: `${wayWanted.name} ${far.host}` }]);
  });

  test("that is given again is another Like with another id", async () => {
    const database = await testDatabase();
    const far = await sink();
    const { start } = await post(database, testClock(), [far]);
    const alice = await person(database, "alice");
    await neighbour(database, far, "ann");
    const { thing } = await flattrOf(database, alice, far);
    start();
    await until(() => far.asked.length === 1);
    await takeBackFlattr(database, { patron: alice.id, thing, at: at("2026-11-11") });
    await flattrOf(database, alice, far);
    await until(() => far.asked.length === 3);
    const ids = far.activities().map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
    expect(
      far
        .activities()
        .map(({ type }) => type)
        .toSorted((one, other) => String(one).localeCompare(String(other))),
    ).toEqual(["Like", "Like", "Undo"]);
  });

  test("keeps its order: the Undo waits until the Like has arrived, however long that takes", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const far = await sink(() => ({ status: 500 }));
    const { start } = await post(database, clock, [far]);
    const alice = await person(database, "alice");
    await neighbour(database, far, "ann");
    const { thing } = await flattrOf(database, alice, far);
    start();
    await until(async () => (await rows(database))[0]?.last_error === "500");
    await takeBackFlattr(database, { patron: alice.id, thing, at: at("2026-11-11") });
    await database.sql`UPDATE delivery SET last_error = NULL`;
    await twoLooks();
    clock.advance({ minutes: 2 });
    await until(async () => (await rows(database))[0]?.last_error === "500");
    expect(far.asked).toHaveLength(2);
    await twoLooks();
    far.answer = () => ({ status: 202 });
    for (let hours = 0; hours < 6 && far.asked.length < 4; hours += 1) {
      clock.advance({ hours: 1 });
      await twoLooks();
    }
    expect(far.activities().map(({ type }) => type)).toEqual(["Like", "Like", "Like", "Undo"]);
    await until(async () => (await left(database)) === 0);
  });

  test("waits for its author's inbox, which his own server is asked for once", async () => {
    const database = await testDatabase();
    const far = await sink(({ method, path }) =>
      method === "POST"
        ? { status: 202 }
        : { body: { ...anybody, id: `${far.origin}${path}`, inbox: `${far.origin}${path}/in` } },
    );
    const anybody = { "@context": "https://www.w3.org/ns/activitystreams", type: "Person" };
    const { start } = await post(database, testClock(), [far]);
    for (const name of ["alice", "bob", "carla"]) {
      await flattrOf(database, await person(database, name), far);
    }
    start();
    await until(async () => (await left(database)) === 0);
    expect(far.asked.filter(({ method }) => method === "GET")).toHaveLength(1);
    expect(far.asked.filter(({ path }) => path === "/users/ann/in")).toHaveLength(3);
  });

  test.each([
    ["is gone", { status: 410 }],
    [
      "is served as a file",
      { body: '{"type":"Person"}', headers: { "content-type": "application/json" } },
    ],
    [
      "says that it is somebody else",
      { body: { id: "https://v.example/users/v", type: "Person" } },
    ],
    [
      "has an inbox of another origin",
      { body: { type: "Person", inbox: "https://v.example/inbox" } },
    ],
    ["has no inbox", { body: { type: "Person" } }],
  ] satisfies [string, Told][])("whose author %s is told to nobody", async (_, told: Told) => {
    const database = await testDatabase();
    const far = await sink(({ path }) => {
      const body =
        typeof told.body === "object" ? { id: `${far.origin}${path}`, ...told.body } : told.body;
      return { status: 200, ...told, ...(body === undefined ? {} : { body }) };
    });
    const { start } = await post(database, testClock(), [far]);
    await flattrOf(database, await person(database, "alice"), far);
    start();
    await until(async () => (await left(database)) === 0);
    expect(far.activities()).toEqual([]);
    expect(far.asked).toHaveLength(1);
  });
});

describe("an answer", () => {
  test.each([200, 202, 204, 409])("%i means that it has arrived", async (status) => {
    const { far, database } = await one({ status });
    await until(async () => (await left(database)) === 0);
    expect(far.asked).toHaveLength(1);
    expect(await lanesOf(database)).toEqual([]);
  });

  test.each([400, 403, 405, 406, 413, 415, 422, 451])(
    "%i means that it never will",
    async (status) => {
      const { far, database } = await one({ status });
      await until(async () => (await left(database)) === 0);
      expect(far.asked).toHaveLength(1);
      expect(await database.sql`SELECT 1 FROM actor WHERE inbox IS NOT NULL`).toHaveLength(1);
    },
  );

  test("410 means that nobody is there: the inbox is forgotten, and asked for again", async () => {
    const { far, database } = await one({ status: 410 });
    const { sql } = database;
    await until(async () => (await left(database)) === 0);
    expect(far.asked).toHaveLength(1);
    expect(await sql`SELECT 1 FROM actor WHERE inbox IS NOT NULL`).toHaveLength(0);
    // He follows, too: what is said now reaches him where his own server says he is.
    const [alice] = await sql<[{ actor: bigint; name: string }]>`SELECT actor, name FROM account`;
    const [ann] = await sql<
      [{ id: bigint }]
    >`SELECT id FROM actor WHERE uri = ${`${far.origin}/users/ann`}`;
    await sql`INSERT INTO follow (follower, followee, since) VALUES (${ann.id}, ${alice.actor}, '2026-11-01')`;
    const inbox = `${far.origin}/users/ann/moved`;
    const context = "https://www.w3.org/ns/activitystreams";
    const person = { "@context": context, id: `${far.origin}/users/ann`, type: "Person", inbox };
    far.answer = ({ method, path }) =>
      method === "GET" ? { body: person } : { status: path === "/users/ann/moved" ? 202 : 410 };
    await say(database, alice as unknown as Account, { followersOf: alice.actor, id: "one" });
    await until(async () => (await left(database)) === 0);
    await say(database, alice as unknown as Account, { followersOf: alice.actor, id: "two" });
    await until(async () => (await left(database)) === 0);
    expect(far.asked.slice(1).map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET /users/ann",
      "POST /users/ann/moved",
      "POST /users/ann/moved",
    ]);
    await until(() => isForgotten(database), "the end of the message");
  });

  test("404 is tried for days, since a proxy may have lost its way; then it is as if gone", async () => {
    const { far, database, clock } = await one({ status: 404 });
    const inboxes = () => database.sql`SELECT 1 FROM actor WHERE inbox IS NOT NULL`;
    for (let tries = 1; tries < 10; tries += 1) {
      await failed(database);
      clock.advance({ hours: 24 });
    }
    expect(await inboxes()).toHaveLength(1);
    await until(async () => (await left(database)) === 0);
    expect(far.asked).toHaveLength(10);
    expect(await inboxes()).toHaveLength(0);
  });

  test("404 for an hour loses nothing", async () => {
    const { far, database, clock } = await one({ status: 404 });
    for (const minutes of [2, 10, 40]) {
      await failed(database);
      clock.advance({ minutes });
    }
    await failed(database);
    far.answer = () => ({ status: 202 });
    clock.advance({ hours: 3 });
    await until(async () => (await left(database)) === 0);
    expect(await database.sql`SELECT 1 FROM actor WHERE inbox IS NOT NULL`).toHaveLength(1);
  });

  test("410 of a shared inbox leaves the personal one", async () => {
    const far = await sink(({ path }) => ({ status: path === "/inbox" ? 410 : 202 }));
    const database = await testDatabase();
    const { start } = await post(database, testClock(), [far]);
    const alice = await person(database, "alice");
    const ann = await neighbour(database, far, "ann", { shared: `${far.origin}/inbox` });
    await say(database, alice, { to: [ann] });
    start();
    await until(async () => (await left(database)) === 0);
    await say(database, alice, { to: [ann] });
    await until(async () => (await left(database)) === 0);
    expect(far.asked.map(({ path }) => path)).toEqual(["/inbox", "/users/ann/inbox"]);
  });

  test.each([301, 408, 425, 500, 502])("%i means later", async (status) => {
    const { far, database, clock } = await one({ status, headers: { location: "/elsewhere" } });
    await until(async () => (await rows(database))[0]?.last_error !== null);
    const [row] = await rows(database);
    expect(row).toMatchObject({ attempts: 1, last_error: String(status) });
    const pauseMs = row!.due_at.getTime() - clock.real().epochMilliseconds;
    expect(pauseMs).toBeGreaterThan(25_000);
    expect(pauseMs).toBeLessThan(35_000);
    expect(far.asked).toHaveLength(1);
    far.answer = () => ({ status: 202 });
    clock.advance({ seconds: 35 });
    await until(async () => (await left(database)) === 0);
    expect(far.asked).toHaveLength(2);
    expect(await lanesOf(database)).toEqual([]);
  });

  test.each([
    ["seconds", "7200"],
    ["a date", "Tue, 10 Nov 2026 14:00:00 GMT"],
  ])(
    "429 with Retry-After in %s is kept to the second, by everything for that host",
    async (_, header) => {
      const database = await testDatabase();
      const clock = testClock();
      const far = await sink(() => ({ status: 429, headers: { "retry-after": header } }));
      const { start } = await post(database, clock, [far]);
      const alice = await person(database, "alice");
      await neighbour(database, far, "ann");
      await flattrOf(database, alice, far);
      const delivery = start();
      await until(async () => (await lanesOf(database)).length === 1);
      await flattrOf(database, alice, far, "/posts/2");
      delivery.nudge();
      clock.advance({ minutes: 119 });
      await twoLooks();
      expect(far.asked).toHaveLength(1);
      far.answer = () => ({ status: 202 });
      clock.advance({ seconds: 61 });
      await until(async () => (await left(database)) === 0);
      expect(far.asked).toHaveLength(3);
    },
  );

  test("401 is asked again with the other signature; what a host takes is remembered", async () => {
    const database = await testDatabase();
    const far = await sink(({ headers }) => ({ status: "signature-input" in headers ? 202 : 401 }));
    const { start, keys } = await post(database, testClock(), [far]);
    const alice = await person(database, "alice");
    await neighbour(database, far, "ann");
    await flattrOf(database, alice, far);
    start();
    await until(async () => (await left(database)) === 0);
    await flattrOf(database, alice, far, "/posts/2");
    await until(async () => (await left(database)) === 0);
    const { publicPem } = await keys.keyPairOf(alice.actor);
    expect(
      far.asked.map((asked) => isSigned9421(asked, `${far.origin}/users/ann/inbox`, publicPem)),
    ).toEqual([false, true, true]);
    // Its administrator changed the software.
    far.answer = ({ headers }) => ({ status: "digest" in headers ? 202 : 401 });
    await flattrOf(database, alice, far, "/posts/3");
    await flattrOf(database, alice, far, "/posts/4");
    await until(async () => (await left(database)) === 0);
    expect(await lanesOf(database)).toEqual([]);
  });

  test("401 to both kinds is tried for days, since our key may just not have been there", async () => {
    const { far, database, clock } = await one({ status: 401 });
    // We are not reachable for two days, and for ten minutes more they remember that.
    for (const hours of [1, 3, 4, 8, 16, 24]) {
      await failed(database);
      clock.advance({ hours });
    }
    await failed(database);
    expect(far.asked).toHaveLength(14);
    far.answer = () => ({ status: 202 });
    clock.advance({ hours: 24 });
    await until(async () => (await left(database)) === 0);
  });

  test.each([
    // Receivers remember for ten minutes that a key could not be fetched.
    ["401", 13, 16],
    ["500", 13, 16],
    ["404", 2.5, 4],
  ])(
    "%s is tried for so many days, whatever the row: at least %d, at most %d",
    (error, least, most) => {
      for (let id = 0n; id < 500n; id += 1n) {
        const pausesMs: number[] = [];
        for (;;) {
          const pauseMs = pauseOf({ id, attempts: pausesMs.length + 1 }, error);
          if (pauseMs === undefined) break;
          pausesMs.push(pauseMs);
        }
        const days = pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0) / 86_400_000;
        expect(days).toBeGreaterThan(least);
        expect(days).toBeLessThan(most);
        // Far more tries than one glitch and what is remembered of it can eat up.
        expect(pausesMs.filter((pauseMs) => pauseMs > 2 * 600_000).length).toBeGreaterThanOrEqual(
          6,
        );
      }
    },
  );

  async function one(told: { status: number; headers?: Record<string, string> }) {
    const database = await testDatabase();
    const clock = testClock();
    const far = await sink(() => told);
    const { start } = await post(database, clock, [far]);
    await neighbour(database, far, "ann");
    await flattrOf(database, await person(database, "alice"), far);
    start();
    return { far, database, clock };
  }
});

describe("a host that does not answer", () => {
  test("is asked less and less, while others get theirs; when it is back, it gets everything", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const dead = await sink();
    const alive = await sink();
    const { start } = await post(database, clock, [dead, alive]);
    const alice = await person(database, "alice");
    for (let n = 0; n < 60; n += 1) {
      const to = [
        await neighbour(database, dead, `d${n}`),
        await neighbour(database, alive, `a${n}`),
      ];
      await say(database, alice, { to, subject: BigInt(n), id: `${HOME}/a/${n}` });
    }
    dead.answer = () => ({ status: 503 });
    start();
    await until(async () => (await left(database)) === 60);
    expect(alive.asked).toHaveLength(60);
    await until(async () =>
      (await rows(database)).every(
        ({ due_at }) => due_at.getTime() > clock.real().epochMilliseconds,
      ),
    );
    expect(dead.asked).toHaveLength(1);
    expect((await lanesOf(database))[0]).toMatchObject({ host: dead.host, failures: 1 });

    await dead.die();
    const pausesMs: number[] = [];
    for (let tries = 2; tries <= 14; tries += 1) {
      const [{ next_try_at: next }] = (await lanesOf(database)) as unknown as [
        { next_try_at: Date },
      ];
      clock.advance({ milliseconds: next.getTime() - clock.real().epochMilliseconds });
      await until(async () => (await lanesOf(database))[0]!.failures === tries, `failure ${tries}`);
      await until(async () =>
        (await rows(database)).every(
          ({ due_at }) => due_at.getTime() > clock.real().epochMilliseconds + 60_000 * 0.8,
        ),
      );
      const [{ next_try_at: after }] = (await lanesOf(database)) as unknown as [
        { next_try_at: Date },
      ];
      pausesMs.push(after.getTime() - clock.real().epochMilliseconds);
    }
    const day = 24 * 3600 * 1000;
    expect(pausesMs.every((pause, n) => n === 0 || pause >= pausesMs[n - 1]!)).toBe(true);
    expect(Math.max(...pausesMs)).toBeLessThanOrEqual(day);
    expect(pausesMs.at(-1)).toBeGreaterThan(day * 0.8);
    expect(await left(database)).toBe(60);

    dead.answer = () => ({ status: 202 });
    await dead.revive();
    clock.advance({ hours: 24 });
    await until(async () => (await left(database)) === 0);
    const arrived = dead
      .activities()
      .slice(-60)
      .map(({ id }) => id);
    expect(new Set(arrived).size).toBe(60);
    expect(await lanesOf(database)).toEqual([]);
  });

  test("of which several were tried at once fails once, and rests as long as the longest that was asked for", async () => {
    const database = await testDatabase();
    const base = { error: "503", since: at("2026-11-10T10:00:00Z"), pauseMs: undefined };
    const now = at("2026-11-10T10:00:01Z");
    const failed = async (...failures: readonly Partial<Failure>[]) =>
      (
        await hostsFailed(
          database,
          failures.map((failure) => ({ host: "a.example", now, ...base, ...failure })),
        )
      ).map(({ failures: times, nextTryAt }) => ({
        times,
        ms: nextTryAt!.epochMilliseconds - now.epochMilliseconds,
      }));
    const pause = hostPauseMs(1, "a.example");
    expect(await failed({ host: "b.example" }, {})).toEqual([
      { times: 1, ms: hostPauseMs(1, "b.example") },
      { times: 1, ms: pause },
    ]);
    // It began before that was known.
    expect(await failed({})).toEqual([{ times: 1, ms: pause }]);
    expect(await failed({ pauseMs: 1000 })).toEqual([{ times: 1, ms: pause }]);
    expect(await failed({ pauseMs: 900_000 })).toEqual([{ times: 1, ms: 900_000 }]);
    expect(await failed({})).toEqual([{ times: 1, ms: 900_000 }]);
    const later = { since: now.add({ hours: 1 }), now: now.add({ hours: 1 }) };
    expect(await failed(later)).toEqual([
      { times: 2, ms: 3_600_000 + hostPauseMs(2, "a.example") },
    ]);
    await database.sql`UPDATE host_health SET failures = 500, takes_rfc9421 = 1`;
    const muchLater = { since: now.add({ hours: 9 }), now: now.add({ hours: 9 }) };
    expect(await failed({ ...muchLater, error: "a\0b" })).toEqual([
      { times: 501, ms: 9 * 3_600_000 + hostPauseMs(501, "a.example") },
    ]);
    // What it answered before is not forgotten, and twice at once is as once.
    expect((await healthOf(database, ["a.example"])).get("a.example")?.takesRfc9421).toBe(true);
    const last = { since: now.add({ hours: 90 }), now: now.add({ hours: 90 }) };
    const both = await Promise.all([failed(last), failed(last)]);
    expect(both.flat().map(({ times }) => times)).toEqual([502, 502]);
  });

  test("for some of its inboxes does not keep the others from theirs, whoever came first", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const far = await sink(({ path }) => {
      if (path === "/users/hung/inbox") return { status: 503 };
      return { status: path.startsWith("/users/bad") ? 500 : 202 };
    });
    const { start } = await post(database, clock, [far]);
    const alice = await person(database, "alice");
    const names = [
      "hung",
      "bad1",
      "bad2",
      "bad3",
      ...Array.from({ length: 20 }, (_, n) => `a${n}`),
    ];
    for (const [n, name] of names.entries())
      await say(database, alice, {
        to: [await neighbour(database, far, name)],
        subject: BigInt(n),
      });
    start();
    // Five rounds are enough on a machine that does nothing else.
    for (let round = 1; round <= 20 && (await left(database)) > 4; round += 1) {
      await until(async () =>
        (await rows(database)).every(
          ({ due_at }) => due_at.getTime() > clock.real().epochMilliseconds,
        ),
      );
      const [lane] = await lanesOf(database);
      if (lane?.next_try_at)
        clock.advance({
          milliseconds: lane.next_try_at.getTime() - clock.real().epochMilliseconds,
        });
      await twoLooks();
    }
    expect(await left(database)).toBe(4);
  });

  test("for weeks loses what is old", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const dead = await sink();
    const { start } = await post(database, clock, [dead]);
    const alice = await person(database, "alice");
    await say(database, alice, { to: [await neighbour(database, dead, "ann")] });
    await dead.die();
    await database.sql`INSERT INTO host_health (host, failures) VALUES (${dead.host}, 30)`;
    start();
    await until(async () => (await rows(database))[0]?.last_error === "unreachable");
    clock.advance({ hours: 24 * 13 });
    await until(async () => (await rows(database))[0]?.attempts === 2);
    expect(await left(database)).toBe(1);
    clock.advance({ hours: 24 * 2 });
    await until(async () => (await left(database)) === 0);
    await until(() => isForgotten(database), "the end of the message");
  });

  test("is remembered no longer than something waits for it (N13)", async () => {
    const database = await testDatabase();
    const { sql } = database;
    const alice = await person(database, "alice");
    const far = { origin: "https://h7.example" };
    await say(database, alice, { to: [await neighbour(database, far, "ann")] });
    await neighbour(database, { origin: "https://h9.example" }, "ann");
    await remotePost(database, "https://h9.example/1", "https://h9.example/users/ann").then(
      (thing) =>
        giveFlattr(database, { patron: alice.id, thing, source: "click", at: at("2026-11-10") }),
    );
    await sql`INSERT INTO host_health (host, failures, next_try_at) SELECT 'h' || n || '.example', 3, '2026-11-10T12:00:00Z' FROM generate_series(1, 5000) n`;
    // Somebody died between the last delivery and the message.
    await sql`INSERT INTO message (id, sender, document, at) VALUES (1, ${alice.actor}, '{}', '2026-11-10')`;
    await sql`INSERT INTO host_health (host, takes_rfc9421, last_success_at) VALUES ('modern.example', 1, '2026-10-10')`;
    await forgetHosts(database, at("2026-11-11"));
    await forgetMessages(database);
    expect(await sql`SELECT 1 FROM message`).toHaveLength(1);
    expect((await lanesOf(database)).map(({ host }) => host)).toEqual([
      "h7.example",
      "h9.example",
      "modern.example",
    ]);
  });
});

describe("the way out", () => {
  test("never leads to a private address (N08)", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const canary = await sink();
    const { start } = await post(database, clock, []);
    const alice = await person(database, "alice");
    const inboxes = [
      canary.origin,
      canary.origin.replace("127.0.0.1", "localhost"),
      canary.origin.replace("http:", "https:"),
      canary.origin.replace("127.0.0.1", "2130706433"),
      "http://10.0.0.1:6379/",
      "https://10.0.0.1/inbox",
      "https://[::1]/inbox",
      "https://[::ffff:7f00:1]/inbox",
      "https://169.254.169.254/latest",
      "http://public.example/inbox",
      "file:///etc/passwd",
      "no address",
    ];
    for (const [n, inbox] of inboxes.entries()) {
      const origin = `https://e${n}.example`;
      const ids = [
        await neighbour(database, { origin }, "p", { inbox }),
        await neighbour(database, { origin }, "s", { shared: inbox }),
      ];
      await say(database, alice, { to: ids, subject: BigInt(n) });
    }
    expect(await left(database)).toBe(inboxes.length);
    start();
    await until(async () => (await left(database)) === 0);
    expect(canary.asked).toEqual([]);
  });

  test("two at once never send one row twice, and nothing is lost", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const far = await sink(() => ({ status: 202, afterMs: 5 }));
    const alice = await person(database, "alice");
    for (let n = 0; n < 300; n += 1) {
      const to = [await neighbour(database, far, `a${n}`)];
      await say(database, alice, { to, subject: BigInt(n), id: `${HOME}/a/${n}` });
    }
    const first = await post(database, clock, [far]);
    const second = await post(database, clock, [far]);
    first.start();
    second.start({ requestsPerHost: 8 });
    await until(async () => (await left(database)) === 0);
    const ids = far.activities().map(({ id }) => id);
    expect(ids).toHaveLength(300);
    expect(new Set(ids).size).toBe(300);
    await until(() => isForgotten(database), "the end of the message");
  });

  test("that is closed in the middle lets running requests end and leaves the rest to the next one", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const far = await sink(() => ({ status: 202, afterMs: 200 }));
    const { start } = await post(database, clock, [far]);
    const alice = await person(database, "alice");
    for (let n = 0; n < 40; n += 1) {
      const to = [await neighbour(database, far, `a${n}`)];
      await say(database, alice, { to, subject: BigInt(n), id: `${HOME}/a/${n}` });
    }
    const first = start();
    await until(() => far.asked.length >= 4);
    await first.stop();
    const sent = far.asked.length;
    expect(sent).toBeLessThan(40);
    // Whatever was sent is gone from the table; whatever is there is due, and was not tried.
    const kept = await rows(database);
    expect(kept).toHaveLength(40 - sent);
    expect(
      kept.every(
        ({ attempts, due_at }) =>
          attempts === 0 && due_at.getTime() <= clock.real().epochMilliseconds,
      ),
    ).toBe(true);
    far.answer = () => ({ status: 202 });
    start();
    await until(async () => (await left(database)) === 0);
    expect(new Set(far.activities().map(({ id }) => id)).size).toBe(40);
    expect(far.asked).toHaveLength(40);
  });

  test("of a process that was killed is taken up when its lease ends", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const far = await sink();
    const { start } = await post(database, clock, [far]);
    await neighbour(database, far, "ann");
    await flattrOf(database, await person(database, "alice"), far);
    // Takes it, and is never heard of again.
    const taken = await takeDue(database, { now: clock.real(), leaseMs: 180_000, limit: 10 });
    expect(taken.due).toHaveLength(1);
    start();
    await twoLooks();
    expect(far.asked).toEqual([]);
    clock.advance({ minutes: 3 });
    await until(async () => (await left(database)) === 0);
    expect(far.asked).toHaveLength(1);
  });

  test("gives a host a few requests at a time", async () => {
    const database = await testDatabase();
    let running = 0;
    let most = 0;
    const far = await sink(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running -= 1;
      return { status: 202 };
    });
    const { start } = await post(database, testClock(), [far]);
    const alice = await person(database, "alice");
    for (let n = 0; n < 30; n += 1) {
      const to = [await neighbour(database, far, `a${n}`)];
      await say(database, alice, { to, subject: BigInt(n) });
    }
    start({ requestsPerHost: 3 });
    await until(async () => (await left(database)) === 0);
    expect(most).toBe(3);
  });
});

describe("what somebody says", () => {
  test("goes once to each inbox of 200 followers, and to nobody of this instance", async () => {
    const database = await testDatabase();
    const { sql } = database;
    const alice = await person(database, "alice");
    const bob = await person(database, "bob");
    const big = await Promise.all([sink(), sink(), sink()]);
    const small = await sink();
    const { start } = await post(database, testClock(), [...big, small]);
    for (let n = 0; n < 200; n += 1) {
      const home = n < 180 ? big[n % 3]! : small;
      const id = await neighbour(
        database,
        home,
        `f${n}`,
        n < 180 ? { shared: `${home.origin}/inbox` } : {},
      );
      await sql`INSERT INTO follow (follower, followee, state, since) VALUES (${id}, ${alice.actor}, ${n === 199 ? "requested" : "accepted"}, '2026-11-01')`;
    }
    await sql`INSERT INTO follow (follower, followee, since) VALUES (${bob.actor}, ${alice.actor}, '2026-11-01')`;
    await say(database, alice, { followersOf: alice.actor, to: [bob.actor] });
    expect(await left(database)).toBe(3 + 19);
    expect(await sql`SELECT 1 FROM message`).toHaveLength(1);
    start();
    await until(async () => (await left(database)) === 0);
    // snac has no shared inbox: each of its people is told by himself.
    expect(big.map(({ asked }) => asked.length)).toEqual([1, 1, 1]);
    expect(new Set(small.asked.map(({ path }) => path)).size).toBe(19);
    await until(() => isForgotten(database), "the end of the message");
  });

  test("is written for nobody when nobody is to be told: blocked, deleted, without an inbox, or here", async () => {
    const database = await testDatabase();
    const { sql, drizzle } = database;
    const alice = await person(database, "alice");
    const bob = await person(database, "bob");
    const far = { origin: "https://far.example" };
    const [blocked, ofHost, gone, unknown] = [
      await neighbour(database, far, "blocked"),
      await neighbour(database, { origin: "https://bad.example" }, "ann"),
      await neighbour(database, far, "gone"),
      await neighbour(database, far, "unknown"),
    ];
    await blockPayments(database, {
      kind: "payee",
      target: "https://far.example/users/blocked",
      at: at("2026-11-02"),
    });
    await blockPayments(database, { kind: "host", target: "bad.example", at: at("2026-11-02") });
    await sql`UPDATE actor SET deleted_at = '2026-11-02' WHERE id = ${gone}`;
    await sql`UPDATE actor SET inbox = NULL WHERE id = ${unknown}`;
    await say(database, alice, {
      to: [bob.actor, blocked, ofHost, gone, unknown],
      followersOf: alice.actor,
    });
    await say(database, alice, {});
    expect(await left(database)).toBe(0);
    await until(() => isForgotten(database), "the end of the message");
    // A transaction that is rolled back says nothing.
    await expect(
      drizzle.transaction(async (tx) => {
        await tell(tx, {
          sender: alice.actor,
          activity: "Create",
          document: {},
          subject: 1n,
          at: at("2026-11-10"),
          to: [await neighbour(database, far, "ann")],
        });
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await left(database)).toBe(0);
  });

  test("does not reach whom the operator blocked meanwhile, and those who are let in again", async () => {
    const database = await testDatabase();
    const far = await sink();
    const bad = await sink();
    const { start } = await post(database, testClock(), [far, bad]);
    const alice = await person(database, "alice");
    const shared = { shared: `${far.origin}/inbox` };
    const told = [
      await neighbour(database, far, "ann"),
      await neighbour(database, far, "carl", shared),
      await neighbour(database, far, "dora"),
      await neighbour(database, bad, "ben"),
    ];
    await say(database, alice, { to: told });
    const ofBad = await remotePost(database, `${bad.origin}/1`, `${bad.origin}/users/ben`);
    const gift = { patron: alice.id, source: "click", at: at("2026-11-10") } as const;
    await giveFlattr(database, { ...gift, thing: ofBad });
    const targets = [
      { kind: "payee", target: `${far.origin}/users/ann` },
      { kind: "payee", target: `${far.origin}/users/carl` },
      { kind: "host", target: bad.host },
    ] as const;
    for (const block of targets) await blockPayments(database, { ...block, at: at("2026-11-11") });
    expect(await left(database)).toBe(5);
    const delivery = start();
    await until(async () => (await left(database)) === 0);
    expect(far.asked.map(({ path }) => path)).toEqual(["/users/dora/inbox"]);
    expect(bad.asked).toEqual([]);
    await delivery.stop();

    for (const block of targets)
      await unblockPayments(database, { ...block, at: at("2026-11-12") });
    await say(database, alice, { to: told, subject: 2n });
    for (const block of targets) {
      await blockPayments(database, { ...block, at: at("2026-11-13") });
      await unblockPayments(database, { ...block, at: at("2026-11-14") });
    }
    start();
    await until(async () => (await left(database)) === 0);
    expect(far.asked.map(({ path }) => path).toSorted()).toEqual([
      "/inbox",
      "/users/ann/inbox",
      "/users/dora/inbox",
      "/users/dora/inbox",
    ]);
    expect(bad.asked.map(({ path }) => path)).toEqual(["/users/ben/inbox"]);
  });

  test("about one subject arrives in its order at each inbox; other subjects and inboxes do not wait", async () => {
    const database = await testDatabase();
    const clock = testClock();
    const far = await sink(({ path, activity }) => ({
      status: path === "/users/ann/inbox" && activity!["id"] === "first" ? 500 : 202,
    }));
    const { start } = await post(database, clock, [far]);
    const alice = await person(database, "alice");
    const ann = await neighbour(database, far, "ann");
    const ben = await neighbour(database, far, "ben");
    const cleo = await neighbour(database, far, "cleo");
    start();
    await say(database, alice, { to: [ben], id: "first", subject: 7n });
    await until(async () => (await left(database)) === 0);
    await say(database, alice, { to: [ann], id: "first", subject: 7n });
    await until(async () => (await rows(database))[0]?.last_error === "500");
    clock.advance({ seconds: 1 });
    await say(database, alice, { to: [ann, ben], id: "second", subject: 7n, at: at("2026-11-11") });
    await say(database, alice, { to: [ann, cleo], id: "other", subject: 8n, at: at("2026-11-11") });
    // The host rests because of its 500; then everything but what waits behind the first may go.
    clock.advance({ seconds: 40 });
    await until(() => far.activities().filter(({ id }) => id === "first").length === 3);
    clock.advance({ seconds: 80 });
    await until(() => far.activities().filter(({ id }) => id === "other").length === 2);
    far.answer = () => ({ status: 202 });
    for (let hours = 0; hours < 6 && (await left(database)) > 0; hours += 1) {
      clock.advance({ hours: 1 });
      await twoLooks();
    }
    const toAnn = far.asked
      .filter(({ path }) => path === "/users/ann/inbox")
      .map(({ activity }) => activity!["id"]);
    expect(toAnn.indexOf("other")).toBeLessThan(toAnn.lastIndexOf("first"));
    expect(toAnn.indexOf("second")).toBeGreaterThan(toAnn.lastIndexOf("first"));
    expect(await left(database)).toBe(0);
  });

  test("waits behind what is being sent right now, whoever sends it", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const ann = await neighbour(database, { origin: "https://far.example" }, "ann");
    await say(database, alice, { to: [ann], id: "first", subject: 7n });
    await say(database, alice, { to: [ann], id: "second", subject: 7n, at: at("2026-11-11") });
    const now = Temporal.Instant.from("2026-11-20T12:00:00Z");
    const take = (when: Temporal.Instant) =>
      takeDue(database, { now: when, leaseMs: 60_000, limit: 10 });
    const { due } = await take(now);
    expect(due).toHaveLength(1);
    expect((await take(now.add({ seconds: 30 }))).due).toHaveLength(0);
    // The first one arrives: the second may go at once.
    await endDeliveries(database, [due[0]!.id], now.add({ seconds: 31 }));
    const then = await take(now.add({ seconds: 31 }));
    expect(then.due).toHaveLength(1);
    await putBack(database, [{ ...then.due[0]!, due: now.add({ hours: 1 }), error: undefined }]);
    expect(await rows(database)).toMatchObject([{ attempts: 0, last_error: null }]);
  });

  test("is put back by whoever has it: not by somebody whose lease ended", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    await say(database, alice, {
      to: [await neighbour(database, { origin: "https://far.example" }, "ann")],
    });
    const now = Temporal.Instant.from("2026-11-20T12:00:00Z");
    const take = (when: Temporal.Instant) =>
      takeDue(database, { now: when, leaseMs: 60_000, limit: 10 });
    const [late] = (await take(now)).due;
    const [other] = (await take(now.add({ seconds: 61 }))).due;
    await putBack(database, [{ ...late!, due: now, error: "500" }]);
    expect(await rows(database)).toMatchObject([
      { attempts: 2, last_error: null, due_at: new Date("2026-11-20T12:02:01Z") },
    ]);
    await putBack(database, [{ ...other!, due: now, error: "503" }]);
    expect(await rows(database)).toMatchObject([
      { attempts: 2, last_error: "503", due_at: new Date("2026-11-20T12:00:00Z") },
    ]);
  });

  test("and what it asks for again and again leaves one answer that waits", async () => {
    const database = await testDatabase();
    const { sql, settings, drizzle } = database;
    const alice = await person(database, "alice");
    const ann = await neighbour(database, { origin: "https://far.example" }, "ann");
    const flood = async (from: number, to: number) => {
      for (let n = from; n < to; n += 1)
        await drizzle.transaction((tx) =>
          takeFollow(tx, settings, {
            id: `https://far.example/follows/${n}`,
            follower: ann,
            followerUri: "https://far.example/users/ann",
            object: `${HOME}/users/alice`,
            at: at("2026-11-10"),
          }),
        );
    };
    const answers = async () => {
      const all = await sql<{ document: string }[]>`
        SELECT m.document FROM delivery d JOIN message m ON m.id = d.message ORDER BY d.id`;
      return all.map(
        ({ document }) => (JSON.parse(document) as { object: { id: string } }).object.id,
      );
    };
    await flood(0, 300);
    expect(await answers()).toEqual(["https://far.example/follows/299"]);
    expect(await sql`SELECT 1 FROM message`).toHaveLength(1);
    // What is on its way stays, and one newer answer waits behind it.
    const now = Temporal.Instant.from("2026-11-20T12:00:00Z");
    expect((await takeDue(database, { now, leaseMs: 60_000, limit: 10 })).due).toHaveLength(1);
    await flood(300, 400);
    expect(await answers()).toEqual([
      "https://far.example/follows/299",
      "https://far.example/follows/399",
    ]);
    expect(await sql`SELECT 1 FROM follow WHERE followee = ${alice.actor}`).toHaveLength(1);
  });

  test("about one subject is taken one by one at no more cost, however much waits behind", async () => {
    const database = await testDatabase();
    const { sql } = database;
    const alice = await person(database, "alice");
    const to = [await neighbour(database, { origin: "https://far.example" }, "ann")];
    for (let n = 0; n < 300; n += 1)
      await say(database, alice, { to, subject: 7n, id: `${HOME}/a/${n}` });
    const now = Temporal.Instant.from("2026-11-20T12:00:00Z");
    const { due } = await takeDue(database, { now, leaseMs: 60_000, limit: 300 });
    const [first] = await sql<[{ id: bigint }]>`SELECT min(id) AS id FROM delivery`;
    expect(due.map(({ id }) => id)).toEqual([first.id]);
    // One of them follows, not all.
    await endDeliveries(database, [first.id], now);
    const waiting = await sql`SELECT 1 FROM delivery WHERE due_at <= ${now.toString()}`;
    expect(waiting).toHaveLength(1);
  });
});
