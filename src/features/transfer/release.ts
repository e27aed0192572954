/** Releasing what real money covers: whole Transfers, in the order in which they were accepted. */

import { and, asc, eq, isNull, lte } from "drizzle-orm";
import { toMicro } from "../../rules/amount.ts";
import type { Leg } from "../../rules/posting.ts";
import type { Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { book, openLedgerAccounts } from "../ledger/book.ts";
import { type PeerId, positionOf } from "../peer/peer.ts";
import { transferIn, transferLine } from "./schema.ts";

/** Moves pending money to its creators, for each Transfer that `settled` has reached. The peer must be locked. */
export async function releaseCovered(
  tx: Tx,
  { peer, currency, at }: { peer: PeerId; currency: string; at: Temporal.Instant },
): Promise<void> {
  const position = (await positionOf(tx, peer, currency))!;
  const covered = await tx
    .select()
    .from(transferIn)
    .where(
      and(
        eq(transferIn.peer, peer),
        eq(transferIn.currency, currency),
        isNull(transferIn.releasedAt),
        lte(transferIn.upTo, position.settledIn),
      ),
    )
    .orderBy(asc(transferIn.upTo));
  for (const { seq, period } of covered) {
    const lines = await tx
      .select()
      .from(transferLine)
      .where(and(eq(transferLine.peer, peer), eq(transferLine.seq, seq)));
    const sums = new Map<bigint, bigint>();
    for (const { account, amount } of lines) sums.set(account, (sums.get(account) ?? 0n) + amount);
    await openLedgerAccounts(
      tx,
      currency,
      [...sums.keys()].map((owner) => ({ kind: "earnings" as const, owner })),
    );
    const legs: Leg[] = [...sums].flatMap(([owner, amount]) => [
      { account: { kind: "pending" as const, owner, peer }, amount: toMicro(-amount) },
      { account: { kind: "earnings" as const, owner }, amount: toMicro(amount) },
    ]);
    await book(tx, currency, { key: `release:${peer}:${seq}`, kind: "release", at, legs, period });
    await tx
      .update(transferIn)
      .set({ releasedAt: at })
      .where(and(eq(transferIn.peer, peer), eq(transferIn.seq, seq)));
  }
}
