/** People: who they are, what they wrote, who follows whom. @see https://docs.joinmastodon.org/methods/accounts/ */

import { eq } from "drizzle-orm";
import { type Context, Hono } from "hono";
import type { ActorId } from "../../features/account/actor.ts";
import { actorAt, uriOf } from "../../features/account/actor.ts";
import { actor } from "../../features/account/schema.ts";
import { flattrActorUri } from "../../features/account/own.ts";
import { searchActors } from "../../features/account/search.ts";
import { seeActors } from "../../features/account/see.ts";
import { blockPerson, unblockPerson } from "../../features/follow/block.ts";
import { followActor, unfollowActor } from "../../features/follow/follow.ts";
import { mutePerson, unmutePerson } from "../../features/follow/mute.ts";
import { setPersonNote } from "../../features/follow/note.ts";
import { peopleIn, type PeopleList } from "../../features/follow/people.ts";
import { acceptFollower, removeFollower } from "../../features/follow/answer.ts";
import { profileTimeline } from "../../features/post/timeline.ts";
import { findPayee } from "../../features/thing/find.ts";
import { parseHandle } from "../../rules/address.ts";
import { Refusal } from "../../store/refusal.ts";
import { accountEntities, accountList, accountOf } from "./account.ts";
import { credentialAccount } from "./credentials.ts";
import { filtered } from "./filtered.ts";
import {
  type Caller,
  callerOf,
  type ClientEnv,
  type ClientParts,
  scope,
  scopeIfAny,
  viewerOf,
} from "./frame.ts";
import { cursorsOf, idIn, idOf, linkPages, pageOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";
import { relationshipEntities, relationshipTo } from "./relationship.ts";
import { statusEntities } from "./status.ts";
import { POSTS, tagIn } from "./timelines.ts";

type Ctx = Context<ClientEnv>;

/** People on one page. */
const PEOPLE = { usual: 40, most: 80 };

/** Relationships asked for at once. */
const RELATIONS_MAX = 80;

/** Longest mute that ends by itself: ten years. */
const MUTE_SECONDS_MAX = 315_360_000;

/** `/api/v1/accounts/…`, follow requests, mutes and blocks. */
export const accountRoutes = (parts: ClientParts) => {
  const { database, clock } = parts;
  const { origin } = database.settings;

  const actorIn = async (c: Ctx): Promise<ActorId> => {
    const id = idOf(c.req.param("id")!);
    if (!(await seeActors(database, [id])).has(id)) throw new Refusal("not_found");
    return id;
  };
  /** Something is done about somebody, and how one stands to him is the answer. */
  const doing =
    (work: (caller: Caller, actor: ActorId, params: Params) => Promise<unknown>) =>
    async (c: Ctx) => {
      const caller = callerOf(c);
      const actor = await actorIn(c);
      await work(caller, actor, await paramsOf(c));
      parts.nudge();
      return c.json(await relationshipTo(parts, caller, actor));
    };
  const people = async (c: Ctx, list: PeopleList) => {
    const page = pageOf(await paramsOf(c), PEOPLE);
    const ids = await peopleIn(database, list, page, clock.now());
    linkPages(c, origin, cursorsOf(ids));
    return c.json(await accountList(parts, ids));
  };

  return new Hono<ClientEnv>()
    .get("/api/v1/accounts/verify_credentials", scope("read:accounts", "profile"), async (c) =>
      c.json(await credentialAccount(parts, callerOf(c), { withMoney: true })),
    )
    .get("/api/v1/accounts/relationships", scope("read:follows"), async (c) => {
      const ids = ((await paramsOf(c)).list("id") ?? []).flatMap((text) => idIn(text) ?? []);
      return c.json(await relationshipEntities(parts, callerOf(c), ids.slice(0, RELATIONS_MAX)));
    })
    .get("/api/v1/accounts/lookup", scopeIfAny("read:accounts"), async (c) => {
      const handle = parseHandle(`@${((await paramsOf(c)).text("acct") ?? "").replace(/^@/, "")}`);
      const uri =
        handle === undefined
          ? undefined
          : await findPayee(database, `@${handle.name}@${handle.host ?? new URL(origin).host}`);
      // Looking up asks nobody elsewhere; searching does.
      const id = uri === undefined ? undefined : await actorAt(database.drizzle, uri);
      const found = id === undefined ? undefined : await accountOf(parts, id);
      if (found === undefined) throw new Refusal("not_found");
      return c.json(found);
    })
    .get("/api/v1/accounts/search", scope("read:accounts"), async (c) => {
      const { account } = callerOf(c);
      const params = await paramsOf(c);
      const ids = await findPeople(parts, {
        text: params.text("q") ?? "",
        limit: pageOf(params, PEOPLE).limit,
        offset: params.whole("offset") ?? 0,
        asksOthers: params.flag("resolve") ?? false,
        followedBy: params.flag("following") ? account.actor : undefined,
      });
      return c.json(await accountList(parts, ids));
    })
    .get("/api/v1/accounts", scopeIfAny("read:accounts"), async (c) => {
      const ids = ((await paramsOf(c)).list("id") ?? []).flatMap((text) => idIn(text) ?? []);
      return c.json(await accountList(parts, ids.slice(0, PEOPLE.usual)));
    })
    .get("/api/v1/accounts/:id", scopeIfAny("read:accounts"), async (c) => {
      const id = await actorIn(c);
      return c.json((await accountEntities(parts, [id])).get(id));
    })
    .get("/api/v1/accounts/:id/statuses", scopeIfAny("read:statuses"), async (c) => {
      const id = await actorIn(c);
      const params = await paramsOf(c);
      // The bot writes messages alone: nothing of it stands on its profile, and there are many.
      if ((await uriOf(database.drizzle, id)) === flattrActorUri(origin)) return c.json([]);
      const tag = params.text("tagged");
      const entries = await profileTimeline(
        database,
        viewerOf(c),
        id,
        {
          hidesReplies: params.flag("exclude_replies") ?? false,
          hidesBoosts: params.flag("exclude_reblogs") ?? false,
          onlyMedia: params.flag("only_media") ?? false,
          onlyPinned: params.flag("pinned") ?? false,
          tag: tag === undefined || tag === "" ? undefined : tagIn(tag),
        },
        pageOf(params, POSTS),
        clock.now(),
      );
      linkPages(c, origin, cursorsOf(entries.map(({ cursor }) => cursor)));
      const entities = await statusEntities(
        parts,
        c.get("caller"),
        entries.map((entry) => entry.id),
      );
      return c.json(await filtered(parts, viewerOf(c), "account", entities));
    })
    .get("/api/v1/accounts/:id/followers", scopeIfAny("read:accounts"), async (c) =>
      people(c, { kind: "followers", of: await actorIn(c) }),
    )
    .get("/api/v1/accounts/:id/following", scopeIfAny("read:accounts"), async (c) =>
      people(c, { kind: "following", of: await actorIn(c) }),
    )
    .post(
      "/api/v1/accounts/:id/follow",
      scope("write:follows"),
      doing(async ({ account }, whom, params) =>
        followActor(database, {
          follower: account,
          // Somebody who is known by name only is read first: his server says where to ask.
          uri: await reachable(parts, whom),
          at: clock.now(),
          showsBoosts: params.flag("reblogs"),
          notifies: params.flag("notify"),
        }),
      ),
    )
    .post(
      "/api/v1/accounts/:id/unfollow",
      scope("write:follows"),
      doing(async ({ account }, actor) =>
        unfollowActor(database, {
          follower: account,
          uri: await uriOf(database.drizzle, actor),
          at: clock.now(),
        }),
      ),
    )
    .post(
      "/api/v1/accounts/:id/remove_from_followers",
      scope("write:follows"),
      doing(async ({ account }, follower) =>
        removeFollower(database, { followee: account, follower, at: clock.now() }).catch(
          unlessNobody,
        ),
      ),
    )
    .post(
      "/api/v1/accounts/:id/block",
      scope("write:blocks"),
      doing(({ account }, actor) => blockPerson(database, { account, actor, at: clock.now() })),
    )
    .post(
      "/api/v1/accounts/:id/unblock",
      scope("write:blocks"),
      doing(({ account }, actor) => unblockPerson(database, { account, actor, at: clock.now() })),
    )
    .post(
      "/api/v1/accounts/:id/mute",
      scope("write:mutes"),
      doing(({ account }, actor, params) => {
        const seconds = Math.min(params.whole("duration") ?? 0, MUTE_SECONDS_MAX);
        const at = clock.now();
        return mutePerson(database, {
          account,
          actor,
          hidesNotifications: params.flag("notifications"),
          until: seconds === 0 ? undefined : at.add({ seconds }),
          at,
        });
      }),
    )
    .post(
      "/api/v1/accounts/:id/unmute",
      scope("write:mutes"),
      doing(({ account }, actor) => unmutePerson(database, { account, actor })),
    )
    .post(
      "/api/v1/accounts/:id/note",
      scope("write:accounts"),
      doing(({ account }, actor, params) =>
        setPersonNote(database, { account, actor, text: params.text("comment") ?? "" }),
      ),
    )
    .get("/api/v1/mutes", scope("read:mutes"), (c) =>
      people(c, { kind: "muted", of: callerOf(c).account.id }),
    )
    .get("/api/v1/blocks", scope("read:blocks"), (c) =>
      people(c, { kind: "blocked", of: callerOf(c).account.actor }),
    )
    .get("/api/v1/follow_requests", scope("read:follows"), (c) =>
      people(c, { kind: "asking", of: callerOf(c).account.actor }),
    )
    .post(
      "/api/v1/follow_requests/:id/authorize",
      scope("write:follows"),
      doing(({ account }, follower) =>
        acceptFollower(database, { followee: account, follower, at: clock.now() }),
      ),
    )
    .post(
      "/api/v1/follow_requests/:id/reject",
      scope("write:follows"),
      doing(({ account }, follower) =>
        removeFollower(database, { followee: account, follower, at: clock.now() }),
      ),
    );
};

/** What people look for when they look for people. */
export interface PeopleSearch {
  readonly text: string;
  readonly limit: number;
  readonly offset: number;
  /** Whoever is not known is asked for at his own server. */
  readonly asksOthers: boolean;
  readonly followedBy?: ActorId | undefined;
}

/** People by what they are called; a whole handle or address of somebody unknown is looked up elsewhere. */
export async function findPeople(
  { database, resolver }: Pick<ClientParts, "database" | "resolver">,
  { text, asksOthers, ...search }: PeopleSearch,
): Promise<readonly ActorId[]> {
  const asked = text.trim();
  const handle = parseHandle(asked.startsWith("@") ? asked : `@${asked}`);
  if (handle?.host !== undefined && asksOthers && search.offset === 0) {
    const whole = `@${handle.name}@${handle.host}`;
    const found = await resolver.actor(whole).catch(undefinedIfRefused);
    // Whoever is known now is found below; among those who are followed he may not be.
    if (found !== undefined && search.followedBy === undefined) return [found];
  }
  return searchActors(database, { text: asked, ...search });
}

/** What cannot be found is nothing found. */
export function undefinedIfRefused(error: unknown): undefined {
  if (error instanceof Refusal) return undefined;
  throw error;
}

function unlessNobody(error: unknown): void {
  if (!(error instanceof Refusal) || error.reason !== "not_found") throw error;
}

/** The URI of somebody; whoever was never read is asked for at his server, since it says where he is told. */
async function reachable({ database, resolver }: ClientParts, id: ActorId): Promise<string> {
  const [found] = await database.drizzle
    .select({ uri: actor.uri, inbox: actor.inbox, host: actor.host })
    .from(actor)
    .where(eq(actor.id, id));
  const { uri, inbox, host } = found!;
  const isHere = host === new URL(database.settings.origin).host;
  if (!isHere && inbox === null) await resolver.actor(uri);
  return uri;
}
