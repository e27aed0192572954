/** The clients of one database, and what all features need of it. */

import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import { connect, type Socket } from "node:net";
import type { ExtractTablesWithRelations } from "drizzle-orm";
import type { PgTransaction } from "drizzle-orm/pg-core";
import type { PostgresJsQueryResultHKT } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import type { Micro } from "../rules/amount.ts";
import type { Address } from "./embedded.ts";

/** Drizzle, for ordinary queries. */
export type Drizzle = PostgresJsDatabase;

/** A Drizzle transaction. */
export type Tx = PgTransaction<
  PostgresJsQueryResultHKT,
  Record<string, never>,
  ExtractTablesWithRelations<Record<string, never>>
>;

/** The raw client, for hot paths and sets; 64-bit integers are BigInt. */
export type Sql = postgres.Sql<{ bigint: bigint }>;

/** PostgreSQL's type of lists of text, for `sql.array`; statements say what they make of them, as `::bigint[]`. */
export const TEXTS = 1009;

/** Larger than every id. */
export const LAST_ID = 2n ** 63n - 1n;

/** What stays the same while a database is open. */
export interface Settings {
  readonly origin: string;
  readonly currency: string;
  readonly minimumBudget: Micro;
  readonly feeBasisPoints: number;
  readonly unclaimedMonths: number;
  /** How much a new peer may owe (`PEER_LIMIT`). */
  readonly peerLimit: Micro;
}

/** An open database, as features get it. */
export interface Database {
  /** For queries and transactions by Drizzle. */
  readonly drizzle: Drizzle;
  /** For hot paths and sets. Never give it to Drizzle: that changes its parsers. */
  readonly sql: Sql;
  /**
   * For statements about what waits to be delivered, planned anew each time, and by indexes: a plan that was made while
   * a queue was short reads it through, and would be kept when it is long.
   */
  readonly queue: Sql;
  readonly settings: Settings;
}

/** Connections of the client for Drizzle, and of the raw one. The embedded server allows 100 in all. */
const CONNECTIONS_MAX = 16;

/** Those of the client for queues. */
const QUEUE_CONNECTIONS_MAX = 4;

/** How long a connection may take; the server may be starting again. */
const CONNECT_SECONDS_MAX = 10;

/** How long after a lost connection the next one is tried. */
const RECONNECT_SECONDS = 0.2;

/** What postgres.js knows of a connection that it opens. */
interface Opening {
  /** Of a unix socket. */
  readonly path?: string | false;
  readonly host: readonly string[];
  readonly port: readonly number[];
}

/**
 * Opens a connection that breaks when the other end closes it without a word, as an address in front of the database
 * does while no server is there. postgres.js 3.4.9 takes a quiet end for no failure: it opens the next connection at
 * once, thousands in a second, and whoever asked is told nothing as long as that lasts.
 */
function openSocket({ path, host: [host], port: [port] }: Opening): Socket {
  const socket = beginAnew(path ? connect(path) : connect(port!, host));
  socket.once("end", () => {
    if (socket.bytesRead > 0) return;
    const closed = new Error("the database server closed the connection at once");
    socket.destroy(Object.assign(closed, { code: "ECONNRESET" }));
  });
  // By this name a certificate is checked.
  return Object.assign(socket, { host });
}

/** So long that postgres.js sends the first message of a connection at once, and not with what it writes next. */
const FIRST_BYTES_MIN = 1024;

/** What a connection begins with (PostgreSQL, message formats, StartupMessage). */
const PROTOCOL = Buffer.from([0, 3, 0, 0]);

/**
 * Lets a connection begin with its first message. What postgres.js 3.4.9 had not sent when a connection broke it sends
 * before that message in the next one, which then never begins: its queries fail after the wait for a connection. Where
 * TLS leads to the database the first message is another one, and this does not help.
 *
 * @see https://github.com/porsager/postgres/issues/1154
 */
function beginAnew(socket: Socket): Socket {
  const write = socket.write.bind(socket) as (bytes: Uint8Array, ...more: unknown[]) => boolean;
  const first = (bytes: Uint8Array, ...more: unknown[]): boolean => {
    Object.assign(socket, { write });
    return write(fromStartup(Buffer.from(bytes)), ...more);
  };
  return Object.assign(socket, { write: first });
}

/** The bytes from the message on with which a connection begins; all when there is none. */
function fromStartup(bytes: Buffer): Buffer {
  for (let at = bytes.lastIndexOf(PROTOCOL); at >= 4; at = bytes.lastIndexOf(PROTOCOL, at - 1))
    if (bytes.readInt32BE(at - 4) === bytes.length - at + 4) return bytes.subarray(at - 4);
  return bytes;
}

/** Where a served database is, from its URL. `?host=/folder` names a unix socket, as libpq has it. */
export function addressOf(url: string): postgres.Options<Record<string, never>> {
  const parsed = new URL(url);
  const socket = parsed.searchParams.get("host");
  const host = socket ?? decodeURIComponent(parsed.hostname);
  return {
    ...(host === "" ? {} : { host }),
    ...(parsed.port === "" ? {} : { port: Number(parsed.port) }),
    ...(parsed.username === "" ? {} : { user: decodeURIComponent(parsed.username) }),
    ...(parsed.password === "" ? {} : { password: decodeURIComponent(parsed.password) }),
    ...(parsed.pathname.length <= 1
      ? {}
      : { database: decodeURIComponent(parsed.pathname.slice(1)) }),
    ...(["require", "verify-full"].includes(parsed.searchParams.get("sslmode") ?? "")
      ? { ssl: parsed.searchParams.get("sslmode") as "require" | "verify-full" }
      : {}),
  };
}

/** Where a served database is, and how a connection to it is opened. */
export function connectionTo(url: string): postgres.Options<Record<string, never>> {
  // An option that the types of postgres.js do not name.
  const opened: object = { socket: openSocket };
  return { ...addressOf(url), ...opened };
}

/** The URL of the embedded server, for programs that take one. */
export function urlOf({ host, database, user }: Address): string {
  return `postgres://${encodeURIComponent(user)}@localhost/${encodeURIComponent(database)}?host=${encodeURIComponent(host)}`;
}

/**
 * Opens the clients. Nothing is sent before the first query.
 *
 * @param onnotice hears what the server says beside its answers, such as how it worked
 */
export function openClients(
  url: string,
  connections = CONNECTIONS_MAX,
  onnotice: (notice: postgres.Notice) => void = () => {},
): Pick<Database, "drizzle" | "sql" | "queue"> & { end: () => Promise<void> } {
  const options = {
    ...connectionTo(url),
    max: connections,
    connect_timeout: CONNECT_SECONDS_MAX,
    // A connection that stays shows other processes that the embedded server is still needed.
    idle_timeout: 0,
    max_lifetime: null,
    // A server that comes back is found at once; the default waits up to twenty seconds.
    backoff: () => RECONNECT_SECONDS,
    onnotice,
    connection: {
      application_name: "fediflattr",
      timezone: "UTC",
      // Blanks between options mean nothing.
      options: "-c jit=off".padEnd(FIRST_BYTES_MIN),
    },
  };
  const forDrizzle = postgres(options);
  const raw = { ...options, types: { bigint: postgres.BigInt } };
  const sql = postgres({
    ...raw,
    // Its statements are few and always the same: planned once for each connection, not once for each click.
    connection: { ...options.connection, plan_cache_mode: "force_generic_plan" },
  });
  const queue = postgres({
    ...raw,
    max: Math.min(connections, QUEUE_CONNECTIONS_MAX),
    connection: {
      ...options.connection,
      plan_cache_mode: "force_custom_plan",
      enable_seqscan: "off",
    },
  });
  return {
    drizzle: drizzle(forDrizzle),
    sql,
    queue,
    end: async () => {
      await Promise.all([forDrizzle, sql, queue].map((client) => client.end({ timeout: 5 })));
    },
  };
}

/** What PostgreSQL said about a failure: SQLSTATE and the constraint, wherever the client has hidden them. */
export function sqlFailure(
  error: unknown,
): { code: string; constraint: string | undefined } | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof postgres.PostgresError)
      return { code: cause.code, constraint: cause.constraint_name };
  }
  return undefined;
}

/** What connections and PostgreSQL say when no server is there, or it goes away, starts, or is not the primary yet. */
const AWAY = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOENT", "ETIMEDOUT", "EHOSTUNREACH"],
  ...["CONNECTION_CLOSED", "CONNECT_TIMEOUT", "57P01", "57P02", "57P03", "25006"],
]);

/** True when a question failed only because the database is away: the same question may be answered soon. */
export function isDatabaseAway(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if ("code" in cause && AWAY.has(String(cause.code))) return true;
  return false;
}

/** Serialisation failure and deadlock: nothing was done, and the same again will do. */
const TRY_AGAIN = new Set(["40001", "40P01"]);

/** Two processes may draw one id in the same millisecond after 65,536 others: the next try draws another. */
const ID_TAKEN =
  /^(actor|account|thing|split|post|flattr|subscription|delivery|message|boost|peer|peer_payment|cash|decline|block|receipt|session|app|token|notification|announcement|list|media|filter|filter_keyword|report)(_\d+|_default)?_pkey$|_id_unique$|_period_id_pk$/;

const TRIES_MAX = 5;

/** Runs a transaction again when the database says that it only lost a race. */
export async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      const failure = sqlFailure(error);
      const lostRace =
        failure !== undefined &&
        (TRY_AGAIN.has(failure.code) ||
          (failure.code === "23505" && ID_TAKEN.test(failure.constraint ?? "")));
      if (!lostRace || tries === TRIES_MAX) throw error;
    }
  }
}
