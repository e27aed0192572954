import { describe, expect, test } from "vitest";
import { wantsDocument } from "../../src/edges/federation/accept.ts";
import { followActor } from "../../src/features/follow/follow.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { deletePost, type NewPost, writePost } from "../../src/features/post/write.ts";
import type { Settings } from "../../src/store/database.ts";
import { at, click, person, remotePost, testDatabase } from "../support/database.ts";
import { type House, neighbour, openHouse, STATEMENT_KEY } from "../support/house.ts";

const PUBLIC = "https://www.w3.org/ns/activitystreams#Public";
const HOME = "https://home.example";
const HTML = "text/html,application/xhtml+xml,*/*;q=0.8";

type Json = Record<string, unknown>;

async function town(settings: Partial<Settings> = {}) {
  const database = await testDatabase(settings);
  const bob = await person(database, "bob");
  const house = await openHouse(database);
  const write = (text: string, more: Partial<NewPost> = {}) =>
    writePost(database, { author: bob, text, at: at("2026-11-20"), ...more });
  return { database, bob, house, write };
}

const pathOf = (uri: string) => new URL(uri).pathname;

/** A document, which must be one. */
async function read(house: House, path: string, accept?: string): Promise<Json> {
  const answer = await house.document(path, accept);
  expect(answer.status, path).toBe(200);
  return (await answer.json()) as Json;
}

describe("a person", () => {
  test("has a document with a key, an inbox and collections", async () => {
    const { database, bob, house } = await town();
    await database.sql`
      UPDATE actor SET display_name = ${"B\u202eob <i>"}, summary = ${'<p onclick="x">Hi</p><script>1</script>'}, is_locked = true,
             fields = '[{"name": "Web", "value": "<a href=\\"javascript:1\\">x</a>"}]' WHERE id = ${bob.actor}`;
    const answer = await house.document("/users/bob");
    expect(answer.headers.get("content-type")).toBe("application/activity+json");
    expect(answer.headers.get("vary")).toMatch(/Accept/);
    expect(answer.headers.get("cache-control")).toMatch(/max-age=\d+/);
    const document = (await answer.json()) as Json;
    const uri = `${HOME}/users/bob`;
    expect(document).toMatchObject({
      id: uri,
      type: "Person",
      preferredUsername: "bob",
      name: "Bob <i>",
      summary: "<p>Hi</p>",
      inbox: `${uri}/inbox`,
      outbox: `${uri}/outbox`,
      followers: `${uri}/followers`,
      following: `${uri}/following`,
      endpoints: { sharedInbox: `${HOME}/inbox` },
      manuallyApprovesFollowers: true,
      published: "2026-11-01T00:00:00Z",
      publicKey: { id: `${uri}#main-key`, owner: uri },
    });
    expect((document["publicKey"] as Json)["publicKeyPem"]).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    expect(JSON.stringify(document["attachment"])).not.toMatch(/javascript/);
    // The key stays.
    expect((await read(house, "/users/bob"))["publicKey"]).toEqual(document["publicKey"]);
  });

  test.each([
    "application/activity+json",
    'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
    "application/json",
    "application/activity+json, text/html;q=0.1",
  ])("is a document for %s", async (accept) => {
    const { house } = await town();
    expect(await read(house, "/users/bob", accept)).toMatchObject({ type: "Person" });
  });

  test("is a page for browsers, in their language, with what everybody may see", async () => {
    const { database, bob, house, write } = await town();
    await database.sql`UPDATE actor SET display_name = '<img src=x onerror=alert(1)>', summary = '<svg onload=alert(1)><p>About me</p>' WHERE id = ${bob.actor}`;
    await write("Hello <b>world</b> https://example.org/?a=1&b=2 #Tagged");
    await write("an unlisted one", { visibility: "unlisted" });
    await write("SECRET one", { visibility: "followers" });
    await write("SECRET two", { visibility: "direct" });
    const answer = await house.fetch("/users/bob", {
      headers: { accept: HTML, "accept-language": "de" },
    });
    const text = await answer.text();
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^text\/html/);
    expect(answer.headers.get("vary")).toMatch(/Accept\b.*Accept-Language/i);
    expect(answer.headers.get("content-security-policy")).toMatch(/default-src 'none'/);
    expect(text).toContain('<html lang="de">');
    expect(text).toContain("2 Beiträge");
    expect(text).toContain("@bob@home.example");
    expect(text).toContain("&lt;b&gt;world&lt;/b&gt;");
    expect(text).toContain('href="https://example.org/?a=1&amp;b=2"');
    expect(text).toContain('href="https://home.example/tags/tagged"');
    expect(text).toContain("an unlisted one");
    expect(text).toContain("<p>About me</p>");
    expect(text).not.toMatch(/SECRET|onerror=alert\(1\)>|onload|<svg|<script|<img/);
    expect(text).toContain(
      '<link rel="alternate" type="application/activity+json" href="https://home.example/users/bob"',
    );
    for (const [language, word] of [
      ["en", "2 posts"],
      ["nl", "2 berichten"],
    ] as const)
      expect(
        await (
          await house.fetch("/users/bob", {
            headers: { accept: HTML, "accept-language": language },
          })
        ).text(),
      ).toContain(word);
    const short = await house.fetch("/@bob", { headers: { accept: HTML } });
    expect([short.status, short.headers.get("location")]).toEqual([301, "/users/bob"]);
  });

  test("who was only named as a payee is nobody", async () => {
    const { database, house } = await town();
    await database.sql`INSERT INTO actor (id, uri, host, found_at) VALUES (1, 'https://home.example/users/ghost', 'home.example', '2026-11-01T00:00:00Z')`;
    for (const path of [
      "/users/ghost",
      "/users/nobody",
      "/users/Bob",
      "/users/bob%00",
      "/users/..%2factor",
    ])
      for (const accept of ["application/activity+json", HTML]) {
        const answer = await house.document(path, accept);
        expect(
          [answer.status, answer.headers.get("content-security-policy") ?? "document"],
          path,
        ).toEqual([
          404,
          accept === HTML ? expect.stringContaining("default-src 'none'") : "document",
        ]);
      }
  });

  test("who is gone leaves a Tombstone", async () => {
    const { database, bob, house, write } = await town();
    const { uri } = await write("Hello");
    await database.sql`UPDATE actor SET deleted_at = '2026-11-21T00:00:00Z' WHERE id = ${bob.actor}`;
    const document = await house.document("/users/bob");
    expect(document.status).toBe(410);
    expect(await document.json()).toMatchObject({ id: `${HOME}/users/bob`, type: "Tombstone" });
    expect((await house.document("/users/bob", HTML)).status).toBe(410);
    expect((await house.document("/users/bob/outbox")).status).toBe(404);
    const posted = await house.fetch("/users/bob/inbox", { method: "POST", body: "{}" });
    expect(posted.status).toBe(410);
    expect(uri).toMatch(/posts/);
  });

  test("called flattr is the instance's bot", async () => {
    const { house } = await town();
    await house.document("/actor");
    expect(await read(house, "/users/flattr")).toMatchObject({
      type: "Service",
      preferredUsername: "flattr",
      inbox: `${HOME}/users/flattr/inbox`,
    });
  });
});

describe("collections", () => {
  /** All items of a collection, page by page. */
  async function walk(house: House, path: string) {
    const collection = await read(house, path);
    expect(collection).toMatchObject({ type: "OrderedCollection", id: `${HOME}${path}` });
    const items: unknown[] = [];
    let pages = 0;
    for (let next = collection["first"]; next !== undefined; pages += 1) {
      const page = await read(house, String(next).slice(HOME.length));
      expect(page["type"]).toBe("OrderedCollectionPage");
      items.push(...[page["orderedItems"] ?? page["items"] ?? []].flat());
      next = page["next"];
    }
    return { total: collection["totalItems"], items, pages };
  }

  test("count what they hold", async () => {
    const { database, bob, house, write } = await town();
    expect(await walk(house, "/users/bob/followers")).toEqual({ total: 0, items: [], pages: 1 });
    expect(await walk(house, "/users/bob/outbox")).toMatchObject({ total: 0, items: [] });
    await database.sql`
      WITH made AS (
        INSERT INTO actor (id, uri, host, found_at) SELECT n, 'https://far.example/u/' || n, 'far.example', '2026-11-01T00:00:00Z' FROM generate_series(1, 250) n RETURNING id)
      INSERT INTO follow (follower, followee, state, since) SELECT id, ${bob.actor}, CASE WHEN id <= 20 THEN 'requested' ELSE 'accepted' END, '2026-11-02T00:00:00Z' FROM made`;
    const followers = await walk(house, "/users/bob/followers");
    expect(followers.total).toBe(230);
    expect(new Set(followers.items).size).toBe(230);
    expect(followers.pages).toBe(3);
    expect(followers.items).toContain("https://far.example/u/250");

    const alice = await person(database, "alice");
    await followActor(database, {
      follower: bob,
      uri: `${HOME}/users/alice`,
      at: at("2026-11-02"),
    });
    expect(await walk(house, "/users/bob/following")).toMatchObject({
      total: 1,
      items: [`${HOME}/users/alice`],
    });
    expect(alice.name).toBe("alice");

    for (let n = 1; n <= 25; n += 1)
      await write(`post ${n}`, {
        visibility: n % 5 === 0 ? "followers" : n % 2 === 0 ? "unlisted" : "public",
      });
    const outbox = await walk(house, "/users/bob/outbox");
    expect(outbox.total).toBe(20);
    expect(outbox.items).toHaveLength(20);
    expect(outbox.items[0]).toMatchObject({
      type: "Create",
      object: { type: "Note", attributedTo: `${HOME}/users/bob` },
    });
    expect(JSON.stringify(outbox.items)).not.toMatch(/"post (5|10|15|20|25)"/);
  });

  test.each(["x", "-1", "1e9", "", "99999999999999999999", "1'--"])(
    "have no page %o",
    async (cursor) => {
      const { house } = await town();
      for (const name of ["followers", "following", "outbox"])
        expect(
          (await house.document(`/users/bob/${name}?cursor=${encodeURIComponent(cursor)}`)).status,
        ).toBe(404);
    },
  );
});

describe("a post", () => {
  test("has a document and a page at one address", async () => {
    const { database, house, write } = await town();
    await person(database, "alice");
    const ann = await neighbour(database);
    const { uri } = await write(
      "Hi @alice and @ann@far.example, not @nobody@far.example.\n\n#Flattr & <script>alert(1)</script>",
      {
        summary: "a warning",
        language: "en",
      },
    );
    const answer = await house.document(pathOf(uri));
    expect(answer.headers.get("vary")).toBe("Accept");
    expect(answer.headers.get("cache-control")).toBe("public, max-age=60");
    const document = (await answer.json()) as Json;
    expect(document).toMatchObject({
      id: uri,
      type: "Note",
      attributedTo: `${HOME}/users/bob`,
      to: [PUBLIC],
      cc: [`${HOME}/users/bob/followers`, ann.uri, `${HOME}/users/alice`],
      summary: "a warning",
      sensitive: true,
      published: "2026-11-20T12:00:00Z",
      source: { mediaType: "text/plain" },
      tag: [
        { type: "Mention", href: ann.uri, name: "@ann@far.example" },
        { type: "Mention", href: `${HOME}/users/alice`, name: "@alice@home.example" },
        { type: "Hashtag", href: `${HOME}/tags/flattr`, name: "#flattr" },
      ],
    });
    expect(document["content"]).toBe(
      '<p>Hi <span class="h-card"><a href="https://home.example/users/alice" class="u-url mention">@<span>alice</span></a></span> and ' +
        '<span class="h-card"><a href="https://far.example/users/ann" class="u-url mention">@<span>ann</span></a></span>, not @nobody@far.example.</p>' +
        '<p><a href="https://home.example/tags/flattr" class="mention hashtag" rel="tag">#<span>Flattr</span></a> &amp; &lt;script&gt;alert(1)&lt;/script&gt;</p>',
    );
    const page = await house.document(pathOf(uri), HTML);
    const text = await page.text();
    expect(page.status).toBe(200);
    expect(page.headers.get("vary")).toMatch(/Accept/);
    expect(text).toContain("<summary>a warning</summary>");
    expect(text).toContain('rel="nofollow noopener noreferrer ugc"');
    expect(text).not.toMatch(/<script/);
    const tagged = await (await house.document("/tags/FLATTR", HTML)).text();
    expect(tagged).toContain("a warning");
  });

  test.each(["followers", "direct"] as const)(
    "for %s is not there for strangers",
    async (visibility) => {
      const { house, write } = await town();
      const { uri } = await write("SECRET #hidden", { visibility });
      for (const accept of ["application/activity+json", HTML]) {
        const answer = await house.document(pathOf(uri), accept);
        expect(answer.status).toBe(404);
        expect(await answer.text()).not.toMatch(/SECRET/);
      }
      expect(await (await house.document("/tags/hidden", HTML)).text()).not.toMatch(/SECRET/);
    },
  );

  test("that is gone is a Tombstone, and a private one was never there", async () => {
    const { database, bob, house, write } = await town();
    const open = await write("Hello");
    const hidden = await write("SECRET", { visibility: "direct" });
    for (const { id } of [open, hidden])
      await deletePost(database, { author: bob, post: id, at: at("2026-11-21") });
    const gone = await house.document(pathOf(open.uri));
    expect(gone.status).toBe(410);
    expect(await gone.json()).toMatchObject({
      id: open.uri,
      type: "Tombstone",
      deleted: "2026-11-21T12:00:00Z",
    });
    const page = await house.document(pathOf(open.uri), HTML);
    expect(page.status).toBe(410);
    expect(await page.text()).not.toMatch(/Hello/);
    for (const accept of ["application/activity+json", HTML])
      expect((await house.document(pathOf(hidden.uri), accept)).status).toBe(404);
    // Nobody deletes twice, or for somebody else.
    const alice = await person(database, "alice");
    const other = await write("still here");
    for (const [author, post] of [
      [bob, open.id],
      [alice, other.id],
    ] as const)
      await expect(
        deletePost(database, { author, post, at: at("2026-11-22") }),
      ).rejects.toMatchObject({ reason: "not_found" });
    expect((await house.document(pathOf(other.uri))).status).toBe(200);
  });

  test("at another's address is not there", async () => {
    const { database, house, write } = await town();
    await person(database, "alice");
    const { id } = await write("Hello");
    for (const path of [
      `/users/alice/posts/${id}`,
      `/users/bob/posts/1`,
      `/users/bob/posts/0${id}`,
      `/users/bob/posts/${id}/`,
      "/users/bob/posts/99999999999999999999",
    ])
      for (const accept of ["application/activity+json", HTML])
        expect((await house.document(path, accept)).status, path).toBe(404);
  });
});

describe("the Like of a flattr", () => {
  test("can be read, unless it is private or taken back", async () => {
    const { database, bob, house } = await town();
    const thing = await remotePost(
      database,
      "https://far.example/n/1",
      "https://far.example/users/ann",
    );
    const other = await remotePost(
      database,
      "https://far.example/n/2",
      "https://far.example/users/ann",
    );
    const { flattr } = await click(database, bob, thing, "2026-11-30T23:59:59.999Z");
    const hidden = await giveFlattr(database, {
      patron: bob.id,
      thing: other,
      source: "click",
      private: true,
      at: at("2026-11-30"),
    });
    const path = `/likes/${flattr}`;
    expect(await read(house, path)).toMatchObject({
      id: `${HOME}${path}`,
      type: "Like",
      actor: `${HOME}/users/bob`,
      object: "https://far.example/n/1",
      to: ["https://far.example/users/ann"],
      paymentPeriod: "2026-11",
      published: "2026-11-30T23:59:59Z",
    });
    for (const none of [
      `/likes/${hidden.flattr}`,
      "/likes/1",
      "/likes/999999999999999999",
      "/likes/x",
    ])
      expect((await house.document(none)).status, none).toBe(404);
    // What not everybody may see is not shown by who likes it either.
    await database.sql`
      INSERT INTO post (id, author, thing, html, visibility, at)
      SELECT 77, s.payee, t.id, 'x', 'unlisted', '2026-11-30T00:00:00Z' FROM thing t JOIN split_part s ON s.split = t.split WHERE t.id = ${thing}`;
    expect((await house.document(path)).status).toBe(200);
    for (const visibility of ["followers", "direct"]) {
      await database.sql`UPDATE post SET visibility = ${visibility} WHERE id = 77`;
      expect((await house.document(path)).status).toBe(404);
    }
    await database.sql`DELETE FROM post WHERE id = 77`;
    expect((await house.document(path)).status).toBe(200);
    await takeBackFlattr(database, { patron: bob.id, thing, at: at("2026-11-30") });
    expect((await house.document(path)).status).toBe(404);
  });
});

describe("the instance", () => {
  test("is an actor with its keys and its ledger, readable without a signature", async () => {
    const { house } = await town();
    const document = await read(house, "/actor");
    expect(document).toMatchObject({
      id: `${HOME}/actor`,
      type: "Application",
      preferredUsername: "home.example",
      inbox: `${HOME}/inbox`,
      assertionMethod: [{ ...STATEMENT_KEY, type: "Multikey", controller: `${HOME}/actor` }],
      attachment: [
        {
          type: "Link",
          href: `${HOME}/ledger`,
          mediaType: "application/activity+json",
          rel: "https://w3id.org/fep/9b24#ledger",
        },
      ],
      publicKey: { id: `${HOME}/actor#main-key`, owner: `${HOME}/actor` },
    });
    for (const name of ["outbox", "followers", "following"])
      expect(await read(house, `/actor/${name}`)).toMatchObject({
        type: "OrderedCollection",
        totalItems: 0,
      });
  });

  test.each([
    ["https://home.example/", "https://home.example/"],
    ["https://home.example", "https://home.example/"],
    ["https://home.example/actor", "acct:home.example@home.example"],
    ["acct:home.example@home.example", "acct:home.example@home.example"],
  ])("is found by %s", async (resource, subject) => {
    const { house } = await town();
    const answer = await house.fetch(
      `/.well-known/webfinger?resource=${encodeURIComponent(resource)}`,
    );
    expect(answer.headers.get("content-type")).toBe("application/jrd+json");
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    const document = (await answer.json()) as { subject: string; links: Json[] };
    expect(document.subject).toBe(subject);
    expect(document.links).toContainEqual({
      rel: "self",
      type: "application/activity+json",
      href: `${HOME}/actor`,
    });
  });

  test.each([
    "acct:bob@home.example",
    "acct:BOB@HOME.example",
    "https://home.example/users/bob",
    "https://home.example/@bob",
  ])("knows %s", async (resource) => {
    const { house } = await town();
    const document = await read(
      house,
      `/.well-known/webfinger?resource=${encodeURIComponent(resource)}`,
    );
    expect(document["subject"]).toBe("acct:bob@home.example");
    expect(document["links"]).toContainEqual({
      rel: "self",
      type: "application/activity+json",
      href: `${HOME}/users/bob`,
    });
  });

  test.each([
    ["acct:nobody@home.example", 404],
    ["acct:bob@other.example", 404],
    ["https://other.example/", 404],
    ["https://home.example/users/nobody", 404],
    ["", 400],
    ["nonsense", 400],
  ])("does not know %s", async (resource, status) => {
    const { house } = await town();
    expect(
      (await house.fetch(`/.well-known/webfinger?resource=${encodeURIComponent(resource)}`)).status,
    ).toBe(status);
  });

  test("says where WebFinger is", async () => {
    const { house } = await town();
    const xml = await house.fetch("/.well-known/host-meta");
    expect(xml.headers.get("content-type")).toMatch(/^application\/xrd\+xml/);
    expect(await xml.text()).toContain(`template="${HOME}/.well-known/webfinger?resource={uri}"`);
    expect(await read(house, "/.well-known/host-meta.json")).toMatchObject({
      links: [{ rel: "lrdd", template: `${HOME}/.well-known/webfinger?resource={uri}` }],
    });
  });

  test("says what it is, in two versions of NodeInfo", async () => {
    const { house, write } = await town();
    await write("Hello");
    const { links } = (await read(house, "/.well-known/nodeinfo")) as {
      links: { rel: string; href: string }[];
    };
    expect(links.map(({ rel }) => rel.split("/").at(-1))).toEqual(["2.0", "2.1"]);
    for (const { rel, href } of links) {
      expect(href.startsWith(HOME)).toBe(true);
      const answer = await house.fetch(pathOf(href));
      expect(answer.headers.get("content-type")).toContain(rel);
      expect(await answer.json()).toMatchObject({
        version: rel.split("/").at(-1),
        software: { name: "fediflattr", version: "0.1.0" },
        protocols: ["activitypub"],
        openRegistrations: false,
        usage: { users: { total: 1 }, localPosts: 1 },
        metadata: {
          upstream: { name: "mastodon" },
          custody: "prepaid",
          payments: {
            spec: "https://w3id.org/fep/9b24",
            actor: `${HOME}/actor`,
            currencies: ["EUR"],
          },
        },
      });
    }
    expect((await house.fetch("/nodeinfo/3.0")).status).toBe(404);
  });

  test("names itself by its origin, whatever the request says", async () => {
    const { house, write } = await town();
    const { uri } = await write("Hello");
    const headers = {
      accept: "application/activity+json",
      "x-forwarded-host": "evil.example",
      "x-forwarded-proto": "http",
      forwarded: "host=evil.example",
    };
    for (const path of [
      "/actor",
      "/users/bob",
      "/users/bob/outbox",
      "/users/bob/outbox?cursor=0",
      "/users/bob/followers",
      pathOf(uri),
      "/.well-known/nodeinfo",
      "/nodeinfo/2.1",
      "/.well-known/host-meta",
      "/.well-known/webfinger?resource=acct:bob@home.example",
    ]) {
      // The test itself asks at 127.0.0.1.
      const text = await (await house.fetch(path, { headers })).text();
      expect(text, path).toContain("https://home.example/");
      expect(text, path).not.toMatch(/127\.0\.0\.1|evil\.example|http:\/\/home/);
    }
  });

  test("is found by scripts of any page, which ask first whether they may", async () => {
    const { house } = await town();
    const ask = (path: string) =>
      house.fetch(path, {
        method: "OPTIONS",
        headers: {
          origin: "https://phanpy.example",
          "access-control-request-method": "GET",
          "access-control-request-headers": "authorization",
        },
      });
    for (const path of ["/.well-known/nodeinfo", "/nodeinfo/2.1", "/.well-known/webfinger"]) {
      const answer = await ask(path);
      expect(answer.status, path).toBe(204);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      expect(answer.headers.get("access-control-allow-headers")).toMatch(/authorization/i);
    }
    expect((await ask("/settings")).headers.get("access-control-allow-origin")).toBeNull();
  });

  test("shows nobody's money, budgets or private flattrs", async () => {
    const { database, house, write } = await town();
    const marked = await person(database, "marked", { budget: "7.77", money: "123.45" });
    const { uri } = await write("Hello");
    const secret = await remotePost(
      database,
      "https://far.example/secret-thing",
      "https://far.example/users/ann",
    );
    const { flattr } = await giveFlattr(database, {
      patron: marked.id,
      thing: secret,
      source: "click",
      private: true,
      at: at("2026-11-10"),
    });
    for (const path of [
      "/users/marked",
      "/users/marked/outbox?cursor=0",
      "/users/marked/followers?cursor=0",
      "/users/marked/following?cursor=0",
      pathOf(uri),
      `/likes/${flattr}`,
      "/actor",
      "/nodeinfo/2.1",
      "/periods/2026-11",
    ])
      for (const accept of ["application/activity+json", HTML]) {
        const text = await (await house.document(path, accept)).text();
        expect(text, path).not.toMatch(/7\.77|7770000|123\.45|123450000|secret-thing|marked@mail/);
      }
  });
});

describe("what is asked for", () => {
  test.each([
    [null, false],
    ["*/*", false],
    ["text/html", false],
    ["application/activity+json", true],
    [
      'application/ld+json; profile="https://www.w3.org/ns/activitystreams", application/activity+json',
      true,
    ],
    ["text/html, application/activity+json", false],
    ["application/activity+json, text/html", true],
    ["text/html;q=0.5, application/activity+json", true],
    ["application/activity+json;q=0, text/html", false],
    ["application/activity+json;q=0", false],
    ["text/plain", false],
    ["image/png,application/json", true],
  ])("%s: a document? %s", (accept, wanted) => {
    expect(wantsDocument(accept)).toBe(wanted);
  });
});
