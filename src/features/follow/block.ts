/** Wanting nothing to do with somebody, by people of this instance. */

import { and, eq, isNull, sql } from "drizzle-orm";
import { type Database, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { actorUri, type Account } from "../account/create.ts";
import { actor } from "../account/schema.ts";
import { tell } from "../activity/tell.ts";
import { NOTIFICATION_KINDS } from "../notice/schema.ts";
import { tellAnswer } from "./answer.ts";
import { blockDocument, unblockDocument } from "./documents.ts";
import { followOver, newId, pairOf, tellUnfollow } from "./follow.ts";
import { dropBetween } from "./receive.ts";
import { personBlock } from "./schema.ts";

/** Somebody of this instance, and whom he means. */
export interface OwnBlock {
  readonly account: Account;
  readonly actor: ActorId;
  readonly at: Temporal.Instant;
}

/**
 * Blocks somebody: neither follows the other any more, and nothing of him is seen. Again changes nothing. Somebody
 * elsewhere is told, so that his server keeps to it.
 *
 * @throws Refusal "not_found" for nobody, "oneself"
 */
export async function blockPerson(
  database: Database,
  { account, actor: blocked, at }: OwnBlock,
): Promise<void> {
  const { origin } = database.settings;
  if (blocked === account.actor) throw new Refusal("oneself");
  await retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const uri = await uriOfPerson(tx, blocked);
      const own = actorUri(origin, account.name);
      const id = `${own}#blocks/${await newId(tx, at)}`;
      const [made] = await tx
        .insert(personBlock)
        .values({ blocker: account.actor, blocked, uri: id, since: at })
        .onConflictDoNothing()
        .returning();
      if (made === undefined) return;
      for (const gone of await dropBetween(tx, account.actor, blocked)) {
        await followOver(tx, gone);
        if (gone.follower === account.actor) await tellUnfollow(tx, own, gone, uri, at);
        else await tellAnswer(tx, origin, account, gone, "Reject", at);
      }
      await forgetNews(tx, account.actor, blocked);
      await forgetNews(tx, blocked, account.actor);
      await tell(tx, {
        sender: account.actor,
        activity: "Block",
        document: blockDocument({ id, blocker: own, blocked: uri }),
        subject: pairOf(account.actor, blocked),
        to: [blocked],
        at,
      });
    }),
  );
}

/** Ends a block. @returns false when there was none, and nothing changed */
export async function unblockPerson(
  database: Database,
  { account, actor: blocked, at }: OwnBlock,
): Promise<boolean> {
  return retrying(() =>
    database.drizzle.transaction(async (tx) => {
      const [gone] = await tx
        .delete(personBlock)
        .where(and(eq(personBlock.blocker, account.actor), eq(personBlock.blocked, blocked)))
        .returning();
      if (gone === undefined) return false;
      const own = actorUri(database.settings.origin, account.name);
      const [known] = await tx.select({ uri: actor.uri }).from(actor).where(eq(actor.id, blocked));
      await tell(tx, {
        sender: account.actor,
        activity: "Undo",
        document: unblockDocument({
          id: gone.uri ?? `${own}#blocks/${await newId(tx, at)}`,
          blocker: own,
          blocked: known!.uri,
        }),
        subject: pairOf(account.actor, blocked),
        to: [blocked],
        at,
      });
      return true;
    }),
  );
}

/** The URI of somebody who is there. @throws Refusal "not_found" */
export async function uriOfPerson(tx: Tx, id: ActorId): Promise<string> {
  const [found] = await tx
    .select({ uri: actor.uri })
    .from(actor)
    .where(and(eq(actor.id, id), isNull(actor.deletedAt)));
  if (found === undefined) throw new Refusal("not_found");
  return found.uri;
}

/** Takes away what somebody of this instance was told of another one, and what that one passed on. */
async function forgetNews(tx: Tx, reader: ActorId, of: ActorId): Promise<void> {
  const account = sql`SELECT x.id FROM account x WHERE x.actor = ${reader}::bigint`;
  await tx.execute(sql`DELETE FROM home WHERE account IN (${account}) AND actor = ${of}::bigint`);
  await tx.execute(sql`
    DELETE FROM notification
     WHERE account IN (${account}) AND actor = ${of}::bigint
       AND kind IN (${sql.join(
         NOTIFICATION_KINDS.map((kind) => sql`${kind}`),
         sql`, `,
       )})`);
}
