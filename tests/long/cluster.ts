/** A served PostgreSQL with a synchronous hot standby, and the one address that leads to whichever is the primary. */

import { execFile } from "node:child_process";
import { chownSync, existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { childrenOf, isRunning, killHard, until } from "../support/process.ts";

/** PostgreSQL 15 of Debian: the oldest that is supported. */
const BIN = "/usr/lib/postgresql/15/bin";

const DATABASE = "fediflattr";

/** What the test needs and a plain machine may lack, or undefined when everything is there. */
export function missingForCluster(): string | undefined {
  if (!existsSync(join(BIN, "postgres")))
    return "PostgreSQL 15 is not installed: apt-get install postgresql-15";
  if (process.getuid?.() === 0 && !existsSync("/usr/sbin/runuser"))
    return "runuser is not installed: apt-get install util-linux";
  return undefined;
}

/** Two servers and the address in front of them. */
export interface Cluster {
  /** Always leads to the primary; what `DATABASE_URL` is. */
  readonly url: string;
  /** The same past the address in front, for the test's own looks. */
  readonly direct: () => postgres.Sql;
  /** Kills the primary with all of its processes; from then on the address leads nowhere. */
  killPrimary(): Promise<void>;
  /** Makes the standby the primary, and lets the address lead there. */
  promoteStandby(): Promise<void>;
  /** Connections that were asked for since the last look. */
  knocked(): number;
  close(): Promise<void>;
}

/** Starts both; a commit waits for both from then on. */
export async function openCluster(): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), "fl-nodes-"));
  const [first, second] = [join(folder, "first"), join(folder, "second")];
  for (const place of [folder, socketOf(first), socketOf(second)]) {
    await mkdir(place, { recursive: true, mode: 0o700 });
    if (process.getuid?.() === 0) chownSync(place, await postgresUser(), -1);
  }
  const looks: postgres.Sql[] = [];
  const look = (home: string, database = DATABASE) => {
    const sql = postgres({
      host: socketOf(home),
      user: "postgres",
      database,
      max: 2,
      onnotice: () => {},
    });
    looks.push(sql);
    return sql;
  };
  const started: string[] = [];
  const start = async (home: string, more: readonly string[] = []) => {
    const options = [
      "listen_addresses=''",
      `unix_socket_directories=${socketOf(home)}`,
      "max_connections=300",
      "synchronous_commit=on",
      ...more,
    ];
    started.push(home);
    await asPostgres(folder, "pg_ctl", [
      ...["start", "-w", "-D", home, "-l", `${home}.log`],
      ...["-o", options.map((option) => `-c ${option}`).join(" ")],
    ]);
  };
  const stopAll = async () => {
    for (const sql of looks) await sql.end({ timeout: 1 }).catch(() => {});
    for (const home of started) await kill(home);
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };

  try {
    await asPostgres(folder, "initdb", [
      ...["-D", first, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    ]);
    await start(first);
    const maker = look(first, "postgres");
    await maker.unsafe(`CREATE DATABASE ${DATABASE}`);
    await asPostgres(folder, "pg_basebackup", [
      ...[
        "-h",
        socketOf(first),
        "-D",
        second,
        "-R",
        "-C",
        "-S",
        "second",
        "-c",
        "fast",
        "--no-sync",
      ],
    ]);
    await start(second);
    // Only now: before there is a standby, a commit would wait for ever. On the standby the list stays empty, as the
    // keepers of such pairs do it, so that it can commit alone once it is promoted.
    await maker.unsafe("ALTER SYSTEM SET synchronous_standby_names = '*'");
    await maker`SELECT pg_reload_conf()`;
    await until(
      60_000,
      async () => {
        const [sync] = await maker`SELECT FROM pg_stat_replication WHERE sync_state = 'sync'`;
        return sync === undefined ? undefined : true;
      },
      "a synchronous standby",
    );
  } catch (error) {
    await stopAll();
    throw error;
  }

  const front = await openFront(first);
  let primary = first;
  return {
    url: `postgres://postgres@127.0.0.1:${front.port}/${DATABASE}`,
    direct: () => look(primary),
    async killPrimary() {
      await kill(primary);
    },
    async promoteStandby() {
      await asPostgres(folder, "pg_ctl", ["promote", "-w", "-D", second]);
      primary = second;
      front.leadTo(second);
    },
    knocked: () => front.knocked(),
    async close() {
      await front.close();
      await stopAll();
    },
  };
}

/**
 * The address in front. As HAProxy does it, it takes every connection, and closes it when nobody is there or the
 * primary goes away.
 */
async function openFront(first: string) {
  let home = first;
  let knocks = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    knocks += 1;
    const behind = connect(join(socketOf(home), ".s.PGSQL.5432"));
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      open.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
    client.pipe(behind).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    leadTo: (next: string) => {
      home = next;
    },
    knocked: () => {
      const count = knocks;
      knocks = 0;
      return count;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** Ends a server and all that it has made, by force. */
async function kill(home: string): Promise<void> {
  const text = await readFile(join(home, "postmaster.pid"), "utf8").catch(() => "");
  const pid = Number(text.split("\n")[0]);
  const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  // A pid in a file may be somebody else's by now.
  if (!(pid > 0) || !line.split("\0").includes(home)) return;
  const children = await childrenOf(pid);
  for (const one of [pid, ...children]) killHard(one);
  for (const one of [pid, ...children])
    await until(10_000, async () => ((await isRunning(one)) ? undefined : true), "a server's end");
}

/** Where a server listens: beside its data, since a copy of the data must not have the lock of the socket. */
const socketOf = (home: string) => `${home}.socket`;

async function postgresUser(): Promise<number> {
  return Number((await run("id", ["-u", "postgres"])).trim());
}

/** PostgreSQL refuses to run as root. */
async function asPostgres(folder: string, program: string, args: readonly string[]): Promise<void> {
  const command = [join(BIN, program), ...args];
  if (process.getuid?.() === 0) command.unshift("runuser", "-u", "postgres", "--");
  await run(command[0]!, command.slice(1), folder);
}

async function run(program: string, args: readonly string[], cwd = tmpdir()): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...args], { cwd, timeout: 120_000 });
  return stdout;
}
