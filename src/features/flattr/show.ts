/** Favourites that everybody may see. */

import { periodAfter, periodNumber, periodOf } from "../../rules/period.ts";
import { type Period, periodFromNumber } from "../../rules/period.ts";
import type { Database } from "../../store/database.ts";
import { fromSqlTime, Temporal } from "../../store/time.ts";
import type { FavouriteId } from "./give.ts";

/** A favourite of somebody of this instance, by the URIs of those concerned. */
export interface ShownLike {
  readonly favourite: FavouriteId;
  readonly patron: string;
  readonly thing: string;
  /** One of those who are paid. */
  readonly payee: string;
  /** The month of the flattr; null: it is none. */
  readonly period: Period | null;
  readonly at: Temporal.Instant;
}

/** An id holds the milliseconds at which it was made above these bits. */
const TAIL_BITS = 16n;

/**
 * The flattr, or the favourite that is none, with this id; undefined when there is none, or the favourite was
 * withdrawn or is private, or of a post that not everybody may see: then nobody learns that it exists.
 */
export async function shownLike(
  { sql }: Pick<Database, "sql">,
  favourite: FavouriteId,
): Promise<ShownLike | undefined> {
  // The id says the month, so that one partition is looked at; made in a crowd, it may lie a little later.
  const made = periodOf(Temporal.Instant.fromEpochMilliseconds(Number(favourite >> TAIL_BITS)));
  const months = [made, periodAfter(made, -1)].map(periodNumber);
  const [row] = await sql<
    { patron: string; thing: string; payee: string; period: number | null; at: Date }[]
  >`
    SELECT a.uri AS patron, t.uri AS thing, l.period, l.at,
           (SELECT min(p.uri) FROM split_part s JOIN actor p ON p.id = s.payee WHERE s.split = COALESCE(l.split, t.split)) AS payee
      FROM (SELECT x.actor, f.thing, f.period, f.split, f.at FROM flattr f JOIN account x ON x.id = f.patron
             WHERE f.id = ${favourite} AND f.period IN ${sql(months)} AND NOT f.private
            UNION ALL
            SELECT v.actor, v.thing, NULL, NULL, v.at FROM favourite v JOIN account x ON x.actor = v.actor
             WHERE v.id = ${favourite} AND v.period IS NULL) l
      JOIN actor a ON a.id = l.actor AND a.deleted_at IS NULL
      JOIN thing t ON t.id = l.thing
     WHERE EXISTS (SELECT FROM favourite v WHERE v.thing = l.thing AND v.actor = l.actor AND v.uri IS NOT NULL)
       AND NOT EXISTS (SELECT FROM post o WHERE o.thing = l.thing AND o.visibility NOT IN ('public', 'unlisted'))`;
  return (
    row && {
      ...row,
      favourite,
      period: row.period === null ? null : periodFromNumber(row.period),
      at: fromSqlTime(row.at),
    }
  );
}
