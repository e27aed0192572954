import { index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { exactText, id, instant } from "../../store/columns.ts";
import { account } from "../account/schema.ts";

/** A message to `@flattr` that was read: each once, however often it is edited or comes again. */
export const botOrder = pgTable("bot_order", {
  post: id("post").primaryKey(),
  account: id("account")
    .notNull()
    .references(() => account.id, { onDelete: "cascade" }),
  /** The word it began with, when it was one that is known. */
  word: text("word"),
  at: instant("at").notNull(),
});

/** What `@flattr` told somebody by itself: each thing once. */
export const botMessage = pgTable(
  "bot_message",
  {
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    /** What about, such as `closed:2026-11`. */
    about: exactText("about").notNull(),
    post: id("post"),
    at: instant("at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.account, table.about] }),
    index("bot_message_at").on(table.at),
  ],
);
