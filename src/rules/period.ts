/** Months. A period is a calendar month in UTC for every instance, `[opens, closes)` (R3). */

import { Temporal } from "@js-temporal/polyfill";

declare const period: unique symbol;

/** A month as `YYYY-MM`; sorts as text in order of time. */
export type Period = string & { readonly [period]: true };

/** How long an empty purse may still fund a month that is over (R11): half open, `[closes, closes + 7 days)`. */
export const GRACE_DAYS = 7;

/** Reads `YYYY-MM`; undefined when it is no month. */
export function parsePeriod(text: string): Period | undefined {
  return /^\d{4}-(0[1-9]|1[0-2])$/.test(text) ? (text as Period) : undefined;
}

/** What follows the month in `2026-11-10T12:00:00.000Z`. */
const AFTER_MONTH = "-10T12:00:00.000Z".length;

/** The month in which an instant lies. Asked for each post of a page, so by `Date`, which counts in UTC as well. */
export function periodOf(at: Temporal.Instant): Period {
  return new Date(at.epochMilliseconds).toISOString().slice(0, -AFTER_MONTH) as Period;
}

/** The month that comes `months` later, or earlier when negative. */
export function periodAfter(period: Period, months = 1): Period {
  return Temporal.PlainYearMonth.from(period).add({ months }).toString() as Period;
}

/** The first instant of a month. */
export function opensAt(period: Period): Temporal.Instant {
  return Temporal.PlainYearMonth.from(period)
    .toPlainDate({ day: 1 })
    .toZonedDateTime("UTC")
    .toInstant();
}

/** The first instant after a month, which is where the next one opens: no gap, no overlap. */
export function closesAt(period: Period): Temporal.Instant {
  return opensAt(periodAfter(period));
}

/** The first instant at which money can no longer fund a month that is over. */
export function graceEndsAt(period: Period): Temporal.Instant {
  return closesAt(period).add({ hours: 24 * GRACE_DAYS });
}

/** The form in which the database keeps a month: 202611. */
export function periodNumber(period: Period): number {
  return Number(period.slice(0, 4)) * 100 + Number(period.slice(5));
}

/** The month that the database keeps as 202611. */
export function periodFromNumber(number: number): Period {
  return `${String(Math.trunc(number / 100)).padStart(4, "0")}-${String(number % 100).padStart(2, "0")}` as Period;
}
