/** The ledger endpoint: statements come in, logs are pulled. Nothing here goes through Fedify or JSON-LD. */

import type { Taken } from "../../features/statement/take.ts";

/** The answer to a statement: its status, and the Receipt or a code with a sentence. */
export function statusOf(taken: Taken): {
  readonly status: 200 | 202 | 204 | 400 | 401 | 403 | 409;
  readonly body: string;
} {
  switch (taken.outcome) {
    case "Accept":
    case "Reject":
    case "Noted":
    case "replay":
      return { status: 200, body: taken.receipt };
    case "heard":
      return { status: 204, body: "" };
    case "gap":
      return { status: 202, body: JSON.stringify({ outcome: "gap", pullAfter: taken.pullAfter }) };
    default:
      return {
        status: STATUS[taken.outcome],
        body: JSON.stringify({
          error: taken.outcome,
          error_description: SENTENCE[taken.outcome],
        }),
      };
  }
}

type Fault = Exclude<Taken["outcome"], "Accept" | "Reject" | "Noted" | "replay" | "heard" | "gap">;

const STATUS: Readonly<Record<Fault, 400 | 401 | 403 | 409>> = {
  malformed: 400,
  badContext: 400,
  wrongAudience: 400,
  noProof: 401,
  badProof: 401,
  forgedOrigin: 401,
  unpinnedKey: 401,
  badSignature: 401,
  retiredKey: 401,
  unknownPeer: 403,
  fork: 409,
  frozen: 409,
};

const SENTENCE: Readonly<Record<Fault, string>> = {
  malformed: "This is no statement: its form is wrong.",
  badContext: "A statement has one context, word for word.",
  wrongAudience: "This statement is for another instance.",
  noProof: "A statement carries a proof; nothing else is believed.",
  badProof: "The proof has not the form that statements have.",
  forgedOrigin: "Id and key must have the origin of the actor.",
  unpinnedKey: "This key was never announced by a key that is known.",
  badSignature: "The proof was not made over this statement by this key.",
  retiredKey: "This key may not sign statements with such a number any more.",
  unknownPeer: "No line is kept with this actor. Offer Terms first.",
  fork: "Another statement has this place in the log. Both are kept, and the line is frozen.",
  frozen: "The line is frozen. The operators have to talk.",
};
