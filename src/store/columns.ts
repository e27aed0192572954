/** Column types that the tables of all features share. */

import { bigint, customType } from "drizzle-orm/pg-core";
import { type Micro } from "../rules/amount.ts";
import { type Period, periodFromNumber, periodNumber } from "../rules/period.ts";
import { fromSqlTime, sqlTime, type Temporal } from "./time.ts";

/** A row's id: milliseconds << 16 plus a tail, made by the SQL function `new_id` so that newer rows have larger ids. */
export const id = (name: string) => bigint(name, { mode: "bigint" });

/** An amount in micro-units. */
export const micro = (name: string) => bigint(name, { mode: "bigint" }).$type<Micro>();

/** A month, kept as 202611. */
export const period = customType<{ data: Period; driverData: number }>({
  dataType: () => "integer",
  toDriver: periodNumber,
  fromDriver: periodFromNumber,
});

/** An instant with milliseconds. Always an argument, never the database's own clock. */
export const instant = customType<{ data: Temporal.Instant; driverData: string }>({
  dataType: () => "timestamp with time zone",
  toDriver: sqlTime,
  fromDriver: fromSqlTime,
});

/** Text that decides something: compared byte by byte. */
export const exactText = customType<{ data: string; driverData: string }>({
  dataType: () => 'text COLLATE "C"',
});

/** Bytes, such as a sealed secret. */
export const bytes = customType<{ data: Uint8Array; driverData: Uint8Array }>({
  dataType: () => "bytea",
});
