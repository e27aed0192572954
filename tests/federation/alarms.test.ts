/** What an operator is told about peers, and what peers may do to that; and odd amounts that they say. */

import { describe, expect, test } from "vitest";
import { ALARMS_MAX, alarmsOf, raiseAlarm } from "../../src/features/peer/alarm.ts";
import { freezePeer, peerOfHost } from "../../src/features/peer/peer.ts";
import { payPeer, receiveFromPeer } from "../../src/features/transfer/payment.ts";
import { RELEASED_AT_ONCE } from "../../src/features/transfer/release.ts";
import { AMOUNT_MAX } from "../../src/rules/amount.ts";
import { eur } from "../support/database.ts";
import { type FakePeer, fakePeer, saying } from "../support/fake-peer.ts";
import { eventually, type Neighbour, neighbours } from "../support/instances.ts";
import { asReplica, balanceOf, lineWith, meet, resident } from "../support/peer-books.ts";

async function met(): Promise<{ home: Neighbour; peer: FakePeer; id: bigint }> {
  const peer = await fakePeer();
  const [home] = (await neighbours(1, { allow: [peer.host] })) as [Neighbour];
  peer.speakTo(home.origin);
  await meet(peer, home);
  const { id } = await peerOfHost(home.instance.database.drizzle, peer.host);
  return { home, peer, id };
}

const alarms = async ({ instance: { database } }: Neighbour, id: bigint) =>
  (await alarmsOf(database.drizzle, id)).map(({ alarm }) => alarm);

const compare = ({ instance: { database } }: Neighbour) =>
  database.sql`SELECT graphile_worker.add_job('heads', '{}')`;

const confirm = (peer: FakePeer, amount: string, reference: string) =>
  peer.tell({
    type: ["Accept", "Receipt"],
    body: { of: null, currency: "EUR", amount, reference, position: {} },
  });

describe("an alarm", () => {
  test("hides no other, comes once, and stays until the operator has seen it", async () => {
    const { home, peer, id } = await met();
    const { database, clock } = home.instance;
    const raise = (alarm: string, isPassing = false) =>
      database.drizzle.transaction((tx) =>
        raiseAlarm(tx, id, { alarm, at: clock.now(), isPassing }),
      );
    for (const alarm of ["money is missing", "a word\u001b[2J", "money is missing"])
      await raise(alarm);
    await raise("it is away", true);
    expect(await alarms(home, id)).toEqual(["it is away", "a word\u{fffd}[2J", "money is missing"]);
    expect((await lineWith(home, peer)).alarm).toBe("a word\u{fffd}[2J");
    await expect(database.sql`DELETE FROM peer_alarm WHERE NOT is_passing`).rejects.toThrow("seen");

    await freezePeer(database, { host: peer.host, isFrozen: false, at: clock.now() });
    expect(await alarms(home, id)).toEqual([]);
    expect((await lineWith(home, peer)).alarm).toBeNull();
    // What happens again is told again.
    await raise("money is missing");
    expect(await alarms(home, id)).toEqual(["money is missing"]);
    await expect(
      database.sql`UPDATE peer_alarm SET cleared_at = NULL WHERE cleared_at IS NOT NULL`,
    ).rejects.toThrow("seen");
  });

  test("that passes by itself goes when the heads were compared, and leaves the others", async () => {
    const { home, peer, id } = await met();
    expect((await confirm(peer, "1.5", "RF1")).status).toBe(204);
    peer.lie("GET /ledger", saying("away", { status: 500 }));
    await compare(home);
    await eventually("it is noticed", async () => (await alarms(home, id)).length === 2);
    expect((await alarms(home, id))[0]).toContain("its head cannot be compared");
    expect((await lineWith(home, peer)).alarm).toContain("cannot be read");
    const heardAt = async () =>
      (await peerOfHost(home.instance.database.drizzle, peer.host)).heardAt!.epochMilliseconds;
    const before = await heardAt();

    peer.repent("GET /ledger");
    await compare(home);
    await eventually("they are compared", async () => (await heardAt()) > before);
    await eventually("it is gone", async () =>
      (await alarms(home, id)).every((alarm) => !alarm.includes("cannot be compared")),
    );
    expect((await alarms(home, id)).some((alarm) => alarm.includes("cannot be read"))).toBe(true);
  });

  test("of a peer that lies again and again is kept a hundred times and no more", async () => {
    const { home, peer, id } = await met();
    for (let count = 0; count < ALARMS_MAX + 10; count += 1)
      expect((await confirm(peer, "1.5", `RF${count}`)).status).toBe(204);
    expect(await alarms(home, id)).toHaveLength(ALARMS_MAX);
    const { database, clock } = home.instance;
    await database.drizzle.transaction((tx) =>
      raiseAlarm(tx, id, { alarm: "it is away", at: clock.now(), isPassing: true }),
    );
    expect(await alarms(home, id)).toHaveLength(ALARMS_MAX + 1);
  });

  test("tells at night all payments that both sides remember differently, until they were seen", async () => {
    const { home, peer, id } = await met();
    const { statements, database, clock } = home.instance;
    await confirm(peer, "1000000", "made");
    await confirm(peer, "2000000", "never");
    await confirm(peer, "3000000", "right");
    for (const [reference, amount] of [
      ["made", "4.00"],
      ["right", "3.00"],
    ] as const)
      await payPeer(statements, {
        host: peer.host,
        currency: "EUR",
        amount: eur(amount),
        reference,
        at: clock.now(),
      });
    await asReplica(
      home.databaseUrl,
      (sql) => sql`UPDATE peer_confirmation SET at = at - interval '25 hours'`,
    );
    await eventually("it is answered", async () => (await lineWith(home, peer)).unanswered === 0);
    await compare(home);
    await eventually("both are told", async () => {
      const told = await alarms(home, id);
      return (
        told.includes("it confirmed the payment never, which was never booked here") &&
        told.some((alarm) => alarm.startsWith("the payment made was booked here as 4000000"))
      );
    });
    expect((await alarms(home, id)).some((alarm) => alarm.includes("right"))).toBe(false);
    await freezePeer(database, { host: peer.host, isFrozen: false, at: clock.now() });
    await confirm(peer, "1000000", "late");
    await asReplica(
      home.databaseUrl,
      (sql) => sql`UPDATE peer_confirmation SET at = at - interval '25 hours'`,
    );
    await compare(home);
    await eventually("the next is told", async () =>
      (await alarms(home, id)).some((alarm) => alarm.includes("the payment late")),
    );
    const told = await alarms(home, id);
    expect(told.filter((alarm) => alarm.includes("payment"))).toHaveLength(1);
    // What could be mended is told again.
    expect(told.some((alarm) => alarm.startsWith("the positions in EUR differ"))).toBe(true);
  });
});

describe("a peer that says", () => {
  test("currencies that every object knows is refused, and its log goes on", async () => {
    const { home, peer } = await met();
    const { uri } = await resident(home, "cora");
    for (const currency of ["toString", "constructor", "__proto__", "hasOwnProperty", ""]) {
      const notice = { currency, amount: "1000000", rail: "manual", reference: "RF1" };
      const settlement = await peer.tell({ type: ["Offer", "Settlement"], body: notice });
      expect([currency, settlement.status, (settlement.json["type"] as string[])[0]]).toEqual([
        currency,
        200,
        "Reject",
      ]);
      const transfer = { ...peer.transfer({ [uri]: "1000000" }), currency };
      const answer = await peer.tell({ type: ["Offer", "Transfer"], body: transfer });
      expect((answer.json["type"] as string[])[0]).toBe("Reject");
      // Members of these names are refused before anybody reads them.
      if (currency === "__proto__" || currency === "constructor") continue;
      const terms = { currencies: { [currency]: { limit: "1" } } };
      const told = await peer.tell({ type: ["Offer", "Terms"], body: terms });
      expect([currency, told.status, told.json]).toMatchObject([
        currency,
        200,
        { type: ["Reject", "Receipt"] },
      ]);
      expect((await confirm(peer, "1", "RF1")).status).toBe(204);
    }
    const fair = await peer.tell({
      type: ["Offer", "Transfer"],
      body: peer.transfer({ [uri]: "1000000" }),
    });
    expect((fair.json["type"] as string[])[0]).toBe("Accept");
  });

  test("that it was paid more than any amount can be counts for nothing, and stalls nothing", async () => {
    const { home, peer, id } = await met();
    await confirm(peer, "999999999999999", "first");
    await asReplica(home.databaseUrl, async (sql) => {
      await sql`UPDATE position SET settled_out = ${String(AMOUNT_MAX - 5n)}::text::bigint`;
      await sql`UPDATE peer_confirmation SET amount = ${String(AMOUNT_MAX - 5n)}::text::bigint`;
    });
    expect((await confirm(peer, "6", "more")).status).toBe(204);
    expect((await alarms(home, id))[0]).toContain("the payment more is more than can be");
    expect((await lineWith(home, peer)).settledOut).toBe(AMOUNT_MAX - 5n);
    expect((await confirm(peer, "5", "rest")).status).toBe(204);
    expect((await lineWith(home, peer)).settledOut).toBe(AMOUNT_MAX);
  });

  test("many small Transfers and covers them at once has them released one batch after the other", async () => {
    const { home, peer } = await met();
    const cora = await resident(home, "cora");
    const count = RELEASED_AT_ONCE + 12;
    for (let place = 0; place < count; place += 1) {
      const body = peer.transfer({ [cora.uri]: "10000" });
      const answer = await peer.tell({ type: ["Offer", "Transfer"], body });
      expect((answer.json["type"] as string[])[0]).toBe("Accept");
    }
    const { database, statements, clock } = home.instance;
    const payment = { host: peer.host, currency: "EUR", reference: "all", at: clock.now() };
    await receiveFromPeer(statements, { ...payment, amount: eur("0.62") });
    const total = BigInt(count) * 10_000n;
    await eventually(
      "all is released",
      async () => (await balanceOf(home, cora)).earnings === total,
    );
    expect(await balanceOf(home, cora)).toEqual({ pending: 0n, earnings: total });
    const batches = await database.sql<{ released: bigint }[]>`
      SELECT count(*) AS released FROM transfer_in GROUP BY released_at ORDER BY min(up_to)`;
    expect(batches.map(({ released }) => Number(released))).toEqual([RELEASED_AT_ONCE, 12]);
  });
});
