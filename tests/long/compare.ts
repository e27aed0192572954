/** What is in a database against what the model says, to the micro. */

import type { Database } from "../../src/store/database.ts";
import type { Model } from "../support/model.ts";

/** Compares the newest months, or all, and every balance. @returns the first difference in words */
export async function compare(
  database: Database,
  model: Model,
  which: "newest" | "all" = "newest",
): Promise<string | undefined> {
  model.assertBalanced();
  const months = which === "all" ? model.months : model.months.slice(-3);
  const wanted = stateOfModel(model, months);
  const found = await stateOfDatabase(database, months[0]!.number);
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    if (wanted[key] !== found[key])
      return `${key}: ${found[key] ?? "nothing"} instead of ${wanted[key] ?? "nothing"}`;
  }
  return undefined;
}

function stateOfModel(model: Model, months: Model["months"]): Record<string, string> {
  const state: Record<string, string> = {};
  for (const month of months) {
    state[`month ${month.number}`] = `${month.state} ${month.fee}`;
    for (const [patron, mine] of month.settlements) {
      state[`month ${month.number} ${patron}`] =
        `${mine.state} ${mine.budget} ${mine.available} ${mine.flattrs} ${mine.spent} ${mine.fee}`;
      for (const [share, amount] of Object.entries(mine.shares))
        state[`month ${month.number} ${patron} ${share}`] = String(amount);
    }
  }
  const put = (key: string, amount: bigint) => {
    if (amount !== 0n) state[key] = String(amount);
  };
  for (const [patron, amount] of model.budgets) put(`budget ${model.actorOf(patron)}`, amount);
  for (const [payee, amount] of model.earnings) put(`earnings ${payee}`, amount);
  for (const payee of new Set(model.waiting.map((one) => one.payee)))
    put(`waiting ${payee}`, model.waitingFor(payee));
  put("fee", model.fees);
  put("world", -model.inside);
  return state;
}

async function stateOfDatabase({ sql }: Database, since: number): Promise<Record<string, string>> {
  const rows = await sql<{ key: string; value: string }[]>`
    SELECT 'month ' || id AS key, state || ' ' || fee_bp AS value FROM period WHERE id >= ${since}
    UNION ALL
    SELECT 'month ' || s.period || ' ' || a.name, concat_ws(' ', s.state, s.budget, s.available, CASE WHEN s.state = 'frozen' THEN 0 ELSE s.flattrs END, s.spent, s.fee)
      FROM settlement s JOIN account a ON a.id = s.patron WHERE s.period >= ${since}
    UNION ALL
    SELECT 'month ' || sh.period || ' ' || a.name || ' ' || t.uri || ' ' || p.uri, sh.amount::text
      FROM share sh JOIN account a ON a.id = sh.patron JOIN flattr f ON f.period = sh.period AND f.id = sh.flattr
      JOIN thing t ON t.id = f.thing JOIN actor p ON p.id = sh.payee WHERE sh.period >= ${since}
    UNION ALL
    SELECT concat_ws(' ', l.kind, COALESCE(mine.uri, own.uri)), b.amount::text
      FROM ledger.account l JOIN ledger.balance b ON b.account = l.id
      LEFT JOIN account person ON l.kind IN ('budget', 'earnings') AND person.id = l.owner
      LEFT JOIN actor mine ON mine.id = person.actor
      LEFT JOIN actor own ON l.kind = 'waiting' AND own.id = l.owner
     WHERE b.amount <> 0`;
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
}
