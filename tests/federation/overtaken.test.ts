/** What arrives out of order, and what is cut off in the middle. */

import { expect, test } from "vitest";
import { click, localPost, person, remotePost, testDatabase } from "../support/database.ts";
import { neighbour, openHouse } from "../support/house.ts";

async function town() {
  const database = await testDatabase();
  const bob = await person(database, "bob");
  const thing = await localPost(database, bob);
  const [post] = await database.sql<[{ uri: string }]>`SELECT uri FROM thing WHERE id = ${thing}`;
  const house = await openHouse(database);
  const ann = await neighbour(database);
  const favourites = async () =>
    (
      await database.sql`SELECT 1 FROM favourite f JOIN actor a ON a.id = f.actor AND a.uri = ${ann.uri}`
    ).length;
  return { database, house, ann, favourites, post: post.uri };
}

test.each(["embedded", "by its id"])(
  "an Undo that overtakes its Like ends it before it begins (%s)",
  async (how) => {
    const { house, ann, favourites, post } = await town();
    const like = ann.says({ type: "Like", object: post });
    await ann.send(house, { type: "Undo", object: how === "embedded" ? like : like["id"] });
    expect((await ann.send(house, like)).status).toBe(202);
    expect(await favourites()).toBe(0);
    // Another Like is another one; and an id may come back, as with snac.
    const other = ann.says({ type: "Like", object: post });
    await ann.send(house, other);
    expect(await favourites()).toBe(1);
    await ann.send(house, { type: "Undo", object: other });
    expect(await favourites()).toBe(0);
    await ann.send(house, like);
    expect(await favourites()).toBe(1);
  },
);

test("a flattr's Like that was overtaken stays away however often it comes", async () => {
  const { house, ann, favourites, post } = await town();
  const like = ann.says({
    "@context": [
      "https://www.w3.org/ns/activitystreams",
      { fl: "https://w3id.org/fep/9b24#", paymentPeriod: "fl:paymentPeriod" },
    ],
    type: "Like",
    object: post,
    paymentPeriod: "2026-11",
  });
  await ann.send(house, { type: "Undo", object: like });
  for (let n = 0; n < 3; n += 1) expect((await ann.send(house, like)).status).toBe(202);
  expect(await favourites()).toBe(0);
});

test("nobody ends the Likes of others before they begin", async () => {
  const { database, house, ann, favourites, post } = await town();
  const eve = await neighbour(database, "https://evil.example/users/eve");
  const like = ann.says({ type: "Like", object: post });
  await eve.send(house, { type: "Undo", object: { ...like, actor: eve.uri } });
  await eve.send(house, { type: "Undo", object: like["id"] });
  await ann.send(house, like);
  expect(await favourites()).toBe(1);
});

test("an actor's Delete that fails in the middle leaves all as it was, and works when it comes again", async () => {
  const { database, house, ann, favourites, post } = await town();
  const { sql } = database;
  const alice = await person(database, "alice");
  await click(database, alice, await remotePost(database, `${ann.uri}/1`, ann.uri));
  await ann.send(house, { type: "Like", object: post });
  expect(await favourites()).toBe(1);
  await sql.unsafe(`
    CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'cut off'; END $$;
    CREATE TRIGGER cut_off BEFORE DELETE ON favourite FOR EACH ROW EXECUTE FUNCTION cut_off()`);
  const end = ann.says({ type: "Delete", object: ann.uri });
  const standing = () =>
    sql`SELECT deleted_at FROM actor WHERE uri = ${ann.uri} AND deleted_at IS NULL`;
  expect((await ann.send(house, end)).status).toBeGreaterThanOrEqual(500);
  expect(await standing()).toHaveLength(1);
  expect(await favourites()).toBe(1);
  await sql.unsafe("DROP TRIGGER cut_off ON favourite");
  expect((await ann.send(house, end)).status).toBe(202);
  expect(await standing()).toHaveLength(0);
  expect(await favourites()).toBe(0);
});
