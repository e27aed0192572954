/** The instances of the demonstration: the real program in processes of its own, used as an operator uses it. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What a command printed with `--json`. */
export type Said = Readonly<Record<string, unknown>>;

/** How the program is started. */
export interface Program {
  /** The file that Node runs. */
  readonly file: string;
  /** What the program needs of the caller's environment; none of the caller's settings. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Ends commands that run. */
  readonly interrupted: AbortSignal;
}

/** One instance, with its own folder and database. */
export interface DemoInstance {
  readonly name: string;
  readonly host: string;
  readonly origin: string;
  /** Starts `serve`. @param offset CLOCK_OFFSET, also of the commands from now on */
  start(offset: string): Promise<void>;
  /** Ends it, if it runs, and its database. */
  stop(): Promise<void>;
  /** Runs a command that must work. */
  run(...args: readonly string[]): Promise<Said>;
  /** Runs a command that must be refused. @returns the code of the refusal */
  refused(...args: readonly string[]): Promise<string>;
}

/** A step that came out otherwise than it must. */
export class DemoFault extends Error {}

/** What reaches the program of the caller's environment. */
const INHERITED = ["PATH", "HOME", "TMPDIR", "LANG", "NODE_OPTIONS", "FEDIFLATTR_BUNDLE"];

/** A new database is made within so long, also on a slow machine. */
const START_MS_MAX = 90_000;

/** `serve` finishes what runs within so long. */
const STOP_MS_MAX = 30_000;

/** A database server that was left alone ends within so long. */
const SERVER_STOP_MS_MAX = 10_000;

/** What is shown of a log when something goes wrong. */
const LOG_CHARS_MAX = 2_000;

/** An instance that can be started. @param neighbours the `host:port` of all that it may talk to */
export function demoInstance({
  name,
  port,
  folder,
  neighbours,
  program: { file, environment, interrupted },
}: {
  name: string;
  port: number;
  folder: string;
  neighbours: readonly string[];
  program: Program;
}): DemoInstance {
  const host = `127.0.0.1:${port}`;
  const origin = `http://${host}`;
  let clockOffset = "PT0S";
  let serving: Child | undefined;

  const open = (args: readonly string[]): Child =>
    follow(
      // Its own group: ctrl-C in a terminal is for the demonstration, which ends its instances in order.
      spawn(process.execPath, [file, ...args, "--json"], {
        env: {
          ...Object.fromEntries(INHERITED.map((variable) => [variable, environment[variable]])),
          ORIGIN: origin,
          HOST: "127.0.0.1",
          DATA_DIR: folder,
          CLOCK_OFFSET: clockOffset,
          ALLOW_PRIVATE_ADDRESSES: neighbours.join(","),
          LOG_LEVEL: "warning",
        },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      }),
    );

  const command = async (args: readonly string[]): Promise<{ status: number; said: Said }> => {
    interrupted.throwIfAborted();
    const child = open(args);
    const end = () => child.kill("SIGTERM");
    interrupted.addEventListener("abort", end, { once: true });
    const status = await child.ended;
    interrupted.removeEventListener("abort", end);
    interrupted.throwIfAborted();
    const lines = child.said().split("\n").filter(Boolean);
    try {
      // Of several lines the first one: a line of the only peer.
      return { status, said: JSON.parse(lines[0] ?? "{}") as Said };
    } catch {
      throw new DemoFault(
        `${name}: ${args.join(" ")} printed no JSON: ${lines[0]}\n${child.log()}`,
      );
    }
  };

  return {
    name,
    host,
    origin,
    async start(offset) {
      interrupted.throwIfAborted();
      clockOffset = offset;
      const child = open(["serve", "--port", String(port)]);
      serving = child;
      const deadline = AbortSignal.any([interrupted, AbortSignal.timeout(START_MS_MAX)]);
      while (!child.said().includes("\n")) {
        interrupted.throwIfAborted();
        if (child.hasEnded() || deadline.aborted)
          throw new DemoFault(`${name} does not start: ${child.said()}\n${child.log()}`);
        await sleep(25);
      }
      if (!child.said().includes(`"address"`))
        throw new DemoFault(`${name} does not start: ${child.said()}\n${child.log()}`);
    },
    async stop() {
      const child = serving;
      serving = undefined;
      if (child === undefined) return;
      child.kill("SIGTERM");
      const late = new AbortController();
      await Promise.race([child.ended, sleep(STOP_MS_MAX, undefined, late)]).finally(() =>
        late.abort(),
      );
      if (!child.hasEnded()) {
        child.kill("SIGKILL");
        await child.ended;
      }
      await endServer(folder);
    },
    async run(...args) {
      const { status, said } = await command(args);
      if (status !== 0)
        throw new DemoFault(
          `${name}: "${args.join(" ")}" ends with status ${status}: ${JSON.stringify(said)}`,
        );
      return said;
    },
    async refused(...args) {
      const { status, said } = await command(args);
      if (status !== 1 || typeof said["error"] !== "string")
        throw new DemoFault(
          `${name}: "${args.join(" ")}" should be refused, but it ends with status ${status}: ${JSON.stringify(said)}`,
        );
      return said["error"];
    },
  };
}

interface Child {
  readonly ended: Promise<number>;
  hasEnded(): boolean;
  kill(signal: NodeJS.Signals): void;
  said(): string;
  /** The end of what it logged. */
  log(): string;
}

function follow(child: ChildProcess): Child {
  let said = "";
  let log = "";
  let hasEnded = false;
  child.stdout!.setEncoding("utf8").on("data", (text: string) => (said += text));
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-LOG_CHARS_MAX);
  });
  const ended = once(child, "close").then(([status]) => {
    hasEnded = true;
    // A signal leaves no status.
    return (status as number | null) ?? -1;
  });
  return {
    ended,
    hasEnded: () => hasEnded,
    kill: (signal) => void (hasEnded || child.kill(signal)),
    said: () => said,
    log: () => log,
  };
}

/** Ends a database server that its instance could not end, since it was ended by force. */
async function endServer(folder: string): Promise<void> {
  const lock = join(folder, "postgres/postmaster.pid");
  const pidOf = async () =>
    Number((await readFile(lock, "utf8").catch(() => "")).split("\n")[0] ?? "");
  const pid = await pidOf();
  for (const [signal, patienceMs] of [
    ["SIGINT", SERVER_STOP_MS_MAX],
    ["SIGQUIT", SERVER_STOP_MS_MAX],
  ] as const) {
    if (!(pid > 0) || (await pidOf()) !== pid) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    for (let waitedMs = 0; waitedMs < patienceMs && (await pidOf()) === pid; waitedMs += 50)
      await sleep(50);
  }
}

/** Removes an instance's folder, and the one of its socket where that had to be elsewhere. */
export async function removeInstance(folder: string): Promise<void> {
  const socketFolder = await readFile(join(folder, "socket-folder"), "utf8").catch(() => "");
  for (const path of [
    socketFolder.startsWith(join(tmpdir(), "fediflattr-")) ? socketFolder : "",
    folder,
  ])
    if (path !== "")
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/**
 * Ports where demo instances are tried: above those of services, below those that a system hands out by itself, so that
 * nobody gets one by chance between now and the start.
 */
const FIRST_PORT = 31_000;
const PORTS = 1_700;

/** Different ports that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  // Demonstrations that run at once begin at different places.
  const first = process.pid * 97;
  const ports: number[] = [];
  for (let n = 0; ports.length < count && n < PORTS; n += 1) {
    const port = FIRST_PORT + ((first + n) % PORTS);
    if (await isFree(port)) ports.push(port);
  }
  if (ports.length < count) throw new Error(`no ports are free from ${FIRST_PORT} on`);
  return ports;
}

/** True when nobody listens on a port of this machine now. */
export function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
