/** Values of ActivityStreams documents: one or many, an address or the thing itself. @see https://www.w3.org/TR/activitystreams-core/ */

/** The context that all documents have in common. */
export const CORE_CONTEXT = "https://www.w3.org/ns/activitystreams";

/** Everybody. @see https://www.w3.org/TR/activitypub/#public-addressing */
export const PUBLIC = "https://www.w3.org/ns/activitystreams#Public";

/** The media type of documents. */
export const ACTIVITY_TYPE = "application/activity+json";

/** One JSON object. */
export type Document = Readonly<Record<string, unknown>>;

/** True for one JSON object. */
export function isDocument(value: unknown): value is Document {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One or many or none, as a list. */
export function listOf(value: unknown): readonly unknown[] {
  return value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
}

/** The id of what is named by its id or embedded; of many the first. */
export function idOf(value: unknown): string | undefined {
  const [first] = listOf(value);
  const id = isDocument(first) ? first["id"] : first;
  // An id with this character is nobody's, and no database keeps it.
  return typeof id === "string" && !id.includes("\0") ? id : undefined;
}

/** The ids of all that are named or embedded. */
export function idsOf(value: unknown): readonly string[] {
  return listOf(value)
    .map(idOf)
    .filter((id) => id !== undefined);
}

/** The types of a document. */
export function typesOf(document: Document): readonly string[] {
  return listOf(document["type"]).filter((type) => typeof type === "string");
}

/** A member that is a text, without the character that no database keeps; anything else is none. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value.replaceAll("\0", "") : undefined;
}

/** True when everybody is among the addressed, in any of the spellings in use. */
export function namesPublic(ids: readonly string[]): boolean {
  return ids.some((id) => id === PUBLIC || id === "as:Public" || id === "Public");
}
