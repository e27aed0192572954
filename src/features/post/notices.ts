/** What somebody is told, as far as he may still see what it is about, and wants to hear of whoever caused it. */

import { type Database, LAST_ID, type Sql, TEXTS } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { Account } from "../account/create.ts";
import type { GroupRange, Noticed } from "../notice/group.ts";
import type { NoticeKind } from "../notice/notify.ts";
import type { TimelinePage } from "./timeline.ts";
import { type Condition, mayRead } from "./visible.ts";

/** Which notifications. */
export interface NoticeWish {
  readonly kinds: readonly NoticeKind[];
  /** Those that he caused alone. */
  readonly actor: ActorId | undefined;
}

interface Row extends Omit<Noticed, "post"> {
  readonly post: bigint | null;
}

/**
 * Notifications of a page, in the order in which they were read: the newest first, or from `minId` upwards the oldest
 * first. It reads the index of the account's own from where the page begins.
 */
export async function noticesOf(
  { sql }: Pick<Database, "sql">,
  account: Account,
  { kinds, actor }: NoticeWish,
  { limit, maxId, sinceId, minId }: TimelinePage,
  at: Temporal.Instant,
): Promise<readonly Noticed[]> {
  if (kinds.length === 0) return [];
  const rows = await sql<Row[]>`
    SELECT n.id, n.kind, n.actor, n.post FROM notification n
     WHERE n.account = ${account.id} AND n.id < ${maxId ?? LAST_ID} AND n.id > ${minId ?? sinceId ?? -1n}
       AND n.kind = ANY(${sql.array([...kinds], TEXTS)})
       AND ${actor === undefined ? sql`true` : sql`n.actor = ${actor}`}
       AND ${isWanted(sql, account, at)}
     ORDER BY n.id ${minId === undefined ? sql`DESC` : sql`ASC`} LIMIT ${limit}`;
  return rows.map(noticed);
}

/** One notification; undefined when there is none for this account. */
export async function noticeOf(
  { sql }: Pick<Database, "sql">,
  account: Account,
  id: bigint,
  at: Temporal.Instant,
): Promise<Noticed | undefined> {
  const [row] = await sql<Row[]>`
    SELECT n.id, n.kind, n.actor, n.post FROM notification n
     WHERE n.id = ${id} AND n.account = ${account.id} AND ${isWanted(sql, account, at)}`;
  return row === undefined ? undefined : noticed(row);
}

/** The newest notifications of a group. */
export async function noticesIn(
  { sql }: Pick<Database, "sql">,
  account: Account,
  range: GroupRange,
  limit: number,
  at: Temporal.Instant,
): Promise<readonly Noticed[]> {
  const rows = await sql<Row[]>`
    SELECT n.id, n.kind, n.actor, n.post FROM notification n
     WHERE n.account = ${account.id} AND ${isIn(sql, range)} AND ${isWanted(sql, account, at)}
     ORDER BY n.id DESC LIMIT ${limit}`;
  return rows.map(noticed);
}

/** Where somebody stopped reading them; undefined when he never began. */
export async function noticesRead(
  { sql }: Pick<Database, "sql">,
  account: Account,
): Promise<bigint | undefined> {
  const [row] = await sql<{ last_read: bigint }[]>`
    SELECT last_read FROM marker WHERE account = ${account.id} AND timeline = 'notifications'`;
  return row?.last_read;
}

/** Takes one away. @throws Refusal "not_found" when it is none of this account */
export async function dismissNotice(
  { sql }: Pick<Database, "sql">,
  account: Account,
  id: bigint,
): Promise<void> {
  await dismissGroup({ sql }, account, { id });
}

/** Takes a group away. @throws Refusal "not_found" when this account has nothing in it */
export async function dismissGroup(
  { sql }: Pick<Database, "sql">,
  account: Account,
  range: GroupRange,
): Promise<void> {
  const { count } = await sql`
    DELETE FROM notification n WHERE n.account = ${account.id} AND ${isIn(sql, range)}`;
  if (count === 0) throw new Refusal("not_found");
}

/** Takes all of them away. */
export async function clearNotices(
  { sql }: Pick<Database, "sql">,
  account: Account,
): Promise<void> {
  await sql`DELETE FROM notification n WHERE n.account = ${account.id}`;
}

function isIn(sql: Sql, range: GroupRange): Condition {
  if ("id" in range) return sql`n.id = ${range.id}`;
  const { kind, post, from, below } = range;
  return sql`(n.id >= ${from} AND n.id < ${below} AND n.kind = ${kind}
    AND ${post === undefined ? sql`n.post IS NULL` : sql`n.post = ${post}`})`;
}

/** True for notifications `n` of people who are there, whom the account wants to hear of, about posts it may read. */
function isWanted(sql: Sql, { id, actor }: Account, at: Temporal.Instant): Condition {
  return sql`(EXISTS (SELECT FROM actor a WHERE a.id = n.actor AND a.deleted_at IS NULL OFFSET 0)
    AND NOT EXISTS (SELECT FROM mute mu WHERE mu.account = ${id} AND mu.actor = n.actor AND mu.hides_notifications
                       AND (mu.until IS NULL OR mu.until > ${sqlTime(at)}::timestamptz) OFFSET 0)
    AND NOT EXISTS (SELECT FROM person_block pb WHERE pb.blocker = ${actor} AND pb.blocked = n.actor OFFSET 0)
    AND NOT EXISTS (SELECT FROM person_block pb WHERE pb.blocker = n.actor AND pb.blocked = ${actor} OFFSET 0)
    AND (n.post IS NULL OR EXISTS (SELECT FROM post p WHERE p.id = n.post AND ${mayRead(sql, { id, actor })} OFFSET 0)))`;
}

function noticed({ id, kind, actor, post }: Row): Noticed {
  return { id, kind, actor, post: post ?? undefined };
}
