/** A Transfer of a peer: what it promises to creators here. Pending until real money covers it. */

import { sql } from "drizzle-orm";
import { type Micro, toMicro } from "../../rules/amount.ts";
import type { Leg } from "../../rules/posting.ts";
import { periodNumber } from "../../rules/period.ts";
import { readTransfer, type TransferBody, type TransferLine } from "../../rules/statement.ts";
import type { Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { book, openLedgerAccounts } from "../ledger/book.ts";
import { allowOwed, grow, linesOf, type PeerId, type Position, positionOf } from "../peer/peer.ts";
import { type Hearing, NotYet, refused, type Signed, type Verdict } from "../statement/take.ts";
import { releaseCovered } from "./release.ts";
import { transferIn } from "./schema.ts";
import { OUR_TERMS } from "./terms.ts";

/** Why one line of several is refused. */
type LineFault = "unknownBeneficiary" | "duplicateLine" | "refusedByBeneficiary";

interface Judged {
  readonly line: TransferLine;
  /** Whose it is here; only for a line that is accepted. */
  readonly account: bigint;
  readonly fault: LineFault | undefined;
}

/** Takes a Transfer in: form, month, lines, then the limit over the lines that are valid (vectors, statements.json). */
export async function hearTransfer(hearing: Hearing): Promise<Verdict> {
  const { tx, peer, statement, signed, at } = hearing;
  if (signed !== undefined && !signed.isAccepted) return signed;
  const lines = await linesOf(tx, peer.id);
  const body = readTransfer(statement.body, {
    currencies: new Set(lines.map(({ currency }) => currency)),
    // What was in time when it was accepted before a restore still is.
    at: signed?.at ?? at,
  });
  if ("fault" in body || body.kind === "return") {
    const fault = "fault" in body ? body.fault : "unsupported";
    if (signed !== undefined) throw cannotAgain(hearing, `it is ${fault} now`);
    return refused(fault);
  }
  const { currency } = body;
  const judged = await judge(tx, peer.id, body);
  if (signed !== undefined) return acceptAgain(hearing, signed, body, judged);
  const rejected = judged
    .filter(({ fault }) => fault !== undefined)
    .map(({ line, fault }) => ({ beneficiary: line.beneficiary, reason: fault! }));
  const valid = judged.filter(({ fault }) => fault === undefined);
  if (valid.length === 0)
    return { isAccepted: false, body: { accepted: "0", rejected, reason: "noValidLine" } };

  const before = (await positionOf(tx, peer.id, currency))!;
  const { limit } = lines.find((line) => line.currency === currency)!;
  const accepted = toMicro(valid.reduce((sum, { line }) => sum + line.amount, 0n));
  const open = before.acceptedIn - before.settledIn;
  if (open + accepted > limit) {
    const headroom = open > limit ? 0n : limit - open;
    return refused("overLimit", { headroom: String(headroom) });
  }
  if (await isOverdue(tx, peer.id, { currency, at })) return refused("overdue");

  const position = await grow(tx, { peer: peer.id, currency }, { acceptedIn: accepted });
  await bookPending(tx, { peer: peer.id, seq: statement.seq, body, valid, accepted, position, at });
  await releaseCovered(tx, { peer: peer.id, currency, at });
  return {
    isAccepted: true,
    body: { accepted: String(accepted), rejected, position: positionBody(currency, position) },
  };
}

/** What was accepted before a restore waits, and the peer's log with it, until it can be booked as it was. */
function cannotAgain({ peer, statement }: Hearing, why: string): NotYet {
  return new NotYet(
    `this database is older than what was signed to ${peer.host}: Transfer ${statement.seq} was accepted, and cannot be booked again: ${why}; nothing more of it is taken`,
  );
}

/**
 * What was accepted before a restore is accepted again, whatever the limit and its creators say by now: the peer has it
 * in writing.
 *
 * @throws NotYet for creators who are not here any more: an account with the same name makes it good
 */
async function acceptAgain(
  hearing: Hearing,
  signed: Signed,
  body: TransferBody,
  judged: readonly Judged[],
): Promise<Verdict> {
  const { tx, peer, statement, at } = hearing;
  const { currency } = body;
  const rejected = (signed.body["rejected"] ?? []) as readonly { readonly beneficiary: string }[];
  const refusedThen = new Set(rejected.map(({ beneficiary }) => beneficiary));
  const valid = judged.filter(({ line }) => !refusedThen.has(line.beneficiary));
  const missing = valid.filter(({ account }) => account === 0n);
  if (missing.length > 0)
    throw cannotAgain(hearing, `nobody here is ${missing[0]!.line.beneficiary}`);
  const accepted = toMicro(valid.reduce((sum, { line }) => sum + line.amount, 0n));
  await allowOwed(tx, { peer: peer.id, currency }, accepted);
  const position = await grow(tx, { peer: peer.id, currency }, { acceptedIn: accepted });
  await bookPending(tx, { peer: peer.id, seq: statement.seq, body, valid, accepted, position, at });
  await releaseCovered(tx, { peer: peer.id, currency, at });
  return signed;
}

/** How a creditor says where a line stands: what it accepted, and what it was paid. */
export function positionBody(currency: string, { acceptedIn, settledIn }: Position) {
  return { currency, accepted: String(acceptedIn), settled: String(settledIn) };
}

/**
 * Who is named, here: people of this instance, and actors elsewhere that are proved to be theirs. Who is gone is
 * unknown; who declined refuses.
 */
async function judge(
  tx: Tx,
  peer: PeerId,
  { lines, kind, period, currency }: TransferBody,
): Promise<Judged[]> {
  const named = JSON.stringify(lines.map(({ beneficiary }) => beneficiary));
  const known = await tx.execute<{
    uri: string;
    account: string;
    reason: string | null;
    taken: boolean;
  }>(sql`
    SELECT a.uri, COALESCE(own.id, alias.account)::text AS account, s.reason,
           before.is_there IS NOT NULL AS taken
      FROM jsonb_array_elements_text(${named}::jsonb) AS wanted(uri)
      JOIN actor a ON a.uri = wanted.uri COLLATE "C"
      JOIN payee_standing s ON s.payee = a.id
      LEFT JOIN account own ON own.actor = a.id
      LEFT JOIN LATERAL (SELECT account FROM alias WHERE alias.payee = a.id ORDER BY since, account LIMIT 1) alias ON true
      -- Looked up one by one: all lines of a month would be read again for each of its Transfers.
      LEFT JOIN LATERAL (
        SELECT true AS is_there FROM transfer_line l
         WHERE l.peer = ${peer} AND l.period = ${periodNumber(period)} AND l.beneficiary = a.uri
           AND l.currency = ${currency} AND l.is_regular LIMIT 1) before ON true
     WHERE own.id IS NOT NULL OR alias.account IS NOT NULL`);
  const byUri = new Map(known.map((row) => [row.uri, row]));
  return lines.map((line) => {
    const found = byUri.get(line.beneficiary);
    const fault: LineFault | undefined =
      found === undefined || found.reason === "payee_gone"
        ? "unknownBeneficiary"
        : found.reason !== null
          ? "refusedByBeneficiary"
          : found.taken && kind === "settlement"
            ? "duplicateLine"
            : undefined;
    return { line, account: BigInt(found?.account ?? 0), fault };
  });
}

/** A peer that let a promise grow old has to pay before it makes another. */
async function isOverdue(
  tx: Tx,
  peer: PeerId,
  { currency, at }: { currency: string; at: Temporal.Instant },
): Promise<boolean> {
  const oldest = at.subtract({ hours: 24 * OUR_TERMS.settleWithinDays });
  const [late] = await tx.execute(sql`
    SELECT FROM transfer_in WHERE peer = ${peer} AND currency = ${currency} AND released_at IS NULL AND at < ${sqlTime(oldest)} LIMIT 1`);
  return late !== undefined;
}

interface Pending {
  readonly peer: PeerId;
  readonly seq: number;
  readonly body: TransferBody;
  readonly valid: readonly Judged[];
  readonly accepted: Micro;
  readonly position: Position;
  readonly at: Temporal.Instant;
}

async function bookPending(
  tx: Tx,
  { peer, seq, body: { kind, period, currency }, valid, accepted, position, at }: Pending,
): Promise<void> {
  await tx.insert(transferIn).values({
    peer,
    seq,
    kind,
    period,
    currency,
    accepted,
    upTo: position.acceptedIn,
    at,
  });
  const lines = valid.map(({ line, account }) => ({
    beneficiary: line.beneficiary,
    account: String(account),
    amount: String(line.amount),
    count: line.count ?? null,
  }));
  // One parameter: to write down thousands takes longer than to insert the rows.
  await tx.execute(sql`
    INSERT INTO transfer_line (peer, seq, beneficiary, account, amount, count, period, currency, is_regular)
    SELECT ${peer}::bigint, ${seq}::bigint, beneficiary, account, amount, count, ${periodNumber(period)}::int, ${currency}, ${kind === "settlement"}::boolean
      FROM jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) AS taken(beneficiary text, account bigint, amount bigint, count int)`);
  const sums = new Map<bigint, bigint>();
  for (const { account, line } of valid) sums.set(account, (sums.get(account) ?? 0n) + line.amount);
  await openLedgerAccounts(
    tx,
    currency,
    [...sums.keys()].map((owner) => ({ kind: "pending" as const, owner, peer })),
  );
  const legs: Leg[] = [...sums].map(([owner, amount]) => ({
    account: { kind: "pending", owner, peer },
    amount: toMicro(amount),
  }));
  legs.push({ account: { kind: "receivable", peer }, amount: toMicro(-accepted) });
  await book(tx, currency, { key: `in:${peer}:${seq}`, kind: "transfer_in", at, legs, period });
}
