import { sql } from "drizzle-orm";
import { check, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { exactText, id, instant } from "../../store/columns.ts";
import { account } from "../account/schema.ts";
import { actor } from "../account/schema.ts";

/** An actor elsewhere that is proved to be the person's own: nobody pays himself (R9). */
export const alias = pgTable(
  "alias",
  {
    account: id("account")
      .notNull()
      .references(() => account.id),
    payee: id("payee")
      .notNull()
      .references(() => actor.id),
    since: instant("since").notNull(),
  },
  (table) => [primaryKey({ columns: [table.account, table.payee] })],
);

/** A creator who does not want money, from `since` until `until`. */
export const decline = pgTable(
  "decline",
  {
    id: id("id").primaryKey(),
    payee: id("payee")
      .notNull()
      .references(() => actor.id),
    since: instant("since").notNull(),
    until: instant("until"),
  },
  (table) => [index("decline_payee").on(table.payee)],
);

/** An actor or a whole host that the operator will not pay. */
export const block = pgTable(
  "block",
  {
    id: id("id").primaryKey(),
    kind: text("kind", { enum: ["payee", "host"] }).notNull(),
    /** The actor's URI, or the host with its port. */
    target: exactText("target").notNull(),
    since: instant("since").notNull(),
    until: instant("until"),
  },
  (table) => [
    index("block_target").on(table.target),
    check("block_kind", sql`${table.kind} IN ('payee', 'host')`),
  ],
);
