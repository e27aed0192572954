/** Access tokens: what an app shows to act for somebody. Only their digests are kept. */

import { eq, sql } from "drizzle-orm";
import type { Database, Drizzle, Tx } from "../../store/database.ts";
import { addJob, type JobKind } from "../../store/jobs.ts";
import { digestOf, newSecret } from "../../store/secret.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { Account, AccountId } from "../account/create.ts";
import { account } from "../account/schema.ts";
import { token } from "./schema.ts";

/** What a token allows, and to whom. */
export interface Access {
  readonly token: bigint;
  readonly app: bigint;
  /** Undefined: the app acts for itself alone. */
  readonly account: Account | undefined;
  readonly scopes: ReadonlySet<string>;
  /** False: favourites from this app are not flattrs. */
  readonly countsFlattrs: boolean;
}

/** Somebody may have signed in with an app for the first time. */
export const firstToken: JobKind<{ readonly account: string }> = { name: "access.first_token" };

/** Makes a token. The secret is shown this once. */
export async function createToken(
  tx: Tx | Drizzle,
  made: {
    readonly app: bigint;
    readonly account: AccountId | undefined;
    readonly scopes: readonly string[];
    readonly countsFlattrs: boolean;
    readonly at: Temporal.Instant;
  },
): Promise<{ readonly id: bigint; readonly secret: string }> {
  const secret = newSecret();
  const [row] = await tx
    .insert(token)
    .values({
      id: sql`new_id(${sqlTime(made.at)})`,
      digest: digestOf(secret),
      app: made.app,
      account: made.account ?? null,
      scopes: made.scopes,
      countsFlattrs: made.countsFlattrs,
      createdAt: made.at,
    })
    .returning({ id: token.id });
  if (made.account !== undefined)
    await addJob(tx, firstToken, { account: String(made.account) }, `first token ${made.account}`);
  return { id: row!.id, secret };
}

/** Longest secret that is looked at. */
const SECRET_CHARS_MAX = 200;

/** How exactly it is known when a token was last used. */
const USED_MS = 3_600_000;

/** What a token allows; undefined when there is none. Asked of the database each time: one that ended is over at once. */
export async function findToken(
  database: Pick<Database, "drizzle">,
  secret: string,
  at: Temporal.Instant,
): Promise<Access | undefined> {
  if (secret.length > SECRET_CHARS_MAX) return undefined;
  const [found] = await database.drizzle
    .select({ token, account })
    .from(token)
    .leftJoin(account, eq(account.id, token.account))
    .where(eq(token.digest, digestOf(secret)));
  if (found === undefined) return undefined;
  const { usedAt } = found.token;
  if (usedAt === null || at.epochMilliseconds - usedAt.epochMilliseconds > USED_MS)
    await database.drizzle.update(token).set({ usedAt: at }).where(eq(token.id, found.token.id));
  return {
    token: found.token.id,
    app: found.token.app,
    account: found.account ?? undefined,
    scopes: new Set(found.token.scopes),
    countsFlattrs: found.token.countsFlattrs,
  };
}

/** Ends a token: it opens nothing any more, and streams that it opened are closed. */
export async function endToken(tx: Tx, id: bigint, at: Temporal.Instant): Promise<void> {
  const [gone] = await tx.delete(token).where(eq(token.id, id)).returning({ id: token.id });
  if (gone === undefined) return;
  await tx.execute(
    sql`INSERT INTO stream_event (kind, subject, at) VALUES ('token_gone', ${id}, ${sqlTime(at)})`,
  );
}
