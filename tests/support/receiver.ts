/** The front door behind real HTTP, with a clock that the test sets, and everything that it could change in one text. */

import type { AddressInfo } from "node:net";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { onTestFinished } from "vitest";
import { type Admitted, type DoorLimits, openDoor } from "../../src/edges/federation/door.ts";
import { type Fetcher, openFetcher } from "../../src/edges/federation/fetch.ts";
import { ensureOwnActors } from "../../src/features/account/own.ts";
import { openActorKeys } from "../../src/features/account/secret.ts";
import type { Database } from "../../src/store/database.ts";
import { type Egress, openEgress } from "../../src/store/egress.ts";
import { openVault, type Vault } from "../../src/store/keys.ts";
import { type Clock, Temporal } from "../../src/store/time.ts";
import { snapshot } from "./database.ts";
import { type RemoteHost, rsaKey } from "./hostile.ts";

/** A clock that stands still until the test moves it. */
export interface TestClock extends Clock {
  set(at: Temporal.Instant): void;
  forward(duration: Temporal.DurationLike): void;
}

export function testClock(at = "2026-11-21T12:00:00Z"): TestClock {
  let time = Temporal.Instant.from(at);
  return {
    now: () => time,
    real: () => time,
    set: (moved) => (time = moved),
    forward: (duration) => (time = time.add(duration)),
  };
}

/** An instance that does nothing with what it admits but remember it. */
export interface Receiver {
  readonly origin: string;
  readonly inbox: string;
  readonly admitted: Admitted[];
  readonly clock: TestClock;
  readonly egress: Egress;
  readonly fetcher: Fetcher;
  /** What came that was no POST. */
  readonly strays: string[];
  /** Everything that is known and was admitted: equal before and after means that nothing happened. */
  effect(): Promise<string>;
}

/** Rates that no test meets by accident. */
export const ANY_RATE: Partial<DoorLimits> = {
  refusals: { burst: 1e6, perSecond: 1e6 },
  newcomers: { burst: 1e6, perSecond: 1e6 },
  activitiesOfActor: { burst: 1e6, perSecond: 1e6 },
  activities: { burst: 1e6, perSecond: 1e6 },
  knocks: { perSender: 1e6, all: 1e6 },
};

/** Far from those that are dealt out to others. */
const OWN_KEY = 10_000;

/** Opens the door on an address of the loopback net. It may speak with these hosts, and with nobody else. */
export async function receiver(
  shared: Database,
  hosts: readonly RemoteHost[],
  {
    limits = ANY_RATE,
    clock = testClock(),
    address = "127.0.0.1",
    isOwnAllowed = false,
  }: {
    limits?: Partial<DoorLimits>;
    clock?: TestClock;
    address?: string;
    /** It may ask itself, too, so that a test can see that it does not. */
    isOwnAllowed?: boolean;
  } = {},
): Promise<Receiver> {
  const admitted: Admitted[] = [];
  const strays: string[] = [];
  let answer: (request: Request, remote: string) => Promise<Response>;
  const server = createAdaptorServer({
    fetch: (request, env) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/healthz") return new Response("ok");
      if (request.method !== "POST") strays.push(pathname);
      return answer(request, (env as HttpBindings).incoming.socket.remoteAddress ?? "");
    },
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const origin = `http://${address}:${(server.address() as AddressInfo).port}`;
  const database = { ...shared, settings: { ...shared.settings, origin } };
  const allowedPrivate = hosts.map(({ host }) => host);
  if (isOwnAllowed) allowedPrivate.push(new URL(origin).host);
  const egress = openEgress({ allowedPrivate, userAgent: "Fediflattr/test" });
  const vault = openVault(new Uint8Array(32).fill(7));
  await giveKey(database, vault, clock);
  const keys = openActorKeys(database, vault, clock);
  const fetcher = openFetcher({ database, egress, keys, clock, origin });
  const door = openDoor({
    database,
    fetcher,
    clock,
    origin,
    isAllowedPrivate: (host) => egress.isAllowedPrivate(host),
    limits,
  });
  answer = (request, remote) =>
    door(request, remote, async (entry) => {
      if ("statement" in entry) return new Response(null, { status: 204 });
      admitted.push(entry);
      return new Response(null, { status: 202 });
    });
  onTestFinished(async () => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await egress.close();
  });
  return {
    origin,
    inbox: `${origin}/inbox`,
    admitted,
    strays,
    clock,
    egress,
    fetcher,
    async effect() {
      const [known] = await database.sql<[{ all: string | null }]>`
        SELECT string_agg(part, E'\n' ORDER BY part) AS all
          FROM (SELECT 'actor ' || a::text AS part FROM actor a
                UNION ALL SELECT 'key ' || k::text FROM actor_key k
                UNION ALL SELECT 'activity ' || t::text FROM activity t) parts`;
      return [
        await snapshot(database),
        known.all,
        JSON.stringify(admitted.map(({ id }) => id)),
      ].join("\n");
    },
  };
}

/** Gives the instance actor a key that is there already: making one takes longer than all the rest of a test. */
async function giveKey(database: Database, vault: Vault, clock: Clock): Promise<void> {
  const { drizzle, settings, sql } = database;
  const { instance } = await ensureOwnActors(drizzle, settings.origin, clock.now());
  const { publicKey, privateKey } = await rsaKey(OWN_KEY);
  const secret = privateKey.export({ type: "pkcs8", format: "der" });
  await sql`
    INSERT INTO actor_secret (actor, public_pem, sealed, created_at)
    VALUES (${instance}, ${publicKey.export({ type: "spki", format: "pem" }).toString()},
            ${Buffer.from(vault.seal(secret, `actor_secret:${instance}`))}, ${clock.now().toString()})`;
}
