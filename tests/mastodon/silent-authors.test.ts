/** Favourites of what was written elsewhere are answered from what is known here, whatever becomes of its server. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { openInstance } from "../../src/instance.ts";
import { Temporal } from "../../src/store/time.ts";
import { tokenFor } from "../support/client.ts";
import { person, remotePost, testDatabase, testMasterKeyFile } from "../support/database.ts";
import { type Sink, sink, until } from "../support/sink.ts";
import { strictStatus } from "../support/strict.ts";

/** A whole instance on the tenth of November 2026 that answers clients, and two posts by somebody of this server. */
async function scene(far: Sink) {
  const database = await testDatabase();
  const { sql } = database;
  const folder = await mkdtemp(join(tmpdir(), "fl-silent-authors-"));
  const noon = Temporal.Instant.from("2026-11-10T12:00:00Z");
  const instance = await openInstance(
    readConfig({
      DATA_DIR: folder,
      DATABASE_URL: database.url,
      MASTER_KEY_FILE: testMasterKeyFile(),
      ORIGIN: database.settings.origin,
      PORT: "0",
      HOST: "127.0.0.1",
      ALLOW_PRIVATE_ADDRESSES: far.host,
      UNSAFE_TRIAL: "1",
      CLOCK_OFFSET: Temporal.Now.instant().until(noon).round("second").toString(),
    }),
  );
  onTestFinished(async () => {
    await instance.close();
    await rm(folder, { recursive: true, force: true });
  });
  const token = await tokenFor(database, await person(database, "alice"), "read write");
  const author = `${far.origin}/users/ann`;
  const posts: string[] = [];
  for (const path of ["/posts/1", "/posts/2"]) {
    const thing = await remotePost(database, far.origin + path, author);
    const [{ id }] = await sql<[{ id: bigint }]>`
      INSERT INTO post (id, author, thing, html, visibility, at)
      SELECT new_id('2026-11-09'), id, ${thing}, '<p>Hello</p>', 'public', '2026-11-09' FROM actor WHERE uri = ${author}
      RETURNING id`;
    posts.push(String(id));
  }
  await sql`UPDATE actor SET inbox = ${`${author}/inbox`}, fetched_at = '2026-11-09' WHERE uri = ${author}`;
  const { port } = await instance.serve();
  return {
    instance,
    posts,
    /** Does something with a post, and is answered soon. */
    mark: async (id: string, act: "favourite" | "unfavourite") => {
      const since = performance.now();
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/statuses/${id}/${act}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
      });
      expect(answer.status).toBe(200);
      const status = (await answer.json()) as Record<string, unknown>;
      strictStatus(status);
      expect(status).toMatchObject({ id, favourited: act === "favourite" });
      // Whoever waited for the other server would wait much longer.
      expect(performance.now() - since).toBeLessThan(4_000);
    },
    waiting: () => sql<{ activity: string; attempts: number; last_error: string | null }[]>`
      SELECT activity, attempts, last_error FROM delivery ORDER BY id`,
  };
}

test("a favourite asks nobody: what its author is to hear waits until somebody delivers it", async () => {
  const far = await sink();
  const { instance, posts, mark, waiting } = await scene(far);
  await mark(posts[0]!, "favourite");
  await sleep(300);
  expect(far.asked).toEqual([]);
  expect(await waiting()).toEqual([{ activity: "Like", attempts: 0, last_error: null }]);
  await instance.work();
  await until(() => far.asked.length > 0, "the Like");
  expect(far.activities()[0]).toMatchObject({ type: "Like", object: `${far.origin}/posts/1` });
});

test.each(["hangs", "is not there"])(
  "a favourite is answered at once also while the author's server %s, and waits to be told",
  async (how) => {
    const far = await sink(() => new Promise(() => {}));
    if (how === "is not there") await far.die();
    const { instance, posts, mark, waiting } = await scene(far);
    await instance.work();
    await mark(posts[0]!, "favourite");
    await until(
      how === "hangs"
        ? () => far.asked.length > 0
        : async () => (await waiting()).some(({ last_error }) => last_error !== null),
      "an attempt to deliver",
    );
    await mark(posts[1]!, "favourite");
    await mark(posts[0]!, "unfavourite");
    await mark(posts[0]!, "favourite");
    const left = (await waiting()).map(({ activity }) => activity);
    expect(left.filter((activity) => activity === "Like").length).toBeGreaterThanOrEqual(2);
    // So that nobody waits for an answer when the instance ends.
    if (how === "hangs") await far.die();
  },
);
