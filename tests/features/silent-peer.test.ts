/** A peer that died when everything was answered: nothing is written to it any more, and its silence counts all the same. */

import { expect, test } from "vitest";
import { openPeer } from "../../src/features/peer/peer.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { makeLines } from "../../src/features/transfer/lines.ts";
import { at, click, person, remotePost, testDatabase } from "../support/database.ts";

const MONTHS = ["2026-11", "2026-12", "2027-01", "2027-02", "2027-03"];

async function waysOf(heard: string): Promise<(string | undefined)[]> {
  const database = await testDatabase();
  const { sql } = database;
  const found = {
    actor: "https://far.example/actor",
    host: "far.example",
    ledger: "https://far.example/ledger",
    keys: [{ id: "https://far.example/actor#ed25519-1", publicKeyMultibase: "z6Mk" }],
  };
  const peer = await database.drizzle.transaction((tx) =>
    openPeer(database, tx, found, at("2026-11-01")),
  );
  await sql`INSERT INTO host_way (host, peer, answered_at) VALUES ('far.example', ${peer}, '2026-11-01')`;
  await sql`UPDATE peer SET heard_at = ${heard}::text::timestamptz`;
  const patron = await person(database, "pat", { budget: "2.00", money: "20.00" });
  const thing = await remotePost(
    database,
    "https://far.example/posts/1",
    "https://far.example/users/cora",
  );
  for (const [place, month] of MONTHS.entries()) {
    await click(database, patron, thing, `${month}-10`);
    await settle(database, { at: at(`${MONTHS[place + 1] ?? "2027-04"}-02`) });
    await makeLines(database.drizzle);
  }
  const rows = await sql<{ way: string }[]>`SELECT way FROM period_payee ORDER BY period`;
  return rows.map(({ way }) => way);
}

test("after 90 days in which nothing could be sent, new shares wait at home", async () => {
  // November's line is 90 days old when February ends, and older when March does.
  expect(await waysOf("2026-11-20")).toEqual(["peer", "peer", "peer", "peer", "waiting"]);
});

test("a peer that was heard within that time is not silent, however little it lets us owe", async () => {
  expect(await waysOf("2027-01-02")).toEqual(["peer", "peer", "peer", "peer", "peer"]);
});
