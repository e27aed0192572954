/** A post as other servers read it: plain JSON, nothing else is needed to make it. */

import { CORE_CONTEXT, type Document, PUBLIC } from "../../rules/activity-streams.ts";
import { Temporal } from "../../store/time.ts";
import { type Mentioned, renderText, tagAddress } from "./text.ts";
import type { Attachment, Poll } from "./schema.ts";

/** Who may see a post. */
export type Visibility = "public" | "unlisted" | "followers" | "direct";

/** All that a document of a post is made of. */
export interface Note {
  readonly id: bigint;
  readonly uri: string;
  /** The author's URI. */
  readonly author: string;
  readonly text: string | null;
  readonly html: string | null;
  readonly summary: string | null;
  readonly isSensitive: boolean;
  readonly language: string | null;
  readonly visibility: Visibility;
  readonly inReplyTo: string | null;
  readonly url: string | null;
  readonly attachments: readonly Attachment[] | null;
  readonly poll: Poll | null;
  readonly at: Temporal.Instant;
  readonly editedAt: Temporal.Instant | null;
  readonly deletedAt: Temporal.Instant | null;
  readonly mentions: readonly Mentioned[];
  readonly tags: readonly string[];
}

/** Words that the core context lacks; inline, so that nobody has to fetch anything. */
const NOTE_CONTEXT = [CORE_CONTEXT, { Hashtag: "as:Hashtag", sensitive: "as:sensitive" }] as const;

/** Those of a poll and of pictures, too. */
export const RICH_CONTEXT = [
  CORE_CONTEXT,
  {
    Hashtag: "as:Hashtag",
    sensitive: "as:sensitive",
    toot: "http://joinmastodon.org/ns#",
    votersCount: "toot:votersCount",
    blurhash: "toot:blurhash",
    focalPoint: { "@container": "@list", "@id": "toot:focalPoint" },
  },
] as const;

function contextOf({ poll, attachments }: Note) {
  return poll === null && attachments === null ? NOTE_CONTEXT : RICH_CONTEXT;
}

/** The HTML of a post: of this instance rendered, of others as it came and not cleaned. */
export function htmlOf({ text, html, mentions }: Note, origin: string): string {
  return text === null ? (html ?? "") : renderText(text, mentions, origin);
}

/** The object: a Note, or a Tombstone when it is gone. */
export function noteDocument(note: Note, origin: string): Document {
  return note.deletedAt === null
    ? { "@context": contextOf(note), ...bareNote(note, origin) }
    : {
        "@context": CORE_CONTEXT,
        ...tombstone(note),
        formerType: "Note",
        deleted: seconds(note.deletedAt),
      };
}

/** `Create` of a post. */
export function createDocument(note: Note, origin: string): Document {
  return {
    "@context": contextOf(note),
    id: `${note.uri}#create`,
    type: "Create",
    actor: note.author,
    published: seconds(note.at),
    ...audience(note),
    object: bareNote(note, origin),
  };
}

/** `Update` of a post, known by when it was made. */
export function updateDocument(note: Note, origin: string, at: Temporal.Instant): Document {
  return {
    "@context": contextOf(note),
    id: `${note.uri}#updates/${at.epochMilliseconds}`,
    type: "Update",
    actor: note.author,
    published: seconds(at),
    ...audience(note),
    object: bareNote(note, origin),
  };
}

/** `Delete` of a post. */
export function deleteDocument(note: Note, at: Temporal.Instant): Document {
  return {
    "@context": CORE_CONTEXT,
    id: `${note.uri}#delete`,
    type: "Delete",
    actor: note.author,
    published: seconds(at),
    ...audience(note),
    object: tombstone(note),
  };
}

/** Somebody of this instance passing a post on. */
export interface Boost {
  readonly id: string;
  /** Who passes it on. */
  readonly actor: string;
  readonly post: string;
  /** Who wrote it. */
  readonly author: string;
  readonly at: Temporal.Instant;
}

/** `Announce` of a post. */
export function boostDocument(boost: Boost): Document {
  return { "@context": CORE_CONTEXT, ...bareBoost(boost) };
}

/** `Undo` of an `Announce`. */
export function unboostDocument(boost: Boost): Document {
  const { to, cc, ...object } = bareBoost(boost);
  return {
    "@context": CORE_CONTEXT,
    id: `${boost.id}/undo`,
    type: "Undo",
    actor: boost.actor,
    to,
    cc,
    object,
  };
}

function bareBoost({ id, actor, post, author, at }: Boost): Document {
  return {
    id,
    type: "Announce",
    actor,
    published: seconds(at),
    to: [PUBLIC],
    cc: [`${actor}/followers`, author],
    object: post,
  };
}

/** A choice in a poll of another server. */
export interface Vote {
  readonly id: string;
  readonly voter: string;
  readonly question: string;
  /** Whose poll it is. */
  readonly author: string;
  /** Its words. */
  readonly choice: string;
  readonly at: Temporal.Instant;
}

/** `Create` of a vote: a Note that has a name and no content, to the author alone. */
export function voteDocument({ id, voter, question, author, choice, at }: Vote): Document {
  return {
    "@context": CORE_CONTEXT,
    id: `${id}/create`,
    type: "Create",
    actor: voter,
    published: seconds(at),
    to: [author],
    object: {
      id,
      type: "Note",
      attributedTo: voter,
      name: choice,
      inReplyTo: question,
      published: seconds(at),
      to: [author],
    },
  };
}

/** What makes a post a question. @see https://docs.joinmastodon.org/spec/activitypub/#Question */
function question({ isMultiple, options, endsAt, voters, isClosed = false }: Poll): Document {
  return {
    [isMultiple ? "anyOf" : "oneOf"]: options.map(({ title, votes }) => ({
      type: "Note",
      name: title,
      replies: { type: "Collection", totalItems: votes },
    })),
    votersCount: voters ?? 0,
    ...(endsAt === null ? {} : { endTime: seconds(Temporal.Instant.from(endsAt)) }),
    ...(endsAt === null || !isClosed ? {} : { closed: seconds(Temporal.Instant.from(endsAt)) }),
  };
}

function bareNote(note: Note, origin: string): Document {
  const content = htmlOf(note, origin);
  return {
    id: note.uri,
    type: note.poll === null ? "Note" : "Question",
    ...(note.poll === null ? {} : question(note.poll)),
    attributedTo: note.author,
    content,
    ...(note.language === null ? {} : { contentMap: { [note.language]: content } }),
    ...(note.text === null ? {} : { source: { content: note.text, mediaType: "text/plain" } }),
    ...(note.summary === null ? {} : { summary: note.summary }),
    sensitive: note.isSensitive,
    ...(note.inReplyTo === null ? {} : { inReplyTo: note.inReplyTo }),
    url: note.url ?? note.uri,
    published: seconds(note.at),
    ...(note.editedAt === null ? {} : { updated: seconds(note.editedAt) }),
    ...audience(note),
    tag: [
      ...note.mentions.map(({ uri, name, host }) => ({
        type: "Mention",
        href: uri,
        name: `@${name}@${host}`,
      })),
      ...note.tags.map((tag) => ({
        type: "Hashtag",
        href: tagAddress(origin, tag),
        name: `#${tag}`,
      })),
    ],
    attachment: (note.attachments ?? []).map(bareAttachment),
  };
}

function bareAttachment({
  url,
  mediaType,
  description,
  width,
  height,
  blurhash,
  focus,
}: Attachment): Document {
  return {
    type: "Document",
    url,
    ...(mediaType === null ? {} : { mediaType }),
    ...(description === null ? {} : { name: description }),
    ...(width === undefined || height === undefined ? {} : { width, height }),
    ...(blurhash === undefined ? {} : { blurhash }),
    ...(focus === undefined ? {} : { focalPoint: focus }),
  };
}

function tombstone({ uri }: Note): Document {
  return { id: uri, type: "Tombstone" };
}

/** Whom a post is for. Mastodon reads it the same way. */
function audience({ author, visibility, mentions }: Note): {
  to: readonly string[];
  cc: readonly string[];
} {
  const followers = `${author}/followers`;
  const mentioned = mentions.map(({ uri }) => uri);
  switch (visibility) {
    case "public":
      return { to: [PUBLIC], cc: [followers, ...mentioned] };
    case "unlisted":
      return { to: [followers], cc: [PUBLIC, ...mentioned] };
    case "followers":
      return { to: [followers], cc: mentioned };
    default:
      return { to: mentioned, cc: [] };
  }
}

/** Some servers refuse fractions of seconds. */
function seconds(at: Temporal.Instant): string {
  return at.toString({ smallestUnit: "second" });
}
