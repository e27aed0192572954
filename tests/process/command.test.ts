/** The command line as scripts see it: words, codes, exit status; and what is wrong changes nothing. */

import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  localPost,
  person,
  remotePost,
  snapshot,
  testDatabase,
  testMasterKeyFile,
  type TestDatabase,
} from "../support/database.ts";
import { commands } from "../support/command.ts";
import { sink } from "../support/sink.ts";
import { TEST_ORIGIN } from "../support/server.ts";
import { machineClock } from "../../src/store/time.ts";

const root = join(import.meta.dirname, "../..");

function runner(database: TestDatabase, settings: Record<string, string> = {}) {
  return commands({
    DATABASE_URL: database.url,
    MASTER_KEY_FILE: testMasterKeyFile(),
    ORIGIN: TEST_ORIGIN,
    ...settings,
  });
}

/** An instance in the month of now, with a patron who has nothing yet, a creator and a thing elsewhere. */
async function instance(): Promise<{ database: TestDatabase; post: string }> {
  const database = await testDatabase();
  const since = machineClock().now().subtract({ hours: 1 }).toString();
  await person(database, "alice", { since });
  const bob = await person(database, "bob", { since });
  await localPost(database, bob, since);
  await remotePost(database, "https://far.example/1", "https://far.example/users/ann");
  const [row] = await database.sql<
    [{ uri: string }]
  >`SELECT uri FROM thing WHERE uri LIKE ${`${TEST_ORIGIN}/users/bob/posts/%`}`;
  return { database, post: row.uri };
}

describe("a command that cannot be done", { timeout: 240_000 }, () => {
  test("says a code and a sentence, ends with a status, and changes nothing", async () => {
    const { database, post } = await instance();
    const run = runner(database);
    await run(["budget", "set", "alice", "2.00"]);
    const folder = await mkdtemp(join(tmpdir(), "fl-command-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, "no.json"), "{");
    await writeFile(
      join(folder, "foreign.json"),
      JSON.stringify({
        id: "https://a.example/1",
        type: "Note",
        attributedTo: "https://b.example/u",
      }),
    );
    const wrong: [args: string[], code: string, status: number][] = [
      [[], "command_invalid", 2],
      [["frobnicate"], "command_invalid", 2],
      [["fund", "alice"], "command_invalid", 2],
      [["fund", "alice", "5.00", "6.00"], "command_invalid", 2],
      [["settle", "--frobnicate"], "command_invalid", 2],
      [["subscribe", "alice", post, "--months", "many"], "command_invalid", 2],
      [["serve", "--role", "queen"], "setting_invalid", 2],
      [["budget", "set", "alice", "1.99"], "budget_too_low", 1],
      [["budget", "set", "alice", "two"], "budget_invalid", 1],
      [["budget", "set", "alice", "2.005"], "budget_invalid", 1],
      [["budget", "set", "nobody", "5.00"], "account_unknown", 1],
      [["fund", "alice", "0"], "amount_invalid", 1],
      [["fund", "alice", "1e9"], "amount_invalid", 1],
      [["fund", "nobody", "5.00"], "account_unknown", 1],
      [["refund", "alice", "5.00"], "balance_too_low", 1],
      [["account", "create", "alice", "--email", "x@mail.example"], "account_taken", 1],
      [["account", "create", "x y", "--email", "x@mail.example"], "account_invalid", 1],
      [["account", "create", "x", "--email", "nowhere"], "account_invalid", 1],
      [
        ["account", "create", "x", "--email", "x@mail.example", "--password", "short"],
        "account_invalid",
        1,
      ],
      [["account", "set", "alice", "--mode", "sometimes"], "account_invalid", 1],
      [["account", "set", "alice"], "account_invalid", 1],
      [["post", "alice", ""], "post_invalid", 1],
      [["post", "alice", "Hi", "--visibility", "friends"], "command_invalid", 2],
      [["post", "alice", "Hi", "--reply-to", "nowhere at all"], "url_invalid", 1],
      [["post", "alice", "Hi", "--reply-to", "https://far.example/unknown"], "unreachable", 1],
      [["edit", "alice", post, "Mine now"], "not_found", 1],
      [["edit", "bob", post, ""], "post_invalid", 1],
      [["edit", "bob", "https://far.example/1", "x"], "not_found", 1],
      [["delete", "alice", post], "not_found", 1],
      [["boost", "alice", "https://far.example/unknown"], "unreachable", 1],
      [["boost", "alice", `${TEST_ORIGIN}/users/bob/posts/1`], "no_payee", 1],
      [["unfollow", "alice", "bob"], "not_found", 1],
      [["unfollow", "alice", "nobody"], "payee_unknown", 1],
      [["followers", "alice", "--accept", "bob"], "not_found", 1],
      [["followers", "alice", "--reject", "nobody"], "payee_unknown", 1],
      [["followers", "alice", "--accept", "bob", "--reject", "bob"], "command_invalid", 2],
      [["followers", "nobody"], "account_unknown", 1],
      [["follow", "alice", "alice"], "follow_invalid", 1],
      [["follow", "alice", "https://far.example/users/ann"], "unreachable", 1],
      [["follow", "alice", "nobody"], "payee_unknown", 1],
      [["flattr", "bob", post], "flattr_owner", 1],
      [["flattr", "alice", "https://far.example/unknown"], "unreachable", 1],
      [["flattr", "alice", "@who@far.example"], "unreachable", 1],
      [["flattr", "alice", "no address at all"], "url_invalid", 1],
      [["flattr", "alice", "javascript:alert(1)"], "url_invalid", 1],
      [["flattr", "alice", `https://far.example/${"x".repeat(3000)}`], "url_invalid", 1],
      [["unflattr", "alice", post], "not_found", 1],
      [["unsubscribe", "alice", post], "not_found", 1],
      [["subscribe", "alice", post, "--months", "0"], "subscription_invalid", 1],
      [["decline", "nobody"], "payee_unknown", 1],
      [["settle"], "period_open", 1],
      [["settle", "--period", "2020-01"], "period_invalid", 1],
      [["settle", "--period", "yesterday"], "period_invalid", 1],
      [["statement", "nobody"], "account_unknown", 1],
      [["statement", "alice", "--period", "2020-01"], "period_invalid", 1],
      [["statement", "alice", "--receipt"], "receipt_unknown", 1],
      [["thing", "learn", join(folder, "missing.json")], "document_invalid", 1],
      [["thing", "learn", join(folder, "no.json")], "document_invalid", 1],
      [["thing", "learn", join(folder, "foreign.json")], "no_payee", 1],
      [["thing", "add", "https://far.example/page", "--author", "nobody"], "no_payee", 1],
      [
        ["thing", "add", "https://far.example/page", "--author", "https://far.example/u many"],
        "no_payee",
        1,
      ],
      [
        ["thing", "add", "https://far.example/page", "--author", `${TEST_ORIGIN}/users/zed`],
        "no_payee",
        1,
      ],
    ];
    const before = await snapshot(database);
    const found: [string[], string, number | null][] = [];
    for (let from = 0; from < wrong.length; from += 4) {
      const outcomes = await Promise.all(
        wrong.slice(from, from + 4).map(([args]) => run([...args, "--json"])),
      );
      for (const [place, { status, out, err }] of outcomes.entries()) {
        const [args] = wrong[from + place]!;
        const { error, error_description: sentence } = JSON.parse(out) as {
          error: string;
          error_description: string;
        };
        expect(sentence, args.join(" ")).toMatch(/^.{10,}[.)]?/);
        expect(err).toBe("");
        found.push([args, error, status]);
      }
    }
    expect(found).toEqual(wrong);
    expect(await snapshot(database)).toBe(before);
  });

  test("says it in words without --json, on standard error", async () => {
    const { database } = await instance();
    expect(await runner(database)(["budget", "set", "alice", "1.99"])).toEqual({
      status: 1,
      out: "",
      err: "budget_too_low: A monthly budget is at least 2.00 EUR; 0 is a pause.\n",
    });
  });

  test("because a setting is wrong names the setting", async () => {
    const { database } = await instance();
    for (const [name, value] of [
      ["CUSTODY", "transit"],
      ["FEE_BASIS_POINTS", "1001"],
      ["ORIGIN", "https://other.example"],
      ["CURRENCY", "USD"],
    ] as const) {
      const { status, err } = await runner(database, { [name]: value })(["check"]);
      expect({ status, err }).toEqual({
        status: 2,
        err: expect.stringMatching(new RegExp(`^setting_invalid: ${name} is "${value}"`)) as string,
      });
    }
  });

  test("because the database cannot be reached says so", async () => {
    const { database } = await instance();
    const { status, err } = await runner(database, {
      DATABASE_URL: "postgres://me:geheim@127.0.0.1:1/x",
    })(["check"]);
    expect(status).toBe(1);
    expect(err).toMatch(/^failed: .*ECONNREFUSED/);
    expect(err).not.toContain("geheim");
  });
});

describe("a command that is done", { timeout: 120_000 }, () => {
  test("prints one JSON object per line with the facts, and does what it says", async () => {
    const { database, post } = await instance();
    const run = runner(database);
    const facts = async (args: readonly string[], input = "") => {
      const { status, out, err } = await run([...args, "--json"], input);
      expect(status, `${args.join(" ")}: ${out}${err}`).toBe(0);
      return JSON.parse(out) as Record<string, unknown>;
    };
    expect(
      await facts(
        [
          "account",
          "create",
          "Dora",
          "--email",
          "dora@mail.example",
          "--password-stdin",
          "--admin",
        ],
        "a long password\n",
      ),
    ).toMatchObject({ account: "dora", uri: `${TEST_ORIGIN}/users/dora`, role: "admin" });
    expect(await facts(["account", "set", "dora", "--mode", "explicit", "--private"])).toEqual({
      account: "dora",
      mode: "explicit",
      private: true,
    });
    expect(await facts(["budget", "set", "alice", "5,00"])).toMatchObject({
      account: "alice",
      budgetMicro: "5000000",
      currency: "EUR",
    });
    expect(
      await facts(["fund", "alice", "20.00", "--reference", "RF1", "--note", "first"]),
    ).toMatchObject({ amountMicro: "20000000", booked: true });
    expect(await facts(["fund", "alice", "20.00", "--reference", "RF1"])).toMatchObject({
      booked: false,
    });
    expect(await facts(["refund", "alice", "1.00"])).toMatchObject({
      amountMicro: "-1000000",
      booked: true,
    });
    expect(await facts(["follow", "alice", "@bob"])).toMatchObject({
      follows: `${TEST_ORIGIN}/users/bob`,
    });
    expect(await facts(["flattr", "alice", post])).toMatchObject({ again: false });
    expect(await facts(["flattr", "alice", post])).toMatchObject({ again: true });
    expect(await facts(["flattr", "alice", "@bob@home.example"])).toMatchObject({ again: false });
    expect(
      await facts([
        "thing",
        "add",
        "https://Far.example/page?utm_source=x#top",
        "--author",
        "https://far.example/users/ann 2",
        "--author",
        `${TEST_ORIGIN}/users/bob`,
      ]),
    ).toMatchObject({ kind: "Page" });
    expect(await facts(["flattr", "alice", "https://far.example/page", "--private"])).toMatchObject(
      { again: false },
    );
    expect(await facts(["subscribe", "alice", post, "--months", "6"])).toMatchObject({
      monthsLeft: 6,
      paused: false,
    });
    expect(await facts(["subscribe", "alice", post, "--pause"])).toMatchObject({ paused: true });
    expect(await facts(["unsubscribe", "alice", post])).toMatchObject({ ended: true });
    expect(await facts(["block", "far.example"])).toEqual({
      kind: "host",
      target: "far.example",
      blocked: true,
    });
    expect(await facts(["block", "far.example", "--undo"])).toMatchObject({ blocked: false });
    expect(await facts(["decline", "https://far.example/users/ann"])).toMatchObject({
      declines: true,
    });
    expect(await facts(["decline", "https://far.example/users/ann", "--undo"])).toMatchObject({
      declines: false,
    });
    expect(await facts(["alias", "alice", "https://far.example/users/alice"])).toMatchObject({
      alias: "https://far.example/users/alice",
    });
    expect(await facts(["statement", "alice"])).toMatchObject({
      state: "open",
      flattrs: 3,
      budgetMicro: "5000000",
      availableMicro: "19000000",
      valueOfClickMicro: "1666666",
      balance: { budgetMicro: "19000000" },
    });
    expect(await facts(["unflattr", "alice", "@bob"])).toMatchObject({ taken: true });
    expect(await facts(["migrate"])).toMatchObject({ migrated: true });
    expect(await facts(["check"])).toEqual({ ok: true, findings: 0 });
  });

  test("speaks to other servers: posts, boosts, follows and their ends are told", async () => {
    const { database } = await instance();
    const far = await sink();
    far.answer = ({ path }) => {
      const person = path.match(/^\/users\/(ann|carl)$/);
      const uri = `${far.origin}${path}`;
      if (path.startsWith("/.well-known/webfinger"))
        return path.includes("carl")
          ? {
              headers: { "content-type": "application/jrd+json" },
              body: JSON.stringify({
                subject: `acct:carl@${far.host}`,
                links: [
                  {
                    rel: "self",
                    type: "application/activity+json",
                    href: `${far.origin}/users/carl`,
                  },
                ],
              }),
            }
          : { status: 404 };
      const context = "https://www.w3.org/ns/activitystreams";
      if (person !== null)
        return {
          body: {
            "@context": context,
            id: uri,
            type: "Person",
            preferredUsername: person[1],
            inbox: `${uri}/inbox`,
          },
        };
      if (path === "/posts/1")
        return {
          body: {
            "@context": context,
            id: uri,
            type: "Note",
            attributedTo: `${far.origin}/users/ann`,
            content: "Hello",
            to: ["https://www.w3.org/ns/activitystreams#Public"],
          },
        };
      return { status: 404 };
    };
    const run = runner(database, { ALLOW_PRIVATE_ADDRESSES: far.host });
    const facts = async (...args: readonly string[]) => {
      const { status, out, err } = await run([...args, "--json"]);
      expect(status, `${args.join(" ")}: ${out}${err}`).toBe(0);
      return JSON.parse(out) as Record<string, unknown>;
    };
    const ann = `${far.origin}/users/ann`;
    const answered = await facts(
      "post",
      "bob",
      `Hi @carl@${far.host} and @nobody@${far.host} and @zed`,
      "--reply-to",
      `${far.origin}/posts/1`,
      "--visibility",
      "unlisted",
    );
    const uri = String(answered["uri"]);
    expect(answered).toMatchObject({ unresolved: [`@nobody@${far.host}`, "@zed"] });
    expect(await facts("edit", "bob", uri, `Bye @carl@${far.host}`)).toMatchObject({
      uri,
      unresolved: [],
    });
    expect(await facts("delete", "bob", uri)).toMatchObject({ uri, deleted: true });
    const boost = ["boost", "bob", `${far.origin}/posts/1`];
    expect(await facts(...boost)).toMatchObject({ post: boost[2], boosted: true });
    expect(await facts(...boost, "--undo")).toMatchObject({ boosted: false });
    expect(await facts("follow", "bob", ann)).toMatchObject({ follows: ann, state: "requested" });
    expect(await facts("unfollow", "bob", ann)).toMatchObject({ follows: ann, state: null });
    expect(await facts("followers", "alice", "--ask")).toMatchObject({ many: 0, requests: [] });
    const bob = `${TEST_ORIGIN}/users/bob`;
    expect(await facts("follow", "bob", "alice")).toMatchObject({ state: "requested" });
    await database.sql`
      INSERT INTO follow (follower, followee, uri, state, since)
      SELECT f.id, e.id, ${`${ann}#follow`}, 'requested', now() FROM actor f, actor e
       WHERE f.uri = ${ann} AND e.uri = ${`${TEST_ORIGIN}/users/alice`}`;
    expect(await facts("followers", "alice")).toMatchObject({ many: 0, requests: [bob, ann] });
    expect(await facts("followers", "alice", "--accept", "bob")).toMatchObject({
      many: 1,
      followers: [bob],
      requests: [ann],
    });
    expect(await facts("followers", "alice", "--accept", ann)).toMatchObject({ many: 2 });
    expect(await facts("followers", "alice", "--reject", ann)).toMatchObject({
      many: 1,
      requests: [],
    });
    const told = await database.sql<{ activity: string; inbox: string }[]>`
      SELECT activity, inbox FROM delivery ORDER BY id`;
    const of = (name: string) =>
      told
        .filter(({ inbox }) => inbox === `${far.origin}/users/${name}/inbox`)
        .map(({ activity }) => activity);
    expect(of("carl")).toEqual(["Create", "Update", "Delete"]);
    expect(of("ann")).toEqual([
      ...["Create", "Update", "Delete", "Announce", "Undo", "Follow", "Undo"],
      ...["Accept", "Reject"],
    ]);
  });

  test("prints help without touching a database", async () => {
    const { database } = await instance();
    const { status, out } = await runner(database, { DATABASE_URL: "postgres://127.0.0.1:1/x" })([
      "--help",
    ]);
    expect(status).toBe(0);
    for (const word of [
      "serve",
      "migrate",
      "account",
      "post",
      "edit",
      "delete",
      "boost",
      "follow",
      "unfollow",
      "followers",
      "budget",
      "fund",
      "flattr",
      "unflattr",
      "subscribe",
      "decline",
      "alias",
      "block",
      "settle",
      "statement",
      "check",
    ])
      expect(out).toContain(word);
  });
});

test("an older Node is told what is missing", async () => {
  const entry = join(root, "bin/fediflattr.js");
  const child = spawn(
    process.execPath,
    [
      "--import",
      `data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.20.2"})`,
      entry,
      "serve",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let err = "";
  child.stderr.on("data", (text: Buffer) => (err += text.toString()));
  const status = await new Promise((resolve) => child.once("close", resolve));
  expect({ status, err }).toEqual({
    status: 2,
    err: expect.stringContaining("needs Node 22.18 or newer") as string,
  });
});
