import { describe, expect, test } from "vitest";
import { followActor } from "../../src/features/follow/follow.ts";
import { blockPerson } from "../../src/features/follow/block.ts";
import { pollCounted, pollEnded, pollJobs, votePoll } from "../../src/features/post/poll.ts";
import type { Poll } from "../../src/features/post/schema.ts";
import { type NewPost, writePost } from "../../src/features/post/write.ts";
import type { Database } from "../../src/store/database.ts";
import type { Temporal } from "../../src/store/time.ts";
import { at, person } from "../support/database.ts";
import { setClock } from "../support/house.ts";
import { BOB, note, postAt, PUBLIC, told, town } from "../support/town.ts";

const START = at("2026-11-21T10:00:00Z");
const END = at("2026-11-22T10:00:00Z");

async function asked(more: Partial<NewPost> = {}) {
  const made = await town();
  const { database, bob } = made;
  const eve = await person(database, "eve");
  const poll = { options: ["Tea", "Coffee", "Water"], endsAt: END };
  const { id, uri } = await writePost(database, {
    author: bob,
    text: "What?",
    poll,
    at: START,
    ...more,
  });
  const vote = (choices: readonly number[], when: Temporal.Instant = START) =>
    votePoll(database, { account: eve, post: id, choices, at: when });
  return { ...made, eve, id, uri, vote };
}

/** How a poll stands: votes of each choice, and how many voted. */
async function countsOf({ sql }: Database, id: bigint): Promise<string> {
  const [row] = await sql<[{ poll: Poll }]>`SELECT poll FROM post WHERE id = ${id}`;
  return `${row.poll.options.map(({ votes }) => votes).join(" ")} of ${row.poll.voters}`;
}

async function jobsOf({ sql }: Database): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT t.identifier || ' in ' || round(extract(epoch FROM j.run_at - now()) / 60) || ' min' AS line
      FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id WHERE t.identifier LIKE 'poll.%' ORDER BY 1`;
  return rows.map(({ line }) => line);
}

const run = (database: Database, name: string, post: bigint, now: Temporal.Instant) =>
  pollJobs({ database, clock: setClock(now) })
    .find((job) => job.name === name)!
    .run({ post: String(post) });

const voteOf = (of: string, question: string, name: string, more = {}) =>
  note(of, { name, content: undefined, inReplyTo: question, to: [BOB], ...more });

describe("a poll of this instance", () => {
  test.each([
    [{ options: ["one"] }],
    [{ options: ["a", "b", "c", "d", "e", "f", "g", "h", "i"] }],
    [{ options: ["a", " a "] }],
    [{ options: ["a", ""] }],
    [{ options: ["a", "x".repeat(101)] }],
    [{ options: ["a", "b\nc"] }],
    [{ endsAt: START }],
    [{ endsAt: at("2027-11-21") }],
  ])("is not made of %o", async (bad) => {
    const { database, bob } = await town();
    const poll = { options: ["a", "b"], endsAt: END, ...bad };
    await expect(
      writePost(database, { author: bob, text: "?", poll, at: START }),
    ).rejects.toMatchObject({
      reason: "poll_invalid",
    });
    expect(await database.sql`SELECT FROM post`).toHaveLength(1);
  });

  test("takes one vote of each, as many choices as it allows", async () => {
    const { database, id, vote, bob } = await asked();
    const refused = (reason: string) => ({ reason });
    for (const choices of [[], [0, 1], [3], [-1], [0.5]])
      await expect(vote(choices), String(choices)).rejects.toMatchObject(refused("vote_invalid"));
    await expect(vote([0], END)).rejects.toMatchObject(refused("poll_closed"));
    await expect(
      votePoll(database, { account: bob, post: id, choices: [0], at: START }),
    ).rejects.toMatchObject(refused("vote_invalid"));
    await vote([1]);
    await expect(vote([1])).rejects.toMatchObject(refused("voted"));
    await expect(vote([0])).rejects.toMatchObject(refused("voted"));
    expect(await countsOf(database, id)).toBe("0 1 0 of 1");
    await expect(
      votePoll(database, { account: bob, post: 1n, choices: [0], at: START }),
    ).rejects.toMatchObject(refused("not_found"));
  });

  test("takes several choices where that is allowed, each once", async () => {
    const poll = { options: ["Tea", "Coffee", "Water"], endsAt: END, isMultiple: true };
    const { database, id, vote } = await asked({ poll });
    await expect(vote([0, 0])).rejects.toMatchObject({ reason: "vote_invalid" });
    await vote([0, 2]);
    expect(await countsOf(database, id)).toBe("1 0 1 of 1");
  });

  test("takes votes from elsewhere: each once, no other post is made of them", async () => {
    const { database, house, ann, id, uri } = await asked();
    const send = async (object: Record<string, unknown>) => {
      const answer = await ann.send(house, { type: "Create", object });
      expect(answer.status).toBe(202);
      return countsOf(database, id);
    };
    expect(await send(voteOf(ann.uri, uri, "Milk"))).toBe("0 0 0 of 0");
    expect(
      await send(voteOf(ann.uri, uri, "Tea", { attributedTo: "https://far.example/users/x" })),
    ).toBe("0 0 0 of 0");
    expect(await send(voteOf(ann.uri, uri, "Tea"))).toBe("1 0 0 of 1");
    expect(await send(voteOf(ann.uri, uri, "Tea"))).toBe("1 0 0 of 1");
    expect(await send(voteOf(ann.uri, uri, "Coffee"))).toBe("1 0 0 of 1");
    expect(await database.sql`SELECT FROM post WHERE html IS NOT NULL`).toHaveLength(0);
    // Words beside the name make it an answer.
    const answer = voteOf(ann.uri, uri, "Coffee", { content: "<p>I like that</p>", to: [PUBLIC] });
    expect(await send(answer)).toBe("1 0 0 of 1");
    expect(await postAt(database, answer.id)).toBeDefined();
    house.clock.set(END);
    expect(await database.sql`SELECT FROM poll_vote`).toHaveLength(1);
  });

  test("takes none from who may not see it, is blocked, or comes late", async () => {
    const { database, bob, house, ann, id, uri, vote } = await asked({ visibility: "followers" });
    await expect(vote([0])).rejects.toMatchObject({ reason: "not_found" });
    const send = () => ann.send(house, { type: "Create", object: voteOf(ann.uri, uri, "Tea") });
    await send();
    await ann.send(house, { type: "Follow", id: "https://far.example/f/1", object: BOB });
    await blockPerson(database, { account: bob, actor: ann.id, at: START });
    await send();
    expect(await countsOf(database, id)).toBe("0 0 0 of 0");
    const other = await asked();
    other.house.clock.set(END);
    await other.ann.send(other.house, {
      type: "Create",
      object: voteOf(other.ann.uri, other.uri, "Tea"),
    });
    expect(await countsOf(other.database, other.id)).toBe("0 0 0 of 0");
  });

  test("is a Question to others, who are told of its counts now and then, and of its end", async () => {
    const { database, bob, house, ann, id, uri, vote, eve } = await asked();
    await ann.send(house, { type: "Follow", id: "https://far.example/f/1", object: BOB });
    const path = new URL(uri).pathname;
    const served = async () =>
      (await house.document(path)).json() as Promise<Record<string, unknown>>;
    expect(await served()).toMatchObject({
      type: "Question",
      endTime: "2026-11-22T10:00:00Z",
      votersCount: 0,
    });
    await vote([1]);
    expect(await jobsOf(database)).toEqual(["poll.counted in 3 min", "poll.ended in 1440 min"]);
    await ann.send(house, { type: "Create", object: voteOf(ann.uri, uri, "Tea") });
    expect(await jobsOf(database)).toHaveLength(2);
    await run(database, pollCounted.name, id, START.add({ minutes: 3 }));
    const counted = (await told(database)).find(({ activity }) => activity === "Update")!;
    expect(counted).toMatchObject({ activity: "Update", inbox: "https://far.example/inbox" });
    const { closed, ...question } = counted.document["object"] as Record<string, unknown>;
    expect(closed).toBeUndefined();
    expect(question).toMatchObject({
      type: "Question",
      votersCount: 2,
      oneOf: [
        { type: "Note", name: "Tea", replies: { type: "Collection", totalItems: 1 } },
        { type: "Note", name: "Coffee", replies: { type: "Collection", totalItems: 1 } },
        { type: "Note", name: "Water", replies: { type: "Collection", totalItems: 0 } },
      ],
    });
    // Too early nothing happens, but that it is waited for again.
    await run(database, pollEnded.name, id, START);
    expect(await database.sql`SELECT FROM notification WHERE kind = 'poll'`).toHaveLength(0);
    await run(database, pollEnded.name, id, END);
    await run(database, pollEnded.name, id, END);
    const news = await database.sql<
      { account: bigint; actor: bigint }[]
    >`SELECT account, actor FROM notification WHERE kind = 'poll' ORDER BY account`;
    expect(news).toEqual(
      [bob.id, eve.id]
        .toSorted((a, b) => (a < b ? -1 : 1))
        .map((account) => ({ account, actor: bob.actor })),
    );
    expect(await served()).toMatchObject({ closed: "2026-11-22T10:00:00Z", votersCount: 2 });
  });
});

describe("a poll of another server", () => {
  test("is told of one's vote, and counts itself", async () => {
    const { database, bob, house, ann } = await town();
    await followActor(database, { follower: bob, uri: ann.uri, at: START });
    const [{ uri: asked }] = await database.sql<[{ uri: string }]>`SELECT uri FROM follow`;
    await ann.send(house, { type: "Accept", object: asked });
    const question = (votes: number) => ({
      type: "Note",
      replies: { type: "Collection", totalItems: votes },
    });
    const object = note(ann.uri, {
      type: "Question",
      anyOf: [
        { ...question(3), name: "Yes" },
        { ...question(4), name: "No" },
      ],
      votersCount: 7,
      endTime: "2026-11-22T10:00:00Z",
    });
    await ann.send(house, { type: "Create", object });
    const { id } = (await postAt(database, object.id))!;
    const vote = () => votePoll(database, { account: bob, post: id, choices: [0, 1], at: START });
    await vote();
    await expect(vote()).rejects.toMatchObject({ reason: "voted" });
    expect(await countsOf(database, id)).toBe("3 4 of 7");
    const votes = (await told(database)).filter(({ activity }) => activity === "Create").slice(-2);
    expect(votes.map(({ document }) => document)).toMatchObject(
      ["Yes", "No"].map((name) => ({
        type: "Create",
        to: [ann.uri],
        object: { type: "Note", name, inReplyTo: object.id, attributedTo: BOB, to: [ann.uri] },
      })),
    );
    expect(JSON.stringify(votes)).not.toContain("content");
    // New counts are no news.
    const counted = {
      ...object,
      anyOf: [
        { ...question(4), name: "Yes" },
        { ...question(5), name: "No" },
      ],
      votersCount: 8,
    };
    await ann.send(house, { type: "Update", object: counted });
    expect(await countsOf(database, id)).toBe("4 5 of 8");
    expect(await database.sql`SELECT FROM post_edit`).toHaveLength(0);
    await run(database, pollEnded.name, id, END);
    const news = await database.sql<
      { kind: string }[]
    >`SELECT kind FROM notification WHERE account = ${bob.id}`;
    expect(news).toEqual([{ kind: "poll" }]);
  });
});
