import { sql } from "drizzle-orm";
import { bigint, check, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { exactText, id, instant } from "../../store/columns.ts";
import { actor } from "../account/schema.ts";

/**
 * Who is paid and in which proportion. A split never changes: a thing that gets other authors points to another
 * split, and a flattr keeps the one of its click. Most hold one payee and serve all things of that person.
 */
export const split = pgTable("split", {
  id: id("id").primaryKey(),
  /** The payees and weights as canonical text, so that equal splits are one row. */
  key: exactText("key").notNull().unique(),
});

export const splitPart = pgTable(
  "split_part",
  {
    split: id("split")
      .notNull()
      .references(() => split.id),
    payee: id("payee")
      .notNull()
      .references(() => actor.id),
    weight: bigint("weight", { mode: "number" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.split, table.payee] }),
    index("split_part_payee").on(table.payee),
    check("split_part_weight", sql`${table.weight} BETWEEN 1 AND 1000000000`),
  ],
);

/** What can be flattred: a post, a person, a page; known by its one canonical address. */
export const thing = pgTable("thing", {
  id: id("id").primaryKey(),
  uri: exactText("uri").notNull().unique(),
  /** The ActivityStreams type it has at home (`Note`, `Person`, …), or `Page` for a web page. */
  kind: text("kind").notNull(),
  split: id("split")
    .notNull()
    .references(() => split.id),
  title: text("title"),
  foundAt: instant("found_at").notNull(),
  deletedAt: instant("deleted_at"),
});

/** Other addresses of a thing: a boost, another spelling, the page of a post. */
export const thingAddress = pgTable("thing_address", {
  address: exactText("address").primaryKey(),
  thing: id("thing")
    .notNull()
    .references(() => thing.id),
});
