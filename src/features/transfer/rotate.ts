/** A new key for this instance's statements: announced to every peer by the one before. */

import type { KeyObject } from "node:crypto";
import { and, eq, isNotNull, isNull, sql } from "drizzle-orm";
import { multibaseOf } from "../statement/proof.ts";
import { statement } from "../statement/schema.ts";
import {
  instanceActor,
  lastStatement,
  type StatementParts,
  writeStatement,
} from "../statement/write.ts";
import type { PeerId } from "../peer/peer.ts";
import { peer as peers } from "../peer/schema.ts";
import { type Database, type Drizzle, retrying } from "../../store/database.ts";
import type { Vault } from "../../store/keys.ts";
import { drawStatementKey, retireStatementKey, statementKeys } from "../../store/signing.ts";
import { Temporal } from "../../store/time.ts";

/**
 * Changes the key that signs statements: the old one tells every peer that was told anything about the new one, and
 * signs nothing after that.
 * All in one transaction, so that no statement is signed by a key that its reader does not know.
 *
 * @returns the id of the new key, and how many peers are told
 */
export async function rotateStatementKey(
  parts: StatementParts,
  vault: Vault,
  at: Temporal.Instant,
): Promise<{ key: string; peers: number }> {
  const { drizzle, settings } = parts.database;
  return retrying(() =>
    drizzle.transaction(async (tx) => {
      const all = await tx.select().from(peers).orderBy(peers.id).for("update");
      const old = await parts.keyOf(tx);
      const next = await drawStatementKey(tx, settings.origin);
      let told = 0;
      for (const peer of all) {
        const last = await lastStatement(tx, peer.id, "out");
        // Who was never told anything learns the new key with our first Terms.
        if (last === undefined) continue;
        const seq = last.seq + 1;
        told += 1;
        await writeStatement(parts, tx, peer, {
          type: ["Update", "KeyRotation"],
          object: instanceActor(settings.origin),
          body: {
            add: { id: next.id, publicKeyMultibase: multibaseOf(next.publicKey) },
            retire: old.id,
            retireAtSeq: seq,
          },
          at,
          isSent: true,
        });
      }
      await retireStatementKey(tx, vault, { retired: old.id, next, at });
      return { key: next.id, peers: told };
    }),
  );
}

/** The hosts of the open lines on which this instance has said anything: they are told about a new key at once. */
export async function openLinesWritten(drizzle: Drizzle): Promise<string[]> {
  const rows = await drizzle
    .selectDistinct({ host: peers.host })
    .from(peers)
    .innerJoin(statement, and(eq(statement.peer, peers.id), eq(statement.direction, "out")))
    .where(and(eq(peers.state, "open"), eq(statement.seq, 1)))
    .orderBy(peers.host);
  return rows.map(({ host }) => host);
}

/** The keys that a peer may know us by although they are retired: they signed KeyRotations that it did not answer. */
export async function formerKeys(
  { drizzle }: Pick<Database, "drizzle">,
  peer: PeerId,
): Promise<string[]> {
  const rows = await drizzle
    .select({ key: signerOf })
    .from(statement)
    .where(
      and(
        eq(statement.peer, peer),
        eq(statement.direction, "out"),
        eq(statement.kind, "KeyRotation"),
        isNull(statement.receiptSeq),
      ),
    )
    .orderBy(statement.seq);
  return rows.map(({ key }) => key);
}

const signerOf = sql<string>`${statement.document}::jsonb -> 'proof' ->> 'verificationMethod'`;

/** A retired key is shown no longer: whoever has stolen it could introduce himself with it to those we never met. */
const SHOWN_DAYS_MAX = 30;

/**
 * The keys that the instance actor shows: the one that signs now, and each older one as long as Terms that it signed
 * have no answer, for some weeks. Their reader may meet us with them only now, and finds nothing but what is shown.
 */
export async function shownKeys(
  drizzle: Drizzle,
  now: Temporal.Instant,
): Promise<{ id: string; publicKey: KeyObject }[]> {
  const [all, unanswered] = await Promise.all([
    statementKeys(drizzle, { withRetired: true }),
    drizzle
      .selectDistinct({ key: signerOf })
      .from(statement)
      .innerJoin(peers, and(eq(peers.id, statement.peer), eq(peers.state, "open")))
      .where(
        and(
          eq(statement.direction, "out"),
          eq(statement.kind, "Terms"),
          isNotNull(statement.dueAt),
          isNull(statement.receiptSeq),
        ),
      ),
  ]);
  const needed = new Set(unanswered.map(({ key }) => key));
  const oldest = now.subtract({ hours: 24 * SHOWN_DAYS_MAX });
  return all.filter(
    ({ id, retiredAt }) =>
      retiredAt === null || (needed.has(id) && Temporal.Instant.compare(retiredAt, oldest) > 0),
  );
}
