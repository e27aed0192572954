/** The client API in one piece: what any Mastodon-compatible client calls. */

import { Hono } from "hono";
import { cors } from "hono/cors";
import { requestId } from "hono/request-id";
import { accountRoutes } from "./accounts.ts";
import { announcementRoutes } from "./announcements.ts";
import { emptyRoutes } from "./empty.ts";
import { filterRoutes } from "./filters.ts";
import { flattrApiRoutes, OWN_API } from "./flattr-api.ts";
import { answerError, type ClientEnv, type ClientParts, signedIn } from "./frame.ts";
import { instanceRoutes } from "./instance.ts";
import { limitCallers, limitSenders } from "./limits.ts";
import { listRoutes } from "./lists.ts";
import { markerRoutes } from "./markers.ts";
import { mediaRoutes } from "./media.ts";
import { notificationRoutes } from "./notifications.ts";
import { oauthRoutes } from "./oauth.ts";
import { pollRoutes } from "./polls.ts";
import { preferenceRoutes } from "./preferences.ts";
import { profileRoutes } from "./profile.ts";
import { pushRoutes } from "./push.ts";
import { reportRoutes } from "./reports.ts";
import { streamingRoutes } from "./streaming.ts";
import { searchRoutes } from "./search.ts";
import { statusRoutes } from "./statuses.ts";
import { timelineRoutes } from "./timelines.ts";

/** How long browsers remember that they may ask. */
const PREFLIGHT_SECONDS = 86_400;

/** All routes of the client API. Whatever is not built is not found: clients go by that. */
export const clientApp = (parts: ClientParts) =>
  new Hono<ClientEnv>()
    .use(requestId({ headerName: "" }))
    .use(
      cors({
        origin: "*",
        allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allowHeaders: ["Authorization", "Content-Type", "Idempotency-Key"],
        exposeHeaders: [
          "Link",
          "X-RateLimit-Limit",
          "X-RateLimit-Remaining",
          "X-RateLimit-Reset",
          "Retry-After",
        ],
        maxAge: PREFLIGHT_SECONDS,
      }),
    )
    .use(limitSenders(parts.rates, parts.limits))
    // They read tokens themselves: an app may show its secret where others show a token.
    .route("/", oauthRoutes(parts))
    .use(signedIn(parts))
    .use(limitCallers(parts.rates, parts.limits))
    .route("/", instanceRoutes(parts))
    .route("/", emptyRoutes(parts))
    .route("/", accountRoutes(parts))
    .route("/", profileRoutes(parts))
    .route("/api/v1/statuses", statusRoutes(parts))
    .route("/", pollRoutes(parts))
    .route("/", timelineRoutes(parts))
    .route("/", searchRoutes(parts))
    .route("/", mediaRoutes(parts))
    .route("/", filterRoutes(parts))
    .route("/", listRoutes(parts))
    .route("/", markerRoutes(parts))
    .route("/", notificationRoutes(parts))
    .route("/", announcementRoutes(parts))
    .route("/", reportRoutes(parts))
    .route("/", preferenceRoutes(parts))
    .route("/", pushRoutes(parts))
    .route("/", streamingRoutes())
    .route("/", flattrApiRoutes(parts))
    .notFound((c) =>
      c.json(
        {
          // Clients know Mastodon's words; our own API has codes.
          error: c.req.path.startsWith(`${OWN_API}/`) ? "not_found" : "Record not found",
          error_description: "There is nothing at this address.",
        },
        404,
      ),
    )
    .onError(answerError);

/** True for addresses that are answered here. */
export function isClientPath(path: string): boolean {
  return (
    path.startsWith("/api/") ||
    path === "/oauth/token" ||
    path === "/oauth/revoke" ||
    path === "/oauth/userinfo" ||
    path === "/.well-known/oauth-authorization-server"
  );
}
