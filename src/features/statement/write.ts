/** Writing a statement: numbered, chained, signed, in the transaction of what it tells. */

import { and, desc, eq } from "drizzle-orm";
import type { Json } from "../../rules/canonical.ts";
import { canonicalJson } from "../../rules/canonical.ts";
import { STATEMENT_CONTEXT } from "../../rules/statement.ts";
import type { Database, Drizzle, Tx } from "../../store/database.ts";
import type { StatementKey } from "../../store/signing.ts";
import { Temporal } from "../../store/time.ts";
import type { Peer, PeerId } from "../peer/peer.ts";
import { digestOf, type Document, signDocument } from "./proof.ts";
import { statement } from "./schema.ts";

/** What writing and taking in statements needs. */
export interface StatementParts {
  readonly database: Database;
  /** The key that signs ours now, which an operator may change while this process runs; or an older one by its id. */
  readonly keyOf: (tx: Tx | Drizzle, id?: string) => Promise<StatementKey>;
}

/** A statement to be written. */
export interface NewStatement {
  /** Such as `["Offer", "Transfer"]`. */
  readonly type: readonly [string, string];
  /** What it is about: the period, the statement that a Receipt answers, or the own actor. */
  readonly object: string;
  readonly body: Json;
  readonly at: Temporal.Instant;
  /** False for an answer that goes back at once. */
  readonly isSent: boolean;
}

/** Due before any clock: at once. */
export const DUE_NOW = Temporal.Instant.fromEpochMilliseconds(0);

/** A statement of a log. */
export type Statement = typeof statement.$inferSelect;

/** The address of the instance actor. */
export function instanceActor(origin: string): string {
  return `${origin}/actor`;
}

/** Writes the next statement of our log to a peer, which must be locked. What is to be sent is due at once. */
export async function writeStatement(
  { database: { settings }, keyOf }: StatementParts,
  tx: Tx,
  to: Peer,
  { type, object, body, at, isSent }: NewStatement,
): Promise<Statement> {
  const key = await keyOf(tx);
  const last = await lastStatement(tx, to.id, "out");
  const seq = (last?.seq ?? 0) + 1;
  const published = at.toString({ smallestUnit: "second" });
  const document: Document = {
    "@context": STATEMENT_CONTEXT,
    id: `${settings.origin}/ledger/${to.host}/${seq}`,
    type,
    actor: instanceActor(settings.origin),
    to: to.actor,
    object,
    published,
    seq,
    prev: last?.digest ?? null,
    body,
  };
  const proof = signDocument(document, {
    key: key.privateKey,
    verificationMethod: key.id,
    created: published,
  });
  const [made] = await tx
    .insert(statement)
    .values({
      peer: to.id,
      direction: "out",
      seq,
      id: document["id"] as string,
      kind: type[1],
      digest: digestOf(document),
      prev: last?.digest ?? null,
      document: canonicalJson({ ...document, proof }),
      at,
      dueAt: isSent ? DUE_NOW : null,
    })
    .returning();
  return made!;
}

/** The newest statement of a log. */
export async function lastStatement(
  tx: Tx | Drizzle,
  peer: PeerId,
  direction: "in" | "out",
): Promise<{ seq: number; digest: string } | undefined> {
  const [last] = await tx
    .select({ seq: statement.seq, digest: statement.digest })
    .from(statement)
    .where(and(eq(statement.peer, peer), eq(statement.direction, direction)))
    .orderBy(desc(statement.seq))
    .limit(1);
  return last;
}

/** One statement of a log. */
export async function statementOf(
  tx: Tx | Drizzle,
  { peer, direction, seq }: { peer: PeerId; direction: "in" | "out"; seq: number },
): Promise<Statement | undefined> {
  const [found] = await tx
    .select()
    .from(statement)
    .where(
      and(eq(statement.peer, peer), eq(statement.direction, direction), eq(statement.seq, seq)),
    );
  return found;
}

/** Remembers that a statement of ours is answered: it is not sent again. */
export async function markAnswered(
  tx: Tx,
  { peer, seq, receiptSeq }: { peer: PeerId; seq: number; receiptSeq: number },
): Promise<void> {
  await tx
    .update(statement)
    .set({ receiptSeq, dueAt: null, lastError: null })
    .where(and(eq(statement.peer, peer), eq(statement.direction, "out"), eq(statement.seq, seq)));
}

/** The address of a month, as the object of a Transfer. */
export function periodAddress(origin: string, period: string): string {
  return `${origin}/periods/${period}`;
}
