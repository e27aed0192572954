/** Complaints, as the operator reads them. */

import type { Database } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { fromSqlTime, sqlTime, type Temporal } from "../../store/time.ts";
import type { ReportCategory } from "./report.ts";

/** A complaint that waits. */
export interface OpenReport {
  readonly id: bigint;
  /** The address of whoever complains, or of whose server; null when the account is gone. */
  readonly reporter: string | null;
  readonly target: string;
  /** The addresses of the posts it is about. */
  readonly posts: readonly string[];
  readonly comment: string;
  readonly category: ReportCategory;
  readonly isForwarded: boolean;
  readonly at: Temporal.Instant;
}

/** Complaints that are shown at once. */
const SHOWN_MAX = 100;

/** Complaints that wait, the oldest first. */
export async function openReports({ sql }: Pick<Database, "sql">): Promise<readonly OpenReport[]> {
  const rows = await sql<(Omit<OpenReport, "at"> & { readonly at: Date })[]>`
    SELECT r.id, COALESCE(own.uri, other.uri) AS reporter, target.uri AS target, r.comment, r.category,
           r.is_forwarded AS "isForwarded", r.at,
           ARRAY(SELECT t.uri FROM jsonb_array_elements_text(r.posts) AS w(id)
                   JOIN post p ON p.id = w.id::bigint JOIN thing t ON t.id = p.thing ORDER BY p.id) AS posts
      FROM report r
      JOIN actor target ON target.id = r.target
      LEFT JOIN account x ON x.id = r.account LEFT JOIN actor own ON own.id = x.actor
      LEFT JOIN actor other ON other.id = r.reporter
     WHERE r.done_at IS NULL
     ORDER BY r.id LIMIT ${SHOWN_MAX}`;
  return rows.map((row) => ({ ...row, at: fromSqlTime(row.at) }));
}

/** The operator has done what was to be done. @throws Refusal "not_found" when no such complaint waits */
export async function endReport(
  { sql }: Pick<Database, "sql">,
  { id, at }: { readonly id: bigint; readonly at: Temporal.Instant },
): Promise<void> {
  const { count } = await sql`
    UPDATE report SET done_at = ${sqlTime(at)}::timestamptz WHERE id = ${id} AND done_at IS NULL`;
  if (count === 0) throw new Refusal("not_found");
}
