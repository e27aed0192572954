/** What stands in a database is kept, and completed, when a newer program opens it. */

import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { expect, inject, onTestFinished, test } from "vitest";
import { connectionTo } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { databaseUrl, withServer } from "../support/server.ts";

const MIGRATIONS = join(import.meta.dirname, "../../migrations");

/** A database as the program made it that knew so many migrations. */
async function databaseOf(migrations: number) {
  const folder = await mkdtemp(join(tmpdir(), "fl-upgrade-"));
  await cp(MIGRATIONS, folder, { recursive: true });
  const journal = join(folder, "meta/_journal.json");
  const known = JSON.parse(await readFile(journal, "utf8")) as { entries: unknown[] };
  await writeFile(
    journal,
    JSON.stringify({ ...known, entries: known.entries.slice(0, migrations) }),
  );
  const name = `fl_upgrade_${process.pid}_${migrations}`;
  const serverUrl = inject("serverUrl");
  await withServer(serverUrl, (sql) => sql.unsafe(`CREATE DATABASE ${name}`));
  const url = databaseUrl(serverUrl, name);
  const sql = postgres({ ...connectionTo(url), max: 1, onnotice: () => {} });
  onTestFinished(async () => {
    await sql.end();
    await withServer(serverUrl, (server) => server.unsafe(`DROP DATABASE ${name} WITH (FORCE)`));
    await rm(folder, { recursive: true, force: true });
  });
  await migrate(url, folder, async () => {});
  return { sql, upgrade: () => migrate(url, MIGRATIONS, async () => {}) };
}

test("hashtags learn who wrote them, own posts can be searched, and deleted ones lose their words", async () => {
  const { sql, upgrade } = await databaseOf(10);
  await sql.begin(async (tx) => {
    await tx`SET LOCAL session_replication_role = replica`;
    await tx`
      INSERT INTO post (id, author, thing, text, html, summary, visibility, at, deleted_at) VALUES
        (1, 7, 1, 'Bread, bread & Butter!', NULL, 'Food', 'public', '2026-11-01', NULL),
        (2, 8, 2, NULL, '<p>elsewhere</p>', NULL, 'public', '2026-11-01', NULL),
        (3, 7, 3, NULL, '', NULL, 'direct', '2026-11-01', '2026-11-02'),
        (4, 7, 4, 'Known already', NULL, NULL, 'public', '2026-11-01', NULL)`;
    await tx`INSERT INTO post_tag (post, tag) VALUES (1, 'bread'), (2, 'bread')`;
    await tx`INSERT INTO post_word (word, post) VALUES ('passphrase', 3), ('known', 4)`;
  });
  await upgrade();
  expect(await sql`SELECT post::int, author::int FROM post_tag ORDER BY post`).toEqual([
    { post: 1, author: 7 },
    { post: 2, author: 8 },
  ]);
  const words = await sql<{ post: number; word: string }[]>`
    SELECT post::int, word FROM post_word ORDER BY post, word COLLATE "C"`;
  expect(words.map(({ post, word }) => `${post} ${word}`)).toEqual([
    "1 bread",
    "1 butter",
    "1 food",
    "4 known",
  ]);
  // Opened once more, nothing is done twice.
  await upgrade();
  expect(await sql`SELECT FROM post_word`).toHaveLength(words.length);
});
