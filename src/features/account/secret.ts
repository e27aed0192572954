/** The RSA keys by which actors of this instance sign: made at first need, the private half sealed in the database. */

import { createPublicKey, generateKeyPair, webcrypto } from "node:crypto";
import { promisify } from "node:util";
import type { Database } from "../../store/database.ts";
import type { Vault } from "../../store/keys.ts";
import { recent, together } from "../../store/recent.ts";
import { type Clock, sqlTime } from "../../store/time.ts";
import type { ActorId } from "./actor.ts";

/** A key pair of an actor of ours, ready to sign. */
export interface ActorKeyPair {
  /** `<actor>#main-key`. */
  readonly keyId: string;
  readonly privateKey: webcrypto.CryptoKey;
  readonly publicKey: webcrypto.CryptoKey;
  readonly publicPem: string;
}

/** The keys of the actors of this instance. */
export interface ActorKeys {
  /** @throws Error when the actor is not one of this instance */
  keyPairOf(actor: ActorId): Promise<ActorKeyPair>;
}

/** Every server verifies it, and it signs five times faster than the 4096 bits that some make. */
const MODULUS_BITS = 2048;

/** Key pairs kept ready; each is some kilobytes, and unsealing one costs less than a millisecond. */
const READY_MAX = 1_000;

/** What HTTP signatures of the fediverse are made of. @see https://swicg.github.io/activitypub-http-signature/ */
const ALGORITHM = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;

const generate = promisify(generateKeyPair);
const placeOf = (actor: ActorId) => `actor_secret:${actor}`;

interface Kept {
  readonly uri: string;
  readonly public_pem: string | null;
  readonly sealed: Uint8Array | null;
}

/** Opens the keys of this instance's actors. */
export function openActorKeys(database: Database, vault: Vault, clock: Clock): ActorKeys {
  const { sql, settings } = database;
  const ready = recent<ActorId, ActorKeyPair>(READY_MAX);

  const read = async (actor: ActorId): Promise<Kept | undefined> => {
    const [kept] = await sql<Kept[]>`
      SELECT a.uri, s.public_pem, s.sealed
        FROM actor a LEFT JOIN actor_secret s ON s.actor = a.id
       WHERE a.id = ${actor}`;
    return kept;
  };

  const make = async (actor: ActorId): Promise<void> => {
    const { publicKey, privateKey } = await generate("rsa", { modulusLength: MODULUS_BITS });
    const secret = privateKey.export({ type: "pkcs8", format: "der" });
    const sealed = Buffer.from(vault.seal(secret, placeOf(actor)));
    // Another process may have been faster: then its key is the key, and this one is forgotten.
    await sql`
      INSERT INTO actor_secret (actor, public_pem, sealed, created_at)
      VALUES (${actor}, ${publicKey.export({ type: "spki", format: "pem" })}, ${sealed}, ${sqlTime(clock.now())})
      ON CONFLICT DO NOTHING`;
  };

  const open = together(async (actor: ActorId): Promise<ActorKeyPair> => {
    let kept = await read(actor);
    if (kept === undefined || !kept.uri.startsWith(`${settings.origin}/`))
      throw new Error(`actor ${actor} is not of this instance: it has no key here`);
    if (kept.sealed === null) {
      await make(actor);
      kept = (await read(actor))!;
    }
    const pair: ActorKeyPair = {
      keyId: `${kept.uri}#main-key`,
      publicPem: kept.public_pem!,
      publicKey: await importPublicKey(kept.public_pem!),
      privateKey: await importPrivateKey(vault.unseal(kept.sealed!, placeOf(actor))),
    };
    ready.set(actor, pair);
    return pair;
  });

  return { keyPairOf: async (actor) => ready.get(actor) ?? open(actor) };
}

/** A public RSA key from its PEM, for WebCrypto. */
export async function importPublicKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPublicKey(pem).export({ type: "spki", format: "der" });
  // Extractable, since the library that signs and verifies refuses others.
  return webcrypto.subtle.importKey("spki", new Uint8Array(der), ALGORITHM, true, ["verify"]);
}

function importPrivateKey(secret: Uint8Array): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", new Uint8Array(secret), ALGORITHM, true, ["sign"]);
}
