/** The headers of every page: whoever gets a foreign word into one can do nothing with it (W13). */

import { describe, expect, test } from "vitest";
import { registerApp } from "../../src/features/access/app.ts";
import { writePost } from "../../src/features/post/write.ts";
import { at, leaveUnchecked, testDatabase } from "../support/database.ts";
import { handClock, hiddenFields, resident, signInAs, site, visitor } from "../support/visitor.ts";

const PASSWORD = "correct horse battery";
const BACK = "https://app.example/back";

const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

async function town() {
  const database = await testDatabase();
  const alice = await resident(database, "alice", PASSWORD);
  const { uri } = await writePost(database, {
    author: alice,
    text: "Hello #birds",
    at: at("2026-11-02"),
  });
  const { app: asking } = await registerApp(database, {
    name: "App",
    website: undefined,
    redirectUris: [BACK],
    scopes: "read",
    at: at("2026-11-03"),
  });
  const app = site(database, handClock());
  const asked = new URLSearchParams({
    client_id: asking.clientId,
    redirect_uri: BACK,
    response_type: "code",
    scope: "read",
  });
  return {
    database,
    app,
    who: visitor(app, database.settings.origin),
    post: new URL(uri).pathname,
    authorize: `/oauth/authorize?${asked.toString()}`,
  };
}

/** What every answer of a page says, whatever its status is. */
function expectGuarded(answer: Response, name: string): void {
  const said = (header: string) => answer.headers.get(header);
  expect(said("content-security-policy"), name).toBe(POLICY);
  expectOthers(answer, name);
  expect(said("cross-origin-opener-policy"), name).toBe("same-origin");
}

/** The headers that no page has otherwise. */
function expectOthers({ headers }: Response, name: string): void {
  expect(headers.get("x-content-type-options"), name).toBe("nosniff");
  expect(headers.get("x-frame-options"), name).toBe("DENY");
  expect(headers.get("referrer-policy"), name).toBe("same-origin");
  expect(headers.get("strict-transport-security"), name).toMatch(/^max-age=\d{8,}$/);
  expect(headers.get("cross-origin-resource-policy"), name).toBe("same-origin");
}

test("every route of pages has them, as nobody and signed in; pictures have their own", async () => {
  const { app, who, post, authorize } = await town();
  const paths = new Set(
    app.routes
      .filter(({ method, path }) => method === "GET" && !path.includes("*"))
      .map(({ path }) => path),
  );
  expect(paths.size).toBeGreaterThan(10);
  const known: Readonly<Record<string, string>> = {
    "/oauth/authorize": authorize,
    "/:at{@[a-z0-9_]{1,30}}": "/@alice",
    "/users/:name{[a-z0-9_]{1,30}}": "/users/alice",
    "/users/:name{[a-z0-9_]{1,30}}/posts/:id{[1-9][0-9]{0,17}}": post,
    "/tags/:tag": "/tags/birds",
  };
  const pages: string[] = [];
  const look = async () => {
    for (const path of paths) {
      const address = known[path] ?? path;
      expect(address, `say how ${path} is filled`).not.toContain(":");
      const answer = await who.get(address);
      expect(answer.status, path).toBeLessThan(400);
      if (/^(?:image|font)\//.test(answer.headers.get("content-type") ?? "")) {
        expect(answer.headers.get("content-security-policy"), path).toBe(
          "default-src 'none'; sandbox",
        );
        expect(answer.headers.get("x-content-type-options"), path).toBe("nosniff");
      } else if (path === "/oauth/authorize") expectOthers(answer, path);
      else expectGuarded(answer, path);
      if (answer.headers.get("content-type")?.startsWith("text/html")) pages.push(path);
    }
  };
  await look();
  await signInAs(who, "alice", PASSWORD);
  await look();
  expect(pages).toEqual(expect.arrayContaining(["/", "/sign-in", "/settings", "/oauth/authorize"]));
});

test("pages of nothing, of what is gone and of what is refused have them, too", async () => {
  const { database, who, post } = await town();
  const { origin } = database.settings;
  for (const [path, status] of [
    ["/nothing", 404],
    ["/users/nobody", 404],
    [`${post}1`, 404],
    ["/tags/%3Cscript%3E", 404],
    ["/oauth/authorize/", 404],
    ["/settings", 303],
  ] as const) {
    const answer = await who.get(path);
    expect(answer.status, path).toBe(status);
    expectGuarded(answer, path);
  }
  const hidden = hiddenFields(await (await who.get("/sign-in")).text(), "/sign-in");
  const fields = { ...hidden, name: "alice", password: "wrong" };
  for (const [path, sent, headers, status] of [
    ["/sign-in", fields, { origin }, 401],
    ["/sign-in", fields, { origin: "https://evil.example" }, 403],
    ["/sign-in", { name: "alice", password: "wrong" }, { origin }, 403],
    ["/sign-in", { ...fields, name: "x".repeat(70_000) }, { origin }, 413],
    ["/settings/budget", { ...hidden, amount: "5" }, { origin }, 303],
    ["/nothing", {}, { origin }, 404],
  ] as const) {
    const answer = await who.send(path, sent, headers);
    expect(answer.status, path).toBe(status);
    expectGuarded(answer, `${path} ${status}`);
  }
  await signInAs(who, "alice", PASSWORD);
  const own = hiddenFields(await (await who.get("/settings")).text(), "/settings/budget");
  const refused = await who.send("/settings/budget", { ...own, amount: "five" });
  expect(refused.status).toBe(422);
  expectGuarded(refused, "/settings/budget");
});

test("a page that cannot be made has them, and does not say why", async () => {
  const { database, who } = await town();
  leaveUnchecked(database);
  await database.sql`ALTER TABLE actor RENAME TO actor_elsewhere`;
  const answer = await who.get("/users/alice");
  expect(answer.status).toBe(503);
  expectGuarded(answer, "/users/alice");
  expect(await answer.text()).not.toMatch(/actor_elsewhere|relation|SELECT|node_modules/i);
});

describe("the page where apps are allowed", () => {
  test("may lead to its own app and be opened by it, and is as strict in all else", async () => {
    const { who, authorize } = await town();
    const page = await who.get(authorize);
    expect(page.headers.get("content-security-policy")).toBe(
      POLICY.replace("form-action 'self'", "form-action 'self' https://app.example"),
    );
    expect(page.headers.get("cross-origin-opener-policy")).toBe("unsafe-none");
    expectOthers(page, authorize);
    // The exception is of that page alone, and of the app whose address was checked.
    expectGuarded(await who.get("/sign-in"), "/sign-in");
    const wrong = authorize.replace("app.example", "evil.example");
    const refused = await who.get(wrong);
    expect(refused.status).toBe(400);
    expect(refused.headers.get("content-security-policy")).toBe(POLICY);
  });

  test("and every page of somebody is kept by no cache", async () => {
    const { who, authorize } = await town();
    for (const path of ["/sign-in", "/settings", authorize])
      expect((await who.get(path)).headers.get("cache-control"), path).toBe("no-store");
    await signInAs(who, "alice", PASSWORD);
    for (const path of ["/sign-in", "/settings", authorize])
      expect((await who.get(path)).headers.get("cache-control"), path).toBe("no-store");
  });
});
