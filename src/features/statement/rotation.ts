/** A peer changes its statement keys: believed only because a key that was believed before says so. */

import { and, eq } from "drizzle-orm";
import { ID_CHARS_MAX, isObject, originOf } from "../../rules/statement.ts";
import { peerKey } from "../peer/schema.ts";
import { publicKeyOf } from "./proof.ts";
import { type Hearing, refused, type Verdict } from "./take.ts";

/** Keys of one peer that are kept. */
const KEYS_MAX = 50;

/** Hears a KeyRotation: `add` pins a key, `retire` says up to which number an older one may sign. */
export async function hearKeyRotation({ tx, peer, statement, at }: Hearing): Promise<Verdict> {
  const body = isObject(statement.body) ? statement.body : {};
  const { add, retire, retireAtSeq } = body;
  const keys = await tx.select().from(peerKey).where(eq(peerKey.peer, peer.id));
  if (add === undefined && retire === undefined) return refused("malformed");

  let added: { id: string; publicKeyMultibase: string } | undefined;
  if (add !== undefined) {
    const id = isObject(add) ? add["id"] : undefined;
    const publicKeyMultibase = isObject(add) ? add["publicKeyMultibase"] : undefined;
    const isKey =
      typeof id === "string" &&
      id.length <= ID_CHARS_MAX &&
      typeof publicKeyMultibase === "string" &&
      originOf(id) === originOf(peer.actor) &&
      publicKeyOf(publicKeyMultibase) !== undefined &&
      keys.length < KEYS_MAX &&
      keys.every((key) => key.id !== id || key.publicKeyMultibase === publicKeyMultibase);
    if (!isKey) return refused("malformed");
    added = { id, publicKeyMultibase };
  }
  let retired: { id: string; seq: number } | undefined;
  if (retire !== undefined) {
    const isRetirement =
      typeof retire === "string" &&
      typeof retireAtSeq === "number" &&
      Number.isSafeInteger(retireAtSeq) &&
      retireAtSeq >= statement.seq &&
      keys.some(({ id }) => id === retire);
    if (!isRetirement) return refused("malformed");
    retired = { id: retire, seq: retireAtSeq };
  }
  // A line without any key that may sign would be dead for good; and a retired key does not come back.
  const remaining = new Set(
    keys.filter(({ retireAtSeq: end }) => end === null).map(({ id }) => id),
  );
  if (added !== undefined && keys.every(({ id }) => id !== added.id)) remaining.add(added.id);
  if (retired !== undefined) remaining.delete(retired.id);
  if (remaining.size === 0) return refused("malformed");

  if (added !== undefined)
    await tx
      .insert(peerKey)
      .values({ peer: peer.id, ...added, since: at })
      .onConflictDoNothing();
  if (retired !== undefined)
    await tx
      .update(peerKey)
      .set({ retireAtSeq: retired.seq })
      .where(and(eq(peerKey.peer, peer.id), eq(peerKey.id, retired.id)));
  return { isAccepted: true, body: {} };
}
