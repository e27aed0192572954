/** One post to a thousand followers elsewhere, beside the RSA signatures that it takes. */

import { generateKeyPairSync, sign } from "node:crypto";
import type postgres from "postgres";
import { type Account, createAccount } from "../src/features/account/create.ts";
import { writePost } from "../src/features/post/write.ts";
import type { Database } from "../src/store/database.ts";
import { Temporal } from "../src/store/time.ts";
import { type Cost, measure, until } from "./cost.ts";
import { allHosts, type Elsewhere, rememberPeople, SERVERS, startElsewhere } from "./elsewhere.ts";
import { median, printerOf } from "./figures.ts";
import type { Options } from "./options.ts";
import { freePort, startServer } from "./running.ts";
import { backendsOf, withClient, withDatabase, withServer } from "./server.ts";
import { SETTINGS } from "./settings.ts";

const FOLLOWERS = 1_000;
const DELIVERIES_A_ROUND = 1_000;

const FIRST_ID = 4_000_000_000;

/** How often it is looked whether the last delivery has left the table. */
const LOOK_MS = 20;

/**
 * Whose followers have an inbox each, and whose share one for each server: then a post is told in as many deliveries
 * as there are servers, and several posts make as many.
 */
const AUTHORS = [
  { name: "one", followers: "an inbox each", hasSharedInbox: false, posts: 1 },
  { name: "two", followers: "shared inboxes", hasSharedInbox: true, posts: FOLLOWERS / SERVERS },
] as const;

interface Followed {
  readonly account: Account;
  readonly followers: (typeof AUTHORS)[number]["followers"];
  readonly posts: number;
}

interface Place {
  readonly sql: postgres.Sql;
  readonly database: Database;
  readonly elsewhere: Elsewhere;
  readonly delivering: number;
}

interface Round {
  readonly deliveries: Cost;
  readonly signatures: Cost;
}

/** Measures both kinds of followers. */
export async function benchDeliver({ database: served, rounds, profile }: Options): Promise<void> {
  await withServer(served, async (server) => {
    const name = `fl_bench_${process.pid}_deliver`;
    const url = await server.makeDatabase(name);
    const elsewhere = await startElsewhere();
    try {
      await withClient(url, (sql) =>
        withDatabase(url, 2, async (database) => {
          const followed: Followed[] = [];
          for (const [place, author] of AUTHORS.entries()) {
            const account = await makeAuthor(database, author.name);
            const first = place * FOLLOWERS;
            const { hasSharedInbox } = author;
            const people = { first, many: FOLLOWERS, firstId: FIRST_ID, at: elsewhere.ready };
            await rememberPeople(sql, { ...people, hasSharedInbox });
            await follow(sql, { followee: account.actor, first });
            followed.push({ ...author, account });
          }
          const { child } = await startServer(
            {
              DATA_DIR: server.dataFolder(name),
              DATABASE_URL: url,
              ORIGIN: SETTINGS.origin,
              PORT: String(await freePort()),
              ALLOW_PRIVATE_ADDRESSES: allHosts(elsewhere.ready.port),
            },
            { running: server.running, profile },
          );
          const place = { sql, database, elsewhere, delivering: child.pid! };
          // The first deliveries of a process cost more than all others, and somebody's key is made for his first post.
          for (const one of followed) await tellFollowers(place, one);
          for (const one of followed) {
            const measured: Round[] = [];
            for (let round = 1; round <= rounds; round += 1)
              measured.push(await measureRound(place, one));
            printRounds(one, measured);
          }
        }),
      );
    } finally {
      await elsewhere.end({ do: "end" });
    }
  });
}

async function makeAuthor(database: Database, name: string): Promise<Account> {
  return createAccount(database, {
    name,
    email: `${name}@mail.example`,
    role: "user",
    at: Temporal.Now.instant(),
  });
}

async function follow(
  sql: postgres.Sql,
  { followee, first }: { followee: bigint; first: number },
): Promise<void> {
  await sql`
    INSERT INTO follow (follower, followee, state, since)
    SELECT ${FIRST_ID + first}::bigint + n, ${String(followee)}::bigint, 'accepted', now() FROM generate_series(0, ${FOLLOWERS - 1}) n`;
}

/** From the click on "publish" until every delivery has arrived and has left the table. */
async function tellFollowers(
  { sql, database, elsewhere, delivering }: Place,
  { account: author, posts }: Followed,
): Promise<Cost> {
  await elsewhere.tell({ do: "tally" });
  // This process writes the posts, as one that answers people would.
  const pids = async () => [process.pid, delivering, ...(await backendsOf(sql))];
  const { cost } = await measure(pids, async () => {
    for (let post = 1; post <= posts; post += 1)
      await writePost(database, { author, text: `Post ${post}`, at: Temporal.Now.instant() });
    const isDone = async () => !(await isAnyLeft(sql));
    await until(`${DELIVERIES_A_ROUND} deliveries`, isDone, { lookMs: LOOK_MS });
  });
  const { tally } = await elsewhere.tell({ do: "tally" });
  if (tally.posts !== DELIVERIES_A_ROUND || tally.inboxes !== DELIVERIES_A_ROUND / posts)
    throw new Error(`${tally.posts} deliveries arrived at ${tally.inboxes} inboxes`);
  return cost;
}

async function isAnyLeft(sql: postgres.Sql): Promise<boolean> {
  const [row] = await sql<[{ left: boolean }]>`SELECT EXISTS (SELECT FROM delivery) AS "left"`;
  return row.left;
}

async function measureRound(place: Place, followed: Followed): Promise<Round> {
  const round = {
    deliveries: await tellFollowers(place, followed),
    signatures: await signAsMany(),
  };
  const seconds = ({ cpuMs }: Cost) => `${perThousand(cpuMs).toFixed(2)} CPU s`;
  console.error(
    `1,000 deliveries, ${followed.followers}: ${seconds(round.deliveries)}; signed ${seconds(round.signatures)}; ` +
      `${Math.round(DELIVERIES_A_ROUND / (round.deliveries.wallMs / 1000))} a second`,
  );
  return round;
}

/** CPU seconds for 1,000, from milliseconds for a round. */
function perThousand(ms: number): number {
  return ms / DELIVERIES_A_ROUND;
}

/** As many RSA signatures, with a key that is ready. */
async function signAsMany(): Promise<Cost> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const text = Buffer.from("(request-target): post /inbox\nhost: home.example\n".repeat(3));
  const { cost } = await measure(
    async () => [process.pid],
    async () => {
      for (let times = 0; times < DELIVERIES_A_ROUND; times += 1) sign("sha256", text, privateKey);
    },
  );
  return cost;
}

function printRounds({ followers, posts }: Followed, rounds: readonly Round[]): void {
  const print = printerOf("deliver");
  const at = (figure: string) => `${figure}, ${followers}`;
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  print(
    at("CPU of 1,000 deliveries, Node and PostgreSQL"),
    middle(({ deliveries }) => perThousand(deliveries.cpuMs)),
    "s",
  );
  print(
    at("CPU of 1,000 RSA signatures"),
    middle(({ signatures }) => perThousand(signatures.cpuMs)),
    "s",
  );
  print(
    at("deliveries / signatures"),
    middle(({ deliveries, signatures }) => deliveries.cpuMs / signatures.cpuMs),
    "ratio",
  );
  print(
    at(`CPU of a post to ${FOLLOWERS} followers`),
    middle(({ deliveries }) => deliveries.cpuMs / 1000 / posts),
    "s",
  );
  print(
    at("deliveries"),
    middle(({ deliveries }) => DELIVERIES_A_ROUND / (deliveries.wallMs / 1000)),
    "deliveries/s",
  );
}
