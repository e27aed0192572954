/** Pictures that strangers made, decoded and encoded anew: nothing of the file stays but what can be seen. */

import { encode as encodeBlurhash } from "blurhash";
import type { Metadata, Sharp, SharpOptions } from "sharp";
import {
  type PictureKind,
  pictureKindOf,
  type PictureSize,
  sizeCutOut,
  sizeWithin,
} from "../../rules/picture.ts";
import { Refusal } from "../../store/refusal.ts";
import { decoder } from "./decoder.ts";
import {
  AVATAR,
  AVATAR_SMALL,
  FRAMES_MAX,
  FRAMES_PIXELS_MAX,
  HEADER,
  HEADER_SMALL,
  ORIGINAL_PIXELS_MAX,
  PICTURE_BYTES_MAX,
  PICTURE_PIXELS_MAX,
  PICTURE_SECONDS_MAX,
  PICTURE_SIDE_MAX,
  PICTURES_AT_ONCE,
  PICTURES_WAITING_MAX,
  SMALL_PIXELS_MAX,
} from "./limits.ts";
import { turns } from "./turns.ts";

/** What a picture is for. */
export type Purpose = "attachment" | "avatar" | "header";

/** A picture as it is kept: WebP, in two sizes. */
export interface Picture {
  readonly original: EncodedPicture;
  readonly small: EncodedPicture;
  /** @see https://blurha.sh */
  readonly blurhash: string;
}

/** One size of it. */
export interface EncodedPicture extends PictureSize {
  readonly bytes: Uint8Array;
}

/** The media type of all that is kept: every client and server that is alive reads it. */
export const KEPT_TYPE = "image/webp";

/** How WebP is written: photographs lose what nobody sees, drawings and screenshots less. */
const QUALITY: Readonly<Record<PictureKind, number>> = {
  jpeg: 82,
  avif: 82,
  webp: 85,
  gif: 85,
  png: 92,
};
/** Of 0 to 6: more takes longer and saves little. */
const EFFORT = 3;

/** A side of what the blurred hint is made of. */
const HINT_SIDE = 32;

/** What libvips calls each kind. */
const FORMATS: Readonly<Record<PictureKind, string>> = {
  jpeg: "jpeg",
  png: "png",
  webp: "webp",
  gif: "gif",
  avif: "heif",
};

const inTurn = turns(PICTURES_AT_ONCE, PICTURES_WAITING_MAX);

/**
 * Decodes and encodes a picture. Turned upright, in sRGB, without anything that was written beside it: no place, no
 * camera, no name, no second file behind the first.
 *
 * @throws Refusal "media_too_large", "media_invalid" for what is no picture or has too many pixels, "media_busy" when too
 *   many wait
 */
export async function makePicture(bytes: Uint8Array, purpose: Purpose): Promise<Picture> {
  if (bytes.length > PICTURE_BYTES_MAX)
    throw new Refusal("media_too_large", { megabytes: String(PICTURE_BYTES_MAX / 1024 / 1024) });
  const kind = pictureKindOf(bytes);
  if (kind === undefined) throw invalid("it must be JPEG, PNG, WebP, GIF or AVIF");
  return inTurn(
    () => readable(() => encode(bytes, kind, purpose)),
    () => new Refusal("media_busy"),
  );
}

async function encode(bytes: Uint8Array, kind: PictureKind, purpose: Purpose): Promise<Picture> {
  const sharp = await decoder();
  const open = (from: Uint8Array, more: SharpOptions = {}) =>
    sharp(from, { ...READING, ...more }).timeout({ seconds: PICTURE_SECONDS_MAX });
  const metadata = await open(bytes).metadata();
  if (metadata.format !== FORMATS[kind]) throw invalid("it is not what it begins like");
  const upright = metadata.autoOrient;
  if (upright.width > PICTURE_SIDE_MAX || upright.height > PICTURE_SIDE_MAX)
    throw invalid(`each side has at most ${PICTURE_SIDE_MAX} pixels`);
  if (upright.width * upright.height > PICTURE_PIXELS_MAX)
    throw invalid(`it has at most ${PICTURE_PIXELS_MAX / 1_000_000} megapixels`);
  const [size, smallSize] = sizesFor(purpose, upright);
  const animated = purpose === "attachment" && isAnimation(metadata);
  const original = await written(
    sized(open(bytes, animated ? { animated } : {}).autoOrient(), size),
    QUALITY[kind],
  );
  const first = () => open(original, { pages: 1 });
  const small = await written(sized(first(), smallSize), QUALITY[kind]);
  return {
    original: { bytes: original, ...size },
    small: { bytes: small, ...smallSize },
    blurhash: await hintOf(first(), size),
  };
}

function sizesFor(purpose: Purpose, size: PictureSize): readonly [PictureSize, PictureSize] {
  switch (purpose) {
    case "avatar":
      return [sizeCutOut(size, AVATAR), sizeCutOut(size, AVATAR_SMALL)];
    case "header":
      return [sizeCutOut(size, HEADER), sizeCutOut(size, HEADER_SMALL)];
    default: {
      const kept = sizeWithin(size, ORIGINAL_PIXELS_MAX);
      // From the size that is kept, so that it can be told from that alone.
      return [kept, sizeWithin(kept, SMALL_PIXELS_MAX)];
    }
  }
}

/** An animation that is small enough to be kept as one. */
function isAnimation({ format, width, height, pageHeight, pages = 1 }: Metadata): boolean {
  return (
    (format === "gif" || format === "webp") &&
    pages > 1 &&
    pages <= FRAMES_MAX &&
    width * (pageHeight ?? height) * pages <= FRAMES_PIXELS_MAX
  );
}

/** Whatever is damaged is refused, and nothing larger is unpacked, whatever a file says of itself. */
const READING = {
  limitInputPixels: PICTURE_PIXELS_MAX,
  failOn: "error",
  sequentialRead: true,
} as const satisfies SharpOptions;

function sized(picture: Sharp, { width, height }: PictureSize): Sharp {
  return picture.resize({ width, height, fit: "cover", position: "centre" });
}

async function written(picture: Sharp, quality: number): Promise<Buffer> {
  return picture.webp({ quality, effort: EFFORT, smartSubsample: true }).toBuffer();
}

/** A few letters from which programs paint something of these colours until the picture has come. */
async function hintOf(picture: Sharp, { width, height }: PictureSize): Promise<string> {
  const { data, info } = await picture
    .resize({ width: HINT_SIDE, height: HINT_SIDE, fit: "inside" })
    .flatten({ background: "white" })
    .toColourspace("srgb")
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const [across, down] = width >= height ? [4, 3] : [3, 4];
  return encodeBlurhash(new Uint8ClampedArray(data), info.width, info.height, across, down);
}

/** Whatever the decoder does not like is the file's fault: its words are for us, not for people. */
async function readable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw invalid(
      /timeout/i.test(String(error))
        ? "it takes too long to read"
        : "it cannot be read: it is damaged, or something else",
    );
  }
}

function invalid(rule: string): Refusal {
  return new Refusal("media_invalid", { rule });
}
