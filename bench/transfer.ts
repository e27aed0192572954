/** Money between two instances: Transfers until both have booked their Receipts, beside the bare insert of the lines. */

import type postgres from "postgres";
import { book } from "../src/features/ledger/book.ts";
import { openPeer, type PeerId } from "../src/features/peer/peer.ts";
import { transfersDue } from "../src/features/settlement/close.ts";
import { turnMonths } from "../src/features/settlement/turn.ts";
import { multibaseOf } from "../src/features/statement/proof.ts";
import { instanceActor } from "../src/features/statement/write.ts";
import { toMicro } from "../src/rules/amount.ts";
import { opensAt, type Period, periodNumber, periodOf } from "../src/rules/period.ts";
import { move } from "../src/rules/posting.ts";
import { LINES_MAX } from "../src/rules/statement.ts";
import { type Database, openClients } from "../src/store/database.ts";
import { addJob } from "../src/store/jobs.ts";
import { statementKeys } from "../src/store/signing.ts";
import { Temporal } from "../src/store/time.ts";
import { type Cost, measure, until } from "./cost.ts";
import { median, printerOf } from "./figures.ts";
import type { Options } from "./options.ts";
import { freePort, startServer } from "./running.ts";
import { backendsOf, type Server, withClient, withServer } from "./server.ts";
import { SETTINGS } from "./settings.ts";

const TRANSFERS = 100;
const CREATORS = TRANSFERS * LINES_MAX;

/** Before it is measured: first contact, Terms, and code that is warm. */
const WARM_UP_TRANSFERS = 10;

/** Of each line, in micro: a tenth. */
const AMOUNT = 100_000n;

/** Nobody is stopped by a limit. */
const PEER_LIMIT = "1000000.00";

const FIRST_ID = 4_000_000_000;

/** How often it is looked whether the last Receipt has come. */
const LOOK_MS = 50;

/** One of the two instances. */
interface Side {
  readonly origin: string;
  readonly name: string;
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  readonly database: Database;
  readonly sql: postgres.Sql;
}

interface Pair {
  readonly payer: Side;
  readonly payee: Side;
  /** The payee's instance, at the payer. */
  readonly peer: PeerId;
  /** The programs of both. */
  readonly serving: readonly number[];
}

interface Round {
  readonly transfers: Cost;
  readonly insert: Cost;
}

/** Sends one month's Transfers in each round. */
export async function benchTransfer({ database: served, rounds, profile }: Options): Promise<void> {
  const months = monthsBefore(rounds + 1);
  await withServer(served, async (server) => {
    await withPair(server, { months, profile }, async (pair) => {
      const [first, ...others] = months as [Period, ...Period[]];
      await transfer(pair, first, WARM_UP_TRANSFERS);
      const measured: Round[] = [];
      for (const month of others) {
        const round = {
          transfers: await transfer(pair, month, TRANSFERS),
          insert: await insertAsMany(pair),
        };
        console.error(describe(round));
        measured.push(round);
      }
      await requireAgreement(pair);
      printRounds(measured);
    });
  });
}

/** So many months that are over, the earliest first. */
function monthsBefore(many: number): Period[] {
  const month = Temporal.PlainYearMonth.from(periodOf(Temporal.Now.instant()));
  return Array.from(
    { length: many },
    (_, place) => month.subtract({ months: many - place }).toString() as Period,
  );
}

async function withPair(
  server: Server,
  { months, profile }: { months: readonly Period[]; profile: string | undefined },
  work: (pair: Pair) => Promise<void>,
): Promise<void> {
  const ports = [await freePort(), await freePort()] as const;
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(",");
  await withSide(server, { port: ports[0], hosts }, (payer) =>
    withSide(server, { port: ports[1], hosts }, async (payee) => {
      await turnMonths(payer.database, opensAt(months[0]!));
      await fillPayee(payee);
      await fillPayer(payer, payee);
      const watching = { running: server.running, profile };
      const serving: number[] = [];
      for (const { env } of [payer, payee])
        serving.push((await startServer(env, watching)).child.pid!);
      await work({ payer, payee, peer: await meet(payer, payee), serving });
    }),
  );
}

async function withSide(
  server: Server,
  { port, hosts }: { port: number; hosts: string },
  work: (side: Side) => Promise<void>,
): Promise<void> {
  const name = `fl_bench_${process.pid}_${port}`;
  const origin = `http://127.0.0.1:${port}`;
  const settings = { ORIGIN: origin, PEER_LIMIT };
  const url = await server.makeDatabase(name, settings);
  const env = {
    ...settings,
    DATA_DIR: server.dataFolder(name),
    DATABASE_URL: url,
    PORT: String(port),
    ALLOW_PRIVATE_ADDRESSES: hosts,
  };
  const { end, ...clients } = openClients(url, 2);
  try {
    const database = {
      ...clients,
      settings: { ...SETTINGS, origin, peerLimit: toMicro(1_000_000_000_000n) },
    };
    await withClient(url, (sql) => work({ origin, name, url, env, database, sql }));
  } finally {
    await end();
  }
}

/** Creators with accounts, as `createAccount` makes them. */
async function fillPayee({ sql, origin }: Side): Promise<void> {
  const { host } = new URL(origin);
  await sql.unsafe(`
    INSERT INTO actor (id, uri, host, name, found_at)
    SELECT ${FIRST_ID} + n, '${origin}/users/c' || n, '${host}', 'c' || n, now() FROM generate_series(1, ${CREATORS}) n;
    INSERT INTO account (id, actor, name, email, role, created_at)
    SELECT ${FIRST_ID} + n, ${FIRST_ID} + n, 'c' || n, format('c%s@mail.example', n), 'user', now() FROM generate_series(1, ${CREATORS}) n;
    INSERT INTO ledger.account (kind, owner, currency, floor)
    SELECT kind, id, 'EUR', 0 FROM account, unnest(ARRAY['budget', 'earnings']) kind ORDER BY kind, id`);
  await sql`VACUUM (ANALYZE, FREEZE)`;
}

/** The same creators, known by their addresses. */
async function fillPayer({ sql }: Side, { origin }: Side): Promise<void> {
  const { host } = new URL(origin);
  await sql.unsafe(`
    INSERT INTO actor (id, uri, host, found_at)
    SELECT ${FIRST_ID} + n, '${origin}/users/c' || n, '${host}', now() FROM generate_series(1, ${CREATORS}) n`);
  await sql`VACUUM (ANALYZE, FREEZE)`;
}

/** The payer has found the other one; that one is introduced by the first Terms. */
async function meet({ database }: Side, other: Side): Promise<PeerId> {
  const keys = await statementKeys(other.database.drizzle);
  const found = {
    actor: instanceActor(other.origin),
    host: new URL(other.origin).host,
    ledger: `${other.origin}/ledger`,
    keys: keys.map(({ id, publicKey }) => ({ id, publicKeyMultibase: multibaseOf(publicKey) })),
  };
  return database.drizzle.transaction((tx) =>
    openPeer(database, tx, found, Temporal.Now.instant()),
  );
}

/** From the end of a month's close until the payer has booked the last Receipt. */
async function transfer(pair: Pair, month: Period, transfers: number): Promise<Cost> {
  const { payer, payee, serving } = pair;
  const wanted = (await answered(payer)) + transfers;
  await owe(pair, month, transfers);
  for (const { sql } of [payer, payee]) await sql`CHECKPOINT`;
  const pids = async () => [
    ...serving,
    ...(await backendsOf(payer.sql)),
    ...(await backendsOf(payee.sql)),
  ];
  const { cost } = await measure(pids, async () => {
    await addJob(payer.database.drizzle, transfersDue, { period: month }, `transfers:${month}`);
    const isDone = async () => (await answered(payer)) >= wanted;
    await until(`${transfers} Receipts`, isDone, { lookMs: LOOK_MS });
  });
  return cost;
}

async function answered({ sql }: Side): Promise<number> {
  const [row] = await sql<[{ many: number }]>`
    SELECT count(*)::int AS many FROM statement WHERE direction = 'out' AND kind = 'Transfer' AND receipt_seq IS NOT NULL`;
  return row.many;
}

/** What the close of a month leaves: a line for each creator, and the money for all of them put aside. */
async function owe(
  { payer: { database, sql }, peer }: Pair,
  month: Period,
  transfers: number,
): Promise<void> {
  const lines = transfers * LINES_MAX;
  const total = toMicro(BigInt(lines) * AMOUNT);
  await database.drizzle.transaction((tx) =>
    book(tx, SETTINGS.currency, {
      key: `bench:${month}`,
      kind: "fund",
      at: Temporal.Now.instant(),
      legs: move(total, { kind: "world" }, { kind: "outbound", peer }),
    }),
  );
  await sql`
    INSERT INTO line (period, part, payee, peer, amount, count, patrons, state)
    SELECT ${periodNumber(month)}::int, 'settlement', ${FIRST_ID}::bigint + n, ${String(peer)}::bigint, ${String(AMOUNT)}::bigint, 3, 3, 'outbound'
      FROM generate_series(1, ${lines}) n`;
  await sql`ANALYZE line`;
}

/** As many lines with the same keys, in as many statements. */
async function insertAsMany({ payee: { sql } }: Pair): Promise<Cost> {
  await sql.unsafe(
    "DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE transfer_line INCLUDING ALL); CHECKPOINT",
  );
  const own = await sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  const pids = [process.pid, ...own.map(({ pid }) => pid)];
  const { cost } = await measure(
    async () => pids,
    async () => {
      for (let seq = 1; seq <= TRANSFERS; seq += 1) {
        const numbers = Array.from(
          { length: LINES_MAX },
          (_, line) => (seq - 1) * LINES_MAX + line,
        );
        await sql`
        INSERT INTO bare (peer, seq, beneficiary, account, amount, count, period, currency, is_regular)
        SELECT 1, ${seq}, beneficiary, account, 100000, 3, 1, 'EUR', true
          FROM unnest(${sql.array(numbers.map((number) => `http://127.0.0.1:3000/users/c${number}`))}::text[],
                      ${sql.array(numbers.map(String))}::bigint[]) AS line(beneficiary, account)`;
      }
    },
  );
  return cost;
}

/** Both books say the same, or nothing was measured. */
async function requireAgreement({ payer, payee }: Pair): Promise<void> {
  const counters = async ({ sql }: Side, column: "accepted_out" | "accepted_in") => {
    const [row] = await sql<
      [{ amount: string }]
    >`SELECT ${sql(column)}::text AS amount FROM position`;
    return row.amount;
  };
  const [said, heard] = [
    await counters(payer, "accepted_out"),
    await counters(payee, "accepted_in"),
  ];
  const [left] = await payer.sql`SELECT FROM line WHERE state <> 'accepted' LIMIT 1`;
  if (said !== heard || left !== undefined)
    throw new Error(`the payer's books say ${said}, those of the payee ${heard}`);
}

function describe({ transfers, insert }: Round): string {
  return (
    `${CREATORS} lines in ${Math.round(transfers.wallMs)} ms (CPU ${Math.round(transfers.cpuMs)} ms); ` +
    `inserted in ${Math.round(insert.wallMs)} ms (CPU ${Math.round(insert.cpuMs)} ms)`
  );
}

function printRounds(rounds: readonly Round[]): void {
  const print = printerOf("transfer");
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  const perThousand = ({ cpuMs }: Cost) => cpuMs / CREATORS;
  print(
    "lines until their Receipts are booked on both sides",
    middle(({ transfers }) => CREATORS / (transfers.wallMs / 1000)),
    "lines/s",
  );
  print(
    "lines inserted",
    middle(({ insert }) => CREATORS / (insert.wallMs / 1000)),
    "lines/s",
  );
  print(
    "wall / inserting",
    middle(({ transfers, insert }) => transfers.wallMs / insert.wallMs),
    "ratio",
  );
  print(
    "CPU of 1,000 lines, both instances and PostgreSQL",
    middle(({ transfers }) => perThousand(transfers)),
    "s",
  );
  print(
    "CPU of 1,000 lines inserted",
    middle(({ insert }) => perThousand(insert)),
    "s",
  );
  print(
    "CPU / inserting",
    middle(({ transfers, insert }) => transfers.cpuMs / insert.cpuMs),
    "ratio",
  );
}
