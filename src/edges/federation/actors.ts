/** People of this instance and their collections, as other servers read them; and the way into the inbox. By Fedify. */

import {
  createFederation,
  type Federation,
  type KvStore,
  type RequestContext,
} from "@fedify/fedify";
import {
  type Actor,
  Application,
  Endpoints,
  Person as PersonActor,
  Service,
  Tombstone,
} from "@fedify/fedify/vocab";
import { preloadedContexts } from "@fedify/fedify/runtime";
import { type Person, personNamed } from "../../features/account/person.ts";
import { countFollows, followPage, type FollowSide } from "../../features/follow/list.ts";
import type { Database } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import type { Admitted } from "./door.ts";

/** What the library carries from a request to our functions. */
export interface Visit {
  /** What the door let in; never set for anything that did not come through it. */
  readonly admitted?: Admitted;
}

/** What serving people needs. */
export interface ActorParts {
  readonly database: Database;
}

/** Where pages of collections start. */
export const FIRST = "0";

/** The library, with our addresses and our people in it. Its inbox has no listeners yet. */
export function ourFederation({ database }: ActorParts): Federation<Visit> {
  const { origin } = database.settings;
  const federation = createFederation<Visit>({
    kv: nothingKept,
    // Whatever the Host header says.
    origin,
    // The door has verified, on the original bytes.
    skipSignatureVerification: true,
    contextLoaderFactory: () => shippedContext,
    documentLoaderFactory: () => refuseToLoad,
    authenticatedDocumentLoaderFactory: () => refuseToLoad,
  });

  const known = async (name: string) => {
    const person = await personNamed(database.drizzle, origin, name);
    return person === undefined || person.deletedAt !== null ? undefined : person;
  };

  federation.setActorDispatcher("/users/{identifier}", async (context, name) => {
    const person = await personNamed(database.drizzle, origin, name);
    if (person === undefined) return null;
    if (person.deletedAt !== null)
      return new Tombstone({
        id: context.getActorUri(name),
        deleted: libraryTime(person.deletedAt),
      });
    return actorOf(context, person);
  });

  const firstFor = async (name: string) => ((await known(name)) === undefined ? null : FIRST);
  const page = async (name: string, side: FollowSide, cursor: string | null) => {
    const after = cursorOf(cursor);
    const person = after === undefined ? undefined : await known(name);
    if (after === undefined || person === undefined) return null;
    const { actors, next } = await followPage(database, side, person.id, after);
    return {
      items: actors.map((uri) => new URL(uri)),
      nextCursor: next === undefined ? null : String(next),
    };
  };
  const many = async (name: string, side: FollowSide) => {
    const person = await known(name);
    return person === undefined ? null : countFollows(database, side, person.id);
  };

  federation
    .setFollowersDispatcher("/users/{identifier}/followers", async (_, name, cursor) => {
      const found = await page(name, "followers", cursor);
      return found === null
        ? null
        : { ...found, items: found.items.map((id) => ({ id, inboxId: null })) };
    })
    .setFirstCursor((_, name) => firstFor(name))
    .setCounter((_, name) => many(name, "followers"));

  federation
    .setFollowingDispatcher("/users/{identifier}/following", (_, name, cursor) =>
      page(name, "following", cursor),
    )
    .setFirstCursor((_, name) => firstFor(name))
    .setCounter((_, name) => many(name, "following"));

  return federation;
}

/** It has nothing to remember for us: no queue, no keys of others, no ids. A store that strangers fill would only grow. */
const nothingKept: KvStore = {
  get: async () => undefined,
  set: async () => {},
  delete: async () => {},
  async *list() {},
};

/** Context documents that are shipped; no other is ever fetched. */
export async function shippedContext(url: string): Promise<{
  contextUrl: null;
  documentUrl: string;
  document: unknown;
}> {
  const document = preloadedContexts[url];
  if (document === undefined) throw new Error(`the context ${url} is not shipped`);
  return { contextUrl: null, documentUrl: url, document };
}

/** The library never asks the network for anything: what must be fetched goes through the guard. */
async function refuseToLoad(url: string): Promise<never> {
  throw new Error(`${url} was to be loaded behind the guard's back`);
}

/** As much as the library wants to know, for WebFinger; the document itself is plain JSON (`personDocument`). */
function actorOf(context: RequestContext<Visit>, { name, kind }: Person): Actor {
  const id = context.getActorUri(name);
  const values = {
    id,
    preferredUsername: name,
    url: id,
    inbox: context.getInboxUri(name),
    followers: context.getFollowersUri(name),
    following: context.getFollowingUri(name),
    endpoints: new Endpoints({ sharedInbox: context.getInboxUri() }),
  };
  if (kind === "Service") return new Service(values);
  return kind === "Application" ? new Application(values) : new PersonActor(values);
}

/** Where a page starts; undefined for what no page of ours names. */
export function cursorOf(cursor: string | null): bigint | undefined {
  return cursor !== null && /^(0|[1-9]\d{0,17})$/.test(cursor) ? BigInt(cursor) : undefined;
}

/** The library has the same polyfill under another type. */
function libraryTime(at: Temporal.Instant) {
  return at as unknown as NonNullable<
    NonNullable<ConstructorParameters<typeof Tombstone>[0]>["deleted"]
  >;
}
