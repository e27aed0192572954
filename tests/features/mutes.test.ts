import { describe, expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { blockPerson, unblockPerson } from "../../src/features/follow/block.ts";
import { followActor, unfollowActor } from "../../src/features/follow/follow.ts";
import { mutePerson, unmutePerson } from "../../src/features/follow/mute.ts";
import { setPersonNote } from "../../src/features/follow/note.ts";
import {
  addMembers,
  changeList,
  createList,
  deleteList,
  listsWith,
  membersOf,
  ownList,
  ownLists,
  removeMembers,
} from "../../src/features/follow/own-list.ts";
import { relationsOf } from "../../src/features/follow/relation.ts";
import { writePost } from "../../src/features/post/write.ts";
import { at, person, testDatabase } from "../support/database.ts";
import { BOB, follows, note, told, town } from "../support/town.ts";

const uriOf = ({ name }: Account) => `https://home.example/users/${name}`;
const NOW = at("2026-11-20");
const ALL = { limit: 0, maxId: undefined, minId: undefined };

async function two() {
  const database = await testDatabase();
  const ann = await person(database, "ann");
  const bob = await person(database, "bob");
  const relation = async (when = NOW) => (await relationsOf(database, ann, [bob.actor], when))[0]!;
  return { database, ann, bob, relation };
}

const STRANGERS = {
  following: false,
  showingReblogs: false,
  notifying: false,
  followedBy: false,
  blocking: false,
  blockedBy: false,
  muting: false,
  mutingNotifications: false,
  mutedUntil: null,
  requested: false,
  requestedBy: false,
  note: "",
};

describe("how one stands to others", () => {
  test("is told of all at once, in the order asked for", async () => {
    const { database, ann, bob, relation } = await two();
    expect(await relation()).toEqual({ actor: bob.actor, ...STRANGERS });
    await followActor(database, { follower: ann, uri: uriOf(bob), notifies: true, at: NOW });
    await followActor(database, { follower: ann, uri: uriOf(bob), showsBoosts: false, at: NOW });
    await followActor(database, { follower: bob, uri: uriOf(ann), at: NOW });
    await mutePerson(database, {
      account: ann,
      actor: bob.actor,
      until: at("2026-11-21"),
      at: NOW,
    });
    await setPersonNote(database, { account: ann, actor: bob.actor, text: "from school" });
    expect(await relation()).toEqual({
      ...STRANGERS,
      actor: bob.actor,
      following: true,
      notifying: true,
      followedBy: true,
      muting: true,
      mutingNotifications: true,
      mutedUntil: at("2026-11-21"),
      note: "from school",
    });
    // Nothing of it is the other one's to see, and a mute ends by itself.
    expect((await relationsOf(database, bob, [ann.actor], NOW))[0]).toMatchObject({
      muting: false,
      note: "",
    });
    expect(await relation(at("2026-11-22"))).toMatchObject({ muting: false, mutedUntil: null });
    const many = await relationsOf(database, ann, [bob.actor, 1n, ann.actor], NOW);
    expect(many.map(({ actor }) => actor)).toEqual([bob.actor, ann.actor]);
  });
});

describe("a mute", () => {
  test("changes, ends, and is never of oneself or nobody", async () => {
    const { database, ann, bob, relation } = await two();
    const mute = (actor: bigint, more = {}) =>
      mutePerson(database, { account: ann, actor, at: NOW, ...more });
    await mute(bob.actor);
    await mute(bob.actor, { hidesNotifications: false });
    expect(await relation()).toMatchObject({ muting: true, mutingNotifications: false });
    expect(await unmutePerson(database, { account: ann, actor: bob.actor })).toBe(true);
    expect(await unmutePerson(database, { account: ann, actor: bob.actor })).toBe(false);
    expect(await relation()).toMatchObject({ muting: false });
    await expect(mute(ann.actor)).rejects.toMatchObject({ reason: "oneself" });
    await expect(mute(1n)).rejects.toMatchObject({ reason: "not_found" });
  });
});

describe("a note", () => {
  test("is replaced, taken away by an empty one, and not too long", async () => {
    const { database, ann, bob, relation } = await two();
    const write = (text: string) =>
      setPersonNote(database, { account: ann, actor: bob.actor, text });
    await write("one");
    await write("two");
    expect(await relation()).toMatchObject({ note: "two" });
    await expect(write("x".repeat(2001))).rejects.toMatchObject({ reason: "note_invalid" });
    await expect(write("a\0b")).rejects.toMatchObject({ reason: "note_invalid" });
    expect(await relation()).toMatchObject({ note: "two" });
    await write(" ");
    expect(await relation()).toMatchObject({ note: "" });
  });
});

describe("a block", () => {
  test("ends all between two people of this instance", async () => {
    const { database, ann, bob, relation } = await two();
    await followActor(database, { follower: ann, uri: uriOf(bob), at: NOW });
    await followActor(database, { follower: bob, uri: uriOf(ann), at: NOW });
    const list = await createList(database, { account: bob, title: "friends", at: NOW });
    await addMembers(database, { account: bob, list: list.id, actors: [ann.actor] });
    await writePost(database, { author: ann, text: "Hi @bob", at: NOW });
    await writePost(database, { author: bob, text: "Hi @ann", at: NOW });
    await blockPerson(database, { account: ann, actor: bob.actor, at: NOW });
    await blockPerson(database, { account: ann, actor: bob.actor, at: NOW });
    expect(await relation()).toMatchObject({ following: false, followedBy: false, blocking: true });
    expect((await relationsOf(database, bob, [ann.actor], NOW))[0]).toMatchObject({
      blockedBy: true,
    });
    const left = await database.sql<{ name: string; own: boolean }[]>`
      SELECT x.name, h.actor = x.actor AS own FROM home h JOIN account x ON x.id = h.account ORDER BY 1`;
    expect(left).toEqual([
      { name: "ann", own: true },
      { name: "bob", own: true },
    ]);
    expect(await database.sql`SELECT FROM notification`).toHaveLength(0);
    expect(await membersOf(database, bob, list.id, ALL)).toEqual([]);
    for (const [follower, uri] of [
      [ann, uriOf(bob)],
      [bob, uriOf(ann)],
    ] as const)
      await expect(followActor(database, { follower, uri, at: NOW })).rejects.toMatchObject({
        reason: "follow_blocked",
      });
    expect(await unblockPerson(database, { account: ann, actor: bob.actor, at: NOW })).toBe(true);
    expect(await unblockPerson(database, { account: ann, actor: bob.actor, at: NOW })).toBe(false);
    expect(await followActor(database, { follower: bob, uri: uriOf(ann), at: NOW })).toBe(
      "accepted",
    );
    await expect(
      blockPerson(database, { account: ann, actor: ann.actor, at: NOW }),
    ).rejects.toMatchObject({ reason: "oneself" });
    await expect(blockPerson(database, { account: ann, actor: 1n, at: NOW })).rejects.toMatchObject(
      { reason: "not_found" },
    );
  });

  test("of somebody elsewhere is told to him, with the end of both follows", async () => {
    const { database, bob, ann, house } = await town();
    await followActor(database, { follower: bob, uri: ann.uri, at: NOW });
    await ann.send(house, { type: "Follow", id: "https://far.example/f/1", object: BOB });
    const minute = (count: number) => at("2026-11-21").add({ minutes: count });
    await blockPerson(database, { account: bob, actor: ann.id, at: minute(1) });
    expect(await follows(database)).toEqual([]);
    const said = (await told(database)).slice(2);
    expect(said.map(({ activity }) => activity).toSorted()).toEqual(["Block", "Reject", "Undo"]);
    const block = said.find(({ activity }) => activity === "Block")!.document;
    expect(block).toMatchObject({ type: "Block", actor: BOB, object: ann.uri });
    house.clock.set(minute(2));
    // He may not follow again, and nothing that he says to him is told.
    await ann.send(house, { type: "Follow", id: "https://far.example/f/2", object: BOB });
    expect(await follows(database)).toEqual([]);
    expect((await told(database)).at(-1)).toMatchObject({
      activity: "Reject",
      document: { object: { id: "https://far.example/f/2" } },
    });
    const mention = note(ann.uri, {
      tag: [{ type: "Mention", href: BOB, name: "@bob" }],
      cc: [BOB],
    });
    await ann.send(house, { type: "Create", object: mention });
    expect(await database.sql`SELECT FROM notification`).toHaveLength(0);
    await unblockPerson(database, { account: bob, actor: ann.id, at: minute(3) });
    expect((await told(database)).at(-1)).toMatchObject({
      activity: "Undo",
      document: { type: "Undo", object: { id: block["id"], type: "Block" } },
    });
    await ann.send(house, { type: "Follow", id: "https://far.example/f/3", object: BOB });
    expect(await follows(database)).toEqual([`${ann.uri} accepted ${BOB}`]);
  });

  test("by somebody elsewhere is kept until it is taken back, by him alone", async () => {
    const { database, bob, ann, house } = await town();
    const relation = async () => (await relationsOf(database, bob, [ann.id], NOW))[0];
    const block = { type: "Block", id: "https://far.example/blocks/1", object: BOB };
    await followActor(database, { follower: bob, uri: ann.uri, at: NOW });
    await ann.send(house, block);
    expect(await relation()).toMatchObject({ blockedBy: true, requested: false });
    await expect(
      followActor(database, { follower: bob, uri: ann.uri, at: NOW }),
    ).rejects.toMatchObject({ reason: "follow_blocked" });
    await ann.send(house, {
      type: "Undo",
      object: { ...block, actor: "https://far.example/users/other" },
    });
    expect(await relation()).toMatchObject({ blockedBy: true });
    await ann.send(house, { type: "Undo", object: { ...block, actor: ann.uri } });
    expect(await relation()).toMatchObject({ blockedBy: false });
    await ann.send(house, { ...block, id: "https://far.example/blocks/2" });
    await ann.send(house, { type: "Undo", object: "https://far.example/blocks/2" });
    expect(await relation()).toMatchObject({ blockedBy: false });
    // Of nobody here it is nothing.
    await ann.send(house, { ...block, id: "https://far.example/blocks/3", object: ann.uri });
    expect(await database.sql`SELECT FROM person_block`).toHaveLength(0);
  });
});

describe("a list", () => {
  test("is made, changed and taken away by its owner alone", async () => {
    const { database, ann, bob } = await two();
    const made = await createList(database, { account: ann, title: " Friends ", at: NOW });
    expect(made).toMatchObject({ title: "Friends", replies: "list", isExclusive: false });
    expect(
      await changeList(database, {
        account: ann,
        list: made.id,
        isExclusive: true,
        replies: "none",
      }),
    ).toMatchObject({
      title: "Friends",
      replies: "none",
      isExclusive: true,
    });
    expect(await changeList(database, { account: ann, list: made.id })).toMatchObject({
      title: "Friends",
    });
    expect(await ownLists(database, bob)).toEqual([]);
    const refused = { reason: "not_found" };
    await expect(ownList(database, bob, made.id)).rejects.toMatchObject(refused);
    await expect(
      changeList(database, { account: bob, list: made.id, title: "x" }),
    ).rejects.toMatchObject(refused);
    await expect(deleteList(database, { account: bob, list: made.id })).rejects.toMatchObject(
      refused,
    );
    await expect(
      addMembers(database, { account: bob, list: made.id, actors: [] }),
    ).rejects.toMatchObject(refused);
    await expect(
      removeMembers(database, { account: bob, list: made.id, actors: [] }),
    ).rejects.toMatchObject(refused);
    await expect(membersOf(database, bob, made.id, ALL)).rejects.toMatchObject(refused);
    for (const title of ["", "  ", "x".repeat(201), "a\nb", "a\0"])
      await expect(createList(database, { account: ann, title, at: NOW })).rejects.toMatchObject({
        reason: "list_invalid",
      });
    expect(await ownLists(database, ann)).toHaveLength(1);
    await deleteList(database, { account: ann, list: made.id });
    expect(await ownLists(database, ann)).toEqual([]);
  });

  test("holds people whom one follows, as long as one does", async () => {
    const { database, ann, bob } = await two();
    const { id } = await createList(database, { account: ann, title: "Friends", at: NOW });
    const add = () => addMembers(database, { account: ann, list: id, actors: [bob.actor] });
    await expect(add()).rejects.toMatchObject({ reason: "not_found" });
    await followActor(database, { follower: ann, uri: uriOf(bob), at: NOW });
    await add();
    await add();
    expect(await membersOf(database, ann, id, ALL)).toEqual([bob.actor]);
    expect(await membersOf(database, ann, id, { ...ALL, limit: 1, maxId: bob.actor })).toEqual([]);
    expect(await listsWith(database, ann, bob.actor)).toMatchObject([{ id }]);
    expect(await listsWith(database, bob, bob.actor)).toEqual([]);
    await removeMembers(database, { account: ann, list: id, actors: [bob.actor] });
    expect(await membersOf(database, ann, id, ALL)).toEqual([]);
    await add();
    await unfollowActor(database, { follower: ann, uri: uriOf(bob), at: NOW });
    expect(await membersOf(database, ann, id, ALL)).toEqual([]);
  });

  test("of one person there are a hundred at most", async () => {
    const { database, ann } = await two();
    await database.sql`INSERT INTO list (id, account, title) SELECT n, ${ann.id}, 'x' FROM generate_series(1, 99) n`;
    await createList(database, { account: ann, title: "last", at: NOW });
    await expect(
      createList(database, { account: ann, title: "more", at: NOW }),
    ).rejects.toMatchObject({ reason: "list_invalid" });
  });
});
