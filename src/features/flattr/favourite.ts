/** The heart: a favourite is a flattr (P5), and going back on it takes the flattr back as long as that can be. */

import { periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, retrying, type Sql } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { Account, AccountId } from "../account/create.ts";
import { UNNOTICE_STEP } from "../notice/noticing.ts";
import { inOpenMonth } from "../settlement/change.ts";
import type { ThingId } from "../thing/thing.ts";
import { type FavouriteId, type Given, giveFlattr } from "./give.ts";

/** A favourite of somebody of this instance. */
export interface Favouring {
  readonly account: Pick<Account, "id">;
  readonly thing: ThingId;
  /** False: favourites from this app are not flattrs, and taking one back leaves every flattr as it is. */
  readonly counts: boolean;
  readonly at: Temporal.Instant;
}

/**
 * Somebody favourites a thing: a flattr of this month, unless he flattrs on purpose only, the app's favourites do not
 * count, or nobody would be paid. Then it is a Like like any other. Safe to repeat.
 *
 * @returns `favourite`: orders his favourites; `flattr`: that of this month, however it was given; `isShown`: others may
 *   know of what was made; `again`: nothing changed
 * @throws Refusal "not_found" for a thing that is gone, "account_unknown"
 */
export async function favouriteThing(
  database: Database,
  { account, thing, counts, at }: Favouring,
): Promise<Omit<Given, "favourite" | "period"> & { readonly favourite: FavouriteId }> {
  const gift = { patron: account.id, thing, source: "favourite", counts, at } as const;
  const { favourite, flattr, isShown, again } = await giveFlattr(database, gift);
  return { favourite: favourite!, flattr, isShown, again };
}

/**
 * Somebody takes a favourite back, and with it the flattr of the month that is open, unless that came of a subscription
 * or his favourites are no flattrs. What was given in a month that is over stays given. Safe to repeat.
 *
 * @returns false when there was none
 */
export async function unfavouriteThing(database: Database, favouring: Favouring): Promise<boolean> {
  const { account, thing, counts, at } = favouring;
  const month = periodNumber(periodOf(at));
  const takeBack = (withFlattr: boolean) =>
    whileItStands(database, { patron: account.id, thing }, async (tx) => {
      const [{ was }] = await tx.sql<[{ was: boolean }]>`
        WITH unliked AS (
          DELETE FROM favourite v USING account x
           WHERE x.id = ${account.id} AND v.actor = x.actor AND v.thing = ${thing}
          RETURNING v.*, x.flattr_mode),
        gone AS (
          DELETE FROM flattr f USING unliked u
           WHERE ${withFlattr} AND u.flattr_mode = 'all'
             AND f.period = ${month} AND f.patron = ${account.id} AND f.thing = ${thing} AND f.source <> 'subscription'),
        ${unsayings(tx, { patron: account.id, thing, at })}
        SELECT EXISTS (SELECT FROM unliked) AS was`;
      return was;
    });
  try {
    return await inOpenMonth(database, at, () => takeBack(counts));
  } catch (error) {
    // The clock of another process is ahead: it closed the month.
    if (!(error instanceof Refusal && error.reason === "period_closed")) throw error;
    return takeBack(false);
  }
}

/** Whose favourite of what. */
interface Which {
  readonly patron: AccountId;
  readonly thing: ThingId;
}

/**
 * One transaction in which nobody else changes a favourite that stands: what is being given with it is given then, and
 * can be seen.
 *
 * @param work gets the client of the transaction
 */
export async function whileItStands<T>(
  { queue, settings }: Pick<Database, "queue" | "settings">,
  which: Which,
  work: (tx: Pick<Database, "sql" | "settings">) => Promise<T>,
): Promise<T> {
  return retrying(
    () =>
      // What was to be told of it may wait in a long queue.
      queue.begin(async (client) => {
        // The same client, inside this transaction.
        const tx = { sql: client as unknown as Sql, settings };
        await holdFavourite(tx, which);
        return work(tx);
      }) as Promise<T>,
  );
}

/** Holds a favourite that stands until the transaction ends. */
export async function holdFavourite(
  { sql }: Pick<Database, "sql">,
  { patron, thing }: Which,
): Promise<void> {
  await sql`
    SELECT FROM favourite v JOIN account x ON x.actor = v.actor
     WHERE x.id = ${patron} AND v.thing = ${thing} FOR UPDATE OF v`;
}

/**
 * SQL: what follows from a favourite that is gone, as steps of the statement whose step `unliked` deleted its row.
 * Likes that were not told yet never will be; whoever was told hears an Undo.
 */
export function unsayings(
  { sql, settings }: Pick<Database, "sql" | "settings">,
  { patron, thing, at }: Which & { readonly at: Temporal.Instant },
) {
  const now = sqlTime(at);
  return sql`
    unsaid AS (
      DELETE FROM delivery d USING unliked u
       WHERE d.subject = ${patron}::bigint # ${thing}::bigint AND d.activity = 'Like' AND d.attempts = 0
      RETURNING d.payee, d.at = u.at AS is_first),
    undone AS (
      -- Whoever was told, or is being told right now, of this favourite or of the flattrs before that it comes from: what
      -- one patron says about one thing arrives in its order, so that what is given again later stays given.
      INSERT INTO delivery (id, activity, flattr, patron, thing, period, payee, at, subject)
      SELECT new_id(${now}), 'Undo', u.id, ${patron}, u.thing, u.period, p.payee, ${now}, ${patron}::bigint # ${thing}::bigint
        FROM unliked u
        JOIN thing t ON t.id = u.thing
        JOIN split_part p ON p.split = COALESCE((SELECT f.split FROM flattr f WHERE f.period = u.period AND f.id = u.id), t.split)
        JOIN actor a ON a.id = p.payee
        JOIN payee_standing s ON s.payee = p.payee
       WHERE u.uri IS NOT NULL AND a.host <> ${new URL(settings.origin).host}
         AND COALESCE(s.reason, 'payee_declined') = 'payee_declined'
         AND NOT EXISTS (SELECT FROM unsaid WHERE unsaid.payee = p.payee AND unsaid.is_first)),
    ${sql.unsafe(UNNOTICE_STEP)}`;
}
