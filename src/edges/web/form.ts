/** Forms: only our own pages may send them, whatever they are written as. */

import { timingSafeEqual } from "node:crypto";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import { html } from "hono/html";
import { matchedRoutes } from "hono/route";
import { digestOf } from "../../store/secret.ts";
import { type Html, page } from "./page.ts";
import {
  ensureVisitSecret,
  type PageEnv,
  readSession,
  visitSecret,
  type VisitParts,
} from "./visit.ts";
import { fill, type Language, LANGUAGES, preferredLanguage } from "./words.ts";

/** Largest form, in bytes. */
const FORM_BYTES_MAX = 64 * 1024;

/** The field, and the header for programs of our pages, in which a form shows that it is ours. */
export const FORM_TOKEN = "form_token";
const FORM_TOKEN_HEADER = "x-form-token";

/** Methods that change nothing. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** The hidden field that every form has: made of the browser's secret cookie, which no other site can read. */
export function formTokenField(c: Context<PageEnv>, origin: string): Html {
  return html`<input
    type="hidden"
    name="${FORM_TOKEN}"
    value="${tokenOf(ensureVisitSecret(c, origin))}"
  />`;
}

/**
 * Refuses everything that changes something and does not come from our own pages: each route of this app with such a
 * method, whatever its body is. Both are asked: the browser, where the request comes from, and the form, for its token.
 * Routes that are not there are left to say so.
 */
export const guardForms = (parts: VisitParts) => {
  const { origin } = parts.database.settings;
  const limit = bodyLimit({
    maxSize: FORM_BYTES_MAX,
    onError: (c) => refuse(c, origin, 413),
  });
  const read = readSession(parts);
  return createMiddleware<PageEnv>(async (c, next) => {
    if (SAFE_METHODS.has(c.req.method)) return next();
    // Middleware is there for all methods; what answers one of these is there for that one.
    if (!matchedRoutes(c).some(({ method }) => method === c.req.method)) return next();
    if (!comesFromUs(c, origin)) return refuse(c, origin, 403);
    return limit(c, async () => {
      await read(c, async () => {
        if (await hasToken(c, origin)) await next();
        else c.res = await refuse(c, origin, 403);
      });
    });
  });
};

/** The fields of a form; each once, as a form of ours has them. */
export async function fieldsOf(c: Context<PageEnv>): Promise<URLSearchParams> {
  const type = c.req.header("content-type") ?? "";
  if (!/^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i.test(type))
    return new URLSearchParams();
  try {
    const fields = new URLSearchParams();
    for (const [name, value] of await c.req.formData())
      if (typeof value === "string") fields.append(name, value);
    return fields;
  } catch {
    return new URLSearchParams();
  }
}

/**
 * Whether the browser says that a page of ours has sent this. Where a page hides its address, `Origin` is `null`; then
 * newer browsers still say that it was one of ours.
 */
function comesFromUs(c: Context<PageEnv>, origin: string): boolean {
  const from = c.req.header("origin");
  if (from !== undefined && from !== "null") return from === origin;
  return c.req.header("sec-fetch-site") === "same-origin";
}

async function hasToken(c: Context<PageEnv>, origin: string): Promise<boolean> {
  const secret = visitSecret(c, origin);
  const shown = c.req.header(FORM_TOKEN_HEADER) ?? (await fieldsOf(c)).get(FORM_TOKEN);
  if (secret === undefined || shown === null) return false;
  // Digests are equally long, and comparing them tells nothing.
  return timingSafeEqual(digestOf(tokenOf(secret)), digestOf(shown));
}

function tokenOf(secret: string): string {
  return Buffer.from(digestOf(`form ${secret}`)).toString("base64url");
}

/** The language of a page that belongs to nobody yet. */
export function languageOf(c: Context): Language {
  return preferredLanguage(c.req.header("accept-language"));
}

function refuse(c: Context, origin: string, status: 403 | 413) {
  const language = languageOf(c);
  const words = LANGUAGES[language];
  const title = words.notOurs;
  const body = html`<h1>${title}</h1>
    <p>${fill(words.notOursText, { origin })}</p>`;
  c.header("cache-control", "no-store");
  return c.html(page({ language, host: new URL(origin).host, title, body }), status);
}
