import { pgTable, text } from "drizzle-orm/pg-core";
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
