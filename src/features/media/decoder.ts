/** The library that decodes and encodes pictures, loaded when the first one comes: most commands never need it. */

import type sharp from "sharp";

let opened: Promise<typeof sharp> | undefined;

/**
 * The library, set up for files of strangers: of all that could read one, only five may. Nothing is kept between two
 * pictures, and one picture does not take all cores.
 */
export function decoder(): Promise<typeof sharp> {
  return (opened ??= open());
}

async function open(): Promise<typeof sharp> {
  const { default: library } = await import("sharp");
  library.block({ operation: ["VipsForeignLoad"] });
  library.unblock({
    operation: [
      "VipsForeignLoadJpegBuffer",
      "VipsForeignLoadPngBuffer",
      "VipsForeignLoadWebpBuffer",
      "VipsForeignLoadNsgifBuffer",
      "VipsForeignLoadHeifBuffer",
    ],
  });
  library.cache(false);
  library.concurrency(1);
  return library;
}
