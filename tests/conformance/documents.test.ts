import { describe, expect, test } from "vitest";
import { thingOfDocument } from "../../src/features/thing/document.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { documents } from "../support/vectors.ts";

/** Posts and profiles, which can be flattred; the rest of the recorded documents cannot. */
const FLATTRABLE = new Set(["Note", "Question", "Person", "Service", "Application"]);

describe("documents", () => {
  test.each(documents())("%s", (_, { url, body }) => {
    if (!FLATTRABLE.has(String(body["type"]))) {
      expect(() => thingOfDocument(body, url)).toThrow(Refusal);
      return;
    }
    const thing = thingOfDocument(body, url);
    const author = "attributedTo" in body ? body["attributedTo"] : body["id"];
    expect(thing).toMatchObject({
      uri: body["id"],
      kind: body["type"],
      payees: [{ payee: author, weight: 1 }],
    });
    // The same document from another host names nobody.
    expect(() => thingOfDocument(body, "https://elsewhere.example/note")).toThrow(Refusal);
  });
});
