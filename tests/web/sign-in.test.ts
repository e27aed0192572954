import { createHash } from "node:crypto";
import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { guardForms } from "../../src/edges/web/form.ts";
import { type PageEnv, readSession, requireSession } from "../../src/edges/web/visit.ts";
import { pageHeaders } from "../../src/edges/web/headers.ts";
import { LANGUAGES } from "../../src/edges/web/words.ts";
import { forgetStale } from "../../src/features/access/forget.ts";
import { createAccount } from "../../src/features/account/create.ts";
import {
  hashPassword,
  NOBODYS_HASH,
  openPasswordCheck,
} from "../../src/features/account/password.ts";
import { setPassword } from "../../src/features/account/set-password.ts";
import { ownPath } from "../../src/rules/redirect.ts";
import { networkOf } from "../../src/store/sender.ts";
import { Temporal } from "../../src/store/time.ts";
import { at, testDatabase, type TestDatabase } from "../support/database.ts";
import { TEST_ORIGIN } from "../support/server.ts";
import { handClock, hiddenFields, signInAs, site, visitor } from "../support/visitor.ts";

const PASSWORD = "correct horse battery";

async function instance(
  settings: Parameters<typeof testDatabase>[0] = {},
  factors: Parameters<typeof site>[2] = [],
) {
  const database = await testDatabase(settings);
  const clock = handClock();
  const account = await createAccount(database, {
    name: "alice",
    email: "alice@mail.example",
    password: PASSWORD,
    role: "user",
    at: at("2026-11-01"),
  });
  const { origin } = database.settings;
  const app = site(database, clock, factors);
  return { database, clock, account, app, at: (address: string) => visitor(app, origin, address) };
}

const sessions = async ({ sql }: TestDatabase) =>
  (await sql`SELECT id, network, user_agent, digest FROM session ORDER BY id`) as unknown as {
    id: bigint;
    network: string;
    digest: Uint8Array;
  }[];

describe("signing in", () => {
  test.each(["alice", "ALICE", " @alice ", "Alice@mail.example"])("works as %s", async (name) => {
    const { at, database } = await instance();
    const who = at("192.0.2.77");
    const answer = await signInAs(who, name, PASSWORD);
    expect(answer.status).toBe(303);
    expect(answer.headers.get("location")).toBe("/");
    const [kept] = await sessions(database);
    expect(kept!.network).toBe("192.0.2.0/24");
    expect(await (await who.get("/sign-in")).text()).toContain("Signed in as alice.");
  });

  test("gives a cookie that scripts, other hosts and other sites do not get, and keeps its digest alone", async () => {
    const { at, database } = await instance();
    const who = at("192.0.2.1");
    await signInAs(who, "alice", PASSWORD);
    const line = who.setCookies.find((cookie) => cookie.startsWith("__Host-fediflattr="))!;
    expect(line).toMatch(/; HttpOnly/);
    expect(line).toMatch(/; Secure/);
    expect(line).toMatch(/; SameSite=Lax/);
    expect(line).toMatch(/; Path=\//);
    expect(line).not.toMatch(/Domain/i);
    const secret = who.cookies.get("__Host-fediflattr")!;
    expect(secret).toMatch(/^[\w-]{43}$/);
    const [kept] = await sessions(database);
    expect(Buffer.from(kept!.digest).toString("base64url")).not.toContain(secret);
  });

  test("has a cookie without a prefix where there is no encryption", async () => {
    const { at } = await instance({ origin: "http://localhost:3000" });
    const who = at("127.0.0.1");
    expect((await signInAs(who, "alice", PASSWORD)).status).toBe(303);
    expect(who.cookies.has("fediflattr")).toBe(true);
    expect(who.setCookies.join()).not.toMatch(/Secure/);
  });

  test.each(["en", "de", "nl"] as const)("is asked in %s, without scripts", async (language) => {
    const { at } = await instance();
    const page = await at("192.0.2.1").get("/sign-in", { "accept-language": language });
    const text = await page.text();
    expect(text).toContain(LANGUAGES[language].password);
    expect(text).not.toMatch(/<script|style=|\son\w+=|https?:\/\//);
    expect(page.headers.get("cache-control")).toBe("no-store");
  });
});

describe("sessions", () => {
  test("W02: a cookie from before signing in is worth nothing after it, and each sign-in has a new one", async () => {
    const { at, database } = await instance();
    const who = at("192.0.2.1");
    const planted = "A".repeat(43);
    who.cookies.set("__Host-fediflattr", planted);
    await signInAs(who, "alice", PASSWORD);
    const first = who.cookies.get("__Host-fediflattr")!;
    expect(first).not.toBe(planted);
    const before = new Map(who.cookies);
    await signInAs(who, "alice", PASSWORD);
    const second = who.cookies.get("__Host-fediflattr")!;
    expect(second).not.toBe(first);
    expect(await sessions(database)).toHaveLength(1);
    const thief = at("192.0.2.9");
    for (const [name, value] of before) thief.cookies.set(name, value);
    expect(await (await thief.get("/sign-in")).text()).not.toContain("Signed in as");
    expect(who.cookies.has("__Host-fediflattr-visit")).toBe(false);
  });

  test("end by signing out, at a new password, when idle for two weeks, and after ninety days", async () => {
    const { at, database, clock, account } = await instance();
    const isIn = async (who: ReturnType<typeof at>) =>
      (await (await who.get("/sign-in")).text()).includes("Signed in as");
    const who = at("192.0.2.1");
    await signInAs(who, "alice", PASSWORD);
    const stolen = at("192.0.2.1");
    for (const [name, value] of who.cookies) stolen.cookies.set(name, value);
    const hidden = hiddenFields(await (await who.get("/sign-in")).text(), "/sign-out");
    expect((await who.send("/sign-out", hidden)).status).toBe(303);
    expect(await isIn(stolen)).toBe(false);

    await signInAs(who, "alice", PASSWORD);
    expect(await setPassword(database, account.id, "another password")).toBe(1);
    expect(await isIn(who)).toBe(false);

    await signInAs(who, "alice", "another password");
    for (let days = 0; days < 88; days += 11) {
      clock.advance({ hours: 11 * 24 });
      expect(await isIn(who)).toBe(true);
    }
    clock.advance({ hours: 3 * 24 });
    expect(await isIn(who)).toBe(false);

    await signInAs(who, "alice", "another password");
    clock.advance({ hours: 14 * 24 + 1 });
    expect(await isIn(who)).toBe(false);
    expect(await sessions(database)).not.toHaveLength(0);
    await forgetStale(database, clock.real());
    expect(await sessions(database)).toHaveLength(0);
  });

  test("are no more once their person is gone", async () => {
    const { at, database, account } = await instance();
    const who = at("192.0.2.1");
    await signInAs(who, "alice", PASSWORD);
    await database.sql`UPDATE actor SET deleted_at = found_at WHERE id = ${account.actor}`;
    expect(await (await who.get("/sign-in")).text()).not.toContain("Signed in as");
  });
});

describe("W03: guessing", () => {
  const wrong = (who: ReturnType<typeof visitor>, name: string, password = "wrong password") =>
    signInAs(who, name, password);

  test("known and unknown names are told the same", async () => {
    const { at } = await instance();
    const answers = await Promise.all(
      [
        "alice",
        "nobody",
        "nobody@mail.example",
        "a\u0000b",
        "'; DROP TABLE account",
        "x".repeat(9_000),
      ].map(async (name, place) => {
        const answer = await wrong(at(`198.51.100.${place}`), name);
        const text = await answer.text();
        return `${answer.status} ${text.replaceAll(/value="[^"]*"/g, "")}`;
      }),
    );
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/^401 /);
    expect(answers[0]).toContain(LANGUAGES.en.wrongPassword);
  });

  test("an unknown name, one without a password and a password without end take as long as a wrong one", async () => {
    const check = openPasswordCheck();
    const parameters = (hash: string) => hash.split("$").slice(0, 4).join("$");
    expect(parameters(await hashPassword(PASSWORD))).toBe(parameters(NOBODYS_HASH));
    const hash = await hashPassword(PASSWORD);
    const guesses = [
      () => check.isRight(hash, "wrong password"),
      () => check.isRight(null, "wrong password"),
      () => check.isRight(hash, "x".repeat(100_000)),
    ];
    // In turn, and the shortest of each: whatever else this machine does only adds to it. Without a hash it is a thousandth.
    const shortest = guesses.map(() => Infinity);
    for (let tries = 0; tries < 9; tries += 1)
      for (const [n, guess] of guesses.entries()) {
        const begin = performance.now();
        expect(await guess()).toBe(false);
        shortest[n] = Math.min(shortest[n]!, performance.now() - begin);
      }
    const [ofKnown, ...ofOthers] = shortest as [number, ...number[]];
    for (const other of ofOthers) {
      expect(other).toBeGreaterThan(ofKnown / 4);
      expect(other).toBeLessThan(ofKnown * 4);
    }
    expect(await check.isRight(null, "")).toBe(false);
    expect(await check.isRight(hash, PASSWORD)).toBe(true);
  });

  test("20 wrong passwords from one address: it waits, minutes first, then hours", async () => {
    const { at, clock } = await instance();
    const statuses: number[] = [];
    for (let tries = 0; tries < 20; tries += 1)
      statuses.push((await wrong(at("203.0.113.5"), "alice")).status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.at(-1)).toBe(429);
    const late = await wrong(at("203.0.113.5"), "alice", PASSWORD);
    expect(late.status).toBe(429);
    expect(Number(late.headers.get("retry-after"))).toBeLessThanOrEqual(600);
    expect(await late.text()).toContain("tried too often");
    const waits: number[] = [];
    for (let stretch = 0; stretch < 4; stretch += 1) {
      clock.advance({ minutes: 10 });
      for (let tries = 0; tries < 12; tries += 1) {
        const answer = await wrong(at("203.0.113.5"), "alice");
        if (answer.status === 429) waits.push(Number(answer.headers.get("retry-after")));
      }
    }
    expect(Math.max(...waits)).toBeGreaterThan(3600);
  });

  test("200 names from one address, also from all addresses of one customer", async () => {
    const { at } = await instance();
    const statuses: number[] = [];
    for (let tries = 0; tries < 20; tries += 1)
      statuses.push((await wrong(at(`2001:db8:1:2::${tries}`), `name${tries}`)).status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(15);
    expect((await wrong(at("2001:db8:1:3::1"), "name99")).status).toBe(401);
  });

  test("20 addresses and one account: strangers wait, and whoever is known from his network does not", async () => {
    const { at, clock } = await instance();
    expect((await signInAs(at("192.0.2.10"), "alice", PASSWORD)).status).toBe(303);
    const statuses: number[] = [];
    for (let tries = 0; tries < 80; tries += 1) {
      if (tries % 10 === 9) clock.advance({ minutes: 10 });
      statuses.push((await wrong(at(`203.0.113.${tries}`), "alice")).status);
    }
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(60);
    expect(statuses.at(-1)).toBe(429);
    // Not the right password either, from where nobody has signed in, or it could be guessed on.
    expect((await signInAs(at("203.0.113.200"), "alice", PASSWORD)).status).toBe(429);
    expect((await signInAs(at("192.0.2.99"), "alice", PASSWORD)).status).toBe(303);
    // And by the other name of the same account.
    expect((await signInAs(at("192.0.2.98"), "alice@mail.example", PASSWORD)).status).toBe(303);
    clock.advance({ hours: 24 });
    expect((await signInAs(at("203.0.113.200"), "alice", PASSWORD)).status).toBe(303);
  });

  test("a known network guesses no more than a strange one", async () => {
    const { at } = await instance();
    await signInAs(at("192.0.2.10"), "alice", PASSWORD);
    const statuses: number[] = [];
    for (let tries = 0; tries < 20; tries += 1)
      statuses.push((await wrong(at("192.0.2.11"), "alice")).status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(15);
  });

  test("right passwords are not counted", async () => {
    const { at, database } = await instance();
    for (let times = 0; times < 25; times += 1)
      expect((await signInAs(at(`203.0.113.${times}`), "alice", PASSWORD)).status).toBe(303);
    const [counted] = await database.sql<
      [{ most: number }]
    >`SELECT max(count) AS most FROM rate WHERE key LIKE 'sign-in to %' OR key LIKE 'sign-in from %'`;
    expect(counted.most).toBe(0);
  });

  test("tries at the same moment are counted, every one", async () => {
    const { at } = await instance();
    const open = at("203.0.113.7");
    const hidden = hiddenFields(await (await open.get("/sign-in")).text(), "/sign-in");
    const answers = await Promise.all(
      Array.from({ length: 30 }, () =>
        open.send("/sign-in", { ...hidden, name: "alice", password: "wrong password" }),
      ),
    );
    expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(10);
  });

  test("two passwords are checked at once; who finds the room full is sent away", async () => {
    const check = openPasswordCheck(2, 3);
    const hash = await hashPassword(PASSWORD);
    const results = await Promise.all(
      Array.from({ length: 8 }, () => check.isRight(hash, PASSWORD)),
    );
    expect(results.filter((result) => result === true)).toHaveLength(5);
    expect(results.filter((result) => result === "busy")).toHaveLength(3);
    expect(await check.isRight(hash, PASSWORD)).toBe(true);
  });
});

test("W04: whoever has a second factor gets no session for the password alone", async () => {
  const { at, database } = await instance({}, [
    { name: "one-time codes", isSetUp: async ({ name }) => name === "alice" },
  ]);
  const who = at("192.0.2.1");
  const answer = await signInAs(who, "alice", PASSWORD);
  expect(answer.status).toBe(403);
  expect(await answer.text()).toContain("one-time codes");
  expect(await sessions(database)).toEqual([]);
  expect(who.cookies.has("__Host-fediflattr")).toBe(false);
  expect((await signInAs(who, "alice", "wrong password")).status).toBe(401);
  await createAccount(database, {
    name: "bob",
    email: "bob@mail.example",
    password: PASSWORD,
    role: "user",
    at: Temporal.Instant.from("2026-11-01T00:00:00Z"),
  });
  expect((await signInAs(who, "bob", PASSWORD)).status).toBe(303);
});

/** Where a page of `https://e.test` wants people to be sent, after they have signed in here. */
const ELSEWHERE = [
  "//e.test",
  "///e.test",
  "/\\e.test",
  "\\\\e.test",
  "/%2Fe.test",
  "/%5Ce.test",
  "/%2f%2fe.test",
  "https:e.test",
  "https://e.test/",
  "javascript:alert(1)",
  "/\t/e.test",
  "/\n/e.test",
  "\t//e.test",
  " //e.test",
  "/.//e.test",
  "/..//e.test",
  "/./\\e.test",
  "/%",
  "/é",
  "e.test",
  "@e.test",
  "/a\r\nSet-Cookie: x=1",
  `/${"a".repeat(3000)}`,
];

describe("W11: what comes after", () => {
  test.each(ELSEWHERE)("%j is no path of ours", (next) => {
    expect(ownPath(next, TEST_ORIGIN)).toBeUndefined();
  });

  test("is a page of ours", async () => {
    const { at } = await instance();
    const location = async (next: string) =>
      (await signInAs(at("192.0.2.1"), "alice", PASSWORD, next)).headers.get("location")!;
    for (const next of ["/users/alice?x=1", "/oauth/authorize?a=%2F%2Fe.test"])
      expect(await location(next)).toBe(next);
    for (const next of ELSEWHERE) {
      const sent = await location(next);
      expect(new URL(sent, `${TEST_ORIGIN}/sign-in`).origin, next).toBe(TEST_ORIGIN);
      expect(sent).toBe("/");
    }
  });
});

describe("W01: forms of other sites", () => {
  const E = "https://e.test";

  test("are refused, and nothing changes", async () => {
    const { at, database } = await instance();
    const who = at("192.0.2.1");
    await signInAs(who, "alice", PASSWORD);
    const hidden = hiddenFields(await (await who.get("/sign-in")).text(), "/sign-out");
    const foreign: Record<string, Record<string, string>> = {
      "no origin": {},
      "a foreign origin": { origin: E },
      "a foreign origin in JSON": { origin: E, "content-type": "application/json" },
      "a foreign origin as plain text": { origin: E, "content-type": "text/plain" },
      "a foreign origin in multipart": {
        origin: E,
        "content-type": "multipart/form-data; boundary=x",
      },
      "a foreign origin that the browser calls ours": {
        origin: E,
        "sec-fetch-site": "same-origin",
      },
      "an origin that only begins as ours": { origin: `${TEST_ORIGIN}.e.test` },
      "ours without encryption": { origin: TEST_ORIGIN.replace("https", "http") },
      "no origin and another site": { origin: "null", "sec-fetch-site": "cross-site" },
      "no origin and a neighbour": { "sec-fetch-site": "same-site" },
      "an origin that nobody names": { origin: "null" },
    };
    for (const [what, headers] of Object.entries(foreign)) {
      const answer = await who.send("/sign-out", hidden, headers);
      expect(answer.status, what).toBe(403);
      expect(await answer.text()).toContain(LANGUAGES.en.notOurs);
    }
    expect(await sessions(database)).toHaveLength(1);
    // The same without the attack.
    expect((await who.send("/sign-out", hidden)).status).toBe(303);
    expect(await sessions(database)).toHaveLength(0);
  });

  test("`Origin: null` from a page of ours is ours: the browser says so elsewhere", async () => {
    const { at } = await instance();
    const who = at("192.0.2.1");
    await signInAs(who, "alice", PASSWORD);
    const hidden = hiddenFields(await (await who.get("/sign-in")).text(), "/sign-out");
    const headers = { origin: "null", "sec-fetch-site": "same-origin" };
    expect((await who.send("/sign-out", hidden, headers)).status).toBe(303);
  });

  test("a form needs the token of this very browser and session", async () => {
    const { at } = await instance();
    const [who, other] = [at("192.0.2.1"), at("192.0.2.2")];
    const before = hiddenFields(await (await who.get("/sign-in")).text(), "/sign-in");
    await signInAs(who, "alice", PASSWORD);
    await signInAs(other, "alice", PASSWORD);
    const foreign = hiddenFields(await (await other.get("/sign-in")).text(), "/sign-out");
    for (const fields of [{}, { form_token: "" }, before, foreign])
      expect((await who.send("/sign-out", fields)).status).toBe(403);
    // Signing somebody in from elsewhere, into an account of the attacker's, is a form like any other.
    const victim = at("192.0.2.3");
    expect(
      (await victim.send("/sign-in", { ...before, name: "alice", password: PASSWORD })).status,
    ).toBe(403);
  });

  test("every route that changes something is guarded, whatever its method and body", async () => {
    const { app } = await instance();
    const unsafe = app.routes.filter(({ method }) => !["GET", "ALL"].includes(method));
    expect(unsafe.map(({ method, path }) => `${method} ${path}`)).toEqual(
      expect.arrayContaining(["POST /sign-in", "POST /sign-out", "POST /oauth/authorize"]),
    );
    for (const { method, path } of unsafe) {
      for (const type of ["application/x-www-form-urlencoded", "text/plain", "application/json"]) {
        const answer = await app.request(`${TEST_ORIGIN}${path}`, {
          method,
          body: "{}",
          headers: { "content-type": type, origin: E },
        });
        expect(answer.status, `${method} ${path} ${type}`).toBe(403);
      }
    }
    // Nothing but middleware answers to all methods: that would slip by.
    const all = app.routes.filter(({ method }) => method === "ALL");
    expect(all.every(({ path }) => path === "/*")).toBe(true);
  });

  test("what is not there is not there, whoever asks", async () => {
    const { app } = await instance();
    for (const path of ["/api/v1/nothing", "/nothing"])
      expect((await app.request(`${TEST_ORIGIN}${path}`, { method: "POST" })).status).toBe(404);
  });

  test("a form that is too large is not read", async () => {
    const { at } = await instance();
    const answer = await at("192.0.2.1").send("/sign-in", { name: "x".repeat(100_000) });
    expect(answer.status).toBe(413);
  });

  test("other methods and the header for our own programs", async () => {
    const { database, clock } = await instance();
    const app = new Hono<PageEnv>()
      .use(pageHeaders(TEST_ORIGIN))
      .use(guardForms({ database, clock }))
      .get("/page", readSession({ database, clock }), requireSession, (c) => c.text("in"))
      .delete("/thing", (c) => c.text("gone"));
    expect((await app.request("/thing", { method: "DELETE" })).status).toBe(403);
    const visit = "B".repeat(43);
    const token = createHash("sha256").update(`form ${visit}`).digest("base64url");
    const headers = { cookie: `__Host-fediflattr-visit=${visit}`, origin: TEST_ORIGIN };
    expect((await app.request("/thing", { method: "DELETE", headers })).status).toBe(403);
    const shown = { ...headers, "x-form-token": token };
    expect((await app.request("/thing", { method: "DELETE", headers: shown })).status).toBe(200);
    const sent = await app.request("/page?a=1");
    expect(sent.status).toBe(303);
    expect(sent.headers.get("location")).toBe("/sign-in?next=%2Fpage%3Fa%3D1");
    expect(sent.headers.get("cache-control")).toBe("no-store");
  });
});

test("W12: other writings of a path are other paths", async () => {
  const { app } = await instance();
  for (const path of ["//sign-in", "/sign-in/", "/SIGN-IN", "/sign-in/..;/", "/oauth//authorize"])
    expect((await app.request(`${TEST_ORIGIN}${path}`)).status, path).toBe(404);
});

test("networks are cut short", () => {
  expect(networkOf("203.0.113.77")).toBe("203.0.113.0/24");
  expect(networkOf("::ffff:203.0.113.77")).toBe("203.0.113.0/24");
  expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1::/48");
  expect(networkOf("none")).toBe("");
});
