/** `@flattr`: what it understands, what it says by itself, and that it does each thing once. */

import { describe, expect, test } from "vitest";
import { type Account, createAccount } from "../../src/features/account/create.ts";
import { account as accounts } from "../../src/features/account/schema.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { botDue, welcome } from "../../src/features/bot/due.ts";
import { openBot } from "../../src/features/bot/message.ts";
import { answerOrder } from "../../src/features/bot/order.ts";
import { favouriteThing } from "../../src/features/flattr/favourite.ts";
import { deletePost, editPost, writePost } from "../../src/features/post/write.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { clickNow } from "../../src/features/settlement/report.ts";
import { findThing } from "../../src/features/thing/find.ts";
import { turnMonths } from "../../src/features/settlement/turn.ts";
import { parseOrder } from "../../src/rules/bot-order.ts";
import type { Visibility } from "../../src/features/post/note.ts";
import type { Temporal } from "../../src/store/time.ts";
import { eq } from "drizzle-orm";
import {
  at,
  click,
  eur,
  localPost,
  person,
  remotePost,
  snapshot,
  testDatabase,
  type TestDatabase,
} from "../support/database.ts";
import { tokenFor } from "../support/client.ts";
import { neighbours } from "../support/instances.ts";
import { until } from "../support/process.ts";

interface Heard {
  readonly text: string;
  readonly full: string | null;
}

/** What `@flattr` has written to somebody, the oldest first. */
async function heard({ sql }: TestDatabase, { actor }: Account): Promise<readonly Heard[]> {
  return sql<Heard[]>`
    SELECT p.text, p.html AS full FROM post p JOIN post_mention m ON m.post = p.id JOIN actor b ON b.id = p.author
     WHERE m.actor = ${actor} AND b.name = 'flattr' AND p.visibility = 'direct' ORDER BY p.id`;
}

const newest = async (database: TestDatabase, who: Account) => (await heard(database, who)).at(-1);

/** Writes to the bot as an app would, and lets the job run that it adds. */
async function order(
  database: TestDatabase,
  author: Account,
  text: string,
  {
    when = at("2026-11-10"),
    visibility = "direct",
  }: { when?: Temporal.Instant; visibility?: Visibility } = {},
): Promise<bigint> {
  await openBot(database, when);
  const { id } = await writePost(database, { author, text, visibility, at: when });
  for (const post of await jobs(database)) await answerOrder(database, post, when);
  return id;
}

/** Posts that wait to be read, which are then in nobody's queue any more. */
async function jobs({ sql }: TestDatabase): Promise<readonly bigint[]> {
  const rows = await sql<{ post: string }[]>`
    WITH waiting AS (
      SELECT j.id, j.payload FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id
       WHERE t.identifier = 'post.spoken_to_bot'),
    done AS (DELETE FROM graphile_worker._private_jobs j USING waiting w WHERE j.id = w.id)
    SELECT payload->>'post' AS post FROM waiting ORDER BY id`;
  return rows.map(({ post }) => BigInt(post));
}

const budgetOf = async (database: TestDatabase, { id }: Account) =>
  (await clickNow(database, id, at("2026-11-20"))).budget;

describe("reading", () => {
  test.each([
    ["@flattr status", "status"],
    ["@flattr@home.example  STATUS!", "status"],
    ["@flattr Rückgängig", "undo"],
    ["@flattr Hilfe", "help"],
    ["@flattr pauze", "pause"],
    ["status @flattr", "status"],
    ["@flattr constructor", undefined],
    ["@flattr", undefined],
    ["@flattr please status", undefined],
  ])("%s", (text, word) => {
    expect(parseOrder(text, "EUR").word).toBe(word);
  });

  test("a word without end is none", () => {
    expect(parseOrder(`@flattr ${"status".repeat(800)}`, "EUR").word).toBeUndefined();
  });

  test.each([
    ["budget 5", "5.00"],
    ["budget 5,00 EUR", "5.00"],
    ["budget €5.50", "5.50"],
    ["Budget 5 Euro.", "5.00"],
    ["budget 0", "0.00"],
    ["budget 5 USD", undefined],
    ["budget $5", undefined],
    ["budget 1.000,00", undefined],
    ["budget 5.001", undefined],
    ["budget -5", undefined],
    ["budget 5 6", undefined],
    ["budget 0x10", undefined],
    ["budget 99999999999999999999", undefined],
    ["budget five", undefined],
  ])("%s", (text, amount) => {
    expect(parseOrder(`@flattr ${text}`, "EUR").amount).toBe(
      amount === undefined ? undefined : eur(amount),
    );
  });
});

describe("orders", () => {
  test("status tells the month, with amounts in the form for apps that may show them alone", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "7.00", money: "12.34" });
    const bob = await person(database, "bob");
    await click(database, ada, await localPost(database, bob));
    await click(database, ada, await remotePost(database, "https://b.test/1", "https://b.test/u"));
    await order(database, ada, "@flattr status");
    const answer = (await newest(database, ada))!;
    expect(answer.text).toContain("@ada November 2026: flattrs so far: 2, each worth … now");
    expect(answer.text).not.toMatch(/3[.,]50|7[.,]00|12[.,]34/);
    expect(answer.text).toContain("/settings");
    expect(answer.full).toMatch(/worth 3\.50 EUR now.*7\.00 EUR.*12\.34 EUR/s);
    const [told] = await database.sql`
      SELECT n.kind FROM notification n JOIN post p ON p.id = n.post WHERE n.account = ${ada.id} AND p.text = ${answer.text}`;
    expect(told).toEqual({ kind: "mention" });
    const [told2] =
      await database.sql`SELECT count(*)::int AS many FROM delivery d JOIN message m ON m.id = d.message
      JOIN actor b ON b.id = m.sender WHERE b.name = 'flattr'`;
    expect(told2).toEqual({ many: 0 });
  });

  test("answers in the language of the writer, or of his word", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "7.00", money: "7.00" });
    await order(database, ada, "@flattr Hilfe");
    expect((await newest(database, ada))!.text).toContain("Ich verstehe");
    await database.drizzle
      .update(accounts)
      .set({ postLanguage: "nl-BE" })
      .where(eq(accounts.id, ada.id));
    await order(database, ada, "@flattr status");
    expect((await newest(database, ada))!.full).toContain("7,00 EUR");
    await order(database, ada, "@flattr what is this");
    expect((await newest(database, ada))!.text).toContain("Ik begrijp");
  });

  test("a budget is lowered and paused, and raised up to the ceiling alone", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "10.00" });
    await order(database, ada, "@flattr budget 5,00 EUR");
    expect(await budgetOf(database, ada)).toBe(eur("5.00"));
    expect((await newest(database, ada))!.full).toContain("now, for the whole of November 2026");

    const before = await snapshot(database);
    await order(database, ada, "@flattr budget 10");
    expect((await newest(database, ada))!.full).toMatch(/may not raise.*\/settings/s);
    await order(database, ada, "@flattr budget 1.99");
    expect((await newest(database, ada))!.text).toContain("smallest budget here is 2.00 EUR");
    await order(database, ada, "@flattr budget lots");
    expect((await newest(database, ada))!.text).toContain("do not understand");
    await order(database, ada, "@flattr budget");
    expect((await newest(database, ada))!.full).toContain("5.00 EUR");
    expect(await snapshot(database)).toBe(before);

    await database.drizzle
      .update(accounts)
      .set({ budgetCeiling: eur("8.00") })
      .where(eq(accounts.id, ada.id));
    await order(database, ada, "@flattr budget 8.01");
    expect(await budgetOf(database, ada)).toBe(eur("5.00"));
    await order(database, ada, "@flattr budget 8");
    expect(await budgetOf(database, ada)).toBe(eur("8.00"));
    await order(database, ada, "@flattr pause");
    expect(await budgetOf(database, ada)).toBe(eur("0.00"));
  });

  test("an app that may not show amounts does not find the budget by asking for one after the other", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "7.00" });
    const told = new Set<string>();
    for (const amount of ["9", "7.01", "7", "6.99", "2"]) {
      await order(database, ada, `@flattr budget ${amount}`);
      told.add((await newest(database, ada))!.text);
    }
    expect([...told]).toEqual([expect.stringMatching(/may not show.*\/settings/s)]);
  });

  test("undo takes back the newest flattr of the month that was clicked, and says which", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "10.00" });
    const bob = await person(database, "bob");
    const older = await localPost(database, bob);
    const newer = await localPost(database, bob);
    await click(database, ada, older, "2026-11-08");
    await favouriteThing(database, {
      account: ada,
      thing: newer,
      counts: true,
      at: at("2026-11-09"),
    });
    const later = await localPost(database, bob);
    await openBot(database, at("2026-11-10"));
    const { id } = await writePost(database, {
      author: ada,
      text: "@flattr undo",
      visibility: "direct",
      at: at("2026-11-10"),
    });
    // Given while the order was on its way: it cannot be meant.
    await click(database, ada, later, "2026-11-11");
    await Promise.all([1, 2, 3].map(() => answerOrder(database, id, at("2026-11-11"))));
    await answerOrder(database, id, at("2026-11-11"));
    const left = await database.sql`SELECT thing FROM flattr ORDER BY id`;
    expect(left.map(({ thing }) => thing)).toEqual([older, later]);
    const [favourite] = await database.sql`SELECT FROM favourite WHERE thing = ${newer}`;
    expect(favourite).toBeUndefined();
    expect(
      (await heard(database, ada)).filter(({ text }) => text.includes("Taken back")),
    ).toHaveLength(1);

    for (const _ of [1, 2]) await order(database, ada, "@flattr undo", { when: at("2026-11-12") });
    await order(database, ada, "@flattr undo", { when: at("2026-11-13") });
    expect((await newest(database, ada))!.text).toContain("nothing in November 2026");
  });

  test("what was given in a month that is over stays given", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "10.00", money: "10.00" });
    await click(database, ada, await localPost(database, await person(database, "bob")));
    await order(database, ada, "@flattr undo", { when: at("2026-12-01T00:00:00Z") });
    expect((await newest(database, ada))!.text).toContain("nothing in December 2026");
    expect(await database.sql`SELECT FROM flattr`).toHaveLength(1);
  });

  test.each([["public"], ["unlisted"], ["followers"]] as const)(
    "a %s post orders nothing",
    async (visibility) => {
      const database = await testDatabase();
      const ada = await person(database, "ada", { budget: "10.00" });
      const id = await order(database, ada, "@flattr pause", { visibility });
      await answerOrder(database, id, at("2026-11-10"));
      expect(await budgetOf(database, ada)).toBe(eur("10.00"));
      expect(await heard(database, ada)).toEqual([]);
    },
  );

  test("a post from elsewhere orders nothing, whatever it says about its author", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "10.00" });
    const { actor } = await openBot(database, at("2026-11-10"));
    const thing = await remotePost(database, "https://b.test/1", "https://b.test/ada");
    await database.sql`
      INSERT INTO post (id, author, thing, html, text, visibility, at)
      SELECT new_id('2026-11-10T12:00:00Z'), a.id, ${thing}, '<p>@flattr pause</p>', '@flattr pause', 'direct', '2026-11-10T12:00:00Z'
        FROM actor a WHERE a.uri = 'https://b.test/ada'`;
    const [post] = await database.sql<[{ id: bigint }]>`SELECT id FROM post WHERE thing = ${thing}`;
    await database.sql`INSERT INTO post_mention (post, actor) VALUES (${post.id}, ${actor})`;
    await answerOrder(database, post.id, at("2026-11-10"));
    expect(await database.sql`SELECT FROM bot_order`).toHaveLength(0);
    expect(await budgetOf(database, ada)).toBe(eur("10.00"));
  });

  test("edits, replays and deleted posts order nothing more", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "10.00" });
    const id = await order(database, ada, "@flattr budget 5");
    await editPost(database, {
      author: ada,
      post: id,
      text: "@flattr pause",
      at: at("2026-11-11"),
    });
    await answerOrder(database, id, at("2026-11-11"));
    expect(await jobs(database)).toEqual([]);
    expect(await budgetOf(database, ada)).toBe(eur("5.00"));

    // Changed before it was read: it counts as it was written.
    const written = { author: ada, visibility: "direct", at: at("2026-11-12") } as const;
    const { id: second } = await writePost(database, { ...written, text: "@flattr budget 4" });
    await editPost(database, {
      author: ada,
      post: second,
      text: "@flattr pause",
      at: at("2026-11-13"),
    });
    await answerOrder(database, second, at("2026-11-13"));
    expect(await budgetOf(database, ada)).toBe(eur("4.00"));

    const { id: third } = await writePost(database, { ...written, text: "@flattr pause" });
    await deletePost(database, { author: ada, post: third, at: at("2026-11-13") });
    await answerOrder(database, third, at("2026-11-13"));
    expect(await budgetOf(database, ada)).toBe(eur("4.00"));
    expect(await heard(database, ada)).toHaveLength(2);
  });

  test("programs that answer each other come to an end", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada");
    for (let n = 0; n < 65; n += 1) await order(database, ada, `@flattr help ${n}`);
    expect(await heard(database, ada)).toHaveLength(60);
  });

  test("a favourite of a message is no flattr, and nobody can flattr it", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "10.00" });
    await order(database, ada, "@flattr help");
    const [row] = await database.sql<[{ uri: string }]>`
      SELECT t.uri FROM thing t JOIN post p ON p.thing = t.id JOIN actor b ON b.id = p.author WHERE b.name = 'flattr'`;
    const thing = await findThing(database, row.uri, at("2026-11-10"));
    const liked = await favouriteThing(database, {
      account: ada,
      thing,
      counts: true,
      at: at("2026-11-10"),
    });
    expect(liked.flattr).toBeUndefined();
    await expect(click(database, ada, thing)).rejects.toMatchObject({ reason: "no_payee" });
  });
});

describe("by itself", () => {
  test("greets once", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada");
    await Promise.all([1, 2, 3].map(() => welcome(database, ada.id, at("2026-11-02"))));
    await welcome(database, ada.id, at("2026-11-03"));
    const all = await heard(database, ada);
    expect(all).toHaveLength(1);
    expect(all[0]!.text).toContain("a favourite is a flattr");
  });

  test("tells of a closed month, of what came, and of money that came late, each once", async () => {
    const database = await testDatabase();
    const ada = await person(database, "ada", { budget: "6.00", money: "10.00" });
    const late = await person(database, "late", { budget: "4.00" });
    const poor = await person(database, "poor", { budget: "3.00" });
    const idle = await person(database, "idle", { budget: "9.00", money: "9.00" });
    const paused = await person(database, "paused", { money: "5.00" });
    const bob = await person(database, "bob");
    const post = await localPost(database, bob);
    for (const one of [ada, late, poor, paused]) await click(database, one, post);
    await settle(database, { at: at("2026-12-01T00:05:00Z") });
    const run = async (when: string) => {
      await Promise.all([botDue(database, at(when)), botDue(database, at(when))]);
      return botDue(database, at(when));
    };
    expect(await run("2026-12-01T00:10:00Z")).toBe(0);
    const [closed] = await heard(database, ada);
    expect(closed!.text).toContain("November 2026 is closed: your flattrs (1) got … in all");
    expect(closed!.full).toContain("6.00 EUR");
    expect((await heard(database, bob))[0]!.full).toContain("gave you 6.00 EUR in November 2026");
    expect((await heard(database, poor))[0]!.text).toContain(
      "Money that arrives before December 8, 2026",
    );
    expect((await heard(database, paused))[0]!.text).toContain("Your budget was paused");

    await fund(database, { patron: late.id, amount: eur("4.00"), at: at("2026-12-03") });
    await run("2026-12-03");
    expect(
      (await heard(database, late)).map(({ full }) => full?.includes("4.00 EUR") ?? false),
    ).toEqual([false, true]);
    expect(await heard(database, bob)).toHaveLength(1);
    await settle(database, { at: at("2026-12-08T00:05:00Z") });
    await run("2026-12-08T00:10:00Z");
    expect((await heard(database, bob))[1]!.full).toContain("4.00 EUR more for November 2026");
    expect((await heard(database, poor))[1]!.text).toContain("over for good");
    expect(await heard(database, ada)).toHaveLength(1);
    expect(await heard(database, idle)).toEqual([]);
    expect(await run("2026-12-30")).toBe(0);
  });

  test("warns three days before the end when too little is there, and not before, and once (P16)", async () => {
    const database = await testDatabase();
    const bob = await person(database, "bob");
    const post = await localPost(database, bob);
    const low = await person(database, "low", { budget: "6.00", money: "5.99" });
    const rich = await person(database, "rich", { budget: "6.00", money: "6.00" });
    const idle = await person(database, "idle", { budget: "6.00" });
    const own = await person(database, "own", { budget: "6.00" });
    for (const one of [low, rich]) await click(database, one, post);
    await favouriteThing(database, {
      account: own,
      thing: await localPost(database, own),
      counts: true,
      at: at("2026-11-10"),
    });
    expect(await botDue(database, at("2026-11-27T23:59:59Z"))).toBe(0);
    expect(await botDue(database, at("2026-11-28T00:00:00Z"))).toBe(1);
    expect(await botDue(database, at("2026-11-30T23:50:00Z"))).toBe(0);
    const [warning] = await heard(database, low);
    expect(warning!.full).toMatch(/share 6\.00 EUR, and 5\.99 EUR is there/);
    expect(warning!.text).not.toMatch(/6\.00|5\.99/);
    for (const one of [rich, idle, own]) expect(await heard(database, one)).toEqual([]);
  });

  test("many people are told in batches, and a run that was cut off goes on", async () => {
    const database = await testDatabase();
    await turnMonths(database, at("2026-11-01"));
    const bob = await person(database, "bob");
    const thing = await localPost(database, bob);
    const many = 450;
    await database.sql`
      WITH made AS (
        INSERT INTO actor (id, uri, host, name, found_at)
        SELECT new_id('2026-11-01T00:00:00Z'), ${`${database.settings.origin}/users/p`} || n, ${new URL(database.settings.origin).host}, 'p' || n, '2026-11-01T00:00:00Z'
          FROM generate_series(1, ${many}::int) n RETURNING id, name),
      people AS (
        INSERT INTO account (id, actor, name, email, role, created_at)
        SELECT new_id('2026-11-01T00:00:00Z'), id, name, name || '@mail.example', 'user', '2026-11-01T00:00:00Z' FROM made RETURNING id)
      INSERT INTO ledger.account (kind, owner, currency, floor) SELECT kind, id, 'EUR', 0 FROM people, (VALUES ('budget'), ('earnings')) k(kind)`;
    await database.sql`INSERT INTO budget (patron, since, amount) SELECT id, '2026-11-01T00:00:01Z', 5000000 FROM account WHERE name LIKE 'p%'`;
    await database.sql`
      INSERT INTO flattr (period, id, patron, thing, split, source, private, at)
      SELECT 202611, new_id('2026-11-02T00:00:00Z'), a.id, ${thing}, t.split, 'click', false, '2026-11-02T00:00:00Z'
        FROM account a, thing t WHERE t.id = ${thing} AND a.name LIKE 'p%'`;
    const when = at("2026-11-29");
    expect(await botDue(database, when)).toBe(many);
    // As if the run had broken off in the middle.
    await database.sql`DELETE FROM bot_message WHERE account IN (SELECT id FROM account WHERE name LIKE 'p1%')`;
    const [{ gone }] = await database.sql<[{ gone: number }]>`
      SELECT count(*)::int AS gone FROM account WHERE name LIKE 'p1%'`;
    expect(await botDue(database, when)).toBe(gone);
    expect(await botDue(database, when)).toBe(0);
  });
});

/** How long the workers of a busy machine may take. */
const PATIENCE_MS = 20_000;

test("a running instance greets and answers, within seconds", async () => {
  const [one] = await neighbours(1);
  const { database } = one!.instance;
  const { clock } = one!.instance;
  const ada = await createAccount(database, {
    name: "ada",
    email: "ada@mail.example",
    role: "user",
    at: clock.now(),
  });
  const token = await tokenFor(database, ada, "read write", { at: clock.now() });
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${one!.origin}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    });
    return (await answer.json()) as Record<string, unknown>[];
  };
  const told = async (words: string) =>
    (await ask("/api/v1/notifications")).some(
      ({ type, account, status }) =>
        type === "mention" &&
        (account as { acct: string }).acct === "flattr" &&
        (status as { content: string; visibility: string }).visibility === "direct" &&
        (status as { content: string }).content.includes(words),
    ) || undefined;
  expect(await until(PATIENCE_MS, () => told("a favourite is a flattr"))).toBe(true);
  await ask("/api/v1/statuses", {
    method: "POST",
    body: JSON.stringify({ status: "@flattr status", visibility: "direct" }),
  });
  expect(await until(PATIENCE_MS, () => told("no flattrs so far"))).toBe(true);
});
