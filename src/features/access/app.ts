/** Apps that asked to be known: whoever writes a client registers it here, without asking anybody. */

import { timingSafeEqual } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import { redirectFault } from "../../rules/redirect.ts";
import { parseScopes } from "../../rules/scope.ts";
import { type Database, type Drizzle, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { digestOf, newSecret } from "../../store/secret.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { app } from "./schema.ts";

export type App = typeof app.$inferSelect;

/** What an app says about itself. */
export interface AppRequest {
  /** Cleaned of what makes one name look like another. */
  readonly name: string;
  readonly website: string | undefined;
  readonly redirectUris: readonly string[];
  /** Parted by blanks; empty: `read`. */
  readonly scopes: string;
  /** Real time. */
  readonly at: Temporal.Instant;
}

/** Redirect addresses of one app: real ones have one for each system that they run on. */
const REDIRECT_URIS_MAX = 20;

/** Characters of a name and of a website's address. */
const NAME_CHARS_MAX = 100;
const WEBSITE_CHARS_MAX = 2000;

/**
 * Registers an app. Its secret is shown this once.
 *
 * @throws Refusal "app_invalid"
 */
export async function registerApp(
  { drizzle, settings }: Database,
  { name, website, redirectUris, scopes, at }: AppRequest,
): Promise<{ readonly app: App; readonly secret: string }> {
  if (name === "" || [...name].length > NAME_CHARS_MAX)
    throw invalid("client_name", `a name has 1 to ${NAME_CHARS_MAX} characters`);
  const uris = [...new Set(redirectUris)];
  if (uris.length === 0 || uris.length > REDIRECT_URIS_MAX)
    throw invalid("redirect_uris", `there are 1 to ${REDIRECT_URIS_MAX} of them`);
  for (const uri of uris) {
    const fault = redirectFault(uri, settings.origin.startsWith("http:"));
    if (fault !== undefined) throw invalid("redirect_uris", fault);
  }
  const known = parseScopes(scopes);
  if (known === undefined) throw invalid("scopes", "one of them is not known here");
  const secret = newSecret();
  const [made] = await retrying(() =>
    drizzle
      .insert(app)
      .values({
        id: sql`new_id(${sqlTime(at)})`,
        clientId: newSecret(),
        secretDigest: digestOf(secret),
        name,
        website: websiteOf(website),
        redirectUris: uris,
        scopes: known,
        createdAt: at,
      })
      .returning(),
  );
  return { app: made!, secret };
}

/** The app of this client id; undefined when there is none. */
export async function findApp(
  { drizzle }: Pick<Database, "drizzle">,
  clientId: string,
): Promise<App | undefined> {
  if (!/^[\w-]{43}$/.test(clientId)) return undefined;
  const [found] = await drizzle.select().from(app).where(eq(app.clientId, clientId));
  return found;
}

/** An app by its id. */
export async function appOf(tx: Tx | Drizzle, id: bigint): Promise<App | undefined> {
  const [found] = await tx.select().from(app).where(eq(app.id, id));
  return found;
}

/**
 * The app that shows its secret.
 *
 * @throws Refusal "client_unknown": the same, whether the id or the secret is wrong
 */
export async function provenApp(
  database: Pick<Database, "drizzle">,
  { clientId, secret }: { readonly clientId: string; readonly secret: string },
): Promise<App> {
  const found = await findApp(database, clientId);
  if (found === undefined || !timingSafeEqual(found.secretDigest, digestOf(secret)))
    throw new Refusal("client_unknown");
  return found;
}

/** A page that a click may lead to. Phones send an empty text when they have none. */
function websiteOf(text: string | undefined): string | null {
  if (text === undefined || text.trim() === "") return null;
  const isPage =
    text.length <= WEBSITE_CHARS_MAX && /^https?:\/\/[^/]/i.test(text) && URL.canParse(text);
  if (!isPage) throw invalid("website", "it begins with https:// or http://");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") throw invalid("website", "it names no user");
  return url.href;
}

function invalid(what: string, rule: string): Refusal {
  return new Refusal("app_invalid", { what, rule });
}
