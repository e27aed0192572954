import { describe, expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { setPreferences } from "../../src/features/account/find.ts";
import { addAlias } from "../../src/features/claim/alias.ts";
import { blockPayments, declinePayments } from "../../src/features/claim/standing.ts";
import { favouriteThing, unfavouriteThing } from "../../src/features/flattr/favourite.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { shownLike } from "../../src/features/flattr/show.ts";
import { subscribe } from "../../src/features/flattr/subscribe.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { takeLike, takeUnlike } from "../../src/features/post/favourite.ts";
import { postAt, reactionsTo } from "../../src/features/post/find.ts";
import { writePost } from "../../src/features/post/write.ts";
import { tick } from "../../src/features/settlement/tick.ts";
import { findThing } from "../../src/features/thing/find.ts";
import { deleteThing } from "../../src/features/thing/thing.ts";
import type { Database } from "../../src/store/database.ts";
import { Refusal } from "../../src/store/refusal.ts";
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
import type { Period } from "../../src/rules/period.ts";

const FAR = "https://far.example";
const ANN = `${FAR}/users/ann`;
const BEN = `${FAR}/users/ben`;
const LIKES = "https://home.example/likes/";

interface Scene {
  readonly database: Database;
  readonly alice: Account;
  readonly thing: bigint;
}

async function scene(authors: Readonly<Record<string, number>> | string = ANN): Promise<Scene> {
  const database = await testDatabase();
  const alice = await person(database, "alice");
  return { database, alice, thing: await remotePost(database, `${FAR}/1`, authors) };
}

type How = { when?: string; counts?: boolean };

function like({ database, alice, thing }: Scene, { when = "2026-11-10", counts = true }: How = {}) {
  return favouriteThing(database, { account: alice, thing, counts, at: at(when) });
}

function unlike(
  { database, alice, thing }: Scene,
  { when = "2026-11-11", counts = true }: How = {},
) {
  return unfavouriteThing(database, { account: alice, thing, counts, at: at(when) });
}

/** The favourites that stand. */
async function standing({ sql }: Database) {
  return sql<{ id: bigint; uri: string | null; period: number | null }[]>`
    SELECT id, uri, period FROM favourite ORDER BY id`;
}

async function flattrs({ sql }: Database) {
  return sql<{ id: bigint; period: number; source: string }[]>`
    SELECT id, period, source FROM flattr ORDER BY period, id`;
}

/** What waits to be told, in the order in which it leaves. */
async function told({ sql }: Database): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT d.activity || ' ' || d.flattr || ' ' || COALESCE(d.period::text, '-') || ' ' || split_part(a.uri, '/', 5) AS line
      FROM delivery d JOIN actor a ON a.id = d.payee ORDER BY d.id, a.uri`;
  return rows.map(({ line }) => line);
}

/** What was told has arrived. */
async function arrive({ sql }: Database): Promise<void> {
  await sql`DELETE FROM delivery`;
}

async function refusal(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  return "accepted";
}

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
    expect(await like(it, { when: "2026-11-20" })).toEqual({ favourite, flattr, again: true });
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
    expect(await like(it)).toEqual({ ...plain, again: true });
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
    expect(rest).toEqual({ flattr: flattr!.id, again: false });
    expect(favourite).not.toBe(flattr!.id);
    expect(await told(database)).toEqual([`Like ${favourite} - ann`]);
    expect(await like(it, { when: "2026-12-06" })).toMatchObject({ favourite, again: true });
    await arrive(database);
    expect(await unlike(it, { when: "2026-12-07" })).toBe(true);
    expect(await told(database)).toEqual([`Undo ${favourite} - ann`]);
    expect(await flattrs(database)).toEqual([flattr]);
  });
});

describe("in private", () => {
  test("nobody is told, nobody finds it, nobody counts it, and it stands", async () => {
    const it = await scene();
    const { database, alice } = it;
    const bob = await person(database, "bob");
    const { uri, id } = await writePost(database, {
      author: bob,
      text: "Hello",
      at: at("2026-11-02"),
    });
    const near = { ...it, thing: await findThing(database, uri, at("2026-11-02")) };
    await setPreferences(database, alice.id, { flattrsPrivate: true });
    for (const counts of [true, false]) {
      for (const one of [it, near]) {
        const { favourite } = await like(one, { counts });
        expect(await standing(database)).toMatchObject([{ id: favourite, uri: null }]);
        expect(await shownLike(database, favourite)).toBeUndefined();
        expect(await reactionsTo(database.drizzle, id)).toEqual({ favourites: 0, boosts: 0 });
        expect(await unlike(one, { counts })).toBe(true);
        await database.sql`DELETE FROM favourite`;
      }
      expect(await told(database)).toEqual([]);
    }
    expect(await database.sql`SELECT 1 FROM notification`).toHaveLength(0);
    await setPreferences(database, alice.id, { flattrsPrivate: false });
    await like(near);
    expect(await reactionsTo(database.drizzle, id)).toEqual({ favourites: 1, boosts: 0 });
  });

  test("is every favourite of a post that is not for everybody", async () => {
    const it = await scene();
    const { database } = it;
    const bob = await person(database, "bob");
    for (const visibility of ["followers", "direct"] as const) {
      const { uri } = await writePost(database, {
        author: bob,
        text: "Psst @alice",
        visibility,
        at: at("2026-11-02"),
      });
      const thing = await findThing(database, uri, at("2026-11-02"));
      const { flattr } = await like({ ...it, thing });
      expect(flattr).toBeDefined();
      expect(await standing(database)).toMatchObject([{ id: flattr, uri: null }]);
      await unlike({ ...it, thing });
    }
    expect(await database.sql`SELECT 1 FROM notification WHERE kind = 'favourite'`).toHaveLength(0);
  });

  test("a flattr says nothing of a favourite that others know, and taking it back withdraws what they know", async () => {
    const it = await scene();
    const { database, alice, thing } = it;
    const { favourite } = await like(it);
    await arrive(database);
    const given = await giveFlattr(database, {
      patron: alice.id,
      thing,
      source: "click",
      private: true,
      at: at("2026-12-05"),
    });
    expect(given).toMatchObject({ favourite, again: false });
    expect(await standing(database)).toEqual([
      { id: favourite, uri: `${LIKES}${favourite}`, period: 202611 },
    ]);
    expect(await told(database)).toEqual([]);
    expect(await shownLike(database, given.flattr!)).toBeUndefined();
    expect(await unlike(it, { when: "2026-12-06" })).toBe(true);
    expect(await told(database)).toEqual([`Undo ${favourite} 202611 ann`]);
    expect((await flattrs(database)).map(({ period }) => period)).toEqual([202611]);
  });

  test("and then in public is told as if it were the first", async () => {
    const it = await scene();
    const { database, alice } = it;
    await setPreferences(database, alice.id, { flattrsPrivate: true });
    await like(it);
    await setPreferences(database, alice.id, { flattrsPrivate: false });
    const { flattr } = await like(it, { when: "2026-12-05" });
    expect(await told(database)).toEqual([`Like ${flattr} 202612 ann`]);
    await unlike(it, { when: "2026-12-06" });
    expect(await told(database)).toEqual([]);
  });
});

test("a Like is shown as long as its favourite stands, with a month when it is a flattr", async () => {
  const it = await scene();
  const { database } = it;
  const plain = await like(it, { counts: false });
  const shown = {
    patron: "https://home.example/users/alice",
    thing: `${FAR}/1`,
    payee: ANN,
  };
  expect(await shownLike(database, plain.favourite)).toMatchObject({
    ...shown,
    favourite: plain.favourite,
    period: null,
  });
  const given = await like(it, { when: "2026-11-12" });
  expect(await shownLike(database, given.favourite)).toMatchObject({ ...shown, period: "2026-11" });
  await unlike(it, { counts: false, when: "2026-11-13" });
  expect(await shownLike(database, given.favourite)).toBeUndefined();
  expect(await flattrs(database)).toHaveLength(1);
});

describe("the author of a post here", () => {
  interface Village extends Scene {
    readonly bob: Account;
    readonly uri: string;
    readonly post: bigint;
  }

  async function village(): Promise<Village> {
    const database = await testDatabase();
    const [alice, bob] = [await person(database, "alice"), await person(database, "bob")];
    const { uri, id } = await writePost(database, {
      author: bob,
      text: "Hello",
      at: at("2026-11-02"),
    });
    const thing = await findThing(database, uri, at("2026-11-02"));
    return { database, alice, bob, thing, uri, post: id };
  }

  async function notices({ sql }: Database) {
    return sql<{ id: bigint; account: bigint; actor: bigint; post: bigint | null }[]>`
      SELECT id, account, actor, post FROM notification WHERE kind = 'favourite' ORDER BY id`;
  }

  async function remoteActor({ sql }: Database, uri: string): Promise<bigint> {
    const [row] = await sql<[{ id: bigint }]>`
      INSERT INTO actor (id, uri, host, found_at) VALUES (new_id('2026-11-01'), ${uri}, 'far.example', '2026-11-01') RETURNING id`;
    return row.id;
  }

  test("is told once of who likes it, with what streams and apps are told", async () => {
    const it = await village();
    const { database, alice, bob, post } = it;
    await Promise.all([like(it), like(it)]);
    const [notice, ...more] = await notices(database);
    expect(more).toEqual([]);
    expect(notice).toMatchObject({ account: bob.id, actor: alice.actor, post });
    expect(
      await database.sql`SELECT kind, account, subject FROM stream_event WHERE kind = 'notification'`,
    ).toEqual([{ kind: "notification", account: bob.id, subject: notice!.id }]);
    // Bob has no app that wants to be woken.
    const jobs = () => database.sql`
      SELECT k.identifier, j.payload FROM graphile_worker._private_jobs j
        JOIN graphile_worker._private_tasks k ON k.id = j.task_id WHERE k.identifier = 'notice.push'`;
    expect(await jobs()).toEqual([]);
    await unlike(it);
    await database.sql`
      WITH a AS (INSERT INTO app (id, client_id, secret_digest, name, redirect_uris, scopes, created_at)
                 VALUES (1, 'a', '', 'a', '[]', '[]', '2026-11-01') RETURNING id),
           t AS (INSERT INTO token (id, digest, app, account, scopes, created_at)
                 SELECT 1, '', id, ${bob.id}, '[]', '2026-11-01' FROM a RETURNING id)
      INSERT INTO push_subscription (token, id, endpoint, p256dh, auth, alerts, policy)
      SELECT id, 1, 'https://push.example/1', '', '', '["favourite"]', 'all' FROM t`;
    await like(it, { when: "2026-11-12" });
    const [again] = await notices(database);
    expect(await jobs()).toEqual([
      { identifier: "notice.push", payload: { notification: String(again!.id) } },
    ]);
    // A new month is a new flattr, but nothing new to hear.
    await like(it, { when: "2026-12-12" });
    expect(await notices(database)).toEqual([again]);
  });

  test("is told of favourites that are no flattrs, and not of his own or of private ones", async () => {
    const it = await village();
    await like({ ...it, alice: it.bob });
    await setPreferences(it.database, it.alice.id, { flattrsPrivate: true });
    await like(it, { counts: false });
    expect(await notices(it.database)).toEqual([]);
    await unlike(it, { counts: false });
    await setPreferences(it.database, it.alice.id, { flattrsPrivate: false });
    await like(it, { counts: false });
    expect(await notices(it.database)).toHaveLength(1);
  });

  test.each([
    ["muted", "INSERT INTO mute (account, actor, since) VALUES ($bob, $alices, '2026-11-01')", 0],
    [
      "muted, but wants to be told",
      "INSERT INTO mute (account, actor, hides_notifications, since) VALUES ($bob, $alices, false, '2026-11-01')",
      1,
    ],
    [
      "muted until yesterday",
      "INSERT INTO mute (account, actor, until, since) VALUES ($bob, $alices, '2026-11-09', '2026-11-01')",
      1,
    ],
    [
      "muted until tomorrow",
      "INSERT INTO mute (account, actor, until, since) VALUES ($bob, $alices, '2026-11-11', '2026-11-01')",
      0,
    ],
    [
      "blocked by him",
      "INSERT INTO person_block (blocker, blocked, since) VALUES ($bobs, $alices, '2026-11-01')",
      0,
    ],
    [
      "blocking him",
      "INSERT INTO person_block (blocker, blocked, since) VALUES ($alices, $bobs, '2026-11-01')",
      0,
    ],
    ["in a muted conversation", "INSERT INTO thread_mute (account, root) VALUES ($bob, $uri)", 0],
    [
      "in another conversation",
      "INSERT INTO thread_mute (account, root) VALUES ($bob, 'https://far.example/9')",
      1,
    ],
  ])("hears of somebody who is %s only if he wants to", async (_, text, many) => {
    const it = await village();
    const { database, alice, bob, uri } = it;
    // An answer in the conversation that begins with his post.
    const answer = await writePost(database, {
      author: bob,
      text: "And more",
      inReplyTo: uri,
      at: at("2026-11-03"),
    });
    const thing = await findThing(database, answer.uri, at("2026-11-03"));
    const names: Record<string, string> = {
      $bobs: String(bob.actor),
      $bob: String(bob.id),
      $alices: String(alice.actor),
      $uri: `'${uri}'`,
    };
    await database.sql.unsafe(text.replaceAll(/\$\w+/g, (name) => names[name]!));
    const { favourite } = await like({ ...it, thing });
    // From elsewhere by the same rules.
    const ann = await remoteActor(database, ANN);
    await database.sql.unsafe(
      text
        .replaceAll(/\$\w+/g, (name) => (name === "$alices" ? String(ann) : names[name]!))
        .concat(" ON CONFLICT DO NOTHING"),
    );
    const far = { actor: ann, object: answer.uri, period: null, at: at("2026-11-10") };
    expect(await takeLike(database, { ...far, id: `${FAR}/likes/1` })).toBe("taken");
    expect((await notices(database)).map(({ actor }) => actor)).toEqual(
      many === 0 ? [] : [alice.actor, ann],
    );
    expect((await standing(database)).map(({ id }) => id)).toContain(favourite);
  });

  test("no longer hears of what was taken back, unless he has read it", async () => {
    const it = await village();
    const { database, bob, uri } = it;
    const ann = await remoteActor(database, ANN);
    const far = { actor: ann, object: uri, period: null };
    await like(it);
    await takeLike(database, { ...far, id: `${FAR}/likes/1`, at: at("2026-11-10") });
    expect(await notices(database)).toHaveLength(2);
    await unlike(it);
    await takeUnlike(database, {
      id: `${FAR}/likes/1#undo`,
      like: `${FAR}/likes/1`,
      ...far,
      at: at("2026-11-11"),
    });
    expect([await notices(database), await standing(database)]).toEqual([[], []]);
    await like(it, { when: "2026-11-12" });
    await takeLike(database, { ...far, id: `${FAR}/likes/2`, at: at("2026-11-12") });
    const read = await notices(database);
    await database.sql`
      INSERT INTO marker (account, timeline, last_read, version, at)
      VALUES (${bob.id}, 'notifications', ${read.at(-1)!.id}, 1, '2026-11-12')`;
    await unlike(it, { when: "2026-11-13" });
    await takeUnlike(database, {
      id: `${FAR}/likes/2#undo`,
      like: `${FAR}/likes/2`,
      ...far,
      at: at("2026-11-13"),
    });
    expect(await notices(database)).toEqual(read);
    expect(await standing(database)).toEqual([]);
  });

  test("finds Likes from elsewhere beside those from here, each with an id of its own, ordered by time", async () => {
    const it = await village();
    const { database, alice, uri, post } = it;
    const ann = await remoteActor(database, ANN);
    const first = await like(it);
    const far = { id: `${FAR}/likes/1`, actor: ann, object: uri, at: at("2026-11-12") };
    await takeLike(database, { ...far, period: null });
    const [, second] = await standing(database);
    expect(second!.id > first.favourite).toBe(true);
    // With a month it is the same favourite, and keeps its place.
    await takeLike(database, { ...far, id: `${FAR}/likes/2`, period: "2026-11" as Period });
    expect(await standing(database)).toMatchObject([
      { id: first.favourite },
      { id: second!.id, uri: `${FAR}/likes/2`, period: 202611 },
    ]);
    expect(await reactionsTo(database.drizzle, post)).toEqual({ favourites: 2, boosts: 0 });
    // Whatever comes from elsewhere, what people of this instance like is theirs.
    const own = { id: `${FAR}/likes/3`, actor: alice.actor, object: uri, at: at("2026-11-13") };
    await takeLike(database, { ...own, period: null });
    const [stands] = await standing(database);
    expect(stands).toEqual({
      id: first.favourite,
      uri: `${LIKES}${first.favourite}`,
      period: 202611,
    });
    expect(await takeUnlike(database, { ...own, id: `${FAR}/undo`, like: stands!.uri! })).toBe(
      false,
    );
    expect(await standing(database)).toHaveLength(2);
    expect((await postAt(database.drizzle, uri))?.id).toBe(post);
  });
});
