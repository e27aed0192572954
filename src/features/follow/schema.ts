import { sql } from "drizzle-orm";
import { boolean, check, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { exactText, id, instant } from "../../store/columns.ts";
import { account, actor } from "../account/schema.ts";

/** Who follows whom; at least one of the two is of this instance. */
export const follow = pgTable(
  "follow",
  {
    follower: id("follower")
      .notNull()
      .references(() => actor.id),
    followee: id("followee")
      .notNull()
      .references(() => actor.id),
    /** The id of the Follow activity: an Accept, Reject or Undo may name it alone. */
    uri: exactText("uri"),
    /** requested: not answered yet. */
    state: text("state", { enum: ["requested", "accepted"] })
      .notNull()
      .default("accepted"),
    since: instant("since").notNull(),
    /** The follower wants to see what the other passes on. */
    showsBoosts: boolean("shows_boosts").notNull().default(true),
    /** The follower wants to be told of each post. */
    notifies: boolean("notifies").notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.follower, table.followee] }),
    index("follow_followee").on(table.followee, table.state),
    index("follow_uri").on(table.uri),
    check("follow_state", sql`${table.state} IN ('requested', 'accepted')`),
  ],
);

/** Somebody here does not want to see somebody, who never learns of it. */
export const mute = pgTable(
  "mute",
  {
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
    hidesNotifications: boolean("hides_notifications").notNull().default(true),
    until: instant("until"),
    since: instant("since").notNull(),
  },
  (table) => [primaryKey({ columns: [table.account, table.actor] })],
);

/** Somebody wants nothing to do with somebody; at least one of the two is of this instance. */
export const personBlock = pgTable(
  "person_block",
  {
    blocker: id("blocker")
      .notNull()
      .references(() => actor.id),
    blocked: id("blocked")
      .notNull()
      .references(() => actor.id),
    /** The id of the Block activity. */
    uri: exactText("uri"),
    since: instant("since").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.blocker, table.blocked] }),
    index("person_block_blocked").on(table.blocked),
    index("person_block_uri").on(table.uri),
  ],
);

/** What somebody wrote down about somebody, for himself. */
export const personNote = pgTable(
  "person_note",
  {
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
    text: text("text").notNull(),
  },
  (table) => [primaryKey({ columns: [table.account, table.actor] })],
);

/** A timeline of one's own making. */
export const list = pgTable(
  "list",
  {
    id: id("id").primaryKey(),
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    title: text("title").notNull(),
    /** Whose answers are shown: nobody's, of the list to the list, or of the list to whom its owner follows. */
    replies: text("replies", { enum: ["none", "list", "followed"] })
      .notNull()
      .default("list"),
    /** What is on it is not in the home timeline. */
    isExclusive: boolean("is_exclusive").notNull().default(false),
  },
  (table) => [
    index("list_account").on(table.account),
    check("list_replies", sql`${table.replies} IN ('none', 'list', 'followed')`),
  ],
);

/** Who is on a list: people that its owner follows. */
export const listMember = pgTable(
  "list_member",
  {
    list: id("list")
      .notNull()
      .references(() => list.id, { onDelete: "cascade" }),
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
  },
  (table) => [
    primaryKey({ columns: [table.list, table.actor] }),
    index("list_member_actor").on(table.actor),
  ],
);
