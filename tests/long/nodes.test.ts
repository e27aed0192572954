/**
 * Two web and two work processes of one instance on a served PostgreSQL with a synchronous hot standby, behind one
 * address that leads to the primary. What one node is told holds on all; and when the primary is lost, nothing that was
 * acknowledged is.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { tokenForScripts } from "../../src/features/access/script.ts";
import { createToken } from "../../src/features/access/token.ts";
import { type Account, createAccount } from "../../src/features/account/create.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { turnMonths } from "../../src/features/settlement/turn.ts";
import { type Instance, openInstance } from "../../src/instance.ts";
import { Temporal } from "../../src/store/time.ts";
import { eur } from "../support/database.ts";
import {
  newFolder,
  removeFolder,
  runProgram,
  serve,
  type Serving,
  TRIAL_ORIGIN,
  until,
} from "../support/process.ts";
import { listener } from "../support/sockets.ts";
import { type Cluster, missingForCluster, openCluster } from "./cluster.ts";
import {
  accepted,
  type Acknowledged,
  answerOfBot,
  ask,
  click,
  everything,
  figures,
  type Load,
  medianOf,
  missedBy,
  type Person,
  statusOf,
  textOf,
} from "./load.ts";
import { planRanges } from "./ranges.ts";

const MONTH = 202611;
const DURING_THE_MONTH = "2026-11-10T12:00:00Z";
const AFTER_THE_MONTH = "2026-12-02T12:00:00Z";

/** Requests of one token in five minutes: few enough to be spent, and enough for the load of one person. */
const REQUESTS = 240;
const WINDOW_MS = 300_000;

/** What costs little to ask. */
const VERIFY = "/api/v1/accounts/verify_credentials";

/** People who write and favourite; half of them at each web node. */
const PATRONS = 8;

/** How long the load runs before the primary is killed, between that and the promotion, and after it. */
const BEFORE_MS = 4_000;
const AWAY_MS = 2_000;
const AFTER_MS = 6_000;

/** Jobs that are there when the primary is killed. */
const JOBS = 600;

/** Longest that a node may take to come back by itself. */
const RECOVERY_MS_MAX = 15_000;

/** "Within a second", of which the machine of the test takes some for itself. */
const SOON_MS_MAX = 1_000;

let cluster: Cluster;
let folder: string;
let web: Serving[];
let work: Serving[];
let people: Person[];
const said: string[] = [];

const missing = missingForCluster();

/** Where PostgreSQL 15 is not installed, this says so and leaves the test out. */
function needsCluster(ctx: { skip(reason: string): void }): void {
  if (missing !== undefined) ctx.skip(missing);
}

beforeAll(async () => {
  if (missing !== undefined) return;
  cluster = await openCluster();
  folder = await newFolder();
  const accounts: { account: Account; token: string }[] = [];
  await withInstance(async (instance) => {
    for (let place = 0; place < PATRONS; place += 1)
      accounts.push(await settleIn(instance, `p${place}`));
  });
  web = await Promise.all([start("web"), start("web")]);
  work = await Promise.all([start("work"), start("work")]);
  people = accounts.map((one, place) => ({ ...one, node: web[place % 2]! }));
}, 240_000);

afterAll(async () => {
  if (missing !== undefined) return;
  for (const line of said) process.stdout.write(`${line}\n`);
  for (const { child } of [...(web ?? []), ...(work ?? [])]) child.kill("SIGTERM");
  for (const { ended } of [...(web ?? []), ...(work ?? [])]) await ended;
  await cluster?.close();
  if (folder !== undefined) await removeFolder(folder);
}, 120_000);

test("a post that is written at one node is streamed at the other one within a second", async (ctx) => {
  needsCluster(ctx);
  const [author, reader] = people as [Person, Person];
  const ear = await listener(urlOf(web[1]!), reader.token, "public");
  const tookMs: number[] = [];
  for (let turn = 0; turn < 9; turn += 1) {
    const { id } = await accepted(author, "POST", "/api/v1/statuses", { status: `word ${turn}` });
    const from = performance.now();
    await ear.frame(({ event, payload }) => event === "update" && payload.id === id, 10_000);
    tookMs.push(performance.now() - from);
    await sleep(50);
  }
  said.push(`a post from node to node: ${figures(tookMs)}`);
  expect(medianOf(tookMs)).toBeLessThan(SOON_MS_MAX);
});

test("a token that is revoked at one node is dead at the other one within a second", async (ctx) => {
  needsCluster(ctx);
  const { account } = people[0]!;
  const app = await accepted(people[0]!, "POST", "/api/v1/apps", {
    client_name: "Lost phone",
    redirect_uris: "urn:ietf:wg:oauth:2.0:oob",
    scopes: "read",
  });
  const tookMs: { readonly request: number[]; readonly stream: number[] } = {
    request: [],
    stream: [],
  };
  for (let turn = 0; turn < 3; turn += 1) {
    const token = await withInstance(async ({ database, clock }) => {
      const wanted = { account: account.id, scopes: ["read"], countsFlattrs: true };
      const [{ id }] = await database.sql<
        [{ id: bigint }]
      >`SELECT id FROM app WHERE client_id = ${app.client_id}`;
      return createToken(database.drizzle, { ...wanted, app: id, at: clock.now() });
    });
    const phone: Person = { account, token: token.secret, node: web[1]! };
    const ear = await listener(urlOf(web[1]!), token.secret, "user");
    expect((await ask(phone, "GET", VERIFY)).status).toBe(200);
    const from = performance.now();
    const closed = ear.closed.then(() => performance.now() - from);
    await accepted({ ...phone, node: web[0]! }, "POST", "/oauth/revoke", {
      client_id: app.client_id,
      client_secret: app.client_secret,
      token: token.secret,
    });
    await until(10_000, async () =>
      (await ask(phone, "GET", VERIFY)).status === 401 ? true : undefined,
    );
    tookMs.request.push(performance.now() - from);
    tookMs.stream.push(await closed);
  }
  said.push(
    `a revoked token is refused: ${figures(tookMs.request)}; its stream is closed: ${figures(tookMs.stream)}`,
  );
  // Each of them: who holds a stolen token gets no slow second.
  expect(Math.max(...tookMs.request)).toBeLessThan(SOON_MS_MAX);
  expect(Math.max(...tookMs.stream)).toBeLessThan(SOON_MS_MAX);
});

test("limits count what is asked at both nodes together, within a second", async (ctx) => {
  needsCluster(ctx);
  const here = await withInstance((instance) => tokenOf(instance, people[1]!.account));
  const [one, other] = web.map((node): Person => ({ ...people[1]!, token: here, node })) as [
    Person,
    Person,
  ];
  // Counting must not begin anew in the middle.
  const left = WINDOW_MS - (Date.now() % WINDOW_MS);
  if (left < 30_000) await sleep(left + 100);
  const half = REQUESTS / 2;
  for (let turn = 0; turn < half; turn += 1)
    expect((await ask(one, "GET", VERIFY)).status).toBe(200);
  const from = performance.now();
  // A node that has not asked for this key before learns with its first flush what others have counted.
  let spentThere = 0;
  await until(10_000, async () => {
    const { remaining } = await ask(other, "GET", VERIFY);
    spentThere += 1;
    return remaining === REQUESTS - half - spentThere ? true : sleep(100).then(() => undefined);
  });
  const tookMs = performance.now() - from;
  let refused = 0;
  for (let turn = half + spentThere; turn < REQUESTS; turn += 1)
    if ((await ask(other, "GET", VERIFY)).status === 429) refused += 1;
  expect(refused).toBe(0);
  expect((await ask(other, "GET", VERIFY)).status).toBe(429);
  await until(10_000, async () =>
    (await ask(one, "GET", VERIFY)).status === 429 ? true : sleep(100).then(() => undefined),
  );
  said.push(`counts of the other node are known after ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(SOON_MS_MAX);
});

test("the primary is killed under load, and nothing that was acknowledged is missing or doubled", async (ctx) => {
  needsCluster(ctx);
  const connections = await connectionCount();
  const ears = await Promise.all(
    people.slice(0, 2).map(({ node, token }) => listener(urlOf(node), token, "public")),
  );
  const told = people.map((): Acknowledged => ({ posts: new Map(), favourites: new Set() }));
  const load: Load = { ends: false, refused: new Map(), longestMs: 0 };
  const lanes = people.map((person, place) => click(person, place, told, load));
  await sleep(BEFORE_MS);
  const sql = cluster.direct();
  // Transactions that no standby is waited for: it may not know of them, and gives their numbers to others.
  for (let place = 0; place < 100; place += 1)
    await sql`INSERT INTO rate (key, ends, count) VALUES (${`trial ${place}`}, now(), 1)`;
  // So that jobs are under way when it happens.
  await sql`SELECT graphile_worker.add_job('tick') FROM generate_series(1, ${JOBS})`;
  await until(10_000, async () => {
    const [held] = await sql`SELECT FROM graphile_worker.jobs WHERE locked_at IS NOT NULL`;
    return held === undefined ? undefined : true;
  });

  cluster.knocked();
  await cluster.killPrimary();
  const killed = performance.now();
  const readiness = await Promise.all(web.map(({ address }) => statusOf(`${address}/readyz`)));
  await sleep(AWAY_MS);
  const knocks = cluster.knocked();
  await cluster.promoteStandby();
  const promoted = performance.now();
  const backMs = await Promise.all(
    web.map(async ({ address }) => {
      await until(60_000, async () =>
        (await statusOf(`${address}/readyz`)) === 200 ? true : undefined,
      );
      return performance.now() - promoted;
    }),
  );
  // The load itself, and the jobs that answer to it, have come back as well.
  const answeredMs = await Promise.all(
    people.slice(0, 2).map(async (person) => {
      await answerOfBot(person);
      return performance.now() - promoted;
    }),
  );
  await sleep(AFTER_MS);
  load.ends = true;
  await Promise.all(lanes);

  const count = (what: keyof Acknowledged) =>
    told.reduce((sum, { [what]: one }) => sum + one.size, 0);
  said.push(
    `fail-over: away ${Math.round(promoted - killed)} ms; web nodes ready ${backMs.map(Math.round).join(" and ")} ms after the promotion, ` +
      `jobs done after ${answeredMs.map(Math.round).join(" and ")} ms; acknowledged: ${count("posts")} posts, ${count("favourites")} favourites; ` +
      `refused meanwhile: ${JSON.stringify(Object.fromEntries(load.refused))}, longest wait for an answer ${Math.round(load.longestMs)} ms; ` +
      `connections: ${connections}; tried while away: ${knocks}`,
  );

  expect(readiness).toEqual([503, 503]);
  expect(Math.max(...backMs, ...answeredMs)).toBeLessThan(RECOVERY_MS_MAX);
  for (const { child, stderr } of [...web, ...work])
    expect(child.exitCode === null ? "runs" : stderr().slice(-2_000)).toBe("runs");
  expect(count("posts")).toBeGreaterThan(PATRONS * 10);
  expect([...load.refused.keys()].filter((status) => status !== 503)).toEqual([]);

  for (const [place, person] of people.entries()) {
    const written = await everything(person, `/api/v1/accounts/${person.account.actor}/statuses`);
    const mine = written
      .filter(({ content }) => String(content).includes("load "))
      .map(({ id, content }) => [textOf(content), id] as const);
    // Each text once, however often it was tried; and each under the id that was acknowledged.
    expect(new Map(mine).size).toBe(mine.length);
    expect(Object.fromEntries(mine)).toMatchObject(Object.fromEntries(told[place]!.posts));
    const liked = (await everything(person, "/api/v1/favourites")).map(({ id }) => String(id));
    expect(new Set(liked).size).toBe(liked.length);
    expect(liked).toEqual(expect.arrayContaining([...told[place]!.favourites]));
    expect(await flattrsOf(person)).toEqual(
      Object.fromEntries(liked.map((id) => [id, 1] as const)),
    );
  }

  // Streams that were open all the time go on.
  const heard = await Promise.all(
    ears.map(async (ear, place) => {
      const author = people[1 - place]!;
      const { id } = await accepted(author, "POST", "/api/v1/statuses", { status: "after all" });
      await ear.frame(({ event, payload }) => event === "update" && payload.id === id, 10_000);
      return missedBy(ear, told);
    }),
  );
  expect(heard).toEqual([0, 0]);
  // Counts of requests are not kept on the standby, and are counted anew.
  expect((await ask(people[0]!, "GET", VERIFY)).remaining).toBeLessThan(REQUESTS);
  // Every job is done, also those that were under way: nobody holds one that he does not know of.
  await until(
    30_000,
    async () => {
      const [left] = await cluster.direct()<
        [{ count: number }]
      >`SELECT count(*)::int AS count FROM graphile_worker.jobs WHERE task_identifier = 'tick'`;
      return left.count === 0 ? true : sleep(500).then(() => undefined);
    },
    "the end of all jobs",
  );
  expect(await check()).toEqual({ status: 0, stderr: "" });
});

test("each of the work nodes does jobs again, not only one of them", async (ctx) => {
  needsCluster(ctx);
  const [one, other] = work as [Serving, Serving];
  for (const away of [one, other]) {
    away.child.kill("SIGTERM");
    expect(await away.ended).toMatchObject({ status: 0, signal: null });
    await answerOfBot(people[2]!);
    work = [...work.filter((node) => node !== away), await start("work")];
  }
});

test("three work nodes close a month once", async (ctx) => {
  needsCluster(ctx);
  for (const node of [...web, ...work]) node.child.kill("SIGTERM");
  for (const { ended } of [...web, ...work]) expect(await ended).toMatchObject({ status: 0 });
  web = [];
  work = [];
  await withInstance(async ({ database }) => {
    await turnMonths(database, Temporal.Instant.from(AFTER_THE_MONTH));
    expect(await planRanges(database, MONTH, 1)).toBe(PATRONS);
  }, AFTER_THE_MONTH);
  const sql = cluster.direct();
  // All of them start with ticks that wait for them.
  await tickAll();
  work = await Promise.all([1, 2, 3].map(() => start("work", AFTER_THE_MONTH)));
  await until(90_000, async () => {
    const [month] = await sql`SELECT FROM period WHERE id = ${MONTH} AND state = 'closed'`;
    return month === undefined ? undefined : true;
  });
  await untilIdle();
  const closed = await monthOf();
  expect(closed.settled).toBe(PATRONS);
  // 2.00 of each, and the whole of it, once.
  expect(closed.spent).toBe(String(PATRONS * 2_000_000));
  expect(closed.shares).toBe(closed.spent);
  expect(closed.receipts).toBe(PATRONS);
  await tickAll();
  await untilIdle();
  expect(await monthOf()).toEqual(closed);
  expect(await check()).toEqual({ status: 0, stderr: "" });

  /** Several for each of them: the clock alone would add one a minute, for one of them. */
  async function tickAll(): Promise<void> {
    await sql`SELECT graphile_worker.add_job('tick') FROM generate_series(1, 12)`;
  }

  async function untilIdle(): Promise<void> {
    await until(90_000, async () => {
      const [{ count }] = await sql<
        [{ count: number }]
      >`SELECT count(*)::int AS count FROM graphile_worker.jobs WHERE task_identifier IN ('tick', 'receipts.due')`;
      return count === 0 ? true : undefined;
    });
  }

  async function monthOf() {
    const [row] = await sql<
      [{ settled: number; spent: string; shares: string; receipts: number; entries: string }]
    >`SELECT (SELECT count(*)::int FROM settlement WHERE period = ${MONTH} AND spent > 0) AS settled,
             (SELECT sum(spent)::text FROM settlement WHERE period = ${MONTH}) AS spent,
             (SELECT sum(amount)::text FROM share WHERE period = ${MONTH}) AS shares,
             (SELECT count(*)::int FROM receipt) AS receipts,
             (SELECT md5(string_agg(e::text, E'\n' ORDER BY e::text)) FROM ledger.entry e) AS entries`;
    return row;
  }
});

/** How many flattrs each post has had of a person. */
async function flattrsOf({ account }: Person): Promise<Record<string, number>> {
  const rows = await cluster.direct()<{ id: string; count: number }[]>`
    SELECT p.id::text, count(*)::int AS count FROM flattr f JOIN post p ON p.thing = f.thing
     WHERE f.period = ${MONTH} AND f.patron = ${String(account.id)} GROUP BY p.id`;
  return Object.fromEntries(rows.map(({ id, count }) => [id, count]));
}

async function connectionCount(): Promise<number> {
  const [row] = await cluster.direct()<
    [{ count: number }]
  >`SELECT count(*)::int AS count FROM pg_stat_activity WHERE backend_type = 'client backend'`;
  return row.count;
}

async function check() {
  const { status, stderr } = await runProgram(folder, ["check"], settings(DURING_THE_MONTH));
  return { status, stderr };
}

/** The settings that all nodes share, with the clock at an instant. */
function settings(instant: string): Record<string, string> {
  const seconds = Math.round((Date.parse(instant) - Date.now()) / 1000);
  return {
    DATABASE_URL: cluster.url,
    MASTER_KEY_FILE: join(folder, "..", "master-key"),
    ORIGIN: TRIAL_ORIGIN,
    DATA_DIR: folder,
    CLOCK_OFFSET: `${seconds < 0 ? "-" : ""}PT${Math.abs(seconds)}S`,
    CLIENT_REQUESTS: String(REQUESTS),
  };
}

function start(role: "web" | "work", instant = DURING_THE_MONTH): Promise<Serving> {
  return serve(folder, settings(instant), ["--role", role, "--port", "0"]);
}

/** Opens the instance in this process, for what no client can do. */
async function withInstance<T>(
  use: (instance: Instance) => Promise<T>,
  instant = DURING_THE_MONTH,
): Promise<T> {
  const instance = await openInstance(readConfig(settings(instant)));
  try {
    return await use(instance);
  } finally {
    await instance.close();
  }
}

async function settleIn(instance: Instance, name: string) {
  const { database, clock } = instance;
  const email = `${name}@mail.example`;
  const account = await createAccount(database, { name, email, role: "user", at: clock.now() });
  const patron = account.id;
  await setBudget(database, { patron, amount: eur("2.00"), at: clock.now() });
  await fund(database, { patron, amount: eur("5.00"), at: clock.now() });
  return { account, token: await tokenOf(instance, account) };
}

async function tokenOf({ database, clock }: Instance, account: Account): Promise<string> {
  const { secret } = await tokenForScripts(database, {
    account: account.id,
    scopes: "read write follow",
    countsFlattrs: true,
    at: clock.now(),
    real: clock.real(),
  });
  return secret;
}

const urlOf = ({ address }: Serving) => ({ url: new URL(address).host });
