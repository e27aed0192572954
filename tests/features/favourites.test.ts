import { describe, expect, onTestFinished, test } from "vitest";
import { setPreferences } from "../../src/features/account/find.ts";
import { addAlias } from "../../src/features/claim/alias.ts";
import { blockPayments, declinePayments } from "../../src/features/claim/standing.ts";
import { subscribe } from "../../src/features/flattr/subscribe.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { tick } from "../../src/features/settlement/tick.ts";
import { deleteThing } from "../../src/features/thing/thing.ts";
import type { Period } from "../../src/rules/period.ts";
import {
  at,
  click,
  localPost,
  payeesOf,
  person,
  remotePost,
  snapshot,
  testDatabase,
} from "../support/database.ts";
import {
  ANN,
  BEN,
  FAR,
  LIKES,
  arrive,
  flattrs,
  like,
  refusal,
  scene,
  standing,
  told,
  unlike,
} from "../support/favourites.ts";

describe("a favourite", () => {
  test("is the flattr of the month, with its id; again changes nothing", async () => {
    const it = await scene();
    const { favourite, flattr, again } = await like(it);
    expect(again).toBe(false);
    expect(flattr).toBe(favourite);
    const [row] = await standing(it.database);
    expect(row).toEqual({ id: flattr, uri: `${LIKES}${flattr}`, period: 202611 });
    expect(await flattrs(it.database)).toEqual([
      { id: flattr, period: 202611, source: "favourite" },
    ]);
    expect(await told(it.database)).toEqual([`Like ${flattr} 202611 ann`]);
    const before = await snapshot(it.database);
    expect(await like(it, { when: "2026-11-20" })).toEqual({
      favourite,
      flattr,
      isShown: false,
      again: true,
    });
    expect((await click(it.database, it.alice, it.thing, "2026-11-21")).favourite).toBe(favourite);
    expect(await snapshot(it.database)).toBe(before);
    expect(await standing(it.database)).toEqual([row]);
  });

  test("comes of a click just the same", async () => {
    const { database, alice, thing } = await scene();
    const { flattr, favourite } = await click(database, alice, thing);
    expect(favourite).toBe(flattr);
    expect(await standing(database)).toEqual([
      { id: flattr, uri: `${LIKES}${flattr}`, period: 202611 },
    ]);
  });

  test("twelve times at once is one, and one flattr; taken back twelve times at once it is taken back once", async () => {
    const it = await scene();
    const many = await Promise.all(Array.from({ length: 12 }, () => like(it)));
    expect(new Set(many.map(({ favourite }) => favourite)).size).toBe(1);
    expect(many.filter(({ again }) => !again)).toHaveLength(1);
    expect(await flattrs(it.database)).toHaveLength(1);
    expect(await told(it.database)).toHaveLength(1);
    await arrive(it.database);
    const backs = await Promise.all(Array.from({ length: 12 }, () => unlike(it)));
    expect(backs.filter(Boolean)).toHaveLength(1);
    expect(await told(it.database)).toHaveLength(1);
    expect([await standing(it.database), await flattrs(it.database)]).toEqual([[], []]);
    // The same of one that is no flattr.
    const plain = await Promise.all(Array.from({ length: 12 }, () => like(it, { counts: false })));
    expect(new Set(plain.map(({ favourite }) => favourite)).size).toBe(1);
    expect(plain.filter(({ again }) => !again)).toHaveLength(1);
    expect(await told(it.database)).toHaveLength(2);
  });

  test("that stands from another month is a new flattr in this one, whoever comes first", async () => {
    const it = await scene();
    const { database } = it;
    const first = await like(it);
    const many = await Promise.all(
      Array.from({ length: 6 }, () => like(it, { when: "2026-12-05" })),
    );
    expect(many.filter(({ again }) => !again)).toHaveLength(1);
    const second = many[0]!;
    expect(second.flattr).not.toBe(first.flattr);
    expect((await flattrs(database)).map(({ period }) => period)).toEqual([202611, 202612]);
    expect(await standing(database)).toEqual([
      { id: second.flattr, uri: `${LIKES}${second.flattr}`, period: 202612 },
    ]);
    expect(await told(database)).toEqual([
      `Like ${first.flattr} 202611 ann`,
      `Like ${second.flattr} 202612 ann`,
    ]);
  });

  test("and its end at once leave a flattr only where a favourite stands, and tell the end last", async () => {
    const it = await scene();
    const { database } = it;
    for (const [round, month] of ["2026-11", "2026-12", "2027-01", "2027-02"].entries()) {
      await tick(database, at(`${month}-02`));
      for (let day = 10; day < 16; day += 1) {
        // One stands from before, with a flattr of this month or of another.
        await like(it, { when: `${month}-${day}` });
        await Promise.all(
          Array.from({ length: 6 }, (_, n) =>
            n % 2 === round % 2
              ? like(it, { when: `${month}-${day}` })
              : unlike(it, { when: `${month}-${day}` }),
          ),
        );
        const [stands] = await standing(database);
        const given = (await flattrs(database)).filter(
          ({ period }) => period === Number(month.replace("-", "")),
        );
        expect(given.map(({ id }) => id)).toEqual(stands === undefined ? [] : [stands.id]);
        const last = (await told(database)).at(-1);
        if (last !== undefined)
          expect(last.startsWith(stands === undefined ? "Undo" : "Like")).toBe(true);
        if (day === 13) await arrive(database);
      }
      await like(it, { when: `${month}-20` });
    }
  });

  test.each(["unfavourite", "take back"])(
    "that becomes the flattr of another month while somebody wants to %s it goes with that flattr",
    async (how) => {
      const it = await scene();
      const { database, alice, thing } = it;
      const { sql } = database;
      await like(it);
      await tick(database, at("2026-12-02"));
      await sql.unsafe(`
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
        CREATE TRIGGER slow AFTER UPDATE ON favourite FOR EACH ROW EXECUTE FUNCTION slow()`);
      const gate = await sql.reserve();
      onTestFinished(() => gate.release());
      await gate`SELECT pg_advisory_lock(1)`;
      const expectWaiting = (count: number) =>
        expect
          .poll(
            () =>
              gate`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
            { timeout: 10_000 },
          )
          .toHaveLength(count);
      const giving = like(it, { when: "2026-12-05" });
      await expectWaiting(1);
      const taking =
        how === "unfavourite"
          ? unlike(it, { when: "2026-12-05" })
          : takeBackFlattr(database, { patron: alice.id, thing, at: at("2026-12-05") });
      await expectWaiting(2);
      await gate`SELECT pg_advisory_unlock(1)`;
      const { flattr } = await giving;
      expect(await taking).toBe(how === "unfavourite" ? true : flattr);
      expect((await flattrs(database)).map(({ period }) => period)).toEqual([202611]);
      expect(await standing(database)).toEqual([]);
    },
  );

  test("of something that is gone or unknown, or by nobody, is refused, whether it counts or not", async () => {
    const it = await scene();
    await deleteThing(it.database, { uri: `${FAR}/1`, at: at("2026-11-05") });
    for (const counts of [true, false]) {
      expect(await refusal(like(it, { counts }))).toBe("not_found");
      expect(await refusal(like({ ...it, thing: 5n }, { counts }))).toBe("not_found");
      const nobody = { ...it, alice: { ...it.alice, id: 5n } };
      expect(await refusal(like(nobody, { counts }))).toBe("account_unknown");
      expect(await unlike(nobody, { counts })).toBe(false);
    }
    expect(await standing(it.database)).toEqual([]);
  });
});

describe("taking a favourite back", () => {
  test("before the close takes the flattr with it; who was not told yet never hears of it", async () => {
    const it = await scene({ [ANN]: 1, [BEN]: 1 });
    const { database } = it;
    const first = await like(it);
    expect(await unlike(it)).toBe(true);
    expect(await unlike(it)).toBe(false);
    expect([await standing(database), await flattrs(database), await told(database)]).toEqual([
      [],
      [],
      [],
    ]);
    const second = await like(it, { when: "2026-11-12" });
    expect(second.flattr).not.toBe(first.flattr);
    // Ann's server is being told right now, Ben's was not asked yet.
    await database.sql`
      UPDATE delivery SET attempts = 1 WHERE payee = (SELECT id FROM actor WHERE uri = ${ANN})`;
    expect(await unlike(it, { when: "2026-11-13" })).toBe(true);
    const third = await like(it, { when: "2026-11-14" });
    expect(await told(database)).toEqual([
      `Like ${second.flattr} 202611 ann`,
      `Undo ${second.flattr} 202611 ann`,
      `Like ${third.flattr} 202611 ann`,
      `Like ${third.flattr} 202611 ben`,
    ]);
  });

  test("in another month than the favourite's is told, also when that month's own Like was not", async () => {
    const it = await scene();
    await like(it);
    await arrive(it.database);
    const { flattr } = await like(it, { when: "2026-12-05" });
    await unlike(it, { when: "2026-12-06" });
    expect((await flattrs(it.database)).map(({ period }) => period)).toEqual([202611]);
    expect(await told(it.database)).toEqual([`Undo ${flattr} 202612 ann`]);
  });

  test("after the close withdraws the favourite, once; the money stays", async () => {
    const it = await scene();
    const { database } = it;
    const bob = await person(database, "bob", { budget: "2.00", money: "2.00" });
    const own = { ...it, alice: bob };
    const { flattr } = await like(own);
    await arrive(database);
    await tick(database, at("2026-12-20"));
    const before = await payeesOf(database, "2026-11" as Period);
    expect(before).toEqual({ [ANN]: "2000000" });
    expect(await unlike(own, { when: "2026-12-20" })).toBe(true);
    expect(await told(database)).toEqual([`Undo ${flattr} 202611 ann`]);
    expect(await unlike(own, { when: "2026-12-21" })).toBe(false);
    expect(await told(database)).toHaveLength(1);
    expect(await standing(database)).toEqual([]);
    expect((await flattrs(database)).map(({ id }) => id)).toEqual([flattr]);
    expect(await payeesOf(database, "2026-11" as Period)).toEqual(before);
    // One more is that of the month in which it is given.
    const again = await like(own, { when: "2026-12-22" });
    expect(again.again).toBe(false);
    expect((await flattrs(database)).map(({ period }) => period)).toEqual([202611, 202612]);
    expect(await told(database)).toEqual([
      `Undo ${flattr} 202611 ann`,
      `Like ${again.flattr} 202612 ann`,
    ]);
  });

  test("by a clock that is behind the months withdraws the favourite alone", async () => {
    const it = await scene();
    const { flattr } = await like(it);
    await tick(it.database, at("2026-12-02"));
    expect(await unlike(it, { when: "2026-11-30" })).toBe(true);
    expect(await standing(it.database)).toEqual([]);
    expect((await flattrs(it.database)).map(({ id }) => id)).toEqual([flattr]);
  });

  test("at the boundary of a month: the last moment takes the flattr, the first one leaves it", async () => {
    for (const [when, left] of [
      ["2026-11-30T23:59:59.999Z", 0],
      ["2026-12-01T00:00:00Z", 1],
    ] as const) {
      const it = await scene();
      await like(it, { when: "2026-11-30T23:59:59Z" });
      expect(await unlike(it, { when })).toBe(true);
      expect(await flattrs(it.database)).toHaveLength(left);
    }
  });

  test("of the flattr on one's own pages takes the favourite with it", async () => {
    const it = await scene();
    const { database, alice, thing } = it;
    const { flattr } = await like(it);
    const which = { patron: alice.id, thing };
    expect(await takeBackFlattr(database, { ...which, at: at("2026-11-12") })).toBe(flattr);
    expect([await standing(database), await told(database)]).toEqual([[], []]);
    // A favourite that never was a flattr is none to take back.
    await like(it, { counts: false });
    expect(await refusal(takeBackFlattr(database, { ...which, at: at("2026-11-13") }))).toBe(
      "not_found",
    );
    expect(await standing(database)).toHaveLength(1);
  });
});

describe("who flattrs on purpose only", () => {
  test("likes without a flattr, and no favourite touches one that was given", async () => {
    const it = await scene();
    const { database, alice, thing } = it;
    await setPreferences(database, alice.id, { flattrMode: "explicit" });
    const plain = await like(it);
    expect(plain).toMatchObject({ flattr: undefined, again: false });
    expect(await standing(database)).toEqual([
      { id: plain.favourite, uri: `${LIKES}${plain.favourite}`, period: null },
    ]);
    expect(await like(it)).toEqual({ ...plain, isShown: false, again: true });
    expect(await flattrs(database)).toEqual([]);
    await arrive(database);
    // On purpose.
    const { flattr } = await click(database, alice, thing, "2026-11-12");
    expect(await standing(database)).toEqual([
      { id: flattr, uri: `${LIKES}${flattr}`, period: 202611 },
    ]);
    expect(await unlike(it, { when: "2026-11-13" })).toBe(true);
    // Others know of the favourite since the first Like: it is withdrawn, the money is not.
    expect(await told(database)).toEqual([`Undo ${flattr} 202611 ann`]);
    expect((await flattrs(database)).map(({ id }) => id)).toEqual([flattr]);
    const again = await like(it, { when: "2026-11-14" });
    expect(again).toMatchObject({ flattr, again: false });
    expect(again.favourite).not.toBe(flattr);
    expect(await told(database)).toEqual([
      `Undo ${flattr} 202611 ann`,
      `Like ${again.favourite} - ann`,
    ]);
    // In a month of its own as well.
    expect(await like(it, { when: "2026-12-14" })).toMatchObject({
      favourite: again.favourite,
      flattr: undefined,
      again: true,
    });
    expect(await unlike(it, { when: "2026-12-15" })).toBe(true);
    expect((await flattrs(database)).map(({ id }) => id)).toEqual([flattr]);
  });
});

describe("an app whose favourites are no flattrs", () => {
  test("likes and takes back, and every flattr stays as it is; another app's favourite then is one", async () => {
    const it = await scene();
    const { database } = it;
    const plain = await like(it, { counts: false });
    expect(plain.flattr).toBeUndefined();
    const given = await like(it, { when: "2026-11-12" });
    expect(given).toMatchObject({ favourite: given.flattr, again: false });
    expect(await told(database)).toEqual([
      `Like ${plain.favourite} - ann`,
      `Like ${given.flattr} 202611 ann`,
    ]);
    expect(await unlike(it, { counts: false, when: "2026-11-13" })).toBe(true);
    // Nobody was told anything yet.
    expect([await standing(database), await told(database)]).toEqual([[], []]);
    expect((await flattrs(database)).map(({ id }) => id)).toEqual([given.flattr]);
    // With the heart again, by either app, the flattr is the same; taking it back by an app that counts takes it.
    const back = await like(it, { when: "2026-11-14" });
    expect(back).toMatchObject({ flattr: given.flattr, again: false });
    expect(await flattrs(database)).toHaveLength(1);
    expect(await unlike(it, { when: "2026-11-15" })).toBe(true);
    expect(await flattrs(database)).toEqual([]);
  });
});

describe("where nobody would be paid", () => {
  test("a favourite is a Like all the same, and a click is refused", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const things = {
      own: await localPost(database, alice),
      alias: await remotePost(database, `${FAR}/alias`, `${FAR}/users/me`),
      declined: await remotePost(database, `${FAR}/declined`, ANN),
      blocked: await remotePost(database, `${FAR}/blocked`, BEN),
      host: await remotePost(database, "https://bad.example/1", "https://bad.example/users/eve"),
      mixed: await remotePost(database, `${FAR}/mixed`, { [ANN]: 1, [BEN]: 1 }),
    };
    await addAlias(database, { account: alice.id, payee: `${FAR}/users/me`, at: at("2026-11-02") });
    await declinePayments(database, { payee: ANN, at: at("2026-11-02") });
    await blockPayments(database, { kind: "payee", target: BEN, at: at("2026-11-02") });
    await blockPayments(database, { kind: "host", target: "bad.example", at: at("2026-11-02") });
    const heard: Record<string, string[]> = {};
    for (const [name, thing] of Object.entries(things)) {
      const it = { database, alice, thing };
      expect(await refusal(click(database, alice, thing)), name).not.toBe("accepted");
      const { favourite, flattr, again } = await like(it);
      expect([flattr, again], name).toEqual([undefined, false]);
      expect((await like(it)).again).toBe(true);
      heard[name] = (await told(database)).map((line) => line.replace(String(favourite), "it"));
      await arrive(database);
      expect(await unlike(it)).toBe(true);
      expect(await told(database), name).toHaveLength(heard[name].length);
      await arrive(database);
    }
    // Whoever declined money is told; whoever is blocked is told nothing.
    expect(heard).toEqual({
      own: [],
      alias: ["Like it - me"],
      declined: ["Like it - ann"],
      blocked: [],
      host: [],
      mixed: ["Like it - ann"],
    });
    expect([await standing(database), await flattrs(database)]).toEqual([[], []]);
  });
});

describe("beside a subscription", () => {
  test("a favourite is one of its own, and taking it back leaves the subscription's flattr", async () => {
    const it = await scene();
    const { database, alice, thing } = it;
    await subscribe(database, { patron: alice.id, thing, months: null, at: at("2026-11-10") });
    await tick(database, at("2026-12-02"));
    const [flattr] = await flattrs(database);
    expect(flattr!.source).toBe("subscription");
    expect([await standing(database), await told(database)]).toEqual([[], []]);
    const { favourite, ...rest } = await like(it, { when: "2026-12-05" });
    expect(rest).toEqual({ flattr: flattr!.id, isShown: true, again: false });
    expect(favourite).not.toBe(flattr!.id);
    expect(await told(database)).toEqual([`Like ${favourite} - ann`]);
    expect(await like(it, { when: "2026-12-06" })).toMatchObject({ favourite, again: true });
    await arrive(database);
    expect(await unlike(it, { when: "2026-12-07" })).toBe(true);
    expect(await told(database)).toEqual([`Undo ${favourite} - ann`]);
    expect(await flattrs(database)).toEqual([flattr]);
  });
});
