/** Giving a flattr, against pgbench doing nothing but the insert. */

import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type postgres from "postgres";
import { giveFlattr } from "../src/features/flattr/give.ts";
import { periodNumber } from "../src/rules/period.ts";
import { addressOf, type Database } from "../src/store/database.ts";
import { median, printerOf } from "./figures.ts";
import { fillMonth, patronId, THINGS, thingId } from "./month.ts";
import type { Options } from "./options.ts";
import { backendsOf, cpuSecondsOf, withClient, withDatabase, withServer } from "./server.ts";
import { MONTH, MONTH_OPENS } from "./settings.ts";

const run = promisify(execFile);

const CONNECTIONS = [1, 8, 32];
const PATRONS = 10_000;
const PGBENCH_THREADS = 2;
const PGBENCH_PROGRAMS = ["pgbench", "/usr/lib/postgresql/15/bin/pgbench"];

/** How often the CPU of backends is looked at that vanish at the end of their load. */
const LOOK_MS = 200;

/** One load: what was given, and what it cost. */
interface Load {
  readonly perSecond: number;
  readonly serverMicrosEach: number;
  /** Of our process; 0 for pgbench. */
  readonly nodeMicrosEach: number;
}

interface Place {
  readonly url: string;
  readonly sql: postgres.Sql;
  readonly connections: number;
  readonly seconds: number;
}

/** Alternates the two for each number of connections. */
export async function benchClick({ database, rounds, seconds }: Options): Promise<void> {
  const program = await findPgbench();
  await withServer(database, async (server) => {
    const url = await server.makeDatabase(`fl_bench_${process.pid}_click`);
    await fillMonth(url, { patrons: PATRONS, draws: 0 });
    const script = join(server.folder, "click.sql");
    await writeFile(script, BARE_INSERT);
    await withClient(url, async (sql) => {
      await makeBareTable(sql);
      for (const connections of CONNECTIONS) {
        const place = { url, sql, connections, seconds };
        const pairs: { floor: Load; ours: Load }[] = [];
        for (let round = 1; round <= rounds; round += 1) {
          await sql`CHECKPOINT`;
          const floor = await loadByPgbench(place, program, script);
          await sql`CHECKPOINT`;
          pairs.push({ floor, ours: await loadByNode(place) });
        }
        printPairs(connections, pairs);
      }
    });
  });
}

function printPairs(connections: number, pairs: readonly { floor: Load; ours: Load }[]): void {
  const print = printerOf("click");
  const at = (figure: string) => `${figure}, ${connections} connections`;
  const middle = (of: (pair: { floor: Load; ours: Load }) => number) => median(pairs.map(of));
  print(
    at("pgbench"),
    middle(({ floor }) => floor.perSecond),
    "inserts/s",
  );
  print(
    at("flattrs given"),
    middle(({ ours }) => ours.perSecond),
    "flattrs/s",
  );
  print(
    at("flattrs / pgbench"),
    middle(({ floor, ours }) => ours.perSecond / floor.perSecond),
    "ratio",
    connections === CONNECTIONS.at(-1) ? { atLeast: 0.4 } : undefined,
  );
  print(
    at("server CPU of an insert by pgbench"),
    middle(({ floor }) => floor.serverMicrosEach),
    "µs",
  );
  print(
    at("server CPU of a flattr"),
    middle(({ ours }) => ours.serverMicrosEach),
    "µs",
  );
  print(
    at("Node CPU of a flattr"),
    middle(({ ours }) => ours.nodeMicrosEach),
    "µs",
  );
}

/** @throws Error that names the package when there is none */
async function findPgbench(): Promise<string> {
  for (const program of PGBENCH_PROGRAMS) {
    const found = await run(program, ["--version"]).then(
      () => true,
      () => false,
    );
    if (found) return program;
  }
  throw new Error("pgbench is missing: install the apt package postgresql-contrib.");
}

/** The table of the flattrs with its keys, without triggers and months. */
async function makeBareTable(sql: postgres.Sql): Promise<void> {
  await sql.unsafe("CREATE TABLE bare (LIKE flattr INCLUDING ALL); CREATE SEQUENCE bare_id");
}

const BARE_INSERT = `\\set patron random(1, ${PATRONS})
\\set thing random(1, ${THINGS})
INSERT INTO bare (period, id, patron, thing, split, source, private, at)
VALUES (${periodNumber(MONTH)}, nextval('bare_id'), :patron, :thing, :thing, 'click', false, now()) ON CONFLICT DO NOTHING;
`;

async function loadByPgbench(
  { url, sql, connections, seconds }: Place,
  program: string,
  script: string,
): Promise<Load> {
  const { host, port, user, password, database } = addressOf(url);
  const threads = Math.min(connections, PGBENCH_THREADS);
  const args = [
    "-n",
    "--protocol=prepared",
    `--file=${script}`,
    `--client=${connections}`,
    `--jobs=${threads}`,
    `--time=${seconds}`,
    ...(host === undefined ? [] : [`--host=${host}`]),
    ...(port === undefined ? [] : [`--port=${port}`]),
    ...(user === undefined ? [] : [`--username=${user}`]),
    database ?? "",
  ];
  const env = typeof password === "string" ? { ...process.env, PGPASSWORD: password } : process.env;
  const ended = run(program, args, { env });
  const cpuShare = await watchBackends(sql, ended);
  const perSecond = Number(/^tps = ([\d.]+)/m.exec((await ended).stdout)![1]);
  return { perSecond, serverMicrosEach: (cpuShare / perSecond) * 1e6, nodeMicrosEach: 0 };
}

/** CPU seconds per second of the backends that a load brings, as seen last before it ended. */
async function watchBackends(sql: postgres.Sql, load: Promise<unknown>): Promise<number> {
  const state = { isOver: false };
  void load.finally(() => (state.isOver = true)).catch(() => {});
  const own = new Set(await backendsOf(sql));
  let [share, start] = [0, performance.now()];
  while (!state.isOver) {
    await sleep(LOOK_MS);
    const pids = (await backendsOf(sql)).filter((pid) => !own.has(pid));
    const cpuSeconds = await cpuSecondsOf(pids);
    const wallMs = performance.now() - start;
    if (pids.length > 0 && !state.isOver) share = cpuSeconds / (wallMs / 1000);
  }
  await load;
  return share;
}

async function loadByNode({ url, sql, connections, seconds }: Place): Promise<Load> {
  return withDatabase(url, connections, async (database) => {
    await giveFor(database, connections, 500);
    const own = new Set(await sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`.then(pidsOf));
    const pids = (await backendsOf(sql)).filter((pid) => !own.has(pid));
    const [serverStart, nodeStart, start] = [
      await cpuSecondsOf(pids),
      process.cpuUsage(),
      performance.now(),
    ];
    const flattrs = await giveFor(database, connections, seconds * 1000);
    const wallMs = performance.now() - start;
    const node = process.cpuUsage(nodeStart);
    return {
      perSecond: flattrs / (wallMs / 1000),
      serverMicrosEach: (((await cpuSecondsOf(pids)) - serverStart) / flattrs) * 1e6,
      nodeMicrosEach: (node.user + node.system) / flattrs,
    };
  });
}

function pidsOf(rows: readonly { pid: number }[]): number[] {
  return rows.map(({ pid }) => pid);
}

/** As many givers as connections, each one flattr after the other. */
async function giveFor(database: Database, givers: number, wallMs: number): Promise<number> {
  const end = performance.now() + wallMs;
  let flattrs = 0;
  const give = async () => {
    while (performance.now() < end) {
      await giveFlattr(database, {
        patron: patronId(1 + Math.floor(Math.random() * PATRONS)),
        thing: thingId(1 + Math.floor(Math.random() * THINGS)),
        source: "click",
        at: MONTH_OPENS.add({ milliseconds: Math.floor(performance.now()) }),
      });
      flattrs += 1;
    }
  };
  await Promise.all(Array.from({ length: givers }, give));
  return flattrs;
}
