/** The database goes away, behind an address that takes every connection and closes it again, as HAProxy does. */

import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { openClients } from "../../src/store/database.ts";
import { addJob, handle, type JobKind, startJobs } from "../../src/store/jobs.ts";
import { testDatabase } from "../support/database.ts";
import { type Front, openFront } from "../support/front.ts";
import { newFolder, removeFolder, runProgram, startScript, until } from "../support/process.ts";

const kind: JobKind<Record<string, never>> = { name: "trial" };

/** A worker behind such an address; `first` is what its first job does, the next ones do nothing. */
async function working(first: (front: Front) => Promise<void> = async () => {}) {
  const database = await testDatabase();
  const front = await openFront(database.url, onTestFinished);
  let times = 0;
  const jobs = startJobs(front.url, [
    {
      handlers: [
        handle(kind, async () => {
          times += 1;
          if (times === 1) await first(front);
        }),
      ],
      schedules: [],
    },
  ]);
  onTestFinished(() => jobs.stop());
  await addJob(database.drizzle, kind, {}, "first");
  await until(20_000, async () => (times > 0 ? true : undefined), "the first job");
  /** All jobs are done and written off. */
  const isIdle = () =>
    until(20_000, async () => {
      const [left] = await database.sql`SELECT FROM graphile_worker.jobs`;
      return left === undefined ? true : undefined;
    });
  return { database, front, isIdle, times: () => times };
}

test.each([
  {
    what: "is done",
    restMs: 500,
    // What it did cannot be written down.
    first: async (front: Front) => front.goAway(),
  },
  {
    what: "fails",
    restMs: 5_000,
    first: async (front: Front) => {
      front.goAway();
      // Both workers of the lane find nobody meanwhile.
      await sleep(3_000);
      throw new Error("the database is away");
    },
  },
])(
  "a job that $what while the database goes away is held by nobody, and done again",
  async ({ first, restMs }) => {
    const { front, isIdle, times } = await working(first);
    await sleep(restMs);
    front.comeBack();
    await until(20_000, async () => (times() === 2 ? true : undefined), "a second try");
    await isIdle();
    expect(times()).toBe(2);
  },
);

test("a job whose worker never heard that it has it is held by nobody", async () => {
  const { database, front, isIdle, times } = await working();
  await isIdle();
  // The worker's question still arrives; the answer does not.
  front.swallowAnswers();
  await addJob(database.drizzle, kind, {}, "second");
  await until(20_000, async () => {
    const [held] = await database.sql`SELECT FROM graphile_worker.jobs WHERE locked_at IS NOT NULL`;
    return held === undefined ? undefined : true;
  });
  front.goAway();
  await sleep(500);
  front.comeBack();
  await until(20_000, async () => (times() === 2 ? true : undefined), "the job");
  await isIdle();
  expect(times()).toBe(2);
});

test("a worker that is stopped while its listener breaks gives the connection back once, and ends in order", async () => {
  const { url } = await testDatabase();
  const front = await openFront(url, onTestFinished);
  // The listener's first question arrives; the answer does not.
  front.swallowAnswersFrom("LISTEN");
  const jobs = startJobs(front.url, [{ handlers: [handle(kind, async () => {})], schedules: [] }]);
  await until(20_000, async () => (front.isDeaf() ? true : undefined), "the listener");
  const stopped = jobs.stop();
  await sleep(200);
  front.goAway();
  await expect(stopped).resolves.toBeUndefined();
  // The listener that was stopped tries once more to listen: nothing that it does then is thrown, either.
  await sleep(500);
});

test("a database that closes each connection is an error, not a wait without end or a storm of tries", async () => {
  const front = await openFront("postgres://nobody@127.0.0.1:1/none", onTestFinished);
  front.goAway();
  const clients = openClients(front.url);
  onTestFinished(() => clients.end());
  const from = performance.now();
  const failed = await Promise.allSettled(
    Array.from({ length: 30 }, () => clients.sql`SELECT 1`.execute()),
  );
  expect(new Set(failed.map(({ status }) => status))).toEqual(new Set(["rejected"]));
  expect(performance.now() - from).toBeLessThan(5_000);
  await sleep(1_000);
  expect(front.knocks()).toBeLessThan(100);
});

test("connections that broke in the middle of transactions are of use as soon as the database is back", async () => {
  const { url } = await testDatabase();
  const folder = await newFolder();
  onTestFinished(() => removeFolder(folder));
  const script = join(import.meta.dirname, "begin-anew.ts");
  const { stdout, stderr } = await startScript(script, folder, [url]).ended;
  const { failed, answered, took } = JSON.parse(stdout) as Record<string, unknown>;
  expect(failed, stderr).toEqual(Array(4).fill("rejected"));
  expect(answered, stderr).toEqual(Array(4).fill("fulfilled"));
  // Far below the wait for a connection.
  expect(took).toBeLessThan(5_000);
});

test("a connection that breaks while it is being opened fails what was asked, and nothing more", async () => {
  // It lets everybody in, and breaks at the first question: that about types, which postgres.js asks by itself.
  const welcome = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);
  const server = createServer((client) => {
    client.on("error", () => {});
    client.once("data", () => {
      client.write(welcome);
      client.once("data", () => client.resetAndDestroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const folder = await newFolder();
  onTestFinished(() => removeFolder(folder));
  const { status, stdout, stderr } = await runProgram(folder, ["check", "--json"], {
    DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/none`,
  });
  // Whoever asked has heard of it, and the process has gone on until then.
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: "failed" });
  expect(stderr).toContain("the database server went away");
  expect(stderr).not.toContain("onStreamRead");
});
