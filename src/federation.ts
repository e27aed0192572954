/** Wires everything between this instance and other servers; `instance.ts` joins it to the rest. */

import { getLogger } from "@logtape/logtape";
import type { Config } from "./config.ts";
import { afterwardsJobs } from "./edges/federation/afterwards.ts";
import { backfillJobs } from "./edges/federation/backfill.ts";
import { startDelivery } from "./edges/federation/deliver.ts";
import { discoverInstance, waysJobs, waysSchedule } from "./edges/federation/discover.ts";
import { openDoor } from "./edges/federation/door.ts";
import { openExchange } from "./edges/federation/exchange.ts";
import { openFetcher } from "./edges/federation/fetch.ts";
import {
  ledgerRoutes,
  type LedgerParts,
  openMeeting,
  takePosted,
} from "./edges/federation/ledger.ts";
import { openResolver } from "./edges/federation/resolve.ts";
import { type Answer, federationRoutes } from "./edges/federation/routes.ts";
import { ensureOwnActors } from "./features/account/own.ts";
import { openActorKeys } from "./features/account/secret.ts";
import type { Resolver } from "./features/thing/find.ts";
import { multibaseOf } from "./features/statement/proof.ts";
import { logBehind } from "./features/statement/take.ts";
import type { StatementParts } from "./features/statement/write.ts";
import { shownKeys } from "./features/transfer/rotate.ts";
import { KINDS } from "./features/transfer/kinds.ts";
import { releaseDue, releaseMore } from "./features/transfer/release.ts";
import { transfersDue } from "./features/settlement/close.ts";
import type { Database } from "./store/database.ts";
import { type Egress, openEgress } from "./store/egress.ts";
import { handle, type Lane } from "./store/jobs.ts";
import type { Vault } from "./store/keys.ts";
import type { Clock } from "./store/time.ts";
import { VERSION } from "./version.ts";

/** What other servers see of an instance, and what it does towards them. */
export interface Federated {
  readonly resolver: Resolver;
  /** False while a peer knows statements of ours that this database has forgotten. */
  readonly isFresh: (peer: bigint) => Promise<boolean>;
  /** Makes the actors of the instance itself, so that others find them. */
  prepare(): Promise<void>;
  /** Answers what is for other servers, and leaves the rest to the pages. */
  routes(pages: (request: Request, remoteAddress: string) => Response | Promise<Response>): Answer;
  /** Looks at once whether there is something to deliver. */
  nudge(): void;
  /** The guarded way out. */
  readonly egress: Egress;
  /** Starts delivering and sending statements. */
  start(): void;
  /** What peers are told and asked, and apart from it what strangers can cause. */
  readonly lanes: readonly Lane[];
  /** Lets what runs come to its end. */
  close(): Promise<void>;
}

/** Opens it. Nothing is sent and nothing asked before `start`, or before somebody asks the resolver. */
export function openFederation({
  config,
  database,
  vault,
  statements,
  clock,
}: {
  config: Config;
  database: Database;
  vault: Vault;
  statements: StatementParts;
  clock: Clock;
}): Federated {
  const { origin } = database.settings;
  const egress = openEgress({
    allowedPrivate: config.allowedPrivate,
    userAgent: `Fediflattr/${VERSION} (+${origin}/)`,
  });
  const keys = openActorKeys(database, vault, clock);
  const fetcher = openFetcher({ database, egress, keys, clock, origin });
  const exchange = openExchange({ statements, kinds: KINDS, egress, clock });
  const discovery = { database, egress, fetcher, clock };
  let delivery: ReturnType<typeof startDelivery> | undefined;

  const logger = getLogger(["fediflattr", "federation"]);
  const soon = (work: Promise<void>) =>
    void work.catch((error: unknown) => logger.warning("{error}", { error }));
  const ledger: LedgerParts = {
    statements,
    kinds: KINDS,
    clock,
    meet: openMeeting((at) => discoverInstance(discovery, at), clock),
    isFresh: (peer) => exchange.isFresh(peer),
    onTaken: () => {
      exchange.nudge();
      soon(exchange.sendDue());
    },
  };

  return {
    resolver: openResolver({ database, fetcher, egress, clock }),
    isFresh: (peer) => exchange.isFresh(peer),
    async prepare() {
      await ensureOwnActors(database.drizzle, origin, clock.now());
    },
    routes(pages) {
      const ledgerApp = ledgerRoutes(ledger);
      return federationRoutes({
        database,
        clock,
        keys,
        door: openDoor({
          database,
          fetcher,
          clock,
          origin,
          isAllowedPrivate: (host) => egress.isAllowedPrivate(host),
        }),
        statementKeys: async () =>
          (await shownKeys(database.drizzle, clock.now())).map(({ id, publicKey }) => ({
            id,
            publicKeyMultibase: multibaseOf(publicKey),
          })),
        takeStatement: async (body) => {
          const { status, body: text } = await takePosted(ledger, body, { isByInbox: true });
          return new Response(text === "" ? null : text, {
            status,
            headers: text === "" ? {} : { "content-type": "application/json" },
          });
        },
        nudge: () => delivery?.nudge(),
        pages: async (request, remoteAddress) => {
          const { pathname } = new URL(request.url);
          return pathname === "/ledger" || pathname.startsWith("/ledger/")
            ? ledgerApp.fetch(request)
            : pages(request, remoteAddress);
        },
        version: VERSION,
        custody: "prepaid",
        isOpen: false,
      });
    },
    nudge: () => delivery?.nudge(),
    egress,
    start() {
      delivery ??= startDelivery({ database, egress, keys, fetcher, clock });
      exchange.start();
    },
    lanes: [
      {
        handlers: [
          handle(logBehind, async ({ peer }) => exchange.pull(BigInt(peer))),
          handle(transfersDue, () => exchange.sendDue()),
          handle(releaseDue, ({ peer, currency }) =>
            releaseMore(database, { peer: BigInt(peer), currency, at: clock.now() }),
          ),
        ],
        schedules: [
          { name: "transfers", crontab: "* * * * *", run: () => exchange.sendDue() },
          { name: "heads", crontab: "17 3 * * *", run: () => exchange.compareAll() },
        ],
      },
      {
        handlers: [
          ...afterwardsJobs({ database, clock, fetcher }),
          ...backfillJobs({ database, clock, fetcher }),
          ...waysJobs(discovery),
        ],
        schedules: [waysSchedule(discovery)],
      },
    ],
    async close() {
      await Promise.all([delivery?.stop(), exchange.stop()]);
      await egress.close();
    },
  };
}
