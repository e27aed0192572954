/**
 * Signing in: by name or e-mail address and password. Who guesses waits, longer and longer; who is known from this
 * network does not wait for what strangers do elsewhere.
 */

import { eq } from "drizzle-orm";
import { type Database, retrying } from "../../store/database.ts";
import { countExact, type RateLimit } from "../../store/rates.ts";
import { digestOf } from "../../store/secret.ts";
import { networkOf, senderOf } from "../../store/sender.ts";
import { sqlTime, Temporal } from "../../store/time.ts";
import type { Account } from "./create.ts";
import type { PasswordCheck } from "./password.ts";
import { account, actor } from "./schema.ts";
import { type Browser, endSession, LIFE_DAYS_MAX, startSession } from "./session.ts";

/** A second proof that somebody may have set up for himself. */
export interface SecondFactor {
  readonly name: string;
  isSetUp(account: Account): Promise<boolean>;
}

/** What signing in needs. */
export interface SignInParts {
  readonly database: Database;
  readonly passwords: PasswordCheck;
  /** Those that this instance knows. Whoever has set one up gets no session before it is given. */
  readonly factors: readonly SecondFactor[];
}

/** Somebody tries. */
export interface Attempt {
  /** A name or an e-mail address, as typed. */
  readonly name: string;
  readonly password: string;
  readonly browser: Browser;
  /** The session that the browser has already: it ends when another one begins. */
  readonly before: bigint | undefined;
  /** Real time. */
  readonly at: Temporal.Instant;
}

/** What became of it. */
export type SignIn =
  | { readonly kind: "signed_in"; readonly account: Account; readonly secret: string }
  /** The password was right, and no session exists: one of these comes next. */
  | {
      readonly kind: "second_factor";
      readonly account: Account;
      readonly factors: readonly string[];
    }
  /** Nobody of this name has this password; it is not said which of the two is wrong. */
  | { readonly kind: "wrong" }
  | { readonly kind: "wait"; readonly seconds: number };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Wrong passwords from one sender, whatever the names. A wait of minutes, then of hours, never without end. */
const FROM_SENDER: readonly RateLimit[] = [
  { limit: 15, windowMs: 10 * MINUTE_MS },
  { limit: 60, windowMs: 6 * HOUR_MS },
];

/** Wrong passwords for one account, from all networks together where nobody has signed in to it. */
const FROM_STRANGERS: readonly RateLimit[] = [
  { limit: 10, windowMs: 10 * MINUTE_MS },
  { limit: 30, windowMs: 6 * HOUR_MS },
  { limit: 60, windowMs: 24 * HOUR_MS },
];

/** The same for each network where somebody has: strangers elsewhere do not count. */
const FROM_KNOWN: readonly RateLimit[] = [
  { limit: 15, windowMs: 10 * MINUTE_MS },
  { limit: 60, windowMs: 6 * HOUR_MS },
];

/** How long a network is remembered after somebody has signed in from it. */
const KNOWN_DAYS = LIFE_DAYS_MAX;

/** When to come again while too many passwords are being checked. */
const BUSY_SECONDS = 2;

/** Signs somebody in. A right password is not counted, so those who have it never wait for themselves. */
export async function signIn(
  { database, passwords, factors }: SignInParts,
  { name, password, browser, before, at }: Attempt,
): Promise<SignIn> {
  const found = await accountTyped(database, name);
  const who = found === undefined ? `typed ${digestText(name)}` : `account ${found.id}`;
  const counted = await countTry(database, who, browser, at);
  if ("seconds" in counted) return { kind: "wait", seconds: counted.seconds };
  const isRight = await passwords.isRight(found?.passwordHash ?? null, password);
  if (isRight === "busy") {
    await uncount(database, counted);
    return { kind: "wait", seconds: BUSY_SECONDS };
  }
  if (!isRight || found === undefined) return { kind: "wrong" };
  await uncount(database, counted);
  const asked: string[] = [];
  for (const factor of factors) if (await factor.isSetUp(found)) asked.push(factor.name);
  if (asked.length > 0) return { kind: "second_factor", account: found, factors: asked };
  const secret = await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      if (before !== undefined) await endSession(tx, before);
      return startSession(tx, { account: found.id, browser, at });
    }),
  );
  await rememberNetwork(database, networkKey(who, browser), at);
  return { kind: "signed_in", account: found, secret };
}

/** Whose name or address this is; undefined for nobody, after the same query. */
async function accountTyped({ drizzle }: Database, typed: string): Promise<Account | undefined> {
  const text = typed.trim().toLowerCase();
  const name = text.replace(/^@/, "");
  const isName = /^[a-z0-9_]{1,30}$/.test(name);
  // Anything else was never accepted as an address; and some of it is no text for a database.
  const isEmail = /^[\x21-\x7e]{3,254}$/.test(text) && text.lastIndexOf("@") > 0;
  const [found] = await drizzle
    .select({ account })
    .from(account)
    .innerJoin(actor, eq(actor.id, account.actor))
    .where(isEmail ? eq(account.email, text) : eq(account.name, isName ? name : ""));
  return found?.account;
}

/** One count in the table. */
interface Count {
  readonly key: string;
  readonly resetAt: Temporal.Instant;
}

/** Counts a try, or says how long to wait. Once a count is over, those behind it are left alone. */
async function countTry(
  database: Database,
  who: string,
  browser: Browser,
  at: Temporal.Instant,
): Promise<readonly Count[] | { readonly seconds: number }> {
  const known = networkKey(who, browser);
  const limits: readonly (readonly [string, readonly RateLimit[]])[] = (await isKnown(
    database,
    known,
    at,
  ))
    ? [[`${known} try`, FROM_KNOWN]]
    : [
        [`sign-in from ${senderOf(browser.remoteAddress)}`, FROM_SENDER],
        [`sign-in to ${who}`, FROM_STRANGERS],
      ];
  const counted: Count[] = [];
  for (const [name, windows] of limits) {
    for (const { limit, windowMs } of windows) {
      // Stretches of different length may end at the same moment: each has its own row.
      const key = `${name} ${windowMs}`;
      const { isOver, resetAt } = await countExact(database, { key, limit, windowMs, now: at });
      counted.push({ key, resetAt });
      if (isOver) {
        await uncount(database, counted);
        return { seconds: Math.max(1, Math.ceil(at.until(resetAt).total({ unit: "seconds" }))) };
      }
    }
  }
  return counted;
}

/** Takes back what was counted for a try that was none. */
async function uncount({ sql }: Database, counted: readonly Count[]): Promise<void> {
  for (const { key, resetAt } of counted)
    await sql`UPDATE rate SET count = greatest(count - 1, 0) WHERE key = ${key} AND ends = ${sqlTime(resetAt)}`;
}

function networkKey(who: string, { remoteAddress }: Browser): string {
  return `sign-in known ${digestText(`${who} ${networkOf(remoteAddress)}`)}`;
}

/** Counts may be lost in a crash; then everybody is a stranger until the next time. */
async function isKnown({ sql }: Database, key: string, at: Temporal.Instant): Promise<boolean> {
  const [found] = await sql`SELECT FROM rate WHERE key = ${key} AND ends > ${sqlTime(at)} LIMIT 1`;
  return found !== undefined;
}

/** One row for each network, which lives on with each time that somebody signs in from there. */
async function rememberNetwork(
  { sql }: Database,
  key: string,
  at: Temporal.Instant,
): Promise<void> {
  const ends = sqlTime(at.add({ hours: KNOWN_DAYS * 24 }));
  await sql`
    WITH older AS (DELETE FROM rate WHERE key = ${key} AND ends <> ${ends})
    INSERT INTO rate (key, ends, count) VALUES (${key}, ${ends}, 1) ON CONFLICT DO NOTHING`;
}

/** What was typed, or where somebody was: compared, never read again. */
function digestText(text: string): string {
  return Buffer.from(digestOf(text)).toString("base64url");
}
