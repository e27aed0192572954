/** `demo`: two instances on this machine, a month in fast motion. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Clock } from "../../store/time.ts";
import { december } from "./demo/december.ts";
import { demoInstance, freePorts, type Program, removeInstance } from "./demo/instance.ts";
import { november } from "./demo/november.ts";
import { startPlainServer } from "./demo/plain-server.ts";
import type { Stage } from "./demo/stage.ts";
import { type Teller, teller } from "./demo/teller.ts";

/** What the demonstration needs of the process that it runs in. */
export interface DemoParts extends Program {
  readonly clock: Clock;
  /** Writes a line. */
  readonly write: (line: string) => void;
  /** Writes a line for people, beside the answer. */
  readonly remark: (line: string) => void;
  readonly isJson: boolean;
}

/** Adds the command. @param run gives the play what it needs, and learns whether the books agree */
export function demoCommand(
  program: Command,
  run: (play: (parts: DemoParts) => Promise<boolean>) => Promise<void>,
): void {
  program
    .command("demo")
    .option("--keep", "leave them running until ctrl-C, to click through")
    .description("two instances on this machine, a month in fast motion, told step by step")
    .action(({ keep }: { keep?: true }) => run((parts) => play(parts, keep === true)));
}

/** Plays it, and leaves nothing behind. @returns true when the books agree */
async function play(parts: DemoParts, isKept: boolean): Promise<boolean> {
  const { clock, interrupted, remark } = parts;
  const told = teller(parts.write, parts.isJson);
  const ends: (() => Promise<void>)[] = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), "fl-demo-"));
    ends.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
    const lantern = await startPlainServer(() => clock.real());
    ends.push(() => lantern.close());
    const ports = await freePorts(2);
    const neighbours = [...ports.map((port) => `127.0.0.1:${port}`), lantern.host];
    const [harbour, meadow] = (["harbour", "meadow"] as const).map((name, place) => {
      const home = join(folder, name);
      const made = demoInstance({
        name,
        port: ports[place]!,
        folder: home,
        neighbours,
        program: parts,
      });
      ends.push(async () => {
        await made.stop();
        await removeInstance(home);
      });
      return made;
    });
    const stage: Stage = {
      harbour: harbour!,
      meadow: meadow!,
      lantern,
      teller: told,
      clock,
      interrupted,
    };
    introduce(told);
    await november(stage);
    const differenceMicro = await december(stage);
    told.end({ differenceMicro });
    if (!isKept) told.say("To click through both: npm run demo -- --keep");
    else if (differenceMicro === 0n) await keep(stage, remark);
    return differenceMicro === 0n;
  } finally {
    // The last made goes first, but both instances at once; whatever becomes of one, the others end.
    const [removeFolder, closeLantern, ...stopInstances] = ends;
    await Promise.allSettled(stopInstances.map((end) => end()));
    for (const end of [closeLantern, removeFolder]) await Promise.allSettled([end?.()]);
  }
}

function introduce(told: Teller): void {
  told.say(
    `One month of Fediflattr in fast motion. Harbour and Meadow are two instances, Lantern is an
ordinary server; all of them run on this machine as real processes that talk over HTTP, only
their clocks are set forward. Each line is something that has just happened and was checked.`,
  );
}

async function keep(
  { harbour, meadow, lantern, interrupted }: Stage,
  remark: (line: string) => void,
): Promise<void> {
  remark(`
Everything runs on until you press ctrl-C. To click through:
  Harbour  ${harbour.origin}/users/bob
  Meadow   ${meadow.origin}/users/carol
  Lantern  ${lantern.origin}/`);
  if (interrupted.aborted) return;
  await new Promise<void>((resolve) => {
    // Keeps the process, since nothing else might.
    const alive = setInterval(() => {}, 60_000);
    interrupted.addEventListener(
      "abort",
      () => {
        clearInterval(alive);
        resolve();
      },
      { once: true },
    );
  });
}
