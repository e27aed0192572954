/** The embedded database and `serve`, as processes that start, share, crash and end. */

import { mkdir, readdir, readlink, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  childrenOf,
  copyFolder,
  type Ended,
  isRunning,
  killHard,
  newFolder,
  postmasterOf,
  removeFolder,
  runJson,
  runProgram,
  type Running,
  type Serving,
  serve,
  startScript,
  startProgram,
  until,
} from "../support/process.ts";

/** A folder with a database whose server does not run; each test copies it. */
let prepared: string;

/** What the two processes said that began on it when it was empty, at once. */
let firstStarts: Ended[];

beforeAll(async () => {
  prepared = await newFolder();
  firstStarts = await Promise.all(
    ["anna", "ben"].map((name) =>
      runProgram(prepared, ["account", "create", name, "--email", `${name}@mail.example`]),
    ),
  );
});

afterAll(async () => {
  await removeFolder(prepared);
});

/** A folder for one test, with a database or empty. */
async function folderFor(what: "prepared" | "empty"): Promise<string> {
  const folder = what === "prepared" ? await copyFolder(prepared) : await newFolder();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

/** A `serve` that goes away with the test. */
async function serving(
  folder: string,
  extra: Record<string, string> = {},
  args?: string[],
): Promise<Serving> {
  const running = await serve(folder, extra, args);
  onTestFinished(() => endHard(running));
  return running;
}

async function endHard({ child, ended }: Running): Promise<void> {
  child.kill("SIGKILL");
  await ended;
}

/** Ends a process as an operator does. */
async function endSoftly({ child, ended }: Running): Promise<Ended> {
  child.kill("SIGTERM");
  return ended;
}

async function statusOf(url: string, patienceMs = 2000): Promise<number> {
  return fetch(url, { signal: AbortSignal.timeout(patienceMs) }).then(
    async (response) => {
      await response.arrayBuffer();
      return response.status;
    },
    () => 0,
  );
}

/** How long a killed server, or one on a machine that stands still, may be missed. */
const REVIVED_MS_MAX = 30_000;

async function untilReady({ address }: Serving): Promise<void> {
  await until(
    REVIVED_MS_MAX,
    async () => ((await statusOf(`${address}/readyz`)) === 200 ? true : undefined),
    `${address}/readyz`,
  );
}

/** A server that was told to end has removed its files a moment before it is gone. */
async function untilEnded(pid: number): Promise<void> {
  await until(5_000, async () => ((await isRunning(pid)) ? undefined : true), "the server's end");
}

/** A connection past the program, to look and to lock. */
function connectTo(folder: string): postgres.Sql {
  const sql = postgres({
    host: join(folder, "run"),
    port: 5432,
    user: "fediflattr",
    database: "fediflattr",
    max: 1,
    onnotice: () => {},
  });
  onTestFinished(async () => {
    await sql.end({ timeout: 0 }).catch(() => {});
  });
  return sql;
}

describe("an empty folder", () => {
  test("two processes that start at once both work, on one database", async () => {
    for (const { status, stderr } of firstStarts)
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(await postmasterOf(prepared)).toBeUndefined();
    const folder = await folderFor("prepared");
    for (const { status } of await Promise.all([
      runProgram(folder, ["statement", "anna"]),
      runProgram(folder, ["statement", "ben"]),
    ]))
      expect(status).toBe(0);
  });

  test("the first serve answers health and pages, and says what to do next, whatever a start that was cut off has left", async () => {
    const folder = await folderFor("empty");
    await mkdir(join(folder, "postgres.init-draft-aBcDeF/base"), { recursive: true });
    await writeFile(join(folder, "postgres.init-draft-aBcDeF/PG_VERSION"), "18\n");
    await writeFile(join(folder, "start.lock.999999.1"), "999999 1");
    await writeFile(join(folder, "start.lock"), "999999 1");
    const running = startProgram(folder, ["serve", "--port", "0"]);
    onTestFinished(() => endHard(running));
    const line = await until(30_000, async () => /^.*\n/.exec(running.stdout())?.[0], "the line");
    const address = /http:\/\/localhost:\d+/.exec(line)![0];
    expect(line).toMatch(
      /^Fediflattr answers on http:\/\/localhost:\d+ .*- next: npm run -s fediflattr -- account create /,
    );
    expect(await (await fetch(`${address}/healthz`)).json()).toEqual({ status: "ok" });
    // It says that it is not when the database takes a second to answer.
    await expect
      .poll(async () => (await fetch(`${address}/readyz`)).json(), { timeout: REVIVED_MS_MAX })
      .toEqual({ status: "ok" });
    for (const [wanted, language, words] of [
      ["", "en", "Set a monthly budget"],
      ["de-AT,en;q=0.5", "de", "Monatsbudget"],
      ["fr, nl;q=0.9, de;q=0.8", "nl", "maandbudget"],
    ] as const) {
      const page = await fetch(address, { headers: { "accept-language": wanted } });
      expect(page.status).toBe(200);
      expect(page.headers.get("content-language")).toBe(language);
      const text = await page.text();
      expect(text).toContain(`<html lang="${language}">`);
      expect(text).toContain(words);
    }
    const { status, stdout, stderr } = await endSoftly(running);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toBe(line);
    const left = (await readdir(folder)).filter((name) => name.startsWith("postgres."));
    expect(left).toEqual(["postgres.log"]);
  });
});

describe("a shared server", () => {
  test("a process that is killed leaves it, and the next one adopts it", async () => {
    const folder = await folderFor("prepared");
    const killed = await serving(folder);
    const postmaster = await postmasterOf(folder);
    expect(postmaster).toBeDefined();
    await endHard(killed);
    const next = await serving(folder);
    expect(await postmasterOf(folder)).toBe(postmaster);
    await untilReady(next);
    expect((await endSoftly(next)).status).toBe(0);
    await untilEnded(postmaster!);
  });

  test("one that was killed is started again by the next process", async () => {
    const folder = await folderFor("prepared");
    const killed = await serving(folder);
    const postmaster = (await postmasterOf(folder))!;
    await endHard(killed);
    killHard(postmaster);
    const { status, stderr } = await runProgram(folder, ["check"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  test(
    "one that is killed under a running serve is back within seconds, and serve goes on",
    { timeout: 240_000 },
    async () => {
      const folder = await folderFor("prepared");
      const running = await serving(folder);
      for (const withChildren of [false, true]) {
        const postmaster = (await postmasterOf(folder))!;
        const children = await childrenOf(postmaster);
        // Requests are under way when it happens.
        const asked = Array.from({ length: 20 }, () =>
          statusOf(`${running.address}/.well-known/jwks.json`, REVIVED_MS_MAX),
        );
        killHard(postmaster);
        if (withChildren) for (const child of children) killHard(child);
        for (const status of await Promise.all(asked))
          expect([200, 503], `${running.child.exitCode} ${running.stderr()}`).toContain(status);
        await untilReady(running);
        expect(await postmasterOf(folder)).not.toBe(postmaster);
        const [thing] = await runJson(folder, ["post", "anna", "Hello"]);
        expect(thing).toMatchObject({ account: "anna" });
      }
      expect(running.child.exitCode).toBeNull();
      expect((await endSoftly(running)).status).toBe(0);
      expect((await runProgram(folder, ["check"])).status).toBe(0);
    },
  );

  test("whoever ends last stops it, and nobody before", async () => {
    const folder = await folderFor("prepared");
    const [first, last] = await Promise.all([serving(folder), serving(folder)]);
    const postmaster = (await postmasterOf(folder))!;
    expect((await endSoftly(first)).status).toBe(0);
    expect((await runProgram(folder, ["check"])).status).toBe(0);
    expect(await postmasterOf(folder)).toBe(postmaster);
    await untilReady(last);
    expect((await endSoftly(last)).status).toBe(0);
    await untilEnded(postmaster);
  });

  test("processes that come and go in each other's way all find it", async () => {
    const folder = await folderFor("prepared");
    const script = join(import.meta.dirname, "come-and-go.ts");
    const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
    const runs = [1, 2, 3].map((place) =>
      startScript(script, folder, ["6", String(seed + place * 977)]),
    );
    for (const { ended } of runs) {
      const { status, stderr } = await ended;
      expect({ status, stderr }, `SEED=${seed}`).toEqual({ status: 0, stderr: "" });
    }
    expect(await postmasterOf(folder)).toBeUndefined();
  });
});

describe("a data folder", () => {
  test("with a path too long for a socket works, for several processes", async () => {
    const base = await folderFor("prepared");
    const folder = join(base, "a-path-that-is-far-too-long-for-a-unix-socket".repeat(3));
    await mkdir(folder);
    for (const name of ["postgres", "master-key"])
      await rename(join(base, name), join(folder, name));
    expect(Buffer.byteLength(folder)).toBeGreaterThan(107);
    onTestFinished(() => removeFolder(folder));
    const running = await serving(folder);
    await untilReady(running);
    expect((await runProgram(folder, ["check"])).status).toBe(0);
    expect(running.child.exitCode).toBeNull();
    await endHard(running);
    expect((await runProgram(folder, ["check"])).status).toBe(0);
    expect(await postmasterOf(folder)).toBeUndefined();
  });

  test.runIf(process.getuid?.() === 0)(
    "of root is served in a user namespace where root is somebody else, and the files stay root's",
    async () => {
      const folder = await folderFor("prepared");
      await serving(folder);
      const postmaster = (await postmasterOf(folder))!;
      expect(await readlink(`/proc/${postmaster}/ns/user`)).not.toBe(
        await readlink("/proc/self/ns/user"),
      );
      expect((await stat(join(folder, "postgres/PG_VERSION"))).uid).toBe(0);
      expect((await stat(join(folder, "run"))).mode & 0o077).toBe(0);
    },
  );

  test("whose lock belongs to a dead process, or to one that has its pid by chance, starts", async () => {
    const folder = await folderFor("prepared");
    for (const owner of ["999999 123", `${process.pid} 1`]) {
      await writeFile(join(folder, "start.lock"), owner);
      const { status, stderr } = await runProgram(folder, ["check"]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    }
    expect((await readdir(folder)).filter((name) => name.startsWith("start.lock"))).toEqual([]);
  });
});

describe("serve", () => {
  test("answers the request that is under way when it is told to end, and exits with 0", async () => {
    const folder = await folderFor("prepared");
    const running = await serving(folder);
    const { answer, release } = await slowRequest(folder, running);
    running.child.kill("SIGTERM");
    await until(
      10_000,
      async () => ((await statusOf(`${running.address}/healthz`)) === 0 ? true : undefined),
      "the end of other requests",
    );
    expect(running.child.exitCode).toBeNull();
    await release();
    expect(await answer).toBe(200);
    const { status, stderr } = await running.ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(await postmasterOf(folder)).toBeUndefined();
  });

  test("ends at once with 1 at a second signal, and what it leaves hinders nobody", async () => {
    const folder = await folderFor("prepared");
    const running = await serving(folder);
    const { answer, release } = await slowRequest(folder, running);
    running.child.kill("SIGTERM");
    await sleep(200);
    expect(running.child.exitCode).toBeNull();
    running.child.kill("SIGINT");
    expect((await running.ended).status).toBe(1);
    expect(await answer).toBe(0);
    await release();
    expect((await runProgram(folder, ["check"])).status).toBe(0);
  });

  test("says in a sentence that its port is taken, with a status that is not 0", async () => {
    const folder = await folderFor("prepared");
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as { port: number };
    const { status, stdout, stderr } = await runProgram(folder, ["serve", "--port", String(port)]);
    expect(stdout).toBe("");
    expect(stderr).toMatch(new RegExp(`port ${port} is taken on 127\\.0\\.0\\.1: .*PORT`));
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(status).toBeGreaterThan(0);
    expect(await postmasterOf(folder)).toBeUndefined();
  });
});

/** A request that waits for a lock in the database until it is released. */
async function slowRequest(
  folder: string,
  { address }: Serving,
): Promise<{ answer: Promise<number>; release: () => Promise<void> }> {
  const locker = connectTo(folder);
  await locker`BEGIN`;
  await locker`LOCK TABLE signing_key IN ACCESS EXCLUSIVE MODE`;
  const answer = fetch(`${address}/.well-known/jwks.json`).then(
    async (response) => {
      await response.text();
      return response.status;
    },
    () => 0,
  );
  const watcher = connectTo(folder);
  await until(
    10_000,
    async () => {
      const [waiting] =
        await watcher`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%signing_key%'`;
      return waiting === undefined ? undefined : true;
    },
    "the request's query",
  );
  await watcher.end();
  return {
    answer,
    release: async () => {
      await locker`COMMIT`;
      await locker.end();
    },
  };
}
