/** What people do with posts for themselves: bookmarks, and what stands on top of a profile. */

import { and, eq, isNull, sql } from "drizzle-orm";
import { type Database, retrying } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { Account } from "../account/create.ts";
import { bookmark, post } from "./schema.ts";

/** Somebody, and a post that he may see. */
export interface Kept {
  readonly account: Account;
  readonly post: bigint;
  readonly at: Temporal.Instant;
}

/** Remembers a post; nobody else learns of it. Again changes nothing. */
export async function bookmarkPost(
  { drizzle }: Pick<Database, "drizzle">,
  { account, post, at }: Kept,
): Promise<void> {
  await retrying(() =>
    drizzle
      .insert(bookmark)
      .values({ id: sql`new_id(${sqlTime(at)})`, account: account.id, post })
      .onConflictDoNothing({ target: [bookmark.account, bookmark.post] }),
  );
}

/** Forgets a bookmark. Changes nothing when there is none. */
export async function unbookmarkPost(
  { drizzle }: Pick<Database, "drizzle">,
  { account, post }: Pick<Kept, "account" | "post">,
): Promise<void> {
  await drizzle
    .delete(bookmark)
    .where(and(eq(bookmark.account, account.id), eq(bookmark.post, post)));
}

/** Posts on top of one profile. */
const PINNED_MAX = 5;

/**
 * Puts one of one's own posts on top of the profile.
 *
 * @throws Refusal "pin_invalid" when it is not one's own, not for everybody, or too many stand there already
 */
export async function pinPost(
  { drizzle }: Pick<Database, "drizzle">,
  { account, post: id, at }: Kept,
): Promise<void> {
  await retrying(() =>
    drizzle.transaction(async (tx) => {
      // One after the other for each person, so that two at once do not pass the limit.
      await tx.execute(
        sql`SELECT pg_advisory_xact_lock(hashtextextended(${`pin ${account.id}`}, 0))`,
      );
      const [row] = await tx.execute<{ many: number }>(sql`
        SELECT count(*)::int AS many FROM post WHERE author = ${account.actor} AND pinned_at IS NOT NULL AND deleted_at IS NULL AND id <> ${id}`);
      if (row!.many >= PINNED_MAX) throw new Refusal("pin_invalid", { max: String(PINNED_MAX) });
      const pinned = await tx
        .update(post)
        .set({ pinnedAt: at })
        .where(
          and(
            eq(post.id, id),
            eq(post.author, account.actor),
            isNull(post.deletedAt),
            sql`${post.visibility} IN ('public', 'unlisted')`,
          ),
        )
        .returning({ id: post.id });
      if (pinned.length === 0) throw new Refusal("pin_invalid", { max: String(PINNED_MAX) });
    }),
  );
}

/** Takes it from there again. */
export async function unpinPost(
  { drizzle }: Pick<Database, "drizzle">,
  { account, post: id }: Pick<Kept, "account" | "post">,
): Promise<void> {
  await drizzle
    .update(post)
    .set({ pinnedAt: null })
    .where(and(eq(post.id, id), eq(post.author, account.actor)));
}
