/** Flattrs that everybody may see. */

import { periodAfter, periodNumber, periodOf } from "../../rules/period.ts";
import { type Period, periodFromNumber } from "../../rules/period.ts";
import type { Database } from "../../store/database.ts";
import { fromSqlTime, Temporal } from "../../store/time.ts";
import type { FlattrId } from "./give.ts";

/** A flattr, by the URIs of those concerned. */
export interface ShownFlattr {
  readonly flattr: FlattrId;
  readonly patron: string;
  readonly thing: string;
  /** One of those who are paid. */
  readonly payee: string;
  readonly period: Period;
  readonly at: Temporal.Instant;
}

/** An id holds the milliseconds at which it was made above these bits. */
const TAIL_BITS = 16n;

/**
 * The flattr with this id; undefined when there is none, or it is private, or of a post that not everybody may see:
 * then nobody learns that it exists.
 */
export async function shownFlattr(
  { sql }: Pick<Database, "sql">,
  flattr: FlattrId,
): Promise<ShownFlattr | undefined> {
  // The id says the month, so that one partition is looked at; made in a crowd, it may lie a little later.
  const made = periodOf(Temporal.Instant.fromEpochMilliseconds(Number(flattr >> TAIL_BITS)));
  const months = [made, periodAfter(made, -1)].map(periodNumber);
  const [row] = await sql<
    { patron: string; thing: string; payee: string; period: number; at: Date }[]
  >`
    SELECT a.uri AS patron, t.uri AS thing, f.period, f.at,
           (SELECT min(p.uri) FROM split_part s JOIN actor p ON p.id = s.payee WHERE s.split = f.split) AS payee
      FROM flattr f
      JOIN account x ON x.id = f.patron
      JOIN actor a ON a.id = x.actor AND a.deleted_at IS NULL
      JOIN thing t ON t.id = f.thing
     WHERE f.id = ${flattr} AND f.period IN ${sql(months)} AND NOT f.private
       AND NOT EXISTS (SELECT FROM post o WHERE o.thing = f.thing AND o.visibility NOT IN ('public', 'unlisted'))`;
  return row && { ...row, flattr, period: periodFromNumber(row.period), at: fromSqlTime(row.at) };
}
