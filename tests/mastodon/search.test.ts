/** What is found again among one's own posts, however many others have the same words; and what is not. */

import { expect, test } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { clientHouse } from "../support/client.ts";
import { leaveUnchecked, person, remotePost, testDatabase } from "../support/database.ts";

const API = "/api/flattr/v1";

/** More than are looked at of all that have a word. */
const MANY = 2_100;

async function house() {
  const database = await testDatabase();
  const opened = clientHouse(database);
  const ada = await person(database, "ada");
  const asAda = await opened.as(ada, "read write flattr:read flattr:write");
  return {
    ...opened,
    database,
    ada,
    asAda,
    say: async (status: string, more = {}) =>
      (await asAda("POST", "/api/v1/statuses", { status, ...more })).body.id as string,
    found: async (q: string) =>
      (await asAda("GET", `/api/v2/search?type=statuses&q=${q}`)).body.statuses.map(
        ({ id }: { id: string }) => id,
      ) as string[],
  };
}

/** Posts of somebody who wants to be found, all of one word and newer than any other. */
async function flood(
  { database }: Awaited<ReturnType<typeof house>>,
  { actor }: Pick<Account, "actor">,
  word: string,
) {
  leaveUnchecked(database);
  await database.sql.begin(async (tx) => {
    await tx`SET LOCAL session_replication_role = replica`;
    await tx`UPDATE actor SET is_indexable = true WHERE id = ${actor}`;
    await tx`
      WITH made AS (
        INSERT INTO post (id, author, thing, text, visibility, at)
        SELECT new_id('2026-11-10T13:00:00Z'), ${actor}, -n, ${word}, 'public', '2026-11-10T13:00:00Z' FROM generate_series(1, ${MANY}) n
        RETURNING id)
      INSERT INTO post_word (word, post) SELECT ${word}, id FROM made`;
  });
}

test("own, favourited and bookmarked posts are found below thousands of others", async () => {
  const town = await house();
  const { database, ada, asAda, as, say, found } = town;
  const bob = await person(database, "bob");
  const asBob = await as(bob);
  const written = async (status: string) =>
    (await asBob("POST", "/api/v1/statuses", { status })).body.id as string;
  const own = await say("My coffee");
  const [liked, kept] = [await written("Good coffee"), await written("Hot coffee")];
  await written("No coffee");
  await asAda("POST", `/api/v1/statuses/${liked}/favourite`);
  await asAda("POST", `/api/v1/statuses/${kept}/bookmark`);
  expect(await found("coffee")).toEqual([kept, liked, own]);
  await flood(town, await person(database, "eve"), "coffee");
  expect(await found(`coffee&account_id=${ada.actor}`)).toEqual([own]);
  expect(await found("my+coffee")).toEqual([own]);
  expect(await found("good+coffee")).toEqual([liked]);
  expect(await found("hot+coffee")).toEqual([kept]);
  expect(await found("no+coffee")).toEqual([]);
});

test("what was flattred by its address is found again", async () => {
  const { database, asAda, found } = await house();
  const uri = "https://b.test/notes/1";
  const thing = await remotePost(database, uri, "https://b.test/ann");
  const [{ id }] = await database.sql<[{ id: bigint }]>`
    INSERT INTO post (id, author, thing, html, visibility, at)
    SELECT new_id('2026-11-09'), a.id, ${thing}, '<p>About quokkas</p>', 'public', '2026-11-09' FROM actor a WHERE a.uri = 'https://b.test/ann'
    RETURNING id`;
  expect(await found("quokkas")).toEqual([]);
  expect((await asAda("POST", `${API}/flattrs`, { url: uri })).status).toBe(200);
  expect(await found("quokkas")).toEqual([String(id)]);
});

test("no word stays of a post that was deleted", async () => {
  const { database, asAda, say, found } = await house();
  const id = await say("@ada the passphrase is xylophone", { visibility: "direct" });
  expect(await found("xylophone")).toEqual([id]);
  await asAda("DELETE", `/api/v1/statuses/${id}`);
  expect(await found("xylophone")).toEqual([]);
  expect(await database.sql`SELECT word FROM post_word`).toEqual([]);
});
