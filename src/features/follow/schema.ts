import { sql } from "drizzle-orm";
import { check, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { exactText, id, instant } from "../../store/columns.ts";
import { actor } from "../account/schema.ts";

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
  },
  (table) => [
    primaryKey({ columns: [table.follower, table.followee] }),
    index("follow_followee").on(table.followee, table.state),
    index("follow_uri").on(table.uri),
    check("follow_state", sql`${table.state} IN ('requested', 'accepted')`),
  ],
);
