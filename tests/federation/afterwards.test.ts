import { describe, expect, onTestFinished, test } from "vitest";
import { actorMoved, afterwardsJobs, postBoosted } from "../../src/edges/federation/afterwards.ts";
import { openFetcher } from "../../src/edges/federation/fetch.ts";
import { blockPayments } from "../../src/features/claim/standing.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import type { Database } from "../../src/store/database.ts";
import { openEgress } from "../../src/store/egress.ts";
import { openMasterKey } from "../../src/store/keys.ts";
import { at, testDatabase, testMasterKeyFile } from "../support/database.ts";
import { remoteHost, type RemoteHost } from "../support/hostile.ts";
import { neighbour, setClock } from "../support/house.ts";

const PUBLIC = "https://www.w3.org/ns/activitystreams#Public";
const CORE = "https://www.w3.org/ns/activitystreams";

/** Does the jobs of this edge, with real requests to these servers. */
async function jobs(database: Database, hosts: readonly RemoteHost[]) {
  const clock = setClock(at("2026-11-21"));
  const egress = openEgress({ allowedPrivate: hosts.map(({ host }) => host), userAgent: "test" });
  onTestFinished(() => egress.close());
  const keys = openActorKeys(database, await openMasterKey(testMasterKeyFile(), undefined), clock);
  const { origin } = database.settings;
  const fetcher = openFetcher({ database, egress, keys, clock, origin });
  const all = afterwardsJobs({ database, clock, fetcher });
  const run = (name: string, payload: unknown) =>
    all.find((job) => job.name === name)!.run(payload);
  return run;
}

async function town() {
  const database = await testDatabase();
  const host = await remoteHost();
  const writer = await host.actor("writer");
  const ann = await neighbour(database);
  const run = await jobs(database, [host]);
  const note = (path: string, more: object = {}) => {
    const uri = `${host.origin}${path}`;
    host.serve(path, {
      "@context": CORE,
      id: uri,
      type: "Note",
      attributedTo: writer.uri,
      content: "Hi",
      to: [PUBLIC],
      ...more,
    });
    return uri;
  };
  const boosted = (object: string) =>
    run(postBoosted.name, {
      id: `${ann.uri}#boost`,
      actor: String(ann.id),
      object,
      at: "2026-11-20T12:00:00Z",
    });
  const boosts = () => database.sql<{ uri: string; author: string }[]>`
    SELECT t.uri, a.uri AS author FROM boost b JOIN post p ON p.id = b.post JOIN thing t ON t.id = p.thing JOIN actor a ON a.id = p.author`;
  return { database, host, writer, ann, run, note, boosted, boosts };
}

describe("a post that was passed on", () => {
  test("is fetched from its own server, and once only", async () => {
    const { note, boosted, boosts, writer } = await town();
    const uri = note("/n/1");
    await boosted(uri);
    await boosted(uri);
    expect(await boosts()).toEqual([{ uri, author: writer.uri }]);
  });

  test("is not believed when it is another's, private, or no post", async () => {
    const { database, host, note, boosted, boosts } = await town();
    const other = await remoteHost("127.0.0.2");
    for (const uri of [
      note("/n/claims", { id: `${other.origin}/n/1` }),
      // What somebody uploaded there speaks for no other address of that server.
      note("/uploads/1", { id: `${host.origin}/n/2` }),
      note("/n/foreign", { attributedTo: `${other.origin}/users/e` }),
      note("/n/private", { to: [] }),
      note("/n/odd", { type: "Hologram" }),
      `${host.origin}/n/nothing`,
    ])
      await boosted(uri);
    expect(await boosts()).toEqual([]);
    expect(await database.sql`SELECT uri FROM thing`).toEqual([]);
  });

  test.each(["payee", "host"] as const)(
    "of a blocked %s is not even asked for (F13)",
    async (kind) => {
      const { database, host, writer, note, boosted, boosts } = await town();
      const target = kind === "payee" ? writer.uri : host.host;
      await blockPayments(database, { kind, target, at: at("2026-11-20") });
      const uri = note("/n/1");
      await boosted(uri);
      expect(await boosts()).toEqual([]);
      // Who is blocked is known only by his post; of a blocked host nobody asks for that.
      expect(host.requests.map(({ path }) => path)).toEqual(kind === "host" ? [] : ["/n/1"]);
      expect(await database.sql`SELECT uri FROM thing`).toEqual([]);
      // Another author of the same host is fetched as long as it is not the host that is blocked.
      const other = await host.actor("other");
      await boosted(note("/n/2", { attributedTo: other.uri }));
      expect(await boosts()).toHaveLength(kind === "host" ? 0 : 1);
    },
  );

  test("is tried again when its server is not there", async () => {
    const { boosted, boosts } = await town();
    await expect(boosted("http://127.0.0.3:9/n/1")).rejects.toThrow();
    expect(await boosts()).toEqual([]);
  });
});

describe("somebody who says that he has moved", () => {
  test.each([
    ["believed when the new actor says so, too", true],
    ["not believed otherwise", false],
  ])("is %s", async (_, isSaid) => {
    const { database, host, ann, run } = await town();
    const target = await host.actor("moved", {
      alsoKnownAs: isSaid ? [ann.uri] : ["https://other.example/users/ann"],
    });
    await run(actorMoved.name, { actor: String(ann.id), target: target.uri });
    const [row] = await database.sql<
      { moved_to: string | null }[]
    >`SELECT moved_to FROM actor WHERE id = ${ann.id}`;
    expect(row!.moved_to).toBe(isSaid ? target.uri : null);
  });
});
