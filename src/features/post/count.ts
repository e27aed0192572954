/** How large this house is. */

import { count } from "drizzle-orm";
import { sql } from "drizzle-orm";
import type { Database } from "../../store/database.ts";
import { account } from "../account/schema.ts";

/** People with an account. */
export async function countPeople({ drizzle }: Pick<Database, "drizzle">): Promise<number> {
  const [row] = await drizzle.select({ many: count() }).from(account);
  return row!.many;
}

/** Posts that were written here and are still there. */
export async function countPosts({ drizzle }: Pick<Database, "drizzle">): Promise<number> {
  const [row] = await drizzle.execute<{ many: string }>(sql`
    SELECT COALESCE(sum(c.posts), 0) AS many FROM account a JOIN actor_count c ON c.actor = a.actor`);
  return Number(row!.many);
}
