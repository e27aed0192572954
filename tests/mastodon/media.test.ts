import { describe, expect, test } from "vitest";
import { writePost } from "../../src/features/post/write.ts";
import { at, person, testDatabase } from "../support/database.ts";
import { clientHouse } from "../support/client.ts";
import { canvas, formOf, photograph } from "../support/pictures.ts";

async function town() {
  const database = await testDatabase();
  const bob = await person(database, "bob");
  const house = clientHouse(database);
  const api = await house.as(bob, "write:media");
  const upload = async (more: Record<string, string> = {}) =>
    (await api("POST", "/api/v2/media", formOf({ file: await photograph(), ...more }))).body;
  return { database, bob, house, api, upload };
}

describe("uploading", () => {
  test.each(["/api/v1/media", "/api/v2/media"])("by %s answers the finished file", async (path) => {
    const { api } = await town();
    const { status, body } = await api(
      "POST",
      path,
      formOf({ file: await photograph(), description: "A <b>field</b>", focus: "0.25,-1" }),
    );
    expect(status).toBe(200);
    const address = (body["url"] as string).slice(0, -".webp".length);
    expect(address).toMatch(/^https:\/\/home\.example\/media\/[0-9a-f]{32}$/);
    expect(body).toEqual({
      id: expect.stringMatching(/^\d{10,19}$/),
      type: "image",
      url: `${address}.webp`,
      preview_url: `${address}/small.webp`,
      remote_url: null,
      preview_remote_url: null,
      text_url: null,
      meta: {
        original: { width: 200, height: 400, size: "200x400", aspect: 0.5 },
        small: { width: 200, height: 400, size: "200x400", aspect: 0.5 },
        focus: { x: 0.25, y: -1 },
      },
      description: "A <b>field</b>",
      blurhash: expect.stringMatching(/^.{20,40}$/),
    });
  });

  test("what is said of the small one is true of its file", async () => {
    const { database, api } = await town();
    const { body } = await api(
      "POST",
      "/api/v2/media",
      formOf({ file: await canvas(5003, 3001).jpeg().toBuffer() }),
    );
    const [row] = await database.sql<
      { small_width: number; small_height: number }[]
    >`SELECT * FROM media`;
    expect((body["meta"] as { small: object }).small).toMatchObject({
      width: row!.small_width,
      height: row!.small_height,
    });
  });

  test.each([
    [
      { file: new Uint8Array(Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>")) },
      422,
      "media_invalid",
    ],
    [{ file: new Uint8Array(Buffer.from("<html>")) }, 422, "media_invalid"],
    [{ file: "https://far.example/a.png" }, 422, "media_invalid"],
    [{ description: "no file" }, 422, "media_invalid"],
    [{ file: new Uint8Array(17 * 1024 * 1024) }, 413, "media_too_large"],
    [{ file: new Uint8Array(20 * 1024 * 1024) }, 413, "invalid_request"],
  ])("refuses %#", async (fields, status, error) => {
    const { database, api } = await town();
    const answer = await api("POST", "/api/v2/media", formOf(fields));
    expect([answer.status, answer.body["error"]]).toEqual([status, error]);
    expect(answer.body["error_description"]).toMatch(/^[A-Z].*\.$/);
    expect(await database.sql`SELECT FROM media`).toHaveLength(0);
  });

  test("refuses a focus and a description that are none, with what is uploaded", async () => {
    const { database, api } = await town();
    const file = await canvas(9, 9).png().toBuffer();
    for (const more of [{ focus: "here" }, { description: "x".repeat(1501) }]) {
      const { status, body } = await api("POST", "/api/v2/media", formOf({ file, ...more }));
      expect([status, body["error"]]).toEqual([422, "media_invalid"]);
    }
    expect(await database.sql`SELECT FROM media`).toHaveLength(0);
  });
});

describe("an uploaded file", () => {
  test("is read, changed and taken away", async () => {
    const { api, upload } = await town();
    const made = await upload({ description: "One" });
    const path = `/api/v1/media/${made["id"] as string}`;
    expect((await api("GET", path)).body).toEqual(made);
    const changed = await api("PUT", path, "description=Two&focus=1,1", {
      "content-type": "application/x-www-form-urlencoded",
    });
    expect(changed.body).toMatchObject({ description: "Two", meta: { focus: { x: 1, y: 1 } } });
    expect((await api("PUT", path, { description: "" })).body).toMatchObject({
      description: null,
      meta: { focus: { x: 1, y: 1 } },
    });
    const refused = await api("PUT", path, { focus: "x" });
    expect([refused.status, refused.body["error"]]).toEqual([422, "media_invalid"]);
    expect(await api("DELETE", path)).toMatchObject({ status: 200, body: {} });
    expect((await api("GET", path)).status).toBe(404);
  });

  test("stays as long as a post has it", async () => {
    const { database, bob, api, upload } = await town();
    const { id } = await upload();
    await writePost(database, {
      author: bob,
      text: "Look",
      media: [BigInt(id as string)],
      at: at("2026-11-20"),
    });
    const path = `/api/v1/media/${id as string}`;
    expect((await api("GET", path)).status).toBe(200);
    const refused = await api("DELETE", path);
    expect([refused.status, refused.body["error"]]).toEqual([422, "media_in_use"]);
    expect((await api("GET", path)).status).toBe(200);
  });

  test("of somebody else is not there, and cannot be posted", async () => {
    const { database, house, api, upload } = await town();
    const mallory = await person(database, "mallory");
    const other = await house.as(mallory, "write:media");
    const made = await upload({ description: "One" });
    const path = `/api/v1/media/${made["id"] as string}`;
    for (const [method, body] of [
      ["GET", undefined],
      ["PUT", { description: "Mine" }],
      ["DELETE", undefined],
    ] as const) {
      const answer = await other(method, path, body);
      expect([answer.status, answer.body["error"]]).toEqual([404, "Record not found"]);
    }
    await expect(
      writePost(database, {
        author: mallory,
        text: "Mine",
        media: [BigInt(made["id"] as string)],
        at: at("2026-11-20"),
      }),
    ).rejects.toMatchObject({ reason: "media_unknown" });
    expect((await api("GET", path)).body).toEqual(made);
    for (const id of ["0", "1", "abc", "-1", "9223372036854775808", "99999999999999999999"])
      expect([id, (await api("GET", `/api/v1/media/${id}`)).status]).toEqual([id, 404]);
  });

  test("somebody's avatar is none", async () => {
    const { database, bob, api } = await town();
    await database.sql`
      INSERT INTO media (id, account, purpose, name, width, height, small_width, small_height, created_at)
      VALUES (5, ${bob.id}, 'avatar', 'x', 1, 1, 1, 1, '2026-11-01T00:00:00Z')`;
    expect((await api("GET", "/api/v1/media/5")).status).toBe(404);
    expect((await api("DELETE", "/api/v1/media/5")).status).toBe(404);
  });
});

test("without the scope nothing is uploaded, read or taken away", async () => {
  const { database, bob, house, upload } = await town();
  const { id } = await upload();
  const weak = await house.as(bob, "read write:statuses write:accounts");
  const ended = { authorization: `Bearer ${"x".repeat(43)}` };
  for (const [method, path] of [
    ["POST", "/api/v1/media"],
    ["POST", "/api/v2/media"],
    ["GET", `/api/v1/media/${id as string}`],
    ["PUT", `/api/v1/media/${id as string}`],
    ["DELETE", `/api/v1/media/${id as string}`],
  ] as const) {
    const statuses = [
      (await house.ask(method, path)).status,
      (await house.ask(method, path, undefined, ended)).status,
      (await weak(method, path)).status,
    ];
    expect([method, path, ...statuses]).toEqual([method, path, 401, 401, 403]);
  }
  expect(await database.sql`SELECT FROM media`).toHaveLength(1);
});
