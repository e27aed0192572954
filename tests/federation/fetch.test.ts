/** Asking other servers: what their documents may say, whom a handle means, and how often anybody is asked. */

import { createPublicKey, createVerify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { openFetcher } from "../../src/edges/federation/fetch.ts";
import { ensureOwnActors } from "../../src/features/account/own.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import { thingOfDocument } from "../../src/features/thing/document.ts";
import { EgressError, openEgress } from "../../src/store/egress.ts";
import { openVault } from "../../src/store/keys.ts";
import { testDatabase } from "../support/database.ts";
import { remoteHost } from "../support/hostile.ts";
import { receiver, testClock } from "../support/receiver.ts";

const AS = "https://www.w3.org/ns/activitystreams";

async function scene() {
  const database = await testDatabase();
  const [V, E] = [await remoteHost("127.0.0.2"), await remoteHost("127.0.0.3")];
  const home = await receiver(database, [V, E]);
  return { database, V, E, home, fetcher: home.fetcher };
}

/** What a promise was refused with, in one word. */
async function refusalOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "nothing";
  } catch (error) {
    if (error instanceof EgressError) return error.code;
    return (error as Error).message;
  }
}

describe("documents", () => {
  test("come from their address, over one redirect or two, and say which one", async () => {
    const { V, fetcher } = await scene();
    V.serve("/posts/1", { "@context": AS, id: `${V.origin}/posts/1`, type: "Note" });
    V.at("/p", (_, response) => void response.writeHead(301, { location: "/posts/1" }).end());
    expect(await fetcher.document(`${V.origin}/p`)).toEqual({
      url: `${V.origin}/posts/1`,
      document: { "@context": AS, id: `${V.origin}/posts/1`, type: "Note" },
    });
  });

  test("are asked for once by all who want them at the same time", async () => {
    const { V, fetcher } = await scene();
    V.serve("/posts/1", { id: `${V.origin}/posts/1`, type: "Note" });
    await Promise.all(Array.from({ length: 20 }, () => fetcher.document(`${V.origin}/posts/1`)));
    expect(V.requests).toHaveLength(1);
    await fetcher.document(`${V.origin}/posts/1`);
    expect(V.requests).toHaveLength(2);
  });

  test("F10 one that claims to be another's is not that other one", async () => {
    const { V, E, fetcher } = await scene();
    const note = { type: "Note", attributedTo: `${E.origin}/users/e`, content: "mine" };
    E.serve("/n/1", { ...note, id: `${V.origin}/n/1` });
    E.serve("/n/2", { ...note, id: `${E.origin}/n/2` });
    E.serve("/n/3", { ...note, id: `${E.origin}/n/3`, attributedTo: `${V.origin}/users/v` });
    const read = async (path: string) => {
      const { document, url } = await fetcher.document(`${E.origin}${path}`);
      return thingOfDocument(document, url);
    };
    expect(await refusalOf(read("/n/1"))).toBe("document_invalid");
    expect(await refusalOf(read("/n/3"))).toBe("no_payee");
    expect(await read("/n/2")).toMatchObject({
      uri: `${E.origin}/n/2`,
      payees: [{ payee: `${E.origin}/users/e` }],
    });
    expect(V.requests).toEqual([]);
  });

  test("F11 an upload is none, and neither is what is no JSON", async () => {
    const { E, fetcher } = await scene();
    const document = { id: `${E.origin}/n/1`, type: "Note" };
    for (const type of ["application/json", "text/plain", "text/html", "application/ld+json"]) {
      E.serve("/n/1", document, type);
      expect([type, await refusalOf(fetcher.document(`${E.origin}/n/1`))]).toEqual([
        type,
        "document_invalid",
      ]);
    }
    const texts = ["", "<html>", '{"a":1,"a":2}', "[1]", '"x"', '{"a":'.repeat(40), "\xff"];
    for (const text of texts) {
      E.at("/n/2", (_, response) => {
        response
          .writeHead(200, { "content-type": "application/activity+json" })
          .end(Buffer.from(text, "latin1"));
      });
      expect([text, await refusalOf(fetcher.document(`${E.origin}/n/2`))]).toEqual([
        text,
        "document_invalid",
      ]);
    }
    E.serve("/n/1", document);
    expect((await fetcher.document(`${E.origin}/n/1`)).document).toEqual(document);
  });

  test("N09 N11 lead nowhere in circles, and end", async () => {
    const { E, fetcher } = await scene();
    E.at("/loop", (_, response) => void response.writeHead(302, { location: "/loop" }).end());
    E.at("/long", (_, response) => {
      response.writeHead(200, { "content-type": "application/activity+json" });
      response.end(`{"a":"${"x".repeat(2_000_000)}"}`);
    });
    expect(await refusalOf(fetcher.document(`${E.origin}/loop`))).toBe("redirects");
    expect(E.requests).toHaveLength(4);
    expect(await refusalOf(fetcher.document(`${E.origin}/long`))).toBe("too_large");
    expect(await refusalOf(fetcher.document(`${E.origin}/none`))).toMatch(/answered 404/);
  });

  test("N06 are not looked for in private places", async () => {
    const { E, fetcher } = await scene();
    for (const url of [
      "https://127.0.0.1/users/x",
      "https://[::1]/users/x",
      "https://10.0.0.1/users/x",
      "https://169.254.169.254/users/x",
      "http://127.0.0.9:3000/users/x",
      "file:///etc/passwd",
    ]) {
      expect([url, await refusalOf(fetcher.document(url))]).toEqual([
        url,
        expect.stringMatching(/^(address|scheme)_refused$/),
      ]);
      expect(await refusalOf(fetcher.actor(url))).toMatch(/^(address|scheme)_refused$/);
    }
    expect(E.requests).toEqual([]);
  });

  test("N11 an actor that drips or never ends is given up, and the next one is read", async () => {
    const { database, E } = await scene();
    const hasty = openEgress({ allowedPrivate: [E.host], userAgent: "Fediflattr/test" });
    const clock = testClock();
    const keys = openActorKeys(database, openVault(new Uint8Array(32)), clock);
    const egress = {
      ...hasty,
      // The same way out, with less patience than the ten seconds of real life.
      request: (url: string, options = {}) => hasty.request(url, { ...options, deadlineMs: 400 }),
    };
    const { origin } = database.settings;
    const fetcher = openFetcher({ database, egress, keys, clock, origin });
    const e = await E.actor("e");
    const f = await E.actor("f");
    // The first one waits until the instance has a key of its own.
    expect(
      await openFetcher({ database, egress: hasty, keys, clock, origin }).actor(e.uri),
    ).toEqual(expect.any(BigInt));
    E.at("/users/drip", (incoming, response) => {
      response.writeHead(200, { "content-type": "application/activity+json" });
      const timer = setInterval(() => response.write(" "), 50);
      incoming.socket.on("close", () => clearInterval(timer));
    });
    expect(await refusalOf(fetcher.actor(`${E.origin}/users/drip`))).toBe("timeout");
    // Remembered: nobody waits for it again.
    expect(await refusalOf(fetcher.actor(`${E.origin}/users/drip`))).toBe("timeout");
    expect(E.requests.filter(({ path }) => path === "/users/drip")).toHaveLength(1);
    expect(await fetcher.actor(f.uri)).toEqual(expect.any(BigInt));
    await hasty.close();
  });
});

describe("actors", () => {
  test("are remembered, and asked again only when they are wanted newer", async () => {
    const { database, V, home, fetcher } = await scene();
    const v = await V.actor("v", { name: "Vera" });
    const id = await fetcher.actor(v.uri);
    expect(await fetcher.actor(v.uri)).toBe(id);
    expect(V.requests).toHaveLength(1);
    V.serve("/users/v", { ...v.document, name: "Vera B." });
    const dayAgo = home.clock.now().subtract({ hours: 24 });
    await fetcher.actor(v.uri, { newerThan: dayAgo });
    expect(V.requests).toHaveLength(1);
    home.clock.forward({ hours: 25 });
    expect(
      await fetcher.actor(v.uri, { newerThan: home.clock.now().subtract({ hours: 24 }) }),
    ).toBe(id);
    expect(V.requests).toHaveLength(2);
    const [row] = await database.sql`SELECT display_name FROM actor WHERE id = ${id}`;
    expect(row).toEqual({ display_name: "Vera B." });
  });

  test("who do not answer are left alone for ten minutes", async () => {
    const { V, home, fetcher } = await scene();
    const uri = `${V.origin}/users/v`;
    V.at("/users/v", (_, response) => void response.writeHead(503).end());
    for (let turn = 0; turn < 5; turn += 1)
      expect(await refusalOf(fetcher.actor(uri))).toMatch(/answered 503/);
    expect(V.requests).toHaveLength(1);
    const v = await V.actor("v");
    home.clock.forward({ minutes: 9 });
    expect(await refusalOf(fetcher.actor(uri))).toMatch(/answered 503/);
    home.clock.forward({ minutes: 1 });
    expect(await fetcher.actor(v.uri)).toEqual(expect.any(BigInt));
    expect(V.requests).toHaveLength(2);
  });

  test("of this instance are not asked for over the network", async () => {
    const { database, home, fetcher } = await scene();
    const own = await ensureOwnActors(database.drizzle, home.origin, home.clock.now());
    expect(await fetcher.actor(`${home.origin}/actor`)).toBe(own.instance);
    expect(await fetcher.actor(`${home.origin}/users/flattr`)).toBe(own.flattr);
    expect(await refusalOf(fetcher.actor(`${home.origin}/users/nobody`))).toMatch(/answered 404/);
    expect(home.strays).toEqual([]);
  });

  test("see a signature that verifies with the instance actor's key, over host and date", async () => {
    const { database, V, home, fetcher } = await scene();
    const v = await V.actor("v");
    await fetcher.actor(v.uri);
    const [{ headers }] = V.requests as [(typeof V.requests)[number]];
    const { instance } = await ensureOwnActors(database.drizzle, home.origin, home.clock.now());
    const [key] = await database.sql<{ public_pem: string; sealed: Uint8Array }[]>`
      SELECT public_pem, sealed FROM actor_secret WHERE actor = ${instance}`;
    expect(createPublicKey(key!.public_pem).asymmetricKeyDetails?.modulusLength).toBe(2048);
    const signature = /signature="([^"]+)"/.exec(String(headers["signature"]))![1]!;
    const text = `(request-target): get /users/v\ndate: ${headers.date}\nhost: ${headers.host}`;
    const verify = (said: string) =>
      createVerify("sha256").update(said).verify(key!.public_pem, signature, "base64");
    expect(verify(text)).toBe(true);
    expect(verify(text.replace("/users/v", "/users/w"))).toBe(false);
    expect(headers.date).toBe("Sat, 21 Nov 2026 12:00:00 GMT");
  });
});

describe("keys of our own actors", () => {
  test("are made once, whoever asks first, and are sealed", async () => {
    const own = await testDatabase();
    const { origin } = own.settings;
    const clock = testClock();
    const { instance, flattr } = await ensureOwnActors(own.drizzle, origin, clock.now());
    const vault = openVault(new Uint8Array(32).fill(7));
    const processes = Array.from({ length: 4 }, () => openActorKeys(own, vault, clock));
    const pairs = await Promise.all(
      processes.flatMap((keys) => [keys.keyPairOf(instance), keys.keyPairOf(instance)]),
    );
    expect(new Set(pairs.map(({ publicPem }) => publicPem)).size).toBe(1);
    expect(pairs[0]!.keyId).toBe(`${origin}/actor#main-key`);
    const other = await processes[0]!.keyPairOf(flattr);
    expect(other.publicPem).not.toBe(pairs[0]!.publicPem);
    expect(other.keyId).toBe(`${origin}/users/flattr#main-key`);
    const rows = await own.sql<{ sealed: Uint8Array }[]>`SELECT sealed FROM actor_secret`;
    for (const { sealed } of rows)
      expect(Buffer.from(sealed).toString("latin1")).not.toContain("\x06\x09\x2a\x86\x48");
    const wrong = openActorKeys(own, openVault(new Uint8Array(32).fill(8)), clock);
    await expect(wrong.keyPairOf(instance)).rejects.toThrow();
    // One row's secret is of no use in another's place.
    await own.sql`UPDATE actor_secret SET sealed = (SELECT sealed FROM actor_secret WHERE actor = ${instance}) WHERE actor = ${flattr}`;
    const fresh = openActorKeys(own, vault, clock);
    await expect(fresh.keyPairOf(flattr)).rejects.toThrow();
    expect((await fresh.keyPairOf(instance)).publicPem).toBe(pairs[0]!.publicPem);
  });

  test("are not made for anybody else", async () => {
    const { database, V, home, fetcher } = await scene();
    const own = { ...database, settings: { ...database.settings, origin: home.origin } };
    const v = await V.actor("v");
    const id = await fetcher.actor(v.uri);
    const keys = openActorKeys(own, openVault(new Uint8Array(32).fill(7)), home.clock);
    await expect(keys.keyPairOf(id)).rejects.toThrow("not of this instance");
    await expect(keys.keyPairOf(1n)).rejects.toThrow("not of this instance");
  });
});

describe("F17 handles", () => {
  const links = (self: string) => [
    { rel: "http://webfinger.net/rel/profile-page", type: "text/html", href: self },
    { rel: "self", type: "application/activity+json", href: self },
  ];

  test("mean the actor whom their own server names", async () => {
    const { V, fetcher } = await scene();
    V.serve(
      `/.well-known/webfinger?resource=${encodeURIComponent(`acct:v@${V.host}`)}`,
      { subject: `acct:v@${V.host}`, links: links(`${V.origin}/users/v`) },
      "application/jrd+json; charset=utf-8",
    );
    expect(await fetcher.webfinger({ name: "v", host: V.host })).toBe(`${V.origin}/users/v`);
    expect(await fetcher.webfinger({ name: "nobody", host: V.host })).toBeUndefined();
  });

  test("of somebody else's are believed only if his server says the same", async () => {
    const { V, E, fetcher } = await scene();
    const evil = `${E.origin}/users/e`;
    const webfinger = "/.well-known/webfinger";
    const serve = (host: typeof V, subject: string, self: string) =>
      host.serve(
        webfinger,
        { subject: `acct:${subject}`, links: links(self) },
        "application/jrd+json",
      );
    serve(V, `v@${V.host}`, `${V.origin}/users/v`);
    // E says that its handle is V's, and that V is E.
    serve(E, `v@${V.host}`, evil);
    expect(await fetcher.webfinger({ name: "e", host: E.host })).toBeUndefined();
    expect(await fetcher.webfinger({ name: "v", host: V.host })).toBe(`${V.origin}/users/v`);
    // The twin: an old handle that leads to a new one, and both agree.
    serve(E, `v@${V.host}`, `${V.origin}/users/v`);
    expect(await fetcher.webfinger({ name: "e", host: E.host })).toBe(`${V.origin}/users/v`);
    // And V's handle is never asked of anybody but V.
    const asked = E.requests.length;
    await fetcher.webfinger({ name: "v", host: V.host });
    expect(E.requests).toHaveLength(asked);
  });

  test("are not read from what is no answer to them", async () => {
    const { E, home, fetcher } = await scene();
    const webfinger = "/.well-known/webfinger";
    const subject = `acct:e@${E.host}`;
    const self = `${E.origin}/users/e`;
    const answers: readonly (readonly [unknown, string])[] = [
      [{ subject, links: links(self) }, "text/html"],
      [{ subject, links: [] }, "application/jrd+json"],
      [{ subject, links: { rel: "self" } }, "application/jrd+json"],
      [{ links: links(self) }, "application/jrd+json"],
      [{ subject: "acct:e", links: links(self) }, "application/jrd+json"],
      [{ subject: "https://v.example/", links: links(self) }, "application/jrd+json"],
      [
        { subject, links: [{ rel: "self", type: "text/html", href: self }] },
        "application/jrd+json",
      ],
    ];
    for (const [document, type] of answers) {
      E.serve(webfinger, document, type);
      expect(await fetcher.webfinger({ name: "e", host: E.host })).toBeUndefined();
    }
    E.at(webfinger, (_, response) => {
      response.writeHead(302, { location: "http://127.0.0.1:1/" }).end();
    });
    expect(await refusalOf(fetcher.webfinger({ name: "e", host: E.host }))).toBe("scheme_refused");
    E.serve(webfinger, { subject: "x".repeat(2_000_000), links: [] }, "application/jrd+json");
    expect(await refusalOf(fetcher.webfinger({ name: "e", host: E.host }))).toBe("too_large");
    for (const host of ["127.0.0.1", "10.0.0.1", "[::1]", "e.example:22", "v@e.example"])
      expect([host, await refusalOf(fetcher.webfinger({ name: "e", host }))]).toEqual([
        host,
        "address_refused",
      ]);
    expect(home.strays).toEqual([]);
    E.serve(webfinger, { subject, links: links(self) }, "application/json");
    expect(await fetcher.webfinger({ name: "e", host: E.host })).toBe(self);
  });
});

describe("what an instance that cannot read its own key does", () => {
  test("it says so, and blames nobody else for it", async () => {
    const database = await testDatabase();
    const E = await remoteHost("127.0.0.3");
    const e = await E.actor("e");
    const clock = testClock();
    const egress = openEgress({ allowedPrivate: [E.host], userAgent: "Fediflattr/test" });
    const { origin } = database.settings;
    const make = (byte: number) =>
      openFetcher({
        database,
        egress,
        keys: openActorKeys(database, openVault(new Uint8Array(32).fill(byte)), clock),
        clock,
        origin,
      });
    await make(1).actor(e.uri);
    const f = await E.actor("f");
    const wrong = make(2);
    await expect(wrong.actor(f.uri)).rejects.not.toBeInstanceOf(EgressError);
    expect(E.requests.filter(({ path }) => path === "/users/f")).toEqual([]);
    // Nor is it remembered against them: as soon as the key is back, they are asked.
    const keys = openActorKeys(database, openVault(new Uint8Array(32).fill(1)), clock);
    let isAway = true;
    const fetcher = openFetcher({
      database,
      egress,
      keys: {
        keyPairOf: (actor) =>
          isAway ? Promise.reject(new Error("the database is away")) : keys.keyPairOf(actor),
      },
      clock,
      origin,
    });
    await expect(fetcher.actor(f.uri)).rejects.toThrow("the database is away");
    isAway = false;
    expect(await fetcher.actor(f.uri)).toEqual(expect.any(BigInt));
    await egress.close();
  });
});
