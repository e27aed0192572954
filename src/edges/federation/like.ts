/** Reading Likes and their Undos: is it a flattr, and for which month? Pure; display is all that follows from it. */

import { type Document, idOf, isDocument, listOf, typesOf } from "../../rules/activity-streams.ts";
import { parsePeriod, type Period } from "../../rules/period.ts";
import { NAMESPACE } from "./like-document.ts";

/** The word that makes a Like a flattr. */
const PAYMENT_PERIOD = `${NAMESPACE}paymentPeriod`;

/** A Like, as it is written. */
export interface Like {
  /** Its id. */
  readonly like: string;
  readonly actor: string;
  /** The id of what is liked. */
  readonly object: string;
  readonly isFlattr: boolean;
  /** Null when it is no flattr. */
  readonly period: Period | null;
}

/** What an activity says about likes; anything else is ignored, and never an error. */
export type Reading =
  | ({ readonly kind: "like" | "undo" } & Like)
  | { readonly kind: "ignore"; readonly isFlattr: false; readonly period: null };

const IGNORED: Reading = { kind: "ignore", isFlattr: false, period: null };

/**
 * Reads an activity.
 *
 * @param known the Like with this id that was received before
 */
export function readReaction(
  activity: Document,
  known: (like: string) => Like | undefined,
): Reading {
  const like = readLike(activity);
  if (like !== undefined) return { kind: "like", ...like };
  const [type, ...more] = typesOf(activity);
  const actor = idOf(activity["actor"]);
  if (type !== "Undo" || more.length > 0) return IGNORED;
  const [object] = listOf(activity["object"]);
  const id = idOf(object);
  const received = id === undefined ? undefined : known(id);
  // An embedded Like is read in the context of what it is embedded in, unless it brings its own.
  const embedded = isDocument(object)
    ? readLike({ "@context": activity["@context"], ...object })
    : undefined;
  const meant = received ?? embedded;
  if (meant === undefined || meant.actor !== actor) return IGNORED;
  return embedded !== undefined && embedded.actor !== actor ? IGNORED : { kind: "undo", ...meant };
}

/** Reads a Like; undefined when it is none, or names no id, actor or object. */
export function readLike(activity: Document): Like | undefined {
  const [type, ...more] = typesOf(activity);
  const like = idOf(activity);
  const actor = idOf(activity["actor"]);
  const object = idOf(activity["object"]);
  if (type !== "Like" || more.length > 0) return undefined;
  if (like === undefined || actor === undefined || object === undefined) return undefined;
  const period = paymentPeriodOf(activity);
  return { like, actor, object, isFlattr: period !== null, period };
}

/** The month, under the full IRI or a name that the document's own context maps to it. All spellings must agree. */
function paymentPeriodOf(activity: Document): Period | null {
  const expand = expansionOf(activity["@context"]);
  const values = Object.entries(activity)
    .filter(([name]) => expand(name) === PAYMENT_PERIOD)
    .map(([, value]) => value);
  const [first, ...others] = values;
  if (typeof first !== "string" || others.some((other) => other !== first)) return null;
  return parsePeriod(first) ?? null;
}

/** Definitions that lead to further ones are followed so far; a circle ends. */
const EXPANSIONS_MAX = 4;

/** From a member's name to its IRI, by the definitions that stand inline; contexts elsewhere are not looked at. */
function expansionOf(context: unknown): (name: string) => string {
  const terms = new Map<string, string | undefined>();
  for (const part of listOf(context).filter(isDocument)) {
    for (const [term, definition] of Object.entries(part)) {
      const id = isDocument(definition) ? definition["@id"] : definition;
      terms.set(term, typeof id === "string" ? id : undefined);
    }
  }
  const expand = (name: string, left: number): string => {
    if (left === 0) return name;
    const whole = terms.get(name);
    if (whole !== undefined && whole !== name) return expand(whole, left - 1);
    const [prefix = "", ...suffix] = name.split(":");
    const space = terms.get(prefix);
    if (suffix.length === 0 || space === undefined || suffix[0]!.startsWith("//")) return name;
    return `${expand(space, left - 1)}${suffix.join(":")}`;
  };
  return (name) => expand(name, EXPANSIONS_MAX);
}
