/** How a post was before its author changed it. */

import { desc, eq } from "drizzle-orm";
import type { Database } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { type Attachment, type Poll, post, postEdit } from "./schema.ts";

/** One form of a post. */
export interface Edit {
  readonly at: Temporal.Instant;
  readonly text: string | null;
  readonly html: string | null;
  readonly summary: string | null;
  readonly isSensitive: boolean;
  readonly attachments: readonly Attachment[] | null;
  readonly poll: Poll | null;
}

/** Forms of one post that are shown. */
const EDITS_MAX = 100;

/** The form that a post has now, and before it those that it had, the newest first. */
export async function editsOf(
  { drizzle }: Pick<Database, "drizzle">,
  id: bigint,
): Promise<readonly Edit[]> {
  const [now] = await drizzle.select().from(post).where(eq(post.id, id));
  if (now === undefined) return [];
  const before = await drizzle
    .select()
    .from(postEdit)
    .where(eq(postEdit.post, id))
    .orderBy(desc(postEdit.at))
    .limit(EDITS_MAX);
  return [{ ...now, at: now.editedAt ?? now.at }, ...before];
}
