/** Which other servers are known. */

import type { Database } from "../../store/database.ts";

/** Most hosts that are listed. */
const HOSTS_MAX = 5_000;

/** Other servers of which somebody is known here, by `URL.host`. Steps from host to host, however many people each has. */
export async function knownHosts({
  sql,
  settings,
}: Pick<Database, "sql" | "settings">): Promise<readonly string[]> {
  const { host: own } = new URL(settings.origin);
  const rows = await sql<{ host: string }[]>`
    WITH RECURSIVE step AS (
      (SELECT host, 1 AS n FROM actor ORDER BY host LIMIT 1)
      UNION ALL
      SELECT (SELECT a.host FROM actor a WHERE a.host > step.host ORDER BY a.host LIMIT 1), step.n + 1
        FROM step WHERE step.host IS NOT NULL AND step.n < ${HOSTS_MAX})
    SELECT host FROM step WHERE host IS NOT NULL AND host <> ${own}`;
  return rows.map(({ host }) => host);
}
