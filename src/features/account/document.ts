/** Reading who somebody is from the document that his own server serves. */

import { createPublicKey } from "node:crypto";
import {
  type Document,
  idOf,
  isDocument,
  listOf,
  textOf,
  typesOf,
} from "../../rules/activity-streams.ts";
import { ADDRESS_CHARS_MAX, canonicalAddress, sameOrigin } from "../../rules/address.ts";
import { Refusal } from "../../store/refusal.ts";

/** What an actor elsewhere says about himself, as far as it is kept. Nothing in it is cleaned for showing. */
export interface Profile {
  readonly uri: string;
  readonly kind: string;
  /** `preferredUsername`. */
  readonly name?: string;
  readonly displayName?: string;
  readonly summary?: string;
  readonly url?: string;
  readonly icon?: string;
  /** The wide picture above the profile. */
  readonly header?: string;
  readonly inbox?: string;
  readonly sharedInbox?: string;
  readonly outbox?: string;
  readonly followers?: string;
  readonly following?: string;
  readonly isLocked: boolean;
  /** True when it wants its public posts to be found by their words. Without a word, it does not. */
  readonly isIndexable?: boolean;
  readonly fields: readonly { readonly name: string; readonly value: string }[];
  readonly alsoKnownAs: readonly string[];
  readonly movedTo?: string;
  readonly keys: readonly { readonly id: string; readonly publicPem: string }[];
}

/** @see https://www.w3.org/TR/activitystreams-vocabulary/#actor-types */
const ACTOR_TYPES: ReadonlySet<string> = new Set([
  "Application",
  "Group",
  "Organization",
  "Person",
  "Service",
]);

/** Longest texts that are kept, in characters: the longest that other servers let people write. */
const NAME_CHARS_MAX = 500;
const SUMMARY_CHARS_MAX = 20_000;
const FIELD_CHARS_MAX = 2_047;

/** Most entries that are kept; other servers allow 4 to 16 fields, and people move a few times in a life. */
const FIELDS_MAX = 16;
const ALIASES_MAX = 32;
/** An actor has one key, or two while it changes them. */
const KEYS_MAX = 8;

/** Weaker keys can be broken, larger ones make each signature dear to verify. */
const MODULUS_BITS_MIN = 2_048;
const MODULUS_BITS_MAX = 8_192;
/** Everybody uses 65537; a huge exponent makes verifying as slow as signing. */
const EXPONENT_MAX = 2n ** 32n;
const PEM_CHARS_MAX = 4_096;

/** Letters, digits and what stands between them: the rest cannot be written as `@name@host`. */
const NAME = /^[\p{L}\p{N}_](?:[\p{L}\p{N}\p{M}_.-]{0,62}[\p{L}\p{N}\p{M}_])?$/u;

/**
 * The profile in a document. A document speaks for its own origin only (FEP-fe34): its id must be exactly the one
 * that was asked for, and its inbox and keys must be of the same origin. What else is of another origin is left out.
 *
 * @param from the id that was asked for, and that the document's server answers for
 * @throws Refusal "document_invalid"
 * @see https://codeberg.org/fediverse/fep/src/branch/main/fep/fe34/fep-fe34.md
 */
export function profileOfDocument(document: unknown, from: string): Profile {
  if (!isDocument(document)) throw invalid("it must be one JSON object");
  if (document["id"] !== from) throw invalid("its id must be the address that was asked for");
  const kind = typesOf(document).find((type) => ACTOR_TYPES.has(type));
  if (kind === undefined) throw invalid("it must be a person, a service or the like");
  const own = (value: unknown): string | undefined => {
    const uri = idOf(value);
    return uri !== undefined && sameOrigin(uri, from) ? uri : undefined;
  };
  const inbox = idOf(document["inbox"]);
  if (inbox !== undefined && !sameOrigin(inbox, from))
    throw invalid("its inbox must have the origin of its id");
  const { endpoints } = document;
  const name = textOf(document["preferredUsername"]);
  const found = {
    name: name !== undefined && NAME.test(name) ? name : undefined,
    displayName: clipped(document["name"], NAME_CHARS_MAX),
    summary: clipped(document["summary"], SUMMARY_CHARS_MAX),
    url: pageOf(document["url"]),
    icon: pageOf(listOf(document["icon"]).map(imageAddress)),
    header: pageOf(listOf(document["image"]).map(imageAddress)),
    inbox,
    sharedInbox: isDocument(endpoints) ? own(endpoints["sharedInbox"]) : undefined,
    outbox: own(document["outbox"]),
    followers: own(document["followers"]),
    following: own(document["following"]),
    movedTo: addressOf(idOf(document["movedTo"])),
  };
  return {
    uri: from,
    kind,
    ...known(found),
    isLocked: document["manuallyApprovesFollowers"] === true,
    isIndexable: document["indexable"] === true,
    fields: fieldsOf(document["attachment"]),
    alsoKnownAs: listOf(document["alsoKnownAs"])
      .slice(0, ALIASES_MAX)
      .map((alias) => addressOf(idOf(alias)))
      .filter((alias) => alias !== undefined),
    keys: keysOf(document["publicKey"], from),
  };
}

/** RSA keys that the document holds itself and that it says are its own. Keys that are only linked are not followed. */
function keysOf(publicKey: unknown, owner: string): Profile["keys"] {
  return listOf(publicKey)
    .slice(0, KEYS_MAX)
    .filter(isDocument)
    .flatMap((key) => {
      const id = key["id"];
      const isOwn =
        typeof id === "string" && sameOrigin(id, owner) && (key["owner"] ?? owner) === owner;
      const publicPem = isOwn ? usablePem(key["publicKeyPem"]) : undefined;
      return publicPem === undefined ? [] : [{ id: id as string, publicPem }];
    });
}

/** An RSA key that we verify with, in its one PEM form; undefined for what is none. */
function usablePem(pem: unknown): string | undefined {
  if (typeof pem !== "string" || pem.length > PEM_CHARS_MAX || !pem.includes("PUBLIC KEY"))
    return undefined;
  try {
    const key = createPublicKey(pem);
    const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
    const isUsable =
      key.asymmetricKeyType === "rsa" &&
      modulusLength >= MODULUS_BITS_MIN &&
      modulusLength <= MODULUS_BITS_MAX &&
      publicExponent < EXPONENT_MAX;
    return isUsable ? key.export({ type: "spki", format: "pem" }).toString() : undefined;
  } catch {
    return undefined;
  }
}

function fieldsOf(attachment: unknown): Profile["fields"] {
  return listOf(attachment)
    .filter(isDocument)
    .filter((entry) => typesOf(entry).includes("PropertyValue"))
    .slice(0, FIELDS_MAX)
    .flatMap((entry) => {
      const name = clipped(entry["name"], FIELD_CHARS_MAX);
      const value = clipped(entry["value"], FIELD_CHARS_MAX);
      return name === undefined || value === undefined ? [] : [{ name, value }];
    });
}

/** The page among one or many addresses and links: the one for people first. */
function pageOf(value: unknown): string | undefined {
  const links = listOf(value).map((link) =>
    isDocument(link)
      ? { href: textOf(link["href"]), isPage: link["mediaType"] === "text/html" }
      : { href: textOf(link), isPage: false },
  );
  const { href } = links.find(({ isPage }) => isPage) ?? links[0] ?? {};
  return addressOf(href);
}

function imageAddress(image: unknown): unknown {
  if (!isDocument(image)) return image;
  const [address] = listOf(image["url"]);
  return isDocument(address) ? address["href"] : address;
}

/** A web address as it is written; anything else, such as `javascript:`, is none. */
function addressOf(text: string | undefined): string | undefined {
  return text !== undefined &&
    text.length <= ADDRESS_CHARS_MAX &&
    canonicalAddress(text) !== undefined
    ? text
    : undefined;
}

function clipped(value: unknown, charsMax: number): string | undefined {
  const text = textOf(value)?.replaceAll("\0", "").toWellFormed();
  if (text === undefined || text === "") return undefined;
  // Twice as many units as characters are enough, and cutting first keeps a huge text from being taken apart.
  return [...text.slice(0, 2 * charsMax).toWellFormed()].slice(0, charsMax).join("");
}

/** Only the members that have a value. */
function known<Values extends Record<string, string | undefined>>(
  values: Values,
): { [Name in keyof Values]?: string } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Values]?: string;
  };
}

function invalid(rule: string): Refusal {
  return new Refusal("document_invalid", { rule });
}

/** True when a document says that its actor is gone. */
export function isTombstone(document: Document): boolean {
  return typesOf(document).includes("Tombstone");
}
