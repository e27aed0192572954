/** Releasing what real money covers: whole Transfers, in the order in which they were accepted. */

import { and, asc, eq, isNull, lte } from "drizzle-orm";
import { toMicro } from "../../rules/amount.ts";
import type { Leg } from "../../rules/posting.ts";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { addJob, type JobKind } from "../../store/jobs.ts";
import type { Temporal } from "../../store/time.ts";
import { book, openLedgerAccounts } from "../ledger/book.ts";
import { lockPeer, type PeerId, positionOf } from "../peer/peer.ts";
import { transferIn, transferLine } from "./schema.ts";

/** What real money covers is to be released, behind what one transaction has released already. */
export const releaseDue: JobKind<{ peer: string; currency: string }> = { name: "transfer.release" };

/**
 * Transfers that one transaction releases, 500 lines each at most: a second or two. A peer may promise a million lines
 * of next to nothing and cover them with one payment.
 */
export const RELEASED_AT_ONCE = 50;

/**
 * Moves pending money to its creators, for each Transfer that `settled` has reached; a job does what is more than one
 * transaction should. The peer must be locked.
 */
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
    .orderBy(asc(transferIn.upTo))
    .limit(RELEASED_AT_ONCE + 1);
  if (covered.length > RELEASED_AT_ONCE)
    await addJob(tx, releaseDue, { peer: String(peer), currency }, releaseKey(peer, currency));
  for (const { seq, period } of covered.slice(0, RELEASED_AT_ONCE)) {
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

const releaseKey = (peer: PeerId, currency: string) => `${releaseDue.name} ${peer} ${currency}`;

/** The job: releases the next ones. Each run adds the next, until nothing is covered. */
export async function releaseMore(
  { drizzle }: Database,
  { peer, currency, at }: { peer: PeerId; currency: string; at: Temporal.Instant },
): Promise<void> {
  await retrying(() =>
    drizzle.transaction(async (tx) => {
      await lockPeer(tx, peer);
      await releaseCovered(tx, { peer, currency, at });
    }),
  );
}
