/** Somebody with a browser, as far as forms and cookies go; and apps that sign in. */

import { createHash, randomBytes } from "node:crypto";
import { pageRoutes } from "../../src/edges/web/routes.ts";
import { createAccount } from "../../src/features/account/create.ts";
import type { SecondFactor } from "../../src/features/account/sign-in.ts";
import { type Clock, Temporal } from "../../src/store/time.ts";
import { at, type TestDatabase } from "./database.ts";

/** A clock that stands still until it is moved. */
export function handClock(start = "2026-11-10T12:00:00Z"): Clock & {
  advance: (duration: Temporal.DurationLike) => void;
} {
  let at = Temporal.Instant.from(start);
  return {
    now: () => at,
    real: () => at,
    advance: (duration) => {
      at = at.add(duration);
    },
  };
}

/** The pages of one instance. */
export function site(database: TestDatabase, clock: Clock, factors: readonly SecondFactor[] = []) {
  return pageRoutes({
    database,
    clock,
    migrations: 0,
    isDraining: () => false,
    publicKeys: async () => ({ keys: [] }),
    factors,
  });
}

export interface Visitor {
  readonly cookies: Map<string, string>;
  /** Every `Set-Cookie` that came. */
  readonly setCookies: string[];
  get: (path: string, headers?: Record<string, string>) => Promise<Response>;
  /** Sends a form as a page of the instance would. */
  send: (
    path: string,
    fields: Record<string, string>,
    headers?: Record<string, string>,
  ) => Promise<Response>;
}

/** A browser that keeps cookies, at an address. */
export function visitor(
  app: ReturnType<typeof site>,
  origin: string,
  remoteAddress = "192.0.2.1",
): Visitor {
  const cookies = new Map<string, string>();
  const setCookies: string[] = [];
  const ask = async (path: string, init: RequestInit) => {
    const headers = new Headers(init.headers);
    if (cookies.size > 0)
      headers.set("cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    const answer = await app.request(`${origin}${path}`, { ...init, headers }, { remoteAddress });
    for (const line of answer.headers.getSetCookie()) {
      setCookies.push(line);
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (/max-age=0(;|$)/i.test(line)) cookies.delete(name!);
      else cookies.set(name!, value!);
    }
    return answer;
  };
  return {
    cookies,
    setCookies,
    get: (path, headers = {}) => ask(path, { headers }),
    send: (path, fields, headers = { origin }) =>
      ask(path, {
        method: "POST",
        body: new URLSearchParams(fields).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      }),
  };
}

/** The hidden fields of the form that goes to this address. */
export function hiddenFields(html: string, action: string): Record<string, string> {
  const form = html.split("<form").find((part) => part.includes(`action="${action}"`)) ?? "";
  return Object.fromEntries(
    [
      ...form
        .split("</form>")[0]!
        .matchAll(/<input\s+type="hidden"\s+name="([^"]*)"\s+value="([^"]*)"/g),
    ].map(([, name, value]) => [name!, unescape(value!)]),
  );
}

function unescape(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}

/** Opens the page and signs in. */
export async function signInAs(
  who: Visitor,
  name: string,
  password: string,
  next?: string,
): Promise<Response> {
  const page = await who.get(
    `/sign-in${next === undefined ? "" : `?next=${encodeURIComponent(next)}`}`,
  );
  const hidden = hiddenFields(await page.text(), "/sign-in");
  return who.send("/sign-in", { ...hidden, name, password });
}

/** PKCE: what is kept, and what is shown first. */
export function proof(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
}

/** Somebody who can sign in. */
export const resident = (database: TestDatabase, name: string, password: string) =>
  createAccount(database, {
    name,
    email: `${name}@mail.example`,
    password,
    role: "user",
    at: at("2026-11-01"),
  });
