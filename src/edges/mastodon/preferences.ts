/** Preferences, as clients ask for them. @see https://docs.joinmastodon.org/methods/preferences/ */

import { Hono } from "hono";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { VISIBILITY_NAMES } from "./status.ts";

/** `/api/v1/preferences`. How posts are read is chosen in each client. */
export const preferenceRoutes = (_: ClientParts) =>
  new Hono<ClientEnv>().get("/api/v1/preferences", scope("read:accounts"), (c) => {
    const { postVisibility, postsSensitive, postLanguage } = callerOf(c).account;
    return c.json({
      "posting:default:visibility": VISIBILITY_NAMES[postVisibility],
      "posting:default:sensitive": postsSensitive,
      "posting:default:language": postLanguage,
      "reading:expand:media": "default",
      "reading:expand:spoilers": false,
      "reading:autoplay:gifs": false,
    });
  });
