import { describe, expect, test } from "vitest";
import { thingOfDocument } from "../../src/features/thing/document.ts";
import { findPayee, findThing } from "../../src/features/thing/find.ts";
import { rememberThing, thingAt } from "../../src/features/thing/thing.ts";
import { canonicalAddress, parseHandle, sameOrigin } from "../../src/rules/address.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { at, person, testDatabase } from "../support/database.ts";

const HOME = "https://far.example/notes/1";
const note = { id: HOME, type: "Note", attributedTo: "https://far.example/users/ann" };

/** The reason of a refusal; fails when nothing was refused. */
function refusal(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  return "accepted";
}

describe("addresses", () => {
  test.each([
    ["https://Blog.Example/2026/button#comments", "https://blog.example/2026/button"],
    ["https://blog.example:443/a/../b?utm_source=x&id=3&fbclid=y", "https://blog.example/b?id=3"],
    ["https://blog.example/#!/page", "https://blog.example/#!/page"],
    ["http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"],
    ["https://bücher.example/", "https://xn--bcher-kva.example/"],
  ])("%s is %s", (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
    expect(canonicalAddress(canonical)).toBe(canonical);
  });

  test.each([
    "javascript:alert(1)",
    "data:text/html,x",
    "blob:https://far.example/x",
    "file:///etc/passwd",
    "https://me:pw@far.example/",
    "//far.example/",
    "https://far.example/a\nb",
    "https://far.example/\u001b[2K",
    " https://far.example/",
    "https://far.example/\u0000",
    "https://far.example/\ud800",
    "https://far.example/a b",
    "",
    `https://far.example/${"x".repeat(2100)}`,
  ])("%j is none", (text) => {
    expect(canonicalAddress(text)).toBeUndefined();
    expect(sameOrigin(text, text)).toBe(false);
  });

  test.each([
    ["@ann@far.example", "ann", "far.example"],
    ["ann@Far.Example:8443", "ann", "far.example:8443"],
    ["@ann", "ann", undefined],
    ["a.n-n_1", "a.n-n_1", undefined],
  ])("%s is a handle", (text, name, host) => {
    expect(parseHandle(text)).toEqual({ name, host });
  });

  test.each([
    "",
    "@",
    "@@ann",
    "ann@",
    "ann@far/example",
    "a nn",
    "ann\n",
    "-ann",
    "https://far.example/@ann",
  ])("%j is no handle", (text) => {
    expect(parseHandle(text)).toBeUndefined();
  });
});

describe("a document", () => {
  test("names its authors; a group beside a person is where it was posted", () => {
    const of = (attributedTo: unknown) =>
      thingOfDocument({ ...note, attributedTo }, HOME).payees.map(({ payee }) => payee);
    const [ann, ben, club] = [
      "https://far.example/users/ann",
      "https://far.example/users/ben",
      "https://far.example/c/club",
    ];
    expect(of(ann)).toEqual([ann]);
    expect(of([ann, { id: ben, type: "Person" }])).toEqual([ann, ben]);
    expect(
      of([
        { id: club, type: "Group" },
        { id: ann, type: "Person" },
      ]),
    ).toEqual([ann]);
    expect(of({ id: club, type: "Group" })).toEqual([club]);
  });

  const hostile: [name: string, document: unknown, from: string, reason: string][] = [
    ["of another origin than it came from", note, "https://evil.example/1", "document_invalid"],
    [
      "whose author is somebody else's user",
      { ...note, attributedTo: "https://victim.example/users/ann" },
      HOME,
      "no_payee",
    ],
    ["without an author", { ...note, attributedTo: undefined }, HOME, "no_payee"],
    [
      "with an author that is no address",
      { ...note, attributedTo: ["ann", 5, null, {}, "https://far.example/u\n"] },
      HOME,
      "no_payee",
    ],
    ["that is an activity", { ...note, type: "Create" }, HOME, "document_invalid"],
    ["without a type", { ...note, type: undefined }, HOME, "document_invalid"],
    ["with an id that is no text", { ...note, id: { id: HOME } }, HOME, "document_invalid"],
    [
      "with an id that hides something",
      { ...note, id: `${HOME}\n\u001b[2K` },
      HOME,
      "document_invalid",
    ],
    [
      "with an opaque origin",
      { ...note, id: "data:x", attributedTo: "data:y" },
      "data:z",
      "document_invalid",
    ],
    ["that is a list", [note], HOME, "document_invalid"],
    ["that is nothing", null, HOME, "document_invalid"],
  ];
  test.each(hostile)("%s is refused", (_, document, from, reason) => {
    expect(refusal(() => thingOfDocument(document, from))).toBe(reason);
  });

  test("lends its thing only addresses of its own origin", () => {
    const { addresses } = thingOfDocument(
      { ...note, url: ["https://far.example/@ann/1", { href: "https://victim.example/article" }] },
      HOME,
    );
    expect(addresses).toEqual(["https://far.example/@ann/1"]);
  });
});

describe("a thing", () => {
  test("is found by its id, its page, and other spellings; nobody takes another's address over", async () => {
    const database = await testDatabase();
    const remember = (uri: string, addresses: string[]) =>
      database.drizzle.transaction((tx) =>
        rememberThing(
          tx,
          database.settings,
          {
            uri,
            kind: "Note",
            payees: [{ payee: "https://far.example/users/ann", weight: 1 }],
            addresses,
          },
          at("2026-11-02"),
        ),
      );
    const first = await remember(HOME, ["https://far.example/@ann/1"]);
    await remember("https://far.example/notes/2", ["https://far.example/@ann/1"]);
    for (const address of [
      HOME,
      "https://far.example/@ann/1",
      "https://FAR.example/@ann/1?utm_source=x#top",
    ]) {
      expect((await thingAt(database.drizzle, address))?.id).toBe(first);
    }
    expect(await thingAt(database.drizzle, "https://far.example/notes/3")).toBeUndefined();
    // Its author's neither, who is not a thing yet.
    const ann = "https://far.example/users/ann";
    await remember("https://far.example/notes/4", [ann]);
    expect(await thingAt(database.drizzle, ann)).toBeUndefined();
    expect(await findThing(database, ann, at("2026-11-02"))).not.toBe(first);
    expect((await thingAt(database.drizzle, ann))?.uri).toBe(ann);
  });

  test("that is a person of another server is found by its handle once its document is known", async () => {
    const database = await testDatabase();
    const rob = {
      id: "https://far.example/users/9",
      type: "Person",
      preferredUsername: "rob",
      name: "Robert",
    };
    expect(await findPayee(database, "@rob@far.example")).toBeUndefined();
    const thing = await database.drizzle.transaction((tx) =>
      rememberThing(tx, database.settings, thingOfDocument(rob, rob.id), at("2026-11-02")),
    );
    expect(await findPayee(database, "@rob@far.example")).toBe(rob.id);
    expect(await findThing(database, "@rob@far.example", at("2026-11-02"))).toBe(thing);
    // Who had the handle before and is gone is not meant, and of those who are left the newest is.
    const { sql } = database;
    const next = "https://far.example/users/10";
    await sql`UPDATE actor SET fetched_at = '2026-11-02', deleted_at = '2026-11-03' WHERE uri = ${rob.id}`;
    expect(await findPayee(database, "@rob@far.example")).toBeUndefined();
    await sql`
      INSERT INTO actor (id, uri, host, name, found_at, fetched_at)
      VALUES (new_id('2026-11-04'), ${next}, 'far.example', 'rob', '2026-11-04', '2026-11-04')`;
    expect(await findPayee(database, "@rob@far.example")).toBe(next);
    await sql`UPDATE actor SET deleted_at = NULL WHERE uri = ${rob.id}`;
    expect(await findPayee(database, "@rob@far.example")).toBe(next);
  });

  test("that is a person of this instance is found by name, handle and address", async () => {
    const database = await testDatabase();
    await person(database, "bob");
    const found = await Promise.all(
      ["bob", "@bob", "@Bob@home.example", "https://home.example/users/bob"].map((text) =>
        findThing(database, text, at("2026-11-02")),
      ),
    );
    expect(new Set(found).size).toBe(1);
    await expect(
      findThing(database, "https://home.example/users/nobody", at("2026-11-02")),
    ).rejects.toMatchObject({ reason: "no_payee" });
  });

  test("that gets other authors pays them for later flattrs only", async () => {
    const database = await testDatabase();
    const remember = (payee: string) =>
      database.drizzle.transaction((tx) =>
        rememberThing(
          tx,
          database.settings,
          { uri: HOME, kind: "Note", payees: [{ payee, weight: 1 }] },
          at("2026-11-02"),
        ),
      );
    const one = await remember("https://far.example/users/ann");
    const [before] = await database.sql<[{ split: bigint }]>`SELECT split FROM thing`;
    expect(await remember("https://far.example/users/ben")).toBe(one);
    const [after] = await database.sql<[{ split: bigint }]>`SELECT split FROM thing`;
    expect(after.split).not.toBe(before.split);
    expect(await database.sql`SELECT 1 FROM split`).toHaveLength(2);
  });
});
