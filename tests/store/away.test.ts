/** The database goes away, behind an address that takes every connection and closes it again, as HAProxy does. */

import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { addressOf, openClients } from "../../src/store/database.ts";
import { addJob, handle, type JobKind, startJobs } from "../../src/store/jobs.ts";
import { testDatabase } from "../support/database.ts";
import { newFolder, removeFolder, runProgram, until } from "../support/process.ts";

const kind: JobKind<Record<string, never>> = { name: "trial" };

/** A worker behind such an address; `first` is what its first job does, the next ones do nothing. */
async function working(first: (front: Front) => Promise<void> = async () => {}) {
  const database = await testDatabase();
  const front = await openFront(database.url);
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

test("a database that closes each connection is an error, not a wait without end or a storm of tries", async () => {
  const front = await openFront("postgres://nobody@127.0.0.1:1/none");
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

type Front = Awaited<ReturnType<typeof openFront>>;

/** An address in front of a database, as HAProxy is one. */
async function openFront(url: string) {
  const { host, port, path } = { path: undefined, ...addressOf(url) };
  const at = String(host);
  const state = { isAway: false, isDeaf: false, knocks: 0 };
  const open = new Set<Socket>();
  const server = createServer((client) => {
    state.knocks += 1;
    open.add(client);
    client.on("error", () => {}).on("close", () => open.delete(client));
    if (state.isAway) {
      client.resume();
      client.end();
      return;
    }
    const behind = at.startsWith("/")
      ? connect(path ?? `${at}/.s.PGSQL.5432`)
      : connect(typeof port === "number" ? port : 5432, at);
    open.add(behind);
    behind
      .on("error", () => {})
      .on("close", () => {
        open.delete(behind);
        client.destroy();
      });
    client.on("close", () => behind.destroy());
    client.pipe(behind);
    behind.on("data", (part) => {
      if (!state.isDeaf) client.write(part);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = new URL(url);
  address.searchParams.delete("host");
  address.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: address.href,
    knocks: () => state.knocks,
    goAway: () => {
      state.isAway = true;
      for (const socket of open) socket.destroy();
    },
    swallowAnswers: () => {
      state.isDeaf = true;
    },
    comeBack: () => {
      state.isAway = false;
      state.isDeaf = false;
    },
  };
}
