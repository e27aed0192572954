/** What a worker does for `@flattr`. */

import type { Database } from "../../store/database.ts";
import { handle, type JobHandler, type Schedule } from "../../store/jobs.ts";
import type { Clock } from "../../store/time.ts";
import { firstToken } from "../access/token.ts";
import { spokenToBot } from "../post/write.ts";
import { botDue, welcome } from "./due.ts";
import { answerOrder } from "./order.ts";

/** Answers to what people write to it, the greeting, and every ten minutes what is due by the clock. */
export function botJobs({
  database,
  clock,
}: {
  readonly database: Database;
  readonly clock: Clock;
}): { readonly handlers: readonly JobHandler[]; readonly schedules: readonly Schedule[] } {
  return {
    handlers: [
      handle(spokenToBot, ({ post }) => answerOrder(database, BigInt(post), clock.now())),
      handle(firstToken, ({ account }) => welcome(database, BigInt(account), clock.now())),
    ],
    schedules: [
      {
        name: "bot",
        crontab: "*/10 * * * *",
        run: async () => {
          await botDue(database, clock.now());
        },
      },
    ],
  };
}
