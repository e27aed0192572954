/**
 * What Transfers carried that came back from a peer after a restore. They are put back one by one, each when its Receipt
 * comes again, since a line that was refused may have gone once more with a later one.
 */

import { and, eq, sql } from "drizzle-orm";
import { toMicro } from "../../rules/amount.ts";
import { parsePeriod, periodNumber } from "../../rules/period.ts";
import { move } from "../../rules/posting.ts";
import { isObject, readAmount } from "../../rules/statement.ts";
import type { Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { book } from "../ledger/book.ts";
import type { Peer, PeerId } from "../peer/peer.ts";
import { statement } from "../statement/schema.ts";
import { NotYet } from "../statement/take.ts";
import type { Statement } from "../statement/write.ts";
import { makeLines } from "./lines.ts";
import { line } from "./schema.ts";

/** True while a Transfer of ours is back whose lines are not: then nobody knows what is still to be sent. */
export async function isRecovering(tx: Tx, peer: PeerId): Promise<boolean> {
  const [found] = await tx
    .select({ seq: statement.seq })
    .from(statement)
    .where(
      and(
        eq(statement.peer, peer),
        eq(statement.direction, "out"),
        eq(statement.isRecovered, true),
      ),
    )
    .limit(1);
  return found !== undefined;
}

/**
 * Marks the lines of a Transfer that came back as sent, and books that they are on their way.
 *
 * @throws NotYet when its lines are not here: the month is not closed again, or people must bring together what the
 *   peer has and what is here
 */
export async function sendAgain(
  tx: Tx,
  {
    peer,
    transfer: { seq, document },
    currency,
    at,
  }: {
    peer: Peer;
    transfer: Pick<Statement, "seq" | "document">;
    currency: string;
    at: Temporal.Instant;
  },
): Promise<void> {
  const { body } = JSON.parse(document) as { body: unknown };
  if (!isObject(body) || !(await markSent(tx, { peer, seq, body, currency, at })))
    throw new NotYet(
      `this database is older than what was signed to ${peer.host}: Transfer ${seq} names lines that it does not have; nothing more is sent or taken until it has them`,
    );
  await forgetLines(tx, { peer: peer.id, seq });
}

/** The lines of a Transfer that came back are not looked for any more: they are sent again, or none was accepted. */
export async function forgetLines(
  tx: Tx,
  { peer, seq }: { peer: PeerId; seq: number },
): Promise<void> {
  await tx
    .update(statement)
    .set({ isRecovered: false })
    .where(and(eq(statement.peer, peer), eq(statement.direction, "out"), eq(statement.seq, seq)));
}

async function markSent(
  tx: Tx,
  {
    peer,
    seq,
    body,
    currency,
    at,
  }: {
    peer: Peer;
    seq: number;
    body: Readonly<Record<string, unknown>>;
    currency: string;
    at: Temporal.Instant;
  },
): Promise<boolean> {
  const { kind: part, lines } = body;
  const period = typeof body["period"] === "string" ? parsePeriod(body["period"]) : undefined;
  if (period === undefined || (part !== "settlement" && part !== "correction")) return false;
  if (!Array.isArray(lines)) return false;
  // The backup may be from before the close, which comes again.
  const [month] = await tx.execute<{ state: string }>(
    sql`SELECT state FROM period WHERE id = ${periodNumber(period)}`,
  );
  const isComplete =
    month?.state === "final" || (month?.state === "closed" && part === "settlement");
  if (!isComplete) throw new NotYet();
  await makeLines(tx);
  const said = (lines as unknown[]).map((one) =>
    isObject(one)
      ? { uri: one["beneficiary"], amount: String(readAmount(one["amount"])) }
      : { uri: null, amount: "0" },
  );
  const known = await tx.execute<{ payee: string; amount: string }>(sql`
    SELECT l.payee::text, l.amount::text
      FROM jsonb_to_recordset(${JSON.stringify(said)}::jsonb) AS said(uri text, amount bigint)
      JOIN actor a ON a.uri = said.uri COLLATE "C"
      JOIN line l ON l.payee = a.id AND l.period = ${periodNumber(period)} AND l.part = ${part} AND l.peer = ${peer.id}
       AND l.state = 'outbound' AND l.amount = said.amount FOR UPDATE OF l`);
  if (known.length !== said.length) return false;
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
  await book(tx, currency, {
    key: `transfer:${periodNumber(period)}:${peer.id}:${part}:${seq}`,
    kind: "transfer_out",
    at,
    period,
    legs: move(total, { kind: "outbound", peer: peer.id }, { kind: "in_flight", peer: peer.id }),
  });
  return true;
}
