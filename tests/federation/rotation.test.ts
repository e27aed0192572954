/** A new key for statements, while others know the old one, or know nothing of us yet. */

import { expect, test } from "vitest";
import { freezePeer, pinAgain, setPeerLimit } from "../../src/features/peer/peer.ts";
import { keysOf } from "../../src/features/peer/report.ts";
import { askWay } from "../../src/features/peer/way.ts";
import { shownKeys } from "../../src/features/transfer/rotate.ts";
import { tellTerms } from "../../src/features/transfer/terms.ts";
import { eur } from "../support/database.ts";
import { fakePeer } from "../support/fake-peer.ts";
import { eventually, type Neighbour, neighbours } from "../support/instances.ts";
import { lineWith, meet } from "../support/peer-books.ts";

async function finds({ instance: { database, clock } }: Neighbour, { host, origin }: Neighbour) {
  await askWay(database, origin, clock.now());
  await eventually(`${host} is found`, async () => {
    const [row] =
      await database.sql`SELECT FROM host_way WHERE host = ${host} AND peer IS NOT NULL`;
    return row !== undefined;
  });
}

async function tells({ instance }: Neighbour, { host }: Neighbour, limit: string) {
  const { database, statements, clock } = instance;
  await setPeerLimit(database, { host, currency: "EUR", limit: eur(limit) });
  await tellTerms(statements, { host, at: clock.now() });
}

const shown = async ({ origin }: Neighbour) => {
  const answer = await fetch(`${origin}/actor`, {
    headers: { accept: "application/activity+json" },
  });
  const { assertionMethod } = (await answer.json()) as { assertionMethod: { id: string }[] };
  return assertionMethod.map(({ id }) => id.slice(id.indexOf("#")));
};

const pinned = async (at: Neighbour, { host }: { host: string }) =>
  (await keysOf(at.instance.database, host)).map(({ id, retireAtSeq }) => [
    id.slice(id.indexOf("#")),
    retireAtSeq,
  ]);

const isAnswered = (one: Neighbour, other: Neighbour) =>
  eventually(`${one.host} is answered`, async () => {
    const line = await lineWith(one, other);
    return line.unanswered === 0 && line.theirLimit !== null;
  });

test("a peer that was found and never told anything learns the new key with our first Terms", async () => {
  const [a, b] = (await neighbours(2)) as [Neighbour, Neighbour];
  await finds(a, b);
  expect(await a.instance.rotateKey()).toMatchObject({ peers: 0 });
  expect(await shown(a)).toEqual(["#ed25519-2"]);
  await tells(a, b, "7.00");
  await isAnswered(a, b);
  expect(await lineWith(b, a)).toMatchObject({ theirLimit: 7_000_000n, alarm: null });
  expect(await pinned(b, a)).toEqual([["#ed25519-2", null]]);
});

test("Terms that were signed by the old key and not taken yet are taken after the change", async () => {
  const [a, b] = (await neighbours(2)) as [Neighbour, Neighbour];
  await finds(a, b);
  await b.stop();
  await tells(a, b, "7.00");
  expect(await a.instance.rotateKey()).toMatchObject({ peers: 1 });
  expect(await shown(a)).toEqual(["#ed25519-1", "#ed25519-2"]);
  const { database, clock } = a.instance;
  const later = async (days: number) =>
    (await shownKeys(database.drizzle, clock.now().add({ hours: 24 * days }))).length;
  expect([await later(29), await later(31)]).toEqual([2, 1]);
  for (const isFrozen of [true, false]) {
    await freezePeer(database, { host: b.host, isFrozen, at: clock.now() });
    expect(await shown(a)).toHaveLength(isFrozen ? 1 : 2);
  }
  await b.restart();
  await isAnswered(a, b);
  expect(await pinned(b, a)).toEqual([
    ["#ed25519-1", 2],
    ["#ed25519-2", null],
  ]);
  expect(await shown(a)).toEqual(["#ed25519-2"]);
});

test("who was away when we changed our key, and we were away then, too, is asked by the key that he knows", async () => {
  const [a, b] = (await neighbours(2)) as [Neighbour, Neighbour];
  await finds(a, b);
  await tells(a, b, "5.00");
  await isAnswered(a, b);
  await b.stop();
  await tells(a, b, "7.00");
  expect(await a.instance.rotateKey()).toMatchObject({ peers: 1 });
  await a.stop();
  await b.restart();
  await a.restart();
  await eventually("all is answered", async () => (await lineWith(a, b)).unanswered === 0, 60_000);
  expect(await lineWith(b, a)).toMatchObject({ theirLimit: 7_000_000n, alarm: null });
  expect(await lineWith(a, b)).toMatchObject({ alarm: null, state: "open" });
  expect(await pinned(b, a)).toEqual([
    ["#ed25519-1", expect.any(Number)],
    ["#ed25519-2", null],
  ]);
}, 90_000);

test("who found us before the change and hears us after it for the first time asks for our keys once more", async () => {
  const [a, b] = (await neighbours(2)) as [Neighbour, Neighbour];
  await finds(b, a);
  expect(await pinned(b, a)).toEqual([["#ed25519-1", null]]);
  expect(await a.instance.rotateKey()).toMatchObject({ peers: 0 });
  await tells(b, a, "7.00");
  await isAnswered(b, a);
  await isAnswered(a, b);
  expect(await pinned(b, a)).toEqual([["#ed25519-2", null]]);
  expect(await lineWith(a, b)).toMatchObject({ theirLimit: 7_000_000n, alarm: null });
});

test("once something was taken, only a pinned key changes keys, whatever the origin shows", async () => {
  const peer = await fakePeer();
  const [home] = (await neighbours(1, { allow: [peer.host] })) as [Neighbour];
  peer.speakTo(home.origin);
  await meet(peer, home);
  const before = await pinned(home, peer);
  const other = peer.keyOf(9, `${peer.actor}#ed25519-9`);
  const found = {
    actor: peer.actor,
    host: peer.host,
    ledger: `${peer.origin}/ledger`,
    keys: [{ id: other.id, publicKeyMultibase: other.publicKeyMultibase }],
  };
  const { database, clock } = home.instance;
  await database.drizzle.transaction((tx) => pinAgain(tx, found, clock.now()));
  expect(await pinned(home, peer)).toEqual(before);
  const said = { type: ["Offer", "Terms"] as const, body: { currencies: {} }, key: other };
  expect((await peer.tell(said)).json["error"]).toBe("unpinnedKey");
  // Its actor is not even asked.
  expect(peer.asked.filter(({ path }) => path === "/actor")).toHaveLength(1);
});
