/** Instances as real processes that are killed, end, move on to another time, and come back from a backup. */

import { rename, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  childrenOf,
  copyFolder,
  killHard,
  newFolder,
  postmasterOf,
  removeFolder,
  type Running,
  startProgram,
  startScript,
  until,
} from "../support/process.ts";
import type { Order, Outcome } from "./neighbour.ts";
import type { Random } from "./random.ts";

/** What was killed. */
export type Victim = "serve" | "worker" | "database" | "backend";

/** A process that is told to end, or lost its database, ends by itself within this. */
const END_MS_MAX = 60_000;

/** An order waits so long for its answer; a worker that takes longer hangs. */
const ORDER_MS_MAX = 90_000;

/** Starting may fail while the database under it is killed; so long after that nobody wonders. */
const EXCUSED_MS = 45_000;

/** Between a kill and the next start, as whatever looks after processes would wait. */
const PAUSE_MS_MAX = 1500;

/** How much time a restart stands for: more than any lease and any pause of the exchange. */
const HOURS_DOWN = 6;

/** Where an instance is, and how it is set. */
export interface HouseSettings {
  readonly name: string;
  /** The gate of the network that leads here; part of its address. */
  readonly publicPort: number;
  readonly port: number;
  readonly allowed: readonly string[];
  readonly random: Random;
}

/** One instance: its data, a `serve`, and a worker that does what people do. */
export class House {
  readonly name: string;
  readonly host: string;
  readonly origin: string;
  readonly settings: HouseSettings;
  /** Lines on standard error of all its processes. */
  readonly complaints: string[] = [];
  readonly kills = new Map<Victim, number>();
  /** Ends that nobody asked for, though a killed database may be the reason. */
  excused = 0;
  folder = "";
  /** Real time, between a backup and the start from it: what was done then is forgotten. */
  readonly forgotten: { from: number; to: number }[] = [];
  #offsetMs = 0;
  #serving: Running | undefined;
  #worker: Running | undefined;
  #isServeWanted = false;
  #isWorkerWanted = false;
  #isReady = false;
  readonly #killed = new Set<number>();
  #databaseKilledAt = -Infinity;
  #keepers: Promise<void>[] = [];
  #number = 0;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  #fault: Error | undefined;

  constructor(settings: HouseSettings) {
    this.settings = settings;
    this.name = settings.name;
    this.host = `127.0.0.1:${settings.publicPort}`;
    this.origin = `http://${this.host}`;
  }

  /** The settings of its processes. */
  get environment(): Record<string, string> {
    return {
      ORIGIN: this.origin,
      HOST: "127.0.0.1",
      PORT: String(this.settings.port),
      CLOCK_OFFSET: `PT${Math.round(this.#offsetMs / 1000)}S`,
      ALLOW_PRIVATE_ADDRESSES: this.settings.allowed.join(","),
      PEER_LIMIT: "20.00",
    };
  }

  /** Throws what went wrong with a process meanwhile. */
  assertWell(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** The month that its clock says, as `YYYY-MM`. */
  get month(): string {
    return new Date(Date.now() + this.#offsetMs).toISOString().slice(0, 7);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  async make(): Promise<void> {
    this.folder = await newFolder();
  }

  /** Starts worker and `serve`, or the worker alone, and keeps them running. */
  async start({ offsetMs = this.#offsetMs, isServing = true } = {}): Promise<void> {
    this.#offsetMs = offsetMs;
    if (!this.#isWorkerWanted) {
      this.#isWorkerWanted = true;
      this.#keepers.push(this.#keepWorker());
    }
    await this.#until(() => this.#worker !== undefined && this.#isOpened(this.#worker), "worker");
    if (!isServing || this.#isServeWanted) return;
    this.#isServeWanted = true;
    this.#keepers.push(this.#keepServing());
    await this.#until(() => this.#isReady, "serve");
  }

  /** Ends both, gently, and with them the database. */
  async stop(): Promise<void> {
    this.#isServeWanted = false;
    this.#isWorkerWanted = false;
    for (const run of [this.#serving, this.#worker]) if (run !== undefined) await this.#end(run);
    await Promise.all(this.#keepers);
    this.#keepers = [];
    this.assertWell();
  }

  /** Ends both as a power cut would. */
  async crash(): Promise<void> {
    this.#isServeWanted = false;
    this.#isWorkerWanted = false;
    for (const run of [this.#serving, this.#worker]) if (run !== undefined) this.#kill(run.pid);
    const postmaster = await postmasterOf(this.folder);
    if (postmaster !== undefined) for (const child of await childrenOf(postmaster)) killHard(child);
    if (postmaster !== undefined) killHard(postmaster);
    this.#databaseKilledAt = performance.now();
    await Promise.all(this.#keepers);
    this.#keepers = [];
    if (postmaster !== undefined)
      await until(10_000, async () =>
        (await postmasterOf(this.folder)) === undefined ? true : undefined,
      );
  }

  /** Copies the data of an instance that does not run. */
  async backUp(): Promise<string> {
    return copyFolder(this.folder);
  }

  /** Puts a copy in place of the data. */
  async restore(copy: string): Promise<void> {
    const { folder } = this;
    await rename(folder, `${folder}.lost`);
    await rename(copy, folder);
    await rmdir(dirname(copy));
  }

  async remove(): Promise<void> {
    await this.crash().catch(() => {});
    await removeFolder(this.folder);
  }

  /** Kills something of it that runs. @returns undefined when it did not run */
  async killSomething(): Promise<Victim | undefined> {
    const { random } = this.settings;
    const kind = random.below(100);
    const done = (victim: Victim) => {
      this.kills.set(victim, (this.kills.get(victim) ?? 0) + 1);
      return victim;
    };
    if (kind < 55) {
      const victim = kind < 42 ? this.#serving : this.#worker;
      if (victim === undefined || !this.#kill(victim.pid)) return undefined;
      return done(kind < 42 ? "serve" : "worker");
    }
    const postmaster = await postmasterOf(this.folder);
    if (postmaster === undefined) return undefined;
    const children = await childrenOf(postmaster);
    this.#databaseKilledAt = performance.now();
    if (kind < 90) {
      if (!killHard(postmaster)) return undefined;
      if (kind < 72) for (const child of children) killHard(child);
      return done("database");
    }
    // The newest child is a backend; the postmaster then ends all others and recovers by itself.
    const backend = children.at(-1);
    return backend !== undefined && killHard(backend) ? done("backend") : undefined;
  }

  /** Lets the worker do something. When it dies before it says so, nobody knows whether it was done. */
  async order(order: Order): Promise<Outcome> {
    const worker = this.#worker;
    if (worker === undefined || !this.#isOpened(worker)) return { failed: "no worker" };
    const n = (this.#number += 1);
    const answer = new Promise<Outcome>((resolve) => this.#waiting.set(n, resolve));
    worker.child.stdin!.write(`${JSON.stringify({ n, order })}\n`);
    let late: NodeJS.Timeout | undefined;
    const tooLate = new Promise<Outcome>((resolve) => {
      late = setTimeout(() => {
        this.#fault ??= new Error(`${this.name}: no answer to ${JSON.stringify(order)}`);
        resolve({ failed: "late" });
      }, ORDER_MS_MAX);
    });
    const ended = worker.ended.then((): Outcome => ({ failed: "the worker is gone" }));
    const outcome = await Promise.race([answer, ended, tooLate]);
    clearTimeout(late);
    this.#waiting.delete(n);
    return outcome;
  }

  /** An order that must be done, however often it has to be given. */
  async must(order: Order): Promise<Record<string, unknown>> {
    return until(
      120_000,
      async () => {
        this.assertWell();
        const outcome = await this.order(order);
        if ("done" in outcome) return outcome.done;
        if ("refused" in outcome && outcome.refused === "account_taken") return {};
        await sleep(300);
        return undefined;
      },
      `${this.name}: ${JSON.stringify(order)}`,
    );
  }

  async #keepWorker(): Promise<void> {
    while (this.#isWorkerWanted) {
      const worker = startScript(
        `${import.meta.dirname}/neighbour.ts`,
        this.folder,
        [],
        this.environment,
        { stdin: "pipe" },
      );
      worker.child.stdin!.on("error", () => {});
      this.#worker = worker;
      this.#listen(worker);
      await this.#collect(worker, "worker", () => this.#isWorkerWanted);
      this.#worker = undefined;
    }
  }

  async #keepServing(): Promise<void> {
    while (this.#isServeWanted) {
      await this.order({ do: "pass", hours: HOURS_DOWN });
      if (!this.#isServeWanted) return;
      const serving = startProgram(this.folder, ["serve", "--json"], this.environment);
      this.#serving = serving;
      serving.child.stdout!.once("data", () => (this.#isReady = true));
      await this.#collect(serving, "serve", () => this.#isServeWanted);
      this.#serving = undefined;
      this.#isReady = false;
    }
  }

  /** Waits for the end of a process. One that nobody killed or told to end must have lost its database. */
  async #collect(run: Running, what: string, isWanted: () => boolean): Promise<void> {
    const { status, signal, stderr } = await run.ended;
    this.complaints.push(
      ...stderr
        .split("\n")
        .filter(Boolean)
        .map((line) => `${what}: ${line}`),
    );
    if (this.#killed.has(run.pid) || !isWanted()) return;
    if (performance.now() - this.#databaseKilledAt > EXCUSED_MS)
      this.#fault ??= new Error(
        `${this.name}: ${what} ended by itself with ${status ?? signal}: ${stderr.slice(-2000)}`,
      );
    this.excused += 1;
    await sleep(this.settings.random.below(PAUSE_MS_MAX));
  }

  #listen({ child }: Running): void {
    let rest = "";
    child.stdout!.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const { n, ...outcome } = JSON.parse(line) as { n?: number } & Outcome;
        if (n !== undefined) this.#waiting.get(n)?.(outcome);
      }
    });
  }

  #isOpened({ child, stdout }: Running): boolean {
    return child.exitCode === null && child.signalCode === null && stdout().includes("\n");
  }

  #kill(pid: number): boolean {
    this.#killed.add(pid);
    return killHard(pid);
  }

  async #end(run: Running): Promise<void> {
    run.child.kill("SIGTERM");
    const inTime = await Promise.race([
      run.ended.then(() => true),
      sleep(END_MS_MAX, false, { ref: false }),
    ]);
    if (inTime) return;
    this.#fault ??= new Error(
      `${this.name}: a process hung: ${run.child.spawnargs.join(" ")} ${run.stderr().slice(-2000)}`,
    );
    this.#kill(run.pid);
  }

  async #until(isThere: () => boolean, what: string): Promise<void> {
    await until(
      120_000,
      async () => {
        this.assertWell();
        return isThere() ? true : undefined;
      },
      `${this.name}: ${what}`,
    );
  }
}
