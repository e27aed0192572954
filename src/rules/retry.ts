/** When something that failed is tried again. Pure: what spreads the tries is taken from an id, not from chance. */

const SECOND_MS = 1000;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;

/** The first pause; long enough for a server to start again. */
export const RETRY_FIRST_MS = 30 * SECOND_MS;

/** The longest pause: whoever comes back is reached within a day. */
export const RETRY_LAST_MS = DAY_MS;

/** A delivery that its host keeps refusing waits four times as long each time: 30 s, 2 min, 8 min, … 24 h. */
const GROWTH_OF_DELIVERY = 4;

/** A host that does not answer is left alone twice as long each time. */
const GROWTH_OF_HOST = 2;

/** Pauses are spread over this part of their length, half before and half after. */
const SPREAD = 0.25;

/**
 * The pause after a failed try of one delivery.
 *
 * @param attempts how often it was tried, at least 1
 * @param seed the row's id: spreads the tries
 */
export function deliveryPauseMs(attempts: number, seed: bigint): number {
  return pauseMs(attempts, GROWTH_OF_DELIVERY, spreadOf(seed));
}

/**
 * How long a host is left alone that does not answer.
 *
 * @param failures how often in a row, at least 1
 */
export function hostPauseMs(failures: number, host: string): number {
  let seed = 0n;
  for (const character of host) seed = (seed * 31n + BigInt(character.codePointAt(0)!)) & MASK;
  return pauseMs(failures, GROWTH_OF_HOST, spreadOf(seed));
}

function pauseMs(failures: number, growth: number, spread: number): number {
  const pause = Math.min(RETRY_FIRST_MS * growth ** Math.min(failures - 1, 20), RETRY_LAST_MS);
  return Math.min(Math.round(pause * (1 - SPREAD / 2 + SPREAD * spread)), RETRY_LAST_MS);
}

const MASK = (1n << 64n) - 1n;

/** From 0 to 1, evenly, also for ids that follow each other (the finaliser of splitmix64). */
function spreadOf(seed: bigint): number {
  let mixed = (seed + 0x9e3779b97f4a7c15n) & MASK;
  mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return Number((mixed ^ (mixed >> 31n)) >> 11n) / 2 ** 53;
}

/**
 * What a `Retry-After` asks for: seconds, or a date. Never more than a day, whatever it says.
 *
 * @returns undefined when it is missing or says nothing
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null || header.length > 40) return undefined;
  const text = header.trim();
  const pause = /^\d{1,9}$/.test(text) ? Number(text) * SECOND_MS : Date.parse(text) - nowMs;
  return Number.isFinite(pause) ? Math.min(Math.max(pause, SECOND_MS), RETRY_LAST_MS) : undefined;
}
