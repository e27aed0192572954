/** Peers that are owed, and lie: a real instance as the debtor, and creditors who answer its Transfers as they like. */

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { blockPayments } from "../../src/features/claim/standing.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { alarmsOf } from "../../src/features/peer/alarm.ts";
import { peerOfHost } from "../../src/features/peer/peer.ts";
import { askWay } from "../../src/features/peer/way.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { payPeer } from "../../src/features/transfer/payment.ts";
import { eur } from "../support/database.ts";
import {
  dripping,
  type FakePeer,
  fakePeer,
  type Lie,
  pouring,
  saying,
  sending,
  silent,
  type Statement,
} from "../support/fake-peer.ts";
import { eventually, type Neighbour, neighbours } from "../support/instances.ts";
import {
  asReplica,
  lineWith,
  meet,
  offsets,
  resident,
  withoutTrace,
} from "../support/peer-books.ts";

const OFFSETS = offsets();

/** How a creditor lies, and how many of its people were flattred, with one euro each. */
interface Creditor {
  readonly people?: number;
  readonly prepare?: (peer: FakePeer) => void;
}

/** An instance whose month is over, and that owes something to each of these. */
async function owing<Name extends string>(
  creditors: Readonly<Record<Name, Creditor>>,
): Promise<{ home: Neighbour; patron: bigint; peers: Record<Name, FakePeer> }> {
  const entries = Object.entries(creditors) as [Name, Creditor][];
  const made: [Name, FakePeer][] = [];
  for (const [place, [name]] of entries.entries())
    made.push([name, await fakePeer({ seed: place + 1 })]);
  const peers = Object.fromEntries(made) as Record<Name, FakePeer>;
  const [home] = (await neighbours(1, {
    offset: OFFSETS.inside,
    allow: made.map(([, { host }]) => host),
  })) as [Neighbour];
  const { database, clock, resolver } = home.instance;
  const flattrs = entries.reduce((sum, [, { people = 1 }]) => sum + people, 0);
  const { id: patron } = await resident(home, "pat", `${flattrs}.00`);
  // In order: what is written first to the first of them is what all others would wait for.
  for (const [name, peer] of made) {
    peer.speakTo(home.origin);
    await askWay(database, peer.origin, clock.now());
    for (let at = 0; at < (creditors[name].people ?? 1); at += 1) {
      const thing = await resolver.thing(peer.person(`cora${at}`));
      await giveFlattr(database, { patron, thing, source: "click", at: clock.now() });
    }
    await eventually(`${name} is known`, async () => {
      const [row] =
        await database.sql`SELECT FROM host_way WHERE peer IS NOT NULL AND host = ${peer.host}`;
      return row !== undefined;
    });
  }
  for (const [name, peer] of made) creditors[name].prepare?.(peer);
  await home.restart(OFFSETS.after);
  await settle(home.instance.database, { at: home.instance.clock.now() });
  return { home, patron, peers };
}

const totalOf = (transfer: Statement) => BigInt((transfer["body"] as { total: string }).total);
const posts = ({ asked }: FakePeer) =>
  asked.filter(({ method, path }) => method === "POST" && path === "/ledger").length;
const isTransfer = (body: string) => body.includes('"type":["Offer","Transfer"]');

/** A Receipt for something else, signed as it should be, and always the same. */
const besides = (peer: FakePeer): Lie => {
  let said: Statement | undefined;
  return (asked, response) => {
    said ??= peer.say({
      type: ["Accept", "Receipt"],
      body: { of: { seq: 77, digest: `sha256:${"0".repeat(64)}` }, accepted: "1", rejected: [] },
    });
    return saying(JSON.stringify(said))(asked, response);
  };
};

describe("a creditor that answers", () => {
  test("with nonsense, with contradictions or with strange reasons, moves no money but by its own signed and clear word", async () => {
    const { home, patron, peers } = await owing({
      honest: { people: 3 },
      nonsense: { prepare: (peer) => peer.lie("POST /ledger", saying("\u001b[2Jhello")) },
      besides: { prepare: (peer) => peer.lie("POST /ledger", besides(peer)) },
      more: {
        prepare: (peer) =>
          peer.judge((of) =>
            peer.receipt(of, { accepted: String(totalOf(of) + 1n), rejected: [] }),
          ),
      },
      less: {
        people: 2,
        prepare: (peer) =>
          peer.judge((of) =>
            peer.receipt(of, { accepted: String(totalOf(of) - 1n), rejected: [] }),
          ),
      },
      strange: {
        prepare: (peer) =>
          peer.judge((of) =>
            peer.receipt(
              of,
              { accepted: "0", rejected: [], reason: "\u001b[2J\u202ebecause" },
              "Reject",
            ),
          ),
      },
      shrinking: {
        people: 12,
        // Always a little less room than what was asked for: each time a smaller Transfer would fit.
        prepare: (peer) =>
          peer.judge((of) => {
            const headroom = String(totalOf(of) - 1n);
            return peer.receipt(
              of,
              { accepted: "0", rejected: [], reason: "overLimit", headroom },
              "Reject",
            );
          }),
      },
      generous: {
        people: 3,
        // There is no room, it says, and then each time that there is plenty.
        prepare: (peer) =>
          peer.judge((of) => {
            setTimeout(() => void peer.greet("999999999999999").catch(() => {}), 10);
            const refusal = { accepted: "0", rejected: [], reason: "overLimit", headroom: "0" };
            return peer.receipt(of, refusal, "Reject");
          }),
      },
      absurd: {
        prepare: (peer) =>
          peer.judge((of) =>
            peer.receipt(
              of,
              { accepted: "0", rejected: [], reason: "overLimit", headroom: "999999999999999" },
              "Reject",
            ),
          ),
      },
    });
    const { database, clock, statements } = home.instance;
    const settled = (name: keyof typeof peers, what: string, is: Record<string, unknown>) =>
      eventually(`${name} ${what}`, async () => {
        const line = await lineWith(home, peers[name]);
        return Object.entries(is).every(([key, value]) => line[key as keyof typeof line] === value);
      });

    await settled("honest", "is answered", {
      acceptedOut: 3_000_000n,
      payable: 3_000_000n,
      inFlight: 0n,
    });
    await settled("strange", "waits", { inFlight: 0n, outbound: 0n, acceptedOut: 0n });
    for (const name of ["more", "less"] as const)
      await eventually(`${name} is noticed`, async () =>
        ((await lineWith(home, peers[name])).alarm ?? "").includes("contradicts itself"),
      );
    expect(await lineWith(home, peers.more)).toMatchObject({
      inFlight: 1_000_000n,
      acceptedOut: 0n,
      payable: 0n,
    });
    expect(await lineWith(home, peers.less)).toMatchObject({
      inFlight: 2_000_000n,
      acceptedOut: 0n,
      payable: 0n,
    });
    await eventually("strange is noticed", async () =>
      ((await lineWith(home, peers.strange)).alarm ?? "").includes("refused"),
    );
    const { alarm } = await lineWith(home, peers.strange);
    expect(alarm).toContain("were refused as unknown");
    expect(alarm).not.toMatch(/[\u0000-\u001f\u202e]/);
    // Before anything was sent the line looked the same, but for the alarm.
    await eventually("absurd is noticed", async () =>
      ((await lineWith(home, peers.absurd)).alarm ?? "").includes("although it fits"),
    );
    await settled("absurd", "is left alone", { inFlight: 0n, outbound: 1_000_000n });

    // Some seconds of the two that go on and on: a bounded number of Transfers, and the money is all there.
    await sleep(4_000);
    for (const name of ["shrinking", "generous"] as const) {
      const transfers = peers[name].asked.filter(({ body }) => isTransfer(body)).length;
      expect(transfers, name).toBeGreaterThan(1);
      expect(transfers, name).toBeLessThanOrEqual(11);
      const { inFlight, outbound, acceptedOut } = await lineWith(home, peers[name]);
      expect([inFlight + outbound, acceptedOut]).toEqual([
        name === "shrinking" ? 12_000_000n : 3_000_000n,
        0n,
      ]);
    }
    for (const name of ["nonsense", "besides"] as const) {
      expect(posts(peers[name]), name).toBeLessThan(8);
      expect(await lineWith(home, peers[name])).toMatchObject({
        inFlight: 1_000_000n,
        acceptedOut: 0n,
      });
    }
    expect((await lineWith(home, peers.besides)).alarm).toContain("never sent");
    expect(await checkBooks(database)).toEqual([]);

    // Accepts and then denies; then accepts once more.
    const transfer = peers.honest.heard.find((one) =>
      isTransfer(JSON.stringify({ type: one["type"] })),
    )!;
    const position = await lineWith(home, peers.honest);
    for (const [type, accepted] of [
      ["Reject", "0"],
      ["Accept", "3000000"],
    ] as const)
      expect(
        (await peers.honest.tell(peers.honest.receipt(transfer, { accepted, rejected: [] }, type)))
          .status,
      ).toBe(204);
    const denied = await lineWith(home, peers.honest);
    expect({ ...denied, alarm: null }).toEqual({ ...position, alarm: null });
    expect(denied.alarm).toContain("a second Receipt");

    await confirmations(home, peers.honest);
    expect(await checkBooks(database)).toEqual([]);

    // A block keeps the debt: it is still paid and confirmed. New clicks are refused.
    await blockPayments(database, { kind: "host", target: peers.honest.host, at: clock.now() });
    const before = await lineWith(home, peers.honest);
    await payPeer(statements, {
      host: peers.honest.host,
      currency: "EUR",
      amount: eur("1.00"),
      reference: "late",
      at: clock.now(),
    });
    await eventually(
      "the notice is answered",
      async () => (await lineWith(home, peers.honest)).unanswered === 0,
    );
    expect((await lineWith(home, peers.honest)).payable).toBe(before.payable - 1_000_000n);
    const thing = await home.instance.resolver.thing(`${peers.honest.origin}/users/cora0`);
    await expect(
      giveFlattr(database, { patron, thing, source: "click", at: clock.now() }),
    ).rejects.toMatchObject({ reason: "payee_blocked" });
  }, 60_000);
});

/** A reference that would clear the screen of whoever reads it. */
const NEVER = "RF\u001b[2J-never";

/** What a creditor may say about payments, true or not. */
async function confirmations(home: Neighbour, peer: FakePeer): Promise<void> {
  const { database, statements, clock } = home.instance;
  const confirm = (amount: unknown, reference: unknown, currency = "EUR") =>
    peer.tell({
      type: ["Accept", "Receipt"],
      body: { of: null, currency, amount, reference, position: {} },
    });
  const line = () => lineWith(home, peer);

  // Unreadable: nothing.
  const before = await line();
  for (const [amount, reference, currency] of [
    ["1.5", "RF1"],
    ["-1", "RF1"],
    [1, "RF1"],
    ["1000000", ""],
    ["1000000", "x".repeat(141)],
    ["1000000", 7],
    ["1000000", "RF1", "USD"],
  ] as const)
    expect((await confirm(amount, reference, currency)).status).toBe(204);
  expect((await line()).settledOut).toBe(before.settledOut);
  expect((await line()).alarm).toContain("cannot be read");

  // Never made: it is the peer's own loss, and the operator hears of it the day after.
  expect((await confirm("500000", NEVER)).status).toBe(204);
  expect((await line()).settledOut).toBe(500_000n);
  // The same again, for more: it counts once.
  expect((await confirm("900000", NEVER)).status).toBe(204);
  expect(await line()).toMatchObject({ settledOut: 500_000n });
  expect((await line()).alarm).toContain("never was confirmed twice");
  expect((await line()).alarm).not.toMatch(/[\u0000-\u001f]/);

  // Made, and confirmed as less.
  const payment = {
    host: peer.host,
    currency: "EUR",
    amount: eur("2.00"),
    reference: "RF-made",
    at: clock.now(),
  };
  await payPeer(statements, payment);
  expect((await confirm("1000000", "RF-made")).status).toBe(204);
  expect(await line()).toMatchObject({ settledOut: 1_500_000n, payable: 1_000_000n });
  expect((await line()).alarm).toContain("booked here as 2000000 and confirmed there as 1000000");
  await eventually("the notice is answered", async () => (await line()).unanswered === 0);

  await asReplica(
    home.databaseUrl,
    (sql) => sql`UPDATE peer_confirmation SET at = at - interval '25 hours'`,
  );
  const truth = await line();
  const counters = (accepted: bigint, settled: bigint) => ({
    accepted: String(accepted),
    settled: String(settled),
  });
  peer.lie("GET /ledger", (asked, response) => {
    const head = peer.head({
      positions: [
        {
          currency: "EUR",
          in: counters(truth.acceptedOut, truth.settledOut),
          out: counters(0n, 0n),
        },
      ],
    });
    return saying(JSON.stringify(head))(asked, response);
  });
  await compareHeads(home);
  const { id } = await peerOfHost(database.drizzle, peer.host);
  await eventually("it is noticed", async () =>
    (await alarmsOf(database.drizzle, id)).some(({ alarm }) =>
      alarm.includes("never, which was never booked"),
    ),
  );
  expect(await checkBooks(database)).toEqual([]);
}

/** Does now what is done each night. */
async function compareHeads({ instance: { database } }: Neighbour): Promise<void> {
  await database.sql`SELECT graphile_worker.add_job('heads', '{}')`;
}

describe("a creditor that does not answer", () => {
  test("is tried again with pauses; nothing is lost, the operator hears of it, and others do not wait", async () => {
    const lying = (lie: Lie): Creditor => ({ prepare: (peer) => peer.lie("POST /ledger", lie) });
    const { home, peers } = await owing({
      headless: { prepare: (peer) => peer.lie("GET /ledger", silent) },
      silent: lying(silent),
      dripping: lying(dripping),
      pouring: lying(pouring(10 * 1024 * 1024)),
      private: lying(sending("http://127.0.0.1:9/")),
      conflict: lying(saying('{"error":"\u001b[2Jfork"}', { status: 409 })),
      forbidden: lying(saying("no", { status: 403 })),
      broken: lying(saying("oh", { status: 500 })),
      claiming: {
        prepare: (peer) =>
          peer.lie("GET /ledger", ({ path, ...asked }, response) =>
            saying(
              path.endsWith("/head")
                ? JSON.stringify(
                    peer.head({ received: { seq: 50, digest: `sha256:${"1".repeat(64)}` } }),
                  )
                : '{"statements":[],"more":false}',
            )({ path, ...asked }, response),
          ),
      },
      honest: {},
    });
    const begun = performance.now();
    await eventually(
      "the honest one is answered",
      async () => (await lineWith(home, peers.honest)).acceptedOut > 0n,
    );
    // Whoever waits for one that does not answer waits ten seconds.
    expect(performance.now() - begun).toBeLessThan(8_000);
    // What it claims and does not show holds nothing up; the comparison of the night tells it.
    await eventually(
      "the claiming one is sent its Transfer",
      async () => posts(peers.claiming) > 0,
    );
    await home.instance.database.sql`SELECT graphile_worker.add_job('heads')`;
    await eventually("the claim is noticed", async () =>
      ((await lineWith(home, peers.claiming)).alarm ?? "").includes("of ours, which is not here"),
    );

    const failing = ["conflict", "forbidden", "broken", "pouring", "private"] as const;
    await eventually("each was tried", async () =>
      failing.every((name) => posts(peers[name]) >= 2),
    );
    for (const name of failing) {
      expect(posts(peers[name]), name).toBeLessThan(7);
      expect((await lineWith(home, peers[name])).inFlight, name).toBe(1_000_000n);
    }
    expect(peers.private.asked.length).toBeGreaterThan(0);
    await forward(home, 7);
    await eventually("the operator hears of it", async () => {
      const lines = await Promise.all(failing.map((name) => lineWith(home, peers[name])));
      return lines.every(({ alarm }) => alarm?.includes("gets no answer") === true);
    });
    const { alarm } = await lineWith(home, peers.conflict);
    expect(alarm).toContain("409");
    expect(alarm).not.toMatch(/[\u0000-\u001f]/);
    expect(await checkBooks(home.instance.database)).toEqual([]);

    // They come to their senses, and the money arrives: each once.
    for (const peer of Object.values(peers))
      for (const at of ["POST /ledger", "GET /ledger"]) peer.repent(at);
    await home.restart();
    await eventually("all is answered", async () => {
      await forward(home, 1);
      const lines = await Promise.all(Object.values(peers).map((peer) => lineWith(home, peer)));
      return lines.every(
        ({ acceptedOut, unanswered }) => acceptedOut === 1_000_000n && unanswered === 0,
      );
    });
    for (const [name, peer] of Object.entries(peers))
      expect(await lineWith(home, peer), name).toMatchObject({
        inFlight: 0n,
        outbound: 0n,
        payable: 1_000_000n,
      });
  }, 90_000);
});

/** As if the pauses were over, and so many attempts were made. */
async function forward({ instance: { database } }: Neighbour, attempts: number): Promise<void> {
  await database.sql`UPDATE statement SET due_at = 'epoch', attempts = ${attempts} WHERE due_at IS NOT NULL`;
}

describe("a log that is pulled", () => {
  test("is taken only where it is the peer's own, in order, and comes to an end", async () => {
    const peers: FakePeer[] = [];
    for (let seed = 1; seed <= 9; seed += 1) peers.push(await fakePeer({ seed }));
    const [home] = (await neighbours(1, { allow: peers.map(({ host }) => host) })) as [Neighbour];
    for (const peer of peers) {
      peer.speakTo(home.origin);
      await meet(peer, home);
    }
    const [honest, foreign, endless, huge, mute, slow, leading, forking, positions] = peers as [
      FakePeer,
      FakePeer,
      FakePeer,
      FakePeer,
      FakePeer,
      FakePeer,
      FakePeer,
      FakePeer,
      FakePeer,
    ];
    const note = { type: ["Accept", "Receipt"], body: { of: null } } as const;
    const pulls = ({ asked }: FakePeer) =>
      asked.filter(({ path }) => path.includes("/after/")).length;
    const lastOf = async ({ host }: FakePeer) => {
      const [row] = await home.instance.database.sql<[{ seq: bigint }]>`
        SELECT max(s.seq) AS seq FROM statement s JOIN peer p ON p.id = s.peer WHERE p.host = ${host} AND s.direction = 'in'`;
      return Number(row.seq);
    };
    const alarmOf = async (peer: FakePeer) => (await lineWith(home, peer)).alarm ?? "";

    foreign.lie(
      "GET /ledger",
      saying(JSON.stringify({ statements: [{ ...honest.statement(note) }], more: true })),
    );
    endless.lie("GET /ledger", saying(JSON.stringify({ statements: endless.log, more: true })));
    huge.lie("GET /ledger", pouring(10 * 1024 * 1024));
    mute.lie("GET /ledger", silent);
    slow.lie("GET /ledger", dripping);
    leading.lie("GET /ledger", sending(`${honest.origin}/ledger/${home.host}/after/0`));
    const [first] = forking.log;

    await withoutTrace(home, async () => {
      for (const liar of [foreign, endless, huge, leading, mute, slow]) {
        liar.say(note);
        liar.say(note);
        expect((await liar.post(liar.log.at(-1)!)).status).toBe(202);
      }
      await eventually("each is pulled", async () =>
        [foreign, endless, huge, leading, mute, slow].every((liar) => pulls(liar) > 0),
      );
      await eventually("a stranger's statement is noticed", async () =>
        (await alarmOf(foreign)).includes("strange"),
      );
      await sleep(2_000);
      for (const liar of [foreign, endless, huge, leading]) expect(pulls(liar)).toBeLessThan(6);
    });

    // Meanwhile, who is honest is pulled to the end.
    honest.say(note);
    honest.say(note);
    expect((await honest.post(honest.log.at(-1)!)).status).toBe(202);
    await eventually(
      "the honest log is pulled",
      async () => (await lastOf(honest)) === honest.log.length,
    );

    // A number that was used, told anew.
    const told = forking.log.length;
    forking.say(note);
    const gap = { ...forking.say(note) };
    forking.lie(
      "GET /ledger",
      saying(JSON.stringify({ statements: [reused(forking, first!)], more: false })),
    );
    expect((await forking.post(gap)).status).toBe(202);
    await eventually(
      "the fork is noticed",
      async () => (await lineWith(home, forking)).state === "forked",
    );
    expect(await alarmOf(forking)).toContain("contradict each other");
    expect(await lastOf(forking)).toBe(told);

    // A head that lies about the counters.
    positions.lie(
      "GET /ledger",
      saying(
        JSON.stringify(
          positions.head({
            positions: [
              {
                currency: "EUR",
                in: { accepted: "1", settled: "0" },
                out: { accepted: "0", settled: "0" },
              },
            ],
          }),
        ),
      ),
    );
    await compareHeads(home);
    await eventually(
      "the lie is noticed",
      async () => (await alarmOf(positions)).includes("positions in EUR differ"),
      40_000,
    );
    expect(await checkBooks(home.instance.database)).toEqual([]);
    for (const peer of peers) peer.repent("GET /ledger");
  }, 90_000);
});

/** Another statement under the first one's number, rightly signed. */
function reused(peer: FakePeer, first: Statement): Statement {
  return peer.statement({
    type: ["Offer", "Terms"],
    body: { currencies: { EUR: { limit: "7" } } },
    seq: first["seq"],
    prev: null,
    id: first["id"],
  });
}
