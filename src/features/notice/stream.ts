/** What open streams are told: written in the transaction of its cause, read by every node that has streams open. */

import { getLogger } from "@logtape/logtape";
import { sql } from "drizzle-orm";
import type { Database, Tx } from "../../store/database.ts";
import type { Schedule } from "../../store/jobs.ts";
import { recent } from "../../store/recent.ts";
import { type Clock, sqlTime, type Temporal } from "../../store/time.ts";
import { streamEvent } from "./schema.ts";

/** What has happened. */
export type EventKind = (typeof streamEvent.kind.enumValues)[number];

/** Something that open streams are told. */
export interface StreamEvent {
  readonly id: bigint;
  readonly kind: EventKind;
  /** The account that it concerns alone. */
  readonly account: bigint | undefined;
  /** The post, boost, notification, announcement or token. */
  readonly subject: bigint | undefined;
}

/** Takes one event after the other, and keeps nobody waiting. */
export type Listener = (event: StreamEvent) => void;

/** The events of all nodes. */
export interface Events {
  /**
   * Hands over each event that is committed from now on, once, however late that is. Fulfilled when nothing is missed
   * any more.
   *
   * @returns the way out
   * @throws Error when the database cannot be asked
   */
  listen(listener: Listener): Promise<() => void>;
  /** Hands over nothing any more. */
  close(): void;
}

/** How often the table is read while somebody listens. */
const POLL_MS = 200;

/** After a fault, such as a database that is starting again. */
const FAULT_MS = 500;

/**
 * So many transactions are looked at again after a fault. A standby that becomes the primary may not have heard of the
 * last ones that left nothing worth waiting for (they failed, or only counted requests), and gives their numbers to
 * others: those would pass for read.
 */
const AGAIN_MAX = 10_000n;

/** Events that are remembered as told, so that looking again tells nothing twice; a transaction has one or two. */
const TOLD_MAX = 40_000;

/** What is older than this was told long ago. */
const KEPT_MINUTES = 5;

/** Rows that are deleted in one statement. */
const FORGET_MAX = 10_000;

/** Tells open streams, if this transaction is committed. */
export async function announceEvent(
  tx: Tx,
  event: {
    readonly kind: EventKind;
    readonly account?: bigint | undefined;
    readonly subject?: bigint | undefined;
    readonly at: Temporal.Instant;
  },
): Promise<void> {
  await tx.insert(streamEvent).values({
    kind: event.kind,
    account: event.account ?? null,
    subject: event.subject ?? null,
    at: event.at,
  });
}

/** Deletes what was told, some thousands at a time. @param at the time of the domain, as events have it */
export async function forgetEvents(
  { sql: raw }: Pick<Database, "sql">,
  at: Temporal.Instant,
): Promise<void> {
  const before = sqlTime(at.subtract({ minutes: KEPT_MINUTES }));
  for (;;) {
    const { count } = await raw`
      DELETE FROM stream_event WHERE id IN (
        SELECT id FROM stream_event WHERE at < ${before} ORDER BY at LIMIT ${FORGET_MAX} FOR UPDATE SKIP LOCKED)`;
    if (count < FORGET_MAX) return;
  }
}

/** Forgets, every few minutes. */
export function eventsSchedule({
  database,
  clock,
}: {
  readonly database: Pick<Database, "sql">;
  readonly clock: Clock;
}): Schedule {
  return {
    name: "events",
    crontab: "*/5 * * * *",
    run: () => forgetEvents(database, clock.now()),
  };
}

/** Opens the events. Nothing is asked before somebody listens, and nothing when nobody does any more. */
export function openEvents(database: Pick<Database, "drizzle">): Events {
  return new EventReader(database);
}

/**
 * Reads what became visible between two snapshots of the database: the transactions that still ran in the first one,
 * and all that began after it. So an event is read once, when it is committed, in whatever order that happens, and no
 * second look at older rows is needed.
 *
 * @see https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */
class EventReader implements Events {
  readonly #database: Pick<Database, "drizzle">;
  readonly #logger = getLogger(["fediflattr", "streams"]);
  readonly #listeners = new Set<Listener>();
  /** Up to where everything was read, as PostgreSQL writes it; undefined while nobody reads. */
  #snapshot: string | undefined;
  /** The transaction from which on this reader has read. */
  #first = 0n;
  /** True: the last look failed, and the next one may meet another server. */
  #isDoubtful = false;
  readonly #told = recent<string, true>(TOLD_MAX);
  #starting: Promise<void> | undefined;
  #isClosed = false;
  #wake = () => {};

  constructor(database: Pick<Database, "drizzle">) {
    this.#database = database;
  }

  async listen(listener: Listener): Promise<() => void> {
    const own: Listener = (event) => listener(event);
    this.#listeners.add(own);
    const leave = () => {
      this.#listeners.delete(own);
    };
    try {
      if (this.#isClosed) throw new Error("these events are closed");
      if (this.#snapshot === undefined) await (this.#starting ??= this.#start());
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#wake();
  }

  async #start(): Promise<void> {
    try {
      this.#snapshot = await this.#now();
      this.#first = xminOf(this.#snapshot);
      this.#isDoubtful = false;
    } finally {
      this.#starting = undefined;
    }
    void this.#run();
  }

  async #run(): Promise<void> {
    while (this.#listeners.size > 0) {
      let pauseMs = POLL_MS;
      try {
        await this.#read();
        this.#isDoubtful = false;
      } catch (error) {
        this.#logger.warning("open streams wait for the database: {error}", { error });
        pauseMs = FAULT_MS;
        this.#isDoubtful = true;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    // In the same turn as the last look at the listeners: whoever comes now starts anew.
    this.#snapshot = undefined;
  }

  async #now(): Promise<string> {
    const [row] = await this.#database.drizzle.execute<{ snapshot: string }>(
      sql`SELECT pg_current_snapshot()::text AS snapshot`,
    );
    return row!.snapshot;
  }

  async #read(): Promise<void> {
    const before = this.#isDoubtful
      ? snapshotBefore(this.#snapshot!, this.#first)
      : this.#snapshot!;
    const rows = await this.#database.drizzle.execute<{
      snapshot: string;
      id: string | null;
      kind: EventKind;
      account: string | null;
      subject: string | null;
    }>(sql`
      WITH now AS MATERIALIZED (SELECT pg_current_snapshot()::text AS snapshot)
      SELECT now.snapshot, e.* FROM now LEFT JOIN (
        SELECT id, kind, account, subject FROM stream_event WHERE tx >= pg_snapshot_xmax(${before}::pg_snapshot)
        UNION ALL
        SELECT id, kind, account, subject FROM stream_event WHERE tx = ANY (ARRAY(SELECT pg_snapshot_xip(${before}::pg_snapshot)))) e ON true
       ORDER BY e.id`);
    const { snapshot } = rows[0]!;
    this.#snapshot = snapshot;
    if (xmaxOf(snapshot) < xmaxOf(before)) {
      this.#logger.warning("the database is an older one than before: what it tells is new", {});
      return;
    }
    for (const { id, kind, account, subject } of rows) {
      if (id === null || this.#told.get(id)) continue;
      this.#told.set(id, true);
      const event: StreamEvent = {
        id: BigInt(id),
        kind,
        account: account === null ? undefined : BigInt(account),
        subject: subject === null ? undefined : BigInt(subject),
      };
      for (const listener of this.#listeners) {
        try {
          listener(event);
        } catch (error) {
          this.#logger.error("an event was not taken: {error}", { error });
        }
      }
    }
  }
}

function xminOf(snapshot: string): bigint {
  return BigInt(snapshot.split(":")[0]!);
}

function xmaxOf(snapshot: string): bigint {
  return BigInt(snapshot.split(":")[1]!);
}

/** A snapshot in which the last transactions before this one had not begun, but not more than began after the first. */
function snapshotBefore(snapshot: string, first: bigint): string {
  const back = xminOf(snapshot) - AGAIN_MAX;
  const from = back > first ? back : first;
  return `${from}:${from}:`;
}
