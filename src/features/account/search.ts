/** Finding people by what they are called. */

import { parseHandle } from "../../rules/address.ts";
import type { Database } from "../../store/database.ts";
import type { ActorId } from "./actor.ts";

/** Longest words that are looked for, in characters. */
const WORDS_CHARS_MAX = 100;

/** Larger than any letter: what begins with some letters stands below them and this. */
const AFTER_ALL = "\u{10FFFF}";

/** Of how many that begin like this the best are chosen. */
const CANDIDATES_MAX = 500;

/** What is looked for. */
export interface ActorSearch {
  readonly text: string;
  readonly limit: number;
  readonly offset: number;
  /** Only those whom this actor follows. */
  readonly followedBy?: ActorId | undefined;
}

/**
 * Actors whose name or shown name begins like this, those with most followers here first. A whole handle finds that one
 * alone. Reads a bounded stretch of two indexes.
 */
export async function searchActors(
  { sql, settings }: Pick<Database, "sql" | "settings">,
  { text, limit, offset, followedBy }: ActorSearch,
): Promise<readonly ActorId[]> {
  const words = text.trim().replace(/^@/, "").toLowerCase().slice(0, WORDS_CHARS_MAX);
  if (words === "" || words.includes("\0")) return [];
  const handle = parseHandle(`@${words}`);
  const host = handle?.host ?? null;
  const begins = host === null ? words : handle!.name.toLowerCase();
  const rows = await sql<{ id: bigint }[]>`
    SELECT a.id FROM (
      (SELECT id FROM actor WHERE lower(name) COLLATE "C" >= ${begins} AND lower(name) COLLATE "C" < ${begins + AFTER_ALL} LIMIT ${CANDIDATES_MAX})
      UNION
      (SELECT id FROM actor WHERE lower(display_name) COLLATE "C" >= ${begins} AND lower(display_name) COLLATE "C" < ${begins + AFTER_ALL} LIMIT ${CANDIDATES_MAX})) found
      JOIN actor a USING (id)
      LEFT JOIN actor_count c ON c.actor = a.id
     WHERE a.deleted_at IS NULL AND a.name IS NOT NULL AND a.uri <> ${`${settings.origin}/actor`}
       AND (${host}::text IS NULL OR starts_with(a.host, ${host}))
       AND (a.fetched_at IS NOT NULL OR starts_with(a.uri, ${`${settings.origin}/`}))
       AND (${followedBy ?? null}::bigint IS NULL
            OR EXISTS (SELECT FROM follow f WHERE f.follower = ${followedBy ?? null}::bigint AND f.followee = a.id AND f.state = 'accepted'))
     ORDER BY (lower(a.name) = ${begins}) DESC, COALESCE(c.followers, 0) DESC, a.id LIMIT ${limit} OFFSET ${offset}`;
  return rows.map(({ id }) => id);
}
