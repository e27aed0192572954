import { index, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { bytes, exactText, instant } from "./columns.ts";

/** What an instance remembers about itself: its origin, its currency, the fingerprint of its master key. */
export const setting = pgTable("setting", {
  name: exactText("name").primaryKey(),
  value: text("value").notNull(),
});

/** Our own signing keys; the private half encrypted with the master key. */
export const signingKey = pgTable("signing_key", {
  id: exactText("id").primaryKey(),
  use: text("use", { enum: ["receipt", "statement"] }).notNull(),
  publicJwk: text("public_jwk").notNull(),
  sealed: bytes("sealed").notNull(),
  createdAt: instant("created_at").notNull(),
  retiredAt: instant("retired_at"),
});

/**
 * How often something was done in a stretch of time, by all nodes together. Not written to the log (UNLOGGED): after a
 * crash everybody begins anew.
 */
export const rate = pgTable(
  "rate",
  {
    /** What is counted and for whom. */
    key: exactText("key").notNull(),
    ends: instant("ends").notNull(),
    count: integer("count").notNull(),
  },
  (table) => [primaryKey({ columns: [table.key, table.ends] }), index("rate_ends").on(table.ends)],
);
