/** Notifications of one kind, about one post, on one day are told as one. */

import type { ActorId } from "../account/actor.ts";
import type { NoticeKind } from "./notify.ts";

/** A notification. */
export interface Noticed {
  readonly id: bigint;
  readonly kind: NoticeKind;
  /** Who caused it. */
  readonly actor: ActorId;
  /** The post it is about. */
  readonly post: bigint | undefined;
}

/** Notifications that are told as one, the newest first; there is always one. */
export interface NoticeGroup {
  readonly key: string;
  readonly notices: readonly [Noticed, ...Noticed[]];
}

/** Which notifications a group has: one, or all of a kind about a post within a range of ids. */
export type GroupRange =
  | { readonly id: bigint }
  | {
      readonly kind: NoticeKind;
      readonly post: bigint | undefined;
      /** The smallest id in it, and the first one after it. */
      readonly from: bigint;
      readonly below: bigint;
    };

/** Kinds that come in crowds. */
export const CROWDED: readonly NoticeKind[] = ["favourite", "follow", "reblog"];

/** A day, as far as ids know: their upper part counts milliseconds. */
const ID_BITS_OF_TAIL = 16n;
const DAY_MS = 86_400_000n;

/** Days that ids can name: those of 63 bits. */
const DAY_MAX = 2n ** (63n - ID_BITS_OF_TAIL) / DAY_MS;

/** The key of the group that a notification belongs to. @param crowded kinds that are grouped */
export function groupKeyOf(
  { id, kind, post }: Noticed,
  crowded: readonly NoticeKind[] = CROWDED,
): string {
  if (!CROWDED.includes(kind) || !crowded.includes(kind)) return `ungrouped-${id}`;
  const day = (id >> ID_BITS_OF_TAIL) / DAY_MS;
  return post === undefined ? `${kind}-${day}` : `${kind}-${post}-${day}`;
}

/** What a key stands for; undefined for what is none. */
export function rangeOfGroup(key: string): GroupRange | undefined {
  const single = /^ungrouped-(\d{1,19})$/.exec(key);
  if (single !== null) return bounded({ id: BigInt(single[1]!) });
  const crowd = /^([a-z]+)(?:-(\d{1,19}))?-(\d{1,10})$/.exec(key);
  const kind = CROWDED.find((one) => one === crowd?.[1]);
  if (crowd === null || kind === undefined) return undefined;
  const day = BigInt(crowd[3]!);
  if (day >= DAY_MAX) return undefined;
  const post = crowd[2] === undefined ? undefined : BigInt(crowd[2]);
  if (post !== undefined && post >= 2n ** 63n) return undefined;
  const from = (day * DAY_MS) << ID_BITS_OF_TAIL;
  return { kind, post, from, below: ((day + 1n) * DAY_MS) << ID_BITS_OF_TAIL };
}

function bounded(one: { readonly id: bigint }): GroupRange | undefined {
  return one.id < 2n ** 63n ? one : undefined;
}

/**
 * Groups notifications up to the first that would begin one group too many.
 *
 * @param notices in the order in which they were read, from where the page begins
 * @returns the groups, the one with the newest notification first, and how many notifications they cover
 */
export function groupNotices(
  notices: readonly Noticed[],
  limit: number,
  crowded: readonly NoticeKind[],
): { readonly groups: readonly NoticeGroup[]; readonly covered: number } {
  const groups = new Map<string, [Noticed, ...Noticed[]]>();
  let covered = 0;
  for (const notice of notices) {
    const key = groupKeyOf(notice, crowded);
    const known = groups.get(key);
    if (known === undefined && groups.size >= limit) break;
    if (known === undefined) groups.set(key, [notice]);
    else known.push(notice);
    covered += 1;
  }
  return {
    groups: [...groups]
      .map(([key, found]) => ({ key, notices: newestFirst(found) }))
      .toSorted((a, b) => (a.notices[0].id < b.notices[0].id ? 1 : -1)),
    covered,
  };
}

function newestFirst(found: [Noticed, ...Noticed[]]): [Noticed, ...Noticed[]] {
  return found.toSorted((a, b) => (a.id < b.id ? 1 : -1)) as [Noticed, ...Noticed[]];
}
