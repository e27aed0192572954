/** Telling people of this instance, as steps of a larger statement: what is hot has no round trip to spare. */

/** Of what and whom, as the columns of a statement. */
export interface Noticing {
  /** The account that would be told. */
  readonly account: string;
  /** Its actor. */
  readonly self: string;
  /** The actor who caused it. */
  readonly actor: string;
  /** The post it is about; may be null. */
  readonly post: string;
  /** When it happened. */
  readonly at: string;
}

/** A phone is not worth more tries: what it was to be woken for is old by then. */
export const PUSH_ATTEMPTS_MAX = 5;

/** Posts upwards of one that are looked at for a muted conversation; answers may go in a circle. */
const THREAD_DEPTH_MAX = 100;

/**
 * SQL: true when somebody does not want to be told: he muted whoever caused it, one of the two blocked the other, or
 * he muted the conversation, of which the first post is looked for only then.
 */
export function noticeHidden({ account, self, actor, post, at }: Noticing): string {
  return `(
    EXISTS (SELECT FROM mute hm WHERE hm.account = ${account} AND hm.actor = ${actor} AND hm.hides_notifications
                                  AND (hm.until IS NULL OR hm.until > ${at}))
    OR EXISTS (SELECT FROM person_block hb WHERE hb.blocker = ${self} AND hb.blocked = ${actor})
    OR EXISTS (SELECT FROM person_block hb WHERE hb.blocker = ${actor} AND hb.blocked = ${self})
    OR (EXISTS (SELECT FROM thread_mute hm WHERE hm.account = ${account}) AND EXISTS (
          WITH RECURSIVE above AS (
            SELECT ht.uri, hp.in_reply_to, 0 AS level FROM post hp JOIN thing ht ON ht.id = hp.thing WHERE hp.id = ${post}
            UNION ALL
            SELECT above.in_reply_to, hp.in_reply_to, above.level + 1
              FROM above LEFT JOIN thing ht ON ht.uri = above.in_reply_to LEFT JOIN post hp ON hp.thing = ht.id
             WHERE above.in_reply_to IS NOT NULL AND above.level < ${THREAD_DEPTH_MAX})
          SELECT FROM above JOIN thread_mute hm ON hm.account = ${account} AND hm.root = above.uri)))`;
}

/**
 * SQL: steps of a WITH that tell everybody in the step `noticing (account, kind, actor, post, at)`: once of each kind,
 * actor and post, with what open streams are told and a job that wakes apps. The statement must read the step
 * `pushed`, or nothing is woken.
 */
export const NOTICE_STEPS = `
  noticed AS (
    INSERT INTO notification (id, account, kind, actor, post, at)
    SELECT new_id(at), account, kind, actor, post, at FROM noticing
    ON CONFLICT ON CONSTRAINT notification_once DO NOTHING
    RETURNING id, account, at),
  streamed AS (
    INSERT INTO stream_event (kind, account, subject, at) SELECT 'notification', account, id, at FROM noticed),
  pushed AS (
    SELECT graphile_worker.add_job('notice.push', json_build_object('notification', id::text), max_attempts => ${PUSH_ATTEMPTS_MAX}) FROM noticed
     WHERE EXISTS (SELECT FROM token k JOIN push_subscription s ON s.token = k.id WHERE k.account = noticed.account))`;

/**
 * SQL: a step of a WITH: what is told of favourites in the step `unliked (actor, thing)` and was not read yet goes
 * with them.
 */
export const UNNOTICE_STEP = `
  unnoticed AS (
    DELETE FROM notification n USING unliked u, post o, account w
     WHERE o.thing = u.thing AND w.actor = o.author AND n.account = w.id AND n.kind = 'favourite' AND n.actor = u.actor AND n.post = o.id
       AND NOT EXISTS (SELECT FROM marker m WHERE m.account = n.account AND m.timeline = 'notifications' AND m.last_read >= n.id))`;
