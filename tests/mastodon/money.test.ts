/** Amounts are seen by their owner alone, through apps that may show them: wherever one looks. */

import { expect, test } from "vitest";
import { renderFor } from "../../src/edges/mastodon/render.ts";
import type { Account } from "../../src/features/account/create.ts";
import { personNamed } from "../../src/features/account/person.ts";
import { botDue } from "../../src/features/bot/due.ts";
import { answerOrder } from "../../src/features/bot/order.ts";
import { openBot } from "../../src/features/bot/message.ts";
import { favouriteThing } from "../../src/features/flattr/favourite.ts";
import { followActor } from "../../src/features/follow/follow.ts";
import { writePost } from "../../src/features/post/write.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { MONEY_FIELD_NAMES } from "../../src/rules/money-fields.ts";
import { at, click, localPost, person, remotePost, testDatabase } from "../support/database.ts";
import { type Answer, type Ask, clientHouse } from "../support/client.ts";

/** Budget, purse, what a click is worth, what was received; as people and as programs write them. */
const PLANTED = ["73.19", "91.37", "24.396666", "18.53"];
const AMOUNT = new RegExp(
  PLANTED.flatMap((amount) => {
    const [whole, fraction] = amount.split(".") as [string, string];
    return [`${whole}[.,]${fraction}`, `(?<!\\d)${whole}${fraction.padEnd(6, "0")}(?!\\d)`];
  }).join("|"),
);

const OWN_WITHOUT = "read write follow push profile flattr:read flattr:write";

/** A house in which Ada has amounts everywhere that they can be. */
async function plantedHouse() {
  const database = await testDatabase();
  const house = clientHouse(database, "2026-12-10T12:00:00Z");
  const ada = await person(database, "ada", { budget: "73.19", money: "91.37" });
  const eve = await person(database, "eve", { budget: "18.53", money: "18.53" });
  // November: Eve gives Ada all that she has.
  await click(database, eve, await localPost(database, ada));
  await settle(database, { at: at("2026-12-01T00:05:00Z") });
  const now = at("2026-12-09");
  const things = await Promise.all(
    [1, 2, 3].map((n) => remotePost(database, `https://b.test/${n}`, "https://b.test/u")),
  );
  for (const thing of things) await click(database, ada, thing, "2026-12-09");
  const post = await localPost(database, eve, "2026-12-08T00:00:00Z");
  await favouriteThing(database, { account: eve, thing: post, counts: true, at: now });
  await openBot(database, now);
  for (const text of ["@flattr status", "@flattr budget"]) {
    const { id } = await writePost(database, { author: ada, text, visibility: "direct", at: now });
    await answerOrder(database, id, now);
  }
  await botDue(database, now);
  await followActor(database, {
    follower: eve,
    uri: `${database.settings.origin}/users/ada`,
    at: now,
  });
  return { database, house, ada, eve };
}

/** Every id of every kind that a route could mean. */
async function allIds({
  sql,
}: Awaited<ReturnType<typeof testDatabase>>): Promise<readonly string[]> {
  const rows = await sql<{ id: bigint }[]>`
    SELECT id FROM post UNION SELECT id FROM actor UNION SELECT id FROM notification UNION SELECT id FROM thing UNION SELECT id FROM flattr`;
  return rows.map(({ id }) => String(id));
}

/** What a route is asked beside its address. */
function queriesOf(path: string, ids: readonly string[]): readonly string[] {
  if (path.endsWith("/search"))
    return ["?q=flattr", "?q=budget", "?q=73", "?q=EUR", "?q=ada&type=accounts"];
  if (path.endsWith("/statuses") || path.endsWith("/accounts") || path.endsWith("/relationships"))
    return ["", `?${ids.map((id) => `id[]=${id}`).join("&")}`];
  if (path.endsWith("/lookup")) return ["?acct=ada", "?acct=flattr", "?url=https://b.test/1"];
  if (path.includes("/statement") || path.includes("/receipt"))
    return ["?period=2026-11", "?period=2026-12", "?period=2026-11&kind=creator"];
  return [""];
}

/** Requests at the same time. */
const AT_ONCE = 8;

/** Asks every route that answers GET, with every id; and gives the answers in which an amount stands. */
async function scan(
  house: Awaited<ReturnType<typeof plantedHouse>>["house"],
  ask: Ask,
  ids: readonly string[],
): Promise<{ readonly asked: number; readonly found: readonly string[] }> {
  const paths = new Set(
    house.app.routes
      .filter(({ method, path }) => method === "GET" && !path.includes("*"))
      .map(({ path }) => path),
  );
  expect(paths.size).toBeGreaterThan(60);
  const addresses = [...paths].flatMap((path) => {
    const filled = path.includes(":")
      ? ids.map((id) => path.replaceAll(/:(\w+)(?:\{[^}]+\})?/g, () => id))
      : [path];
    return filled.flatMap((address) => queriesOf(path, ids).map((query) => `${address}${query}`));
  });
  const found: string[] = [];
  const waiting = addresses.values();
  const askOn = async () => {
    for (const address of waiting) {
      const answer: Answer = await ask("GET", address);
      const text = JSON.stringify([answer.body, Object.fromEntries(answer.headers)]);
      if (AMOUNT.test(text)) found.push(address);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askOn));
  return { asked: addresses.length, found };
}

const scanned = (house: Parameters<typeof scan>[0], ask: Ask, ids: readonly string[]) =>
  scan(house, ask, ids).then(({ asked, found }) => {
    expect(asked).toBeGreaterThan(ids.length * 10);
    return found;
  });

test("no GET route shows an amount to another person, to a stranger, or to an app of the owner without money:read", async () => {
  const { database, house, ada } = await plantedHouse();
  const mallory = await person(database, "mallory", { since: "2026-12-01T00:10:00Z" });
  const ids = await allIds(database);
  expect(ids.length).toBeGreaterThan(15);
  expect(await scanned(house, await house.as(mallory, `${OWN_WITHOUT} money:read`), ids)).toEqual(
    [],
  );
  expect(await scanned(house, house.ask, ids)).toEqual([]);
  expect(await scanned(house, await house.as(ada, OWN_WITHOUT), ids)).toEqual([]);

  // The same with money:read, so that it is known that there was something to be found.
  const found = await scanned(house, await house.as(ada, `${OWN_WITHOUT} money:read`), ids);
  const kinds = new Set(found.map((path) => path.replaceAll(/\d{10,}/g, ":id").split("?")[0]));
  for (const kind of [
    "/api/v1/accounts/verify_credentials",
    "/api/v1/statuses/:id",
    "/api/v1/statuses/:id/context",
    "/api/v1/notifications",
    "/api/v2/notifications",
    "/api/flattr/v1/budget",
    "/api/flattr/v1/statement",
    "/api/flattr/v1/flattrs/current",
  ])
    expect(kinds).toContain(kind);
  // What other people read of Ada is the same for herself: no amount stands in an account that is shown.
  expect([...kinds].filter((kind) => /accounts\/(?::id|lookup|search)$/.test(kind!))).toEqual([]);
}, 300_000);

test("streams show the form without amounts, whatever apps a person has", async () => {
  const { database, house, ada } = await plantedHouse();
  await house.as(ada, `${OWN_WITHOUT} money:read`);
  const render = renderFor(house.parts);
  const notifications = await database.sql<{ id: bigint; post: bigint }[]>`
    SELECT n.id, n.post FROM notification n JOIN actor b ON b.id = n.actor WHERE n.account = ${ada.id} AND b.name = 'flattr'`;
  expect(notifications.length).toBeGreaterThan(2);
  for (const { id, post } of notifications)
    for (const shown of [
      await render("notification", id, ada, "notifications"),
      await render("status", post, ada, "home"),
    ]) {
      expect(shown).toBeDefined();
      expect(JSON.stringify(shown)).not.toMatch(AMOUNT);
    }
});

test("what is done with a message shows no amount to an app that may see none", async () => {
  const { database, house, ada } = await plantedHouse();
  const without = await house.as(ada, OWN_WITHOUT);
  const messages = await database.sql<{ id: bigint }[]>`
    SELECT p.id FROM post p JOIN actor b ON b.id = p.author WHERE b.name = 'flattr' AND p.html IS NOT NULL
       AND EXISTS (SELECT FROM post_mention m WHERE m.post = p.id AND m.actor = ${ada.actor})`;
  expect(messages.length).toBeGreaterThan(1);
  for (const { id } of messages)
    for (const verb of [
      "favourite",
      "unfavourite",
      "bookmark",
      "unbookmark",
      "mute",
      "unmute",
      "reblog",
      "pin",
    ])
      expect(
        JSON.stringify(await without("POST", `/api/v1/statuses/${id}/${verb}`)),
        verb,
      ).not.toMatch(AMOUNT);
  const changed = await without("PATCH", "/api/v1/accounts/update_credentials", { note: "Hello" });
  expect(changed.status).toBe(200);
  expect(JSON.stringify(changed.body)).not.toMatch(AMOUNT);
});

const fieldsOf = (answer: Answer) =>
  Object.fromEntries(
    (answer.body.fields as { name: string; value: string }[]).map(({ name, value }) => [
      name,
      value,
    ]),
  );

test("the running month stands in the fields of verify_credentials, and nowhere else", async () => {
  const { house, ada } = await plantedHouse();
  const withMoney = await house.as(ada, "read:accounts money:read");
  const own = await withMoney("GET", "/api/v1/accounts/verify_credentials");
  const { budget, clicks, value, waiting } = MONEY_FIELD_NAMES;
  expect(fieldsOf(own)).toEqual({
    [budget.en]: "73.19 EUR",
    [clicks.en]: "3",
    [value.en]: "24.396666 EUR",
    [waiting.en]: "18.53 EUR",
  });
  expect(own.body.source.fields).toEqual([]);
  for (const field of own.body.fields) expect(field.verified_at).toBeNull();

  const without = await house.as(ada, "read:accounts write:accounts");
  const poor = fieldsOf(await without("GET", "/api/v1/accounts/verify_credentials"));
  expect(Object.keys(poor)).toEqual([budget.en, clicks.en]);
  expect(poor[clicks.en]).toBe("3");
  expect(poor[budget.en]).toMatch(/^<a href="[^"]+\/settings"/);

  await without("PATCH", "/api/v1/accounts/update_credentials", { source: { language: "de" } });
  expect(fieldsOf(await withMoney("GET", "/api/v1/accounts/verify_credentials"))).toMatchObject({
    [budget.de]: "73,19 EUR",
    [clicks.de]: "3",
  });
  const seen = await withMoney("GET", `/api/v1/accounts/${ada.actor}`);
  expect(seen.body.fields).toEqual([]);
});

test.each([
  ["as it was read", (fields: unknown[]) => ({ fields_attributes: fields })],
  [
    "by numbers, as programs with forms do",
    (fields: unknown[]) => ({
      fields_attributes: Object.fromEntries(fields.map((field, n) => [n, field])),
    }),
  ],
  [
    "with its fields' names in another spelling",
    (fields: unknown[]) => ({
      fields_attributes: (fields as { name: string; value: string }[]).map(({ name, value }) => ({
        name: ` ${name.toUpperCase()}: `,
        value,
      })),
    }),
  ],
] as const)("a profile that is saved %s holds no amount", async (_, bodyOf) => {
  const { database, house, ada } = await plantedHouse();
  const app = await house.as(ada, "read:accounts write:accounts money:read");
  const real = { name: "Pronouns", value: "she" };
  await app("PATCH", "/api/v1/accounts/update_credentials", { fields_attributes: [real] });
  const read = await app("GET", "/api/v1/accounts/verify_credentials");
  expect(JSON.stringify(read.body)).toMatch(AMOUNT);
  const saved = await app("PATCH", "/api/v1/accounts/update_credentials", bodyOf(read.body.fields));
  expect(saved.status).toBe(200);
  // Amounts stand where one looks at oneself, and nowhere else.
  expect(JSON.stringify(saved.body)).not.toMatch(AMOUNT);
  const names = (saved.body.source.fields as { name: string }[]).map(({ name }) =>
    name.trim().toLowerCase(),
  );
  expect(names).toHaveLength(1);
  const rows = await database.sql`
    SELECT to_jsonb(a) AS actor, to_jsonb(x) - 'budget_ceiling' AS account FROM actor a JOIN account x ON x.actor = a.id WHERE x.id = ${ada.id}`;
  const person = await personNamed(database.drizzle, database.settings.origin, "ada");
  const told = await database.sql`SELECT document::text AS document FROM message`;
  const text = JSON.stringify([rows, person, told], (_key, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  expect(text).toContain("she");
  expect(text).not.toMatch(AMOUNT);
  expect(text).not.toContain("💶");
});

test("the flattr keys: of posts one's own, of people whether they are paid, of the instance its rules", async () => {
  const { database, house, ada } = await plantedHouse();
  const bob: Account = await person(database, "bob", { since: "2026-12-02T00:00:00Z" });
  const { id, uri } = await writePost(database, { author: bob, text: "Hi", at: at("2026-12-09") });
  const app = await house.as(ada, "read write flattr:read money:read");
  const poor = await house.as(ada, "read write");
  const before = await app("GET", `/api/v1/statuses/${id}`);
  expect(before.body.flattr).toEqual({ period: "2026-12", given: false });
  await poor("POST", `/api/v1/statuses/${id}/favourite`);
  expect((await poor("GET", `/api/v1/statuses/${id}`)).body.flattr).toEqual({
    period: "2026-12",
    given: true,
  });
  expect((await app("GET", `/api/v1/statuses/${id}`)).body.flattr).toEqual({
    period: "2026-12",
    given: true,
    value: "18297500",
  });
  const others = await house.as(bob, "read money:read");
  expect((await others("GET", `/api/v1/statuses/${id}`)).body.flattr).toEqual({
    period: "2026-12",
    given: false,
  });
  expect((await house.ask("GET", `/api/v1/statuses/${id}`)).body.flattr).toBeUndefined();
  expect(uri).toContain("/users/bob/");

  const flattrOf = async (name: string) =>
    (await house.ask("GET", `/api/v1/accounts/lookup?acct=${name}`)).body.flattr as unknown;
  expect(await flattrOf("bob")).toEqual({ accepts: true, claimed: true });
  expect(await flattrOf("flattr")).toEqual({ accepts: false, claimed: false });
  const refused = await (
    await house.as(ada, "flattr:write")
  )("POST", "/api/flattr/v1/flattrs", { acct: "@flattr" });
  expect(refused).toMatchObject({ status: 422, body: { error: "no_payee" } });
  const [{ id: elsewhere }] = await database.sql<
    [{ id: bigint }]
  >`SELECT id FROM actor WHERE uri = 'https://b.test/u'`;
  expect((await house.ask("GET", `/api/v1/accounts/${elsewhere}`)).body.flattr).toEqual({
    accepts: true,
    claimed: false,
  });
  expect((await house.ask("GET", "/api/v2/instance")).body.flattr).toEqual({
    currency: "EUR",
    minimum_budget: "2000000",
    bot: `${database.settings.origin}/users/flattr`,
  });
});
