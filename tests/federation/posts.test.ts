import { describe, expect, test } from "vitest";
import { followActor } from "../../src/features/follow/follow.ts";
import { findThing } from "../../src/features/thing/find.ts";
import { thingAt } from "../../src/features/thing/thing.ts";
import { at } from "../support/database.ts";
import { rsaKey, signedPost } from "../support/hostile.ts";
import { neighbour } from "../support/house.ts";
import {
  BOB,
  everything,
  follows,
  likes,
  note,
  postAt,
  PUBLIC,
  told,
  town,
} from "../support/town.ts";

/** Bob follows Ann. */
async function followed() {
  const made = await town();
  await followActor(made.database, {
    follower: made.bob,
    uri: made.ann.uri,
    at: at("2026-11-20"),
  });
  const [follow] = await told(made.database);
  await made.ann.send(made.house, { type: "Accept", object: follow!.document["id"] });
  return made;
}

describe("posts", () => {
  test("of strangers are kept only when they concern somebody here", async () => {
    const { database, house, ann, post } = await town();
    const none = note(ann.uri);
    const mention = note(ann.uri, {
      tag: [{ type: "Mention", href: BOB, name: "@bob" }],
      cc: [BOB],
    });
    const direct = note(ann.uri, { to: [BOB] });
    const reply = note(ann.uri, { inReplyTo: post });
    const ghost = note(ann.uri, {
      to: ["https://home.example/users/ghost"],
      inReplyTo: "https://home.example/users/bob/posts/1",
    });
    for (const object of [none, mention, direct, reply, ghost])
      await ann.send(house, { type: "Create", object });
    expect(await postAt(database, none.id)).toBeUndefined();
    expect(await postAt(database, ghost.id)).toBeUndefined();
    expect(await postAt(database, mention.id)).toMatchObject({ visibility: "public" });
    expect(await postAt(database, direct.id)).toMatchObject({ visibility: "direct" });
    expect(await postAt(database, reply.id)).toMatchObject({ visibility: "public" });
    const [{ many }] = await database.sql<
      [{ many: bigint }]
    >`SELECT count(*) AS many FROM post_mention`;
    expect(many).toBe(1n);
  });

  test.each([
    [{ to: [PUBLIC] }, "public"],
    [{ to: "as:Public" }, "public"],
    [{ to: [], cc: [PUBLIC] }, "unlisted"],
    [{ to: ["https://far.example/users/ann/followers"] }, "followers"],
    [{ to: ["https://far.example/users/other/followers"] }, "direct"],
    [{ to: undefined }, "direct"],
  ])("%o is %s", async (addressed, visibility) => {
    const { database, house, ann } = await followed();
    const object = note(ann.uri, addressed);
    await ann.send(house, { type: "Create", object });
    expect(await postAt(database, object.id)).toMatchObject({ visibility });
  });

  test("are kept when long words are cut within a character", async () => {
    const { database, house, ann } = await followed();
    const name = `${"x".repeat(1_499)}😀`;
    const file = { type: "Document", mediaType: "image/png", url: "https://far.example/1.png" };
    const object = note(ann.uri, { attachment: [{ ...file, name }] });
    await ann.send(house, { type: "Create", object });
    expect(await postAt(database, object.id)).toBeDefined();
  });

  test("do not take the address of their author: who flattrs him means him", async () => {
    const { database, house, ann } = await followed();
    const said = note(ann.uri);
    await ann.send(house, { type: "Create", object: said });
    expect((await thingAt(database.drizzle, said.id))?.uri).toBe(said.id);
    const meant = await findThing(database, ann.uri, at("2026-11-21"));
    expect((await thingAt(database.drizzle, ann.uri))?.id).toBe(meant);
    expect((await thingAt(database.drizzle, ann.uri))?.uri).toBe(ann.uri);
  });

  test("change, and keep their id; an older change that comes later does not count", async () => {
    const { database, house, ann } = await followed();
    const object = note(ann.uri);
    await ann.send(house, { type: "Create", object });
    const before = await postAt(database, object.id);
    const edit = (content: string, updated: string) =>
      ann.send(house, { type: "Update", object: { ...object, content, updated } });
    await edit("<p>Second</p>", "2026-11-21T11:30:00Z");
    await edit("<p>First</p>", "2026-11-21T11:20:00Z");
    expect(await postAt(database, object.id)).toMatchObject({
      id: before!.id,
      html: "<p>Second</p>",
      edited: true,
    });
    await ann.send(house, { type: "Delete", object: { type: "Tombstone", id: object.id } });
    await edit("<p>Third</p>", "2026-11-21T11:40:00Z");
    expect(await postAt(database, object.id)).toMatchObject({
      id: before!.id,
      html: "",
      gone: true,
    });
  });

  test("stay gone when their deletion overtakes them", async () => {
    const { database, house, ann } = await followed();
    const object = note(ann.uri);
    const other = note(ann.uri);
    const mallory = await neighbour(database, "https://far.example/users/mallory");
    await ann.send(house, { type: "Delete", object: object.id });
    // Somebody else of her server cannot take her address away.
    await mallory.send(house, { type: "Delete", object: other.id });
    await ann.send(house, { type: "Create", object });
    await ann.send(house, { type: "Create", object: other });
    expect(await postAt(database, object.id)).toBeUndefined();
    expect(await postAt(database, other.id)).toMatchObject({ gone: false });
  });

  test("of others cannot be made, changed or deleted", async () => {
    const { database, house, ann, post } = await followed();
    const eve = await neighbour(database, "https://evil.example/users/eve");
    const mallory = await neighbour(database, "https://far.example/users/mallory");
    const object = note(ann.uri);
    await ann.send(house, { type: "Create", object });
    const before = (await everything(database))
      .split("\n")
      .filter((line) => /^(post|thing|actor|key) /.test(line));
    for (const [who, activity] of [
      // Hollo 0.8.5: what is embedded says that it is of another server, by the sender.
      [
        eve,
        { type: "Create", object: note(eve.uri, { id: "https://victim.example/n/1", to: [BOB] }) },
      ],
      [
        eve,
        {
          type: "Create",
          object: note("https://victim.example/users/v", {
            id: "https://victim.example/n/1",
            to: [BOB],
          }),
        },
      ],
      [
        eve,
        { type: "Create", object: note(ann.uri, { id: "https://evil.example/n/1", to: [BOB] }) },
      ],
      [mallory, { type: "Create", object: note(ann.uri, { to: [BOB] }) }],
      [eve, { type: "Update", object: { ...object, content: "<p>changed</p>" } }],
      [
        mallory,
        {
          type: "Update",
          object: { ...object, content: "<p>changed</p>", attributedTo: mallory.uri },
        },
      ],
      [
        eve,
        {
          type: "Update",
          object: {
            id: ann.uri,
            type: "Person",
            preferredUsername: "ann",
            inbox: "https://evil.example/inbox",
          },
        },
      ],
      // At the address of her post, or at her own, as somebody who may speak for that server.
      [mallory, { type: "Create", object: note(mallory.uri, { id: object.id, to: [BOB] }) }],
      [mallory, { type: "Update", object: note(mallory.uri, { id: object.id, to: [BOB] }) }],
      [mallory, { type: "Create", object: note(mallory.uri, { id: ann.uri, to: [BOB] }) }],
      [eve, { type: "Delete", object: ann.uri }],
      [eve, { type: "Delete", object: object.id }],
      [mallory, { type: "Delete", object: { type: "Tombstone", id: object.id } }],
      [eve, { type: "Delete", object: post }],
      [eve, { type: "Announce", object: { ...object, attributedTo: eve.uri, content: "spoof" } }],
      [eve, { type: "Move", object: ann.uri, target: eve.uri }],
    ] as const) {
      expect((await who.send(house, activity)).status).toBe(202);
    }
    const after = (await everything(database))
      .split("\n")
      .filter((line) => /^(post|thing|actor|key) /.test(line));
    expect(after).toEqual(before);
    await ann.send(house, { type: "Delete", object: object.id });
    expect(await postAt(database, object.id)).toMatchObject({ gone: true });
  });

  test("are kept when the activity has the id of its post", async () => {
    const { database, house, ann } = await followed();
    const object = note(ann.uri);
    expect((await ann.send(house, { type: "Create", id: object.id, object })).status).toBe(202);
    expect(await postAt(database, object.id)).toMatchObject({ html: "<p>Hi</p>", gone: false });
    // And stay gone all the same.
    expect((await ann.send(house, { type: "Delete", object: object.id })).status).toBe(202);
    expect(await postAt(database, object.id)).toMatchObject({ gone: true });
    await ann.send(house, { type: "Create", object });
    expect(await postAt(database, object.id)).toMatchObject({ gone: true });
  });

  test("of somebody, and what else he says, are not used up by another one of his server", async () => {
    const { database, house, ann, post } = await followed();
    const eve = await neighbour(database, "https://far.example/users/eve");
    const object = note(ann.uri);
    const create = ann.says({ type: "Create", object });
    const like = ann.says({ type: "Like", object: post });
    for (const id of [object.id, create["id"], like["id"]])
      expect((await eve.send(house, { type: "Delete", object: id })).status).toBe(202);
    await ann.send(house, create);
    await ann.send(house, like);
    expect(await postAt(database, object.id)).toMatchObject({ gone: false });
    expect(await likes(database)).toEqual([`${ann.uri} ${post} -`]);
  });

  test("are passed on, and no longer", async () => {
    const { database, house, ann, post } = await town();
    const boosts = async () =>
      (await database.sql<{ uri: string }[]>`SELECT b.uri FROM boost b`).map(({ uri }) => uri);
    const announce = ann.says({ type: "Announce", object: post, to: [PUBLIC] });
    await ann.send(house, announce);
    await ann.send(house, { ...announce, id: `${ann.uri}#twice` });
    expect(await boosts()).toEqual([announce["id"]]);
    await ann.send(house, { type: "Undo", object: announce });
    expect(await boosts()).toEqual([]);
  });

  test("that somebody who is followed passes on are fetched by a job, unless that is taken back", async () => {
    const { database, house, ann } = await followed();
    const jobs = async () =>
      (
        await database.sql<
          { key: string }[]
        >`SELECT key FROM graphile_worker.jobs WHERE task_identifier = 'post.boosted'`
      ).map(({ key }) => key);
    const announce = ann.says({ type: "Announce", object: "https://other.example/n/1" });
    await ann.send(house, announce);
    expect(await jobs()).toHaveLength(1);
    await ann.send(house, { type: "Undo", object: announce });
    expect(await jobs()).toEqual([]);
    // Some name it by its id alone, however long that is; only who passed it on may take it back.
    const long = ann.says({
      type: "Announce",
      id: `${ann.uri}/${"boost".repeat(150)}`,
      object: "https://other.example/n/2",
    });
    await ann.send(house, long);
    expect(await jobs()).toHaveLength(1);
    const eve = await neighbour(database, "https://far.example/users/eve");
    expect((await eve.send(house, { type: "Undo", object: long["id"] })).status).toBe(202);
    expect(await jobs()).toHaveLength(1);
    expect((await ann.send(house, { type: "Undo", object: long["id"] })).status).toBe(202);
    expect(await jobs()).toEqual([]);
  });
});

describe("people", () => {
  test("change what they say about themselves, and lose keys that they drop", async () => {
    const { database, house, ann } = await town();
    const [{ pem }] = await database.sql<
      [{ pem: string }]
    >`SELECT public_pem AS pem FROM actor_key WHERE actor = ${ann.id}`;
    const object = {
      "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
      id: ann.uri,
      type: "Person",
      preferredUsername: "ann",
      name: "Ann Other",
      summary: "<p>new</p>",
      inbox: `${ann.uri}/inbox`,
      publicKey: { id: `${ann.uri}#main-key`, owner: ann.uri, publicKeyPem: pem },
    };
    expect((await ann.send(house, { type: "Update", object })).status).toBe(202);
    const [row] = await database.sql<
      { display_name: string; summary: string }[]
    >`SELECT display_name, summary FROM actor WHERE id = ${ann.id}`;
    expect(row).toEqual({ display_name: "Ann Other", summary: "<p>new</p>" });
  });

  test("sign with their new key from then on, and with the old one no more", async () => {
    const { database, house, ann, post } = await town();
    expect((await ann.send(house, { type: "Like", object: post })).status).toBe(202);
    const { publicKey, privateKey } = await rsaKey(1);
    const publicKeyPem = publicKey.export({ type: "spki", format: "pem" }).toString();
    const object = {
      "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
      id: ann.uri,
      type: "Person",
      preferredUsername: "ann",
      inbox: `${ann.uri}/inbox`,
      publicKey: { id: `${ann.uri}#main-key`, owner: ann.uri, publicKeyPem },
    };
    expect((await ann.send(house, { type: "Update", object })).status).toBe(202);
    const before = await everything(database);
    expect((await ann.send(house, { type: "Follow", object: BOB })).status).toBe(401);
    const left = (await everything(database)).split("\n").filter((line) => !before.includes(line));
    expect(left.filter((line) => !line.includes("https://home.example/"))).toEqual([]);
    const body = JSON.stringify(ann.says({ type: "Follow", object: BOB }));
    const headers = signedPost({
      url: "https://home.example/inbox",
      body,
      keyId: `${ann.uri}#main-key`,
      privateKey,
      date: new Date(house.clock.real().epochMilliseconds),
    });
    expect((await house.fetch("/inbox", { method: "POST", headers, body })).status).toBe(202);
    expect(await follows(database)).toEqual([`${ann.uri} accepted ${BOB}`]);
  });

  test("go, with everything that they said", async () => {
    const { database, bob, house, ann, post } = await town();
    await ann.send(house, { type: "Follow", object: BOB });
    await followActor(database, { follower: bob, uri: ann.uri, at: at("2026-11-21") });
    const object = note(ann.uri, { to: [BOB] });
    await ann.send(house, { type: "Create", object });
    await ann.send(house, { type: "Like", object: post });
    await ann.send(house, { type: "Announce", object: post });
    expect((await ann.send(house, { type: "Delete", object: ann.uri })).status).toBe(202);
    expect(await follows(database)).toEqual([]);
    expect(await likes(database)).toEqual([]);
    expect(await postAt(database, object.id)).toMatchObject({ gone: true, html: "" });
    const [{ many }] = await database.sql<[{ many: bigint }]>`SELECT count(*) AS many FROM boost`;
    expect(many).toBe(0n);
    const [row] = await database.sql<
      { gone: boolean }[]
    >`SELECT deleted_at IS NOT NULL AS gone FROM actor WHERE id = ${ann.id}`;
    expect(row).toEqual({ gone: true });
  });

  test("who move are looked at by a job", async () => {
    const { database, house, ann } = await followed();
    // Whom nobody here follows may go where he likes.
    const eve = await neighbour(database, "https://far.example/users/eve");
    for (const who of [eve, ann])
      await who.send(house, {
        type: "Move",
        object: who.uri,
        target: "https://new.example/users/ann",
      });
    const jobs = await database.sql<
      { task: string; key: string; tries: number }[]
    >`SELECT task_identifier AS task, key, max_attempts AS tries FROM graphile_worker.jobs`;
    expect(jobs).toEqual([{ task: "actor.moved", key: `actor.moved:${ann.id}`, tries: 5 }]);
    const [row] = await database.sql<
      { moved_to: string | null }[]
    >`SELECT moved_to FROM actor WHERE id = ${ann.id}`;
    expect(row).toEqual({ moved_to: null });
  });
});

describe("a fault", () => {
  test("is the sender's to try again, and leaves nothing behind", async () => {
    const { database, house, ann, post } = await town();
    const like = ann.says({ type: "Like", object: post });
    const follow = ann.says({ type: "Follow", object: BOB });
    await database.sql`CREATE FUNCTION out_of_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$`;
    for (const table of ["favourite", "follow"])
      await database.sql.unsafe(
        `CREATE TRIGGER out_of_order BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION out_of_order()`,
      );
    const before = await everything(database);
    for (const activity of [like, follow]) {
      const answer = await ann.send(house, activity);
      expect(answer.status).toBe(503);
      expect(await answer.json()).toMatchObject({ error: "unavailable" });
    }
    expect(await everything(database)).toBe(before);
    await database.sql`DROP FUNCTION out_of_order CASCADE`;
    for (const activity of [like, follow])
      expect((await ann.send(house, activity)).status).toBe(202);
    expect(await likes(database)).toHaveLength(1);
    expect(await follows(database)).toHaveLength(1);
  });
});
