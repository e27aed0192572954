import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  unique,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import { id, instant, period } from "../../store/columns.ts";
import { account } from "../account/schema.ts";
import { thing } from "../thing/schema.ts";

/**
 * One patron liked one thing in one month. Cut into months; a row can be made and taken back while its month is
 * open and never afterwards (trigger `flattr_guard`). No foreign keys: they would lock a row per click.
 */
export const flattr = pgTable(
  "flattr",
  {
    period: period("period").notNull(),
    id: id("id").notNull(),
    patron: id("patron").notNull(),
    thing: id("thing").notNull(),
    /** Who gets the share, fixed at the click. */
    split: id("split").notNull(),
    source: text("source", { enum: ["click", "favourite", "subscription"] }).notNull(),
    private: boolean("private").notNull(),
    at: instant("at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.period, table.id] }),
    unique("flattr_once").on(table.period, table.patron, table.thing),
    index("flattr_thing").on(table.thing),
    check("flattr_source", sql`${table.source} IN ('click', 'favourite', 'subscription')`),
  ],
);

/** A flattr that repeats itself at each opening of a month. */
export const subscription = pgTable(
  "subscription",
  {
    id: id("id").primaryKey(),
    patron: id("patron")
      .notNull()
      .references(() => account.id),
    thing: id("thing")
      .notNull()
      .references(() => thing.id),
    since: instant("since").notNull(),
    /** Openings still to come; null: without end. */
    monthsLeft: integer("months_left"),
    pausedAt: instant("paused_at"),
    endedAt: instant("ended_at"),
  },
  (table) => [
    uniqueIndex("subscription_once")
      .on(table.patron, table.thing)
      .where(sql`${table.endedAt} IS NULL`),
    check("subscription_months", sql`${table.monthsLeft} IS NULL OR ${table.monthsLeft} >= 0`),
  ],
);

/** What many flattr these days, in order; counted anew now and then. */
export const trend = pgTable(
  "trend",
  {
    post: id("post").primaryKey(),
    rank: integer("rank").notNull(),
    flattrs: integer("flattrs").notNull(),
    at: instant("at").notNull(),
  },
  (table) => [index("trend_rank").on(table.rank)],
);
