/** The real program as real processes, on data folders of its own; and ways to kill what runs there. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const PROGRAM = join(import.meta.dirname, "../../bin/fediflattr.js");

/** The address that all instances of these tests have; one with http may shift its clock. */
export const TRIAL_ORIGIN = "http://localhost:3000";

export type Environment = Readonly<Record<string, string>>;

/** How a process ended, and what it had said. */
export interface Ended {
  /** Null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that runs or has run. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** What it has said so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
}

/** Settings that reach the program; nothing of the caller's own setup does. */
function environment(folder: string, extra: Environment): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    TMPDIR: tmpdir(),
    DATA_DIR: folder,
    ORIGIN: TRIAL_ORIGIN,
    LOG_LEVEL: "warning",
    ...extra,
  };
}

/** Starts a script in a process of its own, on a data folder. With `stdin: "pipe"` it can be spoken to. */
export function startScript(
  file: string,
  folder: string,
  args: readonly string[],
  extra: Environment = {},
  { stdin = "ignore" }: { readonly stdin?: "ignore" | "pipe" } = {},
): Running {
  const child = spawn(process.execPath, [file, ...args], {
    env: environment(folder, extra),
    stdio: [stdin, "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = once(child, "close").then(([status, signal]) => ({
    status: status as number | null,
    signal: signal as NodeJS.Signals | null,
    stdout,
    stderr,
  }));
  return { child, pid: child.pid!, ended, stdout: () => stdout, stderr: () => stderr };
}

/** Starts the program. */
export function startProgram(
  folder: string,
  args: readonly string[],
  extra: Environment = {},
): Running {
  return startScript(PROGRAM, folder, args, extra);
}

/** Runs one command to its end. */
export async function runProgram(
  folder: string,
  args: readonly string[],
  extra: Environment = {},
): Promise<Ended> {
  return startProgram(folder, args, extra).ended;
}

/**
 * Runs one command that must work.
 *
 * @returns the objects that it printed
 * @throws Error with everything it said
 */
export async function runJson(
  folder: string,
  args: readonly string[],
  extra: Environment = {},
): Promise<Record<string, unknown>[]> {
  const { status, signal, stdout, stderr } = await runProgram(folder, [...args, "--json"], extra);
  if (status !== 0)
    throw new Error(`${args.join(" ")}: status ${status ?? signal}\n${stdout}\n${stderr}`);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A `serve` that answers. */
export interface Serving extends Running {
  readonly address: string;
}

/** Starts `serve` on a free port and waits for its first line. */
export async function serve(
  folder: string,
  extra: Environment = {},
  args: readonly string[] = ["--port", "0"],
): Promise<Serving> {
  const running = startProgram(folder, ["serve", ...args, "--json"], extra);
  const line = await until(60_000, async () => {
    if (running.child.exitCode !== null || running.child.signalCode !== null)
      throw new Error(`serve ended at once: ${running.stdout()}\n${running.stderr()}`);
    const [first, rest] = running.stdout().split("\n", 2);
    return rest === undefined ? undefined : first;
  });
  return { ...running, address: (JSON.parse(line) as { address: string }).address };
}

/** Looks until something is there. @throws Error when it does not come in time */
export async function until<T>(
  patienceMs: number,
  look: () => Promise<T | undefined>,
  what = "what was waited for",
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what} did not come in ${patienceMs} ms`);
    await sleep(25);
  }
}

/** The pid of a folder's postmaster, if one runs. */
export async function postmasterOf(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, "postgres/postmaster.pid"), "utf8").catch(() => "");
  const pid = Number(text.split("\n")[0]);
  return pid > 0 && (await isServerOf(pid, folder)) ? pid : undefined;
}

/** The processes that a postmaster has made. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

/** Ends a process by force, if it still runs. */
export function killHard(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

/** True while a process runs. One that has ended and that nobody has collected does not. */
export async function isRunning(pid: number): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return line !== "" && line.slice(line.lastIndexOf(")") + 2, line.lastIndexOf(")") + 3) !== "Z";
}

/** A new folder for data. Give it to `removeFolder` in the end. */
export async function newFolder(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), "fl-process-")), "data");
}

/** A copy of a folder whose server does not run. */
export async function copyFolder(from: string): Promise<string> {
  const folder = await newFolder();
  await cp(from, folder, { recursive: true, filter: (path) => !path.endsWith(".s.PGSQL.5432") });
  return folder;
}

/** Ends a folder's server and removes the folder. */
export async function removeFolder(folder: string): Promise<void> {
  const pid = await postmasterOf(folder);
  if (pid !== undefined) {
    const children = await childrenOf(pid);
    killHard(pid);
    for (const child of children) if (await isPostgres(child)) killHard(child);
    await until(
      10_000,
      async () => ((await isRunning(pid)) ? undefined : true),
      "the server's end",
    );
  }
  const socketFolder = await readFile(join(folder, "socket-folder"), "utf8").catch(() => "");
  if (socketFolder.startsWith(join(tmpdir(), "fediflattr-")))
    await rm(socketFolder, { recursive: true, force: true });
  await rm(join(folder, ".."), { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/** A pid in a file may be somebody else's by now: only the server of this very folder counts. */
async function isServerOf(pid: number, folder: string): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return line.split("\0").includes(join(folder, "postgres"));
}

async function isPostgres(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).startsWith("postgres");
}
