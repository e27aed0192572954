/** Telling people of this instance what concerns them: who spoke to them, followed them, passed their posts on. */

import { type SQL, sql } from "drizzle-orm";
import type { Tx } from "../../store/database.ts";
import type { JobKind } from "../../store/jobs.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { AccountId } from "../account/create.ts";
import { NOTICE_STEPS, noticeHidden, PUSH_ATTEMPTS_MAX } from "./noticing.ts";
import type { NOTIFICATION_KINDS } from "./schema.ts";

/** What clients know. @see https://docs.joinmastodon.org/entities/Notification/#type */
export type NoticeKind = (typeof NOTIFICATION_KINDS)[number];

/** Somebody with a push subscription is to be told of a notification. */
export const noticePush: JobKind<{ readonly notification: string }> = {
  name: "notice.push",
  attemptsMax: PUSH_ATTEMPTS_MAX,
};

/** Something that happened and concerns people here. */
export interface Notice {
  readonly kind: NoticeKind;
  /** Who caused it. */
  readonly actor: ActorId;
  /** The post it is about. */
  readonly post?: bigint | undefined;
  readonly at: Temporal.Instant;
}

/** Tells one account, in the transaction of the cause. The same again changes nothing. */
export async function notify(
  tx: Tx,
  { account, ...notice }: Notice & { readonly account: AccountId },
): Promise<void> {
  await notifyAll(tx, notice, sql`SELECT ${account}::bigint AS account`);
}

/**
 * Tells many accounts, in the transaction of the cause and in one statement. The same again changes nothing. Nobody is
 * told of what he did himself, but that his own poll has ended.
 *
 * @param accounts a query of the ids of accounts, as `account`; each may come twice
 */
export async function notifyAll(
  tx: Tx,
  { kind, actor, post, at }: Notice,
  accounts: SQL,
): Promise<void> {
  await tx.execute(sql`
    WITH n AS MATERIALIZED (
      SELECT ${actor}::bigint AS actor, ${post ?? null}::bigint AS post, ${sqlTime(at)}::timestamptz AS at),
    noticing AS MATERIALIZED (
      SELECT x.id AS account, ${kind}::text AS kind, n.actor, n.post, n.at FROM account x, n
       WHERE x.id IN (SELECT told.account FROM (${accounts}) AS told)
         AND (x.actor <> n.actor OR ${kind === "poll"})
         AND NOT ${sql.raw(HIDDEN)}
       -- In one order, so that two who tell the same never wait for each other.
       ORDER BY x.id),
    ${sql.raw(NOTICE_STEPS)}
    SELECT count(*) FROM pushed`);
}

const HIDDEN = noticeHidden({
  account: "x.id",
  self: "x.actor",
  actor: "n.actor",
  post: "n.post",
  at: "n.at",
});

/** What caused a notification was taken back: so is the notification. */
export async function unnotify(
  tx: Tx,
  {
    account,
    kinds,
    actor,
    post,
  }: {
    /** A query of the ids of the accounts that may have been told. */
    readonly account: SQL;
    readonly kinds: readonly NoticeKind[];
    readonly actor: ActorId;
    readonly post?: bigint | undefined;
  },
): Promise<void> {
  await tx.execute(sql`
    DELETE FROM notification
     WHERE account IN (${account})
       AND kind IN (${sql.join(
         kinds.map((kind) => sql`${kind}`),
         sql`, `,
       )})
       AND actor = ${actor}::bigint AND ${post === undefined ? sql`post IS NULL` : sql`post = ${post}::bigint`}`);
}
