/** Notifications as clients read them. @see https://docs.joinmastodon.org/entities/Notification/ */

import { groupKeyOf, type Noticed, type NoticeGroup } from "../../features/notice/group.ts";
import { noticeOf } from "../../features/post/notices.ts";
import { Temporal } from "../../store/time.ts";
import { accountEntities, type Entity, instantText } from "./account.ts";
import { filtered } from "./filtered.ts";
import type { Caller, ClientParts } from "./frame.ts";
import { statusEntities } from "./status.ts";

type NoticeParts = Pick<ClientParts, "database" | "clock">;

/** People who stand for a group. */
export const SAMPLE = 8;

/** One notification of the caller; undefined when there is none for him, or a filter of his hides it. */
export async function notificationEntity(
  parts: NoticeParts,
  caller: Caller,
  id: bigint,
): Promise<Entity | undefined> {
  const notice = await noticeOf(parts.database, caller.account, id, parts.clock.now());
  if (notice === undefined) return undefined;
  const [entity] = await notificationEntities(parts, caller, [notice]);
  return entity;
}

/** Notifications in their order, without those that a filter of the caller hides. */
export async function notificationEntities(
  parts: NoticeParts,
  caller: Caller,
  notices: readonly Noticed[],
): Promise<readonly Entity[]> {
  const [accounts, statuses] = await Promise.all([
    accountEntities(
      parts,
      notices.map(({ actor }) => actor),
    ),
    postsOf(parts, caller, notices),
  ]);
  return notices.flatMap((notice) => {
    const { id, kind, actor, post } = notice;
    const account = accounts.get(actor);
    const status = post === undefined ? undefined : statuses.get(post);
    if (account === undefined || (post !== undefined && status === undefined)) return [];
    return [
      {
        id: String(id),
        type: kind,
        created_at: instantText(timeOf(id)),
        group_key: groupKeyOf(notice),
        account,
        ...(status === undefined ? {} : { status }),
      },
    ];
  });
}

/** Groups, with all people and posts that they name. */
export interface GroupedNotices {
  readonly accounts: readonly Entity[];
  /** Of these only name and picture are told. */
  readonly partial_accounts?: readonly Entity[];
  readonly statuses: readonly Entity[];
  readonly notification_groups: readonly Entity[];
}

/**
 * Groups as clients read them, without those that a filter of the caller hides.
 *
 * @param expands whether everybody is told in full, or the newest of each group alone
 * @see https://docs.joinmastodon.org/methods/grouped_notifications/
 */
export async function groupedEntities(
  parts: NoticeParts,
  caller: Caller,
  groups: readonly NoticeGroup[],
  expands: "full" | "partial_avatars",
): Promise<GroupedNotices> {
  const statuses = await postsOf(
    parts,
    caller,
    groups.map(({ notices }) => notices[0]),
  );
  const shown = groups.filter(
    ({ notices: [{ post }] }) => post === undefined || statuses.has(post),
  );
  const samples = shown.map(({ notices }) => samplesOf(notices));
  const accounts = await accountEntities(parts, samples.flat());
  const inFull = new Set(expands === "full" ? samples.flat() : samples.map(([first]) => first!));
  const rest = new Set(samples.flat().filter((id) => !inFull.has(id)));
  const entities = (ids: ReadonlySet<bigint>) =>
    [...ids].map((id) => accounts.get(id)).filter((entity) => entity !== undefined);
  return {
    accounts: entities(inFull),
    ...(expands === "full" ? {} : { partial_accounts: entities(rest).map(partialEntity) }),
    statuses: [...statuses.values()],
    notification_groups: shown.map((group, n) => groupEntity(group, samples[n]!)),
  };
}

function groupEntity({ key, notices }: NoticeGroup, sample: readonly bigint[]): Entity {
  const [newest] = notices;
  const oldest = notices.at(-1)!;
  return {
    group_key: key,
    notifications_count: notices.length,
    type: newest.kind,
    most_recent_notification_id: exactNumber(newest.id),
    page_min_id: String(oldest.id),
    page_max_id: String(newest.id),
    latest_page_notification_at: instantText(timeOf(newest.id)),
    sample_account_ids: sample.map(String),
    ...(newest.post === undefined ? {} : { status_id: String(newest.post) }),
  };
}

/** @see https://docs.joinmastodon.org/entities/PartialAccountWithAvatar/ */
function partialEntity({ id, acct, url, avatar, avatar_static, locked, bot }: Entity): Entity {
  return { id, acct, url, avatar, avatar_static, locked, bot };
}

/** Who caused them, the newest first, each once. */
function samplesOf(notices: readonly Noticed[]): readonly bigint[] {
  return [...new Set(notices.map(({ actor }) => actor))].slice(0, SAMPLE);
}

async function postsOf(
  parts: NoticeParts,
  caller: Caller,
  notices: readonly Noticed[],
): Promise<ReadonlyMap<bigint, Entity>> {
  const ids = new Set(notices.flatMap(({ post }) => (post === undefined ? [] : [post])));
  const entities = await statusEntities(parts, caller, [...ids]);
  const shown = await filtered(parts, caller.account, "notifications", entities);
  return new Map(shown.map((entity) => [BigInt(entity["id"] as string), entity]));
}

/** When something with this id was made. */
function timeOf(id: bigint): Temporal.Instant {
  return Temporal.Instant.fromEpochMilliseconds(Number(id >> 16n));
}

/** Not typed yet. @see https://tc39.es/proposal-json-parse-with-source/ */
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

/**
 * A number that JSON writes exactly, however large. It is the one id that typed clients read as a number, since
 * Mastodon writes it so.
 */
function exactNumber(id: bigint): unknown {
  return rawJSON(String(id));
}
