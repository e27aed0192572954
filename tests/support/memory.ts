/** Where a run keeps what nobody needs after it. */

import { accessSync, constants, statfsSync } from "node:fs";
import { freemem } from "node:os";

/** Files that are in memory only, on Linux. */
const MEMORY = "/dev/shm";

/** What a run may fill: two workers with a database server each, and the servers of whole instances. */
const ROOM_BYTES = 6 * 1024 ** 3;

/**
 * Puts temporary folders of this process, and of those it starts, into memory, if there is room and nobody said where
 * they go. Each test has a database of its own, and on some disks making one after another was dropped takes twenty times as long.
 */
export function keepInMemory(): void {
  if (process.env["TMPDIR"] !== undefined || process.platform !== "linux") return;
  try {
    accessSync(MEMORY, constants.W_OK);
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize >= ROOM_BYTES && freemem() >= ROOM_BYTES) process.env["TMPDIR"] = MEMORY;
  } catch {
    // No such place on this machine: the disk will do.
  }
}
