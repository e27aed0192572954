/** Local accounts. */

import { Refusal } from "../../store/refusal.ts";
import { type Database, retrying, sqlFailure } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { sql } from "drizzle-orm";
import { openLedgerAccounts } from "../ledger/book.ts";
import { ensureActors } from "./actor.ts";
import { hashPassword } from "./password.ts";
import { account } from "./schema.ts";

/** Somebody who gets an account. */
export interface NewAccount {
  readonly name: string;
  readonly email: string;
  /** Without one nobody can sign in until one is set. */
  readonly password?: string | undefined;
  readonly role: "user" | "admin";
  readonly at: Temporal.Instant;
}

export type Account = typeof account.$inferSelect;
export type AccountId = bigint;

/** Names that the instance needs for itself. */
const RESERVED: ReadonlySet<string> = new Set([
  "flattr",
  "admin",
  "root",
  "actor",
  "inbox",
  "system",
  "instance",
]);

/** The URI of a person of this instance; part of every signed document, so it never changes. */
export function actorUri(origin: string, name: string): string {
  return `${origin}/users/${name}`;
}

/**
 * Creates a local account with its actor and its two ledger accounts, budget and earnings.
 *
 * @throws Refusal "account_invalid" for a name, address or password that breaks its rule, "account_taken" for one in use
 */
export async function createAccount(
  database: Database,
  { name: written, email, password, role, at }: NewAccount,
): Promise<Account> {
  const name = written.toLowerCase();
  if (!/^[a-z0-9_]{1,30}$/.test(name) || RESERVED.has(name)) {
    throw new Refusal("account_invalid", {
      what: "name",
      rule: "a name has 1 to 30 letters a-z, digits or _, and is not one that the instance needs",
    });
  }
  if (!isEmail(email))
    throw new Refusal("account_invalid", {
      what: "email",
      rule: "an e-mail address looks like name@host.example",
    });
  const passwordHash = password === undefined ? null : await hashPassword(password);
  const { origin, currency } = database.settings;
  const uri = actorUri(origin, name);
  try {
    return await retrying(() =>
      database.drizzle.transaction(async (tx) => {
        const actors = await ensureActors(tx, [{ uri, name }], at);
        const [made] = await tx
          .insert(account)
          .values({
            id: sql`new_id(${sqlTime(at)})`,
            actor: actors.get(uri)!,
            name,
            email: email.toLowerCase(),
            passwordHash,
            role,
            createdAt: at,
          })
          .returning();
        await openLedgerAccounts(tx, currency, [
          { kind: "budget", owner: made!.id },
          { kind: "earnings", owner: made!.id },
        ]);
        return made!;
      }),
    );
  } catch (error) {
    const failure = sqlFailure(error);
    if (failure?.code === "23505" && failure.constraint?.startsWith("account_")) {
      throw new Refusal("account_taken", {
        what: failure.constraint.includes("email") ? "email" : "name",
      });
    }
    throw error;
  }
}

/** Plain addresses only: no comments, no quotes, no other alphabets, nothing that a mail program reads differently. */
function isEmail(text: string): boolean {
  return (
    text.length <= 254 &&
    /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/i.test(
      text,
    )
  );
}
