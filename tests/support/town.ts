/** A house with Bob in it, a neighbour elsewhere, and what is known there. */

import { randomUUID } from "node:crypto";
import type { Account } from "../../src/features/account/create.ts";
import { writePost } from "../../src/features/post/write.ts";
import type { Database } from "../../src/store/database.ts";
import { at, person, testDatabase } from "./database.ts";
import { type House, type Neighbour, neighbour, openHouse } from "./house.ts";

export const PUBLIC = "https://www.w3.org/ns/activitystreams#Public";
export const BOB = "https://home.example/users/bob";

export interface Town {
  readonly database: Database;
  readonly bob: Account;
  readonly house: House;
  readonly ann: Neighbour;
  /** A post of Bob's. */
  readonly post: string;
}

export async function town(): Promise<Town> {
  const database = await testDatabase();
  const bob = await person(database, "bob");
  const { uri: post } = await writePost(database, {
    author: bob,
    text: "Hello",
    at: at("2026-11-20"),
  });
  return { database, bob, post, house: await openHouse(database), ann: await neighbour(database) };
}

/** What is known about following, as `follower state followee`. */
export async function follows({ sql }: Database): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT a.uri || ' ' || f.state || ' ' || b.uri AS line FROM follow f JOIN actor a ON a.id = f.follower JOIN actor b ON b.id = f.followee ORDER BY 1`;
  return rows.map(({ line }) => line);
}

/** Likes, as `actor thing period`. */
export async function likes({ sql }: Database): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT a.uri || ' ' || t.uri || ' ' || COALESCE(f.period::text, '-') AS line FROM favourite f JOIN actor a ON a.id = f.actor JOIN thing t ON t.id = f.thing ORDER BY 1`;
  return rows.map(({ line }) => line);
}

/** The post at an address, as far as a test looks at it. */
export async function postAt({ sql }: Database, uri: string) {
  const [row] = await sql<
    {
      html: string;
      visibility: string;
      summary: string | null;
      edited: boolean;
      gone: boolean;
      id: bigint;
    }[]
  >`SELECT p.id, p.html, p.visibility, p.summary, p.edited_at IS NOT NULL AS edited, p.deleted_at IS NOT NULL AS gone
      FROM post p JOIN thing t ON t.id = p.thing WHERE t.uri = ${uri}`;
  return row;
}

/** What is on its way to others: activities and inboxes. */
export async function told({ sql }: Database) {
  const rows = await sql<{ activity: string; inbox: string; document: string }[]>`
    SELECT d.activity, d.inbox, m.document FROM delivery d JOIN message m ON m.id = d.message ORDER BY d.id`;
  return rows.map(({ activity, inbox, document }) => ({
    activity,
    inbox,
    document: JSON.parse(document) as Record<string, unknown>,
  }));
}

/** Everything that activities could change. */
export async function everything({ sql }: Database): Promise<string> {
  const [row] = await sql<[{ all: string }]>`
    SELECT string_agg(part, E'\n' ORDER BY part) AS all FROM (
      SELECT 'actor ' || a::text AS part FROM actor a UNION ALL SELECT 'follow ' || f::text FROM follow f
      UNION ALL SELECT 'post ' || p::text FROM post p UNION ALL SELECT 'thing ' || t::text FROM thing t
      UNION ALL SELECT 'favourite ' || f::text FROM favourite f UNION ALL SELECT 'boost ' || b::text FROM boost b
      UNION ALL SELECT 'activity ' || a::text FROM activity a UNION ALL SELECT 'delivery ' || d::text FROM delivery d
      UNION ALL SELECT 'key ' || k::text FROM actor_key k) parts`;
  return row.all;
}

export const note = (of: string, more: Record<string, unknown> = {}) => ({
  type: "Note",
  id: `${of}/notes/${randomUUID()}`,
  attributedTo: of,
  content: "<p>Hi</p>",
  published: "2026-11-21T11:00:00Z",
  to: [PUBLIC],
  ...more,
});
