/** Every route and every scope: read from the route table, so that no route is forgotten. */

import { expect, test } from "vitest";
import type { Guard } from "../../src/edges/mastodon/frame.ts";
import { allows, SCOPES } from "../../src/rules/scope.ts";
import { person, snapshot, testDatabase } from "../support/database.ts";
import { type Ask, clientHouse } from "../support/client.ts";

/** What everybody may ask without any scope: what the instance says about itself, and the first steps of OAuth. */
const OPEN = [
  /^\/api\/v[12]\/instance/,
  /^\/api\/v1\/custom_emojis$/,
  /^\/api\/v1\/apps/,
  /^\/oauth\//,
  /^\/\.well-known\//,
  /^\/api\/v1\/streaming\/health$/,
  /^\/api\/v1\/trends/,
  /^\/api\/v1\/statuses\/:id\/card$/,
  /^\/api\/flattr\/v1\/(?:openapi\.json|things)/,
];

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
    if ("wanted" in handler) route.guards.push(handler as unknown as Guard);
    routes.set(key, route);
  }
  return [...routes.values()];
}

const filled = (path: string) =>
  path.replaceAll(/:(\w+)(?:\{[^}]+\})?/g, (_, name: string) => (name === "id" ? "1" : "none"));

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
    if (guards.length === 0) {
      if (!OPEN.some((open) => open.test(path))) wrong.push(`${name} asks for no scope`);
      continue;
    }
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
  expect([...shared].filter((path) => !OPEN.some((open) => open.test(path)))).toEqual([]);
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
