/** Terms: what each side tells the other about how much may be owed, and when it wants to be paid. */

import { and, desc, eq } from "drizzle-orm";
import { toMicro } from "../../rules/amount.ts";
import { canonicalJson, type Json } from "../../rules/canonical.ts";
import { hasSafeNumbers, isObject, readCounter } from "../../rules/statement.ts";
import { retrying, type Tx } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { linesOf, lockPeer, type Peer, peerOfHost } from "../peer/peer.ts";
import { peer as peers, trustLine } from "../peer/schema.ts";
import { statement } from "../statement/schema.ts";
import { type Hearing, refused, type Verdict } from "../statement/take.ts";
import { instanceActor, type StatementParts, writeStatement } from "../statement/write.ts";
import { makeRoom } from "./send.ts";

/** What this instance asks of everybody: to be paid above 20.00, and within 90 days (docs/protocol). */
export const OUR_TERMS = { settleAbove: toMicro(20_000_000n), settleWithinDays: 90 };

/** Currencies in one Terms. */
const CURRENCIES_MAX = 50;

const DAYS_MAX = 3650;

/**
 * Tells a peer our Terms, if it was not told yet: the first that is said on a line, and again when a limit changed.
 * The peer must be locked.
 */
export async function ensureTerms(
  parts: StatementParts,
  tx: Tx,
  { peer, at, isChanged = false }: { peer: Peer; at: Temporal.Instant; isChanged?: boolean },
): Promise<void> {
  const [told] = await tx
    .select({ document: statement.document })
    .from(statement)
    .where(
      and(eq(statement.peer, peer.id), eq(statement.direction, "out"), eq(statement.kind, "Terms")),
    )
    .orderBy(desc(statement.seq))
    .limit(1);
  if (told !== undefined && !isChanged) return;
  const lines = await linesOf(tx, peer.id);
  const currencies = Object.fromEntries(
    lines.map(({ currency, limit }) => [
      currency,
      {
        limit: String(limit),
        settleAbove: String(OUR_TERMS.settleAbove),
        settleWithinDays: OUR_TERMS.settleWithinDays,
      },
    ]),
  );
  const body = { currencies, rails: ["manual"] };
  if (told !== undefined && canonicalJson(bodyOf(told)) === canonicalJson(body)) return;
  await writeStatement(parts, tx, peer, {
    type: ["Offer", "Terms"],
    object: instanceActor(parts.database.settings.origin),
    body,
    at,
    isSent: true,
  });
}

function bodyOf({ document }: { document: string }): Json {
  return (JSON.parse(document) as { body: Json }).body;
}

/**
 * Tells a peer what has changed; later, while its log must not be written.
 *
 * @throws Refusal "peer_unknown"
 */
export async function tellTerms(
  parts: StatementParts,
  { host, at, mayWrite = true }: { host: string; at: Temporal.Instant; mayWrite?: boolean },
): Promise<void> {
  await retrying(() =>
    parts.database.drizzle.transaction(async (tx) => {
      const { id } = await peerOfHost(tx, host);
      const peer = await lockPeer(tx, id);
      if (mayWrite) await ensureTerms(parts, tx, { peer, at, isChanged: true });
      else await tx.update(peers).set({ isUntold: true }).where(eq(peers.id, peer.id));
    }),
  );
}

/** Hears what a peer lets us owe. Our own Terms are told before the Receipt; what waited for room is sent again. */
export async function hearTerms({
  parts,
  tx,
  peer,
  statement: said,
  at,
}: Hearing): Promise<Verdict> {
  const currencies = isObject(said.body) ? said.body["currencies"] : undefined;
  if (!isObject(currencies) || !hasSafeNumbers(said.body)) return refused("malformed");
  const terms = Object.entries(currencies).map(([currency, term]) => ({
    currency,
    limit: isObject(term) ? readCounter(term["limit"]) : undefined,
    settleAbove: isObject(term) ? readCounter(term["settleAbove"] ?? "0") : undefined,
    settleWithinDays: isObject(term) ? readDays(term["settleWithinDays"]) : undefined,
  }));
  const isReadable = terms.every(
    ({ currency, limit, settleAbove }) =>
      /^[A-Z]{3}$/.test(currency) && limit !== undefined && settleAbove !== undefined,
  );
  if (terms.length > CURRENCIES_MAX || !isReadable) return refused("malformed");
  for (const { currency, limit, settleAbove, settleWithinDays } of terms) {
    await tx
      .update(trustLine)
      .set({
        theirLimit: limit!,
        settleAbove: settleAbove!,
        settleWithinDays: settleWithinDays ?? null,
      })
      .where(and(eq(trustLine.peer, peer.id), eq(trustLine.currency, currency)));
  }
  await ensureTerms(parts, tx, { peer, at });
  await makeRoom(tx, { peer: peer.id, at });
  return { isAccepted: true, body: {} };
}

function readDays(days: unknown): number | undefined {
  return Number.isSafeInteger(days) && (days as number) >= 1 && (days as number) <= DAYS_MAX
    ? (days as number)
    : undefined;
}
