/** A favourite, and what comes of it. */

import type { Account } from "../../src/features/account/create.ts";
import { favouriteThing, unfavouriteThing } from "../../src/features/flattr/favourite.ts";
import type { Database } from "../../src/store/database.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { at, person, remotePost, testDatabase } from "./database.ts";

export const FAR = "https://far.example";
export const ANN = `${FAR}/users/ann`;
export const BEN = `${FAR}/users/ben`;
export const LIKES = "https://home.example/likes/";

export interface Scene {
  readonly database: Database;
  readonly alice: Account;
  readonly thing: bigint;
}

export async function scene(
  authors: Readonly<Record<string, number>> | string = ANN,
): Promise<Scene> {
  const database = await testDatabase();
  const alice = await person(database, "alice");
  return { database, alice, thing: await remotePost(database, `${FAR}/1`, authors) };
}

type How = { when?: string; counts?: boolean };

export function like(
  { database, alice, thing }: Scene,
  { when = "2026-11-10", counts = true }: How = {},
) {
  return favouriteThing(database, { account: alice, thing, counts, at: at(when) });
}

export function unlike(
  { database, alice, thing }: Scene,
  { when = "2026-11-11", counts = true }: How = {},
) {
  return unfavouriteThing(database, { account: alice, thing, counts, at: at(when) });
}

/** The favourites that stand. */
export async function standing({ sql }: Database) {
  return sql<{ id: bigint; uri: string | null; period: number | null }[]>`
    SELECT id, uri, period FROM favourite ORDER BY id`;
}

export async function flattrs({ sql }: Database) {
  return sql<{ id: bigint; period: number; source: string }[]>`
    SELECT id, period, source FROM flattr ORDER BY period, id`;
}

/** What waits to be told, in the order in which it leaves. */
export async function told({ sql }: Database): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT d.activity || ' ' || d.flattr || ' ' || COALESCE(d.period::text, '-') || ' ' || split_part(a.uri, '/', 5) AS line
      FROM delivery d JOIN actor a ON a.id = d.payee ORDER BY d.id, a.uri`;
  return rows.map(({ line }) => line);
}

/** What was told has arrived. */
export async function arrive({ sql }: Database): Promise<void> {
  await sql`DELETE FROM delivery`;
}

export async function refusal(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  return "accepted";
}
