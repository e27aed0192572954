/**
 * Every route and every scope: read from the route table, so that no route is forgotten, and held against a table
 * written by hand, so that no route asks for another scope than the one that apps know it by (W08).
 */

import { findTargetHandler } from "hono/utils/handler";
import { expect, test } from "vitest";
import type { Guard } from "../../src/edges/mastodon/frame.ts";
import { allows, SCOPES } from "../../src/rules/scope.ts";
import { person, snapshot, testDatabase } from "../support/database.ts";
import { type Answer, type Ask, clientHouse } from "../support/client.ts";

/** What everybody gets without a token. */
const PUBLIC = "public";

/** It reads a token or the secret of an app by itself, and asks for no scope. */
const BY_ITSELF = "by-itself";

/** Besides its scope, since what it tells is amounts. */
const MONEY = "+money:read";

/**
 * METHOD PATH SCOPE: as Mastodon documents it (`write:x`), or as it is in its code where that says something else. Where
 * `?` stands behind the scope, it is asked of those alone who send a token. Of scopes with `|` between them, one is
 * enough. Our own routes ask for ours.
 *
 * @see https://docs.joinmastodon.org/methods/
 */
const TABLE = readTable(`
  POST   /api/v1/apps                                public
  GET    /api/v1/apps/verify_credentials             by-itself
  POST   /oauth/token                                by-itself
  POST   /oauth/revoke                               by-itself
  GET    /oauth/userinfo                             profile|read:accounts
  POST   /oauth/userinfo                             profile|read:accounts
  GET    /.well-known/oauth-authorization-server     public

  GET    /api/v2/instance                            public
  GET    /api/v1/instance                            public
  GET    /api/v1/instance/peers                      public
  GET    /api/v1/custom_emojis                       public
  GET    /api/v1/trends/tags                         public
  GET    /api/v1/trends/links                        public
  GET    /api/v1/trends/statuses                     read:statuses?
  GET    /api/v1/streaming/health                    public
  GET    /api/v1/announcements                       read:accounts
  POST   /api/v1/announcements/:id/dismiss           write:accounts

  GET    /api/v1/accounts/verify_credentials         read:accounts|profile
  PATCH  /api/v1/accounts/update_credentials         write:accounts
  DELETE /api/v1/profile/avatar                      write:accounts
  DELETE /api/v1/profile/header                      write:accounts
  GET    /api/v1/preferences                         read:accounts
  GET    /api/v1/accounts                            read:accounts?
  GET    /api/v1/accounts/lookup                     read:accounts?
  GET    /api/v1/accounts/search                     read:accounts
  GET    /api/v1/accounts/relationships              read:follows
  GET    /api/v1/accounts/familiar_followers         read:follows
  GET    /api/v1/accounts/:id                        read:accounts?
  GET    /api/v1/accounts/:id/statuses               read:statuses?
  GET    /api/v1/accounts/:id/followers              read:accounts?
  GET    /api/v1/accounts/:id/following              read:accounts?
  GET    /api/v1/accounts/:id/lists                  read:lists
  GET    /api/v1/accounts/:id/endorsements           read:accounts?
  GET    /api/v1/accounts/:id/featured_tags          read:accounts?
  POST   /api/v1/accounts/:id/follow                 write:follows
  POST   /api/v1/accounts/:id/unfollow               write:follows
  POST   /api/v1/accounts/:id/remove_from_followers  write:follows
  POST   /api/v1/accounts/:id/block                  write:blocks
  POST   /api/v1/accounts/:id/unblock                write:blocks
  POST   /api/v1/accounts/:id/mute                   write:mutes
  POST   /api/v1/accounts/:id/unmute                 write:mutes
  POST   /api/v1/accounts/:id/note                   write:accounts
  GET    /api/v1/blocks                              read:blocks
  GET    /api/v1/domain_blocks                       read:blocks
  GET    /api/v1/mutes                               read:mutes
  GET    /api/v1/followed_tags                       read:follows
  GET    /api/v1/follow_requests                     read:follows
  POST   /api/v1/follow_requests/:id/authorize       write:follows
  POST   /api/v1/follow_requests/:id/reject          write:follows
  GET    /api/v2/suggestions                         read:accounts
  POST   /api/v1/reports                             write:reports

  GET    /api/v1/statuses                            read:statuses?
  POST   /api/v1/statuses                            write:statuses
  GET    /api/v1/statuses/:id                        read:statuses?
  PUT    /api/v1/statuses/:id                        write:statuses
  DELETE /api/v1/statuses/:id                        write:statuses
  GET    /api/v1/statuses/:id/source                 read:statuses
  GET    /api/v1/statuses/:id/history                read:statuses?
  GET    /api/v1/statuses/:id/context                read:statuses?
  GET    /api/v1/statuses/:id/favourited_by          read:accounts?
  GET    /api/v1/statuses/:id/reblogged_by           read:accounts?
  POST   /api/v1/statuses/:id/favourite              write:favourites
  POST   /api/v1/statuses/:id/unfavourite            write:favourites
  POST   /api/v1/statuses/:id/reblog                 write:statuses
  POST   /api/v1/statuses/:id/unreblog               write:statuses
  POST   /api/v1/statuses/:id/bookmark               write:bookmarks
  POST   /api/v1/statuses/:id/unbookmark             write:bookmarks
  POST   /api/v1/statuses/:id/pin                    write:accounts
  POST   /api/v1/statuses/:id/unpin                  write:accounts
  POST   /api/v1/statuses/:id/mute                   write:mutes
  POST   /api/v1/statuses/:id/unmute                 write:mutes
  GET    /api/v1/polls/:id                           read:statuses?
  POST   /api/v1/polls/:id/votes                     write:statuses
  POST   /api/v1/media                               write:media
  POST   /api/v2/media                               write:media
  GET    /api/v1/media/:id                           write:media
  PUT    /api/v1/media/:id                           write:media
  DELETE /api/v1/media/:id                           write:media

  GET    /api/v1/timelines/home                      read:statuses
  GET    /api/v1/timelines/public                    read:statuses?
  GET    /api/v1/timelines/tag/:tag                  read:statuses?
  GET    /api/v1/timelines/list/:id                  read:lists
  GET    /api/v1/favourites                          read:favourites
  GET    /api/v1/bookmarks                           read:bookmarks
  GET    /api/v1/conversations                       read:statuses
  GET    /api/v1/markers                             read:statuses
  POST   /api/v1/markers                             write:statuses
  GET    /api/v2/search                              read:search?

  GET    /api/v1/lists                               read:lists
  POST   /api/v1/lists                               write:lists
  GET    /api/v1/lists/:id                           read:lists
  PUT    /api/v1/lists/:id                           write:lists
  DELETE /api/v1/lists/:id                           write:lists
  GET    /api/v1/lists/:id/accounts                  read:lists
  POST   /api/v1/lists/:id/accounts                  write:lists
  DELETE /api/v1/lists/:id/accounts                  write:lists

  GET    /api/v1/filters                             read:filters
  POST   /api/v1/filters                             write:filters
  GET    /api/v1/filters/:id                         read:filters
  PUT    /api/v1/filters/:id                         write:filters
  DELETE /api/v1/filters/:id                         write:filters
  GET    /api/v2/filters                             read:filters
  POST   /api/v2/filters                             write:filters
  GET    /api/v2/filters/:id                         read:filters
  PUT    /api/v2/filters/:id                         write:filters
  DELETE /api/v2/filters/:id                         write:filters
  GET    /api/v2/filters/:id/keywords                read:filters
  POST   /api/v2/filters/:id/keywords                write:filters
  GET    /api/v2/filters/keywords/:id                read:filters
  PUT    /api/v2/filters/keywords/:id                write:filters
  DELETE /api/v2/filters/keywords/:id                write:filters
  GET    /api/v2/filters/:id/statuses                read:filters
  POST   /api/v2/filters/:id/statuses                write:filters
  GET    /api/v2/filters/statuses/:id                read:filters
  DELETE /api/v2/filters/statuses/:id                write:filters

  GET    /api/v1/notifications                       read:notifications
  GET    /api/v1/notifications/:id                   read:notifications
  GET    /api/v1/notifications/unread_count          read:notifications
  GET    /api/v1/notifications/policy                read:notifications
  GET    /api/v1/notifications/requests              read:notifications
  GET    /api/v1/notifications/requests/merged       read:notifications
  POST   /api/v1/notifications/clear                 write:notifications
  POST   /api/v1/notifications/:id/dismiss           write:notifications
  GET    /api/v2/notifications                       read:notifications
  GET    /api/v2/notifications/:key                  read:notifications
  GET    /api/v2/notifications/:key/accounts         read:notifications
  GET    /api/v2/notifications/unread_count          read:notifications
  GET    /api/v2/notifications/policy                read:notifications
  POST   /api/v2/notifications/:key/dismiss          write:notifications
  GET    /api/v1/push/subscription                   push
  POST   /api/v1/push/subscription                   push
  PUT    /api/v1/push/subscription                   push
  DELETE /api/v1/push/subscription                   push

  GET    /api/flattr/v1/openapi.json                 public
  GET    /api/flattr/v1/things/lookup                public
  GET    /api/flattr/v1/things/:id                   public
  GET    /api/flattr/v1/flattrs                      flattr:read
  GET    /api/flattr/v1/flattrs/current              flattr:read
  POST   /api/flattr/v1/flattrs                      flattr:write
  DELETE /api/flattr/v1/flattrs                      flattr:write
  GET    /api/flattr/v1/subscriptions                flattr:read
  POST   /api/flattr/v1/subscriptions                flattr:write
  POST   /api/flattr/v1/subscriptions/pause          flattr:write
  DELETE /api/flattr/v1/subscriptions                flattr:write
  GET    /api/flattr/v1/preferences                  flattr:read
  PUT    /api/flattr/v1/preferences                  flattr:write
  GET    /api/flattr/v1/statement                    flattr:read+money:read
  GET    /api/flattr/v1/receipt                      flattr:read+money:read
  GET    /api/flattr/v1/budget                       flattr:read+money:read
  PUT    /api/flattr/v1/budget                       flattr:write
`);

/** A line of the table. */
interface Line {
  readonly method: string;
  readonly path: string;
  /** `public`, `by-itself`, or the scopes of which one is enough. */
  readonly asked: string;
  /** Only who sends a token must have the scope. */
  readonly isOptional: boolean;
  /** Amounts are told to those alone who have `money:read`, too. */
  readonly isMoney: boolean;
}

function readTable(text: string): readonly Line[] {
  return text
    .trim()
    .split(/\n\s*/)
    .map((line) => {
      const [method, path, said, ...more] = line.split(/ +/);
      if (said === undefined || more.length > 0) throw new Error(`no line of the table: ${line}`);
      const asked = said.replace(MONEY, "").replace(/\?$/, "");
      return {
        method: method!,
        path: path!,
        asked,
        isOptional: said.endsWith("?"),
        isMoney: said.endsWith(MONEY),
      };
    });
}

/** The scopes of a line; none where none is asked for. */
const scopesOf = ({ asked }: Line) =>
  asked === PUBLIC || asked === BY_ITSELF ? [] : asked.split("|");

/** True where everybody is answered the same. */
const isPublic = (route: Pick<Route, "method" | "path">) =>
  TABLE.some(
    ({ method, path, asked }) => method === route.method && path === route.path && asked === PUBLIC,
  );

interface Route {
  readonly method: string;
  readonly path: string;
  readonly guards: readonly Guard[];
}

function routesOf(app: ReturnType<typeof clientHouse>["app"]): readonly Route[] {
  const routes = new Map<string, { method: string; path: string; guards: Guard[] }>();
  for (const { method, path, handler } of app.routes) {
    if (method === "ALL" || path.includes("*")) continue;
    const key = `${method} ${path}`;
    const route = routes.get(key) ?? { method, path, guards: [] };
    // Hono wraps what it mounts with errors of its own.
    const guard = findTargetHandler(handler);
    if ("wanted" in guard) route.guards.push(guard as unknown as Guard);
    routes.set(key, route);
  }
  return [...routes.values()];
}

const filled = (path: string) =>
  path.replaceAll(/:(\w+)(?:\{[^}]+\})?/g, (_, name: string) => (name === "id" ? "1" : "none"));

test("each route has the guard that the table says, and the table has each route", async () => {
  const { app } = clientHouse(await testDatabase());
  const mounted = routesOf(app).map(({ method, path, guards }) => {
    const asked = guards.map(
      ({ wanted, isOptional }) => `${wanted.join("|")}${isOptional ? "?" : ""}`,
    );
    return `${method} ${path} ${asked.length === 0 ? "nothing" : asked.join(" and ")}`;
  });
  const written = TABLE.map((line) => {
    const scopes = scopesOf(line).join("|");
    const asked = scopes === "" ? "nothing" : `${scopes}${line.isOptional ? "?" : ""}`;
    return `${line.method} ${line.path} ${asked}`;
  });
  expect(mounted.toSorted()).toEqual(written.toSorted());
});

test("the scope of a route opens it, and all others together do not", async () => {
  const database = await testDatabase();
  const { ask, as } = clientHouse(database);
  const alice = await person(database, "alice", { budget: "2.00", money: "5.00" });
  const tokens = new Map<string, Ask>();
  const holding = async (scopes: readonly string[]): Promise<Ask> => {
    const list = scopes.join(" ");
    const known = tokens.get(list) ?? (await as(alice, list));
    tokens.set(list, known);
    return known;
  };
  const isOutside = ({ status, body }: Answer) =>
    status === 403 &&
    ["This action is outside the authorized scopes", "insufficient_scope"].includes(body.error);
  const isHidden = ({ status, body }: Answer) => status === 403 && body.error === "money_hidden";
  const wrong: string[] = [];
  for (const line of TABLE) {
    const { method, path, asked, isOptional, isMoney } = line;
    const ways = scopesOf(line);
    const trying = (who: Ask) =>
      who(method, filled(path), method === "GET" || method === "HEAD" ? undefined : {});
    const complain = (what: string, { status, body }: Answer) =>
      wrong.push(`${method} ${path} ${what}: ${status} ${JSON.stringify(body)}`);

    const stranger = await trying(ask);
    const isOpen = asked === PUBLIC || isOptional;
    if ((stranger.status !== 401) !== isOpen || isOutside(stranger))
      complain("without a token", stranger);
    if (ways.length === 0) continue;

    for (const scope of ways) {
      const answer = await trying(await holding([scope]));
      if (answer.status === 401 || isOutside(answer) || isHidden(answer) !== isMoney)
        complain(`with ${scope}`, answer);
    }
    const others = SCOPES.filter((one) => !ways.some((scope) => allows([one], scope)));
    const refused = await trying(await holding(others));
    if (!isOutside(refused)) complain("with all other scopes", refused);
    if (!isMoney) continue;
    const rich = await trying(await holding([...ways, "money:read"]));
    if (rich.status === 401 || isOutside(rich) || isHidden(rich)) complain("with money:read", rich);
  }
  expect(wrong).toEqual([]);
}, 60_000);

test("every route asks for a token of its scope, and changes nothing without it", async () => {
  const database = await testDatabase();
  const { app, ask, as } = clientHouse(database);
  const alice = await person(database, "alice", { budget: "2.00", money: "5.00" });
  const routes = routesOf(app);
  expect(routes.length).toBeGreaterThan(100);
  const byScope = new Map<string, Ask>();
  for (const scope of SCOPES) byScope.set(scope, await as(alice, scope));
  const before = await snapshot(database);
  const wrong: string[] = [];
  for (const { method, path, guards } of routes) {
    const name = `${method} ${path}`;
    const at = filled(path);
    const body = method === "GET" || method === "HEAD" ? undefined : {};
    if (guards.length === 0) continue;
    const isOptional = guards.every((guard) => guard.isOptional);
    const stranger = await ask(method, at, body);
    if (!isOptional && stranger.status !== 401)
      wrong.push(`${name} answers strangers ${stranger.status}`);
    for (const [scope, asScope] of byScope) {
      if (guards.every(({ wanted }) => wanted.some((one) => allows([scope], one)))) continue;
      const refused = await asScope(method, at, body);
      if (refused.status !== 403) wrong.push(`${name} with ${scope} answers ${refused.status}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(await snapshot(database)).toBe(before);
}, 120_000);

test("no route answers 5xx to what belongs to nobody", async () => {
  const database = await testDatabase();
  const { app, as } = clientHouse(database);
  const alice = await person(database, "alice");
  const all = await as(alice, SCOPES.join(" "));
  const wrong: string[] = [];
  for (const { method, path } of routesOf(app)) {
    for (const id of [
      "1",
      "0",
      "-1",
      "abc",
      "9".repeat(30),
      "1e3",
      "%00",
      "'; DROP TABLE post; --",
    ]) {
      const at = path.replaceAll(/:(\w+)(?:\{[^}]+\})?/g, () => encodeURIComponent(id));
      const body = method === "GET" || method === "HEAD" ? undefined : { id: [], status: 7, q: {} };
      const { status } = await all(method, at, body);
      if (status >= 500) wrong.push(`${method} ${at}: ${status}`);
      if (!path.includes(":")) break;
    }
  }
  expect(wrong).toEqual([]);
}, 120_000);

test("no cache keeps what is answered to somebody, unless it is the same for everybody", async () => {
  const database = await testDatabase();
  const { app, ask, as } = clientHouse(database);
  const alice = await person(database, "alice", { budget: "2.00", money: "5.00" });
  const all = await as(alice, SCOPES.join(" "));
  const { id } = (await all("POST", "/api/v1/statuses", { status: "Hello" })).body;
  const wrong: string[] = [];
  const shared = new Set<string>();
  let found = 0;
  for (const { method, path, guards } of routesOf(app)) {
    if (method !== "GET") continue;
    // Also what is not there is nobody else's business; some of it is.
    for (const some of ["1", id, String(alice.actor)]) {
      const at = path.replaceAll(/:(\w+)(?:\{[^}]+\})?/g, some);
      const own = await all(method, at);
      const cache = own.headers.get("cache-control");
      if (cache === "private, no-store") found += own.status === 200 ? 1 : 0;
      else {
        shared.add(path);
        const isSame = JSON.stringify(own.body) === JSON.stringify((await ask(method, at)).body);
        if (guards.length > 0 || !cache?.startsWith("public") || !isSame)
          wrong.push(`${at} answers ${own.status} with ${cache}`);
      }
      if (at === path) break;
    }
  }
  expect(wrong).toEqual([]);
  expect(found).toBeGreaterThan(50);
  expect([...shared].filter((path) => !isPublic({ method: "GET", path }))).toEqual([]);
}, 60_000);

test("an app without an account reads what is open, and acts for nobody", async () => {
  const database = await testDatabase();
  const { app, ask } = clientHouse(database);
  const made = await ask("POST", "/api/v1/apps", {
    client_name: "Robot",
    redirect_uris: "urn:ietf:wg:oauth:2.0:oob",
    scopes: "read write",
  });
  const token = await ask("POST", "/oauth/token", {
    grant_type: "client_credentials",
    client_id: made.body.client_id,
    client_secret: made.body.client_secret,
    scope: "read write",
  });
  expect(token.status).toBe(200);
  const headers = { authorization: `Bearer ${token.body.access_token}` };
  expect((await ask("GET", "/api/v1/timelines/public", undefined, headers)).status).toBe(200);
  for (const { method, path, guards } of routesOf(app)) {
    if (guards.every(({ isOptional }) => isOptional)) continue;
    const { status } = await ask(method, filled(path), method === "GET" ? undefined : {}, headers);
    expect([403, 422], `${method} ${path}`).toContain(status);
  }
}, 60_000);
