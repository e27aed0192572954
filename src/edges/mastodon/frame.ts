/** What all routes of the client API share: who asks, with which scopes, and how errors are told. */

import { getLogger } from "@logtape/logtape";
import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { type Access, findToken } from "../../features/access/token.ts";
import type { Account } from "../../features/account/create.ts";
import type { Resolver } from "../../features/thing/find.ts";
import { allows } from "../../rules/scope.ts";
import type { Database } from "../../store/database.ts";
import type { Rates } from "../../store/rates.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Clock } from "../../store/time.ts";
import type { ClientLimits } from "./limits.ts";
import { BodyError } from "./params.ts";
import { answerTo } from "./refusals.ts";

/** What the routes of the client API need. */
export interface ClientParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly resolver: Resolver;
  /** Looks at once whether there is something to deliver. */
  readonly nudge: () => void;
  /** Of this program. */
  readonly version: string;
  /** Counts requests, for all nodes together. */
  readonly rates: Rates;
  /** How often each may be done. */
  readonly limits: ClientLimits;
  /** True for a `host:port` that may be asked although it is private. */
  readonly isAllowedPrivate: (host: string) => boolean;
  /** The key by which push services know this instance. */
  readonly vapidKey: () => Promise<string>;
}

/** Somebody who asks through an app. */
export interface Caller {
  readonly account: Account;
  readonly access: Access;
  /** True when this app may see amounts. */
  readonly showsMoney: boolean;
}

/** What is known while a request of the client API is answered. */
export interface ClientEnv {
  readonly Variables: {
    requestId: string;
    /** Undefined: nobody has signed in, or an app acts for itself. */
    caller?: Caller | undefined;
    /** Undefined: no token was sent. */
    access?: Access | undefined;
  };
  readonly Bindings: {
    /** Who really asks, as far as that can be known. */
    readonly remoteAddress?: string;
  };
}

/** A refusal of OAuth's kind, told before anything is looked at. */
export class AccessError extends Error {
  readonly status: 401 | 403 | 422;

  constructor(status: 401 | 403 | 422, sentence: string) {
    super(sentence);
    this.name = "AccessError";
    this.status = status;
  }
}

/** A route's guard, which says what it wants: the test of all scopes reads it from the route table. */
export interface Guard extends MiddlewareHandler<ClientEnv> {
  /** One of these scopes is enough. */
  readonly wanted: readonly string[];
  /** True: answered without a token, too. */
  readonly isOptional: boolean;
}

/** Reads the token of a request. Given and wrong is refused, even where none is needed. */
export const signedIn = ({ database, clock }: ClientParts): MiddlewareHandler<ClientEnv> =>
  createMiddleware<ClientEnv>(async (c, next) => {
    const header = c.req.header("authorization");
    if (header !== undefined) {
      const secret = /^Bearer +([\w.~+/-]+=*)$/i.exec(header.trim())?.[1];
      const access =
        secret === undefined ? undefined : await findToken(database, secret, clock.now());
      if (access === undefined) throw new AccessError(401, "The access token is invalid");
      c.set("access", access);
      if (access.account !== undefined)
        c.set("caller", {
          account: access.account,
          access,
          showsMoney: access.scopes.has("money:read"),
        });
    }
    await next();
    // What one person sees is nobody else's: not even a cache's.
    if (!c.res.headers.has("cache-control")) c.header("cache-control", "private, no-store");
  });

/** Lets those pass who signed in with one of these scopes. */
export function scope(...wanted: string[]): Guard {
  return guard(wanted, false);
}

/** Lets everybody pass; of those who sent a token only those with one of these scopes. */
export function scopeIfAny(...wanted: string[]): Guard {
  return guard(wanted, true);
}

function guard(wanted: readonly string[], isOptional: boolean): Guard {
  const middleware = createMiddleware<ClientEnv>(async (c, next) => {
    const access = c.get("access");
    if (access === undefined) {
      if (!isOptional) throw new AccessError(401, "The access token is invalid");
      return next();
    }
    if (!wanted.some((one) => allows(access.scopes, one)))
      throw new AccessError(403, "This action is outside the authorized scopes");
    if (!isOptional && c.get("caller") === undefined)
      throw new AccessError(422, "This method requires an authenticated user");
    return next();
  });
  return Object.assign(middleware, { wanted, isOptional });
}

/** Who asks; behind `scope` there is somebody. */
export function callerOf(c: Context<ClientEnv>): Caller {
  const caller = c.get("caller");
  if (caller === undefined) throw new AccessError(401, "The access token is invalid");
  return caller;
}

/** Whose eyes look; undefined for strangers. */
export function viewerOf(c: Context<ClientEnv>): Account | undefined {
  return c.get("caller")?.account;
}

/** What goes wrong, told in one form: a code, and a sentence for people. */
export function answerError(error: unknown, c: Context<ClientEnv>): Response {
  if (error instanceof Refusal) {
    const { status, body } = answerTo(error);
    return c.json(body, status);
  }
  if (error instanceof AccessError)
    return c.json({ error: error.message, error_description: `${error.message}.` }, error.status);
  if (error instanceof BodyError)
    return c.json({ error: "invalid_request", error_description: error.message }, error.status);
  getLogger(["fediflattr", "clients"]).error("{method} {path} failed ({id}): {error}", {
    method: c.req.method,
    path: c.req.path,
    id: c.get("requestId"),
    error,
  });
  return c.json(
    {
      error: "unavailable",
      error_description: `That did not work just now. Please try again; if it stays so, tell the operator ${c.get("requestId")}.`,
    },
    503,
  );
}
