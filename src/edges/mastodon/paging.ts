/** Pages of lists, as clients turn them. @see https://docs.joinmastodon.org/api/guidelines/#pagination */

import type { Context } from "hono";
import { Refusal } from "../../store/refusal.ts";
import type { Params } from "./params.ts";

/** Which page is asked for. */
export interface Page {
  readonly limit: number;
  /** Below this id. */
  readonly maxId: bigint | undefined;
  /** Above this id, the newest first. */
  readonly sinceId: bigint | undefined;
  /** Directly above this id. */
  readonly minId: bigint | undefined;
}

/** An id in an address; whatever is none belongs to nothing. @throws Refusal "not_found" */
export function idOf(text: string): bigint {
  const id = idIn(text);
  if (id === undefined) throw new Refusal("not_found");
  return id;
}

/** An id in a field; undefined for what is none. */
export function idIn(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^(?:0|[1-9]\d{0,18})$/.test(text)) return undefined;
  const id = BigInt(text);
  return id < 2n ** 63n ? id : undefined;
}

/** The page that a request asks for. */
export function pageOf(
  params: Params,
  { usual, most }: { readonly usual: number; readonly most: number },
): Page {
  const wanted = params.whole("limit") ?? usual;
  return {
    limit: Math.min(Math.max(wanted, 1), most),
    maxId: idIn(params.text("max_id")),
    sinceId: idIn(params.text("since_id")),
    minId: idIn(params.text("min_id")),
  };
}

/** Says where the pages before and after are. @param cursors the ids of the page's first and last entry */
export function linkPages(
  c: Context,
  origin: string,
  cursors: { readonly newest: bigint; readonly oldest: bigint } | undefined,
): void {
  if (cursors === undefined) return;
  const asked = new URL(c.req.url);
  const to = (name: string, id: bigint) => {
    const target = new URL(asked.pathname, origin);
    for (const [key, value] of asked.searchParams)
      if (!["max_id", "since_id", "min_id", "access_token"].includes(key))
        target.searchParams.append(key, value);
    target.searchParams.set(name, String(id));
    return target.href;
  };
  c.header(
    "link",
    `<${to("max_id", cursors.oldest)}>; rel="next", <${to("min_id", cursors.newest)}>; rel="prev"`,
  );
}

/** The cursors of a page whose ids are given in the order shown; undefined for an empty page. */
export function cursorsOf(
  ids: readonly bigint[],
): { readonly newest: bigint; readonly oldest: bigint } | undefined {
  const [newest] = ids;
  const oldest = ids.at(-1);
  return newest === undefined || oldest === undefined ? undefined : { newest, oldest };
}
