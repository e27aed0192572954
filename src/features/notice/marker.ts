/** Where somebody stopped reading, so that the next device begins there. */

import { and, eq, inArray, sql } from "drizzle-orm";
import { type Database, retrying } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import type { Account } from "../account/create.ts";
import { marker } from "./schema.ts";

/** Timelines that have a marker. */
export type MarkedTimeline = (typeof marker.timeline.enumValues)[number];

/** The names of those timelines. */
export const MARKED_TIMELINES: readonly MarkedTimeline[] = marker.timeline.enumValues;

/** Where somebody stopped reading a timeline. */
export interface Marker {
  readonly timeline: MarkedTimeline;
  readonly lastRead: bigint;
  /** How often it was set. */
  readonly version: number;
  readonly at: Temporal.Instant;
}

const COLUMNS = {
  timeline: marker.timeline,
  lastRead: marker.lastRead,
  version: marker.version,
  at: marker.at,
};

/** The markers of these timelines; those that were never set are missing. */
export async function markersOf(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
  timelines: readonly MarkedTimeline[],
): Promise<readonly Marker[]> {
  if (timelines.length === 0) return [];
  return drizzle
    .select(COLUMNS)
    .from(marker)
    .where(and(eq(marker.account, account.id), inArray(marker.timeline, [...timelines])));
}

/**
 * Sets markers to what is said, also backwards: somebody may want to read again. Two devices never undo each other's
 * half of a change, so there is no conflict to tell of.
 */
export async function setMarkers(
  { drizzle }: Pick<Database, "drizzle">,
  {
    account,
    marks,
    at,
  }: {
    readonly account: Account;
    readonly marks: ReadonlyMap<MarkedTimeline, bigint>;
    readonly at: Temporal.Instant;
  },
): Promise<readonly Marker[]> {
  if (marks.size === 0) return [];
  return retrying(() =>
    drizzle
      .insert(marker)
      .values(
        // In one order, so that two devices never wait for each other.
        MARKED_TIMELINES.filter((timeline) => marks.has(timeline)).map((timeline) => ({
          account: account.id,
          timeline,
          lastRead: marks.get(timeline)!,
          version: 0,
          at,
        })),
      )
      .onConflictDoUpdate({
        target: [marker.account, marker.timeline],
        set: {
          lastRead: sql`excluded.last_read`,
          version: sql`${marker.version} + 1`,
          at: sql`excluded.at`,
        },
      })
      .returning(COLUMNS),
  );
}
