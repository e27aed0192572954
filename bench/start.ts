/** Starting the server, and what it takes when nothing happens. */

import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { median, printerOf } from "./figures.ts";
import { untilInterrupted } from "./interrupted.ts";
import type { Options } from "./options.ts";
import { CHECKOUT, endProcess, freePort, startServer } from "./running.ts";
import { databaseUrl, withClient } from "./server.ts";

const MEBIBYTE = 2 ** 20;

/** How long nothing happens before memory is looked at. */
const IDLE_MS = 10_000;

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
      FEDIFLATTR_BUNDLE: from === "bundle" ? "1" : "0",
      DATA_DIR: join(folder, "data"),
      PORT: String(await freePort()),
      ORIGIN: "",
      DATABASE_URL: served === undefined ? "" : databaseUrl(served, name),
    };
    return await untilInterrupted(measureStarts(env, running));
  } finally {
    for (const child of running) await endProcess(child);
    if (served !== undefined)
      await withClient(served, (sql) => sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`);
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureStarts(
  env: Readonly<Record<string, string>>,
  running: Set<ChildProcess>,
): Promise<Round> {
  const first = await startServer(env, { running });
  await endProcess(first.child);
  const later = await startServer(env, { running });
  await sleep(IDLE_MS);
  return { firstMs: first.wallMs, laterMs: later.wallMs, rssBytes: await rssBytesOf(later.child) };
}

async function rssBytesOf({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}
