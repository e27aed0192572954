import { createPublicKey } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { toMicro } from "../../src/rules/amount.ts";
import { move } from "../../src/rules/posting.ts";
import { STATEMENT_BYTES_MAX } from "../../src/rules/statement.ts";
import { createAccount } from "../../src/features/account/create.ts";
import { addAlias } from "../../src/features/claim/alias.ts";
import { book, openLedgerAccounts } from "../../src/features/ledger/book.ts";
import { grow, lockPeer, openLine, openPeer, type PeerId } from "../../src/features/peer/peer.ts";
import { peerKey } from "../../src/features/peer/schema.ts";
import {
  type Document,
  isSigned,
  privateKeyOf,
  type Proof,
} from "../../src/features/statement/proof.ts";
import { takeStatement } from "../../src/features/statement/take.ts";
import { lastStatement, type StatementParts } from "../../src/features/statement/write.ts";
import { KINDS } from "../../src/features/transfer/kinds.ts";
import { releaseCovered } from "../../src/features/transfer/release.ts";
import { peerPayment } from "../../src/features/transfer/schema.ts";
import { statusOf } from "../../src/edges/federation/ledger.ts";
import { at, testDatabase } from "../support/database.ts";
import { vectors } from "../support/vectors.ts";

interface State {
  readonly last: number;
  readonly head: string | null;
  readonly frozen: boolean;
  readonly position: Record<string, { accepted: string; settled: string }>;
  readonly pending: Record<string, string>;
  readonly available: { beneficiary: string; amount: string }[];
}

interface Step {
  readonly post?: { readonly raw: string; readonly padTo?: number };
  readonly money?: { readonly currency: string; readonly amount: string };
  readonly expect: {
    readonly http?: number;
    readonly outcome?: string;
    readonly receipt?: Record<string, unknown>;
    readonly sameReceiptAs?: number;
    readonly pullAfter?: number;
    readonly state: State;
  };
}

interface Case {
  readonly id: string;
  readonly title: string;
  readonly setup: {
    readonly me: string;
    readonly peer: string;
    readonly keys: { id: string; publicKeyMultibase: string; retireAtSeq?: number }[];
    readonly terms: Record<string, { limit: string }>;
    readonly now: string;
    readonly beneficiaries: string[];
  };
  readonly steps: Step[];
}

const MY_KEY = privateKeyOf(Buffer.alloc(32, 7));

/** A fresh receiver: its peer, keys, limits, and those who may receive there. */
async function receiver({ me, peer, keys, terms, now, beneficiaries }: Case["setup"]) {
  const { origin } = new URL(me);
  const database = await testDatabase({ origin });
  const key = { id: `${me}#ed25519-1`, privateKey: MY_KEY };
  const parts: StatementParts = { database, keyOf: () => Promise.resolve(key) };
  const names = new Map<string, bigint>();
  for (const uri of beneficiaries) {
    const isOwn = uri.startsWith(`${origin}/users/`);
    const name = uri.slice(uri.lastIndexOf("/") + 1);
    const account = await createAccount(database, {
      name: isOwn ? name : `${name}_claims`,
      email: `${name}@mail.example`,
      role: "user",
      at: at("2026-01-01"),
    });
    // Somebody of another server who proved to be this person.
    if (!isOwn) await addAlias(database, { account: account.id, payee: uri, at: at("2026-01-02") });
    names.set(uri, account.id);
  }
  const id = await database.drizzle.transaction(async (tx) => {
    const made = await openPeer(
      database,
      tx,
      { actor: peer, host: new URL(peer).host, ledger: `${new URL(peer).origin}/ledger`, keys },
      at(now),
    );
    for (const { id: key, retireAtSeq } of keys)
      await tx
        .update(peerKey)
        .set({ retireAtSeq: retireAtSeq ?? null })
        .where(eq(peerKey.id, key));
    await tx.execute(sql`DELETE FROM trust_line`);
    await tx.execute(sql`ALTER TABLE position DISABLE TRIGGER USER`);
    await tx.execute(sql`DELETE FROM position`);
    await tx.execute(sql`ALTER TABLE position ENABLE TRIGGER USER`);
    for (const [currency, { limit }] of Object.entries(terms)) {
      await openLine(tx, made, { currency, limit: toMicro(BigInt(limit)) });
      await openLedgerAccounts(tx, currency, [{ kind: "world" }]);
    }
    return made;
  });
  return { parts, id, names };
}

/** Real money from the peer, as `peer received` books it, in whatever amount and currency. */
async function receiveMoney(
  { database }: StatementParts,
  peer: PeerId,
  {
    currency,
    amount,
    reference,
    now,
  }: { currency: string; amount: string; reference: string; now: string },
) {
  await database.drizzle.transaction(async (tx) => {
    await lockPeer(tx, peer);
    const micro = toMicro(BigInt(amount));
    const transfer = await book(tx, currency, {
      key: `peer_received:${peer}:${currency}:${reference}`,
      kind: "peer_received",
      at: at(now),
      legs: move(micro, { kind: "world" }, { kind: "receivable", peer }),
    });
    await tx.insert(peerPayment).values({
      id: sql`new_id(${now})`,
      peer,
      direction: "received",
      currency,
      amount: micro,
      reference,
      at: at(now),
      transfer: transfer!,
    });
    await grow(tx, { peer, currency }, { settledIn: micro });
    await releaseCovered(tx, { peer, currency, at: at(now) });
  });
}

async function stateOf(
  { database }: StatementParts,
  peer: PeerId,
  { currencies, names }: { currencies: string[]; names: Map<string, bigint> },
): Promise<State> {
  const last = await lastStatement(database.drizzle, peer, "in");
  const [row] = await database.sql<{ state: string }[]>`SELECT state FROM peer WHERE id = ${peer}`;
  const positions = await database.sql<
    { currency: string; accepted: bigint; settled: bigint; pending: bigint }[]
  >`
    SELECT p.currency, p.accepted_in AS accepted, p.settled_in AS settled,
           COALESCE((SELECT sum(b.amount) FROM ledger.account a JOIN ledger.balance b ON b.account = a.id
                      WHERE a.kind = 'pending' AND a.peer = p.peer AND a.currency = p.currency), 0)::bigint AS pending
      FROM position p WHERE p.peer = ${peer} ORDER BY p.currency`;
  const available: { beneficiary: string; amount: string }[] = [];
  for (const [beneficiary, account] of [...names].sort(([one], [other]) =>
    one < other ? -1 : 1,
  )) {
    const [sum] = await database.sql<[{ amount: bigint }]>`
      SELECT COALESCE(sum(b.amount), 0)::bigint AS amount FROM ledger.account a JOIN ledger.balance b ON b.account = a.id
       WHERE a.kind = 'earnings' AND a.owner = ${account}`;
    if (sum.amount > 0n) available.push({ beneficiary, amount: String(sum.amount) });
  }
  expect(positions.map(({ currency }) => currency)).toEqual(currencies.sort());
  return {
    last: last?.seq ?? 0,
    head: last?.digest ?? null,
    frozen: row!.state !== "open",
    position: Object.fromEntries(
      positions.map(({ currency, accepted, settled }) => [
        currency,
        { accepted: String(accepted), settled: String(settled) },
      ]),
    ),
    pending: Object.fromEntries(
      positions.map(({ currency, pending }) => [currency, String(pending)]),
    ),
    available,
  };
}

describe("statements.json", () => {
  test.each(vectors<Case>("statements.json"))("$id $title", async ({ setup, steps }) => {
    const { parts, id, names } = await receiver(setup);
    const answers: string[] = [];
    for (const [index, { post, money, expect: wanted }] of steps.entries()) {
      if (money !== undefined)
        await receiveMoney(parts, id, { ...money, reference: `RF-${index}`, now: setup.now });
      if (post !== undefined) {
        const raw = post.raw.padEnd(post.padTo ?? 0, " ");
        const { outcome, status, body } = await take(parts, raw, setup.now);
        expect({ http: status, outcome }).toEqual({ http: wanted.http, outcome: wanted.outcome });
        answers[index] = body;
        if (status === 200) expectReceipt(body, setup, wanted);
        if (wanted.sameReceiptAs !== undefined) expect(body).toBe(answers[wanted.sameReceiptAs]);
        if (wanted.pullAfter !== undefined)
          expect(JSON.parse(body)).toMatchObject({ pullAfter: wanted.pullAfter });
      }
      const state = await stateOf(parts, id, { currencies: Object.keys(setup.terms), names });
      expect(state, `after step ${index}`).toEqual(wanted.state);
    }
  });
});

async function take(parts: StatementParts, raw: string, now: string) {
  const bytes = Buffer.from(raw);
  if (bytes.length > STATEMENT_BYTES_MAX) return { outcome: "tooLarge", status: 413, body: "" };
  let document: unknown;
  try {
    document = JSON.parse(raw);
  } catch {
    return { outcome: "malformed", status: 400, body: "" };
  }
  const taken = await takeStatement(parts, KINDS, document, at(now));
  return { outcome: taken.outcome, ...statusOf(taken) };
}

function expectReceipt(text: string, { me, peer }: Case["setup"], wanted: Step["expect"]) {
  const receipt = JSON.parse(text) as Document;
  expect(receipt["actor"]).toBe(me);
  expect(receipt["to"]).toBe(peer);
  const isAccepted =
    wanted.outcome === "Reject" ? "Reject" : wanted.outcome === "replay" ? undefined : "Accept";
  if (isAccepted !== undefined) expect(receipt["type"]).toEqual([isAccepted, "Receipt"]);
  expect(isSigned(receipt, receipt["proof"] as Proof, createPublicKey(MY_KEY))).toBe(true);
  if (wanted.receipt !== undefined) expect(receipt["body"]).toMatchObject(wanted.receipt);
}
