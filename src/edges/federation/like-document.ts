/** What a favourite is for other servers: an ordinary Like, and its Undo; that of a flattr has one word more. */

import { CORE_CONTEXT } from "../../rules/activity-streams.ts";
import type { Period } from "../../rules/period.ts";
import { NAMESPACE } from "../../rules/statement.ts";
import type { Temporal } from "../../store/time.ts";

export { NAMESPACE };

/** Stands inline, so that no server has to fetch anything to read it. */
const CONTEXT = [
  CORE_CONTEXT,
  "https://w3id.org/security/data-integrity/v1",
  { fl: NAMESPACE, paymentPeriod: "fl:paymentPeriod" },
] as const;

/** A favourite, as others are told of it. */
export interface ToldLike {
  readonly origin: string;
  /** The id of the favourite; of a flattr they are the same. */
  readonly favourite: bigint;
  /** URIs. */
  readonly patron: string;
  readonly thing: string;
  readonly payee: string;
  /** The month of the flattr; null: it is none. */
  readonly period: Period | null;
  readonly at: Temporal.Instant;
}

/** The id of a Like. Taken back and given again it is another one. */
export function likeId(origin: string, favourite: bigint): string {
  return `${origin}/likes/${favourite}`;
}

/** A Like. It moves no money: that of a flattr says which month's budget the thing has a part in. */
export function likeDocument(told: ToldLike): Record<string, unknown> {
  return {
    "@context": contextOf(told),
    ...likeOf(told),
    to: [told.payee],
    published: published(told.at),
    ...(told.period === null ? {} : { paymentPeriod: told.period }),
  };
}

/**
 * The Undo of a Like.
 *
 * @param told `at`: when it was taken back
 */
export function undoLikeDocument(told: ToldLike): Record<string, unknown> {
  return {
    "@context": contextOf(told),
    id: `${likeId(told.origin, told.favourite)}#undo`,
    type: "Undo",
    actor: told.patron,
    object: likeOf(told),
    to: [told.payee],
    published: published(told.at),
  };
}

function contextOf({ period }: ToldLike): unknown {
  return period === null ? CORE_CONTEXT : CONTEXT;
}

function likeOf({ origin, favourite, patron, thing }: ToldLike): Record<string, unknown> {
  return { id: likeId(origin, favourite), type: "Like", actor: patron, object: thing };
}

/** Whole seconds: some servers read nothing finer. */
function published(at: Temporal.Instant): string {
  return at.toString({ smallestUnit: "second" });
}
