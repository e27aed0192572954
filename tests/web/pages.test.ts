import { describe, expect, test } from "vitest";
import { pageRoutes } from "../../src/edges/web/routes.ts";
import { LANGUAGES, preferredLanguage } from "../../src/edges/web/words.ts";
import { publicKeys } from "../../src/store/signing.ts";
import { machineClock } from "../../src/store/time.ts";
import { testDatabase } from "../support/database.ts";

async function site(
  overrides: { draining?: boolean; migrations?: number; feeBasisPoints?: number } = {},
) {
  const database = await testDatabase({ feeBasisPoints: overrides.feeBasisPoints ?? 0 });
  const app = pageRoutes({
    database,
    clock: machineClock(),
    migrations: overrides.migrations ?? 2,
    isDraining: () => overrides.draining ?? false,
    publicKeys: () => publicKeys(database.drizzle),
  });
  return {
    database,
    get: (path: string, headers: Record<string, string> = {}) => app.request(path, { headers }),
  };
}

describe("the front page", () => {
  test.each(["en", "de", "nl"] as const)("speaks %s", async (language) => {
    const { get } = await site();
    const answer = await get("/", { "accept-language": `${language}-XX,fr;q=0.9` });
    const text = await answer.text();
    expect(answer.status).toBe(200);
    expect(text).toContain(`<html lang="${language}">`);
    expect(text).toContain(LANGUAGES[language].custody);
    expect(answer.headers.get("content-language")).toBe(language);
    expect(answer.headers.get("vary")).toMatch(/accept-language/i);
  });

  test("names the fee", async () => {
    const { get } = await site({ feeBasisPoints: 250 });
    expect(await (await get("/")).text()).toContain("2.5 %");
    expect(await (await get("/", { "accept-language": "de" })).text()).toContain("2,5 %");
  });

  test("asks nobody else for anything and runs no script", async () => {
    const { get } = await site();
    const answer = await get("/");
    expect(answer.headers.get("content-security-policy")).toMatch(/default-src 'none'/);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    const text = await answer.text();
    expect(text).not.toMatch(/<script|style=|onclick|https?:\/\//);
    expect((await get("/style.css")).headers.get("content-type")).toMatch(/^text\/css/);
  });

  test("goes by what the reader prefers", () => {
    expect(preferredLanguage(undefined)).toBe("en");
    expect(preferredLanguage("fr, xx;q=0.1")).toBe("en");
    expect(preferredLanguage("en;q=0.5, nl-BE;q=0.8, de;q=0")).toBe("nl");
    expect(preferredLanguage("constructor,__proto__;q=1,de;q=0.3")).toBe("de");
    expect(preferredLanguage(",".repeat(100_000))).toBe("en");
  });
});

describe("health", () => {
  test("is answered without the database, readiness only with it", async () => {
    const { get } = await site();
    expect((await get("/healthz")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(200);
  });

  test.each([
    ["draining", { draining: true }],
    ["the database is not migrated yet", { migrations: 99 }],
  ])("is not ready when %s", async (why, overrides) => {
    const { get } = await site(overrides);
    const answer = await get("/readyz");
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ error: "not_ready", error_description: why });
    expect((await get("/healthz")).status).toBe(200);
  });
});

test("the keys of the receipts are public, and only their public half", async () => {
  const { get } = await site();
  const answer = await get("/.well-known/jwks.json");
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  const { keys } = (await answer.json()) as { keys: Record<string, string>[] };
  expect(keys).toHaveLength(1);
  expect(Object.keys(keys[0]!).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x"]);
});

test("an address that is nothing answers with a code and a sentence", async () => {
  const { get } = await site();
  const answer = await get("/nothing/here?x=<script>");
  expect(answer.status).toBe(404);
  expect(await answer.json()).toEqual({
    error: "not_found",
    error_description: "There is nothing at this address.",
  });
});
