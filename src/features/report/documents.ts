/** What other servers are told of complaints. */

import { CORE_CONTEXT, type Document } from "../../rules/activity-streams.ts";

/** A complaint about somebody elsewhere. */
export interface Flagging {
  readonly id: string;
  /** The URI of the instance: whoever complains is not named. */
  readonly instance: string;
  readonly target: string;
  readonly posts: readonly string[];
  readonly comment: string;
}

/** `Flag`. @see https://www.w3.org/TR/activitystreams-vocabulary/#dfn-flag */
export function flagDocument({ id, instance, target, posts, comment }: Flagging): Document {
  return {
    "@context": CORE_CONTEXT,
    id,
    type: "Flag",
    actor: instance,
    content: comment,
    object: [target, ...posts],
    to: [target],
  };
}
