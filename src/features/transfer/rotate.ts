/** A new key for this instance's statements: announced to every peer by the one before. */

import { multibaseOf } from "../statement/proof.ts";
import {
  instanceActor,
  lastStatement,
  type StatementParts,
  writeStatement,
} from "../statement/write.ts";
import { peer as peers } from "../peer/schema.ts";
import { retrying } from "../../store/database.ts";
import type { Vault } from "../../store/keys.ts";
import { drawStatementKey, retireStatementKey } from "../../store/signing.ts";
import type { Temporal } from "../../store/time.ts";
import { ensureTerms } from "./terms.ts";

/**
 * Changes the key that signs statements: the old one tells every peer about the new one, and signs nothing after that.
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
      for (const peer of all) {
        await ensureTerms(parts, tx, { peer, at });
        const seq = ((await lastStatement(tx, peer.id, "out"))?.seq ?? 0) + 1;
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
      return { key: next.id, peers: all.length };
    }),
  );
}
