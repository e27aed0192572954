/** A database for a test, cloned from the migrated template; and a few words to fill it. */

import { join } from "node:path";
import { afterEach, expect, inject, onTestFinished } from "vitest";
import type { Period } from "../../src/rules/period.ts";
import { periodNumber } from "../../src/rules/period.ts";
import { type Micro, parseAmount } from "../../src/rules/amount.ts";
import { type Account, createAccount } from "../../src/features/account/create.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { writePost } from "../../src/features/post/write.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { rememberThing, type ThingId } from "../../src/features/thing/thing.ts";
import { findThing } from "../../src/features/thing/find.ts";
import { type Database, openClients, type Settings } from "../../src/store/database.ts";
import { Temporal } from "../../src/store/time.ts";
import { databaseUrl, TEST_ORIGIN, withServer } from "./server.ts";

export interface TestDatabase extends Database {
  readonly url: string;
  readonly end: () => Promise<void>;
}

const open = new Set<TestDatabase>();
let made = 0;

// After every scenario the books are checked from raw rows.
afterEach(async () => {
  for (const database of open) expect(await checkBooks(database)).toEqual([]);
});

/**
 * A fresh instance's database. It goes away with the test; its books are checked before that.
 *
 * @param whenOver takes what ends it, for one that several tests share
 */
export async function testDatabase(
  settings: Partial<Settings> = {},
  whenOver: (end: () => Promise<void>) => void = onTestFinished,
): Promise<TestDatabase> {
  const serverUrl = inject("serverUrl");
  const name = `fl_${process.pid}_${(made += 1)}`;
  await withServer(serverUrl, (sql) =>
    sql.unsafe(`CREATE DATABASE ${name} TEMPLATE ${inject("template")} STRATEGY FILE_COPY`),
  );
  const url = databaseUrl(serverUrl, name);
  const clients = openClients(url, 8);
  const database: TestDatabase = {
    ...clients,
    url,
    settings: {
      origin: TEST_ORIGIN,
      currency: "EUR",
      minimumBudget: eur("2.00"),
      feeBasisPoints: 0,
      unclaimedMonths: 12,
      peerLimit: eur("50.00"),
      ...settings,
    },
  };
  open.add(database);
  whenOver(async () => {
    open.delete(database);
    await clients.end();
    await withServer(serverUrl, (sql) => sql.unsafe(`DROP DATABASE ${name} WITH (FORCE)`));
  });
  return database;
}

/** For a test that books what no event of the house explains: its books are looked at by itself. */
export function leaveUnchecked(database: TestDatabase): void {
  open.delete(database);
}

/** The master key of every cloned database. */
export const testMasterKeyFile = () => join(inject("folder"), "data/master-key");

export function eur(text: string): Micro {
  return parseAmount(text, "EUR")!;
}

export function at(text: string): Temporal.Instant {
  return Temporal.Instant.from(text.length === 10 ? `${text}T12:00:00Z` : text);
}

/** Somebody with an account, on the first of November 2026 unless said otherwise. */
export async function person(
  database: Database,
  name: string,
  {
    since = "2026-11-01T00:00:00Z",
    budget,
    money,
  }: { since?: string; budget?: string; money?: string } = {},
): Promise<Account> {
  const account = await createAccount(database, {
    name,
    email: `${name}@mail.example`,
    role: "user",
    at: at(since),
  });
  if (budget !== undefined)
    await setBudget(database, { patron: account.id, amount: eur(budget), at: at(since) });
  if (money !== undefined)
    await fund(database, { patron: account.id, amount: eur(money), at: at(since) });
  return account;
}

/** A post of another server, by authors there. */
export async function remotePost(
  database: Database,
  uri: string,
  authors: Readonly<Record<string, number>> | string,
): Promise<ThingId> {
  const payees =
    typeof authors === "string"
      ? [{ payee: authors, weight: 1 }]
      : Object.entries(authors).map(([payee, weight]) => ({ payee, weight }));
  return database.drizzle.transaction((tx) =>
    rememberThing(tx, database.settings, { uri, kind: "Note", payees }, at("2026-11-01")),
  );
}

/** A post of this instance. */
export async function localPost(
  database: Database,
  author: Account,
  when = "2026-11-01T00:00:01Z",
): Promise<ThingId> {
  const { uri } = await writePost(database, { author, text: "Hello", at: at(when) });
  return findThing(database, uri, at(when));
}

export async function click(
  database: Database,
  patron: Account,
  thing: ThingId,
  when = "2026-11-10",
) {
  return giveFlattr(database, { patron: patron.id, thing, source: "click", at: at(when) });
}

/** Everything of some tables as text: equal before and after means that nothing changed. */
export async function snapshot({ sql }: Database): Promise<string> {
  const [row] = await sql<[{ all: string }]>`
    SELECT string_agg(part, E'\n' ORDER BY part) AS all FROM (
      SELECT 'flattr ' || f::text AS part FROM flattr f UNION ALL SELECT 'budget ' || b::text FROM budget b
      UNION ALL SELECT 'cash ' || c::text FROM cash c UNION ALL SELECT 'entry ' || e::text FROM ledger.entry e
      UNION ALL SELECT 'transfer ' || t::text FROM ledger.transfer t UNION ALL SELECT 'settlement ' || s::text FROM settlement s
      UNION ALL SELECT 'share ' || s::text FROM share s UNION ALL SELECT 'period ' || p::text FROM period p
      UNION ALL SELECT 'subscription ' || s::text FROM subscription s UNION ALL SELECT 'delivery ' || d::text FROM delivery d
      UNION ALL SELECT 'account ' || a::text FROM account a UNION ALL SELECT 'resolution ' || r::text FROM ledger.resolution r) parts`;
  return row.all ?? "";
}

/** Shares of one month: payee → micro. */
export async function payeesOf({ sql }: Database, period: Period): Promise<Record<string, string>> {
  const rows = await sql<{ uri: string; amount: bigint }[]>`
    SELECT a.uri, sum(s.amount)::bigint AS amount FROM share s JOIN actor a ON a.id = s.payee WHERE s.period = ${periodNumber(period)} GROUP BY a.uri ORDER BY a.uri`;
  return Object.fromEntries(rows.map(({ uri, amount }) => [uri, String(amount)]));
}
