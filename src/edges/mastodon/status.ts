/** Posts as clients read them. @see https://docs.joinmastodon.org/entities/Status/ */

import type { Poll } from "../../features/post/schema.ts";
import type { ActorId } from "../../features/account/actor.ts";
import { type SeenPost, type SeenStatus, seePosts } from "../../features/post/see.ts";
import { renderText, tagAddress } from "../../features/post/text.ts";
import { periodOf } from "../../rules/period.ts";
import { Temporal } from "../../store/time.ts";
import { accountEntities, type Entity, instantText } from "./account.ts";
import { cleaned } from "./cleaned.ts";
import type { Caller, ClientParts } from "./frame.ts";
import { mediaEntity } from "./media-entity.ts";
import { clickValue } from "./money.ts";

/** What is needed to show posts. */
export type StatusParts = Pick<ClientParts, "database" | "clock">;

/** Visibilities by the names that clients know. */
export const VISIBILITY_NAMES = {
  public: "public",
  unlisted: "unlisted",
  followers: "private",
  direct: "direct",
} as const;

/** Those of these posts and boosts that the caller may see, in this order. */
export async function statusEntities(
  parts: StatusParts,
  caller: Caller | undefined,
  ids: readonly bigint[],
): Promise<readonly Entity[]> {
  const { database, clock } = parts;
  const at = clock.now();
  return entitiesOf(parts, caller, await seePosts(database, caller?.account, ids, at), { at });
}

/** Posts and boosts as the caller saw them at an instant; `accounts`: those of all of them, where they are known. */
export async function entitiesOf(
  parts: StatusParts,
  caller: Caller | undefined,
  seen: readonly SeenStatus[],
  {
    at,
    accounts,
  }: { readonly at: Temporal.Instant; readonly accounts?: ReadonlyMap<ActorId, Entity> },
): Promise<readonly Entity[]> {
  const { database } = parts;
  const isValueShown = seen.some(({ post }) => post.own?.isFlattred === true);
  const value = isValueShown ? await clickValue(parts, caller, at) : undefined;
  const known =
    accounts ??
    (await accountEntities(
      parts,
      seen.flatMap(({ post, boost }) => [
        post.author,
        ...(boost === undefined ? [] : [boost.actor]),
      ]),
    ));
  const { origin } = database.settings;
  return seen.flatMap(({ id, post, boost }) => {
    const author = known.get(post.author);
    if (author === undefined) return [];
    const entity = statusEntity(post, author, {
      origin,
      at,
      value,
      showsMoney: caller?.showsMoney ?? false,
    });
    if (boost === undefined) return [entity];
    const booster = known.get(boost.actor);
    return booster === undefined ? [] : [wrapper({ id, post, boost }, booster, entity)];
  });
}

/** One post; undefined when there is none for the caller. */
export async function statusOf(
  parts: StatusParts,
  caller: Caller | undefined,
  id: bigint,
): Promise<Entity | undefined> {
  const [entity] = await statusEntities(parts, caller, [id]);
  return entity;
}

interface Shown {
  readonly origin: string;
  readonly at: Temporal.Instant;
  /** What a click is worth now, for callers who may see it. */
  readonly value: string | undefined;
  readonly showsMoney: boolean;
}

function statusEntity(
  post: SeenPost,
  author: Entity,
  { origin, at, value, showsMoney }: Shown,
): Entity {
  const { own } = post;
  return {
    id: String(post.id),
    uri: post.uri,
    url: post.url ?? post.uri,
    created_at: instantText(post.at),
    edited_at: post.editedAt === null ? null : instantText(post.editedAt),
    in_reply_to_id: post.answered === undefined ? null : String(post.answered.id),
    in_reply_to_account_id: post.answered === undefined ? null : String(post.answered.author),
    sensitive: post.isSensitive,
    spoiler_text: post.summary ?? "",
    visibility: VISIBILITY_NAMES[post.visibility],
    language: post.language,
    content: contentOf(post, origin, showsMoney),
    reblog: null,
    application: post.app === undefined ? null : { name: post.app.name, website: post.app.website },
    account: author,
    media_attachments: (post.attachments ?? []).map(mediaEntity),
    mentions: post.mentions.map(({ id, name, host, uri, url }) => ({
      id,
      username: name,
      acct: uri.startsWith(`${origin}/`) ? name : `${name}@${host}`,
      url: url ?? uri,
    })),
    tags: post.tags.map((name) => ({ name, url: tagAddress(origin, name) })),
    emojis: [],
    card: null,
    poll: post.poll === null ? null : pollEntity(post, post.poll, at),
    quote: null,
    reblogs_count: post.boosts,
    favourites_count: post.favourites,
    replies_count: post.replies,
    ...(own === undefined
      ? {}
      : {
          favourited: own.isFavourite,
          reblogged: own.isBoosted,
          bookmarked: own.isBookmarked,
          muted: own.isMuted,
          pinned: own.isPinned,
          filtered: [],
          flattr: {
            period: periodOf(at),
            given: own.isFlattred,
            ...(own.isFlattred && value !== undefined ? { value } : {}),
          },
        }),
  };
}

/** A boost is shown as a post of whoever passed it on, around the post itself. */
function wrapper({ id, boost }: SeenStatus, booster: Entity, inner: Entity): Entity {
  return {
    ...inner,
    id: String(id),
    uri: boost!.uri,
    url: inner["url"],
    created_at: instantText(boost!.at),
    edited_at: null,
    in_reply_to_id: null,
    in_reply_to_account_id: null,
    content: inner["content"],
    account: booster,
    media_attachments: [],
    mentions: [],
    tags: [],
    poll: null,
    application: null,
    reblog: inner,
  };
}

/** Messages of `@flattr` have a second form with amounts: only apps that may show them ever get it. */
function contentOf(post: SeenPost, origin: string, showsMoney: boolean): string {
  const { text, html } = post;
  if (text !== null && !(showsMoney && html !== null))
    return renderText(text, post.mentions, origin);
  return cleaned(html ?? "");
}

/** A poll. @see https://docs.joinmastodon.org/entities/Poll/ */
export function pollEntity(
  { id, own }: Pick<SeenPost, "id" | "own">,
  { isMultiple, options, endsAt, voters }: Poll,
  at: Temporal.Instant,
): Entity {
  const hasEnded =
    endsAt !== null && Temporal.Instant.compare(Temporal.Instant.from(endsAt), at) <= 0;
  return {
    id: String(id),
    expires_at: endsAt,
    expired: hasEnded,
    multiple: isMultiple,
    votes_count: options.reduce((all, { votes }) => all + votes, 0),
    voters_count: voters,
    options: options.map(({ title, votes }) => ({ title, votes_count: votes })),
    emojis: [],
    ...(own === undefined ? {} : { voted: own.choices.length > 0, own_votes: own.choices }),
  };
}
