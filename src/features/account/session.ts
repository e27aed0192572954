/** Sessions: a browser in which somebody has signed in. The cookie holds a secret, the table its digest. */

import { and, eq, isNull, sql } from "drizzle-orm";
import { printable } from "../../rules/text.ts";
import type { Database, Drizzle, Tx } from "../../store/database.ts";
import { digestOf, newSecret } from "../../store/secret.ts";
import { networkOf } from "../../store/sender.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { Account, AccountId } from "./create.ts";
import { account, actor, session } from "./schema.ts";

/** A browser, and who has signed in with it. */
export interface Session {
  readonly id: bigint;
  readonly account: Account;
  /** When the password was last given. */
  readonly provedAt: Temporal.Instant;
}

/** The browser that signs in. */
export interface Browser {
  readonly remoteAddress: string;
  readonly userAgent: string;
}

/** A session ends when it was not used for so long, and when it is so old. */
export const IDLE_DAYS_MAX = 14;
export const LIFE_DAYS_MAX = 90;

/** How exactly it is known when a session was last used. */
const SEEN_HOURS = 1;

/** Characters of a browser's name that are kept. */
const USER_AGENT_CHARS_MAX = 200;

/** 256 bits in base64url. */
const SECRET = /^[\w-]{43}$/;

/**
 * Starts a session. The secret is shown this once; nothing that the browser had before goes on.
 *
 * @param at real time
 */
export async function startSession(
  tx: Tx,
  {
    account,
    browser,
    at,
  }: { readonly account: AccountId; readonly browser: Browser; readonly at: Temporal.Instant },
): Promise<string> {
  const secret = newSecret();
  await tx.insert(session).values({
    id: sql`new_id(${sqlTime(at)})`,
    account,
    digest: digestOf(secret),
    createdAt: at,
    seenAt: at,
    provedAt: at,
    network: networkOf(browser.remoteAddress),
    userAgent: printable(browser.userAgent, USER_AGENT_CHARS_MAX),
  });
  return secret;
}

/**
 * Who has signed in with this cookie; undefined when nobody has, or too long ago.
 *
 * @param at real time
 */
export async function findSession(
  { drizzle }: Pick<Database, "drizzle">,
  secret: string,
  at: Temporal.Instant,
): Promise<Session | undefined> {
  if (!SECRET.test(secret)) return undefined;
  const [found] = await drizzle
    .select({ session, account })
    .from(session)
    .innerJoin(account, eq(account.id, session.account))
    .innerJoin(actor, eq(actor.id, account.actor))
    .where(and(eq(session.digest, digestOf(secret)), isNull(actor.deletedAt)));
  if (found === undefined) return undefined;
  const { id, seenAt, createdAt, provedAt } = found.session;
  const hours = (from: Temporal.Instant) => from.until(at).total({ unit: "hours" });
  if (hours(seenAt) > IDLE_DAYS_MAX * 24 || hours(createdAt) > LIFE_DAYS_MAX * 24) return undefined;
  if (hours(seenAt) > SEEN_HOURS)
    await drizzle.update(session).set({ seenAt: at }).where(eq(session.id, id));
  return { id, account: found.account, provedAt };
}

/** Ends a session: its cookie opens nothing any more. */
export async function endSession(tx: Tx | Drizzle, id: bigint): Promise<void> {
  await tx.delete(session).where(eq(session.id, id));
}

/** Ends all sessions of somebody. */
export async function endSessionsOf(tx: Tx | Drizzle, id: AccountId): Promise<number> {
  const gone = await tx
    .delete(session)
    .where(eq(session.account, id))
    .returning({ id: session.id });
  return gone.length;
}
