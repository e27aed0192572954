/** Actors and hosts that the operator blocked: nothing of theirs comes in. */

import type { Database } from "../../store/database.ts";
import { together } from "../../store/recent.ts";
import type { Clock } from "../../store/time.ts";

/** Blocks in force. */
export interface Blocks {
  /** True when the actor, or everybody of his host, is blocked. A new block counts within a second. */
  isBlocked(actorUri: string, host: string): Promise<boolean>;
}

/** How long a list is believed: one statement a second, however much comes in. */
const BELIEVED_MS = 1_000;

/** Opens the list of blocks. */
export function openBlocks({ sql }: Pick<Database, "sql">, clock: Clock): Blocks {
  let list: { readonly targets: ReadonlySet<string>; readonly sinceMs: number } | undefined;
  const read = together(async (_all: "all") => {
    const sinceMs = clock.real().epochMilliseconds;
    const rows = await sql<{ target: string }[]>`
      SELECT kind || ' ' || target AS target FROM block WHERE until IS NULL`;
    list = { targets: new Set(rows.map(({ target }) => target)), sinceMs };
    return list;
  });
  return {
    async isBlocked(actorUri, host) {
      const age = list === undefined ? BELIEVED_MS : clock.real().epochMilliseconds - list.sinceMs;
      // A clock that was set back makes a list old, too.
      const { targets } =
        list !== undefined && age >= 0 && age < BELIEVED_MS ? list : await read("all");
      return targets.has(`payee ${actorUri}`) || targets.has(`host ${host}`);
    },
  };
}
