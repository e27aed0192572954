/** From what a person types to a thing or an actor of any server: the database first, then the network. */

import { inArray } from "drizzle-orm";
import type { ActorId } from "../../features/account/actor.ts";
import { isTombstone, profileOfDocument } from "../../features/account/document.ts";
import { rememberProfile } from "../../features/account/remember.ts";
import { actor } from "../../features/account/schema.ts";
import { thingOfDocument } from "../../features/thing/document.ts";
import { findPayee, findThing, type Resolver } from "../../features/thing/find.ts";
import { postAt } from "../../features/post/find.ts";
import {
  type NewThing,
  rememberThing,
  thingAt,
  type ThingId,
  thingWith,
} from "../../features/thing/thing.ts";
import { idOf, typesOf } from "../../rules/activity-streams.ts";
import {
  ADDRESS_CHARS_MAX,
  canonicalAddress,
  parseHandle,
  sameOrigin,
} from "../../rules/address.ts";
import { alternateLink } from "../../rules/html-link.ts";
import { type Database, retrying } from "../../store/database.ts";
import { type Egress, EgressError } from "../../store/egress.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Clock } from "../../store/time.ts";
import { fetchPost } from "./afterwards.ts";
import { type Fetched, type Fetcher, StatusError } from "./fetch.ts";
import { isActivityType, mediaTypeOf } from "./media.ts";

export type { Resolver };

/** What resolving works with. */
export interface ResolveParts {
  readonly database: Database;
  readonly fetcher: Fetcher;
  readonly egress: Egress;
  readonly clock: Clock;
}

/** Opens a resolver. Nothing is asked before somebody asks it. */
export function openResolver(parts: ResolveParts): Resolver {
  return {
    thing: (text) => resolveThing(parts, text),
    actor: (text) => resolveActor(parts, text),
    post: (text) => resolvePost(parts, text),
  };
}

/** A page is longer than a document, and only its head is read. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;
const PAGE_REDIRECTS_MAX = 3;

/** A boost of a boost is none: Announce, Create, and what they are about. */
const WRAPPINGS_MAX = 2;

/** Of more authors than this, the others are known by their address alone. */
const AUTHORS_ASKED_MAX = 10;

/** Activities that stand for what they are about. @see https://www.w3.org/TR/activitystreams-vocabulary/#activity-types */
const WRAPPINGS: ReadonlySet<string> = new Set(["Announce", "Create", "Update"]);

/** Who is an actor, not a post. @see https://www.w3.org/TR/activitystreams-vocabulary/#actor-types */
const ACTOR_TYPES: ReadonlySet<string> = new Set([
  "Application",
  "Group",
  "Organization",
  "Person",
  "Service",
]);

/**
 * The thing that an address or a handle means: from the database, else from its own server. A boost means what was
 * boosted, a page what it says its document is. Its authors are read, too, so that they can be told.
 *
 * @throws Refusal "no_payee" when nobody could be paid for it, "url_invalid" for what is no address that may be
 *   asked, "document_invalid" when a server speaks for another one, "unreachable" when it does not answer,
 *   "payee_blocked" when its host or one of its authors is blocked
 */
export async function resolveThing(parts: ResolveParts, text: string): Promise<ThingId> {
  const { database, clock } = parts;
  try {
    return await findThing(database, text, clock.now());
  } catch (error) {
    const isUnknown = error instanceof Refusal && error.reason === "no_payee";
    if (!isUnknown || isOwn(database, text)) throw error;
  }
  return answering(text, async () => {
    const address = canonicalAddress(text);
    if (address !== undefined) return thingFrom(parts, await read(parts, address));
    const uri = await uriOfHandle(parts, text);
    if (uri === undefined) throw new Refusal("no_payee", { url: text });
    return thingFrom(parts, await read(parts, uri));
  });
}

/**
 * The actor that an address or a handle means, with what its own server says about it.
 *
 * @throws Refusal "payee_unknown" when that is nobody; otherwise as for things
 */
export async function resolveActor(parts: ResolveParts, text: string): Promise<ActorId> {
  const { database, fetcher } = parts;
  const unknown = () => new Refusal("payee_unknown", { payee: text.slice(0, ADDRESS_CHARS_MAX) });
  const known = await findPayee(database, text);
  return answering(text, async () => {
    if (known !== undefined) return fetcher.actor(known);
    if (isOwn(database, text)) throw unknown();
    const address = canonicalAddress(text);
    if (address === undefined) {
      const uri = await uriOfHandle(parts, text);
      if (uri === undefined) throw unknown();
      return fetcher.actor(uri);
    }
    const { document } = await read(parts, address);
    if (!isActor(document) || isOwn(database, String(document["id"]))) throw unknown();
    return rememberActor(parts, document);
  });
}

/**
 * The post at an address: from the database, else from its own server.
 *
 * @throws Refusal "not_found" for what is no post that everybody may read, and as for things
 */
export async function resolvePost(
  parts: ResolveParts,
  text: string,
): Promise<{ readonly id: bigint; readonly uri: string }> {
  const { database } = parts;
  const address = async () => {
    if ((await postAt(database.drizzle, text)) !== undefined) return text;
    const thing = await resolveThing(parts, text);
    return (await thingWith(database.drizzle, thing)).uri;
  };
  const uri = await address();
  const known = await postAt(database.drizzle, uri);
  if (known !== undefined) return { id: known.id, uri };
  if (isOwn(database, uri)) throw new Refusal("not_found");
  const found = await answering(uri, () => fetchPost(parts, uri));
  if (found === undefined) throw new Refusal("not_found");
  return found;
}

/** True for what only this instance can know. */
function isOwn({ settings: { origin } }: Database, text: string): boolean {
  if (canonicalAddress(text) !== undefined) return sameOrigin(text, origin);
  const handle = parseHandle(text);
  return handle?.host === undefined || handle.host === new URL(origin).host;
}

async function uriOfHandle({ fetcher, database }: ResolveParts, text: string) {
  const { name, host } = parseHandle(text)!;
  const uri = await fetcher.webfinger({ name, host: host! });
  // Nobody elsewhere says who is called what here.
  return uri === undefined || sameOrigin(uri, database.settings.origin) ? undefined : uri;
}

/** A document, and the other addresses that were seen to lead to it. */
interface Read extends Fetched {
  readonly addresses: readonly string[];
}

/** The document of an address: the address' own, or the one that the page there names. */
async function read(parts: ResolveParts, address: string): Promise<Read> {
  const found = await documentAt(parts, address);
  const { fetched } = found;
  const { id } = fetched.document;
  if (typeof id !== "string" || canonicalAddress(id) === undefined)
    throw new Refusal("document_invalid", { rule: "it must have an id" });
  const addresses = [found.page, fetched.url];
  // Where it sent us to another server, what was typed is that server's to say.
  if (sameOrigin(address, found.page)) addresses.unshift(address);
  // What is ours is known here, or is nothing: nobody asks himself.
  if (isAt(id, fetched.url) || isOwn(parts.database, id)) return { ...fetched, addresses };
  // It names another address: only the document that is found there counts, and it must say the same (FEP-fe34).
  const own = await parts.fetcher.document(id);
  if (own.document["id"] !== id || !isAt(id, own.url))
    throw new Refusal("document_invalid", { rule: "it must be found at its own id" });
  return { ...own, addresses };
}

/** @param url after redirects, as an URL parser writes it */
function isAt(id: string, url: string): boolean {
  return URL.canParse(id) && new URL(id).href === url;
}

/** `page`: the address that answered first. */
async function documentAt(
  { fetcher, egress }: ResolveParts,
  address: string,
): Promise<{ fetched: Fetched; page: string }> {
  try {
    const fetched = await fetcher.document(address);
    return { fetched, page: fetched.url };
  } catch (error) {
    if (!mayBePage(error)) throw error;
  }
  const page = await egress.request(address, {
    headers: { accept: "text/html, application/xhtml+xml;q=0.9" },
    bytesMax: PAGE_BYTES_MAX,
    redirectsMax: PAGE_REDIRECTS_MAX,
  });
  if (page.status !== 200) throw new StatusError(page.status, address);
  const type = mediaTypeOf(page.headers.get("content-type"))?.name ?? "";
  const isHtml = type === "text/html" || type === "application/xhtml+xml";
  const link = isHtml
    ? alternateLink(new TextDecoder().decode(page.body), isActivityType)
    : undefined;
  if (link === undefined || !URL.canParse(link, page.url))
    throw new Refusal("no_payee", { url: address });
  return { fetched: await fetcher.document(new URL(link, page.url).href), page: page.url };
}

/** No document, but an answer: servers say it in different ways that they have only a page. */
function mayBePage(error: unknown): boolean {
  if (error instanceof StatusError)
    return (
      error.status >= 400 && error.status < 500 && error.status !== 404 && error.status !== 410
    );
  return error instanceof Refusal && error.reason === "document_invalid";
}

/** The thing in a document, remembered with its authors. */
async function thingFrom(parts: ResolveParts, found: Read, wrappings = 0): Promise<ThingId> {
  const { database, clock } = parts;
  const { document, addresses } = found;
  const id = String(document["id"]);
  if (isOwn(database, id)) return findThing(database, id, clock.now());
  if (typesOf(document).some((type) => WRAPPINGS.has(type))) {
    const inner = idOf(document["object"]);
    if (inner === undefined || canonicalAddress(inner) === undefined || wrappings === WRAPPINGS_MAX)
      throw new Refusal("no_payee", { url: id });
    const known = await thingAt(database.drizzle, inner);
    if (known !== undefined) return known.id;
    if (sameOrigin(inner, database.settings.origin)) throw new Refusal("no_payee", { url: inner });
    const next = await read(parts, inner);
    return thingFrom(
      parts,
      { ...next, addresses: [...addresses, ...next.addresses] },
      wrappings + 1,
    );
  }
  if (isTombstone(document)) throw new Refusal("no_payee", { url: id });
  if (isActor(document)) await rememberActor(parts, document);
  const thing = thingOfDocument(document, id);
  const payees = isActor(document) ? thing.payees : await authorsOf(parts, thing);
  return retrying(() =>
    database.drizzle.transaction((tx) =>
      rememberThing(
        tx,
        database.settings,
        { ...thing, payees, addresses: [...addresses, ...(thing.addresses ?? [])] },
        clock.now(),
      ),
    ),
  );
}

function isActor(document: Record<string, unknown>): boolean {
  return typesOf(document).some((type) => ACTOR_TYPES.has(type));
}

async function rememberActor(
  { database, clock }: ResolveParts,
  document: Record<string, unknown>,
): Promise<ActorId> {
  const profile = profileOfDocument(document, String(document["id"]));
  return retrying(() =>
    database.drizzle.transaction((tx) => rememberProfile(tx, profile, clock.now())),
  );
}

/** Those authors that are there; each is read from its own server. A group beside people is where it was posted. */
async function authorsOf(
  { database, fetcher }: ResolveParts,
  { uri, payees }: NewThing,
): Promise<NewThing["payees"]> {
  const there: string[] = [];
  for (const { payee } of payees.slice(0, AUTHORS_ASKED_MAX)) {
    try {
      await fetcher.actor(payee);
      there.push(payee);
    } catch (error) {
      const isNobody =
        (error instanceof Refusal && error.reason === "document_invalid") ||
        (error instanceof StatusError && error.status >= 400 && error.status < 500);
      if (!isNobody) throw error;
    }
  }
  if (there.length === 0) throw new Refusal("no_payee", { url: uri });
  const kinds = await database.drizzle
    .select({ uri: actor.uri, kind: actor.kind })
    .from(actor)
    .where(inArray(actor.uri, there));
  const groups = new Set(kinds.filter(({ kind }) => kind === "Group").map(({ uri }) => uri));
  const asked = payees.filter(
    ({ payee }, place) => place >= AUTHORS_ASKED_MAX || there.includes(payee),
  );
  const people = asked.filter(({ payee }) => !groups.has(payee));
  return people.length > 0 ? people : asked;
}

/** What the network does becomes a refusal that says it. */
async function answering<T>(text: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const url = text.slice(0, ADDRESS_CHARS_MAX);
    const host = canonicalAddress(text) === undefined ? url : new URL(text).host;
    if (error instanceof StatusError)
      throw error.status >= 500 || error.status === 429
        ? new Refusal("unreachable", { host })
        : new Refusal("no_payee", { url });
    if (!(error instanceof EgressError)) throw error;
    if (error.code === "timeout" || error.code === "unreachable")
      throw new Refusal("unreachable", { host });
    throw error.code === "address_refused" || error.code === "scheme_refused"
      ? new Refusal("url_invalid", { url })
      : new Refusal("no_payee", { url });
  }
}
