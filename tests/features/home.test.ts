import { describe, expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { acceptFollower } from "../../src/features/follow/answer.ts";
import { followActor, unfollowActor } from "../../src/features/follow/follow.ts";
import { boostPost, unboostPost } from "../../src/features/post/boost.ts";
import { bringPost, HOME_ENTRIES_MAX, trimHomes } from "../../src/features/post/home.ts";
import { updateProfile } from "../../src/features/post/profile.ts";
import { deletePost, editPost, writePost } from "../../src/features/post/write.ts";
import type { Database } from "../../src/store/database.ts";
import { at, person, testDatabase } from "../support/database.ts";
import { BOB, note, PUBLIC, town } from "../support/town.ts";

const uriOf = ({ name }: Account) => `https://home.example/users/${name}`;

/** What stands in somebody's home timeline, the newest first: words, and by whom it was passed on. */
async function homeOf({ sql }: Database, { id }: Account): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT CASE WHEN h.id = h.post THEN '' ELSE a.name || ': ' END || COALESCE(p.text, p.html) AS line
      FROM home h JOIN post p ON p.id = h.post JOIN actor a ON a.id = h.actor WHERE h.account = ${id} ORDER BY h.id DESC`;
  return rows.map(({ line }) => line);
}

/** What open streams were told, the oldest first. */
async function events({ sql }: Database): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT kind || ' ' || subject AS line FROM stream_event WHERE kind <> 'notification' ORDER BY id`;
  return rows.map(({ line }) => line);
}

/** Ann, Bob and Eve; Ann follows Bob. */
async function three() {
  const database = await testDatabase();
  const [ann, bob, eve] = await Promise.all(
    ["ann", "bob", "eve"].map((name) => person(database, name)),
  );
  let minute = 0;
  const now = () => at("2026-11-10").add({ minutes: (minute += 1) });
  const follow = (follower: Account, followee: Account, more = {}) =>
    followActor(database, { follower, uri: uriOf(followee), at: now(), ...more });
  const write = (author: Account, text: string, more = {}) =>
    writePost(database, { author, text, at: now(), ...more });
  await follow(ann!, bob!);
  return { database, ann: ann!, bob: bob!, eve: eve!, now, follow, write };
}

describe("a home timeline", () => {
  test("holds one's own posts and those of people one follows, and of nobody else", async () => {
    const { database, ann, bob, eve, write } = await three();
    await write(bob, "one");
    await write(ann, "mine");
    await write(eve, "stranger");
    await write(bob, "quiet", { visibility: "unlisted" });
    await write(bob, "for followers", { visibility: "followers" });
    await write(bob, "secret for @ann", { visibility: "direct" });
    expect(await homeOf(database, ann)).toEqual(["for followers", "quiet", "mine", "one"]);
    expect(await homeOf(database, eve)).toEqual(["stranger"]);
    expect(await homeOf(database, bob)).toEqual([
      "secret for @ann",
      "for followers",
      "quiet",
      "one",
    ]);
  });

  test("holds answers only to people one follows, to the author himself and to oneself", async () => {
    const { database, ann, bob, eve, follow, write } = await three();
    const his = await write(bob, "his");
    const hers = await write(eve, "hers");
    const mine = await write(ann, "mine");
    const answer = (text: string, inReplyTo: string) => write(bob, text, { inReplyTo });
    await answer("to himself", his.uri);
    await answer("to eve", hers.uri);
    await answer("to ann", mine.uri);
    await answer("to nobody known", "https://far.example/notes/1");
    expect(await homeOf(database, ann)).toEqual(["to ann", "to himself", "mine", "his"]);
    await follow(ann, eve);
    await answer("to eve again", hers.uri);
    expect((await homeOf(database, ann))[0]).toBe("to eve again");
  });

  test("shows a boost, unless the post stands among the newest forty or boosts are not wanted", async () => {
    const { database, ann, bob, eve, now, follow, write } = await three();
    const old = await write(eve, "old");
    const seen = await write(bob, "seen");
    await boostPost(database, { account: bob, post: old.id, at: now() });
    await boostPost(database, { account: bob, post: seen.id, at: now() });
    expect(await homeOf(database, ann)).toEqual(["bob: old", "seen"]);
    // Forty others later it is old enough to be seen again.
    for (let place = 0; place < 40; place += 1) await write(bob, `filler ${place}`);
    await follow(ann, eve);
    await boostPost(database, { account: eve, post: seen.id, at: now() });
    expect((await homeOf(database, ann))[0]).toBe("eve: seen");
    await unboostPost(database, { account: eve, post: seen.id, at: now() });
    expect((await homeOf(database, ann))[0]).toBe("filler 39");

    await follow(ann, bob, { showsBoosts: false });
    expect(await homeOf(database, ann)).not.toContain("bob: old");
    const other = await write(eve, "other", { visibility: "unlisted" });
    await database.sql`DELETE FROM home WHERE post = ${other.id}`;
    await boostPost(database, { account: bob, post: other.id, at: now() });
    expect(await homeOf(database, ann)).not.toContain("bob: other");
  });

  test("loses a post that is deleted, with its boosts, and keeps one that is changed", async () => {
    const { database, ann, bob, eve, now, write } = await three();
    const post = await write(eve, "gone soon");
    await boostPost(database, { account: bob, post: post.id, at: now() });
    const [{ id: boost }] = await database.sql<[{ id: bigint }]>`SELECT id FROM boost`;
    await editPost(database, { author: eve, post: post.id, text: "changed", at: now() });
    expect(await homeOf(database, ann)).toEqual(["bob: changed"]);
    await deletePost(database, { author: eve, post: post.id, at: now() });
    expect(await homeOf(database, ann)).toEqual([]);
    expect(await homeOf(database, eve)).toEqual([]);
    expect(await events(database)).toEqual([
      `post ${post.id}`,
      `boost ${boost}`,
      `edit ${post.id}`,
      `delete ${post.id}`,
      `delete ${boost}`,
    ]);
  });

  test("gets the newest posts of somebody newly followed, and loses them with the follow", async () => {
    const { database, ann, eve, now, follow, write } = await three();
    const first = await write(eve, "post 0");
    for (let place = 1; place < 45; place += 1) await write(eve, `post ${place}`);
    await write(eve, "direct", { visibility: "direct" });
    await write(eve, "answer to herself", { inReplyTo: first.uri });
    await write(eve, "answer to a stranger", { inReplyTo: "https://far.example/n/1" });
    await follow(ann, eve);
    const home = await homeOf(database, ann);
    // Forty are looked at, one of which is an answer to somebody else.
    expect(home).toHaveLength(39);
    expect(home[0]).toBe("answer to herself");
    expect(home).not.toContain("direct");
    expect(home.at(-1)).toBe("post 7");
    await unfollowActor(database, { follower: ann, uri: uriOf(eve), at: now() });
    expect(await homeOf(database, ann)).toEqual([]);
  });

  test("of somebody who asked gets them when he is accepted", async () => {
    const { database, ann, eve, now, follow, write } = await three();
    await write(eve, "for followers", { visibility: "followers" });
    await updateProfile(database, { account: eve, isLocked: true, at: now() });
    expect(await follow(ann, eve)).toBe("requested");
    await write(eve, "later");
    expect(await homeOf(database, ann)).toEqual([]);
    await acceptFollower(database, { followee: eve, follower: ann.actor, at: now() });
    expect(await homeOf(database, ann)).toEqual(["later", "for followers"]);
  });

  test("is cut to its newest entries, and what is older than those does not come in", async () => {
    const { database, ann, bob, now, write } = await three();
    await write(bob, "newest");
    const { sql } = database;
    await sql`
      INSERT INTO thing (id, uri, kind, split, found_at)
      SELECT n, 'https://far.example/n/' || n, 'Note', (SELECT id FROM split LIMIT 1), now() FROM generate_series(1, ${HOME_ENTRIES_MAX + 29}) n`;
    await sql`
      INSERT INTO post (id, author, thing, html, at)
      SELECT new_id('2026-11-02') + id * 65536, ${bob.actor}, id, 'x', '2026-11-02' FROM thing WHERE uri LIKE 'https://far%'`;
    await sql`INSERT INTO home (account, id, post, actor) SELECT ${ann.id}, id, id, author FROM post WHERE html = 'x'`;
    expect(await trimHomes(database)).toBe(30);
    expect(await homeOf(database, ann)).toHaveLength(HOME_ENTRIES_MAX);
    expect(await trimHomes(database)).toBe(0);

    const bring = (id: bigint) =>
      database.drizzle.transaction((tx) => bringPost(tx, id, { at: now(), isNews: false }));
    const [{ oldest, between }] = await sql<[{ oldest: bigint; between: bigint }]>`
      SELECT min(id) AS oldest, (SELECT max(id) FROM post WHERE html = 'x') AS between FROM post`;
    await sql`DELETE FROM home WHERE post = ${between}`;
    await sql`INSERT INTO home (account, id, post, actor) SELECT ${ann.id}, 9::bigint << 56, ${oldest}, ${bob.actor}`;
    await bring(oldest);
    await bring(between);
    const rows = await sql<{ id: bigint }[]>`SELECT id FROM home WHERE account = ${ann.id}`;
    expect(rows.map(({ id }) => id)).not.toContain(oldest);
    expect(rows.map(({ id }) => id)).toContain(between);
  });
});

describe("what comes from elsewhere", () => {
  async function followed() {
    const made = await town();
    const { database, bob, ann, house } = made;
    await followActor(database, { follower: bob, uri: ann.uri, at: at("2026-11-20") });
    const [{ uri }] = await database.sql<[{ uri: string }]>`SELECT uri FROM follow`;
    await database.sql`DELETE FROM stream_event`;
    await database.sql`DELETE FROM home`;
    await ann.send(house, { type: "Accept", object: uri });
    return made;
  }

  test("stands in the home of who follows its author, and is told to open streams", async () => {
    const { database, bob, ann, house } = await followed();
    const object = note(ann.uri, { published: "2026-11-21T11:59:00Z" });
    await ann.send(house, { type: "Create", object });
    const old = note(ann.uri, { published: "2026-11-01T00:00:00Z", content: "<p>Old</p>" });
    await ann.send(house, { type: "Create", object: old });
    const hidden = note(ann.uri, { to: [`${ann.uri}/followers`], content: "<p>Hidden</p>" });
    await ann.send(house, { type: "Create", object: hidden });
    const direct = note(ann.uri, { to: [BOB], content: "<p>Direct</p>" });
    await ann.send(house, { type: "Create", object: direct });
    expect(await homeOf(database, bob)).toEqual(["<p>Hi</p>", "<p>Hidden</p>", "<p>Old</p>"]);
    const rows = await database.sql<{ html: string }[]>`
      SELECT p.html FROM stream_event e JOIN post p ON p.id = e.subject WHERE e.kind = 'post' ORDER BY e.id`;
    expect(rows.map(({ html }) => html)).toEqual(["<p>Hi</p>", "<p>Hidden</p>"]);
    await ann.send(house, { type: "Delete", object: { type: "Tombstone", id: object.id } });
    expect(await homeOf(database, bob)).toEqual(["<p>Hidden</p>", "<p>Old</p>"]);
    await ann.send(house, { type: "Undo", object: "https://far.example/never" });
    await unfollowActor(database, { follower: bob, uri: ann.uri, at: at("2026-11-21") });
    expect(await homeOf(database, bob)).toEqual([]);
  });

  test("asks for what an unknown answer answers, when its author is followed", async () => {
    const { database, bob, ann, house, post } = await followed();
    const waiting = () => database.sql<{ task: string }[]>`
      SELECT t.identifier AS task FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id
       WHERE t.identifier = 'post.ancestors'`;
    const known = note(ann.uri, { inReplyTo: post });
    await ann.send(house, { type: "Create", object: known });
    expect(await waiting()).toEqual([]);
    expect(await homeOf(database, bob)).toEqual(["<p>Hi</p>"]);
    const unknown = note(ann.uri, { inReplyTo: "https://third.example/n/1" });
    await ann.send(house, { type: "Create", object: unknown });
    expect(await waiting()).toHaveLength(1);
    expect(await homeOf(database, bob)).toEqual(["<p>Hi</p>"]);
  });

  test("boosts stand there once, and go when they are taken back or their author goes", async () => {
    const { database, bob, ann, house, post } = await followed();
    const boost = { type: "Announce", id: "https://far.example/b/1", object: post, to: [PUBLIC] };
    await ann.send(house, boost);
    expect(await homeOf(database, bob)).toEqual(["ann: Hello"]);
    await ann.send(house, { type: "Undo", object: boost });
    expect(await homeOf(database, bob)).toEqual([]);
    await ann.send(house, { ...boost, id: "https://far.example/b/2" });
    await ann.send(house, { type: "Create", object: note(ann.uri) });
    expect(await homeOf(database, bob)).toHaveLength(2);
    await ann.send(house, { type: "Delete", object: ann.uri });
    expect(await homeOf(database, bob)).toEqual([]);
    const [{ many }] = await database.sql<
      [{ many: bigint }]
    >`SELECT count(*) AS many FROM notification`;
    expect(many).toBe(0n);
  });
});
