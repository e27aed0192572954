/** What the operator says to everybody of this instance. Open streams are told at once. */

import { and, desc, eq, gt, isNull, or, sql } from "drizzle-orm";
import { type Database, retrying } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { Account } from "../account/create.ts";
import { announcement, announcementRead } from "./schema.ts";
import { announceEvent } from "./stream.ts";

/** An announcement, as typed. */
export type Announcement = typeof announcement.$inferSelect;

/** Characters of an announcement: it is news, not a page. */
const CHARS_MAX = 2_000;

/** Announcements that are shown at once, the newest: nobody reads more. */
const SHOWN_MAX = 20;

/**
 * Says something to everybody.
 *
 * @param until when it is old; undefined: when it is ended
 * @throws Refusal "announcement_invalid"
 */
export async function announce(
  database: Database,
  {
    text: typed,
    until,
    at,
  }: {
    readonly text: string;
    readonly until?: Temporal.Instant | undefined;
    readonly at: Temporal.Instant;
  },
): Promise<Announcement> {
  const text = typed.trim();
  if (text === "" || [...text].length > CHARS_MAX || !text.isWellFormed() || text.includes("\0"))
    throw new Refusal("announcement_invalid", { rule: `it has 1 to ${CHARS_MAX} characters` });
  if (until !== undefined && until.epochMilliseconds <= at.epochMilliseconds)
    throw new Refusal("announcement_invalid", { rule: "its end is not over" });
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [made] = await tx
        .insert(announcement)
        .values({ id: sql`new_id(${sqlTime(at)})`, text, at, until: until ?? null })
        .returning();
      await announceEvent(tx, { kind: "announcement", subject: made!.id, at });
      return made!;
    }),
  );
}

/** Ends an announcement. @throws Refusal "not_found" when there is none, or it has ended */
export async function endAnnouncement(
  database: Database,
  { id, at }: { readonly id: bigint; readonly at: Temporal.Instant },
): Promise<Announcement> {
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [ended] = await tx
        .update(announcement)
        .set({ until: at })
        .where(and(eq(announcement.id, id), isShown(at)))
        .returning();
      if (ended === undefined) throw new Refusal("not_found");
      await announceEvent(tx, { kind: "announcement_gone", subject: id, at });
      return ended;
    }),
  );
}

/** What is said now, the newest first. */
export async function announcements(
  { drizzle }: Pick<Database, "drizzle">,
  at: Temporal.Instant,
): Promise<readonly Announcement[]> {
  return drizzle
    .select()
    .from(announcement)
    .where(isShown(at))
    .orderBy(desc(announcement.id))
    .limit(SHOWN_MAX);
}

/** What is said now, the newest first, and whether the account has put it away. */
export async function announcementsFor(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
  at: Temporal.Instant,
): Promise<readonly (Announcement & { readonly isRead: boolean })[]> {
  const rows = await drizzle
    .select({ announcement, reader: announcementRead.account })
    .from(announcement)
    .leftJoin(
      announcementRead,
      and(
        eq(announcementRead.announcement, announcement.id),
        eq(announcementRead.account, account.id),
      ),
    )
    .where(isShown(at))
    .orderBy(desc(announcement.id))
    .limit(SHOWN_MAX);
  return rows.map(({ announcement: one, reader }) => ({ ...one, isRead: reader !== null }));
}

/** One announcement that is said now; undefined when there is none. */
export async function announcementOf(
  { drizzle }: Pick<Database, "drizzle">,
  id: bigint,
  at: Temporal.Instant,
): Promise<Announcement | undefined> {
  const [found] = await drizzle
    .select()
    .from(announcement)
    .where(and(eq(announcement.id, id), isShown(at)));
  return found;
}

/** Puts an announcement away for one account. Again changes nothing. @throws Refusal "not_found" */
export async function dismissAnnouncement(
  database: Database,
  { account, id, at }: { readonly account: Account; readonly id: bigint; at: Temporal.Instant },
): Promise<void> {
  if ((await announcementOf(database, id, at)) === undefined) throw new Refusal("not_found");
  await database.drizzle
    .insert(announcementRead)
    .values({ announcement: id, account: account.id })
    .onConflictDoNothing();
}

const isShown = (at: Temporal.Instant) =>
  or(isNull(announcement.until), gt(announcement.until, at));
