/** Other servers, all in one process on this machine: who is there, and how that process is asked. */

import { join } from "node:path";
import type postgres from "postgres";
import { type Child, startChild } from "./child.ts";

/** Servers that there are: each has an address of the loopback net of its own. */
export const SERVERS = 200;

/** RSA keys are dear to make: people share a few, each under an id of his own. */
export const KEYS = 8;

/** What the process of the others is told. */
export type Order =
  /** Signs so many Likes and keeps them. */
  | { readonly do: "sign"; readonly likes: readonly LikeOrder[]; readonly to: Target }
  /** Posts what is signed, so many at once, until all are answered. */
  | { readonly do: "post"; readonly inFlight: number }
  /** Says what was asked of the others since this was asked last. */
  | { readonly do: "tally" }
  | { readonly do: "end" };

/** Where Likes go: an address that answers, and the host that they are signed for. */
export interface Target {
  readonly address: string;
  readonly path: string;
  readonly host: string;
}

/** One Like. */
export interface LikeOrder {
  readonly id: string;
  readonly actor: string;
  readonly object: string;
  readonly key: number;
}

/** What it answers; what an order is not about is 0 or empty. */
export interface Answer {
  readonly port: number;
  /** The public keys, as PEM. */
  readonly publicPems: readonly string[];
  /** Status of each post, and how long it took. */
  readonly posted: {
    readonly statuses: Readonly<Record<string, number>>;
    readonly wallMs: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
  };
  readonly tally: { readonly gets: number; readonly posts: number; readonly inboxes: number };
}

export type Elsewhere = Child<Order, Answer>;

/** Starts the others. */
export function startElsewhere(): Promise<Elsewhere> {
  return startChild<Order, Answer>(join(import.meta.dirname, "others.ts"), []);
}

/** `host:port` of one server, counted from 0. */
export function hostOf(server: number, port: number): string {
  return `127.0.77.${server + 1}:${port}`;
}

/** All of them, as ALLOW_PRIVATE_ADDRESSES wants them. */
export function allHosts(port: number): string {
  return Array.from({ length: SERVERS }, (_, server) => hostOf(server, port)).join(",");
}

/** Person number so-and-so: people are spread evenly over the servers. */
export function personAt(number: number, port: number): { uri: string; key: number } {
  return {
    uri: `http://${hostOf(number % SERVERS, port)}/users/u${number}`,
    key: number % KEYS,
  };
}

/** Writes people down as if they had been asked for: profile, inbox and key. */
export async function rememberPeople(
  sql: postgres.Sql,
  people: {
    readonly first: number;
    readonly many: number;
    readonly firstId: number;
    readonly at: Answer;
    readonly hasSharedInbox?: boolean;
  },
): Promise<void> {
  const { first, many, firstId, at, hasSharedInbox = false } = people;
  const rows = Array.from({ length: many }, (_, place) => {
    const { uri, key } = personAt(first + place, at.port);
    const { origin, host } = new URL(uri);
    return {
      id: firstId + first + place,
      uri,
      host,
      name: `u${first + place}`,
      inbox: `${uri}/inbox`,
      shared: hasSharedInbox ? `${origin}/inbox` : null,
      key: `${uri}#main-key`,
      pem: at.publicPems[key]!,
    };
  });
  const wanted = sql`jsonb_to_recordset(${sql.json(rows)}::jsonb) AS w(id bigint, uri text, host text, name text, inbox text, shared text, key text, pem text)`;
  await sql`
    INSERT INTO actor (id, uri, host, name, inbox, shared_inbox, found_at, fetched_at)
    SELECT id, uri, host, name, inbox, shared, now(), now() FROM ${wanted}`;
  await sql`INSERT INTO actor_key (id, actor, public_pem, fetched_at) SELECT key, id, pem, now() FROM ${wanted}`;
}
