/** `demo` as a newcomer runs it: it tells its story, ends with 0 only when the books agree, and leaves nothing behind. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../support/process.ts";

const PROGRAM = join(import.meta.dirname, "../../bin/fediflattr.js");

/** Sixty commands and six starts, on a machine that does other things, too. */
const PATIENCE_MS = 600_000;

/** Starts the demonstration with a folder for temporary files of its own. */
async function start(...args: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), "fl-t-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const child = spawn(process.execPath, [PROGRAM, "demo", ...args], {
    // Settings of whoever runs the tests are none of the demonstration's.
    env: {
      ...process.env,
      TMPDIR: folder,
      DATA_DIR: join(folder, "untouched"),
      ORIGIN: "nonsense",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = once(child, "close").then(([status]) => status as number | null);
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, folder, ended, stdout: () => stdout, stderr: () => stderr };
}

/** Processes that were started with a path in this folder, or that work with it. */
async function processesOf(folder: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const told = await Promise.all(
    pids.map(async (pid) => {
      const read = (name: string) => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
      const [line, environment] = await Promise.all([read("cmdline"), read("environ")]);
      return `${line}${environment}`.includes(folder) ? `${pid} ${line.replaceAll("\0", " ")}` : "";
    }),
  );
  return told.filter(Boolean);
}

async function expectNothingLeft(folder: string): Promise<void> {
  // A server that was told to end has removed its files a moment before it is gone.
  await until(
    5_000,
    async () => ((await processesOf(folder)).length === 0 ? true : undefined),
    "the end of all processes",
  );
  // Node keeps compiled code of programs there.
  expect((await readdir(folder)).filter((name) => name !== "node-compile-cache")).toEqual([]);
}

test("a month between two instances, and both books agree", { timeout: PATIENCE_MS }, async () => {
  const { folder, ended, stdout, stderr } = await start("--json");
  expect(await ended, `${stdout()}\n${stderr()}`).toBe(0);
  const lines = stdout()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.at(-1)).toEqual({ agree: true, differenceMicro: "0" });

  const steps = lines.slice(0, -1);
  for (const step of steps) {
    expect(Object.keys(step)).toEqual(["step", "who", "amountMicro", "state"]);
    expect(step["amountMicro"]).toMatch(/^\d+$/);
  }
  const said = steps.map(({ step, who, amountMicro, state }) =>
    [step, who, amountMicro, state].map(String).join(" | "),
  );
  // In this order, among others: the money of the month, worked out by hand.
  const story = [
    "start | harbour | 0 | running",
    "start | meadow | 0 | running",
    "start | lantern | 0 | running",
    "budget | alice@harbour | 5000000 | set",
    "fund | bob@harbour | 2000000 | booked",
    "follow | alice@harbour | 0 | accepted",
    "follow | nora@lantern | 0 | accepted",
    "post | carol@meadow | 0 | published",
    "flattr | alice@harbour | 0 | given",
    "flattr | alice@harbour | 0 | again",
    "flattr | carol@meadow | 0 | refused",
    "like | nora@lantern | 0 | favourite",
    "unflattr | bob@harbour | 0 | taken back",
    "favourites | lantern | 0 | 3",
    "peer | harbour | 50000000 | open",
    "peer | meadow | 50000000 | open",
    "statement | alice@harbour | 1250000 | open",
    "close | harbour | 7000000 | closed",
    "close | meadow | 3000000 | closed",
    "wait | nora@lantern | 1916666 | waiting at harbour",
    "wait | nora@lantern | 1000000 | waiting at meadow",
    "transfer | harbour | 3833334 | signed",
    "receipt | meadow | 3833334 | accepted",
    "transfer | meadow | 1000000 | signed",
    "receipt | harbour | 1000000 | accepted",
    "promise | carol@meadow | 1916667 | pending",
    "promise | bob@harbour | 1000000 | pending",
    "close | harbour | 0 | final",
    "peer paid | harbour | 3840000 | paid",
    "peer received | meadow | 3840000 | settled",
    "peer paid | meadow | 1000000 | paid",
    "peer received | harbour | 1000000 | settled",
    "release | carol@meadow | 1916667 | released",
    "release | dave@meadow | 1916667 | released",
    "release | bob@harbour | 1000000 | released",
    "accepted | harbour to meadow | 3833334 | agrees",
    "settled | harbour to meadow | 3840000 | agrees",
    "accepted | meadow to harbour | 1000000 | agrees",
    "settled | meadow to harbour | 1000000 | agrees",
    "check | harbour | 0 | right",
    "check | meadow | 0 | right",
  ];
  expect(
    said
      .filter((step) => story.includes(step))
      .filter((step, place, all) => all.indexOf(step) === place),
  ).toEqual(story);
  expect(said.filter((step) => step.startsWith("flattr") && step.endsWith("given"))).toHaveLength(
    11,
  );
  await expectNothingLeft(folder);
});

test(
  "cut off in the middle it ends with 1 and leaves nothing behind",
  { timeout: PATIENCE_MS },
  async () => {
    const { child, folder, ended, stdout, stderr } = await start();
    await until(
      PATIENCE_MS / 2,
      async () => (stdout().includes("Alice opens an account") ? true : undefined),
      "people",
    );
    expect((await processesOf(folder)).length).toBeGreaterThan(3);
    child.kill("SIGINT");
    expect(await ended, stderr()).toBe(1);
    expect(stderr()).toContain("interrupted");
    await expectNothingLeft(folder);
  },
);
