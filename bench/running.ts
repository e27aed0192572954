/** The program itself, as a process of its own: `serve`, from the sources or from the bundle. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import description from "../package.json" with { type: "json" };

export const CHECKOUT = join(import.meta.dirname, "..");

/** What `npm start` gives to Node. */
const [, ...START] = description.scripts.start.split(" ");

/** How often it is asked whether the server is ready, and when that is given up. */
const LOOK_MS = 5;
const READY_MS_MAX = 60_000;

/** How long a server may take to end before it is killed. */
const END_MS_MAX = 20_000;

/** What becomes of a server that is started. */
export interface Watching {
  /** Gets the process in its first moment, so that it is ended whatever happens. */
  readonly running: Set<ChildProcess>;
  /** A folder for its CPU profile, which it writes when it ends. */
  readonly profile?: string | undefined;
}

/** Starts a server and waits until it is ready. `env`: its settings, among them its port. */
export async function startServer(
  env: Readonly<Record<string, string>>,
  { running, profile }: Watching,
): Promise<{ child: ChildProcess; wallMs: number }> {
  const start = performance.now();
  const profiling = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const child = spawn(process.execPath, [...profiling, ...START], {
    cwd: CHECKOUT,
    env: { ...process.env, HOST: "127.0.0.1", LOG_LEVEL: "error", ...env },
    stdio: ["ignore", "ignore", "inherit"],
  });
  running.add(child);
  while (!(await isReady(`http://127.0.0.1:${env["PORT"]}/readyz`))) {
    if (child.exitCode !== null) throw new Error(`the server ended with status ${child.exitCode}`);
    if (performance.now() - start > READY_MS_MAX) throw new Error("the server does not get ready");
    await sleep(LOOK_MS);
  }
  return { child, wallMs: performance.now() - start };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(url).then(
    async (response) => {
      await response.body?.cancel();
      return response.status === 200;
    },
    () => false,
  );
}

/** Ends a process that was started here; one that does not listen is killed. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const killing = setTimeout(() => child.kill("SIGKILL"), END_MS_MAX);
  await ended;
  clearTimeout(killing);
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
