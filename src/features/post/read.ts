/** Reading a post of another server from its document. Nothing here is cleaned: that is done when it is shown. */

import { canonicalAddress, sameOrigin } from "../../rules/address.ts";
import {
  type Document,
  idOf,
  idsOf,
  isDocument,
  listOf,
  namesPublic,
  textOf,
  typesOf,
} from "../../rules/activity-streams.ts";
import { Refusal } from "../../store/refusal.ts";
import { Temporal } from "../../store/time.ts";
import { thingOfDocument } from "../thing/document.ts";
import type { NewThing } from "../thing/thing.ts";
import { HTML_CHARS_MAX, paragraph, plainText } from "./clean.ts";
import { MENTIONS_MAX, TAGS_MAX } from "./marks.ts";
import type { Visibility } from "./note.ts";
import type { Attachment, Poll } from "./schema.ts";

/** Types that are kept as posts. @see https://www.w3.org/TR/activitystreams-vocabulary/#object-types */
export const POST_TYPES: ReadonlySet<string> = new Set([
  "Article",
  "Audio",
  "Document",
  "Event",
  "Image",
  "Note",
  "Page",
  "Question",
  "Video",
]);

/** Files beside one post that are kept. */
const ATTACHMENTS_MAX = 16;

/** Choices of one poll. */
const OPTIONS_MAX = 20;

/** Characters of a warning, a description, a choice. */
const WORDS_CHARS_MAX = 1500;

/** A post says it is older than the web: then it is as old as this. */
const OLDEST = Temporal.Instant.from("1995-01-01T00:00:00Z");

/** A post as its document says. */
export interface ReadPost {
  readonly thing: NewThing;
  readonly html: string;
  readonly summary: string | null;
  readonly isSensitive: boolean;
  readonly language: string | null;
  readonly visibility: Visibility;
  readonly inReplyTo: string | null;
  readonly url: string | null;
  readonly attachments: readonly Attachment[] | null;
  readonly poll: Poll | null;
  /** The actors that it speaks to. */
  readonly mentions: readonly string[];
  /** All that it is addressed to, collections too. */
  readonly addressed: readonly string[];
  readonly tags: readonly string[];
  readonly at: Temporal.Instant;
  readonly updated: Temporal.Instant | null;
}

/**
 * Reads a post. Trusts a document for its own origin and author only (FEP-fe34).
 *
 * @param author whoever signed it, or whoever it was fetched from says that wrote it
 * @param followers the address of the author's followers, where it is known
 * @throws Refusal "document_invalid" when it is no post of that author, "no_payee"
 */
export function readPost(
  document: Document,
  author: string,
  followers: string | null,
  now: Temporal.Instant,
): ReadPost {
  const id = textOf(document["id"]);
  const kind = typesOf(document).find((type) => POST_TYPES.has(type));
  if (id === undefined || kind === undefined || !sameOrigin(id, author))
    throw new Refusal("document_invalid", { rule: "it must be a post of its author's server" });
  if (!idsOf(document["attributedTo"]).includes(author))
    throw new Refusal("document_invalid", { rule: "it must be attributed to whoever sends it" });
  const html = contentOf(document, kind);
  if (html.length > HTML_CHARS_MAX)
    throw new Refusal("document_invalid", {
      rule: `a post has at most ${HTML_CHARS_MAX} characters`,
    });
  const to = idsOf(document["to"]);
  const cc = idsOf(document["cc"]);
  const tags = listOf(document["tag"]).filter(isDocument);
  const updated = instantOf(document["updated"], now);
  return {
    thing: thingOfDocument(withoutNul(document), author),
    html,
    summary: wordsOf(document["summary"]),
    isSensitive: document["sensitive"] === true,
    language: languageOf(document),
    visibility: visibilityOf(to, cc, followers),
    inReplyTo: addressOf(idOf(document["inReplyTo"])),
    url: pageOf(document["url"], id),
    attachments: emptyAsNull(
      listOf(document["attachment"])
        .filter(isDocument)
        .slice(0, ATTACHMENTS_MAX)
        .map(readAttachment)
        .filter((read) => read !== undefined),
    ),
    poll: kind === "Question" ? readPoll(document, now) : null,
    mentions: [
      ...new Set(
        tags.filter((tag) => typesOf(tag).includes("Mention")).map((tag) => textOf(tag["href"])),
      ),
    ]
      .filter((href) => href !== undefined)
      .slice(0, MENTIONS_MAX),
    addressed: [...to, ...cc],
    tags: tags
      .filter((tag) => typesOf(tag).includes("Hashtag"))
      .map((tag) => hashtagOf(tag["name"]))
      .filter((tag) => tag !== undefined)
      .slice(0, TAGS_MAX),
    at: instantOf(document["published"], now) ?? now,
    updated,
  };
}

/** Public to everybody, unlisted when everybody is only a reader, then followers, else those who are named. */
function visibilityOf(
  to: readonly string[],
  cc: readonly string[],
  followers: string | null,
): Visibility {
  if (namesPublic(to)) return "public";
  if (namesPublic(cc)) return "unlisted";
  return followers !== null && [...to, ...cc].includes(followers) ? "followers" : "direct";
}

function contentOf(document: Document, kind: string): string {
  const map = document["contentMap"];
  const first = isDocument(map) ? textOf(Object.values(map)[0]) : undefined;
  const content = textOf(document["content"]) ?? first ?? "";
  const name = kind === "Note" || kind === "Question" ? undefined : textOf(document["name"]);
  return name === undefined ? content : `${paragraph(name.slice(0, WORDS_CHARS_MAX))}${content}`;
}

function languageOf(document: Document): string | null {
  const map = document["contentMap"];
  const named = isDocument(map) ? Object.keys(map) : [];
  const [language] = named.length === 1 ? named : [textOf(document["language"]) ?? ""];
  return /^[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}$/i.test(language!) ? language! : null;
}

function readAttachment(document: Document): Attachment | undefined {
  const [link] = listOf(document["url"] ?? document["href"]);
  const url = addressOf(isDocument(link) ? textOf(link["href"]) : textOf(link));
  if (url === null) return undefined;
  return {
    url,
    mediaType:
      mediaTypeOf(document["mediaType"]) ??
      (isDocument(link) ? mediaTypeOf(link["mediaType"]) : null),
    description: wordsOf(document["name"] ?? document["summary"]),
    ...measuredOf(document),
  };
}

/** The longest side that is believed, and the longest blurhash: 9 by 9 components have 166 characters. */
const SIDE_MAX = 100_000;
const BLURHASH = /^[0-9A-Za-z#$%*+,\-.:;=?@[\]^_{|}~]{6,166}$/;

/** What clients need to keep room for a picture before it is there. */
function measuredOf(document: Document): Partial<Attachment> {
  const { width, height, blurhash, focalPoint } = document;
  const isSide = (side: unknown): side is number =>
    Number.isInteger(side) && Number(side) > 0 && Number(side) <= SIDE_MAX;
  const focus = Array.isArray(focalPoint) ? focalPoint : [];
  const [x, y, ...more] = focus as unknown[];
  const isPlace = (place: unknown): place is number =>
    typeof place === "number" && Math.abs(place) <= 1;
  return {
    ...(isSide(width) && isSide(height) ? { width, height } : {}),
    ...(typeof blurhash === "string" && BLURHASH.test(blurhash) ? { blurhash } : {}),
    ...(more.length === 0 && isPlace(x) && isPlace(y) ? { focus: [x, y] as const } : {}),
  };
}

function readPoll(document: Document, now: Temporal.Instant): Poll | null {
  const isMultiple = document["anyOf"] !== undefined;
  const options = listOf(document["anyOf"] ?? document["oneOf"])
    .filter(isDocument)
    .slice(0, OPTIONS_MAX)
    .map((option) => ({
      title: wordsOf(option["name"]) ?? "",
      votes: isDocument(option["replies"]) ? countOf(option["replies"]["totalItems"]) : 0,
    }));
  if (options.length === 0) return null;
  const voters = document["votersCount"];
  const closed = textOf(document["closed"]) ?? textOf(document["endTime"]);
  return {
    isMultiple,
    options,
    // A poll may end later than now; only nonsense is dropped.
    endsAt: closed === undefined ? null : (parseInstant(closed)?.toString() ?? null),
    voters: voters === undefined ? null : countOf(voters),
    ...(document["closed"] === true ? { endsAt: now.toString() } : {}),
  };
}

function countOf(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : 0;
}

function hashtagOf(value: unknown): string | undefined {
  const name = textOf(value)?.replace(/^#/, "").normalize("NFKC").toLowerCase();
  return name !== undefined && /^[\p{L}\p{N}\p{M}_]{1,100}$/u.test(name) ? name : undefined;
}

function mediaTypeOf(value: unknown): string | null {
  const type = textOf(value);
  return type !== undefined && /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(type) ? type : null;
}

function wordsOf(value: unknown): string | null {
  // A cut may go through a character, and JSON in the database holds none that is half.
  const words = plainText(textOf(value) ?? "")
    .slice(0, WORDS_CHARS_MAX)
    .toWellFormed();
  return words === "" ? null : words;
}

function addressOf(value: string | undefined): string | null {
  return value !== undefined && canonicalAddress(value) !== undefined ? value : null;
}

/** The page of a post is on its own server: a link elsewhere would be shown under the author's name. */
function pageOf(value: unknown, id: string): string | null {
  const links = listOf(value).map((link) =>
    isDocument(link)
      ? { href: textOf(link["href"]), type: textOf(link["mediaType"]) }
      : { href: textOf(link), type: undefined },
  );
  const page = links.find(({ type }) => type === "text/html") ?? links[0];
  const address = addressOf(page?.href);
  return address !== null && sameOrigin(address, id) ? address : null;
}

/** When something is said to have happened: never later than now, so that nobody stays on top. */
function instantOf(value: unknown, now: Temporal.Instant): Temporal.Instant | null {
  const read = parseInstant(textOf(value));
  if (read === undefined) return null;
  if (Temporal.Instant.compare(read, now) > 0) return now;
  return Temporal.Instant.compare(read, OLDEST) < 0 ? OLDEST : read;
}

function parseInstant(text: string | undefined): Temporal.Instant | undefined {
  if (text === undefined) return undefined;
  try {
    return Temporal.Instant.from(text);
  } catch {
    return undefined;
  }
}

function emptyAsNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

/** The database keeps no text with NUL; the members that the title is made of are read elsewhere. */
function withoutNul(document: Document): Document {
  return {
    ...document,
    name: textOf(document["name"]),
    summary: textOf(document["summary"]),
  };
}
