/** Telling other servers: what somebody of this instance says is written down once, and once for each inbox that gets it. */

import { sql } from "drizzle-orm";
import type { Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";

/** Something that an actor of this instance says. */
export interface Telling {
  /** Signs it. */
  readonly sender: ActorId;
  /** Its ActivityStreams type, such as `Create`. */
  readonly activity: string;
  /** The whole activity; sent as it is, the same at every try. */
  readonly document: Readonly<Record<string, unknown>>;
  /** What it is about, such as a post or a pair of actors: about one subject, the earlier arrives first. */
  readonly subject: bigint;
  readonly at: Temporal.Instant;
  /** Those of this instance among them are told by the database, not by mail. */
  readonly to?: readonly ActorId[] | undefined;
  /** Everybody who follows this actor from elsewhere is told, too. */
  readonly followersOf?: ActorId | undefined;
}

/**
 * Writes a message and one delivery for each inbox, shared inboxes once. Nothing is written when nobody elsewhere is
 * to be told. Actors and hosts that the operator blocked are not told. Whoever was never read, or whose inbox was
 * forgotten, is read when the delivery is due; whoever was read and has no inbox is not told.
 */
export async function tell(
  tx: Tx,
  { sender, activity, document, subject, at, to = [], followersOf }: Telling,
): Promise<void> {
  if (to.length === 0 && followersOf === undefined) return;
  const when = sqlTime(at);
  // One statement, however many are told. The tables of follows and blocks belong to rooms nearer to the rim.
  await tx.execute(sql`
    WITH told AS MATERIALIZED (
      SELECT unnest(${`{${to.join(",")}}`}::bigint[]) AS actor
      UNION
      SELECT follower FROM follow WHERE followee = ${followersOf ?? null}::bigint AND state = 'accepted'),
    target AS MATERIALIZED (
      -- Where one inbox means one actor, it is kept who that is: a block may still stop what waits for him.
      SELECT COALESCE(a.shared_inbox, a.inbox) COLLATE "C" AS inbox, CASE WHEN count(*) = 1 THEN min(a.id) END AS actor
        FROM told
        JOIN actor a ON a.id = told.actor
       WHERE a.host <> (SELECT host FROM actor WHERE id = ${sender}::bigint)
         AND (COALESCE(a.shared_inbox, a.inbox) IS NOT NULL OR a.fetched_at IS NULL)
         AND a.deleted_at IS NULL
         AND NOT EXISTS (SELECT FROM block b WHERE b.until IS NULL
                            AND ((b.kind = 'payee' AND b.target = a.uri) OR (b.kind = 'host' AND b.target = a.host)))
       -- Whose inbox is not known is told by himself.
       GROUP BY 1, CASE WHEN COALESCE(a.shared_inbox, a.inbox) IS NULL THEN a.id END),
    said AS (
      INSERT INTO message (id, sender, document, at)
      SELECT new_id(${when}), ${sender}::bigint, ${JSON.stringify(document)}, ${when}
       WHERE EXISTS (SELECT FROM target)
      RETURNING id)
    INSERT INTO delivery (id, activity, message, inbox, payee, at, subject)
    SELECT new_id(${when}), ${activity}, said.id, target.inbox, target.actor, ${when}, ${subject}::bigint
      FROM said, target
     ORDER BY target.inbox, target.actor`);
}

/**
 * Takes back what somebody said and nobody has begun to send, since something newer says the same: however often it is
 * asked for, one answer waits.
 */
export async function untell(
  tx: Tx,
  { sender, activity, subject }: Pick<Telling, "sender" | "activity" | "subject">,
): Promise<void> {
  await tx.execute(sql`
    WITH unsaid AS (
      DELETE FROM delivery d USING message m
       WHERE m.id = d.message AND m.sender = ${sender}::bigint AND d.subject = ${subject}::bigint
         AND d.activity = ${activity} AND d.attempts = 0
      RETURNING d.id, d.message)
    DELETE FROM message m USING unsaid
     WHERE m.id = unsaid.message
       AND NOT EXISTS (SELECT FROM delivery d WHERE d.message = m.id AND d.id NOT IN (SELECT id FROM unsaid))`);
}
