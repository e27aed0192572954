/** One patron's whole month, from what was frozen at its end to what everybody gets. */

import { type Micro, smaller, ZERO } from "./amount.ts";
import { divide } from "./division.ts";
import { type Part, type Payee, splitShare, takingPart } from "./split.ts";

/** Where a flattr came from; subscriptions stand first in the division. */
export type FlattrSource = "subscription" | "click";

/** A flattr of the month. */
export interface CountedFlattr {
  readonly id: bigint;
  readonly source: FlattrSource;
  readonly payees: readonly Payee[];
}

/** What is fixed at the freeze. */
export interface FrozenMonth {
  readonly budget: Micro;
  readonly available: Micro;
  readonly feeBasisPoints: number;
  readonly flattrs: readonly CountedFlattr[];
  /** Payees that get nothing from this patron: declined, blocked, gone, or the patron's own. */
  readonly leftOut: ReadonlySet<string>;
}

/**
 * settled: money was divided, or there was nothing to divide. unfunded: flattrs and a budget, but an
 * empty purse; the first money within the grace funds it.
 */
export type MonthState = "settled" | "unfunded";

/** What a closed month comes to. */
export interface ClosedMonth {
  readonly state: MonthState;
  readonly spent: Micro;
  readonly fee: Micro;
  /** The flattrs that count, in the order of the division, each with the parts of its share. */
  readonly shares: readonly {
    readonly flattr: bigint;
    readonly amount: Micro;
    readonly parts: readonly Part[];
  }[];
}

/** Closes one patron's month. Pure: the same frozen facts give the same result, however late. */
export function closeMonth(month: FrozenMonth): ClosedMonth {
  const counted = month.flattrs
    .map(({ id, source, payees }) => ({ id, source, payees: takingPart(payees, month.leftOut) }))
    .filter(({ payees }) => payees.length > 0)
    .sort(byDivisionOrder);
  const amount = smaller(month.budget, month.available);
  const unfunded = counted.length > 0 && month.budget > ZERO && month.available === ZERO;
  const { spent, fee, shares } = divide(amount, month.feeBasisPoints, counted.length);
  return {
    state: unfunded ? "unfunded" : "settled",
    spent,
    fee,
    shares: counted.map((flattr, place) => {
      const share = shares[place] ?? ZERO;
      return { flattr: flattr.id, amount: share, parts: splitShare(share, flattr.payees) };
    }),
  };
}

/**
 * What one more look at the running month shows: the value of a click if the month closed now.
 *
 * @returns micro-units, rounded down; undefined without flattrs
 */
export function valueOfClick(
  amount: Micro,
  feeBasisPoints: number,
  count: number,
): Micro | undefined {
  return divide(amount, feeBasisPoints, count).shares.at(-1);
}

function byDivisionOrder(
  one: { id: bigint; source: FlattrSource },
  other: { id: bigint; source: FlattrSource },
): number {
  if (one.source !== other.source) return one.source === "subscription" ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}
