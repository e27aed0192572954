/** Media types: what counts as an ActivityPub document. */

import { CORE_CONTEXT } from "../../rules/activity-streams.ts";

/** A media type, taken apart. */
export interface MediaType {
  /** Lower case, such as `application/ld+json`. */
  readonly name: string;
  /** Its parameters, names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const PARAMETER = /;[ \t]*([a-z0-9-]+)=(?:"([^"\\]*)"|([^\s;",]+))[ \t]*/giy;

/** The parts of a `Content-Type`; undefined for none, or one that is not well formed. */
export function mediaTypeOf(header: string | null): MediaType | undefined {
  const match = /^[ \t]*([a-z0-9.+-]+\/[a-z0-9.+-]+)[ \t]*/i.exec(header ?? "");
  if (header === null || match === null) return undefined;
  const parameters = new Map<string, string>();
  let place = match[0].length;
  while (place < header.length) {
    PARAMETER.lastIndex = place;
    const parameter = PARAMETER.exec(header);
    if (parameter === null) return undefined;
    parameters.set(parameter[1]!.toLowerCase(), parameter[2] ?? parameter[3] ?? "");
    place = PARAMETER.lastIndex;
  }
  return { name: match[1]!.toLowerCase(), parameters };
}

/**
 * True for the two types of ActivityPub, and for nothing that an ordinary upload gets.
 *
 * @see https://www.w3.org/TR/activitypub/#retrieving-objects
 */
export function isActivityType(header: string | null): boolean {
  const type = mediaTypeOf(header);
  if (type === undefined) return false;
  if (type.name === "application/activity+json") return true;
  const profiles = type.parameters.get("profile")?.split(" ") ?? [];
  return type.name === "application/ld+json" && profiles.includes(CORE_CONTEXT);
}
