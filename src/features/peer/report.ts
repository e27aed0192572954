/** What the operator sees of other instances. */

import { sql } from "drizzle-orm";
import { type Micro, toMicro } from "../../rules/amount.ts";
import type { Database } from "../../store/database.ts";
import { peerOfHost } from "./peer.ts";

/** One line with a peer, in one currency. */
export interface PeerLine {
  readonly host: string;
  readonly actor: string;
  readonly state: "open" | "frozen" | "forked";
  /** The newest alarm that nobody has seen; one that passes by itself only when there is no other. */
  readonly alarm: string | null;
  readonly currency: string;
  /** What the peer may owe here, and what this instance may owe there as far as it said. */
  readonly limit: Micro;
  readonly theirLimit: Micro | null;
  readonly acceptedIn: Micro;
  readonly settledIn: Micro;
  readonly acceptedOut: Micro;
  readonly settledOut: Micro;
  /** Not sent yet, sent and not answered. */
  readonly outbound: Micro;
  readonly inFlight: Micro;
  /** What this instance still has to pay, and what it has paid that is not confirmed. */
  readonly payable: Micro;
  readonly unconfirmed: Micro;
  /** Our statements that have no answer yet. */
  readonly unanswered: number;
}

/** All lines, or those with one host. @throws Refusal "peer_unknown" */
export async function peerLines(database: Database, host?: string): Promise<PeerLine[]> {
  const only = host === undefined ? undefined : (await peerOfHost(database.drizzle, host)).id;
  const balance = (kind: string) => sql`
    COALESCE((SELECT b.amount FROM ledger.account a JOIN ledger.balance b ON b.account = a.id
               WHERE a.kind = ${kind} AND a.peer = p.id AND a.currency = l.currency), 0)::text`;
  const rows = await database.drizzle.execute<Record<string, string | number | null>>(sql`
    SELECT p.host, p.actor, p.state,
           (SELECT a.alarm FROM peer_alarm a WHERE a.peer = p.id AND a.cleared_at IS NULL ORDER BY a.is_passing, a.id DESC LIMIT 1) AS alarm, l.currency, l."limit"::text AS "limit", l.their_limit::text AS "theirLimit",
           x.accepted_in::text AS "acceptedIn", x.settled_in::text AS "settledIn",
           x.accepted_out::text AS "acceptedOut", x.settled_out::text AS "settledOut",
           ${balance("outbound")} AS outbound, ${balance("in_flight")} AS "inFlight", ${balance("payable")} AS payable,
           (COALESCE((SELECT sum(amount) FROM peer_payment y WHERE y.peer = p.id AND y.direction = 'paid' AND y.currency = l.currency), 0)
            - x.settled_out)::text AS unconfirmed,
           (SELECT count(*)::int FROM statement s WHERE s.peer = p.id AND s.direction = 'out' AND s.due_at IS NOT NULL) AS unanswered
      FROM peer p JOIN trust_line l ON l.peer = p.id JOIN position x ON x.peer = p.id AND x.currency = l.currency
     WHERE ${only === undefined ? sql`true` : sql`p.id = ${only}`} ORDER BY p.host, l.currency`);
  const amount = (value: string | number | null | undefined) => toMicro(BigInt(value ?? 0));
  return rows.map((row) => ({
    host: row["host"] as string,
    actor: row["actor"] as string,
    state: row["state"] as PeerLine["state"],
    alarm: row["alarm"] as string | null,
    currency: row["currency"] as string,
    limit: amount(row["limit"]),
    theirLimit: row["theirLimit"] === null ? null : amount(row["theirLimit"]),
    acceptedIn: amount(row["acceptedIn"]),
    settledIn: amount(row["settledIn"]),
    acceptedOut: amount(row["acceptedOut"]),
    settledOut: amount(row["settledOut"]),
    outbound: amount(row["outbound"]),
    inFlight: amount(row["inFlight"]),
    payable: amount(row["payable"]),
    unconfirmed: amount(row["unconfirmed"]),
    unanswered: row["unanswered"] as number,
  }));
}

/** Two statements of a peer that contradict each other, by their digests. */
export interface Contradiction {
  readonly seq: number;
  readonly knownDigest: string | null;
  readonly otherDigest: string;
}

/** The evidence against a peer that told two stories. */
export async function contradictionsOf(database: Database, host: string): Promise<Contradiction[]> {
  const { id } = await peerOfHost(database.drizzle, host);
  const rows = await database.drizzle.execute<{
    seq: string;
    known_digest: string | null;
    other_digest: string;
  }>(
    sql`SELECT seq::text, known_digest, other_digest FROM fork WHERE peer = ${id} ORDER BY at, seq`,
  );
  return rows.map(({ seq, known_digest, other_digest }) => ({
    seq: Number(seq),
    knownDigest: known_digest,
    otherDigest: other_digest,
  }));
}

/** The keys of a peer that are believed. */
export async function keysOf(
  database: Database,
  host: string,
): Promise<{ id: string; publicKeyMultibase: string; retireAtSeq: number | null }[]> {
  const { id } = await peerOfHost(database.drizzle, host);
  const rows = await database.drizzle.execute<{
    id: string;
    key: string;
    retire: string | null;
  }>(
    sql`SELECT id, public_key_multibase AS key, retire_at_seq::text AS retire FROM peer_key WHERE peer = ${id} ORDER BY since, id`,
  );
  return rows.map(({ id: key, key: publicKeyMultibase, retire }) => ({
    id: key,
    publicKeyMultibase,
    retireAtSeq: retire === null ? null : Number(retire),
  }));
}
