/** The key by which push services know this instance (VAPID). @see https://www.rfc-editor.org/rfc/rfc8292 */

import { asc, sql } from "drizzle-orm";
import webPush from "web-push";
import type { Database } from "../../store/database.ts";
import type { Vault } from "../../store/keys.ts";
import type { Temporal } from "../../store/time.ts";
import { pushKey } from "./schema.ts";

/** Both halves, base64url. */
export interface PushKey {
  readonly publicKey: string;
  readonly privateKey: string;
}

const placeOf = (publicKey: string) => `push_key:${publicKey}`;

/** It never changes: apps subscribe for exactly this key. */
const known = new WeakMap<object, Promise<PushKey>>();

/** The key of this instance, made at first need; the private half is sealed in the database. */
export function pushKeyOf(
  database: Pick<Database, "drizzle">,
  vault: Vault,
  at: Temporal.Instant,
): Promise<PushKey> {
  const begun = known.get(database.drizzle);
  if (begun !== undefined) return begun;
  const made = readOrMake(database, vault, at);
  known.set(database.drizzle, made);
  // What failed is tried again.
  made.catch(() => known.delete(database.drizzle));
  return made;
}

/** The public half, base64url, for apps. */
export async function vapidPublicKey(
  database: Pick<Database, "drizzle">,
  vault: Vault,
  at: Temporal.Instant,
): Promise<string> {
  return (await pushKeyOf(database, vault, at)).publicKey;
}

function readOrMake(
  { drizzle }: Pick<Database, "drizzle">,
  vault: Vault,
  at: Temporal.Instant,
): Promise<PushKey> {
  return drizzle.transaction(async (tx) => {
    // Of several nodes that start together one makes it.
    await tx.execute(sql`LOCK TABLE push_key IN SHARE ROW EXCLUSIVE MODE`);
    const [kept] = await tx.select().from(pushKey).orderBy(asc(pushKey.createdAt)).limit(1);
    if (kept !== undefined) {
      const privateKey = vault.unseal(kept.sealed, placeOf(kept.publicKey));
      return { publicKey: kept.publicKey, privateKey: Buffer.from(privateKey).toString() };
    }
    const made = webPush.generateVAPIDKeys();
    await tx.insert(pushKey).values({
      publicKey: made.publicKey,
      sealed: vault.seal(Buffer.from(made.privateKey), placeOf(made.publicKey)),
      createdAt: at,
    });
    return made;
  });
}
