/** What waits for one host, and how much of it may. */

import type { Due } from "../../features/activity/due.ts";
import { type Health, HEALTHY } from "../../features/activity/host.ts";
import type { Temporal } from "../../store/time.ts";

/** For one host so many wait in memory as it takes in this time; the others wait in the table. */
const LANE_MS = 60_000;
const LANE_MIN = 16;

/** What a request to an unknown host is expected to take. */
const EXPECTED_MS = 500;

/** What waits for one host. */
export interface Lane {
  readonly host: string;
  /** What was tried least goes first: a host may be in trouble for one inbox, or one message, alone. */
  readonly waiting: Due[];
  running: number;
  /** The last try did not find it in trouble: before that one request at a time is enough to see whether it answers. */
  isAnswering: boolean;
  health: Health;
  /** What a request takes, as a running mean. */
  meanMs: number;
}

/** An empty lane. */
export function openLane(host: string, isAnswering: boolean): Lane {
  return {
    host,
    waiting: [],
    running: 0,
    isAnswering,
    health: HEALTHY,
    meanMs: EXPECTED_MS,
  };
}

/** How many may wait in memory for a host that gets so many requests at once; never more than `most`. */
export function roomOf({ meanMs }: Lane, requests: number, most: number): number {
  return Math.min(Math.max(Math.floor((LANE_MS * requests) / meanMs), LANE_MIN), most);
}

/** Lets one wait, behind those that were tried as little. */
export function letWait({ waiting }: Lane, due: Due): void {
  const before = waiting.findLastIndex(({ attempts }) => attempts <= due.attempts);
  waiting.splice(before + 1, 0, due);
}

/** `URL.host` of where a delivery goes; undefined when that is no address. */
export function hostOf({ target }: Due): string | undefined {
  if (target.inbox === undefined) return target.host;
  return URL.canParse(target.inbox) ? new URL(target.inbox).host : undefined;
}

/** Nothing is sent to the host for now. */
export function isResting({ nextTryAt }: Health, now: Temporal.Instant): boolean {
  return nextTryAt !== undefined && nextTryAt.epochMilliseconds > now.epochMilliseconds;
}
