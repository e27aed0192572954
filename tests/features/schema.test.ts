/** Tables, migrations and the database that comes out of them agree. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateDrizzleJson, generateMigration } from "drizzle-kit/api";
import { expect, test } from "vitest";
import { testDatabase } from "../support/database.ts";

const root = join(import.meta.dirname, "../..");

test("the migrations bring about what the tables say: there is nothing left to generate", async () => {
  const files = [
    "src/store/schema.ts",
    ...readdirSync(join(root, "src/features")).map(
      (feature) => `src/features/${feature}/schema.ts`,
    ),
  ];
  const modules = await Promise.all(
    files.map(
      (file) => import(join(root, file)).catch(() => ({})) as Promise<Record<string, unknown>>,
    ),
  );
  const tables = Object.assign(
    {},
    ...modules.map((module, place) =>
      Object.fromEntries(
        Object.entries(module).map(([name, table]) => [`${place}_${name}`, table]),
      ),
    ),
  ) as Record<string, unknown>;
  expect(Object.keys(tables).length).toBeGreaterThan(20);
  const newest = readdirSync(join(root, "migrations/meta"))
    .filter((file) => file.endsWith("_snapshot.json"))
    .sort()
    .at(-1)!;
  const before = JSON.parse(
    readFileSync(join(root, "migrations/meta", newest), "utf8"),
  ) as ReturnType<typeof generateDrizzleJson>;
  expect(await generateMigration(before, generateDrizzleJson(tables, before.id))).toEqual([]);
});

/** The schema as text, for review. `UPDATE_SCHEMA=1` writes it anew. */
test("migrations/schema.txt is the schema that the migrations make", async () => {
  const { sql } = await testDatabase();
  const lines = await sql<{ line: string }[]>`
    SELECT line FROM (
      SELECT format('%s.%s  %s %s%s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' ELSE '' END) AS line,
             n.nspname || c.relname AS place, 1 AS kind, a.attnum AS number
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname IN ('public', 'ledger') AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL
      SELECT format('%s.%s  constraint %s %s', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)), n.nspname || c.relname, 2, 0
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname IN ('public', 'ledger') AND NOT c.relispartition AND k.contype <> 'n'
      UNION ALL
      SELECT format('%s.%s  index %s', schemaname, tablename, regexp_replace(indexdef, ' ON (ONLY )?\\S+ USING', ' USING')), schemaname || tablename, 3, 0
        FROM pg_indexes i JOIN pg_class c ON c.relname = i.tablename
       WHERE schemaname IN ('public', 'ledger') AND NOT c.relispartition
         AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conname = i.indexname)
      UNION ALL
      SELECT format('%s.%s  trigger %s', n.nspname, c.relname, regexp_replace(pg_get_triggerdef(t.oid), ' ON \\S+', '')), n.nspname || c.relname, 4, 0
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname IN ('public', 'ledger') AND NOT c.relispartition AND NOT t.tgisinternal
    ) all_lines ORDER BY place COLLATE "C", kind, number, line COLLATE "C"`;
  const schema = `${lines.map(({ line }) => line).join("\n")}\n`;
  const file = join(root, "migrations/schema.txt");
  if (process.env["UPDATE_SCHEMA"] === "1") writeFileSync(file, schema);
  expect(schema).toBe(readFileSync(file, "utf8"));
});
