/** Authorization codes: what a person allowed an app, on its way from the browser to the app. */

import { createHash, timingSafeEqual } from "node:crypto";
import { eq } from "drizzle-orm";
import { type Database, type Drizzle, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { digestOf, newSecret } from "../../store/secret.ts";
import type { Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { grant } from "./schema.ts";
import { createToken, endToken } from "./token.ts";

/** What somebody allowed. */
export interface Grant {
  readonly app: bigint;
  readonly account: AccountId;
  readonly redirectUri: string;
  readonly scopes: readonly string[];
  /** False: favourites from this app are not flattrs. */
  readonly countsFlattrs: boolean;
  /** PKCE, S256. */
  readonly challenge: string | undefined;
}

/** What an app shows to get its token. */
export interface Exchange {
  readonly app: bigint;
  readonly code: string;
  readonly redirectUri: string;
  readonly verifier: string | undefined;
  /** Time of the domain, for the token. */
  readonly at: Temporal.Instant;
  /** Real time, for the code. */
  readonly real: Temporal.Instant;
}

/** How long a code may be on its way. @see https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2 */
const CODE_MINUTES_MAX = 10;

/** Longest code that is looked at, in characters. */
const CODE_CHARS_MAX = 200;

/**
 * Makes a code for what was allowed.
 *
 * @param real real time
 */
export async function makeGrant(
  tx: Tx | Drizzle,
  { challenge, ...allowed }: Grant,
  real: Temporal.Instant,
): Promise<string> {
  const code = newSecret();
  await tx.insert(grant).values({
    ...allowed,
    digest: digestOf(code),
    challenge: challenge ?? null,
    createdAt: real,
  });
  return code;
}

/**
 * Changes a code into a token, once. Whoever shows it again has stolen it, or was stolen from: the token that came of
 * it ends.
 *
 * @throws Refusal "grant_invalid": the same for every reason
 * @see https://www.rfc-editor.org/rfc/rfc9700#section-4.5
 */
export async function exchangeGrant(
  { drizzle }: Pick<Database, "drizzle">,
  exchange: Exchange,
): Promise<{ readonly secret: string; readonly scopes: readonly string[] }> {
  const { code, at, real } = exchange;
  if (code.length > CODE_CHARS_MAX) throw new Refusal("grant_invalid");
  const made = await retrying(() =>
    drizzle.transaction(async (tx) => {
      const [found] = await tx
        .select()
        .from(grant)
        .where(eq(grant.digest, digestOf(code)))
        .for("update");
      if (found === undefined || found.app !== exchange.app) return undefined;
      if (found.usedAt !== null) {
        if (found.token !== null) await endToken(tx, found.token, at);
        return undefined;
      }
      if (!isUsable(found, exchange)) return undefined;
      const token = await createToken(tx, {
        app: found.app,
        account: found.account,
        scopes: found.scopes,
        countsFlattrs: found.countsFlattrs,
        at,
      });
      await tx
        .update(grant)
        .set({ usedAt: real, token: token.id })
        .where(eq(grant.digest, found.digest));
      return { secret: token.secret, scopes: found.scopes };
    }),
  );
  // Not thrown inside: the token that is to end must end.
  if (made === undefined) throw new Refusal("grant_invalid");
  return made;
}

function isUsable(
  { createdAt, redirectUri, challenge }: typeof grant.$inferSelect,
  exchange: Exchange,
): boolean {
  const minutes = createdAt.until(exchange.real).total({ unit: "minutes" });
  return (
    minutes <= CODE_MINUTES_MAX &&
    redirectUri === exchange.redirectUri &&
    answers(challenge, exchange.verifier)
  );
}

/**
 * Whether a verifier answers a challenge. One without the other is refused, too: somebody between the two may have
 * taken the challenge away.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1
 */
function answers(challenge: string | null, verifier: string | undefined): boolean {
  if (challenge === null || verifier === undefined)
    return challenge === null && verifier === undefined;
  if (!/^[\w.~-]{43,128}$/.test(verifier)) return false;
  const shown = createHash("sha256").update(verifier).digest();
  return timingSafeEqual(shown, Buffer.from(challenge, "base64url"));
}
