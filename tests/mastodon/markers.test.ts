/** Markers, preferences, and the lists that are always empty, by the client API. */

import { describe, expect, test } from "vitest";
import { clientHouse } from "../support/client.ts";
import { person, testDatabase } from "../support/database.ts";

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice");
  return {
    ...opened,
    alice,
    asAlice: await opened.as(alice),
    asBob: await opened.as(await person(database, "bob")),
  };
}

const BOTH = "/api/v1/markers?timeline[]=home&timeline[]=notifications";

describe("markers", () => {
  test("are set by JSON and by form, each for itself, for one person", async () => {
    const { asAlice, asBob, setTime } = await house();
    expect((await asAlice("GET", BOTH)).body).toEqual({});
    const home = { last_read_id: "103206604258487607", version: 0 };
    const set = await asAlice("POST", "/api/v1/markers", {
      home: { last_read_id: home.last_read_id },
    });
    expect(set.body).toEqual({ home: { ...home, updated_at: "2026-11-10T12:00:00.000Z" } });
    setTime("2026-11-10T12:00:05Z");
    const form = await asAlice(
      "POST",
      "/api/v1/markers",
      "home[last_read_id]=5&notifications[last_read_id]=7",
      { "content-type": "application/x-www-form-urlencoded" },
    );
    const updated_at = "2026-11-10T12:00:05.000Z";
    const both = {
      home: { last_read_id: "5", version: 1, updated_at },
      notifications: { last_read_id: "7", version: 0, updated_at },
    };
    expect(form.body).toEqual(both);
    expect((await asAlice("GET", BOTH)).body).toEqual(both);
    expect((await asAlice("GET", "/api/v1/markers?timeline=home")).body).toEqual({
      home: both.home,
    });
    expect((await asAlice("GET", "/api/v1/markers?timeline[]=elsewhere")).body).toEqual({});
    expect((await asAlice("GET", "/api/v1/markers")).body).toEqual({});
    expect((await asBob("GET", BOTH)).body).toEqual({});
  });

  test("set at once by many devices are all counted, and none fails", async () => {
    const { asAlice } = await house();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        asAlice("POST", "/api/v1/markers", {
          notifications: { last_read_id: String(n) },
          home: { last_read_id: String(n) },
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect((await asAlice("GET", BOTH)).body.home.version).toBe(7);
  });

  test("without an id are refused, and nothing is set", async () => {
    const { asAlice } = await house();
    for (const last_read_id of ["", "x", "-1", "9223372036854775808"]) {
      const answer = await asAlice("POST", "/api/v1/markers", {
        home: { last_read_id: "1" },
        notifications: { last_read_id },
      });
      expect([answer.status, answer.body.error]).toEqual([422, "marker_invalid"]);
    }
    expect((await asAlice("POST", "/api/v1/markers", {})).body).toEqual({});
    expect((await asAlice("GET", BOTH)).body).toEqual({});
  });

  test("want their scopes", async () => {
    const { as, alice, ask } = await house();
    const reads = await as(alice, "read:statuses");
    expect((await ask("GET", BOTH)).status).toBe(401);
    expect((await reads("GET", BOTH)).status).toBe(200);
    expect((await reads("POST", "/api/v1/markers", {})).status).toBe(403);
    expect((await (await as(alice, "write:statuses"))("GET", BOTH)).status).toBe(403);
  });
});

test("preferences say how new posts are, and follow the profile", async () => {
  const { asAlice, as, alice, ask } = await house();
  await asAlice("PATCH", "/api/v1/accounts/update_credentials", {
    source: { privacy: "private", sensitive: true, language: "de" },
  });
  expect((await asAlice("GET", "/api/v1/preferences")).body).toEqual({
    "posting:default:visibility": "private",
    "posting:default:sensitive": true,
    "posting:default:language": "de",
    "reading:expand:media": "default",
    "reading:expand:spoilers": false,
    "reading:autoplay:gifs": false,
  });
  expect((await ask("GET", "/api/v1/preferences")).status).toBe(401);
  expect((await (await as(alice, "write"))("GET", "/api/v1/preferences")).status).toBe(403);
});

describe("what nobody has here", () => {
  const OWN = ["conversations", "domain_blocks", "followed_tags", "notifications/requests"].map(
    (name) => `/api/v1/${name}`,
  );

  test("is an empty list, with the scope that it has elsewhere", async () => {
    const { asAlice, as, alice, ask } = await house();
    const without = await as(alice, "write push");
    for (const path of [...OWN, "/api/v2/suggestions"]) {
      expect((await asAlice("GET", path)).body, path).toEqual([]);
      expect((await ask("GET", path)).status, path).toBe(401);
      expect((await without("GET", path)).status, path).toBe(403);
    }
    for (const name of ["featured_tags", "endorsements"])
      expect((await ask("GET", `/api/v1/accounts/${alice.actor}/${name}`)).body, name).toEqual([]);
    expect(
      (await asAlice("GET", "/api/v1/accounts/familiar_followers?id[]=1&id[]=x&id[]=2")).body,
    ).toEqual([
      { id: "1", accounts: [] },
      { id: "2", accounts: [] },
    ]);
  });

  test("and that clients do without is not found", async () => {
    const { asAlice } = await house();
    for (const path of [
      "/api/v1/annual_reports",
      "/api/v1/directory",
      "/api/v1/instance/rules",
      "/api/v1/invites",
      "/api/v1/scheduled_statuses",
      "/api/v2/nothing",
    ]) {
      const answer = await asAlice("GET", path);
      expect([answer.status, answer.body.error], path).toEqual([404, "Record not found"]);
    }
  });
});
