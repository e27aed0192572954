/** Whose key signed: from memory, else from the database, else from the actor's own server. */

import { CryptographicKey } from "@fedify/fedify/vocab";
import type { ActorId } from "../../features/account/actor.ts";
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
  /**
   * Asks the actor's own server, and looks again. Somebody whose profile is there already is asked for at most once in
   * ten minutes, however many signatures fail.
   *
   * @throws what `Fetcher.actor` throws
   */
  ask(keyId: string, actorUri: string, isRead: boolean): Promise<Signer | undefined>;
}

/** Keys kept ready: some kilobytes each. */
const READY_MAX = 5_000;

/** Other processes change keys in the database, too. */
const READY_MS = 5 * 60 * 1000;

/** How often a known actor is asked for again because a signature fails. */
const RENEW_MS = 10 * 60 * 1000;

/** Actors of whom it is remembered when they were asked for. */
const RENEWED_MAX = 10_000;

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
  const ready = recent<string, { readonly known: KnownSigner; readonly sinceMs: number }>(
    READY_MAX,
  );
  const renewed = recent<string, number>(RENEWED_MAX);
  const placeOf = (keyId: string, actorUri: string) => `${keyId} ${actorUri}`;

  const read = together(async (place: string): Promise<KnownSigner> => {
    const [keyId, actorUri] = place.split(" ") as [string, string];
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
      key: new CryptographicKey({
        id: new URL(keyId),
        owner: new URL(actorUri),
        publicKey: await importPublicKey(row.public_pem),
      }),
    };
    const known: KnownSigner = { standing: "signs", signer };
    ready.set(place, { known, sinceMs: clock.real().epochMilliseconds });
    return known;
  });

  const renew = together(async (actorUri: string): Promise<void> => {
    const now = clock.real().epochMilliseconds;
    const last = renewed.get(actorUri);
    if (last !== undefined && now - last < RENEW_MS) return;
    renewed.set(actorUri, now);
    await fetcher.actor(actorUri, { newerThan: clock.now() });
  });

  return {
    async known(keyId, actorUri) {
      const place = placeOf(keyId, actorUri);
      const kept = ready.get(place);
      const isFresh =
        kept !== undefined && clock.real().epochMilliseconds - kept.sinceMs < READY_MS;
      return isFresh ? kept.known : read(place);
    },
    async ask(keyId, actorUri, isRead) {
      if (isRead) await renew(actorUri);
      else await fetcher.actor(actorUri);
      const place = placeOf(keyId, actorUri);
      ready.delete(place);
      const known = await read(place);
      return known.standing === "signs" ? known.signer : undefined;
    },
  };
}
