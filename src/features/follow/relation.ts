/** How somebody of this instance stands to others. */

import { type Database, TEXTS } from "../../store/database.ts";
import { fromSqlTime, sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { AccountId } from "../account/create.ts";

/** How an account stands to an actor. @see https://docs.joinmastodon.org/entities/Relationship/ */
export interface Relation {
  readonly actor: ActorId;
  readonly following: boolean;
  readonly showingReblogs: boolean;
  readonly notifying: boolean;
  readonly followedBy: boolean;
  readonly blocking: boolean;
  readonly blockedBy: boolean;
  readonly muting: boolean;
  readonly mutingNotifications: boolean;
  /** When the mute ends by itself; null: never, or there is none. */
  readonly mutedUntil: Temporal.Instant | null;
  readonly requested: boolean;
  readonly requestedBy: boolean;
  /** What he wrote down about him; empty for nothing. */
  readonly note: string;
}

interface Row extends Omit<Relation, "mutedUntil"> {
  readonly muted_until: Date | null;
}

/** How the account stands to each of these actors, in the order asked for; who is not known is left out. One query. */
export async function relationsOf(
  { sql }: Pick<Database, "sql">,
  { id, actor }: { readonly id: AccountId; readonly actor: ActorId },
  others: readonly ActorId[],
  at: Temporal.Instant,
): Promise<readonly Relation[]> {
  if (others.length === 0) return [];
  const rows = await sql<Row[]>`
    SELECT a.id AS actor,
           COALESCE(f.state = 'accepted', false) AS following,
           COALESCE(f.state = 'accepted' AND f.shows_boosts, false) AS "showingReblogs",
           COALESCE(f.state = 'accepted' AND f.notifies, false) AS notifying,
           COALESCE(f.state = 'requested', false) AS requested,
           COALESCE(g.state = 'accepted', false) AS "followedBy",
           COALESCE(g.state = 'requested', false) AS "requestedBy",
           EXISTS (SELECT FROM person_block b WHERE b.blocker = ${actor} AND b.blocked = a.id) AS blocking,
           EXISTS (SELECT FROM person_block b WHERE b.blocker = a.id AND b.blocked = ${actor}) AS "blockedBy",
           mu.actor IS NOT NULL AS muting, COALESCE(mu.hides_notifications, false) AS "mutingNotifications",
           mu.until AS muted_until, COALESCE(n.text, '') AS note
      FROM unnest(${sql.array(others.map(String), TEXTS)}::bigint[]) WITH ORDINALITY AS w(id, place)
      JOIN actor a ON a.id = w.id
      LEFT JOIN follow f ON f.follower = ${actor} AND f.followee = a.id
      LEFT JOIN follow g ON g.follower = a.id AND g.followee = ${actor}
      LEFT JOIN mute mu ON mu.account = ${id} AND mu.actor = a.id
                       AND (mu.until IS NULL OR mu.until > ${sqlTime(at)}::timestamptz)
      LEFT JOIN person_note n ON n.account = ${id} AND n.actor = a.id
     ORDER BY w.place`;
  return rows.map(({ muted_until, ...row }) => ({
    ...row,
    mutedUntil: muted_until === null ? null : fromSqlTime(muted_until),
  }));
}
