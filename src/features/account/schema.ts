import { sql } from "drizzle-orm";
import { boolean, check, index, pgTable, text } from "drizzle-orm/pg-core";
import { exactText, id, instant } from "../../store/columns.ts";

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
    foundAt: instant("found_at").notNull(),
    /** When its deletion was verified. */
    deletedAt: instant("deleted_at"),
  },
  (table) => [
    index("actor_host").on(table.host),
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
    createdAt: instant("created_at").notNull(),
  },
  (table) => [
    check("account_name_form", sql`${table.name} ~ '^[a-z0-9_]{1,30}$'`),
    check("account_role", sql`${table.role} IN ('user', 'admin')`),
    check("account_flattr_mode", sql`${table.flattrMode} IN ('all', 'explicit')`),
  ],
);
