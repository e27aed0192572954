/** What all commands share: where they print, and what they work on. */

import { InvalidArgumentError } from "commander";
import type { StatementParts } from "../../features/statement/write.ts";
import type { Resolver } from "../../features/thing/find.ts";
import { formatAmount, parseAmount, type Micro } from "../../rules/amount.ts";
import { parsePeriod, type Period } from "../../rules/period.ts";
import type { Database } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Signer } from "../../store/signing.ts";
import type { Clock } from "../../store/time.ts";

/** An open instance, as far as commands need it. */
export interface House {
  readonly database: Database;
  readonly signer: Signer;
  readonly clock: Clock;
  /** Writes statements to other instances. */
  readonly statements: StatementParts;
  /** False while a peer knows statements of ours that this database has forgotten. */
  readonly isFresh: (peer: bigint) => Promise<boolean>;
  /** Changes the key that signs statements, and tells all peers. */
  readonly rotateKey: () => Promise<{ key: string; peers: number }>;
  /** Finds things and people of other servers. */
  readonly resolver: Resolver;
}

/** What a command has to say: one object per line with `--json`, else text. */
export interface Answer {
  readonly json: object | readonly object[];
  readonly text: string;
  /** Set when something is wrong that is no refusal: the exit status becomes 1. */
  readonly failed?: boolean;
}

/** Opens the instance, does one command's work, prints the answer, and closes again. */
export type Run = (work: (house: House) => Promise<Answer>) => Promise<void>;

/** An amount as people read it. */
export function money(amount: bigint, { settings }: Database): string {
  return `${formatAmount(amount, settings.currency)} ${settings.currency}`;
}

/**
 * Reads an amount that somebody typed.
 *
 * @throws Refusal with `reason` when it is none
 */
export function amountArgument(
  text: string,
  { settings }: Database,
  reason: "amount_invalid" | "budget_invalid",
): Micro {
  const amount = parseAmount(text, settings.currency);
  if (amount === undefined) throw new Refusal(reason, { text });
  return amount;
}

/** @throws Refusal "period_invalid" */
export function periodArgument(text: string | undefined): Period | undefined {
  if (text === undefined) return undefined;
  const period = parsePeriod(text);
  if (period === undefined)
    throw new Refusal("period_invalid", { period: text, why: "a month is written YYYY-MM" });
  return period;
}

/** For options that are whole numbers. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

/** For ids, as lists show them. */
export function idArgument(text: string): bigint {
  if (!/^\d{1,18}$/.test(text))
    throw new InvalidArgumentError("It must be an id, as lists show it.");
  return BigInt(text);
}
