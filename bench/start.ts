/** Starting the server, and what it takes when nothing happens. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { median, printerOf } from "./figures.ts";
import { untilInterrupted } from "./interrupted.ts";
import type { Options } from "./options.ts";
import { databaseUrl, withClient } from "./server.ts";

const CHECKOUT = join(import.meta.dirname, "..");
const MEBIBYTE = 2 ** 20;

/** How long nothing happens before memory is looked at. */
const IDLE_MS = 10_000;

/** How often it is asked whether the server is ready, and when that is given up. */
const LOOK_MS = 5;
const READY_MS_MAX = 60_000;

/** How long a server may take to end before it is killed. */
const END_MS_MAX = 20_000;

interface Round {
  readonly firstMs: number;
  readonly laterMs: number;
  readonly rssBytes: number;
}

/** Measures the bundle, where there is one, and the sources for comparison. */
export async function benchStart({ database, rounds }: Options): Promise<void> {
  const isBundled = existsSync(join(CHECKOUT, "dist/main.js"));
  if (!isBundled)
    console.error(
      "There is no dist/main.js (npm run build makes it): only the sources are measured.",
    );
  for (const from of isBundled ? (["bundle", "sources"] as const) : (["sources"] as const)) {
    const measured: Round[] = [];
    for (let round = 1; round <= rounds; round += 1)
      measured.push(await measureRound(from, database));
    const print = printerOf("start");
    const middle = (of: (round: Round) => number) => median(measured.map(of));
    print(
      `first start until ready, ${from}`,
      middle(({ firstMs }) => firstMs),
      "ms",
    );
    print(
      `later start until ready, ${from}`,
      middle(({ laterMs }) => laterMs),
      "ms",
    );
    print(
      `idle memory of Node, ${from}`,
      middle(({ rssBytes }) => rssBytes / MEBIBYTE),
      "MB",
      from === "bundle" || !isBundled ? { atMost: 170 } : undefined,
    );
  }
}

async function measureRound(
  from: "bundle" | "sources",
  served: string | undefined,
): Promise<Round> {
  const folder = await mkdtemp(join(tmpdir(), "fl-bench-"));
  const name = `fl_bench_${process.pid}_start`;
  const running = new Set<ChildProcess>();
  try {
    if (served !== undefined) await withClient(served, (sql) => sql`CREATE DATABASE ${sql(name)}`);
    const env = {
      ...process.env,
      FEDIFLATTR_BUNDLE: from === "bundle" ? "1" : "0",
      DATA_DIR: join(folder, "data"),
      PORT: String(await freePort()),
      HOST: "127.0.0.1",
      ORIGIN: "",
      DATABASE_URL: served === undefined ? "" : databaseUrl(served, name),
      LOG_LEVEL: "error",
    };
    return await untilInterrupted(measureStarts(env, running));
  } finally {
    for (const child of running) await endServer(child);
    if (served !== undefined)
      await withClient(served, (sql) => sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`);
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureStarts(env: NodeJS.ProcessEnv, running: Set<ChildProcess>): Promise<Round> {
  const first = await startServer(env, running);
  await endServer(first.child);
  const later = await startServer(env, running);
  await sleep(IDLE_MS);
  return { firstMs: first.wallMs, laterMs: later.wallMs, rssBytes: await rssBytesOf(later.child) };
}

async function startServer(
  env: NodeJS.ProcessEnv,
  running: Set<ChildProcess>,
): Promise<{ child: ChildProcess; wallMs: number }> {
  const start = performance.now();
  const child = spawn(process.execPath, [join(CHECKOUT, "bin/fediflattr.js"), "serve"], {
    cwd: CHECKOUT,
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  running.add(child);
  while (!(await isReady(`http://127.0.0.1:${env["PORT"]}/readyz`))) {
    if (child.exitCode !== null) throw new Error(`the server ended with status ${child.exitCode}`);
    if (performance.now() - start > READY_MS_MAX) throw new Error("the server does not get ready");
    await sleep(LOOK_MS);
  }
  return { child, wallMs: performance.now() - start };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(url).then(
    async (response) => {
      await response.body?.cancel();
      return response.status === 200;
    },
    () => false,
  );
}

async function endServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const killing = setTimeout(() => child.kill("SIGKILL"), END_MS_MAX);
  await ended;
  clearTimeout(killing);
}

async function rssBytesOf({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
