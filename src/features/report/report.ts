/** Complaints about people, to the operator of this instance and, if wanted, to that of theirs. */

import { and, eq, isNull, sql } from "drizzle-orm";
import { type Database, retrying, TEXTS, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { Account } from "../account/create.ts";
import { ensureOwnActors, instanceActorUri } from "../account/own.ts";
import { actor } from "../account/schema.ts";
import { tell } from "../activity/tell.ts";
import { mayRead } from "../post/visible.ts";
import { flagDocument } from "./documents.ts";
import { report } from "./schema.ts";

/** A complaint, as it is kept. */
export type Report = typeof report.$inferSelect;

/** What it is about. */
export type ReportCategory = Report["category"];

/** Characters of a comment, as Mastodon has it. */
export const COMMENT_CHARS_MAX = 1_000;

/** Posts of one complaint. */
export const REPORTED_POSTS_MAX = 50;

/** Open complaints of one person: who has more waits until the operator has read them. */
const OPEN_MAX = 50;

/** What somebody complains about. */
export interface Complaint {
  readonly account: Account;
  readonly target: ActorId;
  /** Posts of the target that the account may read. */
  readonly posts: readonly bigint[];
  readonly comment: string;
  readonly category: ReportCategory;
  /** The target's own server is told, too, without saying by whom. */
  readonly forwards: boolean;
  readonly at: Temporal.Instant;
}

/**
 * Keeps a complaint for the operator.
 *
 * @throws Refusal "not_found" for nobody, or a post that is none of the target's or hidden from the account; "oneself";
 *   "report_invalid"
 */
export async function reportActor(
  database: Database,
  { account, target, posts, comment, category, forwards, at }: Complaint,
): Promise<Report> {
  if (target === account.actor) throw new Refusal("oneself");
  const ids = [...new Set(posts)];
  if (ids.length > REPORTED_POSTS_MAX)
    throw invalid(`it names at most ${REPORTED_POSTS_MAX} posts`);
  if ([...comment].length > COMMENT_CHARS_MAX || !isKeepable(comment))
    throw invalid(`a comment has at most ${COMMENT_CHARS_MAX} characters`);
  const uris = await readableUris(database, account, target, ids);
  if (uris.length < ids.length) throw new Refusal("not_found");
  const { origin } = database.settings;
  const { host } = new URL(origin);
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [person] = await tx
        .select({ uri: actor.uri, host: actor.host })
        .from(actor)
        .where(and(eq(actor.id, target), isNull(actor.deletedAt)));
      if (person === undefined) throw new Refusal("not_found");
      if ((await countOpen(tx, sql`r.account = ${account.id}::bigint`, OPEN_MAX)) >= OPEN_MAX)
        throw invalid(`${OPEN_MAX} of yours wait to be read`);
      const isForwarded = forwards && person.host !== host;
      const [made] = await tx
        .insert(report)
        .values({
          id: sql`new_id(${sqlTime(at)})`,
          account: account.id,
          target,
          posts: ids.map(String),
          comment,
          category,
          isForwarded,
          at,
        })
        .returning();
      if (isForwarded) {
        const instance = instanceActorUri(origin);
        await tell(tx, {
          sender: (await ensureOwnActors(tx, origin, at)).instance,
          activity: "Flag",
          document: flagDocument({
            id: `${instance}#flags/${made!.id}`,
            instance,
            target: person.uri,
            posts: uris,
            comment,
          }),
          subject: made!.id,
          to: [target],
          at,
        });
      }
      return made!;
    }),
  );
}

/** The addresses of those of these posts that the target wrote and the account may read. */
async function readableUris(
  { sql: raw }: Pick<Database, "sql">,
  account: Account,
  target: ActorId,
  ids: readonly bigint[],
): Promise<readonly string[]> {
  if (ids.length === 0) return [];
  const rows = await raw<{ uri: string }[]>`
    SELECT t.uri FROM post p JOIN thing t ON t.id = p.thing
     WHERE p.id = ANY(${raw.array(ids.map(String), TEXTS)}::bigint[]) AND p.author = ${target} AND ${mayRead(raw, account)}
     ORDER BY p.id`;
  return rows.map(({ uri }) => uri);
}

/** How many complaints of some kind wait, counted up to a limit. */
export async function countOpen(
  tx: Tx,
  which: ReturnType<typeof sql>,
  limit: number,
): Promise<number> {
  const [row] = await tx.execute<{ many: number }>(sql`
    SELECT count(*)::int AS many FROM (
      SELECT FROM report r WHERE r.done_at IS NULL AND ${which} LIMIT ${limit}) open`);
  return row!.many;
}

/** True for text that a database can keep. */
function isKeepable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

function invalid(rule: string): Refusal {
  return new Refusal("report_invalid", { rule });
}
