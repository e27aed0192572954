/**
 * The check of everything: the ledger, the months, and what was said and booked between instances, each derived once
 * more from raw rows with code of its own.
 */

import { createHash } from "node:crypto";
import { sql, type SQL } from "drizzle-orm";
import type { Database, Tx } from "../../store/database.ts";
import { checkLedger, type Finding, findOffenders } from "../ledger/check.ts";
import { checkMonths } from "../settlement/check.ts";
import { releaseDue } from "./release.ts";

/** Checks ledger, months and peers in one consistent view of the database. Empty: everything is right. */
export async function checkBooks(database: Database): Promise<Finding[]> {
  return database.drizzle.transaction(
    async (tx) => [
      ...(await checkLedger(tx)),
      ...(await checkMonths(database, tx)),
      ...(await checkPeers(tx)),
      ...(await checkLogs(tx)),
    ],
    { isolationLevel: "repeatable read", accessMode: "read only" },
  );
}

/** The balance of one kind of account towards peer `p.peer` in currency `p.currency`. */
const balance = (kind: string): SQL => sql`
  COALESCE((SELECT sum(e.amount) FROM ledger.account a JOIN ledger.entry e ON e.account = a.id
             WHERE a.kind = ${kind} AND a.peer = p.peer AND a.currency = p.currency), 0)`;

const paid = (direction: string): SQL => sql`
  COALESCE((SELECT sum(x.amount) FROM peer_payment x
             WHERE x.peer = p.peer AND x.currency = p.currency AND x.direction = ${direction}), 0)`;

/** What must be equal for each line with a peer: two ways to the same figure. */
const EQUALITIES: readonly { readonly promise: string; readonly one: SQL; readonly other: SQL }[] =
  [
    {
      promise: "what is receivable is what was settled less what was accepted",
      one: balance("receivable"),
      other: sql`p.settled_in - p.accepted_in`,
    },
    {
      promise: "what was accepted of others is the sum of their Transfers that were taken in",
      one: sql`p.accepted_in`,
      other: sql`COALESCE((SELECT sum(t.accepted) FROM transfer_in t WHERE t.peer = p.peer AND t.currency = p.currency), 0)`,
    },
    {
      promise: "what others settled is what was received from them",
      one: sql`p.settled_in`,
      other: paid("received"),
    },
    {
      promise: "what is payable is what they accepted less what was paid",
      one: balance("payable"),
      other: sql`p.accepted_out - ${paid("paid")}`,
    },
    {
      promise: "what they settled is what they confirmed",
      one: sql`p.settled_out`,
      other: sql`COALESCE((SELECT sum(x.amount) FROM peer_confirmation x WHERE x.peer = p.peer AND x.currency = p.currency), 0)`,
    },
    {
      promise: "what was accepted of ours is the sum of the lines that were",
      one: sql`p.accepted_out`,
      other: sql`COALESCE((SELECT sum(l.amount) FROM line l WHERE l.peer = p.peer AND l.state = 'accepted'
                             AND p.currency = (SELECT value FROM setting WHERE name = 'currency')), 0)`,
    },
    {
      promise: "what is in flight is the sum of the lines that were sent",
      one: balance("in_flight"),
      other: sql`COALESCE((SELECT sum(l.amount) FROM line l WHERE l.peer = p.peer AND l.state = 'sent'
                             AND p.currency = (SELECT value FROM setting WHERE name = 'currency')), 0)`,
    },
    {
      promise: "what is to be sent is what closed months gave less what went on",
      one: balance("outbound"),
      other: sql`COALESCE((SELECT sum(sh.amount) FROM period_payee pp JOIN ledger.account a ON a.id = pp.account AND a.kind = 'outbound' AND a.peer = p.peer AND a.currency = p.currency
                             JOIN flattr f ON f.period = pp.period AND f.split = pp.split
                             JOIN share sh ON sh.period = f.period AND sh.flattr = f.id AND sh.payee = pp.payee), 0)
                - COALESCE((SELECT sum(l.amount) FROM line l WHERE l.peer = p.peer AND l.state <> 'outbound'
                              AND p.currency = (SELECT value FROM setting WHERE name = 'currency')), 0)`,
    },
  ];

async function checkPeers(tx: Tx): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { promise, one, other } of EQUALITIES)
    findings.push(
      ...(await findOffenders(
        tx,
        promise,
        sql`SELECT 'peer ' || q.host || ', ' || x.currency || ': ' || x.one || ' instead of ' || x.other AS detail
              FROM (SELECT p.peer, p.currency, ${one} AS one, ${other} AS other FROM position p) x JOIN peer q ON q.id = x.peer
             WHERE x.one IS DISTINCT FROM x.other`,
      )),
    );
  for (const { promise, offenders } of PROMISES)
    findings.push(...(await findOffenders(tx, promise, offenders)));
  return findings;
}

const PROMISES: readonly { readonly promise: string; readonly offenders: SQL }[] = [
  {
    promise: "what is pending for a creator is the sum of the lines that are not released",
    offenders: sql`
      SELECT 'account ' || COALESCE(b.owner, l.account) || ', peer ' || COALESCE(b.peer, l.peer) AS detail
        FROM (SELECT a.owner, a.peer, a.currency, sum(e.amount) AS amount FROM ledger.account a JOIN ledger.entry e ON e.account = a.id
               WHERE a.kind = 'pending' GROUP BY a.owner, a.peer, a.currency HAVING sum(e.amount) <> 0) b
        FULL JOIN (SELECT l.account, l.peer, l.currency, sum(l.amount) AS amount FROM transfer_line l
                     JOIN transfer_in t ON t.peer = l.peer AND t.seq = l.seq AND t.released_at IS NULL
                    GROUP BY l.account, l.peer, l.currency) l ON l.account = b.owner AND l.peer = b.peer AND l.currency = b.currency
       WHERE b.amount IS DISTINCT FROM l.amount`,
  },
  {
    promise:
      "a Transfer that was taken in is the sum of its accepted lines, in order, released when it is covered, or about to be",
    offenders: sql`
      SELECT 'peer ' || t.peer || ', Transfer ' || t.seq AS detail
        FROM (SELECT t.*, sum(t.accepted) OVER (PARTITION BY t.peer, t.currency ORDER BY t.seq) AS so_far FROM transfer_in t) t
        JOIN position p ON p.peer = t.peer AND p.currency = t.currency
       WHERE t.accepted <> (SELECT COALESCE(sum(l.amount), 0) FROM transfer_line l WHERE l.peer = t.peer AND l.seq = t.seq)
          OR t.so_far <> t.up_to
          OR (t.released_at IS NOT NULL AND p.settled_in < t.up_to)
          OR (t.released_at IS NULL AND p.settled_in >= t.up_to AND NOT EXISTS (
            SELECT FROM graphile_worker.jobs j WHERE j.task_identifier = ${releaseDue.name} AND j.attempts < j.max_attempts
               AND j.key = ${releaseDue.name} || ' ' || t.peer || ' ' || t.currency))`,
  },
  {
    promise: "a line is what the shares of its month give",
    offenders: sql`
      SELECT 'month ' || l.period || ', ' || l.part || ', actor ' || l.payee || ': ' || l.amount AS detail
        FROM line l
       WHERE l.amount IS DISTINCT FROM (
         SELECT sum(sh.amount) FROM settlement s JOIN share sh ON sh.period = s.period AND sh.patron = s.patron AND sh.payee = l.payee
           JOIN flattr f ON f.period = sh.period AND f.id = sh.flattr
           JOIN period_payee pp ON pp.period = sh.period AND pp.split = f.split AND pp.payee = sh.payee AND pp.way = 'peer'
          WHERE s.period = l.period AND s.state = CASE l.part WHEN 'settlement' THEN 'settled' ELSE 'late' END)`,
  },
  {
    promise: "what a Transfer says is what its lines are",
    offenders: sql`
      SELECT 'peer ' || s.peer || ', Transfer ' || s.seq AS detail
        FROM statement s JOIN line l ON l.peer = s.peer AND l.seq = s.seq AND l.state IN ('sent', 'accepted')
        JOIN actor a ON a.id = l.payee
       WHERE s.direction = 'out' AND s.kind = 'Transfer' AND NOT EXISTS (
         SELECT FROM jsonb_array_elements(s.document::jsonb -> 'body' -> 'lines') said
          WHERE said ->> 'beneficiary' = a.uri AND (said ->> 'amount')::bigint = l.amount)`,
  },
  {
    promise: "every statement of a peer but a Receipt is answered, by the Receipt that names it",
    offenders: sql`
      SELECT 'peer ' || s.peer || ', statement ' || s.seq AS detail
        FROM statement s LEFT JOIN statement r ON r.peer = s.peer AND r.direction = 'out' AND r.seq = s.receipt_seq
       WHERE s.direction = 'in' AND s.kind <> 'Receipt'
         AND (r.document::jsonb -> 'body' -> 'of' ->> 'digest') IS DISTINCT FROM s.digest`,
  },
];

/** The logs: every digest is that of its document, every statement names the one before. */
async function checkLogs(tx: Tx): Promise<Finding[]> {
  const findings: Finding[] = [];
  const promise = "a log has no gap, and every statement is what its digest says";
  let before: { peer: string; direction: string; seq: number; digest: string } | undefined;
  for (let after = { peer: "0", direction: "", seq: 0 }; ;) {
    const rows = await tx.execute<{
      peer: string;
      direction: string;
      seq: string;
      digest: string;
      prev: string | null;
      document: string;
    }>(sql`
      SELECT s.peer::text, s.direction, s.seq::text, s.digest, s.prev, s.document FROM statement s
       WHERE (s.peer, s.direction, s.seq) > (${after.peer}::bigint, ${after.direction}, ${after.seq}) ORDER BY s.peer, s.direction, s.seq LIMIT 200`);
    if (rows.length === 0) return findings;
    for (const { peer, direction, seq: text, digest, prev, document } of rows) {
      const seq = Number(text);
      const follows = before?.peer === peer && before.direction === direction;
      const isRight =
        digest === digestOfText(document) &&
        (seq === 1
          ? !follows && prev === null
          : follows && before!.seq === seq - 1 && before!.digest === prev);
      if (!isRight) findings.push({ promise, detail: `peer ${peer}, ${direction} ${seq}` });
      before = { peer, direction, seq, digest };
    }
    const last = rows.at(-1)!;
    after = { peer: last.peer, direction: last.direction, seq: Number(last.seq) };
  }
}

/** The digest of a document without its proof: written apart from what signs. */
function digestOfText(document: string): string {
  const { proof: _, ...rest } = JSON.parse(document) as Record<string, unknown>;
  return `sha256:${createHash("sha256").update(inOrder(rest)).digest("hex")}`;
}

function inOrder(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(inOrder).join()}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${inOrder((value as Record<string, unknown>)[key])}`).join()}}`;
}
