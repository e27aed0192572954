/** How somebody stands to others. @see https://docs.joinmastodon.org/entities/Relationship/ */

import type { ActorId } from "../../features/account/actor.ts";
import { relationsOf } from "../../features/follow/relation.ts";
import { Refusal } from "../../store/refusal.ts";
import { type Entity, instantText } from "./account.ts";
import type { Caller, ClientParts } from "./frame.ts";

/** How the caller stands to each of these, in this order. */
export async function relationshipEntities(
  { database, clock }: Pick<ClientParts, "database" | "clock">,
  { account }: Caller,
  actors: readonly ActorId[],
): Promise<readonly Entity[]> {
  const relations = await relationsOf(database, account, actors, clock.now());
  return relations.map((relation) => ({
    id: String(relation.actor),
    following: relation.following,
    showing_reblogs: relation.showingReblogs,
    notifying: relation.notifying,
    languages: null,
    followed_by: relation.followedBy,
    blocking: relation.blocking,
    blocked_by: relation.blockedBy,
    muting: relation.muting,
    muting_notifications: relation.mutingNotifications,
    muting_expires_at: relation.mutedUntil === null ? null : instantText(relation.mutedUntil),
    requested: relation.requested,
    requested_by: relation.requestedBy,
    domain_blocking: false,
    endorsed: false,
    note: relation.note,
  }));
}

/** How the caller stands to one. @throws Refusal "not_found" for nobody */
export async function relationshipTo(
  parts: Pick<ClientParts, "database" | "clock">,
  caller: Caller,
  actor: ActorId,
): Promise<Entity> {
  const [relationship] = await relationshipEntities(parts, caller, [actor]);
  if (relationship === undefined) throw new Refusal("not_found");
  return relationship;
}
