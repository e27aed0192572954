/** Each activity once. */

import type { Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { activity } from "./schema.ts";

/** An activity as it is remembered. */
export interface Taken {
  /** Its id, of the origin of its actor. */
  readonly id: string;
  readonly actor: ActorId;
  /** Its ActivityStreams type. */
  readonly kind: string;
  readonly at: Temporal.Instant;
}

/**
 * Remembers an activity forever, in the transaction of its effect. Two that come together wait for each other here.
 *
 * @returns false when it was taken in before: then nothing else may be done
 */
export async function takeOnce(tx: Tx, taken: Taken): Promise<boolean> {
  const made = await tx
    .insert(activity)
    .values(taken)
    .onConflictDoNothing()
    .returning({ id: activity.id });
  return made.length > 0;
}
