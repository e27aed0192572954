/** What other servers say, turned into what happens here: one activity, one transaction, known by its id forever. */

import { getLogger } from "@logtape/logtape";
import type { Federation } from "@fedify/fedify";
import { Activity } from "@fedify/fedify/vocab";
import { type Document, idOf, isDocument, listOf, typesOf } from "../../rules/activity-streams.ts";
import type { ActorId } from "../../features/account/actor.ts";
import { profileOfDocument } from "../../features/account/document.ts";
import { rememberProfile } from "../../features/account/remember.ts";
import { takeOnce } from "../../features/activity/taken.ts";
import { forgetActor } from "../../features/claim/standing.ts";
import {
  isFollowed,
  takeAnswer,
  takeBlock,
  takeFollow,
  takeUnblock,
  takeUnfollow,
} from "../../features/follow/receive.ts";
import { takeBoost, takeUnboost } from "../../features/post/boost.ts";
import { takeLike, takeUnlike } from "../../features/post/favourite.ts";
import { POST_TYPES } from "../../features/post/read.ts";
import { forgetAuthor, takeDeletion, takeEdit, takePost } from "../../features/post/receive.ts";
import { takeFlag } from "../../features/report/receive.ts";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { addJob, dropJob } from "../../store/jobs.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Clock, Temporal } from "../../store/time.ts";
import { actorMoved, postBoosted } from "./afterwards.ts";
import type { Visit } from "./actors.ts";
import type { Admitted } from "./door.ts";
import { readLike, readReaction } from "./like.ts";

/** What taking in needs. */
export interface InboxParts {
  readonly database: Database;
  readonly clock: Clock;
  /** Looks at once whether there is something to deliver, such as the answer to a Follow. */
  readonly nudge: () => void;
}

/**
 * Adds the inbox. The library routes and parses; what is done follows from the document that the door let in, and
 * from nothing that did not come through it.
 *
 * The unique id of the activity makes each happen once, so the library's own memory of ids is switched off. What goes
 * wrong is thrown: the sender is told 500 and tries again.
 */
export function addInbox(federation: Federation<Visit>, parts: InboxParts): void {
  federation
    .setInboxListeners("/users/{identifier}/inbox", "/inbox")
    .withIdempotency(() => null)
    .on(Activity, async ({ data: { admitted } }, { id, actorId }) => {
      if (
        admitted === undefined ||
        id?.href !== new URL(admitted.id).href ||
        actorId?.href !== new URL(admitted.actorUri).href
      )
        throw new Error("an activity is not the one that the door let in");
      await takeIn(parts, admitted);
    });
}

/** The activity in the form in which the library gets it: what it must route by, and nothing to interpret. */
export function skeletonOf({ activity, id, actorUri }: Admitted): Document {
  const object = idOf(activity["object"]);
  return {
    "@context": "https://www.w3.org/ns/activitystreams",
    id,
    type: typesOf(activity),
    actor: actorUri,
    ...(object !== undefined && URL.canParse(object) ? { object } : {}),
  };
}

/**
 * Takes an activity in.
 *
 * @returns true when something is different now: an activity that came before, or that concerns nobody here, changes
 *   nothing, and neither does one that says what its actor may not say
 */
export async function takeIn(parts: InboxParts, admitted: Admitted): Promise<boolean> {
  const at = parts.clock.now();
  const kind = typesOf(admitted.activity).find(
    (type) => Object.hasOwn(EFFECTS, type) || Object.hasOwn(OWN_STATEMENT, type),
  );
  const logger = getLogger(["fediflattr", "inbox"]);
  if (kind === undefined) {
    logger.debug("{id} is of no kind that is used here", { id: admitted.id });
    return false;
  }
  try {
    const own = OWN_STATEMENT[kind];
    const changed =
      own === undefined
        ? await inOneTransaction(parts, admitted, kind, at)
        : await own(parts, admitted, at);
    if (changed && ANSWERED.has(kind)) parts.nudge();
    return changed;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    logger.debug("{id} is not taken: {reason}", { id: admitted.id, reason: error.reason });
    return false;
  }
}

/** Kinds that are answered by an activity of ours. All others leave nothing to deliver. */
const ANSWERED: ReadonlySet<string> = new Set(["Follow"]);

interface Taking {
  readonly tx: Tx;
  readonly database: Database;
  readonly activity: Document;
  readonly admitted: Admitted;
  readonly at: Temporal.Instant;
}

/** The effect of each kind of activity, in the transaction that remembers its id. True when something changed. */
const EFFECTS: Readonly<Record<string, (taking: Taking) => Promise<boolean>>> = {
  Accept: answered("Accept"),
  Reject: answered("Reject"),
  Announce: boosted,
  Block: async ({ tx, activity, admitted: { id, actor }, at }) => {
    const object = idOf(activity["object"]);
    return object !== undefined && takeBlock(tx, { id, actor, object, at });
  },
  Create: posted,
  Delete: deleted,
  Flag: async ({ tx, database, activity, admitted, at }) => {
    const isKept = await takeFlag(tx, database.settings, {
      reporter: admitted.actor,
      objects: listOf(activity["object"]).flatMap((object) => idOf(object) ?? []),
      content: typeof activity["content"] === "string" ? activity["content"] : "",
      at,
    });
    if (isKept)
      getLogger(["fediflattr", "inbox"]).warning("{host} reports something: {id}", {
        host: new URL(admitted.actorUri).host,
        id: admitted.id,
      });
    return isKept;
  },
  Follow: async ({ tx, database, activity, admitted, at }) => {
    const object = idOf(activity["object"]);
    if (object === undefined) return false;
    const { id, actor: follower, actorUri: followerUri } = admitted;
    const follow = { id, follower, followerUri, object, at };
    return (await takeFollow(tx, database.settings, follow)) !== undefined;
  },
  Move: moved,
  Update: changed,
};

type Whole = (parts: InboxParts, admitted: Admitted, at: Temporal.Instant) => Promise<boolean>;

/** What is one statement of its own, since it comes so often: it remembers the id itself. */
const OWN_STATEMENT: Readonly<Record<string, Whole>> = {
  Like: async ({ database }, { activity, actor, id }, at) => {
    const like = readLike(activity);
    if (like === undefined) return false;
    const { object, period } = like;
    return (await takeLike(database, { id, actor, object, period, at })) === "taken";
  },
  Undo: undone,
};

async function inOneTransaction(
  { database }: InboxParts,
  admitted: Admitted,
  kind: string,
  at: Temporal.Instant,
): Promise<boolean> {
  const { id, actor, actorUri, activity } = admitted;
  const take = async (tx: Tx) =>
    (await takeOnce(tx, { id, actor, kind, at })) &&
    EFFECTS[kind]!({ tx, database, activity, admitted, at });
  // Somebody's own deletion also gives back the money that waits for him: all of it or nothing.
  if (kind === "Delete" && idOf(activity["object"]) === actorUri)
    return forgetActor(database, { payee: actorUri, at }, take);
  return retrying(() => database.drizzle.transaction(take));
}

/** An answer to a Follow of ours, which is named by its id or embedded. */
function answered(answer: "Accept" | "Reject") {
  return async ({ tx, activity, admitted }: Taking): Promise<boolean> => {
    const [object] = listOf(activity["object"]);
    const embedded = isDocument(object) && typesOf(object).includes("Follow") ? object : undefined;
    // It may only answer for itself.
    const followee = embedded === undefined ? undefined : idOf(embedded["object"]);
    if (followee !== undefined && followee !== admitted.actorUri) return false;
    return takeAnswer(tx, {
      answer,
      actor: admitted.actor,
      followId: idOf(object),
      follower: embedded === undefined ? undefined : idOf(embedded["actor"]),
    });
  };
}

/** Only what is embedded counts: an object elsewhere speaks for somebody else. */
async function posted({ tx, database, activity, admitted, at }: Taking): Promise<boolean> {
  const document = postIn(activity);
  if (document === undefined) return false;
  const { actor, actorUri } = admitted;
  const kept = await takePost(tx, database.settings, { document, actor, actorUri, at });
  return kept !== undefined;
}

async function changed({ tx, database, activity, admitted, at }: Taking): Promise<boolean> {
  const { actor, actorUri } = admitted;
  const [object] = listOf(activity["object"]);
  if (isDocument(object) && idOf(object) === actorUri) {
    await rememberProfile(tx, profileOfDocument(object, actorUri), at);
    return true;
  }
  const document = postIn(activity);
  if (document === undefined) return false;
  return takeEdit(tx, database.settings, { document, actor, actorUri, at });
}

async function deleted({ tx, activity, admitted, at }: Taking): Promise<boolean> {
  const { actor, actorUri } = admitted;
  const object = idOf(activity["object"]);
  if (object === undefined) return false;
  if (object === actorUri) {
    await forgetAuthor(tx, actor, at);
    return true;
  }
  return takeDeletion(tx, { object, actor, actorUri, at });
}

/** What is passed on is known here, or is fetched from its own server by a job: what is embedded is not believed. */
async function boosted({ tx, activity, admitted, at }: Taking): Promise<boolean> {
  const object = idOf(activity["object"]);
  if (object === undefined) return false;
  const { id, actor } = admitted;
  if (await takeBoost(tx, { id, actor, object, at })) return true;
  if (!(await isFollowed(tx, actor))) return false;
  await addJob(
    tx,
    postBoosted,
    { id, actor: String(actor), object, at: at.toString() },
    boostedKey(actor, id),
  );
  return true;
}

/** Of one actor: nobody takes back what another one passed on. */
function boostedKey(actor: ActorId, id: string): string {
  return `${postBoosted.name}:${actor}:${id}`;
}

/** What was to be fetched for a boost that is taken back is not wanted any more. */
async function dropBoosted(tx: Tx, actor: ActorId, id: string): Promise<void> {
  await dropJob(tx, boostedKey(actor, id));
}

/** Believed only when the new actor names the old one, so that one is asked. */
async function moved({ tx, activity, admitted }: Taking): Promise<boolean> {
  const target = idOf(activity["target"]);
  if (idOf(activity["object"]) !== admitted.actorUri || target === undefined) return false;
  // Nobody else has a use for it.
  if (!(await isFollowed(tx, admitted.actor))) return false;
  const payload = { actor: String(admitted.actor), target };
  await addJob(tx, actorMoved, payload, `${actorMoved.name}:${admitted.actor}`);
  return true;
}

/** What is taken back is named by its id, or embedded: then both its id and what it was about count. */
async function undone(
  parts: InboxParts,
  admitted: Admitted,
  at: Temporal.Instant,
): Promise<boolean> {
  const { activity, actor, actorUri, id } = admitted;
  const { database } = parts;
  const [object] = listOf(activity["object"]);
  const named = idOf(object);
  const embedded = isDocument(object) ? object : {};
  const by = idOf(embedded["actor"]);
  if (by !== undefined && by !== actorUri) return false;
  const [kind] = typesOf(embedded);
  const about = idOf(embedded["object"]);
  switch (kind) {
    case "Like": {
      const reading = readReaction(activity, () => undefined);
      const like = reading.kind === "undo" ? reading : { like: named, object: undefined };
      return takeUnlike(database, { id, actor, like: like.like, object: like.object, at });
    }
    case "Follow":
    case "Block":
    case "Announce":
      return retrying(() =>
        database.drizzle.transaction(async (tx) => {
          if (!(await takeOnce(tx, { id, actor, kind: "Undo", at }))) return false;
          if (kind === "Follow")
            return takeUnfollow(tx, { follower: actor, followId: named, followee: about });
          if (kind === "Block") return takeUnblock(tx, { actor, id: named, object: about });
          if (named !== undefined) await dropBoosted(tx, actor, named);
          return takeUnboost(tx, { actor, id: named, object: about, at });
        }),
      );
    case undefined: {
      // By id alone it may be any of them; each is known by that id, so that doing it again does no harm.
      if (named === undefined) return false;
      if (await takeUnlike(database, { id, actor, like: named, object: undefined, at }))
        return true;
      return retrying(() =>
        database.drizzle.transaction(async (tx) => {
          await dropBoosted(tx, actor, named);
          return (
            (await takeUnboost(tx, { actor, id: named, object: undefined, at })) ||
            (await takeUnfollow(tx, { follower: actor, followId: named, followee: undefined })) ||
            (await takeUnblock(tx, { actor, id: named, object: undefined }))
          );
        }),
      );
    }
    default:
      return false;
  }
}

function postIn(activity: Document): Document | undefined {
  const [object] = listOf(activity["object"]);
  return isDocument(object) && typesOf(object).some((type) => POST_TYPES.has(type))
    ? object
    : undefined;
}
