/** Statements between instances, from our side: posting ours, pulling theirs, comparing where both stand. */

import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { eq } from "drizzle-orm";
import { raiseAlarm } from "../../features/peer/alarm.ts";
import type { PeerId } from "../../features/peer/peer.ts";
import { peer as peers } from "../../features/peer/schema.ts";
import { type Kinds, logBehind, type Taken, takeStatement } from "../../features/statement/take.ts";
import { lastStatement, type StatementParts } from "../../features/statement/write.ts";
import { formerKeys } from "../../features/transfer/rotate.ts";
import { sendTransfers } from "../../features/transfer/send.ts";
import { tellUntold } from "../../features/transfer/untold.ts";
import type { Json } from "../../rules/canonical.ts";
import { type JsonLimits, parseJson } from "../../rules/json.ts";
import { isObject, STATEMENT_BYTES_MAX } from "../../rules/statement.ts";
import { printable } from "../../rules/text.ts";
import type { Egress } from "../../store/egress.ts";
import { addJob } from "../../store/jobs.ts";
import { messageOf } from "../../store/log.ts";
import { type Clock, sqlTime, Temporal } from "../../store/time.ts";
import { StatusError } from "./fetch.ts";
import { openFreshness } from "./freshness.ts";
import { compareHeads, type PeerRow } from "./heads.ts";
import { signPull } from "./pull-signature.ts";

/** What the exchange needs. */
export interface ExchangeParts {
  readonly statements: StatementParts;
  readonly kinds: Kinds;
  readonly egress: Egress;
  readonly clock: Clock;
}

/** How deep and how large the answers of a peer may be: a page of statements, each within its own limit. */
const ANSWER_LIMITS: JsonLimits = {
  depthMax: 20,
  valuesMax: 400_000,
  itemsMax: 2_000,
  textMax: STATEMENT_BYTES_MAX,
};
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

/** One request to a peer, to the end of its answer. */
const DEADLINE_MS = 10_000;

/** Pages of one pull, and the time for all of them; what is left comes with the next. */
const PAGES_MAX = 200;
const PULL_MS_MAX = 60_000;

/** Peers that are posted to at once. Those that do not answer hold a place for some seconds, and less often each time. */
const PEERS_AT_ONCE = 16;

/** Logs that are pulled at once: each may hold one answer in memory. */
const PULLS_AT_ONCE = 16;

/** What a peer answered is quoted so far. */
const QUOTE_CHARS_MAX = 200;

/** While a statement is on its way nobody else takes it. */
const LEASE_MS = 60_000;

/** How often somebody looks for what is due, when nobody says so. */
const LOOK_MS = 200;

/** After so many failures the operator should know. */
const ATTEMPTS_SILENT = 8;

/** The pause doubles from twice this on: a peer that pulls what it lacks is ready soon. */
const PAUSE_FIRST_MS = 500;

/** Whatever happens, a peer is tried again within so long. */
const PAUSE_MS_MAX = 6 * 3_600_000;

/** The running exchange. */
export interface Exchange {
  /** Something was written: look now. */
  nudge(): void;
  /** Begins to take what a peer's log has after the last statement that is here. */
  pull(peer: PeerId): void;
  /** Writes what closed months owe, and sends it. */
  sendDue(): Promise<void>;
  /** True when the peer knows nothing of ours that this database has forgotten; asked once per process. */
  isFresh(peer: PeerId): Promise<boolean>;
  /** Compares the heads with all peers; what differs is an alarm. */
  compareAll(): Promise<void>;
  /** Starts posting what is due. */
  start(): void;
  stop(): Promise<void>;
}

const logger = getLogger(["fediflattr", "statements"]);

/** Opens the exchange; nothing is sent before `start`. */
export function openExchange(parts: ExchangeParts): Exchange {
  const { statements, kinds, egress, clock } = parts;
  const { database } = statements;
  const stopping = new AbortController();
  let wake = () => {};
  let running: Promise<void> | undefined;
  /** Peers that are being posted to. One that does not answer keeps nobody else waiting. */
  const posting = new Map<PeerId, Promise<void>>();
  /** Logs that are being pulled. A job that waited for a peer would hold up the jobs of the house. */
  const pulling = new Map<PeerId, Promise<void>>();
  const pulledAgain = new Set<PeerId>();

  const ask = async (peer: PeerRow, path: string): Promise<Json> => {
    try {
      return await askAs(peer, path);
    } catch (error) {
      if (!isForbidden(error)) throw error;
      // Who has not taken our KeyRotation yet knows us by the key before.
      for (const key of await formerKeys(database, peer.id))
        try {
          return await askAs(peer, path, key);
        } catch (again) {
          if (!isForbidden(again)) throw again;
        }
      throw error;
    }
  };

  const askAs = async (peer: PeerRow, path: string, key?: string): Promise<Json> => {
    const url = `${peer.ledger}/${new URL(database.settings.origin).host}/${path}`;
    const { id: keyId, privateKey } = await statements.keyOf(database.drizzle, key);
    const { status, body } = await egress.request(url, {
      headers: {
        accept: "application/json",
        ...signPull(url, { keyId, privateKey, at: clock.real() }),
      },
      bytesMax: ANSWER_BYTES_MAX,
      deadlineMs: DEADLINE_MS,
    });
    if (status !== 200) throw new StatusError(status, url);
    return parseJson(textOf(body), ANSWER_LIMITS) as Json;
  };

  /** What a peer shows as said by itself; "strange" is said by somebody else, whoever that is. */
  const take = async (
    { actor }: PeerRow,
    document: unknown,
  ): Promise<Taken["outcome"] | "strange"> => {
    if (!isObject(document) || document["actor"] !== actor) return "strange";
    return (await takeStatement(statements, kinds, document, clock.now())).outcome;
  };

  const pull = async (id: PeerId): Promise<void> => {
    const peer = await rowOf(id);
    if (peer.state !== "open") return;
    const until = clock.real().add({ milliseconds: PULL_MS_MAX });
    for (let page = 0; page < PAGES_MAX; page += 1) {
      if (stopping.signal.aborted) return;
      const last = (await lastStatement(database.drizzle, id, "in"))?.seq ?? 0;
      const answer = await ask(peer, `after/${last}`);
      const listed = isObject(answer) ? answer["statements"] : undefined;
      if (!Array.isArray(listed))
        throw new Error(`${peer.host} answers a pull with something else`);
      for (const document of listed as Json[]) {
        // Somebody else's turn; the rest comes with the next one.
        if (Temporal.Instant.compare(clock.real(), until) > 0) return pullLater(id);
        const outcome = await take(peer, document);
        if (outcome === "tooMany" || outcome === "behind") return;
        if (!TAKEN.has(outcome)) {
          await alarmOf(id, `its log has a statement that cannot be taken: ${outcome}`, outcome);
          return;
        }
      }
      const now = (await lastStatement(database.drizzle, id, "in"))?.seq ?? 0;
      if (now === last || !isObject(answer) || answer["more"] !== true) return;
    }
  };

  /** By a job, behind the logs of others that wait for a place. */
  const pullLater = async (id: PeerId): Promise<void> => {
    if (stopping.signal.aborted) return;
    await addJob(database.drizzle, logBehind, { peer: String(id) }, `pull:${id}`).catch(
      (error: unknown) => logger.warning("a log is pulled again later: {error}", { error }),
    );
  };

  const pullAll = async (id: PeerId): Promise<void> => {
    try {
      if (await freshness.isFresh(id)) await pull(id);
    } catch (error) {
      logger.info("the log of peer {peer} cannot be pulled now: {error}", {
        peer: String(id),
        error,
      });
    } finally {
      pulling.delete(id);
    }
    if (pulledAgain.delete(id)) await pullLater(id);
  };

  const rowOf = async (id: PeerId): Promise<PeerRow & { state: string }> => {
    const [row] = await database.drizzle.select().from(peers).where(eq(peers.id, id));
    return row!;
  };

  const alarm = async (
    id: PeerId,
    what: string,
    how: { isPassing?: boolean; isOnce?: boolean } = {},
  ): Promise<void> => {
    await database.drizzle.transaction((tx) =>
      raiseAlarm(tx, id, { alarm: what, at: clock.now(), ...how }),
    );
  };

  /** A fork says more about itself, a frozen line is known, and what is behind comes later. */
  const alarmOf = async (id: PeerId, what: string, outcome: string): Promise<void> => {
    if (!["fork", "frozen", "behind", "tooMany"].includes(outcome)) await alarm(id, what);
  };

  const heads = { statements, clock, ask, pull };

  const freshness = openFreshness({
    statements,
    clock,
    rowOf,
    ask,
    pull,
    alarm,
    onFresh: () => sendSoon(),
    stopping: stopping.signal,
  });

  const sendOnce = async (): Promise<void> => {
    const mayWrite = async (id: PeerId) => freshness.isKnownFresh(id);
    const told = await tellUntold(statements, clock.now(), mayWrite);
    const written = await sendTransfers(statements, clock.now(), mayWrite);
    if (told.length + written.length > 0) wake();
  };

  /** One run at a time, and one more for all who ask meanwhile. */
  let sending: Promise<void> | undefined;
  let isAskedAgain = false;
  const sendDue = (): Promise<void> => {
    isAskedAgain = true;
    sending ??= (async () => {
      while (isAskedAgain && !stopping.signal.aborted) {
        isAskedAgain = false;
        await sendOnce();
      }
    })().finally(() => (sending = undefined));
    return sending;
  };

  const sendSoon = (): void => {
    void sendDue().catch((error: unknown) =>
      logger.warning("Transfers cannot be written now: {error}", { error }),
    );
  };

  /** Begins to post the next statement of each peer that is due. @returns whether there was any */
  const postDue = async (): Promise<boolean> => {
    const places = PEERS_AT_ONCE - posting.size;
    if (places <= 0) return false;
    const now = clock.real();
    const busy = [...posting.keys()].join();
    const due = await database.sql<
      (PeerRow & { peer: bigint; seq: bigint; kind: string; document: string; attempts: number })[]
    >`
      UPDATE statement s SET due_at = ${sqlTime(now.add({ milliseconds: LEASE_MS }))}::timestamptz, attempts = s.attempts + 1
        FROM (SELECT d.peer, d.seq FROM statement d JOIN peer p ON p.id = d.peer
               WHERE d.due_at <= ${sqlTime(now)}::timestamptz AND d.direction = 'out' AND p.state = 'open'
                 AND d.peer <> ALL(string_to_array(${busy}, ',')::bigint[])
                 AND NOT EXISTS (SELECT FROM statement e WHERE e.peer = d.peer AND e.direction = 'out'
                                    AND e.due_at IS NOT NULL AND e.seq < d.seq)
               ORDER BY d.due_at LIMIT ${places} FOR UPDATE OF d SKIP LOCKED) next, peer p
       WHERE s.peer = next.peer AND s.direction = 'out' AND s.seq = next.seq AND p.id = s.peer
      RETURNING s.peer, s.seq, s.kind, s.document, s.attempts, p.id, p.actor, p.host, p.ledger`;
    for (const one of due) {
      const posted = postOne(one, { ...one, seq: Number(one.seq) })
        .catch((error: unknown) =>
          logger.warning("a statement to {host} cannot be sent now: {error}", {
            host: one.host,
            error,
          }),
        )
        .finally(() => {
          posting.delete(one.id);
          wake();
        });
      posting.set(one.id, posted);
    }
    return due.length > 0;
  };

  const postOne = async (
    peer: PeerRow,
    {
      seq,
      kind,
      document,
      attempts,
    }: { seq: number; kind: string; document: string; attempts: number },
  ): Promise<void> => {
    const fault = await deliver(peer, { kind, document }).catch(messageOf);
    const failure = fault === undefined ? undefined : printable(fault, QUOTE_CHARS_MAX);
    if (failure === undefined) {
      // Answered by its Receipt; a Receipt of ours by having arrived.
      if (kind === "Receipt")
        await database.sql`UPDATE statement SET due_at = NULL, last_error = NULL WHERE peer = ${peer.id} AND direction = 'out' AND seq = ${seq}`;
      return;
    }
    const pause = Math.min(PAUSE_MS_MAX, PAUSE_FIRST_MS * 2 ** Math.min(attempts, 30));
    await database.sql`
      UPDATE statement SET due_at = ${sqlTime(clock.real().add({ milliseconds: pause }))}::timestamptz, last_error = ${failure}
       WHERE peer = ${peer.id} AND direction = 'out' AND seq = ${seq} AND due_at IS NOT NULL`;
    logger.info("statement {seq} to {host}: {failure}", { seq, host: peer.host, failure });
    if (attempts < ATTEMPTS_SILENT) return;
    // One sentence, whatever else it answers each time: that is with the statement.
    const [what] = failure.split(":");
    await alarm(peer.id, `statement ${seq} to ${peer.host} gets no answer: ${what}`, {
      isPassing: true,
    });
  };

  /** @returns why it is to be sent again, or undefined when it is done */
  const deliver = async (
    peer: PeerRow,
    { kind, document }: { kind: string; document: string },
  ): Promise<string | undefined> => {
    if (!(await freshness.isFresh(peer.id))) return "our own log is behind";
    const { status, body } = await egress.request(peer.ledger, {
      method: "POST",
      headers: { "content-type": "application/activity+json", accept: "application/activity+json" },
      body: document,
      bytesMax: STATEMENT_BYTES_MAX,
      deadlineMs: DEADLINE_MS,
    });
    if (status === 204 && kind === "Receipt") return undefined;
    if (status === 202) return "it has a gap, and pulls";
    if (status !== 200)
      return `status ${status}: ${Buffer.from(body).toString("utf8").slice(0, 120)}`;
    if (kind === "Receipt") return undefined;
    const outcome = await take(peer, parseJson(textOf(body), ANSWER_LIMITS));
    // Its log has something before this Receipt, such as its Terms.
    if (outcome === "gap") await pull(peer.id);
    else if (!TAKEN.has(outcome)) {
      await alarmOf(peer.id, `it answers with something that is no Receipt: ${outcome}`, outcome);
      return `its answer: ${outcome}`;
    }
    sendSoon();
    const [left] = await database.sql`
      SELECT FROM statement WHERE peer = ${peer.id} AND direction = 'out' AND id = ${(JSON.parse(document) as { id: string }).id} AND receipt_seq IS NULL`;
    return left === undefined ? undefined : "its answer is for something else";
  };

  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      const found = await postDue().catch((error: unknown) => {
        logger.warning("statements cannot be sent now: {error}", { error });
        return false;
      });
      if (found) continue;
      await Promise.race([woken, sleep(LOOK_MS, undefined, { ref: false })]);
    }
  };

  return {
    nudge: () => wake(),
    pull(id) {
      if (pulling.has(id)) pulledAgain.add(id);
      else if (pulling.size < PULLS_AT_ONCE) pulling.set(id, pullAll(id));
      else throw new Error(`${PULLS_AT_ONCE} logs are being pulled already`);
    },
    sendDue,
    isFresh: (id) => freshness.isFresh(id),
    async compareAll() {
      const all = await database.drizzle.select().from(peers).where(eq(peers.state, "open"));
      const next = all.values();
      const compareNext = async (): Promise<void> => {
        for (const peer of next) {
          if (stopping.signal.aborted) return;
          try {
            for (const { alarm: found, isOnce } of await compareHeads(heads, peer))
              await alarm(peer.id, found, { isOnce });
          } catch (error) {
            const found = `its head cannot be compared: ${messageOf(error)}`;
            await alarm(peer.id, found, { isPassing: true });
          }
        }
      };
      await Promise.all(Array.from({ length: PEERS_AT_ONCE }, compareNext));
    },
    start() {
      running ??= loop();
    },
    async stop() {
      stopping.abort();
      wake();
      await running;
      await Promise.allSettled([...posting.values(), ...pulling.values(), sending]);
    },
  };
}

/** Outcomes after which the log goes on. */
const TAKEN: ReadonlySet<string> = new Set<Taken["outcome"]>([
  "Accept",
  "Reject",
  "Noted",
  "replay",
  "heard",
]);

/** True for the answer to somebody whose key is not known. */
function isForbidden(error: unknown): boolean {
  return error instanceof StatusError && (error.status === 401 || error.status === 403);
}

function textOf(body: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(body);
}
