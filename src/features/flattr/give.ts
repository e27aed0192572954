/** The click: a flattr, a favourite, or both. */

import { type Period, periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, retrying, TEXTS } from "../../store/database.ts";
import { gatherEach } from "../../store/gather.ts";
import { type Recent, recent } from "../../store/recent.ts";
import { type Reason, Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { NOTICE_STEPS, noticeHidden } from "../notice/noticing.ts";
import { inOpenMonth } from "../settlement/change.ts";
import type { ThingId } from "../thing/thing.ts";

export type FlattrId = bigint;

export type FavouriteId = bigint;

/** A click. */
export interface Gift {
  readonly patron: AccountId;
  readonly thing: ThingId;
  /**
   * click: meant as a flattr. favourite: a flattr, too, unless the patron flattrs on purpose only (P5) or nobody would
   * be paid.
   */
  readonly source: "click" | "favourite";
  /** False: favourites from this app are not flattrs. */
  readonly counts?: boolean | undefined;
  /**
   * Undefined: as the patron's preference says (P14). A private flattr or favourite is told to nobody. That of a post
   * that is not for everybody always is: nobody else is to learn its address, or who could read it.
   */
  readonly private?: boolean | undefined;
  readonly at: Temporal.Instant;
}

/** What became of a click. */
export interface Given {
  /** The flattr of this month; undefined when the favourite is none. */
  readonly flattr: FlattrId | undefined;
  /** The favourite that stands; undefined when a flattr that was given before has none. */
  readonly favourite: FavouriteId | undefined;
  /** True when this click made a favourite, or changed one, of which others may know. */
  readonly isShown: boolean;
  readonly period: Period;
  /** True when nothing changed: this thing had been flattred this month already, or the favourite stood. */
  readonly again: boolean;
}

/**
 * A patron flattrs or favourites a thing. Once per thing and month: again changes nothing. Every flattr is a favourite
 * as well, with the same id; one that stands from earlier months takes the id of the new flattr, unless that is private
 * while others know of the favourite. Clicks that come together are one statement; the trigger `flattr_guard` sees to it
 * that the month is open, and what is to be told is written with it.
 *
 * @throws Refusal "not_found" for a thing that is gone, "account_unknown"; of a click, not of a favourite:
 *   "flattr_owner" when everybody who would be paid is the patron himself, "payee_declined" or "payee_blocked" when
 *   nobody else is left
 */
export async function giveFlattr(database: Database, gift: Gift): Promise<Given> {
  const period = periodOf(gift.at);
  return inOpenMonth(database, gift.at, async () => {
    for (;;) {
      const row = await click(database, gift);
      if (row === undefined) continue;
      const favourite = row.liked ?? row.standing ?? undefined;
      const { shown: isShown } = row;
      if (row.given !== null && (favourite !== undefined || gift.source === "click"))
        return { flattr: row.given, favourite, isShown, period, again: false };
      if (row.mode === null) throw new Refusal("account_unknown", { name: String(gift.patron) });
      if (!row.known) throw new Refusal("not_found");
      if (gift.source === "click") {
        if (!row.pays) throw new Refusal(reasonOf(row));
        if (row.earlier !== null)
          return { flattr: row.earlier, favourite, isShown, period, again: true };
      } else if (favourite !== undefined && (row.earlier !== null || !row.meant || !row.pays))
        return {
          flattr: row.earlier ?? undefined,
          favourite,
          isShown,
          period,
          again: row.liked === null,
        };
      // Somebody else gave it after this statement began to look: now it can be seen, unless it was taken back again.
    }
  });
}

/** What one click came to. */
interface Row {
  readonly mode: string | null;
  readonly given: bigint | null;
  readonly earlier: bigint | null;
  /** The favourite that this click made, or gave a new id. */
  readonly liked: bigint | null;
  /** It made one, and others may know of it. */
  readonly shown: boolean;
  /** Otherwise the one that stood. */
  readonly standing: bigint | null;
  /** Nothing was done, since the author of the post, somebody else of this instance, is to be told. */
  readonly near: boolean;
  readonly known: boolean;
  /** It is to be a flattr. */
  readonly meant: boolean;
  readonly pays: boolean;
  readonly own: boolean;
  readonly reason: string | null;
}

/** Things whose author is of this instance, as far as they were clicked lately; what is missing is found again. */
const NEAR_MAX = 10_000;

/** Lately clicked things whose author is of this instance, for each open database; gone with it. */
const near = new WeakMap<Database["sql"], Recent<ThingId, true>>();

const give = gatherEach<Database, { gift: Gift; isNear: boolean }, Row>((database) => ({
  work: (items) =>
    retrying(() =>
      insertFlattrs(
        database,
        items.map(({ gift }) => gift),
        items[0]!.isNear,
      ),
    ),
  lane: ({ gift: { at }, isNear }) => `${periodOf(at)} ${isNear}`,
  key: ({ gift: { patron, thing } }) => `${patron} ${thing}`,
}));

/** One click; undefined when it must be asked once more, since only now it is known that the author is told here. */
async function click(database: Database, gift: Gift): Promise<Row | undefined> {
  let known = near.get(database.sql);
  if (known === undefined) near.set(database.sql, (known = recent(NEAR_MAX)));
  const isNear = known.get(gift.thing) ?? false;
  const row = await give(database, { gift, isNear });
  if (isNear || !row.near) return row;
  known.set(gift.thing, true);
  return undefined;
}

/** Whether the author of what is liked, here, does not want to be told. */
const HIDDEN = noticeHidden({
  account: "w.id",
  self: "w.actor",
  actor: "made.actor",
  post: "made.post",
  at: "made.at",
});

/**
 * Gives flattrs and favourites of one month, no two of them by the same patron for the same thing. What most clicks do
 * not need is left out of the statement: steps cost something, also when they have nothing to do.
 *
 * @param isNear tells authors of this instance; otherwise nothing is done about their posts
 */
async function insertFlattrs(
  { sql, settings }: Database,
  gifts: readonly Gift[],
  isNear: boolean,
): Promise<Row[]> {
  const month = periodNumber(periodOf(gifts[0]!.at));
  const column = (of: (gift: Gift) => unknown) => sql.array(gifts.map(of) as string[], TEXTS);
  // A favourite that is no flattr, or not the one by which the flattr of this month came.
  const plain = gifts.some(({ source }) => source === "favourite")
    ? sql`
      UNION ALL
      SELECT new_id(gift.at), gift.thing, gift.actor, NULL, gift.private, gift.at FROM gift LEFT JOIN verdict USING (n)
       WHERE gift.source = 'favourite' AND gift.mode IS NOT NULL AND gift.split IS NOT NULL AND NOT gift.near
         AND (NOT gift.meant OR verdict.pays IS NOT TRUE
              OR EXISTS (SELECT FROM flattr f WHERE f.period = ${month} AND f.patron = gift.patron AND f.thing = gift.thing))
         AND NOT EXISTS (SELECT FROM given WHERE given.patron = gift.patron AND given.thing = gift.thing)
         AND NOT EXISTS (SELECT FROM favourite v WHERE v.thing = gift.thing AND v.actor = gift.actor)`
    : sql``;
  const noticing = isNear
    ? sql`,
    noticing AS (
      SELECT w.id AS account, 'favourite' AS kind, made.actor, made.post, made.at
        FROM made JOIN account w ON w.actor = made.author
       WHERE made.uri IS NOT NULL AND made.author <> made.actor AND NOT ${sql.unsafe(HIDDEN)}),
    ${sql.unsafe(NOTICE_STEPS)}`
    : sql``;
  const near = isNear
    ? sql`false`
    : sql`EXISTS (SELECT FROM account w WHERE w.actor = o.author AND w.id <> g.patron)`;
  return sql<Row[]>`
    WITH gift AS MATERIALIZED (
      SELECT g.n, g.source, g.at, g.patron, g.thing, p.actor, p.flattr_mode AS mode, t.split, o.id AS post, o.author, ${near} AS near,
             g.source = 'click' OR (g.counts AND p.flattr_mode = 'all') AS meant,
             COALESCE(g.private, p.flattrs_private) OR COALESCE(o.visibility NOT IN ('public', 'unlisted'), false) AS private
        FROM unnest(${column(({ patron }) => String(patron))}::bigint[], ${column(({ thing }) => String(thing))}::bigint[],
                    ${column(({ source }) => source)}::text[], ${column(({ counts }) => counts ?? true)}::boolean[],
                    ${column((gift) => gift.private ?? null)}::boolean[], ${column(({ at }) => sqlTime(at))}::timestamptz[])
             WITH ORDINALITY AS g(patron, thing, source, counts, private, at, n)
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
       WHERE gift.mode IS NOT NULL AND verdict.pays AND gift.meant AND NOT gift.near
      ON CONFLICT (period, patron, thing) DO NOTHING
      RETURNING id, patron, thing),
    liking AS (
      SELECT given.id, given.thing, gift.actor, ${month}::int AS period, gift.private, gift.at FROM given JOIN gift USING (patron, thing)${plain}),
    liked AS (
      INSERT INTO favourite AS v (actor, thing, id, uri, period, at)
      SELECT actor, thing, id, CASE WHEN NOT private THEN ${`${settings.origin}/likes/`} || id END, period, at FROM liking
      -- Since when others may know of it: what was said first tells whether there is anything to take back.
      ON CONFLICT (thing, actor) DO UPDATE
         SET id = excluded.id, uri = excluded.uri, period = excluded.period, at = CASE WHEN v.uri IS NULL THEN excluded.at ELSE v.at END
       WHERE excluded.period IS NOT NULL AND (excluded.uri IS NOT NULL OR v.uri IS NULL)
      RETURNING id, actor, thing, uri, period),
    made AS MATERIALIZED (
      SELECT liked.id, liked.uri, liked.period, gift.n, gift.at, gift.patron, gift.thing, gift.actor, gift.post, gift.author
        FROM liked JOIN gift USING (actor, thing)),
    told AS (
      INSERT INTO delivery (id, activity, flattr, patron, thing, period, payee, at, subject)
      SELECT new_id(made.at), 'Like', made.id, made.patron, made.thing, made.period, payee.payee, made.at, made.patron # made.thing
        FROM made JOIN payee USING (n)
       WHERE made.uri IS NOT NULL AND payee.host <> ${new URL(settings.origin).host}
         AND COALESCE(payee.reason, 'payee_declined') = 'payee_declined')${noticing}
    SELECT gift.mode, gift.near, gift.split IS NOT NULL AS known, given.id AS given, made.id AS liked, made.uri IS NOT NULL AS shown,
           CASE WHEN given.id IS NULL THEN
             (SELECT id FROM flattr f WHERE f.period = ${month} AND f.patron = gift.patron AND f.thing = gift.thing) END AS earlier,
           CASE WHEN made.id IS NULL THEN
             (SELECT id FROM favourite v WHERE v.thing = gift.thing AND v.actor = gift.actor) END AS standing,
           COALESCE(gift.meant, false) AS meant, COALESCE(verdict.pays, false) AS pays, COALESCE(verdict.own, false) AS own, verdict.reason,
           ${isNear ? sql`(SELECT count(*) FROM pushed)` : sql`0`} AS pushed
      FROM gift
      LEFT JOIN verdict USING (n)
      LEFT JOIN given USING (patron, thing)
      LEFT JOIN made USING (n)
     ORDER BY gift.n`;
}

function reasonOf({ own, reason }: Row): Reason {
  if (own) return "flattr_owner";
  return reason === "payee_declined" || reason === "payee_blocked" ? reason : "no_payee";
}
