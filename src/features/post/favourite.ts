/** Likes from other servers. For display alone: they move no money and make no claim. */

import type { Period } from "../../rules/period.ts";
import { periodNumber } from "../../rules/period.ts";
import { type Database, retrying } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { NOTICE_STEPS, noticeHidden, UNNOTICE_STEP } from "../notice/noticing.ts";
import { findThing } from "../thing/find.ts";

/** What an Undo is remembered as, by the id of the Like that it overtook. */
const OVERTAKEN = "Undone";

/** A Like that arrived. */
export interface TakenLike {
  readonly id: string;
  readonly actor: ActorId;
  /** The URI of what is liked. */
  readonly object: string;
  /** The month that it names, when it is a flattr. */
  readonly period: Period | null;
  readonly at: Temporal.Instant;
}

/** Whether the author of what is liked does not want to be told. */
const HIDDEN = noticeHidden({
  account: "w.id",
  self: "w.actor",
  actor: "liked.actor",
  post: "o.id",
  at: "liked.now",
});

/** What a Like came to: counted, or about nothing of this instance. */
export type LikeOutcome = "taken" | "unknown";

/**
 * Somebody elsewhere likes something of this instance. One statement, which remembers the activity, too. Known by who
 * and what: some servers use one id again after they took a Like back. One that names a month has an id of its own each
 * time, so what comes again was late. One whose Undo came first is over before it begins. The author of a post is told.
 */
export async function takeLike(database: Database, like: TakenLike): Promise<LikeOutcome> {
  const outcome = await retrying(() => insertLike(database, like));
  if (outcome !== "person") return outcome;
  // People become things when they are first asked for.
  await findThing(database, like.object, like.at);
  return (await retrying(() => insertLike(database, like))) === "taken" ? "taken" : "unknown";
}

async function insertLike(
  { sql, settings }: Database,
  { id, actor, object, period, at }: TakenLike,
): Promise<LikeOutcome | "person"> {
  const when = sqlTime(at);
  const isOurs = object.startsWith(`${settings.origin}/`);
  const [row] = await sql<[{ outcome: LikeOutcome | "person" }]>`
    WITH known AS MATERIALIZED (
      SELECT id FROM thing WHERE uri = ${object} AND deleted_at IS NULL AND ${isOurs}),
    person AS MATERIALIZED (
      SELECT FROM actor a JOIN account x ON x.actor = a.id WHERE a.uri = ${object} AND ${isOurs} AND NOT EXISTS (SELECT FROM known)),
    overtaken AS (
      -- Once: the next Like with this id is a new one. That it came is remembered beside it; no id has a blank.
      INSERT INTO activity (id, actor, kind, at)
      SELECT ${`${id} came`}, actor, 'Like', ${when}::timestamptz FROM activity
       WHERE id = ${id} AND actor = ${actor}::bigint AND kind = ${OVERTAKEN}
      ON CONFLICT DO NOTHING RETURNING id),
    taken AS (
      INSERT INTO activity (id, actor, kind, at) SELECT ${id}, ${actor}::bigint, 'Like', ${when}::timestamptz WHERE NOT EXISTS (SELECT FROM person)
      ON CONFLICT DO NOTHING RETURNING id),
    liked AS (
      INSERT INTO favourite (actor, thing, id, uri, period, at)
      SELECT ${actor}::bigint, known.id, new_id(${when}), ${id}, ${period === null ? null : periodNumber(period)}::int, ${when}::timestamptz FROM known
       WHERE (${period === null} OR EXISTS (SELECT FROM taken)) AND NOT EXISTS (SELECT FROM overtaken)
         -- What people of this instance like is said here, and nowhere else.
         AND NOT EXISTS (SELECT FROM account x WHERE x.actor = ${actor}::bigint)
      ON CONFLICT (thing, actor) DO UPDATE SET uri = excluded.uri, period = excluded.period
       WHERE (favourite.uri, favourite.period) IS DISTINCT FROM (excluded.uri, excluded.period)
      RETURNING thing, actor, ${when}::timestamptz AS now),
    noticing AS (
      SELECT w.id AS account, 'favourite' AS kind, liked.actor, o.id AS post, liked.now AS at
        FROM liked JOIN post o ON o.thing = liked.thing AND o.deleted_at IS NULL JOIN account w ON w.actor = o.author
       WHERE NOT ${sql.unsafe(HIDDEN)}),
    ${sql.unsafe(NOTICE_STEPS)}
    SELECT (SELECT count(*) FROM pushed) AS pushed, CASE WHEN EXISTS (SELECT FROM overtaken) THEN 'unknown' WHEN EXISTS (SELECT FROM known) THEN 'taken' WHEN EXISTS (SELECT FROM person) THEN 'person' ELSE 'unknown' END AS outcome`;
  return row.outcome;
}

/** An Undo of a Like that arrived. */
export interface TakenUnlike {
  /** The id of the Undo. */
  readonly id: string;
  readonly actor: ActorId;
  /** The id of the Like, where it is named. */
  readonly like: string | undefined;
  /** The URI of what was liked, where the Like is embedded. */
  readonly object: string | undefined;
  readonly at: Temporal.Instant;
}

/**
 * Somebody elsewhere takes a Like back. One statement, like the Like. Where an earlier Like is named that was known
 * here, a later one stays. One that was not known yet may still be on its way: its id is remembered, if its actor may
 * have such ids.
 *
 * @returns false when there was none
 */
export async function takeUnlike(
  { sql }: Pick<Database, "sql">,
  { id, actor, like, object, at }: TakenUnlike,
): Promise<boolean> {
  const [row] = await retrying(
    () => sql<[{ many: number }]>`
      WITH taken AS (
        INSERT INTO activity (id, actor, kind, at) VALUES (${id}, ${actor}, 'Undo', ${sqlTime(at)}) ON CONFLICT DO NOTHING RETURNING id),
      unliked AS (
        DELETE FROM favourite f
         WHERE f.actor = ${actor} AND EXISTS (SELECT FROM taken) AND NOT EXISTS (SELECT FROM account x WHERE x.actor = f.actor)
           AND (f.uri = ${like ?? null}
                OR (f.thing = (SELECT t.id FROM thing t WHERE t.uri = ${object ?? null})
                    AND NOT EXISTS (SELECT FROM activity a WHERE a.id = ${like ?? null} AND a.kind = 'Like')))
        RETURNING f.thing, f.actor),
      ${sql.unsafe(UNNOTICE_STEP)},
      overtook AS (
        INSERT INTO activity (id, actor, kind, at)
        SELECT ${like ?? null}, a.id, ${OVERTAKEN}, ${sqlTime(at)} FROM actor a
         WHERE a.id = ${actor} AND EXISTS (SELECT FROM taken) AND NOT EXISTS (SELECT FROM unliked)
           AND starts_with(${like ?? null}, substring(a.uri FROM '^https?://[^/]+/'))
        ON CONFLICT DO NOTHING)
      SELECT count(*)::int AS many FROM unliked`,
  );
  return row.many > 0;
}
