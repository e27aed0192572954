/** Whether two want nothing to do with each other. */

import { sql } from "drizzle-orm";
import type { Tx } from "../../store/database.ts";
import type { ActorId } from "../account/actor.ts";

/** True when one of the two blocks the other. */
export async function isBlockedEitherWay(tx: Tx, one: ActorId, other: ActorId): Promise<boolean> {
  return (await isBlockedBy(tx, one, other)) || isBlockedBy(tx, other, one);
}

/** True when the first blocks the second. */
export async function isBlockedBy(tx: Tx, blocker: ActorId, blocked: ActorId): Promise<boolean> {
  const [row] = await tx.execute<{ is: boolean }>(sql`
    SELECT EXISTS (SELECT FROM person_block WHERE blocker = ${blocker}::bigint AND blocked = ${blocked}::bigint) AS is`);
  return row!.is;
}
