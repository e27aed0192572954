import { sql } from "drizzle-orm";
import { boolean, check, index, integer, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { bytes, exactText, id, instant, micro } from "../../store/columns.ts";

/** Everybody that can be paid or follow: people and bots of this instance and of any other, known by their URI. */
export const actor = pgTable(
  "actor",
  {
    id: id("id").primaryKey(),
    uri: exactText("uri").notNull().unique(),
    /** `URL.host`, port included. */
    host: exactText("host").notNull(),
    /** `preferredUsername`, where it is known. */
    name: text("name"),
    /** The ActivityStreams type: `Person`, `Service`, … */
    kind: text("kind").notNull().default("Person"),
    /** `name` and `summary` as its server wrote them: cleaned when they are shown, never before. */
    displayName: text("display_name"),
    summary: text("summary"),
    /** The page that people look at. */
    url: text("url"),
    icon: text("icon"),
    /** The wide picture above the profile. */
    header: text("header"),
    inbox: text("inbox"),
    sharedInbox: text("shared_inbox"),
    outbox: text("outbox"),
    followers: text("followers"),
    following: text("following"),
    /** True when it decides about each follower itself. */
    isLocked: boolean("is_locked").notNull().default(false),
    /** True when it wants its public posts to be found by their words (FEP-5feb `indexable`). */
    isIndexable: boolean("is_indexable").notNull().default(false),
    /** Profile fields and other actors that it says are its own (`alsoKnownAs`). */
    fields: jsonb("fields").$type<readonly { name: string; value: string }[]>(),
    alsoKnownAs: jsonb("also_known_as").$type<readonly string[]>(),
    /** Where it says that it has gone (`movedTo`); believed only when that actor says so, too. */
    movedTo: exactText("moved_to"),
    foundAt: instant("found_at").notNull(),
    /** When its own server was last asked; null: known by its address alone. */
    fetchedAt: instant("fetched_at"),
    /** When its deletion was verified. */
    deletedAt: instant("deleted_at"),
    /** When its newest posts were last read from its own server. */
    outboxReadAt: instant("outbox_read_at"),
  },
  (table) => [
    index("actor_handle").on(table.host, sql`lower(${table.name})`),
    index("actor_name_prefix").on(sql`lower(${table.name}) COLLATE "C"`),
    index("actor_display_name_prefix").on(sql`lower(${table.displayName}) COLLATE "C"`),
    index("actor_deleted")
      .on(table.id)
      .where(sql`${table.deletedAt} IS NOT NULL`),
  ],
);

/** A person of this instance: signs in, sets a budget, receives money. */
export const account = pgTable(
  "account",
  {
    id: id("id").primaryKey(),
    actor: id("actor")
      .notNull()
      .unique()
      .references(() => actor.id),
    name: exactText("name").notNull().unique(),
    email: exactText("email").notNull().unique(),
    passwordHash: text("password_hash"),
    role: text("role", { enum: ["user", "admin"] }).notNull(),
    /** all: every favourite is a flattr. explicit: only what is flattred on purpose (P5). */
    flattrMode: text("flattr_mode", { enum: ["all", "explicit"] })
      .notNull()
      .default("all"),
    /** Flattrs are private unless a click says otherwise (P14). */
    flattrsPrivate: boolean("flattrs_private").notNull().default(false),
    /** About oneself, as typed; the actor's `summary` and `fields` are made of it. */
    note: text("note").notNull().default(""),
    fields: jsonb("fields")
      .$type<readonly { readonly name: string; readonly value: string }[]>()
      .notNull()
      .default([]),
    /** How new posts are, unless they say otherwise. */
    postVisibility: text("post_visibility", { enum: ["public", "unlisted", "followers"] })
      .notNull()
      .default("public"),
    postsSensitive: boolean("posts_sensitive").notNull().default(false),
    postLanguage: text("post_language"),
    /** Wants to be shown in directories. */
    isDiscoverable: boolean("is_discoverable").notNull().default(true),
    /** Up to which a message to `@flattr` may raise the budget; null: up to the budget that is set. */
    budgetCeiling: micro("budget_ceiling"),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [
    check("account_name_form", sql`${table.name} ~ '^[a-z0-9_]{1,30}$'`),
    check("account_role", sql`${table.role} IN ('user', 'admin')`),
    check("account_flattr_mode", sql`${table.flattrMode} IN ('all', 'explicit')`),
    check(
      "account_post_visibility",
      sql`${table.postVisibility} IN ('public', 'unlisted', 'followers')`,
    ),
  ],
);

/** The RSA key of an actor of this instance: signs what it sends. The private half is encrypted with the master key. */
export const actorSecret = pgTable("actor_secret", {
  actor: id("actor")
    .primaryKey()
    .references(() => actor.id),
  publicPem: text("public_pem").notNull(),
  sealed: bytes("sealed").notNull(),
  createdAt: instant("created_at").notNull(),
});

/** A public key of an actor elsewhere, as found in that actor's own document. */
export const actorKey = pgTable(
  "actor_key",
  {
    /** The key's id. */
    id: exactText("id").primaryKey(),
    actor: id("actor")
      .notNull()
      .references(() => actor.id),
    publicPem: text("public_pem").notNull(),
    fetchedAt: instant("fetched_at").notNull(),
  },
  (table) => [index("actor_key_actor").on(table.actor)],
);

/** Numbers that stand beside a name, kept by triggers: counting them takes the longer, the more there is. */
export const actorCount = pgTable("actor_count", {
  actor: id("actor")
    .primaryKey()
    .references(() => actor.id),
  posts: integer("posts").notNull().default(0),
  followers: integer("followers").notNull().default(0),
  following: integer("following").notNull().default(0),
  lastPostAt: instant("last_post_at"),
});

/** Somebody signed in with a browser. Only a digest of the cookie is kept. */
export const session = pgTable(
  "session",
  {
    id: id("id").primaryKey(),
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    digest: bytes("digest").notNull().unique(),
    createdAt: instant("created_at").notNull(),
    seenAt: instant("seen_at").notNull(),
    /** When the password was last given; what is dear asks again when that was long ago. */
    provedAt: instant("proved_at").notNull(),
    /** When a second factor was last given. */
    secondFactorAt: instant("second_factor_at"),
    /** The network it was made from, cut short, and the browser's name: so that people recognise it. */
    network: text("network").notNull(),
    userAgent: text("user_agent").notNull(),
  },
  (table) => [index("session_account").on(table.account)],
);
