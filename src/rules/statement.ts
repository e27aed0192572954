/** Statements between instances: their form, and what a Transfer must be to be taken. Pure. */

import { Temporal } from "@js-temporal/polyfill";
import { toMicro, type Micro } from "./amount.ts";
import { canonicalJson, type Json } from "./canonical.ts";
import { closesAt, parsePeriod, type Period } from "./period.ts";

/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

/** The namespace of the payment extension. A name: it is never fetched. */
export const NAMESPACE = "https://w3id.org/fep/9b24#";

/** The context of every statement, word for word: otherwise a sender could give a word another meaning. */
export const STATEMENT_CONTEXT: Json = [
  "https://www.w3.org/ns/activitystreams",
  "https://w3id.org/security/data-integrity/v1",
  {
    fl: NAMESPACE,
    Transfer: "fl:Transfer",
    Settlement: "fl:Settlement",
    Netting: "fl:Netting",
    Claim: "fl:Claim",
    Terms: "fl:Terms",
    KeyRotation: "fl:KeyRotation",
    Receipt: "fl:Receipt",
    seq: "fl:seq",
    prev: "fl:prev",
    body: { "@id": "fl:body", "@type": "@json" },
  },
];

const CONTEXT_TEXT = canonicalJson(STATEMENT_CONTEXT);

/** The most bytes that a statement has. */
export const STATEMENT_BYTES_MAX = 262_144;

/** The most lines of one Transfer. */
export const LINES_MAX = 500;

/** The longest id, and the longest name of a key: what an index of the database holds. */
export const ID_CHARS_MAX = 500;

/** The most flattrs of one line: what the database counts with. */
const COUNT_MAX = 2 ** 31 - 1;

/** Below so many patrons a line does not say how many flattrs it holds: the sum alone tells less about a person. */
export const COUNT_PATRONS_MIN = 3;

const KEYS: ReadonlySet<string> = new Set([
  "@context",
  "id",
  "type",
  "actor",
  "to",
  "object",
  "published",
  "seq",
  "prev",
  "body",
  "proof",
]);

const PROOF_KEYS: ReadonlySet<string> = new Set([
  "@context",
  "type",
  "cryptosuite",
  "verificationMethod",
  "proofPurpose",
  "created",
  "proofValue",
]);

/** Why a statement is not even looked at; none of these leaves a trace. */
export type FrameFault =
  | "malformed"
  | "badContext"
  | "noProof"
  | "badProof"
  | "forgedOrigin"
  | "wrongAudience";

/** A statement whose frame is in order. Nothing about it is proved yet. */
export interface Frame {
  readonly document: JsonObject;
  readonly id: string;
  /** Such as `["Offer", "Transfer"]`. */
  readonly type: readonly [string, string];
  readonly actor: string;
  readonly to: string;
  readonly seq: number;
  readonly prev: string | null;
  readonly body: Json;
  readonly published: string;
}

/** Reads a statement's frame: everything up to the question who its actor is. */
export function readFrame(document: unknown): Frame | { readonly fault: FrameFault } {
  if (!isObject(document) || "signature" in document) return { fault: "malformed" };
  if (!sameJson(document["@context"], CONTEXT_TEXT)) return { fault: "badContext" };
  const { id, type, actor, to, seq, prev, body, published, object } = document;
  const inOrder =
    Object.keys(document).every((key) => KEYS.has(key)) &&
    typeof id === "string" &&
    id.length <= ID_CHARS_MAX &&
    Array.isArray(type) &&
    type.length === 2 &&
    type.every((name) => typeof name === "string") &&
    typeof actor === "string" &&
    typeof to === "string" &&
    typeof seq === "number" &&
    Number.isSafeInteger(seq) &&
    seq >= 1 &&
    (prev === undefined || prev === null || typeof prev === "string") &&
    (object === undefined || typeof object === "string") &&
    typeof published === "string";
  if (!inOrder) return { fault: "malformed" };
  return {
    document,
    id,
    type: type as unknown as readonly [string, string],
    actor,
    to,
    seq,
    prev: prev ?? null,
    body: body ?? null,
    published,
  };
}

/** A proof of the right form; whether it is true is another question. */
export interface ProofForm {
  readonly verificationMethod: string;
  readonly proofValue: string;
}

/** Reads the proof of a statement: its form, and that id and key are of the actor's origin (FEP-fe34). */
export function readProof({
  document,
  id,
  actor,
}: Frame): ProofForm | { readonly fault: FrameFault } {
  const proof = document["proof"];
  if (!isObject(proof)) return { fault: "noProof" };
  const { type, cryptosuite, proofPurpose, created, verificationMethod, proofValue } = proof;
  const inOrder =
    Object.keys(proof).every((key) => PROOF_KEYS.has(key)) &&
    type === "DataIntegrityProof" &&
    cryptosuite === "eddsa-jcs-2022" &&
    proofPurpose === "assertionMethod" &&
    typeof created === "string" &&
    typeof verificationMethod === "string" &&
    typeof proofValue === "string" &&
    sameJson(proof["@context"], CONTEXT_TEXT);
  if (!inOrder) return { fault: "badProof" };
  const origin = originOf(actor);
  if (origin === undefined || originOf(id) !== origin || originOf(verificationMethod) !== origin)
    return { fault: "forgedOrigin" };
  return { verificationMethod, proofValue };
}

/** Kinds of a Transfer; `return` and `claim` carry the month in which they are made. */
export const TRANSFER_KINDS = ["settlement", "claim", "return", "correction"] as const;
export type TransferKind = (typeof TRANSFER_KINDS)[number];

/** One creator's part of a Transfer. */
export interface TransferLine {
  readonly beneficiary: string;
  readonly amount: Micro;
  readonly count: number | undefined;
}

/** A Transfer whose body is in order. */
export interface TransferBody {
  readonly kind: TransferKind;
  readonly period: Period;
  readonly currency: string;
  readonly total: Micro;
  readonly lines: readonly TransferLine[];
}

/** Why a Transfer is refused as a whole, before its lines are looked at. */
export type TransferFault =
  | "malformed"
  | "unsupported"
  | "currencyNotAccepted"
  | "periodNotClosed"
  | "periodTooOld"
  | "badTotal";

/** A month counts as over so long before it is, since clocks differ. */
const CLOCK_SKEW_MINUTES = 5;

/** A month that ended earlier than this is not settled any more: 24 months of 31 days. */
const AGE_DAYS_MAX = 24 * 31;

/**
 * Reads the body of a Transfer, in the order of the checks: form, currency, period, lines, total.
 *
 * @param currencies those that are accepted
 * @param at the receiver's clock
 */
export function readTransfer(
  body: Json,
  { currencies, at }: { currencies: ReadonlySet<string>; at: Temporal.Instant },
): TransferBody | { readonly fault: TransferFault } {
  if (!isObject(body) || !hasSafeNumbers(body)) return { fault: "malformed" };
  const { kind: named, period: month, currency, total: sum, lines: listed } = body;
  const kind = TRANSFER_KINDS.find((known) => known === named);
  if (kind === undefined || !Array.isArray(listed) || typeof currency !== "string")
    return { fault: "malformed" };
  if (listed.length < 1 || listed.length > LINES_MAX) return { fault: "malformed" };
  if (!currencies.has(currency)) return { fault: "currencyNotAccepted" };
  const period = typeof month === "string" ? parsePeriod(month) : undefined;
  if (period === undefined) return { fault: "malformed" };
  const age = periodFault(period, kind, at);
  if (age !== undefined) return { fault: age };
  const lines = readLines(listed);
  if (lines === undefined) return { fault: "malformed" };
  const total = lines.reduce((added, { amount }) => added + amount, 0n);
  if (readAmount(sum) !== total) return { fault: "badTotal" };
  return { kind, period, currency, total: toMicro(total), lines };
}

function periodFault(
  period: Period,
  kind: TransferKind,
  at: Temporal.Instant,
): TransferFault | undefined {
  const closes = closesAt(period);
  const isRegular = kind === "settlement";
  if (isRegular && Temporal.Instant.compare(closes, at.add({ minutes: CLOCK_SKEW_MINUTES })) > 0)
    return "periodNotClosed";
  if (Temporal.Instant.compare(closes, at.subtract({ hours: 24 * AGE_DAYS_MAX })) < 0)
    return "periodTooOld";
  return undefined;
}

function readLines(listed: readonly Json[]): TransferLine[] | undefined {
  const seen = new Set<string>();
  const lines: TransferLine[] = [];
  for (const line of listed) {
    if (!isObject(line)) return undefined;
    const { beneficiary, amount: text, count } = line;
    const amount = readAmount(text);
    if (
      typeof beneficiary !== "string" ||
      amount === undefined ||
      (count !== undefined && !isCount(count)) ||
      seen.has(beneficiary)
    )
      return undefined;
    seen.add(beneficiary);
    lines.push({ beneficiary, amount, count: count as number | undefined });
  }
  return lines;
}

function isCount(count: Json): boolean {
  return Number.isSafeInteger(count) && (count as number) >= 1 && (count as number) <= COUNT_MAX;
}

/** An amount as statements write it: a decimal integer without a sign or leading zero, up to 15 digits; else undefined. */
export function readAmount(text: unknown): Micro | undefined {
  return typeof text === "string" && /^[1-9][0-9]{0,14}(?![\s\S])/.test(text)
    ? toMicro(BigInt(text))
    : undefined;
}

/** Like `readAmount`, and 0 is an amount, too: counters, limits. */
export function readCounter(text: unknown): Micro | undefined {
  return text === "0" ? toMicro(0n) : readAmount(text);
}

/** True when no number in it would be read differently elsewhere: only integers that every language keeps exactly. */
export function hasSafeNumbers(value: Json): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (Array.isArray(value)) return value.every(hasSafeNumbers);
  return isObject(value) ? Object.values(value).every(hasSafeNumbers) : true;
}

/** True for a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The origin of an address; undefined when it is none. */
export function originOf(address: string): string | undefined {
  return URL.canParse(address) ? new URL(address).origin : undefined;
}

function sameJson(value: Json | undefined, text: string): boolean {
  try {
    return value !== undefined && canonicalJson(value) === text;
  } catch {
    return false;
  }
}
