/** The books, checked from raw rows: what must always be true of the ledger. Shares no code with what books. */

import { sql, type SQL } from "drizzle-orm";
import type { Drizzle, Tx } from "../../store/database.ts";

/** Something that is off. */
export interface Finding {
  /** The promise that is broken, in a few words that do not change. */
  readonly promise: string;
  /** Where. */
  readonly detail: string;
}

/** At most so many findings of one kind are listed. */
const FINDINGS_MAX = 20;

/** Each promise with a query that finds what breaks it; `detail` says where. */
const PROMISES: readonly { readonly promise: string; readonly offenders: SQL }[] = [
  {
    promise: "every transfer adds up to zero in each currency",
    offenders: sql`
      SELECT 'transfer ' || e.transfer || ': ' || sum(e.amount) || ' ' || COALESCE(a.currency, '?') AS detail
        FROM ledger.entry e LEFT JOIN ledger.account a ON a.id = e.account GROUP BY e.transfer, a.currency HAVING sum(e.amount) <> 0`,
  },
  {
    promise: "every transfer has two entries or more",
    offenders: sql`
      SELECT 'transfer ' || t.id || ' (' || t.key || ')' AS detail
        FROM ledger.transfer t LEFT JOIN ledger.entry e ON e.transfer = t.id GROUP BY t.id HAVING count(e.transfer) < 2`,
  },
  {
    promise: "every entry belongs to a transfer and an account",
    offenders: sql`
      SELECT 'transfer ' || e.transfer || ', account ' || e.account AS detail
        FROM ledger.entry e LEFT JOIN ledger.transfer t ON t.id = e.transfer LEFT JOIN ledger.account a ON a.id = e.account
       WHERE t.id IS NULL OR a.id IS NULL`,
  },
  {
    promise: "every balance is the sum of its entries",
    offenders: sql`
      SELECT 'account ' || a.id || ' (' || a.kind || '): balance ' || COALESCE(b.amount::text, 'missing') || ', entries ' || COALESCE(e.amount, 0) AS detail
        FROM ledger.account a LEFT JOIN ledger.balance b ON b.account = a.id
        LEFT JOIN (SELECT account, sum(amount) AS amount FROM ledger.entry GROUP BY account) e ON e.account = a.id
       WHERE b.amount IS DISTINCT FROM COALESCE(e.amount, 0)`,
  },
  {
    promise: "no balance is below its floor, and every floor is that of its account",
    offenders: sql`
      SELECT 'account ' || a.id || ' (' || a.kind || '): ' || b.amount AS detail
        FROM ledger.account a JOIN ledger.balance b ON b.account = a.id
       WHERE b.amount < b.floor OR a.floor IS DISTINCT FROM b.floor OR (a.floor IS NULL AND a.kind NOT IN ('world', 'payable'))`,
  },
  {
    promise: "nothing is made and nothing lost: all balances of a currency add up to zero",
    offenders: sql`
      SELECT a.currency || ': ' || sum(b.amount) AS detail
        FROM ledger.account a JOIN ledger.balance b ON b.account = a.id GROUP BY a.currency HAVING sum(b.amount) <> 0`,
  },
  {
    promise:
      "what waits for a creator is the sum of the credits that were neither given back nor collected",
    offenders: sql`
      SELECT 'account ' || a.id || ': balance ' || b.amount || ', credits ' || COALESCE(w.amount, 0) AS detail
        FROM ledger.account a JOIN ledger.balance b ON b.account = a.id
        LEFT JOIN (SELECT e.account, sum(e.amount) AS amount FROM ledger.entry e
                    WHERE e.amount > 0 AND NOT EXISTS (SELECT FROM ledger.resolution r WHERE r.transfer = e.transfer AND r.account = e.account)
                    GROUP BY e.account) w ON w.account = a.id
       WHERE a.kind = 'waiting' AND b.amount <> COALESCE(w.amount, 0)`,
  },
  {
    promise: "a transfer that resolves waiting money takes exactly what it resolves",
    offenders: sql`
      SELECT 'transfer ' || COALESCE(r.resolved_by, d.transfer) || ', account ' || COALESCE(r.account, d.account) AS detail
        FROM (SELECT r.resolved_by, r.account, sum(e.amount) AS amount FROM ledger.resolution r
                JOIN ledger.entry e ON e.transfer = r.transfer AND e.account = r.account GROUP BY r.resolved_by, r.account) r
        FULL JOIN (SELECT e.transfer, e.account, -e.amount AS amount FROM ledger.entry e JOIN ledger.account a ON a.id = e.account
                    WHERE a.kind = 'waiting' AND e.amount < 0) d ON d.transfer = r.resolved_by AND d.account = r.account
       WHERE r.amount IS DISTINCT FROM d.amount`,
  },
  {
    promise: "a return gives each patron exactly what he had given",
    offenders: sql`
      SELECT 'transfer ' || COALESCE(wanted.transfer, booked.transfer) || ', account ' || COALESCE(wanted.account, booked.account)
             || ': ' || COALESCE(booked.amount::text, 'nothing') || ' instead of ' || COALESCE(wanted.amount::text, 'nothing') AS detail
        FROM (SELECT r.resolved_by AS transfer, s.account, sum(sh.amount) AS amount
                FROM ledger.resolution r
                JOIN ledger.transfer back ON back.id = r.resolved_by AND back.kind = 'return'
                JOIN ledger.account w ON w.id = r.account
                JOIN ledger.transfer source ON source.id = r.transfer
                JOIN settlement s ON s.transfer = r.transfer
                  OR (source.kind = 'refused' AND s.period = source.period AND s.state = 'settled')
                  OR (source.kind = 'refused_late' AND s.period = source.period AND s.state = 'late')
                JOIN share sh ON sh.period = s.period AND sh.patron = s.patron AND sh.payee = w.owner
               GROUP BY r.resolved_by, s.account HAVING sum(sh.amount) > 0) wanted
        FULL JOIN (SELECT e.transfer, e.account, e.amount FROM ledger.entry e JOIN ledger.transfer t ON t.id = e.transfer AND t.kind = 'return'
                    WHERE e.amount > 0) booked ON booked.transfer = wanted.transfer AND booked.account = wanted.account
       WHERE wanted.amount IS DISTINCT FROM booked.amount`,
  },
  {
    promise: "what came in and went out is what was booked from and to the world",
    offenders: sql`
      SELECT 'transfer ' || COALESCE(c.transfer, w.transfer) || ': paid ' || COALESCE(c.amount::text, 'nothing') || ', booked ' || COALESCE(w.amount::text, 'nothing') AS detail
        FROM (SELECT c.transfer, c.amount, a.id AS account FROM cash c LEFT JOIN ledger.account a ON a.kind = 'budget' AND a.owner = c.patron) c
        FULL JOIN (SELECT e.transfer, -e.amount AS amount FROM ledger.entry e JOIN ledger.account a ON a.id = e.account WHERE a.kind = 'world') w
          ON w.transfer = c.transfer
        LEFT JOIN ledger.entry mine ON mine.transfer = c.transfer AND mine.account = c.account
       WHERE NOT EXISTS (SELECT FROM peer_payment p WHERE p.transfer = COALESCE(c.transfer, w.transfer))
         AND (c.amount IS DISTINCT FROM w.amount OR mine.amount IS DISTINCT FROM c.amount)`,
  },
];

/** What each transfer is: its kind, and the row that says why it was made. */
const REASONS: readonly { readonly kinds: string; readonly because: SQL }[] = [
  {
    kinds: "a payment",
    because: sql`t.kind IN ('fund', 'refund') AND EXISTS (SELECT FROM cash c WHERE c.transfer = t.id AND (c.amount > 0) = (t.kind = 'fund'))`,
  },
  {
    kinds: "a close",
    because: sql`t.kind IN ('settle', 'late') AND t.period IS NOT NULL AND EXISTS (SELECT FROM settlement s WHERE s.period = t.period AND s.transfer = t.id)`,
  },
  {
    kinds: "a payment between operators",
    because: sql`EXISTS (SELECT FROM peer_payment p WHERE p.transfer = t.id AND t.kind = 'peer_' || p.direction)`,
  },
  {
    kinds: "a statement",
    because: sql`t.kind IN ('transfer_out', 'accepted', 'unsent', 'refused', 'refused_late', 'transfer_in', 'release') AND t.period IS NOT NULL
      AND EXISTS (SELECT FROM statement s WHERE s.kind = 'Transfer' AND s.seq = split_part(t.key, ':', -1)::bigint
                     AND s.direction = CASE WHEN t.kind IN ('transfer_in', 'release') THEN 'in' ELSE 'out' END)`,
  },
  {
    kinds: "a return",
    because: sql`t.kind = 'return' AND t.period IS NOT NULL AND EXISTS (SELECT FROM ledger.resolution r WHERE r.resolved_by = t.id)`,
  },
];

/** Checks every promise of the ledger. An empty list means that the books are right. */
export async function checkLedger(tx: Tx | Drizzle): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { promise, offenders } of PROMISES)
    findings.push(...(await findOffenders(tx, promise, offenders)));
  const explained = sql.join(
    REASONS.map(({ because }) => sql`(${because})`),
    sql` OR `,
  );
  findings.push(
    ...(await findOffenders(
      tx,
      "every transfer is explained by an event of the house",
      sql`SELECT 'transfer ' || t.id || ' (' || t.kind || ', ' || t.key || ')' AS detail FROM ledger.transfer t WHERE NOT (${explained})`,
    )),
  );
  return findings;
}

/** What a query finds, as findings. */
export async function findOffenders(
  tx: Tx | Drizzle,
  promise: string,
  offenders: SQL,
): Promise<Finding[]> {
  const rows = await tx.execute<{ detail: string }>(
    sql`SELECT detail FROM (${offenders}) found LIMIT ${FINDINGS_MAX}`,
  );
  return rows.map(({ detail }) => ({ promise, detail }));
}
