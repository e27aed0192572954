/** Files as people and attackers upload them. */

import { crc32, deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";

type Rgb = { readonly r: number; readonly g: number; readonly b: number };

/** A picture of one colour, or of something that looks like a photograph. */
export function canvas(
  width: number,
  height: number,
  background: Rgb = { r: 200, g: 80, b: 40 },
): Sharp {
  return sharp({ create: { width, height, channels: 3, background } });
}

/** As a phone takes it: upside down, with place, camera and name. */
export function photograph(width = 400, height = 200): Promise<Buffer> {
  return canvas(width, height)
    .composite([
      {
        input: {
          create: { width: 20, height: 20, channels: 3, background: { r: 0, g: 0, b: 255 } },
        },
        left: 0,
        top: 0,
      },
    ])
    .withExif({
      IFD0: { Copyright: "SECRET NAME", Model: "SECRET CAMERA" },
      IFD3: { GPSLatitudeRef: "N", GPSLatitude: "52/1 30/1 0/1" },
    })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
}

/** A part of a PNG file. */
export function pngChunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Puts a text in front of the end of a PNG. */
export function pngWithText(png: Buffer, text: string): Buffer {
  const end = png.length - 12;
  return Buffer.concat([
    png.subarray(0, end),
    pngChunk("tEXt", Buffer.from(`Comment\0${text}`, "latin1")),
    png.subarray(end),
  ]);
}

/** Some hundred kilobytes that become gigabytes: a PNG of one colour, one bit a pixel. */
export function bomb(side: number): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([1, 0, 0, 0, 0], 8);
  const rows = deflateSync(Buffer.alloc(side * (Math.ceil(side / 8) + 1)));
  return Buffer.concat([
    PNG_SIGNATURE,
    pngChunk("IHDR", head),
    pngChunk("IDAT", rows),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

/** An animation of so many frames, each of another colour. */
export function animation(frames: number, side = 20): Promise<Buffer> {
  const pixels = Buffer.alloc(side * side * frames * 3);
  for (let frame = 0; frame < frames; frame += 1)
    for (let place = 0; place < side * side; place += 1)
      pixels.set([(frame % 5) * 50, 255 - (frame % 5) * 50, 90], (frame * side * side + place) * 3);
  return sharp(pixels, {
    raw: { width: side, height: side * frames, channels: 3, pageHeight: side },
  })
    .gif({ delay: Array.from({ length: frames }, () => 100), loop: 0 })
    .toBuffer();
}

/** A form with files, as clients send it. */
export function formOf(fields: Readonly<Record<string, string | Uint8Array>>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields))
    if (typeof value === "string") form.append(name, value);
    else form.append(name, new File([new Uint8Array(value)], "picture.png", { type: "image/png" }));
  return form;
}
