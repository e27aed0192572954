import { describe, expect, test } from "vitest";
import { createAccount } from "../../src/features/account/create.ts";
import { fund } from "../../src/features/budget/cash.ts";
import { setBudget } from "../../src/features/budget/set.ts";
import { declinePayments } from "../../src/features/claim/standing.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { freezePeer, setPeerLimit } from "../../src/features/peer/peer.ts";
import { peerLines } from "../../src/features/peer/report.ts";
import { writePost } from "../../src/features/post/write.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { monthReport } from "../../src/features/settlement/report.ts";
import { privateKeyOf } from "../../src/features/statement/proof.ts";
import { writeStatement } from "../../src/features/statement/write.ts";
import { payPeer, receiveFromPeer } from "../../src/features/transfer/payment.ts";
import { tellTerms } from "../../src/features/transfer/terms.ts";
import { signPull } from "../../src/edges/federation/pull-signature.ts";
import { periodAfter, periodOf } from "../../src/rules/period.ts";
import { Temporal } from "../../src/store/time.ts";
import { eur } from "../support/database.ts";
import { eventually, type Neighbour, neighbours } from "../support/instances.ts";

/** Offsets that put the clock into the middle of next month, and some hours into the month after that. */
function offsets(): { inside: string; after: string; final: string } {
  const now = Temporal.Now.instant();
  const month = Temporal.PlainYearMonth.from(periodAfter(periodOf(now)));
  const at = (year: Temporal.PlainYearMonth, day: number, hour: number) =>
    now
      .until(
        year
          .toPlainDate({ day })
          .toZonedDateTime({ timeZone: "UTC", plainTime: { hour } })
          .toInstant(),
      )
      .round({ largestUnit: "hour", smallestUnit: "second" })
      .toString();
  const next = month.add({ months: 1 });
  return { inside: at(month, 20, 12), after: at(next, 1, 2), final: at(next, 9, 2) };
}

const OFFSETS = offsets();

async function person({ instance }: Neighbour, name: string, money?: string) {
  const { database, clock } = instance;
  const account = await createAccount(database, {
    name,
    email: `${name}@mail.example`,
    role: "user",
    at: clock.now(),
  });
  if (money !== undefined) {
    await setBudget(database, { patron: account.id, amount: eur(money), at: clock.now() });
    await fund(database, { patron: account.id, amount: eur(money), at: clock.now() });
  }
  return account;
}

async function postOf({ instance }: Neighbour, author: Awaited<ReturnType<typeof person>>) {
  const { database, clock } = instance;
  const { uri } = await writePost(database, { author, text: "Hello", at: clock.now() });
  return uri;
}

async function flattr(
  { instance }: Neighbour,
  patron: Awaited<ReturnType<typeof person>>,
  address: string,
) {
  const { database, clock, resolver } = instance;
  const thing = await resolver.thing(address);
  return giveFlattr(database, { patron: patron.id, thing, source: "click", at: clock.now() });
}

/** The host's way is learnt by a job; the close needs to know it. */
async function knows(one: Neighbour, other: Neighbour) {
  await eventually(`${one.host} learns about ${other.host}`, async () => {
    const [row] = await one.instance.database.sql`
      SELECT FROM host_way WHERE host = ${other.host} AND peer IS NOT NULL`;
    return row !== undefined;
  });
}

async function lineOf(one: Neighbour, other: Neighbour) {
  const [line] = await peerLines(one.instance.database, other.host);
  return line!;
}

async function answered(one: Neighbour) {
  await eventually(`${one.host} gets all answers`, async () => {
    const [row] = await one.instance.database.sql<[{ open: bigint }]>`
      SELECT (SELECT count(*) FROM statement WHERE due_at IS NOT NULL)
           + (SELECT count(*) FROM graphile_worker.jobs WHERE task_identifier IN ('transfers.due', 'statement.pull'))
           + (SELECT count(*) FROM line WHERE state = 'sent' OR (state = 'outbound' AND seq IS NULL AND part = 'settlement')) AS open`;
    return row.open === 0n;
  });
}

/** Both books about the line from one to the other. */
async function agree(one: Neighbour, other: Neighbour) {
  const [here, there] = await Promise.all([lineOf(one, other), lineOf(other, one)]);
  expect({ accepted: here.acceptedOut, settled: here.settledOut }).toEqual({
    accepted: there.acceptedIn,
    settled: there.settledIn,
  });
  expect({ accepted: here.acceptedIn, settled: here.settledIn }).toEqual({
    accepted: there.acceptedOut,
    settled: there.settledOut,
  });
  return { here, there };
}

async function closeAll(all: readonly Neighbour[]) {
  for (const { instance } of all) await settle(instance.database, { at: instance.clock.now() });
  for (const one of all) await answered(one);
}

/** A patron on the one flattrs a creator on the other, and the month is over. */
async function oneMonth(one: Neighbour, other: Neighbour, money = "5.00") {
  const [patron, creator] = [await person(one, "pat", money), await person(other, "cora")];
  const address = await postOf(other, creator);
  await flattr(one, patron, address);
  await knows(one, other);
  const period = periodOf(one.instance.clock.now());
  await one.restart(OFFSETS.after);
  await other.restart(OFFSETS.after);
  return { patron, creator, period, address };
}

describe("money between two instances", () => {
  test("goes from a click to a creator's balance, and both books agree at every step", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    const { patron, creator, period } = await oneMonth(a, b);
    await closeAll([a, b]);

    const { here } = await agree(a, b);
    expect(here).toMatchObject({ acceptedOut: 5_000_000n, settledOut: 0n, payable: 5_000_000n });
    const promised = await monthReport(b.instance.database, creator.id, period);
    expect(promised).toMatchObject({
      promised: [{ host: a.host, amount: 5_000_000n, released: 0n }],
      balance: { earnings: 0n, pending: 5_000_000n },
    });
    expect(
      (await monthReport(a.instance.database, patron.id, period))?.gave.map(({ state }) => state),
    ).toEqual(["peer"]);

    const at = a.instance.clock.now();
    const payment = { currency: "EUR", amount: eur("5.00"), reference: "RF18", at };
    await payPeer(a.instance.statements, { host: b.host, ...payment });
    await answered(a);
    expect((await lineOf(a, b)).unconfirmed).toBe(5_000_000n);
    expect((await lineOf(b, a)).settledIn).toBe(0n);

    await receiveFromPeer(b.instance.statements, { host: a.host, ...payment });
    await answered(b);
    await eventually("the payment is confirmed", async () => (await lineOf(a, b)).settledOut > 0n);
    await agree(a, b);
    expect((await monthReport(b.instance.database, creator.id, period))?.balance).toMatchObject({
      earnings: 5_000_000n,
      pending: 0n,
    });
    // The same again is the same payment; another amount under its reference is a mistake.
    expect(
      await receiveFromPeer(b.instance.statements, { host: a.host, ...payment }),
    ).toMatchObject({ again: true });
    await expect(
      receiveFromPeer(b.instance.statements, { host: a.host, ...payment, amount: eur("6.00") }),
    ).rejects.toMatchObject({ reason: "reference_taken" });
    await a.instance.isFresh(await peerIdOf(a, b));
  });

  test("received before it was said to be paid, it settles all the same", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    await oneMonth(a, b, "3.00");
    await closeAll([a, b]);
    const at = a.instance.clock.now();
    const payment = { currency: "EUR", amount: eur("3.00"), reference: "early", at };
    await receiveFromPeer(b.instance.statements, { host: a.host, ...payment });
    await eventually("the payment is confirmed", async () => (await lineOf(a, b)).settledOut > 0n);
    await payPeer(a.instance.statements, { host: b.host, ...payment });
    await answered(a);
    const { here } = await agree(a, b);
    expect(here).toMatchObject({ payable: 0n, unconfirmed: 0n, settledOut: 3_000_000n });
  });

  test("over the limit waits at home until a payment or new Terms make room", async () => {
    const [a, b] = (await neighbours(2, {
      offset: OFFSETS.inside,
      settings: { PEER_LIMIT: "4.00" },
    })) as [Neighbour, Neighbour];
    const patron = await person(a, "pat", "6.00");
    for (const name of ["cora", "dan"]) {
      const address = await postOf(b, await person(b, name));
      await flattr(a, patron, address);
    }
    await knows(a, b);
    await a.restart(OFFSETS.after);
    await b.restart(OFFSETS.after);
    await settle(a.instance.database, { at: a.instance.clock.now() });
    // Six do not fit into four, one line of three does.
    await eventually(
      "one line is accepted",
      async () => (await lineOf(a, b)).acceptedOut === 3_000_000n,
    );
    expect(await lineOf(a, b)).toMatchObject({ outbound: 3_000_000n });
    await agree(a, b);

    await setPeerLimit(b.instance.database, { host: a.host, currency: "EUR", limit: eur("10.00") });
    await tellTerms(b.instance.statements, { host: a.host, at: b.instance.clock.now() });
    await eventually(
      "the other line goes",
      async () => (await lineOf(a, b)).acceptedOut === 6_000_000n,
    );
    await agree(a, b);
  });

  test("with a limit of nothing is paid first, and then available at once", async () => {
    const [a, b] = (await neighbours(2, {
      offset: OFFSETS.inside,
      settings: { PEER_LIMIT: "0" },
    })) as [Neighbour, Neighbour];
    const { creator, period } = await oneMonth(a, b, "2.00");
    await settle(a.instance.database, { at: a.instance.clock.now() });
    await eventually("the Transfer is refused", async () => {
      const [row] = await a.instance.database
        .sql`SELECT FROM line WHERE state = 'outbound' AND reason = 'overLimit'`;
      return row !== undefined;
    });
    const payment = {
      currency: "EUR",
      amount: eur("2.00"),
      reference: "first",
      at: a.instance.clock.now(),
    };
    await payPeer(a.instance.statements, { host: b.host, ...payment });
    await receiveFromPeer(b.instance.statements, { host: a.host, ...payment });
    await eventually("it goes again", async () => (await lineOf(a, b)).acceptedOut === 2_000_000n);
    await agree(a, b);
    expect((await monthReport(b.instance.database, creator.id, period))?.balance.earnings).toBe(
      2_000_000n,
    );
  });

  test("refused by its creator waits at home, and goes back when he declines there, too", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    const { patron, creator, period } = await oneMonth(a, b, "2.00");
    const payee = `${b.origin}/users/cora`;
    await declinePayments(b.instance.database, { payee, at: b.instance.clock.now() });
    await closeAll([a, b]);
    const report = await monthReport(a.instance.database, patron.id, period);
    expect(report?.gave.map(({ state }) => state)).toEqual(["waiting"]);
    expect(await lineOf(a, b)).toMatchObject({ acceptedOut: 0n, inFlight: 0n, outbound: 0n });
    await declinePayments(a.instance.database, { payee, at: a.instance.clock.now() });
    const after = await monthReport(a.instance.database, patron.id, period);
    expect(after?.gave.map(({ state }) => state)).toEqual(["returned"]);
    expect(after?.balance.budget).toBe(2_000_000n);
    expect((await monthReport(b.instance.database, creator.id, period))?.promised).toEqual([]);
  });

  test("that comes within the grace goes as a correction, once the month is final", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    const patron = await person(a, "pat");
    await setBudget(a.instance.database, {
      patron: patron.id,
      amount: eur("2.00"),
      at: a.instance.clock.now(),
    });
    const creator = await person(b, "cora");
    await flattr(a, patron, await postOf(b, creator));
    await knows(a, b);
    const period = periodOf(a.instance.clock.now());
    await a.restart(OFFSETS.after);
    await b.restart(OFFSETS.after);
    await closeAll([a, b]);
    await fund(a.instance.database, {
      patron: patron.id,
      amount: eur("7.00"),
      at: a.instance.clock.now(),
    });
    await a.instance.resolver.thing(`${b.origin}/users/cora`);
    expect(await lineOf(a, b)).toMatchObject({ outbound: 2_000_000n, acceptedOut: 0n });
    await a.restart(OFFSETS.final);
    await b.restart(OFFSETS.final);
    await closeAll([a, b]);
    await eventually(
      "the correction is accepted",
      async () => (await lineOf(a, b)).acceptedOut === 2_000_000n,
    );
    await agree(a, b);
    expect((await monthReport(b.instance.database, creator.id, period))?.promised).toMatchObject([
      { amount: 2_000_000n },
    ]);
  });

  test("both ways at once, while one of the two is away, comes to the same", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    const [pat, cora] = [await person(a, "pat", "5.00"), await person(b, "cora", "4.00")];
    const [fromA, fromB] = [await postOf(a, pat), await postOf(b, cora)];
    await flattr(a, pat, fromB);
    await flattr(b, cora, fromA);
    await knows(a, b);
    await knows(b, a);
    await b.stop();
    await a.restart(OFFSETS.after);
    await settle(a.instance.database, { at: a.instance.clock.now() });
    await b.restart(OFFSETS.after);
    await settle(b.instance.database, { at: b.instance.clock.now() });
    await eventually("both are answered", async () => {
      const [here, there] = [await lineOf(a, b), await lineOf(b, a)];
      return here.acceptedOut === 5_000_000n && there.acceptedOut === 4_000_000n;
    });
    expect((await agree(a, b)).here.alarm).toBeNull();
  });
});

async function peerIdOf(one: Neighbour, other: Neighbour): Promise<bigint> {
  const [row] = await one.instance.database.sql<
    [{ id: bigint }]
  >`SELECT id FROM peer WHERE host = ${other.host}`;
  return row.id;
}

describe("a log", () => {
  test("is pulled by the two that keep it, with a signature, and by nobody else", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    await oneMonth(a, b);
    await closeAll([a, b]);
    const url = `${a.origin}/ledger/${b.host}/after/0`;
    const key = await b.instance.statements.keyOf(b.instance.database.drizzle);
    const signed = (address: string, at = b.instance.clock.real()) =>
      signPull(address, { keyId: key.id, privateKey: key.privateKey, at });
    const status = async (address: string, headers: Record<string, string> = {}) =>
      (await fetch(address, { headers })).status;

    const answer = await fetch(url, { headers: signed(url) });
    expect(answer.status).toBe(200);
    const { statements, more } = (await answer.json()) as {
      statements: { seq: number }[];
      more: boolean;
    };
    expect(statements.map(({ seq }) => seq)).toEqual(statements.map((_, place) => place + 1));
    expect(statements.length).toBeGreaterThanOrEqual(2);
    expect(more).toBe(false);

    expect(await status(url)).toBe(403);
    // Signed for another address, for another host's log, too early, by a key that is nobody's.
    expect(await status(`${a.origin}/ledger/${b.host}/after/1`, signed(url))).toBe(403);
    const other = `${a.origin}/ledger/${a.host}/after/0`;
    expect(await status(other, signed(other))).toBe(403);
    expect(await status(url, signed(url, b.instance.clock.real().subtract({ minutes: 6 })))).toBe(
      403,
    );
    const strange = signPull(url, {
      keyId: key.id,
      privateKey: privateKeyOf(Buffer.alloc(32, 5)),
      at: b.instance.clock.real(),
    });
    expect(await status(url, strange)).toBe(403);
    // Nobody reads a statement by its id, or a month by its address.
    expect(await status(`${a.origin}/ledger/${b.host}/1`)).toBe(404);
    expect(await status(`${a.origin}/periods/2026-11`)).toBe(404);
    expect(await status(`${a.origin}/ledger`)).toBe(200);
  });

  test("that was restored from an older backup gets back what it had signed, and nothing is credited twice", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    await oneMonth(a, b);
    const { database } = a.instance;
    await settle(database, { at: a.instance.clock.now() });
    await answered(a);
    const before = await agree(a, b);
    // As if the backup had been taken right after the close: what was said and booked since then is gone.
    await a.stop();
    await forgetStatements(a);
    await a.restart();
    await a.instance.isFresh(await peerIdOf(a, b));
    await eventually(
      "it has caught up",
      async () => (await lineOf(a, b)).acceptedOut === 5_000_000n,
    );
    await answered(a);
    const after = await agree(a, b);
    expect(after.there.acceptedIn).toBe(before.there.acceptedIn);
    expect(after.here.alarm).toBeNull();
    expect(after.there.alarm).toBeNull();
  });

  test("goes on under a new key, which the old one announces to everybody", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    await oneMonth(a, b);
    await closeAll([a, b]);
    const { key } = await a.instance.rotateKey();
    expect(key).toBe(`${a.origin}/actor#ed25519-2`);
    const payment = {
      currency: "EUR",
      amount: eur("5.00"),
      reference: "RF2",
      at: a.instance.clock.now(),
    };
    await payPeer(a.instance.statements, { host: b.host, ...payment });
    await answered(a);
    const [said] = await b.instance.database.sql<[{ document: string }]>`
      SELECT document FROM statement WHERE direction = 'in' AND kind = 'Settlement'`;
    expect(JSON.parse(said.document)).toMatchObject({ proof: { verificationMethod: key } });
    const keys = await b.instance.database.sql`SELECT id, retire_at_seq FROM peer_key ORDER BY id`;
    expect(keys).toEqual([
      { id: `${a.origin}/actor#ed25519-1`, retire_at_seq: expect.any(BigInt) as bigint },
      { id: key, retire_at_seq: null },
    ]);
    // The head, the pulls and the Receipts of the other direction are signed by it, too.
    await receiveFromPeer(b.instance.statements, { host: a.host, ...payment });
    await eventually("the payment is confirmed", async () => (await lineOf(a, b)).settledOut > 0n);
    expect((await agree(a, b)).there.alarm).toBeNull();
  });

  test("that forks is frozen, with the evidence", async () => {
    const [a, b] = (await neighbours(2, { offset: OFFSETS.inside })) as [Neighbour, Neighbour];
    await oneMonth(a, b);
    await closeAll([a, b]);
    const { statements } = a.instance;
    const peer = await peerIdOf(a, b);
    // An operator who lies signs another statement under a number that is used.
    const forged = await statements.database.drizzle
      .transaction(async (tx) => {
        await tx.execute("ALTER TABLE statement DISABLE TRIGGER USER");
        await tx.execute(`DELETE FROM statement WHERE direction = 'out' AND seq > 1`);
        const [row] = await tx.execute<{ actor: string; host: string }>(
          `SELECT * FROM peer WHERE id = ${peer}`,
        );
        const made = await writeStatement(statements, tx, { ...row!, id: peer } as never, {
          type: ["Offer", "Settlement"],
          object: `${a.origin}/periods/2026-11`,
          body: { currency: "EUR", amount: "1", rail: "manual", reference: "another story" },
          at: a.instance.clock.now(),
          isSent: false,
        });
        throw Object.assign(new Error("kept nowhere"), { document: made.document });
      })
      .catch((error: unknown) => (error as { document: string }).document);
    const answer = await fetch(`${b.origin}/ledger`, {
      method: "POST",
      headers: { "content-type": "application/activity+json" },
      body: forged,
    });
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ error: "fork" });
    const line = await lineOf(b, a);
    expect(line.state).toBe("forked");
    expect(line.alarm).toContain("contradict");
    await expect(
      freezePeer(b.instance.database, {
        host: a.host,
        isFrozen: false,
        at: b.instance.clock.now(),
      }),
    ).rejects.toMatchObject({ reason: "peer_forked" });
  });
});

/** Takes a database back to the moment after the close: no statement, no line sent, nothing booked for them. */
async function forgetStatements({ databaseUrl: url }: Neighbour) {
  const { default: connect } = await import("postgres");
  const { addressOf } = await import("../../src/store/database.ts");
  const sql = connect({ ...addressOf(url), max: 1, onnotice: () => {} });
  try {
    await sql.begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      await tx`DELETE FROM statement`;
      await tx`DELETE FROM line`;
      await tx`UPDATE ledger.balance b SET amount = b.amount - e.amount FROM (
        SELECT e.account, sum(e.amount) AS amount FROM ledger.entry e JOIN ledger.transfer t ON t.id = e.transfer
         WHERE t.kind IN ('transfer_out', 'accepted', 'unsent', 'refused') GROUP BY e.account) e WHERE e.account = b.account`;
      await tx`DELETE FROM ledger.entry e USING ledger.transfer t WHERE t.id = e.transfer AND t.kind IN ('transfer_out', 'accepted', 'unsent', 'refused')`;
      await tx`DELETE FROM ledger.transfer WHERE kind IN ('transfer_out', 'accepted', 'unsent', 'refused')`;
      await tx`UPDATE position SET accepted_out = 0, settled_out = 0`;
      await tx`UPDATE trust_line SET their_limit = NULL`;
    });
  } finally {
    await sql.end();
  }
}
