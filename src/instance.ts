/** Puts one running instance together, from the core to the rim: the only wiring. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type postgres from "postgres";
import { type Config, ConfigError, refuseShiftedClock, trialOrigin } from "./config.ts";
import type { Listening } from "./edges/web/serve.ts";
import { makeReceipts, receiptsDue } from "./features/settlement/receipt.ts";
import { tick } from "./features/settlement/tick.ts";
import { publishFee, turnMonths } from "./features/settlement/turn.ts";
import type { Resolver } from "./features/thing/find.ts";
import type { StatementParts } from "./features/statement/write.ts";
import { rotateStatementKey } from "./features/transfer/rotate.ts";
import type { Clients } from "./clients.ts";
import type { Federated } from "./federation.ts";
import { connectionTo, type Database, openClients, urlOf } from "./store/database.ts";
import { type Embedded, openEmbedded } from "./store/embedded.ts";
import { handle, startJobs } from "./store/jobs.ts";
import { openMasterKey, type Vault } from "./store/keys.ts";
import { appliedMigrations, knownMigrations, migrate } from "./store/migrate.ts";
import {
  ensureSigningKey,
  ensureStatementKey,
  openSigner,
  openStatementKeys,
  publicKeys,
  type Signer,
} from "./store/signing.ts";
import { type Clock, machineClock } from "./store/time.ts";
import connect from "postgres";

/** An open instance. */
export interface Instance {
  readonly config: Config;
  readonly clock: Clock;
  readonly database: Database;
  readonly signer: Signer;
  /** Writes statements to other instances. */
  readonly statements: StatementParts;
  /** False while a peer knows statements of ours that this database has forgotten. */
  readonly isFresh: (peer: bigint) => Promise<boolean>;
  /** Changes the key that signs statements, and tells all peers. */
  readonly rotateKey: () => Promise<{ key: string; peers: number }>;
  /** Finds things and people of other servers. */
  readonly resolver: Resolver;
  /** Where the database is, for programs that take a URL. */
  readonly databaseUrl: string;
  /** Starts answering HTTP. */
  serve(): Promise<Listening>;
  /** Starts doing jobs, and what is due by the clock. */
  work(): Promise<void>;
  /** Finishes what runs, then lets the database go. */
  close(): Promise<void>;
}

/** How often the embedded server is looked after. */
const REVIVE_MS = 500;

/**
 * Opens an instance: the database, migrated, and the keys.
 *
 * @throws ConfigError when a setting contradicts what the database remembers; Error with a sentence when the database
 *   or the master key cannot be used
 */
export async function openInstance(config: Config): Promise<Instance> {
  const clock = machineClock(config.clockOffset);
  const embedded =
    config.databaseUrl === undefined ? await openEmbedded(config.dataFolder) : undefined;
  const url = config.databaseUrl ?? urlOf(embedded!.address);
  try {
    const { origin, vault } = await bringUpToDate(url, config, clock);
    const clients = openClients(url);
    const { currency, minimumBudget, feeBasisPoints, unclaimedMonths, peerLimit } = config;
    const database: Database = {
      ...clients,
      settings: {
        origin,
        currency,
        minimumBudget,
        feeBasisPoints,
        unclaimedMonths,
        peerLimit,
      },
    };
    try {
      const signer = await openSigner(database.drizzle, vault);
      await ensureStatementKey(database.drizzle, vault, { origin, at: clock.now() });
      return runInstance({
        config,
        clock,
        database,
        vault,
        signer,
        url,
        embedded,
        endClients: clients.end,
      });
    } catch (error) {
      await clients.end();
      throw error;
    }
  } catch (error) {
    await embedded?.release();
    throw error;
  }
}

interface Opened {
  readonly config: Config;
  readonly clock: Clock;
  readonly database: Database;
  readonly vault: Vault;
  readonly signer: Signer;
  readonly url: string;
  readonly embedded: Embedded | undefined;
  readonly endClients: () => Promise<void>;
}

function runInstance({
  config,
  clock,
  database,
  vault,
  signer,
  url,
  embedded,
  endClients,
}: Opened): Instance {
  const statements: StatementParts = { database, keyOf: openStatementKeys(vault) };
  const rim = openRim({ config, clock, database, vault, statements });
  const state = { draining: false, looking: false };
  const closing: (() => Promise<void>)[] = [];
  const keepEmbedded = () => {
    if (embedded === undefined || state.looking) return;
    state.looking = true;
    const looked = lookAfter(embedded, () => state.draining);
    closing.push(() => looked);
  };
  return {
    config,
    clock,
    database,
    signer,
    statements,
    isFresh: async (peer) => (await rim.federation()).isFresh(peer),
    rotateKey: () => rotateStatementKey(statements, vault, clock.now()),
    resolver: {
      thing: async (text) => (await rim.federation()).resolver.thing(text),
      actor: async (text) => (await rim.federation()).resolver.actor(text),
      post: async (text) => (await rim.federation()).resolver.post(text),
    },
    databaseUrl: url,
    async serve() {
      keepEmbedded();
      await publishFee(database);
      await turnMonths(database, clock.now());
      const [federation, clients, { serveHttp }, { pageRoutes }] = await Promise.all([
        rim.federation(),
        rim.clients(),
        import("./edges/web/serve.ts"),
        import("./edges/web/routes.ts"),
      ]);
      await federation.prepare();
      const pages = pageRoutes({
        database,
        clock,
        migrations: await knownMigrations(config.migrationsFolder),
        isDraining: () => state.draining,
        publicKeys: () => publicKeys(database.drizzle),
      });
      const answer = federation.routes((request, remoteAddress) =>
        clients.answers(new URL(request.url).pathname)
          ? clients.fetch(request, remoteAddress)
          : pages.fetch(request, { remoteAddress }),
      );
      const listening = await serveHttp(answer, config, clients.upgrade);
      closing.unshift(
        () => clients.close(),
        () => listening.close(),
      );
      return listening;
    },
    async work() {
      keepEmbedded();
      await publishFee(database);
      await turnMonths(database, clock.now());
      const [federation, clients] = await Promise.all([rim.federation(), rim.clients()]);
      const jobs = startJobs(url, [
        {
          handlers: [
            handle(receiptsDue, ({ period, kind, account }) =>
              makeReceipts(database, signer, {
                period,
                kind,
                only: account === undefined ? undefined : BigInt(account),
                at: clock.now(),
              }),
            ),
          ],
          schedules: [
            { name: "tick", crontab: "* * * * *", run: () => tick(database, clock.now()) },
          ],
        },
        // What waits for others never keeps the months waiting.
        ...federation.lanes,
        ...clients.lanes,
      ]);
      federation.start();
      closing.unshift(() => jobs.stop());
    },
    async close() {
      state.draining = true;
      // Each step is tried, whatever became of the others: the database must be let go.
      const failures: unknown[] = [];
      for (const step of [
        ...closing,
        () => rim.close(),
        endClients,
        async () => embedded?.release(),
      ]) {
        await step().catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0)
        throw new AggregateError(failures, "the instance did not close cleanly");
    },
  };
}

/**
 * What stands between the features and the world outside. It is loaded when somebody first needs it: most commands do
 * not, and would begin twice as late.
 */
function openRim(parts: {
  config: Config;
  clock: Clock;
  database: Database;
  vault: Vault;
  statements: StatementParts;
}) {
  let federation: Promise<Federated> | undefined;
  let clients: Promise<Clients> | undefined;
  const rim = {
    federation: () =>
      (federation ??= import("./federation.ts").then(({ openFederation }) =>
        openFederation(parts),
      )),
    clients: () =>
      (clients ??= Promise.all([rim.federation(), import("./clients.ts")]).then(
        ([opened, { openClientApi }]) =>
          openClientApi({
            ...parts,
            federation: opened,
            requestsMax: parts.config.clientRequests,
          }),
      )),
    async close() {
      // What could not be loaded has been told to whoever asked for it.
      await (await federation?.catch(() => undefined))?.close();
    },
  };
  return rim;
}

/** Starts the embedded server again whenever it was killed, until the instance ends. */
async function lookAfter(embedded: Embedded, isOver: () => boolean): Promise<void> {
  const logger = getLogger(["fediflattr", "store"]);
  while (!isOver()) {
    await embedded
      .revive()
      .catch((error: unknown) =>
        logger.error("the embedded database cannot be started again: {error}", { error }),
      );
    await sleep(REVIVE_MS);
  }
}

/** Migrates when needed, and opens the master key. */
async function bringUpToDate(
  url: string,
  config: Config,
  clock: Clock,
): Promise<{ origin: string; vault: Vault }> {
  const sql = connect({ ...connectionTo(url), max: 1, onnotice: () => {} });
  try {
    const isCurrent =
      (await appliedMigrations(sql)) === (await knownMigrations(config.migrationsFolder));
    if (isCurrent && (await settingOf(sql, "prepared")) !== undefined)
      return await readIdentity(sql, config);
  } finally {
    await sql.end({ timeout: 5 });
  }
  return migrate(url, config.migrationsFolder, (locked) => prepare(locked, config, clock));
}

/** What a new database needs before anybody uses it. Safe to run again: it was cut off if it is. */
async function prepare(
  sql: postgres.Sql,
  config: Config,
  clock: Clock,
): Promise<{ origin: string; vault: Vault }> {
  await sql`INSERT INTO setting (name, value) VALUES ('origin', ${config.origin ?? trialOrigin(config)}), ('currency', ${config.currency}) ON CONFLICT DO NOTHING`;
  const vault = await openMasterKey(config.masterKeyFile, await settingOf(sql, "master_key"));
  await sql`INSERT INTO setting (name, value) VALUES ('master_key', ${vault.fingerprint}) ON CONFLICT DO NOTHING`;
  await ensureSigningKey(sql, vault, clock.now());
  await sql`
    INSERT INTO ledger.account (kind, currency, floor) VALUES ('world', ${config.currency}, NULL), ('fee', ${config.currency}, 0) ON CONFLICT DO NOTHING`;
  await sql`INSERT INTO setting (name, value) VALUES ('prepared', ${randomUUID()}) ON CONFLICT DO NOTHING`;
  return readIdentity(sql, config);
}

async function readIdentity(
  sql: postgres.Sql,
  config: Config,
): Promise<{ origin: string; vault: Vault }> {
  const origin = (await settingOf(sql, "origin"))!;
  const currency = await settingOf(sql, "currency");
  if (config.origin !== undefined && config.origin !== origin) {
    throw new ConfigError(
      `ORIGIN is "${config.origin}", but this database belongs to ${origin}: its addresses are known elsewhere and cannot change; for example ORIGIN=${origin}`,
    );
  }
  refuseShiftedClock(config, origin);
  if (currency !== config.currency) {
    throw new ConfigError(
      `CURRENCY is "${config.currency}", but the books of this database are in ${currency}; for example CURRENCY=${currency}`,
    );
  }
  return {
    origin,
    vault: await openMasterKey(config.masterKeyFile, await settingOf(sql, "master_key")),
  };
}

async function settingOf(sql: postgres.Sql, name: string): Promise<string | undefined> {
  const [row] = await sql<{ value: string }[]>`SELECT value FROM setting WHERE name = ${name}`;
  return row?.value;
}
