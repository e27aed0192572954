/** Pictures, before anybody decodes them: what kind of file it is by its first bytes, and how large its copies are. */

/** Kinds of files that are decoded; everything else is no picture here. */
export type PictureKind = "jpeg" | "png" | "webp" | "gif" | "avif";

/** Width and height, in pixels. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/**
 * The kind of a picture by its signature; names and media types that came with it say nothing. SVG, PDF and HEIC are
 * none: the first two carry programs, the third cannot be read here.
 *
 * @see https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern
 */
export function pictureKindOf(bytes: Uint8Array): PictureKind | undefined {
  const startsWith = (signature: readonly number[], from = 0) =>
    signature.every((byte, place) => bytes[from + place] === byte);
  if (startsWith([0xff, 0xd8, 0xff])) return "jpeg";
  if (startsWith([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return "png";
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (text(0, 6) === "GIF87a" || text(0, 6) === "GIF89a") return "gif";
  if (text(0, 4) === "RIFF" && text(8, 12) === "WEBP") return "webp";
  // Files of the ISO base format say at their beginning what they are.
  return text(4, 8) === "ftyp" && ["avif", "avis"].includes(text(8, 12)) ? "avif" : undefined;
}

/** The size with the same form that has at most this many pixels; never larger than it was. */
export function sizeWithin({ width, height }: PictureSize, pixelsMax: number): PictureSize {
  const factor = Math.min(1, Math.sqrt(pixelsMax / (width * height)));
  return {
    width: Math.max(1, Math.floor(width * factor)),
    height: Math.max(1, Math.floor(height * factor)),
  };
}

/** The largest size of a given form that can be cut out of a picture, at most as large as asked for. */
export function sizeCutOut({ width, height }: PictureSize, wanted: PictureSize): PictureSize {
  const factor = Math.min(1, width / wanted.width, height / wanted.height);
  return {
    width: Math.max(1, Math.round(wanted.width * factor)),
    height: Math.max(1, Math.round(wanted.height * factor)),
  };
}

/** What must not be cut off, as clients write it: `x,y`, each from -1 to 1. Undefined for anything else. */
export function focusIn(text: string): readonly [number, number] | undefined {
  const [x, y, ...rest] = text.split(",").map((part) => part.trim());
  const number = /^[+-]?(?:\d{1,4}(?:\.\d{0,20})?|\.\d{1,20})$/;
  if (rest.length > 0 || !number.test(x ?? "") || !number.test(y ?? "")) return undefined;
  const inside = (part: string) => Math.min(1, Math.max(-1, Number(part)));
  return [inside(x!), inside(y!)];
}
