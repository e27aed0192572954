/** Heads: where a peer says that both logs and all counters stand, and whether that is what is written here. */

import { and, eq } from "drizzle-orm";
import { hearPeer } from "../../features/peer/alarm.ts";
import type { PeerId } from "../../features/peer/peer.ts";
import { peerKey } from "../../features/peer/schema.ts";
import {
  type Document,
  isSigned,
  type Proof,
  publicKeyOf,
} from "../../features/statement/proof.ts";
import {
  instanceActor,
  lastStatement,
  type StatementParts,
} from "../../features/statement/write.ts";
import { confirmedUnpaid } from "../../features/transfer/payment.ts";
import { canonicalJson, type Json } from "../../rules/canonical.ts";
import { isObject } from "../../rules/statement.ts";
import type { Clock } from "../../store/time.ts";

/** A peer, as far as it is spoken to. */
export interface PeerRow {
  readonly id: PeerId;
  readonly actor: string;
  readonly host: string;
  readonly ledger: string;
}

/** What comparing needs. */
export interface HeadParts {
  readonly statements: StatementParts;
  readonly clock: Clock;
  /** Asks a peer for something under its ledger's address. */
  readonly ask: (peer: PeerRow, path: string) => Promise<Json>;
  /** Takes what the peer's log has more than is here. */
  readonly pull: (peer: PeerId) => Promise<void>;
}

/** The signed head of a peer, if it answers with one. */
export async function headOf(
  { statements: { database }, ask }: HeadParts,
  peer: PeerRow,
): Promise<Document | undefined> {
  const head = await ask(peer, "head");
  if (!isObject(head)) return undefined;
  const proof = head["proof"];
  if (!isObject(proof) || typeof proof["proofValue"] !== "string") return undefined;
  if (head["actor"] !== peer.actor || head["to"] !== instanceActor(database.settings.origin))
    return undefined;
  const { verificationMethod } = proof;
  if (typeof verificationMethod !== "string") return undefined;
  const [key] = await database.drizzle
    .select()
    .from(peerKey)
    .where(and(eq(peerKey.peer, peer.id), eq(peerKey.id, verificationMethod)));
  const publicKey = key === undefined ? undefined : publicKeyOf(key.publicKeyMultibase);
  return publicKey !== undefined && isSigned(head, proof as Proof, publicKey) ? head : undefined;
}

/** The number in one part of a head; 0 for anything that is none. */
export function seqOf(part: Json | undefined): number {
  const seq = isObject(part) ? part["seq"] : undefined;
  return typeof seq === "number" && Number.isSafeInteger(seq) ? seq : 0;
}

/** What the operator should know. */
export interface Difference {
  readonly alarm: string;
  /** True for what stays as it is, and need not be said again to whoever has seen it. */
  readonly isOnce: boolean;
}

/** Compares the head of a peer with what is here. @returns what the operator should know, if anything */
export async function compareHeads(
  parts: HeadParts,
  peer: PeerRow,
): Promise<readonly Difference[]> {
  const { drizzle } = parts.statements.database;
  const head = await headOf(parts, peer);
  if (head === undefined)
    return [{ alarm: "it has no signed head to compare with", isOnce: false }];
  const at = parts.clock.now();
  await hearPeer(drizzle, { peer: peer.id, at });
  const wrong = await differenceOf(parts, peer, head);
  const unpaid = await confirmedUnpaid({ drizzle }, peer.id, at);
  return [
    ...(wrong === undefined ? [] : [{ alarm: wrong, isOnce: false }]),
    ...unpaid.map((alarm) => ({ alarm, isOnce: true })),
  ];
}

async function differenceOf(
  parts: HeadParts,
  peer: PeerRow,
  head: Document,
): Promise<string | undefined> {
  const { database } = parts.statements;
  const [received, sent] = await Promise.all([
    lastStatement(database.drizzle, peer.id, "in"),
    lastStatement(database.drizzle, peer.id, "out"),
  ]);
  const stands = { in: received?.seq ?? 0, out: sent?.seq ?? 0 };
  const said = { in: seqOf(head["log"]), out: seqOf(head["received"]) };
  if (said.out > stands.out)
    return `it says that it received statement ${said.out} of ours, which is not here`;
  if (!(await isSame(parts, peer, { direction: "out", said: head["received"] })))
    return `our statements differ at number ${said.out}`;
  if (said.in <= stands.in && !(await isSame(parts, peer, { direction: "in", said: head["log"] })))
    return `its statements differ at number ${said.in}`;
  if (said.in > stands.in) await parts.pull(peer.id);
  // Something may be on its way: positions are compared only where both logs are.
  return said.in === stands.in && said.out === stands.out
    ? comparePositions(parts, peer.id, head["positions"])
    : undefined;
}

/** True when the statement that a part of a head names has the digest that it has here. */
async function isSame(
  { statements: { database } }: HeadParts,
  peer: PeerRow,
  { direction, said }: { direction: "in" | "out"; said: Json | undefined },
): Promise<boolean> {
  const seq = seqOf(said);
  if (seq === 0) return true;
  const [known] = await database.sql<{ digest: string }[]>`
    SELECT digest FROM statement WHERE peer = ${peer.id} AND direction = ${direction} AND seq = ${seq}`;
  return isObject(said) && known?.digest === said["digest"];
}

async function comparePositions(
  { statements: { database } }: HeadParts,
  id: PeerId,
  said: Json | undefined,
): Promise<string | undefined> {
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
      isObject(one) && typeof one["currency"] === "string" ? [[one["currency"], one] as const] : [],
    ),
  );
  for (const { currency, acceptedIn, settledIn, acceptedOut, settledOut } of rows) {
    const one = theirs.get(currency);
    const wanted = canonicalJson({
      in: { accepted: String(acceptedOut), settled: String(settledOut) },
      out: { accepted: String(acceptedIn), settled: String(settledIn) },
    });
    const found = canonicalJson({ in: one?.["in"] ?? null, out: one?.["out"] ?? null });
    if (found !== wanted)
      return `the positions in ${currency} differ: ours say ${wanted}, its say ${found}`;
  }
  return undefined;
}
