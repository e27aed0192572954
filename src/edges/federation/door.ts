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
  type Rate,
  readBody,
  senderOf,
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

/** Lets an activity in, or answers. @param remoteAddress of the sender, as far as it can be believed */
export type Door = (request: Request, remoteAddress: string) => Promise<Admitted | Response>;

/** How often strangers may knock. */
export interface DoorLimits {
  /** Of one sender's address: what was refused. */
  readonly refusals: Rate;
  /** Of one host: what was verified. */
  readonly activities: Rate;
  /** Time for a whole body, in milliseconds. */
  readonly bodyDeadlineMs: number;
}

/**
 * Large servers send thousands in a minute when something is popular; nobody honest is refused often.
 */
export const DOOR_LIMITS: DoorLimits = {
  refusals: { burst: 60, perSecond: 1 },
  activities: { burst: 300, perSecond: 100 },
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
  too_many_requests: [429, "Too many requests."],
};

/** What the signature library would load: everything that it needs is given to it. */
const loadNothing = (url: string): Promise<never> =>
  Promise.reject(new TypeError(`nothing is loaded while verifying: ${url.slice(0, 200)}`));

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
  const {
    refusals: refusalRate,
    activities: activityRate,
    bodyDeadlineMs,
  } = { ...DOOR_LIMITS, ...limits };
  const refusals = openBuckets(refusalRate);
  const activities = openBuckets(activityRate);
  const keys = openSignerKeys(database, fetcher, clock);
  const blocks = openBlocks(database, clock);
  const own = new URL(origin);

  const addressOf = (value: unknown): URL | undefined => {
    const url = typeof value === "string" ? webAddress(value) : undefined;
    return url === undefined || url.protocol === "https:" || isAllowedPrivate(url.host)
      ? url
      : undefined;
  };

  const readKnock = async (request: Request): Promise<Knock> => {
    if (request.method !== "POST") throw new Refused("method_not_allowed", request.method);
    // draft-cavage does not cover a query in all its implementations, and inboxes have none.
    if (request.url.includes("?")) throw new Refused("address_invalid", "a query");
    if (!isActivityType(request.headers.get("content-type")))
      throw new Refused("type_unsupported", "content-type");
    const body = await readBody(request, { deadlineMs: bodyDeadlineMs });
    if ("fault" in body) throw new Refused(body.fault, "body");
    const activity = readActivity(body.bytes);
    const fault = contextFault(activity);
    if (fault !== undefined) throw new Refused("context_invalid", fault);
    const actor = addressOf(activity["actor"]);
    if (actor === undefined) throw new Refused("actor_invalid", "actor");
    const id = addressOf(activity["id"]);
    if (id === undefined) throw new Refused("id_invalid", "id");
    if (id.origin !== actor.origin) throw new Refused("id_foreign", "id");
    return {
      activity,
      bytes: body.bytes,
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
    { key }: Signer,
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

  /** The actor's server is asked; what it does wrong is the sender's fault. */
  const ask = async (knock: Knock, keyId: string, isRead: boolean): Promise<Signer | undefined> => {
    try {
      return await keys.ask(keyId, knock.actorUri, isRead);
    } catch (error) {
      if (!isTheirs(error)) throw error;
      if (isGone(error) && isOwnDeletion(knock.activity)) throw new Pointless();
      logger.debug("{actor} cannot be read: {error}", { actor: knock.actorUri, error });
      return undefined;
    }
  };

  const signerOf = async (
    request: Request,
    knock: Knock,
    claim: SignatureClaim,
  ): Promise<Signer> => {
    const { keyId } = claim;
    const known = await keys.known(keyId, knock.actorUri);
    // Large servers tell everybody of each account that goes; asking for what is gone leads nowhere.
    const isPointless = known.standing === "unknown" || known.standing === "deleted";
    if (isPointless && isOwnDeletion(knock.activity)) throw new Pointless();
    if (known.standing === "deleted") throw new Refused("actor_deleted", "deleted");
    if (known.standing !== "signs") {
      const asked = await ask(knock, keyId, known.standing === "read");
      if (asked !== undefined && (await isTrue(request, knock, claim, asked))) return asked;
      throw new Refused("signature_invalid", asked === undefined ? "no such key" : "not true");
    }
    if (await isTrue(request, knock, claim, known.signer)) return known.signer;
    // Keys change; but a signature that is false today was false before, so this is not asked each time.
    const renewed = await ask(knock, keyId, true);
    const isChanged = renewed !== undefined && renewed.publicPem !== known.signer.publicPem;
    if (isChanged && (await isTrue(request, knock, claim, renewed))) return renewed;
    throw new Refused("signature_invalid", "not true");
  };

  const admit = async (request: Request, nowMs: number): Promise<Admitted | Response> => {
    const knock = await readKnock(request);
    const claim = readClaim(request.headers, knock, nowMs);
    if (await blocks.isBlocked(knock.actorUri, knock.host))
      throw new Refused("actor_blocked", "blocked");
    const signer = await signerOf(request, knock, claim);
    // Counted only now: nobody can use up what belongs to somebody else.
    const waitSeconds = activities.take(knock.host, nowMs);
    if (waitSeconds > 0) return tooMany(waitSeconds);
    const { proof: _proof, signature: _signature, ...activity } = knock.activity;
    return { activity, actor: signer.actor, actorUri: knock.actorUri, id: knock.id };
  };

  return async (request, remoteAddress) => {
    const sender = senderOf(remoteAddress);
    const nowMs = clock.real().epochMilliseconds;
    const waitSeconds = refusals.waitSeconds(sender, nowMs);
    if (waitSeconds > 0) return tooMany(waitSeconds);
    try {
      return await admit(request, nowMs);
    } catch (error) {
      if (error instanceof Pointless) return new Response(null, { status: 202 });
      if (!(error instanceof Refused)) throw error;
      refusals.take(sender, nowMs);
      logger.debug("refused as {code}: {rule}", { code: error.code, rule: error.message });
      return refusal(error.code);
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
function isOwnDeletion({ type, actor, object }: Record<string, unknown>): boolean {
  return type === "Delete" && idOf(object) === actor;
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
