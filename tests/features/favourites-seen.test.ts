import { describe, expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { setPreferences } from "../../src/features/account/find.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { shownLike } from "../../src/features/flattr/show.ts";
import { takeLike, takeUnlike } from "../../src/features/post/favourite.ts";
import { postAt, reactionsTo } from "../../src/features/post/find.ts";
import { writePost } from "../../src/features/post/write.ts";
import { findThing } from "../../src/features/thing/find.ts";
import type { Period } from "../../src/rules/period.ts";
import type { Database } from "../../src/store/database.ts";
import { at, person, testDatabase } from "../support/database.ts";
import {
  ANN,
  FAR,
  LIKES,
  type Scene,
  arrive,
  flattrs,
  like,
  scene,
  standing,
  told,
  unlike,
} from "../support/favourites.ts";

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
