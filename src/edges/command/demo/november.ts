/** The first half of the demonstration: people come, write, follow and click. */

import { BUDGETS, CLICKS, PAID_IN, SHARES } from "./cast.ts";
import type { DemoInstance } from "./instance.ts";
import {
  expectOf,
  favouritesShown,
  followersOf,
  reaches,
  type Stage,
  startAt,
  until,
} from "./stage.ts";
import { eur, expectSame } from "./teller.ts";
import { Temporal } from "../../../store/time.ts";

/** When people click. */
const NOVEMBER = "2026-11-10T18:00:00Z";

/** What was written, by its address. */
interface Posts {
  readonly carol: string;
  readonly dave: string;
  readonly bob: string;
  readonly nora: string;
  readonly noraToo: string;
}

/** From two empty folders to a month full of clicks. */
export async function november(stage: Stage): Promise<void> {
  await open(stage);
  const posts = await write(stage);
  await click(stage, posts);
  await arrive(stage, posts);
}

async function open(stage: Stage): Promise<void> {
  const { harbour, meadow, lantern, teller } = stage;
  teller.chapter("1. Two instances start", "10 November 2026");
  await startAt(stage, NOVEMBER);
  for (const { name, origin } of [harbour, meadow])
    teller.step(
      { step: "start", who: name, state: "running" },
      `${title(name)} starts at ${origin}: an instance with its own database.`,
    );
  teller.step(
    { step: "start", who: "lantern", state: "running" },
    `Lantern starts at ${lantern.origin}: an ordinary server that knows nothing of money. Nora writes there.`,
  );

  const people = [
    [harbour, "alice"],
    [meadow, "carol"],
    [harbour, "bob"],
    [meadow, "dave"],
  ] as const;
  await Promise.all(
    people.map(([home, name]) =>
      expectOf(home, ["account", "create", name, "--email", `${name}@mail.example`], {
        account: name,
        uri: actorOf(home, name),
      }),
    ),
  );
  for (const [home, name] of people)
    teller.step(
      { step: "account", who: `${name}@${home.name}`, state: "created" },
      `${title(name)} opens an account at ${title(home.name)}.`,
    );

  const patrons = [
    [harbour, "alice"],
    [harbour, "bob"],
    [meadow, "carol"],
  ] as const;
  await Promise.all(
    patrons.flatMap(([home, name]) => [
      expectOf(home, ["budget", "set", name, plain(BUDGETS[name])], { budgetMicro: BUDGETS[name] }),
      expectOf(home, ["fund", name, plain(PAID_IN[name])], { amountMicro: PAID_IN[name] }),
    ]),
  );
  for (const [home, name] of patrons) {
    const who = `${name}@${home.name}`;
    teller.step(
      { step: "budget", who, amount: BUDGETS[name], state: "set" },
      `${title(name)} wants to give ${eur(BUDGETS[name])} a month,`,
    );
    teller.step(
      { step: "fund", who, amount: PAID_IN[name], state: "booked" },
      `and has sent ${eur(PAID_IN[name])} to the operator of ${title(home.name)}, who books it.`,
    );
  }
  teller.look(
    "A budget is a wish for the whole month. Nobody decides how much a single click gives.",
  );
}

async function write(stage: Stage): Promise<Posts> {
  const { harbour, meadow, lantern, teller } = stage;
  teller.chapter("2. November: people follow, write and click", "10 November 2026");
  const carol = actorOf(meadow, "carol");
  await Promise.all([
    harbour.run("follow", "alice", `@carol@${meadow.host}`),
    harbour.run("follow", "bob", `@nora@${lantern.host}`),
    lantern.follow(carol),
  ]);
  await until(stage, "carol has two followers", async () =>
    (await followersOf(stage, carol)) === 2 ? true : undefined,
  );
  await until(stage, "nora has a follower", async () =>
    (await followersOf(stage, lantern.person)) === 1 ? true : undefined,
  );
  await reaches(
    stage,
    "meadow accepts that nora follows carol",
    ({ type, actor }) => type === "Accept" && actor === carol,
  );
  const follows = [
    ["alice@harbour", "Alice of Harbour follows Carol of Meadow, and Meadow accepts."],
    ["bob@harbour", "Bob of Harbour follows Nora of Lantern, and Lantern accepts."],
    ["nora@lantern", "Nora of Lantern follows Carol. Both kinds of servers speak ActivityPub."],
  ] as const;
  for (const [who, sentence] of follows)
    teller.step({ step: "follow", who, state: "accepted" }, sentence);

  const at = Temporal.Instant.from(NOVEMBER);
  const [carols, daves, bobs, nora, noraToo] = await Promise.all([
    meadow.run("post", "carol", "The night sky over the meadow"),
    meadow.run("post", "dave", "How to build a house for bees"),
    harbour.run("post", "bob", "The first harvest of the harbour garden"),
    lantern.publish("A song about lighthouses", at),
    lantern.publish("Where I get my strings", at),
  ]);
  const posts: Posts = {
    carol: String(carols["uri"]),
    dave: String(daves["uri"]),
    bob: String(bobs["uri"]),
    nora,
    noraToo,
  };
  await reaches(
    stage,
    "carol's post reaches lantern",
    ({ type, object }) =>
      type === "Create" && (object as { id?: unknown } | undefined)?.id === posts.carol,
  );
  const written = [
    [
      "carol@meadow",
      "Carol writes about the night sky; Nora, who follows her, gets the post on Lantern.",
    ],
    ["dave@meadow", "Dave writes how to build a house for bees."],
    ["bob@harbour", "Bob writes about the first harvest of his garden."],
    [
      "nora@lantern",
      "Nora writes a song about lighthouses, and a note; Harbour takes both for Bob.",
    ],
  ] as const;
  for (const [who, sentence] of written)
    teller.step({ step: "post", who, state: "published" }, sentence);
  return posts;
}

type Clicker = keyof typeof CLICKS;

async function click(stage: Stage, posts: Posts): Promise<void> {
  const { harbour, meadow, lantern, teller } = stage;
  const clicks: Readonly<Record<Clicker, readonly string[]>> = {
    alice: [posts.carol, posts.dave, posts.bob, posts.nora],
    bob: [posts.carol, posts.dave, posts.nora],
    carol: [posts.bob, posts.dave, posts.nora],
  };
  const clickAll = async (home: DemoInstance, name: Clicker) => {
    expectSame(`the clicks of ${name}`, clicks[name].length, CLICKS[name]);
    for (const post of clicks[name])
      await expectOf(home, ["flattr", name, post], { period: "2026-11", again: false });
  };
  // Each person clicks in order; people do not wait for each other.
  await Promise.all([
    clickAll(harbour, "alice").then(() =>
      expectOf(harbour, ["flattr", "alice", posts.carol], { again: true }),
    ),
    clickAll(harbour, "bob"),
    clickAll(meadow, "carol").then(async () =>
      expectSame(
        "carol clicks her own post",
        await meadow.refused("flattr", "carol", posts.carol),
        "flattr_owner",
      ),
    ),
    lantern.like(posts.carol, actorOf(meadow, "carol")),
  ]);
  const given = (who: string, state: string, sentence: string, step = "flattr") =>
    teller.step({ step, who, state }, sentence);
  given("alice@harbour", "given", "Alice clicks the star under Carol's post: that is a flattr.");
  given("alice@harbour", "given", "Alice flattrs Dave's post.");
  given("alice@harbour", "given", "Alice flattrs Bob's post; he lives on her own instance.");
  given(
    "alice@harbour",
    "given",
    "Alice flattrs Nora's song, although Lantern knows nothing of money.",
  );
  given(
    "alice@harbour",
    "again",
    "Alice clicks Carol's post a second time. Nothing changes: it counts once.",
  );
  given("bob@harbour", "given", "Bob flattrs Carol's post,");
  given("bob@harbour", "given", "Dave's post,");
  given("bob@harbour", "given", "and Nora's song.");
  given("carol@meadow", "given", "Carol flattrs Bob's post,");
  given("carol@meadow", "given", "Dave's post,");
  given("carol@meadow", "given", "and Nora's song.");
  given("carol@meadow", "refused", "Carol clicks her own post. Refused: nobody pays himself.");
  given(
    "nora@lantern",
    "favourite",
    "Nora likes Carol's post from Lantern: a favourite like any other, and no money.",
    "like",
  );

  await expectOf(harbour, ["flattr", "bob", posts.noraToo], { again: false });
  given("bob@harbour", "given", "Bob flattrs Nora's note, too,");
  await expectOf(harbour, ["unflattr", "bob", posts.noraToo], { taken: true });
  given(
    "bob@harbour",
    "taken back",
    "and thinks again: he takes it back, and it will cost nothing.",
    "unflattr",
  );
}

/** What was clicked is told to the servers of those who wrote it. */
async function arrive(stage: Stage, posts: Posts): Promise<void> {
  const { harbour, meadow, lantern, teller } = stage;
  const [song, note] = [posts.nora, posts.noraToo];
  await reaches(
    stage,
    "the Undo of bob's click reaches lantern",
    ({ type, actor }) => type === "Undo" && actor === actorOf(harbour, "bob"),
  );
  await until(stage, "lantern shows three favourites of the song", async () =>
    lantern.favouritesOf(song).length === 3 ? true : undefined,
  );
  expectSame("favourites of the note that was taken back", lantern.favouritesOf(note), []);
  const likes = lantern.received.filter(({ type, object }) => type === "Like" && object === song);
  expectSame(
    "the months that the Likes of the song name",
    likes.map(({ paymentPeriod }) => paymentPeriod),
    ["2026-11", "2026-11", "2026-11"],
  );
  teller.step(
    { step: "favourites", who: "lantern", state: "3" },
    "Lantern shows 3 favourites of Nora's song, and none of her note: it got Likes, and an Undo.",
  );
  await until(stage, "meadow shows three favourites of carol's post", async () =>
    (await favouritesShown(stage, posts.carol)) === 3 ? true : undefined,
  );
  teller.step(
    { step: "favourites", who: "meadow", state: "3" },
    "Meadow shows 3 favourites of Carol's post: Alice's, Bob's and Nora's.",
  );

  const [, , statement] = await Promise.all([
    knows(stage, harbour, meadow),
    knows(stage, meadow, harbour),
    expectOf(harbour, ["statement", "alice"], {
      flattrs: CLICKS.alice,
      valueOfClickMicro: SHARES.alice[0],
    }),
  ]);
  for (const [one, other] of [
    [harbour, meadow],
    [meadow, harbour],
  ] as const)
    teller.step(
      { step: "peer", who: one.name, amount: 50_000_000n, state: "open" },
      `${title(one.name)} finds that ${title(other.name)} is an instance, too: it will be believed up to ${eur(50_000_000n)}.`,
    );
  teller.step(
    {
      step: "statement",
      who: "alice@harbour",
      amount: BigInt(String(statement["valueOfClickMicro"])),
      state: "open",
    },
    `Alice looks: she has ${CLICKS.alice} clicks so far, so each is worth ${eur(SHARES.alice[0])} now. More clicks would make each worth less.`,
  );
  teller.look(
    "No money has moved between servers so far. Each click is an ordinary Like with one word more, the month; Lantern need not understand it, and only a patron's own server spends a budget.",
  );
  teller.look(
    "Every click here was a command that you can type, too: fediflattr flattr alice ADDRESS",
  );
}

async function knows(stage: Stage, one: DemoInstance, other: DemoInstance): Promise<void> {
  await until(stage, `${one.name} knows ${other.name}`, async () => {
    const { host, state, limitMicro } = await one.run("peer", "list");
    if (host === undefined) return undefined;
    expectSame(
      `${one.name}: peer list`,
      { host, state, limitMicro },
      { host: other.host, state: "open", limitMicro: "50000000" },
    );
    return true;
  });
}

/** The address of somebody. */
export function actorOf({ origin }: DemoInstance, name: string): string {
  return `${origin}/users/${name}`;
}

/** A name as it is written in a sentence. */
export function title(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** Whole cents, as a person types them. */
export function plain(amount: bigint): string {
  return `${amount / 1_000_000n}.${((amount % 1_000_000n) / 10_000n).toString().padStart(2, "0")}`;
}
