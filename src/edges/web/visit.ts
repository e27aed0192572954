/** What is known while a page is made: who visits it, and with which browser. */

import { getCookie, setCookie } from "hono/cookie";
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { findSession, type Session, LIFE_DAYS_MAX } from "../../features/account/session.ts";
import type { Database } from "../../store/database.ts";
import { newSecret } from "../../store/secret.ts";
import type { Clock } from "../../store/time.ts";

/** What the routes of pages find in their context. */
export interface PageEnv {
  readonly Variables: {
    requestId: string;
    /** Undefined: nobody has signed in with this browser, or the page does not ask. */
    session?: Session | undefined;
    /** The origin or scheme of the app that a form of this page may lead to; empty: none yet. */
    openToApp?: string;
  };
  readonly Bindings: {
    /** Who really asks, as far as that can be known. */
    readonly remoteAddress?: string;
  };
}

/** What pages with people behind them need. */
export interface VisitParts {
  readonly database: Database;
  readonly clock: Clock;
}

/** A secret of ours in a cookie. */
const SECRET = /^[\w-]{43}$/;

const DAY_SECONDS = 86_400;

/**
 * Names and flags of our cookies. The prefix makes the browser itself refuse one that another host has set, or that
 * came without encryption.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6265bis#section-4.1.3.2
 */
function cookies(origin: string) {
  const isSecure = origin.startsWith("https:");
  const prefix = isSecure ? "__Host-" : "";
  return {
    session: `${prefix}fediflattr`,
    visit: `${prefix}fediflattr-visit`,
    flags: { path: "/", httpOnly: true, secure: isSecure, sameSite: "Lax" } as const,
  };
}

/** Reads who has signed in. Pages that ask are nobody's but his: no cache keeps them. */
export const readSession = ({ database, clock }: VisitParts) =>
  createMiddleware<PageEnv>(async (c, next) => {
    const secret = sessionCookie(c, database.settings.origin);
    if (secret !== undefined) c.set("session", await findSession(database, secret, clock.real()));
    await next();
    c.header("cache-control", "no-store");
  });

/** Lets those pass who have signed in; others are shown where. Behind `readSession`. */
export const requireSession = createMiddleware<PageEnv>(async (c, next) => {
  if (c.get("session") !== undefined) return next();
  const { pathname, search } = new URL(c.req.url);
  const isRead = c.req.method === "GET" || c.req.method === "HEAD";
  return isRead
    ? c.redirect(`/sign-in?next=${encodeURIComponent(pathname + search)}`, 303)
    : c.redirect("/sign-in", 303);
});

/** Gives the browser the cookie of its new session; the one from before signing in has done its work. */
export function keepSession(c: Context<PageEnv>, origin: string, secret: string): void {
  const { session, visit, flags } = cookies(origin);
  setCookie(c, session, secret, { ...flags, maxAge: LIFE_DAYS_MAX * DAY_SECONDS });
  setCookie(c, visit, "", { ...flags, maxAge: 0 });
}

/** Takes the session's cookie away. */
export function dropSession(c: Context<PageEnv>, origin: string): void {
  const { session, flags } = cookies(origin);
  setCookie(c, session, "", { ...flags, maxAge: 0 });
}

/** The secret that this browser's forms are bound to: that of its session, before that one of its own. */
export function visitSecret(c: Context<PageEnv>, origin: string): string | undefined {
  if (c.get("session") !== undefined) return sessionCookie(c, origin);
  const secret = getCookie(c, cookies(origin).visit);
  return secret !== undefined && SECRET.test(secret) ? secret : undefined;
}

/** The same, made when the browser has none. */
export function ensureVisitSecret(c: Context<PageEnv>, origin: string): string {
  const known = visitSecret(c, origin);
  if (known !== undefined) return known;
  const { visit, flags } = cookies(origin);
  const made = newSecret();
  setCookie(c, visit, made, flags);
  return made;
}

function sessionCookie(c: Context<PageEnv>, origin: string): string | undefined {
  const secret = getCookie(c, cookies(origin).session);
  return secret !== undefined && SECRET.test(secret) ? secret : undefined;
}
