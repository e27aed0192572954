/** Brings a database up to date: one process at a time, each migration whole or not at all. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate as applyMigrations } from "drizzle-orm/postgres-js/migrator";
import { runMigrations } from "graphile-worker";
import postgres from "postgres";
import { connectionTo } from "./database.ts";
import { openJobPool, silentLogger } from "./jobs.ts";

/** The lowest PostgreSQL that has all we use. */
const SERVER_VERSION_MIN = 150_000;

/** Key of the advisory lock that lets one process at a time migrate. */
const MIGRATION_LOCK = 1_179_403_635;

/** Another process's migration may take that long. */
const LOCK_WAIT_MS_MAX = 10 * 60_000;

/**
 * Migrates, then runs `prepare` under the same lock: what a new database needs before anybody uses it.
 *
 * @throws Error with a sentence when the server is too old, or the database is newer than this program
 */
export async function migrate<T>(
  url: string,
  folder: string,
  prepare: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = postgres({
    ...connectionTo(url),
    max: 1,
    onnotice: () => {},
    connection: { application_name: "fediflattr migrate", timezone: "UTC" },
  });
  try {
    await refuseOldServer(sql);
    await sql`SELECT set_config('lock_timeout', ${String(LOCK_WAIT_MS_MAX)}, false)`;
    await sql`SELECT pg_advisory_lock(${MIGRATION_LOCK})`;
    await refuseNewerDatabase(sql, folder);
    await applyMigrations(drizzle(sql), { migrationsFolder: folder });
    const pool = openJobPool(url);
    try {
      await runMigrations({ pgPool: pool, logger: silentLogger });
    } finally {
      await pool.end();
    }
    return await prepare(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** How many migrations this program knows. */
export async function knownMigrations(folder: string): Promise<number> {
  const journal: { entries: unknown[] } = JSON.parse(
    await readFile(join(folder, "meta/_journal.json"), "utf8"),
  );
  return journal.entries.length;
}

/** How many migrations a database has had; 0 for an empty one. */
export async function appliedMigrations(sql: postgres.Sql): Promise<number> {
  const [found] = await sql<
    [{ exists: boolean }]
  >`SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS exists`;
  if (!found.exists) return 0;
  const [row] = await sql<
    [{ count: number }]
  >`SELECT count(*)::int AS count FROM drizzle.__drizzle_migrations`;
  return row.count;
}

async function refuseOldServer(sql: postgres.Sql): Promise<void> {
  const [row] = await sql<[{ version: string; number: number }]>`
    SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number`;
  if (row.number < SERVER_VERSION_MIN)
    throw new Error(`this PostgreSQL is ${row.version}; Fediflattr needs 15 or newer`);
}

async function refuseNewerDatabase(sql: postgres.Sql, folder: string): Promise<void> {
  const [known, applied] = [await knownMigrations(folder), await appliedMigrations(sql)];
  if (applied > known) {
    throw new Error(
      `this database was used by a newer Fediflattr (${applied} migrations, this one knows ${known}): start the newer one`,
    );
  }
}
