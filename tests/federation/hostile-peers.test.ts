/** Peers that owe, and lie: a real instance as the creditor, and at its ledger endpoint a debtor that says what it likes. */

import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { blockPayments } from "../../src/features/claim/standing.ts";
import { freezePeer, setPeerLimit } from "../../src/features/peer/peer.ts";
import { contradictionsOf, keysOf } from "../../src/features/peer/report.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { receiveFromPeer } from "../../src/features/transfer/payment.ts";
import { STATEMENTS_A_DAY_MAX } from "../../src/features/statement/take.ts";
import { periodAfter, periodOf } from "../../src/rules/period.ts";
import { signPull } from "../../src/edges/federation/pull-signature.ts";
import { eur } from "../support/database.ts";
import {
  digestOf,
  type FakeAnswer,
  type FakePeer,
  fakePeer,
  type Statement,
} from "../support/fake-peer.ts";
import { ACTIVITY_JSON, post } from "../support/hostile.ts";
import { eventually, type Neighbour, neighbours } from "../support/instances.ts";
import {
  asReplica,
  balanceOf,
  fillLog,
  lineWith,
  meet,
  resident,
  withoutTrace,
} from "../support/peer-books.ts";

let home: Neighbour;
/** A second instance, for what was meant for another. */
let other: Neighbour;
const peers: FakePeer[] = [];
const endings: (() => Promise<void>)[] = [];
let cora: Awaited<ReturnType<typeof resident>>;

beforeAll(async () => {
  const whenOver = (end: () => Promise<void>) => void endings.unshift(end);
  for (let seed = 1; seed <= 9; seed += 1) peers.push(await fakePeer({ seed, whenOver }));
  [home, other] = (await neighbours(2, {
    allow: peers.map(({ host }) => host),
    whenOver,
  })) as [Neighbour, Neighbour];
  for (const peer of peers) peer.speakTo(home.origin);
  cora = await resident(home, "cora");
});

afterAll(async () => {
  for (const end of endings) await end();
});

afterEach(async () => {
  expect(await checkBooks(home.instance.database)).toEqual([]);
});

/** The next peer, with a line. */
async function debtor(): Promise<FakePeer> {
  const peer = peers[used]!;
  used += 1;
  await meet(peer, home);
  return peer;
}

let used = 0;

const offer = (body: unknown) => ({ type: ["Offer", "Transfer"], body }) as const;
const reasonOf = ({ json }: FakeAnswer) => (json["body"] as Statement)["reason"];
const typeOf = ({ json }: FakeAnswer) => (json["type"] as string[])[0];

/** A Transfer to cora with this member of its body, or of its only line, instead of the right one. */
function bent(peer: FakePeer, body: Statement, line?: Statement) {
  const right = peer.transfer({ [cora.uri]: "1000000" });
  const [first] = right["lines"] as Statement[];
  return offer({
    ...right,
    ...(line === undefined ? {} : { lines: [{ ...first, ...line }] }),
    ...body,
  });
}

describe("a statement that comes again", () => {
  test("a hundred times at once, it has one row and one Receipt (M03, F07)", async () => {
    const peer = await debtor();
    const said = peer.say(offer(peer.transfer({ [cora.uri]: "2000000" })));
    const answers = await Promise.all(Array.from({ length: 100 }, () => peer.post(said)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    expect((await lineWith(home, peer)).acceptedIn).toBe(2_000_000n);
    expect(await balanceOf(home, cora)).toEqual({ pending: 2_000_000n, earnings: 0n });
    const [rows] = await home.instance.database.sql<[{ count: bigint }]>`
      SELECT count(*) AS count FROM statement s JOIN peer p ON p.id = s.peer WHERE p.host = ${peer.host} AND s.kind = 'Transfer'`;
    expect(rows.count).toBe(1n);
  });

  test("elsewhere, it moves nothing: another instance, a user's inbox, the shared inbox (F06)", async () => {
    const peer = peers[0]!;
    const said = peer.log.at(-1)!;
    await withoutTrace(home, async () => {
      expect((await peer.post(said, "/users/cora/inbox")).status).toBe(400);
      // The shared inbox is that of the instance actor: the same function, and so the same answer, by post.
      expect((await peer.post(said, "/inbox")).status).toBe(202);
    });
    await withoutTrace(other, async () => {
      const headers = { "content-type": ACTIVITY_JSON };
      const stranger = await post(`${other.origin}/ledger`, headers, JSON.stringify(said));
      expect(stranger.status).toBe(403);
    });
    // Also where that peer is known: the statement names another instance.
    peer.speakTo(other.origin);
    const here = peer.log.splice(0);
    const heard = peer.heard.splice(0);
    await meet(peer, other);
    await withoutTrace(other, async () => {
      const answer = await peer.post(said);
      expect([answer.status, answer.json["error"]]).toEqual([400, "wrongAudience"]);
    });
    peer.speakTo(home.origin);
    peer.log.splice(0, peer.log.length, ...here);
    peer.heard.splice(0, peer.heard.length, ...heard);
    expect((await peer.post(said)).status).toBe(200);
  });

  test("as another story, it freezes the line and both are kept (M03)", async () => {
    const peer = await debtor();
    const said = peer.say(offer(peer.transfer({ [cora.uri]: "1000000" })));
    expect((await peer.post(said)).status).toBe(200);
    peer.log.pop();
    const forged = peer.statement(offer(peer.transfer({ [cora.uri]: "3000000" })));
    const answer = await peer.post(forged);
    expect([answer.status, answer.json["error"]]).toEqual([409, "fork"]);
    peer.log.push(said);
    expect((await lineWith(home, peer)).state).toBe("forked");
    expect(await contradictionsOf(home.instance.database, peer.host)).toEqual([
      { seq: said["seq"], knownDigest: digestOf(said), otherDigest: digestOf(forged) },
    ]);
    await withoutTrace(home, async () => {
      for (const again of [said, forged, peer.statement(offer({}))])
        expect((await peer.post(again)).json["error"]).toBe("frozen");
    });
  });
});

describe("the form of a statement", () => {
  let peer: FakePeer;
  beforeAll(async () => {
    peer = await debtor();
  });

  const LIMITS: readonly (readonly [string, number, (right: string) => string])[] = [
    ["more than 256 KiB", 413, (right) => right.padEnd(262_145, " ")],
    ["30 MB", 413, (right) => right.padEnd(30_000_000, " ")],
    ["lists within lists", 400, () => "[".repeat(5_000)],
    ["objects within objects", 400, () => `{"body":`.repeat(800) + "1" + "}".repeat(800)],
    ["an amount twice", 400, (right) => right.replace('"amount":', '"amount":"9","amount":')],
    ["a number twice", 400, (right) => right.replace('"seq":', '"seq":7,"seq":')],
    ["__proto__", 400, (right) => right.replace('"seq":', '"__proto__":{},"seq":')],
    ["half a number in the frame", 400, (right) => right.replace(/"seq":\d+/, '"seq":2.5')],
    ["too large a number", 400, (right) => right.replace(/"seq":\d+/, '"seq":9007199254740993')],
    ["zero", 400, (right) => right.replace(/"seq":\d+/, '"seq":0')],
    ["no JSON", 400, (right) => right.slice(0, -1)],
    ["half a character", 400, (right) => right.replace('"kind":"', '"kind":"\\ud800')],
  ];
  test.each(LIMITS)("with %s is refused (N01, N02)", async (_, status, bend) => {
    await withoutTrace(home, async () => {
      const right = JSON.stringify(peer.statement(bent(peer, {})));
      const begun = performance.now();
      const answer = await peer.post(bend(right)).catch(() => ({ status: 413, json: {} }));
      expect(answer.status).toBe(status);
      expect(performance.now() - begun).toBeLessThan(2_000);
    });
  });

  test("of exactly 256 KiB is taken", async () => {
    const said = peer.say(bent(peer, {}));
    const answer = await peer.post(JSON.stringify(said).padEnd(262_144, " "));
    expect(answer.status).toBe(200);
  });

  test("without an end is cut off (N01)", async () => {
    await withoutTrace(home, async () => {
      const { hostname, port } = new URL(home.origin);
      const socket = connect(Number(port), hostname);
      let answered = "";
      socket.on("data", (part: Buffer) => (answered += part.toString()));
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.on("error", () => {});
      socket.write(
        `POST /ledger HTTP/1.1\r\nhost: ${home.host}\r\ncontent-type: ${ACTIVITY_JSON}\r\ntransfer-encoding: chunked\r\n\r\n`,
      );
      const chunk = `4000\r\n${" ".repeat(0x4000)}\r\n`;
      let sent = 0;
      while (!socket.destroyed && !answered.startsWith("HTTP") && sent < 64 * 1024 * 1024) {
        socket.write(chunk);
        sent += chunk.length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(answered).toMatch(/^HTTP\/1\.1 413 /);
      socket.destroy();
      await closed;
    });
  });

  const AMOUNTS: readonly unknown[] = [
    ...["-1", "0", "1e3", "1,50", "1.50", "01", "1 ", "+1", "٣", "1000000000000000", "NaN", ""],
    ...[1, 1.005, 0.1, 9007199254740991, -1, true, null, [], {}, ["1"]],
  ];
  test("with any other form of an amount is rejected, and its log goes on (M04)", async () => {
    for (const amount of AMOUNTS) {
      const answer = await peer.tell(bent(peer, {}, { amount }));
      expect([answer.status, reasonOf(answer)], String(amount)).toEqual([200, "malformed"]);
    }
    expect(await peer.tell(bent(peer, {}, { amount: "1000000" }))).toMatchObject({ status: 200 });
  });

  const BODIES: readonly (readonly [string, Statement, Statement | undefined, string])[] = [
    ["a fraction anywhere", { note: { deep: [0.5] } }, undefined, "malformed"],
    ["a number that is not safe", { note: 2 ** 60 }, undefined, "malformed"],
    ["a currency in small letters", { currency: "eur" }, undefined, "currencyNotAccepted"],
    ["a sign for a currency", { currency: "€" }, undefined, "currencyNotAccepted"],
    ["forints", { currency: "HUF" }, undefined, "currencyNotAccepted"],
    ["yen", { currency: "JPY" }, undefined, "currencyNotAccepted"],
    ["no currency", { currency: null }, undefined, "malformed"],
    ["a wrong total", { total: "2000000" }, undefined, "badTotal"],
    ["a number as total", { total: 1000000 }, undefined, "badTotal"],
    ["no lines", { lines: [] }, undefined, "malformed"],
    ["a month that is none", { period: "2026-13" }, undefined, "malformed"],
    ["a month without a century", { period: "26-08" }, undefined, "malformed"],
    ["a month of long ago", { period: "0001-01" }, undefined, "periodTooOld"],
    [
      "a month that never comes",
      { period: "9999-12", kind: "settlement" },
      undefined,
      "periodNotClosed",
    ],
    ["a kind that is not built", { kind: "return" }, undefined, "unsupported"],
    ["a kind that is none", { kind: "constructor" }, undefined, "malformed"],
    ["more flattrs than anybody counts", {}, { count: 2 ** 53 - 1 }, "malformed"],
    ["no flattr", {}, { count: 0 }, "malformed"],
    ["half a flattr", {}, { count: 1.5 }, "malformed"],
  ];
  test.each(BODIES)(
    "with %s is rejected, and its log goes on (M05, M06)",
    async (_, body, line, reason) => {
      const answer = await peer.tell(bent(peer, body, line));
      expect([answer.status, typeOf(answer), reasonOf(answer)]).toEqual([200, "Reject", reason]);
      expect(reasonOf(await peer.tell(bent(peer, { total: "3" })))).toBe("badTotal");
    },
  );

  test("with lines that make up for each other, or name one twice, is rejected (M06)", async () => {
    const lines = (...amounts: string[]) => ({
      lines: amounts.map((amount) => ({ beneficiary: cora.uri, amount })),
    });
    for (const body of [lines("-1000000", "2000000"), lines("500000", "500000")])
      expect(reasonOf(await peer.tell(bent(peer, body)))).toBe("malformed");
  });

  const KINDS: readonly (readonly [readonly [string, string], unknown])[] = [
    [["Offer", "Receipt"], { of: null }],
    [["Accept", "Transfer"], {}],
    [["Offer", "Netting"], {}],
    [["Offer", "Claim"], {}],
    [["Update", "Terms"], {}],
    [["Offer", "toString"], {}],
    [["Offer", "Settlement"], { currency: "EUR", amount: 5, rail: "manual", reference: "x" }],
    [["Offer", "Terms"], { currencies: { EUR: { limit: "-1" } } }],
    [["Offer", "Terms"], { currencies: { EUR: { limit: "5", settleWithinDays: 0.5 } } }],
    [["Update", "KeyRotation"], {}],
    [["Offer", "Transfer"], null],
    [["Offer", "Transfer"], "x".repeat(60_000)],
  ];
  test.each(KINDS)(
    "%j with a body that makes no sense is rejected, and its log goes on",
    async (type, body) => {
      const answer = await peer.tell({ type, body });
      expect([answer.status, typeOf(answer)]).toEqual([200, "Reject"]);
    },
  );

  test("with an id or a key's name that no index holds is refused or rejected", async () => {
    const long = Array.from({ length: 8_000 }, (_, at) => ((at * 7919) % 36).toString(36)).join("");
    await withoutTrace(home, async () => {
      const id = `${peer.origin}/ledger/${long}`;
      expect((await peer.post(peer.statement({ ...bent(peer, {}), id }))).status).toBe(400);
    });
    const add = { ...peer.keyOf(77, `${peer.actor}#${long}`), privateKey: undefined };
    const answer = await peer.tell({ type: ["Update", "KeyRotation"], body: { add } });
    expect([answer.status, typeOf(answer)]).toEqual([200, "Reject"]);
  });

  test("that says it is somebody else's, moves only the line of who signed it (M09)", async () => {
    const [stranger] = peers;
    const before = await lineWith(home, stranger!);
    // A name beside the body's own means nothing: the promise is that of the signer.
    const answer = await peer.tell(bent(peer, { payer: stranger!.actor, kind: "claim" }));
    expect(typeOf(answer)).toBe("Accept");
    expect(await lineWith(home, stranger!)).toEqual(before);
    await withoutTrace(home, async () => {
      const faults = [];
      for (const said of [
        { actor: stranger!.actor },
        { actor: stranger!.actor, id: `${stranger!.origin}/ledger/x/9` },
        {
          actor: stranger!.actor,
          id: `${stranger!.origin}/ledger/x/9`,
          key: { ...peer.key, id: stranger!.key.id },
        },
        { id: `${stranger!.origin}/ledger/x/9` },
        { key: { ...peer.key, id: stranger!.key.id } },
        { key: peer.keyOf(99) },
        { key: peer.keyOf(99, `${peer.actor}#never-announced`) },
      ])
        faults.push(
          (await peer.post(peer.statement({ ...bent(peer, {}), ...said }))).json["error"],
        );
      expect(faults).toEqual([
        "forgedOrigin",
        "forgedOrigin",
        "badSignature",
        "forgedOrigin",
        "forgedOrigin",
        "badSignature",
        "unpinnedKey",
      ]);
    });
  });
});

describe("the trust line (M08)", () => {
  test("is full at its limit, not before and not after", async () => {
    const peer = await debtor();
    const say = (amount: string) => peer.tell(offer(peer.transfer({ [cora.uri]: amount })));
    expect(typeOf(await say("49999999"))).toBe("Accept");
    const over = await say("2");
    expect(over.json["body"]).toMatchObject({ accepted: "0", reason: "overLimit", headroom: "1" });
    expect(typeOf(await say("1"))).toBe("Accept");
    expect((await say("1")).json["body"]).toMatchObject({ reason: "overLimit", headroom: "0" });
    expect((await lineWith(home, peer)).acceptedIn).toBe(50_000_000n);
  });

  test("holds when ten Transfers at once only together pass it, in whatever order they come", async () => {
    const peer = await debtor();
    const said = Array.from({ length: 10 }, () =>
      peer.say(offer(peer.transfer({ [cora.uri]: "6000000" }))),
    );
    const answers = await Promise.all(said.toReversed().map((one) => peer.post(one)));
    expect(answers.every(({ status }) => status === 200 || status === 202)).toBe(true);
    await eventually("the log is pulled", async () => {
      const [row] = await home.instance.database.sql<[{ taken: bigint }]>`
        SELECT count(*) AS taken FROM statement s JOIN peer p ON p.id = s.peer
         WHERE p.host = ${peer.host} AND s.direction = 'in' AND s.kind = 'Transfer'`;
      return row.taken === 10n;
    });
    expect(await lineWith(home, peer)).toMatchObject({ acceptedIn: 48_000_000n, alarm: null });
    const receipts = await Promise.all(said.map((one) => peer.post(one)));
    expect(receipts.filter((one) => typeOf(one) === "Accept")).toHaveLength(8);
    expect(receipts.filter((one) => reasonOf(one) === "overLimit")).toHaveLength(2);
  });

  test("when it is lowered, what is owed stays, and a flood brings nothing", async () => {
    const peer = await debtor();
    const say = (amount: string) => peer.tell(offer(peer.transfer({ [cora.uri]: amount })));
    expect(typeOf(await say("10000000"))).toBe("Accept");
    const { database, statements, clock } = home.instance;
    await setPeerLimit(database, { host: peer.host, currency: "EUR", limit: eur("5.00") });
    const answers = [];
    for (let at = 0; at < 30; at += 1) answers.push(await say(String(1_000 * (at + 1))));
    expect(answers.every(({ json }) => (json["body"] as Statement)["headroom"] === "0")).toBe(true);
    expect((await lineWith(home, peer)).acceptedIn).toBe(10_000_000n);
    const payment = { host: peer.host, currency: "EUR", reference: "room", at: clock.now() };
    await receiveFromPeer(statements, { ...payment, amount: eur("6.00") });
    expect(typeOf(await say("1000000"))).toBe("Accept");
    expect(reasonOf(await say("1"))).toBe("overLimit");
  });
});

describe("a debtor who only talks", () => {
  let peer: FakePeer;
  beforeAll(async () => {
    peer = await debtor();
  });
  const settlement = (amount: string, reference: string) =>
    ({
      type: ["Offer", "Settlement"],
      body: { currency: "EUR", amount, rail: "manual", reference },
    }) as const;

  test("makes nothing available by a notice, however often he says it; real money counts once", async () => {
    const before = await balanceOf(home, cora);
    expect(typeOf(await peer.tell(offer(peer.transfer({ [cora.uri]: "3000000" }))))).toBe("Accept");
    for (const amount of ["3000000", "3000000", "999999999990000"]) {
      const noted = await peer.tell(settlement(amount, "RF-talk"));
      expect(noted.json["body"]).toMatchObject({ noted: true });
    }
    expect((await lineWith(home, peer)).settledIn).toBe(0n);
    expect((await balanceOf(home, cora)).earnings).toBe(before.earnings);
    const { statements, clock } = home.instance;
    const payment = { host: peer.host, currency: "EUR", reference: "RF-talk", at: clock.now() };
    await receiveFromPeer(statements, { ...payment, amount: eur("3.00") });
    await expect(
      receiveFromPeer(statements, { ...payment, amount: eur("4.00") }),
    ).rejects.toMatchObject({ reason: "reference_taken" });
    // The reference, said again for more, moves nothing.
    expect((await peer.tell(settlement("9000000", "RF-talk"))).status).toBe(200);
    expect((await lineWith(home, peer)).settledIn).toBe(3_000_000n);
    expect((await balanceOf(home, cora)).earnings).toBe(before.earnings + 3_000_000n);
  });

  test("cannot settle a month that is not over, and is not asked twice for one that is", async () => {
    const now = periodOf(home.instance.clock.now());
    const regular = (period: string, amount = "1000") =>
      offer(peer.transfer({ [cora.uri]: amount }, { kind: "settlement", period }));
    expect(reasonOf(await peer.tell(regular(now)))).toBe("periodNotClosed");
    expect(typeOf(await peer.tell(regular(periodAfter(now, -1))))).toBe("Accept");
    const again = await peer.tell(regular(periodAfter(now, -1), "2000"));
    expect(again.json["body"]).toMatchObject({
      reason: "noValidLine",
      rejected: [{ beneficiary: cora.uri, reason: "duplicateLine" }],
    });
    // A correction may name any month that is not too old; it is a promise like any other.
    for (const period of [now, "9999-12"])
      expect(
        typeOf(await peer.tell(offer(peer.transfer({ [cora.uri]: "1000" }, { period })))),
      ).toBe("Accept");
  });

  test("cannot forge a Receipt: for what was never said, for another peer's, before it, twice (M10)", async () => {
    const before = await lineWith(home, peer);
    const stolen = peers[1]!.heard[0]!;
    const never = { ...stolen, seq: 4_000_000 };
    for (const [of, body] of [
      [never, { accepted: "5000000", rejected: [] }],
      [stolen, { accepted: "5000000", rejected: [] }],
      [peer.heard[0]!, { accepted: "5000000", rejected: [] }],
    ] as const) {
      expect((await peer.tell(peer.receipt(of, body))).status).toBe(204);
    }
    for (const of of [{ seq: 1.5 }, { seq: "1" }, null, [], { seq: 1, digest: 7 }])
      expect((await peer.tell({ type: ["Accept", "Receipt"], body: { of } })).status).toBe(204);
    const { alarm, ...after } = await lineWith(home, peer);
    expect(after).toMatchObject({ acceptedOut: 0n, settledOut: 0n, inFlight: 0n, payable: 0n });
    expect(after.acceptedIn).toBe(before.acceptedIn);
    expect(alarm).toContain("a Receipt for something that was never sent");
  });

  test("who says a thousand things a day, each about one millionth, fills so many rows and no more", async () => {
    const size = async () => {
      const [row] = await home.instance.database.sql<[{ bytes: bigint; rows: bigint }]>`
        SELECT (SELECT COALESCE(sum(octet_length(s.document)), 0) FROM statement s JOIN peer p ON p.id = s.peer WHERE p.host = ${peer.host})::bigint AS bytes,
               (SELECT count(*) FROM statement) + (SELECT count(*) FROM transfer_line) + (SELECT count(*) FROM ledger.entry) AS rows`;
      return row;
    };
    const before = await size();
    for (let at = 0; at < TINY; at += 1) peer.say(offer(peer.transfer({ [cora.uri]: "1" })));
    // The last one makes a gap, and the rest is pulled.
    expect((await peer.post(peer.log.at(-1)!)).status).toBe(202);
    await eventually("the log is pulled", async () => (await lastOf(peer)) === peer.log.length);
    const after = await size();
    // A statement and its Receipt are 3 kB: two rows, one of lines, two of entries.
    expect(Number(after.bytes - before.bytes) / TINY).toBeLessThan(3_500);
    expect(Number(after.rows - before.rows) / TINY).toBe(5);

    // The rest of a day's measure has come already; what is above it waits for the next day, and the log goes on then.
    const begun = peer.log.length;
    while (peer.log.length < STATEMENTS_A_DAY_MAX)
      peer.say({ type: ["Accept", "Receipt"], body: { of: null } });
    const at = home.instance.clock.now();
    await fillLog(home, peer, { statements: peer.log.slice(begun), at });
    const one = peer.say(bent(peer, {}));
    await withoutTrace(home, async () => {
      expect((await peer.post(one)).json["error"]).toBe("tooMany");
      const { status, headers } = await peer.post(one);
      expect([status, headers["retry-after"]]).toEqual([429, "3600"]);
    });
    expect((await lineWith(home, peer)).alarm).toContain("statements a day");
    await asReplica(
      home.databaseUrl,
      (sql) => sql`
      UPDATE statement SET at = at - interval '1 day' WHERE direction = 'in' AND seq < 10
         AND peer = (SELECT id FROM peer WHERE host = ${peer.host})`,
    );
    expect(typeOf(await peer.post(one))).toBe("Accept");
    expect((await peer.post(peer.log[4]!)).status).toBeLessThan(300);
  });
});

/** Enough to see what one costs; a thousand take half a minute here. */
const TINY = 150;

async function lastOf({ host }: FakePeer): Promise<number> {
  const [row] = await home.instance.database.sql<[{ seq: bigint }]>`
    SELECT max(s.seq) AS seq FROM statement s JOIN peer p ON p.id = s.peer WHERE p.host = ${host} AND s.direction = 'in'`;
  return Number(row.seq);
}

describe("keys", () => {
  test("are believed only when a pinned one announces them, and not after they are retired", async () => {
    const peer = await debtor();
    const [first, second, strange] = [
      peer.key,
      peer.keyOf(51, `${peer.actor}#second`),
      peer.keyOf(52, `${peer.actor}#strange`),
    ];
    const shown = ({ id, publicKeyMultibase }: typeof first) => ({ id, publicKeyMultibase });
    const rotate = (body: unknown, key = first) =>
      ({ type: ["Update", "KeyRotation"], body, key }) as const;
    const pay = (key: typeof first) => ({ ...bent(peer, {}), key });

    await withoutTrace(home, async () => {
      expect(
        (await peer.post(peer.statement(rotate({ add: shown(strange) }, strange)))).json["error"],
      ).toBe("unpinnedKey");
      expect(
        (
          await peer.post(
            peer.statement(rotate({ add: shown(strange) }, { ...strange, id: first.id })),
          )
        ).json["error"],
      ).toBe("badSignature");
      expect((await peer.post(peer.statement(pay(strange)))).json["error"]).toBe("unpinnedKey");
    });
    const keysBefore = await keysOf(home.instance.database, peer.host);
    const seq = () => peer.log.length + 1;
    const refusals = [
      // No key would be left.
      { retire: first.id, retireAtSeq: seq() + 1 },
      { add: shown(first), retire: first.id, retireAtSeq: 100 },
      { add: shown(second), retire: second.id, retireAtSeq: 100 },
      // The id is known, with another key.
      { add: { ...shown(strange), id: first.id } },
      { add: { ...shown(strange), id: "http://elsewhere.example/actor#key" } },
      { add: { ...shown(strange), publicKeyMultibase: "z6Mk" } },
      { retire: strange.id, retireAtSeq: 100 },
      // Not in the past.
      { add: shown(second), retire: first.id, retireAtSeq: 1 },
    ];
    for (const body of refusals)
      expect(typeOf(await peer.tell(rotate(body))), JSON.stringify(body)).toBe("Reject");
    expect(await keysOf(home.instance.database, peer.host)).toEqual(keysBefore);

    const old = peer.say(pay(first));
    expect(typeOf(await peer.post(old))).toBe("Accept");
    const change = { add: shown(second), retire: first.id, retireAtSeq: seq() };
    expect(typeOf(await peer.tell(rotate(change)))).toBe("Accept");
    await withoutTrace(home, async () => {
      expect((await peer.post(peer.statement(pay(first)))).json["error"]).toBe("retiredKey");
      // What it signed before stays true.
      expect((await peer.post(old)).status).toBe(200);
    });
    expect(typeOf(await peer.tell(pay(second)))).toBe("Accept");
    // A retired key does not come back, so this would leave none.
    const dead = { add: shown(first), retire: second.id, retireAtSeq: seq() + 5 };
    expect(typeOf(await peer.tell(rotate(dead, second)))).toBe("Reject");
    expect(typeOf(await peer.tell(pay(second)))).toBe("Accept");
  });
});

describe("a line that the operator", () => {
  let peer: FakePeer;
  beforeAll(async () => {
    peer = await debtor();
  });
  const pull = (path: string) => {
    const url = `${home.origin}/ledger/${peer.host}/${path}`;
    const at = home.instance.clock.real();
    return fetch(url, {
      headers: signPull(url, { keyId: peer.key.id, privateKey: peer.key.privateKey, at }),
    });
  };

  test("froze takes nothing, repeats nothing and tells nothing; opened, it goes on", async () => {
    const { database } = home.instance;
    const before = peer.say(offer(peer.transfer({ [cora.uri]: "1000000" })));
    expect((await peer.post(before)).status).toBe(200);
    for (const path of ["head", "after/0", "received/0"])
      expect((await pull(path)).status).toBe(200);

    await freezePeer(database, { host: peer.host, isFrozen: true, at: home.instance.clock.now() });
    const next = peer.say(offer(peer.transfer({ [cora.uri]: "2000000" })));
    await withoutTrace(home, async () => {
      for (const said of [before, next, { ...next, seq: 900 }])
        expect((await peer.post(said)).status).toBeGreaterThanOrEqual(401);
      for (const said of [before, next]) {
        const { status, json } = await peer.post(said);
        expect([status, json["error"]]).toEqual([409, "frozen"]);
        expect((await peer.post(said, "/inbox")).status).toBe(409);
      }
      for (const path of ["head", "after/0", "received/0"]) {
        const answer = await pull(path);
        expect([answer.status, ((await answer.json()) as Statement)["error"]]).toEqual([
          409,
          "frozen",
        ]);
      }
    });
    // Real money is booked all the same, and told when the line is open again.
    const { statements, clock } = home.instance;
    const payment = { host: peer.host, currency: "EUR", reference: "cold", at: clock.now() };
    await receiveFromPeer(statements, { ...payment, amount: eur("1.00") });
    const asked = peer.asked.filter(({ method }) => method === "POST").length;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(peer.asked.filter(({ method }) => method === "POST")).toHaveLength(asked);

    await freezePeer(database, { host: peer.host, isFrozen: false, at: home.instance.clock.now() });
    expect(typeOf(await peer.post(next))).toBe("Accept");
    expect((await peer.post(before)).status).toBe(200);
    expect((await pull("head")).status).toBe(200);
    await eventually(
      "the payment is told",
      async () => (await lineWith(home, peer)).unanswered === 0,
    );
    expect(await lineWith(home, peer)).toMatchObject({
      acceptedIn: 3_000_000n,
      settledIn: 1_000_000n,
    });
  });

  test("blocked keeps what it owes: a block stops Likes, not debts (F13)", async () => {
    const { database, statements, clock } = home.instance;
    const before = await lineWith(home, peer);
    await blockPayments(database, { kind: "host", target: peer.host, at: clock.now() });
    expect(typeOf(await peer.tell(offer(peer.transfer({ [cora.uri]: "1000000" }))))).toBe("Accept");
    const payment = { host: peer.host, currency: "EUR", reference: "owed", at: clock.now() };
    await receiveFromPeer(statements, { ...payment, amount: eur("3.00") });
    await eventually(
      "the payment is told",
      async () => (await lineWith(home, peer)).unanswered === 0,
    );
    expect(await lineWith(home, peer)).toMatchObject({
      acceptedIn: before.acceptedIn + 1_000_000n,
      settledIn: before.settledIn + 3_000_000n,
      state: "open",
    });
    expect((await pull("head")).status).toBe(200);
  });
});
