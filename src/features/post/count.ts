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
    SELECT count(*) AS many FROM account a JOIN post p ON p.author = a.actor WHERE p.deleted_at IS NULL`);
  return Number(row!.many);
}
