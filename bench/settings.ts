/** The instance and the month that the benches are about. */

import { toMicro } from "../src/rules/amount.ts";
import { parsePeriod } from "../src/rules/period.ts";
import type { Settings } from "../src/store/database.ts";
import { Temporal } from "../src/store/time.ts";

export const SETTINGS: Settings = {
  origin: "https://home.example",
  currency: "EUR",
  minimumBudget: toMicro(2_000_000n),
  feeBasisPoints: 1000,
  unclaimedMonths: 12,
  peerLimit: toMicro(50_000_000n),
};

export const MONTH = parsePeriod("2026-11")!;
export const MONTH_OPENS = Temporal.Instant.from("2026-11-01T00:00:00Z");
export const MONTH_CLOSES = Temporal.Instant.from("2026-12-01T00:00:00Z");
export const GRACE_ENDS = Temporal.Instant.from("2026-12-08T00:00:00Z");
