/** Who pulls a log: RFC 9421 with the Ed25519 key that signs statements, over the method and the whole address. */

import { type KeyObject, sign, verify } from "node:crypto";
import type { Temporal } from "../../store/time.ts";

/** A pull is fresh for so long, clocks being what they are. */
const SKEW_SECONDS_MAX = 300;

const COVERED = '("@method" "@target-uri")';

/** The headers of a signed GET. @see https://www.rfc-editor.org/rfc/rfc9421 */
export function signPull(
  url: string,
  { keyId, privateKey, at }: { keyId: string; privateKey: KeyObject; at: Temporal.Instant },
): Record<string, string> {
  const created = Math.floor(at.epochMilliseconds / 1000);
  const parameters = `${COVERED};created=${created};keyid="${keyId}";alg="ed25519"`;
  const signature = sign(null, Buffer.from(baseOf(url, parameters)), privateKey);
  return {
    "signature-input": `pull=${parameters}`,
    signature: `pull=:${signature.toString("base64")}:`,
  };
}

/** What a signed GET says about itself; nothing of it is proved. */
export interface PullClaim {
  readonly keyId: string;
  readonly parameters: string;
  readonly signature: Buffer;
}

/**
 * Reads the signature of a pull: exactly one, over method and address, made within five minutes.
 *
 * @returns undefined for anything else
 */
export function readPull(headers: Headers, at: Temporal.Instant): PullClaim | undefined {
  const input =
    /^([a-z][a-z0-9_*.-]{0,30})=(\("@method" "@target-uri"\)|\("@target-uri" "@method"\))((?:;[a-z]+=(?:\d{1,12}|"[^"\\]{0,2048}"))*)$/.exec(
      headers.get("signature-input")?.trim() ?? "",
    );
  if (input === null) return undefined;
  const [, label, covered, rest] = input;
  const signature = /^([a-z][a-z0-9_*.-]{0,30})=:([A-Za-z0-9+/=]{1,200}):$/.exec(
    headers.get("signature")?.trim() ?? "",
  );
  if (signature === null || signature[1] !== label) return undefined;
  const named = [...rest!.matchAll(/;([a-z]+)=(?:(\d+)|"([^"]*)")/g)];
  const values = new Map(named.map(([, name, number, text]) => [name!, number ?? text ?? ""]));
  const created = Number(values.get("created"));
  const now = at.epochMilliseconds / 1000;
  const isFresh =
    values.has("created") &&
    Math.abs(now - created) <= SKEW_SECONDS_MAX &&
    (!values.has("expires") || Number(values.get("expires")) >= now);
  const isOnce = values.size === named.length;
  const keyId = values.get("keyid");
  if (!isFresh || !isOnce || keyId === undefined || (values.get("alg") ?? "ed25519") !== "ed25519")
    return undefined;
  return {
    keyId,
    parameters: `${covered}${rest}`,
    signature: Buffer.from(signature[2]!, "base64"),
  };
}

/** True when the owner of this key asks for this very address. */
export function isPulledBy(key: KeyObject, url: string, claim: PullClaim): boolean {
  const base = claim.parameters.startsWith(COVERED)
    ? baseOf(url, claim.parameters)
    : [`"@target-uri": ${url}`, `"@method": GET`, `"@signature-params": ${claim.parameters}`].join(
        "\n",
      );
  return claim.signature.length === 64 && verify(null, Buffer.from(base), key, claim.signature);
}

function baseOf(url: string, parameters: string): string {
  return [`"@method": GET`, `"@target-uri": ${url}`, `"@signature-params": ${parameters}`].join(
    "\n",
  );
}
