/** The streams that a socket can listen to, by the names that clients know. */

import type { Audience } from "../../features/notice/audience.ts";

/** Where the entries of a stream stand; what somebody hides, he may hide in some places alone. */
export type StreamPlace = "home" | "public" | "notifications";

/** One stream of one socket. */
export interface Stream {
  /** The same stream asked for again has the same key. */
  readonly key: string;
  /** How frames name it. */
  readonly names: readonly string[];
  readonly kind: "user" | "notifications" | "public" | "tag" | "list" | "silent";
  /** The scope that it needs. */
  readonly scope: string;
  readonly tag?: string;
  readonly list?: bigint;
  /** Only what was written here, or only what was not. */
  readonly where?: "here" | "elsewhere";
  readonly onlyMedia?: boolean;
}

/** Longest name of a stream that is none of ours. */
const NAME_CHARS_MAX = 50;

/** Longest hashtag. */
const TAG_CHARS_MAX = 100;

const PUBLIC: Readonly<Record<string, Pick<Stream, "where" | "onlyMedia">>> = {
  public: {},
  "public:media": { onlyMedia: true },
  "public:local": { where: "here" },
  "public:local:media": { where: "here", onlyMedia: true },
  "public:remote": { where: "elsewhere" },
  "public:remote:media": { where: "elsewhere", onlyMedia: true },
};

/**
 * The stream of this name. One that is not known here is a stream in which nothing is ever said: clients ask for more
 * than they need.
 *
 * @returns undefined when the name, the hashtag or the list is none
 */
export function streamNamed(
  name: string,
  { tag, list }: { readonly tag?: string | undefined; readonly list?: string | undefined } = {},
): Stream | undefined {
  const open = PUBLIC[name];
  if (open !== undefined && Object.hasOwn(PUBLIC, name))
    return { key: name, names: [name], kind: "public", scope: "read:statuses", ...open };
  switch (name) {
    case "user":
      return { key: name, names: [name], kind: "user", scope: "read:statuses" };
    case "user:notification":
      return { key: name, names: [name], kind: "notifications", scope: "read:notifications" };
    case "hashtag":
    case "hashtag:local": {
      const plain = tag?.replace(/^#/, "").normalize("NFKC").toLowerCase() ?? "";
      // All streams of a node are looked up in one question: what the database cannot read would silence them all.
      const isTag = plain.length <= TAG_CHARS_MAX && plain.isWellFormed() && !/\p{Cc}/u.test(plain);
      if (plain === "" || !isTag) return undefined;
      return {
        key: `${name} ${plain}`,
        // As it was asked for: by that clients find their own.
        names: [name, tag!],
        kind: "tag",
        scope: "read:statuses",
        tag: plain,
        ...(name === "hashtag" ? {} : { where: "here" as const }),
      };
    }
    case "list": {
      if (list === undefined || !/^[1-9]\d{0,18}$/.test(list)) return undefined;
      const id = BigInt(list);
      if (id >= 2n ** 63n) return undefined;
      return {
        key: `list ${list}`,
        names: [name, list],
        kind: "list",
        scope: "read:lists",
        list: id,
      };
    }
    default:
      return /^[a-z:_]+$/.test(name) && name.length <= NAME_CHARS_MAX
        ? { key: name, names: [name], kind: "silent", scope: "read:statuses" }
        : undefined;
  }
}

/** True when a post with this audience stands in the stream of this account. */
export function standsIn(stream: Stream, audience: Audience, account: bigint): boolean {
  if (audience.hidden.has(account)) return false;
  const { where, onlyMedia = false } = stream;
  const isWanted =
    (where === undefined || (where === "here") === audience.isHere) &&
    (!onlyMedia || audience.hasMedia);
  switch (stream.kind) {
    case "user":
      return audience.home.has(account);
    case "public":
      return audience.isPublic && isWanted;
    case "tag":
      return audience.isTagged && isWanted && audience.tags.has(stream.tag!);
    case "list":
      return audience.lists.get(stream.list!) === account;
    default:
      return false;
  }
}

/** Where the entries of a stream stand. */
export function placeOf({ kind }: Stream): StreamPlace {
  return kind === "public" || kind === "tag" ? "public" : "home";
}
