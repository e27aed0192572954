/** The code's own rules. */

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

/**
 * The folders of `src`, from the rim to the core. Each may import those on later lines and its own files; folders on
 * one line do not know each other.
 */
const ORDER = [
  ["."],
  ["edges/web", "edges/command", "edges/federation", "edges/mastodon"],
  ["edges/command/demo"],
  ["features/bot"],
  ["features/report"],
  ["features/filter"],
  ["features/flattr"],
  ["features/budget"],
  ["features/claim"],
  ["features/transfer"],
  ["features/settlement"],
  ["features/statement"],
  ["features/peer"],
  ["features/post"],
  ["features/thing"],
  ["features/follow"],
  ["features/activity"],
  ["features/notice"],
  ["features/media"],
  ["features/access"],
  ["features/account"],
  ["features/ledger"],
  ["store"],
  ["rules"],
];

/** Files at the top that know nothing of the house and that everybody above the features may read. */
const PACKAGES_OF_RULES = ["@js-temporal/polyfill"];

const root = join(import.meta.dirname, "..");
const src = join(root, "src");
const sources = globSync("**/*.ts", { cwd: src }).sort();
const folderOf = (path: string) => relative(src, dirname(path)) || ".";
const place = (folder: string) => ORDER.findIndex((folders) => folders.includes(folder));
const importsOf = (text: string) =>
  [...text.matchAll(/^(?:import|export)\b[^"]*?\bfrom "([^"]+)"|\bimport\(?\s*"([^"]+)"/gm)].map(
    (match) => match[1] ?? match[2]!,
  );

describe.each(sources)("%s", (file) => {
  const path = join(src, file);
  const folder = folderOf(path);
  const text = readFileSync(path, "utf8");
  const imports = importsOf(text);

  test("imports only from its own folder and those nearer to the core", () => {
    expect(place(folder), `${folder} has no place in the order`).toBeGreaterThanOrEqual(0);
    const others = imports
      .filter((name) => name.startsWith(".") && !name.endsWith(".json"))
      .map((name) => folderOf(join(dirname(path), name)));
    expect(others.filter((other) => other !== folder && place(other) <= place(folder))).toEqual([]);
  });

  test("time, randomness and the environment are arguments", () => {
    const allowed = { "store/time.ts": /Temporal\.Now/, "main.ts": /process\.env/ } as Record<
      string,
      RegExp
    >;
    const found =
      text.match(/Date\.now\(|new Date\(\)|Math\.random\(|Temporal\.Now|process\.env\b/g) ?? [];
    expect(found.filter((use) => !allowed[file]?.test(use))).toEqual([]);
  });

  test("one module knows the Temporal polyfill, besides the rules", () => {
    expect(
      imports.includes("@js-temporal/polyfill") && folder !== "rules" && file !== "store/time.ts",
    ).toBe(false);
    if (folder === "rules")
      expect(PACKAGES_OF_RULES).toEqual(
        expect.arrayContaining(imports.filter((name) => !name.startsWith("."))),
      );
  });

  test("what others use says what it is for", () => {
    const exported = [
      ...text.matchAll(/^([^\n]*)\nexport (?:async )?(?:function|const|interface|class) (\w+)/gm),
    ];
    const silent = exported.filter(([, before]) => before!.trim() === "").map(([, , name]) => name);
    // What a table holds is said where it is not plain from its columns.
    expect(file.endsWith("schema.ts") ? [] : silent).toEqual([]);
  });

  test("holds one idea", () => {
    expect(text.split("\n").length).toBeLessThanOrEqual(450);
  });
});

test("no feature does arithmetic with money in floats", () => {
  const found = sources.flatMap((file) => {
    const text = readFileSync(join(src, file), "utf8");
    return [
      ...text.matchAll(
        /parseFloat|toFixed\(|Number\([a-zA-Z.]*(?:[aA]mount|[mM]icro|spent|fee\b)/g,
      ),
    ].map(([use]) => `${file}: ${use}`);
  });
  expect(found).toEqual([]);
});

test("the lock file names no addresses", () => {
  expect(readFileSync(join(root, "package-lock.json"), "utf8")).not.toMatch(/"resolved": *"http/);
});

test("the lock file asks for what package.json asks for, so that installing leaves it as it is", () => {
  const wanted = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    unknown
  >;
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, Record<string, unknown>>;
  };
  for (const kind of ["dependencies", "devDependencies", "optionalDependencies"]) {
    expect(packages[""]![kind], kind).toEqual(wanted[kind]);
  }
});

test("versions are pinned exactly", () => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  ) as Record<string, Record<string, string>>;
  const loose = Object.entries({
    ...dependencies,
    ...optionalDependencies,
    ...devDependencies,
  }).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version));
  expect(loose).toEqual([]);
});

describe("ARCHITECTURE.md", () => {
  const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");

  test("every file and folder that it names is there", () => {
    const named = [
      ...text.matchAll(/`((?:src|tests|bench|deploy|docs|migrations|bin)\/[\w./-]*)`/g),
    ].map(([, path]) => path!);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test("the way of one flattr names functions that are in those files", () => {
    const steps = [...text.matchAll(/`(src\/[\w./-]+\.ts)` `(\w+)`/g)].map(([, path, name]) => ({
      path: path!,
      name: name!,
    }));
    expect(steps.length).toBeGreaterThanOrEqual(8);
    for (const { path, name } of steps) {
      expect(readFileSync(join(root, path), "utf8"), `${name} in ${path}`).toMatch(
        new RegExp(`(?:function|const) ${name}\\b|CREATE FUNCTION ${name}\\b`),
      );
    }
  });

  test("each step of the way imports the next one", () => {
    const way = [...text.matchAll(/^\d+\. `(src\/[\w./-]+\.ts)` `(\w+)`/gm)].map(
      ([, path]) => path!,
    );
    expect(way.length).toBeGreaterThanOrEqual(6);
    const reaches = (from: string, to: string, seen = new Set<string>()): boolean => {
      if (from === to) return true;
      if (seen.has(from)) return false;
      seen.add(from);
      const next = importsOf(readFileSync(join(root, from), "utf8"))
        .filter((name) => name.startsWith("."))
        .map((name) => join(dirname(from), name));
      return next.some((path) => reaches(path, to, seen));
    };
    for (const path of way.slice(1)) expect(reaches("src/main.ts", path), path).toBe(true);
  });
});
