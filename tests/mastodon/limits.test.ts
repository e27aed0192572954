import { setTimeout as sleep } from "node:timers/promises";
import { Hono } from "hono";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  answerError,
  type ClientEnv,
  scopeIfAny,
  signedIn,
} from "../../src/edges/mastodon/frame.ts";
import { CLIENT_LIMITS, limitCallers, limitSenders } from "../../src/edges/mastodon/limits.ts";
import type { Account } from "../../src/features/account/create.ts";
import { openRates } from "../../src/store/rates.ts";
import type { Clock } from "../../src/store/time.ts";
import { at, person, testDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/process.ts";
import { tokenOf } from "../support/sockets.ts";

/** A node behind its limits. The time stands, one minute after a window began. */
function node(database: TestDatabase) {
  let now = at("2026-11-10T12:01:00Z");
  const clock: Clock = { now: () => now, real: () => now };
  const rates = openRates(database, clock);
  onTestFinished(() => rates.close());
  const parts = { database, clock } as unknown as Parameters<typeof signedIn>[0];
  const app = new Hono<ClientEnv>()
    .use(limitSenders(rates))
    .use(signedIn(parts))
    .use(limitCallers(rates))
    .all("*", scopeIfAny("read"), (c) => c.json({}))
    .onError(answerError);
  const ask = async (
    token: string | undefined,
    method = "GET",
    path = "/api/v1/instance",
    remoteAddress = "192.0.2.1",
  ) =>
    app.request(
      path,
      { method, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } },
      { remoteAddress },
    );
  return { ask, move: (minutes: number) => (now = now.add({ minutes })) };
}

/** How many of so many requests are answered, and the last answer. */
async function many(times: number, ask: (n: number) => Promise<Response>) {
  let answered = 0;
  let last: Response | undefined;
  for (let n = 0; n < times; n += 1) {
    last = await ask(n);
    if (last.status === 200) answered += 1;
  }
  return { answered, last: last! };
}

async function house() {
  const database = await testDatabase();
  const ada: Account = await person(database, "ada");
  return { database, ada, token: (await tokenOf(database, ada)).secret, ...node(database) };
}

describe("requests", () => {
  test("of strangers end at their limit, are told of it, and begin anew; others are not concerned", async () => {
    const { ask, move } = await house();
    const first = await ask(undefined);
    expect(first.headers.get("x-ratelimit-limit")).toBe("300");
    expect(first.headers.get("x-ratelimit-remaining")).toBe("299");
    expect(first.headers.get("x-ratelimit-reset")).toBe("2026-11-10T12:05:00.000Z");
    const { answered, last } = await many(310, () => ask(undefined));
    expect(answered).toBe(299);
    expect(last.status).toBe(429);
    expect(last.headers.get("retry-after")).toBe("240");
    expect(last.headers.get("x-ratelimit-remaining")).toBe("0");
    expect(await last.json()).toEqual({
      error: "too_many_requests",
      error_description: "That is too often. Try again in 240 seconds.",
    });
    expect((await ask(undefined, "GET", "/", "192.0.2.2")).status).toBe(200);
    move(5);
    expect((await ask(undefined)).status).toBe(200);
  });

  test("of one customer's IPv6 addresses are counted together", async () => {
    const { ask } = await house();
    const { answered } = await many(310, (n) =>
      ask(undefined, "GET", "/", `2001:db8:1:2::${n.toString(16)}`),
    );
    expect(answered).toBe(300);
    expect((await ask(undefined, "GET", "/", "2001:db8:1:3::1")).status).toBe(200);
  });

  test("of one token end at its limit, those of the same person's other apps later", async () => {
    const { ask, ada, database, token } = await house();
    const { answered, last } = await many(305, () => ask(token));
    expect([answered, last.status]).toEqual([300, 429]);
    expect(last.headers.get("x-ratelimit-limit")).toBe("300");
    let together = answered;
    for (let n = 0; n < 5; n += 1) {
      const { secret } = await tokenOf(database, ada);
      together += (await many(300, () => ask(secret))).answered;
    }
    // Refused ones of the first token were counted for the account.
    expect(together).toBe(1_495);
    const bob = await tokenOf(database, await person(database, "bob"));
    expect((await ask(bob.secret)).status).toBe(200);
  });

  test("with tokens that are none are refused, and end at the limit of their address", async () => {
    const { ask } = await house();
    const { limit } = CLIENT_LIMITS.sender;
    expect((await ask("wrong")).status).toBe(401);
    const all = await Promise.all(Array.from({ length: limit + 50 }, () => ask("wrong")));
    expect(all.filter(({ status }) => status === 429)).toHaveLength(51);
    expect((await ask("wrong", "GET", "/", "192.0.2.9")).status).toBe(401);
  });

  test.each([
    ["uploads", "POST", () => "/api/v2/media", 30],
    ["deleted posts", "DELETE", (n: number) => `/api/v1/statuses/${n}`, 30],
    ["boosts taken back", "POST", (n: number) => `/api/v1/statuses/${n}/unreblog`, 30],
  ])("%s have a limit of their own", async (_, method, path, limit) => {
    const { ask, token, move } = await house();
    const first = await ask(token, method, path(0));
    expect(first.headers.get("x-ratelimit-limit")).toBe(String(limit));
    const { answered, last } = await many(limit + 5, (n) => ask(token, method, path(n + 1)));
    expect([answered, last.status]).toEqual([limit - 1, 429]);
    expect((await ask(token)).status).toBe(200);
    move(30);
    expect((await ask(token, method, path(1))).status).toBe(200);
  });

  test("that turn pages have a limit of their own", async () => {
    const { ask, token, move } = await house();
    await many(290, () => ask(token, "GET", "/api/v1/timelines/home?max_id=5"));
    move(5);
    const { answered, last } = await many(20, () =>
      ask(token, "GET", "/api/v1/timelines/home?min_id=5&limit=2"),
    );
    expect([answered, last.status]).toEqual([10, 429]);
    expect((await ask(token, "GET", "/api/v1/timelines/home")).status).toBe(200);
  });

  test("are counted by two nodes together, as soon as each has written down its own", async () => {
    const { database, ask, token } = await house();
    const other = node(database);
    /** Waits until so many are written down, and until the node that wrote the last ones knows of it. */
    const written = async (times: number) => {
      const look = async () => {
        const [{ sum }] = await database.sql<[{ sum: number | null }]>`
          SELECT sum(count)::int AS sum FROM rate WHERE key LIKE 'client token %'`;
        return sum === times ? true : undefined;
      };
      await until(10_000, look, `${times} written down`);
      await sleep(100);
    };
    await many(200, () => ask(token));
    await written(200);
    // The other one knows what both have counted as soon as it has written down its own first one.
    await other.ask(token);
    await written(201);
    const { answered } = await many(150, () => other.ask(token));
    expect(answered).toBe(99);
    await written(300);
    await many(1, () => ask(token));
    await written(301);
    expect((await ask(token)).status).toBe(429);
  });
});
