/** Breaks connections in the middle of transactions, and says how long questions take when the database is back. */

import { setTimeout as sleep } from "node:timers/promises";
import { openClients } from "../../src/store/database.ts";
import { surviveVanishedDatabase } from "../../src/store/survive.ts";
import { openFront } from "../support/front.ts";

const CONNECTIONS = 4;

surviveVanishedDatabase();
const ends: (() => Promise<void>)[] = [];
const front = await openFront(process.argv[2]!, (end) => void ends.push(end));
const { sql, end } = openClients(front.url, CONNECTIONS);
const each = <T>(work: () => Promise<T>) => Array.from({ length: CONNECTIONS }, work);
const broken = Promise.allSettled(
  each(() => sql.begin(async (client) => void (await client`SELECT pg_sleep(60)`))),
);
await sleep(500);
front.goAway();
const failed = await broken;
await sleep(100);
front.comeBack();
const from = performance.now();
const answered = await Promise.allSettled(each(() => sql`SELECT pg_sleep(0.1)`.execute()));
const took = Math.round(performance.now() - from);
const states = (all: readonly PromiseSettledResult<unknown>[]) => all.map(({ status }) => status);
process.stdout.write(
  `${JSON.stringify({ failed: states(failed), answered: states(answered), took })}\n`,
);
await end();
for (const one of ends) await one();
