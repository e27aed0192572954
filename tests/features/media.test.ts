import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { mediaRoutes } from "../../src/edges/web/media.ts";
import { mediaAddress } from "../../src/features/media/address.ts";
import { releaseMedia, takeMedia } from "../../src/features/media/attach.ts";
import { forgetMedia } from "../../src/features/media/forget.ts";
import {
  describeMedia,
  dropMedia,
  keepImage,
  type Media,
  ownMedia,
} from "../../src/features/media/keep.ts";
import { PICTURE_BYTES_MAX } from "../../src/features/media/limits.ts";
import { makePicture } from "../../src/features/media/picture.ts";
import { turns } from "../../src/features/media/turns.ts";
import { mediaEntity, mediaKindOf } from "../../src/edges/mastodon/media-entity.ts";
import { deletePost, writePost } from "../../src/features/post/write.ts";
import { focusIn, pictureKindOf, sizeCutOut, sizeWithin } from "../../src/rules/picture.ts";
import type { Account } from "../../src/features/account/create.ts";
import type { Database } from "../../src/store/database.ts";
import { at, person, testDatabase } from "../support/database.ts";
import { animation, bomb, canvas, photograph, pngWithText } from "../support/pictures.ts";

const NOON = at("2026-11-20");
const text = (words: string) => new Uint8Array(Buffer.from(words));

async function house() {
  const database = await testDatabase();
  const bob = await person(database, "bob");
  const web = mediaRoutes(database);
  const upload = (bytes: Uint8Array, more: { description?: string; account?: Account } = {}) =>
    keepImage(database, {
      account: more.account ?? bob,
      purpose: "attachment",
      bytes,
      description: more.description,
      at: NOON,
    });
  const get = (path: string, init: RequestInit = {}) => web.request(path, init);
  return { database, bob, upload, get };
}

const bytesAt = async (answer: Response) => Buffer.from(await answer.arrayBuffer());
const count = async ({ sql }: Database) =>
  (await sql<[{ many: number }]>`SELECT count(*)::int AS many FROM media_file`)[0].many;

describe("a picture", () => {
  test("keeps nothing but what can be seen: no place, no camera, no name, and it is upright", async () => {
    const { upload, get } = await house();
    const file = await photograph();
    const before = await sharp(file).metadata();
    expect(before.exif?.includes("SECRET NAME")).toBe(true);
    expect(before.orientation).toBe(6);
    const kept = await upload(file, { description: " A red field \u202e\0" });
    expect(kept).toMatchObject({ width: 200, height: 400, description: "A red field", post: null });
    expect(kept.name).toMatch(/^[0-9a-f]{32}$/);
    expect(kept.blurhash).toMatch(/^[\w#$%*+,\-.:;=?@[\]^{|}~]{20,}$/);
    for (const path of [`/media/${kept.name}.webp`, `/media/${kept.name}/small.webp`]) {
      const bytes = await bytesAt(await get(path));
      const after = await sharp(bytes).metadata();
      expect(after).toMatchObject({ format: "webp", width: 200, height: 400 });
      expect([after.exif, after.icc, after.xmp, after.iptc, after.orientation]).toEqual(
        Array(5).fill(undefined),
      );
      expect(bytes.includes("SECRET")).toBe(false);
    }
    // The blue corner of the file is at the right, as the camera meant it.
    const { data } = await sharp(await bytesAt(await get(`/media/${kept.name}.webp`)))
      .extract({ left: 190, top: 5, width: 1, height: 1 })
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(data[2]).toBeGreaterThan(150);
  });

  test.each(["jpeg", "png", "webp", "gif", "avif"] as const)("may be %s", async (format) => {
    const { upload } = await house();
    const kept = await upload(await canvas(64, 48)[format]().toBuffer());
    expect(kept).toMatchObject({ width: 64, height: 48, smallWidth: 64, smallHeight: 48 });
  });

  test("loses texts inside, and whatever stands behind its end", async () => {
    const { upload, get } = await house();
    const png = pngWithText(await canvas(30, 30).png().toBuffer(), "<script>SECRET</script>");
    const gif = Buffer.concat([
      await canvas(30, 30).gif().toBuffer(),
      text("<html><script>SECRET</script>"),
    ]);
    const zip = Buffer.concat([
      await canvas(30, 30).jpeg().toBuffer(),
      text("PK\u0003\u0004SECRET"),
    ]);
    for (const file of [png, gif, zip]) {
      const { name } = await upload(file);
      const answer = await get(`/media/${name}.webp`);
      expect(answer.headers.get("content-type")).toBe("image/webp");
      const bytes = await bytesAt(answer);
      expect(bytes.includes("SECRET") || bytes.includes("script")).toBe(false);
    }
  });

  test("is transparent where it was", async () => {
    const { upload, get } = await house();
    const file = await sharp({
      create: { width: 40, height: 40, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0 } },
    })
      .png()
      .toBuffer();
    const { name } = await upload(file);
    const bytes = await bytesAt(await get(`/media/${name}.webp`));
    expect((await sharp(bytes).stats()).isOpaque).toBe(false);
  });

  test("is made smaller, in its own form", async () => {
    const { upload } = await house();
    const kept = await upload(await canvas(6000, 3000).jpeg().toBuffer());
    expect(kept.width * kept.height).toBeLessThanOrEqual(3840 * 2160);
    expect(kept.width / kept.height).toBeCloseTo(2, 2);
    expect(kept.smallWidth * kept.smallHeight).toBeLessThanOrEqual(640 * 360);
    expect(kept.smallWidth / kept.smallHeight).toBeCloseTo(2, 1);
  });

  test("moves if it did, and stands still when it moves too long, and beside a name", async () => {
    const { upload, get } = await house();
    const pages = async (name: string, size = "") =>
      (await sharp(await bytesAt(await get(`/media/${name}${size}.webp`))).metadata()).pages ?? 1;
    const moving = await upload(await animation(5));
    expect(moving).toMatchObject({ width: 20, height: 20 });
    expect(await pages(moving.name)).toBe(5);
    expect(await pages(moving.name, "/small")).toBe(1);
    const long = await upload(await animation(501));
    expect(await pages(long.name)).toBe(1);
    const avatar = await makePicture(await animation(5), "avatar");
    expect((await sharp(avatar.original.bytes).metadata()).pages ?? 1).toBe(1);
  });

  test.each([
    ["avatar", 1000, 600, [400, 400], [120, 120]],
    ["avatar", 50, 70, [50, 50], [50, 50]],
    ["header", 3000, 3000, [1500, 500], [600, 200]],
    ["header", 300, 300, [300, 100], [300, 100]],
  ] as const)("as %s of %i x %i is cut", async (purpose, width, height, size, small) => {
    const made = await makePicture(await canvas(width, height).png().toBuffer(), purpose);
    expect([made.original.width, made.original.height]).toEqual(size);
    expect([made.small.width, made.small.height]).toEqual(small);
    expect(await sharp(made.original.bytes).metadata()).toMatchObject({
      width: size[0],
      height: size[1],
    });
  });
});

describe("no picture", () => {
  const html = "<!doctype html><script>alert(document.domain)</script>";
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="alert(1)"><script>1</script></svg>';
  test.each([
    ["SVG", async () => text(svg)],
    ["SVG behind an XML declaration", async () => text(`<?xml version="1.0"?>${svg}`)],
    ["HTML that is called .png", async () => text(html)],
    ["HTML behind a GIF's signature", async () => text(`GIF89a/*${html}*/=1`)],
    ["HTML behind a PNG's signature", async () => Buffer.concat([PNG, text(html)])],
    ["HTML behind a JPEG's signature", async () => Buffer.concat([JPEG, text(html)])],
    ["HTML behind a WebP's signature", async () => text(`RIFF\0\0\0\0WEBP${html}`)],
    ["HTML behind an AVIF's signature", async () => text(`\0\0\0\u0018ftypavif${html}`)],
    ["PDF", async () => text("%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj")],
    ["TIFF", () => canvas(9, 9).tiff().toBuffer()],
    ["nothing", async () => new Uint8Array(0)],
    ["a truncated JPEG", async () => (await photograph(900, 900)).subarray(0, 2_000)],
    ["a truncated PNG", async () => (await noise(200).png().toBuffer()).subarray(0, 300)],
    ["30,000 x 30,000 pixels", async () => bomb(30_000)],
    ["more than 50 megapixels", async () => bomb(8_000)],
  ])("%s", async (_, make) => {
    const { database, upload } = await house();
    await expect(upload(await make())).rejects.toMatchObject({ reason: "media_invalid" });
    expect(await count(database)).toBe(0);
  });

  const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const JPEG = Buffer.from([0xff, 0xd8, 0xff, 0xe0]);
  const noise = (side: number) => {
    const pixels = Buffer.alloc(side * side * 3);
    for (let place = 0; place < pixels.length; place += 1) pixels[place] = (place * 7919) % 251;
    return sharp(pixels, { raw: { width: side, height: side, channels: 3 } });
  };

  test("is what is larger than 16 MB", async () => {
    const { database, upload } = await house();
    const file = Buffer.concat([
      await canvas(9, 9).png().toBuffer(),
      Buffer.alloc(PICTURE_BYTES_MAX),
    ]);
    await expect(upload(file)).rejects.toMatchObject({ reason: "media_too_large" });
    await expect(
      upload(await canvas(9, 9).png().toBuffer(), { description: "ä".repeat(1501) }),
    ).rejects.toMatchObject({ reason: "media_invalid" });
    expect(await count(database)).toBe(0);
    expect(
      (await upload(await canvas(9, 9).png().toBuffer(), { description: "💶".repeat(1500) }))
        .description,
    ).toHaveLength(3000);
  });
});

test("a few are worked on at once, a few wait, and the others are told to come again", async () => {
  const inTurn = turns(2, 3);
  const running = { now: 0, most: 0 };
  const ends: (() => void)[] = [];
  const work = () =>
    inTurn(
      async () => {
        running.most = Math.max(running.most, (running.now += 1));
        await new Promise<void>((resolve) => ends.push(resolve));
        running.now -= 1;
      },
      () => new Error("busy"),
    );
  const five = Array.from({ length: 5 }, work);
  await expect(work()).rejects.toThrow("busy");
  for (let ended = 0; ended < 5; ended += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    ends.shift()!();
  }
  await Promise.all(five);
  expect(running).toEqual({ now: 0, most: 2 });
  // Whoever fails gives his turn back.
  for (let tries = 0; tries < 9; tries += 1)
    await expect(
      inTurn(
        () => Promise.reject(new Error("no")),
        () => new Error("busy"),
      ),
    ).rejects.toThrow("no");
});

describe("at its address", () => {
  test("a browser takes it for nothing else, other sites may show it, and it is kept for ever", async () => {
    const { upload, get } = await house();
    const { name } = await upload(await canvas(30, 30).png().toBuffer());
    const answer = await get(`/media/${name}.webp`);
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-type": "image/webp",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "cross-origin",
      "access-control-allow-origin": "*",
      "content-security-policy": "default-src 'none'; sandbox",
      "cache-control": "public, max-age=31536000, immutable",
      "content-disposition": "inline",
    });
    const length = answer.headers.get("content-length");
    const etag = answer.headers.get("etag")!;
    expect(String((await bytesAt(answer)).length)).toBe(length);
    const head = await get(`/media/${name}.webp`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([
      200,
      length,
      "",
    ]);
    const again = await get(`/media/${name}.webp`, {
      headers: { "if-none-match": `"x", W/${etag}` },
    });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    expect(
      (await get(`/media/${name}/small.webp`, { headers: { "if-none-match": etag } })).status,
    ).toBe(200);
  });

  test("there is nothing else", async () => {
    const { upload, get } = await house();
    const { name } = await upload(await canvas(30, 30).png().toBuffer());
    for (const path of [
      `/media/${"0".repeat(32)}.webp`,
      `/media/${name}`,
      `/media/${name}.png`,
      `/media/${name.toUpperCase()}.webp`,
      `/media/${name}/original.webp`,
      `/media/${name}.webp/../../x`,
      `/media/%00.webp`,
      `/media/'--.webp`,
    ]) {
      const answer = await get(path);
      expect([path, answer.status]).toEqual([path, 404]);
      if (path.startsWith(`/media/${"0".repeat(32)}`))
        expect(answer.headers.get("cache-control")).toBe("no-store");
    }
  });

  test.each([
    ["/avatars/missing.png", 400, 400],
    ["/headers/missing.png", 1500, 500],
  ])("%s is there for those who have none", async (path, width, height) => {
    const { get } = await house();
    const answer = await get(path);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "image/png"]);
    expect(answer.headers.get("cross-origin-resource-policy")).toBe("cross-origin");
    expect(await sharp(await bytesAt(answer)).metadata()).toMatchObject({
      format: "png",
      width,
      height,
    });
  });
});

describe("beside a post", () => {
  const small = () => canvas(30, 20).png().toBuffer();

  test("it is taken once, in the order that was asked for", async () => {
    const { database, bob, upload } = await house();
    const { origin } = database.settings;
    const [one, two, three] = [
      await upload(await small()),
      await upload(await small(), { description: "Two" }),
      await upload(await small()),
    ];
    const take = (ids: readonly bigint[], post: bigint, account = bob.id) =>
      database.drizzle.transaction((tx) => takeMedia(tx, origin, { account, ids, post }));
    expect(await take([two.id, one.id, two.id], 7n)).toMatchObject([
      {
        media: String(two.id),
        url: mediaAddress(origin, two.name),
        previewUrl: `${origin}/media/${two.name}/small.webp`,
        mediaType: "image/webp",
        description: "Two",
        width: 30,
        height: 20,
      },
      { media: String(one.id) },
    ]);
    // The same post may name them again; no other may, and nothing is taken halfway.
    expect(await take([one.id, three.id], 7n)).toHaveLength(2);
    const mallory = await person(database, "mallory");
    const fourth = await upload(await small());
    for (const [ids, post, account] of [
      [[fourth.id, one.id], 8n, bob.id],
      [[fourth.id], 8n, mallory.id],
      [[fourth.id, 99n], 8n, bob.id],
      [[fourth.id, 2n ** 62n], 8n, bob.id],
    ] as const)
      await expect(take(ids, post, account)).rejects.toMatchObject({ reason: "media_unknown" });
    expect((await ownMedia(database, bob, fourth.id)).post).toBeNull();
    const five = await Promise.all(
      Array.from({ length: 5 }, async () => (await upload(await small())).id),
    );
    await expect(take(five, 9n)).rejects.toMatchObject({ reason: "media_unknown" });
    expect(await take([], 9n)).toEqual([]);
  });

  test("it is shown with the post, and goes a day after it", async () => {
    const { database, bob, upload, get } = await house();
    const kept = await upload(await small(), { description: "A field" });
    const post = await writePost(database, {
      author: bob,
      text: "Look",
      media: [kept.id],
      at: NOON,
    });
    expect(post.attachments).toMatchObject([{ media: String(kept.id), description: "A field" }]);
    await expect(dropMedia(database, bob, kept.id)).rejects.toMatchObject({
      reason: "media_in_use",
    });
    expect(await forgetMedia(database, at("2027-11-20"))).toBe(0);
    await deletePost(database, { author: bob, post: post.id, at: at("2026-11-25") });
    expect(await forgetMedia(database, at("2026-11-26T11:59:59Z"))).toBe(0);
    expect(await forgetMedia(database, at("2026-11-26T12:00:01Z"))).toBe(1);
    expect((await get(`/media/${kept.name}.webp`)).status).toBe(404);
    expect(await count(database)).toBe(0);
  });

  test("what belongs to no post is forgotten after a day, and nothing else", async () => {
    const { database, bob, upload } = await house();
    const kept: Media[] = [];
    for (let n = 0; n < 3; n += 1) kept.push(await upload(await small()));
    await database.sql`
      INSERT INTO media (id, account, purpose, name, width, height, small_width, small_height, created_at)
      SELECT n, ${bob.id}, CASE WHEN n % 2 = 0 THEN 'attachment' ELSE 'avatar' END, 'name' || n, 1, 1, 1, 1, '2026-11-01T00:00:00Z'
        FROM generate_series(1, 500) n`;
    await database.drizzle.transaction((tx) =>
      takeMedia(tx, "https://home.example", { account: bob.id, ids: [kept[0]!.id], post: 5n }),
    );
    expect(await forgetMedia(database, at("2026-11-21T11:00:00Z"))).toBe(250);
    expect(await forgetMedia(database, at("2026-11-21T13:00:00Z"))).toBe(2);
    expect(await forgetMedia(database, at("2026-11-21T13:00:00Z"))).toBe(0);
    await database.drizzle.transaction((tx) => releaseMedia(tx, 5n, at("2026-11-22")));
    expect((await ownMedia(database, bob, kept[0]!.id)).post).toBeNull();
  });

  test("whoever brought it changes its words and its focus; nobody else sees it", async () => {
    const { database, bob, upload } = await house();
    const mallory = await person(database, "mallory");
    const { id } = await upload(await small(), { description: "One" });
    expect(await describeMedia(database, { account: bob, id, focus: [0.5, -1] })).toMatchObject({
      description: "One",
      focus: [0.5, -1],
    });
    expect(
      (await describeMedia(database, { account: bob, id, description: " " })).description,
    ).toBeNull();
    for (const attempt of [
      () => ownMedia(database, mallory, id),
      () => describeMedia(database, { account: mallory, id, description: "x" }),
      () => dropMedia(database, mallory, id),
    ])
      await expect(attempt()).rejects.toMatchObject({ reason: "not_found" });
    await dropMedia(database, bob, id);
    expect(await count(database)).toBe(0);
  });
});

describe("rules", () => {
  test("a kind is known by what a file begins with", () => {
    expect(pictureKindOf(text("<svg"))).toBeUndefined();
    expect(pictureKindOf(text("\0\0\0\u0018ftypheic"))).toBeUndefined();
    expect(pictureKindOf(text(" GIF89a"))).toBeUndefined();
    expect(pictureKindOf(text("GIF87a"))).toBe("gif");
  });

  test("sizes keep their form and never grow", () => {
    expect(sizeWithin({ width: 1, height: 16_384 }, 100)).toEqual({ width: 1, height: 1280 });
    expect(sizeWithin({ width: 640, height: 360 }, 640 * 360)).toEqual({ width: 640, height: 360 });
    expect(sizeCutOut({ width: 1, height: 1 }, { width: 1500, height: 500 })).toEqual({
      width: 1,
      height: 1,
    });
  });

  test.each([
    ["0.5,-0.25", [0.5, -0.25]],
    ["-1, 1", [-1, 1]],
    ["2,-7", [1, -1]],
    ["0,0", [0, 0]],
    ["", undefined],
    ["1", undefined],
    ["1,2,3", undefined],
    ["a,b", undefined],
    ["NaN,0", undefined],
    ["1e3,0", undefined],
  ])("the focus %o", (written, focus) => {
    expect(focusIn(written)).toEqual(focus);
  });

  test("files of other servers are shown by their link", () => {
    const remote = (url: string, mediaType: string | null) =>
      mediaEntity({ url, mediaType, description: null });
    expect(remote("https://far.example/1", "image/jpeg")).toMatchObject({
      type: "image",
      url: "https://far.example/1",
      preview_url: "https://far.example/1",
      remote_url: "https://far.example/1",
      meta: {},
      id: expect.stringMatching(/^\d{1,19}$/),
    });
    expect(remote("https://far.example/1", null).id).toBe(
      remote("https://far.example/1", "x/y").id,
    );
    expect(remote("https://far.example/1", "video/mp4")).toMatchObject({
      type: "video",
      preview_url: null,
    });
    for (const [url, mediaType, kind] of [
      ["https://far.example/a.PNG?x=.mp4", null, "image"],
      ["https://far.example/a.mp4", null, "video"],
      ["https://far.example/a.ogg", null, "audio"],
      ["https://far.example/a", null, "unknown"],
      ["https://far.example/a.svg", "image/svg+xml", "unknown"],
      ["https://far.example/a.png", "text/html", "unknown"],
      ["https://far.example/a", "Audio/Mpeg", "audio"],
    ] as const)
      expect([url, mediaKindOf({ url, mediaType })]).toEqual([url, kind]);
  });
});
