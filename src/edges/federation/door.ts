/**
 * The front door: every activity that arrives comes through here, and nothing behind it looks at what was refused.
 *
 * Cheap checks come first: type, size, JSON, names, blocks. Then the one HTTP signature is verified over the bytes as
 * they came, with a key from the actor's own document. What is admitted is what was signed, without the proofs that it
 * carries beside that: those are no way in.
 */

import { type VerifyRequestOptions, verifyRequest } from "@fedify/fedify/sig";
import { getLogger } from "@logtape/logtape";
import type { ActorId } from "../../features/account/actor.ts";
import { idOf, isDocument } from "../../rules/activity-streams.ts";
import { webAddress } from "../../rules/address.ts";
import { JsonFault, parseJson } from "../../rules/json.ts";
import type { Database } from "../../store/database.ts";
import { senderOf } from "../../store/sender.ts";
import type { Clock } from "../../store/time.ts";
import { openBlocks } from "./blocks.ts";
import { contextFault } from "./context.ts";
import { type Fetcher, isGone, isTheirs } from "./fetch.ts";
import { openSignerKeys, type Signer } from "./keys.ts";
import {
  ACTIVITY_LIMITS,
  BODY_DEADLINE_MS,
  type BodyFault,
  openBuckets,
  openCrowd,
  type Rate,
  readBody,
  type Room,
} from "./limits.ts";
import { isActivityType } from "./media.ts";
import { SKEW_MS_MAX, type SignatureClaim, signatureOf } from "./signature.ts";

/** An activity that its actor really sent to us. */
export interface Admitted {
  /** As received, without `proof` and `signature`. */
  readonly activity: Record<string, unknown>;
  readonly actor: ActorId;
  readonly actorUri: string;
  /** Of the same origin as the actor. */
  readonly id: string;
}

/** A document of two types in the shared inbox: a statement, which has rules, limits and signatures of its own. */
export interface Posted {
  readonly statement: Uint8Array;
}

/**
 * Lets what is posted in, or answers itself.
 *
 * @param remoteAddress of the sender, as far as it can be believed
 * @param enter what happens inside; it counts as part of the knock
 */
export type Door = (
  request: Request,
  remoteAddress: string,
  enter: (entry: Admitted | Posted) => Promise<Response>,
) => Promise<Response>;

/** How often strangers may knock. */
export interface DoorLimits {
  /** Of one sender's address: what was refused. Who has had them all is heard only if his key is known. */
  readonly refusals: Rate;
  /** Of one host, from one sender's address, since anybody can claim a host: actors who must be asked for. */
  readonly newcomers: Rate;
  /** Of one actor, and of one host: what was verified. */
  readonly activitiesOfActor: Rate;
  readonly activities: Rate;
  /** Knocks that are not answered yet, from one address and in all. */
  readonly knocks: Room;
  /** Time for a whole body, in milliseconds. */
  readonly bodyDeadlineMs: number;
}

/**
 * Large servers send thousands in a minute when something is popular; nobody honest is refused often.
 */
export const DOOR_LIMITS: DoorLimits = {
  refusals: { burst: 60, perSecond: 1 },
  newcomers: { burst: 200, perSecond: 1 },
  activitiesOfActor: { burst: 150, perSecond: 20 },
  activities: { burst: 300, perSecond: 100 },
  knocks: { perSender: 64, all: 512 },
  bodyDeadlineMs: BODY_DEADLINE_MS,
};

/** What the door needs. */
export interface DoorParts {
  readonly database: Database;
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly origin: string;
  /** True for a `host:port` that may be spoken with by http. */
  readonly isAllowedPrivate: (host: string) => boolean;
  readonly limits?: Partial<DoorLimits>;
}

type Code =
  | BodyFault
  | "method_not_allowed"
  | "address_invalid"
  | "type_unsupported"
  | "json_invalid"
  | "context_invalid"
  | "actor_invalid"
  | "id_invalid"
  | "id_foreign"
  | "signature_missing"
  | "signature_invalid"
  | "actor_blocked"
  | "actor_deleted"
  | "crowded"
  | "too_many_requests";

const ANSWERS: Readonly<Record<Code, readonly [status: number, sentence: string]>> = {
  method_not_allowed: [405, "Activities are posted."],
  address_invalid: [400, "An inbox has no query."],
  type_unsupported: [415, "Activities are application/activity+json."],
  body_encoded: [415, "Bodies are not compressed."],
  body_too_large: [413, "An activity has at most 262144 bytes."],
  body_too_slow: [408, "The body took too long."],
  body_broken: [400, "The body ended too early."],
  json_invalid: [400, "This is not the JSON of one activity within the limits."],
  context_invalid: [400, "The context is not one that is understood here."],
  actor_invalid: [400, "An activity has one actor, by his https address as it is written."],
  id_invalid: [400, "An activity has an id, an https address as it is written."],
  id_foreign: [403, "The id of an activity has the origin of its actor."],
  signature_missing: [401, "An activity is signed by HTTP signature."],
  signature_invalid: [401, "The HTTP signature could not be verified."],
  actor_blocked: [403, "Nothing is accepted from here."],
  actor_deleted: [403, "This actor is gone."],
  crowded: [503, "Too many are at the door. Try again later."],
  too_many_requests: [429, "Too many requests."],
};

/** What the signature library would load: everything that it needs is given to it. */
const loadNothing = (url: string): Promise<never> =>
  Promise.reject(new TypeError(`nothing is loaded while verifying: ${url.slice(0, 200)}`));

/** Where statements may be posted, too. */
const SHARED_INBOX = "/inbox";

/** Who knocks, and when. */
interface Visitor {
  readonly sender: string;
  readonly nowMs: number;
}

interface Knock {
  readonly activity: Record<string, unknown>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly actorUri: string;
  readonly host: string;
  readonly id: string;
}

class Refused extends Error {
  readonly code: Code;

  constructor(code: Code, rule: string) {
    super(rule);
    this.code = code;
  }
}

/** What is not done now may be tried again. */
class TooMany extends Error {
  readonly waitSeconds: number;

  constructor(waitSeconds: number) {
    super("too many");
    this.waitSeconds = waitSeconds;
  }
}

/** A deletion of somebody of whom nothing is known: there is nothing to do, and nothing to object to. */
class Pointless extends Error {}

/** Opens the door. */
export function openDoor({
  database,
  fetcher,
  clock,
  origin,
  isAllowedPrivate,
  limits,
}: DoorParts): Door {
  const logger = getLogger(["fediflattr", "federation", "door"]);
  const allowed = { ...DOOR_LIMITS, ...limits };
  const refusals = openBuckets(allowed.refusals);
  const newcomers = openBuckets(allowed.newcomers);
  const byActor = openBuckets(allowed.activitiesOfActor);
  const byHost = openBuckets(allowed.activities);
  const knocks = openCrowd(allowed.knocks);
  const keys = openSignerKeys(database, fetcher, clock);
  const blocks = openBlocks(database, clock);
  const own = new URL(origin);

  const addressOf = (value: unknown): URL | undefined => {
    const url = typeof value === "string" ? webAddress(value) : undefined;
    return url === undefined || url.protocol === "https:" || isAllowedPrivate(url.host)
      ? url
      : undefined;
  };

  /** The body, when nothing about the request is wrong by itself. */
  const readRequest = async (request: Request): Promise<Posted | Uint8Array<ArrayBuffer>> => {
    if (request.method !== "POST") throw new Refused("method_not_allowed", request.method);
    // draft-cavage does not cover a query in all its implementations, and inboxes have none.
    if (request.url.includes("?")) throw new Refused("address_invalid", "a query");
    const isActivity = isActivityType(request.headers.get("content-type"));
    const mayBeStatement = new URL(request.url).pathname === SHARED_INBOX;
    if (!isActivity && !mayBeStatement) throw new Refused("type_unsupported", "content-type");
    const body = await readBody(request, { deadlineMs: allowed.bodyDeadlineMs });
    if ("fault" in body) throw new Refused(body.fault, "body");
    if (mayBeStatement && hasTwoTypes(body.bytes)) return { statement: body.bytes };
    if (!isActivity) throw new Refused("type_unsupported", "content-type");
    return body.bytes;
  };

  const readKnock = (bytes: Uint8Array<ArrayBuffer>): Knock => {
    const activity = readActivity(bytes);
    const fault = contextFault(activity);
    if (fault !== undefined) throw new Refused("context_invalid", fault);
    const actor = addressOf(activity["actor"]);
    if (actor === undefined) throw new Refused("actor_invalid", "actor");
    const id = addressOf(activity["id"]);
    if (id === undefined) throw new Refused("id_invalid", "id");
    if (id.origin !== actor.origin) throw new Refused("id_foreign", "id");
    return {
      activity,
      bytes,
      actorUri: activity["actor"] as string,
      host: actor.host,
      id: activity["id"] as string,
    };
  };

  const readClaim = (headers: Headers, { actorUri }: Knock, nowMs: number): SignatureClaim => {
    const claim = signatureOf(headers, nowMs);
    if ("fault" in claim) throw new Refused(claim.fault, claim.rule);
    const keyId = addressOf(claim.keyId);
    if (keyId?.origin !== new URL(actorUri).origin)
      throw new Refused("signature_invalid", "the key has not the origin of the actor");
    return claim;
  };

  const isTrue = async (
    request: Request,
    { bytes }: Knock,
    claim: SignatureClaim,
    key: Signer["key"],
  ): Promise<boolean> => {
    const headers = new Headers(request.headers);
    // The sender signed for one host; only if that is ours is it meant for us, whatever a proxy made of the header.
    headers.set("host", own.host);
    const { pathname } = new URL(request.url);
    const options: VerifyRequestOptions = {
      documentLoader: loadNothing,
      contextLoader: loadNothing,
      // The library's types mean the Temporal of the language; its code uses the polyfill, as ours does.
      currentTime: clock.real() as never,
      timeWindow: { milliseconds: SKEW_MS_MAX },
      spec: claim.kind === "rfc9421" ? "rfc9421" : "draft-cavage-http-signatures-12",
      keyCache: { get: () => Promise.resolve(key), set: () => Promise.resolve() },
    };
    try {
      const original = new Request(own.origin + pathname, { method: "POST", headers, body: bytes });
      return (await verifyRequest(original, options)) !== null;
    } catch (error) {
      logger.debug("a signature could not be read: {error}", { error });
      return false;
    }
  };

  /** The actor's server is asked who signed; what it does wrong is the sender's fault. */
  const ask = async (
    request: Request,
    knock: Knock,
    claim: SignatureClaim,
    { sender, nowMs, isRead }: Visitor & { readonly isRead: boolean },
  ): Promise<Signer> => {
    const waitSeconds =
      refusals.waitSeconds(sender, nowMs) ||
      (isRead ? 0 : newcomers.take(`${sender} ${knock.host}`, nowMs));
    if (waitSeconds > 0) throw new TooMany(waitSeconds);
    let signer: Signer | undefined;
    try {
      signer = await keys.ask(claim.keyId, knock.actorUri, {
        isRead,
        isTrue: (key) => isTrue(request, knock, claim, key),
      });
    } catch (error) {
      if (!isTheirs(error)) throw error;
      if (isGone(error) && isOwnDeletion(knock.activity)) throw new Pointless();
      logger.debug("{actor} cannot be read: {error}", { actor: knock.actorUri, error });
    }
    if (signer === undefined) throw new Refused("signature_invalid", "no key of his is true");
    return signer;
  };

  const signerOf = async (
    request: Request,
    knock: Knock,
    claim: SignatureClaim,
    visitor: Visitor,
  ): Promise<Signer> => {
    const known = await keys.known(claim.keyId, knock.actorUri);
    // Large servers tell everybody of each account that goes; asking for what is gone leads nowhere.
    const isPointless = known.standing === "unknown" || known.standing === "deleted";
    if (isPointless && isOwnDeletion(knock.activity)) throw new Pointless();
    if (known.standing === "deleted") throw new Refused("actor_deleted", "deleted");
    const isKey = known.standing === "signs";
    if (isKey && (await isTrue(request, knock, claim, known.signer.key))) return known.signer;
    // Keys change; but a signature that is false today was false before, so this is not asked each time.
    return ask(request, knock, claim, { ...visitor, isRead: isKey || known.standing === "read" });
  };

  const admit = async (
    request: Request,
    bytes: Uint8Array<ArrayBuffer>,
    visitor: Visitor,
  ): Promise<Admitted> => {
    const knock = readKnock(bytes);
    const { actorUri, host, id } = knock;
    const { nowMs } = visitor;
    const claim = readClaim(request.headers, knock, nowMs);
    if (await blocks.isBlocked(actorUri, host)) throw new Refused("actor_blocked", "blocked");
    const signer = await signerOf(request, knock, claim, visitor);
    // Counted only now: nobody can use up what belongs to somebody else.
    const waitSeconds = byActor.waitSeconds(actorUri, nowMs) || byHost.take(host, nowMs);
    if (waitSeconds > 0) throw new TooMany(waitSeconds);
    byActor.take(actorUri, nowMs);
    const { proof: _proof, signature: _signature, ...activity } = knock.activity;
    return { activity, actor: signer.actor, actorUri, id };
  };

  /** Who was refused too often is heard if he names a key that is known: others may have his address. */
  const mayKnock = async ({ headers }: Request, { sender, nowMs }: Visitor): Promise<boolean> => {
    if (refusals.waitSeconds(sender, nowMs) === 0) return true;
    const claim = signatureOf(headers, nowMs);
    return !("fault" in claim) && keys.isKnown(claim.keyId);
  };

  return async (request, remoteAddress, enter) => {
    const visitor = {
      sender: senderOf(remoteAddress),
      nowMs: clock.real().epochMilliseconds,
    };
    const { sender, nowMs } = visitor;
    const leave = knocks.enter(sender);
    if (leave === "all") return refusal("crowded", { "retry-after": "1" });
    if (leave === "sender") return tooMany(1);
    try {
      if (!(await mayKnock(request, visitor))) return tooMany(refusals.waitSeconds(sender, nowMs));
      const body = await readRequest(request);
      if ("statement" in body) return await enter(body);
      const admitted = await admit(request, body, visitor);
      const answer = await enter(admitted);
      if (isAboutSelf(admitted.activity)) keys.forget(admitted.actorUri);
      return answer;
    } catch (error) {
      if (error instanceof TooMany) return tooMany(error.waitSeconds);
      const isPointless = error instanceof Pointless;
      if (!isPointless && !(error instanceof Refused)) throw error;
      const waitSeconds = refusals.take(sender, nowMs);
      if (isPointless) return new Response(null, { status: 202 });
      logger.debug("refused as {code}: {rule}", { code: error.code, rule: error.message });
      return waitSeconds > 0 ? tooMany(waitSeconds) : refusal(error.code);
    } finally {
      leave();
    }
  };
}

function readActivity(bytes: Uint8Array): Record<string, unknown> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const activity = parseJson(text, ACTIVITY_LIMITS);
    if (!isDocument(activity)) throw new JsonFault("it is not one object");
    return activity;
  } catch (error) {
    if (error instanceof JsonFault) throw new Refused("json_invalid", error.message);
    if (error instanceof TypeError) throw new Refused("json_invalid", "it is not UTF-8");
    throw error;
  }
}

/** True when somebody says that he himself is gone. */
function isOwnDeletion(activity: Record<string, unknown>): boolean {
  return activity["type"] === "Delete" && isAboutSelf(activity);
}

/** True when somebody says something about himself, such as that he has other keys now. */
function isAboutSelf({ actor, object }: Record<string, unknown>): boolean {
  return idOf(object) === actor;
}

/** Statements have two types, activities one. What cannot be read is no statement; then the door says what is wrong. */
function hasTwoTypes(body: Uint8Array): boolean {
  try {
    const document: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
    const type = isDocument(document) ? document["type"] : undefined;
    return Array.isArray(type) && type.length === 2;
  } catch {
    return false;
  }
}

function refusal(code: Code, headers: Record<string, string> = {}): Response {
  const [status, sentence] = ANSWERS[code];
  return Response.json(
    { error: code, error_description: sentence },
    { status, headers: { "cache-control": "no-store", ...headers } },
  );
}

function tooMany(waitSeconds: number): Response {
  return refusal("too_many_requests", { "retry-after": String(waitSeconds) });
}
