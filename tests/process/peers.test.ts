/** The commands about peers, as an operator types them. */

import { describe, expect, test } from "vitest";
import { commands } from "../support/command.ts";
import { fakePeer, saying } from "../support/fake-peer.ts";
import { eventually, type Neighbour, neighbours } from "../support/instances.ts";
import {
  balanceOf,
  lineWith,
  meet,
  offsets,
  resident,
  withoutTrace,
} from "../support/peer-books.ts";

const facts = (out: string) =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("the operator", { timeout: 240_000 }, () => {
  test("sees a line, sets its limit, books what came, stops it and opens it, changes the key", async () => {
    const peer = await fakePeer();
    const [home] = (await neighbours(1, { offset: offsets().inside, allow: [peer.host] })) as [
      Neighbour,
    ];
    peer.speakTo(home.origin);
    const cora = await resident(home, "cora");
    await meet(peer, home);
    await peer.tell({
      type: ["Offer", "Transfer"],
      body: peer.transfer({ [cora.uri]: "5000000" }),
    });
    const run = commands(home.settings);
    const done = async (...args: string[]) => {
      const { status, out, err } = await run(["peer", ...args, "--json"]);
      expect([status, err], out).toEqual([0, ""]);
      return facts(out);
    };
    const { host } = peer;

    expect(await done("list")).toMatchObject([
      { host, state: "open", currency: "EUR", acceptedInMicro: "5000000", alarm: null },
    ]);
    const shown = await run(["peer", "show", host]);
    expect(shown).toMatchObject({ status: 0, err: "" });
    expect(shown.out).toContain(peer.key.id);

    expect(await done("limit", host, "EUR", "7.00")).toEqual([
      { host, currency: "EUR", limitMicro: "7000000", told: true },
    ]);
    await eventually("the Terms are told", async () =>
      peer.heard.some((one) => JSON.stringify(one["body"]).includes('"limit":"7000000"')),
    );
    const paid = ["received", host, "EUR", "3.00", "--reference", "RF 1"];
    expect(await done(...paid)).toMatchObject([
      { again: false, told: true, settledInMicro: "3000000" },
    ]);
    expect(await done(...paid)).toMatchObject([{ again: true, settledInMicro: "3000000" }]);

    // It is away: what came counts all the same, and what it is not told yet it is told later.
    peer.lie("GET /ledger/", saying("", { status: 502 }));
    expect(await done("received", host, "EUR", "2.00", "--reference", "RF 2")).toMatchObject([
      { again: false, told: false, settledInMicro: "5000000" },
    ]);
    expect(await balanceOf(home, cora)).toEqual({ pending: 0n, earnings: 5_000_000n });
    expect(await done("limit", host, "EUR", "0")).toMatchObject([{ limitMicro: "0", told: false }]);
    const words = await run(["peer", "limit", host, "EUR", "1.00"]);
    expect(words.out).toContain("it is told when it answers");

    const wrong: [string[], string][] = [
      [["limit", host, "EUR", "many"], "amount_invalid"],
      [["limit", host, "USD", "1.00"], "currency_invalid"],
      [["limit", "nobody.example", "EUR", "1.00"], "peer_unknown"],
      [["freeze", "nobody.example"], "peer_unknown"],
      [["show", "nobody.example"], "peer_unknown"],
      [["received", host, "EUR", "1.001", "--reference", "RF 3"], "amount_invalid"],
      [["received", host, "EUR", "4.00", "--reference", "RF 1"], "reference_taken"],
      [["paid", host, "EUR", "1.00", "--reference", " "], "reference_invalid"],
      [["rotate-key"], "peer_behind"],
    ];
    await eventually("the running instance has told what it may", async () => {
      const { sql } = home.instance.database;
      await sql`SELECT graphile_worker.add_job('transfers.due', '{}'::json)`;
      const [untold] = await sql`SELECT FROM peer WHERE is_untold`;
      return untold === undefined && (await lineWith(home, peer)).unanswered === 0;
    });
    await withoutTrace(home, async () => {
      for (const [args, code] of wrong) {
        const { status, out } = await run(["peer", ...args, "--json"]);
        expect([facts(out)[0]!["error"], status], args.join(" ")).toEqual([code, 1]);
      }
    });

    expect(await done("rotate-key", "--unasked")).toEqual([
      { key: `${home.origin}/actor#ed25519-2`, peers: 1 },
    ]);
    peer.repent("GET /ledger/");
    await eventually(
      "the key and the rest are told",
      async () => {
        const kinds = peer.heard.map((one) => (one["type"] as string[])[1]);
        return kinds.includes("KeyRotation") && JSON.stringify(peer.heard).includes("RF 2");
      },
      90_000,
    );

    expect(await done("freeze", host)).toEqual([{ host, state: "frozen" }]);
    expect((await lineWith(home, peer)).state).toBe("frozen");
    expect(await done("open", host)).toMatchObject([{ host, state: "open" }]);
  });
});
