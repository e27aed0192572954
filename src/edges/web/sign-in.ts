/** The one way to sign in: its fields, what becomes of them, and the page that has nothing else. */

import type { Context } from "hono";
import { Hono } from "hono";
import { html } from "hono/html";
import { endSession } from "../../features/account/session.ts";
import { signIn, type SignInParts } from "../../features/account/sign-in.ts";
import type { Account } from "../../features/account/create.ts";
import { ownPath } from "../../rules/redirect.ts";
import { fieldsOf, formTokenField, languageOf } from "./form.ts";
import { type Html, page } from "./page.ts";
import {
  dropSession,
  keepSession,
  type PageEnv,
  readSession,
  requireSession,
  type VisitParts,
} from "./visit.ts";
import { fill, LANGUAGES, type Words } from "./words.ts";

/** What signing in needs. */
export type DoorParts = VisitParts & SignInParts;

/** Why nobody signed in, for the page to say. */
export interface Declined {
  readonly status: 401 | 403 | 429;
  readonly sentence: string;
  /** Seconds until another try makes sense. */
  readonly waitSeconds?: number;
}

/** The fields of name and password, and what was wrong with the ones before: a long page is shown from there. */
export function signInFields(words: Words, typed = "", declined?: Declined): Html {
  return html`${declined === undefined ? "" : html`<p class="alert" role="alert">${declined.sentence}</p>`}
    <p>
      <label for="name">${words.nameOrEmail}</label>
      <input
        id="name"
        name="name"
        value="${typed}"
        required
        maxlength="254"
        autocomplete="username"
        autocapitalize="none"
        spellcheck="false"
      />
    </p>
    <p>
      <label for="password">${words.password}</label>
      <input
        id="password"
        name="password"
        type="password"
        required
        maxlength="256"
        autocomplete="current-password"
        ${declined === undefined ? "" : "autofocus"}
      />
    </p>`;
}

/** Signs in whoever has sent these fields; the browser gets the cookie of a new session. */
export async function takeSignIn(
  c: Context<PageEnv>,
  parts: DoorParts,
  fields: URLSearchParams,
  words: Words,
): Promise<Account | Declined> {
  const result = await signIn(parts, {
    name: fields.get("name") ?? "",
    password: fields.get("password") ?? "",
    browser: {
      remoteAddress: c.env?.remoteAddress ?? "",
      userAgent: c.req.header("user-agent") ?? "",
    },
    before: c.get("session")?.id,
    at: parts.clock.real(),
  });
  switch (result.kind) {
    case "signed_in":
      keepSession(c, parts.database.settings.origin, result.secret);
      return result.account;
    case "second_factor":
      // Until a page asks for it, whoever has set one up cannot sign in: better than signing in without it.
      return {
        status: 403,
        sentence: fill(words.secondFactor, { factors: result.factors.join(", ") }),
      };
    case "wrong":
      return { status: 401, sentence: words.wrongPassword };
    case "wait":
      break;
  }
  return {
    status: 429,
    sentence: fill(words.waitToSignIn, { wait: duration(result.seconds, words) }),
    waitSeconds: result.seconds,
  };
}

/** Sends a page that says why nobody signed in. */
export function declineHeaders(c: Context, { waitSeconds }: Declined): void {
  if (waitSeconds !== undefined) c.header("retry-after", String(waitSeconds));
}

/** `/sign-in` and `/sign-out`. */
export function signInRoutes(parts: DoorParts): Hono<PageEnv> {
  const { origin } = parts.database.settings;

  const answer = (c: Context<PageEnv>, next: string, typed = "", declined?: Declined) => {
    const language = languageOf(c);
    const words = LANGUAGES[language];
    const session = c.get("session");
    const isAgain = c.req.query("again") === "1" && session !== undefined;
    const body = html`<h1>${words.signIn}</h1>
      <p class="host">${new URL(origin).host}</p>
      ${isAgain ? html`<p class="alert" role="alert">${words.proveAgain}</p>` : ""}
      ${
        session === undefined || isAgain
          ? ""
          : html`<p>${fill(words.signedInAs, { name: session.account.name })}</p>
              <form method="post" action="/sign-out">
                ${formTokenField(c, origin)}
                <button type="submit" class="quiet">${words.signOut}</button>
              </form>
              <h2>${words.asSomebodyElse}</h2>`
      }
      <form method="post" action="/sign-in">
        ${formTokenField(c, origin)}
        <input type="hidden" name="next" value="${next}" />
        ${signInFields(words, isAgain ? session.account.name : typed, declined)}
        <button type="submit">${words.signIn}</button>
      </form>`;
    c.header("content-language", language);
    c.header("vary", "Accept-Language, Cookie");
    if (declined !== undefined) declineHeaders(c, declined);
    return c.html(
      page({ language, host: new URL(origin).host, title: words.signIn, body }),
      declined?.status ?? 200,
    );
  };

  const read = readSession(parts);
  return new Hono<PageEnv>()
    .get("/sign-in", read, (c) => answer(c, ownPath(c.req.query("next") ?? "/", origin) ?? "/"))
    .post("/sign-in", async (c) => {
      const fields = await fieldsOf(c);
      const next = ownPath(fields.get("next") ?? "/", origin) ?? "/";
      const result = await takeSignIn(c, parts, fields, LANGUAGES[languageOf(c)]);
      if ("sentence" in result) return answer(c, next, fields.get("name") ?? "", result);
      return c.redirect(next, 303);
    })
    .post("/sign-out", requireSession, async (c) => {
      await endSession(parts.database.drizzle, c.get("session")!.id);
      dropSession(c, origin);
      return c.redirect("/sign-in", 303);
    });
}

/** A wait as people say it: in minutes when it is longer than one. */
function duration(seconds: number, words: Words): string {
  if (seconds <= 60) return fill(words.seconds, { count: String(seconds) });
  const minutes = Math.ceil(seconds / 60);
  if (minutes <= 90) return fill(words.minutes, { count: String(minutes) });
  return fill(words.hours, { count: String(Math.ceil(minutes / 60)) });
}
