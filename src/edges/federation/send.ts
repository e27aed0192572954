/** One try of one delivery: what it says, a signed POST, and what its answer means. */

import type { webcrypto } from "node:crypto";
import { type Due, inboxOf, messageText } from "../../features/activity/due.ts";
import type { ActorKeys } from "../../features/account/secret.ts";
import { deliveryPauseMs, retryAfterMs } from "../../rules/retry.ts";
import type { Database } from "../../store/database.ts";
import { type Egress, type EgressCode, EgressError } from "../../store/egress.ts";
import { recent, together } from "../../store/recent.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Clock } from "../../store/time.ts";
import { type Fetcher, StatusError } from "./fetch.ts";
import { likeDocument, undoLikeDocument } from "./like-document.ts";
import { type SignatureKind, signedHeaders } from "./sign.ts";

/** What became of a try. */
export type Outcome =
  /** The other server has it. */
  | { readonly kind: "taken"; readonly signature: SignatureKind }
  /** It never will; `isGone`: nothing answers at this inbox any more. */
  | { readonly kind: "ended"; readonly error: string; readonly isGone?: boolean }
  /** The host is in trouble: everything for it waits. `isRow`: it may be the message, which waits longer. */
  | {
      readonly kind: "host";
      readonly error: string;
      readonly pauseMs?: number | undefined;
      readonly isRow?: boolean;
    }
  /** Only this one waits; `isGone`: when it never arrives, nothing answers at this inbox any more. */
  | { readonly kind: "later"; readonly error: string; readonly isGone?: boolean };

/** What is posted. */
export interface Post {
  readonly inbox: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly key: { readonly keyId: string; readonly privateKey: webcrypto.CryptoKey };
  /** The kind of signature that is tried first. */
  readonly first: SignatureKind;
}

/** What sending works with. */
export interface SenderParts {
  readonly database: Database;
  readonly egress: Egress;
  readonly keys: ActorKeys;
  readonly fetcher: Pick<Fetcher, "actor">;
  readonly clock: Clock;
}

/** Texts of messages that are kept, since one goes to many inboxes. */
const TEXTS_MAX = 64;

/** Sends deliveries: what they say, as whom, and where to. */
export function openSender(
  parts: SenderParts,
): (due: Due, first: SignatureKind) => Promise<Outcome> {
  const { database, keys, fetcher } = parts;
  const { origin } = database.settings;
  const texts = recent<bigint, Uint8Array<ArrayBuffer>>(TEXTS_MAX);

  const read = together(async (message: bigint) => {
    const text = await messageText(database, message);
    const body = text === undefined ? undefined : encoded(text);
    if (body !== undefined) texts.set(message, body);
    return body;
  });

  const bodyOf = async ({ said, activity }: Due) => {
    if (said.kind === "message") return texts.get(said.message) ?? read(said.message);
    const told = { ...said, origin };
    return encoded(
      JSON.stringify(activity === "Undo" ? undoLikeDocument(told) : likeDocument(told)),
    );
  };

  return async (due, first) => {
    const { target, sender } = due;
    let { inbox } = target;
    if (target.inbox === undefined) {
      try {
        // Known without an inbox, it may have another one by now: its own server is asked, once for all that waits.
        const { actor, readAt: newerThan } = target;
        inbox = await inboxOf(database, await fetcher.actor(actor, { newerThan }));
      } catch (error) {
        return outcomeOfFetch(error);
      }
    }
    if (inbox === undefined) return { kind: "ended", error: "there is no inbox" };
    const body = await bodyOf(due);
    if (body === undefined) return { kind: "ended", error: "its message is gone" };
    const { keyId, privateKey } = await keys.keyPairOf(sender);
    return post(parts, { inbox, body, key: { keyId, privateKey }, first });
  };
}

const ENCODER = new TextEncoder();

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(text);
}

/** One request may take so long; a server that needs longer is slow for everybody. */
export const POST_MS_MAX = 10_000;

/** What an inbox answers is looked at only for its status. */
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * Posts something to an inbox. A server that refuses the signature is asked once more with the other kind.
 *
 * @throws never for what the other server or the network does
 */
export async function post(
  { egress, clock }: Pick<SenderParts, "egress" | "clock">,
  wanted: Post,
): Promise<Outcome> {
  const outcome = await postOnce({ egress, clock }, wanted, wanted.first);
  if (outcome !== "unsigned") return outcome;
  const other = wanted.first === "rfc9421" ? "draft-cavage" : "rfc9421";
  const again = await postOnce({ egress, clock }, wanted, other);
  // Perhaps it could not fetch our key: nothing that was accepted is lost for that.
  return again === "unsigned" ? { kind: "later", error: UNSIGNED } : again;
}

/** What stays written when neither signature was believed. */
const UNSIGNED = "401";

/** What stays written when there is no such inbox, or no such actor. */
const MISSING = "404";

async function postOnce(
  { egress, clock }: Pick<SenderParts, "egress" | "clock">,
  { inbox, body, key }: Post,
  kind: SignatureKind,
): Promise<Outcome | "unsigned"> {
  try {
    const { status, headers } = await egress.request(inbox, {
      method: "POST",
      headers: await signedHeaders({ url: inbox, body, ...key, at: clock.real(), kind }),
      body,
      bytesMax: ANSWER_BYTES_MAX,
      deadlineMs: POST_MS_MAX,
      redirectsMax: 0,
    });
    if (status === 401) return "unsigned";
    const retryAfter = headers.get("retry-after");
    const nowMs = retryAfter === null ? 0 : clock.real().epochMilliseconds;
    return outcomeOf(status, retryAfter, nowMs, kind);
  } catch (error) {
    if (error instanceof EgressError) return outcomeOfFailure(error);
    throw error;
  }
}

/** What a status means. 409: it has this one already. */
export function outcomeOf(
  status: number,
  retryAfter: string | null,
  nowMs: number,
  signature: SignatureKind,
): Outcome {
  const error = String(status);
  if ((status >= 200 && status < 300) || status === 409) return { kind: "taken", signature };
  if (status === 410) return { kind: "ended", error, isGone: true };
  // Gone, or a proxy that lost its way for an hour: days will tell.
  if (status === 404) return { kind: "later", error: MISSING, isGone: true };
  if (status === 429 || status === 503)
    return { kind: "host", error, pauseMs: retryAfterMs(retryAfter, nowMs) };
  if (status === 502 || status === 504 || (status >= 520 && status <= 530))
    return { kind: "host", error };
  if (status >= 500) return { kind: "host", error, isRow: true };
  // Too slow, too early, or sent elsewhere: a POST does not follow, and tomorrow it may be right again.
  if (status === 408 || status === 425 || (status >= 300 && status < 400))
    return { kind: "later", error };
  return { kind: "ended", error };
}

const OUTCOME_OF_FAILURE: Readonly<Record<EgressCode, "host" | "later" | "ended">> = {
  timeout: "host",
  unreachable: "host",
  redirects: "later",
  // Addresses that must not be asked, and answers that nobody would take twice.
  address_refused: "ended",
  scheme_refused: "ended",
  too_large: "ended",
  encoded: "ended",
};

function outcomeOfFailure({ code }: EgressError): Outcome {
  return { kind: OUTCOME_OF_FAILURE[code], error: code };
}

/**
 * What it means that an actor could not be fetched.
 *
 * @throws what is a fault of our own
 */
export function outcomeOfFetch(error: unknown): Outcome {
  if (error instanceof EgressError) return outcomeOfFailure(error);
  if (error instanceof StatusError) {
    const outcome = outcomeOf(error.status, null, 0, "draft-cavage");
    if (outcome.kind === "taken") return { kind: "ended", error: `its actor: ${error.status}` };
    // It does not know our key yet, or is closing its doors: only asking again can tell.
    return error.status === 401 ? { kind: "later", error: UNSIGNED } : outcome;
  }
  if (error instanceof Refusal) return { kind: "ended", error: `its actor: ${error.reason}` };
  throw error;
}

/**
 * A delivery that its host keeps refusing is tried so often: for two weeks. Also one whose signature is not believed:
 * whoever could not fetch our key remembers that for a while, and we may have been away for days.
 */
const TRIES_MAX = 22;

/** Somebody who is not there is asked for so often: for three days. */
const MISSING_TRIES_MAX = 10;

/** When a delivery is tried again that only it failed; undefined: never. */
export function pauseOf(
  { id, attempts }: { id: bigint; attempts: number },
  error: string,
): number | undefined {
  const most = error === MISSING ? MISSING_TRIES_MAX : TRIES_MAX;
  return attempts >= most ? undefined : deliveryPauseMs(attempts, id);
}
