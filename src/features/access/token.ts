/** Access tokens: what an app shows to act for somebody. Only their digests are kept. */

import { eq, getTableColumns, sql } from "drizzle-orm";
import { type Database, type Drizzle, TEXTS, type Tx } from "../../store/database.ts";
import { gatherEach } from "../../store/gather.ts";
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

const ACCOUNT = Object.entries(getTableColumns(account));

/** SQL: the columns of the account `x`, by the names that the program knows them by. */
const ACCOUNT_COLUMNS = ACCOUNT.map(([key, { name }]) => `x."${name}" AS "account_${key}"`).join(
  ", ",
);

interface Row {
  /** In hexadecimal. */
  readonly digest: string;
  readonly id: bigint;
  readonly app: bigint;
  readonly scopes: readonly string[];
  readonly counts_flattrs: boolean;
  readonly used_at: Date | null;
  readonly [column: `account_${string}`]: unknown;
}

/**
 * What a token allows; undefined when there is none. Asked of the database each time: one that ended is over at once.
 * Every request begins with it, so those that come together ask together.
 */
export async function findToken(
  database: Pick<Database, "sql" | "drizzle">,
  secret: string,
  at: Temporal.Instant,
): Promise<Access | undefined> {
  if (secret.length > SECRET_CHARS_MAX) return undefined;
  const found = await findRow(database, Buffer.from(digestOf(secret)).toString("hex"));
  if (found === undefined) return undefined;
  const { used_at: usedAt } = found;
  if (usedAt === null || at.epochMilliseconds - usedAt.getTime() > USED_MS)
    await database.drizzle.update(token).set({ usedAt: at }).where(eq(token.id, found.id));
  return {
    token: found.id,
    app: found.app,
    account: accountIn(found),
    scopes: new Set(found.scopes),
    countsFlattrs: found.counts_flattrs,
  };
}

/** The row of a token, by its digest. */
const findRow = gatherEach<Pick<Database, "sql">, string, Row | undefined>(({ sql: raw }) => ({
  work: async (digests) => {
    const wanted = [...new Set(digests)].map((digest) => `\\x${digest}`);
    const rows = await raw<Row[]>`
      SELECT encode(t.digest, 'hex') AS digest, t.id, t.app, t.scopes, t.counts_flattrs, t.used_at, ${raw.unsafe(ACCOUNT_COLUMNS)}
        FROM token t LEFT JOIN LATERAL (SELECT * FROM account WHERE id = t.account OFFSET 0) x ON true
       WHERE t.digest = ANY(${raw.array(wanted, TEXTS)}::bytea[])`;
    const found = new Map(rows.map((row) => [row.digest, row]));
    return digests.map((digest) => found.get(digest));
  },
}));

function accountIn(row: Row): Account | undefined {
  if (row["account_id"] === null) return undefined;
  return Object.fromEntries(
    ACCOUNT.map(([key, column]) => {
      const value = row[`account_${key}`];
      return [key, value === null ? null : column.mapFromDriverValue(value)];
    }),
  ) as unknown as Account;
}

/** Ends a token: it opens nothing any more, and streams that it opened are closed. */
export async function endToken(tx: Tx, id: bigint, at: Temporal.Instant): Promise<void> {
  const [gone] = await tx.delete(token).where(eq(token.id, id)).returning({ id: token.id });
  if (gone === undefined) return;
  await tx.execute(
    sql`INSERT INTO stream_event (kind, subject, at) VALUES ('token_gone', ${id}, ${sqlTime(at)})`,
  );
}
