/** The click. */

import { type Period, periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, retrying } from "../../store/database.ts";
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
  /** Undefined: as the patron's preference says (P14). A private flattr is told to nobody. */
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
 * A patron flattrs a thing. Once per thing and month: again changes nothing. One statement and one round trip; the
 * trigger `flattr_guard` sees to it that the month is open, and what is to be told is written with it.
 *
 * @throws Refusal "flattr_owner" when everybody who would be paid is the patron himself, "payee_declined" or
 *   "payee_blocked" when nobody else is left, "not_found" for a thing that is gone, "account_unknown"
 */
export async function giveFlattr(database: Database, gift: Gift): Promise<Given> {
  const period = periodOf(gift.at);
  return inOpenMonth(database, gift.at, () => retrying(() => insertFlattr(database, gift, period)));
}

interface Row {
  readonly mode: string | null;
  readonly given: bigint | null;
  readonly earlier: bigint | null;
  readonly known: boolean;
  readonly pays: boolean;
  readonly own: boolean;
  readonly reason: string | null;
}

async function insertFlattr(database: Database, gift: Gift, period: Period): Promise<Given> {
  const { sql, settings } = database;
  const { patron, thing, source } = gift;
  const month = periodNumber(period);
  const at = sqlTime(gift.at);
  const [row] = await sql<[Row]>`
    WITH patron AS (SELECT id, actor, flattr_mode, flattrs_private FROM account WHERE id = ${patron}),
    wanted AS (SELECT id, split FROM thing WHERE id = ${thing} AND deleted_at IS NULL),
    payee AS (
      SELECT p.payee, a.host, s.reason,
             a.id = (SELECT actor FROM patron) OR EXISTS (SELECT FROM alias l WHERE l.account = ${patron} AND l.payee = a.id) AS own
        FROM wanted JOIN split_part p ON p.split = wanted.split
        JOIN payee_standing s ON s.payee = p.payee
        JOIN actor a ON a.id = p.payee),
    given AS (
      INSERT INTO flattr (period, id, patron, thing, split, source, private, at)
      SELECT ${month}, new_id(${at}), patron.id, wanted.id, wanted.split, ${source}::text,
             COALESCE(${gift.private ?? null}::boolean, patron.flattrs_private), ${at}
        FROM patron, wanted
       WHERE EXISTS (SELECT FROM payee WHERE reason IS NULL AND NOT own)
         AND (${source}::text <> 'favourite' OR patron.flattr_mode = 'all')
      ON CONFLICT (period, patron, thing) DO NOTHING
      RETURNING id, private),
    told AS (
      INSERT INTO delivery (id, activity, flattr, patron, thing, period, payee, at, due_at)
      SELECT new_id(${at}), 'Like', given.id, ${patron}, ${thing}, ${month}, payee.payee, ${at}, ${at}
        FROM given, payee
       WHERE NOT given.private AND payee.host <> ${new URL(settings.origin).host} AND COALESCE(payee.reason, 'payee_declined') = 'payee_declined')
    SELECT (SELECT flattr_mode FROM patron) AS mode,
           (SELECT id FROM given) AS given,
           (SELECT id FROM flattr WHERE period = ${month} AND patron = ${patron} AND thing = ${thing}) AS earlier,
           EXISTS (SELECT FROM wanted) AS known,
           EXISTS (SELECT FROM payee WHERE reason IS NULL AND NOT own) AS pays,
           EXISTS (SELECT FROM payee WHERE own) AS own,
           (SELECT reason FROM payee WHERE reason IS NOT NULL ORDER BY reason DESC LIMIT 1) AS reason`;
  if (row.given !== null) return { flattr: row.given, period, again: false };
  if (row.mode === null) throw new Refusal("account_unknown", { name: String(patron) });
  if (!row.known) throw new Refusal("not_found");
  if (!row.pays) throw new Refusal(reasonOf(row));
  if (source === "favourite" && row.mode === "explicit")
    return { flattr: row.earlier ?? undefined, period, again: row.earlier !== null };
  if (row.earlier !== null) return { flattr: row.earlier, period, again: true };
  // Somebody else gave it between this statement's view and its insert.
  const [other] = await sql<
    { id: bigint }[]
  >`SELECT id FROM flattr WHERE period = ${month} AND patron = ${patron} AND thing = ${thing}`;
  // And took it back again: then this click is the only one.
  return other === undefined
    ? insertFlattr(database, gift, period)
    : { flattr: other.id, period, again: true };
}

function reasonOf({ own, reason }: Row): Reason {
  if (own) return "flattr_owner";
  return reason === "payee_declined" || reason === "payee_blocked" ? reason : "no_payee";
}
