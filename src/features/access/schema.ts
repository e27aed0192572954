import { boolean, index, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { bytes, exactText, id, instant } from "../../store/columns.ts";
import { account } from "../account/schema.ts";

/** A program that asked to be known (OAuth client). */
export const app = pgTable("app", {
  id: id("id").primaryKey(),
  clientId: exactText("client_id").notNull().unique(),
  /** SHA-256 of its secret. */
  secretDigest: bytes("secret_digest").notNull(),
  name: text("name").notNull(),
  website: text("website"),
  redirectUris: jsonb("redirect_uris").$type<readonly string[]>().notNull(),
  scopes: jsonb("scopes").$type<readonly string[]>().notNull(),
  createdAt: instant("created_at").notNull(),
});

/** What an app may do; with an account for that person, without one for itself alone. */
export const token = pgTable(
  "token",
  {
    id: id("id").primaryKey(),
    /** SHA-256 of the token. */
    digest: bytes("digest").notNull().unique(),
    app: id("app")
      .notNull()
      .references(() => app.id, { onDelete: "cascade" }),
    account: id("account").references(() => account.id, { onDelete: "cascade" }),
    scopes: jsonb("scopes").$type<readonly string[]>().notNull(),
    /** False: favourites from this app are not flattrs. */
    countsFlattrs: boolean("counts_flattrs").notNull().default(true),
    createdAt: instant("created_at").notNull(),
    usedAt: instant("used_at"),
  },
  (table) => [index("token_account").on(table.account), index("token_app").on(table.app)],
);

/** An authorization code: changed into a token once, within minutes. */
export const grant = pgTable(
  "access_grant",
  {
    /** SHA-256 of the code. */
    digest: bytes("digest").primaryKey(),
    app: id("app")
      .notNull()
      .references(() => app.id, { onDelete: "cascade" }),
    account: id("account")
      .notNull()
      .references(() => account.id, { onDelete: "cascade" }),
    redirectUri: exactText("redirect_uri").notNull(),
    scopes: jsonb("scopes").$type<readonly string[]>().notNull(),
    countsFlattrs: boolean("counts_flattrs").notNull(),
    /** PKCE, S256; null: the app gave none. */
    challenge: exactText("challenge"),
    createdAt: instant("created_at").notNull(),
    /** When it was changed into a token, and into which: a second use ends that token. */
    usedAt: instant("used_at"),
    token: id("token").references(() => token.id, { onDelete: "set null" }),
  },
  (table) => [index("access_grant_created").on(table.createdAt)],
);
