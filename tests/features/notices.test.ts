import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { acceptFollower, removeFollower } from "../../src/features/follow/answer.ts";
import { blockPerson } from "../../src/features/follow/block.ts";
import { followActor, unfollowActor } from "../../src/features/follow/follow.ts";
import { mutePerson } from "../../src/features/follow/mute.ts";
import { notifyAll } from "../../src/features/notice/notify.ts";
import { boostPost, unboostPost } from "../../src/features/post/boost.ts";
import { muteThread, unmuteThread } from "../../src/features/post/thread.ts";
import { updateProfile } from "../../src/features/post/profile.ts";
import { deletePost, editPost, writePost } from "../../src/features/post/write.ts";
import type { Database } from "../../src/store/database.ts";
import { at, person, testDatabase } from "../support/database.ts";
import { BOB, note, PUBLIC, town } from "../support/town.ts";

const uriOf = ({ name }: Account) => `https://home.example/users/${name}`;

/** What somebody was told: kind, who caused it, and the words of the post. */
async function newsOf({ sql }: Database, { id }: Account): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT n.kind || ' ' || a.name || COALESCE(' ' || COALESCE(p.text, p.html), '') AS line
      FROM notification n JOIN actor a ON a.id = n.actor LEFT JOIN post p ON p.id = n.post WHERE n.account = ${id} ORDER BY n.id`;
  return rows.map(({ line }) => line);
}

async function three() {
  const database = await testDatabase();
  const [ann, bob, eve] = await Promise.all(
    ["ann", "bob", "eve"].map((name) => person(database, name)),
  );
  let minute = 0;
  const now = () => at("2026-11-10").add({ minutes: (minute += 1) });
  const write = (author: Account, text: string, more = {}) =>
    writePost(database, { author, text, at: now(), ...more });
  const follow = (follower: Account, followee: Account, more = {}) =>
    followActor(database, { follower, uri: uriOf(followee), at: now(), ...more });
  return { database, ann: ann!, bob: bob!, eve: eve!, now, write, follow };
}

describe("somebody is told", () => {
  test("when he is spoken to, whoever may read it, and once", async () => {
    const { database, ann, bob, now, write } = await three();
    const post = await write(bob, "Hi @ann");
    await write(bob, "psst @ann", { visibility: "direct" });
    await write(ann, "me, @ann");
    await editPost(database, { author: bob, post: post.id, text: "Hi again @ann @eve", at: now() });
    expect(await newsOf(database, ann)).toEqual([
      "mention bob Hi again @ann @eve",
      "mention bob psst @ann",
    ]);
    const [event] = await database.sql<{ account: bigint; subject: bigint }[]>`
      SELECT account, subject FROM stream_event WHERE kind = 'notification' ORDER BY id LIMIT 1`;
    expect(event!.account).toBe(ann.id);
    await deletePost(database, { author: bob, post: post.id, at: now() });
    expect(await newsOf(database, ann)).toEqual(["mention bob psst @ann"]);
  });

  test("of each post of whom he wants to hear, but not of answers to others", async () => {
    const { database, ann, bob, eve, now, write, follow } = await three();
    await follow(ann, bob, { notifies: true });
    await follow(eve, bob);
    const hers = await write(eve, "hers");
    const his = await write(bob, "his");
    await write(bob, "to eve", { inReplyTo: hers.uri });
    await write(bob, "to himself", { inReplyTo: his.uri });
    await write(bob, "to @ann");
    await write(bob, "secret", { visibility: "direct" });
    expect(await newsOf(database, ann)).toEqual([
      "status bob his",
      "status bob to himself",
      "mention bob to @ann",
    ]);
    await follow(ann, bob, { notifies: false });
    await write(bob, "quiet");
    expect(await newsOf(database, ann)).toHaveLength(3);
    expect(await newsOf(database, eve)).toEqual(["mention bob to eve"]);
    await unfollowActor(database, { follower: ann, uri: uriOf(bob), at: now() });
    expect(await newsOf(database, bob)).toEqual(["follow eve"]);
  });

  test("of followers and of who asks to be one", async () => {
    const { database, ann, bob, eve, now, follow } = await three();
    await updateProfile(database, { account: ann, isLocked: true, at: now() });
    await follow(bob, ann);
    await follow(eve, ann);
    await follow(eve, ann);
    expect(await newsOf(database, ann)).toEqual(["follow_request bob", "follow_request eve"]);
    await acceptFollower(database, { followee: ann, follower: bob.actor, at: now() });
    await removeFollower(database, { followee: ann, follower: eve.actor, at: now() });
    expect(await newsOf(database, ann)).toEqual([]);
  });

  test("when his post is passed on, and when one that he passed on changes", async () => {
    const { database, ann, bob, now, write } = await three();
    const post = await write(bob, "good");
    const boost = { account: ann, post: post.id };
    await boostPost(database, { ...boost, at: now() });
    await boostPost(database, { ...boost, at: now() });
    await boostPost(database, { account: bob, post: post.id, at: now() });
    expect(await newsOf(database, bob)).toEqual(["reblog ann good"]);
    await editPost(database, { author: bob, post: post.id, text: "better", at: now() });
    expect(await newsOf(database, ann)).toEqual(["update bob better"]);
    await unboostPost(database, { ...boost, at: now() });
    expect(await newsOf(database, bob)).toEqual([]);
  });

  test("of what people elsewhere do", async () => {
    const { database, bob, ann, house, post } = await town();
    const mention = note(ann.uri, {
      tag: [{ type: "Mention", href: BOB, name: "@bob" }],
      cc: [BOB],
    });
    await ann.send(house, { type: "Create", object: mention });
    const follow = { type: "Follow", id: "https://far.example/f/1", object: BOB };
    await ann.send(house, follow);
    await ann.send(house, { ...follow, id: "https://far.example/f/2" });
    const boost = { type: "Announce", id: "https://far.example/b/1", object: post, to: [PUBLIC] };
    await ann.send(house, boost);
    expect(await newsOf(database, bob)).toEqual([
      "mention ann <p>Hi</p>",
      "follow ann",
      "reblog ann Hello",
    ]);
    await boostPost(database, {
      account: bob,
      post: (await database.sql<[{ id: bigint }]>`SELECT id FROM post WHERE html IS NOT NULL`)[0]
        .id,
      at: at("2026-11-21"),
    });
    const edited = { ...mention, content: "<p>Ho</p>", updated: "2026-11-21T11:30:00Z" };
    await ann.send(house, { type: "Update", object: edited });
    await ann.send(house, { type: "Undo", object: boost });
    await ann.send(house, { type: "Undo", object: { ...follow, actor: ann.uri } });
    expect(await newsOf(database, bob)).toEqual(["mention ann <p>Ho</p>", "update ann <p>Ho</p>"]);
    const [{ many }] = await database.sql<
      [{ many: bigint }]
    >`SELECT count(*) AS many FROM post_edit`;
    expect(many).toBe(1n);
  });
});

describe("nobody is told", () => {
  test("of whom he muted, unless only with his notifications or until a time that is over", async () => {
    const { database, ann, bob, now, write } = await three();
    const mute = (more = {}) =>
      mutePerson(database, { account: ann, actor: bob.actor, at: now(), ...more });
    await mute();
    await write(bob, "unheard @ann");
    await mute({ hidesNotifications: false });
    await write(bob, "heard @ann");
    await mute({ until: at("2026-11-10").add({ hours: 1 }) });
    await write(bob, "not yet @ann");
    await writePost(database, { author: bob, text: "later @ann", at: at("2026-11-11") });
    expect(await newsOf(database, ann)).toEqual([
      "mention bob heard @ann",
      "mention bob later @ann",
    ]);
  });

  test("where one of the two blocks the other", async () => {
    const { database, ann, bob, eve, now, write } = await three();
    await blockPerson(database, { account: ann, actor: bob.actor, at: now() });
    await write(bob, "Hi @ann @eve");
    await write(ann, "Hi @bob");
    expect(await newsOf(database, ann)).toEqual([]);
    expect(await newsOf(database, bob)).toEqual([]);
    expect(await newsOf(database, eve)).toEqual(["mention bob Hi @ann @eve"]);
  });

  test("of a conversation that he muted, however deep, until he wants to hear of it again", async () => {
    const { database, ann, bob, write } = await three();
    const root = await write(ann, "root");
    const first = await write(bob, "one", { inReplyTo: root.uri });
    const second = await write(ann, "two", { inReplyTo: first.uri });
    await muteThread(database, { account: ann, post: first.id });
    await muteThread(database, { account: ann, post: second.id });
    const third = await write(bob, "three", { inReplyTo: second.uri });
    await write(bob, "elsewhere @ann");
    expect(await newsOf(database, ann)).toEqual(["mention bob one", "mention bob elsewhere @ann"]);
    await unmuteThread(database, { account: ann, post: third.id });
    await write(bob, "four", { inReplyTo: second.uri });
    expect((await newsOf(database, ann)).at(-1)).toBe("mention bob four");
  });

  test("of a conversation whose first post came later than the mute", async () => {
    const { database, bob, ann, house } = await town();
    const root = "https://third.example/n/1";
    const tag = [{ type: "Mention", href: BOB, name: "@bob" }];
    const first = note(ann.uri, { inReplyTo: root, tag, cc: [BOB] });
    await ann.send(house, { type: "Create", object: first });
    const [{ id }] = await database.sql<
      [{ id: bigint }]
    >`SELECT id FROM post WHERE html IS NOT NULL`;
    await muteThread(database, { account: bob, post: id });
    await ann.send(house, {
      type: "Create",
      object: note(ann.uri, { inReplyTo: first.id, tag, cc: [BOB] }),
    });
    expect(await newsOf(database, bob)).toHaveLength(1);
  });

  test("by posts that answer each other in a circle, or for ever", async () => {
    const { database, bob, ann, house } = await town();
    const tag = [{ type: "Mention", href: BOB, name: "@bob" }];
    const [one, other] = [note(ann.uri, { tag, cc: [BOB] }), note(ann.uri, { tag, cc: [BOB] })];
    await ann.send(house, { type: "Create", object: { ...one, inReplyTo: other.id } });
    const [{ id }] = await database.sql<
      [{ id: bigint }]
    >`SELECT id FROM post WHERE html IS NOT NULL`;
    await muteThread(database, { account: bob, post: id });
    await ann.send(house, { type: "Create", object: { ...other, inReplyTo: one.id } });
    expect(await newsOf(database, bob)).toHaveLength(1);
  });
});

describe("an app with a push subscription", () => {
  test("is woken by a job, others are not", async () => {
    const { database, ann, bob, eve, write } = await three();
    const { sql: raw } = database;
    await raw`INSERT INTO app (id, client_id, secret_digest, name, redirect_uris, scopes, created_at) VALUES (1, 'app', '', 'App', '[]', '[]', now())`;
    await raw`INSERT INTO token (id, digest, app, account, scopes, created_at) VALUES (2, '', 1, ${ann.id}, '[]', now())`;
    await raw`INSERT INTO push_subscription (token, id, endpoint, p256dh, auth, alerts, policy) VALUES (2, 3, 'https://push.example/1', 'k', 'a', '[]', 'all')`;
    await write(bob, "Hi @ann @eve");
    const jobs = await raw<{ payload: { notification: string } }[]>`
      SELECT j.payload FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id WHERE t.identifier = 'notice.push'`;
    const [told] = await raw<
      { id: bigint }[]
    >`SELECT id FROM notification WHERE account = ${ann.id}`;
    expect(jobs.map(({ payload }) => payload)).toEqual([{ notification: String(told!.id) }]);
    expect(await newsOf(database, eve)).toHaveLength(1);
  });

  test("many are told in one statement", async () => {
    const { database, ann, bob, eve } = await three();
    await database.drizzle.transaction(async (tx) => {
      const notice = { kind: "status", actor: bob.actor, at: at("2026-11-10") } as const;
      await notifyAll(
        tx,
        notice,
        sql`SELECT id AS account FROM account UNION ALL SELECT id FROM account`,
      );
    });
    expect(await newsOf(database, ann)).toEqual(["status bob"]);
    expect(await newsOf(database, eve)).toEqual(["status bob"]);
    expect(await newsOf(database, bob)).toEqual([]);
  });
});
