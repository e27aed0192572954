/** `post`, `edit`, `delete`, `boost`, `follow`, `unfollow`, `followers`. */

import { type Command, Option } from "commander";
import { uriOf } from "../../features/account/actor.ts";
import type { Account } from "../../features/account/create.ts";
import { accountNamed } from "../../features/account/find.ts";
import { acceptFollower, followRequests, removeFollower } from "../../features/follow/answer.ts";
import { followActor, unfollowActor } from "../../features/follow/follow.ts";
import { countFollows, followerAt, followPage } from "../../features/follow/list.ts";
import { boostPost, unboostPost } from "../../features/post/boost.ts";
import { postAt } from "../../features/post/find.ts";
import { MENTIONS_MAX } from "../../features/post/marks.ts";
import type { Visibility } from "../../features/post/note.ts";
import { updateProfile } from "../../features/post/profile.ts";
import { marksOf } from "../../features/post/text.ts";
import { deletePost, editPost, type Post, writePost } from "../../features/post/write.ts";
import { findPayee } from "../../features/thing/find.ts";
import { canonicalAddress } from "../../rules/address.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Answer, House, Run } from "./terminal.ts";

/** Adds these commands to the program. */
export function socialCommands(program: Command, run: Run): void {
  writingCommands(program, run);
  boostCommand(program, run);
  followCommands(program, run);
  followersCommand(program, run);
}

const VISIBILITIES: readonly Visibility[] = ["public", "unlisted", "followers", "direct"];

function writingCommands(program: Command, run: Run): void {
  program
    .command("post")
    .argument("<name>")
    .argument("<text>")
    .addOption(
      new Option("--visibility <who>", "who may read it")
        .choices(VISIBILITIES)
        .default("public" satisfies Visibility),
    )
    .option("--reply-to <address>", "the post that it answers")
    .description("publish a post as if NAME had written it")
    .action((name: string, text: string, options: { visibility: Visibility; replyTo?: string }) =>
      run(async (house) => {
        const { database, clock, resolver } = house;
        const author = await accountNamed(database.drizzle, name);
        const { visibility, replyTo } = options;
        // Whoever is answered is told, so he must be known.
        const inReplyTo = replyTo === undefined ? undefined : (await resolver.post(replyTo)).uri;
        const unknown = await unknownIn(house, text);
        const at = clock.now();
        const post = await writePost(database, { author, text, visibility, inReplyTo, at });
        return published(author, post, unknown);
      }),
    );

  program
    .command("edit")
    .argument("<name>")
    .argument("<post>", "its address")
    .argument("<text>", "what it says from now on")
    .description("change a post as if NAME had done it; who may read it stays")
    .action((name: string, address: string, text: string) =>
      run(async (house) => {
        const { database, clock } = house;
        const author = await accountNamed(database.drizzle, name);
        const post = await ownPost(house, author, address);
        const unknown = await unknownIn(house, text);
        const edited = await editPost(database, { author, post, text, at: clock.now() });
        return published(author, edited, unknown);
      }),
    );

  program
    .command("delete")
    .argument("<name>")
    .argument("<post>", "its address")
    .description("delete a post as if NAME had done it; flattrs that it has still count")
    .action((name: string, address: string) =>
      run(async (house) => {
        const { database, clock } = house;
        const author = await accountNamed(database.drizzle, name);
        const post = await ownPost(house, author, address);
        await deletePost(database, { author, post, at: clock.now() });
        return {
          json: { account: author.name, id: String(post), uri: address, deleted: true },
          text: `${author.name} deleted ${address}`,
        };
      }),
    );
}

function published({ name }: Account, { id, uri }: Post, unknown: readonly string[]): Answer {
  const remark = `\nNobody is known as ${unknown.join(", ")}: this stays text.`;
  return {
    json: { account: name, id: String(id), uri, unresolved: unknown },
    text: `${uri}${unknown.length === 0 ? "" : remark}`,
  };
}

/** Asks for those who are spoken to, so that they are told. @returns the handles that mean nobody */
async function unknownIn({ resolver }: House, text: string): Promise<readonly string[]> {
  const found = await Promise.all(
    marksOf(text)
      .handles.slice(0, MENTIONS_MAX)
      .map(async ({ name, host }) => {
        const handle = host === undefined ? `@${name}` : `@${name}@${host}`;
        try {
          await resolver.actor(handle);
          return [];
        } catch (error) {
          if (error instanceof Refusal) return [handle];
          throw error;
        }
      }),
  );
  return found.flat();
}

/** @throws Refusal "not_found" when it is no post of this account */
async function ownPost({ database }: House, { actor }: Account, address: string): Promise<bigint> {
  const note = await postAt(database.drizzle, address);
  if (note === undefined || note.author !== (await uriOf(database.drizzle, actor)))
    throw new Refusal("not_found");
  return note.id;
}

function boostCommand(program: Command, run: Run): void {
  program
    .command("boost")
    .argument("<name>")
    .argument("<post>", "its address")
    .option("--undo", "take it back")
    .description("pass a post on as if NAME had done it")
    .action((name: string, address: string, { undo }: { undo?: true }) =>
      run(async ({ database, clock, resolver }) => {
        const account = await accountNamed(database.drizzle, name);
        const { id, uri } = await resolver.post(address);
        const boost = { account, post: id, at: clock.now() };
        await (undo ? unboostPost(database, boost) : boostPost(database, boost));
        return {
          json: { account: account.name, post: uri, boosted: undo !== true },
          text: `${account.name} ${undo ? "no longer passes on" : "passes on"} ${uri}`,
        };
      }),
    );
}

function followCommands(program: Command, run: Run): void {
  program
    .command("follow")
    .argument("<name>")
    .argument("<who>", "a handle or an address")
    .description("follow somebody as if NAME had done it")
    .action((name: string, who: string) =>
      run(async ({ database, clock, resolver }) => {
        const follower = await accountNamed(database.drizzle, name);
        const uri = await uriOf(database.drizzle, await resolver.actor(who));
        const state = await followActor(database, { follower, uri, at: clock.now() });
        return {
          json: { account: follower.name, follows: uri, state },
          text:
            state === "accepted"
              ? `${follower.name} follows ${uri}`
              : `${follower.name} asks to follow ${uri}`,
        };
      }),
    );

  program
    .command("unfollow")
    .argument("<name>")
    .argument("<who>", "a handle or an address")
    .description("no longer follow somebody, as if NAME had done it")
    .action((name: string, who: string) =>
      run(async (house) => {
        const { database, clock } = house;
        const follower = await accountNamed(database.drizzle, name);
        const uri = await knownActor(house, who);
        if (!(await unfollowActor(database, { follower, uri, at: clock.now() })))
          throw new Refusal("not_found");
        return {
          json: { account: follower.name, follows: uri, state: null },
          text: `${follower.name} no longer follows ${uri}`,
        };
      }),
    );
}

/** Nobody is asked elsewhere: whoever follows or is followed is known, and may be gone by now. */
async function knownActor({ database }: House, who: string): Promise<string> {
  const uri = (await findPayee(database, who)) ?? canonicalAddress(who);
  if (uri === undefined) throw new Refusal("payee_unknown", { payee: who });
  return uri;
}

interface FollowersOptions {
  readonly accept?: string;
  readonly reject?: string;
  readonly ask?: true;
  readonly open?: true;
}

function followersCommand(program: Command, run: Run): void {
  const wishes = [
    new Option("--accept <who>", "somebody who asks may follow"),
    new Option("--reject <who>", "somebody may not follow, or no longer"),
    new Option("--ask", "from now on NAME decides about each follower"),
    new Option("--open", "from now on everybody may follow at once"),
  ];
  const command = program
    .command("followers")
    .argument("<name>")
    .description("who follows NAME and who asks to, or an answer to one of them");
  for (const wish of wishes)
    command.addOption(
      wish.conflicts(
        wishes.filter((other) => other !== wish).map((other) => other.attributeName()),
      ),
    );
  command.action((name: string, options: FollowersOptions) =>
    run(async (house) => {
      const { database, clock } = house;
      const followee = await accountNamed(database.drizzle, name);
      const who = options.accept ?? options.reject;
      if (who !== undefined) {
        const uri = await knownActor(house, who);
        const follower = await followerAt(database, followee.actor, uri);
        if (follower === undefined) throw new Refusal("not_found");
        const answer = options.accept === undefined ? removeFollower : acceptFollower;
        await answer(database, { followee, follower, at: clock.now() });
      }
      if (options.ask || options.open)
        await updateProfile(database, {
          account: followee,
          isLocked: options.ask === true,
          at: clock.now(),
        });
      return listed(house, followee);
    }),
  );
}

/** Everybody who asks, and as many followers as one page has. */
async function listed({ database }: House, { name, actor }: Account): Promise<Answer> {
  const many = await countFollows(database, "followers", actor);
  const { actors: followers } = await followPage(database, "followers", actor, 0n);
  const requests = (await followRequests(database, actor)).map(({ uri }) => uri);
  return {
    json: { account: name, many, followers, requests },
    text: [
      `${name} has ${many} follower${many === 1 ? "" : "s"}`,
      ...followers,
      ...requests.map((uri) => `${uri} asks to follow`),
    ].join("\n"),
  };
}
