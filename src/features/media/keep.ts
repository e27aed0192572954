/** Pictures that are uploaded: kept in the database, changed and taken away by those who brought them. */

import { randomBytes } from "node:crypto";
import { and, eq, isNull, sql } from "drizzle-orm";
import { isLongerThan, typedText } from "../../rules/typed.ts";
import { type Database, type Drizzle, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { Account } from "../account/create.ts";
import { DESCRIPTION_CHARS_MAX } from "./limits.ts";
import { KEPT_TYPE, makePicture, type Picture, type Purpose } from "./picture.ts";
import { media, mediaFile } from "./schema.ts";

/** A picture of this instance. */
export type Media = typeof media.$inferSelect;

/** What must not be cut off: from -1 to 1, left to right and bottom to top. */
export type Focus = readonly [number, number];

/** A file that somebody uploads. */
export interface Upload {
  readonly account: Account;
  readonly purpose: Purpose;
  readonly bytes: Uint8Array;
  /** Words for those who do not see it. */
  readonly description?: string | undefined;
  readonly focus?: Focus | undefined;
  readonly at: Temporal.Instant;
}

/**
 * Keeps a picture, encoded anew. It belongs to no post yet.
 *
 * @throws Refusal "media_invalid", "media_too_large", "media_busy"
 */
export async function keepImage(
  database: Pick<Database, "drizzle">,
  { bytes, description, ...upload }: Upload,
): Promise<Media> {
  const words = descriptionOf(description);
  const picture = await makePicture(bytes, upload.purpose);
  return retrying(() =>
    database.drizzle.transaction((tx) =>
      keepPicture(tx, { ...upload, picture, description: words }),
    ),
  );
}

/** Writes a picture down, in the transaction of what it belongs to. */
export async function keepPicture(
  tx: Tx,
  {
    account,
    purpose,
    picture: { original, small, blurhash },
    description = null,
    focus,
    at,
  }: Pick<Upload, "account" | "purpose" | "focus" | "at"> & {
    readonly picture: Picture;
    readonly description?: string | null | undefined;
  },
): Promise<Media> {
  const [kept] = await tx
    .insert(media)
    .values({
      id: sql`new_id(${sqlTime(at)})`,
      account: account.id,
      purpose,
      name: randomBytes(NAME_BYTES).toString("hex"),
      description,
      focus: focus ?? null,
      blurhash,
      width: original.width,
      height: original.height,
      smallWidth: small.width,
      smallHeight: small.height,
      createdAt: at,
    })
    .returning();
  const file = (size: "original" | "small", content: Uint8Array) => ({
    media: kept!.id,
    size,
    mediaType: KEPT_TYPE,
    content,
  });
  await tx.insert(mediaFile).values([file("original", original.bytes), file("small", small.bytes)]);
  return kept!;
}

/** Of the name in its address: nobody finds it by trying. */
const NAME_BYTES = 16;

/** A picture for posts that this account brought; of nobody else. @throws Refusal "not_found" */
export async function ownMedia(
  { drizzle }: { readonly drizzle: Drizzle },
  account: Account,
  id: bigint,
): Promise<Media> {
  const [found] = await drizzle.select().from(media).where(isOwn(account, id));
  if (found === undefined) throw new Refusal("not_found");
  return found;
}

/**
 * Changes the words beside a picture, or what must not be cut off. A post that has it shows that when it is edited.
 *
 * @param description empty: none
 * @throws Refusal "not_found" when the account has no such picture, "media_invalid"
 */
export async function describeMedia(
  { drizzle }: Pick<Database, "drizzle">,
  {
    account,
    id,
    description,
    focus,
  }: {
    readonly account: Account;
    readonly id: bigint;
    readonly description?: string | undefined;
    readonly focus?: Focus | undefined;
  },
): Promise<Media> {
  const changes = {
    ...(description === undefined ? {} : { description: descriptionOf(description) }),
    ...(focus === undefined ? {} : { focus }),
  };
  if (Object.keys(changes).length === 0) return ownMedia({ drizzle }, account, id);
  const [changed] = await drizzle.update(media).set(changes).where(isOwn(account, id)).returning();
  if (changed === undefined) throw new Refusal("not_found");
  return changed;
}

/**
 * Takes a picture away that no post has.
 *
 * @throws Refusal "not_found" when the account has no such picture, "media_in_use" when a post has it
 */
export async function dropMedia(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
  id: bigint,
): Promise<void> {
  const gone = await drizzle
    .delete(media)
    .where(and(isOwn(account, id), isNull(media.post)))
    .returning({ id: media.id });
  if (gone.length > 0) return;
  await ownMedia({ drizzle }, account, id);
  throw new Refusal("media_in_use");
}

function descriptionOf(text: string | undefined): string | null {
  const words = typedText(text ?? "");
  if (isLongerThan(words, DESCRIPTION_CHARS_MAX))
    throw new Refusal("media_invalid", {
      rule: `its description has at most ${DESCRIPTION_CHARS_MAX} characters`,
    });
  return words === "" ? null : words;
}

const isOwn = (account: Account, id: bigint) =>
  and(eq(media.id, id), eq(media.account, account.id), eq(media.purpose, "attachment"));
