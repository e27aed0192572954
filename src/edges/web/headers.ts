/** Headers of every page, and the two exceptions without which apps cannot sign in. */

import { createMiddleware } from "hono/factory";
import { secureHeaders } from "hono/secure-headers";
import type { PageEnv } from "./visit.ts";

/** What a page may load and where its forms may lead: nothing but this instance. */
const POLICY = {
  "default-src": "'none'",
  "style-src": "'self'",
  "img-src": "'self'",
  "form-action": "'self'",
  "frame-ancestors": "'none'",
  "base-uri": "'none'",
} as const;

/**
 * Sets the headers of pages. Two of them stand in the way of every sign-in from an app, so the page where people allow
 * an app (`openToApp`) has others; a stricter policy has to keep these two exceptions:
 *
 * - `form-action 'self'` stops the redirect to the app that follows the form: Chromium asks the policy for each address
 *   on the way. The app's own origin or scheme is added.
 * - `Cross-Origin-Opener-Policy: same-origin` cuts off the window that opened this one: clients that sign in by a popup
 *   never get their code. It is `unsafe-none` there.
 *
 * Forms are sent with their origin (`Referrer-Policy: same-origin`): with `no-referrer` browsers send `Origin: null`,
 * and it could not be told from a stranger's.
 */
export function pageHeaders(origin: string) {
  const usual = secureHeaders({
    strictTransportSecurity: origin.startsWith("https:") ? "max-age=31536000" : false,
    referrerPolicy: "same-origin",
    xFrameOptions: "DENY",
  });
  return createMiddleware<PageEnv>(async (c, next) => {
    await usual(c, next);
    const app = c.get("openToApp");
    const policy = {
      ...POLICY,
      ...(app === undefined ? {} : { "form-action": `'self' ${app}`.trim() }),
    };
    c.res.headers.set(
      "content-security-policy",
      Object.entries(policy)
        .map(([directive, sources]) => `${directive} ${sources}`)
        .join("; "),
    );
    if (app !== undefined) c.res.headers.set("cross-origin-opener-policy", "unsafe-none");
  });
}
