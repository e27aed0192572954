/** Posts and Likes of this instance as documents. Strangers get what is public or unlisted, and nothing else. */

import { CORE_CONTEXT } from "../../rules/activity-streams.ts";
import { actorUri } from "../../features/account/create.ts";
import { personNamed } from "../../features/account/person.ts";
import type { ActorKeys } from "../../features/account/secret.ts";
import { shownLike } from "../../features/flattr/show.ts";
import { countOpenPosts, openPostsOf, postAt } from "../../features/post/find.ts";
import { createDocument, noteDocument, RICH_CONTEXT } from "../../features/post/note.ts";
import { goneDocument, personDocument } from "../../features/post/person-document.ts";
import type { Database } from "../../store/database.ts";
import { cursorOf, FIRST } from "./actors.ts";
import { documentAnswer, nothingHere } from "./answers.ts";
import { likeDocument } from "./like-document.ts";

/** A person, or what is left of one who has gone. */
export async function personAnswer(
  { drizzle, settings: { origin } }: Database,
  keys: ActorKeys,
  name: string,
): Promise<Response> {
  const person = await personNamed(drizzle, origin, name);
  if (person === undefined) return nothingHere();
  if (person.deletedAt !== null) return documentAnswer(goneDocument(person), 410);
  const { publicPem } = await keys.keyPairOf(person.id);
  return documentAnswer(personDocument(person, { origin, publicPem }));
}

/** The post of this author with this id; 410 with a Tombstone when it is gone. */
export async function postAnswer(database: Database, name: string, id: string): Promise<Response> {
  const { origin } = database.settings;
  const note = await postAt(database.drizzle, `${actorUri(origin, name)}/posts/${id}`);
  if (note === undefined || (note.visibility !== "public" && note.visibility !== "unlisted"))
    return nothingHere();
  return documentAnswer(noteDocument(note, origin), note.deletedAt === null ? 200 : 410);
}

/**
 * What somebody wrote for all: how much it is, and with a cursor one page of it. Anybody may ask as often as he likes,
 * so it is made of plain JSON: to the library it would be an expensive graph.
 */
export async function outboxAnswer(
  database: Database,
  name: string,
  cursor: string | null,
): Promise<Response> {
  const { drizzle, settings } = database;
  const person = await personNamed(drizzle, settings.origin, name);
  if (person === undefined || person.deletedAt !== null) return nothingHere();
  const id = `${actorUri(settings.origin, name)}/outbox`;
  if (cursor === null)
    return documentAnswer({
      "@context": CORE_CONTEXT,
      id,
      type: "OrderedCollection",
      totalItems: await countOpenPosts(drizzle, person.id),
      first: `${id}?cursor=${FIRST}`,
    });
  const before = cursorOf(cursor);
  if (before === undefined) return nothingHere();
  const { notes, next } = await openPostsOf(drizzle, person.id, before === 0n ? undefined : before);
  return documentAnswer({
    "@context": RICH_CONTEXT,
    id: `${id}?cursor=${cursor}`,
    type: "OrderedCollectionPage",
    partOf: id,
    ...(next === undefined ? {} : { next: `${id}?cursor=${next}` }),
    orderedItems: notes.map((note) => {
      const { "@context": _context, ...bare } = createDocument(note, settings.origin);
      return bare;
    }),
  });
}

/** The Like of a favourite that stands and is not private, whether it is a flattr or not. */
export async function likeAnswer(database: Database, id: string): Promise<Response> {
  const shown = await shownLike(database, BigInt(id));
  return shown === undefined
    ? nothingHere()
    : documentAnswer(likeDocument({ ...shown, origin: database.settings.origin }));
}
