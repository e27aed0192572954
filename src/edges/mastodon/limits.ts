/** How often clients may ask, and how they are told. @see https://docs.joinmastodon.org/api/rate-limits/ */

import { createMiddleware } from "hono/factory";
import type { Context, MiddlewareHandler } from "hono";
import type { RateLimit, Rates, Taken } from "../../store/rates.ts";
import { senderOf } from "../../store/sender.ts";
import { isoTime } from "../../store/time.ts";
import type { ClientEnv } from "./frame.ts";

const MINUTE_MS = 60_000;

/** How often each may be done, as ordinary servers allow it, so that clients are used to it. */
export interface ClientLimits {
  /** By one address without a token. */
  readonly stranger: RateLimit;
  /** By one address with tokens, true ones or not: a household, a school, or somebody who guesses. */
  readonly sender: RateLimit;
  /** By one token. */
  readonly token: RateLimit;
  /** By one account with all its tokens. */
  readonly account: RateLimit;
  /** Turned pages of one account, or of one address without a token. */
  readonly pages: RateLimit;
  /** Uploads of one account, or of one address without a token. */
  readonly uploads: RateLimit;
  /** Deleted posts and boosts of one account. */
  readonly deletions: RateLimit;
}

/** The limits of a public instance. */
export const CLIENT_LIMITS: ClientLimits = {
  stranger: { limit: 300, windowMs: 5 * MINUTE_MS },
  sender: { limit: 7_500, windowMs: 5 * MINUTE_MS },
  token: { limit: 300, windowMs: 5 * MINUTE_MS },
  account: { limit: 1_500, windowMs: 5 * MINUTE_MS },
  pages: { limit: 300, windowMs: 15 * MINUTE_MS },
  uploads: { limit: 30, windowMs: 30 * MINUTE_MS },
  deletions: { limit: 30, windowMs: 30 * MINUTE_MS },
};

/** The limits of a public instance, for an operator who allows one app of one person more or fewer requests. */
export function limitsFor(requestsMax: number): ClientLimits {
  const scaled = ({ limit, windowMs }: RateLimit): RateLimit => ({
    limit: Math.max(1, Math.round((limit * requestsMax) / CLIENT_LIMITS.token.limit)),
    windowMs,
  });
  const { stranger, sender, token, account, pages, uploads, deletions } = CLIENT_LIMITS;
  return {
    stranger: scaled(stranger),
    sender: scaled(sender),
    token: scaled(token),
    account: scaled(account),
    pages: scaled(pages),
    uploads: scaled(uploads),
    deletions: scaled(deletions),
  };
}

/** By these a page is turned. */
const TURNED_BY = ["max_id", "min_id", "since_id", "page", "offset"];

/** What was counted, and by which limit. */
interface Counted extends Taken {
  readonly limit: number;
}

/**
 * Counts by address, before anybody looks at the token: who guesses tokens is slow.
 *
 * @param limits those of a public instance unless a trial has its own
 */
export const limitSenders = (
  rates: Rates,
  { stranger, sender, pages }: ClientLimits = CLIENT_LIMITS,
): MiddlewareHandler<ClientEnv> =>
  createMiddleware<ClientEnv>((c, next) => {
    const who = senderOf(c.env?.remoteAddress ?? "");
    if (c.req.header("authorization") !== undefined) {
      const all = counted(rates, `client sender ${who}`, sender);
      // How near one address is to its limit is nothing that one of its clients could use.
      return all.isOver ? Promise.resolve(tooMany(c, all)) : next();
    }
    return limited(c, next, [
      counted(rates, `client stranger ${who}`, stranger),
      ...(turnsPages(c) ? [counted(rates, `client pages ${who}`, pages)] : []),
    ]);
  });

/** Counts by token and account, behind the reader of the token. */
export const limitCallers = (
  rates: Rates,
  { token, account, pages, uploads, deletions }: ClientLimits = CLIENT_LIMITS,
): MiddlewareHandler<ClientEnv> =>
  createMiddleware<ClientEnv>((c, next) => {
    const access = c.get("access");
    if (access === undefined) return next();
    const who = access.account?.id ?? `app ${access.app}`;
    return limited(c, next, [
      counted(rates, `client token ${access.token}`, token),
      counted(rates, `client account ${who}`, account),
      ...(turnsPages(c) ? [counted(rates, `client pages ${who}`, pages)] : []),
      ...(isUpload(c) ? [counted(rates, `client uploads ${who}`, uploads)] : []),
      ...(isDeletion(c) ? [counted(rates, `client deletions ${who}`, deletions)] : []),
    ]);
  });

function counted(rates: Rates, key: string, limit: RateLimit): Counted {
  return { ...rates.take(key, limit), limit: limit.limit };
}

/** Goes on, or says when; either way the client is told of the limit that it comes up to first. */
async function limited(
  c: Context<ClientEnv>,
  next: () => Promise<void>,
  all: readonly Counted[],
): Promise<Response | undefined> {
  const nearest = all.reduce((one, other) =>
    other.isOver === one.isOver
      ? other.remaining < one.remaining
        ? other
        : one
      : other.isOver
        ? other
        : one,
  );
  if (nearest.isOver) return tooMany(c, nearest);
  await next();
  tell(c, nearest);
  return undefined;
}

function tell(c: Context<ClientEnv>, { limit, remaining, resetAt }: Counted): void {
  c.header("x-ratelimit-limit", String(limit));
  c.header("x-ratelimit-remaining", String(remaining));
  c.header("x-ratelimit-reset", isoTime(resetAt));
}

function tooMany(c: Context<ClientEnv>, nearest: Counted): Response {
  tell(c, nearest);
  const seconds = Math.max(1, Math.ceil(nearest.waitMs / 1000));
  c.header("retry-after", String(seconds));
  return c.json(
    {
      error: "too_many_requests",
      error_description: `That is too often. Try again in ${seconds} seconds.`,
    },
    429,
  );
}

function turnsPages(c: Context<ClientEnv>): boolean {
  if (c.req.method !== "GET") return false;
  const asked = c.req.query();
  return TURNED_BY.some((name) => asked[name] !== undefined);
}

function isUpload(c: Context<ClientEnv>): boolean {
  if (c.req.method === "POST") return /^\/api\/v[12]\/media\/?$/.test(c.req.path);
  // A profile may come with two pictures.
  const isMultipart = c.req.header("content-type")?.toLowerCase().startsWith("multipart/") ?? false;
  return c.req.method === "PATCH" && isMultipart;
}

function isDeletion(c: Context<ClientEnv>): boolean {
  return (
    (c.req.method === "DELETE" && /^\/api\/v1\/statuses\/[^/]+\/?$/.test(c.req.path)) ||
    (c.req.method === "POST" && /^\/api\/v1\/statuses\/[^/]+\/unreblog\/?$/.test(c.req.path))
  );
}
