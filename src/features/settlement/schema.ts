import { sql } from "drizzle-orm";
import {
  bigint,
  check,
  integer,
  pgTable,
  primaryKey,
  smallint,
  text,
  unique,
} from "drizzle-orm/pg-core";
import { id, instant, micro, period as month } from "../../store/columns.ts";

/** A month of this instance: open, frozen, closed, final; in this order only. */
export const period = pgTable(
  "period",
  {
    id: month("id").primaryKey(),
    opens: instant("opens").notNull(),
    closes: instant("closes").notNull(),
    /** The fee that was published when the month opened. */
    feeBasisPoints: smallint("fee_bp").notNull(),
    state: text("state", { enum: ["open", "frozen", "closed", "final"] }).notNull(),
  },
  (table) => [
    check("period_id", sql`${table.id} % 100 BETWEEN 1 AND 12`),
    check("period_span", sql`${table.opens} < ${table.closes}`),
    check("period_fee", sql`${table.feeBasisPoints} BETWEEN 0 AND 1000`),
    check("period_state", sql`${table.state} IN ('open', 'frozen', 'closed', 'final')`),
  ],
);

/**
 * What was fixed at the freeze about those who are paid: for each split that was flattred the payees that take part,
 * and where their money goes. A payee that is not here is left out.
 */
export const periodPayee = pgTable(
  "period_payee",
  {
    period: month("period").notNull(),
    split: id("split").notNull(),
    payee: id("payee").notNull(),
    weight: bigint("weight", { mode: "number" }).notNull(),
    /** How many payees of the split take part. */
    parts: integer("parts").notNull(),
    way: text("way", { enum: ["own", "peer", "waiting"] }).notNull(),
    /** The ledger account that is credited. */
    account: id("account").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.period, table.split, table.payee] }),
    check("period_payee_way", sql`${table.way} IN ('own', 'peer', 'waiting')`),
  ],
);

/**
 * One patron's month.
 *
 * frozen: budget and available money are fixed · settled: divided, or nothing to divide · unfunded: an empty purse,
 * waits for money until the grace ends · late: funded within the grace · lapsed: not funded
 */
export const settlement = pgTable(
  "settlement",
  {
    period: month("period").notNull(),
    patron: id("patron").notNull(),
    range: integer("range").notNull(),
    budget: micro("budget").notNull(),
    available: micro("available").notNull(),
    /** The patron's ledger account. */
    account: id("account").notNull(),
    state: text("state", { enum: ["frozen", "settled", "unfunded", "late", "lapsed"] }).notNull(),
    /** The divisor: flattrs that count. */
    flattrs: integer("flattrs").notNull().default(0),
    spent: micro("spent")
      .notNull()
      .default(sql`0`),
    fee: micro("fee")
      .notNull()
      .default(sql`0`),
    transfer: id("transfer"),
  },
  (table) => [
    primaryKey({ columns: [table.period, table.patron] }),
    check(
      "settlement_state",
      sql`${table.state} IN ('frozen', 'settled', 'unfunded', 'late', 'lapsed')`,
    ),
    check("settlement_budget", sql`${table.budget} >= 0 AND ${table.available} >= 0`),
    check("settlement_spent", sql`${table.spent} BETWEEN 0 AND ${table.budget}`),
    check("settlement_fee", sql`${table.fee} BETWEEN 0 AND ${table.spent} / 10 + 1`),
    check("settlement_transfer", sql`(${table.transfer} IS NOT NULL) = (${table.spent} > 0)`),
    check(
      "settlement_unspent",
      sql`${table.spent} = 0 OR (${table.flattrs} > 0 AND ${table.state} IN ('settled', 'late'))`,
    ),
  ],
);

/** The plan of a close: patrons from `lo` to `hi`, one transaction each. */
export const settlementRange = pgTable(
  "settlement_range",
  {
    period: month("period").notNull(),
    range: integer("range").notNull(),
    lo: id("lo").notNull(),
    hi: id("hi").notNull(),
    done: integer("done").notNull().default(0),
  },
  (table) => [
    primaryKey({ columns: [table.period, table.range] }),
    check("settlement_range_span", sql`${table.lo} <= ${table.hi}`),
  ],
);

/** What one flattr gave one payee; append-only, cut into months. */
export const share = pgTable(
  "share",
  {
    period: month("period").notNull(),
    patron: id("patron").notNull(),
    flattr: id("flattr").notNull(),
    payee: id("payee").notNull(),
    amount: micro("amount").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.patron, table.flattr, table.payee, table.period] }),
    check("share_amount", sql`${table.amount} >= 0`),
  ],
);

/** Signed receipts: what a patron gave, what a creator received (T2). A later one replaces none; the newest counts. */
export const receipt = pgTable(
  "receipt",
  {
    id: id("id").primaryKey(),
    period: month("period").notNull(),
    account: id("account").notNull(),
    kind: text("kind", { enum: ["patron", "creator"] }).notNull(),
    /** The settlement's state that it tells: a late funding makes another one. */
    state: text("state").notNull(),
    jws: text("jws").notNull(),
    at: instant("at").notNull(),
  },
  (table) => [
    unique("receipt_once").on(table.account, table.period, table.kind, table.state),
    check("receipt_kind", sql`${table.kind} IN ('patron', 'creator')`),
  ],
);
