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
  return { real, now: () => real().toZonedDateTimeISO("UTC").add(offset).toInstant() };
}

/** An instant as PostgreSQL reads it. */
export function sqlTime(at: Temporal.Instant): string {
  return at.toString({ smallestUnit: "millisecond" });
}

/** An instant that PostgreSQL wrote. */
export function fromSqlTime(text: string | Date): Temporal.Instant {
  return typeof text === "string"
    ? Temporal.Instant.from(text.replace(" ", "T").replace(/([+-]\d{2})$/, "$1:00"))
    : Temporal.Instant.fromEpochMilliseconds(text.getTime());
}
