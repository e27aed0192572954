/** How it goes with other hosts. One that does not answer is asked less and less often. */

import { hostPauseMs, RETRY_LAST_MS } from "../../rules/retry.ts";
import { type Database, retrying, TEXTS } from "../../store/database.ts";
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
  { queue }: Pick<Database, "queue">,
  hosts: readonly string[],
): Promise<Map<string, Health>> {
  const rows = await queue<Row[]>`
    SELECT host, failures, next_try_at, takes_rfc9421 FROM host_health WHERE host = ANY(${queue.array([...hosts], TEXTS)}::text[])`;
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

/** From so many failures on, the pause does not grow any more. */
const PAUSES_MAX = 20;

const ERROR_CHARS_MAX = 200;

/** How long the host is left alone after its first failure in a row, its second, … */
function pausesOf({ host, pauseMs }: Failure): readonly number[] {
  return Array.from({ length: PAUSES_MAX }, (_, failures) =>
    Math.min(pauseMs ?? hostPauseMs(failures + 1, host), RETRY_LAST_MS),
  );
}

/**
 * Hosts failed, each of them once in the list. One is left alone twice as long each time, up to a day, or as long as it
 * asked.
 *
 * @returns what is known about each, in the order of the list
 */
export async function hostsFailed(
  { queue }: Pick<Database, "queue">,
  failures: readonly Failure[],
): Promise<readonly Health[]> {
  const column = (of: (failure: Failure) => string) => queue.array(failures.map(of), TEXTS);
  const rows = await retrying(
    () => queue<Row[]>`
      WITH known AS MATERIALIZED (
        SELECT host, failures, next_try_at FROM host_health
         WHERE host = ANY(${column(({ host }) => host)}::text[]) ORDER BY host FOR UPDATE)
      INSERT INTO host_health AS h (host, failures, next_try_at, last_error)
      SELECT f.host, n.failures, CASE WHEN k.counts OR f.asked THEN f.now + f.pauses[LEAST(n.failures, ${PAUSES_MAX})] * interval '1 ms' ELSE known.next_try_at END, f.error
        FROM (SELECT host, error, since, now, asked, string_to_array(pauses, ',')::int[] AS pauses
                FROM unnest(${column(({ host }) => host)}::text[],
                            ${column(({ error }) => error.slice(0, ERROR_CHARS_MAX).replaceAll("\0", ""))}::text[],
                            ${column(({ since }) => sqlTime(since))}::timestamptz[], ${column(({ now }) => sqlTime(now))}::timestamptz[],
                            ${column(({ pauseMs }) => String(pauseMs !== undefined))}::boolean[],
                            ${column((failure) => pausesOf(failure).join(","))}::text[]) AS f(host, error, since, now, asked, pauses)) f
        LEFT JOIN known USING (host)
       -- Tries that ran side by side count once.
       CROSS JOIN LATERAL (SELECT COALESCE(known.next_try_at, '-infinity') <= f.since AS counts) k
       CROSS JOIN LATERAL (SELECT GREATEST(COALESCE(known.failures, 0) + k.counts::int, 1) AS failures) n
       ORDER BY f.host COLLATE "C"
      ON CONFLICT (host) DO UPDATE
         SET failures = excluded.failures, next_try_at = GREATEST(h.next_try_at, excluded.next_try_at), last_error = excluded.last_error
      RETURNING host, failures, next_try_at, takes_rfc9421`,
  );
  const healths = new Map(rows.map((row) => [row.host, healthFrom(row)]));
  return failures.map(({ host }) => healths.get(host)!);
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
