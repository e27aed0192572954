/** What is secret stands in no log, however much is logged and whatever goes wrong (A04). */

import { createECDH, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { configure, reset } from "@logtape/logtape";
import { expect, onTestFinished, test } from "vitest";
import { clientApp } from "../src/edges/mastodon/app.ts";
import { createAccount } from "../src/features/account/create.ts";
import { SCOPES } from "../src/rules/scope.ts";
import { logFormatter, tellable, messageOf } from "../src/store/log.ts";
import { clientHouse } from "./support/client.ts";
import { at, leaveUnchecked, person, testDatabase } from "./support/database.ts";
import { handClock, hiddenFields, proof, signInAs, site, visitor } from "./support/visitor.ts";

const PASSWORD = "right-planted-password";
const WRONG = "wrong-planted-password";
const EMAIL = "planted-address@mail.example";
const BACK = "https://app.example/back";

/** Everything that is logged from now on, as the program writes it. */
async function listen(): Promise<readonly string[]> {
  const lines: string[] = [];
  const format = logFormatter();
  await configure({
    reset: true,
    sinks: { lines: (record) => void lines.push(format(record)) },
    loggers: [
      { category: [], sinks: ["lines"], lowestLevel: "trace" },
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "warning" },
    ],
  });
  onTestFinished(() => reset());
  return lines;
}

async function town() {
  const database = await testDatabase();
  const clock = handClock();
  await createAccount(database, {
    name: "alice",
    email: EMAIL,
    password: PASSWORD,
    role: "user",
    at: at("2026-11-01"),
  });
  const app = clientApp({ ...clientHouse(database).parts, clock });
  const ask = async (path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await app.request(
      path,
      {
        method: body === undefined ? "GET" : "POST",
        headers: { "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      { remoteAddress: "192.0.2.1" },
    );
    return { status: answer.status, body: (await answer.json()) as Record<string, string> };
  };
  const who = visitor(site(database, clock), database.settings.origin);
  const register = async () => {
    const scopes = SCOPES.join(" ");
    const { body } = await ask("/api/v1/apps", { client_name: "App", redirect_uris: BACK, scopes });
    return body as { client_id: string; client_secret: string };
  };
  const asked = (clientId: string, challenge: string) =>
    `/oauth/authorize?${new URLSearchParams({
      client_id: clientId,
      redirect_uri: BACK,
      response_type: "code",
      scope: "read write push",
      code_challenge: challenge,
      code_challenge_method: "S256",
    }).toString()}`;
  const allow = async (address: string) => {
    const page = await (await who.get(address)).text();
    const answer = await who.send("/oauth/authorize", {
      ...hiddenFields(page, "/oauth/authorize"),
      decision: "approve",
    });
    return new URL(answer.headers.get("location")!).searchParams.get("code")!;
  };
  return { database, ask, who, register, asked, allow };
}

const subscription = () => ({
  endpoint: `https://push.example/${randomBytes(16).toString("base64url")}`,
  keys: {
    p256dh: createECDH("prime256v1").generateKeys("base64url"),
    auth: randomBytes(16).toString("base64url"),
  },
});

test("signing in, an app's way to its token, and its key for waking a phone: all of it works, and none of it is logged", async () => {
  const lines = await listen();
  const { ask, who, register, asked, allow } = await town();
  expect((await signInAs(who, EMAIL, WRONG)).status).toBe(401);
  expect((await signInAs(who, EMAIL, PASSWORD)).status).toBe(303);
  const { client_id, client_secret } = await register();
  const { verifier, challenge } = proof();
  const code = await allow(asked(client_id, challenge));
  const exchange = (more: Record<string, string>) =>
    ask("/oauth/token", {
      grant_type: "authorization_code",
      client_id,
      client_secret,
      redirect_uri: BACK,
      code,
      code_verifier: verifier,
      ...more,
    });
  for (const wrong of [
    { client_secret: `${client_secret}x` },
    { code: `${code}x` },
    { redirect_uri: "https://evil.example" },
    { grant_type: "password", username: EMAIL, password: PASSWORD },
  ])
    expect((await exchange(wrong as unknown as Record<string, string>)).status).toBeLessThan(500);
  const { access_token: token } = (await exchange({})).body as { access_token: string };
  const bearer = { authorization: `Bearer ${token}` };
  const push = subscription();
  expect((await ask("/api/v1/push/subscription", { subscription: push }, bearer)).status).toBe(200);
  await ask("/oauth/revoke", { client_id, client_secret, token });
  expect((await ask("/api/v1/push/subscription", undefined, bearer)).status).toBe(401);
  const secrets = [PASSWORD, WRONG, EMAIL, client_secret, code, verifier, token];
  for (const secret of [...secrets, push.endpoint, push.keys.auth, push.keys.p256dh])
    expect(lines.join("\n")).not.toContain(secret);
  for (const cookie of who.setCookies.filter((line) => !/max-age=0(?:;|$)/i.test(line)))
    expect(lines.join("\n")).not.toContain(/=([^;]*)/.exec(cookie)![1]!);
});

test("where the database fails in the middle, it is logged that it did, and no secret with it", async () => {
  const { database, ask, who, register, asked, allow } = await town();
  leaveUnchecked(database);
  await signInAs(who, "alice", PASSWORD);
  const { client_id, client_secret } = await register();
  const { verifier, challenge } = proof();
  const address = asked(client_id, challenge);
  const grant = () => ({
    grant_type: "authorization_code",
    client_id,
    client_secret,
    redirect_uri: BACK,
    code_verifier: verifier,
  });
  const code = await allow(address);
  const { access_token: token } = (
    await ask("/oauth/token", { ...grant(), code: await allow(address) })
  ).body as { access_token: string };
  const bearer = { authorization: `Bearer ${token}` };
  const push = subscription();
  const lines = await listen();
  // Nothing can be written any more, though all that is known can be read.
  await database.sql`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$`;
  const fillUp = (table: string) =>
    database.sql.unsafe(
      `CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse()`,
    );
  const cookies = [...who.cookies.values()];
  const failed: number[] = [];
  for (const [table, work] of [
    ["push_subscription", () => ask("/api/v1/push/subscription", { subscription: push }, bearer)],
    ["session", () => signInAs(who, EMAIL, PASSWORD)],
    ["access_grant", () => ask("/oauth/token", { ...grant(), code })],
    ["token", () => ask("/oauth/revoke", { client_id, client_secret, token })],
    ["app", () => ask("/api/v1/apps", { client_name: "App", redirect_uris: BACK })],
  ] as const) {
    await fillUp(table);
    failed.push((await work()).status);
  }
  expect(failed).toEqual([503, 503, 503, 503, 503]);
  const said = lines.join("\n");
  expect(said.match(/failed \(/g)).toHaveLength(failed.length);
  expect(said).toContain("the disk is full");
  const secrets: Readonly<Record<string, string>> = {
    ...{ PASSWORD, EMAIL, token, ...push.keys, endpoint: push.endpoint },
    ...{ client_secret, code, verifier },
    ...Object.fromEntries(cookies.map((value, n) => [`cookie ${n}`, value])),
  };
  for (const [name, secret] of Object.entries(secrets))
    expect(said.includes(secret), `${name} is logged`).toBe(false);
});

test("an address that cannot be looked up is not logged", async () => {
  const { database, who } = await town();
  leaveUnchecked(database);
  await who.get("/sign-in");
  const lines = await listen();
  await database.sql`ALTER TABLE account RENAME TO account_elsewhere`;
  expect((await signInAs(who, EMAIL, PASSWORD)).status).toBe(503);
  expect(lines.join("\n")).toContain("/sign-in' failed (");
  for (const secret of [EMAIL, PASSWORD]) expect(lines.join("\n")).not.toContain(secret);
});

test("the words of a message that cannot be kept are not logged; where it failed is", async () => {
  const database = await testDatabase();
  const api = clientHouse(database);
  const asAlice = await api.as(await person(database, "alice"));
  await person(database, "bob");
  leaveUnchecked(database);
  await database.sql`ALTER TABLE post ADD CONSTRAINT none CHECK (text IS NULL) NOT VALID`;
  const lines = await listen();
  const { status } = await asAlice("POST", "/api/v1/statuses", {
    status: "@bob planted-message",
    visibility: "direct",
  });
  expect(status).toBe(503);
  const said = lines.join("\n");
  expect(said).not.toContain("planted-message");
  expect(said).toMatch(/violates check constraint "none"[^]*post\/write\.ts/);
});

test("what is told of an error is its innermost cause, each of several tries, and where it was, to some depth", () => {
  const row = Object.assign(new Error("no room"), { code: "53100", detail: "planted" });
  const query = Object.assign(new Error("Failed query: select planted", { cause: row }), {
    params: ["planted"],
  });
  expect(messageOf(query)).toBe("no room");
  const told = tellable(query) as Error & { readonly code: string };
  expect([told.message, told.code]).toEqual(["no room", "53100"]);
  expect(told.stack).toContain("logs.test.ts");
  expect(inspect(told, { depth: 9, showHidden: true })).not.toContain("planted");
  expect(messageOf(new Error("Failed query: planted"))).toBe("a query failed");
  expect(messageOf(new AggregateError([new Error("IPv4"), new Error("IPv6")], ""))).toBe(
    "IPv4; IPv6",
  );
  const circle = new Error("round and round");
  circle.cause = circle;
  expect(inspect(tellable(circle))).toContain("round and round");
  expect(messageOf("a word")).toBe("a word");
});
