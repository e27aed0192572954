import { generateKeyPairSync, randomBytes } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { discoverInstance, waysJobs } from "../../src/edges/federation/discover.ts";
import { openFetcher } from "../../src/edges/federation/fetch.ts";
import { openResolver } from "../../src/edges/federation/resolve.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import { blockPayments, unblockPayments } from "../../src/features/claim/standing.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { askWay, hostsToAsk } from "../../src/features/peer/way.ts";
import type { ThingId } from "../../src/features/thing/thing.ts";
import { base58 } from "../../src/rules/base58.ts";
import { alternateLink } from "../../src/rules/html-link.ts";
import type { Database } from "../../src/store/database.ts";
import { openEgress } from "../../src/store/egress.ts";
import { openVault } from "../../src/store/keys.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { cpuTimer } from "../support/cpu.ts";
import {
  at,
  click,
  localPost,
  person,
  remotePost,
  snapshot,
  testDatabase,
} from "../support/database.ts";
import { type Sink, sink, testClock, type TestClock, type Told } from "../support/sink.ts";

const HOME = "https://home.example";
const vault = openVault(randomBytes(32));

/** A server with some pages; everything else is not there. */
interface Site extends Sink {
  readonly pages: Record<string, Told>;
  readonly gets: () => string[];
}

async function site(): Promise<Site> {
  const pages: Record<string, Told> = {};
  const server = await sink(({ path }) => pages[path] ?? { status: 404 });
  return Object.assign(server, { pages, gets: () => server.asked.map(({ path }) => path) });
}

function actorDocument({ origin }: Sink, name: string, more: object = {}): object {
  const id = `${origin}/users/${name}`;
  return {
    "@context": "https://www.w3.org/ns/activitystreams",
    id,
    type: "Person",
    preferredUsername: name,
    inbox: `${id}/inbox`,
    ...more,
  };
}

function noteDocument({ origin }: Sink, more: object = {}): object {
  return {
    "@context": "https://www.w3.org/ns/activitystreams",
    id: `${origin}/posts/1`,
    type: "Note",
    attributedTo: `${origin}/users/ann`,
    content: "Hello",
    ...more,
  };
}

/** A site with a person and a post of hers. */
async function siteOfAnn(): Promise<Site> {
  const far = await site();
  far.pages["/users/ann"] = { body: actorDocument(far, "ann") };
  far.pages["/posts/1"] = { body: noteDocument(far) };
  return far;
}

async function house(sites: readonly Sink[], clock: TestClock = testClock()) {
  const database = await testDatabase();
  const egress = openEgress({
    allowedPrivate: sites.map(({ host }) => host),
    userAgent: "Fediflattr",
  });
  onTestFinished(() => egress.close());
  const keys = openActorKeys(database, vault, clock);
  const fetcher = openFetcher({ database, egress, keys, clock, origin: HOME });
  const parts = { database, egress, fetcher, clock };
  return { ...parts, parts, resolver: openResolver(parts) };
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "nothing was refused",
    (error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
      return error.reason;
    },
  );
}

async function paid({ sql }: Database, thing: ThingId): Promise<string[]> {
  const rows = await sql<{ uri: string }[]>`
    SELECT a.uri FROM thing t JOIN split_part p ON p.split = t.split JOIN actor a ON a.id = p.payee WHERE t.id = ${thing} ORDER BY a.uri`;
  return rows.map(({ uri }) => uri);
}

const things = async ({ sql }: Database) =>
  (await sql<{ uri: string }[]>`SELECT uri FROM thing ORDER BY uri`).map(({ uri }) => uri);

describe("an address", () => {
  test("of a post elsewhere becomes a thing, and its author somebody who can be told; the second time nobody is asked", async () => {
    const far = await siteOfAnn();
    const { resolver, database } = await house([far]);
    const thing = await resolver.thing(`${far.origin}/posts/1`);
    expect(await paid(database, thing)).toEqual([`${far.origin}/users/ann`]);
    expect(
      await database.sql`SELECT name, inbox FROM actor WHERE uri = ${`${far.origin}/users/ann`}`,
    ).toEqual([{ name: "ann", inbox: `${far.origin}/users/ann/inbox` }]);
    expect(far.gets()).toEqual(["/posts/1", "/users/ann"]);
    expect(
      far.asked.every(({ headers }) =>
        String(headers["signature"]).includes(`${HOME}/actor#main-key`),
      ),
    ).toBe(true);
    expect(await resolver.thing(`${far.origin}/posts/1#reply?`)).toBe(thing);
    expect(await resolver.thing(`${far.origin}/posts/1`)).toBe(thing);
    expect(far.asked).toHaveLength(2);
  });

  test("of a page that answers with the document of another address leads to that one", async () => {
    const far = await siteOfAnn();
    far.pages["/@ann/1"] = { body: noteDocument(far) };
    const { resolver, database } = await house([far]);
    const thing = await resolver.thing(`${far.origin}/@ann/1`);
    expect(await things(database)).toEqual([`${far.origin}/posts/1`]);
    expect(far.gets()).toEqual(["/@ann/1", "/posts/1", "/users/ann"]);
    // Known by both from now on.
    expect(await resolver.thing(`${far.origin}/@ann/1`)).toBe(thing);
    expect(far.asked).toHaveLength(3);
  });

  test.each([
    [
      "in its head",
      (href: string) =>
        `<!doctype html><html><head><title>a < b</title><link rel="stylesheet" href="/x"><LINK REL='canonical alternate' href="${href}" TYPE="application/activity+json"/></head>`,
    ],
    ["relative", () => `<link type=application/activity+json rel=alternate href=/posts/1>`],
    [
      "with entities",
      () =>
        `<head><link rel="alternate" href="/posts/1?a=1&amp;b=2" type='application/ld+json; profile="https://www.w3.org/ns/activitystreams"'>`,
    ],
  ])("of a web page that names its document %s leads to it", async (_, html) => {
    const blog = await siteOfAnn();
    blog.pages["/posts/1?a=1&b=2"] = blog.pages["/posts/1"]!;
    const { resolver, database } = await house([blog]);
    blog.answer = ({ path, headers }) =>
      path === "/2026/hello"
        ? String(headers.accept).includes("json")
          ? { status: 406 }
          : {
              body: html(`${blog.origin}/posts/1`),
              headers: { "content-type": "text/html; charset=utf-8" },
            }
        : (blog.pages[path] ?? { status: 404 });
    const thing = await resolver.thing(`${blog.origin}/2026/hello`);
    expect(await things(database)).toEqual([`${blog.origin}/posts/1`]);
    const asked = blog.asked.length;
    expect(await resolver.thing(`${blog.origin}/2026/hello?utm_source=x`)).toBe(thing);
    expect(blog.asked).toHaveLength(asked);
  });

  test.each([
    ["none", "<html><head></head><body>Hello</body></html>"],
    [
      "one in a comment",
      '<!-- <link rel="alternate" type="application/activity+json" href="/posts/1"> -->',
    ],
    [
      "one in a script",
      '<script>x = \'<link rel="alternate" type="application/activity+json" href="/posts/1">\'</script>',
    ],
    [
      "one in its body",
      '<body><link rel="alternate" type="application/activity+json" href="/posts/1">',
    ],
    ["one of another type", '<link rel="alternate" type="application/rss+xml" href="/posts/1">'],
    [
      "one that is no address",
      '<link rel="alternate" type="application/activity+json" href="http://[">',
    ],
    [
      "one that is not asked",
      '<link rel="alternate" type="application/activity+json" href="file:///etc/passwd">',
    ],
  ])("of a web page that names %s is refused without a trace", async (_, html) => {
    const blog = await siteOfAnn();
    blog.pages["/"] = { body: html, headers: { "content-type": "text/html" } };
    const { resolver, database } = await house([blog]);
    expect(["no_payee", "url_invalid"]).toContain(await refusal(resolver.thing(`${blog.origin}/`)));
    expect(await things(database)).toEqual([]);
    expect(blog.gets()).not.toContain("/posts/1");
  });

  test("of a boost means what was boosted, on whatever server that is", async () => {
    const far = await siteOfAnn();
    const other = await site();
    other.pages["/boosts/1"] = {
      body: {
        id: `${other.origin}/boosts/1`,
        type: "Announce",
        actor: `${other.origin}/users/eve`,
        object: `${far.origin}/posts/1`,
      },
    };
    other.pages["/creates/1"] = {
      body: {
        id: `${other.origin}/creates/1`,
        type: "Create",
        object: { ...noteDocument(far), attributedTo: `${other.origin}/users/eve` },
      },
    };
    const { resolver, database } = await house([far, other]);
    const thing = await resolver.thing(`${other.origin}/boosts/1`);
    expect(await paid(database, thing)).toEqual([`${far.origin}/users/ann`]);
    expect(await resolver.thing(`${other.origin}/boosts/1`)).toBe(thing);
    expect(other.asked).toHaveLength(1);
    // What somebody embeds is not believed: the author is the one that its own server names.
    expect(await resolver.thing(`${other.origin}/creates/1`)).toBe(thing);
    expect(await things(database)).toEqual([`${far.origin}/posts/1`]);
  });

  test("of a boost that leads in a circle, or to nothing, is refused", async () => {
    const far = await site();
    for (const [path, object] of [
      ["/b/1", `${far.origin}/b/1`],
      ["/b/2", `${far.origin}/b/3`],
      ["/b/3", `${far.origin}/b/2`],
      ["/b/4", { type: "Note" }],
      ["/b/5", `${HOME}/users/nobody/posts/1`],
    ] as const)
      far.pages[path] = { body: { id: `${far.origin}${path}`, type: "Announce", object } };
    const { resolver, database } = await house([far]);
    for (const n of [1, 2, 3, 4, 5])
      expect(await refusal(resolver.thing(`${far.origin}/b/${n}`))).toBe("no_payee");
    expect(await things(database)).toEqual([]);
    expect(far.asked.length).toBeLessThan(15);
  });

  test("of something of this instance asks nobody, whether it is there or not", async () => {
    const far = await site();
    const { resolver, database } = await house([far]);
    const bob = await person(database, "bob");
    const post = await localPost(database, bob);
    const [row] = await database.sql<{ uri: string }[]>`SELECT uri FROM thing WHERE id = ${post}`;
    far.pages["/seen/1"] = {
      body: { id: row!.uri, type: "Note", attributedTo: `${HOME}/users/bob` },
    };
    expect(await resolver.thing(row!.uri)).toBe(post);
    expect(await resolver.thing(`${far.origin}/seen/1`)).toBe(post);
    expect(await refusal(resolver.thing(`${HOME}/users/bob/posts/1`))).toBe("no_payee");
    expect(await refusal(resolver.thing("@nobody"))).toBe("no_payee");
    expect(await refusal(resolver.thing("nobody@home.example"))).toBe("no_payee");
  });

  test("of a person means that person", async () => {
    const far = await siteOfAnn();
    far.pages["/@ann"] = { body: actorDocument(far, "ann") };
    const { resolver, database } = await house([far]);
    const thing = await resolver.thing(`${far.origin}/@ann`);
    expect(await paid(database, thing)).toEqual([`${far.origin}/users/ann`]);
    const actor = await resolver.actor(`${far.origin}/@ann`);
    expect(await database.sql`SELECT inbox FROM actor WHERE id = ${actor}`).toEqual([
      { inbox: `${far.origin}/users/ann/inbox` },
    ]);
    expect(await refusal(resolver.actor(`${far.origin}/posts/1`))).toBe("payee_unknown");
    expect(await refusal(resolver.actor(`${HOME}/users/nobody`))).toBe("payee_unknown");
  });
});

describe("a server that lies", () => {
  test("about whose document it is (F10) is not believed: the other server is asked", async () => {
    const evil = await site();
    const victim = await siteOfAnn();
    evil.pages["/n/1"] = {
      body: {
        id: `${victim.origin}/posts/1`,
        type: "Note",
        attributedTo: `${evil.origin}/users/eve`,
      },
    };
    evil.pages["/n/2"] = {
      body: {
        id: `${victim.origin}/posts/2`,
        type: "Note",
        attributedTo: `${victim.origin}/users/ann`,
      },
    };
    evil.pages["/n/3"] = {
      body: {
        id: `${victim.origin}/posts/3`,
        type: "Note",
        attributedTo: `${victim.origin}/users/ann`,
      },
    };
    victim.pages["/posts/3"] = { body: noteDocument(victim) };
    evil.pages["/n/4"] = { body: { type: "Note", attributedTo: `${evil.origin}/users/eve` } };
    const { resolver, database } = await house([evil, victim]);
    expect(await paid(database, await resolver.thing(`${evil.origin}/n/1`))).toEqual([
      `${victim.origin}/users/ann`,
    ]);
    expect(await refusal(resolver.thing(`${evil.origin}/n/2`))).toBe("no_payee");
    expect(await refusal(resolver.thing(`${evil.origin}/n/3`))).toBe("document_invalid");
    expect(await refusal(resolver.thing(`${evil.origin}/n/4`))).toBe("document_invalid");
    expect(victim.gets()).toEqual(["/posts/1", "/users/ann", "/posts/2", "/posts/3"]);
    expect(await things(database)).toEqual([`${victim.origin}/posts/1`]);
  });

  test("an id that leads somewhere else is no id", async () => {
    const far = await siteOfAnn();
    far.pages["/n/1"] = { body: noteDocument(far, { id: `${far.origin}/n/2` }) };
    far.pages["/n/2"] = { status: 302, headers: { location: "/upload/2" } };
    far.pages["/upload/2"] = { body: noteDocument(far, { id: `${far.origin}/n/2` }) };
    const { resolver } = await house([far]);
    expect(await refusal(resolver.thing(`${far.origin}/n/1`))).toBe("document_invalid");
  });

  test.each([
    "application/json",
    "text/plain",
    "application/octet-stream",
    "text/html",
    "application/ld+json",
    "",
  ])("an upload of type %j is no document (F11)", async (type) => {
    const far = await siteOfAnn();
    far.pages["/posts/1"] = {
      body: JSON.stringify(noteDocument(far)),
      headers: type === "" ? {} : { "content-type": type },
    };
    const { resolver, database } = await house([far]);
    const before = await snapshot(database);
    expect(await refusal(resolver.thing(`${far.origin}/posts/1`))).toBe("no_payee");
    expect(await refusal(resolver.actor(`${far.origin}/posts/1`))).toBe("no_payee");
    expect(await things(database)).toEqual([]);
    expect(await snapshot(database)).toBe(before);
  });

  test.each([
    [
      "of another server",
      (far: Sink) => ({ attributedTo: "https://v.example/users/v", id: `${far.origin}/posts/1` }),
      "no_payee",
    ],
    [
      "who is not there",
      (far: Sink) => ({ attributedTo: `${far.origin}/users/nobody` }),
      "no_payee",
    ],
    ["who is no actor", (far: Sink) => ({ attributedTo: `${far.origin}/posts/1` }), "no_payee"],
    [
      "who does not answer",
      (far: Sink) => ({ attributedTo: `${far.origin}/users/slow` }),
      "unreachable",
    ],
    ["none", () => ({ attributedTo: [] }), "no_payee"],
  ])("an author %s is not paid", async (_, more, reason) => {
    const far = await siteOfAnn();
    far.pages["/posts/1"] = { body: noteDocument(far, more(far)) };
    far.pages["/users/slow"] = { status: 503 };
    const { resolver, database } = await house([far]);
    expect(await refusal(resolver.thing(`${far.origin}/posts/1`))).toBe(reason);
    expect(await things(database)).toEqual([]);
  });

  test("those authors are paid that are there, and a group only when it is alone", async () => {
    const far = await siteOfAnn();
    far.pages["/users/ben"] = { body: actorDocument(far, "ben") };
    far.pages["/users/club"] = { body: actorDocument(far, "club", { type: "Group" }) };
    const authors = ["club", "ann", "gone", "ben"].map((name) => `${far.origin}/users/${name}`);
    far.pages["/posts/1"] = { body: noteDocument(far, { attributedTo: authors }) };
    far.pages["/posts/2"] = {
      body: noteDocument(far, { id: `${far.origin}/posts/2`, attributedTo: authors[0] }),
    };
    const { resolver, database } = await house([far]);
    expect(await paid(database, await resolver.thing(`${far.origin}/posts/1`))).toEqual([
      authors[1],
      authors[3],
    ]);
    expect(await paid(database, await resolver.thing(`${far.origin}/posts/2`))).toEqual([
      authors[0],
    ]);
  });

  test("and leads around by redirects gets no further than three steps, and to no private address (N07, N09)", async () => {
    const far = await siteOfAnn();
    const canary = await site();
    for (let n = 1; n <= 5; n += 1)
      far.pages[`/r/${n}`] = {
        status: 301 + (n % 2),
        headers: { location: n === 1 ? "/posts/1" : `/r/${n - 1}` },
      };
    far.pages["/loop"] = { status: 308, headers: { location: "/loop" } };
    far.pages["/inside"] = { status: 302, headers: { location: `${canary.origin}/` } };
    far.pages["/meta"] = { status: 307, headers: { location: "http://169.254.169.254/" } };
    far.pages["/file"] = { status: 301, headers: { location: "file:///etc/passwd" } };
    const { resolver, database } = await house([far]);
    const thing = await resolver.thing(`${far.origin}/r/3`);
    expect(await things(database)).toEqual([`${far.origin}/posts/1`]);
    expect(await refusal(resolver.thing(`${far.origin}/r/5`))).toBe("no_payee");
    expect(await refusal(resolver.thing(`${far.origin}/loop`))).toBe("no_payee");
    for (const path of ["/inside", "/meta", "/file"])
      expect(await refusal(resolver.thing(`${far.origin}${path}`))).toBe("url_invalid");
    expect(canary.asked).toEqual([]);
    expect(await resolver.thing(`${far.origin}/posts/1`)).toBe(thing);
  });

  test("never makes us ask private addresses, whatever is typed", async () => {
    const canary = await site();
    const { resolver } = await house([]);
    for (const text of [
      canary.origin,
      `${canary.origin.replace("http:", "https:")}/posts/1`,
      "https://10.0.0.1/",
      "http://localhost/",
      "https://[::1]/",
      "@ann@127.0.0.1",
      `@ann@${canary.host}`,
    ])
      expect([await refusal(resolver.thing(text)), await refusal(resolver.actor(text))]).toEqual([
        "url_invalid",
        "url_invalid",
      ]);
    expect(canary.asked).toEqual([]);
    expect(await refusal(resolver.thing("not an address"))).toBe("url_invalid");
  });

  test("by saying nothing is called unreachable, and nothing is remembered", async () => {
    const far = await siteOfAnn();
    const { resolver, database } = await house([far]);
    const before = await snapshot(database);
    far.answer = () => ({ status: 502 });
    expect(await refusal(resolver.thing(`${far.origin}/posts/1`))).toBe("unreachable");
    await far.die();
    expect(await refusal(resolver.thing(`${far.origin}/posts/2`))).toBe("unreachable");
    expect(await refusal(resolver.actor(`@ann@${far.host}`))).toBe("unreachable");
    expect(await snapshot(database)).toBe(before);
    expect(await things(database)).toEqual([]);
  });
});

describe("somebody who is blocked", () => {
  test.each(["payee", "host"] as const)("by his %s (F13) is not found by asking", async (kind) => {
    const far = await siteOfAnn();
    const { resolver, database, clock } = await house([far]);
    const target = kind === "payee" ? `${far.origin}/users/ann` : far.host;
    await blockPayments(database, { kind, target, at: at("2026-11-20") });
    const post = `${far.origin}/posts/1`;
    const ways = [() => resolver.thing(post), () => resolver.actor(`${far.origin}/users/ann`)];
    for (const way of ways) expect(await refusal(way())).toBe("payee_blocked");
    if (kind === "host") {
      expect(await refusal(resolver.actor(`@ann@${far.host}`))).toBe("payee_blocked");
      expect(far.asked).toEqual([]);
    }
    expect(await things(database)).toEqual([]);
    await unblockPayments(database, { kind, target, at: at("2026-11-20") });
    clock.advance({ seconds: 1 });
    await resolver.thing(post);
    expect(await things(database)).toEqual([post]);
  });
});

describe("a handle", () => {
  const finger = (subject: string, href: string): Told => ({
    body: JSON.stringify({
      subject,
      links: [{ rel: "self", type: "application/activity+json", href }],
    }),
    headers: { "content-type": "application/jrd+json" },
  });
  const path = (far: Sink, name = "ann") =>
    `/.well-known/webfinger?resource=${encodeURIComponent(`acct:${name}@${far.host}`)}`;

  test("is asked of its own server, once", async () => {
    const far = await siteOfAnn();
    far.pages[path(far)] = finger(`acct:ann@${far.host}`, `${far.origin}/users/ann`);
    const { resolver, database } = await house([far]);
    const thing = await resolver.thing(`@ann@${far.host}`);
    expect(await paid(database, thing)).toEqual([`${far.origin}/users/ann`]);
    const asked = far.asked.length;
    expect(await resolver.thing(`ann@${far.host}`)).toBe(thing);
    const actor = await resolver.actor(`@ann@${far.host}`);
    expect(await database.sql`SELECT uri FROM actor WHERE id = ${actor}`).toEqual([
      { uri: `${far.origin}/users/ann` },
    ]);
    expect(far.asked).toHaveLength(asked);
  });

  test("whose server speaks of somebody else is believed only when that one's server says the same (F17)", async () => {
    const far = await siteOfAnn();
    const evil = await site();
    const handles = (host: Site) => `acct:ann@${host.host}`;
    // Evil says that ann@evil is ann@far, and hands out an actor of its own.
    evil.pages[path(evil)] = finger(handles(far), `${evil.origin}/users/eve`);
    evil.pages["/users/eve"] = { body: actorDocument(evil, "eve") };
    far.pages[path(far)] = finger(handles(far), `${far.origin}/users/ann`);
    const { resolver, database } = await house([far, evil]);
    expect(await refusal(resolver.thing(`@ann@${evil.host}`))).toBe("no_payee");
    expect(await refusal(resolver.actor(`@ann@${evil.host}`))).toBe("payee_unknown");
    expect(await things(database)).toEqual([]);
    // Another name for the same person is fine.
    evil.pages[path(evil)] = finger(handles(far), `${far.origin}/users/ann`);
    expect(await paid(database, await resolver.thing(`@ann@${evil.host}`))).toEqual([
      `${far.origin}/users/ann`,
    ]);
    expect(await refusal(resolver.thing(`@nobody@${far.host}`))).toBe("no_payee");
    // Nobody elsewhere says who is called what here.
    evil.pages[path(evil, "bob")] = finger(`acct:bob@${evil.host}`, `${HOME}/users/bob`);
    await person(database, "bob");
    expect(await refusal(resolver.thing(`@bob@${evil.host}`))).toBe("no_payee");
  });
});

describe("the head of a page", () => {
  const any = () => true;

  test("is read once from left to right, whatever it holds", () => {
    const nasty = [
      "<link ".repeat(40_000),
      "<".repeat(250_000),
      '<link rel="'.repeat(20_000),
      "<!--".repeat(60_000),
      "<script>".repeat(30_000),
      "</script".repeat(30_000),
      `<link ${"a ".repeat(120_000)}`,
      `<link ${"a=".repeat(120_000)}`,
      `<link ${"= ".repeat(120_000)}`,
      "İ".repeat(100_000),
    ];
    for (const page of nasty) {
      const spentMs = cpuTimer();
      expect(alternateLink(page, any)).toBeUndefined();
      expect(spentMs()).toBeLessThan(500);
    }
  });

  test("names the first link that fits", () => {
    const link = (href: string, type: string) =>
      `<link rel=alternate type="${type}" href="${href}">`;
    const page = `İİİ a < b ${link("/feed", "application/rss+xml")}${link("/1", "x/y")}${link("/2", "x/y")}`;
    expect(alternateLink(page, (type) => type === "x/y")).toBe("/1");
    expect(
      alternateLink(`<title><link rel=alternate type=x href=/1></title>`, any),
    ).toBeUndefined();
    expect(alternateLink(`<link rel=alternate type=x href="a&amp;b&#38;c&quot;">`, any)).toBe(
      'a&b&c"',
    );
  });
});

describe("the way to a host", () => {
  const multibase = () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
    return `z${base58(new Uint8Array([0xed, 1, ...raw]))}`;
  };
  const KEY = multibase();

  function instance(far: Site, key = KEY) {
    const { origin } = far;
    const actor = {
      id: `${origin}/actor`,
      type: "Application",
      inbox: `${origin}/inbox`,
      assertionMethod: [
        {
          id: `${origin}/actor#ed25519-1`,
          type: "Multikey",
          controller: `${origin}/actor`,
          publicKeyMultibase: key,
        },
      ],
      attachment: [
        { type: "PropertyValue", name: "x", value: "y" },
        { type: "Link", href: `${origin}/ledger`, rel: "https://w3id.org/fep/9b24#ledger" },
      ],
    };
    const finger = {
      subject: `${origin}/`,
      links: [{ rel: "self", type: "application/activity+json", href: `${origin}/actor` }],
    };
    const publish = (changes: { actor?: object; finger?: object } = {}) => {
      far.pages["/actor"] = { body: { ...actor, ...changes.actor } };
      far.pages[FINGER(far)] = {
        body: JSON.stringify({ ...finger, ...changes.finger }),
        headers: { "content-type": "application/jrd+json" },
      };
    };
    publish();
    return { actor, finger, publish };
  }
  const FINGER = ({ origin }: Sink) =>
    `/.well-known/webfinger?resource=${encodeURIComponent(`${origin}/`)}`;

  const waysOf = ({ sql }: Database) =>
    sql<{ host: string; peer: string | null; answered: boolean }[]>`
      SELECT w.host, p.actor AS peer, w.answered_at IS NOT NULL AS answered FROM host_way w LEFT JOIN peer p ON p.id = w.peer ORDER BY w.host`;

  const jobsOf = async ({ sql }: Database) =>
    (
      await sql<
        { key: string }[]
      >`SELECT key FROM graphile_worker.jobs WHERE task_identifier = 'peer.discover' ORDER BY key`
    ).map(({ key }) => key);

  test("is found by the instance's own word: origin, actor and ledger", async () => {
    const far = await site();
    instance(far);
    const { parts } = await house([far]);
    expect(await discoverInstance(parts, far.origin)).toEqual({
      actor: `${far.origin}/actor`,
      host: far.host,
      ledger: `${far.origin}/ledger`,
      keys: [{ id: `${far.origin}/actor#ed25519-1`, publicKeyMultibase: KEY }],
    });
  });

  test("is waiting for a host that is nothing of the kind, or speaks of others", async () => {
    const far = await site();
    const other = await site();
    const { actor, publish } = instance(far);
    instance(other);
    const { parts } = await house([far, other]);
    const asked = () => discoverInstance(parts, far.origin);
    const [key] = actor.assertionMethod;
    const self = (href: unknown) => ({
      links: [{ rel: "self", type: "application/activity+json", href }],
    });
    const lies: Parameters<typeof publish>[0][] = [
      { finger: { subject: "acct:ann@v.example" } },
      { finger: { subject: `${other.origin}/` } },
      { finger: { subject: undefined } },
      { finger: self(`${other.origin}/actor`) },
      { finger: self(7) },
      { finger: self(`${far.origin}/nothing`) },
      { finger: { links: "x" } },
      { actor: { id: `${other.origin}/actor` } },
      { actor: { id: `${far.origin}/users/ann` } },
      { actor: { type: "Person" } },
      {
        actor: {
          attachment: {
            type: "Link",
            href: `${other.origin}/ledger`,
            rel: "https://w3id.org/fep/9b24#ledger",
          },
        },
      },
      { actor: { attachment: [] } },
      { actor: { assertionMethod: [] } },
      { actor: { assertionMethod: [`${far.origin}/actor#ed25519-1`] } },
      { actor: { assertionMethod: { ...key, controller: `${other.origin}/actor` } } },
      { actor: { assertionMethod: { ...key, id: `${other.origin}/actor#ed25519-1` } } },
      { actor: { assertionMethod: { ...key, publicKeyMultibase: "z6MkNotAKey" } } },
      { actor: { assertionMethod: [key, { ...key, publicKeyMultibase: multibase() }] } },
    ];
    for (const lie of lies) {
      publish(lie);
      expect(await asked(), JSON.stringify(lie)).toBeUndefined();
    }
    // One link and one key need no list.
    publish({ actor: { attachment: actor.attachment[1]!, assertionMethod: key! } });
    expect(await asked()).toBeDefined();
    far.pages[FINGER(far)] = {
      status: 302,
      headers: { location: `${other.origin}${FINGER(other)}` },
    };
    expect(await asked()).toBeUndefined();
    far.pages[FINGER(far)] = { body: "<html>", headers: { "content-type": "text/html" } };
    expect(await asked()).toBeUndefined();
    far.pages[FINGER(far)] = { status: 404 };
    expect(await asked()).toBeUndefined();
    far.pages[FINGER(far)] = { status: 503 };
    await expect(asked()).rejects.toThrow("503");
    await far.die();
    await expect(asked()).rejects.toThrow("unreachable");
  });

  test("is remembered with the keys that it shows until it is heard, and stays known", async () => {
    const far = await site();
    const { publish, actor } = instance(far);
    const clock = testClock();
    const { parts, database } = await house([far], clock);
    const [job] = waysJobs(parts);
    await job!.run({ origin: far.origin });
    expect(await waysOf(database)).toEqual([
      { host: far.host, peer: `${far.origin}/actor`, answered: true },
    ]);
    const keys = () => database.sql`SELECT id, public_key_multibase FROM peer_key`;
    const pinned = [{ id: `${far.origin}/actor#ed25519-1`, public_key_multibase: KEY }];
    expect(await keys()).toEqual(pinned);
    expect(await database.sql`SELECT state FROM peer`).toEqual([{ state: "open" }]);

    // It was found, but has said nothing yet: it may change its keys without a word.
    const early = multibase();
    publish({
      actor: {
        assertionMethod: [{ ...actor.assertionMethod[0], publicKeyMultibase: early }],
      },
    });
    await job!.run({ origin: far.origin });
    pinned[0]!.public_key_multibase = early;
    expect(await keys()).toEqual(pinned);

    // It does not answer: what was known stays.
    far.pages[FINGER(far)] = { status: 500 };
    await expect(job!.run({ origin: far.origin })).rejects.toThrow("500");
    expect(await waysOf(database)).toEqual([
      { host: far.host, peer: `${far.origin}/actor`, answered: true },
    ]);
    // It says that it keeps no accounts any more: the money waits; the peer and its keys stay.
    far.pages[FINGER(far)] = { status: 404 };
    await job!.run({ origin: far.origin });
    expect(await waysOf(database)).toEqual([{ host: far.host, peer: null, answered: true }]);
    expect(await keys()).toEqual(pinned);
  });

  test("is not known of a host that never answered, and one that may not be asked is not asked again", async () => {
    const far = await site();
    const { parts, database } = await house([far]);
    const [job] = waysJobs(parts);
    await far.die();
    await expect(job!.run({ origin: far.origin })).rejects.toThrow("unreachable");
    await job!.run({ origin: "https://10.0.0.1" });
    expect(await waysOf(database)).toEqual([
      { host: "10.0.0.1", peer: null, answered: false },
      { host: far.host, peer: null, answered: false },
    ]);
  });

  test("is asked at the first click, again after a day, and once more in the last hours of the month", async () => {
    const { database } = await house([]);
    const { sql } = database;
    const alice = await person(database, "alice");
    const bob = await person(database, "bob");
    const far = await remotePost(
      database,
      "https://far.example/1",
      "https://far.example/users/ann",
    );
    const near = await remotePost(database, "https://near.example:8443/1", {
      "https://near.example:8443/users/a": 1,
      "https://near.example:8443/users/b": 1,
    });
    const bad = await remotePost(
      database,
      "https://bad.example/1",
      "https://bad.example/users/eve",
    );
    const never = await remotePost(
      database,
      "https://never.example/1",
      "https://never.example/users/x",
    );
    expect(never).toBeDefined();
    await click(database, alice, await localPost(database, bob), "2026-11-10");
    expect(await hostsToAsk(database, at("2026-11-10"))).toEqual([]);
    await giveFlattr(database, {
      patron: alice.id,
      thing: far,
      source: "click",
      private: true,
      at: at("2026-11-10"),
    });
    await click(database, alice, near, "2026-11-10");
    await click(database, alice, bad, "2026-11-10");
    await blockPayments(database, { kind: "host", target: "bad.example", at: at("2026-11-10") });
    expect(await hostsToAsk(database, at("2026-11-10T12:01:00Z"))).toEqual([
      "https://far.example",
      "https://near.example:8443",
    ]);
    expect(await jobsOf(database)).toEqual([
      "peer.discover far.example",
      "peer.discover near.example:8443",
    ]);
    // Not asked yet: nothing is added twice.
    await hostsToAsk(database, at("2026-11-10T12:02:00Z"));
    expect(await jobsOf(database)).toHaveLength(2);
    await sql`INSERT INTO host_way (host, asked_at, answered_at) VALUES ('far.example', '2026-11-10T12:03:00Z', '2026-11-10T12:03:00Z'), ('near.example:8443', '2026-11-10T12:03:00Z', NULL)`;
    expect(await hostsToAsk(database, at("2026-11-10T12:04:00Z"))).toEqual([]);
    // A day later a click is a reason to ask again; without one nobody is asked.
    expect(await hostsToAsk(database, at("2026-11-10T12:30:00Z"))).toEqual([]);
    expect(await hostsToAsk(database, at("2026-11-12"))).toEqual([]);
    await click(database, bob, far, "2026-11-12");
    expect(await hostsToAsk(database, at("2026-11-12T12:01:00Z"))).toEqual(["https://far.example"]);
    await sql`UPDATE host_way SET asked_at = '2026-11-12T12:02:00Z' WHERE host = 'far.example'`;
    expect(await hostsToAsk(database, at("2026-11-12T12:30:00Z"))).toEqual([]);
    expect(await hostsToAsk(database, at("2026-11-30T17:59:00Z"))).toEqual([]);
    // Six hours before the end everybody of the month is asked; who was asked in these hours is left alone.
    expect(await hostsToAsk(database, at("2026-11-30T18:00:00Z"))).toEqual([
      "https://far.example",
      "https://near.example:8443",
    ]);
    await sql`UPDATE host_way SET asked_at = '2026-11-30T18:01:00Z'`;
    expect(await hostsToAsk(database, at("2026-11-30T18:30:00Z"))).toEqual([]);
    expect(await hostsToAsk(database, at("2026-12-01T00:30:00Z"))).toEqual([]);
  });

  test("is seen to by whoever tells a creator of a flattr, too", async () => {
    const { database } = await house([]);
    await askWay(database, "https://far.example", at("2026-11-10"));
    await askWay(database, "https://far.example", at("2026-11-10"));
    await askWay(database, HOME, at("2026-11-10"));
    expect(await jobsOf(database)).toEqual(["peer.discover far.example"]);
    await database.sql`DELETE FROM graphile_worker._private_jobs`;
    await database.sql`INSERT INTO host_way (host, asked_at) VALUES ('far.example', '2026-11-10')`;
    await askWay(database, "https://far.example", at("2026-11-10"));
    expect(await jobsOf(database)).toEqual([]);
    await askWay(database, "https://far.example", at("2026-11-12"));
    expect(await jobsOf(database)).toEqual(["peer.discover far.example"]);
  });
});
