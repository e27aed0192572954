/** Likes of other servers, from the socket to the row, beside the RSA check and the insert that nobody can do without. */

import { generateKeyPairSync, sign, verify } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { createAccount } from "../src/features/account/create.ts";
import { writePost } from "../src/features/post/write.ts";
import { addressOf, type Database } from "../src/store/database.ts";
import { Temporal } from "../src/store/time.ts";
import { type Cost, measure } from "./cost.ts";
import {
  allHosts,
  type Answer,
  type Elsewhere,
  type LikeOrder,
  personAt,
  rememberPeople,
  startElsewhere,
  type Target,
} from "./elsewhere.ts";
import { median, printerOf } from "./figures.ts";
import type { Options } from "./options.ts";
import { freePort, startServer } from "./running.ts";
import { backendsOf, type Server, withClient, withDatabase, withServer } from "./server.ts";
import { SETTINGS } from "./settings.ts";

/** People who are known, each with a key of his own. */
const ACTORS = 200;
const IN_FLIGHT = 16;

/** Each of them likes so many posts in one round. */
const POSTS_A_ROUND = 10;
const LIKES_A_ROUND = ACTORS * POSTS_A_ROUND;

/** People nobody has heard of, for the count of requests. */
const STRANGERS = 50;
const FIRST_STRANGER = 1_000_000;

const FIRST_ID = 4_000_000_000;
const AUTHOR = "p1";

/** Loads the module that counts statements, which does nothing before it is told to. */
const COUNTING = {
  shared_preload_libraries: "pg_stat_statements",
  "pg_stat_statements.track": "none",
};

/** How long until all backends know a setting that was changed. */
const RELOAD_MS = 1_000;

type InboxKind = "shared" | "personal";

interface Round {
  readonly likes: Cost;
  readonly verify: Cost;
  readonly insert: Cost;
  readonly posted: Answer["posted"];
}

interface Place {
  readonly sql: postgres.Sql;
  readonly database: Database;
  readonly url: string;
  readonly elsewhere: Elsewhere;
  readonly serving: number;
  readonly target: Target;
  /** Posts that nobody likes yet. */
  readonly posts: string[];
}

/** Measures both kinds of inbox, then counts requests and statements. */
export async function benchInbox({ database: served, rounds, profile }: Options): Promise<void> {
  await withServer(
    served,
    async (server) => {
      const name = `fl_bench_${process.pid}_inbox`;
      const url = await server.makeDatabase(name);
      const elsewhere = await startElsewhere();
      try {
        await withPlace({ server, name, url, elsewhere, rounds, profile }, async (place) => {
          // The first requests of a process cost more than all others: neither its code nor its plans are warm.
          for (const kind of ["shared", "personal"] as const) await like(place, kind);
          for (const kind of ["shared", "personal"] as const) {
            const measured: Round[] = [];
            for (let round = 1; round <= rounds; round += 1)
              measured.push(await measureRound(place, kind));
            printRounds(kind, measured);
          }
          await countRequests(place);
          await countStatements(place, served === undefined);
        });
      } finally {
        await elsewhere.end({ do: "end" });
      }
    },
    COUNTING,
  );
}

interface Where {
  readonly server: Server;
  readonly name: string;
  readonly url: string;
  readonly elsewhere: Elsewhere;
  readonly rounds: number;
  readonly profile: string | undefined;
}

/** People, posts, and the program serving them. */
async function withPlace(
  { server, name, url, elsewhere, rounds, profile }: Where,
  work: (place: Place) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const { ready } = elsewhere;
  await withClient(url, (sql) =>
    withDatabase(url, 2, async (database) => {
      await rememberPeople(sql, { first: 0, many: ACTORS, firstId: FIRST_ID, at: ready });
      const posts = await writePosts(database, (2 * (rounds + 1) + 2) * POSTS_A_ROUND + 1);
      const env = {
        DATA_DIR: server.dataFolder(name),
        DATABASE_URL: url,
        ORIGIN: SETTINGS.origin,
        PORT: String(port),
        ALLOW_PRIVATE_ADDRESSES: allHosts(ready.port),
      };
      const { child } = await startServer(env, { running: server.running, profile });
      const target = {
        address: `http://127.0.0.1:${port}`,
        host: new URL(SETTINGS.origin).host,
        path: "/inbox",
      };
      await work({ sql, database, url, elsewhere, serving: child.pid!, target, posts });
    }),
  );
}

async function writePosts(database: Database, many: number): Promise<string[]> {
  const at = Temporal.Now.instant();
  const author = await createAccount(database, {
    name: AUTHOR,
    email: `${AUTHOR}@mail.example`,
    role: "user",
    at,
  });
  const posts: string[] = [];
  for (let number = 1; number <= many; number += 1)
    posts.push((await writePost(database, { author, text: `Post ${number}`, at })).uri);
  return posts;
}

/** Everybody likes the next posts. Fails unless every Like is a row when it is answered. */
async function like(
  place: Place,
  kind: InboxKind,
): Promise<{ likes: Cost; posted: Answer["posted"] }> {
  const { elsewhere } = place;
  const orders = place.posts.splice(0, POSTS_A_ROUND).flatMap((object) =>
    Array.from({ length: ACTORS }, (_, number): LikeOrder => {
      const { uri, key } = personAt(number, elsewhere.ready.port);
      return { id: `${uri}#likes/${object.split("/").at(-1)}`, actor: uri, object, key };
    }),
  );
  return post(place, orders, kind);
}

async function post(
  { elsewhere, sql, serving, target }: Place,
  likes: readonly LikeOrder[],
  kind: InboxKind,
): Promise<{ likes: Cost; posted: Answer["posted"] }> {
  const path = kind === "shared" ? "/inbox" : `/users/${AUTHOR}/inbox`;
  await elsewhere.tell({ do: "sign", likes, to: { ...target, path } });
  const before = await favourites(sql);
  const pids = async () => [serving, ...(await backendsOf(sql))];
  const { cost, done } = await measure(pids, () =>
    elsewhere.tell({ do: "post", inFlight: IN_FLIGHT }),
  );
  const { posted } = done;
  const booked = (await favourites(sql)) - before;
  if (posted.statuses["202"] !== likes.length || booked !== likes.length)
    throw new Error(
      `of ${likes.length} Likes ${booked} were booked; answers: ${JSON.stringify(posted.statuses)}`,
    );
  return { likes: cost, posted };
}

async function favourites(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<[{ many: number }]>`SELECT count(*)::int AS many FROM favourite`;
  return row.many;
}

async function measureRound(place: Place, kind: InboxKind): Promise<Round> {
  const { likes, posted } = await like(place, kind);
  const round = { likes, posted, verify: await verifyAsMany(), insert: await insertAsMany(place) };
  const seconds = ({ cpuMs }: Cost) => `${perThousand(cpuMs).toFixed(2)} CPU s`;
  console.error(
    `1,000 Likes, ${kind} inbox: ${seconds(likes)}; verified ${seconds(round.verify)}, inserted ${seconds(round.insert)}; ` +
      `${Math.round(LIKES_A_ROUND / (likes.wallMs / 1000))} a second`,
  );
  return round;
}

/** CPU seconds for 1,000, from milliseconds for a round. */
function perThousand(ms: number): number {
  return ms / LIKES_A_ROUND;
}

/** As many RSA signatures, with keys that are ready. */
async function verifyAsMany(): Promise<Cost> {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const text = Buffer.from("(request-target): post /inbox\nhost: home.example\n".repeat(3));
  const signature = sign("sha256", text, privateKey);
  const { cost } = await measureHere(async () => {
    for (let times = 0; times < LIKES_A_ROUND; times += 1)
      if (!verify("sha256", text, publicKey, signature)) throw new Error("a signature is wrong");
  });
  return cost;
}

/** As many rows with the same keys, one at a time from as many connections. */
async function insertAsMany({ sql: watching, url }: Place): Promise<Cost> {
  await watching.unsafe(
    "DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE favourite INCLUDING ALL)",
  );
  const sql = postgres({ ...addressOf(url), max: IN_FLIGHT, onnotice: () => {} });
  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, () => sql`SELECT pg_sleep(0.05)`));
    const rows = Array.from({ length: LIKES_A_ROUND }, (_, number) => number).values();
    const insert = async () => {
      for (const row of rows)
        await sql`INSERT INTO bare (actor, thing, id, uri, at) VALUES (${row}, ${row % POSTS_A_ROUND}, ${row}, ${`https://s.example/users/u${row}#likes/${row}`}, now())`;
    };
    const { cost } = await measureHere(
      () => Promise.all(Array.from({ length: IN_FLIGHT }, insert)),
      await backendsOf(watching),
    );
    return cost;
  } finally {
    await sql.end();
  }
}

/** What work in this process costs, and in some backends. */
async function measureHere<T>(
  work: () => Promise<T>,
  backends: readonly number[] = [],
): Promise<{ cost: Cost; done: T }> {
  return measure(async () => [process.pid, ...backends], work);
}

function printRounds(kind: InboxKind, rounds: readonly Round[]): void {
  const print = printerOf("inbox");
  const at = (figure: string) => `${figure}, ${kind} inbox`;
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  const perThousandLikes = (which: "likes" | "verify" | "insert") =>
    middle((round) => perThousand(round[which].cpuMs));
  print(at("CPU of 1,000 Likes, Node and PostgreSQL"), perThousandLikes("likes"), "s", {
    atMost: 5,
  });
  print(at("CPU of 1,000 RSA verifications"), perThousandLikes("verify"), "s");
  print(at("CPU of 1,000 bare inserts, Node and PostgreSQL"), perThousandLikes("insert"), "s");
  print(
    at("Likes / verification and insert"),
    middle(({ likes, verify: checked, insert }) => likes.cpuMs / (checked.cpuMs + insert.cpuMs)),
    "ratio",
  );
  print(
    at("Likes booked"),
    middle(({ likes }) => LIKES_A_ROUND / (likes.wallMs / 1000)),
    "Likes/s",
  );
  print(
    at("answer, half of them"),
    middle(({ posted }) => posted.p50Ms),
    "ms",
  );
  print(
    at("answer, 99 of 100"),
    middle(({ posted }) => posted.p99Ms),
    "ms",
  );
}

/** What is asked of other servers before a Like is answered. */
async function countRequests(place: Place): Promise<void> {
  const { elsewhere } = place;
  const print = printerOf("inbox");
  await elsewhere.tell({ do: "tally" });
  await like(place, "shared");
  const known = (await elsewhere.tell({ do: "tally" })).tally;
  print("requests for a Like of a known actor", known.gets / LIKES_A_ROUND, "requests", {
    atMost: 0,
  });
  const [object] = place.posts.splice(0, 1);
  const strangers = Array.from({ length: STRANGERS }, (_, number): LikeOrder => {
    const { uri, key } = personAt(FIRST_STRANGER + number, elsewhere.ready.port);
    return { id: `${uri}#likes/1`, actor: uri, object: object!, key };
  });
  await post(place, strangers, "shared");
  const unknown = (await elsewhere.tell({ do: "tally" })).tally;
  print("requests for a Like of an unknown actor", unknown.gets / STRANGERS, "requests", {
    atMost: 2,
  });
}

/** Statements as PostgreSQL counts them, all of the database: jobs and looking around included. */
async function countStatements(place: Place, isEmbedded: boolean): Promise<void> {
  if (!isEmbedded)
    return console.error(
      "Statements are counted on the embedded server only, which has pg_stat_statements loaded.",
    );
  const { sql } = place;
  await sql.unsafe("CREATE EXTENSION pg_stat_statements");
  await setTracking(sql, "top");
  await sql`SELECT pg_stat_statements_reset()`;
  await like(place, "personal");
  await setTracking(sql, "none");
  const counted = await sql<{ query: string; calls: number }[]>`
    SELECT query, sum(calls)::int AS calls FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
     WHERE d.datname = current_database() AND query !~* '^(begin|commit|rollback)' GROUP BY query ORDER BY calls DESC`;
  const calls = counted.reduce((sum, row) => sum + row.calls, 0);
  for (const { query, calls: many } of counted.filter((row) => row.calls > LIKES_A_ROUND / 10))
    console.error(
      `${(many / LIKES_A_ROUND).toFixed(2)} for each Like: ${query.replaceAll(/\s+/g, " ").slice(0, 100)}`,
    );
  printerOf("inbox")(
    "statements for a Like besides begin and commit, personal inbox",
    calls / LIKES_A_ROUND,
    "statements",
    { atMost: 3 },
  );
}

async function setTracking(sql: postgres.Sql, track: "top" | "none"): Promise<void> {
  await sql.unsafe(`ALTER SYSTEM SET pg_stat_statements.track = '${track}'`);
  await sql`SELECT pg_reload_conf()`;
  // Backends read it when they come round.
  await sleep(RELOAD_MS);
}
