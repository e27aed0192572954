/** Push subscriptions of apps. @see https://docs.joinmastodon.org/methods/push/ */

import { Hono } from "hono";
import { NOTIFICATION_KINDS } from "../../features/notice/schema.ts";
import {
  changePush,
  pushOf,
  type PushSubscription,
  subscribePush,
  unsubscribePush,
} from "../../features/notice/subscription.ts";
import type { ClientEnv, ClientParts } from "./frame.ts";
import { callerOf, scope } from "./frame.ts";
import { type Params, paramsOf } from "./params.ts";

/** What the routes need. */
export interface PushRouteParts extends Pick<ClientParts, "database" | "clock" | "vapidKey"> {
  /** True for a `host:port` that may be asked although it is private. */
  readonly isAllowedPrivate: (host: string) => boolean;
}

const PATH = "/api/v1/push/subscription";

/** One subscription for each token. */
export const pushRoutes = ({ database, clock, vapidKey, isAllowedPrivate }: PushRouteParts) => {
  const entity = async (subscription: PushSubscription) => ({
    id: String(subscription.id),
    endpoint: subscription.endpoint,
    standard: subscription.isStandard,
    alerts: Object.fromEntries(
      NOTIFICATION_KINDS.map((kind) => [kind, subscription.alerts.includes(kind)]),
    ),
    policy: subscription.policy,
    server_key: await vapidKey(),
  });
  return new Hono<ClientEnv>()
    .post(PATH, scope("push"), async (c) => {
      const params = await paramsOf(c);
      const { token } = callerOf(c).access;
      const asked = params.record("subscription");
      const keys = asked?.record("keys");
      const made = await subscribePush(database, {
        token,
        wish: {
          endpoint: asked?.text("endpoint") ?? "",
          p256dh: keys?.text("p256dh") ?? "",
          auth: keys?.text("auth") ?? "",
          isStandard: asked?.flag("standard") ?? false,
          alerts: alertsIn(params) ?? [],
          policy: policyIn(params) ?? "all",
        },
        isAllowedPrivate,
        at: clock.now(),
      });
      return c.json(await entity(made));
    })
    .get(PATH, scope("push"), async (c) =>
      c.json(await entity(await pushOf(database, callerOf(c).access.token))),
    )
    .put(PATH, scope("push"), async (c) => {
      const params = await paramsOf(c);
      const changed = await changePush(database, callerOf(c).access.token, {
        alerts: alertsIn(params),
        policy: policyIn(params),
      });
      return c.json(await entity(changed));
    })
    .delete(PATH, scope("push"), async (c) => {
      await unsubscribePush(database, callerOf(c).access.token);
      return c.json({});
    });
};

/** The kinds that are switched on; undefined when none is spoken of. */
function alertsIn(params: Params): readonly string[] | undefined {
  const alerts = params.record("data")?.record("alerts");
  return alerts && NOTIFICATION_KINDS.filter((kind) => alerts.flag(kind) === true);
}

function policyIn(params: Params): string | undefined {
  return params.record("data")?.text("policy") ?? params.text("policy");
}
