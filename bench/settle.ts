/** Closing a synthetic month, against the least that a database must do for it. */

import { join } from "node:path";
import { build } from "rolldown";
import type postgres from "postgres";
import { checkBooks } from "../src/features/transfer/check.ts";
import { periodNumber } from "../src/rules/period.ts";
import { type Child, startChild } from "./child.ts";
import { type Cost, measure, sumOf } from "./cost.ts";
import { median, printerOf } from "./figures.ts";
import { fillMonth } from "./month.ts";
import type { Options } from "./options.ts";
import { MONTH } from "./settings.ts";
import { backendsOf, type Server, withClient, withDatabase, withServer } from "./server.ts";
import type { Done, Order } from "./worker.ts";

const DRAWS = 30;
const WORKERS = 2;
const MEBIBYTE = 2 ** 20;

interface Round {
  readonly flattrs: number;
  readonly floor: Cost;
  readonly freeze: Cost;
  readonly close: Cost;
  readonly finalise: Cost;
  readonly whole: Cost;
  readonly rssBytesPeak: number;
}

/** Measures each size, and how the rate keeps from the smallest to the largest. */
export async function benchSettle({ database, patrons, rounds }: Options): Promise<void> {
  const sizes = [...patrons].sort((a, b) => a - b);
  const rates: number[] = [];
  await withServer(database, async (server) => {
    const worker = join(server.folder, "worker.js");
    await build({
      input: join(import.meta.dirname, "worker.ts"),
      platform: "node",
      output: { file: worker, format: "esm", codeSplitting: false },
      logLevel: "silent",
    });
    for (const [place, size] of sizes.entries()) {
      const rate = await measureSize(server, {
        patrons: size,
        rounds,
        worker,
        isChecked: place === 0,
      });
      rates.push(rate);
    }
  });
  if (rates.length > 1) {
    printerOf("settle")(
      `rate at ${sizes.at(-1)} patrons / at ${sizes[0]}`,
      rates.at(-1)! / rates[0]!,
      "ratio",
      { atLeast: 0.7 },
    );
  }
}

interface Job {
  readonly patrons: number;
  readonly rounds: number;
  /** The worker's program. */
  readonly worker: string;
  readonly isChecked: boolean;
}

async function measureSize(
  server: Server,
  { patrons, rounds, worker, isChecked }: Job,
): Promise<number> {
  const filled = `fl_bench_${process.pid}_${patrons}`;
  console.error(`Filling a month of ${patrons} patrons …`);
  await fillMonth(await server.makeDatabase(filled), { patrons, draws: DRAWS });

  const measured: Round[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const name = `${filled}_${round}`;
    const url = await server.cloneDatabase(filled, name);
    measured.push(await measureRound(url, worker));
    console.error(describe(measured.at(-1)!));
    if (isChecked && round === rounds) await printCheck(url, patrons);
    await server.dropDatabase(name);
  }
  await server.dropDatabase(filled);
  return printSize(patrons, measured);
}

function printSize(patrons: number, rounds: readonly Round[]): number {
  const print = printerOf("settle");
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  const at = (figure: string) => `${figure}, ${patrons} patrons`;
  const rate = middle((round) => round.flattrs / (round.whole.wallMs / 1000));
  print(
    at("flattrs"),
    middle((round) => round.flattrs),
    "flattrs",
  );
  print(
    at("floor wall"),
    middle((round) => round.floor.wallMs),
    "ms",
  );
  print(
    at("floor CPU"),
    middle((round) => round.floor.cpuMs),
    "ms",
  );
  for (const phase of ["freeze", "close", "finalise"] as const) {
    print(
      at(`${phase} wall`),
      middle((round) => round[phase].wallMs),
      "ms",
    );
    print(
      at(`${phase} CPU`),
      middle((round) => round[phase].cpuMs),
      "ms",
    );
  }
  print(
    at("wall / floor wall"),
    middle((round) => round.whole.wallMs / round.floor.wallMs),
    "ratio",
    { atMost: 4 },
  );
  print(
    at("CPU / floor CPU"),
    middle((round) => round.whole.cpuMs / round.floor.cpuMs),
    "ratio",
    { atMost: 6 },
  );
  print(
    at("Node peak memory"),
    middle((round) => round.rssBytesPeak / MEBIBYTE),
    "MB",
    { atMost: 120 },
  );
  print(at("rate"), rate, "flattrs/s");
  return rate;
}

function describe({ flattrs, floor, freeze, close, finalise, whole, rssBytesPeak }: Round): string {
  const cost = ({ wallMs, cpuMs }: Cost) =>
    `${Math.round(wallMs)} ms (CPU ${Math.round(cpuMs)} ms)`;
  return (
    `${flattrs} flattrs: floor ${cost(floor)}; freeze ${cost(freeze)}, close ${cost(close)}, finalise ${cost(finalise)}, ` +
    `together ${cost(whole)}; wall ${(whole.wallMs / floor.wallMs).toFixed(2)} and CPU ${(whole.cpuMs / floor.cpuMs).toFixed(2)} ` +
    `times the floor; Node ${Math.round(rssBytesPeak / MEBIBYTE)} MB`
  );
}

async function printCheck(url: string, patrons: number): Promise<void> {
  const findings = await withDatabase(url, 2, checkBooks);
  for (const { promise, detail } of findings.slice(0, 10)) console.error(`${promise}: ${detail}`);
  printerOf("settle")(`findings of the check, ${patrons} patrons`, findings.length, "findings", {
    atMost: 0,
  });
}

async function measureRound(url: string, program: string): Promise<Round> {
  return withClient(url, async (sql) => {
    const floor = await measureFloor(sql);
    await sql`CHECKPOINT`;
    const workers = await startWorkers(program, url);
    try {
      const [first] = workers;
      const own = await backendsOf(sql);
      const phase = (which: readonly Child<Order, Done>[], order: Order) =>
        measure(
          async () => own.concat(await backendsOf(sql)),
          () => Promise.all(which.map((worker) => worker.tell(order))),
        );
      const freeze = await phase([first!], "turn");
      const close = await phase(workers, "close");
      const finalise = await phase([first!], "finalise");
      const [{ flattrs }] = await sql<[{ flattrs: number }]>`
        SELECT count(*)::int AS flattrs FROM flattr WHERE period = ${periodNumber(MONTH)}`;
      return {
        flattrs,
        floor,
        freeze: freeze.cost,
        close: close.cost,
        finalise: finalise.cost,
        whole: sumOf([freeze.cost, close.cost, finalise.cost]),
        rssBytesPeak: Math.max(
          ...[freeze, close, finalise].flatMap(({ done }) => done.map((one) => one.rssBytesPeak)),
        ),
      };
    } finally {
      for (const worker of workers) await worker.end("end");
    }
  });
}

/** Reads each patron's flattrs once, and writes as many rows as there will be shares into a table with the same key. */
async function measureFloor(sql: postgres.Sql): Promise<Cost> {
  const month = periodNumber(MONTH);
  const [{ folder }] = await sql<
    [{ folder: string }]
  >`SELECT current_setting('data_directory') AS folder`;
  const file = join(folder, `floor_${process.pid}`);
  await sql.unsafe(`
    SET max_parallel_workers_per_gather = 0;
    CREATE TABLE floor (period integer NOT NULL, patron bigint NOT NULL, flattr bigint NOT NULL, payee bigint NOT NULL, amount bigint NOT NULL,
                        PRIMARY KEY (period, patron, flattr, payee));
    COPY (SELECT f.period, f.patron, f.id, f.split, 1::bigint
            FROM flattr f JOIN ledger.account a ON a.kind = 'budget' AND a.owner = f.patron
            JOIN ledger.balance b ON b.account = a.id AND b.amount > 0
           WHERE f.period = ${month} ORDER BY f.patron, f.id) TO '${file}' (FORMAT binary);
    CHECKPOINT`);
  const backends = () => backendsOf(sql);
  const read = await measure(backends, () =>
    sql.unsafe(
      `SELECT count(*), max(flattrs) FROM (SELECT patron, count(*) AS flattrs FROM flattr WHERE period = ${month} GROUP BY patron) x`,
    ),
  );
  const write = await measure(backends, () =>
    sql.unsafe(`COPY floor FROM '${file}' (FORMAT binary)`),
  );
  // An empty file is all that can be left behind by way of SQL; the folder goes with the server.
  await sql.unsafe(`DROP TABLE floor; COPY (SELECT WHERE false) TO '${file}'`);
  return sumOf([read.cost, write.cost]);
}

async function startWorkers(program: string, url: string): Promise<Child<Order, Done>[]> {
  return Promise.all(
    Array.from({ length: WORKERS }, () => startChild<Order, Done>(program, [url])),
  );
}
