/** How money reaches creators elsewhere: does an instance of our kind keep their accounts? Asked before the month ends. */

import { eq, sql } from "drizzle-orm";
import { closesAt, type Period, periodNumber, periodOf } from "../../rules/period.ts";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { addJob, type JobKind } from "../../store/jobs.ts";
import { setting } from "../../store/schema.ts";
import { sqlTime, Temporal } from "../../store/time.ts";
import { type FoundInstance, openPeer } from "./peer.ts";
import { hostWay } from "./schema.ts";

/** A host is to be asked whether it keeps accounts. The job may be run again, and by anybody. */
export const wayWanted: JobKind<{ readonly origin: string }> = { name: "peer.discover" };

/** What was answered is believed for a day; and asked again shortly before it decides where money goes. */
const BELIEVED_HOURS = 24;
const LAST_HOURS = 6;

/** Clicks may become visible so much later than they are dated: what was looked at is looked at again for so long. */
const OVERLAP_MINUTES = 10;

/** Name of the setting that says which clicks were looked at. */
const SEEN = "ways_seen";

/** What is remembered between two looks. */
interface Seen {
  readonly period: Period;
  readonly at: string;
  /** True when all hosts of the month were asked for its end. */
  readonly isFinal: boolean;
}

/**
 * Finds the hosts that are to be asked, and adds a job for each: those of payees that were flattred since the last
 * look and were not asked for a day; once, in the last hours of a month, all hosts of the month. The click itself
 * does nothing for it.
 *
 * @returns the origins that will be asked
 */
export async function hostsToAsk(database: Database, at: Temporal.Instant): Promise<string[]> {
  const period = periodOf(at);
  const isFinal = isLastHours(period, at);
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      // Also keeps two workers from looking at once.
      await tx.insert(setting).values({ name: SEEN, value: "{}" }).onConflictDoNothing();
      const [row] = await tx.select().from(setting).where(eq(setting.name, SEEN)).for("update");
      const seen = JSON.parse(row!.value) as Partial<Seen>;
      const isNew = seen.period !== period || (isFinal && seen.isFinal !== true);
      const since =
        isNew || seen.at === undefined
          ? undefined
          : Temporal.Instant.from(seen.at).subtract({ minutes: OVERLAP_MINUTES });
      const origins = await originsFlattred(database, tx, { period, since, at });
      for (const origin of origins) await addJob(tx, wayWanted, { origin }, keyOf(origin));
      const now: Seen = { period, at: sqlTime(at), isFinal };
      await tx
        .update(setting)
        .set({ value: JSON.stringify(now) })
        .where(eq(setting.name, SEEN));
      return origins;
    }),
  );
}

async function originsFlattred(
  { settings }: Database,
  tx: Tx,
  {
    period,
    since,
    at,
  }: { period: Period; since: Temporal.Instant | undefined; at: Temporal.Instant },
): Promise<string[]> {
  // Ids begin with their milliseconds, so the index finds what is new. The table of flattrs belongs to the rim.
  const from = since === undefined ? 0n : BigInt(since.epochMilliseconds) << 16n;
  const rows = await tx.execute<{ origin: string }>(sql`
    WITH fresh AS MATERIALIZED (
      SELECT DISTINCT split FROM flattr WHERE period = ${periodNumber(period)} AND id >= ${from})
    SELECT DISTINCT ON (a.host) split_part(a.uri, '/', 1) || '//' || a.host AS origin
      FROM fresh
      JOIN split_part p ON p.split = fresh.split
      JOIN actor a ON a.id = p.payee
      LEFT JOIN host_way w ON w.host = a.host
     WHERE a.host <> ${new URL(settings.origin).host}
       AND (w.asked_at IS NULL OR w.asked_at < ${sqlTime(staleAt(period, at))})
       AND NOT EXISTS (SELECT FROM block b WHERE b.until IS NULL AND b.kind = 'host' AND b.target = a.host)
     ORDER BY a.host, a.uri DESC`);
  return rows.map(({ origin }) => origin);
}

/** What was asked before this is asked again. */
function staleAt(period: Period, at: Temporal.Instant): Temporal.Instant {
  return isLastHours(period, at)
    ? closesAt(period).subtract({ hours: LAST_HOURS })
    : at.subtract({ hours: BELIEVED_HOURS });
}

function isLastHours(period: Period, at: Temporal.Instant): boolean {
  return Temporal.Instant.compare(at, closesAt(period).subtract({ hours: LAST_HOURS })) >= 0;
}

/** One job for each host. */
function keyOf(origin: string): string {
  return `${wayWanted.name} ${new URL(origin).host}`;
}

/** Adds the job for one host, unless it was asked lately: whoever tells a creator of a flattr need not wait for a look. */
export async function askWay(
  { drizzle, settings }: Database,
  origin: string,
  at: Temporal.Instant,
): Promise<void> {
  const { host } = new URL(origin);
  if (host === new URL(settings.origin).host) return;
  const [known] = await drizzle
    .select({ askedAt: hostWay.askedAt })
    .from(hostWay)
    .where(eq(hostWay.host, host));
  const askedAt = known?.askedAt ?? undefined;
  if (askedAt === undefined || Temporal.Instant.compare(askedAt, staleAt(periodOf(at), at)) < 0)
    await addJob(drizzle, wayWanted, { origin }, keyOf(origin));
}

/**
 * Remembers what a host answered. An instance of our kind becomes a peer when it is met for the first time, with the
 * keys that it shows then; whatever keys it shows later, those stay.
 *
 * @param found undefined when it keeps no accounts
 * @throws Refusal "peer_limit_reached" when too many new peers came in one day, "peer_unknown" when the host is known
 *   under another instance actor; nothing is changed then
 */
export async function rememberWay(
  database: Database,
  { host, found, at }: { host: string; found: FoundInstance | undefined; at: Temporal.Instant },
): Promise<void> {
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const peer = found === undefined ? null : await openPeer(database, tx, found, at);
      const way = { peer, answeredAt: at, askedAt: at };
      await tx
        .insert(hostWay)
        .values({ host, ...way })
        .onConflictDoUpdate({ target: hostWay.host, set: way });
    }),
  );
}

/** Remembers that a host did not answer: the last known way stays. */
export async function rememberSilence(
  { drizzle }: Database,
  { host, at }: { host: string; at: Temporal.Instant },
): Promise<void> {
  await drizzle
    .insert(hostWay)
    .values({ host, askedAt: at })
    .onConflictDoUpdate({ target: hostWay.host, set: { askedAt: at } });
}
