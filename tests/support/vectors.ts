/** The test vectors and fixtures: those of VECTORS_DIR and FIXTURES_DIR, else the project's own copy. */

import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const own = join(import.meta.dirname, "..");

export const vectorsFolder = resolve(process.env["VECTORS_DIR"] || join(own, "vectors"));
export const fixturesFolder = resolve(process.env["FIXTURES_DIR"] || join(own, "fixtures"));

interface VectorFile<Case> {
  readonly description: string;
  readonly cases: readonly Case[];
}

/** The cases of one vector file. */
export function vectors<Case extends { readonly id: string; readonly title: string }>(
  file: string,
): readonly Case[] {
  const { cases } = JSON.parse(readFileSync(join(vectorsFolder, file), "utf8")) as VectorFile<Case>;
  if (cases.length === 0) throw new Error(`${file} has no cases`);
  return cases;
}

/** What a GET answered, as recorded. */
export interface RecordedDocument {
  readonly url: string;
  readonly status: number;
  readonly contentType: string;
  readonly body: Record<string, unknown>;
}

/** The recorded documents of other servers, by file name. */
export function documents(): readonly (readonly [string, RecordedDocument])[] {
  const folder = join(fixturesFolder, "documents");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => [
      name,
      JSON.parse(readFileSync(join(folder, name), "utf8")) as RecordedDocument,
    ]);
}
