/** An app gives back what it was allowed. */

import { eq } from "drizzle-orm";
import type { Database } from "../../store/database.ts";
import { digestOf } from "../../store/secret.ts";
import type { Temporal } from "../../store/time.ts";
import { token } from "./schema.ts";
import { endToken } from "./token.ts";

/** Longest token that is looked at, in characters. */
const SECRET_CHARS_MAX = 200;

/**
 * Ends a token of this app. One that is not there is as good as ended.
 *
 * @returns false when it belongs to another app, and stays
 * @see https://www.rfc-editor.org/rfc/rfc7009#section-2.1
 */
export async function revokeToken(
  { drizzle }: Pick<Database, "drizzle">,
  {
    app,
    secret,
    at,
  }: { readonly app: bigint; readonly secret: string; readonly at: Temporal.Instant },
): Promise<boolean> {
  if (secret.length > SECRET_CHARS_MAX) return true;
  return drizzle.transaction(async (tx) => {
    const [found] = await tx
      .select({ id: token.id, app: token.app })
      .from(token)
      .where(eq(token.digest, digestOf(secret)));
    if (found === undefined) return true;
    if (found.app !== app) return false;
    await endToken(tx, found.id, at);
    return true;
  });
}
