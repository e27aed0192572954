/** What is shown for people who have no pictures of their own: painted here, so that there is nothing to ship. */

import { decoder } from "./decoder.ts";
import { AVATAR, HEADER } from "./limits.ts";

/** A colour of the ground above and below, and of what stands before it: red, green, blue. */
type Colour = readonly [number, number, number];

const ABOVE: Colour = [0x8f, 0xa3, 0xb8];
const BELOW: Colour = [0x6b, 0x80, 0x97];
const FIGURE: Colour = [0xe8, 0xee, 0xf4];

/** The two pictures. */
export type Missing = "avatar" | "header";

const painted = new Map<Missing, Promise<Uint8Array<ArrayBuffer>>>();

/** The picture as PNG; painted when it is first asked for. */
export function missingPicture(which: Missing): Promise<Uint8Array<ArrayBuffer>> {
  const known = painted.get(which);
  if (known !== undefined) return known;
  const made =
    which === "avatar"
      ? paint(AVATAR.width, AVATAR.height, coverOfPerson)
      : paint(HEADER.width, HEADER.height, () => 0);
  painted.set(which, made);
  return made;
}

/** How much of a place the figure covers, from 0 to 1: a head, and shoulders that leave the picture below. */
function coverOfPerson(x: number, y: number): number {
  const head = edge(0.19 - Math.hypot(x - 0.5, y - 0.4));
  const shoulders = edge((1 - Math.hypot((x - 0.5) / 0.36, (y - 1.02) / 0.36)) * 0.36);
  return Math.max(head, shoulders);
}

/** An edge as wide as a pixel, so that curves look smooth. */
const edge = (inside: number) => Math.min(1, Math.max(0, 0.5 + inside * AVATAR.width));

async function paint(
  width: number,
  height: number,
  cover: (x: number, y: number) => number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pixels = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1) {
      const covered = cover((column + 0.5) / width, (row + 0.5) / height);
      const depth = row / height;
      for (let part = 0; part < 3; part += 1) {
        const ground = ABOVE[part]! + (BELOW[part]! - ABOVE[part]!) * depth;
        pixels[(row * width + column) * 3 + part] = Math.round(
          ground + (FIGURE[part]! - ground) * covered,
        );
      }
    }
  const sharp = await decoder();
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 9 })
    .toBuffer();
  return new Uint8Array(png);
}
