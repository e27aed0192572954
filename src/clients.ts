/** Wires the client API; `instance.ts` joins it to the rest. */

import { clientApp, isClientPath } from "./edges/mastodon/app.ts";
import { limitsFor } from "./edges/mastodon/limits.ts";
import { renderFor } from "./edges/mastodon/render.ts";
import { openStreaming, type Streaming } from "./edges/mastodon/streaming.ts";
import { botJobs } from "./features/bot/jobs.ts";
import { forgetStale } from "./features/access/forget.ts";
import { countTrends } from "./features/flattr/trend.ts";
import { forgetMedia } from "./features/media/forget.ts";
import { hiding } from "./features/filter/hidden.ts";
import { pushJobs } from "./features/notice/push.ts";
import { vapidPublicKey } from "./features/notice/push-key.ts";
import { eventsSchedule, openEvents } from "./features/notice/stream.ts";
import { cleanName, plainText } from "./features/post/clean.ts";
import { trimHomes } from "./features/post/home.ts";
import { pollJobs } from "./features/post/poll.ts";
import type { Federated } from "./federation.ts";
import type { Database } from "./store/database.ts";
import type { Lane } from "./store/jobs.ts";
import type { Vault } from "./store/keys.ts";
import { openRates } from "./store/rates.ts";
import type { Clock } from "./store/time.ts";
import { VERSION } from "./version.ts";

/** What clients see of an instance, and what is done for them later. */
export interface Clients {
  /** Whether an address is of the client API. */
  answers(path: string): boolean;
  /** Answers what clients ask. `remoteAddress`: who asks, for limits. */
  fetch(request: Request, remoteAddress: string): Response | Promise<Response>;
  /** Takes requests for a socket. */
  readonly upgrade: Streaming["upgrade"];
  /** What is done for people later, and apart from it what waits for push services. */
  readonly lanes: readonly Lane[];
  /** Says goodbye to the sockets, and writes down what was counted. */
  close(): Promise<void>;
}

/** Opens it. Nothing runs before somebody asks. */
export function openClientApi({
  database,
  vault,
  clock,
  federation,
  requestsMax,
}: {
  readonly database: Database;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly federation: Federated;
  /** Of one app of one person, within five minutes. */
  readonly requestsMax: number;
}): Clients {
  const { egress, resolver } = federation;
  const rates = openRates(database, clock);
  const parts = {
    database,
    clock,
    resolver,
    version: VERSION,
    rates,
    limits: limitsFor(requestsMax),
    nudge: () => federation.nudge(),
    vapidKey: () => vapidPublicKey(database, vault, clock.now()),
    isAllowedPrivate: (host: string) => egress.isAllowedPrivate(host),
  };
  const app = clientApp(parts);
  const bot = botJobs({ database, clock });
  const streaming = openStreaming({
    database,
    clock,
    rates,
    events: openEvents(database),
    render: renderFor(parts),
  });
  return {
    answers: isClientPath,
    fetch: (request, remoteAddress) => app.fetch(request, { remoteAddress }),
    upgrade: (...asked) => streaming.upgrade(...asked),
    lanes: [
      {
        handlers: pushJobs({
          database,
          egress,
          vault,
          clock,
          plainText,
          cleanName,
          isHidden: hiding(database, clock),
        }),
        schedules: [],
      },
      {
        handlers: [...bot.handlers, ...pollJobs({ database, clock })],
        schedules: [
          ...bot.schedules,
          eventsSchedule({ database, clock }),
          {
            name: "trends",
            crontab: "*/10 * * * *",
            run: () => countTrends(database, clock.now()),
          },
          {
            name: "forget",
            crontab: "23 * * * *",
            run: async () => {
              await trimHomes(database);
              await forgetStale(database, clock.real());
              await forgetMedia(database, clock.now());
            },
          },
        ],
      },
    ],
    async close() {
      await streaming.close();
      await rates.close();
    },
  };
}
