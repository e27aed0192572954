/**
 * What an HTTP signature must look like before anybody looks for its key: exactly one, of one of the two kinds, over
 * everything that gives the request its meaning, and fresh. Whether it is true is decided later.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-cavage-http-signatures-12
 * @see https://www.rfc-editor.org/rfc/rfc9421
 */

/** What a well-formed signature claims. */
export interface SignatureClaim {
  readonly kind: "draft-cavage" | "rfc9421";
  readonly keyId: string;
}

/** Why a signature is not even looked up. The rule is for the log, not for the sender. */
export interface SignatureFault {
  readonly fault: "signature_missing" | "signature_invalid";
  readonly rule: string;
}

/** Clocks of servers are this far apart at most, and a request may wait as long in a queue. */
export const SKEW_MS_MAX = 60 * 60 * 1000;

/** Parts that a signature may cover; senders cover 4 to 8. */
const PARTS_MAX = 32;

/** An RSA signature of 8,192 bits. */
const SIGNATURE_CHARS_MAX = 1_400;

const CAVAGE_ENTRY = /[ \t]*([A-Za-z]+)=(?:"([^",]*)"|(\d{1,12}))[ \t]*(,|$)/y;
const CAVAGE_NAMES: ReadonlySet<string> = new Set([
  "keyId",
  "algorithm",
  "headers",
  "signature",
  "created",
  "expires",
]);
const CAVAGE_ALGORITHMS: ReadonlySet<string | undefined> = new Set([
  undefined,
  "rsa-sha256",
  "hs2019",
]);
const CAVAGE_COVERED = ["(request-target)", "host", "date", "digest"];

const INPUT = /^([a-z*][a-z0-9_.*-]*)=\(([^()]*)\)((?:;[a-z][a-z0-9_-]*=(?:"[^"\\]*"|\d{1,12}))*)$/;
const INPUT_PARAMETER = /;([a-z][a-z0-9_-]*)=(?:"([^"\\]*)"|(\d{1,12}))/g;
const INPUT_NAMES: ReadonlySet<string> = new Set([
  "alg",
  "keyid",
  "created",
  "expires",
  "nonce",
  "tag",
]);
const DERIVED: ReadonlySet<string> = new Set([
  "@method",
  "@target-uri",
  "@authority",
  "@scheme",
  "@path",
  "@query",
  "@request-target",
]);

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const DIGEST = /^SHA-256=[A-Za-z0-9+/]{43}=$/i;
const CONTENT_DIGEST = /^(?:sha-256=:[A-Za-z0-9+/]{43}=:|sha-512=:[A-Za-z0-9+/]{86}==:)$/;
const HTTP_DATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

class Flaw extends Error {}

/** Reads the one signature of a POST. */
export function signatureOf(headers: Headers, nowMs: number): SignatureClaim | SignatureFault {
  const isElsewhere = /^signature\b/i.test(headers.get("authorization") ?? "");
  if (!headers.has("signature") && !headers.has("signature-input") && !isElsewhere)
    return { fault: "signature_missing", rule: "there is no Signature header" };
  try {
    require(!isElsewhere, "a signature stands in Authorization");
    return headers.has("signature-input") ? rfc9421(headers, nowMs) : draftCavage(headers, nowMs);
  } catch (error) {
    if (error instanceof Flaw) return { fault: "signature_invalid", rule: error.message };
    throw error;
  }
}

function draftCavage(headers: Headers, nowMs: number): SignatureClaim {
  const header = headers.get("signature")!;
  const values = new Map<string, string>();
  for (CAVAGE_ENTRY.lastIndex = 0; CAVAGE_ENTRY.lastIndex < header.length;) {
    const entry = CAVAGE_ENTRY.exec(header);
    // Two headers of the same name come as one, so a second signature repeats the names of the first.
    require(entry !== null, "the Signature header is not well formed");
    const [, name, text, number, separator] = entry;
    require(CAVAGE_NAMES.has(name!) && !values.has(name!), `the parameter ${name} is too much`);
    values.set(name!, text ?? number ?? "");
    if (separator === "") break;
    require(CAVAGE_ENTRY.lastIndex < header.length, "the Signature header ends with a comma");
  }
  const keyId = values.get("keyId");
  require(keyId !== undefined && keyId !== "", "there is no keyId");
  require(CAVAGE_ALGORITHMS.has(values.get("algorithm")), "the algorithm is not rsa-sha256");
  requireSignature(values.get("signature"));
  const covered = (values.get("headers") ?? "").split(" ");
  requireCovered(covered, CAVAGE_COVERED);
  for (const part of covered) {
    const isThere =
      part === "(request-target)" ||
      (part === "(created)" && values.has("created")) ||
      (part === "(expires)" && values.has("expires")) ||
      (/^[a-z0-9-]+$/.test(part) && headers.has(part));
    require(isThere, `the part ${part} is not there`);
  }
  require(DIGEST.test(headers.get("digest") ?? ""), "there is not exactly one SHA-256 Digest");
  const date = headers.get("date") ?? "";
  require(HTTP_DATE.test(date), "Date is no date");
  requireFresh(Date.parse(date), nowMs);
  requireTimes(values.get("created"), values.get("expires"), nowMs);
  return { kind: "draft-cavage", keyId };
}

function rfc9421(headers: Headers, nowMs: number): SignatureClaim {
  const [, label, parts, parameters] = INPUT.exec(headers.get("signature-input")!) ?? [];
  require(label !== undefined, "Signature-Input is not one well-formed label");
  const values = new Map<string, string>();
  for (const [, name, text, number] of parameters!.matchAll(INPUT_PARAMETER)) {
    require(INPUT_NAMES.has(name!) && !values.has(name!), `the parameter ${name} is too much`);
    values.set(name!, text ?? number ?? "");
  }
  const [, signed, signature] = /^([^=]+)=:([^:]*):$/.exec(headers.get("signature") ?? "") ?? [];
  require(signed === label, "Signature is not that of the one label");
  requireSignature(signature);
  const keyId = values.get("keyid");
  require(keyId !== undefined && keyId !== "", "there is no keyid");
  require(!values.has("alg") ||
    values.get("alg") === "rsa-v1_5-sha256", "the algorithm is not rsa-v1_5-sha256");
  const quoted = parts!.split(" ");
  require(quoted.every((part) => /^"@?[a-z0-9-]+"$/.test(part)), "a covered part is not plain");
  const covered = quoted.map((part) => part.slice(1, -1));
  requireCovered(covered, ["@method", "content-digest"]);
  require(covered.includes("@target-uri") ||
    (covered.includes("@authority") && covered.includes("@path")), "the address is not covered");
  for (const part of covered)
    require(DERIVED.has(part) || headers.has(part), `the part ${part} is not there`);
  require(CONTENT_DIGEST.test(
    headers.get("content-digest") ?? "",
  ), "there is not exactly one Content-Digest");
  require(values.has("created"), "there is no created");
  requireTimes(values.get("created"), values.get("expires"), nowMs);
  return { kind: "rfc9421", keyId };
}

function requireSignature(signature: string | undefined): void {
  require(signature !== undefined &&
    signature.length <= SIGNATURE_CHARS_MAX &&
    BASE64.test(signature), "the signature is no base64");
}

function requireCovered(covered: readonly string[], needed: readonly string[]): void {
  require(covered.length <= PARTS_MAX, "too many parts are covered");
  require(new Set(covered).size === covered.length, "a part is covered twice");
  for (const part of needed) require(covered.includes(part), `${part} is not covered`);
}

function requireTimes(
  created: string | undefined,
  expires: string | undefined,
  nowMs: number,
): void {
  require(/^\d*$/.test(created ?? "") && /^\d*$/.test(expires ?? ""), "a time is no number");
  if (created !== undefined) requireFresh(Number(created) * 1000, nowMs);
  if (expires !== undefined) require(Number(expires) * 1000 > nowMs, "it has expired");
}

function requireFresh(atMs: number, nowMs: number): void {
  require(Math.abs(atMs - nowMs) <= SKEW_MS_MAX, "it is not from this hour");
}

function require(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Flaw(rule);
}
