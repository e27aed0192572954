/** What one patron spends in a month, and how it is divided over the flattrs (R6, R10, R11, R14). */

import { type Micro, toMicro, ZERO } from "./amount.ts";

/** The highest fee an operator may take, in basis points: 10 %. */
export const FEE_BASIS_POINTS_MAX = 1000;

/** What became of an amount: spent = fee + the sum of the shares, to the micro. */
export interface Division {
  readonly spent: Micro;
  readonly fee: Micro;
  readonly shared: Micro;
  /** One for each flattr, in the order of the flattrs; they differ by at most one micro. */
  readonly shares: readonly Micro[];
}

/**
 * The operator's part, rounded down. Written so that no step passes 64 bits: SQL computes the same.
 *
 * @param spent       in micro-units, not negative
 * @param basisPoints hundredths of a percent, 0 to 1000
 */
export function feeOf(spent: Micro, basisPoints: number): Micro {
  const points = BigInt(basisPoints);
  return toMicro((spent / 10_000n) * points + ((spent % 10_000n) * points) / 10_000n);
}

/**
 * Divides an amount into equal shares that add up to it exactly and differ by at most one micro.
 *
 * @param amount in micro-units, not negative
 * @param count  number of flattrs, at least 1
 * @returns shares in the order of the flattrs; the first `amount mod count` are one micro larger
 */
export function divideEqually(amount: Micro, count: number): Micro[] {
  const share = amount / BigInt(count);
  const larger = amount % BigInt(count);
  return Array.from({ length: count }, (_, place) =>
    toMicro(BigInt(place) < larger ? share + 1n : share),
  );
}

/**
 * Divides what a patron can spend: the fee first, then equal shares. Without flattrs nothing is
 * spent and no fee is taken.
 *
 * @param amount      the smaller of budget and available money, in micro-units
 * @param basisPoints the month's fee
 * @param count       how many flattrs count
 */
export function divide(amount: Micro, basisPoints: number, count: number): Division {
  if (count === 0) return { spent: ZERO, fee: ZERO, shared: ZERO, shares: [] };
  const fee = feeOf(amount, basisPoints);
  const shared = toMicro(amount - fee);
  return { spent: amount, fee, shared, shares: divideEqually(shared, count) };
}
