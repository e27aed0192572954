/** What clients ask for and nobody here has: they are told so by an empty list, since they take an error amiss. */

import { Hono } from "hono";
import { type ClientEnv, type ClientParts, scope, scopeIfAny } from "./frame.ts";
import { idIn } from "./paging.ts";
import { paramsOf } from "./params.ts";

/** People asked about at once. */
const PEOPLE_MAX = 40;

/** Lists that are always empty, each with the scope that they have elsewhere. */
const OWN: Readonly<Record<string, string>> = {
  "/api/v1/conversations": "read:statuses",
  "/api/v1/domain_blocks": "read:blocks",
  "/api/v1/followed_tags": "read:follows",
  "/api/v2/suggestions": "read:accounts",
};

/** The same for lists that anybody may ask for. */
const OPEN: Readonly<Record<string, string>> = {
  "/api/v1/accounts/:id/endorsements": "read:accounts",
  "/api/v1/accounts/:id/featured_tags": "read:accounts",
};

/** These lists; to be asked before `/api/v1/accounts/:id`. */
export const emptyRoutes = (_: ClientParts) => {
  const routes = new Hono<ClientEnv>();
  for (const [path, wanted] of Object.entries(OWN))
    routes.get(path, scope(wanted), (c) => c.json([]));
  for (const [path, wanted] of Object.entries(OPEN))
    routes.get(path, scopeIfAny(wanted), (c) => c.json([]));
  return routes.get("/api/v1/accounts/familiar_followers", scope("read:follows"), async (c) => {
    const ids = ((await paramsOf(c)).list("id") ?? []).filter((id) => idIn(id) !== undefined);
    return c.json(ids.slice(0, PEOPLE_MAX).map((id) => ({ id, accounts: [] })));
  });
};
