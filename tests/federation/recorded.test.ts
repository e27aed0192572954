/** What other servers really send passes the door, and nothing that differs from it in anything. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Door, openDoor } from "../../src/edges/federation/door.ts";
import { openFetcher } from "../../src/edges/federation/fetch.ts";
import { type Profile, profileOfDocument } from "../../src/features/account/document.ts";
import { rememberProfile } from "../../src/features/account/remember.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import { openEgress } from "../../src/store/egress.ts";
import { openVault } from "../../src/store/keys.ts";
import { Temporal } from "../../src/store/time.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { ANY_RATE, testClock } from "../support/receiver.ts";
import { documents, fixturesFolder } from "../support/vectors.ts";

interface Sample {
  readonly to: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
  readonly rawBody: string;
}

const folder = join(fixturesFolder, "activities");
const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));
const samples = readdirSync(folder)
  .filter((name) => name.endsWith(".json") && !/^(?:index|keys)/.test(name))
  .sort()
  .map((name) => [name, read(name) as Sample] as const);
const publicPems = read("keys.json") as Readonly<Record<string, string>>;

/** The server that got a sample, at the time when it came, knowing all senders. It can ask nobody. */
async function knowing(database: TestDatabase, { to, headers }: Sample) {
  const origin = `https://${to}`;
  const own = { ...database, settings: { ...database.settings, origin } };
  const date = headers["date"]!;
  const clock = testClock(new Date(date).toISOString());
  let asked = 0;
  const nobody = async () => {
    asked += 1;
    throw Object.assign(new Error("no network"), { code: "ENOTFOUND" });
  };
  const egress = openEgress({ allowedPrivate: [], userAgent: "Fediflattr/test", lookup: nobody });
  onTestFinished(() => egress.close());
  const keys = openActorKeys(own, openVault(new Uint8Array(32)), clock);
  const fetcher = openFetcher({ database: own, egress, keys, clock, origin });
  const door = openDoor({
    database: own,
    fetcher,
    clock,
    origin,
    isAllowedPrivate: () => false,
    limits: ANY_RATE,
  });
  return { door, clock, asked: () => asked };
}

async function knock(
  door: Door,
  { to, path, headers, rawBody }: Sample,
): Promise<{ status: number; activity?: unknown }> {
  const request = new Request(`https://${to}${path}`, {
    method: "POST",
    headers: { ...headers },
    body: rawBody,
  });
  let activity: unknown;
  const { status } = await door(request, "198.51.100.7", async (entry) => {
    if ("activity" in entry) activity = entry.activity;
    return new Response(null, { status: 202 });
  });
  return { status, ...(activity === undefined ? {} : { activity }) };
}

let database: TestDatabase;
let finish: () => Promise<void>;

// One database for all: nothing in here changes it.
beforeAll(async () => {
  database = await testDatabase({}, (later) => (finish = later));
  for (const [keyId, publicPem] of Object.entries(publicPems)) {
    const sample = samples.find(([, { headers }]) =>
      `${headers["signature"]} ${headers["signature-input"]}`.includes(`"${keyId}"`),
    );
    if (sample === undefined) continue;
    const uri = sample[1].body["actor"] as string;
    const profile: Profile = {
      uri,
      kind: "Person",
      isLocked: false,
      fields: [],
      alsoKnownAs: [],
      keys: [{ id: keyId, publicPem }],
    };
    await database.drizzle.transaction((tx) =>
      rememberProfile(tx, profile, Temporal.Instant.from("2026-11-20T00:00:00Z")),
    );
  }
});

afterAll(() => finish());

test("there is something to look at, of each server", () => {
  expect(samples.length).toBeGreaterThanOrEqual(25);
  expect(new Set(samples.map(([name]) => name.split("-")[0]))).toEqual(
    new Set(["gts", "hollo", "misskey", "snac"]),
  );
});

describe.each(samples)("%s", (_, sample) => {
  test("gets in when it came, without a question to anybody", async () => {
    const { door, asked } = await knowing(database, sample);
    const { proof: _proof, signature: _signature, ...rest } = sample.body;
    expect(await knock(door, sample)).toEqual({ status: 202, activity: rest });
    expect(asked()).toBe(0);
  });

  test("does not get in two hours earlier or later", async () => {
    const { door, clock } = await knowing(database, sample);
    for (const hours of [2, -4]) {
      clock.forward({ hours });
      expect((await knock(door, sample)).status).toBe(401);
    }
  });

  test("does not get in with another byte, by another path, at another server, or signed twice", async () => {
    const { door, asked } = await knowing(database, sample);
    const { id } = sample.body as { id: string };
    const changed = sample.rawBody.replace(id, `${id.slice(0, -1)}${id.endsWith("x") ? "y" : "x"}`);
    expect(changed).not.toBe(sample.rawBody);
    expect((await knock(door, { ...sample, rawBody: changed })).status).toBe(401);
    expect((await knock(door, { ...sample, rawBody: `${sample.rawBody} ` })).status).toBe(401);
    expect((await knock(door, { ...sample, path: "/other" })).status).toBe(401);
    const elsewhere = await knowing(database, { ...sample, to: "other.h6.test" });
    expect((await knock(elsewhere.door, sample)).status).toBe(401);
    for (const name of ["signature", "signature-input"]) {
      const value = sample.headers[name];
      if (value === undefined) continue;
      const headers = { ...sample.headers, [name]: `${value}, ${value.replace("sig1", "sig2")}` };
      expect((await knock(door, { ...sample, headers })).status).toBe(401);
    }
    // Its server was asked for a new key once, not for each of these.
    expect(asked()).toBeLessThanOrEqual(1);
    expect((await knock(door, sample)).status).toBe(202);
  });
});

describe("profiles", () => {
  const actors = documents().filter(([name]) => name.endsWith("-actor.json"));

  test.each(actors)("%s can be read, and its key is the one that signs", (_, { body, url }) => {
    const profile = profileOfDocument(body, url);
    expect(profile).toMatchObject({
      uri: url,
      kind: "Person",
      inbox: body["inbox"],
      outbox: body["outbox"],
      followers: body["followers"],
      isLocked: false,
      keys: [{ id: expect.any(String) }],
    });
    const [key] = profile.keys;
    expect(key!.publicPem).toBe(publicPems[key!.id]);
  });

  test.each(actors)("%s is not read as somebody else", (_, { body, url }) => {
    for (const from of [`${url}/`, url.replace("h6.test", "e.test"), "https://e.test/users/e"])
      expect(() => profileOfDocument(body, from)).toThrow("document_invalid");
  });

  test("as Mastodon writes it", () => {
    const uri = "https://mastodon.example/users/carol";
    const pem = publicPems["https://snac1.h6.test/user1#main-key"]!;
    const document = {
      "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
      id: uri,
      type: "Person",
      following: `${uri}/following`,
      followers: `${uri}/followers`,
      inbox: `${uri}/inbox`,
      outbox: `${uri}/outbox`,
      featured: `${uri}/collections/featured`,
      preferredUsername: "carol",
      name: "Carol 🎨",
      summary: "<p>Paints.</p>",
      url: "https://mastodon.example/@carol",
      manuallyApprovesFollowers: true,
      movedTo: "https://elsewhere.example/users/carol",
      alsoKnownAs: ["https://old.example/users/carol", "javascript:alert(1)"],
      publicKey: { id: `${uri}#main-key`, owner: uri, publicKeyPem: pem },
      tag: [],
      attachment: [
        { type: "PropertyValue", name: "Shop", value: '<a href="https://shop.example">shop</a>' },
        { type: "Link", name: "Ledger", href: "https://mastodon.example/ledger" },
      ],
      endpoints: { sharedInbox: "https://mastodon.example/inbox" },
      icon: { type: "Image", mediaType: "image/png", url: "https://files.example/a.png" },
      image: { type: "Image", mediaType: "image/png", url: "https://files.example/h.png" },
      discoverable: true,
      indexable: true,
    };
    expect(profileOfDocument(document, uri)).toEqual({
      uri,
      kind: "Person",
      name: "carol",
      displayName: "Carol 🎨",
      summary: "<p>Paints.</p>",
      url: "https://mastodon.example/@carol",
      icon: "https://files.example/a.png",
      header: "https://files.example/h.png",
      inbox: `${uri}/inbox`,
      sharedInbox: "https://mastodon.example/inbox",
      outbox: `${uri}/outbox`,
      followers: `${uri}/followers`,
      following: `${uri}/following`,
      movedTo: "https://elsewhere.example/users/carol",
      isLocked: true,
      isIndexable: true,
      fields: [{ name: "Shop", value: '<a href="https://shop.example">shop</a>' }],
      alsoKnownAs: ["https://old.example/users/carol"],
      keys: [{ id: `${uri}#main-key`, publicPem: pem }],
    });
  });

  test("as Misskey writes it: lists, nulls, and what is not kept", () => {
    const uri = "https://misskey.example/users/9abc";
    const profile = profileOfDocument(
      {
        type: ["Person", "https://misskey-hub.net/ns#Cat"],
        id: uri,
        inbox: `${uri}/inbox`,
        sharedInbox: "https://misskey.example/inbox",
        endpoints: { sharedInbox: "https://misskey.example/inbox" },
        url: [
          { type: "Link", href: "https://misskey.example/raw", mediaType: "text/plain" },
          { type: "Link", href: "https://misskey.example/@neko", mediaType: "text/html" },
        ],
        preferredUsername: "neko",
        name: null,
        summary: null,
        _misskey_summary: null,
        icon: [{ type: "Image", url: [{ type: "Link", href: "https://misskey.example/i.webp" }] }],
        image: null,
        attachment: [],
        manuallyApprovesFollowers: false,
        isCat: true,
        followers: "https://elsewhere.example/followers",
        movedTo: "javascript:alert(1)",
      },
      uri,
    );
    expect(profile).toEqual({
      uri,
      kind: "Person",
      name: "neko",
      url: "https://misskey.example/@neko",
      icon: "https://misskey.example/i.webp",
      inbox: `${uri}/inbox`,
      sharedInbox: "https://misskey.example/inbox",
      isLocked: false,
      isIndexable: false,
      fields: [],
      alsoKnownAs: [],
      keys: [],
    });
  });

  test("long texts are cut, odd names are none", () => {
    const uri = "https://e.example/users/e";
    const long = {
      id: uri,
      type: "Service",
      preferredUsername: "e@v.example",
      name: "🎨".repeat(2_000_000),
      summary: `\0${"x".repeat(1_000_000)}`,
      alsoKnownAs: Array.from({ length: 1_000 }, (_, place) => `https://e.example/${place}`),
      attachment: Array.from({ length: 1_000 }, () => ({
        type: "PropertyValue",
        name: "n".repeat(10_000),
        value: "v".repeat(10_000),
      })),
    };
    const profile = profileOfDocument(long, uri);
    expect(profile.name).toBeUndefined();
    expect([...profile.displayName!]).toHaveLength(500);
    expect(profile.summary).toHaveLength(20_000);
    expect(profile.summary).not.toContain("\0");
    expect(profile.alsoKnownAs).toHaveLength(32);
    expect(profile.fields).toHaveLength(16);
    expect(profile.fields[0]!.value).toHaveLength(2_047);
  });
});
