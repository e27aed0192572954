/**
 * JSON-LD contexts: activities are read as plain JSON, by the names of ActivityStreams. So a context may add names, but
 * may not give those names another meaning, nor move members about. None is ever fetched.
 */

import { preloadedContexts } from "@fedify/fedify/runtime";
import { CORE_CONTEXT, type Document, isDocument, listOf } from "../../rules/activity-streams.ts";

/** Contexts that other servers name, and that leave the names of ActivityStreams alone. */
const KNOWN_ADDRESSES: ReadonlySet<string> = new Set([
  ...Object.keys(preloadedContexts),
  "http://www.w3.org/ns/activitystreams",
  "https://www.w3.org/ns/did/v1.1",
  "https://www.w3.org/ns/credentials/v2",
  "https://schema.org",
  "https://schema.org/",
  "http://schema.org",
  "https://misskey-hub.net/ns",
  "https://funkwhale.audio/ns",
  "https://forgefed.org/ns",
  "https://joinpeertube.org/ns",
  "https://joinmastodon.org/ns",
  "https://docs.joinmastodon.org/spec/activitypub",
]);

/**
 * Registries of proposals, and the contexts that each server of a kind serves by itself: Pleroma and Akkoma, Hubzilla
 * and (streams), Mbin.
 */
const KNOWN_PATTERNS: readonly RegExp[] = [
  /^https:\/\/w3id\.org\/(?:fep|security|identity|did|cid)\/[\w./-]+$/,
  /^https:\/\/purl\.archive\.org\/(?:socialweb|miscellany)[\w./-]*$/,
  /^https:\/\/[\w.-]+(?::\d+)?\/schemas\/litepub-\d+\.\d+\.jsonld$/,
  /^https:\/\/[\w.-]+(?::\d+)?\/apschema(?:\/v\d+\.\d+)?$/,
  /^https:\/\/[\w.-]+(?::\d+)?\/contexts$/,
];

/** Names that move members about, or give all names another meaning. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  "@graph",
  "@included",
  "@reverse",
  "@nest",
  "@base",
  "@vocab",
  "@import",
]);

/** What an inline context may say of itself. */
const OWN_MEMBERS: ReadonlySet<string> = new Set(["@language", "@direction", "@version"]);

/** What a definition may say of its name. */
const DEFINITION_MEMBERS: ReadonlySet<string> = new Set(["@id", "@type", "@container"]);

const NAMESPACE = `${CORE_CONTEXT}#`;

/** Each name of ActivityStreams, and what it means. */
const CORE: ReadonlyMap<string, string> = coreNames();

function coreNames(): ReadonlyMap<string, string> {
  const { "@context": core } = preloadedContexts[CORE_CONTEXT] as { "@context": Document };
  return new Map(
    Object.entries(core)
      .filter(([name]) => !name.startsWith("@"))
      .map(([name, definition]) => [name, meaningOf(definition) ?? ""]),
  );
}

/** What is wrong with the contexts of an activity and of what it embeds; undefined if nothing is. */
export function contextFault(activity: Document): string | undefined {
  // At the top a member in its long form could contradict the short one.
  const long = Object.keys(activity).find((name) => name === "@id" || name === "@type");
  return long === undefined ? faultIn(activity) : `it has ${long}`;
}

function faultIn(value: unknown): string | undefined {
  if (Array.isArray(value)) return firstFault(value, faultIn);
  if (!isDocument(value)) return undefined;
  return firstFault(Object.entries(value), ([name, member]) => {
    // A context of null takes back what the others said.
    if (name === "@context")
      return member === null ? "its context is null" : firstFault(listOf(member), faultOfContext);
    return FORBIDDEN.has(name) ? `it has ${name}` : faultIn(member);
  });
}

function faultOfContext(context: unknown): string | undefined {
  if (typeof context === "string")
    return KNOWN_ADDRESSES.has(context) || KNOWN_PATTERNS.some((known) => known.test(context))
      ? undefined
      : "its context is not known";
  if (!isDocument(context)) return "its context is neither an address nor an object";
  return firstFault(Object.entries(context), ([name, definition]) => {
    if (name.startsWith("@"))
      return OWN_MEMBERS.has(name) && !isDocument(definition)
        ? undefined
        : `its context has ${name}`;
    return faultOfDefinition(name, definition);
  });
}

function faultOfDefinition(name: string, definition: unknown): string | undefined {
  const meaning = meaningOf(definition);
  const core = CORE.get(name);
  if (core !== undefined && meaning !== core) return `its context gives ${name} another meaning`;
  // A second name for a keyword would let a member say something that is not seen here.
  if (core === undefined && meaning?.startsWith("@") === true)
    return `its context renames ${meaning}`;
  if (!isDocument(definition)) return undefined;
  const strange = Object.keys(definition).find((member) => !DEFINITION_MEMBERS.has(member));
  if (strange !== undefined && strange !== "@context")
    return `its context has ${strange} for ${name}`;
  if (listOf(definition["@container"]).includes("@graph")) return "its context has a graph";
  return firstFault(listOf(definition["@context"]), faultOfContext);
}

/** What a name stands for, with the prefix of ActivityStreams written out. */
function meaningOf(definition: unknown): string | undefined {
  const id = isDocument(definition) ? definition["@id"] : definition;
  return typeof id === "string" ? id.replace(/^as:/, NAMESPACE) : undefined;
}

function firstFault<Value>(
  values: readonly Value[],
  fault: (value: Value) => string | undefined,
): string | undefined {
  for (const value of values) {
    const found = fault(value);
    if (found !== undefined) return found;
  }
  return undefined;
}
