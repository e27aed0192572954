/** Filters that people make for themselves. Open streams of their owner are told of each change. */

import { and, asc, count, eq, inArray, sql } from "drizzle-orm";
import { type Database, type Drizzle, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { Account } from "../account/create.ts";
import { account as accounts } from "../account/schema.ts";
import { announceEvent } from "../notice/stream.ts";
import { comparable } from "./keywords.ts";
import type { FilterAction, FilterPlace } from "./match.ts";
import { filter, filterKeyword, filterPost } from "./schema.ts";

/** A filter, as its owner made it. */
export interface OwnFilter {
  readonly id: bigint;
  readonly title: string;
  readonly places: readonly FilterPlace[];
  readonly action: FilterAction;
  readonly until: Temporal.Instant | null;
  readonly keywords: readonly OwnKeyword[];
  readonly posts: readonly ChosenPost[];
}

/** A word or phrase of a filter. */
export interface OwnKeyword {
  readonly id: bigint;
  readonly keyword: string;
  readonly isWholeWord: boolean;
}

/** A single post that a filter means. */
export interface ChosenPost {
  readonly id: bigint;
  readonly post: bigint;
}

/** What can be chosen about a filter. */
export interface FilterWish {
  readonly title?: string | undefined;
  readonly places?: readonly FilterPlace[] | undefined;
  readonly action?: FilterAction | undefined;
  /** Null: without end. */
  readonly until?: Temporal.Instant | null | undefined;
  readonly keywords?: readonly KeywordWish[] | undefined;
}

/** A word that is added; with an id, one that is changed or, with `isGone`, taken away. */
export interface KeywordWish {
  readonly id?: bigint | undefined;
  readonly keyword?: string | undefined;
  readonly isWholeWord?: boolean | undefined;
  readonly isGone?: boolean | undefined;
}

/** Whose filter something is done with, and when. */
export interface Filtering {
  readonly account: Account;
  readonly at: Temporal.Instant;
}

/** Filters, words and chosen posts of one account: all words are looked for in each post that it reads. */
const FILTERS_MAX = 200;
const KEYWORDS_MAX = 500;
const POSTS_MAX = 1_000;

/** Characters of all words together: making them ready takes milliseconds then, for each page and each post in a stream. */
const WORDS_CHARS_MAX = 10_000;

/** Characters of a title, and of a word or phrase. */
const TITLE_CHARS_MAX = 200;
const KEYWORD_CHARS_MAX = 100;

/**
 * Makes a filter.
 *
 * @throws Refusal "filter_invalid"
 */
export async function createFilter(
  database: Database,
  { account, at, ...wish }: Filtering & FilterWish,
): Promise<OwnFilter> {
  const chosen = chosenOf({ ...wish, title: wish.title ?? "", places: wish.places ?? [] }, at);
  return inFilters(database, { account, at }, async (tx) => {
    const [{ many } = { many: 0 }] = await tx
      .select({ many: count() })
      .from(filter)
      .where(eq(filter.account, account.id));
    if (many >= FILTERS_MAX) throw invalid(`there are at most ${FILTERS_MAX} filters`);
    const [made] = await tx
      .insert(filter)
      .values({
        id: sql`new_id(${sqlTime(at)})`,
        account: account.id,
        title: chosen.title!,
        places: chosen.places!,
        action: chosen.action ?? "warn",
        until: chosen.until ?? null,
      })
      .returning({ id: filter.id });
    await writeKeywords(tx, account, made!.id, wish.keywords ?? [], at);
    return found(tx, account, made!.id);
  });
}

/**
 * Changes what is said; the rest stays.
 *
 * @throws Refusal "not_found" when it is no filter of this account, or one of the words is none of its words;
 *   "filter_invalid"
 */
export async function changeFilter(
  database: Database,
  { account, at, filter: id, ...wish }: Filtering & FilterWish & { readonly filter: bigint },
): Promise<OwnFilter> {
  const chosen = chosenOf(wish, at);
  return inFilters(database, { account, at }, async (tx) => {
    const [changed] = await tx
      .update(filter)
      // The account stays what it was: nothing said is no change, and no error either.
      .set({ ...chosen, account: account.id })
      .where(isOwn(account, id))
      .returning({ id: filter.id });
    if (changed === undefined) throw new Refusal("not_found");
    await writeKeywords(tx, account, id, wish.keywords ?? [], at);
    return found(tx, account, id);
  });
}

/** Takes a filter away, with its words. @throws Refusal "not_found" when it is none of this account */
export async function deleteFilter(
  database: Database,
  { account, at, filter: id }: Filtering & { readonly filter: bigint },
): Promise<void> {
  await inFilters(database, { account, at }, async (tx) => {
    const gone = await tx.delete(filter).where(isOwn(account, id)).returning({ id: filter.id });
    if (gone.length === 0) throw new Refusal("not_found");
  });
}

/** The filters of an account, the oldest first; also those that have ended. */
export async function ownFilters(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
): Promise<readonly OwnFilter[]> {
  return read(drizzle, eq(filter.account, account.id));
}

/** One filter. @throws Refusal "not_found" when it is none of this account */
export async function ownFilter(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
  id: bigint,
): Promise<OwnFilter> {
  return found(drizzle, account, id);
}

/** The filter of a word. @throws Refusal "not_found" when it is no word of this account */
export async function filterOfKeyword(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
  keyword: bigint,
): Promise<OwnFilter> {
  const [one] = await drizzle
    .select({ id: filterKeyword.filter })
    .from(filterKeyword)
    .where(eq(filterKeyword.id, keyword));
  if (one === undefined) throw new Refusal("not_found");
  return found(drizzle, account, one.id);
}

/**
 * Adds a single post to what a filter means. One that is there stays.
 *
 * @param post must be one that the account may read
 * @throws Refusal "not_found" when it is no filter of this account, "filter_invalid" when there are too many
 */
export async function choosePost(
  database: Database,
  { account, at, filter: id, post }: Filtering & { readonly filter: bigint; readonly post: bigint },
): Promise<ChosenPost> {
  return inFilters(database, { account, at }, async (tx) => {
    await found(tx, account, id);
    await tx
      .insert(filterPost)
      .values({ id: sql`new_id(${sqlTime(at)})`, filter: id, post })
      .onConflictDoNothing({ target: [filterPost.filter, filterPost.post] });
    const [{ many } = { many: 0 }] = await tx
      .select({ many: count() })
      .from(filterPost)
      .innerJoin(filter, eq(filter.id, filterPost.filter))
      .where(eq(filter.account, account.id));
    if (many > POSTS_MAX) throw invalid(`filters mean at most ${POSTS_MAX} single posts`);
    const [made] = await tx
      .select({ id: filterPost.id, post: filterPost.post })
      .from(filterPost)
      .where(and(eq(filterPost.filter, id), eq(filterPost.post, post)));
    return made!;
  });
}

/** A single post of a filter. @throws Refusal "not_found" when it is none of this account */
export async function chosenPost(
  { drizzle }: Pick<Database, "drizzle">,
  account: Account,
  id: bigint,
): Promise<ChosenPost> {
  const [one] = await drizzle
    .select({ id: filterPost.id, post: filterPost.post })
    .from(filterPost)
    .innerJoin(filter, eq(filter.id, filterPost.filter))
    .where(and(eq(filterPost.id, id), eq(filter.account, account.id)));
  if (one === undefined) throw new Refusal("not_found");
  return one;
}

/** Takes a single post out of a filter. @throws Refusal "not_found" when it is none of this account */
export async function dropChosen(
  database: Database,
  { account, at, chosen }: Filtering & { readonly chosen: bigint },
): Promise<ChosenPost> {
  return inFilters(database, { account, at }, async (tx) => {
    const [gone] = await tx
      .delete(filterPost)
      .where(
        and(
          eq(filterPost.id, chosen),
          inArray(
            filterPost.filter,
            tx.select({ id: filter.id }).from(filter).where(eq(filter.account, account.id)),
          ),
        ),
      )
      .returning({ id: filterPost.id, post: filterPost.post });
    if (gone === undefined) throw new Refusal("not_found");
    return gone;
  });
}

/** One change after the other for each account, so that all together stay within their limits. */
function inFilters<T>(
  database: Database,
  { account, at }: Filtering,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      await tx
        .select({ id: accounts.id })
        .from(accounts)
        .where(eq(accounts.id, account.id))
        .for("no key update");
      const answer = await work(tx);
      await announceEvent(tx, { kind: "filters", account: account.id, at });
      return answer;
    }),
  );
}

async function writeKeywords(
  tx: Tx,
  account: Account,
  id: bigint,
  wishes: readonly KeywordWish[],
  at: Temporal.Instant,
): Promise<void> {
  if (wishes.length > KEYWORDS_MAX) throw tooMany();
  const added = wishes.filter((one) => one.id === undefined && !one.isGone);
  if (added.length > 0)
    await tx.insert(filterKeyword).values(
      added.map(({ keyword, isWholeWord }) => ({
        id: sql`new_id(${sqlTime(at)})`,
        filter: id,
        keyword: keywordOf(keyword ?? ""),
        isWholeWord: isWholeWord ?? true,
      })),
    );
  for (const { id: known, keyword, isWholeWord, isGone } of wishes) {
    if (known === undefined) continue;
    const isThis = and(eq(filterKeyword.id, known), eq(filterKeyword.filter, id));
    const [done] = isGone
      ? await tx.delete(filterKeyword).where(isThis).returning({ id: filterKeyword.id })
      : await tx
          .update(filterKeyword)
          .set({
            filter: id,
            ...(keyword === undefined ? {} : { keyword: keywordOf(keyword) }),
            ...(isWholeWord === undefined ? {} : { isWholeWord }),
          })
          .where(isThis)
          .returning({ id: filterKeyword.id });
    if (done === undefined) throw new Refusal("not_found");
  }
  const [{ many, chars } = { many: 0, chars: 0 }] = await tx
    .select({
      many: count(),
      chars: sql<number>`COALESCE(sum(length(${filterKeyword.keyword})), 0)::int`,
    })
    .from(filterKeyword)
    .innerJoin(filter, eq(filter.id, filterKeyword.filter))
    .where(eq(filter.account, account.id));
  if (many > KEYWORDS_MAX || chars > WORDS_CHARS_MAX) throw tooMany();
}

async function found(tx: Tx | Drizzle, account: Account, id: bigint): Promise<OwnFilter> {
  const [one] = await read(tx, isOwn(account, id));
  if (one === undefined) throw new Refusal("not_found");
  return one;
}

async function read(
  tx: Tx | Drizzle,
  which: ReturnType<typeof isOwn>,
): Promise<readonly OwnFilter[]> {
  const rows = await tx.select().from(filter).where(which).orderBy(asc(filter.id));
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return [];
  const keywords = await tx
    .select()
    .from(filterKeyword)
    .where(inArray(filterKeyword.filter, ids))
    .orderBy(asc(filterKeyword.id));
  const posts = await tx
    .select()
    .from(filterPost)
    .where(inArray(filterPost.filter, ids))
    .orderBy(asc(filterPost.id));
  return rows.map(({ id, title, places, action, until }) => ({
    id,
    title,
    places,
    action,
    until,
    keywords: keywords.filter((one) => one.filter === id),
    posts: posts.filter((one) => one.filter === id),
  }));
}

const isOwn = (account: Account, id: bigint) =>
  and(eq(filter.id, id), eq(filter.account, account.id));

/** @throws Refusal "filter_invalid" */
function chosenOf({ title, places, action, until }: FilterWish, at: Temporal.Instant) {
  const said = title?.trim();
  if (said !== undefined && !isText(said, TITLE_CHARS_MAX))
    throw invalid(`a title has 1 to ${TITLE_CHARS_MAX} characters`);
  if (places?.length === 0) throw invalid("it says where it looks");
  if (until && until.epochMilliseconds <= at.epochMilliseconds)
    throw invalid("its end is not over");
  return {
    ...(said === undefined ? {} : { title: said }),
    ...(places === undefined ? {} : { places: [...new Set(places)] }),
    ...(action === undefined ? {} : { action }),
    ...(until === undefined ? {} : { until }),
  };
}

/** @throws Refusal "filter_invalid" */
function keywordOf(text: string): string {
  const keyword = text.trim();
  // What nobody sees would be found in everything.
  if (!isText(keyword, KEYWORD_CHARS_MAX) || comparable(keyword).trim() === "")
    throw invalid(`a word or phrase has 1 to ${KEYWORD_CHARS_MAX} characters`);
  return keyword;
}

function isText(text: string, charsMax: number): boolean {
  return (
    text !== "" && [...text].length <= charsMax && !/\p{Cc}/u.test(text) && text.isWellFormed()
  );
}

function tooMany(): Refusal {
  return invalid(
    `all filters together have at most ${KEYWORDS_MAX} words, and these ${WORDS_CHARS_MAX} characters`,
  );
}

function invalid(rule: string): Refusal {
  return new Refusal("filter_invalid", { rule });
}
