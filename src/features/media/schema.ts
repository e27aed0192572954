import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { bytes, exactText, id, instant } from "../../store/columns.ts";
import { account } from "../account/schema.ts";

/** A picture that was uploaded here, as it is served: encoded anew, with nothing of what was hidden in the file. */
export const media = pgTable(
  "media",
  {
    id: id("id").primaryKey(),
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    purpose: text("purpose", { enum: ["attachment", "avatar", "header"] }).notNull(),
    /** Stands in its address, so that nobody finds it by counting. */
    name: exactText("name").notNull().unique(),
    description: text("description"),
    focus: jsonb("focus").$type<readonly [number, number]>(),
    blurhash: text("blurhash"),
    width: integer("width").notNull(),
    height: integer("height").notNull(),
    /** Of the smaller one. */
    smallWidth: integer("small_width").notNull(),
    smallHeight: integer("small_height").notNull(),
    createdAt: instant("created_at").notNull(),
    /** The post that it belongs to; what belongs to none is forgotten after a day. */
    post: id("post"),
  },
  (table) => [
    index("media_account").on(table.account),
    index("media_unused")
      .on(table.createdAt)
      .where(sql`${table.post} IS NULL`),
    index("media_post")
      .on(table.post)
      .where(sql`${table.post} IS NOT NULL`),
    check("media_purpose", sql`${table.purpose} IN ('attachment', 'avatar', 'header')`),
  ],
);

/** The bytes. */
export const mediaFile = pgTable(
  "media_file",
  {
    media: id("media")
      .notNull()
      .references(() => media.id, { onDelete: "cascade" }),
    size: text("size", { enum: ["original", "small"] }).notNull(),
    mediaType: text("media_type").notNull(),
    content: bytes("content").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.media, table.size] }),
    check("media_file_size", sql`${table.size} IN ('original', 'small')`),
  ],
);
