/** How the share of one flattr is split between several payees (R7). */

import { type Micro, toMicro } from "./amount.ts";
import { compareBytes } from "./text.ts";

/** Somebody who receives: an actor by its URI, and the weight of its part. */
export interface Payee {
  readonly payee: string;
  readonly weight: number;
}

/** What one payee gets of a share. */
export interface Part {
  readonly payee: string;
  readonly amount: Micro;
}

/** The highest weight of one payee; sums of weights stay exact in every language. */
export const WEIGHT_MAX = 1_000_000_000;

/** The payees that take part: weights of one payee add up, weight 0 and whoever is left out drop out. */
export function takingPart(payees: readonly Payee[], leftOut: ReadonlySet<string>): Payee[] {
  const weights = new Map<string, number>();
  for (const { payee, weight } of payees) {
    if (weight > 0 && !leftOut.has(payee)) weights.set(payee, (weights.get(payee) ?? 0) + weight);
  }
  return [...weights]
    .map(([payee, weight]) => ({ payee, weight }))
    .sort((one, other) => compareBytes(one.payee, other.payee));
}

/**
 * Splits a share by weight. Each gets `floor(share * weight / sum)`; the units still missing go one
 * each to the largest remainders, ties to the payee whose id sorts first, byte by byte. Adds up
 * exactly, and the order of the input changes nothing.
 *
 * @param payees as `takingPart` returns them, at least one
 * @returns parts ascending by payee; a part of 0 is listed
 */
export function splitShare(share: Micro, payees: readonly Payee[]): Part[] {
  const whole = payees.reduce((total, { weight }) => total + BigInt(weight), 0n);
  const parts = payees.map(({ payee, weight }) => {
    const product = share * BigInt(weight);
    return { payee, amount: product / whole, remainder: product % whole };
  });
  const missing = Number(share - parts.reduce((total, { amount }) => total + amount, 0n));
  const largestFirst = parts.toSorted((one, other) =>
    one.remainder === other.remainder
      ? compareBytes(one.payee, other.payee)
      : one.remainder > other.remainder
        ? -1
        : 1,
  );
  for (const part of largestFirst.slice(0, missing)) part.amount += 1n;
  return parts.map(({ payee, amount }) => ({ payee, amount: toMicro(amount) }));
}
