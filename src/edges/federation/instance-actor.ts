/** The instance itself as an actor: signs for the house, and shows the keys of its statements. Readable by everybody, unsigned. */

import { CORE_CONTEXT, type Document } from "../../rules/activity-streams.ts";
import { instanceActorUri } from "../../features/account/own.ts";
import { NAMESPACE } from "./like-document.ts";

/** A key that signs statements. */
export interface StatementKey {
  readonly id: string;
  readonly publicKeyMultibase: string;
}

/** What its document is made of. */
export interface InstanceActor {
  readonly origin: string;
  /** The RSA key of HTTP signatures. */
  readonly signing: { readonly keyId: string; readonly publicPem: string };
  readonly statementKeys: readonly StatementKey[];
}

/** Two servers that answer only signed requests must be able to learn each other's keys, so this asks for nothing. */
export function instanceActorDocument({ origin, signing, statementKeys }: InstanceActor): Document {
  const id = instanceActorUri(origin);
  const { host } = new URL(origin);
  return {
    "@context": [
      CORE_CONTEXT,
      "https://w3id.org/security/v1",
      "https://www.w3.org/ns/did/v1",
      "https://w3id.org/security/multikey/v1",
    ],
    id,
    type: "Application",
    preferredUsername: host,
    name: host,
    url: `${origin}/`,
    inbox: `${origin}/inbox`,
    outbox: `${id}/outbox`,
    followers: `${id}/followers`,
    following: `${id}/following`,
    endpoints: { sharedInbox: `${origin}/inbox` },
    manuallyApprovesFollowers: true,
    publicKey: { id: signing.keyId, owner: id, publicKeyPem: signing.publicPem },
    assertionMethod: statementKeys.map(({ id: key, publicKeyMultibase }) => ({
      id: key,
      type: "Multikey",
      controller: id,
      publicKeyMultibase,
    })),
    attachment: [
      {
        type: "Link",
        name: "Ledger",
        href: `${origin}/ledger`,
        mediaType: "application/activity+json",
        rel: `${NAMESPACE}ledger`,
      },
    ],
  };
}

/** It writes nothing and follows nobody; servers that look at a new actor look at these, too. */
export function emptyCollection(id: string): Document {
  return {
    "@context": CORE_CONTEXT,
    id,
    type: "OrderedCollection",
    totalItems: 0,
    orderedItems: [],
  };
}
