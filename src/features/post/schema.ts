import { sql } from "drizzle-orm";
import { check, index, pgTable, text } from "drizzle-orm/pg-core";
import { id, instant } from "../../store/columns.ts";
import { account } from "../account/schema.ts";
import { thing } from "../thing/schema.ts";

/** What somebody of this instance wrote. Its address is that of its thing. */
export const post = pgTable(
  "post",
  {
    id: id("id").primaryKey(),
    account: id("account")
      .notNull()
      .references(() => account.id),
    thing: id("thing")
      .notNull()
      .unique()
      .references(() => thing.id),
    text: text("text").notNull(),
    at: instant("at").notNull(),
  },
  (table) => [
    index("post_account").on(table.account, table.id),
    check("post_text_length", sql`length(${table.text}) BETWEEN 1 AND 5000`),
  ],
);
