import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  index,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import { exactText, id, instant, micro } from "../../store/columns.ts";

/** Another instance with which this one keeps a line of signed statements. */
export const peer = pgTable(
  "peer",
  {
    id: id("id").primaryKey(),
    /** Its instance actor. */
    actor: exactText("actor").notNull().unique(),
    /** `URL.host` of that actor, port included. */
    host: exactText("host").notNull().unique(),
    /** Where it takes statements. */
    ledger: exactText("ledger").notNull(),
    /** frozen: by the operator · forked: it told two stories; only people can mend that */
    state: text("state", { enum: ["open", "frozen", "forked"] }).notNull(),
    /** When something signed by it was last taken in or compared. */
    heardAt: instant("heard_at"),
    /** True while something was booked, or a limit changed, that the peer was not told yet. */
    isUntold: boolean("is_untold").notNull().default(false),
    since: instant("since").notNull(),
  },
  (table) => [check("peer_state", sql`${table.state} IN ('open', 'frozen', 'forked')`)],
);

/** What the operator should look at, in sentences. Each stays until he has seen it; what passes by itself is taken away. */
export const peerAlarm = pgTable(
  "peer_alarm",
  {
    id: id("id").primaryKey(),
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    alarm: exactText("alarm").notNull(),
    /** True for trouble that ends by itself, such as a peer that does not answer. */
    isPassing: boolean("is_passing").notNull(),
    at: instant("at").notNull(),
    /** When the operator had seen it. */
    clearedAt: instant("cleared_at"),
  },
  (table) => [
    // The same sentence once, as long as nobody has seen it.
    uniqueIndex("peer_alarm_open")
      .on(table.peer, table.alarm)
      .where(sql`${table.clearedAt} IS NULL`),
  ],
);

/** The statement keys of a peer that are believed: found at the first contact, or announced by one of these. */
export const peerKey = pgTable(
  "peer_key",
  {
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    id: exactText("id").notNull(),
    publicKeyMultibase: text("public_key_multibase").notNull(),
    since: instant("since").notNull(),
    /** The last number of a statement that it may sign; null: no limit. */
    retireAtSeq: bigint("retire_at_seq", { mode: "number" }),
  },
  (table) => [primaryKey({ columns: [table.peer, table.id] })],
);

/** How much a peer may owe in a currency, and what it said about what we may. */
export const trustLine = pgTable(
  "trust_line",
  {
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    currency: text("currency").notNull(),
    /** The most that this instance lets the peer owe: what it accepted but was not paid. */
    limit: micro("limit").notNull(),
    /** The most that the peer lets this instance owe, as its Terms say; null: it has not said. */
    theirLimit: micro("their_limit"),
    /** From which debt on, and within how many days, the peer wants to be paid. */
    settleAbove: micro("settle_above"),
    settleWithinDays: bigint("settle_within_days", { mode: "number" }),
  },
  (table) => [
    primaryKey({ columns: [table.peer, table.currency] }),
    check("trust_line_limit", sql`${table.limit} >= 0`),
  ],
);

/** The whole position towards a peer in a currency: four counters that only grow. */
export const position = pgTable(
  "position",
  {
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    currency: text("currency").notNull(),
    acceptedIn: micro("accepted_in")
      .notNull()
      .default(sql`0`),
    settledIn: micro("settled_in")
      .notNull()
      .default(sql`0`),
    acceptedOut: micro("accepted_out")
      .notNull()
      .default(sql`0`),
    settledOut: micro("settled_out")
      .notNull()
      .default(sql`0`),
  },
  (table) => [primaryKey({ columns: [table.peer, table.currency] })],
);

/** What is known about how money reaches creators of a host: asked again after a day. */
export const hostWay = pgTable(
  "host_way",
  {
    /** `URL.host`, port included. */
    host: exactText("host").primaryKey(),
    /** The peer that keeps the accounts of its people; null: none, their money waits. */
    peer: id("peer").references(() => peer.id),
    /** When it was last answered, in the time of the domain; null: never. */
    answeredAt: instant("answered_at"),
    askedAt: instant("asked_at"),
  },
  (table) => [index("host_way_peer").on(table.peer)],
);
