import { sql } from "drizzle-orm";
import { check, index, integer, pgTable, text } from "drizzle-orm/pg-core";
import { exactText, id, instant, period } from "../../store/columns.ts";
import { actor } from "../account/schema.ts";

/** Activities that were taken in: each id once, forever. An id has the origin of its actor, so nobody takes another's. */
export const activity = pgTable("activity", {
  id: exactText("id").primaryKey(),
  actor: id("actor").notNull(),
  kind: text("kind").notNull(),
  at: instant("at").notNull(),
});

/** What somebody of this instance says to others: the document as it is sent, the same at every try. */
export const message = pgTable("message", {
  id: id("id").primaryKey(),
  sender: id("sender")
    .notNull()
    .references(() => actor.id),
  /** JSON. */
  document: text("document").notNull(),
  at: instant("at").notNull(),
});

/**
 * What must leave the house, one row for each activity and inbox: written in the transaction of what it tells, taken
 * by a worker, gone when it has arrived.
 *
 * Either `message` says what is sent; or it is the Like or Undo of a flattr, written at the click with nothing but ids.
 * It goes to `inbox`; without one to that of `payee`, as soon as that is known.
 */
export const delivery = pgTable(
  "delivery",
  {
    id: id("id").primaryKey(),
    activity: text("activity").notNull(),
    message: id("message").references(() => message.id),
    inbox: exactText("inbox"),
    /** The flattr or favourite that the Like announces; for an Undo the one that is gone. */
    flattr: id("flattr"),
    patron: id("patron"),
    thing: id("thing"),
    /** Null: a favourite that is no flattr. */
    period: period("period"),
    /** The actor that is told, where it is one. */
    payee: id("payee"),
    /** When the Like was made, for its `published`. */
    at: instant("at").notNull(),
    /** What it is about, such as a post, a pair of actors, a patron and a thing: about one subject, the earlier goes first. */
    subject: id("subject"),
    attempts: integer("attempts").notNull().default(0),
    /** In real time, whatever the domain's clock says. */
    dueAt: instant("due_at")
      .notNull()
      .default(sql`'-infinity'`),
    lastError: exactText("last_error"),
  },
  (table) => [
    index("delivery_due").on(table.dueAt),
    index("delivery_message")
      .on(table.message)
      .where(sql`${table.message} IS NOT NULL`),
    index("delivery_subject").on(table.subject, table.inbox, table.id),
    check(
      "delivery_what",
      sql`(${table.message} IS NOT NULL AND (${table.inbox} IS NOT NULL OR ${table.payee} IS NOT NULL)) OR (${table.activity} IN ('Like', 'Undo') AND ${table.flattr} IS NOT NULL AND ${table.patron} IS NOT NULL AND ${table.thing} IS NOT NULL AND ${table.payee} IS NOT NULL)`,
    ),
  ],
);

/** How it goes with another host: one that does not answer is asked less and less often, as long as anything is due. */
export const hostHealth = pgTable("host_health", {
  /** `URL.host`, port included. */
  host: exactText("host").primaryKey(),
  failures: integer("failures").notNull().default(0),
  /** In real time: nothing is sent before. */
  nextTryAt: instant("next_try_at"),
  lastError: exactText("last_error"),
  lastSuccessAt: instant("last_success_at"),
  /** True when it was seen to take RFC 9421 signatures. */
  takesRfc9421: integer("takes_rfc9421").notNull().default(0),
});
