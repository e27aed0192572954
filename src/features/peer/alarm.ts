/** Alarms: what the operator should look at about a peer. None hides another, and none is lost before it was seen. */

import { getLogger } from "@logtape/logtape";
import { and, desc, eq, isNull, sql } from "drizzle-orm";
import { printable } from "../../rules/text.ts";
import type { Drizzle, Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { PeerId } from "./peer.ts";
import { peer, peerAlarm } from "./schema.ts";

/** An alarm that nobody has seen yet. */
export type Alarm = Pick<typeof peerAlarm.$inferSelect, "alarm" | "at" | "isPassing">;

/** An alarm is a sentence, and may quote what a peer wrote. */
const ALARM_CHARS_MAX = 400;

/** Unseen alarms of one peer. Most of them come from what it says, so it must not fill the table with them. */
export const ALARMS_MAX = 100;

const logger = getLogger(["fediflattr", "peers"]);

/**
 * Tells the operator what to look at. The same sentence is told once, until it was seen.
 *
 * @param isPassing true for trouble that ends by itself: it goes away when the peer is heard again
 * @param isOnce true for what does not change: once seen, it is not told again
 */
export async function raiseAlarm(
  tx: Tx,
  id: PeerId,
  {
    alarm,
    at,
    isPassing = false,
    isOnce = false,
  }: { alarm: string; at: Temporal.Instant; isPassing?: boolean; isOnce?: boolean },
): Promise<void> {
  const text = printable(alarm, ALARM_CHARS_MAX);
  const raised = await tx.execute<{ host: string }>(sql`
    INSERT INTO peer_alarm (id, peer, alarm, is_passing, at)
    SELECT new_id(${sqlTime(at)}), p.id, ${text}, ${isPassing}::boolean, ${sqlTime(at)} FROM peer p
     WHERE p.id = ${id}
       AND (SELECT count(*) FROM peer_alarm a WHERE a.peer = p.id AND a.cleared_at IS NULL AND a.is_passing = ${isPassing}::boolean) < ${ALARMS_MAX}
       AND NOT (${isOnce}::boolean AND EXISTS (SELECT FROM peer_alarm a WHERE a.peer = p.id AND a.alarm = ${text}))
    ON CONFLICT DO NOTHING RETURNING (SELECT host FROM peer p WHERE p.id = peer_alarm.peer) AS host`);
  for (const { host } of raised) logger.warning("peer {host}: {alarm}", { host, alarm: text });
}

/** Something signed by the peer came: it is not silent, and what was said about its silence is over. */
export async function hearPeer(
  tx: Tx | Drizzle,
  { peer: id, at }: { peer: PeerId; at: Temporal.Instant },
): Promise<void> {
  await tx.update(peer).set({ heardAt: at }).where(eq(peer.id, id));
  await tx.delete(peerAlarm).where(and(eq(peerAlarm.peer, id), eq(peerAlarm.isPassing, true)));
}

/** The operator has seen what was wrong. @returns what it was */
export async function clearAlarms(
  tx: Tx,
  { peer: id, at }: { peer: PeerId; at: Temporal.Instant },
): Promise<string[]> {
  const seen = await tx
    .update(peerAlarm)
    .set({ clearedAt: at })
    .where(and(eq(peerAlarm.peer, id), isNull(peerAlarm.clearedAt)))
    .returning({ alarm: peerAlarm.alarm });
  return seen.map(({ alarm }) => alarm);
}

/** What nobody has seen yet, the newest first. */
export async function alarmsOf(tx: Tx | Drizzle, id: PeerId): Promise<Alarm[]> {
  return tx
    .select({ alarm: peerAlarm.alarm, at: peerAlarm.at, isPassing: peerAlarm.isPassing })
    .from(peerAlarm)
    .where(and(eq(peerAlarm.peer, id), isNull(peerAlarm.clearedAt)))
    .orderBy(desc(peerAlarm.id));
}
