import { describe, expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { setPreferences } from "../../src/features/account/find.ts";
import { fund, refund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { addAlias } from "../../src/features/claim/alias.ts";
import {
  acceptPayments,
  blockPayments,
  declinePayments,
  forgetActor,
  unblockPayments,
} from "../../src/features/claim/standing.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { pauseSubscription, subscribe, unsubscribe } from "../../src/features/flattr/subscribe.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { tick } from "../../src/features/settlement/tick.ts";
import { deleteThing } from "../../src/features/thing/thing.ts";
import { toMicro } from "../../src/rules/amount.ts";
import type { Period } from "../../src/rules/period.ts";
import { openClients } from "../../src/store/database.ts";
import { Refusal } from "../../src/store/refusal.ts";
import {
  at,
  click,
  eur,
  localPost,
  payeesOf,
  person,
  remotePost,
  snapshot,
  testDatabase,
} from "../support/database.ts";

const ANN = "https://far.example/users/ann";
const BEN = "https://far.example/users/ben";
const november = "2026-11" as Period;

/** The reason of a refusal; fails when nothing was refused. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  return "accepted";
}

describe("a click", () => {
  test("is one flattr, however often and from however many clients at once", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    const clicks = await Promise.all(
      Array.from({ length: 12 }, () => click(database, alice, thing)),
    );
    expect(new Set(clicks.map(({ flattr }) => flattr)).size).toBe(1);
    expect(clicks.filter(({ again }) => !again)).toHaveLength(1);
  });

  test("among many at once gets its own answer, whatever becomes of the others", async () => {
    const database = await testDatabase();
    const people = await Promise.all(
      ["alice", "bob", "carol"].map((name) => person(database, name)),
    );
    const [alice, bob, carol] = people as [Account, Account, Account];
    const own = await localPost(database, alice);
    const fine = await remotePost(database, "https://far.example/1", ANN);
    const declined = await remotePost(database, "https://far.example/2", BEN);
    await declinePayments(database, { payee: BEN, at: at("2026-11-02") });
    await setPreferences(database, carol.id, { flattrMode: "explicit" });
    const answer = (attempt: Promise<{ flattr: bigint | undefined; again: boolean }>) =>
      attempt.then(
        ({ flattr, again }) => (flattr === undefined ? "favourite" : again ? "again" : "given"),
        (error: { reason: string }) => error.reason,
      );
    const favourite = giveFlattr(database, {
      patron: carol.id,
      thing: fine,
      source: "favourite",
      at: at("2026-11-10"),
    });
    const answers = await Promise.all(
      [
        click(database, alice, own),
        click(database, alice, fine),
        click(database, bob, own),
        click(database, bob, declined),
        favourite,
        click(database, bob, 5n),
        giveFlattr(database, { patron: 5n, thing: fine, source: "click", at: at("2026-11-10") }),
        click(database, bob, fine),
        click(database, alice, fine),
      ].map(answer),
    );
    // The same click twice: one of the two gives, whichever is first.
    const twice = [answers[1], answers.at(-1)];
    expect(new Set(twice)).toEqual(new Set(["given", "again"]));
    expect([answers[0], ...answers.slice(2, -1)]).toEqual([
      "flattr_owner",
      "given",
      "payee_declined",
      "favourite",
      "not_found",
      "account_unknown",
      "given",
    ]);
    // Of two months at once: the later one ends the earlier, whichever is first.
    const [late, next] = await Promise.all(
      [click(database, carol, own), click(database, bob, fine, "2026-12-01T00:00:00Z")].map(answer),
    );
    expect(["given", "period_closed"]).toContain(late);
    expect(next).toBe("given");
    expect(
      await database.sql`SELECT period, count(*)::int AS count FROM flattr GROUP BY period ORDER BY period`,
    ).toEqual([
      { period: 202611, count: late === "given" ? 4 : 3 },
      { period: 202612, count: 1 },
    ]);
    // Three flattrs, and a favourite that is none.
    expect(
      await database.sql`SELECT count(*)::int AS count, count(period)::int AS flattrs FROM delivery`,
    ).toEqual([{ count: 4, flattrs: 3 }]);
  });

  test("on a thing elsewhere is told to its author by a row of the same transaction; on one of this instance it is told to nobody", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const bob = await person(database, "bob");
    const { flattr } = await click(
      database,
      alice,
      await remotePost(database, "https://far.example/1", { [ANN]: 1, [BEN]: 1 }),
    );
    await click(database, alice, await localPost(database, bob));
    const rows =
      await database.sql`SELECT d.activity, d.flattr, a.uri FROM delivery d JOIN actor a ON a.id = d.payee ORDER BY a.uri`;
    expect(rows).toEqual([
      { activity: "Like", flattr, uri: ANN },
      { activity: "Like", flattr, uri: BEN },
    ]);
  });

  test("that is private is told to nobody, by the click's or the person's choice", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const things = [
      await remotePost(database, "https://far.example/1", ANN),
      await remotePost(database, "https://far.example/2", ANN),
      await remotePost(database, "https://far.example/3", ANN),
    ];
    await giveFlattr(database, {
      patron: alice.id,
      thing: things[0]!,
      source: "click",
      private: true,
      at: at("2026-11-10"),
    });
    await setPreferences(database, alice.id, { flattrsPrivate: true });
    await click(database, alice, things[1]!);
    expect(await database.sql`SELECT 1 FROM delivery`).toHaveLength(0);
    await giveFlattr(database, {
      patron: alice.id,
      thing: things[2]!,
      source: "click",
      private: false,
      at: at("2026-11-10"),
    });
    expect(await database.sql`SELECT 1 FROM delivery`).toHaveLength(1);
    expect(await database.sql`SELECT 1 FROM flattr`).toHaveLength(3);
  });

  test("taken back before it was told is never told; after that it is withdrawn; given again it is a new flattr", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    const which = { patron: alice.id, thing };
    const first = await click(database, alice, thing);
    await takeBackFlattr(database, { ...which, at: at("2026-11-11") });
    expect(await database.sql`SELECT 1 FROM delivery`).toHaveLength(0);
    const second = await click(database, alice, thing, "2026-11-12");
    expect(second.flattr).not.toBe(first.flattr);
    // Arrived.
    await database.sql`DELETE FROM delivery`;
    await takeBackFlattr(database, { ...which, at: at("2026-11-13") });
    expect(await database.sql`SELECT activity, flattr FROM delivery`).toEqual([
      { activity: "Undo", flattr: second.flattr },
    ]);
    await database.sql`DELETE FROM delivery`;
    const third = await click(database, alice, thing, "2026-11-13");
    // Tried, and perhaps arrived.
    await database.sql`UPDATE delivery SET attempts = 1`;
    await takeBackFlattr(database, { ...which, at: at("2026-11-14") });
    expect(await database.sql`SELECT activity, flattr FROM delivery ORDER BY id`).toEqual([
      { activity: "Like", flattr: third.flattr },
      { activity: "Undo", flattr: third.flattr },
    ]);
    expect(await refusal(takeBackFlattr(database, { ...which, at: at("2026-11-14") }))).toBe(
      "not_found",
    );
  });

  test("of a post that is not for everybody is told to nobody, whatever is asked for", async () => {
    const database = await testDatabase();
    const { sql } = database;
    const alice = await person(database, "alice");
    for (const [place, visibility] of ["public", "unlisted", "followers", "direct"].entries()) {
      const thing = await remotePost(database, `https://far.example/${place}`, ANN);
      await sql`
        INSERT INTO post (id, author, thing, html, visibility, at)
        SELECT new_id('2026-11-09'), id, ${thing}, 'x', ${visibility}, '2026-11-09' FROM actor WHERE uri = ${ANN}`;
      const gift = { patron: alice.id, thing, source: "click", private: false } as const;
      await giveFlattr(database, { ...gift, at: at("2026-11-10") });
    }
    expect(await sql`SELECT private FROM flattr ORDER BY thing`).toEqual([
      { private: false },
      { private: false },
      { private: true },
      { private: true },
    ]);
    expect(await sql`SELECT 1 FROM delivery`).toHaveLength(2);
    const [secret] = await sql<[{ thing: bigint }]>`SELECT thing FROM flattr WHERE private LIMIT 1`;
    await takeBackFlattr(database, {
      patron: alice.id,
      thing: secret.thing,
      at: at("2026-11-11"),
    });
    expect(await sql`SELECT 1 FROM delivery WHERE activity = 'Undo'`).toHaveLength(0);
  });

  test("taken back when its month is over stays given; the favourite is withdrawn, once (P7)", async () => {
    const database = await testDatabase();
    const { sql } = database;
    const alice = await person(database, "alice", { budget: "2.00", money: "10.00" });
    const [told, untold, silent] = [
      await remotePost(database, "https://far.example/1", ANN),
      await remotePost(database, "https://far.example/2", ANN),
      await remotePost(database, "https://far.example/3", ANN),
    ];
    const { flattr } = await click(database, alice, told);
    await sql`DELETE FROM delivery`;
    await click(database, alice, untold);
    const gift = { patron: alice.id, thing: silent, source: "click", private: true } as const;
    await giveFlattr(database, { ...gift, at: at("2026-11-10") });
    await tick(database, at("2027-01-10"));
    const back = (thing: bigint, when: string) =>
      takeBackFlattr(database, { patron: alice.id, thing, at: at(when) });
    const closed = { reason: "period_closed", facts: { period: "2026-11", withdrawn: "true" } };
    // Nobody was told yet: nobody will be.
    await expect(back(untold, "2027-01-11")).rejects.toMatchObject(closed);
    await expect(back(told, "2027-01-11")).rejects.toMatchObject(closed);
    const before = await snapshot(database);
    // Months later, and again and again: nothing else changes.
    for (const when of ["2027-01-12", "2027-01-13"])
      await expect(back(told, when)).rejects.toMatchObject(closed);
    expect(await sql`SELECT activity, flattr, period FROM delivery WHERE thing = ${told}`).toEqual([
      { activity: "Undo", flattr, period: 202611 },
    ]);
    await expect(back(silent, "2027-01-11")).rejects.toMatchObject({ reason: "period_closed" });
    expect(await sql`SELECT 1 FROM delivery WHERE thing <> ${told}`).toHaveLength(0);
    expect(await snapshot(database)).toBe(before);
    // Given again it is a new flattr with a new Like.
    await click(database, alice, told, "2027-01-14");
    await back(told, "2027-01-15");
    expect(await refusal(back(5n, "2027-01-15"))).toBe("not_found");
  });

  test("on one's own thing is refused, also when it is an alias' or all parts are one's own", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const own = await localPost(database, alice);
    const shared = await remotePost(database, "https://far.example/shared", { [ANN]: 1, [BEN]: 1 });
    const byAnn = await remotePost(database, "https://far.example/1", ANN);
    await addAlias(database, { account: alice.id, payee: ANN, at: at("2026-11-02") });
    const before = await snapshot(database);
    expect(await refusal(click(database, alice, own))).toBe("flattr_owner");
    expect(await refusal(click(database, alice, byAnn))).toBe("flattr_owner");
    expect(await snapshot(database)).toBe(before);
    expect((await click(database, alice, shared)).again).toBe(false);
  });

  test("is refused for who declined, is blocked by name or host, or is gone, as long as that lasts", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    await declinePayments(database, { payee: ANN, at: at("2026-11-02") });
    await declinePayments(database, { payee: ANN, at: at("2026-11-03") });
    expect(await refusal(click(database, alice, thing, "2026-11-04"))).toBe("payee_declined");
    await acceptPayments(database, { payee: ANN, at: at("2026-11-05") });
    for (const target of [
      { kind: "payee", target: ANN },
      { kind: "host", target: "far.example" },
    ] as const) {
      await blockPayments(database, { ...target, at: at("2026-11-06") });
      await blockPayments(database, { ...target, at: at("2026-11-06") });
      expect(await refusal(click(database, alice, thing, "2026-11-07"))).toBe("payee_blocked");
      await unblockPayments(database, { ...target, at: at("2026-11-08") });
    }
    expect((await click(database, alice, thing, "2026-11-09")).again).toBe(false);
    await forgetActor(database, { payee: ANN, at: at("2026-11-10") });
    expect(
      await refusal(
        click(
          database,
          alice,
          await remotePost(database, "https://far.example/2", ANN),
          "2026-11-11",
        ),
      ),
    ).toBe("no_payee");
  });

  test("on a deleted or unknown thing, or by nobody, is refused and changes nothing", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    await tick(database, at("2026-11-02"));
    const before = await snapshot(database);
    await deleteThing(database, { uri: "https://far.example/1", at: at("2026-11-05") });
    expect(await refusal(click(database, alice, thing))).toBe("not_found");
    expect(await refusal(click(database, alice, 5n))).toBe("not_found");
    expect(
      await refusal(
        giveFlattr(database, { patron: 5n, thing, source: "click", at: at("2026-11-10") }),
      ),
    ).toBe("account_unknown");
    expect(await snapshot(database)).toBe(before);
  });

  test("as a favourite counts, unless the person flattrs on purpose only; the change is not retroactive", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const [one, two] = [
      await remotePost(database, "https://far.example/1", ANN),
      await remotePost(database, "https://far.example/2", ANN),
    ];
    const favourite = (thing: bigint) =>
      giveFlattr(database, { patron: alice.id, thing, source: "favourite", at: at("2026-11-10") });
    expect((await favourite(one)).flattr).toBeDefined();
    await setPreferences(database, alice.id, { flattrMode: "explicit" });
    expect(await favourite(two)).toMatchObject({ flattr: undefined, again: false });
    expect((await favourite(one)).flattr).toBeDefined();
    expect(await database.sql`SELECT 1 FROM flattr`).toHaveLength(1);
    expect((await click(database, alice, two)).flattr).toBeDefined();
  });

  test("whose clock is behind the months finds its month closed", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    const given = await remotePost(database, "https://far.example/2", ANN);
    await click(database, alice, given);
    await tick(database, at("2026-12-02"));
    const before = await snapshot(database);
    expect(await refusal(click(database, alice, thing, "2026-11-30"))).toBe("period_closed");
    expect(
      await refusal(
        setBudget(database, { patron: alice.id, amount: eur("5.00"), at: at("2026-11-30") }),
      ),
    ).toBe("period_closed");
    expect(
      await refusal(
        takeBackFlattr(database, { patron: alice.id, thing: given, at: at("2026-11-30") }),
      ),
    ).toBe("period_closed");
    expect(await snapshot(database)).toBe(before);
  });
});

describe("a budget", () => {
  test.each([
    ["1.99", "budget_too_low"],
    ["0.01", "budget_too_low"],
    ["2.00", "accepted"],
    ["0", "accepted"],
    ["999999999.99", "accepted"],
  ])("of %s is %s", async (amount, answer) => {
    const database = await testDatabase();
    const alice = await person(database, "alice", { budget: "5.00" });
    const before = await snapshot(database);
    expect(
      await refusal(
        setBudget(database, { patron: alice.id, amount: eur(amount), at: at("2026-11-02") }),
      ),
    ).toBe(answer);
    expect((await snapshot(database)) === before).toBe(answer !== "accepted");
  });

  test("is whole minor units and not negative", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    for (const amount of [2_000_001n, -2_000_000n, 2n ** 62n]) {
      expect(
        await refusal(
          setBudget(database, { patron: alice.id, amount: toMicro(amount), at: at("2026-11-02") }),
        ),
      ).toBe("budget_invalid");
    }
  });

  test("that was set last counts, also when clocks jumped back", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice", { money: "9.00" });
    await click(database, alice, await remotePost(database, "https://far.example/1", ANN));
    await setBudget(database, { patron: alice.id, amount: eur("5.00"), at: at("2026-11-20") });
    await setBudget(database, { patron: alice.id, amount: eur("3.00"), at: at("2026-11-19") });
    await settle(database, { at: at("2026-12-01") });
    expect(await payeesOf(database, november)).toEqual({ [ANN]: "3000000" });
  });
});

describe("the manual rail", () => {
  test("books a reference once, also when it arrives twice at once", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const payment = {
      patron: alice.id,
      amount: eur("20.00"),
      reference: "RF18 5390",
      at: at("2026-11-02"),
    };
    const booked = await Promise.all([1, 2, 3, 4].map(() => fund(database, payment)));
    expect(booked.filter((one) => one.booked)).toHaveLength(1);
    expect(new Set(booked.map(({ id }) => id)).size).toBe(1);
    expect(await refusal(fund(database, { ...payment, amount: eur("21.00") }))).toBe(
      "reference_taken",
    );
    const bob = await person(database, "bob");
    expect(await refusal(fund(database, { ...payment, patron: bob.id }))).toBe("reference_taken");
  });

  test("takes nothing that is no payment", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    for (const amount of [0n, -1_000_000n, 5n, 2n ** 62n]) {
      expect(
        await refusal(
          fund(database, { patron: alice.id, amount: toMicro(amount), at: at("2026-11-02") }),
        ),
      ).toBe("amount_invalid");
      expect(
        await refusal(
          refund(database, { patron: alice.id, amount: toMicro(amount), at: at("2026-11-02") }),
        ),
      ).toBe("amount_invalid");
    }
  });

  test("gives back what is there, and not what a frozen month still needs", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice", { budget: "5.00", money: "8.00" });
    await click(database, alice, await remotePost(database, "https://far.example/1", ANN));
    expect(
      await refusal(
        refund(database, { patron: alice.id, amount: eur("8.01"), at: at("2026-11-20") }),
      ),
    ).toBe("balance_too_low");
    // The month is over and frozen by this very attempt, but not closed yet.
    expect(
      await refusal(
        refund(database, { patron: alice.id, amount: eur("3.01"), at: at("2026-12-01") }),
      ),
    ).toBe("balance_too_low");
    expect(
      (
        await refund(database, {
          patron: alice.id,
          amount: eur("3.00"),
          reference: "back",
          at: at("2026-12-01"),
        })
      ).booked,
    ).toBe(true);
    expect(
      (
        await refund(database, {
          patron: alice.id,
          amount: eur("3.00"),
          reference: "back",
          at: at("2026-12-01"),
        })
      ).booked,
    ).toBe(false);
    await settle(database, { at: at("2026-12-01") });
    expect(await payeesOf(database, november)).toEqual({ [ANN]: "5000000" });
  });

  test("two refunds at once cannot take the same money", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice", { money: "10.00" });
    const answers = await Promise.all(
      [1, 2, 3].map(() =>
        refusal(refund(database, { patron: alice.id, amount: eur("6.00"), at: at("2026-11-05") })),
      ),
    );
    expect(answers.sort()).toEqual(["accepted", "balance_too_low", "balance_too_low"]);
  });
});

describe("a subscription", () => {
  test("makes one flattr at each opening, rests while paused, and uses up no openings then", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    const which = { patron: alice.id, thing };
    await subscribe(database, { ...which, months: 2, at: at("2026-11-10") });
    await pauseSubscription(database, { ...which, at: at("2026-11-20") });
    await tick(database, at("2026-12-02"));
    expect(await database.sql`SELECT 1 FROM flattr`).toHaveLength(0);
    await subscribe(database, { ...which, months: 2, at: at("2026-12-20") });
    for (const month of ["2027-01-02", "2027-02-02", "2027-03-02"]) await tick(database, at(month));
    expect(await database.sql`SELECT period FROM flattr ORDER BY period`).toEqual([
      { period: 202701 },
      { period: 202702 },
    ]);
    expect(await refusal(unsubscribe(database, { ...which, at: at("2027-03-03") }))).toBe(
      "not_found",
    );
  });

  test("can be taken back at the opening, before anything else has happened in the month", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    await subscribe(database, { patron: alice.id, thing, months: null, at: at("2026-11-10") });
    await takeBackFlattr(database, { patron: alice.id, thing, at: at("2026-12-01T00:00:00Z") });
    expect(await database.sql`SELECT 1 FROM flattr`).toHaveLength(0);
  });

  test("fires in the order in which they were made, however the database plans it", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const things: bigint[] = [];
    for (let n = 0; n < 12; n += 1)
      things.push(await remotePost(database, `https://far.example/${n}`, ANN));
    const wanted = things.toReversed();
    for (const [n, thing] of wanted.entries())
      await subscribe(database, {
        patron: alice.id,
        thing,
        months: null,
        at: at(`2026-11-10T10:00:${10 + n}Z`),
      });
    await database.sql`ANALYZE`;
    const [row] = await database.sql<[{ name: string }]>`SELECT current_database() AS name`;
    for (const [month, plan] of [
      ["2026-12-01", "enable_hashjoin"],
      ["2027-01-01", "enable_nestloop"],
    ] as const) {
      await database.sql.unsafe(`ALTER DATABASE ${row.name} SET ${plan} = off`);
      const clients = openClients(database.url, 2);
      await tick({ ...clients, settings: database.settings }, at(month));
      await clients.end();
      const fired = await database.sql<
        { thing: bigint }[]
      >`SELECT thing FROM flattr WHERE period = (SELECT max(period) FROM flattr) ORDER BY id`;
      expect(fired.map(({ thing }) => thing)).toEqual(wanted);
    }
  });

  test("rests when its thing is gone", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    await subscribe(database, { patron: alice.id, thing, months: null, at: at("2026-11-10") });
    await deleteThing(database, { uri: "https://far.example/1", at: at("2026-11-20") });
    await tick(database, at("2026-12-02"));
    expect(await database.sql`SELECT 1 FROM flattr`).toHaveLength(0);
  });

  test("fires once for each month, also after months in which nothing ran", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice", { budget: "2.00", money: "20.00" });
    const thing = await remotePost(database, "https://far.example/1", ANN);
    await subscribe(database, { patron: alice.id, thing, months: null, at: at("2026-11-10") });
    await Promise.all([1, 2, 3].map(() => tick(database, at("2027-03-15"))));
    expect(await database.sql`SELECT period FROM flattr ORDER BY period`).toEqual(
      [202612, 202701, 202702, 202703].map((period) => ({ period })),
    );
    expect(await payeesOf(database, "2027-02" as Period)).toEqual({ [ANN]: "2000000" });
  });

  test("is refused where a click is, and for lengths that are none", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const thing = await remotePost(database, "https://far.example/1", ANN);
    for (const months of [0, -1, 1.5, 121])
      expect(
        await refusal(
          subscribe(database, { patron: alice.id, thing, months, at: at("2026-11-10") }),
        ),
      ).toBe("subscription_invalid");
    expect(
      await refusal(
        subscribe(database, {
          patron: alice.id,
          thing: await localPost(database, alice),
          months: null,
          at: at("2026-11-10"),
        }),
      ),
    ).toBe("flattr_owner");
    await declinePayments(database, { payee: ANN, at: at("2026-11-11") });
    expect(
      await refusal(
        subscribe(database, { patron: alice.id, thing, months: null, at: at("2026-11-12") }),
      ),
    ).toBe("payee_declined");
  });

  test(
    "seventy thousand fire in one opening, each with an id of its own",
    { timeout: 120_000 },
    async () => {
      const database = await testDatabase();
      const alice = await person(database, "alice");
      const thing = await remotePost(database, "https://far.example/1", ANN);
      await tick(database, at("2026-11-02"));
      await database.sql`
      WITH made AS (INSERT INTO thing (id, uri, kind, split, found_at)
        SELECT n, 'https://far.example/many/' || n, 'Note', (SELECT split FROM thing WHERE id = ${thing}), now() FROM generate_series(1, 70000) n RETURNING id)
      INSERT INTO subscription (id, patron, thing, since) SELECT id, ${alice.id}, id, '2026-11-05' FROM made`;
      await tick(database, at("2026-12-01"));
      expect(
        await database.sql`SELECT count(*)::int AS count, count(DISTINCT id)::int AS ids, min(period) AS period FROM flattr`,
      ).toEqual([{ count: 70_000, ids: 70_000, period: 202612 }]);
    },
  );
});
