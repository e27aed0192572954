/** Statements between instances, from our side: posting ours, pulling theirs, comparing where both stand. */

import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { and, eq } from "drizzle-orm";
import type { PeerId } from "../../features/peer/peer.ts";
import { raiseAlarm } from "../../features/peer/peer.ts";
import { peer as peers, peerKey } from "../../features/peer/schema.ts";
import {
  type Document,
  isSigned,
  type Proof,
  publicKeyOf,
} from "../../features/statement/proof.ts";
import { type Kinds, type Taken, takeStatement } from "../../features/statement/take.ts";
import {
  instanceActor,
  lastStatement,
  type StatementParts,
} from "../../features/statement/write.ts";
import { recoverOwn } from "../../features/transfer/recover.ts";
import { sendTransfers } from "../../features/transfer/send.ts";
import { canonicalJson, type Json } from "../../rules/canonical.ts";
import { type JsonLimits, parseJson } from "../../rules/json.ts";
import { isObject, STATEMENT_BYTES_MAX } from "../../rules/statement.ts";
import type { Egress } from "../../store/egress.ts";
import { type Clock, sqlTime } from "../../store/time.ts";
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

/** Whole requests to a peer. */
const DEADLINE_MS = 30_000;

/** Pages of one pull; what is left comes with the next. */
const PAGES_MAX = 200;

/** Peers that are posted to at once. */
const PEERS_AT_ONCE = 8;

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

interface PeerRow {
  readonly id: PeerId;
  readonly actor: string;
  readonly host: string;
  readonly ledger: string;
}

/** The running exchange. */
export interface Exchange {
  /** Something was written: look now. */
  nudge(): void;
  /** Takes what a peer's log has after the last statement that is here. */
  pull(peer: PeerId): Promise<void>;
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
  const fresh = new Map<PeerId, Promise<boolean>>();
  const stopping = new AbortController();
  let wake = () => {};
  let running: Promise<void> | undefined;

  const ask = async (peer: PeerRow, path: string): Promise<Json> => {
    const url = `${peer.ledger}/${new URL(database.settings.origin).host}/${path}`;
    const { status, body } = await egress.request(url, {
      headers: {
        accept: "application/json",
        ...signPull(url, {
          keyId: statements.key.id,
          privateKey: statements.key.privateKey,
          at: clock.real(),
        }),
      },
      bytesMax: ANSWER_BYTES_MAX,
      deadlineMs: DEADLINE_MS,
    });
    if (status !== 200) throw new Error(`${url} answered ${status}`);
    return parseJson(textOf(body), ANSWER_LIMITS) as Json;
  };

  const take = (document: unknown): Promise<Taken> =>
    takeStatement(statements, kinds, document, clock.now());

  const pull = async (id: PeerId): Promise<void> => {
    const peer = await rowOf(id);
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const last = (await lastStatement(database.drizzle, id, "in"))?.seq ?? 0;
      const answer = await ask(peer, `after/${last}`);
      const listed = isObject(answer) ? answer["statements"] : undefined;
      if (!Array.isArray(listed))
        throw new Error(`${peer.host} answers a pull with something else`);
      for (const document of listed as Json[]) {
        const { outcome } = await take(document);
        if (!TAKEN.has(outcome)) {
          await alarm(id, `its log has a statement that cannot be taken: ${outcome}`);
          return;
        }
      }
      const now = (await lastStatement(database.drizzle, id, "in"))?.seq ?? 0;
      if (now === last || !isObject(answer) || answer["more"] !== true) return;
    }
  };

  const rowOf = async (id: PeerId): Promise<PeerRow> => {
    const [row] = await database.drizzle.select().from(peers).where(eq(peers.id, id));
    return row!;
  };

  const alarm = async (id: PeerId, what: string): Promise<void> => {
    logger.warning("peer {peer}: {what}", { peer: String(id), what });
    await database.drizzle.transaction((tx) =>
      raiseAlarm(tx, id, { alarm: what, at: clock.now() }),
    );
  };

  /** The signed head of a peer, if it answers with one. */
  const headOf = async (peer: PeerRow): Promise<Document | undefined> => {
    const head = await ask(peer, "head");
    if (!isObject(head)) return undefined;
    const proof = head["proof"];
    if (!isObject(proof) || head["actor"] !== peer.actor) return undefined;
    if (head["to"] !== instanceActor(database.settings.origin)) return undefined;
    const [key] = await database.drizzle
      .select()
      .from(peerKey)
      .where(and(eq(peerKey.peer, peer.id), eq(peerKey.id, methodOf(proof))));
    const publicKey = key === undefined ? undefined : publicKeyOf(key.publicKeyMultibase);
    const document: Document = head;
    return publicKey !== undefined && isSigned(document, document["proof"] as Proof, publicKey)
      ? document
      : undefined;
  };

  /** Gets back what we had signed and this database has forgotten: it was restored from a backup. */
  const checkFresh = async (id: PeerId): Promise<boolean> => {
    const peer = await rowOf(id);
    const head = await headOf(peer).catch(() => undefined);
    // A peer that does not answer cannot tell; if it knows more, it will say so as a fork, and both are kept.
    if (head === undefined) return true;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const last = (await lastStatement(database.drizzle, id, "out"))?.seq ?? 0;
      if (seqOf(head["received"]) <= last) break;
      const answer = await ask(peer, `received/${last}`);
      const listed = isObject(answer) ? answer["statements"] : undefined;
      for (const document of Array.isArray(listed) ? (listed as Json[]) : []) {
        if (!(await recoverOwn(statements, { peer: id, document, at: clock.now() }))) {
          await alarm(
            id,
            "it knows statements of ours that this database does not, and they do not fit",
          );
          return false;
        }
      }
      if (((await lastStatement(database.drizzle, id, "out"))?.seq ?? 0) === last) return false;
    }
    if (seqOf(head["log"]) > ((await lastStatement(database.drizzle, id, "in"))?.seq ?? 0))
      await pull(id).catch(() => {});
    return true;
  };

  const isFresh = (id: PeerId): Promise<boolean> => {
    const known = fresh.get(id);
    if (known !== undefined) return known;
    const asked = checkFresh(id).catch((error: unknown) => {
      logger.warning("peer {peer} cannot be asked for its head: {error}", {
        peer: String(id),
        error,
      });
      return true;
    });
    fresh.set(id, asked);
    return asked;
  };

  const sendDue = async (): Promise<void> => {
    const written = await sendTransfers(statements, clock.now(), isFresh);
    if (written.length > 0) wake();
  };

  /** Posts the next statement of each peer that is due. @returns whether there was any */
  const postDue = async (): Promise<boolean> => {
    const now = clock.real();
    const due = await database.sql<
      (PeerRow & { peer: bigint; seq: bigint; kind: string; document: string; attempts: number })[]
    >`
      UPDATE statement s SET due_at = ${sqlTime(now.add({ milliseconds: LEASE_MS }))}::timestamptz, attempts = s.attempts + 1
        FROM (SELECT d.peer, d.seq FROM statement d JOIN peer p ON p.id = d.peer
               WHERE d.due_at <= ${sqlTime(now)}::timestamptz AND d.direction = 'out' AND p.state = 'open'
                 AND NOT EXISTS (SELECT FROM statement e WHERE e.peer = d.peer AND e.direction = 'out'
                                    AND e.due_at IS NOT NULL AND e.seq < d.seq)
               ORDER BY d.due_at LIMIT ${PEERS_AT_ONCE} FOR UPDATE OF d SKIP LOCKED) next, peer p
       WHERE s.peer = next.peer AND s.direction = 'out' AND s.seq = next.seq AND p.id = s.peer
      RETURNING s.peer, s.seq, s.kind, s.document, s.attempts, p.id, p.actor, p.host, p.ledger`;
    await Promise.all(due.map((one) => postOne(one, { ...one, seq: Number(one.seq) })));
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
    const failure = await deliver(peer, { kind, document }).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    );
    if (failure === undefined) {
      // Answered by its Receipt; a Receipt of ours by having arrived.
      if (kind === "Receipt")
        await database.sql`UPDATE statement SET due_at = NULL, last_error = NULL WHERE peer = ${peer.id} AND direction = 'out' AND seq = ${seq}`;
      return;
    }
    const pause = Math.min(PAUSE_MS_MAX, PAUSE_FIRST_MS * 2 ** Math.min(attempts, 30));
    await database.sql`
      UPDATE statement SET due_at = ${sqlTime(clock.real().add({ milliseconds: pause }))}::timestamptz, last_error = ${failure.slice(0, 200)}
       WHERE peer = ${peer.id} AND direction = 'out' AND seq = ${seq} AND due_at IS NOT NULL`;
    logger.info("statement {seq} to {host}: {failure}", { seq, host: peer.host, failure });
    if (attempts === ATTEMPTS_SILENT)
      await alarm(peer.id, `statement ${seq} to ${peer.host} gets no answer: ${failure}`);
  };

  /** @returns why it is to be sent again, or undefined when it is done */
  const deliver = async (
    peer: PeerRow,
    { kind, document }: { kind: string; document: string },
  ): Promise<string | undefined> => {
    if (!(await isFresh(peer.id))) return "our own log is behind";
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
    const receipt = parseJson(textOf(body), ANSWER_LIMITS);
    const { outcome } = await take(receipt);
    // Its log has something before this Receipt, such as its Terms.
    if (outcome === "gap") await pull(peer.id);
    else if (!TAKEN.has(outcome)) {
      await alarm(peer.id, `it answers with something that is no Receipt: ${outcome}`);
      return `its answer: ${outcome}`;
    }
    await sendDue();
    const [left] = await database.sql`
      SELECT FROM statement WHERE peer = ${peer.id} AND direction = 'out' AND id = ${(JSON.parse(document) as { id: string }).id} AND receipt_seq IS NULL`;
    return left === undefined ? undefined : "its answer is for something else";
  };

  const compareOne = async (peer: PeerRow): Promise<void> => {
    const head = await headOf(peer);
    if (head === undefined) return alarm(peer.id, "it has no signed head to compare with");
    const ours = await lastStatement(database.drizzle, peer.id, "in");
    const theirs = await lastStatement(database.drizzle, peer.id, "out");
    const differs = async (
      what: string,
      said: Json | undefined,
      direction: "in" | "out",
      own: number,
    ) => {
      const seq = seqOf(said);
      if (seq > own)
        return direction === "out"
          ? `it received statement ${seq} of ours, which is not here`
          : undefined;
      if (seq === 0) return undefined;
      const [known] = await database.sql<{ digest: string }[]>`
        SELECT digest FROM statement WHERE peer = ${peer.id} AND direction = ${direction} AND seq = ${seq}`;
      return isObject(said) && known?.digest === said["digest"]
        ? undefined
        : `${what} differ at number ${seq}`;
    };
    const found =
      (await differs("our statements", head["received"], "out", theirs?.seq ?? 0)) ??
      (await differs("its statements", head["log"], "in", ours?.seq ?? 0));
    if (found !== undefined) return alarm(peer.id, found);
    if (seqOf(head["log"]) > (ours?.seq ?? 0)) await pull(peer.id);
    const wrong = await comparePositions(peer.id, head["positions"]);
    // Something may be on its way: positions are compared only where both logs are.
    if (
      wrong !== undefined &&
      seqOf(head["received"]) === (theirs?.seq ?? 0) &&
      seqOf(head["log"]) === (ours?.seq ?? 0)
    )
      await alarm(peer.id, wrong);
  };

  const comparePositions = async (
    id: PeerId,
    said: Json | undefined,
  ): Promise<string | undefined> => {
    const rows = await database.sql<
      {
        currency: string;
        acceptedIn: bigint;
        settledIn: bigint;
        acceptedOut: bigint;
        settledOut: bigint;
      }[]
    >`
      SELECT currency, accepted_in AS "acceptedIn", settled_in AS "settledIn", accepted_out AS "acceptedOut", settled_out AS "settledOut"
        FROM position WHERE peer = ${id}`;
    const theirs = new Map(
      (Array.isArray(said) ? (said as Json[]) : []).flatMap((one) =>
        isObject(one) && typeof one["currency"] === "string"
          ? [[one["currency"], one] as const]
          : [],
      ),
    );
    for (const { currency, acceptedIn, settledIn, acceptedOut, settledOut } of rows) {
      const one = theirs.get(currency);
      const wanted = {
        in: { accepted: String(acceptedOut), settled: String(settledOut) },
        out: { accepted: String(acceptedIn), settled: String(settledIn) },
      };
      const isEqual =
        one !== undefined &&
        canonicalJson({ in: one["in"] ?? null, out: one["out"] ?? null }) === canonicalJson(wanted);
      if (!isEqual)
        return `the positions in ${currency} differ: ours say ${canonicalJson(wanted)}, its say ${canonicalJson(one ?? null)}`;
    }
    return undefined;
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
    pull: async (id) => {
      if (await isFresh(id)) await pull(id);
    },
    sendDue,
    isFresh,
    async compareAll() {
      const all = await database.drizzle.select().from(peers).where(eq(peers.state, "open"));
      for (const peer of all)
        await compareOne(peer).catch((error: unknown) =>
          alarm(
            peer.id,
            `its head cannot be compared: ${error instanceof Error ? error.message : String(error)}`,
          ),
        );
    },
    start() {
      running ??= loop();
    },
    async stop() {
      stopping.abort();
      wake();
      await running;
    },
  };
}

/** Outcomes after which the log goes on. */
const TAKEN: ReadonlySet<Taken["outcome"]> = new Set([
  "Accept",
  "Reject",
  "Noted",
  "replay",
  "heard",
]);

function seqOf(head: Json | undefined): number {
  const seq = isObject(head) ? head["seq"] : undefined;
  return typeof seq === "number" && Number.isSafeInteger(seq) ? seq : 0;
}

function textOf(body: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(body);
}

function methodOf(proof: { readonly [key: string]: Json }): string {
  const { verificationMethod } = proof;
  return typeof verificationMethod === "string" ? verificationMethod : "";
}
