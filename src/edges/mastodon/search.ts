/** Search: the way to whoever is in no timeline yet. @see https://docs.joinmastodon.org/methods/search/ */

import { Hono } from "hono";
import { actorAt } from "../../features/account/actor.ts";
import { meantHere, type Meant } from "../../features/post/known.ts";
import { findTarget } from "../../features/post/see.ts";
import { searchPosts, searchTags } from "../../features/post/words.ts";
import { tagAddress } from "../../features/post/text.ts";
import { thingWith } from "../../features/thing/thing.ts";
import { canonicalAddress } from "../../rules/address.ts";
import { accountList } from "./account.ts";
import { findPeople, undefinedIfRefused } from "./accounts.ts";
import { AccessError, type Caller, type ClientEnv, type ClientParts, scopeIfAny } from "./frame.ts";
import { idIn, pageOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";
import { statusEntities } from "./status.ts";

/** Results of one kind. */
const RESULTS = { usual: 20, most: 40 };

/** Results that can be paged through. */
const OFFSET_MAX = 400;

/** `/api/v2/search`. */
export const searchRoutes = (parts: ClientParts) =>
  new Hono<ClientEnv>().get("/api/v2/search", scopeIfAny("read:search"), async (c) => {
    const caller = c.get("caller");
    const params = await paramsOf(c);
    const text = (params.text("q") ?? "").trim();
    const type = params.text("type");
    const asksOthers = params.flag("resolve") ?? false;
    const offset = Math.min(params.whole("offset") ?? 0, OFFSET_MAX);
    // What makes us ask other servers, or turn pages, is for people who live here.
    if (caller === undefined && (asksOthers || offset > 0))
      throw new AccessError(401, "The access token is invalid");
    const { limit } = pageOf(params, RESULTS);
    const wants = (kind: string) => type === undefined || type === "" || type === kind;
    const isAddress = canonicalAddress(text) !== undefined;
    const found = isAddress
      ? await byAddress(parts, caller, text, asksOthers && offset === 0)
      : NOTHING;
    const people =
      isAddress || !wants("accounts")
        ? found.actors
        : await findPeople(parts, {
            text,
            limit,
            offset,
            asksOthers: asksOthers && caller !== undefined,
            followedBy: params.flag("following") ? caller?.account.actor : undefined,
          });
    const posts =
      isAddress || !wants("statuses") || caller === undefined
        ? found.posts
        : await searchPosts(
            parts.database,
            caller.account,
            postSearch(params, text, limit, offset),
            parts.clock.now(),
          );
    const tags =
      isAddress || !wants("hashtags") || offset > 0
        ? []
        : await searchTags(parts.database, { text, limit });
    const { origin } = parts.database.settings;
    return c.json({
      accounts: wants("accounts") ? await accountList(parts, people) : [],
      statuses: wants("statuses") ? await statusEntities(parts, caller, posts) : [],
      hashtags: tags.map((name) => ({ name, url: tagAddress(origin, name), history: [] })),
    });
  });

interface Found {
  readonly actors: readonly bigint[];
  readonly posts: readonly bigint[];
}

const NOTHING: Found = { actors: [], posts: [] };

/** An address means one thing: a post that the caller may see, or somebody. */
async function byAddress(
  parts: ClientParts,
  caller: Caller | undefined,
  address: string,
  asksOthers: boolean,
): Promise<Found> {
  const { database } = parts;
  const meant =
    (await meantHere(database, address)) ??
    (asksOthers ? await meantElsewhere(parts, address).catch(undefinedIfRefused) : undefined);
  if (meant === undefined) return NOTHING;
  if ("actor" in meant) return { actors: [meant.actor], posts: [] };
  const target = await findTarget(database, caller?.account, meant.post);
  return target === undefined ? NOTHING : { actors: [], posts: [target.post] };
}

/** Asks the address' own server. */
async function meantElsewhere(
  { database, resolver }: ClientParts,
  address: string,
): Promise<Meant> {
  const { uri } = await thingWith(database.drizzle, await resolver.thing(address));
  const actor = await actorAt(database.drizzle, uri);
  return actor === undefined ? { post: (await resolver.post(uri)).id } : { actor };
}

function postSearch(params: Params, text: string, limit: number, offset: number) {
  return {
    text,
    limit,
    offset,
    maxId: idIn(params.text("max_id")),
    minId: idIn(params.text("min_id")),
    author: idIn(params.text("account_id")),
  };
}
