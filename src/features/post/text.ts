/** What people type: mentions, hashtags and links are found in it, and it becomes HTML that holds nothing else. */

import { parseHandle } from "../../rules/address.ts";

/** Somebody who is spoken to, as typed: without a host, of this instance. */
export interface Handle {
  readonly name: string;
  readonly host: string | undefined;
}

/** Somebody who is spoken to, as known. */
export interface Mentioned {
  readonly uri: string;
  readonly name: string;
  /** `URL.host`, port included. */
  readonly host: string;
  /** The page that people look at. */
  readonly url: string | null;
}

/** Mentions, hashtags and links of one text that are looked at; what is beyond stays plain text. */
const MARKS_MAX = 100;

/** Addresses, mentions, hashtags; each only where a word may begin. */
const MARK =
  /(https?:\/\/[^\s<>"'`]+)|(?<![\p{L}\p{N}_/@.])(@[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?(?:@[a-z0-9.-]*[a-z0-9](?::\d{1,5})?)?)|(?<![\p{L}\p{N}_/&#])#([\p{L}\p{N}\p{M}_]{1,100})/giu;

/** Punctuation that ends a sentence rather than an address; tried once for each run of it, however long that is. */
const TRAILING = /(?<![.,;:!?)\]}])[.,;:!?)\]}]+$/;

type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "link"; readonly text: string }
  | { readonly kind: "mention"; readonly text: string; readonly handle: Handle }
  | { readonly kind: "tag"; readonly text: string; readonly tag: string };

/** The mentions and hashtags of a text, each once; hashtags in lower case. */
export function marksOf(text: string): {
  readonly handles: readonly Handle[];
  readonly tags: readonly string[];
} {
  const handles = new Map<string, Handle>();
  const tags = new Set<string>();
  for (const piece of piecesOf(text)) {
    if (piece.kind === "mention")
      handles.set(`${piece.handle.name.toLowerCase()}@${piece.handle.host ?? ""}`, piece.handle);
    if (piece.kind === "tag") tags.add(piece.tag);
  }
  return { handles: [...handles.values()], tags: [...tags] };
}

/** The text as HTML; whoever is not among the mentioned stays plain text. */
export function renderText(text: string, mentioned: readonly Mentioned[], origin: string): string {
  const host = new URL(origin).host;
  const inline = (pieces: readonly Piece[]) =>
    pieces
      .map((piece) => {
        switch (piece.kind) {
          case "text":
            return escapeHtml(piece.text).replaceAll("\n", "<br>");
          case "link":
            return `<a href="${escapeHtml(piece.text)}" rel="nofollow noopener noreferrer">${escapeHtml(piece.text)}</a>`;
          case "tag":
            return `<a href="${escapeHtml(tagAddress(origin, piece.tag))}" class="mention hashtag" rel="tag">#<span>${escapeHtml(piece.text.slice(1))}</span></a>`;
          default: {
            const who = mentioned.find(
              (one) =>
                one.name.toLowerCase() === piece.handle.name.toLowerCase() &&
                one.host === (piece.handle.host ?? host),
            );
            return who === undefined
              ? escapeHtml(piece.text)
              : `<span class="h-card"><a href="${escapeHtml(who.url ?? who.uri)}" class="u-url mention">@<span>${escapeHtml(who.name)}</span></a></span>`;
          }
        }
      })
      .join("");
  return text
    .replaceAll("\r\n", "\n")
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim() !== "")
    .map((paragraph) => `<p>${inline(piecesOf(paragraph.trim()))}</p>`)
    .join("");
}

/** The page of a hashtag. */
export function tagAddress(origin: string, tag: string): string {
  return `${origin}/tags/${encodeURIComponent(tag)}`;
}

/** Text for HTML, inside elements and attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  let marks = 0;
  const plain = (to: number) => {
    if (to > from) pieces.push({ kind: "text", text: text.slice(from, to) });
  };
  for (const match of text.matchAll(MARK)) {
    if (match.index < from) continue;
    const piece = pieceOf(match);
    if (piece === undefined) continue;
    if ((marks += 1) > MARKS_MAX) break;
    plain(match.index);
    pieces.push(piece);
    from = match.index + piece.text.length;
  }
  plain(text.length);
  return pieces;
}

function pieceOf([, address, mention, tag]: RegExpMatchArray): Piece | undefined {
  if (address !== undefined) {
    const text = address.replace(TRAILING, "");
    return URL.canParse(text) ? { kind: "link", text } : undefined;
  }
  if (mention !== undefined) {
    const handle = parseHandle(mention);
    return handle === undefined ? undefined : { kind: "mention", text: mention, handle };
  }
  // A number is no hashtag.
  if (tag === undefined || !/\p{L}/u.test(tag)) return undefined;
  return { kind: "tag", text: `#${tag}`, tag: tag.normalize("NFKC").toLowerCase() };
}
