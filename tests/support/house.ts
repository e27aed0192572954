/** One instance's federation on a loopback port, and people of other servers who sign what they send. */

import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { pageRoutes } from "../../src/edges/web/routes.ts";
import { serveHttp } from "../../src/edges/web/serve.ts";
import { type Door, openDoor } from "../../src/edges/federation/door.ts";
import { openFetcher } from "../../src/edges/federation/fetch.ts";
import { type FederationParts, federationRoutes } from "../../src/edges/federation/routes.ts";
import type { ActorId } from "../../src/features/account/actor.ts";
import { rememberProfile } from "../../src/features/account/remember.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import type { Database } from "../../src/store/database.ts";
import { openEgress } from "../../src/store/egress.ts";
import { openMasterKey } from "../../src/store/keys.ts";
import { publicKeys } from "../../src/store/signing.ts";
import { type Clock, Temporal } from "../../src/store/time.ts";
import { testMasterKeyFile } from "./database.ts";
import { type RemoteHost, rsaKey, signedPost } from "./hostile.ts";

/** A clock that stands, and is set by hand. */
export interface SetClock extends Clock {
  set(at: Temporal.Instant): void;
}

export function setClock(start: Temporal.Instant): SetClock {
  let time = start;
  return { now: () => time, real: () => time, set: (at) => (time = at) };
}

/** A house that answers HTTP. */
export interface House {
  readonly clock: SetClock;
  /** What reached the statements. */
  readonly statements: string[];
  /** Sends a request to the house by real HTTP. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Asks for a document. */
  document(path: string, accept?: string): Promise<Response>;
}

/** A public key of a statement, as the house shows it. */
export const STATEMENT_KEY = {
  id: "https://home.example/actor#statement-1",
  publicKeyMultibase: "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
};

/** Opens the addresses of a house on a free port; closed with the test. */
export async function openHouse(
  database: Database,
  {
    at = "2026-11-21T12:00:00Z",
    door,
    hosts = [],
    nameServers,
  }: {
    at?: string;
    door?: Door;
    /** With whom it may speak. */
    hosts?: readonly RemoteHost[];
    /** Without one, nobody has a name. */
    nameServers?: readonly string[];
  } = {},
): Promise<House> {
  const clock = setClock(Temporal.Instant.from(at));
  const { origin } = database.settings;
  const vault = await openMasterKey(testMasterKeyFile(), undefined);
  const keys = openActorKeys(database, vault, clock);
  const egress = openEgress({
    allowedPrivate: hosts.map(({ host }) => host),
    userAgent: "test",
    ...(nameServers === undefined
      ? { lookup: () => Promise.reject(new Error("nobody has a name")) }
      : { nameServers }),
  });
  const fetcher = openFetcher({ database, egress, keys, clock, origin });
  const statements: string[] = [];
  const parts: FederationParts = {
    database,
    clock,
    keys,
    door:
      door ??
      openDoor({
        database,
        fetcher,
        clock,
        origin,
        isAllowedPrivate: (host) => egress.isAllowedPrivate(host),
      }),
    statementKeys: async () => [STATEMENT_KEY],
    takeStatement: async (body) => {
      statements.push(Buffer.from(body).toString());
      return new Response(null, { status: 204 });
    },
    nudge: () => {},
    pages: pageRoutes({
      database,
      clock,
      migrations: 0,
      isDraining: () => false,
      publicKeys: () => publicKeys(database.drizzle),
    }).fetch,
    version: "0.1.0",
    custody: "prepaid",
    isOpen: false,
  };
  const answer = federationRoutes(parts);
  const listening = await serveHttp(answer, {
    hosts: ["127.0.0.1"],
    port: 0,
    trustedProxies: ["127.0.0.1"],
  });
  onTestFinished(async () => {
    await listening.close();
    await egress.close();
  });
  const fetchPath = (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${listening.port}${path}`, { redirect: "manual", ...init });
  return {
    clock,
    statements,
    fetch: fetchPath,
    document: (path, accept = "application/activity+json") =>
      fetchPath(path, { headers: { accept } }),
  };
}

/** Somebody of another server. */
export interface Neighbour {
  readonly id: ActorId;
  readonly uri: string;
  /** An activity of his; what is not said is made up. */
  says(activity: Record<string, unknown>): Record<string, unknown>;
  /** Sends it, signed, as another server does. */
  send(
    house: House,
    activity: Record<string, unknown>,
    options?: { path?: string; headers?: Record<string, string> },
  ): Promise<Response>;
}

/** Somebody elsewhere whose document was fetched before. */
export async function neighbour(
  database: Database,
  uri = "https://far.example/users/ann",
  more: { inbox?: string; alsoKnownAs?: readonly string[] } = {},
): Promise<Neighbour> {
  const { origin } = new URL(uri);
  const { publicKey, privateKey } = await rsaKey(0);
  const publicPem = publicKey.export({ type: "spki", format: "pem" }).toString();
  const profile = {
    uri,
    kind: "Person",
    name: uri.split("/").at(-1)!.replace(/^@/, ""),
    inbox: `${uri}/inbox`,
    sharedInbox: `${origin}/inbox`,
    followers: `${uri}/followers`,
    isLocked: false,
    fields: [],
    alsoKnownAs: more.alsoKnownAs ?? [],
    keys: [{ id: `${uri}#main-key`, publicPem }],
  };
  const id = await database.drizzle.transaction((tx) =>
    rememberProfile(tx, profile, Temporal.Instant.from("2026-11-21T00:00:00Z")),
  );
  const says = (activity: Record<string, unknown>) => ({
    "@context": "https://www.w3.org/ns/activitystreams",
    id: `${uri}#activities/${randomUUID()}`,
    actor: uri,
    ...activity,
  });
  return {
    id,
    uri,
    says,
    send: async (house, activity, { path = "/inbox", headers = {} } = {}) => {
      const body = JSON.stringify(says(activity));
      const signed = signedPost({
        url: `${database.settings.origin}${path}`,
        body,
        keyId: `${uri}#main-key`,
        privateKey,
        date: new Date(house.clock.real().epochMilliseconds),
      });
      return house.fetch(path, {
        method: "POST",
        headers: { ...signed, ...headers },
        body,
      });
    },
  };
}
