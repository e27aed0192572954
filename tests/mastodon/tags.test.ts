/** A page of a hashtag is filled however many newer posts with it are not wanted. */

import { expect, test } from "vitest";
import { clientHouse } from "../support/client.ts";
import { leaveUnchecked, person, testDatabase } from "../support/database.ts";

/** More than the first look takes in. */
const MANY = 500;

test("posts of this instance, and with pictures, are reached below hundreds of others", async () => {
  const database = await testDatabase();
  const { as, ask } = clientHouse(database);
  const asAda = await as(await person(database, "ada"));
  const say = async (status: string) =>
    (await asAda("POST", "/api/v1/statuses", { status })).body.id as string;
  const [older, newer] = [await say("One #bread"), await say("Two #bread #butter")];
  leaveUnchecked(database);
  await database.sql.begin(async (tx) => {
    await tx`SET LOCAL session_replication_role = replica`;
    await tx`UPDATE post SET attachments = '[]' WHERE id = ${BigInt(older)}`;
    await tx`
      WITH made AS (
        INSERT INTO post (id, author, thing, html, visibility, at)
        SELECT new_id('2026-11-10T13:00:00Z'), -7, -n, '<p>x</p>', 'public', '2026-11-10T13:00:00Z' FROM generate_series(1, ${MANY}) n
        RETURNING id)
      INSERT INTO post_tag (post, author, tag) SELECT id, -7, 'bread' FROM made`;
  });
  const page = async (query: string) => {
    const answer = await ask("GET", `/api/v1/timelines/tag/bread?${query}`);
    expect(answer.status).toBe(200);
    return (answer.body as { id: string }[]).map(({ id }) => id);
  };
  expect(await page("local=true&limit=5")).toEqual([newer, older]);
  expect(await page("only_media=true&limit=5")).toEqual([older]);
  expect(await page("all[]=butter&limit=5")).toEqual([newer]);
  expect(await page("local=true&limit=1")).toEqual([newer]);
  expect(await page(`local=true&limit=1&max_id=${newer}`)).toEqual([older]);
});
