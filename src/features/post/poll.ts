/** Polls: choosing, by people of this instance and of others, and counting what is chosen in polls of this instance. */

import { sql } from "drizzle-orm";
import { type Document, idOf, idsOf, textOf, typesOf } from "../../rules/activity-streams.ts";
import { sameOrigin } from "../../rules/address.ts";
import { type Database, retrying, type Settings, type Tx } from "../../store/database.ts";
import { addJob, handle, type JobHandler, type JobKind } from "../../store/jobs.ts";
import { Refusal } from "../../store/refusal.ts";
import { type Clock, sqlTime, Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { actorUri, type Account } from "../account/create.ts";
import { tell } from "../activity/tell.ts";
import { notifyAll } from "../notice/notify.ts";
import { postById } from "./find.ts";
import { actorsOfUris } from "./marks.ts";
import { updateDocument, voteDocument } from "./note.ts";
import type { Poll } from "./schema.ts";

/** Choices of a poll of this instance; others allow four, and more are hard to read. */
export const POLL_OPTIONS_MAX = 8;
const POLL_OPTIONS_MIN = 2;

/** Characters of one choice. */
export const POLL_OPTION_CHARS_MAX = 100;

/** How long a poll runs: long enough to be seen, and not for ever. In seconds. */
export const POLL_SECONDS_MIN = 300;
export const POLL_SECONDS_MAX = 2_629_746;

/** Other servers are told of new counts at most so often, in minutes. */
const COUNTS_AGAIN_MINUTES = 3;

/** A poll has ended: who voted is told, and other servers get the last counts. */
export const pollEnded: JobKind<{ readonly post: string }> = { name: "poll.ended" };

/** Somebody voted in a poll of this instance: other servers get the new counts. */
export const pollCounted: JobKind<{ readonly post: string }> = { name: "poll.counted" };

/** A poll before it is one. */
export interface NewPoll {
  readonly options: readonly string[];
  readonly isMultiple?: boolean | undefined;
  readonly endsAt: Temporal.Instant;
}

/**
 * A poll as it is kept, with nothing chosen.
 *
 * @throws Refusal "poll_invalid" for too few, too many or equal choices, or an end too near or too far
 */
export function openPoll(
  { options, isMultiple = false, endsAt }: NewPoll,
  at: Temporal.Instant,
): Poll {
  const titles = options.map((option) => option.trim());
  const invalid = (rule: string) => new Refusal("poll_invalid", { rule });
  if (titles.length < POLL_OPTIONS_MIN || titles.length > POLL_OPTIONS_MAX)
    throw invalid(`it has ${POLL_OPTIONS_MIN} to ${POLL_OPTIONS_MAX} choices`);
  const isBad = (title: string) =>
    title === "" ||
    [...title].length > POLL_OPTION_CHARS_MAX ||
    /\p{Cc}/u.test(title) ||
    !title.isWellFormed();
  if (titles.some(isBad))
    throw invalid(`a choice has 1 to ${POLL_OPTION_CHARS_MAX} characters in one line`);
  if (new Set(titles).size < titles.length) throw invalid("its choices differ");
  const seconds = (endsAt.epochMilliseconds - at.epochMilliseconds) / 1000;
  if (seconds < POLL_SECONDS_MIN || seconds > POLL_SECONDS_MAX)
    throw invalid("it runs for five minutes to one month");
  return {
    isMultiple,
    options: titles.map((title) => ({ title, votes: 0 })),
    endsAt: sqlTime(endsAt),
    voters: 0,
  };
}

/** True when nobody can vote any more. */
export function isOver({ endsAt }: Poll, at: Temporal.Instant): boolean {
  return endsAt !== null && Temporal.Instant.compare(Temporal.Instant.from(endsAt), at) <= 0;
}

/** Lets its end be told when it comes, by the clock of the domain as it goes now. */
export async function awaitEnd(
  tx: Tx,
  post: bigint,
  { endsAt }: Poll,
  at: Temporal.Instant,
): Promise<void> {
  if (endsAt === null) return;
  const left = Temporal.Instant.from(endsAt).epochMilliseconds - at.epochMilliseconds;
  await addJob(tx, pollEnded, { post: String(post) }, `${pollEnded.name}:${post}`, {
    afterMs: Math.max(0, left),
  });
}

/** A vote of somebody of this instance. */
export interface OwnVote {
  readonly account: Account;
  readonly post: bigint;
  /** Places among the choices. */
  readonly choices: readonly number[];
  readonly at: Temporal.Instant;
}

/**
 * Votes, once. In a poll of this instance it is counted; the author of another one is told, and counts himself.
 *
 * @throws Refusal "not_found" when there is no such poll for him, "poll_closed", "voted", "vote_invalid" for one's own poll, no
 *   choice, several where one is allowed, or one that is not there
 */
export async function votePoll(
  database: Database,
  { account, post: id, choices, at }: OwnVote,
): Promise<void> {
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const found = await lockPoll(tx, sql`p.id = ${id}::bigint`);
      const isOwner = found?.author === account.actor;
      if (found === undefined || !(isOwner || (await maySee(tx, found, account.actor))))
        throw new Refusal("not_found");
      const { poll } = found;
      if (isOver(poll, at)) throw new Refusal("poll_closed");
      refuseBad(poll, choices);
      if (isOwner) throw new Refusal("vote_invalid", { rule: "nobody votes in his own poll" });
      if ((await choicesOf(tx, id, account.actor)).length > 0) throw new Refusal("voted");
      await keepVotes(tx, found, { actor: account.actor, choices, at });
      if (!found.isOwn) {
        await tellVotes(tx, database.settings.origin, found, { account, choices, at });
        await awaitEnd(tx, id, poll, at);
      }
    }),
  );
}

/** What may be a vote: a Note that answers something of this instance and says nothing but a name. */
export function isVote(document: Document, { origin }: Settings): boolean {
  const answered = idOf(document["inReplyTo"]);
  return (
    typesOf(document).includes("Note") &&
    textOf(document["name"]) !== undefined &&
    (textOf(document["content"]) ?? "") === "" &&
    answered !== undefined &&
    sameOrigin(answered, origin)
  );
}

/**
 * Counts a vote of somebody elsewhere in a poll of this instance. What comes again, or late, or from who is blocked or
 * may not see the poll, is not counted.
 *
 * @returns undefined when it answers no poll of this instance; else whether it was counted
 */
export async function takeVote(
  tx: Tx,
  {
    document,
    actor: voter,
    actorUri: uri,
    at,
  }: {
    readonly document: Document;
    readonly actor: ActorId;
    readonly actorUri: string;
    readonly at: Temporal.Instant;
  },
): Promise<boolean | undefined> {
  const answered = idOf(document["inReplyTo"]);
  if (answered === undefined) return undefined;
  const found = await lockPoll(tx, sql`t.uri = ${answered}`);
  if (found === undefined || !found.isOwn) return undefined;
  if (!idsOf(document["attributedTo"]).includes(uri)) return false;
  const title = textOf(document["name"]);
  const choice = found.poll.options.findIndex((option) => option.title === title);
  if (choice === -1 || isOver(found.poll, at) || !(await maySee(tx, found, voter))) return false;
  const before = await choicesOf(tx, found.id, voter);
  if (before.includes(choice) || (before.length > 0 && !found.poll.isMultiple)) return false;
  await keepVotes(tx, found, { actor: voter, choices: [choice], at, isFirst: before.length === 0 });
  return true;
}

/** The jobs of polls. */
export function pollJobs(parts: {
  readonly database: Database;
  readonly clock: Clock;
}): readonly JobHandler[] {
  return [
    handle(pollEnded, ({ post }) => endPoll(parts, BigInt(post))),
    handle(pollCounted, ({ post }) => tellCounts(parts, BigInt(post))),
  ];
}

/** Tells of the end of a poll: its author and who voted, if they are of this instance, and other servers of ours. */
async function endPoll(
  { database, clock }: { readonly database: Database; readonly clock: Clock },
  id: bigint,
): Promise<void> {
  const at = clock.now();
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const found = await lockPoll(tx, sql`p.id = ${id}::bigint`);
      if (found === undefined) return;
      // The clock of the domain may have been set back.
      if (!isOver(found.poll, at)) return awaitEnd(tx, id, found.poll, at);
      await notifyAll(
        tx,
        { kind: "poll", actor: found.author, post: id, at },
        sql`SELECT x.id AS account FROM account x WHERE x.actor = ${found.author}::bigint
            UNION SELECT x.id FROM poll_vote v JOIN account x ON x.actor = v.actor WHERE v.post = ${id}::bigint`,
      );
      if (!found.isOwn) return;
      await keepPoll(tx, id, { ...found.poll, isClosed: true });
      await tellUpdate(tx, database, id, at);
    }),
  );
}

async function tellCounts(
  { database, clock }: { readonly database: Database; readonly clock: Clock },
  id: bigint,
): Promise<void> {
  const at = clock.now();
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const found = await lockPoll(tx, sql`p.id = ${id}::bigint`);
      if (found !== undefined && found.isOwn && found.poll.isClosed !== true)
        await tellUpdate(tx, database, id, at);
    }),
  );
}

interface FoundPoll {
  readonly id: bigint;
  readonly uri: string;
  readonly author: ActorId;
  readonly authorUri: string;
  readonly visibility: string;
  readonly poll: Poll;
  /** True for one of this instance. */
  readonly isOwn: boolean;
}

/** The poll, so that nobody else changes it: votes are counted one after the other. */
async function lockPoll(tx: Tx, which: ReturnType<typeof sql>): Promise<FoundPoll | undefined> {
  const [row] = await tx.execute<{
    id: string;
    uri: string;
    author: string;
    author_uri: string;
    visibility: string;
    poll: Poll;
    is_own: boolean;
  }>(sql`
    SELECT p.id, t.uri, p.author, a.uri AS author_uri, p.visibility, p.poll, p.text IS NOT NULL AS is_own
      FROM post p JOIN thing t ON t.id = p.thing JOIN actor a ON a.id = p.author
     WHERE ${which} AND p.poll IS NOT NULL AND p.deleted_at IS NULL FOR UPDATE OF p`);
  if (row === undefined) return undefined;
  const { author_uri: authorUri, is_own: isOwn, ...rest } = row;
  return { ...rest, id: BigInt(row.id), author: BigInt(row.author), authorUri, isOwn };
}

async function choicesOf(tx: Tx, post: bigint, voter: ActorId): Promise<readonly number[]> {
  const rows = await tx.execute<{ choice: number }>(
    sql`SELECT choice FROM poll_vote WHERE post = ${post}::bigint AND actor = ${voter}::bigint`,
  );
  return rows.map(({ choice }) => choice);
}

/** Writes votes down, and counts them in a poll of this instance. */
async function keepVotes(
  tx: Tx,
  { id, poll, isOwn }: FoundPoll,
  {
    actor,
    choices,
    at,
    isFirst = true,
  }: {
    readonly actor: ActorId;
    readonly choices: readonly number[];
    readonly at: Temporal.Instant;
    /** False when he chose something else before. */
    readonly isFirst?: boolean;
  },
): Promise<void> {
  await tx.execute(sql`
    INSERT INTO poll_vote (post, actor, choice, at)
    SELECT ${id}::bigint, ${actor}::bigint, value::int, ${sqlTime(at)} FROM jsonb_array_elements_text(${JSON.stringify(choices)}::jsonb)`);
  if (!isOwn) return;
  await keepPoll(tx, id, {
    ...poll,
    options: poll.options.map((option, place) =>
      choices.includes(place) ? { ...option, votes: option.votes + 1 } : option,
    ),
    voters: (poll.voters ?? 0) + (isFirst ? 1 : 0),
  });
  await addJob(tx, pollCounted, { post: String(id) }, `${pollCounted.name}:${id}`, {
    afterMs: COUNTS_AGAIN_MINUTES * 60_000,
    isKept: true,
  });
}

async function keepPoll(tx: Tx, id: bigint, poll: Poll): Promise<void> {
  await tx.execute(
    sql`UPDATE post SET poll = ${JSON.stringify(poll)}::jsonb WHERE id = ${id}::bigint`,
  );
}

/** Who may read it may vote. */
async function maySee(tx: Tx, { id, author, visibility }: FoundPoll, voter: ActorId) {
  const [row] = await tx.execute<{ may: boolean }>(sql`
    SELECT NOT EXISTS (SELECT FROM person_block b WHERE b.blocker = ${author}::bigint AND b.blocked = ${voter}::bigint)
       AND (${visibility === "public" || visibility === "unlisted"}
            OR EXISTS (SELECT FROM post_mention m WHERE m.post = ${id}::bigint AND m.actor = ${voter}::bigint)
            OR (${visibility === "followers"} AND EXISTS (
              SELECT FROM follow f WHERE f.follower = ${voter}::bigint AND f.followee = ${author}::bigint AND f.state = 'accepted'))) AS may`);
  return row!.may;
}

/** @throws Refusal "vote_invalid" */
function refuseBad({ options, isMultiple }: Poll, choices: readonly number[]): void {
  const invalid = (rule: string) => new Refusal("vote_invalid", { rule });
  if (choices.length === 0) throw invalid("choose something");
  if (!isMultiple && choices.length > 1) throw invalid("choose one");
  if (
    new Set(choices).size < choices.length ||
    choices.some((choice) => !Number.isInteger(choice) || choice < 0 || choice >= options.length)
  )
    throw invalid("there is no such choice");
}

/** One Note for each choice, to the author alone: others count such, too. */
async function tellVotes(
  tx: Tx,
  origin: string,
  { uri: question, author, authorUri, poll, id }: FoundPoll,
  { account, choices, at }: Omit<OwnVote, "post">,
): Promise<void> {
  const own = actorUri(origin, account.name);
  for (const choice of choices)
    await tell(tx, {
      sender: account.actor,
      activity: "Create",
      document: voteDocument({
        id: `${own}#votes/${id}/${choice}`,
        voter: own,
        question,
        author: authorUri,
        choice: poll.options[choice]!.title,
        at,
      }),
      subject: id ^ account.actor,
      to: [author],
      at,
    });
}

/** Tells everybody who was told of the poll how it stands. */
async function tellUpdate(
  tx: Tx,
  { settings: { origin } }: Database,
  id: bigint,
  at: Temporal.Instant,
): Promise<void> {
  const note = await postById(tx, id);
  if (note === undefined) return;
  const [author] = await actorsOfUris(tx, [note.author]);
  if (author === undefined) return;
  const mentions = await actorsOfUris(
    tx,
    note.mentions.map(({ uri }) => uri),
  );
  const voters = await tx.execute<{ actor: string }>(sql`
    SELECT DISTINCT v.actor FROM poll_vote v LEFT JOIN account x ON x.actor = v.actor WHERE v.post = ${id}::bigint AND x.id IS NULL`);
  await tell(tx, {
    sender: author.id,
    activity: "Update",
    document: updateDocument(note, origin, at),
    subject: id,
    at,
    to: [...mentions.map((one) => one.id), ...voters.map(({ actor }) => BigInt(actor))],
    ...(note.visibility === "direct" ? {} : { followersOf: author.id }),
  });
}
