/** Work that is done later: graphile-worker, with jobs added in the transaction of what they follow from. */

import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { getLogger } from "@logtape/logtape";
import { sql } from "drizzle-orm";
import { Logger, parseCronItems, run, type WorkerEvents } from "graphile-worker";
import { Pool, type PoolClient } from "pg";
import type { Drizzle, Tx } from "./database.ts";
import { EgressError } from "./egress.ts";

/** A kind of job: its name, and the ids that it carries. Never keys, never whole objects. */
export interface JobKind<Payload> {
  readonly name: string;
  /** How often it is tried, if not for days: what strangers can cause is not worth more. */
  readonly attemptsMax?: number;
  /** Only to tie the type to the name. */
  readonly payload?: Payload;
}

/** Does one kind of job. Must be safe to run again: a job that was cut off is. */
export interface JobHandler {
  readonly name: string;
  readonly run: (payload: unknown) => Promise<void>;
}

/** A job that runs by the clock. */
export interface Schedule {
  readonly name: string;
  /** As in a crontab, in UTC. */
  readonly crontab: string;
  readonly run: () => Promise<void>;
}

/** Ties a kind of job to the function that does it. */
export function handle<Payload>(
  kind: JobKind<Payload>,
  work: (payload: Payload) => Promise<void>,
): JobHandler {
  return { name: kind.name, run: (payload) => work(payload as Payload) };
}

/** When a job runs. */
export interface JobTime {
  /** How long it waits, in real time. */
  readonly afterMs?: number;
  /** True: one that waits already keeps its time, however often it is added. */
  readonly isKept?: boolean;
}

/**
 * Adds a job that runs if this transaction is committed.
 *
 * @param key one job of this key at a time: a second one replaces the first while that has not started
 */
export async function addJob<Payload>(
  tx: Tx | Drizzle,
  kind: JobKind<Payload>,
  payload: Payload,
  key: string,
  { afterMs = 0, isKept = false }: JobTime = {},
): Promise<void> {
  await tx.execute(
    sql`SELECT graphile_worker.add_job(${kind.name}, ${JSON.stringify(payload)}::json, job_key => ${keyOf(key)},
                                       max_attempts => ${kind.attemptsMax ?? null},
                                       run_at => ${afterMs === 0 ? sql`NULL` : sql`clock_timestamp() + ${afterMs}::float8 * interval '1 millisecond'`},
                                       job_key_mode => ${isKept ? "preserve_run_at" : "replace"})`,
  );
}

/** Takes a job back that has not started, if this transaction is committed. */
export async function dropJob(tx: Tx | Drizzle, key: string): Promise<void> {
  await tx.execute(sql`SELECT FROM graphile_worker.remove_job(${keyOf(key)})`);
}

/** The longest key that the queue takes. */
const KEY_CHARS_MAX = 512;

/** Addresses of others may be longer. */
function keyOf(key: string): string {
  return key.length <= KEY_CHARS_MAX ? key : createHash("sha256").update(key).digest("hex");
}

/** Jobs that wait for each other, and for no others. */
export interface Lane {
  readonly handlers: readonly JobHandler[];
  readonly schedules: readonly Schedule[];
}

/** At most this many jobs of one lane at once in one process. */
const CONCURRENCY = 2;

/** Connections of one lane: its jobs, what listens, and what looks after both. */
const CONNECTIONS_MAX = 10;

/** Jobs are announced by NOTIFY; this is for what was missed. */
const POLL_INTERVAL_MS = 2000;

/** How long a finished runner waits before it is started again: the database may be starting, too. */
const RESTART_MS = 1000;

/** How long a connection may take, as long as the other clients wait. */
const CONNECT_MS_MAX = 10_000;

/**
 * What was done is written down in batches, of what ended in the same turn. Without batches graphile-worker 0.18 lets
 * nobody catch the failure of that when the database has gone away meanwhile, and the process ends.
 */
const WRITTEN_DOWN_AFTER_MS = 0;

/** Starts working. `stop` waits for running jobs; what is not finished is taken up by the next worker. */
export function startJobs(url: string, lanes: readonly Lane[]): { stop: () => Promise<void> } {
  const running = lanes.map((lane) => startLane(url, lane));
  return {
    stop: async () => {
      await Promise.all(running.map(({ stop }) => stop()));
    },
  };
}

function startLane(url: string, { handlers, schedules }: Lane): { stop: () => Promise<void> } {
  const logger = getLogger(["fediflattr", "jobs"]);
  const taskList = Object.fromEntries([
    ...handlers.map(({ name, run }) => [name, (payload: unknown) => run(payload)]),
    ...schedules.map(({ name, run }) => [name, () => run()]),
  ]);
  const parsedCronItems = parseCronItems(
    // The next minute is the next try.
    schedules.map(({ name, crontab }) => ({
      task: name,
      match: crontab,
      options: { maxAttempts: 1 },
    })),
  );
  const stopping = new AbortController();
  const pool = openJobPool(url);
  // A job stays with whoever took it for four hours, unless he lets go of it. When the database goes away, one may be
  // held that nobody knows to hold (the answer was lost), or whose end was not written down. So a runner that could not
  // ask ends, in order; and before the next one begins, what the ended ones held is free again.
  const ended: string[] = [];
  const events: WorkerEvents = new EventEmitter();
  events.on("pool:create", ({ workerPool }) => ended.push(workerPool.id));
  const options = {
    pgPool: pool,
    events,
    preset: {
      worker: {
        completeJobBatchDelay: WRITTEN_DOWN_AFTER_MS,
        failJobBatchDelay: WRITTEN_DOWN_AFTER_MS,
      },
    },
    concurrency: CONCURRENCY,
    pollInterval: POLL_INTERVAL_MS,
    noHandleSignals: true,
    logger: quietLogger,
    taskList,
    parsedCronItems,
  };

  const done = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await letGo(pool, ended);
        const runner = await run(options);
        const stop = () => void runner.stop().catch(() => {});
        stopping.signal.addEventListener("abort", stop, { once: true });
        events.once("worker:getJob:error", stop);
        if (stopping.signal.aborted) stop();
        await runner.promise.finally(() => {
          stopping.signal.removeEventListener("abort", stop);
          events.off("worker:getJob:error", stop);
        });
      } catch (error) {
        logger.warning("jobs stopped and will be taken up again: {error}", { error });
      }
      if (!stopping.signal.aborted) await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
    }
  })();

  let stopped: Promise<void> | undefined;
  return {
    stop: () => {
      stopping.abort();
      return (stopped ??= done.then(() => pool.end()));
    },
  };
}

/** Makes jobs free that are held by runners which have ended, and forgets those. */
async function letGo(pool: Pool, ended: string[]): Promise<void> {
  if (ended.length === 0) return;
  await pool.query("SELECT graphile_worker.force_unlock_workers($1::text[])", [ended]);
  ended.length = 0;
}

/**
 * Connections for the jobs. A pool that the queue opens itself is not waited for when it ends, and nobody listens then
 * to what the server still says: that would end the process. Whoever opens one must end it.
 */
export function openJobPool(url: string): Pool {
  const pool = new JobPool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    // The one that listens says nothing by itself: without this nobody would notice that the other end has vanished.
    keepAlive: true,
  });
  const said = (error: Error) =>
    getLogger(["fediflattr", "jobs"]).info("a connection of the jobs broke: {error}", {
      error: error.message,
    });
  pool.on("error", said);
  pool.on("connect", (client) => client.on("error", said));
  return pool;
}

/**
 * A pool whose clients can be given back twice. The queue's listener (graphile-worker 0.18) does so when it is stopped
 * while its connection breaks, where nobody can catch what `pg` then throws: the process would end.
 */
class JobPool extends Pool {
  override connect(): Promise<PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<PoolClient> | void {
    if (callback === undefined) return super.connect();
    super.connect((error, client, release) => {
      if (client === undefined) return callback(error, client, release);
      let isReleased = false;
      callback(error, client, (reason) => {
        if (isReleased) return;
        isReleased = true;
        release(reason);
      });
    });
  }
}

type ConnectCallback = Parameters<Pool["connect"]>[0];

/**
 * Only what goes wrong; the rest would fill the log. That another server cannot be reached is no trouble of this one:
 * the job is tried again.
 */
const quietLogger = new Logger(() => (level, message, meta) => {
  if (level !== "error" && level !== "warning") return;
  const logger = getLogger(["fediflattr", "jobs"]);
  const { error } = meta ?? {};
  if (error instanceof EgressError) logger.info("{message}", { message: error.message });
  else if (error === undefined) logger.warning("{message}", { message });
  // The worker's own words repeat those of the error, which may have what people wrote.
  else logger.warning("{message}: {error}", { message: message.split(" with error ")[0], error });
});

/** Says nothing: for migrations, whose failure is thrown. */
export const silentLogger = new Logger(() => () => {});
