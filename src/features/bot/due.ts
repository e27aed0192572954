/** What `@flattr` tells people by itself: each thing once, in batches, and as often started again as it takes. */

import { toMicro } from "../../rules/amount.ts";
import { answerLanguage } from "../../rules/bot-order.ts";
import {
  closesAt,
  graceEndsAt,
  type Period,
  periodFromNumber,
  periodNumber,
  periodOf,
} from "../../rules/period.ts";
import { type Database, retrying } from "../../store/database.ts";
import { sqlTime, Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { type Bot, type Message, openBot, sendMessages } from "./message.ts";
import { type Gaps, monthText, say, type Sentence } from "./words.ts";

/** People who are told in one transaction. */
const BATCH = 200;

/** What is older is no news: whoever was away so long sees it on his pages. */
const NEWS_DAYS = 35;

/** How long before the month's end somebody is told that too little is there (P16). */
const LOW_HOURS = 72;

/** Of each peer's Transfers so many are looked at, the newest first: more do not come in a month. */
const TRANSFERS_MAX = 100;

/** Somebody who is to be told something. */
interface Due {
  readonly account: AccountId;
  readonly name: string;
  readonly language: string | null;
}

/** What he is to be told. */
interface Telling {
  readonly sentence: Sentence;
  /** What it is about; the same is told once. */
  readonly about: string;
  readonly gaps: Gaps;
  readonly period?: Period;
}

/**
 * Tells everybody what is due at an instant: closed months, received money, a purse that is too small for the month
 * that ends soon. Several processes may run it at once.
 *
 * @returns how many messages were sent
 */
export async function botDue(database: Database, at: Temporal.Instant): Promise<number> {
  const teller = openTeller(database, await openBot(database, at), at);
  const since = at.subtract({ hours: 24 * NEWS_DAYS });
  const months = await database.sql<{ id: number }[]>`
    SELECT id FROM period WHERE state IN ('closed', 'final') AND closes > ${sqlTime(since)} ORDER BY id`;
  for (const { id } of months) {
    const period = periodFromNumber(id);
    await tellClosed(database, teller, period);
    await tellReceived(database, teller, period);
  }
  await tellCovered(database, teller, since);
  await tellLow(database, teller, at);
  return teller.sent();
}

/** Greets somebody whose first app has signed in, once. */
export async function welcome(
  database: Database,
  account: AccountId,
  at: Temporal.Instant,
): Promise<void> {
  const [one] = await database.sql<Due[]>`
    SELECT id AS account, name, post_language AS language FROM account x
     WHERE id = ${account} AND NOT EXISTS (SELECT FROM bot_message b WHERE b.account = x.id AND b.about = 'welcome')`;
  if (one === undefined) return;
  const teller = openTeller(database, await openBot(database, at), at);
  await teller.tell([one], () => ({ sentence: "welcome", about: "welcome", gaps: {} }));
}

interface Teller {
  tell<Row extends Due>(rows: readonly Row[], tellingOf: (row: Row) => Telling): Promise<void>;
  sent(): number;
}

function openTeller(database: Database, bot: Bot, at: Temporal.Instant): Teller {
  let sent = 0;
  let batches = 0;
  return {
    async tell(rows, tellingOf) {
      const { settings, sql } = database;
      const messages = rows.map((row): Message => {
        const { sentence, about, gaps, period } = tellingOf(row);
        const to = { to: row.name, language: answerLanguage(row.language) };
        const month = period === undefined ? {} : { month: monthText(period, to.language) };
        return {
          account: row.account,
          name: row.name,
          said: say(settings, to, sentence, { ...gaps, ...month }),
          about,
        };
      });
      // A millisecond holds 65,536 ids: a batch takes a few hundred of one.
      const when = at.add({ milliseconds: batches });
      batches += 1;
      sent += await retrying(() => sendMessages(sql, settings, bot, { messages, at: when }));
    },
    sent: () => sent,
  };
}

interface Settled extends Due {
  readonly state: "settled" | "unfunded" | "late" | "lapsed";
  readonly about: string;
  readonly flattrs: number;
  readonly spent: bigint;
}

/** Patrons: what became of their budget. Whoever had no flattr that counts is told nothing. */
async function tellClosed({ sql }: Database, teller: Teller, period: Period): Promise<void> {
  for (let after = 0n; ;) {
    const rows = await sql<Settled[]>`
      SELECT s.patron AS account, x.name, x.post_language AS language, s.state, s.flattrs, s.spent, s.about
        FROM (SELECT *, CASE WHEN state IN ('late', 'lapsed') THEN state ELSE 'closed' END || ${`:${period}`} AS about
                FROM settlement WHERE period = ${periodNumber(period)} AND flattrs > 0 AND state <> 'frozen') s
        JOIN account x ON x.id = s.patron
       WHERE s.patron > ${after} AND NOT EXISTS (SELECT FROM bot_message b WHERE b.account = s.patron AND b.about = s.about)
       ORDER BY s.patron LIMIT ${BATCH}`;
    if (rows.length === 0) return;
    after = rows.at(-1)!.account;
    await teller.tell(rows, ({ state, about, flattrs, spent }) => ({
      sentence: state === "settled" ? (spent > 0n ? "closed" : "closedPaused") : state,
      about,
      period,
      gaps: {
        count: flattrs,
        spent: { amount: toMicro(spent) },
        until: graceEndsAt(period),
      },
    }));
  }
}

interface Received extends Due {
  readonly kind: "settle" | "late";
  readonly amount: bigint;
}

/**
 * Creators: what people of this instance gave them. What comes late is told when the grace is over and nothing more
 * can come. Read from the ledger, where a month is one entry per creator and range of patrons.
 */
async function tellReceived({ sql }: Database, teller: Teller, period: Period): Promise<void> {
  for (const { kind, about, sentence } of [
    { kind: "settle", about: `received:${period}`, sentence: "received" },
    { kind: "late", about: `received_late:${period}`, sentence: "receivedLate" },
  ] as const) {
    const read = sql<Received[]>`
      SELECT x.id AS account, x.name, x.post_language AS language, sum(e.amount)::bigint AS amount
        FROM ledger.transfer t
        JOIN ledger.entry e ON e.transfer = t.id AND e.amount > 0
        JOIN ledger.account a ON a.id = e.account AND a.kind = 'earnings'
        JOIN account x ON x.id = a.owner
       WHERE t.period = ${periodNumber(period)} AND t.kind = ${kind}
         AND (${kind} = 'settle' OR EXISTS (SELECT FROM period p WHERE p.id = t.period AND p.state = 'final'))
         AND NOT EXISTS (SELECT FROM bot_message b WHERE b.account = x.id AND b.about = ${about})
       GROUP BY x.id ORDER BY x.id`;
    for await (const rows of read.cursor(BATCH))
      await teller.tell(rows, ({ amount }) => ({
        sentence,
        about,
        period,
        gaps: { amount: { amount: toMicro(amount) } },
      }));
  }
}

interface Covered extends Due {
  readonly host: string;
  readonly period: number;
  readonly amount: bigint;
  readonly about: string;
}

/** Creators: what another instance had promised and has paid. */
async function tellCovered(
  { sql, settings }: Database,
  teller: Teller,
  since: Temporal.Instant,
): Promise<void> {
  const read = sql<Covered[]>`
    SELECT x.id AS account, x.name, x.post_language AS language, p.host, l.period, sum(l.amount)::bigint AS amount,
           'covered:' || t.peer || ':' || t.seq AS about
      FROM peer p
      JOIN LATERAL (SELECT * FROM transfer_in i WHERE i.peer = p.id ORDER BY i.seq DESC LIMIT ${TRANSFERS_MAX}) t
        ON t.released_at > ${sqlTime(since)} AND t.currency = ${settings.currency}
      JOIN transfer_line l ON l.peer = t.peer AND l.seq = t.seq
      JOIN account x ON x.id = l.account
     WHERE NOT EXISTS (SELECT FROM bot_message b WHERE b.account = x.id AND b.about = 'covered:' || t.peer || ':' || t.seq)
     GROUP BY x.id, p.host, l.period, t.peer, t.seq ORDER BY x.id, t.peer, t.seq`;
  for await (const rows of read.cursor(BATCH))
    await teller.tell(rows, ({ host, period, amount, about }) => ({
      sentence: "covered",
      about,
      period: periodFromNumber(period),
      gaps: { host, amount: { amount: toMicro(amount) } },
    }));
}

interface Purse extends Due {
  /** Null: none was ever set. */
  readonly budget: bigint | null;
  readonly available: bigint;
  /** True when he is to be told. */
  readonly low: boolean | null;
}

/** Patrons whose flattrs are to share more than is there, when the month ends within three days. */
async function tellLow(
  { sql, settings }: Database,
  teller: Teller,
  at: Temporal.Instant,
): Promise<void> {
  const period = periodOf(at);
  const closes = closesAt(period);
  if (Temporal.Instant.compare(at, closes.subtract({ hours: LOW_HOURS })) < 0) return;
  const month = periodNumber(period);
  const about = `low:${period}`;
  for (let after = 0n; ;) {
    // A page of accounts, whoever is on it: what a page costs does not depend on how few are concerned.
    const page = await sql<Purse[]>`
      SELECT x.id AS account, x.name, x.post_language AS language, b.amount AS budget, COALESCE(l.amount, 0) AS available,
             b.amount > COALESCE(l.amount, 0)
             AND NOT EXISTS (SELECT FROM bot_message m WHERE m.account = x.id AND m.about = ${about})
             AND EXISTS (SELECT FROM flattr f JOIN split_part p ON p.split = f.split JOIN payee_standing s ON s.payee = p.payee
                          WHERE f.period = ${month} AND f.patron = x.id AND s.reason IS NULL AND NOT is_own(f.patron, p.payee)) AS low
        FROM (SELECT * FROM account WHERE id > ${after} ORDER BY id LIMIT ${BATCH}) x
        LEFT JOIN LATERAL (SELECT amount FROM budget WHERE budget.patron = x.id ORDER BY budget.id DESC LIMIT 1) b ON true
        LEFT JOIN ledger.account a ON a.kind = 'budget' AND a.owner = x.id AND a.peer = 0 AND a.currency = ${settings.currency}
        LEFT JOIN ledger.balance l ON l.account = a.id
       ORDER BY x.id`;
    if (page.length === 0) return;
    after = page.at(-1)!.account;
    await teller.tell(
      page.filter(({ low }) => low === true),
      ({ budget, available }) => ({
        sentence: "low",
        about,
        period,
        gaps: {
          budget: { amount: toMicro(budget ?? 0n) },
          available: { amount: toMicro(available) },
          closes,
        },
      }),
    );
  }
}
