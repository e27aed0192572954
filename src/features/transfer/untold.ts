/** What was booked or changed while a peer could not be written to: it is told when that is possible again. */

import { and, eq, sql } from "drizzle-orm";
import { retrying, type Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { lockPeer, type Peer, type PeerId } from "../peer/peer.ts";
import { peer as peers } from "../peer/schema.ts";
import type { StatementParts } from "../statement/write.ts";
import { tellPayment } from "./payment.ts";
import { peerPayment } from "./schema.ts";
import { ensureTerms } from "./terms.ts";

/**
 * Tells peers what they were not told yet: Terms that changed, and payments, in their order. One transaction per peer;
 * safe to run again, at once and half.
 *
 * @param mayWrite false while a peer's log must not be written
 * @returns the peers to which something was written
 */
export async function tellUntold(
  parts: StatementParts,
  at: Temporal.Instant,
  mayWrite: (peer: PeerId) => Promise<boolean>,
): Promise<PeerId[]> {
  const { drizzle } = parts.database;
  const untold = await drizzle
    .select({ id: peers.id })
    .from(peers)
    .where(and(eq(peers.isUntold, true), eq(peers.state, "open")))
    .orderBy(peers.id);
  const told: PeerId[] = [];
  for (const { id } of untold) {
    if (!(await mayWrite(id))) continue;
    await retrying(() =>
      drizzle.transaction(async (tx) => {
        const peer = await lockPeer(tx, id);
        if (peer.isUntold && peer.state === "open") await tell(parts, tx, peer, at);
      }),
    );
    told.push(id);
  }
  return told;
}

async function tell(
  parts: StatementParts,
  tx: Tx,
  peer: Peer,
  at: Temporal.Instant,
): Promise<void> {
  await ensureTerms(parts, tx, { peer, at, isChanged: true });
  const payments = await tx
    .select()
    .from(peerPayment)
    .where(
      and(
        eq(peerPayment.peer, peer.id),
        sql`NOT EXISTS (
          SELECT FROM statement s
           WHERE s.peer = ${peerPayment.peer} AND s.direction = 'out'
             AND s.kind = CASE ${peerPayment.direction} WHEN 'paid' THEN 'Settlement' ELSE 'Receipt' END
             AND s.document::jsonb -> 'body' ->> 'reference' = ${peerPayment.reference}
             AND s.document::jsonb -> 'body' ->> 'currency' = ${peerPayment.currency})`,
      ),
    )
    .orderBy(peerPayment.id);
  for (const payment of payments)
    await tellPayment(parts, tx, peer, payment.direction, { ...payment, told: at });
  await tx.update(peers).set({ isUntold: false }).where(eq(peers.id, peer.id));
}
