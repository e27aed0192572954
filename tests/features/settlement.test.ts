import { createLocalJWKSet, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { fund } from "../../src/features/budget/cash.ts";
import { blockPayments, declinePayments } from "../../src/features/claim/standing.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { closePeriod, closeRange } from "../../src/features/settlement/close.ts";
import { makeReceipts, receiptOf } from "../../src/features/settlement/receipt.ts";
import { monthReport } from "../../src/features/settlement/report.ts";
import { settle, settleDryRun } from "../../src/features/settlement/settle.ts";
import { tick } from "../../src/features/settlement/tick.ts";
import { publishFee, turnMonths } from "../../src/features/settlement/turn.ts";
import type { Period } from "../../src/rules/period.ts";
import { closeMonth, type CountedFlattr } from "../../src/rules/month.ts";
import { splitShare } from "../../src/rules/split.ts";
import { toMicro } from "../../src/rules/amount.ts";
import { openMasterKey } from "../../src/store/keys.ts";
import { openSigner, publicKeys } from "../../src/store/signing.ts";
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
  testMasterKeyFile,
  type TestDatabase,
} from "../support/database.ts";

const ANN = "https://far.example/users/ann";
const BEN = "https://far.example/users/ben";
const november = "2026-11" as Period;

const balanceOf = async ({ sql }: TestDatabase, name: string) =>
  (
    await sql<
      [{ amount: bigint }]
    >`SELECT b.amount FROM account a JOIN ledger.account l ON l.kind = 'budget' AND l.owner = a.id JOIN ledger.balance b ON b.account = l.id WHERE a.name = ${name}`
  )[0].amount;

describe("closing", () => {
  test("own creators are credited, all others' money waits, the fee is the operator's", async () => {
    const database = await testDatabase({ feeBasisPoints: 500 });
    const alice = await person(database, "alice", { budget: "4.00", money: "10.00" });
    const bob = await person(database, "bob");
    await click(database, alice, await localPost(database, bob));
    await click(database, alice, await remotePost(database, "https://far.example/1", ANN));
    expect(await settle(database, { at: at("2026-12-01") })).toMatchObject({
      period: november,
      state: "closed",
      patrons: 1,
      paying: 1,
      flattrs: 2,
      spent: 4_000_000n,
      fee: 200_000n,
      own: 1_900_000n,
      waiting: 1_900_000n,
    });
  });

  test("twice, and by many at once, is the same as once", async () => {
    const database = await testDatabase();
    const creators = await Promise.all(["c1", "c2", "c3"].map((name) => person(database, name)));
    const posts = [];
    for (const creator of creators) posts.push(await localPost(database, creator));
    for (let patron = 0; patron < 9; patron += 1) {
      const someone = await person(database, `p${patron}`, { budget: "2.00", money: "5.00" });
      for (const post of posts.slice(0, 1 + (patron % 3))) await click(database, someone, post);
    }
    await turnMonths(database, at("2026-12-01"));
    // One range for each patron, so that there is something to share.
    await database.sql`DELETE FROM settlement_range`;
    await database.sql`INSERT INTO settlement_range (period, range, lo, hi) SELECT period, row_number() OVER (ORDER BY patron), patron, patron FROM settlement`;
    await Promise.all([1, 2, 3].map(() => closePeriod(database, november)));
    const before = await snapshot(database);
    await Promise.all([1, 2, 3].map(() => settle(database, { at: at("2026-12-01") })));
    expect(await snapshot(database)).toBe(before);
    expect(
      await database.sql`SELECT count(*)::int AS count, sum(spent)::int AS spent FROM settlement WHERE state = 'settled'`,
    ).toEqual([{ count: 9, spent: 18_000_000 }]);
  });

  test("a late close gives the same as one in time: changes after the month's end do not reach back", async () => {
    const months = async (closeFirst: boolean) => {
      const database = await testDatabase();
      const alice = await person(database, "alice", { budget: "4.00", money: "10.00" });
      const thing = await remotePost(database, "https://far.example/1", { [ANN]: 1, [BEN]: 2 });
      await click(database, alice, thing);
      if (closeFirst) await settle(database, { at: at("2026-12-01") });
      await setBudget(database, { patron: alice.id, amount: eur("9.00"), at: at("2026-12-02") });
      await fund(database, { patron: alice.id, amount: eur("1.00"), at: at("2026-12-02") });
      await click(database, alice, thing, "2026-12-03");
      await settle(database, { at: at("2027-01-20") });
      return {
        november: await payeesOf(database, november),
        december: await payeesOf(database, "2026-12" as Period),
        rest: await balanceOf(database, "alice"),
      };
    };
    const inTime = await months(true);
    expect(await months(false)).toEqual(inTime);
    expect(inTime).toEqual({
      november: { [ANN]: "1333333", [BEN]: "2666667" },
      december: { [ANN]: "2333333", [BEN]: "4666667" },
      rest: 0n,
    });
  });

  test("a dry run says what will be and changes nothing", async () => {
    const database = await testDatabase({ feeBasisPoints: 100 });
    const alice = await person(database, "alice", { budget: "4.00", money: "10.00" });
    await click(database, alice, await remotePost(database, "https://far.example/1", ANN));
    const before = await snapshot(database);
    const { state: _, ...dry } = await settleDryRun(database, { at: at("2026-12-01") });
    expect(await snapshot(database)).toBe(before);
    const { state: __, ...real } = await settle(database, { at: at("2026-12-01") });
    expect(dry).toEqual(real);
    await expect(
      settle(database, { period: "2026-12" as Period, at: at("2026-12-01") }),
    ).rejects.toMatchObject({ reason: "period_open" });
    await expect(
      settle(database, { period: "2027-12" as Period, at: at("2026-12-01") }),
    ).rejects.toMatchObject({ reason: "period_open" });
    await expect(
      settle(database, { period: "2020-01" as Period, at: at("2026-12-01") }),
    ).rejects.toMatchObject({ reason: "period_invalid" });
  });

  test("what is waiting goes back when its time is over, to the very patrons and to the micro", async () => {
    const database = await testDatabase({ unclaimedMonths: 3 });
    const thing = await remotePost(database, "https://far.example/1", ANN);
    for (const [name, money] of [
      ["alice", "2.00"],
      ["bob", "3.33"],
      ["carol", "7.77"],
    ] as const) {
      const patron = await person(database, name, { budget: money, money });
      await click(database, patron, thing);
      await click(database, patron, await remotePost(database, "https://far.example/2", BEN));
    }
    await tick(database, at("2026-12-10"));
    await tick(database, at("2027-02-28T23:59:59.999Z"));
    expect(await balanceOf(database, "bob")).toBe(0n);
    await Promise.all([1, 2, 3].map(() => tick(database, at("2027-03-01T00:00:00Z"))));
    await tick(database, at("2027-03-02"));
    expect([
      await balanceOf(database, "alice"),
      await balanceOf(database, "bob"),
      await balanceOf(database, "carol"),
    ]).toEqual([2_000_000n, 3_330_000n, 7_770_000n]);
  });

  test("who declines between the end and the close gives back, whichever ranges were done", async () => {
    const database = await testDatabase();
    const thing = await remotePost(database, "https://far.example/1", ANN);
    for (const name of ["alice", "bob"])
      await click(database, await person(database, name, { budget: "2.00", money: "2.00" }), thing);
    await turnMonths(database, at("2026-12-01"));
    await database.sql`DELETE FROM settlement_range`;
    await database.sql`INSERT INTO settlement_range (period, range, lo, hi) SELECT period, row_number() OVER (ORDER BY patron), patron, patron FROM settlement`;
    await closeRange(database, november);
    await declinePayments(database, { payee: ANN, at: at("2026-12-01") });
    await settle(database, { at: at("2026-12-02") });
    expect([await balanceOf(database, "alice"), await balanceOf(database, "bob")]).toEqual([
      2_000_000n,
      2_000_000n,
    ]);
    expect(await payeesOf(database, november)).toEqual({ [ANN]: "4000000" });
  });

  test("money within the grace funds the month once, before or after its close has come to that patron", async () => {
    for (const closeFirst of [true, false]) {
      const database = await testDatabase();
      const dave = await person(database, "dave", { budget: "2.00" });
      await click(database, dave, await remotePost(database, "https://far.example/1", ANN));
      await click(database, dave, await remotePost(database, "https://far.example/2", BEN));
      if (closeFirst) await settle(database, { at: at("2026-12-01") });
      await fund(database, {
        patron: dave.id,
        amount: eur("5.00"),
        at: at("2026-12-01T00:00:00Z"),
      });
      await fund(database, { patron: dave.id, amount: eur("5.00"), at: at("2026-12-05") });
      await settle(database, { at: at("2026-12-06") });
      expect(await payeesOf(database, november)).toEqual({ [ANN]: "1000000", [BEN]: "1000000" });
      expect(await balanceOf(database, "dave")).toBe(8_000_000n);
    }
  });

  test("two payments at once in the grace fund it once", async () => {
    const database = await testDatabase();
    const dave = await person(database, "dave", { budget: "2.00" });
    await click(database, dave, await remotePost(database, "https://far.example/1", ANN));
    await settle(database, { at: at("2026-12-01") });
    await Promise.all(
      [1, 2, 3].map(() =>
        fund(database, { patron: dave.id, amount: eur("5.00"), at: at("2026-12-03") }),
      ),
    );
    expect(await payeesOf(database, november)).toEqual({ [ANN]: "2000000" });
  });

  test("a payee blocked by host after the close gives back late money, too", async () => {
    const database = await testDatabase();
    const dave = await person(database, "dave", { budget: "2.00" });
    await click(database, dave, await remotePost(database, "https://far.example/1", ANN));
    await settle(database, { at: at("2026-12-01") });
    await blockPayments(database, { kind: "host", target: "far.example", at: at("2026-12-02") });
    await fund(database, { patron: dave.id, amount: eur("5.00"), at: at("2026-12-03") });
    expect(await balanceOf(database, "dave")).toBe(5_000_000n);
    expect(await payeesOf(database, november)).toEqual({ [ANN]: "2000000" });
  });
});

describe("what happens at once", () => {
  test(
    "who declines or is blocked while a month is closed has nothing waiting afterwards",
    { timeout: 60_000 },
    async () => {
      for (const when of [0, 5, 10, 20, 40, 60]) {
        const database = await testDatabase();
        for (const name of ["alice", "bob", "carol"]) {
          const patron = await person(database, name, { budget: "2.00", money: "2.00" });
          await click(database, patron, await remotePost(database, "https://far.example/1", ANN));
          await click(
            database,
            patron,
            await remotePost(
              database,
              `https://far.example/${name}`,
              `https://far.example/users/${name}`,
            ),
          );
        }
        await turnMonths(database, at("2026-12-01"));
        await database.sql`DELETE FROM settlement_range`;
        await database.sql`INSERT INTO settlement_range (period, range, lo, hi) SELECT period, row_number() OVER (ORDER BY patron), patron, patron FROM settlement`;
        const later = <T>(work: () => Promise<T>) =>
          new Promise((resolve) => setTimeout(resolve, when)).then(work);
        await Promise.all([
          closePeriod(database, november),
          later(() => declinePayments(database, { payee: ANN, at: at("2026-12-01") })),
          later(() =>
            blockPayments(database, { kind: "host", target: "far.example", at: at("2026-12-01") }),
          ),
        ]);
        for (const name of ["alice", "bob", "carol"])
          expect(await balanceOf(database, name)).toBe(2_000_000n);
      }
    },
  );

  test("two dry runs wait for each other, and both say the same", async () => {
    const database = await testDatabase();
    for (const name of ["alice", "bob"]) {
      const patron = await person(database, name, { budget: "2.00", money: "2.00" });
      await click(database, patron, await remotePost(database, "https://far.example/1", ANN));
    }
    await turnMonths(database, at("2026-12-01"));
    await database.sql`DELETE FROM settlement_range`;
    await database.sql`INSERT INTO settlement_range (period, range, lo, hi) SELECT period, row_number() OVER (ORDER BY patron), patron, patron FROM settlement`;
    const [one, other] = await Promise.all([
      settleDryRun(database, { at: at("2026-12-01") }),
      settleDryRun(database, { at: at("2026-12-01") }),
    ]);
    expect(one).toEqual(other);
    expect(one).toMatchObject({ spent: 4_000_000n, waiting: 4_000_000n });
  });

  test("payments whose clocks disagree: the first one booked funds the month", async () => {
    const database = await testDatabase();
    const dave = await person(database, "dave", { budget: "2.00" });
    await click(database, dave, await remotePost(database, "https://far.example/1", ANN));
    await settle(database, { at: at("2026-12-01") });
    await fund(database, { patron: dave.id, amount: eur("1.00"), at: at("2026-12-03T10:00:01Z") });
    await fund(database, { patron: dave.id, amount: eur("0.50"), at: at("2026-12-03T10:00:00Z") });
    expect(await payeesOf(database, november)).toEqual({ [ANN]: "1000000" });
  });

  test("a payment with a clock that is behind the end of the grace is to be tried again", async () => {
    const database = await testDatabase();
    const dave = await person(database, "dave", { budget: "2.00" });
    await click(database, dave, await remotePost(database, "https://far.example/1", ANN));
    await tick(database, at("2026-12-08T00:00:00Z"));
    const payment = { patron: dave.id, amount: eur("1.00") };
    await expect(
      fund(database, { ...payment, at: at("2026-12-07T23:59:59.990Z") }),
    ).rejects.toMatchObject({ reason: "period_closed" });
    expect((await fund(database, { ...payment, at: at("2026-12-08T00:00:00.010Z") })).booked).toBe(
      true,
    );
    expect(await balanceOf(database, "dave")).toBe(1_000_000n);
  });

  test(
    "clicks of the last moment and the turn do not stand in each other's way",
    { timeout: 60_000 },
    async () => {
      const database = await testDatabase();
      const things = [];
      for (let n = 0; n < 60; n += 1)
        things.push(await remotePost(database, `https://far.example/${n}`, ANN));
      const alice = await person(database, "alice", { budget: "4.00", money: "10.00" });
      // Statements that are prepared and planned already.
      for (const thing of things.slice(0, 30)) await click(database, alice, thing);
      await Promise.all([
        ...things.slice(30).map((thing) => click(database, alice, thing, "2026-12-01T00:00:00Z")),
        tick(database, at("2026-12-01T00:00:00Z")),
      ]);
      expect(
        await database.sql`SELECT period, count(*)::int AS count FROM flattr GROUP BY period ORDER BY period`,
      ).toEqual([
        { period: 202611, count: 30 },
        { period: 202612, count: 30 },
      ]);
    },
  );
});

describe("the fee", () => {
  test("of a month is the published one, whichever process opens it", async () => {
    const database = await testDatabase({ feeBasisPoints: 500 });
    await publishFee(database);
    await turnMonths(
      { ...database, settings: { ...database.settings, feeBasisPoints: 0 } },
      at("2026-11-01"),
    );
    expect(await database.sql`SELECT fee_bp FROM period`).toEqual([{ fee_bp: 500 }]);
  });
});

describe("freezing while people click", () => {
  test("every click that was answered is in its month, or was told that the month is closed", async () => {
    const database = await testDatabase();
    const things = [];
    for (let n = 0; n < 40; n += 1)
      things.push(await remotePost(database, `https://far.example/${n}`, ANN));
    const alice = await person(database, "alice", { budget: "4.00", money: "10.00" });
    const last = "2026-11-30T23:59:59.999Z";
    for (const thing of things.splice(0, 3)) await click(database, alice, thing, last);
    const clicks = things.map(async (thing, n) => {
      await new Promise((resolve) => setTimeout(resolve, n));
      return click(database, alice, thing, last).then(
        () => "given",
        (error: { reason?: string }) => error.reason ?? String(error),
      );
    });
    await new Promise((resolve) => setTimeout(resolve, 12));
    await tick(database, at("2026-12-01T00:00:00Z"));
    const answers = await Promise.all(clicks);
    expect(new Set(answers)).toEqual(
      new Set(["given", "period_closed"].filter((answer) => answers.includes(answer))),
    );
    const [row] = await database.sql<[{ flattrs: number }]>`SELECT flattrs FROM settlement`;
    expect(row.flattrs).toBe(3 + answers.filter((answer) => answer === "given").length);
  });
});

describe("the close in sets and the rule for one patron", () => {
  test("give the same shares", async () => {
    const database = await testDatabase({ feeBasisPoints: 333 });
    const ownActor = (name: string) => `${database.settings.origin}/users/${name}`;
    const patron = await person(database, "alice", { budget: "7.77", money: "6.66" });
    const flattrs: CountedFlattr[] = [];
    for (let n = 0; n < 23; n += 1) {
      const authors = Object.fromEntries(
        Array.from({ length: 1 + (n % 4) }, (_, k) => [
          k === 3 ? ownActor("alice") : `https://far.example/users/${(n * 7 + k * 3) % 11}`,
          1 + ((n * 5 + k) % 6),
        ]),
      );
      const thing = await remotePost(database, `https://far.example/${n}`, authors);
      const { flattr } = await click(database, patron, thing);
      flattrs.push({
        id: flattr!,
        source: "click",
        payees: Object.entries(authors).map(([payee, weight]) => ({ payee, weight })),
      });
    }
    await declinePayments(database, { payee: "https://far.example/users/7", at: at("2026-11-20") });
    await settle(database, { at: at("2026-12-01") });
    const rule = closeMonth({
      budget: eur("7.77"),
      available: eur("6.66"),
      feeBasisPoints: 333,
      flattrs,
      leftOut: new Set([ownActor("alice"), "https://far.example/users/7"]),
    });
    const booked = await database.sql<{ flattr: bigint; payee: string; amount: bigint }[]>`
      SELECT s.flattr, a.uri AS payee, s.amount FROM share s JOIN actor a ON a.id = s.payee ORDER BY s.flattr, a.uri`;
    expect(booked.map((row) => ({ ...row, amount: toMicro(row.amount) }))).toEqual(
      rule.shares.flatMap(({ flattr, parts }) =>
        parts.map(({ payee, amount }) => ({ flattr, payee, amount })),
      ),
    );
  });

  test("weights whose product passes 64 bits are no trouble", async () => {
    const database = await testDatabase();
    const patron = await person(database, "alice", {
      budget: "999999999.99",
      money: "999999999.99",
    });
    await click(
      database,
      patron,
      await remotePost(database, "https://far.example/1", {
        [ANN]: 999_999_999,
        [BEN]: 1_000_000_000,
      }),
    );
    await settle(database, { at: at("2026-12-01") });
    const parts = splitShare(eur("999999999.99"), [
      { payee: ANN, weight: 999_999_999 },
      { payee: BEN, weight: 1_000_000_000 },
    ]);
    expect(await payeesOf(database, november)).toEqual(
      Object.fromEntries(parts.map(({ payee, amount }) => [payee, String(amount)])),
    );
  });
});

describe("receipts", () => {
  async function receiptsOf(
    database: TestDatabase,
    name: string,
    kind: "patron" | "creator",
    account: bigint,
    when: string,
  ) {
    const signer = await openSigner(
      database.drizzle,
      await openMasterKey(testMasterKeyFile(), undefined),
    );
    const jws = await receiptOf(database, signer, {
      period: november,
      kind,
      account,
      at: at(when),
    });
    if (jws === undefined) return undefined;
    const { payload, protectedHeader } = await jwtVerify(
      jws,
      createLocalJWKSet(await publicKeys(database.drizzle)),
      {
        issuer: database.settings.origin,
        subject: `${database.settings.origin}/users/${name}`,
        currentDate: new Date(when),
      },
    );
    expect(protectedHeader.alg).toBe("EdDSA");
    return payload;
  }

  test("of a patron lists every share and adds up; of a creator it comes when the month is final", async () => {
    const database = await testDatabase({ feeBasisPoints: 1000 });
    const alice = await person(database, "alice", { budget: "2.00", money: "5.00" });
    const bob = await person(database, "bob");
    const post = await localPost(database, bob);
    await click(database, alice, post);
    await click(
      database,
      alice,
      await remotePost(database, "https://far.example/1", { [ANN]: 1, [BEN]: 1 }),
    );
    await tick(database, at("2026-12-01"));
    const given = (await receiptsOf(database, "alice", "patron", alice.id, "2026-12-02"))!;
    expect(given).toMatchObject({
      period: november,
      currency: "EUR",
      spent: "2000000",
      fee: "200000",
    });
    const shares = given["shares"] as [string, string, string][];
    expect(shares.slice(1)).toEqual([
      ["https://far.example/1", ANN, "450000"],
      ["https://far.example/1", BEN, "450000"],
    ]);
    expect(
      shares.reduce((total, [, , amount]) => total + BigInt(amount), 0n) +
        BigInt(String(given["fee"])),
    ).toBe(BigInt(String(given["spent"])));
    expect(await receiptsOf(database, "bob", "creator", bob.id, "2026-12-02")).toBeUndefined();
    await tick(database, at("2026-12-08T00:00:00Z"));
    expect(
      (await receiptsOf(database, "bob", "creator", bob.id, "2026-12-09"))!["sources"],
    ).toEqual([
      { source: database.settings.origin, accepted: "900000", settled: "900000", count: 1 },
    ]);
  });

  test("are made once, however often the job runs; late money makes another", async () => {
    const database = await testDatabase();
    const dave = await person(database, "dave", { budget: "2.00" });
    const erin = await person(database, "erin", { budget: "2.00", money: "2.00" });
    const thing = await remotePost(database, "https://far.example/1", ANN);
    await click(database, dave, thing);
    await click(database, erin, thing);
    await tick(database, at("2026-12-01"));
    const signer = await openSigner(
      database.drizzle,
      await openMasterKey(testMasterKeyFile(), undefined),
    );
    await Promise.all(
      [1, 2, 3].map(() =>
        makeReceipts(database, signer, { period: november, kind: "patron", at: at("2026-12-01") }),
      ),
    );
    expect(await database.sql`SELECT 1 FROM receipt`).toHaveLength(1);
    await fund(database, { patron: dave.id, amount: eur("2.00"), at: at("2026-12-03") });
    expect(await receiptsOf(database, "dave", "patron", dave.id, "2026-12-03")).toMatchObject({
      spent: "2000000",
      shares: [["https://far.example/1", ANN, "2000000"]],
    });
    expect(await database.sql`SELECT 1 FROM receipt`).toHaveLength(2);
  });

  test("with one changed character are not believed", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice", { budget: "2.00", money: "5.00" });
    await click(database, alice, await remotePost(database, "https://far.example/1", ANN));
    await tick(database, at("2026-12-01"));
    const signer = await openSigner(
      database.drizzle,
      await openMasterKey(testMasterKeyFile(), undefined),
    );
    const jws = (await receiptOf(database, signer, {
      period: november,
      kind: "patron",
      account: alice.id,
      at: at("2026-12-02"),
    }))!;
    const [head, body, signature] = jws.split(".");
    const forged = Buffer.from(
      Buffer.from(body!, "base64url").toString().replace("2000000", "3000000"),
    ).toString("base64url");
    await expect(
      jwtVerify(
        [head, forged, signature].join("."),
        createLocalJWKSet(await publicKeys(database.drizzle)),
      ),
    ).rejects.toThrow();
  });
});

describe("the report of the running month", () => {
  test("says what a click is worth, and that is what the close then gives", async () => {
    const database = await testDatabase({ feeBasisPoints: 250 });
    const alice = await person(database, "alice", { budget: "5.00", money: "4.00" });
    for (const n of [1, 2, 3])
      await click(
        database,
        alice,
        await remotePost(database, `https://far.example/${n}`, n === 3 ? BEN : ANN),
      );
    await declinePayments(database, { payee: BEN, at: at("2026-11-20") });
    const running = (await monthReport(database, alice.id, november))!;
    expect(running).toMatchObject({
      state: "open",
      flattrs: 2,
      budget: 5_000_000n,
      available: 4_000_000n,
      valueOfClick: 1_950_000n,
    });
    await settle(database, { at: at("2026-12-01") });
    const closed = (await monthReport(database, alice.id, november))!;
    expect(closed).toMatchObject({
      state: "closed",
      settlement: "settled",
      flattrs: 2,
      spent: 4_000_000n,
      fee: 100_000n,
    });
    expect(closed.gave.map(({ amount, state }) => [amount, state])).toEqual([
      [1_950_000n, "waiting"],
      [1_950_000n, "waiting"],
      [undefined, "left out"],
    ]);
    await declinePayments(database, { payee: ANN, at: at("2026-12-20") });
    expect(
      (await monthReport(database, alice.id, november))!.gave.map(({ state }) => state),
    ).toEqual(["returned", "returned", "left out"]);
  });
});
