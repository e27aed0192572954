/** Whole instances in this process, each with its own database, talking over loopback HTTP with real signatures. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished } from "vitest";
import { readConfig } from "../../src/config.ts";
import { isFree } from "../../src/edges/command/demo/instance.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { type Instance, openInstance } from "../../src/instance.ts";
import { databaseUrl, withServer } from "./server.ts";
import { until } from "./process.ts";

/** An instance that runs. Restarting keeps its database and its port. */
export interface Neighbour {
  readonly host: string;
  readonly origin: string;
  readonly instance: Instance;
  /** Ends it and starts it again, with the clock elsewhere. */
  restart(offset?: string): Promise<void>;
  /** Ends it, as a crash would look to others. */
  stop(): Promise<void>;
  /** Copies its database, and starts it again. */
  backUp(): Promise<void>;
  /** Puts the copy in the place of its database, and starts it again. */
  restore(clockOffset?: string): Promise<void>;
  databaseUrl: string;
  /** The settings of a command that works on the same instance. */
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * Ports that are handed out: below those that a system hands out by itself, so that nobody gets one by chance before it
 * is used, or while an instance starts again. Each worker of a run has some thousands.
 */
const FIRST_PORT = 11_000;
const PORTS_OF_WORKER = 4_000;
const WORKERS_MAX = 5;

/** Processes that run at once begin at different places: they may be of different runs. */
let portsTried = process.pid * 97;

let made = 0;

/** How instances are started. */
export interface NeighbourOptions {
  /** Shifts their clocks, as CLOCK_OFFSET does. */
  readonly offset?: string;
  readonly settings?: Record<string, string>;
  /** Others, as `host:port`, with which they may speak by http, too. */
  readonly allow?: readonly string[];
  /** Takes what ends one, for those that several tests share. */
  readonly whenOver?: (end: () => Promise<void>) => void;
}

/** Starts instances that may speak with each other by http. */
export async function neighbours(
  count: number,
  { offset = "PT0S", settings = {}, allow = [], whenOver = onTestFinished }: NeighbourOptions = {},
): Promise<Neighbour[]> {
  const ports = await freePorts(count);
  const hosts = ports.map((port) => `127.0.0.1:${port}`);
  const allowed = [...hosts, ...allow];
  return Promise.all(
    hosts.map((host, place) =>
      neighbour(host, { port: ports[place]!, offset, settings, allowed, whenOver }),
    ),
  );
}

async function neighbour(
  host: string,
  {
    port,
    offset,
    settings,
    allowed,
    whenOver,
  }: Required<Omit<NeighbourOptions, "allow">> & { port: number; allowed: readonly string[] },
): Promise<Neighbour> {
  const serverUrl = inject("serverUrl");
  const name = `fl_n_${process.pid}_${(made += 1)}`;
  await withServer(serverUrl, (sql) => sql.unsafe(`CREATE DATABASE ${name}`));
  const folder = await mkdtemp(join(tmpdir(), "fl-neighbour-"));
  const url = databaseUrl(serverUrl, name);
  const settingsAt = (clockOffset: string) => ({
    DATA_DIR: folder,
    DATABASE_URL: url,
    ORIGIN: `http://${host}`,
    PORT: String(port),
    HOST: "127.0.0.1",
    CLOCK_OFFSET: clockOffset,
    ALLOW_PRIVATE_ADDRESSES: allowed.join(","),
    ...settings,
  });
  const start = async (clockOffset: string) => {
    const instance = await openInstance(readConfig(settingsAt(clockOffset)));
    await instance.serve();
    await instance.work();
    return instance;
  };
  const state = { instance: await start(offset), isRunning: true, offset };
  const stop = async () => {
    if (!state.isRunning) return;
    state.isRunning = false;
    await state.instance.close();
  };
  whenOver(async () => {
    if (!state.isRunning) state.instance = await start(state.offset);
    state.isRunning = true;
    const findings = await checkBooks(state.instance.database);
    await stop();
    await withServer(serverUrl, (sql) => sql.unsafe(`DROP DATABASE ${name} WITH (FORCE)`));
    await rm(folder, { recursive: true, force: true });
    expect(findings).toEqual([]);
  });
  const restart = async (clockOffset = state.offset) => {
    await stop();
    state.offset = clockOffset;
    state.instance = await start(clockOffset);
    state.isRunning = true;
  };
  const copy = `${name}_copy`;
  const drop = (which: string) =>
    withServer(serverUrl, (sql) => sql.unsafe(`DROP DATABASE IF EXISTS ${which} WITH (FORCE)`));
  const copyTo = (to: string, from: string) =>
    withServer(serverUrl, (sql) => sql.unsafe(`CREATE DATABASE ${to} TEMPLATE ${from}`));
  return {
    host,
    origin: `http://${host}`,
    databaseUrl: url,
    get instance() {
      return state.instance;
    },
    get settings() {
      return settingsAt(state.offset);
    },
    restart,
    stop,
    async backUp() {
      await stop();
      await copyTo(copy, name);
      whenOver(async () => void (await drop(copy)));
      await restart();
    },
    async restore(clockOffset) {
      await stop();
      await drop(name);
      await copyTo(name, copy);
      await restart(clockOffset);
    },
  };
}

/** Ports that are free now, and that nobody else is given. */
export async function freePorts(count: number): Promise<number[]> {
  const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % WORKERS_MAX;
  const ports: number[] = [];
  while (ports.length < count) {
    portsTried += 1;
    const port = FIRST_PORT + worker * PORTS_OF_WORKER + (portsTried % PORTS_OF_WORKER);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

/** Waits until something is true of a database. */
export async function eventually(
  what: string,
  look: () => Promise<boolean>,
  patienceMs = 30_000,
): Promise<void> {
  await until(patienceMs, async () => ((await look()) ? true : undefined), what);
}
