/** The README's month, run as it stands there, and every figure of it. */

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sum } from "../src/rules/amount.ts";

const root = join(import.meta.dirname, "..");
const HOLLO = "https://hollo1.h6.test/@alice";
const GUS = "https://gts1.h6.test/users/gus1";
const SNAC = "https://snac1.h6.test/user1";

interface Statement {
  readonly settlement: string | null;
  readonly spentMicro: string;
  readonly feeMicro: string;
  readonly flattrs: number;
  readonly gave: { thing: string; payee: string; amountMicro: string; state: string }[];
  readonly received: { thing: string; flattrs: number; amountMicro: string }[];
  readonly receivedMicro: string;
  readonly balance: { budgetMicro: string; earningsMicro: string };
}

let folder: string;
let environment: NodeJS.ProcessEnv;
let story: { status: number | null; output: string };

/** Runs a program to its end. */
async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ status: number | null; output: string }> {
  const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (text: Buffer) => (output += text.toString()));
  child.stderr.on("data", (text: Buffer) => (output += text.toString()));
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, output };
}

/** One command of ours at an instant, with its answers as JSON. */
async function command(...args: string[]): Promise<Record<string, unknown>[]> {
  const { status, output } = await run(
    process.execPath,
    ["bin/fediflattr.js", ...args, "--json"],
    environment,
  );
  expect(status, output).toBe(0);
  return output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const statement = async (name: string) =>
  (await command("statement", name, "--period", "2026-11"))[0] as unknown as Statement;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fl-story-"));
  // npm puts the project's Node first; the test does the same for whoever calls it otherwise.
  const path = `${join(root, "node_modules/.bin")}:${dirname(process.execPath)}:${process.env["PATH"]}`;
  const { CLOCK_OFFSET: _, DATABASE_URL: __, ...env } = process.env;
  environment = {
    ...env,
    PATH: path,
    DATA_DIR: join(folder, "data"),
    ORIGIN: "http://localhost:3000",
  };
  const readme = await readFile(join(root, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/^```sh story\n(.*?)^```/gms)].map(([, block]) => block);
  expect(blocks.length).toBeGreaterThan(5);
  story = await run("bash", ["-euc", `set -o pipefail\n${blocks.join("\n")}`], environment);
  // From here on it is 9 December.
  const seconds = Math.round((Date.parse("2026-12-09T12:00:00Z") - Date.now()) / 1000);
  environment["CLOCK_OFFSET"] = `${seconds < 0 ? "-" : ""}PT${Math.abs(seconds)}S`;
}, 240_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the README's month", { timeout: 60_000 }, () => {
  test("runs to its end and says on the way what happens", () => {
    expect(story.status, story.output).toBe(0);
    for (const line of [
      "alice had flattred this in 2026-11 already",
      "alice took it back",
      "flattr_owner: Nobody pays himself: this is the account's own.",
      "Budget 7.00 EUR, there 20.00 EUR, 5 flattrs count, a click is worth 1.40 EUR now",
      "2026-11 would be closed: 3 of 4 patrons gave 10.00 EUR for 11 flattrs: 4.466667 EUR to creators here, 5.533333 EUR waiting for creators elsewhere, 0.00 EUR fee; 1 with an empty purse can still pay in",
      "2026-11 is closed: 3 of 4 patrons gave 10.00 EUR",
      "dave, 2026-11 (late)",
      "2026-11 is final: 4 of 4 patrons gave 12.00 EUR for 11 flattrs: 5.466667 EUR to creators here, 6.533333 EUR waiting for creators elsewhere, 0.00 EUR fee",
      "Now there: 0.00 EUR to give, 3.40 EUR earned",
      "The books are right.",
    ]) {
      expect(story.output).toContain(line);
    }
  });

  test("Alice's 7.00 are five parts of 1.40; the subscription comes first, what was taken back does not count", async () => {
    const { gave, ...alice } = await statement("alice");
    expect(alice).toMatchObject({
      settlement: "settled",
      flattrs: 5,
      spentMicro: "7000000",
      feeMicro: "0",
      balance: { budgetMicro: "13000000", earningsMicro: "0" },
    });
    expect(gave.map(({ payee, amountMicro, state }) => [payee, amountMicro, state])).toEqual([
      ["http://localhost:3000/users/carol", "1400000", "own"],
      ["http://localhost:3000/users/bob", "1400000", "own"],
      [GUS, "1400000", "waiting"],
      [HOLLO, "1400000", "waiting"],
      [SNAC, "1400000", "waiting"],
    ]);
  });

  test("Bob's 2.00 are three parts, the first two one millionth larger", async () => {
    const { gave, receivedMicro, balance } = await statement("bob");
    expect(gave.map(({ payee, amountMicro }) => [payee, amountMicro])).toEqual([
      ["http://localhost:3000/users/carol", "666667"],
      [GUS, "666667"],
      [HOLLO, "666666"],
    ]);
    expect({ receivedMicro, balance }).toEqual({
      receivedMicro: "3400000",
      balance: { budgetMicro: "0", earningsMicro: "3400000", pendingMicro: "0" },
    });
  });

  test("Carol gave what was there and received a subscription and a click; Dave was late; Erin kept hers", async () => {
    expect(await statement("carol")).toMatchObject({
      spentMicro: "1000000",
      receivedMicro: "2066667",
      balance: { budgetMicro: "0", earningsMicro: "2066667" },
    });
    const dave = await statement("dave");
    expect(dave).toMatchObject({
      settlement: "late",
      spentMicro: "2000000",
      balance: { budgetMicro: "3000000" },
    });
    expect(dave.gave.map(({ payee, amountMicro }) => [payee, amountMicro])).toEqual([
      ["http://localhost:3000/users/bob", "1000000"],
      [SNAC, "1000000"],
    ]);
    expect(await statement("erin")).toMatchObject({
      settlement: null,
      flattrs: 0,
      balance: { budgetMicro: "4000000" },
    });
  });

  test("what everybody gave is what everybody received or what waits", async () => {
    const people = await Promise.all(["alice", "bob", "carol", "dave", "erin"].map(statement));
    const given = people.flatMap(({ gave }) => gave);
    const of = (state: string) =>
      sum(given.filter((one) => one.state === state).map(({ amountMicro }) => BigInt(amountMicro)));
    expect(of("own")).toBe(sum(people.map(({ receivedMicro }) => BigInt(receivedMicro))));
    expect(of("own") + of("waiting")).toBe(sum(people.map(({ spentMicro }) => BigInt(spentMicro))));
    // 32.00 were paid in; what is left, what was earned and what waits add up to it.
    const there = people.flatMap(({ balance }) => [
      BigInt(balance.budgetMicro),
      BigInt(balance.earningsMicro),
    ]);
    expect(sum(there) + of("waiting")).toBe(32_000_000n);
  });

  test("the receipts say the same as the statements, and their signatures hold by the published keys alone", async () => {
    const receipts = await Promise.all(
      ["alice", "bob", "carol", "dave"].map((name) =>
        command("statement", name, "--period", "2026-11", "--receipt"),
      ),
    );
    const patron = await statement("alice");
    const server = spawn(
      process.execPath,
      ["bin/fediflattr.js", "serve", "--port", "0", "--json"],
      { cwd: root, env: environment, stdio: ["ignore", "pipe", "inherit"] },
    );
    try {
      const line = await new Promise<string>((resolve) =>
        server.stdout.once("data", (text: Buffer) => resolve(text.toString())),
      );
      const keys = createRemoteJWKSet(
        new URL(`${(JSON.parse(line) as { address: string }).address}/.well-known/jwks.json`),
      );
      const payloads = [];
      for (const { jws, kind } of receipts.flat()) {
        const { payload } = await jwtVerify(String(jws), keys, {
          issuer: "http://localhost:3000",
          currentDate: new Date("2026-12-10"),
        });
        payloads.push({ kind, payload });
      }
      const given = payloads.filter(({ kind }) => kind === "patron");
      expect(given.map(({ payload }) => payload["spent"])).toEqual([
        "7000000",
        "2000000",
        "1000000",
        "2000000",
      ]);
      expect(given[0]!.payload["shares"]).toEqual(
        expect.arrayContaining(
          patron.gave.map(({ thing, payee, amountMicro }) => [thing, payee, amountMicro]),
        ),
      );
      const earned = payloads
        .filter(({ kind }) => kind === "creator")
        .map(({ payload }) => payload["sources"]);
      expect(earned).toEqual([
        [{ source: "http://localhost:3000", accepted: "3400000", settled: "3400000", count: 3 }],
        [{ source: "http://localhost:3000", accepted: "2066667", settled: "2066667", count: 2 }],
      ]);
    } finally {
      server.kill("SIGTERM");
      await new Promise((resolve) => server.once("close", resolve));
    }
  });

  test("the check agrees", async () => {
    expect(await command("check")).toEqual([{ ok: true, findings: 0 }]);
  });
});
