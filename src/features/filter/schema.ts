import { sql } from "drizzle-orm";
import { boolean, check, index, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { id, instant } from "../../store/columns.ts";
import { account } from "../account/schema.ts";
import { post } from "../post/schema.ts";

/** Where a filter looks. @see https://docs.joinmastodon.org/entities/Filter/#context */
export const FILTER_PLACES = ["home", "notifications", "public", "thread", "account"] as const;

/** What somebody does not want to read, or only behind a warning. */
export const filter = pgTable(
  "filter",
  {
    id: id("id").primaryKey(),
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    title: text("title").notNull(),
    places: jsonb("places").$type<readonly (typeof FILTER_PLACES)[number][]>().notNull(),
    action: text("action", { enum: ["warn", "hide", "blur"] })
      .notNull()
      .default("warn"),
    until: instant("until"),
  },
  (table) => [
    index("filter_account").on(table.account),
    check("filter_action", sql`${table.action} IN ('warn', 'hide', 'blur')`),
  ],
);

export const filterKeyword = pgTable(
  "filter_keyword",
  {
    id: id("id").primaryKey(),
    filter: id("filter")
      .notNull()
      .references(() => filter.id, { onDelete: "cascade" }),
    keyword: text("keyword").notNull(),
    isWholeWord: boolean("is_whole_word").notNull().default(false),
  },
  (table) => [index("filter_keyword_filter").on(table.filter)],
);

/** A single post that a filter means. */
export const filterPost = pgTable(
  "filter_post",
  {
    id: id("id").notNull().unique(),
    filter: id("filter")
      .notNull()
      .references(() => filter.id, { onDelete: "cascade" }),
    post: id("post")
      .notNull()
      .references(() => post.id, { onDelete: "cascade" }),
  },
  (table) => [primaryKey({ columns: [table.filter, table.post] })],
);
