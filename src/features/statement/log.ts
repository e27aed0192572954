/** Reading the logs: what a peer pulls, and where they stand. */

import { type Json } from "../../rules/canonical.ts";
import { canonicalJson } from "../../rules/canonical.ts";
import { STATEMENT_CONTEXT } from "../../rules/statement.ts";
import type { Temporal } from "../../store/time.ts";
import type { Peer, PeerId } from "../peer/peer.ts";
import { type Document, signDocument } from "./proof.ts";
import { instanceActor, lastStatement, type StatementParts } from "./write.ts";

/** Statements in one answer to a pull. */
const PAGE = 100;

/** Bytes of documents in one answer to a pull, about: a few long Transfers fill a page, too. */
const PAGE_BYTES = 1_000_000;

/** Statements of one direction after a number, in order, as they were signed; and whether there are more. */
export async function logAfter(
  { database: { sql } }: Pick<StatementParts, "database">,
  { peer, direction, after }: { peer: PeerId; direction: "in" | "out"; after: number },
): Promise<{ statements: string[]; more: boolean }> {
  const rows = await sql<{ document: string }[]>`
    SELECT document FROM (
      SELECT seq, document, sum(octet_length(document)) OVER (ORDER BY seq) - octet_length(document) AS before
        FROM (SELECT seq, document FROM statement
               WHERE peer = ${peer} AND direction = ${direction} AND seq > ${after} ORDER BY seq LIMIT ${PAGE + 1}) page) sized
     WHERE before < ${PAGE_BYTES} ORDER BY seq`;
  const [last] = await sql<[{ more: boolean }]>`
    SELECT EXISTS (SELECT FROM statement WHERE peer = ${peer} AND direction = ${direction} AND seq > ${after + Math.min(rows.length, PAGE)}) AS more`;
  return { statements: rows.slice(0, PAGE).map(({ document }) => document), more: last.more };
}

/** Where both logs and all counters towards a peer stand, signed: what two instances compare each night. */
export async function headFor(
  { database, keyOf }: StatementParts,
  peer: Peer,
  at: Temporal.Instant,
): Promise<string> {
  const key = await keyOf(database.drizzle);
  const { origin } = database.settings;
  const [log, received] = await Promise.all([
    lastStatement(database.drizzle, peer.id, "out"),
    lastStatement(database.drizzle, peer.id, "in"),
  ]);
  const positions = await database.sql<
    {
      currency: string;
      accepted: bigint;
      settled: bigint;
      acceptedOut: bigint;
      settledOut: bigint;
    }[]
  >`
    SELECT currency, accepted_in AS accepted, settled_in AS settled, accepted_out AS "acceptedOut", settled_out AS "settledOut"
      FROM position WHERE peer = ${peer.id} ORDER BY currency`;
  const document: Document = {
    "@context": STATEMENT_CONTEXT,
    actor: instanceActor(origin),
    to: peer.actor,
    at: at.toString({ smallestUnit: "second" }),
    log: headOf(log),
    received: headOf(received),
    positions: positions.map(({ currency, accepted, settled, acceptedOut, settledOut }) => ({
      currency,
      in: { accepted: String(accepted), settled: String(settled) },
      out: { accepted: String(acceptedOut), settled: String(settledOut) },
    })),
  };
  const proof = signDocument(document, {
    key: key.privateKey,
    verificationMethod: key.id,
    created: at.toString({ smallestUnit: "second" }),
  });
  return canonicalJson({ ...document, proof });
}

function headOf(last: { seq: number; digest: string } | undefined): Json {
  return last === undefined ? { seq: 0, digest: null } : { seq: last.seq, digest: last.digest };
}
