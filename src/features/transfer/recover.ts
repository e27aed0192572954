/**
 * After a start from a backup: what this instance had signed since, it gets back from its peers, whose copies are the
 * backup. Otherwise it would sign other statements under the same numbers, which is a fork.
 */

import { canonicalJson } from "../../rules/canonical.ts";
import { isObject, readFrame } from "../../rules/statement.ts";
import { retrying } from "../../store/database.ts";
import { statementKeys } from "../../store/signing.ts";
import type { Temporal } from "../../store/time.ts";
import { lockPeer, type PeerId } from "../peer/peer.ts";
import { digestOf, isSigned, type Proof } from "../statement/proof.ts";
import { statement } from "../statement/schema.ts";
import {
  DUE_NOW,
  instanceActor,
  lastStatement,
  type StatementParts,
  statementOf,
} from "../statement/write.ts";
import { bookAgain } from "./payment.ts";

/**
 * Takes one of our own statements back into the log, with what it had booked.
 *
 * @returns false when it is not ours or does not fit behind the last one: then nothing changed
 */
export async function recoverOwn(
  parts: StatementParts,
  { peer: id, document, at }: { peer: PeerId; document: unknown; at: Temporal.Instant },
): Promise<boolean> {
  const { drizzle, settings } = parts.database;
  const frame = readFrame(document);
  if ("fault" in frame || frame.actor !== instanceActor(settings.origin)) return false;
  const own = frame.document;
  const proof = own["proof"] as Proof;
  const keys = await statementKeys(drizzle, { withRetired: true });
  const key = keys.find(
    (known) => isObject(proof) && known.id === proof["verificationMethod"],
  )?.publicKey;
  if (key === undefined || !isSigned(own, proof, key)) return false;
  return retrying(() =>
    drizzle.transaction(async (tx) => {
      const peer = await lockPeer(tx, id);
      const last = await lastStatement(tx, id, "out");
      const known = await statementOf(tx, { peer: id, direction: "out", seq: frame.seq });
      // Another process of this instance was faster.
      if (known !== undefined) return known.digest === digestOf(own);
      const follows =
        frame.to === peer.actor &&
        frame.seq === (last?.seq ?? 0) + 1 &&
        frame.prev === (last?.digest ?? null);
      if (!follows) return false;
      const isReceipt = frame.type[1] === "Receipt";
      await tx.insert(statement).values({
        peer: id,
        direction: "out",
        seq: frame.seq,
        id: frame.id,
        kind: frame.type[1],
        digest: digestOf(own),
        prev: frame.prev,
        document: canonicalJson(own),
        at,
        // Said again, so that its Receipt comes again.
        dueAt: isReceipt ? null : DUE_NOW,
        isRecovered: frame.type[1] === "Transfer",
      });
      // A payment is booked again here; what a Transfer carried, when its Receipt comes again: until then what it may
      // have sent once more is not known.
      await bookAgain(tx, { peer, said: frame, currency: settings.currency, at });
      return true;
    }),
  );
}
