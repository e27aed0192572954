/**
 * After a start from a backup: what this instance had signed since, it gets back from its peers, whose copies are the
 * backup. Otherwise it would sign other statements under the same numbers, which is a fork.
 */

import { and, eq, sql } from "drizzle-orm";
import { canonicalJson } from "../../rules/canonical.ts";
import { isObject, readAmount, readFrame } from "../../rules/statement.ts";
import { move } from "../../rules/posting.ts";
import { toMicro } from "../../rules/amount.ts";
import { parsePeriod, periodNumber } from "../../rules/period.ts";
import { retrying, type Tx } from "../../store/database.ts";
import { statementKeys } from "../../store/signing.ts";
import type { Temporal } from "../../store/time.ts";
import { book } from "../ledger/book.ts";
import { lockPeer, type Peer, type PeerId, raiseAlarm } from "../peer/peer.ts";
import { peer as peers } from "../peer/schema.ts";
import { digestOf, isSigned, type Proof } from "../statement/proof.ts";
import { statement } from "../statement/schema.ts";
import { DUE_NOW, instanceActor, lastStatement, type StatementParts } from "../statement/write.ts";
import { line } from "./schema.ts";
import { makeLines } from "./send.ts";

/**
 * Takes one of our own statements back into the log, with what it had booked.
 *
 * @returns false when it is not ours or does not follow the last one: then nothing changed
 */
export async function recoverOwn(
  parts: StatementParts,
  { peer: id, document, at }: { peer: PeerId; document: unknown; at: Temporal.Instant },
): Promise<boolean> {
  const { drizzle, settings } = parts.database;
  const frame = readFrame(document);
  if ("fault" in frame || frame.actor !== instanceActor(settings.origin)) return false;
  const own = frame.document;
  const proof = own["proof"] as Proof;
  const keys = await statementKeys(drizzle, { withRetired: true });
  const key = keys.find(
    (known) => isObject(proof) && known.id === proof["verificationMethod"],
  )?.publicKey;
  if (key === undefined || !isSigned(own, proof, key)) return false;
  // What a recovered Transfer carried may not be written down yet: the backup may be from right after the close.
  if (frame.type[1] === "Transfer") await makeLines(parts.database);
  return retrying(() =>
    drizzle.transaction(async (tx) => {
      const peer = await lockPeer(tx, id);
      const last = await lastStatement(tx, id, "out");
      const follows =
        frame.to === peer.actor &&
        frame.seq === (last?.seq ?? 0) + 1 &&
        frame.prev === (last?.digest ?? null);
      if (!follows) return false;
      const isReceipt = frame.type[1] === "Receipt";
      await tx.insert(statement).values({
        peer: id,
        direction: "out",
        seq: frame.seq,
        id: frame.id,
        kind: frame.type[1],
        digest: digestOf(own),
        prev: frame.prev,
        document: canonicalJson(own),
        at,
        // Said again, so that its Receipt comes again.
        dueAt: isReceipt ? null : DUE_NOW,
      });
      if (frame.type[1] === "Transfer" && !(await recoverLines(parts, tx, { peer, frame, at })))
        await freezeRestored(
          tx,
          peer,
          at,
          `Transfer ${frame.seq} names lines that this database does not have`,
        );
      return true;
    }),
  );
}

/** Marks the lines of a recovered Transfer as sent. @returns false when they are not what it says */
async function recoverLines(
  { database: { settings } }: StatementParts,
  tx: Tx,
  {
    peer,
    frame,
    at,
  }: { peer: Peer; frame: { readonly seq: number; readonly body: unknown }; at: Temporal.Instant },
): Promise<boolean> {
  const { seq, body } = frame;
  if (!isObject(body) || !Array.isArray(body["lines"])) return false;
  const period = typeof body["period"] === "string" ? parsePeriod(body["period"]) : undefined;
  const { kind: part } = body;
  if (period === undefined || (part !== "settlement" && part !== "correction")) return false;
  const lines = (body["lines"] as unknown[]).map((one) =>
    isObject(one)
      ? { uri: one["beneficiary"], amount: String(readAmount(one["amount"])) }
      : { uri: null, amount: "0" },
  );
  const known = await tx.execute<{ payee: string; amount: string }>(sql`
    SELECT l.payee::text, l.amount::text
      FROM jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) AS said(uri text, amount bigint)
      JOIN actor a ON a.uri = said.uri COLLATE "C"
      JOIN line l ON l.payee = a.id AND l.period = ${periodNumber(period)} AND l.part = ${part} AND l.peer = ${peer.id}
       AND l.state = 'outbound' AND l.amount = said.amount FOR UPDATE OF l`);
  if (known.length !== lines.length) return false;
  for (const { payee } of known)
    await tx
      .update(line)
      .set({ state: "sent", seq, reason: null, dueAt: null })
      .where(
        and(
          eq(line.period, period),
          eq(line.part, part),
          eq(line.payee, BigInt(payee)),
          eq(line.peer, peer.id),
        ),
      );
  const total = toMicro(known.reduce((sum, { amount }) => sum + BigInt(amount), 0n));
  await book(tx, settings.currency, {
    key: `transfer:${periodNumber(period)}:${peer.id}:${part}:${seq}`,
    kind: "transfer_out",
    at,
    period,
    legs: move(total, { kind: "outbound", peer: peer.id }, { kind: "in_flight", peer: peer.id }),
  });
  return true;
}

/** What the peer has and what this database has cannot be brought together by a program: people must. */
export async function freezeRestored(
  tx: Tx,
  peer: Peer,
  at: Temporal.Instant,
  why: string,
): Promise<void> {
  await tx.update(peers).set({ state: "frozen" }).where(eq(peers.id, peer.id));
  await raiseAlarm(tx, peer.id, {
    alarm: `this database is older than what was signed to ${peer.host}: ${why}; the line is frozen`,
    at,
  });
}
