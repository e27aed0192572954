import { describe, expect, test } from "vitest";
import { toMicro } from "../../src/rules/amount.ts";
import { type Period, periodNumber } from "../../src/rules/period.ts";
import type { Payee } from "../../src/rules/split.ts";
import type { Account } from "../../src/features/account/create.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { addAlias } from "../../src/features/claim/alias.ts";
import { blockPayments, declinePayments, forgetActor } from "../../src/features/claim/standing.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { subscribe, unsubscribe } from "../../src/features/flattr/subscribe.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { tick } from "../../src/features/settlement/tick.ts";
import { deleteThing, rememberThing, thingAt } from "../../src/features/thing/thing.ts";
import type { Database } from "../../src/store/database.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { Temporal } from "../../src/store/time.ts";
import { person, testDatabase } from "../support/database.ts";
import { vectors } from "../support/vectors.ts";

interface Event {
  readonly at: string;
  readonly do: string;
  readonly patron: string;
  readonly amount: string;
  readonly thing: string;
  readonly payee: string;
  readonly months: number | null;
  readonly feeBp: number;
  readonly result?: string;
}

interface Case {
  readonly id: string;
  readonly title: string;
  readonly currency: string;
  readonly feeBp: number;
  readonly patrons: string[];
  readonly things: { id: string; authors: Payee[]; sameAs?: string }[];
  readonly events: Event[];
  readonly readAt: string;
  readonly periods: Period[];
  readonly expected: {
    periods: { period: Period; patrons: { patron: string }[] }[];
    returned: { period: Period; patron: string; payee: string; amount: string }[];
    remaining: { patron: string; available: string }[];
  };
}

const instant = (text: string) => Temporal.Instant.from(text);
const nameOf = (patron: string) => patron.split("/").at(-1)!;

describe("months.json", () => {
  test.each(vectors<Case>("months.json"))("$id $title", async (vector) => {
    const fresh = await testDatabase({ feeBasisPoints: vector.feeBp, currency: vector.currency });
    let database: Database = fresh;
    const since = instant(vector.events[0]?.at ?? vector.readAt)
      .subtract({ hours: 1 })
      .toString();
    const patrons = new Map<string, Account>();
    for (const patron of vector.patrons)
      patrons.set(patron, await person(database, nameOf(patron), { since }));
    await rememberThings(database, vector, instant(since));

    for (const event of vector.events) {
      // The clock's work of this instant comes before its events.
      await tick(database, instant(event.at));
      if (event.do === "fee") {
        database = { ...fresh, settings: { ...fresh.settings, feeBasisPoints: event.feeBp } };
        continue;
      }
      expect(await resultOf(database, patrons, event), `${event.at} ${event.do}`).toBe(
        event.result ?? "ok",
      );
    }
    await tick(database, instant(vector.readAt));

    const periods = [];
    for (const period of vector.periods)
      periods.push(
        await readPeriod(
          database,
          period,
          vector.expected.periods.find((one) => one.period === period)!.patrons,
          patrons,
        ),
      );
    expect({
      periods,
      returned: await readReturned(database),
      remaining: await readRemaining(database, vector.patrons),
    }).toEqual(vector.expected);
  });
});

async function rememberThings(
  database: Database,
  { things }: Case,
  at: Temporal.Instant,
): Promise<void> {
  for (const { id, authors, sameAs } of things) {
    if (sameAs !== undefined) continue;
    const addresses = things.filter((other) => other.sameAs === id).map((other) => other.id);
    await database.drizzle.transaction((tx) =>
      rememberThing(
        tx,
        database.settings,
        { uri: id, kind: "Note", payees: authors, addresses },
        at,
      ),
    );
  }
}

/** Runs one event through the feature that the surfaces use. @returns ok or why it changed nothing */
async function resultOf(
  database: Database,
  patrons: Map<string, Account>,
  event: Event,
): Promise<string> {
  const at = instant(event.at);
  const patron = patrons.get(event.patron)?.id ?? 0n;
  const thing = event.thing === undefined ? 0n : (await thingAt(database.drizzle, event.thing))!.id;
  try {
    switch (event.do) {
      case "budget":
        await setBudget(database, { patron, amount: toMicro(BigInt(event.amount)), at });
        return "ok";
      case "fund":
        await fund(database, { patron, amount: toMicro(BigInt(event.amount)), at });
        return "ok";
      case "flattr":
        return (await giveFlattr(database, { patron, thing, source: "click", at })).again
          ? "flattr_once"
          : "ok";
      case "undo":
        await takeBackFlattr(database, { patron, thing, at });
        return "ok";
      case "subscribe":
        await subscribe(database, { patron, thing, months: event.months, at });
        return "ok";
      case "unsubscribe":
        await unsubscribe(database, { patron, thing, at });
        return "ok";
      case "alias":
        await addAlias(database, { account: patron, payee: event.payee, at });
        return "ok";
      case "decline":
        await declinePayments(database, { payee: event.payee, at });
        return "ok";
      case "block":
        await blockPayments(database, { kind: "payee", target: event.payee, at });
        return "ok";
      case "deleteThing":
        await deleteThing(database, { uri: event.thing, at });
        return "ok";
      case "deleteActor":
        await forgetActor(database, { payee: event.payee, at });
        return "ok";
      default:
        return `unknown event ${event.do}`;
    }
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
}

async function readPeriod(
  { sql }: Database,
  period: Period,
  wanted: readonly { patron: string }[],
  accounts: Map<string, Account>,
) {
  const month = periodNumber(period);
  const settlements = await sql<{ patron: bigint; flattrs: number; spent: bigint; fee: bigint }[]>`
    SELECT patron, flattrs, spent, fee FROM settlement WHERE period = ${month}`;
  const payees = await sql<{ payee: string; flattrs: number; amount: bigint }[]>`
    SELECT a.uri AS payee, count(DISTINCT s.flattr)::int AS flattrs, sum(s.amount)::bigint AS amount
      FROM share s JOIN actor a ON a.id = s.payee WHERE s.period = ${month} GROUP BY a.uri ORDER BY a.uri COLLATE "C"`;
  const total = (member: "spent" | "fee") =>
    String(settlements.reduce((sum, row) => sum + row[member], 0n));
  return {
    period,
    spent: total("spent"),
    fee: total("fee"),
    patrons: wanted.map(({ patron }) => {
      const row = settlements.find((one) => one.patron === accounts.get(patron)!.id) ?? {
        flattrs: 0,
        spent: 0n,
        fee: 0n,
      };
      return { patron, flattrs: row.flattrs, spent: String(row.spent), fee: String(row.fee) };
    }),
    payees: payees.map(({ payee, flattrs, amount }) => ({
      payee,
      flattrs,
      amount: String(amount),
    })),
  };
}

async function readReturned({ sql, settings }: Database) {
  const rows = await sql<{ period: string; patron: string; payee: string; amount: bigint }[]>`
    SELECT to_char(p.opens AT TIME ZONE 'UTC', 'YYYY-MM') AS period, a.name AS patron, actor.uri AS payee, sum(sh.amount)::bigint AS amount
      FROM ledger.resolution r
      JOIN ledger.transfer back ON back.id = r.resolved_by AND back.kind = 'return'
      JOIN ledger.account l ON l.id = r.account JOIN actor ON actor.id = l.owner
      JOIN settlement st ON st.transfer = r.transfer JOIN account a ON a.id = st.patron JOIN period p ON p.id = st.period
      JOIN share sh ON sh.period = st.period AND sh.patron = st.patron AND sh.payee = actor.id
     GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`;
  return rows.map((row) => ({
    ...row,
    patron: `${settings.origin}/users/${row.patron}`,
    amount: String(row.amount),
  }));
}

async function readRemaining({ sql }: Database, patrons: readonly string[]) {
  const rows = await sql<{ name: string; amount: bigint }[]>`
    SELECT a.name, b.amount FROM account a JOIN ledger.account l ON l.kind = 'budget' AND l.owner = a.id JOIN ledger.balance b ON b.account = l.id`;
  return patrons.map((patron) => ({
    patron,
    available: String(rows.find(({ name }) => name === nameOf(patron))!.amount),
  }));
}
