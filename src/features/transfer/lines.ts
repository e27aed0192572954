/** Lines: what one closed month owes one creator at a peer. */

import { sql } from "drizzle-orm";
import type { Drizzle, Tx } from "../../store/database.ts";

/** settlement: what the close gave · correction: what came in within the grace, once the month is final. */
export type Part = "settlement" | "correction";

/** Which settlements make a part, and in which months it is complete. */
const PARTS: Readonly<Record<Part, { settlement: string; states: string }>> = {
  settlement: { settlement: "settled", states: "('closed', 'final')" },
  correction: { settlement: "late", states: "('final')" },
};

/** Writes down what closed months owe at peers, where that was not done yet. */
export async function makeLines(tx: Tx | Drizzle): Promise<void> {
  await makePart(tx, "settlement");
  await makePart(tx, "correction");
}

async function makePart(tx: Tx | Drizzle, part: Part): Promise<void> {
  const { settlement, states } = PARTS[part];
  await tx.execute(sql`
    INSERT INTO line (period, part, payee, peer, amount, count, patrons, state)
    SELECT sh.period, ${part}, sh.payee, a.peer, sum(sh.amount)::bigint, count(*)::int, count(DISTINCT sh.patron)::int, 'outbound'
      FROM period p
      JOIN settlement s ON s.period = p.id AND s.state = ${settlement}
      JOIN share sh ON sh.period = p.id AND sh.patron = s.patron
      JOIN flattr f ON f.period = p.id AND f.id = sh.flattr
      JOIN period_payee pp ON pp.period = p.id AND pp.split = f.split AND pp.payee = sh.payee AND pp.way = 'peer'
      JOIN ledger.account a ON a.id = pp.account
     WHERE p.state IN ${sql.raw(states)}
       AND EXISTS (SELECT FROM period_payee w WHERE w.period = p.id AND w.way = 'peer')
       AND NOT EXISTS (SELECT FROM line l WHERE l.period = p.id AND l.part = ${part})
     GROUP BY sh.period, sh.payee, a.peer HAVING sum(sh.amount) > 0
    ON CONFLICT DO NOTHING`);
}
