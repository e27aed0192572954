/** Whoever is not known: what it takes to become a peer of a real instance, and what a crowd of strangers costs. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { keysOf } from "../../src/features/peer/report.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { STATEMENT_CONTEXT } from "../../src/rules/statement.ts";
import {
  dripping,
  type FakePeer,
  fakePeer,
  instanceActor,
  type Lie,
  pouring,
  proofOf,
  saying,
  sending,
  silent,
  type Statement,
} from "../support/fake-peer.ts";
import { ACTIVITY_JSON, post } from "../support/hostile.ts";
import { type Neighbour, neighbours } from "../support/instances.ts";
import { lineWith, meet, withoutTrace } from "../support/peer-books.ts";

let home: Neighbour;
let crowded: Neighbour;
const strangers: FakePeer[] = [];
const endings: (() => Promise<void>)[] = [];

/** Many origins that lead to one server, which counts. */
const CROWD = 200;
let crowd: { port: number; fetches: number };

beforeAll(async () => {
  const whenOver = (end: () => Promise<void>) => void endings.unshift(end);
  for (let seed = 1; seed <= 45; seed += 1) strangers.push(await fakePeer({ seed, whenOver }));
  crowd = { port: 0, fetches: 0 };
  const server = createServer((_, response) => {
    crowd.fetches += 1;
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  crowd.port = (server.address() as AddressInfo).port;
  whenOver(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  [home, crowded] = (await neighbours(2, {
    allow: [
      ...strangers.map(({ host }) => host),
      ...Array.from({ length: CROWD }, (_, at) => `127.0.1.${at + 1}:${crowd.port}`),
    ],
    whenOver,
  })) as [Neighbour, Neighbour];
  for (const stranger of strangers) stranger.speakTo(home.origin);
});

afterAll(async () => {
  for (const end of endings) await end();
});

afterEach(async () => {
  for (const { instance } of [home, crowded])
    expect(await checkBooks(instance.database)).toEqual([]);
});

let used = 0;
function stranger(): FakePeer {
  used += 1;
  return strangers[used - 1]!;
}

const terms = { type: ["Offer", "Terms"], body: { currencies: { EUR: { limit: "1" } } } } as const;

describe("somebody unknown", () => {
  test("says nothing but Terms; all else is refused, and nobody is asked about him", async () => {
    const somebody = stranger();
    const kinds = [
      { type: ["Offer", "Transfer"], body: somebody.transfer({ "http://x.example/u": "1" }) },
      { type: ["Offer", "Settlement"], body: {} },
      { type: ["Accept", "Receipt"], body: {} },
      { type: ["Update", "KeyRotation"], body: {} },
      { type: ["Update", "Terms"], body: terms.body },
    ] as const;
    await withoutTrace(home, async () => {
      for (const said of kinds)
        for (const path of ["/ledger", "/inbox"]) {
          const { status, json } = await somebody.post(somebody.statement(said), path);
          expect([status, json["error"]]).toEqual([403, "unknownPeer"]);
        }
      // Terms for somebody else, or without a proof, are not worth a question either.
      const { proof: _, ...bare } = somebody.statement(terms);
      for (const said of [bare, somebody.statement({ ...terms, to: "http://x.example/actor" })])
        expect((await somebody.post(said)).status).toBe(403);
      const url = `${home.origin}/ledger/${somebody.host}/after/0`;
      expect((await fetch(url)).status).toBe(403);
    });
    expect(somebody.asked).toEqual([]);
    await meet(somebody, home);
    expect(await lineWith(home, somebody)).toMatchObject({
      state: "open",
      theirLimit: 50_000_000n,
    });
  });

  const LIES: readonly (readonly [
    string,
    (liar: FakePeer, honest: FakePeer) => Statement | undefined | void,
  ])[] = [
    ["is a person, not an instance", (liar) => ({ actor: liar.person("pat") })],
    [
      "is an actor beside the one that his origin names",
      (liar) => ({ actor: `${liar.origin}/actor2` }),
    ],
    ["is found by nobody", (liar) => liar.lie("GET /.well-known", saying("", { status: 404 }))],
    [
      "is called somebody else by his origin",
      (liar, honest) => liar.lie("GET /.well-known", jrd(`${liar.origin}/`, honest.actor)),
    ],
    [
      "answers for another origin",
      (liar, honest) => liar.lie("GET /.well-known", jrd(`${honest.origin}/`, liar.actor)),
    ],
    ["sends to another instance", (liar, honest) => liar.lie("GET /actor", sending(honest.actor))],
    [
      "sends to an address that nobody may ask",
      (liar) => liar.lie("GET /.well-known", sending("http://127.0.0.1:1/")),
    ],
    [
      "shows the document of another",
      (liar, honest) =>
        liar.lie(
          "GET /actor",
          document(instanceActor({ origin: honest.origin, keys: [liar.key] })),
        ),
    ],
    [
      "has his ledger elsewhere",
      (liar, honest) =>
        liar.lie(
          "GET /actor",
          document(
            instanceActor({
              origin: liar.origin,
              keys: [liar.key],
              ledger: `${honest.origin}/ledger`,
            }),
          ),
        ),
    ],
    [
      "has no ledger",
      (liar) =>
        liar.lie(
          "GET /actor",
          document({ ...instanceActor({ origin: liar.origin, keys: [liar.key] }), attachment: [] }),
        ),
    ],
    [
      "has no key",
      (liar) => liar.lie("GET /actor", document(instanceActor({ origin: liar.origin, keys: [] }))),
    ],
    [
      "has a key of another's",
      (liar, honest) =>
        liar.lie(
          "GET /actor",
          document(instanceActor({ origin: liar.origin, keys: [honest.key] })),
        ),
    ],
    [
      "has two keys of one name",
      (liar) =>
        liar.lie(
          "GET /actor",
          document(instanceActor({ origin: liar.origin, keys: [liar.key, liar.keyOf(9)] })),
        ),
    ],
    [
      "is a person by his own word",
      (liar) =>
        liar.lie(
          "GET /actor",
          document({ ...instanceActor({ origin: liar.origin, keys: [liar.key] }), type: "Person" }),
        ),
    ],
    [
      "has a page for a document",
      (liar) => liar.lie("GET /actor", saying("<html>", { type: "text/html" })),
    ],
  ];
  let honest: FakePeer;
  beforeAll(async () => {
    honest = stranger();
    await meet(honest, home);
  });
  test.each(LIES)("who %s is not met, and not asked again for a while", async (_, prepare) => {
    const liar = stranger();
    const said = liar.statement({ ...terms, ...prepare(liar, honest) });
    await withoutTrace(home, async () => {
      const { status, json } = await liar.post(said);
      expect([status, json["error"]]).toEqual([403, "unknownPeer"]);
      const asked = liar.asked.length;
      expect(asked).toBeGreaterThan(0);
      expect((await liar.post(said)).status).toBe(403);
      expect(liar.asked).toHaveLength(asked);
    });
  });

  test("is not met in somebody else's words: what nobody signed opens no line", async () => {
    const victim = stranger();
    const forger = stranger();
    await withoutTrace(home, async () => {
      const right = victim.statement(terms);
      const bent = { ...right, body: { currencies: { EUR: { limit: "2" } } } };
      const forged = victim.statement({ ...terms, key: { ...forger.key, id: victim.key.id } });
      for (const said of [bent, forged]) expect((await forger.post(said)).status).toBe(403);
    });
    await meet(victim, home);
    expect(await keysOf(home.instance.database, victim.host)).toMatchObject([
      { id: victim.key.id },
    ]);
  });

  test("who answers slowly, endlessly or not at all is let go, and holds nobody up (N11)", async () => {
    const slow: [FakePeer, string, Lie][] = [
      [stranger(), "GET /.well-known", silent],
      [stranger(), "GET /.well-known", dripping],
      [stranger(), "GET /actor", dripping],
      [stranger(), "GET /.well-known", pouring(300 * 1024 * 1024)],
      [stranger(), "GET /actor", pouring(300 * 1024 * 1024)],
    ];
    const memory = process.memoryUsage().rss;
    await withoutTrace(home, async () => {
      const begun = performance.now();
      const answers = slow.map(async ([liar, at, lie]) => {
        liar.lie(at, lie);
        return (await liar.greet()).status;
      });
      // Meanwhile others are heard.
      const other = performance.now();
      expect((await honest.post(honest.log[0]!)).status).toBe(200);
      expect((await fetch(`${home.origin}/healthz`)).status).toBeLessThan(500);
      expect(performance.now() - other).toBeLessThan(3_000);
      expect(await Promise.all(answers)).toEqual([403, 403, 403, 403, 403]);
      expect(performance.now() - begun).toBeLessThan(15_000);
    });
    // The servers that pour run in this process, too.
    expect(process.memoryUsage().rss - memory).toBeLessThan(150 * 1024 * 1024);
  }, 25_000);

  test("becomes a peer only ten times a day, and after that nobody is asked", async () => {
    const [{ count }] = await home.instance.database.sql<
      [{ count: bigint }]
    >`SELECT count(*) AS count FROM peer`;
    expect(count).toBeLessThan(10n);
    for (let lines = Number(count); lines < 10; lines += 1) await meet(stranger(), home);
    const eleventh = stranger();
    await withoutTrace(home, async () => {
      expect((await eleventh.greet()).status).toBe(403);
    });
    expect(eleventh.asked).toEqual([]);
    // Who is known is heard as before.
    expect((await honest.tell(terms)).status).toBe(200);
  });

  test("who invents a thousand instances causes few questions", async () => {
    const origins = Array.from(
      { length: CROWD },
      (_, at) => `http://127.0.1.${at + 1}:${crowd.port}`,
    );
    const begun = performance.now();
    await withoutTrace(crowded, async () => {
      const statuses = new Set<number>();
      for (let round = 0; round < 5; round += 1)
        for (const { status } of await Promise.all(
          origins.map((origin) =>
            post(
              `${crowded.origin}/ledger`,
              { "content-type": ACTIVITY_JSON },
              invented(origin, round),
            ),
          ),
        ))
          statuses.add(status);
      expect(statuses).toEqual(new Set([403, 503]));
    });
    const seconds = (performance.now() - begun) / 1_000;
    expect(crowd.fetches).toBeGreaterThan(0);
    expect(crowd.fetches).toBeLessThanOrEqual(50 + seconds / 5 + 1);
  });
});

/** Terms of an instance that there is not. */
function invented(origin: string, round: number): string {
  const actor = `${origin}/actor${round === 0 ? "" : round}`;
  const said: Statement = {
    "@context": STATEMENT_CONTEXT,
    ...terms,
    id: `${origin}/ledger/1`,
    actor,
    to: `${crowded.origin}/actor`,
    object: actor,
    published: "2026-12-01T00:10:00Z",
    seq: 1,
    prev: null,
  };
  const key = { ...strangers[0]!.key, id: `${actor}#key` };
  return JSON.stringify({ ...said, proof: proofOf(said, key) });
}

const jrd = (subject: string, href: string): Lie =>
  saying(JSON.stringify({ subject, links: [{ rel: "self", type: ACTIVITY_JSON, href }] }), {
    type: "application/jrd+json",
  });
const document = (value: Statement): Lie => saying(JSON.stringify(value));
