/** What people of this instance tell `@flattr` to do, by direct posts. Each is read once, as it was first written. */

import { type Micro, toMicro, ZERO } from "../../rules/amount.ts";
import { answerLanguage, type BotOrder, parseOrder } from "../../rules/bot-order.ts";
import { type Period, periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, retrying, type Sql } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { flattrActorUri } from "../account/own.ts";
import { refuseBudget } from "../budget/set.ts";
import { takeBackIn } from "../flattr/take-back.ts";
import { inOpenMonth } from "../settlement/change.ts";
import { type ClickNow, clickNow } from "../settlement/report.ts";
import { openBot, type RawTx, sendMessages } from "./message.ts";
import { type Gaps, moneyText, monthText, type Said, say, type Sentence } from "./words.ts";

/** Orders of one account in an hour that are answered: programs that answer each other must come to an end. */
const ORDERS_PER_HOUR_MAX = 60;

/** An id holds the milliseconds at which it was made above these bits. */
const TAIL_BITS = 16n;

/** A post that speaks to `@flattr`. */
interface Asked {
  readonly account: AccountId;
  readonly name: string;
  readonly language: string | null;
  readonly uri: string;
  readonly text: string;
  readonly at: Date;
}

/**
 * Does what a post says, and answers it, in one transaction. Nothing happens for posts that are not direct, or of
 * people elsewhere, or read before; of a post that was changed the first form counts.
 */
export async function answerOrder(
  database: Database,
  post: bigint,
  at: Temporal.Instant,
): Promise<void> {
  const asked = await askedIn(database, post);
  if (asked === undefined) return;
  const { settings } = database;
  const order = parseOrder(asked.text, settings.currency);
  const bot = await openBot(database, at);
  const now = order.word === "status" ? await clickNow(database, asked.account, at) : undefined;
  await inOpenMonth(database, at, () =>
    retrying(() =>
      database.sql.begin(async (tx) => {
        const period = periodOf(at);
        await tx`SELECT enter_period(${periodNumber(period)})`;
        // Orders of one person follow each other; whoever comes second sees that it was read.
        await tx`SELECT FROM account WHERE id = ${asked.account} FOR NO KEY UPDATE`;
        const [claimed] = await tx`
          INSERT INTO bot_order (post, account, word, at) VALUES (${post}, ${asked.account}, ${order.word ?? null}, ${sqlTime(at)})
          ON CONFLICT DO NOTHING RETURNING post`;
        if (claimed === undefined || (await isTooMany(tx, asked.account, at))) return;
        const said = await obey(tx, database, { asked, order, at, period, now });
        await sendMessages(tx, settings, bot, {
          messages: [{ account: asked.account, name: asked.name, said, inReplyTo: asked.uri }],
          at,
        });
      }),
    ),
  );
}

/** The post as it was first written, if it is for `@flattr` alone to obey. */
async function askedIn({ sql, settings }: Database, post: bigint): Promise<Asked | undefined> {
  const [row] = await sql<Asked[]>`
    SELECT x.id AS account, x.name, x.post_language AS language, t.uri, p.at,
           COALESCE((SELECT e.text FROM post_edit e WHERE e.post = p.id ORDER BY e.at LIMIT 1), p.text) AS text
      FROM post p JOIN account x ON x.actor = p.author JOIN thing t ON t.id = p.thing
      JOIN post_mention m ON m.post = p.id JOIN actor b ON b.id = m.actor AND b.uri = ${flattrActorUri(settings.origin)}
     WHERE p.id = ${post} AND p.visibility = 'direct' AND p.deleted_at IS NULL AND p.text IS NOT NULL
       AND NOT EXISTS (SELECT FROM bot_order o WHERE o.post = p.id)`;
  return row;
}

async function isTooMany(tx: RawTx, account: AccountId, at: Temporal.Instant): Promise<boolean> {
  const since = BigInt(at.subtract({ hours: 1 }).epochMilliseconds) << TAIL_BITS;
  const [row] = await tx<[{ many: number }]>`
    SELECT count(*)::int AS many FROM bot_order WHERE post > ${since} AND account = ${account}`;
  return row.many > ORDERS_PER_HOUR_MAX;
}

interface Obeying {
  readonly asked: Asked;
  readonly order: BotOrder;
  readonly at: Temporal.Instant;
  readonly period: Period;
  readonly now: ClickNow | undefined;
}

/** Does it, and says what came of it. */
async function obey(tx: RawTx, database: Database, doing: Obeying): Promise<Said> {
  const { asked, order, at, period, now } = doing;
  const { settings } = database;
  const language = answerLanguage(asked.language, order.language);
  const month = monthText(period, language);
  const answer = (sentence: Sentence, gaps: Gaps = {}) =>
    say(settings, { to: asked.name, language }, sentence, { month, ...gaps });
  switch (order.word) {
    case "status": {
      const { budget, available, closes, flattrs: count, value } = now!;
      const gaps = { count, budget: { amount: budget }, available: { amount: available }, closes };
      return value === undefined
        ? answer("statusEmpty", gaps)
        : answer("status", { ...gaps, value: { amount: value } });
    }
    case "undo": {
      const thing = await undo(tx, database, asked, at);
      return thing === undefined ? answer("nothingToUndo") : answer("undone", { thing });
    }
    case "pause":
      await writeBudget(tx, asked.account, ZERO, at);
      return answer("paused");
    case "budget": {
      if (!order.hasMore)
        return answer("budget", { budget: { amount: (await budgetOf(tx, asked.account)).set } });
      const outcome = await changeBudget(tx, database, { ...asked, amount: order.amount, at });
      return answer(outcome, {
        budget: { amount: order.amount ?? ZERO },
        // What everybody may read is no secret.
        minimum: moneyText(settings.minimumBudget, settings.currency, language),
        currency: settings.currency,
      });
    }
    default:
      return answer("help");
  }
}

/** Takes back the newest flattr of the month that somebody gave himself, before he asked for it. */
async function undo(
  tx: RawTx,
  { settings }: Database,
  { account, at: asked }: Asked,
  at: Temporal.Instant,
): Promise<string | undefined> {
  const [newest] = await tx<{ thing: bigint; uri: string }[]>`
    SELECT f.thing, t.uri FROM flattr f JOIN thing t ON t.id = f.thing
     WHERE f.period = ${periodNumber(periodOf(at))} AND f.patron = ${account} AND f.source <> 'subscription' AND f.at <= ${asked}
     ORDER BY f.id DESC LIMIT 1`;
  if (newest === undefined) return undefined;
  // The same client, inside this transaction.
  await takeBackIn(
    { sql: tx as unknown as Sql, settings },
    { patron: account, thing: newest.thing, at },
  );
  return newest.uri;
}

/** Lowers or pauses; raises up to the ceiling alone, since an app's token writes posts. */
async function changeBudget(
  tx: RawTx,
  { settings }: Database,
  wish: {
    readonly account: AccountId;
    readonly amount: Micro | undefined;
    readonly at: Temporal.Instant;
  },
): Promise<Sentence> {
  const { account, amount, at } = wish;
  if (amount === undefined) return "budgetUnclear";
  try {
    refuseBudget(settings, amount);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return error.reason === "budget_too_low" ? "budgetBelow" : "budgetUnclear";
  }
  const { set, ceiling } = await budgetOf(tx, account);
  if (amount > set && amount > (ceiling ?? set)) return "budgetAbove";
  await writeBudget(tx, account, amount, at);
  return amount === ZERO ? "paused" : "budgetSet";
}

/** The budget that is set, and up to which it may be raised by a message; undefined: no further. */
async function budgetOf(
  tx: RawTx,
  account: AccountId,
): Promise<{ readonly set: Micro; readonly ceiling: Micro | undefined }> {
  const [row] = await tx<[{ set: bigint | null; ceiling: bigint | null }]>`
    SELECT x.budget_ceiling AS ceiling, (SELECT b.amount FROM budget b WHERE b.patron = x.id ORDER BY b.id DESC LIMIT 1) AS set
      FROM account x WHERE x.id = ${account}`;
  return {
    set: toMicro(row.set ?? 0n),
    ceiling: row.ceiling === null ? undefined : toMicro(row.ceiling),
  };
}

/** The budget that counts already is not written again. */
async function writeBudget(
  tx: RawTx,
  account: AccountId,
  amount: Micro,
  at: Temporal.Instant,
): Promise<void> {
  if ((await budgetOf(tx, account)).set === amount) return;
  await tx`INSERT INTO budget (patron, since, amount) VALUES (${account}, ${sqlTime(at)}, ${amount})`;
}
