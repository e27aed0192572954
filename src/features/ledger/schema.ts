/** Double entry. What the triggers in `migrations` promise about these tables is written there and tested one by one. */

import { sql } from "drizzle-orm";
import { check, customType, index, pgSchema, primaryKey, text, unique } from "drizzle-orm/pg-core";
import { exactText, id, instant, micro, period } from "../../store/columns.ts";

const xid8 = customType<{ data: string }>({ dataType: () => "xid8" });

export const ledger = pgSchema("ledger");

/** A place where money can be. `owner` and `peer` are 0 where the kind has none. */
export const ledgerAccount = ledger.table(
  "account",
  {
    id: id("id").primaryKey().generatedAlwaysAsIdentity(),
    kind: text("kind").notNull(),
    owner: id("owner")
      .notNull()
      .default(sql`0`),
    peer: id("peer")
      .notNull()
      .default(sql`0`),
    currency: text("currency").notNull(),
    /** The lowest balance that is allowed; null: none. A trust line is a receivable with floor = -limit. */
    floor: micro("floor"),
  },
  (table) => [
    unique("account_name").on(table.kind, table.owner, table.peer, table.currency),
    check(
      "account_kind",
      sql`${table.kind} IN ('world', 'fee', 'budget', 'earnings', 'waiting', 'outbound', 'in_flight', 'payable', 'receivable', 'pending')`,
    ),
    check("account_floor", sql`(${table.floor} IS NULL) = (${table.kind} IN ('world', 'payable'))`),
    check(
      "account_owner",
      sql`(${table.owner} = 0) = (${table.kind} IN ('world', 'fee', 'outbound', 'in_flight', 'payable', 'receivable'))`,
    ),
  ],
);

/** What is on an account: written by the trigger of `entry` alone. */
export const balance = ledger.table(
  "balance",
  {
    account: id("account")
      .primaryKey()
      .references(() => ledgerAccount.id),
    amount: micro("amount").notNull(),
    floor: micro("floor"),
  },
  (table) => [
    check("balance_floor", sql`${table.floor} IS NULL OR ${table.amount} >= ${table.floor}`),
  ],
);

/** A movement of money, known by a key that its maker chose: the same key never books twice. */
export const transfer = ledger.table("transfer", {
  id: id("id").primaryKey().generatedAlwaysAsIdentity(),
  key: exactText("key").notNull().unique(),
  kind: text("kind").notNull(),
  /** When it counts, in the time of the domain. */
  at: instant("at").notNull(),
  /** The month it belongs to, where it belongs to one. */
  period: period("period"),
  /** The earlier transfer that this one posts or voids; once. */
  resolves: id("resolves").unique(),
  /** The database transaction that made it: legs can be added by that one only. */
  xact: xid8("xact")
    .notNull()
    .default(sql`pg_current_xact_id()`),
});

export const entry = ledger.table(
  "entry",
  {
    transfer: id("transfer").notNull(),
    account: id("account").notNull(),
    amount: micro("amount").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.transfer, table.account] }),
    index("entry_account").on(table.account, table.transfer),
    check("entry_amount", sql`${table.amount} <> 0`),
  ],
);

/** Which waiting credit was given back or collected, and by which transfer: each one once. */
export const resolution = ledger.table(
  "resolution",
  {
    transfer: id("transfer").notNull(),
    account: id("account").notNull(),
    resolvedBy: id("resolved_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.transfer, table.account] })],
);
