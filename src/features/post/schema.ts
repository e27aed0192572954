import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  index,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
} from "drizzle-orm/pg-core";
import { exactText, id, instant, period } from "../../store/columns.ts";
import { actor } from "../account/schema.ts";
import { thing } from "../thing/schema.ts";

/** A file beside a post: shown by its link, never copied. */
export interface Attachment {
  readonly url: string;
  readonly mediaType: string | null;
  readonly description: string | null;
}

/** The choices of a question, as its author's server counts them. */
export interface Poll {
  readonly isMultiple: boolean;
  readonly options: readonly { readonly title: string; readonly votes: number }[];
  readonly endsAt: string | null;
  readonly voters: number | null;
}

/** What somebody wrote, here or elsewhere. Its address is that of its thing. */
export const post = pgTable(
  "post",
  {
    id: id("id").primaryKey(),
    author: id("author")
      .notNull()
      .references(() => actor.id),
    thing: id("thing")
      .notNull()
      .unique()
      .references(() => thing.id),
    /** As typed, when it was written here. */
    text: text("text"),
    /** As its server wrote it, when it came from elsewhere: cleaned when it is shown, never before. */
    html: text("html"),
    /** A warning above it, plain text. */
    summary: text("summary"),
    isSensitive: boolean("is_sensitive").notNull().default(false),
    language: text("language"),
    visibility: text("visibility", { enum: ["public", "unlisted", "followers", "direct"] })
      .notNull()
      .default("public"),
    /** What it answers, by its address; the post may be unknown here. */
    inReplyTo: exactText("in_reply_to"),
    /** The page that people look at. */
    url: text("url"),
    attachments: jsonb("attachments").$type<readonly Attachment[]>(),
    poll: jsonb("poll").$type<Poll>(),
    at: instant("at").notNull(),
    editedAt: instant("edited_at"),
    deletedAt: instant("deleted_at"),
  },
  (table) => [
    index("post_author").on(table.author, table.id),
    index("post_in_reply_to").on(table.inReplyTo),
    check("post_text_length", sql`length(${table.text}) BETWEEN 1 AND 5000`),
    check("post_written", sql`${table.text} IS NOT NULL OR ${table.html} IS NOT NULL`),
    check(
      "post_visibility",
      sql`${table.visibility} IN ('public', 'unlisted', 'followers', 'direct')`,
    ),
  ],
);

/** Who is spoken to in a post. */
export const postMention = pgTable(
  "post_mention",
  {
    post: id("post")
      .notNull()
      .references(() => post.id, { onDelete: "cascade" }),
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
  },
  (table) => [
    primaryKey({ columns: [table.post, table.actor] }),
    index("post_mention_actor").on(table.actor, table.post),
  ],
);

/** Hashtags of a post, in lower case and without the #. */
export const postTag = pgTable(
  "post_tag",
  {
    post: id("post")
      .notNull()
      .references(() => post.id, { onDelete: "cascade" }),
    tag: exactText("tag").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.post, table.tag] }),
    index("post_tag_tag").on(table.tag, table.post),
  ],
);

/** Somebody passed a post on (`Announce`). */
export const boost = pgTable(
  "boost",
  {
    id: id("id").primaryKey(),
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
    post: id("post")
      .notNull()
      .references(() => post.id),
    uri: exactText("uri").notNull().unique(),
    at: instant("at").notNull(),
  },
  (table) => [unique("boost_once").on(table.actor, table.post), index("boost_post").on(table.post)],
);

/**
 * Somebody elsewhere likes a thing of this instance. For display alone: it creates no claim. Known by who and what,
 * since some servers use one id again.
 */
export const favourite = pgTable(
  "favourite",
  {
    actor: id("actor").notNull(),
    thing: id("thing").notNull(),
    uri: exactText("uri").notNull(),
    /** The month that it names, when it is a flattr. */
    period: period("period"),
    at: instant("at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.thing, table.actor] }),
    index("favourite_uri").on(table.uri),
  ],
);
