/** The client API's route table, walked with every id that there is. */

import type { Database } from "../../src/store/database.ts";
import type { ClientHouse } from "./client.ts";

/** A route as it is mounted. */
export interface Route {
  readonly method: string;
  /** With its parameters as they are written in the table. */
  readonly path: string;
}

/** Every route that is mounted, once. */
export function routesOf({ routes }: Pick<ClientHouse["app"], "routes">): readonly Route[] {
  const found = new Map<string, Route>();
  for (const { method, path } of routes)
    if (method !== "ALL" && !path.includes("*")) found.set(`${method} ${path}`, { method, path });
  return [...found.values()];
}

/** The address of a route, with this for each of its parameters. */
export function addressAt(path: string, value: string): string {
  return path.replaceAll(/:(\w+)(?:\{[^}]+\})?/g, () => encodeURIComponent(value));
}

/** Every number by which any table names a row: whatever a route's id could mean. */
export async function everyId({ sql }: Database): Promise<readonly string[]> {
  const columns = await sql<{ schema: string; table: string }[]>`
    SELECT table_schema AS schema, table_name AS table FROM information_schema.columns
     WHERE table_schema IN ('public', 'ledger') AND column_name = 'id' AND data_type = 'bigint'`;
  const ids = new Set<string>();
  for (const { schema, table } of columns)
    for (const { id } of await sql<{ id: bigint }[]>`SELECT id FROM ${sql(schema)}.${sql(table)}`)
      ids.add(String(id));
  return [...ids];
}

/** Tables of who asks and when, and of how many follow: what everybody changes without touching what is somebody's own. */
const UNOWNED: readonly string[] = ["public.rate", "public.token", "public.actor_count"];

/** Every row that is somebody's, with its table's name. */
export async function everyRow({ sql }: Database): Promise<ReadonlySet<string>> {
  const tables = await sql<{ schema: string; table: string }[]>`
    SELECT schemaname AS schema, tablename AS table FROM pg_tables WHERE schemaname IN ('public', 'ledger')`;
  const rows = new Set<string>();
  for (const { schema, table } of tables) {
    const name = `${schema}.${table}`;
    if (UNOWNED.includes(name)) continue;
    for (const { row } of await sql<
      { row: string }[]
    >`SELECT t::text AS row FROM ${sql(schema)}.${sql(table)} t`)
      rows.add(`${name} ${row}`);
  }
  return rows;
}
