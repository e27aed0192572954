/** What the operator says: by the command, in clients, and until when. */

import { describe, expect, test } from "vitest";
import {
  announce,
  announcements,
  endAnnouncement,
} from "../../src/features/notice/announcement.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { machineClock } from "../../src/store/time.ts";
import { clientHouse } from "../support/client.ts";
import { commands } from "../support/command.ts";
import { at, person, testDatabase, testMasterKeyFile } from "../support/database.ts";
import { TEST_ORIGIN } from "../support/server.ts";

const NOON = at("2026-11-10T12:00:00Z");

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice");
  return {
    ...opened,
    database,
    alice,
    asAlice: await opened.as(alice),
    asBob: await opened.as(await person(database, "bob")),
  };
}

describe("announcements", () => {
  test("are shown to everybody who signed in, as HTML that holds nothing but text and links", async () => {
    const { database, asAlice, ask } = await house();
    await announce(database, { text: "Old", at: at("2026-11-09") });
    const { id } = await announce(database, {
      text: "Fees <script>alert(1)</script>\n\nSee https://a.example/?a=1&b=2",
      until: at("2026-11-11T00:00:00Z"),
      at: NOON,
    });
    expect((await ask("GET", "/api/v1/announcements")).status).toBe(401);
    const { body } = await asAlice("GET", "/api/v1/announcements");
    expect(body).toHaveLength(2);
    expect(body[0]).toEqual({
      id: String(id),
      content:
        '<p>Fees &lt;script&gt;alert(1)&lt;/script&gt;</p><p>See <a href="https://a.example/?a=1&amp;b=2" rel="nofollow noopener noreferrer">https://a.example/?a=1&amp;b=2</a></p>',
      starts_at: null,
      ends_at: "2026-11-11T00:00:00.000Z",
      all_day: false,
      published_at: "2026-11-10T12:00:00.000Z",
      updated_at: "2026-11-10T12:00:00.000Z",
      read: false,
      mentions: [],
      statuses: [],
      tags: [],
      emojis: [],
      reactions: [],
    });
  });

  test("are put away by each for himself, also twice", async () => {
    const { database, asAlice, asBob } = await house();
    const { id } = await announce(database, { text: "News", at: NOON });
    const dismiss = `/api/v1/announcements/${id}/dismiss`;
    expect((await asAlice("POST", dismiss)).body).toEqual({});
    expect((await asAlice("POST", dismiss)).status).toBe(200);
    expect((await asAlice("GET", "/api/v1/announcements")).body).toEqual([]);
    const all = (await asAlice("GET", "/api/v1/announcements?with_dismissed=true")).body;
    expect(all.map(({ read }: { read: boolean }) => read)).toEqual([true]);
    expect((await asBob("GET", "/api/v1/announcements")).body).toHaveLength(1);
    for (const wrong of ["1", "x", "-1"])
      expect((await asAlice("POST", `/api/v1/announcements/${wrong}/dismiss`)).status).toBe(404);
  });

  test("end by themselves or when they are ended, and streams are told", async () => {
    const { database, asAlice, setTime } = await house();
    const first = await announce(database, {
      text: "One",
      until: at("2026-11-10T13:00:00Z"),
      at: NOON,
    });
    const second = await announce(database, { text: "Two", at: NOON });
    setTime("2026-11-10T13:00:00Z");
    const later = at("2026-11-10T13:00:00Z");
    expect((await asAlice("GET", "/api/v1/announcements")).body).toHaveLength(1);
    await expect(endAnnouncement(database, { id: first.id, at: later })).rejects.toThrow(Refusal);
    await endAnnouncement(database, { id: second.id, at: later });
    await expect(endAnnouncement(database, { id: second.id, at: later })).rejects.toThrow(Refusal);
    expect((await asAlice("GET", "/api/v1/announcements?with_dismissed=true")).body).toEqual([]);
    expect((await asAlice("POST", `/api/v1/announcements/${second.id}/dismiss`)).status).toBe(404);
    const events = await database.sql<{ kind: string; subject: bigint; account: bigint | null }[]>`
      SELECT kind, subject, account FROM stream_event ORDER BY id`;
    expect(events.map((one) => [one.kind, one.subject, one.account])).toEqual([
      ["announcement", first.id, null],
      ["announcement", second.id, null],
      ["announcement_gone", second.id, null],
    ]);
  });

  test("that cannot be are refused", async () => {
    const { database } = await house();
    for (const wrong of [
      { text: " " },
      { text: "x".repeat(2_001) },
      { text: "a\0b" },
      { text: "Late", until: NOON },
    ])
      await expect(announce(database, { ...wrong, at: NOON })).rejects.toMatchObject({
        reason: "announcement_invalid",
      });
    expect(await announcements(database, NOON)).toEqual([]);
  });

  test("want their scopes", async () => {
    const { as, alice, database } = await house();
    const { id } = await announce(database, { text: "News", at: NOON });
    const reads = await as(alice, "read:accounts");
    expect((await reads("GET", "/api/v1/announcements")).status).toBe(200);
    expect((await reads("POST", `/api/v1/announcements/${id}/dismiss`)).status).toBe(403);
    expect((await (await as(alice, "push"))("GET", "/api/v1/announcements")).status).toBe(403);
  });
});

test("the command says, lists and ends", { timeout: 120_000 }, async () => {
  const database = await testDatabase();
  const run = commands({
    DATABASE_URL: database.url,
    MASTER_KEY_FILE: testMasterKeyFile(),
    ORIGIN: TEST_ORIGIN,
  });
  const tomorrow = machineClock().now().add({ hours: 24 }).toString().slice(0, 10);
  const said = await run(["announce", "Closed for a day", "--until", tomorrow, "--json"]);
  expect([said.status, said.err]).toEqual([0, ""]);
  const made = JSON.parse(said.out) as { id: string; text: string; until: string };
  expect(made.text).toBe("Closed for a day");
  expect(Date.parse(made.until)).toBe(Date.parse(tomorrow) + 86_400_000);
  expect((await run(["announce", "--list"])).out).toContain(`${made.id} until `);
  for (const [args, status] of [
    [["announce"], 1],
    [["announce", "x", "--until", "2020-01-01"], 1],
    [["announce", "x", "--until", "soon"], 2],
    [["announce", "x", "--list"], 1],
    [["announce", "--end", "1"], 1],
    [["announce", "--end", "x"], 2],
    [["announce", "--list", "--end", made.id], 2],
  ] as const)
    expect((await run([...args])).status, args.join(" ")).toBe(status);
  expect((await run(["announce", "--end", made.id])).status).toBe(0);
  expect((await run(["announce", "--list"])).out).toBe("Nothing is announced.\n");
});
