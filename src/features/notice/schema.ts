import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
} from "drizzle-orm/pg-core";
import { bytes, exactText, id, instant } from "../../store/columns.ts";
import { token } from "../access/schema.ts";
import { account, actor } from "../account/schema.ts";

/** What clients know. @see https://docs.joinmastodon.org/entities/Notification/#type */
export const NOTIFICATION_KINDS = [
  "mention",
  "favourite",
  "reblog",
  "follow",
  "follow_request",
  "poll",
  "status",
  "update",
] as const;

/** Something that somebody here is told. */
export const notification = pgTable(
  "notification",
  {
    id: id("id").primaryKey(),
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    kind: text("kind", { enum: NOTIFICATION_KINDS }).notNull(),
    /** Who caused it. */
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
    /** The post it is about. */
    post: id("post"),
    at: instant("at").notNull(),
  },
  (table) => [
    index("notification_newest").on(table.account, table.id),
    unique("notification_once")
      .on(table.account, table.kind, table.actor, table.post)
      .nullsNotDistinct(),
    index("notification_post")
      .on(table.post)
      .where(sql`${table.post} IS NOT NULL`),
    check(
      "notification_kind",
      sql`${table.kind} IN ('mention', 'favourite', 'reblog', 'follow', 'follow_request', 'poll', 'status', 'update')`,
    ),
  ],
);

/** Where somebody stopped reading. */
export const marker = pgTable(
  "marker",
  {
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    timeline: text("timeline", { enum: ["home", "notifications"] }).notNull(),
    lastRead: id("last_read").notNull(),
    version: integer("version").notNull(),
    at: instant("at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.account, table.timeline] }),
    check("marker_timeline", sql`${table.timeline} IN ('home', 'notifications')`),
  ],
);

/** Where an app wants to be woken. @see https://www.rfc-editor.org/rfc/rfc8030 */
export const pushSubscription = pgTable("push_subscription", {
  token: id("token")
    .primaryKey()
    .references(() => token.id, { onDelete: "cascade" }),
  id: id("id").notNull().unique(),
  endpoint: exactText("endpoint").notNull(),
  /** The app's public key and secret, base64url. @see https://www.rfc-editor.org/rfc/rfc8291 */
  p256dh: text("p256dh").notNull(),
  auth: text("auth").notNull(),
  /** Kinds of notifications that it wants. */
  alerts: jsonb("alerts").$type<readonly string[]>().notNull(),
  policy: text("policy", { enum: ["all", "followed", "follower", "none"] }).notNull(),
  /** True: the form of RFC 8291; false: its last draft, which older apps want. */
  isStandard: boolean("is_standard").notNull().default(false),
});

/** What the operator says to everybody. */
export const announcement = pgTable(
  "announcement",
  {
    id: id("id").primaryKey(),
    /** As typed. */
    text: text("text").notNull(),
    at: instant("at").notNull(),
    until: instant("until"),
  },
  (table) => [index("announcement_until").on(table.until)],
);

/** Who has put an announcement away. */
export const announcementRead = pgTable(
  "announcement_read",
  {
    announcement: id("announcement")
      .notNull()
      .references(() => announcement.id, { onDelete: "cascade" }),
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
  },
  (table) => [primaryKey({ columns: [table.announcement, table.account] })],
);

const transactionId = customType<{ data: string; driverData: string }>({ dataType: () => "xid8" });

/**
 * What open streams are told: written with what it tells, read by every node that has streams open, forgotten after
 * minutes. `tx` is the transaction that wrote it: whoever reads from the oldest one that still ran misses nothing.
 */
export const streamEvent = pgTable(
  "stream_event",
  {
    id: bigint("id", { mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity(),
    kind: text("kind", {
      enum: [
        "post",
        "edit",
        "delete",
        "boost",
        "notification",
        "filters",
        "announcement",
        "announcement_gone",
        "token_gone",
      ],
    }).notNull(),
    /** Whom it concerns alone. */
    account: id("account"),
    /** The post, boost, notification, announcement or token. */
    subject: id("subject"),
    tx: transactionId("tx")
      .notNull()
      .default(sql`pg_current_xact_id()`),
    at: instant("at").notNull(),
  },
  (table) => [index("stream_event_tx").on(table.tx), index("stream_event_at").on(table.at)],
);

/** The key by which push services know this instance; the private half encrypted with the master key. */
export const pushKey = pgTable("push_key", {
  /** P-256, base64url. @see https://www.rfc-editor.org/rfc/rfc8292 */
  publicKey: exactText("public_key").primaryKey(),
  sealed: bytes("sealed").notNull(),
  createdAt: instant("created_at").notNull(),
});
