import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { mediaRoutes } from "../../src/edges/web/media.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import { updateProfile } from "../../src/features/post/profile.ts";
import { isMoneyField, MONEY_FIELD_NAMES } from "../../src/rules/money-fields.ts";
import { isLongerThan, typedLine, typedText } from "../../src/rules/typed.ts";
import { openMasterKey } from "../../src/store/keys.ts";
import type { Account } from "../../src/features/account/create.ts";
import type { Database } from "../../src/store/database.ts";
import { at, person, testDatabase, testMasterKeyFile } from "../support/database.ts";
import { clientHouse } from "../support/client.ts";
import { neighbour, openHouse } from "../support/house.ts";
import { animation, canvas, formOf, photograph } from "../support/pictures.ts";

const HOME = "https://home.example";
const PATH = "/api/v1/accounts/update_credentials";
const NOON = at("2026-11-20");

type Json = Record<string, unknown>;

async function town() {
  const database = await testDatabase();
  const bob = await person(database, "bob");
  const house = clientHouse(database);
  const api = await house.as(bob, "write:accounts");
  const change = (body: FormData | URLSearchParams | object) =>
    body instanceof URLSearchParams
      ? api("PATCH", PATH, body.toString(), { "content-type": "application/x-www-form-urlencoded" })
      : api("PATCH", PATH, body);
  const web = mediaRoutes(database);
  const picture = async (address: unknown) => {
    const answer = await web.request(new URL(address as string).pathname);
    return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
  };
  return { database, bob, house, api, change, picture };
}

const rowsOf = async ({ sql }: Database) => ({
  actor: (
    await sql`SELECT display_name, summary, icon, header, kind, is_locked, is_indexable, fields FROM actor WHERE name = 'bob'`
  )[0],
  account: (
    await sql`SELECT note, fields, post_visibility, posts_sensitive, post_language, is_discoverable FROM account WHERE name = 'bob'`
  )[0],
  media: (await sql<[{ many: number }]>`SELECT count(*)::int AS many FROM media`)[0].many,
});

describe("a profile", () => {
  test("changes by JSON, in everything that clients change", async () => {
    const { database, change } = await town();
    const { status, body } = await change({
      display_name: " Bob  Builder ",
      note: "I build.\n\nhttps://bob.example/ #Building",
      locked: true,
      bot: true,
      discoverable: false,
      indexable: true,
      fields_attributes: [
        { name: "Web", value: "https://bob.example/" },
        { name: "Pronouns", value: "he" },
        { name: "", value: "" },
      ],
      source: { privacy: "private", sensitive: true, language: "de" },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      username: "bob",
      display_name: "Bob Builder",
      note: expect.stringContaining('<a href="https://bob.example/"'),
      locked: true,
      bot: true,
      discoverable: false,
      indexable: true,
      source: {
        privacy: "private",
        sensitive: true,
        language: "de",
        note: "I build.\n\nhttps://bob.example/ #Building",
        fields: [
          { name: "Web", value: "https://bob.example/" },
          { name: "Pronouns", value: "he" },
        ],
      },
    });
    expect((body["fields"] as Json[]).slice(0, 2)).toEqual([
      {
        name: "Web",
        value: expect.stringMatching(
          /^<a href="https:\/\/bob\.example\/"[^>]*>https:\/\/bob\.example\/<\/a>$/,
        ),
        verified_at: null,
      },
      { name: "Pronouns", value: "he", verified_at: null },
    ]);
    expect((await rowsOf(database)).account).toMatchObject({ post_visibility: "followers" });
    // What is not named stays.
    const again = await change({ bot: "0" });
    expect(again.body).toMatchObject({ bot: false, locked: true, display_name: "Bob Builder" });
    expect(
      (
        await change({
          display_name: "",
          note: "",
          fields_attributes: [],
          source: { language: "" },
        })
      ).body,
    ).toMatchObject({
      display_name: "",
      note: "",
      fields: expect.not.arrayContaining([expect.objectContaining({ name: "Web" })]),
      source: { fields: [], note: "", language: null, privacy: "private" },
    });
  });

  test("changes by forms, with fields that are numbered, listed or both", async () => {
    const { change } = await town();
    const fields = async (form: FormData | URLSearchParams) =>
      ((await change(form)).body["source"] as { fields: Json[] }).fields.map(({ name, value }) => [
        name,
        value,
      ]);
    expect(
      await fields(
        new URLSearchParams({
          "fields_attributes[1][name]": "Second",
          "fields_attributes[1][value]": "2",
          "fields_attributes[0][name]": "First",
          "fields_attributes[0][value]": "1",
        }),
      ),
    ).toEqual([
      ["First", "1"],
      ["Second", "2"],
    ]);
    const listed = new FormData();
    for (const [name, value] of [
      ["One", "1"],
      ["Two", "2"],
    ] as const) {
      listed.append("fields_attributes[][name]", name);
      listed.append("fields_attributes[][value]", value);
    }
    expect(await fields(listed)).toEqual([
      ["One", "1"],
      ["Two", "2"],
    ]);
    const { body } = await change(
      new URLSearchParams({ "source[privacy]": "unlisted", locked: "true" }),
    );
    expect(body).toMatchObject({ locked: true, source: { privacy: "unlisted" } });
  });

  test("has pictures, cut and made anew; the old ones go with the change", async () => {
    const { database, api, change, picture } = await town();
    const { body } = await change(
      formOf({
        avatar: await photograph(900, 500),
        header: await canvas(4000, 4000).png().toBuffer(),
      }),
    );
    expect(body["avatar"]).toMatch(/^https:\/\/home\.example\/media\/[0-9a-f]{32}\.webp$/);
    expect(await sharp((await picture(body["avatar"])).bytes).metadata()).toMatchObject({
      width: 400,
      height: 400,
      format: "webp",
    });
    expect(await sharp((await picture(body["header"])).bytes).metadata()).toMatchObject({
      width: 1500,
      height: 500,
    });
    expect((await picture(body["avatar"])).bytes.includes("SECRET")).toBe(false);
    const next = await change(formOf({ avatar: await animation(3) }));
    expect(next.body["avatar"]).not.toBe(body["avatar"]);
    expect(next.body["header"]).toBe(body["header"]);
    expect((await picture(body["avatar"])).status).toBe(404);
    expect((await rowsOf(database)).media).toBe(2);
    // Saved as it was read: an address is no new picture.
    expect(
      (await change({ avatar: next.body["avatar"], header: next.body["header"] })).body,
    ).toMatchObject({
      avatar: next.body["avatar"],
      header: body["header"],
    });
    const gone = await api("DELETE", "/api/v1/profile/avatar");
    expect(gone).toMatchObject({
      status: 200,
      body: { avatar: `${HOME}/avatars/missing.png`, header: body["header"] },
    });
    expect((await api("DELETE", "/api/v1/profile/header")).body["header"]).toBe(
      `${HOME}/headers/missing.png`,
    );
    expect((await api("DELETE", "/api/v1/profile/header")).status).toBe(200);
    expect((await rowsOf(database)).media).toBe(0);
  });

  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>');
  test.each([
    [{ display_name: "x".repeat(101) }, "profile_invalid"],
    [{ display_name: "💶".repeat(101) }, "profile_invalid"],
    [{ note: "x".repeat(501) }, "profile_invalid"],
    [
      { fields_attributes: Array.from({ length: 9 }, (_, n) => ({ name: `n${n}`, value: "x" })) },
      "profile_invalid",
    ],
    [{ fields_attributes: [{ name: "x".repeat(101), value: "x" }] }, "profile_invalid"],
    [{ fields_attributes: [{ name: "x", value: "x".repeat(256) }] }, "profile_invalid"],
    [{ fields_attributes: [{ name: "\u200b", value: "x" }] }, "profile_invalid"],
    [{ source: { privacy: "direct" } }, "profile_invalid"],
    [{ source: { privacy: "constructor" } }, "profile_invalid"],
    [{ source: { language: "<b>" } }, "profile_invalid"],
    [{ avatar: svg }, "media_invalid"],
    [{ header: Buffer.from("<html><script>1</script>") }, "media_invalid"],
  ])("is refused as a whole: %#", async (fields, error) => {
    const { database, change } = await town();
    const before = await rowsOf(database);
    const isForm = "avatar" in fields || "header" in fields;
    const { status, body } = await change(
      isForm
        ? formOf({ ...(fields as Record<string, Buffer>), note: "changed" })
        : { note: "changed", locked: true, ...fields },
    );
    expect([status, body["error"]]).toEqual([422, error]);
    expect(body["error_description"]).toMatch(/^[A-Z].*\.$/);
    expect(await rowsOf(database)).toEqual(before);
  });

  test("holds as much as it says", async () => {
    const { change } = await town();
    const { status, body } = await change({
      display_name: "💶".repeat(100),
      note: "ä".repeat(500),
      fields_attributes: Array.from({ length: 8 }, (_, n) => ({
        name: `${n}`.repeat(100),
        value: "é".repeat(255),
      })),
    });
    expect(status).toBe(200);
    expect((body["source"] as Json)["fields"]).toHaveLength(8);
  });

  test("is changed by nobody else, and by no app without the scope", async () => {
    const { database, bob, house } = await town();
    const before = await rowsOf(database);
    const weak = await house.as(bob, "read write:media profile");
    const mallory = await house.as(await person(database, "mallory"), "write");
    for (const [method, path] of [
      ["PATCH", PATH],
      ["DELETE", "/api/v1/profile/avatar"],
      ["DELETE", "/api/v1/profile/header"],
    ] as const) {
      const body = { display_name: "Mallory", id: String(bob.actor) };
      expect((await house.ask(method, path, body)).status).toBe(401);
      expect((await weak(method, path, body)).status).toBe(403);
      expect((await mallory(method, path, body)).body.username).toBe("mallory");
    }
    expect(await rowsOf(database)).toEqual(before);
  });
});

describe("what is typed", () => {
  const EVIL = [
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '"><script>alert(1)</script>',
    "javascript:alert(1)",
    "<a href='javascript:alert(1)'>x</a>",
    'https://x.example/"onmouseover="alert(1)',
    "<style>*{background:url(//evil.test)}</style>",
    "data:text/html,<script>1</script>",
    "&lt;script&gt;",
  ];
  test("is words and nothing else", async () => {
    const { database, change } = await town();
    const house = await openHouse(database);
    for (const evil of EVIL) {
      const { body } = await change({
        display_name: evil,
        note: evil,
        fields_attributes: [{ name: evil, value: evil }],
      });
      const [field] = body.fields as Json[];
      for (const html of [body.note, field!["value"]] as string[])
        for (const [tag, name] of html.matchAll(/<\/?([^\s>]*)[^>]*>?/g)) {
          expect(["p", "br", "a", "span"]).toContain(name);
          expect(tag).not.toMatch(/\son|javascript:|data:|style/i);
        }
      expect(body.source.note).toBe(evil);
      // Names are plain text: whoever shows one escapes it.
      expect(body.display_name).toBe(evil);
      const page = await (await house.document("/users/bob", "text/html")).text();
      expect(page).not.toMatch(/<img|<svg|<script|<style>|="javascript:/i);
    }
  });

  test("hides nothing and turns nothing around", async () => {
    const { database, change } = await town();
    const nasty = "B\u202eo\u200bb\u0000 \u2066x\u2069\ud800 \u0007A\ufeff";
    const { body } = await change({
      display_name: nasty,
      note: `one\r\ntwo ${nasty}`,
      fields_attributes: [{ name: nasty, value: nasty }],
    });
    expect(body["display_name"]).toBe("Bob x A");
    const everything = JSON.stringify([body, await rowsOf(database)]);
    expect(everything).not.toMatch(
      /[\u202a-\u202e\u2066-\u2069\ufeff\ud800]|\\u0000|\\u0007|\\ufffd/,
    );
    expect((body["source"] as Json)["note"]).toMatch(/^one\ntwo Bo/);
    expect((body["fields"] as Json[])[0]!["name"]).toBe("Bob x A");
  });

  test("keeps what writing needs", () => {
    for (const words of ["👩‍👩‍👧", "می‌خواهم", "שלום‏!", "❤️", "tab\tstays", "a\n\nb"])
      expect(typedText(words)).toBe(words);
    expect(typedLine(" a\n b\tc ")).toBe("a b c");
    expect(typedText("a\r\nb\rc\u2028d")).toBe("a\nb\nc\nd");
    expect([
      isLongerThan("💶💶", 2),
      isLongerThan("💶💶a", 2),
      isLongerThan("x".repeat(1e7), 5),
    ]).toEqual([false, true, true]);
  });
});

describe("a profile saved as it was read", () => {
  test("holds no amount", async () => {
    const { database, change } = await town();
    await change({ fields_attributes: [{ name: "Web", value: "bob.example" }] });
    const read = [
      { name: "Web", value: "bob.example" },
      ...Object.values(MONEY_FIELD_NAMES).flatMap((names) =>
        Object.values(names).map((name) => ({ name, value: "5.00 EUR SECRET" })),
      ),
    ];
    const { status, body } = await change({ fields_attributes: read });
    expect(status).toBe(200);
    expect((body["source"] as Json)["fields"]).toEqual([
      { name: "Web", value: "bob.example", verified_at: null },
    ]);
    // As programs write names back.
    for (const write of [
      (name: string) => name.replace("💶 ", ""),
      (name: string) => name.toUpperCase(),
      (name: string) => ` ${name} :`,
      (name: string) => name.replaceAll(" ", "\u00a0"),
      (name: string) => name.replaceAll("-", "‑"),
    ])
      expect(
        await change({
          fields_attributes: read
            .slice(1, 9)
            .map(({ name, value }) => ({ name: write(name), value })),
        }),
      ).toMatchObject({ status: 200, body: { source: { fields: [] } } });
    const house = await openHouse(database);
    expect(await (await house.document("/users/bob")).text()).not.toMatch(/SECRET|EUR/);
    expect(JSON.stringify(await rowsOf(database))).not.toMatch(/SECRET/);
  });

  test("keeps fields that only look alike", () => {
    for (const name of ["Budget", "Flattr", "Flattr:", "Clicks", "Money", ""])
      expect([name, isMoneyField(name)]).toEqual([name, false]);
  });
});

describe("followers elsewhere", () => {
  const messages = async ({ sql }: Database) =>
    (
      await sql<{ document: string; activity: string; inbox: string }[]>`
        SELECT m.document, d.activity, d.inbox FROM delivery d JOIN message m ON m.id = d.message ORDER BY d.id`
    ).map(({ document, ...rest }) => ({ ...rest, document: JSON.parse(document) as Json }));

  async function followed(database: Database, bob: Account) {
    const ann = await neighbour(database);
    await database.sql`INSERT INTO follow (follower, followee, state, since) VALUES (${ann.id}, ${bob.actor}, 'accepted', '2026-11-02T00:00:00Z')`;
    const vault = await openMasterKey(testMasterKeyFile(), undefined);
    return openActorKeys(database, vault, { now: () => NOON, real: () => NOON }).keyPairOf(
      bob.actor,
    );
  }

  test("are told all that is served, key included", async () => {
    const { database, bob, change } = await town();
    const { publicPem } = await followed(database, bob);
    await change(
      formOf({
        avatar: await canvas(50, 50).png().toBuffer(),
        header: await canvas(90, 30).png().toBuffer(),
        display_name: "Bob",
        note: "Hello",
        bot: "true",
        discoverable: "false",
        indexable: "true",
        "fields_attributes[0][name]": "Web",
        "fields_attributes[0][value]": "https://bob.example",
      }),
    );
    const [told, ...others] = await messages(database);
    expect(others).toEqual([]);
    expect(told).toMatchObject({
      activity: "Update",
      inbox: "https://far.example/inbox",
      document: {
        id: expect.stringMatching(/^https:\/\/home\.example\/users\/bob#updates\/\d+$/),
        type: "Update",
        actor: `${HOME}/users/bob`,
        to: ["https://www.w3.org/ns/activitystreams#Public"],
        cc: [`${HOME}/users/bob/followers`],
      },
    });
    const house = await openHouse(database);
    const served = (await (await house.document("/users/bob")).json()) as Json;
    const { "@context": context, ...bare } = served;
    expect(told!.document["object"]).toEqual(bare);
    expect(told!.document["@context"]).toEqual(context);
    expect(bare).toMatchObject({
      type: "Service",
      name: "Bob",
      summary: "<p>Hello</p>",
      discoverable: false,
      indexable: true,
      icon: {
        type: "Image",
        mediaType: "image/webp",
        url: expect.stringMatching(/^https:\/\/home\.example\/media\/\w+\.webp$/),
      },
      image: {
        type: "Image",
        mediaType: "image/webp",
        url: expect.stringMatching(/^https:\/\/home\.example\/media\/\w+\.webp$/),
      },
      attachment: [
        {
          type: "PropertyValue",
          name: "Web",
          value: expect.stringContaining('href="https://bob.example"'),
        },
      ],
      publicKey: {
        id: `${HOME}/users/bob#main-key`,
        owner: `${HOME}/users/bob`,
        publicKeyPem: publicPem,
      },
      inbox: `${HOME}/users/bob/inbox`,
      endpoints: { sharedInbox: `${HOME}/inbox` },
    });
  });

  test("are told once of many changes, and not of what nobody sees, nor of nothing", async () => {
    const { database, bob, change } = await town();
    await followed(database, bob);
    await change({ source: { privacy: "private", language: "nl", sensitive: true } });
    await change({ display_name: "", note: "", bot: false, locked: false, fields_attributes: [] });
    expect(await messages(database)).toEqual([]);
    for (const name of ["One", "Two", "Three"]) await change({ display_name: name });
    expect(
      (await messages(database)).map(({ document }) => (document["object"] as Json)["name"]),
    ).toEqual(["Three"]);
    await updateProfile(database, { account: bob, isLocked: true, at: NOON });
    expect(
      (await messages(database)).map(
        ({ document }) => (document["object"] as Json)["manuallyApprovesFollowers"],
      ),
    ).toEqual([true]);
    expect(await database.sql`SELECT FROM message`).toHaveLength(1);
  });

  test("who never read him are told nothing: they read him before they believe him", async () => {
    const { database, bob, change } = await town();
    const ann = await neighbour(database);
    await database.sql`INSERT INTO follow (follower, followee, state, since) VALUES (${ann.id}, ${bob.actor}, 'accepted', '2026-11-02T00:00:00Z')`;
    expect((await change({ display_name: "New" })).status).toBe(200);
    expect(await messages(database)).toEqual([]);
  });
});
