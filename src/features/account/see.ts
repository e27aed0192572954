/** Actors as clients show them: of this instance and of any other, with the numbers beside their name. */

import { type Database, TEXTS } from "../../store/database.ts";
import { gatherEach } from "../../store/gather.ts";
import { fromSqlTime, type Temporal } from "../../store/time.ts";
import type { ActorId } from "./actor.ts";

/** Somebody, as everybody may see him. */
export interface SeenActor {
  readonly id: ActorId;
  readonly uri: string;
  /** `URL.host`, port included. */
  readonly host: string;
  readonly name: string | null;
  readonly kind: string;
  readonly displayName: string | null;
  /** As its server wrote it, not cleaned. */
  readonly summary: string | null;
  readonly url: string | null;
  readonly icon: string | null;
  readonly header: string | null;
  readonly isLocked: boolean;
  readonly isIndexable: boolean;
  readonly isDiscoverable: boolean | null;
  /** Values are not cleaned. */
  readonly fields: readonly { readonly name: string; readonly value: string }[];
  readonly movedTo: ActorId | undefined;
  readonly since: Temporal.Instant;
  readonly posts: number;
  readonly followers: number;
  readonly following: number;
  readonly lastPostAt: Temporal.Instant | undefined;
  /** True for people of this instance and its bot. */
  readonly isHere: boolean;
  /** True when his flattrs bring him money: neither he nor the operator refuses it, and he is no actor of the instance itself. */
  readonly isPaid: boolean;
  /** True when his money does not wait for him: he is of this instance, or of a peer. */
  readonly isClaimed: boolean;
}

interface Row {
  readonly id: bigint;
  readonly uri: string;
  readonly host: string;
  readonly name: string | null;
  readonly kind: string;
  readonly display_name: string | null;
  readonly summary: string | null;
  readonly url: string | null;
  readonly icon: string | null;
  readonly header: string | null;
  readonly is_locked: boolean;
  readonly is_indexable: boolean;
  readonly is_discoverable: boolean | null;
  readonly fields: SeenActor["fields"] | null;
  readonly moved_to: bigint | null;
  readonly created_at: Date | null;
  readonly found_at: Date;
  readonly posts: number | null;
  readonly followers: number | null;
  readonly following: number | null;
  readonly last_post_at: Date | null;
  readonly is_person: boolean;
  readonly is_claimed: boolean;
  readonly reason: string | null;
}

/** Those of these actors that are there, by id. One query, however many; single ones that are asked for together share it. */
export async function seeActors(
  database: Pick<Database, "sql" | "settings">,
  ids: Iterable<ActorId>,
): Promise<ReadonlyMap<ActorId, SeenActor>> {
  const [first, ...others] = new Set(ids);
  if (first === undefined) return new Map();
  if (others.length > 0) return readActors(database, [first, ...others]);
  const one = await seeActor(database, first);
  return new Map(one === undefined ? [] : [[first, one]]);
}

const seeActor = gatherEach<Pick<Database, "sql" | "settings">, ActorId, SeenActor | undefined>(
  (database) => ({
    work: async (ids) => {
      const seen = await readActors(database, [...new Set(ids)]);
      return ids.map((id) => seen.get(id));
    },
  }),
);

async function readActors(
  { sql, settings }: Pick<Database, "sql" | "settings">,
  ids: readonly ActorId[],
): Promise<ReadonlyMap<ActorId, SeenActor>> {
  const rows = await sql<Row[]>`
    SELECT a.id, a.uri, a.host, a.name, a.kind, a.display_name, a.summary, a.url, a.icon, a.header, a.is_locked, a.is_indexable,
           x.is_discoverable, a.fields, m.id AS moved_to, x.created_at, a.found_at, c.posts, c.followers, c.following, c.last_post_at,
           s.reason, x.id IS NOT NULL AS is_person,
           x.id IS NOT NULL OR w.peer IS NOT NULL AS is_claimed
      FROM actor a
      LEFT JOIN actor_count c ON c.actor = a.id
      LEFT JOIN actor m ON m.uri = a.moved_to
      LEFT JOIN payee_standing s ON s.payee = a.id
      -- Looked up row by row: otherwise all accounts and all hosts are read for each page.
      LEFT JOIN LATERAL (SELECT * FROM account WHERE actor = a.id OFFSET 0) x ON true
      LEFT JOIN LATERAL (SELECT * FROM host_way WHERE host = a.host OFFSET 0) w ON true
     WHERE a.id = ANY(${sql.array(ids.map(String), TEXTS)}::bigint[]) AND a.deleted_at IS NULL`;
  const own = `${settings.origin}/`;
  return new Map(
    rows.map((row) => [
      row.id,
      {
        id: row.id,
        uri: row.uri,
        host: row.host,
        name: row.name,
        kind: row.kind,
        displayName: row.display_name,
        summary: row.summary,
        url: row.url,
        icon: row.icon,
        header: row.header,
        isLocked: row.is_locked,
        isIndexable: row.is_indexable,
        isDiscoverable: row.is_discoverable,
        fields: row.fields ?? [],
        movedTo: row.moved_to ?? undefined,
        since: fromSqlTime(row.created_at ?? row.found_at),
        posts: Math.max(row.posts ?? 0, 0),
        followers: Math.max(row.followers ?? 0, 0),
        following: Math.max(row.following ?? 0, 0),
        lastPostAt: row.last_post_at === null ? undefined : fromSqlTime(row.last_post_at),
        isHere: row.uri.startsWith(own),
        isPaid: row.reason === null && (row.is_person || !row.uri.startsWith(own)),
        isClaimed: row.is_claimed,
      },
    ]),
  );
}
