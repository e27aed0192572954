/** What the operator says. @see https://docs.joinmastodon.org/methods/announcements/ */

import { Hono } from "hono";
import {
  type Announcement,
  announcementOf,
  announcementsFor,
  dismissAnnouncement,
} from "../../features/notice/announcement.ts";
import { renderText } from "../../features/post/text.ts";
import { type Entity, instantText } from "./account.ts";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { idOf } from "./paging.ts";
import { paramsOf } from "./params.ts";

/** `/api/v1/announcements`. */
export const announcementRoutes = ({ database, clock }: ClientParts) => {
  const { origin } = database.settings;
  return new Hono<ClientEnv>()
    .get("/api/v1/announcements", scope("read:accounts"), async (c) => {
      const withRead = (await paramsOf(c)).flag("with_dismissed") ?? false;
      const shown = await announcementsFor(database, callerOf(c).account, clock.now());
      return c.json(
        shown
          .filter(({ isRead }) => withRead || !isRead)
          .map((one) => ({ ...announcementEntity(one, origin), read: one.isRead })),
      );
    })
    .post("/api/v1/announcements/:id/dismiss", scope("write:accounts"), async (c) => {
      const { account } = callerOf(c);
      await dismissAnnouncement(database, {
        account,
        id: idOf(c.req.param("id")),
        at: clock.now(),
      });
      return c.json({});
    });
};

/** One announcement as streams tell it; undefined when it has ended. */
export async function announcementOfId(
  { database, clock }: Pick<ClientParts, "database" | "clock">,
  id: bigint,
): Promise<Entity | undefined> {
  const found = await announcementOf(database, id, clock.now());
  return found === undefined ? undefined : announcementEntity(found, database.settings.origin);
}

/** An announcement, the same for everybody. @see https://docs.joinmastodon.org/entities/Announcement/ */
export function announcementEntity({ id, text, at, until }: Announcement, origin: string): Entity {
  return {
    id: String(id),
    content: renderText(text, [], origin),
    starts_at: null,
    ends_at: until === null ? null : instantText(until),
    all_day: false,
    published_at: instantText(at),
    updated_at: instantText(at),
    mentions: [],
    statuses: [],
    tags: [],
    emojis: [],
    reactions: [],
  };
}
