/** Reading what can be flattred from an ActivityStreams document. */

import { sameOrigin } from "../../rules/address.ts";
import { Refusal } from "../../store/refusal.ts";
import type { NewThing } from "./thing.ts";

/** A document longer than this is no post and no profile. */
const TITLE_CHARS_MAX = 200;

/** Types that are people or groups of people: the thing itself is paid. @see https://www.w3.org/TR/activitystreams-vocabulary/#actor-types */
const ACTOR_TYPES: ReadonlySet<string> = new Set([
  "Application",
  "Group",
  "Organization",
  "Person",
  "Service",
]);

/** Types that can be flattred (N6). @see https://www.w3.org/TR/activitystreams-vocabulary/#object-types */
const OBJECT_TYPES: ReadonlySet<string> = new Set([
  "Article",
  "Audio",
  "Document",
  "Event",
  "Image",
  "Note",
  "Page",
  "Question",
  "Video",
  ...ACTOR_TYPES,
]);

/**
 * The thing that a document describes, with the authors it names. Trusts the document for its own origin only: its
 * id must have the origin that it came from, and so must each author (FEP-fe34).
 *
 * @param from what speaks for it: the address that answered with this document, or the author who sent it
 * @throws Refusal "document_invalid" when it is no such document, "no_payee" when it names no author of its origin
 */
export function thingOfDocument(document: unknown, from: string): NewThing {
  if (!isRecord(document))
    throw new Refusal("document_invalid", { rule: "it must be one JSON object" });
  const { id } = document;
  const kind = namesOf(document["type"]).find((name) => OBJECT_TYPES.has(name));
  if (typeof id !== "string" || !sameOrigin(id, from))
    throw new Refusal("document_invalid", {
      rule: "its id must have the origin that it came from",
    });
  if (kind === undefined)
    throw new Refusal("document_invalid", {
      rule: "it must be a post, a page, a person or the like",
    });
  const addresses = linksOf(document["url"]).filter((address) => sameOrigin(address, id));
  if (ACTOR_TYPES.has(kind)) {
    return {
      uri: id,
      kind,
      payees: [{ payee: id, weight: 1 }],
      title: titleOf(document, ["name", "preferredUsername"]),
      name: titleOf(document, ["preferredUsername"]),
      addresses,
    };
  }
  const authors = authorsOf(document["attributedTo"]).filter((author) => sameOrigin(author, id));
  if (authors.length === 0) throw new Refusal("no_payee");
  return {
    uri: id,
    kind,
    payees: authors.map((payee) => ({ payee, weight: 1 })),
    title: titleOf(document, ["name", "summary"]),
    addresses,
  };
}

/** Who wrote it: URIs or embedded actors. A group beside people is where it was posted, not who wrote it. */
function authorsOf(attributedTo: unknown): string[] {
  const authors = listOf(attributedTo).map((author) =>
    isRecord(author)
      ? { uri: author["id"], types: namesOf(author["type"]) }
      : { uri: author, types: [] },
  );
  const people = authors.filter(({ types }) => !types.includes("Group"));
  return (people.length > 0 ? people : authors)
    .map(({ uri }) => uri)
    .filter((uri) => typeof uri === "string");
}

function linksOf(url: unknown): string[] {
  return listOf(url)
    .map((link) => (isRecord(link) ? link["href"] : link))
    .filter((link) => typeof link === "string");
}

function titleOf(
  document: Record<string, unknown>,
  members: readonly string[],
): string | undefined {
  const title = members
    .map((member) => document[member])
    .find((text) => typeof text === "string" && text.trim() !== "");
  return typeof title === "string"
    ? [...title.trim()].slice(0, TITLE_CHARS_MAX).join("")
    : undefined;
}

function namesOf(type: unknown): string[] {
  return listOf(type).filter((name) => typeof name === "string");
}

function listOf(value: unknown): unknown[] {
  return value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
