/** An instance that comes back from a backup, beside a peer that remembers everything, honestly or not. */

import { describe, expect, test } from "vitest";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { setPeerLimit } from "../../src/features/peer/peer.ts";
import { askWay } from "../../src/features/peer/way.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { receiveFromPeer } from "../../src/features/transfer/payment.ts";
import { recoverOwn } from "../../src/features/transfer/recover.ts";
import { tellTerms } from "../../src/features/transfer/terms.ts";
import { commands } from "../support/command.ts";
import { eur } from "../support/database.ts";
import { type FakePeer, fakePeer, saying, silent, type Statement } from "../support/fake-peer.ts";
import { eventually, type Neighbour, neighbours } from "../support/instances.ts";
import {
  balanceOf,
  lineWith,
  meet,
  offsets,
  resident,
  withoutTrace,
} from "../support/peer-books.ts";

const OFFSETS = offsets();

async function homeWith(peer: FakePeer): Promise<Neighbour> {
  const [home] = (await neighbours(1, { offset: OFFSETS.inside, allow: [peer.host] })) as [
    Neighbour,
  ];
  peer.speakTo(home.origin);
  return home;
}

async function idOf({ instance: { database } }: Neighbour, { host }: FakePeer): Promise<bigint> {
  const [row] = await database.sql<[{ id: bigint }]>`SELECT id FROM peer WHERE host = ${host}`;
  return row.id;
}

const isFresh = async (home: Neighbour, peer: FakePeer) =>
  home.instance.isFresh(await idOf(home, peer));

/** Lets a job of the instance run now. */
const runNow = ({ instance: { database } }: Neighbour, job: "heads" | "transfers.due") =>
  database.sql`SELECT graphile_worker.add_job(${job}, '{}'::json)`;

const offer = (body: unknown) => ({ type: ["Offer", "Transfer"], body }) as const;
const toldOf = ({ heard }: FakePeer, kind: string) =>
  heard.filter((one) => (one["type"] as string[])[1] === kind);
const bodyOf = (one: Statement | undefined) => one?.["body"] as Statement;

const PAID = { currency: "EUR", amount: eur("5.00"), reference: "RF18 5390" };

/** Books that a peer paid. */
async function receive(home: Neighbour, { host }: FakePeer, mayWrite = true) {
  const { statements, clock } = home.instance;
  return receiveFromPeer(statements, { host, ...PAID, at: clock.now() }, { mayWrite });
}

describe("what a peer promised and paid after the backup", () => {
  test("is booked again as it was, whatever the limit says by now, and once", async () => {
    const peer = await fakePeer();
    const home = await homeWith(peer);
    const cora = await resident(home, "cora");
    await meet(peer, home);
    await home.backUp();
    await isFresh(home, peer);
    const said = peer.say(offer(peer.transfer({ [cora.uri]: "5000000" })));
    const answer = await peer.post(said);
    expect(answer.status).toBe(200);
    await receive(home, peer);
    await eventually("the payment is told", async () => toldOf(peer, "Receipt").length >= 3);
    await home.restore();
    const { database } = home.instance;
    await setPeerLimit(database, { host: peer.host, currency: "EUR", limit: eur("0.01") });
    expect(await balanceOf(home, cora)).toEqual({ pending: 0n, earnings: 0n });
    expect(await isFresh(home, peer)).toBe(true);
    expect(await balanceOf(home, cora)).toEqual({ pending: 0n, earnings: 5_000_000n });
    expect(await lineWith(home, peer)).toMatchObject({
      acceptedIn: 5_000_000n,
      settledIn: 5_000_000n,
      alarm: null,
      state: "open",
    });
    // The same Receipt, and nothing more of it; and what was recovered once is not recovered twice.
    expect((await peer.post(said)).body).toBe(answer.body);
    expect((await receive(home, peer)).again).toBe(true);
    await withoutTrace(home, async () => {
      const parts = { peer: await idOf(home, peer), at: home.instance.clock.now() };
      for (const document of peer.heard)
        expect(await recoverOwn(home.instance.statements, { ...parts, document })).toBe(true);
    });
  });

  test("cannot be told anew as another story: our Receipt names what it was", async () => {
    const peer = await fakePeer();
    const home = await homeWith(peer);
    const [cora, dora] = [await resident(home, "cora"), await resident(home, "dora")];
    await meet(peer, home);
    await home.backUp();
    expect((await peer.tell(offer(peer.transfer({ [cora.uri]: "5000000" })))).status).toBe(200);
    await receive(home, peer);
    await eventually("the payment is told", async () => toldOf(peer, "Receipt").length >= 3);
    peer.log.pop();
    peer.say(offer(peer.transfer({ [dora.uri]: "5000000" })));
    await home.restore();
    await isFresh(home, peer);
    expect(await balanceOf(home, dora)).toEqual({ pending: 0n, earnings: 0n });
    expect((await lineWith(home, peer)).state).toBe("forked");
    const forks = await home.instance.database.sql<
      { known: string; other: string }[]
    >`SELECT known, other FROM fork`;
    expect(forks).toMatchObject([
      {
        known: expect.stringContaining('"Receipt"') as string,
        other: expect.stringContaining(dora.uri) as string,
      },
    ]);
  });

  test("waits for creators who are not here any more, says so, and goes on when they are", async () => {
    const peer = await fakePeer();
    const home = await homeWith(peer);
    await meet(peer, home);
    await home.backUp();
    const cora = await resident(home, "cora");
    await peer.tell(offer(peer.transfer({ [cora.uri]: "1000000" })));
    await home.restore();
    await isFresh(home, peer);
    const waiting = await lineWith(home, peer);
    expect(waiting).toMatchObject({ state: "open", acceptedIn: 0n });
    expect(waiting.alarm).toContain(cora.uri);
    // What comes after it waits, too.
    const next = await peer.tell(offer(peer.transfer({ [cora.uri]: "2000000" })));
    expect(next.status).toBe(202);
    await resident(home, "cora");
    await runNow(home, "heads");
    await eventually(
      "all is taken",
      async () => (await lineWith(home, peer)).acceptedIn === 3_000_000n,
    );
  });
});

describe("what we sent after the backup", () => {
  test("is put back when the month is closed again, and nothing goes twice", async () => {
    const peer = await fakePeer();
    const home = await homeWith(peer);
    const { database, clock, resolver } = home.instance;
    const { id: patron } = await resident(home, "pat", "2.00");
    await askWay(database, peer.origin, clock.now());
    const thing = await resolver.thing(peer.person("cora"));
    await giveFlattr(database, { patron, thing, source: "click", at: clock.now() });
    await eventually("the way is known", async () => {
      const [row] = await database.sql`SELECT FROM host_way WHERE peer IS NOT NULL`;
      return row !== undefined;
    });
    await home.backUp();
    const accepted = async () => (await lineWith(home, peer)).acceptedOut === 2_000_000n;
    await home.restart(OFFSETS.after);
    await settle(home.instance.database, { at: home.instance.clock.now() });
    await eventually("the Transfer is accepted", accepted);
    expect(toldOf(peer, "Transfer")).toHaveLength(1);

    await home.restore(OFFSETS.after);
    expect(await isFresh(home, peer)).toBe(true);
    await settle(home.instance.database, { at: home.instance.clock.now() });
    await eventually("it is accepted again", accepted, 60_000);
    expect(toldOf(peer, "Transfer")).toHaveLength(1);
    expect(await lineWith(home, peer)).toMatchObject({
      outbound: 0n,
      inFlight: 0n,
      payable: 2_000_000n,
      state: "open",
      alarm: null,
    });
    const [left] = await home.instance.database.sql`SELECT FROM statement WHERE is_recovered`;
    expect(left).toBeUndefined();
  });
});

describe("a month that is closed again with other clicks", () => {
  /** Sends a Transfer for two creators, and comes back from a backup that knows the click for one of them. */
  async function closedOtherwise(judge?: (peer: FakePeer) => void) {
    const peer = await fakePeer();
    const home = await homeWith(peer);
    const { id: patron } = await resident(home, "pat", "2.00");
    await askWay(home.instance.database, peer.origin, home.instance.clock.now());
    const flattr = async (name: string) => {
      const { database, clock, resolver } = home.instance;
      const thing = await resolver.thing(peer.person(name));
      await giveFlattr(database, { patron, thing, source: "click", at: clock.now() });
    };
    await flattr("cora");
    await eventually("the way is known", async () => {
      const [row] = await home.instance.database.sql`SELECT FROM host_way WHERE peer IS NOT NULL`;
      return row !== undefined;
    });
    await home.backUp();
    await flattr("dora");
    judge?.(peer);
    const close = async () => {
      await settle(home.instance.database, { at: home.instance.clock.now() });
    };
    await home.restart(OFFSETS.after);
    await close();
    await eventually("the Transfer is answered", async () => {
      const { unanswered } = await lineWith(home, peer);
      return toldOf(peer, "Transfer").length === 1 && unanswered === 0;
    });
    await home.restore(OFFSETS.after);
    expect(await isFresh(home, peer)).toBe(true);
    await close();
    return { peer, home };
  }

  const sumsOf = (one: Statement | undefined) =>
    (bodyOf(one)["lines"] as Statement[]).map(({ beneficiary, amount }) => [
      (beneficiary as string).replace(/.*\//, ""),
      amount,
    ]);

  test("sends what it is now, if nothing was accepted of what it was", async () => {
    const { peer, home } = await closedOtherwise((judged) =>
      judged.judge((of) =>
        toldOf(judged, "Transfer").length > 1
          ? undefined
          : judged.receipt(
              of,
              { accepted: "0", rejected: [], reason: "overLimit", headroom: "0" },
              "Reject",
            ),
      ),
    );
    await runNow(home, "transfers.due");
    await eventually(
      "it is sent",
      async () => (await lineWith(home, peer)).acceptedOut === 2_000_000n,
      60_000,
    );
    expect(toldOf(peer, "Transfer").map(sumsOf)).toEqual([
      [
        ["cora", "1000000"],
        ["dora", "1000000"],
      ],
      [["cora", "2000000"]],
    ]);
    expect((await lineWith(home, peer)).alarm).toBeNull();
  });

  test("signs nothing more to a peer that accepted something of what it was, until people have looked", async () => {
    const { peer, home } = await closedOtherwise();
    const isSaid = async () =>
      ((await lineWith(home, peer)).alarm ?? "").includes("names lines that it does not have");
    await eventually("it is said", isSaid);
    await runNow(home, "transfers.due");
    const cora = await resident(home, "cora");
    const next = await peer.tell(offer(peer.transfer({ [cora.uri]: "1000000" })));
    expect(next.status).toBe(202);

    // To have seen it mends nothing: it is said again.
    const opened = await commands(home.settings)(["peer", "open", peer.host, "--json"]);
    expect(JSON.parse(opened.out)).toMatchObject({
      state: "open",
      seen: [expect.stringContaining("names lines that it does not have")],
    });
    await runNow(home, "heads");
    await eventually("it is said again", isSaid);
    await runNow(home, "transfers.due");
    expect(toldOf(peer, "Transfer")).toHaveLength(1);
    expect(await lineWith(home, peer)).toMatchObject({ acceptedOut: 0n, acceptedIn: 0n });
  });
});

describe("a peer that cannot tell what it has", () => {
  test("is written nothing; what the operator books counts at once, and is told when it answers", async () => {
    const peer = await fakePeer();
    const home = await homeWith(peer);
    const cora = await resident(home, "cora");
    await meet(peer, home);
    await peer.tell(offer(peer.transfer({ [cora.uri]: "5000000" })));
    peer.lie("GET /ledger/", silent);
    await home.restart();
    peer.lie("GET /ledger/", saying("", { status: 502 }));
    expect(await isFresh(home, peer)).toBe(false);
    const before = peer.heard.length;
    const { statements, clock, database } = home.instance;
    await receive(home, peer, await isFresh(home, peer));
    await setPeerLimit(database, { host: peer.host, currency: "EUR", limit: eur("7.00") });
    await tellTerms(statements, { host: peer.host, at: clock.now(), mayWrite: false });
    expect(await balanceOf(home, cora)).toEqual({ pending: 0n, earnings: 5_000_000n });
    await runNow(home, "transfers.due");
    // It may speak as long as it does not show what it has: nothing is signed that could be a second story.
    const said = peer.say(offer(peer.transfer({ [cora.uri]: "1000000" })));
    const answer = await peer.post(said);
    expect([answer.status, answer.json["error"]]).toEqual([503, "behind"]);
    expect(peer.heard).toHaveLength(before);

    peer.repent("GET /ledger/");
    await eventually(
      "it is told",
      async () => {
        await runNow(home, "transfers.due");
        return toldOf(peer, "Receipt").some((one) => bodyOf(one)["reference"] === PAID.reference);
      },
      60_000,
    );
    expect(bodyOf(toldOf(peer, "Terms").at(-1))["currencies"]).toMatchObject({
      EUR: { limit: "7000000" },
    });
    await runNow(home, "transfers.due");
    expect((await peer.post(said)).status).toBe(200);
    const many = (kind: string, of: (body: Statement) => boolean) =>
      toldOf(peer, kind).filter((one) => of(bodyOf(one))).length;
    expect(many("Receipt", (body) => body["reference"] === PAID.reference)).toBe(1);
    expect(many("Terms", () => true)).toBe(2);
  });

  test("because it was away when we changed our key is told the new one, and goes on", async () => {
    const peer = await fakePeer();
    const home = await homeWith(peer);
    const cora = await resident(home, "cora");
    await meet(peer, home);
    peer.lie("POST /ledger", saying("away", { status: 502 }));
    const { statements, clock, database } = home.instance;
    await setPeerLimit(database, { host: peer.host, currency: "EUR", limit: eur("7.00") });
    await tellTerms(statements, { host: peer.host, at: clock.now() });
    for (let turn = 0; turn < 2; turn += 1) await home.instance.rotateKey();
    const said = peer.say(offer(peer.transfer({ [cora.uri]: "1000000" })));
    // It knows the first of our three keys, and takes no other.
    let refused = 0;
    peer.lie("GET /ledger/", (asked, response) => {
      const keyId = /keyid="([^"]*)"/.exec(String(asked.headers["signature-input"]))?.[1];
      if (keyId?.endsWith("#ed25519-1") === true) return peer.answer(asked, response);
      refused += 1;
      response.writeHead(403, { "content-type": "application/json" }).end("{}");
    });
    await home.restart();
    expect(await isFresh(home, peer)).toBe(true);
    expect(refused).toBeGreaterThan(0);
    peer.repent("POST /ledger");
    await eventually(
      "it is told",
      async () => (await lineWith(home, peer)).unanswered === 0,
      60_000,
    );
    expect(toldOf(peer, "KeyRotation")).toHaveLength(2);
    expect(await lineWith(home, peer)).toMatchObject({ acceptedIn: 1_000_000n, alarm: null });
    expect((await peer.post(said)).status).toBe(200);
  });

  test("because it does not take our key any more is for the operators; because its line is frozen, waits", async () => {
    const peer = await fakePeer();
    const home = await homeWith(peer);
    await meet(peer, home);
    for (const [status, says] of [
      [409, null],
      [403, "does not show our own log any more"],
    ] as const) {
      peer.lie("GET /ledger/", saying("{}", { status }));
      await home.restart();
      expect(await isFresh(home, peer)).toBe(false);
      const { alarm } = await lineWith(home, peer);
      if (says === null) expect(alarm).toBeNull();
      else expect(alarm).toContain(says);
    }
    peer.repent("GET /ledger/");
    await home.restart();
    expect(await isFresh(home, peer)).toBe(true);
  });
});

test("a retired key repeats what was said with it, and tells no other story", async () => {
  const peer = await fakePeer();
  const home = await homeWith(peer);
  const cora = await resident(home, "cora");
  await meet(peer, home);
  const said = peer.say(offer(peer.transfer({ [cora.uri]: "1000000" })));
  const answer = await peer.post(said);
  const next = peer.keyOf(77, `${peer.actor}#ed25519-2`);
  const rotation = await peer.tell({
    type: ["Update", "KeyRotation"],
    body: {
      add: { id: next.id, publicKeyMultibase: next.publicKeyMultibase },
      retire: peer.key.id,
      retireAtSeq: peer.log.length + 1,
    },
  });
  expect(rotation.status).toBe(200);
  expect((await peer.post(said)).body).toBe(answer.body);
  // Who stole the old key signs another statement under a number that is used.
  const after = peer.log.splice((said["seq"] as number) - 1);
  const forged = peer.statement(offer(peer.transfer({ [cora.uri]: "9000000" })));
  peer.log.push(...after);
  await withoutTrace(home, async () => {
    const refused = await peer.post(forged);
    expect([refused.status, refused.json["error"]]).toEqual([401, "retiredKey"]);
  });
  const more = await peer.tell({ ...offer(peer.transfer({ [cora.uri]: "2000000" })), key: next });
  expect(more.status).toBe(200);
});
