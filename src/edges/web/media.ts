/** Pictures, served to everybody who has their address. Whatever stands in one, a browser takes it for nothing else. */

import { type Context, Hono } from "hono";
import { mediaIn, MISSING_AVATAR_PATH, MISSING_HEADER_PATH } from "../../features/media/address.ts";
import { findMediaFile, readMediaFile } from "../../features/media/find.ts";
import { type Missing, missingPicture } from "../../features/media/missing.ts";
import type { Database } from "../../store/database.ts";

/** What is at an address never changes: a new picture has a new name. */
const FOR_EVER = "public, max-age=31536000, immutable";

/** What is painted here may be painted otherwise by the next version. */
const FOR_A_DAY = "public, max-age=86400";

/** Other sites may show it, and nobody may run it. */
const HARMLESS = {
  "access-control-allow-origin": "*",
  "cross-origin-resource-policy": "cross-origin",
  "content-security-policy": "default-src 'none'; sandbox",
  "content-disposition": "inline",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
} as const;

/**
 * `/media/NAME.webp`, `/media/NAME/small.webp`, and the pictures of those who have none. To be put before whatever sets
 * the headers of pages: these are others.
 */
export function mediaRoutes(database: Pick<Database, "sql">): Hono {
  return new Hono()
    .get("/media/*", async (c) => {
      const asked = mediaIn(c.req.path);
      const file =
        asked === undefined ? undefined : await findMediaFile(database, asked.name, asked.size);
      if (asked === undefined || file === undefined) return nothing(c);
      const tag = `"${asked.name}-${asked.size}"`;
      const headers = {
        ...HARMLESS,
        "content-type": file.mediaType,
        "cache-control": FOR_EVER,
        etag: tag,
      };
      if (isKnown(c, tag)) return c.body(null, 304, headers);
      if (c.req.method === "HEAD")
        return c.body(null, 200, { ...headers, "content-length": String(file.bytes) });
      const content = await readMediaFile(database, file.media, asked.size);
      return content === undefined
        ? nothing(c)
        : c.body(content, 200, { ...headers, "content-length": String(content.length) });
    })
    .get(MISSING_AVATAR_PATH, (c) => missing(c, "avatar"))
    .get(MISSING_HEADER_PATH, (c) => missing(c, "header"));
}

async function missing(c: Context, which: Missing): Promise<Response> {
  const content = await missingPicture(which);
  return c.body(content, 200, {
    ...HARMLESS,
    "content-type": "image/png",
    "content-length": String(content.length),
    "cache-control": FOR_A_DAY,
  });
}

function nothing(c: Context): Response {
  return c.json({ error: "not_found", error_description: "There is no such picture." }, 404, {
    ...HARMLESS,
    "cache-control": "no-store",
  });
}

function isKnown(c: Context, tag: string): boolean {
  const known = c.req.header("if-none-match")?.split(",") ?? [];
  return known.some((one) => one.trim().replace(/^W\//, "") === tag);
}
