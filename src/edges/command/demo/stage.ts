/** Where the demonstration plays: two instances with one time, a plain server, and patience. */

import { setTimeout as sleep } from "node:timers/promises";
import { type Clock, Temporal } from "../../../store/time.ts";
import { DemoFault, type DemoInstance, type Said } from "./instance.ts";
import type { PlainServer } from "./plain-server.ts";
import { expectSame, type Teller } from "./teller.ts";

/** Everything that the chapters work with. */
export interface Stage {
  readonly harbour: DemoInstance;
  readonly meadow: DemoInstance;
  readonly lantern: PlainServer;
  readonly teller: Teller;
  readonly clock: Clock;
  readonly interrupted: AbortSignal;
}

/** What goes from server to server takes milliseconds; a slow machine gets a thousand times that. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 50;

/** Starts both instances at a time of the story, or starts them again there. */
export async function startAt({ harbour, meadow, clock }: Stage, time: string): Promise<void> {
  await Promise.all([harbour.stop(), meadow.stop()]);
  const seconds = Math.round(
    (Temporal.Instant.from(time).epochMilliseconds - clock.real().epochMilliseconds) / 1000,
  );
  const offset = `${seconds < 0 ? "-" : ""}PT${Math.abs(seconds)}S`;
  await Promise.all([harbour.start(offset), meadow.start(offset)]);
}

/** Looks until something is as it must be. @throws DemoFault when it does not become so */
export async function until<T>(
  { interrupted }: Pick<Stage, "interrupted">,
  what: string,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    interrupted.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline)
      throw new DemoFault(`${what}: did not happen within ${PATIENCE_MS / 1000} seconds`);
    await sleep(LOOK_MS);
  }
}

/** Waits until the plain server has got an activity. */
export async function reaches(
  stage: Stage,
  what: string,
  is: (activity: Said) => boolean,
): Promise<void> {
  await until(stage, what, async () => (stage.lantern.received.some(is) ? true : undefined));
}

/** How often a post was favourited, as its page says. */
export async function favouritesShown({ interrupted }: Stage, post: string): Promise<number> {
  const page = await fetch(post, {
    headers: { accept: "text/html", "accept-language": "en" },
    signal: interrupted,
  });
  const [, count] = /Liked (\d+) times/.exec(await page.text()) ?? [];
  return Number(count ?? 0);
}

/** How many follow somebody, as his own server says. */
export async function followersOf({ interrupted }: Stage, actor: string): Promise<number> {
  const answer = await fetch(`${actor}/followers`, {
    headers: { accept: "application/activity+json" },
    signal: interrupted,
  });
  const { totalItems } = (await answer.json()) as { totalItems?: number };
  return totalItems ?? 0;
}

/** Runs a command and compares members of what it prints. @returns all that it printed */
export async function expectOf(
  instance: DemoInstance,
  args: readonly string[],
  wanted: Said,
): Promise<Said> {
  const said = await instance.run(...args);
  for (const [name, value] of Object.entries(wanted))
    expectSame(
      `${instance.name}: ${args.join(" ")}: ${name}`,
      said[name],
      typeof value === "bigint" ? String(value) : value,
    );
  return said;
}

/** A line with the other instance, once its members are as wanted. */
export async function lineWhen(
  stage: Stage,
  instance: DemoInstance,
  wanted: Readonly<Record<string, bigint | number>>,
): Promise<Said> {
  const other = instance === stage.harbour ? stage.meadow : stage.harbour;
  return until(stage, `${instance.name}: peer show: ${shownLine(wanted)}`, async () => {
    const line = await instance.run("peer", "show", other.host);
    const isSo = Object.entries(wanted).every(
      ([name, value]) => String(line[name]) === String(value),
    );
    return isSo ? line : undefined;
  });
}

function shownLine(wanted: Readonly<Record<string, bigint | number>>): string {
  return Object.entries(wanted)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/** An amount of an answer. */
export function micro(said: Said, name: string): bigint {
  const value = said[name];
  if (typeof value !== "string" || !/^-?\d+$/.test(value))
    throw new DemoFault(`${name} is no amount: ${String(value)}`);
  return BigInt(value);
}
