/** Timelines of one's own making: lists of people whom one follows. */

import { and, asc, count, eq, inArray, sql } from "drizzle-orm";
import { type Database, LAST_ID, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import type { Account } from "../account/create.ts";
import { follow, list, listMember } from "./schema.ts";

/** A list, as its owner made it. */
export type OwnList = Omit<typeof list.$inferSelect, "account">;

/** What can be chosen about a list. */
export interface ListWish {
  readonly title: string;
  /** Whose answers are shown. */
  readonly replies?: OwnList["replies"] | undefined;
  /** What is on it is not in the home timeline. */
  readonly isExclusive?: boolean | undefined;
}

/** Characters of a title; nobody reads longer ones. */
const TITLE_CHARS_MAX = 200;

/** Lists of one account, and people on one list: more than anybody has, so that nobody fills the database. */
const LISTS_MAX = 100;
const MEMBERS_MAX = 5_000;

/** People who are put on a list or taken off by one call. */
const CHANGED_MAX = 500;

/** Lists on one page. */
const PAGE_LISTS = LISTS_MAX;

const COLUMNS = {
  id: list.id,
  title: list.title,
  replies: list.replies,
  isExclusive: list.isExclusive,
};

/**
 * Makes a list with nobody on it.
 *
 * @throws Refusal "list_invalid" for a title that is none, or too many lists
 */
export async function createList(
  database: Database,
  { account, at, ...wish }: ListWish & { readonly account: Account; readonly at: Temporal.Instant },
): Promise<OwnList> {
  const title = titleOf(wish.title);
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [{ many } = { many: 0 }] = await tx
        .select({ many: count() })
        .from(list)
        .where(eq(list.account, account.id));
      if (many >= LISTS_MAX)
        throw new Refusal("list_invalid", { rule: `there are at most ${LISTS_MAX} lists` });
      const [made] = await tx
        .insert(list)
        .values({
          id: sql`new_id(${sqlTime(at)})`,
          account: account.id,
          title,
          replies: wish.replies ?? "list",
          isExclusive: wish.isExclusive ?? false,
        })
        .returning(COLUMNS);
      return made!;
    }),
  );
}

/**
 * Changes what is said; the rest stays.
 *
 * @throws Refusal "not_found" when it is no list of this account, "list_invalid"
 */
export async function changeList(
  database: Database,
  {
    account,
    list: id,
    title,
    replies,
    isExclusive,
  }: Partial<ListWish> & { readonly account: Account; readonly list: bigint },
): Promise<OwnList> {
  const [changed] = await database.drizzle
    .update(list)
    .set({
      ...(title === undefined ? {} : { title: titleOf(title) }),
      ...(replies === undefined ? {} : { replies }),
      ...(isExclusive === undefined ? {} : { isExclusive }),
      // Nothing said is no change, and no error either.
      account: account.id,
    })
    .where(isOwn(account, id))
    .returning(COLUMNS);
  if (changed === undefined) throw new Refusal("not_found");
  return changed;
}

/** Takes a list away; whoever was on it is followed as before. @throws Refusal "not_found" */
export async function deleteList(
  database: Database,
  { account, list: id }: { readonly account: Account; readonly list: bigint },
): Promise<void> {
  const gone = await database.drizzle.delete(list).where(isOwn(account, id)).returning(COLUMNS);
  if (gone.length === 0) throw new Refusal("not_found");
}

/** The lists of an account, the oldest first. */
export async function ownLists(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
): Promise<readonly OwnList[]> {
  return drizzle
    .select(COLUMNS)
    .from(list)
    .where(eq(list.account, account.id))
    .orderBy(asc(list.id))
    .limit(PAGE_LISTS);
}

/** One list. @throws Refusal "not_found" when it is no list of this account */
export async function ownList(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
  id: bigint,
): Promise<OwnList> {
  const [found] = await drizzle.select(COLUMNS).from(list).where(isOwn(account, id));
  if (found === undefined) throw new Refusal("not_found");
  return found;
}

/** The lists of an account that an actor is on. */
export async function listsWith(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
  member: ActorId,
): Promise<readonly OwnList[]> {
  return drizzle
    .select(COLUMNS)
    .from(list)
    .innerJoin(listMember, and(eq(listMember.list, list.id), eq(listMember.actor, member)))
    .where(eq(list.account, account.id))
    .orderBy(asc(list.id))
    .limit(PAGE_LISTS);
}

/** People of one of one's own lists. */
export interface Members {
  readonly account: Account;
  readonly list: bigint;
  readonly actors: readonly ActorId[];
}

/**
 * Puts people on a list. Who is on it already stays.
 *
 * @throws Refusal "not_found" when it is no list of this account, or one of them is not followed; "list_invalid" when
 *   there would be too many
 */
export async function addMembers(
  database: Database,
  { account, list: id, actors }: Members,
): Promise<void> {
  const wanted = fewOf(actors);
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      await lockOwn(tx, account, id);
      if (wanted.length === 0) return;
      const followed = await tx
        .select({ id: follow.followee })
        .from(follow)
        .where(
          and(
            eq(follow.follower, account.actor),
            eq(follow.state, "accepted"),
            inArray(follow.followee, wanted),
          ),
        );
      if (followed.length < wanted.length) throw new Refusal("not_found");
      await tx
        .insert(listMember)
        .values(wanted.map((one) => ({ list: id, actor: one })))
        .onConflictDoNothing();
      const [{ many } = { many: 0 }] = await tx
        .select({ many: count() })
        .from(listMember)
        .where(eq(listMember.list, id));
      if (many > MEMBERS_MAX)
        throw new Refusal("list_invalid", { rule: `it holds at most ${MEMBERS_MAX} people` });
    }),
  );
}

/** Takes people off a list. Who is not on it is no error. @throws Refusal "not_found" when it is no list of this account */
export async function removeMembers(
  database: Database,
  { account, list: id, actors }: Members,
): Promise<void> {
  const wanted = fewOf(actors);
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      await lockOwn(tx, account, id);
      if (wanted.length > 0)
        await tx
          .delete(listMember)
          .where(and(eq(listMember.list, id), inArray(listMember.actor, wanted)));
    }),
  );
}

/**
 * Who is on a list, the newest actor first.
 *
 * @param page `limit` 0 means all of them
 * @throws Refusal "not_found" when it is no list of this account
 */
export async function membersOf(
  database: Database,
  account: Account,
  id: bigint,
  {
    limit,
    maxId,
    minId,
  }: {
    readonly limit: number;
    readonly maxId: bigint | undefined;
    readonly minId: bigint | undefined;
  },
): Promise<readonly ActorId[]> {
  await ownList(database, account, id);
  const rows = await database.sql<{ actor: bigint }[]>`
    SELECT actor FROM list_member
     WHERE list = ${id} AND actor < ${maxId ?? LAST_ID} AND actor > ${minId ?? -1n}
     ORDER BY actor DESC LIMIT ${limit === 0 ? MEMBERS_MAX : limit}`;
  return rows.map(({ actor }) => actor);
}

const isOwn = (account: Account, id: bigint) => and(eq(list.id, id), eq(list.account, account.id));

/** @throws Refusal "not_found" */
async function lockOwn(tx: Tx, account: Account, id: bigint): Promise<void> {
  const [found] = await tx
    .select({ id: list.id })
    .from(list)
    .where(isOwn(account, id))
    .for("update");
  if (found === undefined) throw new Refusal("not_found");
}

/** @throws Refusal "list_invalid" */
function fewOf(actors: readonly ActorId[]): ActorId[] {
  if (actors.length > CHANGED_MAX)
    throw new Refusal("list_invalid", { rule: `at most ${CHANGED_MAX} people at once` });
  return [...new Set(actors)];
}

/** @throws Refusal "list_invalid" */
function titleOf(text: string): string {
  const title = text.trim();
  if (
    title === "" ||
    [...title].length > TITLE_CHARS_MAX ||
    /\p{Cc}/u.test(title) ||
    !title.isWellFormed()
  )
    throw new Refusal("list_invalid", { rule: `a title has 1 to ${TITLE_CHARS_MAX} characters` });
  return title;
}
