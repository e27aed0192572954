/** The page of one's own money: seen and set by its owner alone, with a browser that has just signed in. */

import { expect, test } from "vitest";
import { setBudget } from "../../src/features/budget/set.ts";
import { clickNow } from "../../src/features/settlement/report.ts";
import { at, click, eur, localPost, person, snapshot, testDatabase } from "../support/database.ts";
import { handClock, hiddenFields, resident, signInAs, site, visitor } from "../support/visitor.ts";

const PASSWORD = "correct horse battery";

async function town() {
  const database = await testDatabase();
  const clock = handClock();
  const alice = await resident(database, "alice", PASSWORD);
  await setBudget(database, { patron: alice.id, amount: eur("5.00"), at: at("2026-11-01") });
  await click(database, alice, await localPost(database, await person(database, "bob")));
  const app = site(database, clock);
  const who = visitor(app, database.settings.origin);
  const ceiling = async () => {
    const [row] = await database.sql<
      [{ c: bigint | null }]
    >`SELECT budget_ceiling AS c FROM account WHERE id = ${alice.id}`;
    return row.c;
  };
  const set = async (what: string, fields: Record<string, string>) => {
    const html = await (await who.get("/settings")).text();
    return who.send(`/settings/${what}`, { ...hiddenFields(html, `/settings/${what}`), ...fields });
  };
  const budget = async () => (await clickNow(database, alice.id, clock.now())).budget;
  return { database, clock, alice, who, set, ceiling, budget, app };
}

test("a stranger is shown where to sign in, and comes back", async () => {
  const { who } = await town();
  const answer = await who.get("/settings");
  expect(answer.status).toBe(303);
  expect(answer.headers.get("location")).toBe("/sign-in?next=%2Fsettings");
  expect((await signInAs(who, "alice", PASSWORD, "/settings")).headers.get("location")).toBe(
    "/settings",
  );
  const page = await who.get("/settings");
  expect(page.headers.get("cache-control")).toContain("no-store");
  const text = await page.text();
  expect(text).toContain("flattrs so far: 1");
  expect(text).toContain("5.00 EUR");
});

test("sets the budget and the ceiling, in whole cents and above the minimum", async () => {
  const { database, who, set, ceiling, budget } = await town();
  await signInAs(who, "alice", PASSWORD);
  expect((await set("budget", { amount: "7,50" })).status).toBe(303);
  expect(await budget()).toBe(eur("7.50"));
  expect((await set("ceiling", { amount: "10" })).status).toBe(303);
  expect(await ceiling()).toBe(eur("10.00"));
  const before = await snapshot(database);
  for (const amount of ["", "1.99", "-5", "5.001", "five", "9".repeat(20), "<b>"]) {
    const refused = await set("budget", { amount });
    expect(refused.status, amount).toBe(422);
    const text = await refused.text();
    expect(text).not.toContain("<b>");
    // It is said why, and what was typed is there to be corrected.
    expect(text).toContain('role="alert"');
    expect(text).toContain(`value="${amount.replace("<b>", "&lt;b&gt;")}"`);
  }
  expect((await set("ceiling", { amount: "much" })).status).toBe(422);
  expect(await snapshot(database)).toBe(before);
  expect((await set("ceiling", { amount: "" })).status).toBe(303);
  expect(await ceiling()).toBeNull();
});

test("chooses whether favourites count", async () => {
  const { database, alice, who, set } = await town();
  await signInAs(who, "alice", PASSWORD);
  await set("favourites", { mode: "explicit", private: "on" });
  const chosen = () =>
    database.sql`SELECT flattr_mode, flattrs_private FROM account WHERE id = ${alice.id}`;
  expect(await chosen()).toMatchObject([{ flattr_mode: "explicit", flattrs_private: true }]);
  await set("favourites", { mode: "all" });
  expect(await chosen()).toMatchObject([{ flattr_mode: "all", flattrs_private: false }]);
});

test("a browser that was left open sets no money before the password is given again (W09)", async () => {
  const { database, clock, who, set, budget } = await town();
  await signInAs(who, "alice", PASSWORD);
  clock.advance({ minutes: 16 });
  const before = await snapshot(database);
  for (const what of ["budget", "ceiling"]) {
    const answer = await set(what, { amount: "9.00" });
    expect(answer.headers.get("location")).toBe("/sign-in?again=1&next=%2Fsettings");
  }
  expect(await snapshot(database)).toBe(before);
  const page = await (await who.get("/sign-in?again=1&next=%2Fsettings")).text();
  expect(page).toContain("Nothing was changed: money is set only shortly after you gave");
  expect(page).toMatch(/name="name"\s+value="alice"/);
  expect(hiddenFields(page, "/sign-in")).toMatchObject({ next: "/settings" });
  await signInAs(who, "alice", PASSWORD);
  await set("budget", { amount: "9.00" });
  expect(await budget()).toBe(eur("9.00"));
});

test("nothing is set by strangers, nor by what no page of ours has sent", async () => {
  const { database, who, app } = await town();
  const before = await snapshot(database);
  const page = await (await who.get("/sign-in")).text();
  const token = hiddenFields(page, "/sign-in");
  for (const what of ["budget", "ceiling", "favourites"]) {
    const stranger = await who.send(`/settings/${what}`, { ...token, amount: "9.00" });
    expect(stranger.headers.get("location")).toBe("/sign-in");
  }
  await signInAs(who, "alice", PASSWORD);
  const cookie = [...who.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  for (const from of ["https://evil.example", database.settings.origin]) {
    const forged = await app.request(`${database.settings.origin}/settings/budget`, {
      method: "POST",
      headers: { origin: from, cookie, "content-type": "application/x-www-form-urlencoded" },
      body: "amount=9.00",
    });
    expect(forged.status).toBe(403);
  }
  expect(await snapshot(database)).toBe(before);
});
