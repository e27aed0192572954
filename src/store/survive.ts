/** The guard that keeps a vanished database server from ending the process. */

import { getLogger } from "@logtape/logtape";
import { isDatabaseAway } from "./database.ts";
import { tellable } from "./log.ts";

/**
 * postgres.js 3.4.9 writes from a timer to a socket that is already gone, or breaking, when its server disappears: there
 * no caller can catch what is thrown, and the socket has no listener left. And each new connection asks for the types of
 * lists first, by itself; when it breaks then, nobody waits for that answer. The query itself is rejected as it should be,
 * so exactly these errors are logged and passed over; every other uncaught exception ends the process as before.
 *
 * @see https://github.com/porsager/postgres/issues/1066
 */
export function surviveVanishedDatabase(): void {
  process.on("uncaughtException", (error) => {
    if (isWriteToVanishedServer(error) || isQuestionOfTypes(error)) {
      getLogger(["fediflattr", "store"]).warning(
        "the database server went away while a query was being sent",
      );
      return;
    }
    const told = tellable(error);
    process.stderr.write(`${told instanceof Error ? told.stack : String(told)}\n`);
    process.exit(1);
  });
}

/** True for those errors, and only when they come from the place that has the fault. */
export function isWriteToVanishedServer(error: unknown): boolean {
  return (
    error instanceof Error &&
    (/null \(reading 'write'\)/.test(error.message) || isBrokenSocket(error)) &&
    /^\s+at (?:Immediate\.)?nextWrite(?:\$\d+)? [([]/m.test(error.stack ?? "")
  );
}

/** True for the question about types of a connection that broke while it was being opened. */
export function isQuestionOfTypes(error: unknown): boolean {
  return (
    error instanceof Error &&
    "query" in error &&
    /^\s*select b\.oid, b\.typarray\s/.test(String(error.query)) &&
    isDatabaseAway(error)
  );
}

/** What a socket says whose other end is gone. */
function isBrokenSocket(error: Error): boolean {
  const code = "code" in error ? error.code : undefined;
  return code === "EPIPE" || code === "ECONNRESET" || code === "ERR_STREAM_DESTROYED";
}
