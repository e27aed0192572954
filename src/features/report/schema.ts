import { sql } from "drizzle-orm";
import { boolean, check, index, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { id, instant } from "../../store/columns.ts";
import { account, actor } from "../account/schema.ts";

/** Somebody complains about somebody, to the operator. */
export const report = pgTable(
  "report",
  {
    id: id("id").primaryKey(),
    /** Who complains, when it is somebody here. */
    account: id("account").references(() => account.id, { onDelete: "set null" }),
    /** Who complains, when it is another server. */
    reporter: id("reporter").references(() => actor.id),
    target: id("target")
      .notNull()
      .references(() => actor.id),
    posts: jsonb("posts").$type<readonly string[]>().notNull(),
    comment: text("comment").notNull(),
    category: text("category", { enum: ["spam", "legal", "violation", "other"] }).notNull(),
    /** The other's server was told, too. */
    isForwarded: boolean("is_forwarded").notNull(),
    at: instant("at").notNull(),
    doneAt: instant("done_at"),
  },
  (table) => [
    index("report_open")
      .on(table.id)
      .where(sql`${table.doneAt} IS NULL`),
    check("report_category", sql`${table.category} IN ('spam', 'legal', 'violation', 'other')`),
  ],
);
