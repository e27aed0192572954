/** Somebody of this instance as other servers read him: served at his address, and told when it changes. */

import { CORE_CONTEXT, type Document, PUBLIC } from "../../rules/activity-streams.ts";
import type { Person } from "../account/person.ts";
import { KEPT_TYPE } from "../media/picture.ts";
import { cleanHtml, cleanName } from "./clean.ts";

/** Words that the core context lacks; inline where they have no document that everybody ships. */
export const PERSON_CONTEXT = [
  CORE_CONTEXT,
  "https://w3id.org/security/v1",
  {
    manuallyApprovesFollowers: "as:manuallyApprovesFollowers",
    alsoKnownAs: { "@id": "as:alsoKnownAs", "@type": "@id" },
    movedTo: { "@id": "as:movedTo", "@type": "@id" },
    toot: "http://joinmastodon.org/ns#",
    discoverable: "toot:discoverable",
    indexable: "toot:indexable",
    schema: "http://schema.org#",
    PropertyValue: "schema:PropertyValue",
    value: "schema:value",
  },
] as const;

/** What a document is made of, besides the person. */
export interface PersonKeys {
  readonly origin: string;
  /** The RSA key by which his activities are checked. */
  readonly publicPem: string;
}

/** The document of a person who is here. */
export function personDocument(person: Person, keys: PersonKeys): Document {
  return { "@context": PERSON_CONTEXT, ...barePerson(person, keys) };
}

/** What is left of somebody who has gone. */
export function goneDocument({ uri, deletedAt }: Person): Document {
  return {
    "@context": CORE_CONTEXT,
    id: uri,
    type: "Tombstone",
    ...(deletedAt === null ? {} : { deleted: deletedAt.toString({ smallestUnit: "second" }) }),
  };
}

/**
 * `Update` of a person. The whole document stands in it, key included: servers that do not ask for it again, and those
 * that take what is missing for gone, are told all the same.
 */
export function personUpdateDocument(person: Person, keys: PersonKeys, id: bigint): Document {
  return {
    "@context": PERSON_CONTEXT,
    id: `${person.uri}#updates/${id}`,
    type: "Update",
    actor: person.uri,
    to: [PUBLIC],
    cc: [`${person.uri}/followers`],
    object: barePerson(person, keys),
  };
}

function barePerson(person: Person, { origin, publicPem }: PersonKeys): Document {
  const { uri, name, kind, displayName, summary, icon, header, fields, alsoKnownAs } = person;
  return {
    id: uri,
    type: kind,
    preferredUsername: name,
    name: cleanName(displayName ?? "") || name,
    ...(summary === null || summary === "" ? {} : { summary: cleanHtml(summary) }),
    url: uri,
    ...(icon === null ? {} : { icon: image(icon) }),
    ...(header === null ? {} : { image: image(header) }),
    inbox: `${uri}/inbox`,
    outbox: `${uri}/outbox`,
    followers: `${uri}/followers`,
    following: `${uri}/following`,
    endpoints: { sharedInbox: `${origin}/inbox` },
    publicKey: { id: `${uri}#main-key`, owner: uri, publicKeyPem: publicPem },
    manuallyApprovesFollowers: person.isLocked,
    discoverable: person.isDiscoverable,
    indexable: person.isIndexable,
    published: person.since.toString({ smallestUnit: "second" }),
    attachment: (fields ?? []).map((field) => ({
      type: "PropertyValue",
      name: cleanName(field.name),
      value: cleanHtml(field.value),
    })),
    ...(alsoKnownAs === null || alsoKnownAs.length === 0 ? {} : { alsoKnownAs }),
    ...(person.movedTo === null ? {} : { movedTo: person.movedTo }),
  };
}

function image(url: string): Document {
  return { type: "Image", mediaType: KEPT_TYPE, url };
}
