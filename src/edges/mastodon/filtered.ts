/** Filters are applied where posts are shown. */

import {
  type Filterable,
  type FilterMatch,
  type FilterPlace,
  matchFilters,
} from "../../features/filter/match.ts";
import { plainText } from "../../features/post/clean.ts";
import type { Viewer } from "../../features/post/visible.ts";
import { type Entity, instantText } from "./account.ts";
import type { ClientParts } from "./frame.ts";

/**
 * Posts without those that the viewer's filters hide here; those that get a warning say which filter it was.
 *
 * @see https://docs.joinmastodon.org/entities/FilterResult/
 */
export async function filtered(
  { database, clock }: Pick<ClientParts, "database" | "clock">,
  viewer: Viewer | undefined,
  place: FilterPlace,
  entities: readonly Entity[],
): Promise<readonly Entity[]> {
  if (viewer === undefined) return entities;
  const posts = entities.map(filterable);
  const matches = await matchFilters(database, viewer, place, posts, clock.now());
  if (matches === undefined) return entities;
  return entities.flatMap((entity, n) => {
    const found = matches[n] ?? [];
    if (found.some(({ action }) => action === "hide")) return [];
    if (found.length === 0) return [entity];
    const results = found.map((match) => resultEntity(match, posts[n]!.id));
    const { reblog } = entity as { readonly reblog?: Entity | null };
    // Some clients ask the boost, others what was passed on.
    return [
      {
        ...entity,
        filtered: results,
        ...(reblog ? { reblog: { ...reblog, filtered: results } } : {}),
      },
    ];
  });
}

/** What is read of a status; a boost is filtered by what was passed on. */
interface Shown {
  readonly id: string;
  readonly account: { readonly id: string };
  readonly content: string;
  readonly spoiler_text: string;
  readonly media_attachments: readonly { readonly description?: string | null }[];
  readonly poll: { readonly options: readonly { readonly title: string }[] } | null;
  readonly reblog: Shown | null;
}

function filterable(entity: Entity): Filterable {
  const status = entity as unknown as Shown;
  const { id, account, content, spoiler_text, media_attachments, poll } = status.reblog ?? status;
  return {
    id: BigInt(id),
    author: BigInt(account.id),
    texts: () => [
      spoiler_text,
      plainText(content),
      ...media_attachments.map(({ description }) => description ?? ""),
      ...(poll?.options ?? []).map(({ title }) => title),
    ],
  };
}

function resultEntity(
  { id, title, places, action, until, keywords, isChosen }: FilterMatch,
  post: bigint,
): Entity {
  return {
    filter: {
      id: String(id),
      title,
      context: places,
      expires_at: until === undefined ? null : instantText(until),
      filter_action: action,
    },
    keyword_matches: keywords.length === 0 ? null : keywords,
    status_matches: isChosen ? [String(post)] : null,
  };
}
