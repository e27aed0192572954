/** What a flattr is for other servers: an ordinary Like with one word more, and its Undo. */

import type { Period } from "../../rules/period.ts";
import { NAMESPACE } from "../../rules/statement.ts";
import type { Temporal } from "../../store/time.ts";

export { NAMESPACE };

/** Stands inline, so that no server has to fetch anything to read it. */
const CONTEXT = [
  "https://www.w3.org/ns/activitystreams",
  "https://w3id.org/security/data-integrity/v1",
  { fl: NAMESPACE, paymentPeriod: "fl:paymentPeriod" },
] as const;

/** A flattr, as others are told of it. */
export interface ToldFlattr {
  readonly origin: string;
  readonly flattr: bigint;
  /** URIs. */
  readonly patron: string;
  readonly thing: string;
  readonly payee: string;
  readonly period: Period;
  readonly at: Temporal.Instant;
}

/** The id of a flattr's Like. Taken back and given again it is another flattr, and another Like. */
export function likeId(origin: string, flattr: bigint): string {
  return `${origin}/likes/${flattr}`;
}

/** The Like of a flattr. It moves no money: it says which month's budget the thing has a part in. */
export function likeDocument(told: ToldFlattr): Record<string, unknown> {
  return {
    "@context": CONTEXT,
    ...likeOf(told),
    to: [told.payee],
    published: published(told.at),
    paymentPeriod: told.period,
  };
}

/**
 * The Undo of a flattr's Like.
 *
 * @param told `at`: when it was taken back
 */
export function undoLikeDocument(told: ToldFlattr): Record<string, unknown> {
  return {
    "@context": CONTEXT,
    id: `${likeId(told.origin, told.flattr)}#undo`,
    type: "Undo",
    actor: told.patron,
    object: likeOf(told),
    to: [told.payee],
    published: published(told.at),
  };
}

function likeOf({ origin, flattr, patron, thing }: ToldFlattr): Record<string, unknown> {
  return { id: likeId(origin, flattr), type: "Like", actor: patron, object: thing };
}

/** Whole seconds: some servers read nothing finer. */
function published(at: Temporal.Instant): string {
  return at.toString({ smallestUnit: "second" });
}
