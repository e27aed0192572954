import { index, pgTable, primaryKey } from "drizzle-orm/pg-core";
import { id, instant } from "../../store/columns.ts";
import { account, actor } from "../account/schema.ts";

/** Who of this instance follows whom. */
export const follow = pgTable(
  "follow",
  {
    follower: id("follower")
      .notNull()
      .references(() => account.id),
    followee: id("followee")
      .notNull()
      .references(() => actor.id),
    since: instant("since").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.follower, table.followee] }),
    index("follow_followee").on(table.followee),
  ],
);
