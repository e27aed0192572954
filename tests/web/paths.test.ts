/** Other spellings of an address: each means the same with all its guards, or nothing (W12). */

import { request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createAccount } from "../../src/features/account/create.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { createToken } from "../../src/features/access/token.ts";
import { registerApp } from "../../src/features/access/app.ts";
import type { Database } from "../../src/store/database.ts";
import { eur, snapshot } from "../support/database.ts";
import { type Neighbour, neighbours } from "../support/instances.ts";

const PASSWORD = "correct horse battery";

interface Told {
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
}

/** Sends a path as it stands here: what asks by URLs would tidy it first. */
function raw(
  { origin, host }: Neighbour,
  path: string,
  {
    method = "GET",
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Told> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const asked = request(
      { hostname, port, path, method, headers: { host, ...headers } },
      (answer) => {
        text(answer).then(
          (said) =>
            resolve({
              status: answer.statusCode!,
              location: answer.headers.location,
              text: said,
            }),
          reject,
        );
      },
    );
    asked.once("error", reject);
    asked.end(body);
  });
}

/** Ways to write a path that some program on the way takes for the same. */
function spellings(path: string): readonly string[] {
  const [, first = "", ...rest] = path.split("/");
  const encoded = [...first].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("");
  const tail = rest.length === 0 ? "" : `/${rest.join("/")}`;
  return [
    `/${encoded}${tail}`,
    `/${encoded.slice(0, 3)}${first.slice(1)}${tail}`,
    `/%25${encoded.slice(1, 3)}${first.slice(1)}${tail}`,
    `/${[first, ...rest].join("%2f")}`,
    `/${[first, ...rest].join("%2F")}`,
    `%2f${path.slice(1)}`,
    `/%2f${path.slice(1)}`,
    `/${path}`,
    `//${path}`,
    path.replaceAll("/", "//"),
    `/.${path}`,
    `/./${path}`,
    `/%2e${path}`,
    `/x/..${path}`,
    `/x/%2e%2e${path}`,
    `/x/%2e%2e%2f${path.slice(1)}`,
    `/users/alice/..;${path}`,
    `/media/%2e%2e${path}`,
    `/\\${path}`,
    path.replaceAll("/", "\\"),
    path.toUpperCase(),
    `/${first[0]!.toUpperCase()}${first.slice(1)}${tail}`,
    `${path}/`,
    `${path}//`,
    `${path}/.`,
    `${path}/%2e%2e/${first}`,
    `${path}%20`,
    `${path}%00`,
    `${path}%2f`,
    `${path};x=1`,
    `${path}.json`,
    `${path}?`,
    `http://evil.example${path}`,
  ];
}

async function town() {
  const [home] = await neighbours(1);
  const { database, clock } = home!.instance;
  const at = clock.now();
  const alice = await createAccount(database, {
    name: "alice",
    email: "alice@mail.example",
    password: PASSWORD,
    role: "user",
    at,
  });
  await setBudget(database, { patron: alice.id, amount: eur("5.00"), at });
  const { app } = await registerApp(database, {
    name: "App",
    website: undefined,
    redirectUris: ["https://app.example/"],
    scopes: "read",
    at,
  });
  const { secret } = await createToken(database.drizzle, {
    app: app.id,
    account: alice.id,
    scopes: ["read"],
    countsFlattrs: false,
    at,
  });
  return { home: home!, database, authorization: `Bearer ${secret}` };
}

/** Counting begins anew at the same moments for all: waits for the next one unless this stretch still has so much time. */
async function withinOneStretch(stretchMs: number, neededMs: number): Promise<void> {
  const leftMs = stretchMs - (Date.now() % stretchMs);
  if (leftMs < neededMs) await sleep(leftMs);
}

/** What only its owner is told. */
const OWN = /alice@mail|"username":"alice"|5\.00 EUR|"5000000"/;

/** All that these requests could change. The bot's greeting comes in its own time. */
async function everything(database: Database): Promise<string> {
  const [row] = await database.sql<[{ all: object }]>`
    SELECT json_build_object('sessions', (SELECT count(*) FROM session), 'follows', (SELECT count(*) FROM follow),
      'favourites', (SELECT count(*) FROM favourite), 'read', (SELECT count(*) FROM activity),
      'posts', (SELECT count(*) FROM post p JOIN account a ON a.actor = p.author)) AS all`;
  return `${JSON.stringify(row.all)} ${await snapshot(database)}`;
}

test("no spelling of an address reads or changes what the address itself does not", async () => {
  const { home, database, authorization } = await town();
  const before = await everything(database);
  const json = { "content-type": "application/json" };
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const reads = [
    ["/api/v1/accounts/verify_credentials", {}],
    ["/api/v1/timelines/home", {}],
    ["/api/flattr/v1/budget", { authorization }],
    ["/settings", {}],
  ] as const;
  const writes = [
    ["/api/v1/statuses", JSON.stringify({ status: "x" }), json],
    ["/api/v1/statuses", JSON.stringify({ status: "x" }), { ...json, authorization }],
    ["/api/v1/notifications/clear", "{}", json],
    ["/settings/budget", "amount=9.00", form],
    ["/settings/budget", "amount=9.00", { ...form, origin: home.origin, authorization }],
    ["/sign-in", `name=alice&password=${encodeURIComponent(PASSWORD)}`, form],
    ["/sign-out", "", form],
    ["/oauth/authorize", "decision=approve", form],
    ["/inbox", '{"type":"Follow"}', { "content-type": "application/activity+json" }],
    ["/users/alice/inbox", '{"type":"Like"}', { "content-type": "application/activity+json" }],
  ] as const;
  const asked: [string, string, Told][] = [];
  for (const [path, headers] of reads)
    for (const one of [path, ...spellings(path)])
      asked.push(["GET", one, await raw(home, one, { headers })]);
  for (const [path, body, headers] of writes)
    for (const one of [path, ...spellings(path)])
      asked.push(["POST", one, await raw(home, one, { method: "POST", headers, body })]);
  for (const [method, path, { status, location, text: said }] of asked) {
    const name = `${method} ${path} answers ${status} ${location ?? ""}`;
    expect([303, 400, 401, 403, 404], name).toContain(status);
    // Nobody is sent anywhere but to where one signs in, here.
    if (location !== undefined) expect(location, name).toMatch(/^\/sign-in(?:\?next=%2F|$)/);
    expect(said, name).not.toMatch(OWN);
  }
  expect(asked.filter(([, , { status }]) => status === 404).length).toBeGreaterThan(100);
  expect(await everything(database)).toBe(before);
  // Where it is asked for as it should be, it is told.
  const own = await raw(home, "/api/v1/accounts/verify_credentials", {
    headers: { authorization },
  });
  expect(own.text).toMatch(OWN);
});

test("wrong passwords are counted together, however the address is written", async () => {
  const { home } = await town();
  await withinOneStretch(10 * 60_000, 20_000);
  const cookies: string[] = [];
  const page = await fetch(`${home.origin}/sign-in`);
  for (const line of page.headers.getSetCookie()) cookies.push(line.split(";")[0]!);
  const token = /name="form_token"\s+value="([^"]+)"/.exec(await page.text())![1]!;
  const tries: number[] = [];
  for (let times = 0; times < 16; times += 1) {
    const path = ["/sign-in", "/%73ign-in", "/sign%2din", "/x/../sign-in"][times % 4]!;
    const { status } = await raw(home, path, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        origin: home.origin,
        cookie: cookies.join("; "),
        "x-forwarded-for": `198.51.100.${times}`,
      },
      body: new URLSearchParams({ form_token: token, name: "alice", password: "no" }).toString(),
    });
    tries.push(status);
  }
  expect(tries[0]).toBe(401);
  expect(tries.filter((status) => status === 401).length).toBeLessThanOrEqual(10);
  expect(tries.slice(-4)).toEqual([429, 429, 429, 429]);
});

test("requests of the client API are counted together, however the address is written", async () => {
  const [home] = await neighbours(1, { settings: { CLIENT_REQUESTS: "30" } });
  const paths = ["/api/v1/instance", "/api/v1/%69nstance", "/x/../api/v1/instance"];
  const answers: number[] = [];
  await withinOneStretch(5 * 60_000, 20_000);
  for (let times = 0; times < 45; times += 1)
    answers.push((await raw(home!, paths[times % paths.length]!)).status);
  expect(answers[0]).toBe(200);
  expect(answers.filter((status) => status === 200).length).toBeLessThanOrEqual(30);
  expect(answers.slice(-3)).toEqual([429, 429, 429]);
});

test("whatever host a request names, addresses are those of this instance", async () => {
  const { home } = await town();
  for (const path of [
    "/",
    "/users/alice",
    "/sign-in",
    "/settings",
    "/@alice",
    "/api/v2/instance",
  ]) {
    const headers = { host: "evil.example", "x-forwarded-host": "evil.example" };
    const answer = await raw(home, path, { headers });
    expect(answer.status, path).toBeLessThan(400);
    expect(`${answer.location ?? ""} ${answer.text}`, path).not.toContain("evil.example");
  }
});
