/** The database server of a bench: durable, its own, and gone afterwards. */

import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { readConfig } from "../src/config.ts";
import { openInstance } from "../src/instance.ts";
import { addressOf, openClients, type Database, urlOf } from "../src/store/database.ts";
import { openEmbedded, type ServerSettings } from "../src/store/embedded.ts";
import { untilInterrupted } from "./interrupted.ts";
import { endProcess } from "./running.ts";
import { SETTINGS } from "./settings.ts";

/** Clock ticks of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

export interface Server {
  /** A database for making others. */
  readonly url: string;
  /** For files that live as long as the server. */
  readonly folder: string;
  /** Programs that use the databases: they are ended before those are dropped, whatever happens. */
  readonly running: Set<ChildProcess>;
  /** The folder of the instance whose database has that name: its master key is there. */
  dataFolder(name: string): string;
  /** Makes a database with the tables of an instance; `env`: settings that differ from those of all benches. */
  makeDatabase(name: string, env?: Readonly<Record<string, string>>): Promise<string>;
  /** Copies a database nobody is connected to. */
  cloneDatabase(from: string, to: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
}

/** Runs `work` with a server, and removes everything that it made. `settings`: of an embedded one. */
export async function withServer<T>(
  named: string | undefined,
  work: (server: Server) => Promise<T>,
  settings: ServerSettings = {},
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "fl-bench-"));
  try {
    const embedded =
      named === undefined ? await openEmbedded(join(folder, "pg"), settings) : undefined;
    const url = named ?? urlOf(embedded!.address);
    const made = new Set<string>();
    const running = new Set<ChildProcess>();
    try {
      return await untilInterrupted(work(serverAt({ url, folder, made, running })));
    } finally {
      await Promise.all([...running].map(endProcess));
      await withClient(url, async (sql) => {
        for (const name of made) await sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`;
      }).catch(() => {});
      await embedded?.release();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function serverAt({
  made,
  ...server
}: Pick<Server, "url" | "folder" | "running"> & { made: Set<string> }): Server {
  const { url, folder } = server;
  return {
    ...server,
    dataFolder: (name) => join(folder, name),
    async makeDatabase(name, env = {}) {
      made.add(name);
      await withClient(url, (sql) => sql`CREATE DATABASE ${sql(name)}`);
      const instance = await openInstance(
        readConfig({
          DATA_DIR: join(folder, name),
          DATABASE_URL: databaseUrl(url, name),
          ORIGIN: SETTINGS.origin,
          FEE_BASIS_POINTS: String(SETTINGS.feeBasisPoints),
          ...env,
        }),
      );
      await instance.close();
      return databaseUrl(url, name);
    },
    async cloneDatabase(from, to) {
      made.add(to);
      await withClient(url, (sql) =>
        sql.unsafe(`CREATE DATABASE ${to} TEMPLATE ${from} STRATEGY FILE_COPY`),
      );
      return databaseUrl(url, to);
    },
    async dropDatabase(name) {
      await withClient(url, (sql) => sql`DROP DATABASE ${sql(name)} WITH (FORCE)`);
      made.delete(name);
    },
  };
}

/** The URL of another database of the same server. */
export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** One connection for a while. */
export async function withClient<T>(
  url: string,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = postgres({ ...addressOf(url), max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** The clients that features get, for a while. */
export async function withDatabase<T>(
  url: string,
  connections: number,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const { end, ...clients } = openClients(url, connections);
  try {
    return await work({ ...clients, settings: SETTINGS });
  } finally {
    await end();
  }
}

/** CPU seconds that processes have used so far, in user and kernel; those that are gone count nothing. */
export async function cpuSecondsOf(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

/** The backends that serve a database, this connection's own one included. */
export async function backendsOf(sql: postgres.Sql): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' ORDER BY pid`;
  return rows.map(({ pid }) => pid);
}
