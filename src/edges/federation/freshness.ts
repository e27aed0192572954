/**
 * Whether our own log to a peer is whole. After a start from a backup the peer may have statements of ours that this
 * database has forgotten: its copy is the backup, and nothing may be signed before they are back.
 */

import { getLogger } from "@logtape/logtape";
import { and, eq, isNotNull } from "drizzle-orm";
import type { PeerId } from "../../features/peer/peer.ts";
import { statement } from "../../features/statement/schema.ts";
import { lastStatement, type StatementParts } from "../../features/statement/write.ts";
import { recoverOwn } from "../../features/transfer/recover.ts";
import type { Json } from "../../rules/canonical.ts";
import { isObject } from "../../rules/statement.ts";
import { messageOf } from "../../store/log.ts";
import type { Clock } from "../../store/time.ts";
import { StatusError } from "./fetch.ts";
import type { PeerRow } from "./heads.ts";

/** What is known of our logs. */
export interface Freshness {
  /** True when the peer has nothing of ours that is not here. Asked once per process, and again while it is not. */
  isFresh(peer: PeerId): Promise<boolean>;
  /** The same without waiting: who was not asked yet is asked now, and is not fresh until it has answered. */
  isKnownFresh(peer: PeerId): boolean;
}

/** What asking needs. */
export interface FreshnessParts {
  readonly statements: StatementParts;
  readonly clock: Clock;
  readonly rowOf: (peer: PeerId) => Promise<PeerRow>;
  /** Asks a peer for something under its ledger's address. */
  readonly ask: (peer: PeerRow, path: string) => Promise<Json>;
  /** Takes what the peer's log has more than is here. */
  readonly pull: (peer: PeerId) => Promise<void>;
  readonly alarm: (peer: PeerId, what: string) => Promise<void>;
  /** It has answered, and may be written to. */
  readonly onFresh: () => void;
  readonly stopping: AbortSignal;
}

/** Pages of our own statements at once; what is left comes when it is asked again. */
const PAGES_MAX = 200;

/** A peer that has more than fits is asked again after this. */
const BEHIND_MS = 5 * 60_000;

/** A peer that did not answer is asked again after this, by whoever wants to write to it, and less often each time. */
const SILENT_FIRST_MS = 2_000;
const SILENT_MS_MAX = 60_000;

/** What a peer answers that keeps no log with us. Anything else that is no success may pass. */
const NO_LOG: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 410, 501]);

const logger = getLogger(["fediflattr", "statements"]);

/** Begins without knowing anything. */
export function openFreshness(parts: FreshnessParts): Freshness {
  const { statements, clock, rowOf, ask, pull, alarm, onFresh, stopping } = parts;
  const { drizzle } = statements.database;
  const known = new Map<
    PeerId,
    { asked: Promise<boolean>; is?: boolean; untilMs: number; silences: number }
  >();

  const lastOut = async (id: PeerId) => (await lastStatement(drizzle, id, "out"))?.seq ?? 0;

  /** Statements of ours behind this one that the peer has. */
  const forgottenAfter = async (peer: PeerRow, last: number): Promise<readonly Json[]> => {
    try {
      const answer = await ask(peer, `received/${last}`);
      const listed = isObject(answer) ? answer["statements"] : undefined;
      const isClaim =
        Array.isArray(listed) && listed.length === 0 && isObject(answer) && answer["more"] === true;
      if (!Array.isArray(listed) || isClaim)
        throw new Error(`${peer.host} shows something else than our log`);
      return listed as Json[];
    } catch (error) {
      const isUnknown = error instanceof StatusError && NO_LOG.has(error.status);
      if (!isUnknown) throw error;
      const [answered] = await drizzle
        .select({ seq: statement.seq })
        .from(statement)
        .where(
          and(
            eq(statement.peer, peer.id),
            eq(statement.direction, "out"),
            isNotNull(statement.receiptSeq),
          ),
        )
        .limit(1);
      // Who never answered does not know us yet. Who did, and knows our key no more, knows a newer one.
      if (answered === undefined) return [];
      await alarm(
        peer.id,
        `it does not show our own log any more (status ${error.status}): perhaps this database is from before our last change of key, or its own is older; nothing is sent to it and taken from it`,
      );
      throw error;
    }
  };

  const recover = async (peer: PeerRow): Promise<boolean> => {
    for (let page = 0; page < PAGES_MAX && !stopping.aborted; page += 1) {
      const last = await lastOut(peer.id);
      const forgotten = await forgottenAfter(peer, last);
      if (forgotten.length === 0) return true;
      for (const document of forgotten) {
        if (await recoverOwn(statements, { peer: peer.id, document, at: clock.now() })) continue;
        await alarm(
          peer.id,
          "it shows statements as ours that do not fit behind those that are here: nothing is sent to it and taken from it",
        );
        return false;
      }
      if ((await lastOut(peer.id)) === last) return false;
    }
    return false;
  };

  const ensure = async (id: PeerId): Promise<boolean> => {
    if (!(await recover(await rowOf(id)))) return false;
    // What it has said since is missing here, too.
    await pull(id).catch((error: unknown) =>
      logger.info("the log of peer {peer} cannot be pulled now: {error}", {
        peer: String(id),
        error,
      }),
    );
    return true;
  };

  const isFresh = (id: PeerId): Promise<boolean> => {
    const before = known.get(id);
    if (before !== undefined && before.untilMs > clock.real().epochMilliseconds)
      return before.asked;
    let silences = 0;
    const asked = ensure(id).catch((error: unknown) => {
      // What it may know of us is not known: to sign anything now could be to sign a number twice.
      logger.info("peer {peer} cannot be asked for our log: {why}", {
        peer: String(id),
        why: messageOf(error),
      });
      silences = (before?.silences ?? 0) + 1;
      return false;
    });
    known.set(id, { asked, untilMs: Number.POSITIVE_INFINITY, silences });
    return asked.then((is) => {
      const pauseMs =
        silences === 0
          ? BEHIND_MS
          : Math.min(SILENT_MS_MAX, SILENT_FIRST_MS * 2 ** Math.min(silences - 1, 10));
      const untilMs = is ? Number.POSITIVE_INFINITY : clock.real().epochMilliseconds + pauseMs;
      known.set(id, { asked, is, untilMs, silences });
      if (is) onFresh();
      return is;
    });
  };

  return {
    isFresh,
    isKnownFresh(id) {
      const now = known.get(id);
      const isCurrent = now !== undefined && now.untilMs > clock.real().epochMilliseconds;
      if (isCurrent && now.is !== undefined) return now.is;
      if (!isCurrent) void isFresh(id);
      return false;
    },
  };
}
