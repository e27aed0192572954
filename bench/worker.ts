/**
 * A worker that closes months, as a process of its own: started by `settle.ts`, which bundles it as the program is
 * bundled, and told what to do by messages.
 */

import { readFileSync } from "node:fs";
import { openClients } from "../src/store/database.ts";
import { closePeriod, finalisePeriods } from "../src/features/settlement/close.ts";
import { turnMonths } from "../src/features/settlement/turn.ts";
import { GRACE_ENDS, MONTH, MONTH_CLOSES, SETTINGS } from "./settings.ts";

export type Order = "turn" | "close" | "finalise" | "end";

/** What a worker says when it has done what it was told, and once when it is ready. */
export interface Done {
  readonly wallMs: number;
  readonly rssBytesPeak: number;
}

const { end, ...clients } = openClients(process.argv[2]!, 2);
const database = { ...clients, settings: SETTINGS };

const ORDERS: Readonly<Record<Order, () => Promise<void>>> = {
  turn: () => turnMonths(database, MONTH_CLOSES),
  close: () => closePeriod(database, MONTH),
  finalise: () => finalisePeriods(database, GRACE_ENDS),
  async end() {
    await end();
    process.disconnect();
  },
};

process.on("message", (order: Order) => void follow(order));

await Promise.all([database.drizzle.execute("SELECT 1"), database.sql`SELECT 1`]);
answer(0);

async function follow(order: Order): Promise<void> {
  const start = performance.now();
  await ORDERS[order]();
  if (order !== "end") answer(performance.now() - start);
}

function answer(wallMs: number): void {
  process.send!({ wallMs, rssBytesPeak: rssBytesPeak() } satisfies Done);
}

/** `resourceUsage` would begin with the memory of the process that this one was forked from. */
function rssBytesPeak(): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))!;
  return Number(kibibytes) * 1024;
}
