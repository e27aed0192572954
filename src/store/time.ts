/** The one place that knows the Temporal polyfill, and the clock. */

import { Temporal } from "@js-temporal/polyfill";

export { Temporal };

/** What time it is. Domain time may be shifted for trials; real time never is. */
export interface Clock {
  /** Time of the domain: periods, `published`, `created`. */
  now(): Temporal.Instant;
  /** The machine's time: signatures, job delays. */
  real(): Temporal.Instant;
}

/** The machine's clock, with the domain's time shifted by `CLOCK_OFFSET` (calendar units are added in UTC). */
export function machineClock(offset: Temporal.Duration = new Temporal.Duration()): Clock {
  const real = () => Temporal.Now.instant();
  if (offset.blank) return { real, now: real };
  return { real, now: () => real().toZonedDateTimeISO("UTC").add(offset).toInstant() };
}

/** An instant to the millisecond, such as `2026-11-10T12:00:00.000Z`. A page shows dozens, and `Date` is quicker at it. */
export function isoTime(at: Temporal.Instant): string {
  return new Date(at.epochMilliseconds).toISOString();
}

/** An instant as PostgreSQL reads it. */
export function sqlTime(at: Temporal.Instant): string {
  return isoTime(at);
}

/** An instant that PostgreSQL wrote. */
export function fromSqlTime(text: string | Date): Temporal.Instant {
  return typeof text === "string"
    ? Temporal.Instant.from(text.replace(" ", "T").replace(/([+-]\d{2})$/, "$1:00"))
    : Temporal.Instant.fromEpochMilliseconds(text.getTime());
}
