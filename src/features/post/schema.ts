import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  unique,
} from "drizzle-orm/pg-core";
import { bytes, exactText, id, instant, period } from "../../store/columns.ts";
import { app } from "../access/schema.ts";
import { account, actor } from "../account/schema.ts";
import { thing } from "../thing/schema.ts";

/** A file beside a post. One of another server is shown by its link, never copied. */
export interface Attachment {
  readonly url: string;
  readonly mediaType: string | null;
  readonly description: string | null;
  /** The id of the file, when it was uploaded here. */
  readonly media?: string;
  /** A smaller picture of it. */
  readonly previewUrl?: string;
  readonly width?: number;
  readonly height?: number;
  /** @see https://blurha.sh */
  readonly blurhash?: string;
  /** What must not be cut off: from -1 to 1, left to right and bottom to top. */
  readonly focus?: readonly [number, number];
}

/** The choices of a question, as its author's server counts them. */
export interface Poll {
  readonly isMultiple: boolean;
  readonly options: readonly { readonly title: string; readonly votes: number }[];
  readonly endsAt: string | null;
  readonly voters: number | null;
  /** One of this instance was counted for the last time. */
  readonly isClosed?: boolean;
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
    /**
     * As its server wrote it, when it came from elsewhere: cleaned when it is shown, never before. Beside a text only of
     * messages of `@flattr`: the same with amounts, for apps of its reader that may show them.
     */
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
    /** The program it was written with. */
    app: id("app").references(() => app.id, { onDelete: "set null" }),
    /** When its author put it on top of the profile. */
    pinnedAt: instant("pinned_at"),
    at: instant("at").notNull(),
    editedAt: instant("edited_at"),
    deletedAt: instant("deleted_at"),
    /** When the answers to it were last read from its own server. */
    repliesReadAt: instant("replies_read_at"),
  },
  (table) => [
    index("post_author").on(table.author, table.id),
    index("post_in_reply_to").on(table.inReplyTo),
    index("post_public")
      .on(table.id)
      .where(
        sql`${table.visibility} = 'public' AND ${table.deletedAt} IS NULL AND ${table.inReplyTo} IS NULL`,
      ),
    index("post_public_here")
      .on(table.id)
      .where(
        sql`${table.visibility} = 'public' AND ${table.deletedAt} IS NULL AND ${table.inReplyTo} IS NULL AND ${table.text} IS NOT NULL`,
      ),
    index("post_public_with_media")
      .on(table.id)
      .where(
        sql`${table.visibility} = 'public' AND ${table.deletedAt} IS NULL AND ${table.inReplyTo} IS NULL AND ${table.attachments} IS NOT NULL`,
      ),
    index("post_public_here_with_media")
      .on(table.id)
      .where(
        sql`${table.visibility} = 'public' AND ${table.deletedAt} IS NULL AND ${table.inReplyTo} IS NULL AND ${table.text} IS NOT NULL AND ${table.attachments} IS NOT NULL`,
      ),
    index("post_public_elsewhere")
      .on(table.id)
      .where(
        sql`${table.visibility} = 'public' AND ${table.deletedAt} IS NULL AND ${table.inReplyTo} IS NULL AND ${table.text} IS NULL`,
      ),
    index("post_public_elsewhere_with_media")
      .on(table.id)
      .where(
        sql`${table.visibility} = 'public' AND ${table.deletedAt} IS NULL AND ${table.inReplyTo} IS NULL AND ${table.text} IS NULL AND ${table.attachments} IS NOT NULL`,
      ),
    index("post_no_answer")
      .on(table.author, table.id)
      .where(sql`${table.inReplyTo} IS NULL`),
    index("post_pinned")
      .on(table.author, table.id)
      .where(sql`${table.pinnedAt} IS NOT NULL`),
    index("post_with_media")
      .on(table.author, table.id)
      .where(sql`${table.attachments} IS NOT NULL`),
    check("post_text_length", sql`length(${table.text}) <= 5000`),
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
    /** That of the post: what somebody wrote under a hashtag is found at once. */
    author: id("author").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.post, table.tag] }),
    index("post_tag_tag").on(table.tag, table.post),
    index("post_tag_author").on(table.author, table.tag, table.post),
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
  (table) => [
    unique("boost_once").on(table.actor, table.post),
    index("boost_post").on(table.post),
    index("boost_actor").on(table.actor, table.id),
  ],
);

/**
 * Somebody likes a thing: people of this instance anything, people elsewhere things of this instance. For display
 * alone: it creates no claim. Known by who and what, since some servers use one id again.
 */
export const favourite = pgTable(
  "favourite",
  {
    actor: id("actor").notNull(),
    thing: id("thing").notNull(),
    /** Ordered by time; of a flattr of this instance the flattr's own id. */
    id: id("id").notNull().unique(),
    /** The id of the Like; null when nobody is told. */
    uri: exactText("uri"),
    /** The month that it names, when it is a flattr. */
    period: period("period"),
    at: instant("at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.thing, table.actor] }),
    index("favourite_actor").on(table.actor, table.id),
  ],
);

/** A post that somebody wants to find again; nobody else knows. */
export const bookmark = pgTable(
  "bookmark",
  {
    id: id("id").notNull().unique(),
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    post: id("post")
      .notNull()
      .references(() => post.id),
  },
  (table) => [
    primaryKey({ columns: [table.account, table.post] }),
    index("bookmark_newest").on(table.account, table.id),
    index("bookmark_post").on(table.post),
  ],
);

/** What stands in somebody's home timeline: posts, and posts that were passed on. Made when they arrive. */
export const home = pgTable(
  "home",
  {
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    /** That of the post, or of the boost. */
    id: id("id").notNull(),
    post: id("post")
      .notNull()
      .references(() => post.id),
    /** Who brought it here: its author, or whoever passed it on. */
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
  },
  (table) => [
    primaryKey({ columns: [table.account, table.id] }),
    index("home_actor").on(table.account, table.actor, table.id),
    index("home_post").on(table.post, table.account),
  ],
);

/** How a post was before it was changed. */
export const postEdit = pgTable(
  "post_edit",
  {
    post: id("post")
      .notNull()
      .references(() => post.id),
    at: instant("at").notNull(),
    text: text("text"),
    html: text("html"),
    summary: text("summary"),
    isSensitive: boolean("is_sensitive").notNull(),
    attachments: jsonb("attachments").$type<readonly Attachment[]>(),
    poll: jsonb("poll").$type<Poll>(),
  },
  (table) => [primaryKey({ columns: [table.post, table.at] })],
);

/** A choice in a poll: of people here in any poll, of people elsewhere in polls of this instance. */
export const pollVote = pgTable(
  "poll_vote",
  {
    post: id("post")
      .notNull()
      .references(() => post.id),
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
    /** Its place among the choices. */
    choice: integer("choice").notNull(),
    at: instant("at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.post, table.actor, table.choice] })],
);

/** A conversation of which somebody wants to hear no more, by the address of its first post. */
export const threadMute = pgTable(
  "thread_mute",
  {
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    root: exactText("root").notNull(),
  },
  (table) => [primaryKey({ columns: [table.account, table.root] })],
);

/** Words of the posts that may be searched, so that the newest with a word are found at once. */
export const postWord = pgTable(
  "post_word",
  {
    word: exactText("word").notNull(),
    post: id("post")
      .notNull()
      .references(() => post.id, { onDelete: "cascade" }),
  },
  (table) => [
    primaryKey({ columns: [table.word, table.post] }),
    index("post_word_post").on(table.post),
  ],
);

/** A request to write that came with a key: the same one again writes nothing. */
export const written = pgTable(
  "written",
  {
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    key: exactText("key").notNull(),
    /** SHA-256 of what was asked. */
    digest: bytes("digest").notNull(),
    post: id("post")
      .notNull()
      .references(() => post.id),
    at: instant("at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.account, table.key] }),
    index("written_at").on(table.at),
  ],
);
