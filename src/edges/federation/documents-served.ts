/** Posts and Likes of this instance as documents. Strangers get what is public or unlisted, and nothing else. */

import { actorUri } from "../../features/account/create.ts";
import { shownFlattr } from "../../features/flattr/show.ts";
import { postAt } from "../../features/post/find.ts";
import { noteDocument } from "../../features/post/note.ts";
import type { Database } from "../../store/database.ts";
import { documentAnswer, nothingHere } from "./answers.ts";
import { likeDocument } from "./like-document.ts";

/** The post of this author with this id; 410 with a Tombstone when it is gone. */
export async function postAnswer(database: Database, name: string, id: string): Promise<Response> {
  const { origin } = database.settings;
  const note = await postAt(database.drizzle, `${actorUri(origin, name)}/posts/${id}`);
  if (note === undefined || (note.visibility !== "public" && note.visibility !== "unlisted"))
    return nothingHere();
  return documentAnswer(noteDocument(note, origin), note.deletedAt === null ? 200 : 410);
}

/** The Like of a flattr that is not private. */
export async function likeAnswer(database: Database, id: string): Promise<Response> {
  const shown = await shownFlattr(database, BigInt(id));
  return shown === undefined
    ? nothingHere()
    : documentAnswer(likeDocument({ ...shown, origin: database.settings.origin }));
}
