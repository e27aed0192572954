/** How often something is done: counted for all nodes together, so that no node is a way around a limit. */

import { createHash } from "node:crypto";
import { getLogger } from "@logtape/logtape";
import { type Database, retrying, TEXTS } from "./database.ts";
import { recent } from "./recent.ts";
import { type Clock, sqlTime, Temporal } from "./time.ts";

/** So many in each stretch of time. Stretches follow each other without gaps, for all keys at the same moments. */
export interface RateLimit {
  readonly limit: number;
  readonly windowMs: number;
}

/** What became of one that was counted at once. */
export interface Counted {
  /** This one included. */
  readonly count: number;
  readonly isOver: boolean;
  /** When counting begins anew. */
  readonly resetAt: Temporal.Instant;
}

/** Where somebody stands after one more, or after one that was too many. */
export interface Taken {
  /** True: it was too many, and was not counted. */
  readonly isOver: boolean;
  /** How many more there may be. */
  readonly remaining: number;
  /** When counting begins anew, and how long that is from now. */
  readonly resetAt: Temporal.Instant;
  readonly waitMs: number;
}

/** Counts what happens often. */
export interface Rates {
  /** Counts one more for this key. Answers at once: what other nodes counted is known a moment later. */
  take(key: string, limit: RateLimit): Taken;
  /** Writes down what is not written yet; waits no longer than a moment. */
  close(): Promise<void>;
}

/** Longest key that is kept as it is; longer ones hold what strangers typed. */
const KEY_CHARS_MAX = 200;

/** Keys that are remembered. One that was forgotten is known again after its next flush. */
const KEYS_MAX = 100_000;

/** Keys that wait to be written; with more than these waiting each node counts by itself. */
const WAITING_MAX = 20_000;

/** How often counts are written at most: a limit holds on all nodes within a second. */
const FLUSH_MS = 500;

/** How long the first count waits for others when nothing was written for a while. */
const GATHER_MS = 10;

/** Keys of one statement. */
const BATCH_MAX = 1_000;

/** How often rows of the past are deleted, and how many at once. */
const FORGET_MS = 600_000;
const FORGET_MAX = 10_000;

/** Longest wait for the last flush. */
const CLOSE_MS_MAX = 2_000;

/** The largest number that the column holds. */
const COUNT_MAX = 2_147_483_647;

/**
 * Counts one more, and waits for the database: exact on all nodes, for what is rare and dear.
 *
 * @param key what is counted, and for whom
 * @param now real time
 */
export async function countExact(
  { sql }: Pick<Database, "sql">,
  { key, limit, windowMs, now }: RateLimit & { key: string; now: Temporal.Instant },
): Promise<Counted> {
  const endsMs = endOf(now.epochMilliseconds, windowMs);
  const resetAt = Temporal.Instant.fromEpochMilliseconds(endsMs);
  const [{ count }] = await retrying(
    () => sql<[{ count: number }]>`
      INSERT INTO rate (key, ends, count) VALUES (${kept(key)}, ${sqlTime(resetAt)}, 1)
      ON CONFLICT (key, ends) DO UPDATE SET count = least(rate.count::bigint + 1, ${COUNT_MAX})::integer
      RETURNING count`,
  );
  return { count, isOver: count > limit, resetAt };
}

/** One key in one stretch of time. */
interface Tally {
  /** Of the key and the stretch. */
  readonly id: string;
  readonly key: string;
  readonly endsMs: number;
  readonly resetAt: Temporal.Instant;
  /** What all nodes had written when this one last asked. */
  written: number;
  /** On its way to the table. */
  leaving: number;
  /** Counted here since then. */
  fresh: number;
}

/** Opens the counters of this process. Nothing is written before something was counted. */
export function openRates(database: Pick<Database, "sql">, clock: Clock): Rates {
  return new SharedRates(database, clock);
}

class SharedRates implements Rates {
  readonly #sql: Database["sql"];
  readonly #clock: Clock;
  readonly #logger = getLogger(["fediflattr", "store"]);
  readonly #tallies = recent<string, Tally>(KEYS_MAX);
  #waiting = new Map<string, Tally>();
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #flushedAtMs = -FLUSH_MS;
  #forgotAtMs = 0;
  #isClosed = false;

  constructor({ sql }: Pick<Database, "sql">, clock: Clock) {
    this.#sql = sql;
    this.#clock = clock;
  }

  take(key: string, { limit, windowMs }: RateLimit): Taken {
    const nowMs = this.#clock.real().epochMilliseconds;
    const tally = this.#tallyOf(kept(key), endOf(nowMs, windowMs));
    const count = tally.written + tally.leaving + tally.fresh;
    const { resetAt } = tally;
    const waitMs = tally.endsMs - nowMs;
    if (count >= limit) return { isOver: true, remaining: 0, resetAt, waitMs };
    tally.fresh += 1;
    this.#wait(tally);
    this.#flushSoon();
    return { isOver: false, remaining: limit - count - 1, resetAt, waitMs };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    let late: NodeJS.Timeout | undefined;
    const isLate = new Promise<void>((resolve) => {
      late = setTimeout(resolve, CLOSE_MS_MAX);
    });
    await Promise.race([(this.#flushing ?? Promise.resolve()).then(() => this.#flush()), isLate]);
    clearTimeout(late);
  }

  #tallyOf(key: string, endsMs: number): Tally {
    const id = `${endsMs} ${key}`;
    const known = this.#tallies.get(id) ?? this.#waiting.get(id);
    if (known !== undefined) return known;
    const resetAt = Temporal.Instant.fromEpochMilliseconds(endsMs);
    const tally: Tally = { id, key, endsMs, resetAt, written: 0, leaving: 0, fresh: 0 };
    this.#tallies.set(id, tally);
    return tally;
  }

  /** One statement must not name a row twice: what waits for it already takes this one in. */
  #wait(tally: Tally): void {
    const waiting = this.#waiting.get(tally.id);
    if (waiting === tally) return;
    if (waiting !== undefined) {
      waiting.fresh += tally.fresh;
      tally.fresh = 0;
    } else if (this.#waiting.size < WAITING_MAX) this.#waiting.set(tally.id, tally);
  }

  #flushSoon(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#flushing !== undefined) return;
    const waitMs = this.#flushedAtMs + FLUSH_MS - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#flushedAtMs = performance.now();
        this.#flushing = this.#flush().finally(() => {
          this.#flushing = undefined;
          if (this.#waiting.size > 0) this.#flushSoon();
        });
      },
      Math.max(waitMs, GATHER_MS),
    ).unref();
  }

  /** Writes what waits; what cannot be written waits on. Never fails. */
  async #flush(): Promise<void> {
    const nowMs = this.#clock.real().epochMilliseconds;
    // What is over counts for nobody any more, however long the database was away.
    const due = [...this.#waiting.values()].filter(({ endsMs }) => endsMs > nowMs);
    this.#waiting = new Map();
    for (let from = 0; from < due.length; from += BATCH_MAX) {
      const batch = due.slice(from, from + BATCH_MAX);
      for (const tally of batch) {
        tally.leaving = tally.fresh;
        tally.fresh = 0;
      }
      try {
        await this.#write(batch);
      } catch (error) {
        this.#logger.warning("counts of requests wait for the database: {error}", { error });
        for (const tally of batch) {
          tally.fresh += tally.leaving;
          tally.leaving = 0;
        }
        for (const tally of due.slice(from)) this.#wait(tally);
        return;
      }
    }
    await this.#forgetNowAndThen(nowMs).catch((error: unknown) =>
      this.#logger.info("old counts of requests stay a while: {error}", { error }),
    );
  }

  /** Adds up with what others wrote, in one statement, always in the same order: nobody waits in a circle. */
  async #write(batch: readonly Tally[]): Promise<void> {
    const sql = this.#sql;
    const rows = await retrying(
      () => sql<{ key: string; ends: Date; count: number }[]>`
        INSERT INTO rate (key, ends, count)
        SELECT n.key, n.ends, n.count
          FROM unnest(${sql.array(
            batch.map(({ key }) => key),
            TEXTS,
          )}::text[],
          ${sql.array(
            batch.map(({ resetAt }) => sqlTime(resetAt)),
            TEXTS,
          )}::timestamptz[],
          ${sql.array(
            batch.map(({ leaving }) => String(leaving)),
            TEXTS,
          )}::integer[]) AS n (key, ends, count)
         ORDER BY n.key COLLATE "C", n.ends
        ON CONFLICT (key, ends) DO UPDATE SET count = least(rate.count::bigint + excluded.count, ${COUNT_MAX})::integer
        RETURNING key, ends, count`,
    );
    const written = new Map(
      rows.map(({ key, ends, count }) => [`${ends.getTime()} ${key}`, count]),
    );
    for (const tally of batch) {
      tally.written = written.get(tally.id) ?? tally.written + tally.leaving;
      tally.leaving = 0;
    }
  }

  async #forgetNowAndThen(nowMs: number): Promise<void> {
    if (nowMs - this.#forgotAtMs < FORGET_MS) return;
    this.#forgotAtMs = nowMs;
    await forgetRates({ sql: this.#sql }, Temporal.Instant.fromEpochMilliseconds(nowMs));
  }
}

/**
 * Deletes counts of the past, some thousands at a time.
 *
 * @param now real time
 */
export async function forgetRates(
  { sql }: Pick<Database, "sql">,
  now: Temporal.Instant,
): Promise<void> {
  for (;;) {
    const { count } = await sql`
      DELETE FROM rate WHERE (key, ends) IN (
        SELECT key, ends FROM rate WHERE ends < ${sqlTime(now)} ORDER BY ends LIMIT ${FORGET_MAX} FOR UPDATE SKIP LOCKED)`;
    if (count < FORGET_MAX) return;
  }
}

function endOf(nowMs: number, windowMs: number): number {
  return (Math.floor(nowMs / windowMs) + 1) * windowMs;
}

function kept(key: string): string {
  return key.length <= KEY_CHARS_MAX ? key : createHash("sha256").update(key).digest("hex");
}
