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
 * to be told. Actors and hosts that the operator blocked are not told, and neither are actors whose inbox is not
 * known: whoever must be reached is fetched before.
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
      SELECT value::bigint AS actor FROM jsonb_array_elements_text(${JSON.stringify(to.map(String))}::jsonb)
      UNION
      SELECT follower FROM follow WHERE followee = ${followersOf ?? null}::bigint AND state = 'accepted'),
    target AS MATERIALIZED (
      SELECT DISTINCT COALESCE(a.shared_inbox, a.inbox) COLLATE "C" AS inbox
        FROM told
        JOIN actor a ON a.id = told.actor
       WHERE a.host <> (SELECT host FROM actor WHERE id = ${sender}::bigint)
         AND COALESCE(a.shared_inbox, a.inbox) IS NOT NULL
         AND a.deleted_at IS NULL
         AND NOT EXISTS (SELECT FROM block b WHERE b.until IS NULL
                            AND ((b.kind = 'payee' AND b.target = a.uri) OR (b.kind = 'host' AND b.target = a.host)))),
    said AS (
      INSERT INTO message (id, sender, document, at)
      SELECT new_id(${when}), ${sender}::bigint, ${JSON.stringify(document)}, ${when}
       WHERE EXISTS (SELECT FROM target)
      RETURNING id)
    INSERT INTO delivery (id, activity, message, inbox, at, subject)
    SELECT new_id(${when}), ${activity}, said.id, target.inbox, ${when}, ${subject}::bigint
      FROM said, target
     ORDER BY target.inbox`);
}
