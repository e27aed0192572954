/** What an instance has written down about its peers, and people on it. */

import postgres from "postgres";
import { expect } from "vitest";
import { type Account, createAccount } from "../../src/features/account/create.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { type PeerLine, peerLines } from "../../src/features/peer/report.ts";
import { periodAfter, periodOf } from "../../src/rules/period.ts";
import { addressOf } from "../../src/store/database.ts";
import { Temporal } from "../../src/store/time.ts";
import { eur } from "./database.ts";
import { canonical, digestOf, type FakePeer } from "./fake-peer.ts";
import { eventually, type Neighbour } from "./instances.ts";

/** Offsets that put the clock into the middle of next month, and some hours into the month after that. */
export function offsets(): { inside: string; after: string } {
  const now = Temporal.Now.instant();
  const month = Temporal.PlainYearMonth.from(periodAfter(periodOf(now)));
  const at = (year: Temporal.PlainYearMonth, day: number, hour: number) =>
    now
      .until(
        year
          .toPlainDate({ day })
          .toZonedDateTime({ timeZone: "UTC", plainTime: { hour } })
          .toInstant(),
      )
      .round({ largestUnit: "hour", smallestUnit: "second" })
      .toString();
  return { inside: at(month, 20, 12), after: at(month.add({ months: 1 }), 1, 2) };
}

/** Everything that is written down about peers and about money: equal before and after means that nothing happened. */
export async function peerBooks({ instance: { database } }: Neighbour): Promise<string> {
  const [row] = await database.sql<[{ all: string | null }]>`
    SELECT string_agg(part, E'\n' ORDER BY part) AS all FROM (
      SELECT 'statement ' || (s.peer, s.direction, s.seq, s.digest, s.receipt_seq)::text AS part FROM statement s
      UNION ALL SELECT 'fork ' || f::text FROM fork f
      UNION ALL SELECT 'peer ' || (p.id, p.actor, p.host, p.ledger, p.state)::text FROM peer p
      UNION ALL SELECT 'key ' || k::text FROM peer_key k
      UNION ALL SELECT 'position ' || p::text FROM position p
      UNION ALL SELECT 'trust ' || t::text FROM trust_line t
      UNION ALL SELECT 'in ' || t::text FROM transfer_in t
      UNION ALL SELECT 'line in ' || l::text FROM transfer_line l
      UNION ALL SELECT 'line ' || (l.period, l.part, l.payee, l.state, l.seq, l.reason)::text FROM line l
      UNION ALL SELECT 'payment ' || p::text FROM peer_payment p
      UNION ALL SELECT 'confirmation ' || c::text FROM peer_confirmation c
      UNION ALL SELECT 'entry ' || e::text FROM ledger.entry e
      UNION ALL SELECT 'transfer ' || t::text FROM ledger.transfer t) parts`;
  return row.all ?? "";
}

/** Does something that must leave no trace. */
export async function withoutTrace<T>(at: Neighbour, work: () => Promise<T>): Promise<T> {
  const linesOf = async () => new Set((await peerBooks(at)).split("\n"));
  const before = await linesOf();
  const done = await work();
  const after = await linesOf();
  const without = (one: Set<string>, other: Set<string>) =>
    [...one].filter((row) => !other.has(row));
  expect({ gone: without(before, after), come: without(after, before) }).toEqual({
    gone: [],
    come: [],
  });
  return done;
}

/** Writes statements of a peer into its log as if they had come at some time; they must be right, and Receipts. */
export async function fillLog(
  { databaseUrl }: Neighbour,
  { host }: { host: string },
  { statements, at }: { statements: readonly Record<string, unknown>[]; at: Temporal.Instant },
): Promise<void> {
  const rows = statements.map((one) => ({
    seq: one["seq"],
    id: one["id"],
    digest: digestOf(one),
    prev: one["prev"],
    document: canonical(one),
  }));
  await asReplica(
    databaseUrl,
    (sql) => sql`
      INSERT INTO statement (peer, direction, seq, id, kind, digest, prev, document, at)
      SELECT p.id, 'in', r.seq, r.id, 'Receipt', r.digest, r.prev, r.document, ${at.toString()}
        FROM peer p, jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) AS r(seq bigint, id text, digest text, prev text, document text)
       WHERE p.host = ${host}`,
  );
}

/** Changes what nobody may change, for a time that a test cannot wait for. */
export async function asReplica(
  url: string,
  work: (sql: postgres.TransactionSql) => Promise<unknown>,
): Promise<void> {
  const sql = postgres({ ...addressOf(url), max: 1, onnotice: () => {} });
  try {
    await sql.begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      await work(tx);
    });
  } finally {
    await sql.end();
  }
}

/** First contact, to its end: both have told their Terms, and all is answered. */
export async function meet(peer: FakePeer, at: Neighbour): Promise<void> {
  expect((await peer.greet()).status).toBe(200);
  await eventually("Terms are answered", async () => (await lineWith(at, peer)).unanswered === 0);
}

/** How a line stands. */
export async function lineWith(at: Neighbour, { host }: { host: string }): Promise<PeerLine> {
  const [line] = await peerLines(at.instance.database, host);
  return line!;
}

/** Somebody with an account, and money if he has any. */
export async function resident(
  { instance: { database, clock } }: Neighbour,
  name: string,
  money?: string,
): Promise<Account & { uri: string }> {
  const at = clock.now();
  const account = await createAccount(database, {
    name,
    email: `${name}@mail.example`,
    role: "user",
    at,
  });
  if (money !== undefined) {
    await setBudget(database, { patron: account.id, amount: eur(money), at });
    await fund(database, { patron: account.id, amount: eur(money), at });
  }
  return { ...account, uri: `${database.settings.origin}/users/${name}` };
}

/** What is promised to somebody here, and what is his. */
export async function balanceOf(
  { instance: { database } }: Neighbour,
  { id }: { id: bigint },
): Promise<{ pending: bigint; earnings: bigint }> {
  const [row] = await database.sql<[{ pending: bigint; earnings: bigint }]>`
    SELECT COALESCE(sum(b.amount) FILTER (WHERE a.kind = 'pending'), 0)::bigint AS pending,
           COALESCE(sum(b.amount) FILTER (WHERE a.kind = 'earnings'), 0)::bigint AS earnings
      FROM ledger.account a JOIN ledger.balance b ON b.account = a.id WHERE a.owner = ${id}`;
  return row;
}
