/** The guard that keeps a vanished database server from ending the process. */

import { getLogger } from "@logtape/logtape";

/**
 * postgres.js 3.4.9 writes to a socket that is already gone when its server disappears, from a timer, where no caller
 * can catch it. The query itself is rejected as it should be, so exactly this error is logged and passed over; every
 * other uncaught exception ends the process as before.
 *
 * @see https://github.com/porsager/postgres/issues/1066
 */
export function surviveVanishedDatabase(): void {
  process.on("uncaughtException", (error) => {
    if (isWriteToVanishedServer(error)) {
      getLogger(["fediflattr", "store"]).warning(
        "the database server went away while a query was being sent",
      );
      return;
    }
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  });
}

/** True for that one error, and only when it comes from the place that has the fault. */
export function isWriteToVanishedServer(error: unknown): boolean {
  return (
    error instanceof TypeError &&
    /null \(reading 'write'\)/.test(error.message) &&
    /^\s+at (?:Immediate\.)?nextWrite(?:\$\d+)? \(|^\s+at Immediate\.nextWrite/m.test(
      error.stack ?? "",
    )
  );
}
