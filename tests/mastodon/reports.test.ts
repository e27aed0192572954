/** Complaints: kept for the operator, told to the other's server if wanted, and taken from others. */

import { describe, expect, test } from "vitest";
import { openReports } from "../../src/features/report/open.ts";
import { reportActor } from "../../src/features/report/report.ts";
import { clientHouse } from "../support/client.ts";
import { commands } from "../support/command.ts";
import { person, testDatabase, testMasterKeyFile } from "../support/database.ts";
import { neighbour, openHouse } from "../support/house.ts";
import { eventually, neighbours } from "../support/instances.ts";
import { TEST_ORIGIN } from "../support/server.ts";
import { strictAccount } from "../support/strict.ts";

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const alice = await person(database, "alice");
  const bob = await person(database, "bob");
  const asBob = await opened.as(bob);
  const post = async (status: string, visibility = "public") =>
    (await asBob("POST", "/api/v1/statuses", { status, visibility })).body as {
      id: string;
      uri: string;
    };
  return { ...opened, database, alice, bob, asAlice: await opened.as(alice), asBob, post };
}

const uriOf = (name: string) => `${TEST_ORIGIN}/users/${name}`;

describe("a report", () => {
  test("is kept with its posts, and nobody else is told", async () => {
    const { database, asAlice, bob, post } = await house();
    const [one, two] = [await post("One"), await post("Two")];
    const { status, body } = await asAlice("POST", "/api/v1/reports", {
      account_id: String(bob.actor),
      status_ids: [two.id, one.id, one.id],
      comment: "<b>Rude</b>",
      category: "spam",
      forward: true,
      rule_ids: ["1"],
    });
    expect(status).toBe(200);
    strictAccount(body.target_account);
    expect(body).toMatchObject({
      id: expect.stringMatching(/^\d+$/),
      action_taken: false,
      action_taken_at: null,
      category: "spam",
      comment: "<b>Rude</b>",
      // He is of this instance: there is nobody to tell.
      forwarded: false,
      created_at: "2026-11-10T12:00:00.000Z",
      rule_ids: [],
    });
    expect(await openReports(database)).toMatchObject([
      { reporter: uriOf("alice"), target: uriOf("bob"), posts: [one.uri, two.uri] },
    ]);
    const told = await database.sql`SELECT 1 FROM delivery WHERE activity = 'Flag'`;
    expect(told).toHaveLength(0);
  });

  test("by form, without posts and words, is one as well", async () => {
    const { asAlice, bob } = await house();
    const answer = await asAlice("POST", "/api/v1/reports", `account_id=${bob.actor}`, {
      "content-type": "application/x-www-form-urlencoded",
    });
    expect(answer.body).toMatchObject({ category: "other", comment: "", status_ids: [] });
  });

  test("that cannot be is refused, and nothing is kept", async () => {
    const { database, asAlice, asBob, alice, bob, post } = await house();
    const secret = await post("For followers", "private");
    const own = (await asAlice("POST", "/api/v1/statuses", { status: "Mine" })).body;
    const fine = { account_id: String(bob.actor) };
    for (const [wrong, status] of [
      [{}, 404],
      [{ account_id: "1" }, 404],
      [{ account_id: "x" }, 404],
      [{ account_id: String(alice.actor) }, 422],
      [{ ...fine, comment: "x".repeat(1_001) }, 422],
      [{ ...fine, comment: "a\0" }, 422],
      [{ ...fine, category: "ugly" }, 422],
      [{ ...fine, status_ids: Array.from({ length: 51 }, (_, n) => String(n + 1)) }, 422],
      [{ ...fine, status_ids: ["x"] }, 404],
      // A post that she may not read, and one of somebody else.
      [{ ...fine, status_ids: [secret.id] }, 404],
      [{ ...fine, status_ids: [own.id] }, 404],
    ] as const)
      expect((await asAlice("POST", "/api/v1/reports", wrong)).status, JSON.stringify(wrong)).toBe(
        status,
      );
    expect(await openReports(database)).toEqual([]);
    expect((await asBob("GET", "/api/v1/reports")).status).toBe(404);
  });

  test("wants its scope, and has an end", async () => {
    const { as, ask, alice, asAlice, bob } = await house();
    const wish = { account_id: String(bob.actor) };
    expect((await ask("POST", "/api/v1/reports", wish)).status).toBe(401);
    expect((await (await as(alice, "read"))("POST", "/api/v1/reports", wish)).status).toBe(403);
    for (let n = 0; n < 50; n += 1)
      expect((await asAlice("POST", "/api/v1/reports", wish)).status).toBe(200);
    const last = await asAlice("POST", "/api/v1/reports", wish);
    expect([last.status, last.body.error]).toEqual([422, "report_invalid"]);
  });
});

describe("a report of another server", () => {
  test("about somebody here is kept once, with his posts and its words as plain text", async () => {
    const { database, post } = await house();
    const one = await post("One");
    const alicePost = `${uriOf("alice")}/posts/1`;
    const server = await openHouse(database);
    const far = await neighbour(database, "https://far.example/actor");
    const flag = far.says({
      type: "Flag",
      content: "<p>Rude &amp; <script>x</script>loud</p>",
      object: ["https://other.example/u", one.uri, uriOf("bob"), alicePost, uriOf("alice")],
    });
    expect((await far.send(server, flag)).status).toBe(202);
    expect((await far.send(server, flag)).status).toBe(202);
    expect(await openReports(database)).toMatchObject([
      {
        reporter: "https://far.example/actor",
        target: uriOf("bob"),
        posts: [one.uri],
        comment: "Rude & loud",
        category: "other",
      },
    ]);
  });

  test.each([
    ["nobody", { object: [] }],
    ["somebody else", { object: ["https://other.example/users/eve"] }],
    ["nobody here", { object: [`${TEST_ORIGIN}/users/nobody`, `${TEST_ORIGIN}/actor`] }],
    ["what is no address", { object: [1, null, { id: 5 }, {}] }],
  ])("about %s is not", async (_, flag) => {
    const { database } = await house();
    const server = await openHouse(database);
    const far = await neighbour(database, "https://far.example/actor");
    expect((await far.send(server, { type: "Flag", content: 5, ...flag })).status).toBe(202);
    expect(await openReports(database)).toEqual([]);
  });

  test("has an end for all actors of that server together", async () => {
    const { database, bob } = await house();
    const server = await openHouse(database);
    const far = await neighbour(database, "https://far.example/users/ann");
    await database.sql`
      INSERT INTO report (id, reporter, target, posts, comment, category, is_forwarded, at)
      SELECT n, ${far.id}, ${bob.actor}, '[]', '', 'other', false, '2026-11-10' FROM generate_series(1, 99) n`;
    const other = await neighbour(database, "https://far.example/users/bea");
    const third = await neighbour(database, "https://third.example/users/cid");
    const many = async () =>
      Number((await database.sql`SELECT count(*) AS many FROM report`)[0]!["many"]);
    for (const [who, expected] of [
      [other, 100],
      [other, 100],
      [far, 100],
      [third, 101],
    ] as const) {
      await who.send(server, { type: "Flag", object: [uriOf("bob")] });
      expect(await many()).toBe(expected);
    }
  });
});

test(
  "a report is told to the other's server by the instance, and nobody learns who complained",
  {
    timeout: 120_000,
  },
  async () => {
    const [home, away] = await neighbours(2);
    const since = home!.instance.clock.now().subtract({ hours: 1 }).toString();
    const alice = await person(home!.instance.database, "alice", { since });
    const bob = await person(away!.instance.database, "bob", { since });
    const asBob = await clientHouse(away!.instance.database, since).as(bob);
    const { uri } = (await asBob("POST", "/api/v1/statuses", { status: "Rude" })).body as {
      uri: string;
    };
    const { database, clock, resolver } = home!.instance;
    const { id } = await resolver.post(uri);
    const target = await resolver.actor(`${away!.origin}/users/bob`);
    const made = await reportActor(database, {
      account: alice,
      target,
      posts: [id],
      comment: "He is rude",
      category: "violation",
      forwards: true,
      at: clock.now(),
    });
    expect(made.isForwarded).toBe(true);
    const [{ document } = { document: "" }] = await database.sql<{ document: string }[]>`
    SELECT document FROM message WHERE document LIKE '%"Flag"%'`;
    expect(document).not.toContain("alice");
    await eventually("the report arrives", async () => {
      return (await openReports(away!.instance.database)).length > 0;
    });
    expect(await openReports(away!.instance.database)).toMatchObject([
      {
        reporter: `${home!.origin}/actor`,
        target: `${away!.origin}/users/bob`,
        posts: [uri],
        comment: "He is rude",
      },
    ]);
  },
);

test(
  "the operator reads what waits, without what a terminal would obey, and puts it away",
  {
    timeout: 120_000,
  },
  async () => {
    const { database, alice, bob, post, parts } = await house();
    const { id, uri } = await post("One");
    const made = await reportActor(database, {
      account: alice,
      target: bob.actor,
      posts: [BigInt(id)],
      comment: "Rude\u001b[2J\n\u202eand loud",
      category: "legal",
      forwards: false,
      at: parts.clock.now(),
    });
    const run = commands({
      DATABASE_URL: database.url,
      MASTER_KEY_FILE: testMasterKeyFile(),
      ORIGIN: TEST_ORIGIN,
    });
    const list = await run(["report", "list"]);
    expect(list.out).toBe(
      [
        `${made.id} 2026-11-10T12:00:00Z legal: ${uriOf("alice")} about ${uriOf("bob")}`,
        `  ${uri}`,
        "  > Rude[2J",
        "  > and loud",
        "",
      ].join("\n"),
    );
    const json = JSON.parse((await run(["report", "list", "--json"])).out) as { id: string };
    expect(json).toMatchObject({ id: String(made.id), comment: "Rude\u001b[2J\n\u202eand loud" });
    expect((await run(["report", "done", "1"])).status).toBe(1);
    expect((await run(["report", "done", "x"])).status).toBe(2);
    expect((await run(["report", "done", String(made.id)])).status).toBe(0);
    expect((await run(["report", "done", String(made.id)])).status).toBe(1);
    expect((await run(["report", "list"])).out).toBe("Nothing waits.\n");
  },
);
