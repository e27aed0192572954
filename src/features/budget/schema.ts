import { sql } from "drizzle-orm";
import { check, index, pgTable, text } from "drizzle-orm/pg-core";
import { exactText, id, instant, micro } from "../../store/columns.ts";
import { account } from "../account/schema.ts";

/** What somebody wants to give a month, as a history: the last one set before the month's end counts. 0 is a pause. */
export const budget = pgTable(
  "budget",
  {
    id: id("id").primaryKey().generatedAlwaysAsIdentity(),
    patron: id("patron")
      .notNull()
      .references(() => account.id),
    since: instant("since").notNull(),
    amount: micro("amount").notNull(),
  },
  (table) => [
    index("budget_patron").on(table.patron, table.id),
    check("budget_amount", sql`${table.amount} >= 0 AND ${table.amount} % 1000 = 0`),
  ],
);

/** Real money that came in or went out by hand: what the operator booked (the manual rail). */
export const cash = pgTable(
  "cash",
  {
    id: id("id").primaryKey(),
    patron: id("patron")
      .notNull()
      .references(() => account.id),
    /** Above zero came in, below zero went out. */
    amount: micro("amount").notNull(),
    /** The bank's own words for it, unique: the same one again books nothing. */
    reference: exactText("reference").unique(),
    note: text("note"),
    at: instant("at").notNull(),
    transfer: id("transfer").notNull().unique(),
  },
  (table) => [check("cash_amount", sql`${table.amount} <> 0`)],
);
