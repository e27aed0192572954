/** Asking other servers for documents: signed as the instance, within limits, each once at a time. */

import { signRequest } from "@fedify/fedify/sig";
import { eq } from "drizzle-orm";
import { isTombstone, type Profile, profileOfDocument } from "../../features/account/document.ts";
import type { ActorId } from "../../features/account/actor.ts";
import { ensureOwnActors } from "../../features/account/own.ts";
import { rememberProfile } from "../../features/account/remember.ts";
import { actor } from "../../features/account/schema.ts";
import type { ActorKeys } from "../../features/account/secret.ts";
import { isDocument, listOf } from "../../rules/activity-streams.ts";
import { parseHandle, sameOrigin } from "../../rules/address.ts";
import { JsonFault, type JsonLimits, parseJson } from "../../rules/json.ts";
import { type Database, retrying } from "../../store/database.ts";
import { type Egress, type EgressAnswer, EgressError } from "../../store/egress.ts";
import { recent, together } from "../../store/recent.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Clock, Temporal } from "../../store/time.ts";
import { openBlocks } from "./blocks.ts";
import { isActivityType, mediaTypeOf } from "./media.ts";

/** A document and the address that it came from, after redirects. */
export interface Fetched {
  readonly document: Record<string, unknown>;
  readonly url: string;
}

/** Somebody as people write him. */
export interface Handle {
  readonly name: string;
  /** With its port, if it has one. */
  readonly host: string;
}

/**
 * What other servers are asked. All may throw `EgressError`, `StatusError`, and Refusal "document_invalid" or
 * "payee_blocked".
 */
export interface Fetcher {
  /** An ActivityPub document by its address; what it may speak for is the caller's to check (FEP-fe34). */
  document(url: string): Promise<Fetched>;
  /**
   * An actor by his exact id, from the database when he is known there, else from his own server. A failure is
   * remembered for ten minutes.
   *
   * @param newerThan his server is asked again unless he was read after that
   */
  actor(uri: string, options?: { readonly newerThan?: Temporal.Instant }): Promise<ActorId>;
  /** What an actor's own server says of him, by his exact id; kept only by `remember`. Failures count as for `actor`. */
  profile(uri: string): Promise<Profile>;
  remember(profile: Profile): Promise<ActorId>;
  /** @throws Refusal "payee_blocked" for who is blocked, or everybody of his host: nobody there is asked either */
  refuseBlocked(uri: string): Promise<void>;
  /** The actor that a handle means; undefined when its server knows none, or says one thing here and another there. */
  webfinger(handle: Handle): Promise<string | undefined>;
}

/** A server that answered, but not with what was asked for. */
export class StatusError extends Error {
  readonly status: number;

  constructor(status: number, url: string) {
    super(`${url} answered ${status}`);
    this.name = "StatusError";
    this.status = status;
  }
}

/** True when the server says that there is no such thing, or no more. */
export function isGone(error: unknown): boolean {
  return error instanceof StatusError && (error.status === 404 || error.status === 410);
}

/** True for what another server did wrong or left undone; anything else is a fault of our own. */
export function isTheirs(error: unknown): boolean {
  return error instanceof StatusError || error instanceof EgressError || error instanceof Refusal;
}

const ACCEPT =
  'application/activity+json, application/ld+json; profile="https://www.w3.org/ns/activitystreams"';

/** Documents may be longer than activities: collections come in pages, and people write long articles. */
const DOCUMENT_LIMITS: JsonLimits = {
  depthMax: 16,
  valuesMax: 20_000,
  itemsMax: 1_000,
  textMax: 512 * 1024,
};

/** From http to https, to the host with the handles, to the final path. */
const DOCUMENT_REDIRECTS_MAX = 3;

/** An id that leads somewhere else is hardly an id; one step is a missing slash. */
const ACTOR_REDIRECTS_MAX = 1;

/** How long nobody is asked again who did not answer. */
const FAILURE_REMEMBERED_MS = 10 * 60 * 1000;

/** Failures that are remembered; older ones are forgotten first. */
const FAILURES_MAX = 10_000;

interface Failed {
  readonly error: unknown;
  readonly until: number;
}

/** What the fetcher needs. */
export interface FetcherParts {
  readonly database: Database;
  readonly egress: Egress;
  readonly keys: ActorKeys;
  readonly clock: Clock;
  readonly origin: string;
}

/** Opens the fetcher. Nothing is asked before the first call. */
export function openFetcher({ database, egress, keys, clock, origin }: FetcherParts): Fetcher {
  const failures = recent<string, Failed>(FAILURES_MAX);
  const blocks = openBlocks(database, clock);
  let instanceActor: Promise<ActorId> | undefined;

  const signer = async () => {
    instanceActor ??= ensureOwnActors(database.drizzle, origin, clock.now()).then(
      ({ instance }) => instance,
    );
    // A database that was away is asked again.
    const id = await instanceActor.catch((error: unknown) => {
      instanceActor = undefined;
      throw error;
    });
    return keys.keyPairOf(id);
  };

  /** Covers (request-target), host and date: what no proxy changes. */
  const sign = async (request: Request): Promise<Request> => {
    const { privateKey, keyId } = await signer();
    const bare = new Request(request.url, { headers: { host: new URL(request.url).host } });
    const signed = await signRequest(bare, privateKey, new URL(keyId), {
      // The library's types mean the Temporal of the language; its code uses the polyfill, as ours does.
      currentTime: clock.real() as never,
    });
    const headers = new Headers(request.headers);
    for (const name of ["date", "signature"]) headers.set(name, signed.headers.get(name)!);
    return new Request(request, { headers });
  };

  const refuseBlocked = async (uri: string): Promise<void> => {
    if (URL.canParse(uri) && (await blocks.isBlocked(uri, new URL(uri).host)))
      throw new Refusal("payee_blocked", { payee: uri });
  };

  const get = async (url: string, redirectsMax: number): Promise<Fetched> => {
    await refuseBlocked(url);
    const answer = await egress.request(url, { headers: { accept: ACCEPT }, redirectsMax, sign });
    if (answer.status !== 200) throw new StatusError(answer.status, url);
    // A file that somebody uploaded is no document of its server.
    if (!isActivityType(answer.headers.get("content-type")))
      throw new Refusal("document_invalid", { rule: "it must be an ActivityPub document" });
    await refuseBlocked(answer.url);
    return { document: documentOf(answer), url: answer.url };
  };

  const document = together((url: string) => get(url, DOCUMENT_REDIRECTS_MAX));

  const askProfile = async (uri: string): Promise<Profile> => {
    const { document: found, url } = await get(uri, ACTOR_REDIRECTS_MAX);
    if (!sameOrigin(url, uri))
      throw new Refusal("document_invalid", { rule: "it must come from the origin of its id" });
    if (isTombstone(found)) throw new StatusError(410, uri);
    return profileOfDocument(found, uri);
  };

  const remember = (profile: Profile): Promise<ActorId> =>
    retrying(() => database.drizzle.transaction((tx) => rememberProfile(tx, profile, clock.now())));

  const readProfile = together(async (uri: string): Promise<Profile> => {
    if (sameOrigin(uri, origin))
      throw new Refusal("document_invalid", { rule: "it must be elsewhere" });
    const now = clock.real().epochMilliseconds;
    const failed = failures.get(uri);
    if (failed !== undefined && failed.until > now) throw failed.error;
    // A block may end at any time: it is no failure to be remembered.
    await refuseBlocked(uri);
    try {
      const profile = await askProfile(uri);
      failures.delete(uri);
      return profile;
    } catch (error) {
      // What fails on our side, such as the database, says nothing about them.
      if (isTheirs(error)) failures.set(uri, { error, until: now + FAILURE_REMEMBERED_MS });
      throw error;
    }
  });

  const readActor = together(async (uri: string) => remember(await readProfile(uri)));

  const known = async (uri: string) => {
    const [row] = await database.drizzle
      .select({ id: actor.id, fetchedAt: actor.fetchedAt })
      .from(actor)
      .where(eq(actor.uri, uri));
    return row;
  };

  /** Looks once more before it asks: somebody else may just have done so. */
  const readUnknown = together(async (uri: string): Promise<ActorId> => {
    const row = await known(uri);
    return row === undefined || row.fetchedAt === null ? readActor(uri) : row.id;
  });

  const askHandle = async ({ name, host }: Handle): Promise<Found | undefined> => {
    await refuseBlocked(`https://${host}/`);
    const scheme = egress.isAllowedPrivate(host) ? "http" : "https";
    const resource = encodeURIComponent(`acct:${name}@${host}`);
    const answer = await egress.request(
      `${scheme}://${host}/.well-known/webfinger?resource=${resource}`,
      {
        headers: { accept: "application/jrd+json, application/json;q=0.9" },
        redirectsMax: DOCUMENT_REDIRECTS_MAX,
      },
    );
    if (answer.status === 404 || answer.status === 410) return undefined;
    if (answer.status !== 200) throw new StatusError(answer.status, answer.url);
    const type = mediaTypeOf(answer.headers.get("content-type"))?.name ?? "";
    if (type !== "application/jrd+json" && type !== "application/json") return undefined;
    const found = documentOf(answer);
    const { subject } = found;
    const self = selfOf(found["links"]);
    if (typeof subject !== "string" || self === undefined) return undefined;
    return { subject: subject.replace(/^acct:/, "").toLowerCase(), self };
  };

  return {
    document,
    refuseBlocked,
    profile: readProfile,
    remember,
    async actor(uri, { newerThan } = {}) {
      const row = await known(uri);
      if (sameOrigin(uri, origin)) {
        if (row === undefined) throw new StatusError(404, uri);
        return row.id;
      }
      const isRead =
        row?.fetchedAt !== undefined &&
        row.fetchedAt !== null &&
        (newerThan === undefined || row.fetchedAt.epochMilliseconds > newerThan.epochMilliseconds);
      if (isRead) return row.id;
      return newerThan === undefined ? readUnknown(uri) : readActor(uri);
    },
    async webfinger(handle) {
      const asked = `${handle.name}@${handle.host}`.toLowerCase();
      const first = await askHandle(handle);
      if (first === undefined || first.subject === asked) return first?.self;
      // The handle is another name for the subject: only if the subject's own host says so, too.
      const other = parseHandle(`@${first.subject}`);
      if (other?.host === undefined) return undefined;
      const second = await askHandle({ name: other.name, host: other.host });
      return second?.subject === first.subject && second.self === first.self
        ? first.self
        : undefined;
    },
  };
}

interface Found {
  readonly subject: string;
  readonly self: string;
}

/** @see https://www.rfc-editor.org/rfc/rfc7033 */
function selfOf(links: unknown): string | undefined {
  const link = listOf(links)
    .filter(isDocument)
    .find(
      ({ rel, type, href }) =>
        rel === "self" &&
        typeof href === "string" &&
        typeof type === "string" &&
        isActivityType(type),
    );
  return link?.["href"] as string | undefined;
}

/** @throws Refusal "document_invalid" */
function documentOf({ body }: EgressAnswer): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(body), DOCUMENT_LIMITS);
  } catch (error) {
    if (error instanceof JsonFault || error instanceof TypeError)
      throw new Refusal("document_invalid", {
        rule: error instanceof JsonFault ? error.message : "it must be UTF-8",
      });
    throw error;
  }
  if (!isDocument(value))
    throw new Refusal("document_invalid", { rule: "it must be one JSON object" });
  return value;
}
