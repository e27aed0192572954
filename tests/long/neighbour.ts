/**
 * A process that does on an instance what people and its operator do, one order per line of standard input, any number
 * at once, until it is told to end or killed. It says `{"opened":…}`, and for each order one line with its number:
 * `done`, `refused` with a reason, or `failed`, after which it may be done or not.
 */

import { createInterface } from "node:readline";
import { sql } from "drizzle-orm";
import { readConfig } from "../../src/config.ts";
import { createAccount } from "../../src/features/account/create.ts";
import { accountNamed } from "../../src/features/account/find.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { followActor, unfollowActor } from "../../src/features/follow/follow.ts";
import { setPeerLimit } from "../../src/features/peer/peer.ts";
import { writePost } from "../../src/features/post/write.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { payPeer, receiveFromPeer } from "../../src/features/transfer/payment.ts";
import { tellTerms } from "../../src/features/transfer/terms.ts";
import { openInstance } from "../../src/instance.ts";
import { toMicro } from "../../src/rules/amount.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { surviveVanishedDatabase } from "../../src/store/survive.ts";

/** What can be ordered. Amounts are decimal texts of micro. */
export type Order =
  | {
      readonly do: "person";
      readonly name: string;
      readonly budget: string;
      readonly money: string;
    }
  | { readonly do: "post"; readonly name: string; readonly text: string }
  | { readonly do: "follow" | "unfollow"; readonly name: string; readonly whom: string }
  | { readonly do: "flattr" | "unflattr"; readonly name: string; readonly thing: string }
  | {
      readonly do: "fund";
      readonly name: string;
      readonly amount: string;
      readonly reference: string;
    }
  | {
      readonly do: "paid" | "received";
      readonly host: string;
      readonly amount: string;
      readonly reference: string;
    }
  | { readonly do: "limit"; readonly host: string; readonly amount: string }
  | { readonly do: "settle" | "check" | "waiting" | "heads" }
  | { readonly do: "pass"; readonly hours: number };

/** What came of an order. */
export type Outcome =
  | { readonly done: Readonly<Record<string, unknown>> }
  | { readonly refused: string }
  /** Nobody knows whether it was done. */
  | { readonly failed: string };

surviveVanishedDatabase();
const instance = await openInstance(readConfig(process.env));
const { database, clock, statements, resolver } = instance;
say({ opened: database.settings.origin });

const running = new Set<Promise<void>>();
const orders = createInterface({ input: process.stdin });
process.on("SIGTERM", () => orders.close());
for await (const line of orders) {
  const { n, order } = JSON.parse(line) as { n: number; order: Order };
  const work = obey(order).then(
    (done) => say({ n, done }),
    (error: unknown) =>
      say(error instanceof Refusal ? { n, refused: error.reason } : { n, failed: wordsOf(error) }),
  );
  running.add(work);
  void work.finally(() => running.delete(work));
}
await Promise.all(running);
await instance.close();
process.exit();

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function wordsOf(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) ({ cause } = cause);
  return String(cause);
}

async function obey(order: Order): Promise<Record<string, unknown>> {
  const at = clock.now();
  switch (order.do) {
    case "person": {
      const { name, budget, money } = order;
      const { id } = await createAccount(database, {
        name,
        email: `${name}@mail.example`,
        role: "user",
        at,
      });
      await setBudget(database, { patron: id, amount: micro(budget), at });
      if (money !== "0") await fund(database, { patron: id, amount: micro(money), at });
      return {};
    }
    case "post": {
      const author = await accountNamed(database.drizzle, order.name);
      return { uri: (await writePost(database, { author, text: order.text, at })).uri };
    }
    case "follow": {
      const follower = await accountNamed(database.drizzle, order.name);
      await resolver.actor(order.whom);
      return { state: await followActor(database, { follower, uri: order.whom, at }) };
    }
    case "unfollow": {
      const follower = await accountNamed(database.drizzle, order.name);
      await unfollowActor(database, { follower, uri: order.whom, at });
      return {};
    }
    case "flattr": {
      const { id: patron } = await accountNamed(database.drizzle, order.name);
      const thing = await resolver.thing(order.thing);
      const given = await giveFlattr(database, { patron, thing, source: "click", at: clock.now() });
      return { flattr: String(given.flattr), period: given.period, again: given.again };
    }
    case "unflattr": {
      const { id: patron } = await accountNamed(database.drizzle, order.name);
      const thing = await resolver.thing(order.thing);
      await takeBackFlattr(database, { patron, thing, at });
      return {};
    }
    case "fund": {
      const { id: patron } = await accountNamed(database.drizzle, order.name);
      const { amount, reference } = order;
      return {
        ...(await fund(database, { patron, amount: micro(amount), reference, at })),
        id: "",
      };
    }
    case "paid":
    case "received": {
      const { host, amount, reference } = order;
      const mayWrite = await mayWriteTo(host);
      const book = order.do === "paid" ? payPeer : receiveFromPeer;
      const { again } = await book(
        statements,
        { host, currency: "EUR", amount: micro(amount), reference, at },
        { mayWrite },
      );
      return { again };
    }
    case "limit": {
      const { host, amount } = order;
      await setPeerLimit(database, { host, currency: "EUR", limit: micro(amount) });
      await tellTerms(statements, { host, at, mayWrite: await mayWriteTo(host) });
      return {};
    }
    case "settle": {
      const { period, state } = await settle(database, { at });
      return { period, state };
    }
    case "check":
      return { findings: await checkBooks(database) };
    case "heads":
      await database.sql`SELECT graphile_worker.add_job('heads')`;
      return {};
    case "waiting":
      return waiting();
    case "pass":
      await pass(order.hours);
      return {};
  }
}

function micro(amount: string) {
  return toMicro(BigInt(amount));
}

/** As the commands do it. */
async function mayWriteTo(host: string): Promise<boolean> {
  const [row] = await database.sql<
    { id: bigint; state: string }[]
  >`SELECT id, state FROM peer WHERE host = ${host}`;
  if (row === undefined) throw new Refusal("peer_unknown", { host });
  return row.state === "open" && instance.isFresh(row.id);
}

/** What is not done yet, by kind. */
async function waiting(): Promise<Record<string, unknown>> {
  const [row] = await database.drizzle.execute(sql`
    SELECT (SELECT count(*)::int FROM delivery) AS deliveries,
           (SELECT count(*)::int FROM statement WHERE due_at IS NOT NULL) AS statements,
           (SELECT count(*)::int FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id
             WHERE j.attempts < j.max_attempts AND t.identifier IN ('transfers.due', 'statement.pull', 'peer.discover', 'heads')) AS jobs,
           (SELECT json_agg(concat_ws(' ', t.identifier, j.attempts, j.max_attempts, j.run_at, j.locked_at, j.last_error)) FROM graphile_worker._private_jobs j
              JOIN graphile_worker._private_tasks t ON t.id = j.task_id WHERE j.attempts < j.max_attempts) AS "jobErrors",
           (SELECT count(*)::int FROM line WHERE state = 'sent') AS sent,
           (SELECT count(*)::int FROM peer WHERE is_untold) + (SELECT count(*)::int FROM statement WHERE is_recovered) AS untold,
           (SELECT count(*)::int FROM line WHERE state = 'outbound') AS outbound,
           (SELECT json_agg(DISTINCT COALESCE(last_error, '')) FROM statement WHERE due_at IS NOT NULL) AS "statementErrors",
           (SELECT json_agg(DISTINCT activity || ' ' || COALESCE(last_error, '') || ' ' || attempts) FROM delivery) AS "deliveryErrors",
           (SELECT json_agg(DISTINCT COALESCE(reason, '-') || ' ' || COALESCE(due_at::text, 'never')) FROM line WHERE state = 'outbound') AS "lineReasons"`);
  return row!;
}

/**
 * Lets everything that waits by the clock of the machine wait so much less, leases of processes that are gone included.
 * What was not believed is left alone: why it was not is remembered by other processes, whose memory no clock moves.
 */
async function pass(hours: number): Promise<void> {
  await database.sql.begin(async (tx) => {
    const by = `${hours} hours`;
    await tx`UPDATE delivery SET due_at = due_at - ${by}::interval WHERE last_error IS DISTINCT FROM '401' OR ${hours > 24}`;
    await tx`UPDATE host_health SET next_try_at = next_try_at - ${by}::interval`;
    await tx`UPDATE statement SET due_at = due_at - ${by}::interval WHERE due_at IS NOT NULL`;
    await tx`UPDATE graphile_worker._private_jobs SET run_at = run_at - ${by}::interval, locked_at = locked_at - ${by}::interval`;
    await tx`UPDATE graphile_worker._private_job_queues SET locked_at = locked_at - ${by}::interval`;
  });
}
