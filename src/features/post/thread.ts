/** Conversations: muting them, and asking for what is missing of them. */

import { type SQL, sql } from "drizzle-orm";
import { type Database, type Drizzle, retrying, type Tx } from "../../store/database.ts";
import type { JobKind } from "../../store/jobs.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { Account } from "../account/create.ts";

/** Posts upwards of one that are looked at: longer conversations have no beginning here. */
const DEPTH_MAX = 100;

/** How often the answers to one post are asked for at most, in minutes. */
const REPLIES_AGAIN_MINUTES = 15;

/** Readers cause these jobs, and the posts of strangers: what is not answered at once is asked at the next look. */
const ATTEMPTS_MAX = 3;

/** Somebody looks at a post of another server: its server is asked for the answers, and for what it answers. */
export const postReplies: JobKind<{ readonly post: string }> = {
  name: "post.replies",
  attemptsMax: ATTEMPTS_MAX,
};

/** Somebody who is followed answered a post that is not known here. */
export const postAncestors: JobKind<{ readonly post: string }> = {
  name: "post.ancestors",
  attemptsMax: ATTEMPTS_MAX,
};

/** Somebody here, and any post of a conversation. */
export interface OwnThread {
  readonly account: Account;
  readonly post: bigint;
}

/** The addresses of a post and of all that it answers, as `up (uri, level)`: the last may be unknown here. */
function upwards(post: bigint): SQL {
  return sql`WITH RECURSIVE up AS (
    SELECT t.uri, p.in_reply_to, p.id, 0 AS level FROM post p JOIN thing t ON t.id = p.thing WHERE p.id = ${post}::bigint
    UNION ALL
    SELECT up.in_reply_to, p.in_reply_to, p.id, up.level + 1
      FROM up LEFT JOIN thing t ON t.uri = up.in_reply_to LEFT JOIN post p ON p.thing = t.id
     WHERE up.in_reply_to IS NOT NULL AND up.level < ${DEPTH_MAX}::int)`;
}

/** Nothing more is told of a conversation: known by the address of its first post, as far as it is known here. */
export async function muteThread(
  { drizzle }: Pick<Database, "drizzle">,
  { account, post }: OwnThread,
): Promise<void> {
  await retrying(() =>
    drizzle.execute(sql`
      ${upwards(post)}
      INSERT INTO thread_mute (account, root) SELECT ${account.id}::bigint, uri FROM up ORDER BY level DESC LIMIT 1
      ON CONFLICT DO NOTHING`),
  );
}

/** A conversation is heard of again, whichever of its posts was its first when it was muted. */
export async function unmuteThread(
  { drizzle }: Pick<Database, "drizzle">,
  { account, post }: OwnThread,
): Promise<void> {
  await drizzle.execute(sql`
    ${upwards(post)}
    DELETE FROM thread_mute m USING up WHERE m.account = ${account.id}::bigint AND m.root = up.uri`);
}

/** The address that a conversation goes on at upwards and that is not known here; undefined when nothing is missing. */
export async function missingAbove(tx: Tx | Drizzle, post: bigint): Promise<string | undefined> {
  const [row] = await tx.execute<{ uri: string; is_known: boolean }>(sql`
    ${upwards(post)} SELECT uri, id IS NOT NULL AS is_known FROM up ORDER BY level DESC LIMIT 1`);
  return row === undefined || row.is_known ? undefined : row.uri;
}

/**
 * Lets the server of a post be asked for the answers to it, if it is of another server and was not asked within the last
 * quarter of an hour. What comes is there at the next look.
 *
 * @returns true when it will be asked
 */
export async function wantReplies(
  { sql: raw }: Pick<Database, "sql">,
  post: bigint,
  at: Temporal.Instant,
): Promise<boolean> {
  const before = sqlTime(at.subtract({ minutes: REPLIES_AGAIN_MINUTES }));
  // Whoever looks next waits as long, whatever becomes of the job.
  const due = await raw`
    WITH due AS (
      UPDATE post SET replies_read_at = ${sqlTime(at)}
       WHERE id = ${post}::bigint AND html IS NOT NULL AND text IS NULL AND deleted_at IS NULL
         AND visibility IN ('public', 'unlisted') AND (replies_read_at IS NULL OR replies_read_at <= ${before})
      RETURNING id)
    SELECT graphile_worker.add_job(${postReplies.name}, json_build_object('post', id::text), job_key => ${`${postReplies.name}:${post}`},
                                   max_attempts => ${ATTEMPTS_MAX}) FROM due`;
  return due.length > 0;
}
