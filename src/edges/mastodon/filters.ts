/** Filters. @see https://docs.joinmastodon.org/methods/filters/ */

import { type Context, Hono } from "hono";
import type { FilterPlace } from "../../features/filter/match.ts";
import {
  changeFilter,
  type ChosenPost,
  chosenPost,
  choosePost,
  createFilter,
  deleteFilter,
  dropChosen,
  filterOfKeyword,
  type FilterWish,
  type KeywordWish,
  type OwnFilter,
  ownFilter,
  ownFilters,
  type OwnKeyword,
} from "../../features/filter/own.ts";
import { FILTER_PLACES } from "../../features/filter/schema.ts";
import { findTarget } from "../../features/post/see.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import { type Entity, instantText } from "./account.ts";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { idIn, idOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";

type Ctx = Context<ClientEnv>;

/** What filters may do. */
const ACTIONS = ["warn", "hide", "blur"] as const;

/** The furthest end of a filter, in seconds: a hundred years. */
const SECONDS_MAX = 100 * 365 * 86_400;

/** `/api/v2/filters/…`, and below `/api/v1/filters` the same for older clients, where each word is a filter. */
export const filterRoutes = (parts: ClientParts) => {
  const { database, clock } = parts;
  const own = (c: Ctx) => ({ account: callerOf(c).account, at: clock.now() });
  const idIs = (c: Ctx) => idOf(c.req.param("id")!);

  /** Changes one word. @returns it afterwards; undefined when it is gone */
  const changeKeyword = async (
    c: Ctx,
    wish: KeywordWish,
    rest: FilterWish = {},
  ): Promise<{ readonly of: OwnFilter; readonly keyword: OwnKeyword | undefined }> => {
    const { id } = await filterOfKeyword(database, callerOf(c).account, wish.id!);
    const of = await changeFilter(database, { ...own(c), ...rest, filter: id, keywords: [wish] });
    return { of, keyword: of.keywords.find((one) => one.id === wish.id) };
  };
  const keywordAt = async (c: Ctx) => {
    const of = await filterOfKeyword(database, callerOf(c).account, idIs(c));
    return { of, keyword: of.keywords.find((one) => one.id === idIs(c))! };
  };

  return new Hono<ClientEnv>()
    .get("/api/v2/filters/keywords/:id", scope("read:filters"), async (c) =>
      c.json(keywordEntity((await keywordAt(c)).keyword)),
    )
    .put("/api/v2/filters/keywords/:id", scope("write:filters"), async (c) => {
      const wish = { ...keywordIn(await paramsOf(c)), id: idIs(c) };
      return c.json(keywordEntity((await changeKeyword(c, wish)).keyword!));
    })
    .delete("/api/v2/filters/keywords/:id", scope("write:filters"), async (c) => {
      await changeKeyword(c, { id: idIs(c), isGone: true });
      return c.json({});
    })
    .get("/api/v2/filters/statuses/:id", scope("read:filters"), async (c) =>
      c.json(chosenEntity(await chosenPost(database, callerOf(c).account, idIs(c)))),
    )
    .delete("/api/v2/filters/statuses/:id", scope("write:filters"), async (c) =>
      c.json(chosenEntity(await dropChosen(database, { ...own(c), chosen: idIs(c) }))),
    )
    .get("/api/v2/filters", scope("read:filters"), async (c) =>
      c.json((await ownFilters(database, callerOf(c).account)).map(filterEntity)),
    )
    .post("/api/v2/filters", scope("write:filters"), async (c) => {
      const wish = wishIn(await paramsOf(c), clock.now());
      return c.json(filterEntity(await createFilter(database, { ...own(c), ...wish })));
    })
    .get("/api/v2/filters/:id", scope("read:filters"), async (c) =>
      c.json(filterEntity(await ownFilter(database, callerOf(c).account, idIs(c)))),
    )
    .put("/api/v2/filters/:id", scope("write:filters"), async (c) => {
      const wish = wishIn(await paramsOf(c), clock.now());
      return c.json(
        filterEntity(await changeFilter(database, { ...own(c), ...wish, filter: idIs(c) })),
      );
    })
    .delete("/api/v2/filters/:id", scope("write:filters"), async (c) => {
      await deleteFilter(database, { ...own(c), filter: idIs(c) });
      return c.json({});
    })
    .get("/api/v2/filters/:id/keywords", scope("read:filters"), async (c) => {
      const { keywords } = await ownFilter(database, callerOf(c).account, idIs(c));
      return c.json(keywords.map(keywordEntity));
    })
    .post("/api/v2/filters/:id/keywords", scope("write:filters"), async (c) => {
      const { id: _, ...wish } = keywordIn(await paramsOf(c));
      const keywords = [{ keyword: "", ...wish, isGone: false }];
      const changed = await changeFilter(database, { ...own(c), filter: idIs(c), keywords });
      return c.json(keywordEntity(changed.keywords.at(-1)!));
    })
    .get("/api/v2/filters/:id/statuses", scope("read:filters"), async (c) => {
      const { posts } = await ownFilter(database, callerOf(c).account, idIs(c));
      return c.json(posts.map(chosenEntity));
    })
    .post("/api/v2/filters/:id/statuses", scope("write:filters"), async (c) => {
      const { account } = callerOf(c);
      const status = idOf((await paramsOf(c)).text("status_id") ?? "");
      const target = await findTarget(database, account, status);
      if (target === undefined) throw new Refusal("not_found");
      return c.json(
        chosenEntity(await choosePost(database, { ...own(c), filter: idIs(c), post: target.post })),
      );
    })
    .get("/api/v1/filters", scope("read:filters"), async (c) => {
      const filters = await ownFilters(database, callerOf(c).account);
      return c.json(filters.flatMap((of) => of.keywords.map((one) => oldEntity(of, one))));
    })
    .post("/api/v1/filters", scope("write:filters"), async (c) => {
      const params = await paramsOf(c);
      const phrase = params.text("phrase") ?? "";
      const made = await createFilter(database, {
        ...own(c),
        ...oldWishIn(params, clock.now()),
        title: phrase,
        keywords: [{ keyword: phrase, isWholeWord: params.flag("whole_word") }],
      });
      return c.json(oldEntity(made, made.keywords[0]!));
    })
    .get("/api/v1/filters/:id", scope("read:filters"), async (c) => {
      const { of, keyword } = await keywordAt(c);
      return c.json(oldEntity(of, keyword));
    })
    .put("/api/v1/filters/:id", scope("write:filters"), async (c) => {
      const params = await paramsOf(c);
      const { of: before } = await keywordAt(c);
      const wish = oldWishIn(params, clock.now());
      const phrase = params.text("phrase");
      const isAlone = before.keywords.length === 1;
      if (!isAlone && isOther(before, wish))
        throw invalid("it has several words, which only newer clients can change together");
      const { of, keyword } = await changeKeyword(
        c,
        { id: idIs(c), keyword: phrase, isWholeWord: params.flag("whole_word") },
        isAlone ? { ...wish, title: phrase } : {},
      );
      return c.json(oldEntity(of, keyword!));
    })
    .delete("/api/v1/filters/:id", scope("write:filters"), async (c) => {
      const { of } = await keywordAt(c);
      // A filter that looks for nothing would be left, which these clients cannot see.
      if (of.keywords.length === 1 && of.posts.length === 0)
        await deleteFilter(database, { ...own(c), filter: of.id });
      else await changeKeyword(c, { id: idIs(c), isGone: true });
      return c.json({});
    });
};

function filterEntity({ id, title, places, action, until, keywords, posts }: OwnFilter): Entity {
  return {
    id: String(id),
    title,
    context: places,
    expires_at: until === null ? null : instantText(until),
    filter_action: action,
    keywords: keywords.map(keywordEntity),
    statuses: posts.map(chosenEntity),
  };
}

function keywordEntity({ id, keyword, isWholeWord }: OwnKeyword): Entity {
  return { id: String(id), keyword, whole_word: isWholeWord };
}

function chosenEntity({ id, post }: ChosenPost): Entity {
  return { id: String(id), status_id: String(post) };
}

/** @see https://docs.joinmastodon.org/entities/V1_Filter/ */
function oldEntity({ places, action, until }: OwnFilter, one: OwnKeyword): Entity {
  return {
    id: String(one.id),
    phrase: one.keyword,
    context: places,
    whole_word: one.isWholeWord,
    expires_at: until === null ? null : instantText(until),
    irreversible: action === "hide",
  };
}

/** True when more than the word itself would be different. */
function isOther(before: OwnFilter, { places, action, until }: FilterWish): boolean {
  return (
    (places !== undefined &&
      [...places].toSorted().join() !== [...before.places].toSorted().join()) ||
    (action !== undefined && (action === "hide") !== (before.action === "hide")) ||
    (until !== undefined && until !== before.until)
  );
}

function wishIn(params: Params, at: Temporal.Instant): FilterWish {
  const action = params.text("filter_action");
  if (action !== undefined && !isOneOf(ACTIONS, action))
    throw invalid(`its action is one of ${ACTIONS.join(", ")}`);
  return {
    title: params.text("title"),
    places: placesIn(params),
    action,
    until: untilIn(params, at),
    keywords: params.records("keywords_attributes")?.map(keywordIn),
  };
}

function oldWishIn(params: Params, at: Temporal.Instant): FilterWish {
  const hides = params.flag("irreversible");
  return {
    places: placesIn(params),
    action: hides === undefined ? undefined : hides ? "hide" : "warn",
    until: untilIn(params, at),
  };
}

function placesIn(params: Params): readonly FilterPlace[] | undefined {
  return params.list("context")?.map((place) => {
    if (!isOneOf(FILTER_PLACES, place))
      throw invalid(`it looks at ${FILTER_PLACES.join(", ")}, or at some of them`);
    return place;
  });
}

/** Seconds from now; empty or null: without end. */
function untilIn(params: Params, at: Temporal.Instant): Temporal.Instant | null | undefined {
  if (!params.has("expires_in")) return undefined;
  const text = params.text("expires_in") ?? "";
  if (text === "") return null;
  const seconds = params.whole("expires_in");
  if (seconds === undefined || seconds > SECONDS_MAX)
    throw invalid(`it ends within ${SECONDS_MAX} seconds, or never`);
  return at.add({ seconds });
}

function keywordIn(params: Params): KeywordWish {
  const id = params.text("id");
  const known = id === undefined || id === "" ? undefined : idIn(id);
  if (id !== undefined && id !== "" && known === undefined) throw new Refusal("not_found");
  return {
    id: known,
    keyword: params.text("keyword"),
    isWholeWord: params.flag("whole_word"),
    isGone: params.flag("_destroy"),
  };
}

function isOneOf<T extends string>(all: readonly T[], text: string): text is T {
  return (all as readonly string[]).includes(text);
}

function invalid(rule: string): Refusal {
  return new Refusal("filter_invalid", { rule });
}
