/** Taking in a statement of a peer: our own check against pinned keys, order, forks; then what it says. */

import { and, desc, eq, gt, isNotNull, sql } from "drizzle-orm";
import { canonicalJson, type Json } from "../../rules/canonical.ts";
import {
  type Frame,
  type FrameFault,
  hasSafeNumbers,
  readFrame,
  readProof,
} from "../../rules/statement.ts";
import { retrying, type Tx } from "../../store/database.ts";
import { type JobKind, addJob } from "../../store/jobs.ts";
import { Temporal } from "../../store/time.ts";
import { raiseAlarm } from "../peer/alarm.ts";
import { lockPeer, type Peer, type PeerId, peerOfActor } from "../peer/peer.ts";
import { peer as peers, peerKey } from "../peer/schema.ts";
import { digestOf, isSigned, publicKeyOf } from "./proof.ts";
import { fork, statement } from "./schema.ts";
import {
  instanceActor,
  lastStatement,
  type Statement,
  type StatementParts,
  statementOf,
  writeStatement,
} from "./write.ts";

/** What a kind of statement needs to have its effect. The peer is locked; all happens in one transaction. */
export interface Hearing {
  readonly parts: StatementParts;
  readonly tx: Tx;
  readonly peer: Peer;
  readonly statement: Frame;
  /** What was answered before this database was restored from a backup: the same must come of it again. */
  readonly signed?: Signed | undefined;
  readonly at: Temporal.Instant;
}

/** What the Receipt says: its body beside `of`. Undefined for a Receipt, which gets none. */
export interface Verdict {
  readonly isAccepted: boolean;
  readonly body: { readonly [key: string]: Json };
}

/** An answer of ours that came back after a restore, and when it was given. */
export interface Signed extends Verdict {
  readonly at: Temporal.Instant;
}

/**
 * Thrown while hearing: what was signed before a restore cannot be done again yet, such as before the month is closed
 * anew. Nothing is taken, and it is heard again later. With an alarm it may never be, unless people do something.
 */
export class NotYet extends Error {
  readonly alarm: string | undefined;

  constructor(alarm?: string) {
    super(alarm ?? "what was signed before the restore cannot be done again yet");
    this.alarm = alarm;
  }
}

/** What each second type means: the feature that hears it. Joined in `instance.ts`. */
export type Kinds = Readonly<
  Record<
    string,
    {
      readonly first: readonly string[];
      readonly hear: (hearing: Hearing) => Promise<Verdict | undefined>;
    }
  >
>;

/** What became of a statement. */
export type Taken =
  | { readonly outcome: "Accept" | "Reject" | "Noted" | "replay"; readonly receipt: string }
  | { readonly outcome: "heard" }
  | { readonly outcome: "gap"; readonly pullAfter: number }
  | { readonly outcome: "fork" | "frozen" }
  | {
      readonly outcome: FrameFault | "unpinnedKey" | "badSignature" | "retiredKey";
    }
  | { readonly outcome: "tooMany" }
  /** Our own log is not whole, or not all of it is booked again: to be tried later. */
  | { readonly outcome: "behind" }
  /** `introduces`: it offers Terms in due form; who says so is to be looked up. */
  | { readonly outcome: "unknownPeer"; readonly introduces: Frame | undefined };

/** Statements of a peer are missing here: pull its log. */
export const logBehind: JobKind<{ peer: string }> = { name: "statement.pull" };

/**
 * Takes in one statement. What is wrong with its form or its proof leaves no trace; what is wrong with its business
 * keeps its place in the log and is answered with a signed Reject.
 *
 * @see FEP-8b32 for the proof, docs/protocol for the frame and the order of the checks
 */
export async function takeStatement(
  parts: StatementParts,
  kinds: Kinds,
  document: unknown,
  at: Temporal.Instant,
  /** Asked when it is known that the peer signed it: false while nothing may be written to this peer. */
  mayWrite: (peer: PeerId) => Promise<boolean> = async () => true,
): Promise<Taken> {
  const frame = readFrame(document);
  if ("fault" in frame) return { outcome: frame.fault };
  const { drizzle, settings } = parts.database;
  const sender = await peerOfActor(drizzle, frame.actor);
  if (sender === undefined) {
    const introduces =
      frame.type[0] === "Offer" &&
      frame.type[1] === "Terms" &&
      frame.to === instanceActor(settings.origin) &&
      !("fault" in readProof(frame));
    return { outcome: "unknownPeer", introduces: introduces ? frame : undefined };
  }
  const proof = readProof(frame);
  if ("fault" in proof) return { outcome: proof.fault };
  const [key] = await drizzle
    .select()
    .from(peerKey)
    .where(and(eq(peerKey.peer, sender.id), eq(peerKey.id, proof.verificationMethod)));
  const publicKey = key === undefined ? undefined : publicKeyOf(key.publicKeyMultibase);
  if (key === undefined || publicKey === undefined) return { outcome: "unpinnedKey" };
  const digest = signedDigest(frame, publicKey);
  if (digest === undefined) return { outcome: "badSignature" };
  if (frame.to !== instanceActor(settings.origin)) return { outcome: "wrongAudience" };
  if (sender.state === "open" && !(await mayWrite(sender.id))) return { outcome: "behind" };
  const proved = { frame, digest, keyId: key.id, peer: sender, at };
  try {
    return await retrying(() => drizzle.transaction((tx) => takeProved(parts, kinds, tx, proved)));
  } catch (error) {
    if (!(error instanceof NotYet)) throw error;
    const { alarm } = error;
    if (alarm !== undefined)
      await drizzle.transaction((tx) => raiseAlarm(tx, sender.id, { alarm, at }));
    return { outcome: "behind" };
  }
}

/** True when one of these keys signed it: a stranger is met only if he said himself that he wants to be. */
export function isSignedByOne(
  frame: Frame,
  keys: readonly { readonly id: string; readonly publicKeyMultibase: string }[],
): boolean {
  const proof = readProof(frame);
  if ("fault" in proof) return false;
  const named = keys.find(({ id }) => id === proof.verificationMethod);
  const key = named === undefined ? undefined : publicKeyOf(named.publicKeyMultibase);
  return key !== undefined && signedDigest(frame, key) !== undefined;
}

/** The digest of a statement that its key really signed. */
function signedDigest(
  frame: Frame,
  key: NonNullable<ReturnType<typeof publicKeyOf>>,
): string | undefined {
  try {
    const proof = frame.document["proof"] as Parameters<typeof isSigned>[1];
    return isSigned(frame.document, proof, key) ? digestOf(frame.document) : undefined;
  } catch {
    // Text that has no canonical form cannot have been signed.
    return undefined;
  }
}

interface Proved {
  readonly frame: Frame;
  readonly digest: string;
  readonly keyId: string;
  readonly peer: Peer;
  readonly at: Temporal.Instant;
}

async function takeProved(
  parts: StatementParts,
  kinds: Kinds,
  tx: Tx,
  { frame, digest, keyId, peer: sender, at }: Proved,
): Promise<Taken> {
  const peer = await lockPeer(tx, sender.id);
  const [key] = await tx
    .select()
    .from(peerKey)
    .where(and(eq(peerKey.peer, peer.id), eq(peerKey.id, keyId)));
  if (key === undefined) return { outcome: "unpinnedKey" };
  if (key.retireAtSeq !== null && frame.seq > key.retireAtSeq) return { outcome: "retiredKey" };
  if (peer.state !== "open") return { outcome: "frozen" };

  const last = await lastStatement(tx, peer.id, "in");
  const position = { peer: peer.id, direction: "in" as const, seq: frame.seq };
  if (frame.seq <= (last?.seq ?? 0)) {
    const known = (await statementOf(tx, position))!;
    // Whoever has a retired key may say again what was said with it, and nothing else: it may be stolen.
    if (known.digest !== digest && key.retireAtSeq !== null) return { outcome: "retiredKey" };
    if (known.digest !== digest) return freezeFork(tx, { frame, digest, peer, at, known });
    if (known.receiptSeq === null) return { outcome: "heard" };
    const answer = await statementOf(tx, { ...position, direction: "out", seq: known.receiptSeq });
    return { outcome: "replay", receipt: answer!.document };
  }
  if (frame.seq > (last?.seq ?? 0) + 1) {
    await addJob(tx, logBehind, { peer: String(peer.id) }, `pull:${peer.id}`);
    return { outcome: "gap", pullAfter: last?.seq ?? 0 };
  }
  const [sameId] = await tx.select().from(statement).where(eq(statement.id, frame.id));
  if (frame.prev !== (last?.digest ?? null) || sameId !== undefined) {
    const known =
      sameId ??
      (last === undefined ? undefined : await statementOf(tx, { ...position, seq: last.seq }));
    return freezeFork(tx, { frame, digest, peer, at, known });
  }

  const before = await signedBefore(tx, peer, frame.seq);
  if (before !== undefined && before.digest !== digest)
    return freezeFork(tx, {
      frame,
      digest,
      peer,
      at,
      known: { document: before.receipt.document, digest: before.digest },
    });

  if (await isFlood(tx, position, at)) {
    await raiseAlarm(tx, peer.id, {
      alarm: `${peer.host} says more than ${STATEMENTS_A_DAY_MAX} statements a day: the rest must wait`,
      at,
    });
    return { outcome: "tooMany" };
  }
  await tx.insert(statement).values({
    ...position,
    id: frame.id,
    kind: frame.type[1],
    digest,
    prev: frame.prev,
    document: canonicalJson(frame.document),
    at,
  });
  await tx.update(peers).set({ heardAt: at }).where(eq(peers.id, peer.id));
  const signed = before === undefined ? undefined : signedOf(before.receipt);
  const verdict = await hear(kinds, { parts, tx, peer, statement: frame, signed, at });
  if (verdict === undefined) return { outcome: "heard" };
  const { isAccepted, body } = signed ?? verdict;
  const receipt =
    before?.receipt ??
    (await writeStatement(parts, tx, peer, {
      type: [isAccepted ? "Accept" : "Reject", "Receipt"],
      object: frame.id,
      body: { of: { seq: frame.seq, digest }, ...body },
      at,
      isSent: false,
    }));
  await tx
    .update(statement)
    .set({ receiptSeq: receipt.seq })
    .where(
      and(eq(statement.peer, peer.id), eq(statement.direction, "in"), eq(statement.seq, frame.seq)),
    );
  const outcome = !isAccepted ? "Reject" : body["noted"] === true ? "Noted" : "Accept";
  return { outcome, receipt: receipt.document };
}

/**
 * Statements of one peer that are taken in a day. What is refused is kept in the log, too, so this alone bounds what
 * a peer can write here: 2 000 with their Receipts are some 6 MB, and 0.5 GB at the very most. A Transfer carries 500
 * creators, so honest peers say some dozens in a month.
 */
export const STATEMENTS_A_DAY_MAX = 2_000;

/** True when the statement so many places before this one came less than a day ago. */
async function isFlood(
  tx: Tx,
  { seq, ...position }: { peer: Peer["id"]; direction: "in"; seq: number },
  at: Temporal.Instant,
): Promise<boolean> {
  if (seq <= STATEMENTS_A_DAY_MAX) return false;
  const before = await statementOf(tx, { ...position, seq: seq - STATEMENTS_A_DAY_MAX });
  return (
    before !== undefined && Temporal.Instant.compare(before.at, at.subtract({ hours: 24 })) > 0
  );
}

/**
 * What was answered, before this database was restored from a backup, to the statement with this number: our Receipt
 * came back from the peer, and names the digest. Another statement with that number would be a second story.
 */
async function signedBefore(
  tx: Tx,
  peer: Peer,
  seq: number,
): Promise<{ receipt: Statement; digest: string } | undefined> {
  // Receipts answer in order: whatever answers something unanswered comes after the last one that is bound.
  const [bound] = await tx
    .select({ seq: statement.receiptSeq })
    .from(statement)
    .where(
      and(
        eq(statement.peer, peer.id),
        eq(statement.direction, "in"),
        isNotNull(statement.receiptSeq),
      ),
    )
    .orderBy(desc(statement.seq))
    .limit(1);
  const of = sql`(${statement.document}::jsonb -> 'body' -> 'of')`;
  const [found] = await tx
    .select({ receipt: statement, digest: sql<string>`${of} ->> 'digest'` })
    .from(statement)
    .where(
      and(
        eq(statement.peer, peer.id),
        eq(statement.direction, "out"),
        eq(statement.kind, "Receipt"),
        gt(statement.seq, bound?.seq ?? 0),
        sql`${of} ->> 'seq' = ${String(seq)}`,
        sql`(${statement.document}::jsonb -> 'body' -> 'reference') IS NULL`,
      ),
    )
    .limit(1);
  return found;
}

function signedOf({ document }: Statement): Signed {
  const { type, body, published } = JSON.parse(document) as {
    type: string[];
    body: Verdict["body"];
    published: string;
  };
  return { isAccepted: type[0] === "Accept", body, at: Temporal.Instant.from(published) };
}

async function hear(kinds: Kinds, hearing: Hearing): Promise<Verdict | undefined> {
  const { type, body } = hearing.statement;
  const kind = Object.hasOwn(kinds, type[1]) ? kinds[type[1]] : undefined;
  if (kind === undefined || !kind.first.includes(type[0])) return refused("unsupported");
  if (!hasSafeNumbers(body) && type[1] !== "Receipt") return refused("malformed");
  return kind.hear(hearing);
}

/** A Reject: nothing of it was taken. */
export function refused(reason: string, more: { readonly [key: string]: Json } = {}): Verdict {
  return { isAccepted: false, body: { accepted: "0", rejected: [], reason, ...more } };
}

/** Two stories: both are kept, nothing of this peer is booked any more. */
async function freezeFork(
  tx: Tx,
  {
    frame,
    digest,
    peer,
    at,
    known,
  }: Omit<Proved, "keyId"> & {
    known: { document: string; digest: string } | undefined;
  },
): Promise<Taken> {
  await tx
    .insert(fork)
    .values({
      peer: peer.id,
      seq: frame.seq,
      known: known?.document ?? null,
      knownDigest: known?.digest ?? null,
      other: canonicalJson(frame.document),
      otherDigest: digest,
      at,
    })
    .onConflictDoNothing();
  await tx.update(peers).set({ state: "forked" }).where(eq(peers.id, peer.id));
  await raiseAlarm(tx, peer.id, {
    alarm: `${peer.host} signed two statements that contradict each other (number ${frame.seq}): its line is frozen`,
    at,
  });
  return { outcome: "fork" };
}
