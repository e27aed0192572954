/** Which accounts an event of the month touches, as legs that add up to zero (decisions: money through a month). */

import { type Micro, sum, toMicro } from "./amount.ts";

/**
 * What a ledger account is for.
 *
 * - world: everything outside; below zero by what was paid in
 * - budget: a patron's money · earnings: a creator's money · fee: the operator's
 * - waiting: money of a creator who has not proved who he is
 * - outbound, in_flight, payable, receivable, pending: money on its way between instances
 */
export type AccountKind =
  | "world"
  | "fee"
  | "budget"
  | "earnings"
  | "waiting"
  | "outbound"
  | "in_flight"
  | "payable"
  | "receivable"
  | "pending";

/** Which account: its kind and, but for world and fee, whose it is (and towards which peer). */
export interface AccountName {
  readonly kind: AccountKind;
  readonly owner?: bigint;
  readonly peer?: bigint;
}

/** One line of a posting: positive is a credit, negative a debit. */
export interface Leg {
  readonly account: AccountName;
  readonly amount: Micro;
}

/** Kinds that may go below zero without limit. A receivable has a limit of its own; all others stop at zero. */
export const BOTTOMLESS: ReadonlySet<AccountKind> = new Set(["world", "payable"]);

/** Moves an amount from one account to another. */
export function move(amount: Micro, from: AccountName, to: AccountName): Leg[] {
  return [
    { account: from, amount: toMicro(-amount) },
    { account: to, amount },
  ];
}

/** Money comes in for a patron: world to budget. */
export function moneyIn(patron: bigint, amount: Micro): Leg[] {
  return move(amount, { kind: "world" }, { kind: "budget", owner: patron });
}

/** True when the legs add up to zero, none is empty, and no account stands twice: what the ledger takes. */
export function isBalanced(legs: readonly Leg[]): boolean {
  const names = new Set(
    legs.map(({ account: { kind, owner = 0n, peer = 0n } }) => `${kind}:${owner}:${peer}`),
  );
  return (
    legs.length >= 2 &&
    names.size === legs.length &&
    legs.every(({ amount }) => amount !== 0n) &&
    sum(legs.map(({ amount }) => amount)) === 0n
  );
}
