/** The ledger endpoint: statements come in, logs are pulled. Nothing here goes through Fedify or JSON-LD. */

import { getLogger } from "@logtape/logtape";
import { eq } from "drizzle-orm";
import { Hono } from "hono";
import {
  type FoundInstance,
  isUnheard,
  mayMeet,
  openPeer,
  type Peer,
  type PeerId,
  pinAgain,
} from "../../features/peer/peer.ts";
import { peer as peers, peerKey } from "../../features/peer/schema.ts";
import { publicKeyOf } from "../../features/statement/proof.ts";
import { headFor, logAfter } from "../../features/statement/log.ts";
import {
  isSignedByOne,
  type Kinds,
  type Taken,
  takeStatement,
} from "../../features/statement/take.ts";
import { instanceActor, type StatementParts } from "../../features/statement/write.ts";
import { type JsonLimits, JsonFault, parseJson } from "../../rules/json.ts";
import {
  type Frame,
  NAMESPACE,
  originOf,
  readFrame,
  STATEMENT_BYTES_MAX,
} from "../../rules/statement.ts";
import { recent, together } from "../../store/recent.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Clock } from "../../store/time.ts";
import { type BodyFault, openBuckets, readBody } from "./limits.ts";
import { isPulledBy, readPull } from "./pull-signature.ts";

/** What the endpoint needs. */
export interface LedgerParts {
  readonly statements: StatementParts;
  readonly kinds: Kinds;
  readonly clock: Clock;
  /** Asks a stranger's origin for its instance actor, its ledger and its keys: the one fetch that a request may make. */
  readonly meet: Meeting;
  /** False while our own log to a peer is behind what it knows. */
  readonly isFresh: (peer: PeerId) => Promise<boolean>;
  /** Something was taken in: there may be an answer to send, or a gap to fill. */
  readonly onTaken: (taken: Taken) => void;
}

/** 500 lines, each with what a line may have; and little depth. */
const LIMITS: JsonLimits = {
  depthMax: 16,
  valuesMax: 40_000,
  itemsMax: 2_000,
  textMax: 64 * 1024,
};

const ACTIVITY = "application/activity+json";

/** When it is worth another try. */
const RETRY_SECONDS: Readonly<Record<number, string>> = { 429: "3600", 503: "60" };

const logger = getLogger(["fediflattr", "statements"]);

/** Takes one statement, as it came. Also the way in through the instance actor's inbox. */
export async function takePosted(
  { statements, kinds, clock, meet, isFresh, onTaken }: LedgerParts,
  bytes: Uint8Array,
  { isByInbox = false } = {},
): Promise<ReturnType<typeof statusOf>> {
  if (bytes.length > STATEMENT_BYTES_MAX) return TOO_LARGE;
  let document: unknown;
  try {
    document = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes), LIMITS);
  } catch (error) {
    if (error instanceof JsonFault || error instanceof TypeError)
      return statusOf({ outcome: "malformed" });
    throw error;
  }
  const take = () => takeStatement(statements, kinds, document, clock.now(), isFresh);
  let taken = await take();
  if (taken.outcome === "unpinnedKey" && (await pinAnew({ statements, meet, clock }, document)))
    taken = await take();
  if (taken.outcome === "unknownPeer" && taken.introduces !== undefined) {
    const refusal = await introduce({ statements, meet, clock }, taken.introduces);
    if (refusal !== undefined) return refusal;
    taken = await take();
  }
  const answer = statusOf(taken);
  // An inbox gives no answers: the Receipt is posted.
  const isPosted = isByInbox && answer.status === 200;
  if (isPosted) await postReceipt(statements, answer.body);
  // What strangers send makes no work beyond this.
  if (answer.status < 300) onTaken(taken);
  return isPosted ? { status: 202, body: "" } : answer;
}

async function postReceipt({ database }: StatementParts, receipt: string): Promise<void> {
  const { id } = JSON.parse(receipt) as { id: string };
  // One that is on its way already keeps its pauses, however often the same statement comes.
  await database.sql`UPDATE statement SET due_at = 'epoch' WHERE id = ${id} AND direction = 'out' AND due_at IS NULL`;
}

/** What is found at the origin of a stranger; "busy" when too many strangers came. */
export type Meeting = (origin: string) => Promise<FoundInstance | "busy" | undefined>;

/** Strangers that are looked up: a handful at once, then one each five seconds. Honest ones come again. */
const MEETINGS = { burst: 50, perSecond: 0.2 };

/** How long an origin that was no instance of our kind, or did not answer, is not asked again; and one that is. */
const STRANGE_REMEMBERED_MS = 10 * 60_000;
const FOUND_REMEMBERED_MS = 60_000;
const REMEMBERED_MAX = 10_000;

/**
 * Looks strangers up within limits, since anybody can make up names of them: each origin once at a time, failures
 * remembered, and all together no more than so many.
 *
 * @param discover asks an origin, over the network
 */
export function openMeeting(
  discover: (origin: string) => Promise<FoundInstance | undefined>,
  clock: Clock,
): Meeting {
  const asked = recent<string, { found: FoundInstance | undefined; untilMs: number }>(
    REMEMBERED_MAX,
  );
  const buckets = openBuckets(MEETINGS);
  return together(async (origin: string) => {
    const now = clock.real().epochMilliseconds;
    const known = asked.get(origin);
    if (known !== undefined && known.untilMs > now) return known.found;
    if (buckets.take("all", now) > 0) return "busy";
    const found = await discover(origin).catch((error: unknown) => {
      logger.info("{origin} offers Terms and cannot be looked up: {error}", { origin, error });
      return undefined;
    });
    const kept = found === undefined ? STRANGE_REMEMBERED_MS : FOUND_REMEMBERED_MS;
    asked.set(origin, { found, untilMs: now + kept });
    return found;
  });
}

/**
 * First contact: who offers Terms is looked up at its own origin, and its keys are pinned, if one of them signed what
 * it offers. Until then nothing is written down.
 */
async function introduce(
  { statements: { database }, meet, clock }: Pick<LedgerParts, "statements" | "meet" | "clock">,
  frame: Frame,
): Promise<ReturnType<typeof statusOf> | undefined> {
  const origin = originOf(frame.actor);
  const isElsewhere = origin !== undefined && origin !== database.settings.origin;
  if (!isElsewhere || !(await mayMeet(database.drizzle, clock.now()))) return UNKNOWN;
  const found = await meet(origin);
  if (found === "busy") return BUSY;
  if (found === undefined || found.actor !== frame.actor || !isSignedByOne(frame, found.keys))
    return UNKNOWN;
  try {
    await database.drizzle.transaction((tx) => openPeer(database, tx, found, clock.now()));
    return undefined;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return UNKNOWN;
  }
}

/**
 * Of a peer that was found, and never heard, the keys may have changed since: they are asked for once more, and pinned
 * if one of them signed what it says.
 *
 * @returns whether they are others now
 */
async function pinAnew(
  { statements: { database }, meet, clock }: Pick<LedgerParts, "statements" | "meet" | "clock">,
  document: unknown,
): Promise<boolean> {
  const frame = readFrame(document);
  if ("fault" in frame || !(await isUnheard(database.drizzle, frame.actor))) return false;
  const origin = originOf(frame.actor);
  const found = origin === undefined ? undefined : await meet(origin);
  if (found === undefined || found === "busy" || found.actor !== frame.actor) return false;
  if (!isSignedByOne(frame, found.keys)) return false;
  await database.drizzle.transaction((tx) => pinAgain(tx, found, clock.now()));
  return true;
}

/** `/ledger`: what this instance says about itself, statements in, and the logs for those whom they concern. */
export function ledgerRoutes(parts: LedgerParts): Hono {
  const { statements, clock } = parts;
  const { database } = statements;
  const { origin, currency, unclaimedMonths } = database.settings;

  /** The peer that signed this GET; a Response when nobody did. */
  const pullerOf = async (
    request: Request,
    host: string,
    path: string,
  ): Promise<Peer | undefined> => {
    const claim = readPull(request.headers, clock.real());
    if (claim === undefined) return undefined;
    const [row] = await database.drizzle
      .select()
      .from(peerKey)
      .innerJoin(peers, eq(peers.id, peerKey.peer))
      .where(eq(peerKey.id, claim.keyId));
    if (row === undefined || row.peer.host !== host || row.peer_key.retireAtSeq !== null)
      return undefined;
    const key = publicKeyOf(row.peer_key.publicKeyMultibase);
    return key !== undefined && isPulledBy(key, `${origin}${path}`, claim) ? row.peer : undefined;
  };

  const log =
    (direction: "in" | "out") =>
    async (request: Request, host: string, after: string, path: string) => {
      const peer = await pullerOf(request, host, path);
      if (peer === undefined || !/^(0|[1-9]\d{0,14})$/.test(after)) return undefined;
      if (peer.state !== "open") return FROZEN;
      const page = await logAfter(statements, { peer: peer.id, direction, after: Number(after) });
      // The documents are given as they were signed, byte for byte.
      return `{"statements":[${page.statements.join(",")}],"more":${page.more}}`;
    };
  const [sent, received] = [log("out"), log("in")];

  return new Hono()
    .get("/ledger", (c) =>
      c.json(
        {
          actor: instanceActor(origin),
          spec: NAMESPACE.replace("#", ""),
          currencies: [currency],
          claims: false,
          unclaimedMonths,
        },
        200,
        { "cache-control": "public, max-age=3600", "access-control-allow-origin": "*" },
      ),
    )
    .post("/ledger", async (c) => {
      const read = await readBody(c.req.raw);
      const { status, body } =
        "bytes" in read ? await takePosted(parts, read.bytes) : bodyRefused(read.fault);
      return status === 204
        ? c.body(null, 204)
        : c.body(body, status, {
            "content-type": status === 200 ? ACTIVITY : "application/json",
            "cache-control": "no-store",
            ...(status in RETRY_SECONDS ? { "retry-after": RETRY_SECONDS[status]! } : {}),
          });
    })
    .get("/ledger/:host/after/:seq", async (c) =>
      answer(await sent(c.req.raw, c.req.param("host"), c.req.param("seq"), c.req.path)),
    )
    .get("/ledger/:host/received/:seq", async (c) =>
      answer(await received(c.req.raw, c.req.param("host"), c.req.param("seq"), c.req.path)),
    )
    .get("/ledger/:host/head", async (c) => {
      const peer = await pullerOf(c.req.raw, c.req.param("host"), c.req.path);
      if (peer === undefined) return answer(undefined);
      return answer(peer.state === "open" ? await headFor(statements, peer, clock.now()) : FROZEN);
    });
}

function answer(text: string | typeof FROZEN | undefined): Response {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  if (typeof text === "object") return new Response(text.body, { status: text.status, headers });
  return text === undefined
    ? Response.json(
        {
          error: "notYours",
          error_description: "A log is read by the two that keep it, with a signature.",
        },
        { status: 403, headers },
      )
    : new Response(text, { headers });
}

function bodyRefused(fault: BodyFault): ReturnType<typeof statusOf> {
  return fault === "body_too_large" ? TOO_LARGE : statusOf({ outcome: "malformed" });
}

const TOO_LARGE = {
  status: 413,
  body: JSON.stringify({
    error: "tooLarge",
    error_description: "A statement has at most 256 KiB.",
  }),
} as const;

const BUSY = {
  status: 503,
  body: JSON.stringify({
    error: "busy",
    error_description: "Too many instances want to be met. Please try again.",
  }),
} as const;

/** The answer to a statement: its status, and the Receipt or a code with a sentence. */
export function statusOf(taken: Taken): {
  readonly status: 200 | 202 | 204 | 400 | 401 | 403 | 409 | 413 | 429 | 503;
  readonly body: string;
} {
  switch (taken.outcome) {
    case "Accept":
    case "Reject":
    case "Noted":
    case "replay":
      return { status: 200, body: taken.receipt };
    case "heard":
      return { status: 204, body: "" };
    case "gap":
      return { status: 202, body: JSON.stringify({ outcome: "gap", pullAfter: taken.pullAfter }) };
    default:
      return {
        status: STATUS[taken.outcome],
        body: JSON.stringify({
          error: taken.outcome,
          error_description: SENTENCE[taken.outcome],
        }),
      };
  }
}

type Fault = Exclude<Taken["outcome"], "Accept" | "Reject" | "Noted" | "replay" | "heard" | "gap">;

const STATUS: Readonly<Record<Fault, 400 | 401 | 403 | 409 | 429 | 503>> = {
  malformed: 400,
  badContext: 400,
  wrongAudience: 400,
  noProof: 401,
  badProof: 401,
  forgedOrigin: 401,
  unpinnedKey: 401,
  badSignature: 401,
  retiredKey: 401,
  unknownPeer: 403,
  fork: 409,
  frozen: 409,
  tooMany: 429,
  behind: 503,
};

const SENTENCE: Readonly<Record<Fault, string>> = {
  malformed: "This is no statement: its form is wrong.",
  badContext: "A statement has one context, word for word.",
  wrongAudience: "This statement is for another instance.",
  noProof: "A statement carries a proof; nothing else is believed.",
  badProof: "The proof has not the form that statements have.",
  forgedOrigin: "Id and key must have the origin of the actor.",
  unpinnedKey: "This key was never announced by a key that is known.",
  badSignature: "The proof was not made over this statement by this key.",
  retiredKey: "This key may not sign statements with such a number any more.",
  unknownPeer: "No line is kept with this actor. Offer Terms first.",
  fork: "Another statement has this place in the log. Both are kept, and the line is frozen.",
  frozen: "The line is frozen. The operators have to talk.",
  tooMany: "More statements than a day holds. Please try again tomorrow.",
  behind: "This instance is getting its own log back. Please try again.",
};

/** While a line is frozen nothing of it is told, either: its key may be in wrong hands. */
const FROZEN = statusOf({ outcome: "frozen" });

const UNKNOWN = statusOf({ outcome: "unknownPeer", introduces: undefined });
