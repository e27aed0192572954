/** Our own API: what Mastodon's has no word for. Its description is `openapi.ts`. */

import { type Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { setPreferences } from "../../features/account/find.ts";
import { type Given, giveFlattr } from "../../features/flattr/give.ts";
import {
  isHiddenFrom,
  ownFlattrs,
  ownSubscriptions,
  publicThing,
} from "../../features/flattr/own.ts";
import { pauseSubscription, subscribe, unsubscribe } from "../../features/flattr/subscribe.ts";
import { takeBackFlattr } from "../../features/flattr/take-back.ts";
import { storedReceipt } from "../../features/settlement/receipt.ts";
import { clickNow, monthReport } from "../../features/settlement/report.ts";
import { keepWordsOfThing } from "../../features/post/words.ts";
import { findPayee } from "../../features/thing/find.ts";
import { thingAt, type ThingId, thingWith } from "../../features/thing/thing.ts";
import { ownPages } from "../../rules/own-pages.ts";
import { parsePeriod, type Period, periodOf } from "../../rules/period.ts";
import { Refusal } from "../../store/refusal.ts";
import {
  AccessError,
  type Caller,
  callerOf,
  type ClientEnv,
  type ClientParts,
  scope,
} from "./frame.ts";
import { OPENAPI } from "./openapi.ts";
import {
  currentEntity,
  flattrEntity,
  givenEntity,
  preferencesEntity,
  statementEntity,
  subscriptionEntity,
  thingEntity,
} from "./flattr-entities.ts";
import { cursorsOf, idOf, linkPages, pageOf } from "./paging.ts";
import { BodyError, type Params, paramsOf } from "./params.ts";

type Ctx = Context<ClientEnv>;

/** Where our own API is. */
export const OWN_API = "/api/flattr/v1";

/** Flattrs on one page. */
const FLATTRS = { usual: 40, most: 80 };

/** How long a copy of what everybody may read is good. */
const PUBLIC_SECONDS = 60;

/** `/api/flattr/v1/…`. */
export const flattrApiRoutes = (parts: ClientParts) => {
  const { database, clock } = parts;
  const { origin, currency } = database.settings;

  /** What is to be known of a flattr that stands (D4). Whether there is money is an amount as well. */
  const codeOf = async ({ account, showsMoney }: Caller, { again }: Given) => {
    if (again) return "flattr_once";
    if (!showsMoney) return null;
    const { available } = await clickNow(database, account.id, clock.now());
    return available === 0n ? "no_means" : null;
  };

  return (
    new Hono<ClientEnv>()
      .use(`${OWN_API}/*`, ownErrors)
      .get(`${OWN_API}/openapi.json`, (c) => {
        openToAll(c);
        return c.json({ ...OPENAPI, servers: [{ url: origin }] });
      })
      .get(`${OWN_API}/flattrs/current`, scope("flattr:read"), async (c) => {
        const { account, showsMoney } = callerOf(c);
        const at = clock.now();
        return c.json(
          currentEntity(await clickNow(database, account.id, at), { at, currency, showsMoney }),
        );
      })
      .get(`${OWN_API}/flattrs`, scope("flattr:read"), async (c) => {
        const params = await paramsOf(c);
        const page = pageOf(params, FLATTRS);
        const period = periodIn(params) ?? periodOf(clock.now());
        const flattrs = await ownFlattrs(database, callerOf(c).account.id, {
          period,
          ...page,
        });
        linkPages(c, origin, cursorsOf(flattrs.map(({ id }) => id)));
        return c.json(flattrs.map(flattrEntity));
      })
      .post(`${OWN_API}/flattrs`, scope("flattr:write"), async (c) => {
        const caller = callerOf(c);
        const params = await paramsOf(c);
        const thing = await thingToFlattr(parts, caller, params);
        const given = await giveFlattr(database, {
          patron: caller.account.id,
          thing,
          source: "click",
          private: params.flag("private"),
          at: clock.now(),
        });
        await keepWordsOfThing(database, thing);
        parts.nudge();
        const code = await codeOf(caller, given);
        return c.json({ ...givenEntity(given, await thingWith(database.drizzle, thing)), code });
      })
      .delete(`${OWN_API}/flattrs`, scope("flattr:write"), async (c) => {
        const { account } = callerOf(c);
        const thing = await thingKnown(parts, await paramsOf(c));
        const at = clock.now();
        const id = await takeBackFlattr(database, { patron: account.id, thing, at });
        parts.nudge();
        return c.json({ id: String(id), period: periodOf(at) });
      })
      .get(`${OWN_API}/statement`, scope("flattr:read"), async (c) => {
        const caller = callerOf(c);
        requireMoney(caller);
        const period = periodIn(await paramsOf(c)) ?? periodOf(clock.now());
        const report = await monthReport(database, caller.account.id, period);
        if (report === undefined) throw unknownMonth(period);
        return c.json(statementEntity(report, currency));
      })
      .get(`${OWN_API}/receipt`, scope("flattr:read"), async (c) => {
        const caller = callerOf(c);
        requireMoney(caller);
        const params = await paramsOf(c);
        const period = periodIn(params);
        if (period === undefined)
          throw new Refusal("period_invalid", {
            period: "asked for",
            why: "name one, like 2026-11",
          });
        const kind = params.text("kind") === "creator" ? "creator" : "patron";
        const receipt = await storedReceipt(database, { period, kind, account: caller.account.id });
        if (receipt === undefined) throw new Refusal("receipt_unknown", { period });
        return c.json({ period, kind, receipt, keys: `${origin}/.well-known/jwks.json` });
      })
      .get(`${OWN_API}/subscriptions`, scope("flattr:read"), async (c) => {
        const { account } = callerOf(c);
        return c.json((await ownSubscriptions(database, account.id)).map(subscriptionEntity));
      })
      .post(`${OWN_API}/subscriptions`, scope("flattr:write"), async (c) => {
        const caller = callerOf(c);
        const params = await paramsOf(c);
        const months = params.text("months");
        if (months !== undefined && params.whole("months") === undefined)
          throw new Refusal("subscription_invalid");
        const thing = await thingToFlattr(parts, caller, params);
        const made = await subscribe(database, {
          patron: caller.account.id,
          thing,
          months: params.whole("months") ?? null,
          at: clock.now(),
        });
        return c.json(
          subscriptionEntity({ ...made, thing: await thingWith(database.drizzle, thing) }),
        );
      })
      .post(`${OWN_API}/subscriptions/pause`, scope("flattr:write"), async (c) => {
        const { account } = callerOf(c);
        const thing = await thingKnown(parts, await paramsOf(c));
        const made = await pauseSubscription(database, {
          patron: account.id,
          thing,
          at: clock.now(),
        });
        return c.json(
          subscriptionEntity({ ...made, thing: await thingWith(database.drizzle, thing) }),
        );
      })
      .delete(`${OWN_API}/subscriptions`, scope("flattr:write"), async (c) => {
        const { account } = callerOf(c);
        const thing = await thingKnown(parts, await paramsOf(c));
        await unsubscribe(database, { patron: account.id, thing, at: clock.now() });
        return c.json({});
      })
      .get(`${OWN_API}/budget`, scope("flattr:read"), async (c) => {
        const caller = callerOf(c);
        requireMoney(caller);
        const { budget, available } = await clickNow(database, caller.account.id, clock.now());
        const ceiling = caller.account.budgetCeiling ?? budget;
        return c.json({
          currency,
          budget: String(budget),
          available: String(available),
          minimum: String(database.settings.minimumBudget),
          ceiling: String(ceiling),
          pages: ownPages(origin),
        });
      })
      // Whoever holds an app's token may spend what is set, and never set it.
      .put(`${OWN_API}/budget`, scope("flattr:write"), () => {
        throw new Refusal("money_in_browser", { pages: ownPages(origin) });
      })
      .get(`${OWN_API}/preferences`, scope("flattr:read"), (c) =>
        c.json(preferencesEntity(callerOf(c).account)),
      )
      .put(`${OWN_API}/preferences`, scope("flattr:write"), async (c) => {
        const { account } = callerOf(c);
        const params = await paramsOf(c);
        const mode = params.text("mode");
        if (mode !== undefined && mode !== "all" && mode !== "explicit")
          throw new BodyError(400, "The mode is all or explicit.");
        const isPrivate = params.flag("private");
        const changed = await setPreferences(database, account.id, {
          ...(mode === undefined ? {} : { flattrMode: mode }),
          ...(isPrivate === undefined ? {} : { flattrsPrivate: isPrivate }),
        });
        return c.json(preferencesEntity(changed));
      })
      .get(`${OWN_API}/things/lookup`, async (c) => {
        openToAll(c);
        const thing = await publicThing(
          database,
          await thingKnown(parts, await paramsOf(c)),
          periodOf(clock.now()),
        );
        if (thing === undefined) throw new Refusal("not_found");
        return c.redirect(`${origin}${OWN_API}/things/${thing.id}`, 302);
      })
      .get(`${OWN_API}/things/:id`, async (c) => {
        openToAll(c);
        const period = periodOf(clock.now());
        const thing = await publicThing(database, idOf(c.req.param("id")), period);
        if (thing === undefined) throw new Refusal("not_found");
        return c.json(thingEntity(thing, period));
      })
  );
};

/** What goes wrong, told by codes: other than Mastodon's clients, those of this API go by them. */
const ownErrors = createMiddleware<ClientEnv>(async (c, next) => {
  await next();
  const { error } = c;
  if (error instanceof AccessError) {
    const code = { 401: "invalid_token", 403: "insufficient_scope", 422: "person_required" };
    c.res = c.json(
      { error: code[error.status], error_description: `${error.message}.` },
      error.status,
    );
  } else if (error instanceof Refusal && c.res.status === 404)
    c.res = c.json({ error: error.reason, error_description: "There is nothing like that." }, 404);
});

function requireMoney({ showsMoney }: Caller): void {
  if (!showsMoney) throw new Refusal("money_hidden");
}

/** The text by which a thing is named: an address or a handle. */
function nameIn(params: Params): string {
  const text = (params.text("url") ?? params.text("acct") ?? "").trim();
  if (text === "" || text.includes("\0")) throw new Refusal("url_invalid", { url: "" });
  return text;
}

/** The thing that is meant, also when it must be asked for elsewhere; never one that the caller may not read. */
async function thingToFlattr(
  { database, resolver }: ClientParts,
  { account }: Caller,
  params: Params,
): Promise<ThingId> {
  const thing = await resolver.thing(nameIn(params));
  if (await isHiddenFrom(database, account, thing)) throw new Refusal("not_found");
  return thing;
}

/** The thing that is meant, if it is known here. Nothing is asked and nothing made. @throws Refusal "not_found" */
async function thingKnown({ database }: ClientParts, params: Params): Promise<ThingId> {
  const text = nameIn(params);
  const uri = text.includes("://") ? text : await findPayee(database, text);
  const thing = uri === undefined ? undefined : await thingAt(database.drizzle, uri);
  if (thing === undefined) throw new Refusal("not_found");
  return thing.id;
}

function periodIn(params: Params): Period | undefined {
  const text = params.text("period");
  if (text === undefined) return undefined;
  const period = parsePeriod(text);
  if (period === undefined)
    throw new Refusal("period_invalid", {
      period: text.slice(0, 20),
      why: "write it like 2026-11",
    });
  return period;
}

function unknownMonth(period: Period): Refusal {
  return new Refusal("period_invalid", { period, why: "this instance did not exist then" });
}

/** Everybody may read it, from any page. */
function openToAll(c: Ctx): void {
  c.header("access-control-allow-origin", "*");
  c.header("cache-control", `public, max-age=${PUBLIC_SECONDS}`);
}
