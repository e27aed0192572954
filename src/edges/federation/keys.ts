/** Whose key signed: from memory, else from the database, else from the actor's own server. */

import { CryptographicKey } from "@fedify/fedify/vocab";
import type { ActorId } from "../../features/account/actor.ts";
import type { Profile } from "../../features/account/document.ts";
import { importPublicKey } from "../../features/account/secret.ts";
import type { Database } from "../../store/database.ts";
import { recent, together } from "../../store/recent.ts";
import type { Clock } from "../../store/time.ts";
import type { Fetcher } from "./fetch.ts";

/** An actor and one of his keys, ready to verify with. */
export interface Signer {
  readonly actor: ActorId;
  readonly publicPem: string;
  readonly key: CryptographicKey;
}

/** What is known of an actor and a key without asking anybody. */
export type KnownSigner =
  /** The key is his. */
  | { readonly standing: "signs"; readonly signer: Signer }
  /** His profile is there, but it has no such key. */
  | { readonly standing: "read" }
  /** Somebody named him, or nobody ever did. */
  | { readonly standing: "named" | "unknown" }
  /** He was deleted, and that was verified. */
  | { readonly standing: "deleted" };

/** Keys of actors elsewhere. */
export interface SignerKeys {
  /** What memory or the database know. */
  known(keyId: string, actorUri: string): Promise<KnownSigner>;
  /** True when somebody's profile has a key of this id. */
  isKnown(keyId: string): Promise<boolean>;
  /**
   * Asks the actor's own server, and looks again. Somebody who was asked for is asked again at most once in ten
   * minutes, however many signatures fail. A profile is kept when a signature was true: nobody fills the database with
   * those of others.
   *
   * @param isTrue whether it is this key that signed
   * @throws what `Fetcher.actor` throws
   */
  ask(
    keyId: string,
    actorUri: string,
    options: {
      /** His profile is here already. */
      readonly isRead: boolean;
      readonly isTrue: (key: CryptographicKey) => Promise<boolean>;
    },
  ): Promise<Signer | undefined>;
  /** What was kept ready of him counts no more: he changed, or he is gone. */
  forget(actorUri: string): void;
}

interface Ready {
  readonly keyId: string;
  readonly known: KnownSigner;
  readonly sinceMs: number;
}

/** Keys kept ready, one of each actor: some kilobytes each. */
const READY_MAX = 5_000;

/** Other processes change keys in the database, too. */
const READY_MS = 5 * 60 * 1000;

/** How often a known actor is asked for again because a signature fails. */
const RENEW_MS = 10 * 60 * 1000;

/** Profiles in whose name nobody has signed yet: each may be as long as a document. */
const UNPROVEN_MAX = 50;

/** Actors of whom it is remembered when they were asked for. */
const RENEWED_MAX = 10_000;

interface Unproven {
  readonly profile: Profile;
  readonly sinceMs: number;
}

interface Row {
  readonly id: bigint;
  readonly is_read: boolean;
  readonly is_deleted: boolean;
  readonly public_pem: string | null;
}

/** Opens the keys. */
export function openSignerKeys(
  { sql }: Pick<Database, "sql">,
  fetcher: Fetcher,
  clock: Clock,
): SignerKeys {
  const ready = recent<string, Ready>(READY_MAX);
  const renewed = recent<string, number>(RENEWED_MAX);
  const unproven = recent<string, Unproven>(UNPROVEN_MAX);
  let forgotten = 0;
  const placeOf = (keyId: string, actorUri: string) => `${keyId} ${actorUri}`;

  const readNow = async (place: string): Promise<KnownSigner> => {
    const [keyId, actorUri] = place.split(" ") as [string, string];
    const before = forgotten;
    // A key counts only for the actor in whose own document it was found.
    const [row] = await sql<Row[]>`
      SELECT a.id, a.fetched_at IS NOT NULL AS is_read, a.deleted_at IS NOT NULL AS is_deleted, k.public_pem
        FROM actor a LEFT JOIN actor_key k ON k.actor = a.id AND k.id = ${keyId}
       WHERE a.uri = ${actorUri}`;
    if (row === undefined) return { standing: "unknown" };
    if (row.is_deleted) return { standing: "deleted" };
    if (row.public_pem === null) return { standing: row.is_read ? "read" : "named" };
    const signer: Signer = {
      actor: row.id,
      publicPem: row.public_pem,
      key: await keyOf(keyId, actorUri, row.public_pem),
    };
    const known: KnownSigner = { standing: "signs", signer };
    // What changed while it was read is read again.
    if (forgotten === before)
      ready.set(actorUri, { keyId, known, sinceMs: clock.real().epochMilliseconds });
    return known;
  };
  const read = together(readNow);

  const renew = together(async (actorUri: string): Promise<void> => {
    const now = clock.real().epochMilliseconds;
    const last = renewed.get(actorUri);
    if (last !== undefined && now - last < RENEW_MS) return;
    renewed.set(actorUri, now);
    await fetcher.actor(actorUri, { newerThan: clock.now() });
  });

  const meet = together(async (actorUri: string): Promise<Unproven> => {
    const now = clock.real().epochMilliseconds;
    const met = unproven.get(actorUri);
    if (met !== undefined && now - met.sinceMs < RENEW_MS) return met;
    const made = { profile: await fetcher.profile(actorUri), sinceMs: now };
    unproven.set(actorUri, made);
    return made;
  });

  /** Once for all who wait for it. */
  const keep = together((profile: Profile) => fetcher.remember(profile));

  return {
    async known(keyId, actorUri) {
      const kept = ready.get(actorUri);
      const isFresh =
        kept?.keyId === keyId && clock.real().epochMilliseconds - kept.sinceMs < READY_MS;
      return isFresh ? kept.known : read(placeOf(keyId, actorUri));
    },
    async isKnown(keyId) {
      const rows = await sql`SELECT FROM actor_key WHERE id = ${keyId}`;
      return rows.length > 0;
    },
    async ask(keyId, actorUri, { isRead, isTrue }) {
      if (isRead) await renew(actorUri);
      else {
        const { profile } = await meet(actorUri);
        const found = profile.keys.find(({ id }) => id === keyId);
        if (found === undefined) return undefined;
        if (!(await isTrue(await keyOf(keyId, actorUri, found.publicPem)))) return undefined;
        await keep(profile);
      }
      ready.delete(actorUri);
      // Not together with those who began to look before it was kept.
      const known = await readNow(placeOf(keyId, actorUri));
      if (known.standing !== "signs") return undefined;
      return !isRead || (await isTrue(known.signer.key)) ? known.signer : undefined;
    },
    forget(actorUri) {
      forgotten += 1;
      ready.delete(actorUri);
    },
  };
}

async function keyOf(keyId: string, owner: string, publicPem: string): Promise<CryptographicKey> {
  return new CryptographicKey({
    id: new URL(keyId),
    owner: new URL(owner),
    publicKey: await importPublicKey(publicPem),
  });
}
