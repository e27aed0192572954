/** What somebody flattrs, for himself: his clicks of a month, his subscriptions; and what he may flattr. */

import { type Period, periodFromNumber, periodNumber } from "../../rules/period.ts";
import { type Database, LAST_ID } from "../../store/database.ts";
import { fromSqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { mayRead, type Viewer } from "../post/visible.ts";
import type { ThingId } from "../thing/thing.ts";
import type { FlattrId } from "./give.ts";

/** A thing as whoever flattrs it knows it. */
export interface OwnThing {
  readonly id: ThingId;
  readonly uri: string;
  readonly kind: string;
  readonly title: string | null;
}

/** A flattr of one's own. */
export interface OwnFlattr {
  readonly id: FlattrId;
  readonly period: Period;
  readonly source: "click" | "favourite" | "subscription";
  readonly private: boolean;
  readonly at: Temporal.Instant;
  readonly thing: OwnThing;
}

interface Row {
  readonly id: bigint;
  readonly period: number;
  readonly source: OwnFlattr["source"];
  readonly private: boolean;
  readonly at: Date;
  readonly thing: bigint;
  readonly uri: string;
  readonly kind: string;
  readonly title: string | null;
}

/** One page of the flattrs of a month, the newest first. */
export async function ownFlattrs(
  { sql }: Pick<Database, "sql">,
  patron: AccountId,
  {
    period,
    maxId,
    sinceId,
    minId,
    limit,
  }: {
    readonly period: Period;
    readonly maxId: bigint | undefined;
    readonly sinceId: bigint | undefined;
    /** Directly above this one, instead of the newest. */
    readonly minId: bigint | undefined;
    readonly limit: number;
  },
): Promise<readonly OwnFlattr[]> {
  const order = minId === undefined ? sql`DESC` : sql`ASC`;
  const rows = await sql<Row[]>`
    -- First those of the patron: else those of everybody may be passed over in the order of their ids.
    WITH own AS MATERIALIZED (SELECT * FROM flattr WHERE period = ${periodNumber(period)} AND patron = ${patron})
    SELECT f.id, f.period, f.source, f.private, f.at, f.thing, t.uri, t.kind, t.title
      FROM (SELECT * FROM own WHERE id < ${maxId ?? LAST_ID} AND id > ${minId ?? sinceId ?? -1n} ORDER BY id ${order} LIMIT ${limit}) f
      JOIN thing t ON t.id = f.thing
     ORDER BY f.id DESC`;
  return rows.map((row) => ({
    id: row.id,
    period: periodFromNumber(row.period),
    source: row.source,
    private: row.private,
    at: fromSqlTime(row.at),
    thing: { id: row.thing, uri: row.uri, kind: row.kind, title: row.title },
  }));
}

/** A flattr of one's own that repeats itself. */
export interface OwnSubscription {
  readonly thing: OwnThing;
  readonly since: Temporal.Instant;
  /** Openings still to come; null: without end. */
  readonly monthsLeft: number | null;
  readonly pausedAt: Temporal.Instant | null;
}

/** Subscriptions of one account that are shown. */
const SUBSCRIPTIONS_MAX = 1_000;

/** What somebody subscribed to and has not ended, the newest first. */
export async function ownSubscriptions(
  { sql }: Pick<Database, "sql">,
  patron: AccountId,
): Promise<readonly OwnSubscription[]> {
  const rows = await sql<
    {
      thing: bigint;
      uri: string;
      kind: string;
      title: string | null;
      since: Date;
      months_left: number | null;
      paused_at: Date | null;
    }[]
  >`
    SELECT s.thing, t.uri, t.kind, t.title, s.since, s.months_left, s.paused_at
      FROM subscription s JOIN thing t ON t.id = s.thing
     WHERE s.patron = ${patron} AND s.ended_at IS NULL ORDER BY s.id DESC LIMIT ${SUBSCRIPTIONS_MAX}`;
  return rows.map((row) => ({
    thing: { id: row.thing, uri: row.uri, kind: row.kind, title: row.title },
    since: fromSqlTime(row.since),
    monthsLeft: row.months_left,
    pausedAt: row.paused_at === null ? null : fromSqlTime(row.paused_at),
  }));
}

/** A thing that everybody may know of. */
export interface PublicThing extends OwnThing {
  readonly payees: readonly { readonly uri: string; readonly weight: number }[];
  /** Flattrs of the month that everybody may know of, by people of this instance. */
  readonly flattrs: number;
}

/** The largest number of flattrs that is counted: who has more does not need to know exactly. */
const COUNT_MAX = 100_000;

/**
 * A thing with its public flattrs of a month; undefined when there is none that everybody may know of: that somebody gave
 * it a private flattr shows nowhere, not by its being known either.
 */
export async function publicThing(
  { sql, settings }: Pick<Database, "sql" | "settings">,
  id: ThingId,
  period: Period,
): Promise<PublicThing | undefined> {
  const [row] = await sql<PublicThing[]>`
    SELECT t.id, t.uri, t.kind, t.title,
           (SELECT jsonb_agg(jsonb_build_object('uri', a.uri, 'weight', s.weight) ORDER BY a.uri)
              FROM split_part s JOIN actor a ON a.id = s.payee WHERE s.split = t.split) AS payees,
           (SELECT count(*)::int FROM (SELECT FROM flattr f WHERE f.period = ${periodNumber(period)} AND f.thing = t.id AND NOT f.private
                                        LIMIT ${COUNT_MAX}) c) AS flattrs
      FROM thing t
     WHERE t.id = ${id} AND t.deleted_at IS NULL AND NOT ${hidden(sql, undefined)}
       AND (starts_with(t.uri, ${`${settings.origin}/`}) OR EXISTS (SELECT FROM post p WHERE p.thing = t.id)
            OR EXISTS (SELECT FROM favourite v WHERE v.thing = t.id AND v.uri IS NOT NULL))`;
  return row === undefined || row.payees === null ? undefined : row;
}

/** True when a thing is a post that this viewer may not read: then it is not there for him. */
export async function isHiddenFrom(
  { sql }: Pick<Database, "sql">,
  viewer: Viewer | undefined,
  thing: ThingId,
): Promise<boolean> {
  const [row] = await sql<[{ hidden: boolean }]>`
    SELECT ${hidden(sql, viewer)} AS hidden FROM thing t WHERE t.id = ${thing}`;
  return row.hidden;
}

function hidden(sql: Database["sql"], viewer: Viewer | undefined) {
  return sql`EXISTS (SELECT FROM post p WHERE p.thing = t.id AND NOT ${mayRead(sql, viewer)})`;
}
