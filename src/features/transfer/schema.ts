import { sql } from "drizzle-orm";
import {
  bigint,
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
import { exactText, id, instant, micro, period } from "../../store/columns.ts";
import { peer } from "../peer/schema.ts";

/**
 * Outgoing: what one closed month owes one creator at a peer; `correction` is what came in within the grace.
 *
 * outbound: to be sent (again) · sent: in a Transfer that is not answered · accepted · waiting: refused, the money
 * waits here
 */
export const line = pgTable(
  "line",
  {
    period: period("period").notNull(),
    part: text("part", { enum: ["settlement", "correction"] }).notNull(),
    payee: id("payee").notNull(),
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    amount: micro("amount").notNull(),
    /** Flattrs; told to the peer from three patrons on. */
    count: integer("count").notNull(),
    patrons: integer("patrons").notNull(),
    state: text("state", { enum: ["outbound", "sent", "accepted", "waiting"] }).notNull(),
    /** The Transfer that it is or was in. */
    seq: bigint("seq", { mode: "number" }),
    /** Why it was refused last. */
    reason: text("reason"),
    /** When an outbound line may go again, in real time; null: when a payment or new Terms make room. */
    dueAt: instant("due_at"),
  },
  (table) => [
    primaryKey({ columns: [table.period, table.part, table.payee] }),
    index("line_peer").on(table.peer, table.state),
    index("line_transfer").on(table.peer, table.seq),
    check("line_part", sql`${table.part} IN ('settlement', 'correction')`),
    check("line_state", sql`${table.state} IN ('outbound', 'sent', 'accepted', 'waiting')`),
    check("line_amount", sql`${table.amount} > 0`),
    check("line_sent", sql`${table.state} NOT IN ('sent', 'accepted') OR ${table.seq} IS NOT NULL`),
  ],
);

/** Incoming: a Transfer that was accepted, in part at least. Released as a whole, in order, when it is covered. */
export const transferIn = pgTable(
  "transfer_in",
  {
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    seq: bigint("seq", { mode: "number" }).notNull(),
    kind: text("kind").notNull(),
    period: period("period").notNull(),
    currency: text("currency").notNull(),
    accepted: micro("accepted").notNull(),
    /** `accepted_in` of the position with this one included: it is covered when `settled_in` reaches it. */
    upTo: micro("up_to").notNull(),
    releasedAt: instant("released_at"),
    at: instant("at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.peer, table.seq] }),
    index("transfer_in_unreleased")
      .on(table.peer, table.currency, table.seq)
      .where(sql`${table.releasedAt} IS NULL`),
    unique("transfer_in_order").on(table.peer, table.currency, table.upTo),
    check(
      "transfer_in_accepted",
      sql`${table.accepted} > 0 AND ${table.accepted} <= ${table.upTo}`,
    ),
  ],
);

/** Incoming: the accepted lines. A creator is paid once for a month by a peer, but for corrections and claims. */
export const transferLine = pgTable(
  "transfer_line",
  {
    peer: id("peer").notNull(),
    seq: bigint("seq", { mode: "number" }).notNull(),
    beneficiary: exactText("beneficiary").notNull(),
    /** The account of this instance that it belongs to. */
    account: id("account").notNull(),
    amount: micro("amount").notNull(),
    count: integer("count"),
    period: period("period").notNull(),
    currency: text("currency").notNull(),
    /** True for kind `settlement`. */
    isRegular: boolean("is_regular").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.peer, table.seq, table.beneficiary] }),
    uniqueIndex("transfer_line_once")
      .on(table.peer, table.period, table.beneficiary, table.currency)
      .where(sql`${table.isRegular}`),
    index("transfer_line_account").on(table.account, table.period),
    check("transfer_line_amount", sql`${table.amount} > 0`),
  ],
);

/** Real money between two operators, booked by hand: what this one paid a peer, and what it received from it. */
export const peerPayment = pgTable(
  "peer_payment",
  {
    id: id("id").primaryKey(),
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    direction: text("direction", { enum: ["paid", "received"] }).notNull(),
    currency: text("currency").notNull(),
    amount: micro("amount").notNull(),
    reference: exactText("reference").notNull(),
    at: instant("at").notNull(),
    /** The ledger's transfer. */
    transfer: id("transfer").notNull().unique(),
  },
  (table) => [
    unique("peer_payment_once").on(table.peer, table.direction, table.currency, table.reference),
    check("peer_payment_direction", sql`${table.direction} IN ('paid', 'received')`),
    check("peer_payment_amount", sql`${table.amount} > 0`),
  ],
);

/** What a peer confirmed to have received: one per reference. Each adds to `settled_out` once. */
export const peerConfirmation = pgTable(
  "peer_confirmation",
  {
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    currency: text("currency").notNull(),
    reference: exactText("reference").notNull(),
    amount: micro("amount").notNull(),
    /** The peer's statement that says so. */
    seq: bigint("seq", { mode: "number" }).notNull(),
    at: instant("at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.peer, table.currency, table.reference] })],
);
