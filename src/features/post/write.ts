/** Writing posts. */

import { sql } from "drizzle-orm";
import type { Database } from "../../store/database.ts";
import { retrying } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { actorUri, type Account } from "../account/create.ts";
import { rememberThing } from "../thing/thing.ts";
import { post } from "./schema.ts";

export type Post = typeof post.$inferSelect & { readonly uri: string };

/** Characters of one post; more than most servers allow, so that what comes from them fits. */
const TEXT_CHARS_MAX = 5000;

/**
 * Publishes a post of a local account, which is a thing from then on.
 *
 * @throws Refusal "post_invalid" when it is empty or too long
 */
export async function writePost(
  database: Database,
  { author, text, at }: { author: Account; text: string; at: Temporal.Instant },
): Promise<Post> {
  const length = [...text].length;
  if (text.trim() === "" || length > TEXT_CHARS_MAX || text.includes("\0"))
    throw new Refusal("post_invalid", { max: String(TEXT_CHARS_MAX) });
  const { settings } = database;
  const payee = actorUri(settings.origin, author.name);
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [row] = await tx.execute<{ id: string }>(sql`SELECT new_id(${sqlTime(at)}) AS id`);
      const id = BigInt(row!.id);
      const uri = `${payee}/posts/${id}`;
      const thing = await rememberThing(
        tx,
        settings,
        { uri, kind: "Note", payees: [{ payee, weight: 1 }] },
        at,
      );
      const [made] = await tx
        .insert(post)
        .values({ id, author: author.actor, thing, text, at })
        .returning();
      return { ...made!, uri };
    }),
  );
}
