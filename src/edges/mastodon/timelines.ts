/** Timelines, favourites and bookmarks. @see https://docs.joinmastodon.org/methods/timelines/ */

import { type Context, Hono } from "hono";
import { ownList } from "../../features/follow/own-list.ts";
import {
  bookmarksOf,
  favouritesOf,
  homeTimeline,
  listTimeline,
  publicTimeline,
  tagTimeline,
  type TimelineEntry,
  type TimelinePlace,
} from "../../features/post/timeline.ts";
import { trendingPosts } from "../../features/flattr/trend.ts";
import { filtered } from "./filtered.ts";
import {
  callerOf,
  type ClientEnv,
  type ClientParts,
  scope,
  scopeIfAny,
  viewerOf,
} from "./frame.ts";
import { cursorsOf, idOf, linkPages, pageOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";
import { statusEntities } from "./status.ts";

/** Posts on one page. */
export const POSTS = { usual: 20, most: 40 };

/** Hashtags in one question. */
const TAGS_MAX = 4;

/** Trending posts that are known. */
const TRENDS_MAX = 100;

/** `/api/v1/timelines/…`, `/api/v1/favourites`, `/api/v1/bookmarks`, `/api/v1/trends/…`. */
export const timelineRoutes = (parts: ClientParts) => {
  const { database, clock } = parts;
  const { origin } = database.settings;

  const answer = async (
    c: Context<ClientEnv>,
    entries: readonly TimelineEntry[],
    place: "home" | "public" | undefined,
  ) => {
    linkPages(c, origin, cursorsOf(entries.map(({ cursor }) => cursor)));
    const entities = await statusEntities(
      parts,
      c.get("caller"),
      entries.map(({ id }) => id),
    );
    return c.json(
      place === undefined ? entities : await filtered(parts, viewerOf(c), place, entities),
    );
  };
  const pageIn = async (c: Context<ClientEnv>) => pageOf(await paramsOf(c), POSTS);

  return new Hono<ClientEnv>()
    .get("/api/v1/timelines/home", scope("read:statuses"), async (c) =>
      answer(
        c,
        await homeTimeline(database, callerOf(c).account, await pageIn(c), clock.now()),
        "home",
      ),
    )
    .get("/api/v1/timelines/public", scopeIfAny("read:statuses"), async (c) => {
      const params = await paramsOf(c);
      const wish = { where: placeIn(params), onlyMedia: params.flag("only_media") ?? false };
      return answer(
        c,
        await publicTimeline(database, viewerOf(c), wish, await pageIn(c), clock.now()),
        "public",
      );
    })
    .get("/api/v1/timelines/tag/:tag", scopeIfAny("read:statuses"), async (c) => {
      const params = await paramsOf(c);
      const tags = (name: string) => [
        ...new Set((params.list(name) ?? []).slice(0, TAGS_MAX).map(tagIn)),
      ];
      const wish = {
        tag: tagIn(c.req.param("tag")),
        any: tags("any"),
        all: tags("all"),
        none: tags("none"),
        where: placeIn(params),
        onlyMedia: params.flag("only_media") ?? false,
      };
      return answer(
        c,
        await tagTimeline(database, viewerOf(c), wish, await pageIn(c), clock.now()),
        "public",
      );
    })
    .get("/api/v1/timelines/list/:id", scope("read:lists"), async (c) => {
      const { account } = callerOf(c);
      const { id } = await ownList(database, account, idOf(c.req.param("id")));
      return answer(
        c,
        await listTimeline(database, account, id, await pageIn(c), clock.now()),
        "home",
      );
    })
    .get("/api/v1/favourites", scope("read:favourites"), async (c) =>
      answer(c, await favouritesOf(database, callerOf(c).account, await pageIn(c)), undefined),
    )
    .get("/api/v1/bookmarks", scope("read:bookmarks"), async (c) =>
      answer(c, await bookmarksOf(database, callerOf(c).account, await pageIn(c)), undefined),
    )
    .get("/api/v1/trends/statuses", scopeIfAny("read:statuses"), async (c) => {
      const params = await paramsOf(c);
      const { limit } = pageOf(params, POSTS);
      const offset = Math.min(params.whole("offset") ?? 0, TRENDS_MAX);
      const ids = await trendingPosts(database, viewerOf(c), { offset, limit }, clock.now());
      const entities = await statusEntities(parts, c.get("caller"), ids);
      return c.json(await filtered(parts, viewerOf(c), "public", entities));
    })
    .get("/api/v1/trends/tags", (c) => c.json([]))
    .get("/api/v1/trends/links", (c) => c.json([]));
};

/** Posts of where are asked for; of both sides together are all. */
function placeIn(params: Params): TimelinePlace {
  const [isHere, isElsewhere] = [params.flag("local") ?? false, params.flag("remote") ?? false];
  return isHere === isElsewhere ? "all" : isHere ? "here" : "elsewhere";
}

/** A hashtag as it is kept; without what the database cannot read. */
export function tagIn(text: string): string {
  return text.replaceAll("\0", "").replace(/^#/, "").normalize("NFKC").toLowerCase().slice(0, 200);
}
