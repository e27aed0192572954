/** What somebody writes down about somebody, for himself alone. */

import { and, eq } from "drizzle-orm";
import { type Database, retrying } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { ActorId } from "../account/actor.ts";
import type { Account } from "../account/create.ts";
import { uriOfPerson } from "./block.ts";
import { personNote } from "./schema.ts";

/** Characters of a note, as other servers allow. */
const NOTE_CHARS_MAX = 2000;

/**
 * Keeps a note about somebody in the place of the one before; an empty one is none.
 *
 * @throws Refusal "not_found" for nobody, "note_invalid" when it is too long
 */
export async function setPersonNote(
  database: Database,
  { account, actor, text }: { account: Account; actor: ActorId; text: string },
): Promise<void> {
  if ([...text].length > NOTE_CHARS_MAX || text.includes("\0") || !text.isWellFormed())
    throw new Refusal("note_invalid", { max: String(NOTE_CHARS_MAX) });
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      await uriOfPerson(tx, actor);
      if (text.trim() === "") {
        await tx
          .delete(personNote)
          .where(and(eq(personNote.account, account.id), eq(personNote.actor, actor)));
        return;
      }
      await tx
        .insert(personNote)
        .values({ account: account.id, actor, text })
        .onConflictDoUpdate({ target: [personNote.account, personNote.actor], set: { text } });
    }),
  );
}
