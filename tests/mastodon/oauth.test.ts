import { describe, expect, onTestFinished, test } from "vitest";
import { clientApp, isClientPath } from "../../src/edges/mastodon/app.ts";
import { LANGUAGES } from "../../src/edges/web/words.ts";
import { scopeSentences } from "../../src/edges/web/consent.ts";
import { forgetStale } from "../../src/features/access/forget.ts";
import { tokenForScripts } from "../../src/features/access/script.ts";
import { findToken } from "../../src/features/access/token.ts";
import { createAccount } from "../../src/features/account/create.ts";
import {
  OUT_OF_BAND,
  redirectFault,
  redirectSource,
  withParameters,
} from "../../src/rules/redirect.ts";
import { SCOPES } from "../../src/rules/scope.ts";
import { openRates } from "../../src/store/rates.ts";
import { clientHouse } from "../support/client.ts";
import { at, testDatabase } from "../support/database.ts";
import { TEST_ORIGIN } from "../support/server.ts";
import {
  handClock,
  hiddenFields,
  proof,
  signInAs,
  site,
  type Visitor,
  visitor,
} from "../support/visitor.ts";

const PASSWORD = "correct horse battery";
type Body = URLSearchParams | FormData;
const BACK = "https://app.example/signed-in";

interface Registered {
  readonly client_id: string;
  readonly client_secret: string;
}

async function instance(settings: Parameters<typeof testDatabase>[0] = {}) {
  const database = await testDatabase(settings);
  const clock = handClock();
  const { origin } = database.settings;
  const account = await createAccount(database, {
    name: "alice",
    email: "alice@mail.example",
    password: PASSWORD,
    role: "user",
    at: at("2026-11-01"),
  });
  const pages = site(database, clock);
  // By one clock, all of it: counts of its past are forgotten.
  const rates = openRates(database, clock);
  onTestFinished(() => rates.close());
  const app = clientApp({ ...clientHouse(database).parts, clock, rates });
  const api = {
    request: (url: string, init: RequestInit = {}) =>
      app.request(url, init, { remoteAddress: "192.0.2.1" }),
  };
  const json = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
    api.request(`${origin}${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });
  const register = async (more: Record<string, unknown> = {}) => {
    const answer = await json("/api/v1/apps", {
      client_name: "Test App",
      redirect_uris: BACK,
      scopes: "read write follow push",
      website: "https://app.example",
      ...more,
    });
    return {
      status: answer.status,
      app: (await answer.json()) as Registered & Record<string, unknown>,
    };
  };
  const exchange = async (app: Registered, code: string, more: Record<string, unknown> = {}) =>
    json("/oauth/token", {
      grant_type: "authorization_code",
      client_id: app.client_id,
      client_secret: app.client_secret,
      redirect_uri: BACK,
      code,
      ...more,
    });
  return {
    database,
    clock,
    account,
    api,
    pages,
    json,
    register,
    exchange,
    visitor: (address = "192.0.2.1") => visitor(pages, origin, address),
    get: (path: string, secret?: string) =>
      api.request(`${origin}${path}`, {
        headers: secret === undefined ? {} : { authorization: `Bearer ${secret}` },
      }),
  };
}

const address = (app: Registered, more: Record<string, string> = {}) =>
  `/oauth/authorize?${new URLSearchParams({
    response_type: "code",
    client_id: app.client_id,
    redirect_uri: BACK,
    scope: "read write follow push",
    ...more,
  }).toString()}`;

/** Signs in and allows on the one page. */
async function allow(
  who: Visitor,
  app: Registered,
  more: Record<string, string> = {},
  chosen: Record<string, string> = {},
): Promise<Response> {
  const page = await who.get(address(app, more));
  const hidden = hiddenFields(await page.text(), "/oauth/authorize");
  return who.send("/oauth/authorize", {
    ...hidden,
    name: "alice",
    password: PASSWORD,
    decision: "approve",
    ...chosen,
  });
}

const codeOf = (answer: Response) =>
  new URL(answer.headers.get("location")!).searchParams.get("code")!;
const errorOf = async (answer: Response) => ((await answer.json()) as { error: string }).error;

describe("registering an app", () => {
  test("works as JSON, urlencoded and multipart, with addresses as a text, a list of lines or an array", async () => {
    const { api, json, database } = await instance();
    const forms: Body[] = [
      new URLSearchParams({
        client_name: "Phanpy",
        redirect_uris: `${BACK}\nurn:ietf:wg:oauth:2.0:oob`,
        scopes: "read write follow push",
        website: "https://app.example",
      }),
    ];
    const form = new FormData();
    form.set("client_name", "Phanpy");
    form.append("redirect_uris[]", BACK);
    form.append("redirect_uris[]", OUT_OF_BAND);
    form.set("scopes", "push read write follow");
    form.set("website", "https://app.example");
    forms.push(form);
    const answers = await Promise.all([
      ...forms.map((body) => api.request(`${TEST_ORIGIN}/api/v1/apps`, { method: "POST", body })),
      json("/api/v1/apps", {
        client_name: "Phanpy",
        redirect_uris: [BACK, OUT_OF_BAND],
        scopes: "read write follow push",
        website: "https://app.example",
      }),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      const app = (await answer.json()) as Record<string, unknown>;
      expect(app).toEqual({
        id: expect.stringMatching(/^\d+$/),
        name: "Phanpy",
        website: "https://app.example/",
        redirect_uri: `${BACK}\n${OUT_OF_BAND}`,
        redirect_uris: [BACK, OUT_OF_BAND],
        scopes: ["read", "write", "follow", "push"],
        client_id: expect.stringMatching(/^[\w-]{43}$/),
        client_secret: expect.stringMatching(/^[\w-]{43}$/),
        client_secret_expires_at: 0,
        vapid_key: "key",
      });
      const [row] =
        await database.sql`SELECT row_to_json(a)::text AS all FROM app a WHERE client_id = ${app["client_id"] as string}`;
      expect(row!["all"]).not.toContain(app["client_secret"]);
    }
  });

  test.each([
    "icecubesapp://",
    "oauth2redirect://com.keylesspalace.tusky/",
    "org.joinmastodon.android-auth://callback",
    "mastodon://joinmastodon.org/oauth",
    "tapbots-ivory://oauth/1",
    "com.example.app:/callback",
    OUT_OF_BAND,
    "https://elk.zone/api/home.example/oauth/https%3A%2F%2Felk.zone?x=1",
    "https://[2001:db8::1]:8443/cb",
    "http://localhost:4002/settings/instances/add",
    "http://127.0.0.1:8080/",
    "http://[::1]:8080/",
    "http://app.localhost/cb",
  ])("%s can be gone back to", (uri) => {
    expect(redirectFault(uri, false)).toBeUndefined();
  });

  test.each([
    "javascript:alert(1)",
    "JavaScript://x.example/%0aalert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "vbscript:x",
    "blob:https://home.example/1",
    "about:blank",
    "intent://x#Intent;end",
    "https://user@app.example/",
    "https://user:secret@app.example/",
    "https://@app.example/",
    "myapp://user@place/",
    "https://app.example/#fragment",
    "myapp://x#",
    "https:app.example",
    "https:///app.example",
    "https:\\\\app.example",
    "https://app.example\\@e.test/",
    "//app.example/",
    "/callback",
    "callback",
    "https://app.example/\u0000",
    "https://app.example/\u202e",
    "https://äpp.example/",
    "https://app.example/'onload=",
    'https://app.example/"x',
    "http://app.example/",
    "http://localhost.e.test/",
    "http://127.0.0.1.e.test/",
    `https://app.example/${"x".repeat(2000)}`,
    "",
  ])("%j cannot", async (uri) => {
    expect(redirectFault(uri, false)).toBeTypeOf("string");
  });

  test("only an instance without encryption goes back without encryption", () => {
    expect(redirectFault("http://app.example/", true)).toBeUndefined();
    expect(redirectFault("https://app.example;sandbox/", false)).toBeTypeOf("string");
    expect(redirectFault("javascript:alert(1)", true)).toBeTypeOf("string");
  });

  test("what is wrong is said, and nothing is written", async () => {
    const { register, database } = await instance();
    for (const wrong of [
      { client_name: "" },
      { client_name: "\u202e\u200b" },
      { redirect_uris: "" },
      { redirect_uris: "javascript:alert(1)" },
      { redirect_uris: [BACK, "data:text/html,x"] },
      { redirect_uris: Array.from({ length: 21 }, (_, place) => `${BACK}/${place}`) },
      { scopes: "read admin:write" },
      { scopes: "everything" },
      { website: "javascript:alert(1)" },
      { website: "https://user@app.example" },
      { website: "data:text/html,x" },
    ]) {
      const { status, app } = await register(wrong);
      expect(status, JSON.stringify(wrong)).toBe(422);
      expect(app["error"]).toBe("app_invalid");
      expect(app["error_description"]).toBeTypeOf("string");
    }
    expect(await database.sql`SELECT FROM app`).toHaveLength(0);
    // Phones send an empty website, and many clients no scope.
    const { status, app } = await register({ website: "", scopes: undefined });
    expect(status).toBe(200);
    expect(app).toMatchObject({ website: null, scopes: ["read"] });
  });

  test("X03: names look like nothing but themselves", async () => {
    const { register } = await instance();
    const { app } = await register({
      client_name: `Tus\u200bky\u202e gpj\u0000 \ud800 ${"x".repeat(10_000)}`,
    });
    expect(app["name"]).not.toMatch(/[\p{Cc}\p{Cf}\ud800]/u);
    expect([...(app["name"] as string)].length).toBeLessThanOrEqual(100);
    expect(app["name"]).toMatch(/^Tusky gpj/);
  });

  test("nobody uploads without having signed in", async () => {
    const { api } = await instance();
    const file = 'Content-Disposition: form-data; name="a"; filename="a"';
    const answer = await api.request(`${TEST_ORIGIN}/api/v1/apps`, {
      method: "POST",
      body: `--mark\r\n${file}\r\n\r\n${"x".repeat(300_000)}\r\n--mark--\r\n`,
      headers: { "content-type": "multipart/form-data; boundary=mark" },
    });
    expect(answer.status).toBe(413);
  });

  test("nobody fills the table", async () => {
    const { json } = await instance();
    const statuses: number[] = [];
    for (let times = 0; times < 205; times += 1) {
      const answer = await json("/api/v1/apps", { client_name: "x", redirect_uris: BACK });
      statuses.push(answer.status);
    }
    expect(statuses.filter((status) => status === 200)).toHaveLength(200);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe("from the app to the token", () => {
  test("signing in and allowing on one page; code, PKCE and state; then the token", async () => {
    const { register, exchange, visitor, get, clock, account, database } = await instance();
    const { app } = await register();
    const { verifier, challenge } = proof();
    const who = visitor();
    const state = "a b&c=d/é";
    const sent = await allow(who, app, {
      state,
      code_challenge: challenge,
      code_challenge_method: "S256",
    });
    expect(sent.status).toBe(303);
    const location = new URL(sent.headers.get("location")!);
    expect(`${location.origin}${location.pathname}`).toBe(BACK);
    expect(location.searchParams.get("state")).toBe(state);
    expect(sent.headers.get("location")).not.toContain("+");
    const answer = await exchange(app, codeOf(sent), { code_verifier: verifier });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const token = (await answer.json()) as Record<string, unknown>;
    expect(token).toEqual({
      access_token: expect.stringMatching(/^[\w-]{43}$/),
      token_type: "Bearer",
      scope: "read write follow push",
      created_at: Math.floor(clock.now().epochMilliseconds / 1000),
    });
    const secret = token["access_token"] as string;
    const access = await findToken(database, secret, clock.now());
    expect(access).toMatchObject({ countsFlattrs: true, account: { id: account.id } });
    expect(await (await get("/api/v1/apps/verify_credentials", secret)).json()).toMatchObject({
      name: "Test App",
      website: "https://app.example/",
    });
    expect(await (await get("/oauth/userinfo", secret)).json()).toMatchObject({
      iss: TEST_ORIGIN,
      sub: `${TEST_ORIGIN}/users/alice`,
      preferred_username: "alice",
    });
    // Who has signed in is asked for no password again, unless the app wants it.
    const again = await (await who.get(address(app))).text();
    expect(again).toContain("Signed in as alice.");
    expect(again).not.toContain('type="password"');
    const forced = await who.get(address(app, { force_login: "true" }));
    expect(await forced.text()).toContain('type="password"');
    const hidden = hiddenFields(
      await (await who.get(address(app, { force_login: "true" }))).text(),
      "/oauth/authorize",
    );
    expect((await who.send("/oauth/authorize", { ...hidden, decision: "approve" })).status).toBe(
      401,
    );
  });

  test("the secret of the app may come as HTTP Basic, and everything in any of three forms", async () => {
    const { register, visitor, api } = await instance();
    const { app } = await register();
    const who = visitor();
    const basic = `Basic ${Buffer.from(`${app.client_id}:${app.client_secret}`).toString("base64")}`;
    const fields = { grant_type: "authorization_code", redirect_uri: BACK };
    const own = { client_id: app.client_id, client_secret: app.client_secret };
    const form = (all: Record<string, string>) => {
      const made = new FormData();
      for (const [name, value] of Object.entries(all)) made.set(name, value);
      return made;
    };
    for (const [make, headers] of [
      [(code: string) => new URLSearchParams({ ...fields, ...own, code }), {}],
      [(code: string) => form({ ...fields, ...own, code }), {}],
      [(code: string) => new URLSearchParams({ ...fields, code }), { authorization: basic }],
    ] as [(code: string) => Body, Record<string, string>][]) {
      const answer = await api.request(`${TEST_ORIGIN}/oauth/token`, {
        method: "POST",
        body: make(codeOf(await allow(who, app))),
        headers,
      });
      expect(answer.status).toBe(200);
    }
  });

  test("a refusal is told to the app, with its state", async () => {
    const { register, visitor, database } = await instance();
    const { app } = await register();
    const answer = await allow(
      visitor(),
      app,
      { state: "xyz" },
      { decision: "deny", password: "" },
    );
    expect(answer.status).toBe(303);
    expect(answer.headers.get("location")).toBe(`${BACK}?error=access_denied&state=xyz`);
    expect(await database.sql`SELECT FROM access_grant`).toHaveLength(0);
    expect(await database.sql`SELECT FROM session`).toHaveLength(0);
  });

  test("private schemes, addresses with a query, and none at all", async () => {
    const uris = [
      "icecubesapp://",
      "org.joinmastodon.android-auth://callback",
      `${BACK}?x=1`,
      OUT_OF_BAND,
    ];
    const { register, visitor, exchange } = await instance();
    const { app } = await register({ redirect_uris: uris });
    const who = visitor();
    for (const uri of uris.slice(0, 3)) {
      const answer = await allow(who, app, { redirect_uri: uri });
      const location = answer.headers.get("location")!;
      expect(location.startsWith(`${uri}${uri.includes("?") ? "&" : "?"}code=`), location).toBe(
        true,
      );
      const code = /code=([\w-]{43})$/.exec(location)![1]!;
      expect((await exchange(app, code, { redirect_uri: uri })).status).toBe(200);
    }
    const shown = await allow(who, app, { redirect_uri: OUT_OF_BAND });
    expect(shown.status).toBe(200);
    expect(shown.headers.get("location")).toBeNull();
    const code = /<code class="code">([\w-]{43})<\/code>/.exec(await shown.text())![1]!;
    expect((await exchange(app, code, { redirect_uri: OUT_OF_BAND })).status).toBe(200);
    const denied = await allow(who, app, { redirect_uri: OUT_OF_BAND }, { decision: "deny" });
    expect(await denied.text()).toContain(LANGUAGES.en.denied);
    expect(withParameters("myapp://x?", { code: "1" })).toBe("myapp://x?code=1");
  });

  test("a wrong password: the page again, with what was chosen, and no session", async () => {
    const { register, visitor, database } = await instance();
    const { app } = await register();
    const answer = await allow(
      visitor(),
      app,
      { state: "s" },
      { password: "wrong", shows_money: "1" },
    );
    expect(answer.status).toBe(401);
    const text = await answer.text();
    expect(text).toContain(LANGUAGES.en.wrongPassword);
    expect(text).toMatch(/id="shows_money"[^>]*\schecked/);
    expect(text).not.toMatch(/id="not_flattrs"[^>]*\schecked/);
    expect(hiddenFields(text, "/oauth/authorize")).toMatchObject({
      state: "s",
      redirect_uri: BACK,
    });
    expect(answer.headers.get("content-security-policy")).toContain("https://app.example");
    expect(await database.sql`SELECT FROM access_grant`).toHaveLength(0);
    expect(await database.sql`SELECT FROM session`).toHaveLength(0);
  });
});

describe("the boxes", () => {
  test("amounts and favourites without flattr, both off unless set", async () => {
    const { register, exchange, visitor, database, clock } = await instance();
    const { app } = await register({ scopes: "read write money:read flattr:write" });
    const who = visitor();
    const asked = { scope: "read write money:read flattr:write" };
    const page = await (await who.get(address(app, asked))).text();
    expect(page).toContain(LANGUAGES.en.showsMoney);
    expect(page).not.toMatch(/\schecked/);
    const accessBy = async (chosen: Record<string, string>) => {
      const answer = await exchange(app, codeOf(await allow(who, app, asked, chosen)));
      const { access_token: secret, scope } = (await answer.json()) as Record<string, string>;
      const { countsFlattrs } = (await findToken(database, secret!, clock.now()))!;
      return { scope, countsFlattrs };
    };
    expect(await accessBy({})).toEqual({ scope: "read write flattr:write", countsFlattrs: true });
    expect(await accessBy({ shows_money: "1", not_flattrs: "1" })).toEqual({
      scope: "read write flattr:write money:read",
      countsFlattrs: false,
    });
  });

  test("no link sets one", async () => {
    const { register, visitor } = await instance();
    const { app } = await register();
    const page = await visitor().get(
      address(app, { shows_money: "1", not_flattrs: "1", decision: "approve", name: "mallory" }),
    );
    const text = await page.text();
    expect(text).not.toMatch(/\schecked/);
    expect(text).not.toContain("mallory");
    expect(Object.keys(hiddenFields(text, "/oauth/authorize")).sort()).toEqual([
      "client_id",
      "form_token",
      "redirect_uri",
      "response_type",
      "scope",
    ]);
  });

  test("who may not favourite is not asked about favourites, and is not said to flattr", async () => {
    const { register, visitor } = await instance();
    const { app } = await register();
    const ask = async (scope: string) => (await visitor().get(address(app, { scope }))).text();
    const reads = await ask("read");
    expect(reads).not.toContain("not_flattrs");
    expect(reads).not.toContain(LANGUAGES.en.maySpend);
    for (const scope of ["write", "write:favourites", "read write follow push"]) {
      const text = await ask(scope);
      expect(text, scope).toContain(LANGUAGES.en.maySpend);
      expect(text).toContain(LANGUAGES.en.notFlattrs);
    }
  });
});

describe("the page", () => {
  test.each(["en", "de", "nl"] as const)(
    "says everything in %s, by `lang` or the browser",
    async (lang) => {
      const { register, visitor } = await instance();
      const { app } = await register();
      const words = LANGUAGES[lang];
      for (const page of [
        await visitor().get(address(app, { lang: `${lang}-XX` }), { "accept-language": "fr" }),
        await visitor().get(address(app), { "accept-language": lang }),
      ]) {
        const text = await page.text();
        expect(text).toContain(`<html lang="${lang}">`);
        for (const sentence of [
          words.maySpend,
          words.scopeWrite,
          words.scopesAlone.push,
          words.showsMoneyNote,
        ])
          expect(text).toContain(sentence);
        expect(text).toContain("Test App");
        expect(text).toContain("app.example");
        expect(text).not.toMatch(/<script|style=|\son\w+=/);
        expect(text).toContain("width=device-width");
      }
      // Each scope is named in each language.
      for (const scope of SCOPES.filter((scope) => scope !== "money:read")) {
        const said = scopeSentences([scope], words);
        expect(said.join(), scope).toMatch(/\p{L}{3}/u);
        expect(said.join(), scope).not.toMatch(/undefined|\{/);
      }
    },
  );

  test("X01: HTML in names and addresses is text", async () => {
    const { register, visitor } = await instance();
    for (const name of [
      `"><script>alert(1)</script>`,
      "<img src=x onerror=alert(1)>",
      "<svg onload=alert(1)>",
      "{app}{host}",
      "a' onmouseover='b",
    ]) {
      const { status, app } = await register({
        client_name: name,
        website: "https://app.example/?<script>alert(1)</script>",
        redirect_uris: BACK,
      });
      expect(status).toBe(200);
      const state = `"><script>alert(2)</script>`;
      const page = await visitor().get(address(app, { state, lang: "<b>" }));
      const text = await page.text();
      expect(text).not.toMatch(/<script|<img|<svg|<b>/);
      expect(text).not.toMatch(/<[^>]*\son(error|load|mouseover)=/);
      expect(hiddenFields(text, "/oauth/authorize")["state"]).toBe(state);
    }
  });

  test("W13: its headers, and the two exceptions without which nobody can sign in from an app", async () => {
    const { register, visitor, pages } = await instance();
    const uris = [
      BACK,
      "https://other.example:8443/x?y",
      "icecubesapp://",
      "http://localhost:4002/cb",
      "http://[::1]:9/",
      OUT_OF_BAND,
    ];
    const { app } = await register({ redirect_uris: uris });
    const strict =
      "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    const targets = [
      "https://app.example",
      "https://other.example:8443",
      "icecubesapp:",
      "http://localhost:4002",
      "http:",
      undefined,
    ];
    for (const [place, uri] of uris.entries()) {
      const answers = [
        await visitor().get(address(app, { redirect_uri: uri })),
        await allow(visitor(), app, { redirect_uri: uri }),
      ];
      for (const { headers } of answers) {
        const target = targets[place];
        expect(headers.get("content-security-policy")).toBe(
          strict.replace(
            "form-action 'self'",
            `form-action 'self'${target === undefined ? "" : ` ${target}`}`,
          ),
        );
        expect(headers.get("cross-origin-opener-policy")).toBe("unsafe-none");
        expect(headers.get("cache-control")).toBe("no-store");
        expect(headers.get("x-content-type-options")).toBe("nosniff");
        expect(headers.get("x-frame-options")).toBe("DENY");
        expect(headers.get("strict-transport-security")).toContain("max-age=31536000");
        // With `no-referrer` browsers hide where a form comes from, and it would be refused.
        expect(headers.get("referrer-policy")).toBe("same-origin");
        // No other site may read this page.
        expect(headers.get("access-control-allow-origin")).toBeNull();
      }
    }
    // Nowhere else.
    for (const path of ["/", "/sign-in", "/users/nobody"]) {
      const { headers } = await pages.request(`${TEST_ORIGIN}${path}`);
      expect(headers.get("content-security-policy")).toBe(strict);
      expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
    }
    expect(redirectSource("myapp:/x")).toBe("myapp:");
  });

  test("W01: only the page itself allows anything", async () => {
    const { register, visitor, database } = await instance();
    const { app } = await register();
    const who = visitor();
    await signInAs(who, "alice", PASSWORD);
    const hidden = hiddenFields(await (await who.get(address(app))).text(), "/oauth/authorize");
    const decided = { ...hidden, decision: "approve" };
    const send = (fields: Record<string, string>, headers?: Record<string, string>) =>
      who.send("/oauth/authorize", fields, headers);
    expect((await send(decided, { origin: "https://app.example" })).status).toBe(403);
    expect((await send(decided, {})).status).toBe(403);
    expect((await send({ ...decided, form_token: "x" })).status).toBe(403);
    const { decision: _, ...undecided } = decided;
    expect((await send(undecided)).status).toBe(400);
    expect(await database.sql`SELECT FROM access_grant`).toHaveLength(0);
    // A popup of a client: the form is the page's own.
    expect((await send(decided, { origin: "null", "sec-fetch-site": "same-origin" })).status).toBe(
      303,
    );
  });
});

describe("W06: where people are sent", () => {
  test("is an address of the app, letter by letter; else there is a page", async () => {
    const { register, visitor } = await instance();
    const { app } = await register({ redirect_uris: [BACK, "http://localhost:4002/cb"] });
    const who = visitor();
    await signInAs(who, "alice", PASSWORD);
    const hidden = hiddenFields(await (await who.get(address(app))).text(), "/oauth/authorize");
    for (const uri of [
      `${BACK}/`,
      `${BACK}?x`,
      `${BACK}#`,
      `${BACK}/../x`,
      `${BACK}/extra`,
      "https://app.example/",
      "https://app.example",
      "http://app.example/signed-in",
      "https://app.example:8443/signed-in",
      "https://APP.example/signed-in",
      "https://app.example.e.test/signed-in",
      "https://app.example@e.test/signed-in",
      "https://e.test\\@app.example/signed-in",
      "https://app.example\\.e.test/signed-in",
      "https://app.example/signed-in\n",
      " https://app.example/signed-in",
      "http://localhost:4003/cb",
      "javascript:alert(1)",
      OUT_OF_BAND,
      "",
    ]) {
      const answers = [
        await who.get(address(app, { redirect_uri: uri, state: "s" })),
        await who.send("/oauth/authorize", { ...hidden, redirect_uri: uri, decision: "approve" }),
        await who.send("/oauth/authorize", { ...hidden, redirect_uri: uri, decision: "deny" }),
      ];
      for (const answer of answers) {
        expect(answer.status, uri).toBe(400);
        expect(answer.headers.get("location")).toBeNull();
        expect(await answer.text()).toContain(LANGUAGES.en.authorizeRedirect);
      }
    }
    const sent = await who.send("/oauth/authorize", { ...hidden, decision: "approve" });
    expect(sent.status).toBe(303);
  });

  test("whatever else is wrong is a page, too: nobody is sent anywhere unasked", async () => {
    const { register, visitor } = await instance();
    const { app } = await register();
    const who = visitor();
    const { challenge } = proof();
    for (const [more, error] of [
      [{ client_id: "unknown" }, "invalid_request"],
      [{ client_id: "scripts" }, "invalid_request"],
      [{ client_id: `${app.client_id}\u0000` }, "invalid_request"],
      [{ response_type: "token" }, "unsupported_response_type"],
      [{ response_type: "" }, "unsupported_response_type"],
      [{ scope: "read admin:write" }, "invalid_scope"],
      [{ scope: "read profile" }, "invalid_scope"],
      [{ scope: "flattr:write" }, "invalid_scope"],
      [{ code_challenge: challenge }, "invalid_request"],
      [{ code_challenge: challenge, code_challenge_method: "plain" }, "invalid_request"],
      [{ code_challenge: "short", code_challenge_method: "S256" }, "invalid_request"],
      [{ code_challenge_method: "S256" }, "invalid_request"],
      [{ state: "x".repeat(5000) }, "invalid_request"],
    ] as [Record<string, string>, string][]) {
      const answer = await who.get(address(app, more));
      expect(answer.status, JSON.stringify(more)).toBe(400);
      expect(answer.headers.get("location")).toBeNull();
      expect(await answer.text()).toContain(`<code>${error}</code>`);
    }
    const twice = await who.get(
      `${address(app)}&redirect_uri=${encodeURIComponent("https://e.test/")}`,
    );
    expect(twice.status).toBe(400);
    // Without any scope it is `read`.
    expect((await who.get(address(app, { scope: "" }))).status).toBe(200);
  });
});

describe("W07: a code", () => {
  test("is used once; a second use ends the token that came of it", async () => {
    const { register, exchange, visitor, get, database } = await instance();
    const { app } = await register();
    const code = codeOf(await allow(visitor(), app));
    const first = (await (await exchange(app, code)).json()) as { access_token: string };
    const path = "/api/v1/apps/verify_credentials";
    expect((await get(path, first.access_token)).status).toBe(200);
    const second = await exchange(app, code);
    expect(second.status).toBe(400);
    const body = await second.text();
    expect(JSON.parse(body)).toMatchObject({ error: "invalid_grant" });
    expect(body).not.toContain("access_token");
    expect((await get(path, first.access_token)).status).toBe(401);
    expect(await database.sql`SELECT FROM stream_event WHERE kind = 'token_gone'`).toHaveLength(1);
    expect(await errorOf(await exchange(app, code))).toBe("invalid_grant");
  });

  test("that is used twenty times at once gives one token at most, and none that lasts", async () => {
    const { register, exchange, visitor, database } = await instance();
    const { app } = await register();
    const code = codeOf(await allow(visitor(), app));
    const answers = await Promise.all(Array.from({ length: 20 }, () => exchange(app, code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await database.sql`SELECT FROM token`).toHaveLength(0);
  });

  test("belongs to its app, its address and its proof, and lives ten minutes", async () => {
    const { register, exchange, visitor, clock, database } = await instance();
    const { app } = await register({ redirect_uris: [BACK, `${BACK}/other`] });
    const { app: other } = await register();
    const who = visitor();
    const { verifier, challenge } = proof();
    const bound = { code_challenge: challenge, code_challenge_method: "S256" };
    const code = codeOf(await allow(who, app, bound));
    const fails = async (by: Registered, more: Record<string, unknown>, shown = code) => {
      const answer = await exchange(by, shown, more);
      expect(answer.status).toBe(400);
      expect(await errorOf(answer)).toBe("invalid_grant");
    };
    await fails(other, { code_verifier: verifier });
    await fails(app, {});
    await fails(app, { code_verifier: "" });
    await fails(app, { code_verifier: proof().verifier });
    await fails(app, { code_verifier: challenge });
    await fails(app, { code_verifier: `${verifier}x` });
    await fails(app, { code_verifier: verifier, redirect_uri: `${BACK}/other` });
    await fails(app, { code_verifier: verifier }, `${code.slice(0, -1)}-`);
    await fails(app, { code_verifier: verifier }, "x".repeat(10_000));
    // Who takes the challenge away on its way here does not get the token by it.
    const plain = codeOf(await allow(who, app));
    await fails(app, { code_verifier: verifier }, plain);
    expect(await database.sql`SELECT FROM token`).toHaveLength(0);
    clock.advance({ minutes: 10 });
    expect((await exchange(app, code, { code_verifier: verifier })).status).toBe(200);
    clock.advance({ seconds: 1 });
    await fails(app, {}, plain);
  });
});

describe("W08: scopes", () => {
  test("nobody gets more than was allowed on the page, whatever is asked for the token", async () => {
    const { register, exchange, visitor } = await instance();
    const { app } = await register();
    const code = codeOf(await allow(visitor(), app, { scope: "read:statuses write:favourites" }));
    const answer = await exchange(app, code, { scope: "read write admin:write money:read" });
    expect(((await answer.json()) as { scope: string }).scope).toBe(
      "read:statuses write:favourites",
    );
  });

  test("an app for itself has no more than it registered for, and nobody's amounts", async () => {
    const { register, json, get } = await instance();
    const { app } = await register({ scopes: "read profile money:read" });
    const ask = (more: Record<string, unknown>) =>
      json("/oauth/token", {
        grant_type: "client_credentials",
        client_id: app.client_id,
        client_secret: app.client_secret,
        ...more,
      });
    const answer = await ask({});
    expect(answer.status).toBe(200);
    const token = (await answer.json()) as { access_token: string; scope: string };
    expect(token).toMatchObject({
      token_type: "Bearer",
      scope: "read",
      created_at: expect.any(Number),
    });
    expect((await get("/api/v1/apps/verify_credentials", token.access_token)).status).toBe(200);
    expect((await get("/oauth/userinfo", token.access_token)).status).toBe(422);
    for (const scope of ["write", "read write", "admin:read", "money:read", "nonsense"]) {
      const refused = await ask({ scope });
      expect(refused.status, scope).toBe(400);
      expect(await errorOf(refused)).toBe("invalid_scope");
    }
    const some = await ask({ scope: "read:statuses money:read" });
    expect(((await some.json()) as { scope: string }).scope).toBe("read:statuses");
  });

  test("saying who one is needs a scope for that", async () => {
    const { database, clock, account, get, api } = await instance();
    const by = async (scopes: string) =>
      (
        await tokenForScripts(database, {
          account: account.id,
          scopes,
          countsFlattrs: true,
          at: clock.now(),
          real: clock.real(),
        })
      ).secret;
    expect((await get("/oauth/userinfo", await by("profile"))).status).toBe(200);
    expect((await get("/oauth/userinfo", await by("read:accounts"))).status).toBe(200);
    expect((await get("/oauth/userinfo", await by("read:statuses write"))).status).toBe(403);
    expect((await get("/oauth/userinfo")).status).toBe(401);
    expect((await get("/oauth/userinfo", "x")).status).toBe(401);
    const posted = await api.request(`${TEST_ORIGIN}/oauth/userinfo`, {
      method: "POST",
      headers: { authorization: `Bearer ${await by("profile")}` },
    });
    expect(posted.status).toBe(200);
    expect(await database.sql`SELECT FROM app`).toHaveLength(1);
    await expect(by("read admin:write")).rejects.toMatchObject({ reason: "app_invalid" });
  });
});

describe("errors as OAuth has them", () => {
  test("by their codes", async () => {
    const { register, json, api } = await instance();
    const { app } = await register();
    const own = { client_id: app.client_id, client_secret: app.client_secret };
    for (const [body, status, error] of [
      [{ ...own, grant_type: "password" }, 400, "unsupported_grant_type"],
      [{ ...own }, 400, "invalid_request"],
      [{ ...own, grant_type: "authorization_code", redirect_uri: BACK }, 400, "invalid_request"],
      [{ ...own, grant_type: "authorization_code", code: "x" }, 400, "invalid_request"],
      [
        { ...own, grant_type: "authorization_code", code: "x", redirect_uri: BACK },
        400,
        "invalid_grant",
      ],
      [{ ...own, grant_type: ["authorization_code", "x"], code: "x" }, 400, "invalid_request"],
      [{ ...own, client_secret: "wrong", grant_type: "client_credentials" }, 401, "invalid_client"],
      [{ ...own, client_id: "wrong", grant_type: "client_credentials" }, 401, "invalid_client"],
      [{ client_id: app.client_id, grant_type: "client_credentials" }, 401, "invalid_client"],
      [{ grant_type: "client_credentials" }, 401, "invalid_client"],
    ] as [object, number, string][]) {
      const answer = await json("/oauth/token", body);
      expect(answer.status, JSON.stringify(body)).toBe(status);
      const told = (await answer.json()) as Record<string, unknown>;
      expect(told["error"]).toBe(error);
      expect(told["error_description"]).toBeTypeOf("string");
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      expect(answer.headers.get("cache-control")).toBe("no-store");
    }
    const basic = await json(
      "/oauth/token",
      { grant_type: "client_credentials" },
      { authorization: `Basic ${Buffer.from("x:y").toString("base64")}` },
    );
    expect(basic.status).toBe(401);
    expect(basic.headers.get("www-authenticate")).toMatch(/^Basic /);
    const broken = await api.request(`${TEST_ORIGIN}/oauth/token`, {
      method: "POST",
      body: "{",
      headers: { "content-type": "application/json" },
    });
    expect(broken.status).toBe(400);
    expect(await errorOf(broken)).toBe("invalid_request");
  });
});

describe("giving a token back", () => {
  test("ends it at once; only the app that it belongs to can", async () => {
    const { register, exchange, visitor, json, get, database } = await instance();
    const { app } = await register();
    const { app: other } = await register();
    const answer = await exchange(app, codeOf(await allow(visitor(), app)));
    const { access_token: token } = (await answer.json()) as { access_token: string };
    const revoke = ({ client_id, client_secret }: Registered, secret: string) =>
      json("/oauth/revoke", { client_id, client_secret, token: secret });
    const path = "/api/v1/apps/verify_credentials";
    const stranger = await revoke(other, token);
    expect(stranger.status).toBe(403);
    expect(await errorOf(stranger)).toBe("unauthorized_client");
    expect((await revoke({ ...app, client_secret: "wrong" }, token)).status).toBe(401);
    expect((await get(path, token)).status).toBe(200);
    const done = await revoke(app, token);
    expect(done.status).toBe(200);
    expect(await done.json()).toEqual({});
    expect((await get(path, token)).status).toBe(401);
    expect(await database.sql`SELECT FROM stream_event WHERE kind = 'token_gone'`).toHaveLength(1);
    // Once more, or what never was: it is over.
    for (const secret of [token, "unknown", "x".repeat(10_000)])
      expect((await revoke(app, secret)).status).toBe(200);
  });
});

describe("what programs read first", () => {
  test("the metadata names what is there", async () => {
    const { get, api } = await instance();
    const answer = await get("/.well-known/oauth-authorization-server");
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    const told = (await answer.json()) as Record<string, string>;
    expect(told).toMatchObject({
      issuer: TEST_ORIGIN,
      authorization_endpoint: `${TEST_ORIGIN}/oauth/authorize`,
      response_types_supported: ["code"],
      code_challenge_methods_supported: ["S256"],
      app_registration_endpoint: `${TEST_ORIGIN}/api/v1/apps`,
    });
    expect(told["scopes_supported"]).toEqual(
      expect.arrayContaining(["read", "write:favourites", "flattr:write", "money:read"]),
    );
    for (const name of [
      "token_endpoint",
      "revocation_endpoint",
      "userinfo_endpoint",
      "app_registration_endpoint",
    ]) {
      const there = await api.request(told[name]!, { method: "POST" });
      expect(there.status, name).not.toBe(404);
    }
  });

  test("browsers may ask from anywhere, except for the page that allows", async () => {
    const { api, pages } = await instance();
    const preflight = (path: string) =>
      (isClientPath(path) ? api : pages).request(`${TEST_ORIGIN}${path}`, {
        method: "OPTIONS",
        headers: {
          origin: "https://phanpy.example",
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,content-type",
        },
      });
    for (const path of ["/api/v1/apps", "/oauth/token", "/oauth/revoke", "/oauth/userinfo"]) {
      const answer = await preflight(path);
      expect(answer.ok, path).toBe(true);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      expect(answer.headers.get("access-control-allow-headers")).toMatch(/authorization/i);
    }
    const page = await preflight("/oauth/authorize");
    expect(page.headers.get("access-control-allow-origin")).toBeNull();
  });
});

test("what is over is forgotten, what is used stays", async () => {
  const { register, exchange, visitor, clock, database } = await instance();
  const { app: used } = await register();
  const { app: waiting } = await register();
  await register();
  const who = visitor();
  await exchange(used, codeOf(await allow(who, used)));
  clock.advance({ hours: 23 });
  await allow(who, waiting);
  await forgetStale(database, clock.real());
  expect(await database.sql`SELECT FROM app`).toHaveLength(3);
  clock.advance({ hours: 2 });
  await forgetStale(database, clock.real());
  const left = async () =>
    (await database.sql`SELECT client_id FROM app ORDER BY id`).map(
      (row) => row["client_id"] as string,
    );
  expect(await left()).toEqual([used.client_id, waiting.client_id]);
  expect(await database.sql`SELECT FROM access_grant`).toHaveLength(1);
  clock.advance({ hours: 24 });
  await forgetStale(database, clock.real());
  expect(await left()).toEqual([used.client_id]);
  expect(await database.sql`SELECT FROM access_grant`).toHaveLength(0);
  expect(await database.sql`SELECT FROM token`).toHaveLength(1);
});
