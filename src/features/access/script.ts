/** Tokens that the operator makes, for scripts: no browser, no code. */

import { sql } from "drizzle-orm";
import { OUT_OF_BAND } from "../../rules/redirect.ts";
import { parseScopes, SCOPES } from "../../rules/scope.ts";
import { type Database, retrying } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { digestOf, newSecret } from "../../store/secret.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { app } from "./schema.ts";
import { createToken } from "./token.ts";

/** The app that all of them belong to. Nobody knows its secret, so nobody signs in with it. */
const CLIENT_ID = "scripts";

/**
 * Makes a token for scripts. The secret is shown this once.
 *
 * @throws Refusal "app_invalid" when a scope is not known
 */
export async function tokenForScripts(
  { drizzle }: Pick<Database, "drizzle">,
  wanted: {
    readonly account: AccountId;
    /** Parted by blanks. Here `money:read` may be among them: who asks is the operator. */
    readonly scopes: string;
    readonly countsFlattrs: boolean;
    /** Time of the domain, and real time. */
    readonly at: Temporal.Instant;
    readonly real: Temporal.Instant;
  },
): Promise<{ readonly secret: string; readonly scopes: readonly string[] }> {
  const scopes = parseScopes(wanted.scopes);
  if (scopes === undefined)
    throw new Refusal("app_invalid", { what: "scope", rule: `the scopes are ${SCOPES.join(" ")}` });
  const { secret } = await retrying(() =>
    drizzle.transaction(async (tx) => {
      const [own] = await tx
        .insert(app)
        .values({
          id: sql`new_id(${sqlTime(wanted.real)})`,
          clientId: CLIENT_ID,
          secretDigest: digestOf(newSecret()),
          name: "Scripts",
          redirectUris: [OUT_OF_BAND],
          scopes: SCOPES,
          createdAt: wanted.real,
        })
        .onConflictDoUpdate({ target: app.clientId, set: { name: "Scripts" } })
        .returning({ id: app.id });
      return createToken(tx, {
        app: own!.id,
        account: wanted.account,
        scopes,
        countsFlattrs: wanted.countsFlattrs,
        at: wanted.at,
      });
    }),
  );
  return { secret, scopes };
}
