/** All addresses by which other servers know this one, in front of the pages. */

import { getLogger } from "@logtape/logtape";
import type { Federation } from "@fedify/fedify";
import { ensureOwnActors } from "../../features/account/own.ts";
import { standingNamed } from "../../features/account/person.ts";
import type { ActorKeys } from "../../features/account/secret.ts";
import type { Database } from "../../store/database.ts";
import type { Clock } from "../../store/time.ts";
import { wantsDocument } from "./accept.ts";
import { ourFederation, type Visit } from "./actors.ts";
import { documentAnswer, nothingHere, refusalAnswer } from "./answers.ts";
import { likeAnswer, outboxAnswer, personAnswer, postAnswer } from "./documents-served.ts";
import type { Door } from "./door.ts";
import { addInbox, skeletonOf } from "./inbox.ts";
import { emptyCollection, instanceActorDocument, type StatementKey } from "./instance-actor.ts";
import { nodeInfo, nodeInfoLinks } from "./nodeinfo.ts";
import { hostMeta, personIn, webfingerOfInstance } from "./webfinger.ts";

/** What these addresses need. */
export interface FederationParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly keys: ActorKeys;
  /** Decides about every activity before anything else sees it. */
  readonly door: Door;
  /** The Ed25519 keys that sign statements. */
  readonly statementKeys: () => Promise<readonly StatementKey[]>;
  /** A document of two types that was posted to the instance's inbox: the whole body, at most `ACTIVITY_BYTES_MAX`. */
  readonly takeStatement: (body: Uint8Array, request: Request) => Promise<Response>;
  /** Looks at once whether there is something to deliver. */
  readonly nudge: () => void;
  /** Answers everything that is not answered here. */
  readonly pages: (request: Request, remoteAddress: string) => Response | Promise<Response>;
  readonly version: string;
  readonly custody: string;
  readonly isOpen: boolean;
}

/** Answers a request. `remoteAddress`: who it comes from, for limits. */
export type Answer = (request: Request, remoteAddress: string) => Promise<Response>;

/** Opens these addresses. */
export function federationRoutes(parts: FederationParts): Answer {
  const { database, pages } = parts;
  const federation = ourFederation(parts);
  addInbox(federation, parts);
  const read = reader(parts, federation);
  const post = poster(parts, federation);
  return async (request, remoteAddress) => {
    const url = new URL(request.url);
    if (request.method === "OPTIONS" && OPEN_TO_SCRIPTS.test(url.pathname)) return preflight();
    const answer =
      request.method === "POST"
        ? await post(request, url, remoteAddress)
        : request.method === "GET" || request.method === "HEAD"
          ? await guarded(database, () => read(request, url))
          : undefined;
    return answer ?? pages(request, remoteAddress);
  };
}

/** What scripts of any page may read: clients in a browser look here first for what kind of server this is. */
const OPEN_TO_SCRIPTS = /^\/(?:\.well-known|nodeinfo)\//;

/** @see https://fetch.spec.whatwg.org/#cors-preflight-fetch */
function preflight(): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, HEAD",
      "access-control-allow-headers": "Authorization, Content-Type",
      "access-control-max-age": "86400",
    },
  });
}

type Routes = readonly (readonly [
  RegExp,
  (request: Request, parts: readonly string[], url: URL) => Promise<Response | undefined>,
])[];

/** What is read; undefined when it is a page or nothing of ours. */
function reader(parts: FederationParts, federation: Federation<Visit>) {
  const { database, clock, keys, statementKeys } = parts;
  const { origin } = database.settings;
  const info = nodeInfo(parts);

  const byLibrary = async (request: Request, url: URL): Promise<Response> => {
    // The library makes addresses of pages from that of the request: whatever host was asked, they are ours.
    const asked = new Request(`${origin}${url.pathname}${url.search}`, {
      headers: { accept: request.headers.get("accept") ?? "*/*" },
    });
    const answer = await federation.fetch(asked, {
      // Nothing that is read was let in by the door.
      contextData: {},
      onNotFound: nothingHere,
    });
    if (!answer.headers.has("cache-control"))
      answer.headers.set("cache-control", "public, max-age=60");
    answer.headers.set("access-control-allow-origin", "*");
    return answer;
  };
  const document =
    (make: (found: readonly string[]) => Promise<Response>) =>
    async (request: Request, found: readonly string[]) =>
      wantsDocument(request.headers.get("accept")) ? make(found) : undefined;

  const routes: Routes = [
    [
      /^\/\.well-known\/webfinger$/,
      async (request, _, url) => {
        const resource = url.searchParams.get("resource");
        const found = webfingerOfInstance(origin, resource);
        if (found !== undefined) return found;
        const person = personIn(origin, resource ?? "");
        if (person !== undefined) url.searchParams.set("resource", person);
        const answer = await byLibrary(request, url);
        return answer.status === 400
          ? refusalAnswer(400, "resource_invalid", "Ask for a resource, such as acct:name@host.")
          : answer;
      },
    ],
    [/^\/\.well-known\/host-meta$/, async () => hostMeta(origin, "xml")],
    [/^\/\.well-known\/host-meta\.json$/, async () => hostMeta(origin, "json")],
    [/^\/\.well-known\/nodeinfo$/, async () => nodeInfoLinks(origin)],
    [/^\/nodeinfo\/(\d\.\d)$/, (_, [version]) => info(version!)],
    [
      /^\/actor$/,
      async () => {
        const { instance } = await ensureOwnActors(database.drizzle, origin, clock.now());
        const [signing, made] = await Promise.all([keys.keyPairOf(instance), statementKeys()]);
        return documentAnswer(instanceActorDocument({ origin, signing, statementKeys: made }));
      },
    ],
    [
      /^\/actor\/(outbox|followers|following)$/,
      async (_, [name]) => documentAnswer(emptyCollection(`${origin}/actor/${name}`)),
    ],
    [
      /^\/users\/([^/]+)\/outbox$/,
      (request, [name], url) =>
        document(() => outboxAnswer(database, name!, url.searchParams.get("cursor")))(request, []),
    ],
    [/^\/users\/([^/]+)$/, document(([name]) => personAnswer(database, keys, name!))],
    [
      /^\/users\/[^/]+\/(?:followers|following)$/,
      async (request, _, url) =>
        wantsDocument(request.headers.get("accept")) ? byLibrary(request, url) : undefined,
    ],
    [
      /^\/users\/([a-z0-9_]{1,30})\/posts\/([1-9]\d{0,17})$/,
      document(([name, id]) => postAnswer(database, name!, id!)),
    ],
    [/^\/likes\/([1-9]\d{0,17})$/, (_, [id]) => likeAnswer(database, id!)],
  ];

  return async (request: Request, url: URL): Promise<Response | undefined> => {
    for (const [pattern, answer] of routes) {
      const match = pattern.exec(url.pathname);
      if (match !== null) return answer(request, match.slice(1), url);
    }
    return undefined;
  };
}

/** What is posted: into the inbox through the door, and by no other way; undefined when it is for somebody else. */
function poster(parts: FederationParts, federation: Federation<Visit>) {
  const { database, door, takeStatement } = parts;
  const { origin } = database.settings;

  const enter = (request: Request, remoteAddress: string): Promise<Response> =>
    door(request, remoteAddress, async (entry) => {
      if ("statement" in entry) return takeStatement(entry.statement, request);
      // A request of our own making: nothing of what was sent goes on, but what the door let in.
      const answer = await federation.fetch(
        new Request(`${origin}/inbox`, {
          method: "POST",
          headers: { "content-type": "application/activity+json" },
          body: JSON.stringify(skeletonOf(entry)),
        }),
        { contextData: { admitted: entry } },
      );
      if (answer.ok) return new Response(null, { status: 202 });
      return answer.status >= 500
        ? unavailable()
        : refusalAnswer(400, "activity_invalid", "This activity cannot be read.");
    });

  return async (
    request: Request,
    url: URL,
    remoteAddress: string,
  ): Promise<Response | undefined> => {
    if (url.pathname === "/inbox") return guarded(database, () => enter(request, remoteAddress));
    const name = /^\/users\/([^/]+)\/inbox$/.exec(url.pathname)?.[1];
    if (name === undefined) return undefined;
    return guarded(database, async () => {
      const standing = await standingNamed(database, name);
      if (standing === undefined) return nothingHere();
      return standing === "here"
        ? enter(request, remoteAddress)
        : refusalAnswer(410, "gone", "Whoever lived here has gone.");
    });
  };
}

/** The world fails now and then: whoever asked is told to try again. */
async function guarded<T>(database: Database, work: () => Promise<T>): Promise<T | Response> {
  try {
    return await work();
  } catch (error) {
    getLogger(["fediflattr", "federation"]).error("{origin}: a request failed: {error}", {
      origin: database.settings.origin,
      error,
    });
    return unavailable();
  }
}

function unavailable(): Response {
  const answer = refusalAnswer(503, "unavailable", "That did not work just now. Try again later.");
  answer.headers.set("retry-after", "60");
  return answer;
}
