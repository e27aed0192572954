/** What open streams show: the same as the pages of timelines and notifications, for each account its own. */

import type { Account } from "../../features/account/create.ts";
import type { Access } from "../../features/access/token.ts";
import { announcementOfId } from "./announcements.ts";
import { filtered } from "./filtered.ts";
import type { Caller, ClientParts } from "./frame.ts";
import { notificationEntity } from "./notification.ts";
import { statusOf } from "./status.ts";
import type { Render } from "./telling.ts";

/** Makes what streams show. Amounts are in none of it, whatever the token may see. */
export function renderFor(parts: ClientParts): Render {
  return async (kind, id, account, place) => {
    const caller = asSeenBy(account);
    switch (kind) {
      case "status": {
        const entity = await statusOf(parts, caller, id);
        if (entity === undefined || place === "notifications") return entity;
        const [shown] = await filtered(parts, account, place, [entity]);
        return shown;
      }
      case "notification":
        return notificationEntity(parts, caller, id);
      default:
        return announcementOfId(parts, id);
    }
  };
}

/** Streams are told once for all apps of a person, so they show what the least of them may see. */
function asSeenBy(account: Account): Caller {
  const access: Access = {
    token: 0n,
    app: 0n,
    account,
    scopes: new Set(["read"]),
    countsFlattrs: true,
  };
  return { account, access, showsMoney: false };
}
