/** Answers of this edge: documents for servers, and what is wrong, as a code and a sentence. */

import { ACTIVITY_TYPE, type Document } from "../../rules/activity-streams.ts";

/** How long others may keep a document of ours: long enough for a rush, short enough for a deletion. */
const CACHE_SECONDS = 60;

/** A document at an address that has a page, too. */
export function documentAnswer(document: Document, status: 200 | 410 = 200): Response {
  return new Response(JSON.stringify(document), {
    status,
    headers: {
      "content-type": ACTIVITY_TYPE,
      "cache-control": `public, max-age=${CACHE_SECONDS}`,
      vary: "Accept",
      "access-control-allow-origin": "*",
    },
  });
}

/** JSON of some other kind, readable from everywhere. */
export function jsonAnswer(body: unknown, type: string, seconds = CACHE_SECONDS): Response {
  return new Response(JSON.stringify(body), {
    headers: {
      "content-type": type,
      "cache-control": `public, max-age=${seconds}`,
      "access-control-allow-origin": "*",
    },
  });
}

/** A code for programs and a sentence for people. */
export function refusalAnswer(status: number, error: string, sentence: string): Response {
  return new Response(JSON.stringify({ error, error_description: sentence }), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", vary: "Accept" },
  });
}

/** There is nothing, or nothing that strangers may know of. */
export function nothingHere(): Response {
  return refusalAnswer(404, "not_found", "There is nothing at this address.");
}
