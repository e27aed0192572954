import { describe, expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { boostPost, unboostPost } from "../../src/features/post/boost.ts";
import { deletePost, editPost, type NewPost, writePost } from "../../src/features/post/write.ts";
import type { Database } from "../../src/store/database.ts";
import { at, person, testDatabase } from "../support/database.ts";
import { neighbour, openHouse } from "../support/house.ts";
import { PUBLIC } from "../support/town.ts";

const HOME = "https://home.example";

type Json = Record<string, unknown>;

async function town() {
  const database = await testDatabase();
  const bob = await person(database, "bob");
  const house = await openHouse(database);
  const write = (text: string, more: Partial<NewPost> = {}) =>
    writePost(database, { author: bob, text, at: at("2026-11-20"), ...more });
  return { database, bob, house, write };
}

describe("what is told", () => {
  async function told({ sql }: Database) {
    const rows = await sql<{ inbox: string; document: string }[]>`
      SELECT d.inbox, m.document FROM delivery d JOIN message m ON m.id = d.message ORDER BY d.id, d.inbox`;
    return rows.map(({ inbox, document }) => ({
      inbox,
      ...(JSON.parse(document) as Json),
    })) as (Json & { inbox: string })[];
  }
  const follower = (database: Database, bob: Account, id: bigint) =>
    database.sql`INSERT INTO follow (follower, followee, state, since) VALUES (${id}, ${bob.actor}, 'accepted', '2026-11-02T00:00:00Z')`;

  test("of a post, its change and its end goes to followers and whoever was spoken to", async () => {
    const { database, bob, write } = await town();
    const ann = await neighbour(database);
    const carl = await neighbour(database, "https://third.example/users/carl");
    await follower(database, bob, ann.id);
    const { id, uri } = await write("Hi @carl@third.example");
    await editPost(database, { author: bob, post: id, text: "Hi nobody", at: at("2026-11-21") });
    await deletePost(database, { author: bob, post: id, at: at("2026-11-22") });
    const all = await told(database);
    expect(all.map(({ type, inbox }) => `${String(type)} ${inbox}`)).toEqual([
      "Create https://far.example/inbox",
      "Create https://third.example/inbox",
      "Update https://far.example/inbox",
      "Update https://third.example/inbox",
      "Delete https://far.example/inbox",
    ]);
    expect(all[0]).toMatchObject({
      id: `${uri}#create`,
      actor: `${HOME}/users/bob`,
      to: [PUBLIC],
      object: { id: uri, type: "Note" },
    });
    expect(all[2]).toMatchObject({
      object: { id: uri, content: "<p>Hi nobody</p>", updated: "2026-11-21T12:00:00Z" },
    });
    expect(all[4]).toMatchObject({ object: { id: uri, type: "Tombstone" } });
    expect(JSON.stringify(all[4])).not.toContain("Hi");
    expect(carl.uri).toContain("carl");
  });

  test("directly goes to nobody else", async () => {
    const { database, bob, write } = await town();
    const ann = await neighbour(database);
    await neighbour(database, "https://third.example/users/carl");
    await follower(database, bob, ann.id);
    await write("@carl@third.example psst", { visibility: "direct" });
    await write("to myself", { visibility: "direct" });
    const all = await told(database);
    expect(all.map(({ inbox }) => inbox)).toEqual(["https://third.example/inbox"]);
    expect(all[0]).toMatchObject({ to: ["https://third.example/users/carl"], cc: [] });
    expect(JSON.stringify(all)).not.toMatch(/Public/);
  });

  test("of a boost and its end goes to followers and the author; nobody boosts what is private", async () => {
    const { database, bob, house, write } = await town();
    const ann = await neighbour(database);
    const carl = await neighbour(database, "https://third.example/users/carl");
    await follower(database, bob, carl.id);
    const object = {
      type: "Note",
      id: `${ann.uri}/1`,
      attributedTo: ann.uri,
      content: "x",
      to: [PUBLIC],
      cc: [`${HOME}/users/bob`],
    };
    await ann.send(house, { type: "Create", object });
    const [post] = await database.sql<[{ id: bigint }]>`SELECT id FROM post`;
    const boost = { account: bob, post: post.id, at: at("2026-11-21") };
    await boostPost(database, boost);
    await boostPost(database, boost);
    await unboostPost(database, boost);
    await unboostPost(database, boost);
    const all = await told(database);
    expect(all.map(({ type, inbox }) => `${String(type)} ${inbox}`)).toEqual([
      "Announce https://far.example/inbox",
      "Announce https://third.example/inbox",
      "Undo https://far.example/inbox",
      "Undo https://third.example/inbox",
    ]);
    expect(all[0]).toMatchObject({
      object: object.id,
      to: [PUBLIC],
      cc: [`${HOME}/users/bob/followers`, ann.uri],
    });
    expect(all[2]).toMatchObject({ object: { id: all[0]!["id"], type: "Announce" } });
    const secret = await write("psst", { visibility: "followers" });
    await expect(boostPost(database, { ...boost, post: secret.id })).rejects.toMatchObject({
      reason: "not_found",
    });
  });

  test("of an answer goes to whoever is answered", async () => {
    const { database, house, write } = await town();
    const ann = await neighbour(database);
    const object = {
      type: "Note",
      id: `${ann.uri}/1`,
      attributedTo: ann.uri,
      content: "x",
      to: [`${HOME}/users/bob`],
    };
    await ann.send(house, { type: "Create", object });
    await write("Yes", { inReplyTo: object.id });
    const [create] = await told(database);
    expect(create).toMatchObject({
      inbox: "https://far.example/inbox",
      object: { inReplyTo: object.id, tag: [{ type: "Mention", href: ann.uri }] },
    });
    await expect(write("Yes", { inReplyTo: "javascript:1" })).rejects.toMatchObject({
      reason: "url_invalid",
    });
  });
});
