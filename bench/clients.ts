/** What clients ask most, against a plain route that answers a JSON of the same size. */

import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "drizzle-orm";
import { Client } from "undici";
import { app } from "../src/features/access/schema.ts";
import { createToken } from "../src/features/access/token.ts";
import { sqlTime, Temporal } from "../src/store/time.ts";
import { median, printerOf, type Reach } from "./figures.ts";
import type { Options } from "./options.ts";
import { COMMON_WORD, fillReaders, READER, READERS } from "./readers.ts";
import { CHECKOUT, freePort, startServer } from "./running.ts";
import { withClient, withDatabase, withServer } from "./server.ts";

const CONNECTIONS = [1, 8, 32];

/** What is compared at 8 connections: the slowest hundredth of ours by that of the plain route. */
const REACH: Readonly<Record<string, Reach>> = {
  home: { atMost: 40 },
  favourite: { atMost: 25 },
};

/** Requests before anything is measured: plans are made, and programs warm. */
const WARM_UP = 400;

interface Question {
  readonly name: string;
  readonly method: "GET" | "POST";
  /** The path of the next request. */
  readonly path: (n: number) => string;
}

/** One load. */
interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Asks each question with each number of connections, and the plain route right before it. */
export async function benchClients({
  database,
  rounds,
  seconds,
  questions,
  profile,
}: Options): Promise<void> {
  await withServer(database, async (server) => {
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    const name = `fl_bench_${process.pid}_clients`;
    const settings = { ORIGIN: origin, PORT: String(port), CLIENT_REQUESTS: "999999" };
    const url = await server.makeDatabase(name, settings);
    const began = performance.now();
    await fillReaders(url, origin, READERS);
    const print = printerOf("clients");
    print("filling the data set", (performance.now() - began) / 1000, "s");
    const token = await tokenOfReader(url);
    const chosen = (await questionsFor(url)).filter(
      ({ name }) => questions?.includes(name) ?? true,
    );
    if (chosen.length === 0) throw new Error(`nobody asks ${questions?.join(" or ")}`);
    await startServer(
      {
        ...settings,
        DATABASE_URL: url,
        DATA_DIR: server.dataFolder(name),
      },
      { running: server.running, profile },
    );
    for (const question of chosen) {
      const headers = { authorization: `Bearer ${token}` };
      const asked = { origin, question, headers };
      const body = await answerTo(asked);
      const plain = await startPlain(server.folder, body, server.running);
      for (const connections of CONNECTIONS) {
        const pairs: { ours: Load; floor: Load }[] = [];
        for (let round = 1; round <= rounds; round += 1) {
          const floor = await load(
            { origin: plain.origin, question: { ...question, path: () => "/plain" }, headers: {} },
            connections,
            seconds,
          );
          pairs.push({ floor, ours: await load(asked, connections, seconds) });
        }
        printPairs(question.name, connections, pairs);
      }
      print(`${question.name}, bytes`, body.length, "bytes");
      plain.child.kill("SIGTERM");
    }
  });
}

function printPairs(
  name: string,
  connections: number,
  pairs: readonly { ours: Load; floor: Load }[],
): void {
  const print = printerOf("clients");
  const at = (figure: string) => `${name}, ${figure}, ${connections} connections`;
  const middle = (of: (pair: { ours: Load; floor: Load }) => number) => median(pairs.map(of));
  print(
    at("requests"),
    middle(({ ours }) => ours.perSecond),
    "requests/s",
  );
  print(
    at("p50"),
    middle(({ ours }) => ours.p50Ms),
    "ms",
  );
  print(
    at("p99"),
    middle(({ ours }) => ours.p99Ms),
    "ms",
  );
  print(
    at("plain requests"),
    middle(({ floor }) => floor.perSecond),
    "requests/s",
  );
  print(
    at("plain p50"),
    middle(({ floor }) => floor.p50Ms),
    "ms",
  );
  print(
    at("plain p99"),
    middle(({ floor }) => floor.p99Ms),
    "ms",
  );
  print(
    at("p99 / plain p99"),
    middle(({ ours, floor }) => ours.p99Ms / floor.p99Ms),
    "ratio",
    connections === 8 ? REACH[name] : undefined,
  );
}

/** Timelines of the reader, and posts all over the table. */
async function questionsFor(url: string): Promise<readonly Question[]> {
  return withClient(url, async (client) => {
    const open = await client<{ id: string }[]>`
      SELECT id::text FROM post TABLESAMPLE SYSTEM (2) WHERE visibility = 'public' AND author >= 2000000000 LIMIT 20000`;
    const answered = await client<{ id: string }[]>`
      SELECT p.id::text FROM post p JOIN thing t ON t.id = p.thing WHERE p.id IN (SELECT id FROM post TABLESAMPLE SYSTEM (1))
         AND EXISTS (SELECT FROM post r WHERE r.in_reply_to = t.uri) LIMIT 2000`;
    return [
      { name: "home", method: "GET", path: () => "/api/v1/timelines/home?limit=20" },
      {
        name: "favourite",
        method: "POST",
        path: (n) => `/api/v1/statuses/${open[n % open.length]!.id}/favourite`,
      },
      {
        name: "context",
        method: "GET",
        path: (n) => `/api/v1/statuses/${answered[n % answered.length]!.id}/context`,
      },
      { name: "notifications", method: "GET", path: () => "/api/v1/notifications?limit=20" },
      {
        name: "search",
        method: "GET",
        path: (n) => `/api/v2/search?q=${n % 2 === 0 ? COMMON_WORD : `c${n % 20_000}`}&limit=20`,
      },
    ];
  });
}

async function tokenOfReader(url: string): Promise<string> {
  return withDatabase(url, 2, async ({ drizzle }) => {
    const at = Temporal.Now.instant();
    const scopes = ["read", "write"];
    const [made] = await drizzle
      .insert(app)
      .values({
        id: sql`new_id(${sqlTime(at)})`,
        clientId: "bench",
        secretDigest: new Uint8Array(32),
        name: "Bench",
        redirectUris: [],
        scopes,
        createdAt: at,
      })
      .returning();
    const token = await createToken(drizzle, {
      app: made!.id,
      account: READER,
      scopes,
      countsFlattrs: true,
      at,
    });
    return token.secret;
  });
}

async function startPlain(folder: string, body: string, running: Set<ChildProcess>) {
  const port = await freePort();
  const file = join(folder, `plain-${port}.json`);
  await writeFile(file, body);
  const child = spawn(process.execPath, [join(CHECKOUT, "bench/plain.ts"), String(port), file], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  running.add(child);
  const origin = `http://127.0.0.1:${port}`;
  while (
    !(await fetch(`${origin}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    ))
  )
    await sleep(20);
  return { child, origin };
}

interface Asked {
  readonly origin: string;
  readonly question: Question;
  readonly headers: Readonly<Record<string, string>>;
}

async function answerTo({ origin, question, headers }: Asked): Promise<string> {
  const client = new Client(origin);
  const { statusCode, body } = await client.request({
    path: question.path(0),
    method: question.method,
    headers,
  });
  const text = await body.text();
  await client.close();
  if (statusCode !== 200) throw new Error(`${question.name} is answered ${statusCode}: ${text}`);
  return text;
}

/** Requests of all loads: a favourite is the first of its post as long as there are posts. */
let requests = 0;

/** As many askers as connections, each one request after the other. */
async function load(asked: Asked, connections: number, seconds: number): Promise<Load> {
  const took: number[] = [];
  const ask = async (client: Client, until: (asked: number) => boolean) => {
    const { question, headers } = asked;
    for (let many = 0; !until(many); many += 1) {
      const start = performance.now();
      const { statusCode, body } = await client.request({
        path: question.path((requests += 1)),
        method: question.method,
        headers,
      });
      await body.dump();
      if (statusCode !== 200) throw new Error(`${question.name} is answered ${statusCode}`);
      took.push(performance.now() - start);
    }
  };
  const clients = Array.from({ length: connections }, () => new Client(asked.origin));
  const each = (until: (asked: number) => boolean) =>
    Promise.all(clients.map((client) => ask(client, until)));
  await each((many) => many >= Math.ceil(WARM_UP / connections));
  took.length = 0;
  const start = performance.now();
  await each(() => performance.now() - start > seconds * 1000);
  const wallMs = performance.now() - start;
  await Promise.all(clients.map((client) => client.close()));
  const sorted = took.sort((one, other) => one - other);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  return { perSecond: took.length / (wallMs / 1000), p50Ms: at(0.5), p99Ms: at(0.99) };
}
