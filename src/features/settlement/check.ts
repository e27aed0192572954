/**
 * The months, derived once more from raw rows: flattrs, splits, budgets as they were set, payments, and who was not
 * paid. The arithmetic here is its own, written as plainly as possible; it uses neither `rules` nor the SQL of the
 * close, so that a mistake would have to be made twice in different words.
 */

import { sql } from "drizzle-orm";
import type { Database, Tx } from "../../store/database.ts";
import { type Finding, findOffenders } from "../ledger/check.ts";

/** Patrons that are read at once. */
const BATCH = 500;

/** Checks all months; call it in a transaction with one consistent view. Empty: everything is right. */
export async function checkMonths(database: Database, tx: Tx): Promise<Finding[]> {
  const findings = await checkStates(tx);
  const months = await tx.execute<Month>(sql`
    SELECT id, to_char(closes AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS closes, fee_bp AS fee, state
      FROM period WHERE state <> 'open' ORDER BY id`);
  for (const month of months)
    findings.push(...(await checkMonth(tx, month, database.settings.currency)));
  return findings;
}

interface Month extends Record<string, unknown> {
  readonly id: number;
  readonly closes: string;
  readonly fee: number;
  readonly state: string;
}

async function checkStates(tx: Tx): Promise<Finding[]> {
  return [
    ...(await findOffenders(
      tx,
      "months follow each other without a gap, and only the last one is open",
      sql`SELECT p.id::text AS detail
            FROM (SELECT id, opens, closes, state, lag(closes) OVER (ORDER BY id) AS before, lead(id) OVER (ORDER BY id) AS next FROM period) p
           WHERE p.before <> p.opens OR (p.state = 'open') <> (p.next IS NULL)`,
    )),
    ...(await findOffenders(
      tx,
      "a flattr lies in its month",
      sql`SELECT 'flattr ' || f.id AS detail FROM flattr f LEFT JOIN period p ON p.id = f.period
           WHERE p.id IS NULL OR f.at < p.opens OR f.at >= p.closes`,
    )),
    ...(await findOffenders(
      tx,
      "a closed month has no patron that still waits, a final one none that could still be funded",
      sql`SELECT 'month ' || p.id || ', patron ' || s.patron || ': ' || s.state AS detail FROM settlement s JOIN period p ON p.id = s.period
           WHERE (p.state IN ('closed', 'final') AND s.state = 'frozen') OR (p.state = 'final' AND s.state = 'unfunded')
              OR (p.state = 'open')`,
    )),
    ...(await findOffenders(
      tx,
      "nothing of a closed month waits for somebody who is not paid",
      sql`SELECT 'month ' || t.period || ', actor ' || a.owner || ': ' || e.amount AS detail
            FROM payee_standing s JOIN ledger.account a ON a.kind = 'waiting' AND a.owner = s.payee
            JOIN ledger.entry e ON e.account = a.id AND e.amount > 0
            JOIN ledger.transfer t ON t.id = e.transfer
            JOIN period p ON p.id = t.period AND p.state IN ('closed', 'final')
           WHERE s.reason IS NOT NULL
             AND NOT EXISTS (SELECT FROM ledger.resolution r WHERE r.transfer = e.transfer AND r.account = e.account)`,
    )),
    ...(await findOffenders(
      tx,
      "whoever flattred has a settlement, and nobody else",
      sql`SELECT 'month ' || COALESCE(f.period, s.period) || ', patron ' || COALESCE(f.patron, s.patron) AS detail
            FROM (SELECT DISTINCT f.period, f.patron FROM flattr f JOIN period p ON p.id = f.period WHERE p.state <> 'open') f
            FULL JOIN settlement s ON s.period = f.period AND s.patron = f.patron
           WHERE f.patron IS NULL OR s.patron IS NULL`,
    )),
  ];
}

interface Row extends Record<string, unknown> {
  readonly patron: string;
  readonly state: string;
  readonly budget: string;
  readonly available: string;
  readonly flattrs: number;
  readonly spent: string;
  readonly fee: string;
  readonly transfer: string | null;
  readonly account: string;
  /** As set last before the month's end. */
  readonly wanted: string | null;
  /** What the entries up to the month's end add up to. */
  readonly purse: string;
  /** The first payment within the grace. */
  readonly firstLate: string | null;
  /** [flattr, from a subscription?, [[payee, uri, weight, takes part?, ledger account] …]] in no order. */
  readonly given: [string, boolean, [string, string, number, boolean, string][]][];
  /** [flattr, payee, amount] as booked. */
  readonly shares: [string, string, string][];
}

async function checkMonth(tx: Tx, month: Month, currency: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const legs = new Map<string, Map<string, bigint>>();
  for (let after = "0"; ;) {
    const rows = await readPatrons(tx, month, currency, after);
    if (rows.length === 0) break;
    for (const row of rows) findings.push(...checkPatron(month, row, legs));
    after = rows.at(-1)!.patron;
  }
  findings.push(...(await checkLegs(tx, month, currency, legs)));
  return findings;
}

function checkPatron(month: Month, row: Row, legs: Map<string, Map<string, bigint>>): Finding[] {
  const where = `month ${month.id}, patron ${row.patron}`;
  const wrong = (promise: string, found: unknown, derived: unknown): Finding[] =>
    String(found) === String(derived)
      ? []
      : [{ promise, detail: `${where}: ${String(found)} instead of ${String(derived)}` }];

  const budget = BigInt(row.wanted ?? "0");
  const purse = BigInt(row.purse);
  const facts = [
    ...wrong("the frozen budget is the last one set before the month's end", row.budget, budget),
    ...wrong(
      "the frozen purse is what the entries before the month's end add up to",
      row.available,
      purse,
    ),
  ];
  if (row.state === "frozen") return facts;

  const counting = row.given
    .map(([flattr, subscribed, payees]) => ({
      flattr: BigInt(flattr),
      subscribed,
      payees: payees.filter(([, , , takesPart]) => takesPart),
    }))
    .filter(({ payees }) => payees.length > 0);
  counting.sort(
    (a, b) => Number(b.subscribed) - Number(a.subscribed) || (a.flattr < b.flattr ? -1 : 1),
  );
  const n = BigInt(counting.length);

  let state = "settled";
  let money = budget < purse ? budget : purse;
  if (n > 0n && budget > 0n && purse === 0n) {
    const late = row.firstLate === null ? undefined : BigInt(row.firstLate);
    state = late !== undefined ? "late" : month.state === "final" ? "lapsed" : "unfunded";
    money = late === undefined ? 0n : late < budget ? late : budget;
  }
  const spent = n === 0n ? 0n : money;
  const fee = (spent * BigInt(month.fee)) / 10_000n;
  const rest = spent - fee;

  const derived = new Map<string, bigint>();
  const mine =
    row.transfer === null ? undefined : (legs.get(row.transfer) ?? new Map<string, bigint>());
  const add = (account: string, amount: bigint) =>
    mine?.set(account, (mine.get(account) ?? 0n) + amount);
  if (spent > 0n) {
    counting.forEach(({ flattr, payees }, place) => {
      const share = rest / n + (BigInt(place) < rest % n ? 1n : 0n);
      const whole = payees.reduce((total, [, , weight]) => total + BigInt(weight), 0n);
      const parts = payees.map(([payee, uri, weight, , account]) => ({
        payee,
        account,
        bytes: Buffer.from(uri),
        amount: (share * BigInt(weight)) / whole,
        left: (share * BigInt(weight)) % whole,
      }));
      parts.sort((a, b) =>
        a.left === b.left ? Buffer.compare(a.bytes, b.bytes) : a.left > b.left ? -1 : 1,
      );
      let missing = share - parts.reduce((total, { amount }) => total + amount, 0n);
      for (const part of parts) {
        if (missing > 0n) {
          part.amount += 1n;
          missing -= 1n;
        }
        derived.set(`${flattr} to ${part.payee}`, part.amount);
        add(part.account, part.amount);
      }
    });
    add(row.account, -spent);
    add("fee", fee);
  }
  if (row.transfer !== null && mine !== undefined) legs.set(row.transfer, mine);

  const booked = new Map(
    row.shares.map(([flattr, payee, amount]) => [`${flattr} to ${payee}`, BigInt(amount)]),
  );
  return [
    ...facts,
    ...wrong("a patron's month has the state that follows from its facts", row.state, state),
    ...wrong("the divisor is the number of flattrs that count", row.flattrs, n),
    ...wrong("what is spent is the smaller of budget and purse", row.spent, spent),
    ...wrong("the fee is that of the month", row.fee, fee),
    ...wrong("money moves by a transfer", row.transfer !== null, spent > 0n),
    ...[...new Set([...booked.keys(), ...derived.keys()])].flatMap((key) =>
      wrong(
        "every share is what the division gives",
        `${key}: ${booked.get(key) ?? "nothing"}`,
        `${key}: ${derived.get(key) ?? "nothing"}`,
      ),
    ),
  ];
}

/** The entries of a month's transfers against what the shares add up to. */
async function checkLegs(
  tx: Tx,
  month: Month,
  currency: string,
  legs: Map<string, Map<string, bigint>>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const promise = "the entries of a close are what its settlements and shares add up to";
  const transfers = await tx.execute<{ id: string }>(sql`
    SELECT id FROM ledger.transfer WHERE period = ${month.id} AND kind IN ('settle', 'late') ORDER BY id`);
  for (const { id } of transfers) {
    const entries = await tx.execute<{ account: string; amount: string }>(sql`
      SELECT CASE WHEN a.kind = 'fee' THEN 'fee' ELSE e.account::text END AS account, e.amount
        FROM ledger.entry e JOIN ledger.account a ON a.id = e.account AND a.currency = ${currency} WHERE e.transfer = ${id}::bigint`);
    const booked = new Map(entries.map(({ account, amount }) => [account, BigInt(amount)]));
    const derived = legs.get(id) ?? new Map<string, bigint>();
    legs.delete(id);
    for (const account of new Set([...booked.keys(), ...derived.keys()])) {
      const [found, wanted] = [booked.get(account) ?? 0n, derived.get(account) ?? 0n];
      if (found !== wanted)
        findings.push({
          promise,
          detail: `transfer ${id}, account ${account}: ${found} instead of ${wanted}`,
        });
    }
  }
  for (const id of legs.keys()) findings.push({ promise, detail: `transfer ${id} is missing` });
  return findings;
}

/**
 * Raw rows of the next patrons. Who takes part is decided by history as it stood at the month's end: not the patron
 * himself, nobody he had proved to be, nobody who had declined, was blocked, or was gone.
 */
async function readPatrons(tx: Tx, month: Month, currency: string, after: string): Promise<Row[]> {
  const ended = sql`${month.closes}::timestamptz`;
  const inForce = (table: string) =>
    sql`${sql.raw(table)}.since < ${ended} AND (${sql.raw(table)}.until IS NULL OR ${sql.raw(table)}.until >= ${ended})`;
  return tx.execute<Row>(sql`
    SELECT s.patron::text, s.state, s.budget, s.available, s.flattrs, s.spent, s.fee, s.transfer, s.account,
           (SELECT amount FROM budget WHERE patron = s.patron AND since < ${ended} ORDER BY id DESC LIMIT 1) AS wanted,
           (SELECT COALESCE(sum(e.amount), 0) FROM ledger.entry e JOIN ledger.transfer t ON t.id = e.transfer
             WHERE e.account = s.account AND t.at < ${ended}) AS purse,
           (SELECT amount FROM cash WHERE patron = s.patron AND amount > 0 AND at >= ${ended} AND at < ${ended} + interval '7 days'
             ORDER BY transfer LIMIT 1) AS "firstLate",
           COALESCE((SELECT json_agg(json_build_array(f.id::text, f.source = 'subscription', payees.list))
              FROM flattr f CROSS JOIN LATERAL (
                SELECT json_agg(json_build_array(p.payee::text, a.uri, p.weight,
                         a.id <> me.actor
                         AND NOT EXISTS (SELECT FROM alias l WHERE l.account = s.patron AND l.payee = a.id AND l.since < ${ended})
                         AND NOT EXISTS (SELECT FROM decline d WHERE d.payee = a.id AND ${inForce("d")})
                         AND NOT EXISTS (SELECT FROM block b WHERE b.target IN (a.uri, a.host) AND ${inForce("b")})
                         AND (a.deleted_at IS NULL OR a.deleted_at >= ${ended}),
                         COALESCE(own_ledger.id, peer_ledger.id, waiting_ledger.id)::text)) AS list
                  FROM split_part p JOIN actor a ON a.id = p.payee
                  LEFT JOIN account own ON own.actor = a.id
                  LEFT JOIN ledger.account own_ledger ON own_ledger.kind = 'earnings' AND own_ledger.owner = own.id AND own_ledger.currency = ${currency}
                  LEFT JOIN ledger.account waiting_ledger ON waiting_ledger.kind = 'waiting' AND waiting_ledger.owner = a.id AND waiting_ledger.currency = ${currency}
                  LEFT JOIN period_payee fixed ON fixed.period = f.period AND fixed.split = p.split AND fixed.payee = p.payee AND fixed.way = 'peer'
                  LEFT JOIN ledger.account peer_ledger ON peer_ledger.id = fixed.account AND peer_ledger.kind = 'outbound' AND peer_ledger.currency = ${currency}
                 WHERE p.split = f.split) payees
             WHERE f.period = ${month.id} AND f.patron = s.patron), '[]') AS given,
           COALESCE((SELECT json_agg(json_build_array(sh.flattr::text, sh.payee::text, sh.amount::text))
              FROM share sh WHERE sh.period = ${month.id} AND sh.patron = s.patron), '[]') AS shares
      FROM settlement s JOIN account me ON me.id = s.patron
     WHERE s.period = ${month.id} AND s.patron > ${after}::bigint ORDER BY s.patron LIMIT ${BATCH}`);
}
