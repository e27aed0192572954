/** The deliveries that are due: taken under a lease, and let go when they have arrived. */

import { type Period, periodFromNumber } from "../../rules/period.ts";
import { type Database, retrying } from "../../store/database.ts";
import { fromSqlTime, sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";

/** What is sent: a message as it was written, or the Like or Undo of a flattr. */
export type Said =
  | { readonly kind: "message"; readonly message: bigint; readonly inbox: string }
  | {
      readonly kind: "flattr";
      readonly flattr: bigint;
      readonly period: Period;
      readonly patron: string;
      readonly thing: string;
      readonly payee: string;
      readonly payeeHost: string;
      /** Undefined: not known yet, or forgotten because nothing answers there. */
      readonly inbox: string | undefined;
      readonly at: Temporal.Instant;
    };

/** A delivery that is due and leased to whoever took it. */
export interface Due {
  readonly id: bigint;
  readonly activity: string;
  readonly said: Said;
  /** Who signs. */
  readonly sender: ActorId;
  /** This try included. */
  readonly attempts: number;
  /** Since when it wants to leave, by the clock of the domain. */
  readonly at: Temporal.Instant;
}

/** A row whose Like cannot be told any more, since its patron, thing or payee is gone. */
export interface Orphan {
  readonly id: bigint;
}

/** What waits behind another delivery is looked at again after this, unless that one arrives before. */
const BEHIND_MS = 15_000;

interface Row {
  readonly id: bigint;
  readonly activity: string;
  readonly attempts: number;
  readonly at: Date;
  readonly message: bigint | null;
  readonly inbox: string | null;
  readonly sender: bigint | null;
  readonly flattr: bigint | null;
  readonly period: number | null;
  readonly patron: string | null;
  readonly thing: string | null;
  readonly payee: string | null;
  readonly payee_host: string | null;
}

/**
 * Takes what is due. Each row is leased: nobody else takes it before the lease ends, and then anybody does, whatever
 * became of us. About one subject and to one target the earlier goes first: what comes after it waits.
 *
 * @param now real time
 */
export async function takeDue(
  { sql }: Pick<Database, "sql">,
  { now, leaseMs, limit }: { now: Temporal.Instant; leaseMs: number; limit: number },
): Promise<{ due: Due[]; orphans: Orphan[] }> {
  const lease = now.add({ milliseconds: leaseMs });
  const rows = await retrying(
    () => sql<Row[]>`
    WITH due AS MATERIALIZED (
      SELECT id, subject, inbox, payee FROM delivery WHERE due_at <= ${sqlTime(now)}
       ORDER BY due_at LIMIT ${limit} FOR UPDATE SKIP LOCKED),
    behind AS MATERIALIZED (
      SELECT due.id, max(e.due_at) AS due_at
        FROM due JOIN delivery e ON e.subject = due.subject AND e.id < due.id AND (e.inbox = due.inbox OR e.payee = due.payee)
       GROUP BY due.id),
    waiting AS (
      -- Later than any lease: that one rests, so this one may rest as long.
      UPDATE delivery d SET due_at = CASE WHEN behind.due_at > ${sqlTime(lease)} THEN behind.due_at
                                          ELSE ${sqlTime(now.add({ milliseconds: BEHIND_MS }))}::timestamptz END
        FROM behind WHERE d.id = behind.id),
    taken AS (
      UPDATE delivery d SET due_at = ${sqlTime(lease)}, attempts = d.attempts + 1
        FROM due WHERE d.id = due.id AND NOT EXISTS (SELECT FROM behind WHERE behind.id = due.id)
      RETURNING d.*)
    SELECT t.id, t.activity, t.attempts, t.at, t.message, t.flattr, t.period,
           CASE WHEN t.message IS NULL THEN COALESCE(e.inbox, e.shared_inbox) ELSE t.inbox END AS inbox,
           COALESCE(m.sender, p.id) AS sender, p.uri AS patron, g.uri AS thing, e.uri AS payee, e.host AS payee_host
      FROM taken t
      LEFT JOIN message m ON m.id = t.message
      LEFT JOIN account c ON c.id = t.patron
      LEFT JOIN actor p ON p.id = c.actor
      LEFT JOIN thing g ON g.id = t.thing
      LEFT JOIN actor e ON e.id = t.payee AND e.deleted_at IS NULL
     ORDER BY t.id`,
  );
  const due: Due[] = [];
  const orphans: Orphan[] = [];
  for (const row of rows) {
    const said = saidOf(row);
    if (said === undefined || row.sender === null) orphans.push({ id: row.id });
    else {
      const { id, activity, attempts, sender } = row;
      due.push({ id, activity, said, sender, attempts, at: fromSqlTime(row.at) });
    }
  }
  return { due, orphans };
}

function saidOf(row: Row): Said | undefined {
  if (row.message !== null) return { kind: "message", message: row.message, inbox: row.inbox! };
  const { flattr, period, patron, thing, payee, payee_host: payeeHost } = row;
  if (patron === null || thing === null || payee === null) return undefined;
  return {
    kind: "flattr",
    flattr: flattr!,
    period: periodFromNumber(period!),
    patron,
    thing,
    payee,
    payeeHost: payeeHost!,
    inbox: row.inbox ?? undefined,
    at: fromSqlTime(row.at),
  };
}

/** PostgreSQL's type of lists of text; the statement says what they are. */
const TEXTS = 1009;

/**
 * Lets deliveries go: they arrived, or never will. What waited behind them may leave, and a message goes with its last
 * delivery.
 */
export async function endDeliveries(
  { sql }: Pick<Database, "sql">,
  ids: readonly bigint[],
  now: Temporal.Instant,
): Promise<void> {
  const gone = await retrying(
    () => sql<{ message: bigint | null; subject: bigint | null }[]>`
    WITH gone AS (
      DELETE FROM delivery WHERE id = ANY(${sql.array(ids.map(String), TEXTS)}::bigint[])
      RETURNING id, subject, inbox, payee, message),
    freed AS (
      -- Only what was never taken: a lease must not become due while somebody holds it.
      UPDATE delivery d SET due_at = ${sqlTime(now)}
        FROM gone WHERE d.subject = gone.subject AND d.id > gone.id AND d.attempts = 0 AND (d.inbox = gone.inbox OR d.payee = gone.payee))
    SELECT DISTINCT message, subject FROM gone WHERE message IS NOT NULL`,
  );
  if (gone.length === 0) return;
  // All deliveries of a message have its subject: the index on subjects finds those that are left.
  await retrying(
    () => sql`
    DELETE FROM message m
     USING unnest(${sql.array(
       gone.map(({ message }) => String(message)),
       TEXTS,
     )}::bigint[], ${sql.array(
       gone.map(({ subject }) => (subject === null ? null : String(subject))) as string[],
       TEXTS,
     )}::bigint[]) AS g(message, subject)
     WHERE m.id = g.message
       AND NOT EXISTS (SELECT FROM delivery d WHERE d.message = m.id AND (d.subject = g.subject OR g.subject IS NULL))`,
  );
}

/** Forgets messages without deliveries: whoever ended the last one died before he came to its message. */
export async function forgetMessages({ sql }: Pick<Database, "sql">): Promise<void> {
  await sql`DELETE FROM message m WHERE NOT EXISTS (SELECT FROM delivery d WHERE d.message = m.id)`;
}

/** A delivery that is tried again, and when. */
export interface Later {
  readonly id: bigint;
  readonly due: Temporal.Instant;
  /** Undefined: it was not tried, and the try does not count. */
  readonly error: string | undefined;
}

/** Longest text of an error that is kept. */
const ERROR_CHARS_MAX = 200;

/** Puts deliveries back. */
export async function putBack(
  { sql }: Pick<Database, "sql">,
  rows: readonly Later[],
): Promise<void> {
  const column = (of: (row: Later) => string | null) => sql.array(rows.map(of) as string[], TEXTS);
  await retrying(
    () => sql`
    UPDATE delivery d
       SET due_at = g.due, last_error = COALESCE(g.error, d.last_error),
           attempts = d.attempts - CASE WHEN g.error IS NULL THEN 1 ELSE 0 END
      FROM unnest(${column(({ id }) => String(id))}::bigint[], ${column(({ due }) => sqlTime(due))}::timestamptz[],
                  ${column(({ error }) => error?.slice(0, ERROR_CHARS_MAX).replaceAll("\0", "") ?? null)}::text[]) AS g(id, due, error)
     WHERE d.id = g.id`,
  );
}

/** The text of a message; undefined when it is gone. */
export async function messageText(
  { sql }: Pick<Database, "sql">,
  id: bigint,
): Promise<string | undefined> {
  const [row] = await sql<{ document: string }[]>`SELECT document FROM message WHERE id = ${id}`;
  return row?.document;
}

/** Nothing answers at an inbox any more: whoever had it is asked for another one before anything else is sent. */
export async function forgetInbox({ sql }: Pick<Database, "sql">, inbox: string): Promise<void> {
  const host = new URL(inbox).host;
  await sql`
    UPDATE actor SET inbox = NULLIF(inbox, ${inbox}), shared_inbox = NULLIF(shared_inbox, ${inbox})
     WHERE host = ${host} AND (inbox = ${inbox} OR shared_inbox = ${inbox})`;
}

/** Where a payee is told; undefined when it has no inbox or is gone. */
export async function inboxOf(
  { sql }: Pick<Database, "sql">,
  actor: ActorId,
): Promise<string | undefined> {
  const [row] = await sql<{ inbox: string | null }[]>`
    SELECT COALESCE(inbox, shared_inbox) AS inbox FROM actor WHERE id = ${actor} AND deleted_at IS NULL`;
  return row?.inbox ?? undefined;
}
