/** How much strangers may send, and how often. */

import type { JsonLimits } from "../../rules/json.ts";
import { recent } from "../../store/recent.ts";

/** Longest activity: the longest that other servers were seen to send has 8 kB. */
export const ACTIVITY_BYTES_MAX = 256 * 1024;

/** Time for a whole body. The slowest honest server needs less than a second. */
export const BODY_DEADLINE_MS = 10_000;

/** What one activity may hold. Real ones have fewer than 10 levels and 400 values. */
export const ACTIVITY_LIMITS: JsonLimits = {
  depthMax: 16,
  valuesMax: 2_000,
  itemsMax: 200,
  textMax: 64 * 1024,
};

/** Why a body was not read. */
export type BodyFault = "body_too_large" | "body_too_slow" | "body_encoded" | "body_broken";

/** A body within its limits, or what was wrong with it. */
export type Body = { readonly bytes: Uint8Array<ArrayBuffer> } | { readonly fault: BodyFault };

/**
 * Reads a body to its end. Bytes are counted as they come, whatever was announced, and the deadline is for all of them
 * together: a sender that drips is not waited for.
 */
export async function readBody(
  request: Request,
  { bytesMax = ACTIVITY_BYTES_MAX, deadlineMs = BODY_DEADLINE_MS } = {},
): Promise<Body> {
  const encoding = request.headers.get("content-encoding");
  // A few kilobytes can unfold to gigabytes, and no server folds what it posts.
  if (encoding !== null && encoding.trim().toLowerCase() !== "identity")
    return { fault: "body_encoded" };
  const announced = request.headers.get("content-length");
  if (announced !== null && !(Number(announced) <= bytesMax)) return { fault: "body_too_large" };
  if (request.body === null) return { bytes: new Uint8Array(0) };
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  let late: NodeJS.Timeout | undefined;
  const tooSlow = new Promise<"late">((resolve) => {
    late = setTimeout(() => resolve("late"), deadlineMs);
  });
  const stop = (fault: BodyFault): Body => {
    // The sender is told by the answer; what becomes of the rest of its body does not matter.
    reader.cancel().catch(() => {});
    return { fault };
  };
  try {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      const part = await Promise.race([reader.read(), tooSlow]);
      if (part === "late") return stop("body_too_slow");
      if (part.done) return { bytes: new Uint8Array(Buffer.concat(parts, bytes)) };
      bytes += part.value.length;
      if (bytes > bytesMax) return stop("body_too_large");
      parts.push(part.value);
    }
  } catch {
    return { fault: "body_broken" };
  } finally {
    clearTimeout(late);
  }
}

/** How often something may happen: so many at once, and so many a second after that. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** Token buckets, one for each key. Time is an argument. */
export interface Buckets {
  /** Seconds until there is a token again; 0: there is one. Takes nothing. */
  waitSeconds(key: string, atMs: number): number;
  /** Takes a token if there is one; seconds until there is one if not, else 0. */
  take(key: string, atMs: number): number;
}

/** Buckets that are remembered. One that was forgotten is full again, which it nearly was. */
const BUCKETS_MAX = 20_000;

/** Makes buckets of one rate. */
export function openBuckets({ burst, perSecond }: Rate): Buckets {
  const buckets = recent<string, { tokens: number; atMs: number }>(BUCKETS_MAX);
  const level = (key: string, atMs: number): number => {
    const bucket = buckets.get(key);
    if (bucket === undefined) return burst;
    const gained = (Math.max(0, atMs - bucket.atMs) / 1000) * perSecond;
    return Math.min(burst, bucket.tokens + gained);
  };
  const wait = (tokens: number) => (tokens >= 1 ? 0 : Math.ceil((1 - tokens) / perSecond));
  return {
    waitSeconds: (key, atMs) => wait(level(key, atMs)),
    take(key, atMs) {
      const tokens = level(key, atMs);
      if (tokens < 1) return wait(tokens);
      buckets.set(key, { tokens: tokens - 1, atMs });
      return 0;
    },
  };
}

/** How many may be inside at the same time. */
export interface Room {
  readonly perSender: number;
  readonly all: number;
}

/** Counts who is inside. */
export interface Crowd {
  /** The way out again, to be called once; or who has taken all the room: the sender himself, or all together. */
  enter(sender: string): (() => void) | "sender" | "all";
}

/** Makes a room in which nobody is yet. */
export function openCrowd({ perSender, all }: Room): Crowd {
  const inside = new Map<string, number>();
  let together = 0;
  return {
    enter(sender) {
      const many = inside.get(sender) ?? 0;
      if (many >= perSender) return "sender";
      if (together >= all) return "all";
      inside.set(sender, many + 1);
      together += 1;
      return () => {
        together -= 1;
        const left = inside.get(sender)! - 1;
        if (left === 0) inside.delete(sender);
        else inside.set(sender, left);
      };
    },
  };
}
