/** What our own API tells, as JSON: amounts are decimal texts of micro-units with the currency beside them. */

import type { Account } from "../../features/account/create.ts";
import type { Given } from "../../features/flattr/give.ts";
import type {
  OwnFlattr,
  OwnSubscription,
  OwnThing,
  PublicThing,
} from "../../features/flattr/own.ts";
import type { ClickNow, MonthReport } from "../../features/settlement/report.ts";
import type { Period } from "../../rules/period.ts";
import type { Temporal } from "../../store/time.ts";
import { type Entity, instantText } from "./account.ts";

/** The running month; without amounts for apps that may not see them. */
export function currentEntity(
  { period, closes, budget, available, flattrs, value }: ClickNow,
  {
    at,
    currency,
    showsMoney,
  }: { readonly at: Temporal.Instant; readonly currency: string; readonly showsMoney: boolean },
): Entity {
  return {
    period,
    count: flattrs,
    closes_at: instantText(closes),
    days_left: Math.floor(at.until(closes).total({ unit: "hours" }) / 24),
    ...(showsMoney
      ? {
          currency,
          budget: String(budget),
          available: String(available),
          value: value === undefined ? null : String(value),
        }
      : {}),
  };
}

/** A flattr of one's own. */
export function flattrEntity({
  id,
  period,
  source,
  private: isPrivate,
  at,
  thing,
}: OwnFlattr): Entity {
  return {
    id: String(id),
    period,
    source,
    private: isPrivate,
    at: instantText(at),
    thing: nameOf(thing),
  };
}

/** What became of a click. */
export function givenEntity({ flattr, period, again }: Given, thing: OwnThing): Entity {
  return { id: String(flattr), period, again, thing: nameOf(thing) };
}

/** A subscription. */
export function subscriptionEntity({
  thing,
  since,
  monthsLeft,
  pausedAt,
}: OwnSubscription): Entity {
  return {
    thing: nameOf(thing),
    since: instantText(since),
    months_left: monthsLeft,
    paused_at: pausedAt === null ? null : instantText(pausedAt),
  };
}

/** What everybody may know of a thing. */
export function thingEntity({ payees, flattrs, ...thing }: PublicThing, period: Period): Entity {
  return { ...nameOf(thing), payees, period, flattrs };
}

/** What somebody chose about his favourites and flattrs. */
export function preferencesEntity({ flattrMode, flattrsPrivate }: Account): Entity {
  return { mode: flattrMode, private: flattrsPrivate };
}

/** One's own month, with amounts. */
export function statementEntity(report: MonthReport, currency: string): Entity {
  const { balance, gave, received, promised } = report;
  return {
    period: report.period,
    state: report.state,
    settlement: report.settlement ?? null,
    currency,
    budget: String(report.budget),
    available: String(report.available),
    count: report.flattrs,
    spent: String(report.spent),
    fee: String(report.fee),
    fee_basis_points: report.feeBasisPoints,
    value: report.valueOfClick === undefined ? null : String(report.valueOfClick),
    gave: gave.map(({ thing, payee, amount, state }) => ({
      thing,
      payee,
      amount: amount === undefined ? null : String(amount),
      state: state ?? null,
    })),
    received: received.map(({ thing, flattrs, amount }) => ({
      thing,
      flattrs,
      amount: String(amount),
    })),
    promised: promised.map(({ host, amount, released }) => ({
      host,
      amount: String(amount),
      released: String(released),
    })),
    balance: {
      budget: String(balance.budget),
      earnings: String(balance.earnings),
      pending: String(balance.pending),
    },
  };
}

function nameOf({ id, uri, kind, title }: OwnThing): Entity {
  return { id: String(id), uri, kind, title };
}
