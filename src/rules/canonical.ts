/** JSON in its one canonical form, the JSON Canonicalization Scheme. @see https://www.rfc-editor.org/rfc/rfc8785 */

/** A value that JSON can hold. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/**
 * Writes a value as canonical JSON: keys in order of their UTF-16 code units, no white space,
 * numbers and strings as ECMAScript writes them.
 *
 * @throws TypeError for a number that is not finite or text with half a surrogate pair, which have no canonical form
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value as Record<string, Json>)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, member]) => `${canonicalText(key)}:${canonicalJson(member)}`);
    return `{${members.join(",")}}`;
  }
  if (typeof value === "string") return canonicalText(value);
  if (typeof value === "number" && !Number.isFinite(value))
    throw new TypeError("a number that is not finite has no canonical form");
  return JSON.stringify(value);
}

function canonicalText(text: string): string {
  if (!text.isWellFormed())
    throw new TypeError("text with half a surrogate pair has no canonical form");
  return JSON.stringify(text);
}
