/** One database server for a run: that of TEST_DATABASE_URL, else an embedded one without durability. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import type { TestProject } from "vitest/node";
import { readConfig } from "../../src/config.ts";
import { openInstance } from "../../src/instance.ts";
import { addressOf, urlOf } from "../../src/store/database.ts";
import { openEmbedded } from "../../src/store/embedded.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A database of the server, for making others. */
    serverUrl: string;
    /** A migrated database that is cloned, and the folder with its master key. */
    template: string;
    folder: string;
  }
}

export const TEST_ORIGIN = "https://home.example";

/** Speed for the price of durability: nothing here outlives the run. The long tests kill a server with durability. */
const NOT_DURABLE = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "200",
};

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "fl-test-"));
  const named = process.env["TEST_DATABASE_URL"];
  const embedded =
    named === undefined || named === ""
      ? await openEmbedded(join(folder, "pg"), NOT_DURABLE)
      : undefined;
  const serverUrl = embedded === undefined ? named! : urlOf(embedded.address);
  const template = `fl_template_${process.pid}`;
  await withServer(serverUrl, (sql) => sql`CREATE DATABASE ${sql(template)}`);
  const instance = await openInstance(
    readConfig({
      DATA_DIR: join(folder, "data"),
      DATABASE_URL: databaseUrl(serverUrl, template),
      ORIGIN: TEST_ORIGIN,
    }),
  );
  await instance.close();
  project.provide("serverUrl", serverUrl);
  project.provide("template", template);
  project.provide("folder", folder);
  return async () => {
    await withServer(
      serverUrl,
      (sql) => sql`DROP DATABASE IF EXISTS ${sql(template)} WITH (FORCE)`,
    );
    await embedded?.release();
    await rm(folder, { recursive: true, force: true });
  };
}

/** The URL of another database of the same server. */
export function databaseUrl(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

export async function withServer<T>(
  serverUrl: string,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = postgres({ ...addressOf(serverUrl), max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
