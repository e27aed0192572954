/** A Receipt of a peer: what it accepted of ours, and what it was really paid. */

import assert from "node:assert";
import { and, eq, sql } from "drizzle-orm";
import { type Micro, toMicro } from "../../rules/amount.ts";
import type { Json } from "../../rules/canonical.ts";
import { type AccountName, type Leg, move } from "../../rules/posting.ts";
import { type Period } from "../../rules/period.ts";
import { isObject, type JsonObject, readAmount, readCounter } from "../../rules/statement.ts";
import type { Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { book } from "../ledger/book.ts";
import { raiseAlarm } from "../peer/alarm.ts";
import { canGrow, grow, type Peer, positionOf } from "../peer/peer.ts";
import { trustLine } from "../peer/schema.ts";
import { giveBackOf, lockStanding } from "../settlement/give-back.ts";
import type { Hearing } from "../statement/take.ts";
import { markAnswered, type Statement, statementOf } from "../statement/write.ts";
import { forgetLines, sendAgain } from "./again.ts";
import { line, peerConfirmation, peerPayment } from "./schema.ts";
import { makeRoom } from "./send.ts";

/** Where the money of a refused line goes (decisions: rejected lines). */
type Fate =
  | { readonly to: "outbound"; readonly afterHours?: number }
  | { readonly to: "waiting"; readonly isAlarming: boolean };

const FATES: Readonly<Record<string, Fate>> = {
  overLimit: { to: "outbound" },
  overdue: { to: "outbound" },
  periodNotClosed: { to: "outbound", afterHours: 1 },
  unknownBeneficiary: { to: "waiting", isAlarming: false },
  refusedByBeneficiary: { to: "waiting", isAlarming: false },
  currencyNotAccepted: { to: "waiting", isAlarming: false },
  periodTooOld: { to: "waiting", isAlarming: false },
  malformed: { to: "waiting", isAlarming: true },
  unsupported: { to: "waiting", isAlarming: true },
  badTotal: { to: "waiting", isAlarming: true },
  duplicateLine: { to: "waiting", isAlarming: true },
};

/** A reason that nobody agreed about. */
const UNKNOWN_FATE: Fate = { to: "waiting", isAlarming: true };

/** Hears a Receipt. It gets none itself; one that makes no sense is kept as evidence and shown to the operator. */
export async function hearReceipt(hearing: Hearing): Promise<undefined> {
  const { tx, peer, statement, at } = hearing;
  const alarm = (what: string) =>
    raiseAlarm(tx, peer.id, {
      alarm: `${peer.host}, statement ${statement.seq}: ${what}`,
      at,
    });
  const body = isObject(statement.body) ? statement.body : {};
  if ("reference" in body) {
    const said = await hearPayment(hearing, body);
    if (said !== undefined) await alarm(said);
    return;
  }
  const of = isObject(body["of"]) ? body["of"] : {};
  const answered =
    typeof of["seq"] === "number" && Number.isSafeInteger(of["seq"])
      ? await statementOf(tx, { peer: peer.id, direction: "out", seq: of["seq"] })
      : undefined;
  if (answered === undefined || answered.digest !== of["digest"] || answered.kind === "Receipt") {
    await alarm("a Receipt for something that was never sent");
    return;
  }
  if (answered.receiptSeq !== null) {
    await alarm(`a second Receipt for our statement ${answered.seq}, which was answered already`);
    return;
  }
  await markAnswered(tx, { peer: peer.id, seq: answered.seq, receiptSeq: statement.seq });
  if (answered.kind === "Transfer") {
    const said = await hearAnswer(hearing, answered, body);
    if (said !== undefined) await alarm(said);
  } else if (statement.type[0] === "Reject")
    await alarm(`our ${answered.kind} (statement ${answered.seq}) was refused: ${reasonOf(body)}`);
}

/** What became of one line of ours. */
interface Fated {
  readonly payee: bigint;
  readonly amount: Micro;
  readonly reason: string | undefined;
}

/** @returns what the operator should know, if anything */
async function hearAnswer(
  { parts, tx, peer, statement, at }: Hearing,
  answered: Statement,
  body: JsonObject,
): Promise<string | undefined> {
  const { currency } = parts.database.settings;
  await lockStanding(tx);
  const refusals = readRejected(body["rejected"]);
  const isAccepted = statement.type[0] === "Accept";
  if (answered.isRecovered) {
    // Nothing of it went anywhere: what is owed now goes with another, as if it had never been sent.
    if (!isAccepted && refusals !== undefined && readCounter(body["accepted"]) === 0n) {
      await forgetLines(tx, { peer: peer.id, seq: answered.seq });
      return undefined;
    }
    await sendAgain(tx, { peer, transfer: answered, currency, at });
  }
  const sent = await sentLines(tx, peer, answered.seq);
  if (sent.length === 0)
    return `a Receipt for Transfer ${answered.seq}, of which no line is open here`;
  const whole = isAccepted || reasonOf(body) === "noValidLine" ? undefined : reasonOf(body);
  const fated: Fated[] = sent.map(({ payee, uri, amount }) => ({
    payee: BigInt(payee),
    amount: toMicro(BigInt(amount)),
    reason: whole ?? refusals?.get(uri),
  }));
  const taken = fated.filter(({ reason }) => reason === undefined);
  const accepted = taken.reduce((sum, { amount }) => sum + amount, 0n);
  const isConsistent =
    refusals !== undefined &&
    readCounter(body["accepted"]) === accepted &&
    isAccepted === accepted > 0n &&
    [...refusals.keys()].every((uri) => sent.some((known) => known.uri === uri));
  // Nothing is moved by an answer that contradicts itself: the money stays on its way until people have looked.
  if (!isConsistent)
    return `the Receipt for Transfer ${answered.seq} contradicts itself: it is kept, and nothing was booked`;

  const { period, part } = sent[0]!;
  const books = { peer, period, part, seq: answered.seq, currency, at };
  if (accepted > 0n) {
    await grow(tx, { peer: peer.id, currency }, { acceptedOut: toMicro(accepted) });
    await bookOne(tx, books, "accepted", [[{ kind: "payable", peer: peer.id }, toMicro(accepted)]]);
    await setLines(tx, books, taken, { state: "accepted", reason: null });
  }
  return applyRefusals(parts.database, tx, books, {
    refused: fated.filter(({ reason }) => reason !== undefined),
    headroom: readCounter(body["headroom"]),
  });
}

interface SentLine extends Record<string, unknown> {
  readonly payee: string;
  readonly uri: string;
  readonly amount: string;
  readonly period: Period;
  readonly part: string;
}

/** The lines of a Transfer that is not answered yet. */
async function sentLines(tx: Tx, peer: Peer, seq: number): Promise<readonly SentLine[]> {
  return tx.execute<SentLine>(sql`
    SELECT l.payee::text, a.uri, l.amount::text, to_char(p.opens AT TIME ZONE 'UTC', 'YYYY-MM') AS period, l.part
      FROM line l JOIN actor a ON a.id = l.payee JOIN period p ON p.id = l.period
     WHERE l.peer = ${peer.id} AND l.seq = ${seq} AND l.state = 'sent' ORDER BY a.uri COLLATE "C" FOR UPDATE OF l`);
}

interface Books {
  readonly peer: Peer;
  readonly period: Period;
  readonly part: string;
  readonly seq: number;
  readonly currency: string;
  readonly at: Temporal.Instant;
}

async function applyRefusals(
  database: Hearing["parts"]["database"],
  tx: Tx,
  books: Books,
  { refused, headroom }: { refused: readonly Fated[]; headroom: Micro | undefined },
): Promise<string | undefined> {
  const { peer, currency, at } = books;
  const fateOf = ({ reason }: Fated): Fate =>
    Object.hasOwn(FATES, reason!) ? FATES[reason!]! : UNKNOWN_FATE;
  const again = refused.filter((one) => fateOf(one).to === "outbound");
  const waiting = refused.filter((one) => fateOf(one).to === "waiting");
  let alarm: string | undefined;

  if (again.length > 0) {
    const total = toMicro(again.reduce((sum, { amount }) => sum + amount, 0n));
    await bookOne(tx, books, "unsent", [[{ kind: "outbound", peer: peer.id }, total]]);
    const [{ reason }] = again as [Fated];
    const fate = fateOf(again[0]!);
    const hours = fate.to === "outbound" ? fate.afterHours : undefined;
    let dueAt = hours === undefined ? null : at.add({ hours });
    if (reason === "overLimit" && headroom !== undefined) {
      if (headroom >= total)
        alarm = `Transfer ${books.seq} was refused for the limit, although it fits into the room that the peer names`;
      else {
        // What fits goes at once: the peer has just said how much that is.
        const position = (await positionOf(tx, peer.id, currency))!;
        const theirLimit = toMicro(headroom + (position.acceptedOut - position.settledOut));
        await tx
          .update(trustLine)
          .set({ theirLimit: theirLimit < 0n ? toMicro(0n) : theirLimit })
          .where(and(eq(trustLine.peer, peer.id), eq(trustLine.currency, currency)));
        if (headroom > 0n) dueAt = at;
      }
    }
    await setLines(tx, books, again, { state: "outbound", dueAt });
  }
  if (waiting.length > 0) {
    await bookOne(
      tx,
      books,
      books.part === "correction" ? "refused_late" : "refused",
      waiting.map(({ payee, amount }) => [{ kind: "waiting", owner: payee }, amount]),
    );
    await setLines(tx, books, waiting, { state: "waiting" });
    // Who declined or was blocked since then gives back at once.
    await giveBackOf(database, tx, {
      key: `return:refused:${peer.id}:${books.seq}`,
      at,
      which: sql`t.key = ${keyOf(books, books.part === "correction" ? "refused_late" : "refused")} AND a.owner IN (SELECT payee FROM payee_unpaid)`,
    });
    const alarming = waiting.find((one) => {
      const fate = fateOf(one);
      return fate.to === "waiting" && fate.isAlarming;
    });
    if (alarming !== undefined)
      alarm = `lines of Transfer ${books.seq} were refused as ${alarming.reason}: their money waits here`;
  }
  return alarm;
}

const keyOf = ({ peer, seq }: Books, kind: string) => `${kind}:${peer.id}:${seq}`;

/** Takes money off the way and puts it where it belongs now. */
async function bookOne(
  tx: Tx,
  books: Books,
  kind: "accepted" | "unsent" | "refused" | "refused_late",
  to: readonly (readonly [AccountName, Micro])[],
): Promise<void> {
  const total = toMicro(to.reduce((sum, [, amount]) => sum + amount, 0n));
  const from: AccountName = { kind: "in_flight", peer: books.peer.id };
  const legs: Leg[] =
    to.length === 1
      ? move(total, from, to[0]![0])
      : [
          { account: from, amount: toMicro(-total) },
          ...to.map(([account, amount]) => ({ account, amount })),
        ];
  const made = await book(tx, books.currency, {
    key: keyOf(books, kind),
    kind,
    at: books.at,
    period: books.period,
    legs,
  });
  assert(made !== undefined, "an answer is booked once");
}

async function setLines(
  tx: Tx,
  { peer, seq }: Books,
  lines: readonly Fated[],
  to: {
    state: "accepted" | "outbound" | "waiting";
    reason?: null;
    dueAt?: Temporal.Instant | null;
  },
): Promise<void> {
  for (const [reason, payees] of Map.groupBy(lines, ({ reason: why }) => why)) {
    const ids = JSON.stringify(payees.map(({ payee }) => String(payee)));
    await tx
      .update(line)
      .set({ ...to, reason: reason ?? null })
      .where(
        and(
          eq(line.peer, peer.id),
          eq(line.seq, seq),
          sql`${line.payee} IN (SELECT value::bigint FROM jsonb_array_elements_text(${ids}::jsonb))`,
        ),
      );
  }
}

/** The peer says what it received. Each reference counts once. @returns what the operator should know, if anything */
async function hearPayment(
  { parts, tx, peer, statement, at }: Hearing,
  body: JsonObject,
): Promise<string | undefined> {
  const { reference, currency } = body;
  const amount = readAmount(body["amount"]);
  if (
    typeof reference !== "string" ||
    reference === "" ||
    reference.length > REFERENCE_CHARS_MAX ||
    currency !== parts.database.settings.currency ||
    amount === undefined
  )
    return "a Receipt for a payment that cannot be read";
  const { settledOut } = (await positionOf(tx, peer.id, currency))!;
  if (!canGrow(settledOut, amount))
    return `the payment ${reference} is more than can be: it was not counted`;
  const [made] = await tx
    .insert(peerConfirmation)
    .values({ peer: peer.id, currency, reference, amount, seq: statement.seq, at })
    .onConflictDoNothing()
    .returning();
  if (made === undefined) return `the payment ${reference} was confirmed twice`;
  await grow(tx, { peer: peer.id, currency }, { settledOut: amount });
  await makeRoom(tx, { peer: peer.id, at });
  const [paid] = await tx
    .select({ amount: peerPayment.amount })
    .from(peerPayment)
    .where(
      and(
        eq(peerPayment.peer, peer.id),
        eq(peerPayment.direction, "paid"),
        eq(peerPayment.currency, currency),
        eq(peerPayment.reference, reference),
      ),
    );
  return paid === undefined || paid.amount === amount
    ? undefined
    : disagreement(reference, { paid: paid.amount, confirmed: amount });
}

/** What the operator is told when both sides remember a payment differently. */
export function disagreement(
  reference: string,
  { paid, confirmed }: { paid: Micro; confirmed: Micro },
): string {
  return `the payment ${reference} was booked here as ${paid} and confirmed there as ${confirmed} millionths`;
}

/** Characters of a reference; a bank's own are shorter. */
export const REFERENCE_CHARS_MAX = 140;

function readRejected(rejected: Json | undefined): Map<string, string> | undefined {
  if (rejected === undefined) return new Map();
  if (!Array.isArray(rejected)) return undefined;
  const reasons = new Map<string, string>();
  for (const one of rejected as Json[]) {
    if (!isObject(one)) return undefined;
    const { beneficiary, reason } = one;
    if (typeof beneficiary !== "string" || typeof reason !== "string" || reasons.has(beneficiary))
      return undefined;
    reasons.set(beneficiary, named(reason));
  }
  return reasons;
}

function reasonOf(body: JsonObject): string {
  return named(body["reason"]);
}

/** Reasons are words; whatever else a peer writes there is not shown to anybody. */
function named(reason: Json | undefined): string {
  return typeof reason === "string" && /^[A-Za-z]{1,40}$/.test(reason) ? reason : "unknown";
}
