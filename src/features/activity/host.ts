/** How it goes with other hosts. One that does not answer is asked less and less often. */

import { hostPauseMs, RETRY_LAST_MS } from "../../rules/retry.ts";
import { type Database, TEXTS } from "../../store/database.ts";
import { fromSqlTime, sqlTime, type Temporal } from "../../store/time.ts";

/** What is known about a host. */
export interface Health {
  /** How often in a row it failed. */
  readonly failures: number;
  /** Nothing is sent before. Real time. */
  readonly nextTryAt: Temporal.Instant | undefined;
  readonly takesRfc9421: boolean;
}

/** Nothing is known, so nothing is wrong. */
export const HEALTHY: Health = { failures: 0, nextTryAt: undefined, takesRfc9421: false };

interface Row {
  readonly host: string;
  readonly failures: number;
  readonly next_try_at: Date | null;
  readonly takes_rfc9421: number;
}

/** What is known about some hosts; those without anything are missing. */
export async function healthOf(
  { sql }: Pick<Database, "sql">,
  hosts: readonly string[],
): Promise<Map<string, Health>> {
  const rows = await sql<Row[]>`
    SELECT host, failures, next_try_at, takes_rfc9421 FROM host_health WHERE host = ANY(${sql.array([...hosts], TEXTS)}::text[])`;
  return new Map(rows.map((row) => [row.host, healthFrom(row)]));
}

function healthFrom(row: Row): Health {
  return {
    failures: row.failures,
    nextTryAt: row.next_try_at === null ? undefined : fromSqlTime(row.next_try_at),
    takesRfc9421: row.takes_rfc9421 === 1,
  };
}

/** A host that did not take what was sent. */
export interface Failure {
  readonly host: string;
  readonly error: string;
  /** When the try began: tries that ran side by side count once. */
  readonly since: Temporal.Instant;
  readonly now: Temporal.Instant;
  /** What the host itself asked for. */
  readonly pauseMs: number | undefined;
}

/** A host failed. It is left alone twice as long each time, up to a day, or as long as it asked. */
export async function hostFailed(
  { sql }: Pick<Database, "sql">,
  { host, error, since, now, pauseMs }: Failure,
): Promise<Health> {
  return sql.begin(async (tx) => {
    await tx`INSERT INTO host_health (host) VALUES (${host}) ON CONFLICT DO NOTHING`;
    const [row] = await tx<Row[]>`
      SELECT host, failures, next_try_at, takes_rfc9421 FROM host_health WHERE host = ${host} FOR UPDATE`;
    const known = healthFrom(row!);
    const isKnown =
      known.nextTryAt !== undefined && known.nextTryAt.epochMilliseconds > since.epochMilliseconds;
    const failures = isKnown ? known.failures : known.failures + 1;
    const pause = Math.min(pauseMs ?? hostPauseMs(failures, host), RETRY_LAST_MS);
    const wanted = now.add({ milliseconds: pause });
    const isLater =
      !isKnown ||
      (pauseMs !== undefined && wanted.epochMilliseconds > known.nextTryAt.epochMilliseconds);
    const nextTryAt = isLater ? wanted : known.nextTryAt;
    await tx`
      UPDATE host_health SET failures = ${failures}, next_try_at = ${sqlTime(nextTryAt)}, last_error = ${error.slice(0, 200).replaceAll("\0", "")}
       WHERE host = ${host}`;
    return { ...known, failures, nextTryAt };
  });
}

/** A host took something: nothing is wrong with it, and nothing need be remembered but how it wants to be signed for. */
export async function hostAnswered(
  { sql }: Pick<Database, "sql">,
  { host, takesRfc9421, now }: { host: string; takesRfc9421: boolean; now: Temporal.Instant },
): Promise<void> {
  if (takesRfc9421)
    await sql`
      INSERT INTO host_health (host, takes_rfc9421, last_success_at) VALUES (${host}, 1, ${sqlTime(now)})
      ON CONFLICT (host) DO UPDATE SET takes_rfc9421 = 1, failures = 0, next_try_at = NULL, last_error = NULL, last_success_at = excluded.last_success_at`;
  else await sql`DELETE FROM host_health WHERE host = ${host}`;
}

/** How long it is remembered how a host wants to be signed for. */
const KEPT_DAYS = 90;

/** Forgets hosts to which nothing is on its way: what is remembered grows with what waits, not with who failed. */
export async function forgetHosts(
  { sql }: Pick<Database, "sql">,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    WITH waiting AS MATERIALIZED (
      SELECT DISTINCT COALESCE(substring(d.inbox FROM '^https?://([^/?#]+)'), a.host) COLLATE "C" AS host
        FROM delivery d LEFT JOIN actor a ON a.id = d.payee AND d.inbox IS NULL)
    DELETE FROM host_health h
     WHERE h.host NOT IN (SELECT host FROM waiting WHERE host IS NOT NULL)
       AND (h.next_try_at IS NULL OR h.next_try_at <= ${sqlTime(now)})
       AND (h.takes_rfc9421 = 0 OR h.last_success_at IS NULL OR h.last_success_at < ${sqlTime(now.subtract({ hours: 24 * KEPT_DAYS }))})`;
}
