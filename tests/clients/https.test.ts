import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { closeSteps } from "./close.ts";
import { type Day, openDay, WRONG_HOST } from "./homes.ts";
import { mastoDay } from "./masto/day.ts";
import { megalodonDay } from "./megalodon-day.ts";

let day: Day;

beforeAll(async () => {
  day = await openDay("https");
});
afterEach(() => {
  // Among them: no answer may name an address that is not of ORIGIN.
  expect(day.wire.faults()).toEqual([]);
});
afterAll(() => day?.close());

describe("https, masto", () => {
  mastoDay(() => day);
});

describe("https, whatever Host says", () => {
  test("every address that is handed out is of ORIGIN", async () => {
    const { harbour, wire } = day;
    const handle = encodeURIComponent(`acct:alice@${harbour.host}`);
    const all = [
      ["/api/v1/instance"],
      ["/api/v2/instance"],
      ["/.well-known/nodeinfo"],
      ["/nodeinfo/2.0"],
      ["/nodeinfo/2.1"],
      ["/.well-known/oauth-authorization-server"],
      [`/.well-known/webfinger?resource=${handle}`],
      ["/users/alice", "application/activity+json"],
      ["/api/v1/accounts/lookup?acct=alice"],
      ["/api/v1/timelines/public?local=true&limit=1"],
      ["/@alice", "text/html"],
    ] as const;
    const read = async () =>
      Promise.all(
        all.map(async ([path, accept = "application/json"]) => {
          const answer = await fetch(`${harbour.origin}${path}`, { headers: { accept } });
          expect(answer.status, path).toBe(200);
          return { path, link: answer.headers.get("link"), text: await answer.text() };
        }),
      );
    const right = await read();
    harbour.front!.host = WRONG_HOST;
    const wrong = await read();
    harbour.front!.host = undefined;
    expect(wrong).toEqual(right);
    expect(wire.faults()).toEqual([]);
    const of = (path: string) => right.find((one) => one.path === path)!;
    expect(of("/api/v2/instance").text).toContain(`"wss://${harbour.host}"`);
    expect(of("/.well-known/nodeinfo").text).toContain(`"${harbour.origin}/nodeinfo/2.0"`);
    expect(of("/api/v1/timelines/public?local=true&limit=1").link).toContain(
      `<${harbour.origin}/api/v1/timelines/public?`,
    );
    expect(of("/api/v1/accounts/lookup?acct=alice").text).toContain(`"${harbour.origin}/`);
  });
});

describe("https with a wrong Host, megalodon", () => {
  beforeAll(() => {
    for (const { front } of [day.harbour, day.meadow]) front!.host = WRONG_HOST;
  });
  megalodonDay(() => day);
});

describe("https, the month's end", () => {
  closeSteps(() => day);
});
