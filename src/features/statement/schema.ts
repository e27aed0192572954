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
} from "drizzle-orm/pg-core";
import { exactText, id, instant } from "../../store/columns.ts";
import { peer } from "../peer/schema.ts";

/** The logs: one per peer and direction, numbered without a gap, each statement naming the digest of the one before. */
export const statement = pgTable(
  "statement",
  {
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    direction: text("direction", { enum: ["in", "out"] }).notNull(),
    seq: bigint("seq", { mode: "number" }).notNull(),
    id: exactText("id").notNull().unique(),
    /** `Transfer`, `Terms`, `Receipt`, … */
    kind: text("kind").notNull(),
    digest: exactText("digest").notNull(),
    prev: exactText("prev"),
    /** Canonical JSON with its proof: the evidence, and what is sent. */
    document: text("document").notNull(),
    at: instant("at").notNull(),
    /** The number of the Receipt that answers it, in the log of the other direction. */
    receiptSeq: bigint("receipt_seq", { mode: "number" }),
    /** Of our own that are not answered yet: when it is sent next, in real time, and how often it was. */
    dueAt: instant("due_at"),
    attempts: integer("attempts").notNull().default(0),
    lastError: exactText("last_error"),
    /** True for a Transfer of ours that came back after a restore, until what it carried is booked again. */
    isRecovered: boolean("is_recovered").notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.peer, table.direction, table.seq] }),
    index("statement_due")
      .on(table.dueAt)
      .where(sql`${table.dueAt} IS NOT NULL`),
    check("statement_direction", sql`${table.direction} IN ('in', 'out')`),
    check("statement_seq", sql`${table.seq} >= 1`),
    check("statement_prev", sql`(${table.seq} = 1) = (${table.prev} IS NULL)`),
  ],
);

/** Two signed statements of a peer that cannot both be true. Kept: any third party can check them. */
export const fork = pgTable(
  "fork",
  {
    peer: id("peer")
      .notNull()
      .references(() => peer.id),
    seq: bigint("seq", { mode: "number" }).notNull(),
    known: text("known"),
    knownDigest: exactText("known_digest"),
    other: text("other").notNull(),
    otherDigest: exactText("other_digest").notNull(),
    at: instant("at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.peer, table.seq, table.otherDigest] })],
);
