/** The client API of one database, asked as clients ask it: without sockets, with tokens. */

import { sql } from "drizzle-orm";
import { clientApp } from "../../src/edges/mastodon/app.ts";
import { limitsFor } from "../../src/edges/mastodon/limits.ts";
import type { ClientParts } from "../../src/edges/mastodon/frame.ts";
import { app as appTable } from "../../src/features/access/schema.ts";
import { createToken } from "../../src/features/access/token.ts";
import type { Account } from "../../src/features/account/create.ts";
import type { Resolver } from "../../src/features/thing/find.ts";
import { findThing } from "../../src/features/thing/find.ts";
import type { Database } from "../../src/store/database.ts";
import { openRates } from "../../src/store/rates.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { sqlTime, Temporal } from "../../src/store/time.ts";
import { onTestFinished } from "vitest";

/** An answer, read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // What tests look into has many forms.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

/** Asks one address. Objects are sent as JSON. */
export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer>;

/** The client API under test. */
export interface ClientHouse {
  readonly parts: ClientParts;
  readonly app: ReturnType<typeof clientApp>;
  /** As nobody. */
  readonly ask: Ask;
  /** As somebody, with a token of these scopes. */
  readonly as: (
    account: Account,
    scopes?: string,
    options?: { countsFlattrs?: boolean },
  ) => Promise<Ask>;
  /** The time of the house. */
  readonly setTime: (text: string) => void;
}

/** Opens the client API on a database. Nobody elsewhere is asked for anything. */
export function clientHouse(database: Database, time = "2026-11-10T12:00:00Z"): ClientHouse {
  let now = Temporal.Instant.from(time);
  const clock = { now: () => now, real: () => Temporal.Now.instant() };
  const rates = openRates(database, clock);
  onTestFinished(() => rates.close());
  const parts: ClientParts = {
    database,
    clock,
    version: "0.0.0",
    rates,
    limits: limitsFor(100_000),
    isAllowedPrivate: () => false,
    resolver: knownOnly(database, () => now),
    nudge: () => {},
    vapidKey: async () => "key",
  };
  const app = clientApp(parts);
  const asker =
    (token: string | undefined): Ask =>
    async (method, path, body, headers = {}) => {
      const answer = await app.request(
        path,
        {
          method,
          headers: {
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(body === undefined || body instanceof FormData
              ? {}
              : { "content-type": "application/json" }),
            ...headers,
          },
          ...(body === undefined
            ? {}
            : {
                body:
                  body instanceof FormData || typeof body === "string"
                    ? body
                    : JSON.stringify(body),
              }),
        },
        { remoteAddress: "192.0.2.1" },
      );
      const text = await answer.text();
      const isJson = answer.headers.get("content-type")?.includes("json") ?? false;
      return {
        status: answer.status,
        headers: answer.headers,
        body: isJson && text !== "" ? (JSON.parse(text) as unknown) : text,
      };
    };
  return {
    parts,
    app,
    ask: asker(undefined),
    setTime: (text) => {
      now = Temporal.Instant.from(text);
    },
    as: async (account, scopes = "read write follow push", { countsFlattrs = true } = {}) =>
      asker(await tokenFor(database, account, scopes, { countsFlattrs, at: now })),
  };
}

/** A token for somebody, of an app of its own. */
export async function tokenFor(
  database: Database,
  account: Account,
  scopes: string,
  { countsFlattrs = true, at = Temporal.Instant.from("2026-11-01T00:00:00Z") } = {},
): Promise<string> {
  const list = scopes.split(" ").filter(Boolean);
  const [made] = await database.drizzle
    .insert(appTable)
    .values({
      id: sql`new_id(${sqlTime(at)})`,
      clientId: crypto.randomUUID(),
      secretDigest: new Uint8Array(32),
      name: "Test client",
      website: "https://client.example",
      redirectUris: ["urn:ietf:wg:oauth:2.0:oob"],
      scopes: list,
      createdAt: at,
    })
    .returning();
  const { secret } = await createToken(database.drizzle, {
    app: made!.id,
    account: account.id,
    scopes: list,
    countsFlattrs,
    at,
  });
  return secret;
}

/** What this database knows, and nothing else. */
function knownOnly(database: Database, now: () => Temporal.Instant): Resolver {
  const nobody = async () => {
    throw new Refusal("payee_unknown", { payee: "nobody" });
  };
  return { thing: (text) => findThing(database, text, now()), actor: nobody, post: nobody };
}
