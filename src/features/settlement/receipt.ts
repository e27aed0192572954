/** Signed receipts: everybody can prove later what the instance said (T2). */

import { and, desc, eq, sql } from "drizzle-orm";
import { type Period, periodNumber } from "../../rules/period.ts";
import { type Database, retrying } from "../../store/database.ts";
import type { JobKind } from "../../store/jobs.ts";
import type { Signer } from "../../store/signing.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { receipt } from "./schema.ts";

export type ReceiptKind = "patron" | "creator";

/** Receipts that are to be made: of a whole month, or of one account after late money. */
export const receiptsDue: JobKind<{ period: Period; kind: ReceiptKind; account?: string }> = {
  name: "receipts.due",
};

/** Accounts whose receipts are made in one transaction. */
const BATCH = 200;

/** Ids that are drawn for one millisecond; some room is left for others. */
const IDS_PER_MS = 50_000;

interface Claims extends Record<string, unknown> {
  readonly account: string;
  readonly state: string;
}

/**
 * Makes the receipts of a month that were not made yet, so running it again makes none twice.
 *
 * @param at `iat` of the receipts
 * @param only one account instead of all
 */
export async function makeReceipts(
  database: Database,
  signer: Signer,
  {
    period,
    kind,
    only,
    at,
  }: { period: Period; kind: ReceiptKind; only?: AccountId | undefined; at: Temporal.Instant },
): Promise<void> {
  const claimsOf = kind === "patron" ? patronClaims : creatorClaims;
  const { origin, currency } = database.settings;
  let made = 0;
  for (let after = 0n; ;) {
    const batch = await claimsOf(database, period, after, only);
    if (batch.length === 0) return;
    const iat = Math.floor(at.epochMilliseconds / 1000);
    const rows = await Promise.all(
      batch.map(async ({ account, state, ...claims }, place) => {
        const jws = await signer.sign({ iss: origin, ...claims, iat, period, currency });
        // A millisecond holds 65,536 ids.
        const drawn = at.add({ milliseconds: Math.floor((made + place) / IDS_PER_MS) });
        return {
          id: sql`new_id(${sqlTime(drawn)})`,
          period,
          account: BigInt(account),
          kind,
          state,
          jws,
          at,
        };
      }),
    );
    made += rows.length;
    await retrying(() =>
      database.drizzle
        .insert(receipt)
        .values(rows)
        .onConflictDoNothing({
          target: [receipt.account, receipt.period, receipt.kind, receipt.state],
        }),
    );
    after = BigInt(batch.at(-1)!.account);
  }
}

/** The newest receipt of an account for a month; made now if its job has not come to it yet. */
export async function receiptOf(
  database: Database,
  signer: Signer,
  {
    period,
    kind,
    account,
    at,
  }: { period: Period; kind: ReceiptKind; account: AccountId; at: Temporal.Instant },
): Promise<string | undefined> {
  await makeReceipts(database, signer, { period, kind, only: account, at });
  return storedReceipt(database, { period, kind, account });
}

/** The newest receipt of an account for a month that was made. */
export async function storedReceipt(
  { drizzle }: Pick<Database, "drizzle">,
  { period, kind, account }: { period: Period; kind: ReceiptKind; account: AccountId },
): Promise<string | undefined> {
  const [newest] = await drizzle
    .select({ jws: receipt.jws })
    .from(receipt)
    .where(and(eq(receipt.account, account), eq(receipt.period, period), eq(receipt.kind, kind)))
    .orderBy(desc(receipt.id))
    .limit(1);
  return newest?.jws;
}

/** What patrons gave: every share with its thing and payee; the sums agree with `spent` and `fee`. */
async function patronClaims(
  database: Database,
  period: Period,
  after: bigint,
  only: AccountId | undefined,
): Promise<Claims[]> {
  const month = periodNumber(period);
  return database.drizzle.execute<Claims>(sql`
    WITH due AS (
      SELECT s.patron, s.state, s.spent, s.fee FROM settlement s
       WHERE s.period = ${month} AND s.spent > 0 AND s.patron > ${after} AND ${only === undefined ? sql`true` : sql`s.patron = ${only}`}
         AND NOT EXISTS (SELECT FROM receipt r WHERE r.account = s.patron AND r.period = ${month} AND r.kind = 'patron' AND r.state = s.state)
       ORDER BY s.patron LIMIT ${BATCH})
    SELECT due.patron::text AS account, due.state, me.uri AS sub, due.spent::text AS spent, due.fee::text AS fee, given.shares
      FROM due
      JOIN account ON account.id = due.patron
      JOIN actor me ON me.id = account.actor
      CROSS JOIN LATERAL (
        SELECT json_agg(json_build_array(t.uri, a.uri, sh.amount::text) ORDER BY sh.flattr, a.uri) AS shares
          FROM share sh
          JOIN flattr f ON f.period = ${month} AND f.id = sh.flattr
          JOIN thing t ON t.id = f.thing
          JOIN actor a ON a.id = sh.payee
         WHERE sh.period = ${month} AND sh.patron = due.patron) given
     ORDER BY due.patron`);
}

/** What creators of this instance received, by source; what this instance's own patrons gave is there at once. */
async function creatorClaims(
  database: Database,
  period: Period,
  after: bigint,
  only: AccountId | undefined,
): Promise<Claims[]> {
  const month = periodNumber(period);
  return database.drizzle.execute<Claims>(sql`
    WITH source AS (
      SELECT account.id, ${database.settings.origin}::text AS source, sum(sh.amount)::bigint AS accepted,
             sum(sh.amount)::bigint AS settled, count(*) AS flattrs
        FROM share sh JOIN account ON account.actor = sh.payee
       WHERE sh.period = ${month} AND account.id > ${after} AND ${only === undefined ? sql`true` : sql`account.id = ${only}`}
       GROUP BY account.id
      UNION ALL
      SELECT l.account, regexp_replace(p.actor, '^(https?://[^/]+)/.*$', '\\1'), sum(l.amount)::bigint,
             COALESCE(sum(l.amount) FILTER (WHERE t.released_at IS NOT NULL), 0)::bigint, sum(l.count)
        FROM transfer_line l JOIN transfer_in t ON t.peer = l.peer AND t.seq = l.seq JOIN peer p ON p.id = l.peer
       WHERE l.period = ${month} AND l.account > ${after} AND l.currency = ${database.settings.currency}
         AND ${only === undefined ? sql`true` : sql`l.account = ${only}`}
       GROUP BY l.account, p.actor),
    received AS (
      SELECT s.id, json_agg(json_build_object('source', s.source, 'accepted', s.accepted::text, 'settled', s.settled::text,
                                              'count', s.flattrs) ORDER BY s.source) AS sources
        FROM source s
       WHERE EXISTS (SELECT FROM period p WHERE p.id = ${month} AND p.state = 'final')
         AND NOT EXISTS (SELECT FROM receipt r WHERE r.account = s.id AND r.period = ${month} AND r.kind = 'creator')
       GROUP BY s.id ORDER BY s.id LIMIT ${BATCH})
    SELECT received.id::text AS account, 'final' AS state, a.uri AS sub, received.sources
      FROM received JOIN account ON account.id = received.id JOIN actor a ON a.id = account.actor
     ORDER BY received.id`);
}
