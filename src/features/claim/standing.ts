/** Who is not paid: creators who declined, actors and hosts that the operator blocked, actors that are gone. */

import { and, eq, isNull, sql } from "drizzle-orm";
import type { Database, Tx } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { ensureActors } from "../account/actor.ts";
import { actor } from "../account/schema.ts";
import { change } from "../settlement/change.ts";
import { giveBackOf, lockStanding } from "../settlement/give-back.ts";
import { block, decline } from "./schema.ts";

/**
 * A creator does not want money. What waits goes back to its patrons at once, later flattrs are refused, and flattrs
 * of the running month leave the division. Declining twice changes nothing.
 */
export async function declinePayments(
  database: Database,
  { payee, at }: { payee: string; at: Temporal.Instant },
): Promise<void> {
  await change(database, at, async (tx) => {
    const id = (await ensureActors(tx, [{ uri: payee }], at)).get(payee)!;
    await lockStanding(tx);
    const [already] = await tx
      .select()
      .from(decline)
      .where(and(eq(decline.payee, id), isNull(decline.until)));
    if (already !== undefined) return;
    const [made] = await tx
      .insert(decline)
      .values({ id: newId(at), payee: id, since: at })
      .returning();
    await giveBackOf(database, tx, {
      key: `return:decline:${made!.id}`,
      at,
      which: sql`a.owner = ${id}`,
    });
  });
}

/** The creator wants money again: from now on. */
export async function acceptPayments(
  database: Database,
  { payee, at }: { payee: string; at: Temporal.Instant },
): Promise<void> {
  await change(database, at, async (tx) => {
    const id = (await ensureActors(tx, [{ uri: payee }], at)).get(payee)!;
    await tx
      .update(decline)
      .set({ until: at })
      .where(and(eq(decline.payee, id), isNull(decline.until)));
  });
}

/** Whom a block means: one actor, or everybody of a host (`URL.host`, port included). */
export type BlockTarget = { readonly kind: "payee" | "host"; readonly target: string };

/** The operator pays an actor or a host no more. What waits for them goes back to the patrons. */
export async function blockPayments(
  database: Database,
  { kind, target, at }: BlockTarget & { at: Temporal.Instant },
): Promise<void> {
  await change(database, at, async (tx) => {
    await lockStanding(tx);
    const [already] = await tx.select().from(block).where(isBlock({ kind, target }));
    if (already !== undefined) return;
    if (kind === "payee") await ensureActors(tx, [{ uri: target }], at);
    const [made] = await tx
      .insert(block)
      .values({ id: newId(at), kind, target, since: at })
      .returning();
    await giveBackOf(database, tx, {
      key: `return:block:${made!.id}`,
      at,
      which: ownedBy(kind === "payee" ? sql`x.uri = ${target}` : sql`x.host = ${target}`),
    });
  });
}

/** Lifts a block: they are paid again from now on. */
export async function unblockPayments(
  database: Database,
  { kind, target, at }: BlockTarget & { at: Temporal.Instant },
): Promise<void> {
  await change(database, at, (tx) =>
    tx.update(block).set({ until: at }).where(isBlock({ kind, target })),
  );
}

/**
 * An actor is gone for good, and that was verified: as if it had declined.
 *
 * @param also what else follows from it, in the same transaction; when it says false, nothing does
 */
export async function forgetActor(
  database: Database,
  { payee, at }: { payee: string; at: Temporal.Instant },
  also: (tx: Tx) => Promise<boolean> = () => Promise.resolve(true),
): Promise<boolean> {
  return change(database, at, async (tx) => {
    await lockStanding(tx);
    if (!(await also(tx))) return false;
    const [gone] = await tx
      .update(actor)
      .set({ deletedAt: at })
      .where(and(eq(actor.uri, payee), isNull(actor.deletedAt)))
      .returning();
    if (gone === undefined) return true;
    await giveBackOf(database, tx, {
      key: `return:gone:${gone.id}`,
      at,
      which: sql`a.owner = ${gone.id}`,
    });
    return true;
  });
}

const isBlock = ({ kind, target }: BlockTarget) =>
  and(eq(block.kind, kind), eq(block.target, target), isNull(block.until));

const ownedBy = (which: ReturnType<typeof sql>) =>
  sql`EXISTS (SELECT FROM actor x WHERE x.id = a.owner AND ${which})`;

const newId = (at: Temporal.Instant) => sql`new_id(${sqlTime(at)})`;
