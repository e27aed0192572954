/** Real money between two operators, booked by hand on both sides. */

import { and, desc, eq, sql } from "drizzle-orm";
import { isWholeMinor, type Micro, toMicro } from "../../rules/amount.ts";
import { move } from "../../rules/posting.ts";
import { periodOf } from "../../rules/period.ts";
import { type Frame, isObject, readAmount } from "../../rules/statement.ts";
import { retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { book } from "../ledger/book.ts";
import { ALARMS_MAX, raiseAlarm } from "../peer/alarm.ts";
import {
  grow,
  lockPeer,
  type Peer,
  type PeerId,
  peerOfHost,
  type Position,
  positionOf,
} from "../peer/peer.ts";
import { peer as peers } from "../peer/schema.ts";
import { statement } from "../statement/schema.ts";
import { type Hearing, refused, type Verdict } from "../statement/take.ts";
import {
  periodAddress,
  type Statement,
  type StatementParts,
  writeStatement,
} from "../statement/write.ts";
import { disagreement, REFERENCE_CHARS_MAX } from "./answer.ts";
import { releaseCovered } from "./release.ts";
import { peerConfirmation, peerPayment } from "./schema.ts";
import { positionBody } from "./take.ts";
import { ensureTerms } from "./terms.ts";

/** A payment between this instance and a peer. */
export interface Payment {
  readonly host: string;
  readonly currency: string;
  /** Whole cents: banks know nothing smaller. */
  readonly amount: Micro;
  /** What both sides know it by. The same one again is the same payment. */
  readonly reference: string;
  readonly at: Temporal.Instant;
}

/** A payment as it is booked, and how the line stands then. */
export interface Booked {
  /** True when this payment was booked before; nothing changed then. */
  readonly again: boolean;
  readonly position: Position;
}

/** How a payment is booked. */
interface Booking {
  /** False while the peer's log must not be written: the money is booked, and the peer is told later. */
  readonly mayWrite?: boolean;
}

/**
 * This instance paid a peer: books it and tells the peer, whose own bank decides.
 *
 * @throws Refusal "peer_unknown", "amount_invalid", "reference_invalid", "reference_taken" when the reference stands
 *   for another amount, "currency_invalid"
 */
export async function payPeer(
  parts: StatementParts,
  payment: Payment,
  booking: Booking = {},
): Promise<Booked> {
  return bookPayment(parts, payment, "paid", booking);
}

/**
 * This instance received money of a peer: `settled` grows, what it covers is released to its creators, and the peer
 * gets a Receipt that discharges it.
 *
 * @throws as `payPeer`
 */
export async function receiveFromPeer(
  parts: StatementParts,
  payment: Payment,
  booking: Booking = {},
): Promise<Booked> {
  return bookPayment(parts, payment, "received", booking);
}

/** Writes the statement that tells a peer about a payment that is booked. The peer must be locked. */
export async function tellPayment(
  parts: StatementParts,
  tx: Tx,
  peer: Peer,
  direction: "paid" | "received",
  { currency, amount, reference, at, told }: Omit<Payment, "host"> & { told: Temporal.Instant },
): Promise<void> {
  const address = periodAddress(parts.database.settings.origin, periodOf(at));
  const said = { currency, amount: String(amount), reference };
  if (direction === "paid") {
    await writeStatement(parts, tx, peer, {
      type: ["Offer", "Settlement"],
      object: address,
      body: { ...said, rail: "manual", executed: at.toString({ smallestUnit: "second" }) },
      at: told,
      isSent: true,
    });
    return;
  }
  const position = (await positionOf(tx, peer.id, currency))!;
  const notice = await noticeOf(tx, peer, { reference, currency });
  await writeStatement(parts, tx, peer, {
    type: ["Accept", "Receipt"],
    object: notice?.id ?? address,
    body: {
      ...said,
      of: notice === undefined ? null : { seq: notice.seq, digest: notice.digest },
      position: positionBody(currency, position),
    },
    at: told,
    isSent: true,
  });
}

/** Payments that a peer confirmed, and that a day later are still not booked here, or as another amount: one of the two is mistaken. */
export async function confirmedUnpaid(
  { drizzle }: Pick<StatementParts["database"], "drizzle">,
  peer: PeerId,
  at: Temporal.Instant,
): Promise<string[]> {
  const found = await drizzle.execute<{
    reference: string;
    confirmed: string;
    paid: string | null;
  }>(sql`
    SELECT c.reference, c.amount::text AS confirmed, p.amount::text AS paid FROM peer_confirmation c
      LEFT JOIN peer_payment p ON p.peer = c.peer AND p.direction = 'paid' AND p.currency = c.currency AND p.reference = c.reference
     WHERE c.peer = ${peer} AND c.at < ${sqlTime(at.subtract({ hours: 24 }))} AND c.amount IS DISTINCT FROM p.amount
     ORDER BY c.seq DESC LIMIT ${ALARMS_MAX}`);
  return found.map(({ reference, confirmed, paid }) =>
    paid === null
      ? `it confirmed the payment ${reference}, which was never booked here`
      : disagreement(reference, {
          paid: toMicro(BigInt(paid)),
          confirmed: toMicro(BigInt(confirmed)),
        }),
  );
}

/** Hears that a peer says it has paid. Nothing becomes available by words: only `peer received` does that. */
export async function hearSettlement({ statement: said, tx, peer }: Hearing): Promise<Verdict> {
  const body = isObject(said.body) ? said.body : {};
  const { currency, rail, reference } = body;
  const amount = readAmount(body["amount"]);
  const isReadable =
    typeof currency === "string" &&
    amount !== undefined &&
    isWholeMinor(amount, currency) &&
    typeof rail === "string" &&
    typeof reference === "string" &&
    reference !== "" &&
    reference.length <= REFERENCE_CHARS_MAX;
  if (!isReadable) return refused("malformed");
  const position = await positionOf(tx, peer.id, currency);
  if (position === undefined) return refused("currencyNotAccepted");
  return { isAccepted: true, body: { noted: true, position: positionBody(currency, position) } };
}

async function bookPayment(
  parts: StatementParts,
  { host, currency, amount, reference, at }: Payment,
  direction: "paid" | "received",
  { mayWrite = true }: Booking,
): Promise<Booked> {
  const { database } = parts;
  if (currency !== database.settings.currency) throw new Refusal("currency_invalid", { currency });
  if (amount <= 0n || !isWholeMinor(amount, currency)) throw new Refusal("amount_invalid");
  if (
    reference.trim() === "" ||
    reference.length > REFERENCE_CHARS_MAX ||
    /[\u0000-\u001f\u007f]/.test(reference)
  )
    throw new Refusal("reference_invalid", { max: String(REFERENCE_CHARS_MAX) });
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const known = await peerOfHost(tx, host);
      const peer = await lockPeer(tx, known.id);
      const [earlier] = await tx
        .select()
        .from(peerPayment)
        .where(
          and(
            eq(peerPayment.peer, peer.id),
            eq(peerPayment.direction, direction),
            eq(peerPayment.currency, currency),
            eq(peerPayment.reference, reference),
          ),
        );
      if (earlier !== undefined) {
        if (earlier.amount !== amount) throw new Refusal("reference_taken", { reference });
        return { again: true, position: (await positionOf(tx, peer.id, currency))! };
      }
      const payment = { currency, amount, reference, at };
      await bookMoney(tx, peer, direction, payment);
      if (direction === "paid") await compareConfirmed(tx, peer, payment);
      if (mayWrite) {
        // Who was never told our Terms does not know us, and would take nothing.
        await ensureTerms(parts, tx, { peer, at });
        await tellPayment(parts, tx, peer, direction, { ...payment, told: at });
      } else await tx.update(peers).set({ isUntold: true }).where(eq(peers.id, peer.id));
      return { again: false, position: (await positionOf(tx, peer.id, currency))! };
    }),
  );
}

/** The peer may have confirmed it before it was booked here: another amount is a mistake of one of the two. */
async function compareConfirmed(
  tx: Tx,
  peer: Peer,
  { currency, amount, reference, at }: Omit<Payment, "host">,
): Promise<void> {
  const [confirmed] = await tx
    .select({ amount: peerConfirmation.amount })
    .from(peerConfirmation)
    .where(
      and(
        eq(peerConfirmation.peer, peer.id),
        eq(peerConfirmation.currency, currency),
        eq(peerConfirmation.reference, reference),
      ),
    );
  if (confirmed !== undefined && confirmed.amount !== amount)
    await raiseAlarm(tx, peer.id, {
      alarm: disagreement(reference, { paid: amount, confirmed: confirmed.amount }),
      at,
    });
}

/** Writes a payment down and moves the money. The peer must be locked. */
async function bookMoney(
  tx: Tx,
  peer: Peer,
  direction: "paid" | "received",
  { currency, amount, reference, at }: Omit<Payment, "host">,
): Promise<void> {
  const transfer = await book(tx, currency, {
    key: `peer_${direction}:${peer.id}:${currency}:${reference}`,
    kind: `peer_${direction}`,
    at,
    legs:
      direction === "paid"
        ? move(amount, { kind: "payable", peer: peer.id }, { kind: "world" })
        : move(amount, { kind: "world" }, { kind: "receivable", peer: peer.id }),
  });
  await tx.insert(peerPayment).values({
    id: sql`new_id(${sqlTime(at)})`,
    peer: peer.id,
    direction,
    currency,
    amount,
    reference,
    at,
    transfer: transfer!,
  });
  if (direction === "paid") return;
  await grow(tx, { peer: peer.id, currency }, { settledIn: amount });
  await releaseCovered(tx, { peer: peer.id, currency, at });
}

/**
 * A payment that this instance had booked and told before it was restored from a backup: what it signed then is as
 * good as the operator's word. Nothing is done for other statements.
 */
export async function bookAgain(
  tx: Tx,
  { peer, said, currency, at }: { peer: Peer; said: Frame; currency: string; at: Temporal.Instant },
): Promise<void> {
  const kind = said.type[1];
  const body = isObject(said.body) ? said.body : {};
  const { reference } = body;
  const amount = readAmount(body["amount"]);
  if (kind !== "Settlement" && !(kind === "Receipt" && said.type[0] === "Accept")) return;
  if (typeof reference !== "string" || amount === undefined || body["currency"] !== currency)
    return;
  const direction = kind === "Settlement" ? "paid" : "received";
  const [known] = await tx
    .select()
    .from(peerPayment)
    .where(
      and(
        eq(peerPayment.peer, peer.id),
        eq(peerPayment.direction, direction),
        eq(peerPayment.currency, currency),
        eq(peerPayment.reference, reference),
      ),
    );
  if (known === undefined)
    await bookMoney(tx, peer, direction, { currency, amount, reference, at });
}

/** The peer's own notice of a payment, if it came. */
async function noticeOf(
  tx: Tx,
  peer: Peer,
  { reference, currency }: { reference: string; currency: string },
): Promise<Statement | undefined> {
  const [found] = await tx
    .select()
    .from(statement)
    .where(
      and(
        eq(statement.peer, peer.id),
        eq(statement.direction, "in"),
        eq(statement.kind, "Settlement"),
        sql`(${statement.document}::jsonb -> 'body' ->> 'reference') = ${reference}`,
        sql`(${statement.document}::jsonb -> 'body' ->> 'currency') = ${currency}`,
      ),
    )
    .orderBy(desc(statement.seq))
    .limit(1);
  return found;
}
