/** What is written to the log: errors without what people wrote, which queries and rows repeat. */

import { getTextFormatter, type TextFormatter } from "@logtape/logtape";

/** A failed query, around its cause: its words are the query and all of its values. */
function isQueryError(error: Error): boolean {
  return error.name === "DrizzleQueryError" || error.message.startsWith("Failed query");
}

/** The innermost cause says what is wrong; those around it repeat queries, with what people wrote. */
function causeOf(error: unknown): unknown {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error && isQueryError(cause))
    cause = cause.cause;
  return cause;
}

/** What went wrong, in the words of its innermost cause: without the values of a query. */
export function messageOf(error: unknown): string {
  const cause = causeOf(error);
  if (!(cause instanceof Error)) return String(cause);
  if (isQueryError(cause)) return "a query failed";
  // Several tries, each with words of its own.
  return cause instanceof AggregateError && cause.message === ""
    ? cause.errors.map(messageOf).join("; ")
    : cause.message;
}

/** Causes of causes that are told. */
const DEPTH_MAX = 3;

/**
 * An error as the log may have it: its words, its code and where it came from. What the database says besides is the row
 * that it refused.
 */
export function tellable(error: unknown, depth = 0): unknown {
  const cause = causeOf(error);
  if (!(error instanceof Error) || !(cause instanceof Error)) return cause;
  const { code, constraint_name: constraint } = cause as {
    readonly code?: unknown;
    readonly constraint_name?: unknown;
  };
  const told = Object.assign(new Error(messageOf(cause)), {
    ...(code === undefined ? {} : { code }),
    ...(constraint === undefined ? {} : { constraint }),
    ...(cause.cause === undefined || depth === DEPTH_MAX || isQueryError(cause)
      ? {}
      : { cause: tellable(cause.cause, depth + 1) }),
  });
  told.name = cause.name;
  told.stack = `${told.name}: ${told.message}${framesOf(error)}`;
  return told;
}

/** Where an error came from, after its words. Our own lines are in the error that wraps that of the database. */
function framesOf({ stack = "", message }: Error): string {
  const said = stack.indexOf(message);
  const place = stack.indexOf("\n    at ", said === -1 ? 0 : said + message.length);
  return place === -1 ? "" : stack.slice(place);
}

/** One line for each event, and the frames of its error. */
export function logFormatter(): TextFormatter {
  const format = getTextFormatter();
  return (record) => format({ ...record, message: record.message.map((value) => tellable(value)) });
}
