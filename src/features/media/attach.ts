/** Pictures come to a post, and leave it. */

import { and, eq, sql } from "drizzle-orm";
import type { Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { mediaAddress } from "./address.ts";
import type { Media } from "./keep.ts";
import { ATTACHMENTS_MAX } from "./limits.ts";
import { KEPT_TYPE } from "./picture.ts";
import { media } from "./schema.ts";

/** A picture of this instance as a post keeps it. */
export interface AttachedMedia {
  readonly url: string;
  readonly mediaType: string;
  readonly description: string | null;
  readonly media: string;
  readonly previewUrl: string;
  readonly width: number;
  readonly height: number;
  readonly blurhash?: string;
  readonly focus?: readonly [number, number];
}

/**
 * Gives pictures to a post, in the transaction that writes it. Those that it has already may be named again; those that
 * an edited post has no more stay with it, since its history shows them.
 *
 * @param ids in the order in which they are shown
 * @throws Refusal "media_unknown" when one is not the account's, is another post's, or there are too many
 */
export async function takeMedia(
  tx: Tx,
  origin: string,
  {
    account,
    ids,
    post,
  }: {
    readonly account: AccountId;
    readonly ids: readonly bigint[];
    readonly post: bigint;
  },
): Promise<readonly AttachedMedia[]> {
  const wanted = [...new Set(ids)];
  if (wanted.length === 0) return [];
  const refusal = () => new Refusal("media_unknown", { max: String(ATTACHMENTS_MAX) });
  if (wanted.length > ATTACHMENTS_MAX) throw refusal();
  const taken = await tx
    .update(media)
    .set({ post })
    .where(
      and(
        sql`${media.id} IN (SELECT value::bigint FROM jsonb_array_elements_text(${JSON.stringify(wanted.map(String))}::jsonb))`,
        eq(media.account, account),
        eq(media.purpose, "attachment"),
        sql`(${media.post} IS NULL OR ${media.post} = ${post})`,
      ),
    )
    .returning();
  if (taken.length !== wanted.length) throw refusal();
  const byId = new Map(taken.map((one) => [one.id, one]));
  return wanted.map((id) => attachedMedia(byId.get(id)!, origin));
}

/**
 * A post is deleted: its pictures belong to none again, and are forgotten a day later. Until then the same words can be
 * written anew with them.
 */
export async function releaseMedia(tx: Tx, post: bigint, at: Temporal.Instant): Promise<void> {
  await tx.update(media).set({ post: null, createdAt: at }).where(eq(media.post, post));
}

/** A picture as a post keeps it. */
export function attachedMedia(
  { id, name, description, width, height, blurhash, focus }: Media,
  origin: string,
): AttachedMedia {
  return {
    url: mediaAddress(origin, name),
    mediaType: KEPT_TYPE,
    description,
    media: String(id),
    previewUrl: mediaAddress(origin, name, "small"),
    width,
    height,
    ...(blurhash === null ? {} : { blurhash }),
    ...(focus === null ? {} : { focus }),
  };
}
