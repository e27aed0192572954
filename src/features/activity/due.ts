/** The deliveries that are due: taken under a lease, and let go when they have arrived. */

import { type Period, periodFromNumber } from "../../rules/period.ts";
import { type Database, retrying, TEXTS } from "../../store/database.ts";
import { fromSqlTime, sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";

/** What is sent: a message as it was written, or the Like or Undo of a favourite. */
export type Said =
  | { readonly kind: "message"; readonly message: bigint }
  | {
      readonly kind: "favourite";
      readonly favourite: bigint;
      /** The month of the flattr that it is; null: it is none. */
      readonly period: Period | null;
      readonly patron: string;
      readonly thing: string;
      readonly payee: string;
      readonly at: Temporal.Instant;
    };

/**
 * Where it goes: to an inbox, or to an actor whose inbox is not known yet, or was forgotten, as of when he was read last.
 */
export type Target =
  | { readonly inbox: string }
  | {
      readonly inbox: undefined;
      readonly actor: string;
      readonly host: string;
      readonly readAt: Temporal.Instant;
    };

/** A delivery that is due and leased to whoever took it. */
export interface Due {
  readonly id: bigint;
  readonly activity: string;
  readonly said: Said;
  readonly target: Target;
  /** Who signs. */
  readonly sender: ActorId;
  /** This try included. */
  readonly attempts: number;
  /** Since when it wants to leave, by the clock of the domain. */
  readonly at: Temporal.Instant;
  /** Whose lease this is: the row is ours as long as it says so. */
  readonly lease: Temporal.Instant;
}

/** A row that is told to nobody: its patron, thing or payee is gone, or the operator blocked whom it was for. */
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
  readonly payee_read_at: Date | null;
  readonly blocked: boolean;
}

/**
 * Takes what is due. Each row is leased: nobody else takes it before the lease ends, and then anybody does, whatever
 * became of us. About one subject and to one target the earlier goes first: what comes after it waits.
 *
 * @param now real time
 */
export async function takeDue(
  { queue }: Pick<Database, "queue">,
  { now, leaseMs, limit }: { now: Temporal.Instant; leaseMs: number; limit: number },
): Promise<{ due: Due[]; orphans: Orphan[] }> {
  const lease = now.add({ milliseconds: leaseMs });
  const rows = await retrying(
    () => queue<Row[]>`
    WITH due AS MATERIALIZED (
      SELECT id, subject, inbox, payee FROM delivery WHERE due_at <= ${sqlTime(now)}
       ORDER BY due_at LIMIT ${limit} FOR UPDATE SKIP LOCKED),
    behind AS MATERIALIZED (
      -- One row of the index for each that is due, however many there are about its subject.
      SELECT due.id, first.due_at
        FROM due CROSS JOIN LATERAL (
             (SELECT e.due_at FROM delivery e
               WHERE e.subject = due.subject AND e.inbox = due.inbox AND e.id < due.id ORDER BY e.id LIMIT 1)
             UNION ALL
             (SELECT e.due_at FROM delivery e
               WHERE e.subject = due.subject AND due.inbox IS NULL AND e.inbox IS NULL AND e.payee = due.payee AND e.id < due.id
               ORDER BY e.id LIMIT 1)) AS first),
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
           COALESCE(t.inbox, e.inbox, e.shared_inbox) AS inbox,
           COALESCE(m.sender, p.id) AS sender, p.uri AS patron, g.uri AS thing, e.uri AS payee, e.host AS payee_host, e.fetched_at AS payee_read_at,
           EXISTS (SELECT FROM block b
                    WHERE b.until IS NULL
                      AND ((b.kind = 'host' AND b.target IN (e.host, substring(t.inbox FROM '^https?://([^/?#]+)')))
                           OR (b.kind = 'payee' AND b.target = e.uri))) AS blocked
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
    const [said, target] = [saidOf(row), targetOf(row)];
    if (said === undefined || target === undefined || row.sender === null || row.blocked)
      orphans.push({ id: row.id });
    else {
      const { id, activity, attempts, sender } = row;
      due.push({ id, activity, said, target, sender, attempts, at: fromSqlTime(row.at), lease });
    }
  }
  return { due, orphans };
}

function saidOf(row: Row): Said | undefined {
  if (row.message !== null) return { kind: "message", message: row.message };
  const { flattr, period, patron, thing, payee } = row;
  if (patron === null || thing === null || payee === null) return undefined;
  return {
    kind: "favourite",
    favourite: flattr!,
    period: period === null ? null : periodFromNumber(period),
    patron,
    thing,
    payee,
    at: fromSqlTime(row.at),
  };
}

function targetOf({
  inbox,
  payee,
  payee_host: host,
  payee_read_at: readAt,
}: Row): Target | undefined {
  if (inbox !== null) return { inbox };
  if (payee === null || host === null) return undefined;
  return { inbox: undefined, actor: payee, host, readAt: fromSqlTime(readAt ?? new Date(0)) };
}

/**
 * Lets deliveries go: they arrived, or never will. What waited behind them may leave, and a message goes with its last
 * delivery.
 */
export async function endDeliveries(
  { queue }: Pick<Database, "queue">,
  ids: readonly bigint[],
  now: Temporal.Instant,
): Promise<void> {
  const gone = await retrying(
    () => queue<{ message: bigint | null; subject: bigint | null }[]>`
    WITH gone AS (
      DELETE FROM delivery WHERE id = ANY(${queue.array(ids.map(String), TEXTS)}::bigint[])
      RETURNING id, subject, inbox, payee, message),
    freed AS (
      -- Only the next one, and only what was never taken: a lease must not become due while somebody holds it.
      UPDATE delivery d SET due_at = ${sqlTime(now)}
        FROM gone CROSS JOIN LATERAL (
             (SELECT n.id FROM delivery n
               WHERE n.subject = gone.subject AND n.inbox = gone.inbox AND n.id > gone.id ORDER BY n.id LIMIT 1)
             UNION ALL
             (SELECT n.id FROM delivery n
               WHERE n.subject = gone.subject AND gone.inbox IS NULL AND n.inbox IS NULL AND n.payee = gone.payee AND n.id > gone.id
               ORDER BY n.id LIMIT 1)) AS next
       WHERE d.id = next.id AND d.attempts = 0)
    SELECT DISTINCT message, subject FROM gone WHERE message IS NOT NULL`,
  );
  if (gone.length === 0) return;
  // All deliveries of a message have its subject: the index on subjects finds those that are left.
  await retrying(
    () => queue`
    DELETE FROM message m
     USING unnest(${queue.array(
       gone.map(({ message }) => String(message)),
       TEXTS,
     )}::bigint[], ${queue.array(
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
  /** As it was taken: whoever took it since then has it. */
  readonly lease: Temporal.Instant;
  readonly due: Temporal.Instant;
  /** Undefined: it was not tried, and the try does not count. */
  readonly error: string | undefined;
}

/** Longest text of an error that is kept. */
const ERROR_CHARS_MAX = 200;

/** Puts deliveries back that are still ours; what somebody else took when our lease had ended stays his. */
export async function putBack(
  { queue }: Pick<Database, "queue">,
  rows: readonly Later[],
): Promise<void> {
  const column = (of: (row: Later) => string | null) =>
    queue.array(rows.map(of) as string[], TEXTS);
  await retrying(
    () => queue`
    UPDATE delivery d
       SET due_at = g.due, last_error = COALESCE(g.error, d.last_error),
           attempts = d.attempts - CASE WHEN g.error IS NULL THEN 1 ELSE 0 END
      FROM unnest(${column(({ id }) => String(id))}::bigint[], ${column(({ due }) => sqlTime(due))}::timestamptz[],
                  ${column(({ lease }) => sqlTime(lease))}::timestamptz[],
                  ${column(({ error }) => error?.slice(0, ERROR_CHARS_MAX).replaceAll("\0", "") ?? null)}::text[]) AS g(id, due, lease, error)
     WHERE d.id = g.id AND d.due_at = g.lease`,
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

/**
 * Nothing answers at an inbox any more. Whoever had it counts as never read, so that his own server is asked for
 * another one before anything else is sent to him.
 */
export async function forgetInbox({ sql }: Pick<Database, "sql">, inbox: string): Promise<void> {
  const host = new URL(inbox).host;
  await sql`
    UPDATE actor SET inbox = NULLIF(inbox, ${inbox}), shared_inbox = NULLIF(shared_inbox, ${inbox}), fetched_at = NULL
     WHERE host = ${host} AND (inbox = ${inbox} OR shared_inbox = ${inbox})`;
}

/** Where an actor is told; undefined when it has no inbox or is gone. */
export async function inboxOf(
  { sql }: Pick<Database, "sql">,
  actor: ActorId,
): Promise<string | undefined> {
  const [row] = await sql<{ inbox: string | null }[]>`
    SELECT COALESCE(inbox, shared_inbox) AS inbox FROM actor WHERE id = ${actor} AND deleted_at IS NULL`;
  return row?.inbox ?? undefined;
}
