/** Pages, health, and the keys that receipts are checked with. */

import { getLogger } from "@logtape/logtape";
import { Hono } from "hono";
import { html } from "hono/html";
import { requestId } from "hono/request-id";
import type { JWK } from "jose";
import { openPasswordCheck } from "../../features/account/password.ts";
import type { SecondFactor } from "../../features/account/sign-in.ts";
import type { Database } from "../../store/database.ts";
import type { Clock } from "../../store/time.ts";
import { authorizeRoutes } from "./authorize.ts";
import { guardForms } from "./form.ts";
import { pageHeaders } from "./headers.ts";
import { fill, LANGUAGES, preferredLanguage } from "./words.ts";
import { page } from "./page.ts";
import { mediaRoutes } from "./media.ts";
import { peoplePages } from "./people.ts";
import { settingsRoutes } from "./settings.ts";
import { signInRoutes } from "./sign-in.ts";
import { STYLE } from "./style.ts";
import type { PageEnv } from "./visit.ts";

/** What the pages need. */
export interface WebParts {
  readonly database: Database;
  readonly clock: Clock;
  /** How many migrations this program knows. */
  readonly migrations: number;
  readonly isDraining: () => boolean;
  readonly publicKeys: () => Promise<{ keys: JWK[] }>;
  /** Second proofs that people may have set up. */
  readonly factors?: readonly SecondFactor[];
}

/** How long the database may take to answer before this node calls itself not ready. */
const READY_MS_MAX = 1000;

/** All addresses that answer HTTP. */
export const pageRoutes = ({
  database,
  clock,
  migrations,
  isDraining,
  publicKeys,
  factors = [],
}: WebParts) => {
  const door = { database, clock, factors, passwords: openPasswordCheck() };
  return (
    new Hono<PageEnv>()
      .use(requestId({ headerName: "" }))
      // Before the headers of pages, since pictures have others.
      .route("/", mediaRoutes(database))
      .use(pageHeaders(database.settings.origin))
      .use(guardForms({ database, clock }))
      .get("/", (c) => {
        const language = preferredLanguage(c.req.header("accept-language"));
        c.header("vary", "accept-language");
        c.header("content-language", language);
        return c.html(frontPage(database, language));
      })
      .route("/", signInRoutes(door))
      .route("/", authorizeRoutes(door))
      .route("/", settingsRoutes({ database, clock }))
      .route("/", peoplePages(database))
      .get("/style.css", (c) =>
        c.body(STYLE, 200, {
          "content-type": "text/css; charset=utf-8",
          "cache-control": "public, max-age=3600",
        }),
      )
      .get("/healthz", (c) => c.json({ status: "ok" }))
      .get("/readyz", async (c) => {
        const why = isDraining() ? "draining" : await databaseTrouble(database, migrations);
        return why === undefined
          ? c.json({ status: "ok" })
          : c.json({ error: "not_ready", error_description: why }, 503);
      })
      .get("/.well-known/jwks.json", async (c) =>
        c.json(await publicKeys(), 200, {
          "cache-control": "public, max-age=300",
          "access-control-allow-origin": "*",
        }),
      )
      .notFound((c) =>
        c.json({ error: "not_found", error_description: "There is nothing at this address." }, 404),
      )
      .onError((error, c) => {
        const id = c.get("requestId");
        getLogger(["fediflattr", "web"]).error("{method} {path} failed ({id}): {error}", {
          method: c.req.method,
          path: c.req.path,
          id,
          error,
        });
        return c.json(
          {
            error: "unavailable",
            error_description: `That did not work just now. Please try again; if it stays so, tell the operator ${id}.`,
          },
          503,
        );
      })
  );
};

function frontPage({ settings }: Database, language: keyof typeof LANGUAGES) {
  const words = LANGUAGES[language];
  const percent = (settings.feeBasisPoints / 100).toLocaleString(language, {
    maximumFractionDigits: 2,
  });
  return page({
    language,
    host: new URL(settings.origin).host,
    title: words.title,
    body: html`<h1>${words.title}</h1>
      <p class="host">${new URL(settings.origin).host}</p>
      <p class="lead">${words.lead}</p>
      <h2>${words.exampleTitle}</h2>
      <p>${words.example}</p>
      <h2>${words.creatorsTitle}</h2>
      <p>${fill(words.creators, { months: String(settings.unclaimedMonths) })}</p>
      <h2>${words.feeTitle}</h2>
      <p>${settings.feeBasisPoints === 0 ? words.feeNone : fill(words.fee, { percent })}</p>
      <h2>${words.custodyTitle}</h2>
      <p>${words.custody}</p>`,
  });
}

/** Why the database cannot be used now, or undefined when it can. */
async function databaseTrouble({ sql }: Database, migrations: number): Promise<string | undefined> {
  const late = new Promise<string>((resolve) =>
    setTimeout(resolve, READY_MS_MAX, "the database does not answer").unref(),
  );
  const asked = sql<
    [{ count: number }]
  >`SELECT count(*)::int AS count FROM drizzle.__drizzle_migrations`.then(
    ([{ count }]) => (count < migrations ? "the database is not migrated yet" : undefined),
    () => "the database cannot be reached",
  );
  return Promise.race([asked, late]);
}
