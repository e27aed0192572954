/** The click. */

import { type Period, periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, retrying } from "../../store/database.ts";
import { gather } from "../../store/gather.ts";
import { type Reason, Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { inOpenMonth } from "../settlement/change.ts";
import type { ThingId } from "../thing/thing.ts";

export type FlattrId = bigint;

/** A click. */
export interface Gift {
  readonly patron: AccountId;
  readonly thing: ThingId;
  /** click: meant as a flattr. favourite: counts unless the patron flattrs on purpose only (P5). */
  readonly source: "click" | "favourite";
  /**
   * Undefined: as the patron's preference says (P14). A private flattr is told to nobody. That of a post that is not
   * for everybody always is: nobody else is to learn its address, or who could read it.
   */
  readonly private?: boolean | undefined;
  readonly at: Temporal.Instant;
}

/** What became of a click. */
export interface Given {
  /** Undefined when a favourite is not a flattr, by the patron's own choice. */
  readonly flattr: FlattrId | undefined;
  readonly period: Period;
  /** True when this thing had been flattred this month already; nothing changed then. */
  readonly again: boolean;
}

/**
 * A patron flattrs a thing. Once per thing and month: again changes nothing. Clicks that come together are one
 * statement; the trigger `flattr_guard` sees to it that the month is open, and what is to be told is written with it.
 *
 * @throws Refusal "flattr_owner" when everybody who would be paid is the patron himself, "payee_declined" or
 *   "payee_blocked" when nobody else is left, "not_found" for a thing that is gone, "account_unknown"
 */
export async function giveFlattr(database: Database, gift: Gift): Promise<Given> {
  const period = periodOf(gift.at);
  return inOpenMonth(database, gift.at, async () => {
    for (;;) {
      const row = await clicksOf(database)(gift);
      if (row.given !== null) return { flattr: row.given, period, again: false };
      if (row.mode === null) throw new Refusal("account_unknown", { name: String(gift.patron) });
      if (!row.known) throw new Refusal("not_found");
      if (!row.pays) throw new Refusal(reasonOf(row));
      if (row.earlier !== null) return { flattr: row.earlier, period, again: true };
      if (gift.source === "favourite" && row.mode === "explicit")
        return { flattr: undefined, period, again: false };
      // Somebody else gave it after this statement began to look: now it can be seen, unless it was taken back again.
    }
  });
}

/** What one click came to. */
interface Row {
  readonly mode: string | null;
  readonly given: bigint | null;
  readonly earlier: bigint | null;
  readonly known: boolean;
  readonly pays: boolean;
  readonly own: boolean;
  readonly reason: string | null;
}

/** The clicks that wait for each open database; gone with it. */
const clicks = new WeakMap<Database["sql"], (gift: Gift) => Promise<Row>>();

function clicksOf(database: Database): (gift: Gift) => Promise<Row> {
  const known = clicks.get(database.sql);
  if (known !== undefined) return known;
  const made = gather<Gift, Row>({
    work: (gifts) => retrying(() => insertFlattrs(database, gifts)),
    lane: ({ at }) => periodOf(at),
    key: ({ patron, thing }) => `${patron} ${thing}`,
  });
  clicks.set(database.sql, made);
  return made;
}

/** PostgreSQL's type of lists of text; the statement says what they are. Lists are planned for few rows, as is right here. */
const TEXTS = 1009;

/** Gives flattrs of one month, no two of them by the same patron for the same thing. */
async function insertFlattrs({ sql, settings }: Database, gifts: readonly Gift[]): Promise<Row[]> {
  const month = periodNumber(periodOf(gifts[0]!.at));
  const column = (of: (gift: Gift) => unknown) => sql.array(gifts.map(of) as string[], TEXTS);
  return sql<Row[]>`
    WITH gift AS MATERIALIZED (
      SELECT g.n, g.source, g.at, g.patron, g.thing, p.actor, p.flattr_mode AS mode, t.split,
             COALESCE(g.private, p.flattrs_private) OR COALESCE(o.visibility NOT IN ('public', 'unlisted'), false) AS private
        FROM unnest(${column(({ patron }) => String(patron))}::bigint[], ${column(({ thing }) => String(thing))}::bigint[],
                    ${column(({ source }) => source)}::text[], ${column((gift) => gift.private ?? null)}::boolean[],
                    ${column(({ at }) => sqlTime(at))}::timestamptz[])
             WITH ORDINALITY AS g(patron, thing, source, private, at, n)
        LEFT JOIN account p ON p.id = g.patron
        LEFT JOIN thing t ON t.id = g.thing AND t.deleted_at IS NULL
        LEFT JOIN post o ON o.thing = t.id),
    payee AS MATERIALIZED (
      SELECT gift.n, p.payee, a.host, s.reason,
             p.payee = gift.actor OR EXISTS (SELECT FROM alias l WHERE l.account = gift.patron AND l.payee = p.payee) AS own
        FROM gift JOIN split_part p ON p.split = gift.split
        JOIN payee_standing s ON s.payee = p.payee
        JOIN actor a ON a.id = p.payee),
    verdict AS MATERIALIZED (
      SELECT n, bool_or(reason IS NULL AND NOT own) AS pays, bool_or(own) AS own, max(reason) AS reason FROM payee GROUP BY n),
    given AS (
      INSERT INTO flattr (period, id, patron, thing, split, source, private, at)
      SELECT ${month}, new_id(gift.at), gift.patron, gift.thing, gift.split, gift.source, gift.private, gift.at
        FROM gift JOIN verdict USING (n)
       WHERE gift.mode IS NOT NULL AND verdict.pays AND (gift.source <> 'favourite' OR gift.mode = 'all')
      ON CONFLICT (period, patron, thing) DO NOTHING
      RETURNING id, patron, thing),
    made AS MATERIALIZED (SELECT given.id, gift.* FROM given JOIN gift USING (patron, thing)),
    told AS (
      INSERT INTO delivery (id, activity, flattr, patron, thing, period, payee, at, subject)
      SELECT new_id(made.at), 'Like', made.id, made.patron, made.thing, ${month}, payee.payee, made.at, made.patron # made.thing
        FROM made JOIN payee USING (n)
       WHERE NOT made.private AND payee.host <> ${new URL(settings.origin).host} AND COALESCE(payee.reason, 'payee_declined') = 'payee_declined')
    SELECT gift.mode, gift.split IS NOT NULL AS known, made.id AS given,
           CASE WHEN made.id IS NULL THEN
             (SELECT id FROM flattr f WHERE f.period = ${month} AND f.patron = gift.patron AND f.thing = gift.thing) END AS earlier,
           COALESCE(verdict.pays, false) AS pays, COALESCE(verdict.own, false) AS own, verdict.reason
      FROM gift
      LEFT JOIN verdict USING (n)
      LEFT JOIN made USING (n)
     ORDER BY gift.n`;
}

function reasonOf({ own, reason }: Row): Reason {
  if (own) return "flattr_owner";
  return reason === "payee_declined" || reason === "payee_blocked" ? reason : "no_payee";
}
