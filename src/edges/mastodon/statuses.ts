/** Posts: writing, reading, and what people do with them. @see https://docs.joinmastodon.org/methods/statuses/ */

import { createHash } from "node:crypto";
import { type Context, Hono } from "hono";
import { favouriteThing, unfavouriteThing } from "../../features/flattr/favourite.ts";
import { boostPost, unboostPost } from "../../features/post/boost.ts";
import { conversationOf } from "../../features/post/context.ts";
import { editsOf } from "../../features/post/history.ts";
import { bookmarkPost, pinPost, unbookmarkPost, unpinPost } from "../../features/post/keep.ts";
import { MENTIONS_MAX } from "../../features/post/marks.ts";
import type { Visibility } from "../../features/post/note.ts";
import { type NewPoll, POLL_SECONDS_MAX } from "../../features/post/poll.ts";
import { findTarget, ownFavourite, seePosts, type Target } from "../../features/post/see.ts";
import { marksOf, renderText } from "../../features/post/text.ts";
import { muteThread, unmuteThread, wantReplies } from "../../features/post/thread.ts";
import { reactedBy } from "../../features/post/timeline.ts";
import { keepWordsWanted } from "../../features/post/words.ts";
import { deletePost, editPost, writePost } from "../../features/post/write.ts";
import { cleanHtml } from "../../features/post/clean.ts";
import { findPayee } from "../../features/thing/find.ts";
import { Refusal } from "../../store/refusal.ts";
import { accountEntities, accountList, type Entity, instantText } from "./account.ts";
import { filtered } from "./filtered.ts";
import {
  AccessError,
  type Caller,
  callerOf,
  type ClientEnv,
  type ClientParts,
  scope,
  scopeIfAny,
  viewerOf,
} from "./frame.ts";
import { mediaEntity } from "./media-entity.ts";
import { cursorsOf, idIn, idOf, linkPages, pageOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";
import { entitiesOf, statusEntities, statusOf } from "./status.ts";

type Ctx = Context<ClientEnv>;

/** Posts asked for at once by their ids. */
const BATCH_MAX = 40;

/** People on one page of those who favourited or passed on. */
const PEOPLE = { usual: 40, most: 80 };

/** Handles of other servers that are looked up for one post, if nobody here knows them. */
const LOOKUPS_MAX = 10;

/** In longer texts nobody is looked for: they are refused. */
const LOOKED_AT_CHARS_MAX = 20_000;

/** Longest key that keeps a post from being written twice. */
const KEY_CHARS_MAX = 255;

/** `/api/v1/statuses`. */
export const statusRoutes = (parts: ClientParts) => {
  const { database, clock } = parts;

  /** What a status id means to whoever asks; a boost means what was passed on. */
  const targetOf = async (c: Ctx): Promise<Target> => {
    const target = await findTarget(database, viewerOf(c), idOf(c.req.param("id")!));
    if (target === undefined) throw new Refusal("not_found");
    return target;
  };
  const shown = async (c: Ctx, id: bigint) => {
    const entity = await statusOf(parts, c.get("caller"), id);
    if (entity === undefined) throw new Refusal("not_found");
    return entity;
  };
  /** Something is done with a post, and the post is the answer. */
  const doing = (work: (caller: Caller, target: Target) => Promise<unknown>) => async (c: Ctx) => {
    const target = await targetOf(c);
    await work(callerOf(c), target);
    parts.nudge();
    return c.json(await shown(c, target.post));
  };

  return new Hono<ClientEnv>()
    .get("/", scopeIfAny("read:statuses"), async (c) => {
      const params = await paramsOf(c);
      const ids = (params.list("id") ?? []).flatMap((text) => idIn(text) ?? []);
      return c.json(await statusEntities(parts, c.get("caller"), ids.slice(0, BATCH_MAX)));
    })
    .post("/", scope("write:statuses"), async (c) => {
      const caller = callerOf(c);
      const params = await paramsOf(c);
      if (params.text("scheduled_at") !== undefined) throw new Refusal("post_unscheduled");
      const { id } = await writePost(database, {
        ...(await writingOf(parts, params)),
        author: caller.account,
        visibility: visibilityOf(params, caller),
        inReplyTo: await answeredBy(parts, caller, params),
        media: mediaOf(params),
        poll: pollOf(params, clock.now()),
        app: caller.access.app,
        once: onceOf(c, params),
        at: clock.now(),
      });
      parts.nudge();
      return c.json(await shown(c, id));
    })
    .get("/:id", scopeIfAny("read:statuses"), async (c) =>
      c.json(await shown(c, idOf(c.req.param("id")))),
    )
    .put("/:id", scope("write:statuses"), async (c) => {
      const caller = callerOf(c);
      const params = await paramsOf(c);
      const { post, author, booster } = await targetOf(c);
      if (author !== caller.account.actor || booster !== null) throw new Refusal("not_found");
      const changed = await editPost(database, {
        ...(await writingOf(parts, params)),
        author: caller.account,
        post,
        media: params.has("media_ids") ? mediaOf(params) : undefined,
        at: clock.now(),
      });
      parts.nudge();
      return c.json(await shown(c, changed.id));
    })
    .delete("/:id", scope("write:statuses"), async (c) => {
      const { account } = callerOf(c);
      const target = await targetOf(c);
      const { post, author, booster } = target;
      // A boost is its own: whoever deletes it passes the post on no more, and the post stays.
      if ((booster ?? author) !== account.actor) throw new Refusal("not_found");
      if (booster !== null) {
        const boost = await shown(c, idOf(c.req.param("id")));
        await unboostPost(database, { account, post, at: clock.now() });
        parts.nudge();
        return c.json(boost);
      }
      const entity = await shown(c, post);
      const source = await sourceOf(parts, c, target);
      await deletePost(database, { author: account, post, at: clock.now() });
      parts.nudge();
      // The words come back, so that they can be written anew.
      return c.json({ ...entity, text: source["text"], spoiler_text: source["spoiler_text"] });
    })
    .get("/:id/source", scope("read:statuses"), async (c) => {
      const target = await targetOf(c);
      if (target.author !== callerOf(c).account.actor) throw new Refusal("not_found");
      return c.json(await sourceOf(parts, c, target));
    })
    .get("/:id/history", scopeIfAny("read:statuses"), async (c) =>
      c.json(await historyOf(parts, await targetOf(c))),
    )
    .get("/:id/context", scopeIfAny("read:statuses"), async (c) => {
      const caller = c.get("caller");
      const target = await targetOf(c);
      const at = clock.now();
      const [{ ancestors, descendants }] = await Promise.all([
        conversationOf(database, caller?.account, target.post, at),
        // Whoever reads a conversation may cause one look at its own server; what comes is there the next time.
        caller === undefined ? undefined : wantReplies(database, target.post, at),
      ]);
      const readable = await statusEntities(parts, caller, [...ancestors, ...descendants]);
      const entities = await filtered(parts, caller?.account, "thread", readable);
      const byId = new Map(entities.map((entity) => [entity["id"], entity]));
      const listed = (ids: readonly bigint[]) =>
        ids.map((id) => byId.get(String(id))).filter((entity) => entity !== undefined);
      return c.json({ ancestors: listed(ancestors), descendants: listed(descendants) });
    })
    .get("/:id/favourited_by", scopeIfAny("read:accounts"), (c) =>
      people(parts, c, "favourite", targetOf),
    )
    .get("/:id/reblogged_by", scopeIfAny("read:accounts"), (c) =>
      people(parts, c, "boost", targetOf),
    )
    .post("/:id/favourite", scope("write:favourites"), async (c) =>
      c.json(await favouriteStatus(parts, callerOf(c), idOf(c.req.param("id")))),
    )
    .post("/:id/unfavourite", scope("write:favourites"), async (c) => {
      const { account, access } = callerOf(c);
      const id = idOf(c.req.param("id"));
      // What was given can be taken back, also where the post is gone or is not to be seen any more.
      const target =
        (await findTarget(database, account, id)) ?? (await ownFavourite(database, account, id));
      if (target === undefined) throw new Refusal("not_found");
      const { thing, post } = target;
      const counts = access.countsFlattrs;
      await unfavouriteThing(database, { account, thing, counts, at: clock.now() });
      parts.nudge();
      return c.json(await shown(c, post));
    })
    .post("/:id/reblog", scope("write:statuses"), async (c) => {
      const { account } = callerOf(c);
      const target = await targetOf(c);
      const boost = await boostPost(database, { account, post: target.post, at: clock.now() });
      parts.nudge();
      return c.json(await shown(c, boost));
    })
    .post(
      "/:id/unreblog",
      scope("write:statuses"),
      doing(({ account }, { post }) => unboostPost(database, { account, post, at: clock.now() })),
    )
    .post(
      "/:id/bookmark",
      scope("write:bookmarks"),
      doing(async ({ account }, target) => {
        await bookmarkPost(database, { account, post: target.post, at: clock.now() });
        await keepWordsWanted(database, target);
      }),
    )
    .post(
      "/:id/unbookmark",
      scope("write:bookmarks"),
      doing(({ account }, { post }) => unbookmarkPost(database, { account, post })),
    )
    .post(
      "/:id/pin",
      scope("write:accounts"),
      doing(({ account }, { post }) => pinPost(database, { account, post, at: clock.now() })),
    )
    .post(
      "/:id/unpin",
      scope("write:accounts"),
      doing(({ account }, { post }) => unpinPost(database, { account, post })),
    )
    .post(
      "/:id/mute",
      scope("write:mutes"),
      doing(({ account }, { post }) => muteThread(database, { account, post })),
    )
    .post(
      "/:id/unmute",
      scope("write:mutes"),
      doing(({ account }, { post }) => unmuteThread(database, { account, post })),
    );
};

/**
 * A favourite is the most frequent thing that people do, so that little is asked: the post is read once, and what the
 * favourite changes of it is known. A boost means the post that was passed on.
 *
 * @throws Refusal "not_found"
 */
async function favouriteStatus(parts: ClientParts, caller: Caller, id: bigint): Promise<Entity> {
  const { database, clock } = parts;
  const { account, access } = caller;
  const [seen] = await seePosts(database, account, [id], clock.now());
  if (seen?.post.own === undefined) throw new Refusal("not_found");
  const { post } = seen;
  const stood = seen.post.own.isFavourite;
  const counts = access.countsFlattrs;
  const at = clock.now();
  const [{ flattr, isShown, again }, authors] = await Promise.all([
    favouriteThing(database, { account, thing: post.thing, counts, at }),
    accountEntities(parts, [post.author]),
    // They are of use only with the favourite: whoever searches must have it.
    keepWordsWanted(database, { ...post, post: post.id }),
  ]);
  if (!again) parts.nudge();
  const own = { ...seen.post.own, isFavourite: true, isFlattred: flattr !== undefined };
  const favourites = post.favourites + (isShown ? 1 : 0);
  const [entity] =
    stood || again
      ? await statusEntities(parts, caller, [post.id])
      : await entitiesOf(
          parts,
          caller,
          [{ id: post.id, post: { ...post, own, favourites }, boost: undefined }],
          { at, accounts: authors },
        );
  if (entity === undefined) throw new Refusal("not_found");
  return entity;
}

/** The words of a post. Whom it speaks to and nobody here knows is looked up first, so that they are told. */
async function writingOf(parts: ClientParts, params: Params) {
  const text = params.text("status") ?? "";
  // Too long to be written anyway.
  const isReadable = text.length <= LOOKED_AT_CHARS_MAX;
  const { host: own } = new URL(parts.database.settings.origin);
  const strangers = marksOf(isReadable ? text : "")
    .handles.slice(0, MENTIONS_MAX)
    .filter(({ host }) => host !== undefined && host !== own)
    .slice(0, LOOKUPS_MAX);
  // Who cannot be found stays plain text.
  await Promise.allSettled(
    strangers.map(async ({ name, host }) => {
      const handle = `@${name}@${host}`;
      if ((await findPayee(parts.database, handle)) === undefined)
        await parts.resolver.actor(handle);
    }),
  );
  return {
    text,
    summary: params.text("spoiler_text"),
    isSensitive: params.flag("sensitive"),
    language: params.text("language"),
  };
}

function visibilityOf(params: Params, { account }: Caller): Visibility {
  switch (params.text("visibility")) {
    case undefined:
    case "":
      return account.postVisibility;
    case "public":
      return "public";
    case "unlisted":
      return "unlisted";
    case "private":
      return "followers";
    case "direct":
      return "direct";
    default:
      throw new Refusal("visibility_invalid");
  }
}

/** The address of what is answered; only what the caller may see can be. */
async function answeredBy(
  { database }: ClientParts,
  { account }: Caller,
  params: Params,
): Promise<string | undefined> {
  const text = params.text("in_reply_to_id");
  if (text === undefined || text === "") return undefined;
  const target = await findTarget(database, account, idOf(text));
  if (target === undefined) throw new Refusal("not_found");
  return target.uri;
}

function mediaOf(params: Params): readonly bigint[] {
  return (params.list("media_ids") ?? []).map((text) => {
    const id = idIn(text);
    if (id === undefined) throw new Refusal("media_unknown", { max: "4" });
    return id;
  });
}

function pollOf(params: Params, at: ReturnType<ClientParts["clock"]["now"]>): NewPoll | undefined {
  const poll = params.record("poll");
  const options = poll?.list("options");
  if (poll === undefined || options === undefined || options.length === 0) return undefined;
  // What is longer is too long, and some of it no instant.
  const seconds = Math.min(poll.whole("expires_in") ?? 0, POLL_SECONDS_MAX + 1);
  return {
    options,
    isMultiple: poll.flag("multiple") ?? false,
    endsAt: at.add({ seconds }),
  };
}

/** Sent twice with one key, a post is written once; other words under the same key are a mistake. */
function onceOf(c: Ctx, params: Params) {
  const key = c.req.header("idempotency-key")?.trim();
  if (key === undefined || key === "") return undefined;
  if (key.length > KEY_CHARS_MAX) throw new AccessError(422, "Idempotency-Key is too long");
  const asked = [
    "status",
    "in_reply_to_id",
    "spoiler_text",
    "visibility",
    "sensitive",
    "language",
  ].map((name) => params.text(name) ?? null);
  const lists = [params.list("media_ids") ?? [], params.record("poll")?.list("options") ?? []];
  const digest = createHash("sha256")
    .update(JSON.stringify([asked, lists]))
    .digest();
  return { key, digest };
}

/** The words as they were typed. */
async function sourceOf({ database }: ClientParts, c: Ctx, { post }: Target): Promise<Entity> {
  const [newest] = await editsOf(database, post);
  if (newest === undefined) throw new Refusal("not_found");
  return {
    id: c.req.param("id"),
    text: newest.text ?? "",
    spoiler_text: newest.summary ?? "",
  };
}

/** How a post was and is, the first form first. */
async function historyOf(
  { database }: ClientParts,
  { post, author }: Target,
): Promise<readonly Entity[]> {
  const edits = (await editsOf(database, post)).toReversed();
  const account = (await accountEntities({ database }, [author])).get(author);
  const { origin } = database.settings;
  return edits.map((edit) => ({
    content: edit.text === null ? cleanHtml(edit.html ?? "") : renderText(edit.text, [], origin),
    spoiler_text: edit.summary ?? "",
    sensitive: edit.isSensitive,
    created_at: instantText(edit.at),
    account,
    poll:
      edit.poll === null ? null : { options: edit.poll.options.map(({ title }) => ({ title })) },
    media_attachments: (edit.attachments ?? []).map(mediaEntity),
    emojis: [],
  }));
}

async function people(
  parts: ClientParts,
  c: Ctx,
  kind: "favourite" | "boost",
  targetOf: (c: Ctx) => Promise<Target>,
) {
  const { database } = parts;
  const target = await targetOf(c);
  const page = await reactedBy(database, kind, target, pageOf(await paramsOf(c), PEOPLE));
  linkPages(c, database.settings.origin, cursorsOf(page.map(({ cursor }) => cursor)));
  return c.json(
    await accountList(
      parts,
      page.map(({ id }) => id),
    ),
  );
}
