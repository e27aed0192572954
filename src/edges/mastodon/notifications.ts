/** Notifications, one by one and in groups. @see https://docs.joinmastodon.org/methods/notifications/ */

import { type Context, Hono } from "hono";
import {
  CROWDED,
  groupNotices,
  type GroupRange,
  type Noticed,
  rangeOfGroup,
} from "../../features/notice/group.ts";
import { hiddenPosts } from "../../features/filter/hidden.ts";
import type { NoticeKind } from "../../features/notice/notify.ts";
import { NOTIFICATION_KINDS } from "../../features/notice/schema.ts";
import {
  clearNotices,
  dismissGroup,
  dismissNotice,
  noticesIn,
  noticesOf,
  noticesRead,
  type NoticeWish,
} from "../../features/post/notices.ts";
import { Refusal } from "../../store/refusal.ts";
import { accountList } from "./account.ts";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { groupedEntities, notificationEntities, notificationEntity } from "./notification.ts";
import { cursorsOf, idOf, linkPages, pageOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";

type Ctx = Context<ClientEnv>;

/** Notifications, or groups of them, on one page. */
const NOTICES = { usual: 40, most: 80 };

/** Notifications that are looked at for one page of groups; the rest of a larger crowd is on the next one. */
const CROWD_MAX = 400;

/** Unread ones that are counted. */
const UNREAD = { usual: 100, most: 1_000 };

/** People of one group that are told. */
const PEOPLE_MAX = 80;

/** Where nobody's notifications are held back, old and new form. */
const OLD_POLICY = {
  filter_not_following: false,
  filter_not_followers: false,
  filter_new_accounts: false,
  filter_private_mentions: false,
  summary: { pending_requests_count: 0, pending_notifications_count: 0 },
};
const POLICY = {
  for_not_following: "accept",
  for_not_followers: "accept",
  for_new_accounts: "accept",
  for_private_mentions: "accept",
  for_limited_accounts: "accept",
  summary: { pending_requests_count: 0, pending_notifications_count: 0 },
};

/** `/api/v1/notifications`, `/api/v2/notifications`. */
export const notificationRoutes = (parts: ClientParts) => {
  const { database, clock } = parts;
  const { origin } = database.settings;
  const reading = scope("read:notifications");
  const writing = scope("write:notifications");

  /** Notifications of the group that the address names; at least one. */
  const groupAt = async (c: Ctx, limit: number) => {
    const notices = await noticesIn(database, callerOf(c).account, rangeIn(c), limit, clock.now());
    const [group] = groupNotices(notices, 1, keyedAs(rangeIn(c))).groups;
    if (group === undefined) throw new Refusal("not_found");
    return group;
  };
  /** Those that were not read, the newest first. */
  const unread = async (c: Ctx, limit: number): Promise<readonly Noticed[]> => {
    const { account } = callerOf(c);
    const page = {
      limit,
      maxId: undefined,
      sinceId: await noticesRead(database, account),
      minId: undefined,
    };
    const at = clock.now();
    const notices = await noticesOf(database, account, wishIn(await paramsOf(c)), page, at);
    const posts = notices.flatMap(({ post }) => post ?? []);
    // A number beside a list that shows nothing would be looked into in vain.
    const hidden = await hiddenPosts(database, account, posts, at);
    return notices.filter(({ post }) => post === undefined || !hidden.has(post));
  };

  return new Hono<ClientEnv>()
    .get("/api/v1/notifications", reading, async (c) => {
      const params = await paramsOf(c);
      const caller = callerOf(c);
      const page = pageOf(params, NOTICES);
      const read = await noticesOf(database, caller.account, wishIn(params), page, clock.now());
      const notices = page.minId === undefined ? read : read.toReversed();
      linkPages(c, origin, cursorsOf(notices.map(({ id }) => id)));
      return c.json(await notificationEntities(parts, caller, notices));
    })
    .get("/api/v1/notifications/unread_count", reading, async (c) => {
      const { limit } = pageOf(await paramsOf(c), UNREAD);
      return c.json({ count: (await unread(c, limit)).length });
    })
    .get("/api/v1/notifications/policy", reading, (c) => c.json(OLD_POLICY))
    .get("/api/v1/notifications/requests", reading, (c) => c.json([]))
    .get("/api/v1/notifications/requests/merged", reading, (c) => c.json({ merged: true }))
    .post("/api/v1/notifications/clear", writing, async (c) => {
      await clearNotices(database, callerOf(c).account);
      return c.json({});
    })
    .get("/api/v1/notifications/:id", reading, async (c) => {
      const entity = await notificationEntity(parts, callerOf(c), idOf(c.req.param("id")));
      if (entity === undefined) throw new Refusal("not_found");
      return c.json(entity);
    })
    .post("/api/v1/notifications/:id/dismiss", writing, async (c) => {
      await dismissNotice(database, callerOf(c).account, idOf(c.req.param("id")));
      return c.json({});
    })
    .get("/api/v2/notifications", reading, async (c) => {
      const params = await paramsOf(c);
      const caller = callerOf(c);
      const page = pageOf(params, NOTICES);
      const read = await noticesOf(
        database,
        caller.account,
        wishIn(params),
        { ...page, limit: CROWD_MAX },
        clock.now(),
      );
      const { groups, covered } = groupNotices(read, page.limit, crowdedIn(params));
      const ids = read.slice(0, covered).map(({ id }) => id);
      linkPages(c, origin, cursorsOf(page.minId === undefined ? ids : ids.toReversed()));
      return c.json(await groupedEntities(parts, caller, groups, expandsIn(params)));
    })
    .get("/api/v2/notifications/unread_count", reading, async (c) => {
      const params = await paramsOf(c);
      const { limit } = pageOf(params, UNREAD);
      const { groups } = groupNotices(await unread(c, UNREAD.most), limit, crowdedIn(params));
      return c.json({ count: groups.length });
    })
    .get("/api/v2/notifications/policy", reading, (c) => c.json(POLICY))
    .get("/api/v2/notifications/:key", reading, async (c) => {
      const group = await groupAt(c, CROWD_MAX);
      const entities = await groupedEntities(parts, callerOf(c), [group], "full");
      if (entities.notification_groups.length === 0) throw new Refusal("not_found");
      return c.json(entities);
    })
    .get("/api/v2/notifications/:key/accounts", reading, async (c) => {
      const { notices } = await groupAt(c, PEOPLE_MAX);
      return c.json(await accountList(parts, [...new Set(notices.map(({ actor }) => actor))]));
    })
    .post("/api/v2/notifications/:key/dismiss", writing, async (c) => {
      await dismissGroup(database, callerOf(c).account, rangeIn(c));
      return c.json({});
    });
};

/** @throws Refusal "not_found" */
function rangeIn(c: Ctx): GroupRange {
  const range = rangeOfGroup(c.req.param("key")!);
  if (range === undefined) throw new Refusal("not_found");
  return range;
}

/** A notification that is asked for alone keeps its own key, whatever its kind. */
function keyedAs(range: GroupRange): readonly NoticeKind[] {
  return "id" in range ? [] : CROWDED;
}

/** Kinds that nobody here knows mean no notification, and leave none out. */
function wishIn(params: Params): NoticeWish {
  const wanted = params.list("types");
  const left = params.list("exclude_types") ?? [];
  const actor = params.text("account_id");
  return {
    kinds: NOTIFICATION_KINDS.filter(
      (kind) => (wanted === undefined || wanted.includes(kind)) && !left.includes(kind),
    ),
    actor: actor === undefined || actor === "" ? undefined : idOf(actor),
  };
}

function crowdedIn(params: Params): readonly NoticeKind[] {
  const wanted = params.list("grouped_types");
  return wanted === undefined ? CROWDED : CROWDED.filter((kind) => wanted.includes(kind));
}

function expandsIn(params: Params): "full" | "partial_avatars" {
  return params.text("expand_accounts") === "partial_avatars" ? "partial_avatars" : "full";
}
