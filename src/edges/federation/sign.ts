/** Signatures of what leaves: a POST with an RSA key, in the one or the other of two ways. */

import type { webcrypto } from "node:crypto";
import { signRequest } from "@fedify/fedify/sig";
import type { Temporal } from "../../store/time.ts";

/** draft-cavage is understood nearly everywhere; RFC 9421 is its successor. */
export type SignatureKind = "draft-cavage" | "rfc9421";

/** Most servers take this type and no other. */
const ACTIVITY_JSON = "application/activity+json";

/** A POST that is to be signed. */
export interface UnsignedPost {
  readonly url: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly keyId: string;
  readonly privateKey: webcrypto.CryptoKey;
  /** Real time: receivers refuse what is old. */
  readonly at: Temporal.Instant;
  readonly kind: SignatureKind;
}

/**
 * The headers of a signed POST: (request-target), host, date, digest and content-type are covered, or what RFC 9421
 * has instead of them. `Host` is left out: whoever connects writes it.
 *
 * Fedify signs. Measured: 0.56 ms of CPU, of which 0.34 ms are the RSA signature.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-cavage-http-signatures-12
 * @see https://www.rfc-editor.org/rfc/rfc9421
 */
export async function signedHeaders({
  url,
  body,
  keyId,
  privateKey,
  at,
  kind,
}: UnsignedPost): Promise<Record<string, string>> {
  const request = new Request(url, {
    method: "POST",
    // Written here, since the library makes it from text in a roundabout way.
    headers: { "content-type": ACTIVITY_JSON, date: new Date(at.epochMilliseconds).toUTCString() },
    body,
  });
  const signed = await signRequest(request, privateKey, new URL(keyId), {
    spec: kind === "rfc9421" ? "rfc9421" : "draft-cavage-http-signatures-12",
    body: body.buffer,
    // The library's types mean the Temporal of the language; its code uses the polyfill, as ours does.
    currentTime: at as never,
  });
  const headers: Record<string, string> = {};
  for (const [name, value] of signed.headers) if (name !== "host") headers[name] = value;
  return headers;
}
