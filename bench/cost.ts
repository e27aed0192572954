/** What work costs: wall time, and CPU of the processes that do it. */

import { setTimeout as sleep } from "node:timers/promises";
import { cpuSecondsOf } from "./server.ts";

/** Wall time and CPU. */
export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/**
 * Does some work and says what it cost.
 *
 * @param pids the processes that count, asked for before and after: those that came meanwhile count from their start
 */
export async function measure<T>(
  pids: () => Promise<readonly number[]>,
  work: () => Promise<T>,
): Promise<{ cost: Cost; done: T }> {
  const before = [...new Set(await pids())];
  const [cpuSeconds, start] = [await cpuSecondsOf(before), performance.now()];
  const done = await work();
  const wallMs = performance.now() - start;
  const after = [...new Set(await pids())];
  return { cost: { wallMs, cpuMs: ((await cpuSecondsOf(after)) - cpuSeconds) * 1000 }, done };
}

/** What several pieces of work cost together. */
export function sumOf(costs: readonly Cost[]): Cost {
  return {
    wallMs: costs.reduce((sum, { wallMs }) => sum + wallMs, 0),
    cpuMs: costs.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  };
}

/** Longest that a bench waits for something that should come: long after that it will not. */
const PATIENCE_MS = 180_000;

/** Waits until something is so. @throws Error that says what did not come */
export async function until(
  what: string,
  isSo: () => Promise<boolean>,
  { lookMs }: { lookMs: number },
): Promise<void> {
  const start = performance.now();
  while (!(await isSo())) {
    if (performance.now() - start > PATIENCE_MS)
      throw new Error(`waited ${PATIENCE_MS / 1000} s for ${what}`);
    await sleep(lookMs);
  }
}
