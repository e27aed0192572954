/** What people of this instance say about themselves, and how they want to be found and followed. */

import { eq } from "drizzle-orm";
import { isMoneyField } from "../../rules/money-fields.ts";
import { isLongerThan, typedLine, typedText } from "../../rules/typed.ts";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { Account } from "../account/create.ts";
import { personNamed } from "../account/person.ts";
import { account as accounts, actor, actorSecret } from "../account/schema.ts";
import { tell, untell } from "../activity/tell.ts";
import { newId } from "../follow/follow.ts";
import { mediaAddress, mediaIn } from "../media/address.ts";
import { keepPicture } from "../media/keep.ts";
import { makePicture, type Picture } from "../media/picture.ts";
import { media } from "../media/schema.ts";
import { cleanName } from "./clean.ts";
import { actorsOfHandles } from "./marks.ts";
import { personUpdateDocument } from "./person-document.ts";
import { marksOf, renderText } from "./text.ts";

/** Characters that a profile may have. */
export const DISPLAY_NAME_CHARS_MAX = 100;
export const NOTE_CHARS_MAX = 500;
export const FIELD_NAME_CHARS_MAX = 100;
export const FIELD_VALUE_CHARS_MAX = 255;

/** Fields of one profile; servers elsewhere keep 4 to 16. */
export const FIELDS_MAX = 8;

/** A field of a profile, as typed. */
export interface ProfileField {
  readonly name: string;
  readonly value: string;
}

/** What changes; undefined: it stays. */
export interface ProfileChange {
  readonly account: Account;
  /** Empty: the name of the account stands in its place. */
  readonly displayName?: string | undefined;
  readonly note?: string | undefined;
  /** All of them, in their order. */
  readonly fields?: readonly ProfileField[] | undefined;
  /** A file; null: none from now on. */
  readonly avatar?: Uint8Array | null | undefined;
  readonly header?: Uint8Array | null | undefined;
  /** He decides about each follower himself. */
  readonly isLocked?: boolean | undefined;
  readonly isBot?: boolean | undefined;
  readonly isDiscoverable?: boolean | undefined;
  /** His public posts may be found by their words. */
  readonly isIndexable?: boolean | undefined;
  readonly postVisibility?: Account["postVisibility"] | undefined;
  readonly postsSensitive?: boolean | undefined;
  /** As in BCP 47; empty: none. */
  readonly postLanguage?: string | undefined;
  readonly at: Temporal.Instant;
}

/**
 * Changes a profile, all of it or nothing. Followers elsewhere are told what everybody may see of it. Fields that were
 * computed for the owner are dropped, since programs save a profile as they read it.
 *
 * @throws Refusal "profile_invalid" for what is too long or of no known form; "media_invalid", "media_too_large",
 *   "media_busy" for a picture
 */
export async function updateProfile(database: Database, change: ProfileChange): Promise<Account> {
  const { account, at } = change;
  const { origin } = database.settings;
  const typed = typedColumns(change);
  const pictures = {
    avatar: await madeOf(change.avatar, "avatar"),
    header: await madeOf(change.header, "header"),
  };
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [before] = await tx
        .select()
        .from(actor)
        .where(eq(actor.id, account.actor))
        .for("update");
      if (before === undefined || before.deletedAt !== null)
        throw new Refusal("account_unknown", { name: account.name });
      const shown: Partial<typeof actor.$inferInsert> = {
        ...(await shownColumns(tx, origin, change, typed)),
        ...(await pictureColumns(tx, origin, change, { before, pictures })),
      };
      if (Object.keys(shown).length > 0)
        await tx.update(actor).set(shown).where(eq(actor.id, account.actor));
      const [old] = await tx.select().from(accounts).where(eq(accounts.id, account.id));
      const changed = Object.keys(typed).length === 0 ? old : await setAccount(tx, account, typed);
      const isSeen = differs(before, shown) || old!.isDiscoverable !== changed!.isDiscoverable;
      if (isSeen) await tellProfile(tx, origin, changed!, at);
      return changed!;
    }),
  );
}

async function setAccount(tx: Tx, { id }: Account, typed: TypedColumns): Promise<Account> {
  const [changed] = await tx.update(accounts).set(typed).where(eq(accounts.id, id)).returning();
  return changed!;
}

type TypedColumns = Partial<
  Pick<
    Account,
    "note" | "fields" | "isDiscoverable" | "postVisibility" | "postsSensitive" | "postLanguage"
  >
>;

/** What is kept as typed. */
function typedColumns(change: ProfileChange): TypedColumns {
  const { note, fields, isDiscoverable, postVisibility, postsSensitive, postLanguage } = change;
  if (change.displayName !== undefined) nameOf(change.displayName);
  return given({
    note: note === undefined ? undefined : noteOf(note),
    fields: fields === undefined ? undefined : fieldsOf(fields),
    isDiscoverable,
    postVisibility,
    postsSensitive,
    postLanguage: postLanguage === undefined ? undefined : languageOf(postLanguage),
  });
}

/** What everybody sees, made of it. */
async function shownColumns(
  tx: Tx,
  origin: string,
  { displayName, isLocked, isBot, isIndexable }: ProfileChange,
  { note, fields }: TypedColumns,
): Promise<Partial<typeof actor.$inferInsert>> {
  const texts = [note ?? "", ...(fields ?? []).map(({ value }) => value)];
  const { handles } = marksOf(texts.join("\n"));
  const mentioned = await actorsOfHandles(tx, origin, handles);
  const html = (text: string) => renderText(text, mentioned, origin);
  return given({
    displayName: displayName === undefined ? undefined : nameOf(displayName) || null,
    summary: note === undefined ? undefined : html(note) || null,
    fields: fields?.map(({ name, value }) => ({ name, value: withoutParagraph(html(value)) })),
    isLocked,
    isIndexable,
    kind: isBot === undefined ? undefined : isBot ? "Service" : "Person",
  });
}

/** Writes new pictures down and takes those away whose place they take. */
async function pictureColumns(
  tx: Tx,
  origin: string,
  { account, at }: ProfileChange,
  {
    before,
    pictures,
  }: {
    readonly before: typeof actor.$inferSelect;
    readonly pictures: Readonly<Record<"avatar" | "header", Picture | null | undefined>>;
  },
): Promise<Partial<typeof actor.$inferInsert>> {
  const changed: { icon?: string | null; header?: string | null } = {};
  for (const [purpose, column] of [
    ["avatar", "icon"],
    ["header", "header"],
  ] as const) {
    const picture = pictures[purpose];
    if (picture === undefined) continue;
    const old = before[column];
    const known = old?.startsWith(`${origin}/`) ? mediaIn(old.slice(origin.length)) : undefined;
    if (known !== undefined) await tx.delete(media).where(eq(media.name, known.name));
    changed[column] =
      picture === null
        ? null
        : mediaAddress(origin, (await keepPicture(tx, { account, purpose, picture, at })).name);
  }
  return changed;
}

async function madeOf(
  bytes: Uint8Array | null | undefined,
  purpose: "avatar" | "header",
): Promise<Picture | null | undefined> {
  return bytes === undefined || bytes === null ? bytes : makePicture(bytes, purpose);
}

/**
 * Followers elsewhere get the profile as it is now; what waits to be sent of an earlier one is dropped. Nobody is told
 * of somebody without a key: whoever gets the first thing that he signs must read him for it.
 */
async function tellProfile(
  tx: Tx,
  origin: string,
  { actor: sender, name }: Account,
  at: Temporal.Instant,
): Promise<void> {
  const [secret] = await tx
    .select({ publicPem: actorSecret.publicPem })
    .from(actorSecret)
    .where(eq(actorSecret.actor, sender));
  const person = await personNamed(tx, origin, name);
  if (secret === undefined || person === undefined) return;
  await untell(tx, { sender, activity: "Update", subject: sender });
  await tell(tx, {
    sender,
    activity: "Update",
    document: personUpdateDocument(
      person,
      { origin, publicPem: secret.publicPem },
      await newId(tx, at),
    ),
    subject: sender,
    followersOf: sender,
    at,
  });
}

function nameOf(text: string): string {
  const name = typedLine(text);
  if (isLongerThan(name, DISPLAY_NAME_CHARS_MAX))
    throw invalid("display name", `it has at most ${DISPLAY_NAME_CHARS_MAX} characters`);
  // What is left has nothing that makes one name look like another.
  return cleanName(name);
}

function noteOf(text: string): string {
  const note = typedText(text);
  if (isLongerThan(note, NOTE_CHARS_MAX))
    throw invalid("note", `it has at most ${NOTE_CHARS_MAX} characters`);
  return note;
}

function fieldsOf(written: readonly ProfileField[]): readonly ProfileField[] {
  const fields = written
    .map(({ name, value }) => ({ name: typedLine(name), value: typedLine(value) }))
    .filter(({ name, value }) => (name !== "" || value !== "") && !isMoneyField(name));
  if (fields.length > FIELDS_MAX) throw invalid("fields", `there are at most ${FIELDS_MAX}`);
  return fields.map(({ name, value }) => {
    if (isLongerThan(name, FIELD_NAME_CHARS_MAX) || isLongerThan(value, FIELD_VALUE_CHARS_MAX))
      throw invalid(
        "fields",
        `a name has at most ${FIELD_NAME_CHARS_MAX} characters, a value at most ${FIELD_VALUE_CHARS_MAX}`,
      );
    const shown = cleanName(name);
    if (shown === "") throw invalid("fields", "each has a name");
    return { name: shown, value };
  });
}

function languageOf(text: string): string | null {
  if (text === "") return null;
  if (!/^[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}$/i.test(text))
    throw invalid("language", "it looks like en or pt-BR");
  return text;
}

/** A value of one line needs no paragraph. */
function withoutParagraph(html: string): string {
  return html.replace(/^<p>(.*)<\/p>$/s, "$1");
}

/** Only the members that have a value. */
function given<Values extends object>(
  values: Values,
): { [Name in keyof Values]?: Exclude<Values[Name], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Values]?: Exclude<Values[Name], undefined>;
  };
}

/** True when somebody who looks sees something else; no fields are as good as none were ever. */
function differs(before: typeof actor.$inferSelect, shown: Partial<typeof actor.$inferInsert>) {
  const old = before as Readonly<Record<string, unknown>>;
  const seen = (value: unknown) =>
    JSON.stringify(Array.isArray(value) && value.length === 0 ? null : (value ?? null));
  return Object.entries(shown).some(([column, value]) => seen(old[column]) !== seen(value));
}

function invalid(what: string, rule: string): Refusal {
  return new Refusal("profile_invalid", { what, rule });
}
