/** What is told about following: activities as plain JSON. Their ids are never asked for, so they are fragments. */

import { CORE_CONTEXT, type Document } from "../../rules/activity-streams.ts";

/** A Follow, by the URIs of both. */
export interface Following {
  /** The id of the Follow; null when its sender's was never known. */
  readonly id: string | null;
  readonly follower: string;
  readonly followee: string;
}

/** `Follow`. */
export function followDocument(following: Following): Document {
  return { "@context": CORE_CONTEXT, ...bare(following), to: [following.followee] };
}

/** `Undo` of a Follow, by the follower. */
export function unfollowDocument(id: string, following: Following): Document {
  return {
    "@context": CORE_CONTEXT,
    id,
    type: "Undo",
    actor: following.follower,
    object: bare(following),
    to: [following.followee],
  };
}

/** `Accept` or `Reject` of a Follow, by the one who is followed. */
export function answerDocument(
  id: string,
  type: "Accept" | "Reject",
  following: Following,
): Document {
  return {
    "@context": CORE_CONTEXT,
    id,
    type,
    actor: following.followee,
    object: bare(following),
    to: [following.follower],
  };
}

/** Somebody of this instance who wants nothing to do with somebody, by the URIs of both. */
export interface Blocking {
  readonly id: string;
  readonly blocker: string;
  readonly blocked: string;
}

/** `Block`. */
export function blockDocument({ id, blocker, blocked }: Blocking): Document {
  return {
    "@context": CORE_CONTEXT,
    id,
    type: "Block",
    actor: blocker,
    object: blocked,
    to: [blocked],
  };
}

/** `Undo` of a Block. */
export function unblockDocument({ id, blocker, blocked }: Blocking): Document {
  return {
    "@context": CORE_CONTEXT,
    id: `${id}/undo`,
    type: "Undo",
    actor: blocker,
    object: { id, type: "Block", actor: blocker, object: blocked },
    to: [blocked],
  };
}

function bare({ id, follower, followee }: Following): Document {
  return {
    ...(id === null ? {} : { id }),
    type: "Follow",
    actor: follower,
    object: followee,
  };
}
