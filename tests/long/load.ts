/** People with apps, who ask two nodes of one instance by the client API as apps do. */

import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Account } from "../../src/features/account/create.ts";
import { type Serving, TRIAL_ORIGIN, until } from "../support/process.ts";
import type { Ear } from "../support/sockets.ts";

/** Pause of one person between two clicks, and before the same is tried again. */
const CLICK_MS = 150;
const AGAIN_MS = 300;

/** One person, and the node that his app asks. */
export interface Person {
  readonly account: Account;
  readonly token: string;
  readonly node: Serving;
}

/** What the load has been told. */
export interface Acknowledged {
  /** Text of the post → its id. */
  readonly posts: Map<string, string>;
  readonly favourites: Set<string>;
}

/** What is going on while people click. */
export interface Load {
  ends: boolean;
  /** Answers that acknowledged nothing, by their status. */
  readonly refused: Map<number, number>;
  /** The longest that somebody waited for an answer, in ms. */
  longestMs: number;
}

/** Writes and favourites without pause until the load ends; what was not acknowledged is tried again, as clients do. */
export async function click(
  person: Person,
  place: number,
  told: readonly Acknowledged[],
  load: Load,
): Promise<void> {
  const mine = told[place]!;
  const persist = async (path: string, body?: object, key?: string) => {
    for (;;) {
      const from = performance.now();
      const answer = await ask(person, "POST", path, body, key);
      load.longestMs = Math.max(load.longestMs, performance.now() - from);
      if (answer.status === 200) return answer.body;
      load.refused.set(answer.status, (load.refused.get(answer.status) ?? 0) + 1);
      await sleep(AGAIN_MS);
    }
  };
  for (let turn = 0; !load.ends; turn += 1) {
    const status = `load ${place} ${turn}`;
    const { id } = await persist("/api/v1/statuses", { status }, status);
    mine.posts.set(status, id);
    const likeable = told
      .flatMap(({ posts }, author) => (author === place ? [] : [...posts.values()]))
      .find((post) => !mine.favourites.has(post));
    if (likeable !== undefined) {
      await persist(`/api/v1/statuses/${likeable}/favourite`);
      mine.favourites.add(likeable);
    }
    await sleep(CLICK_MS);
  }
}

/** Writes to the bot, and waits for what a work node makes of it. */
export async function answerOfBot(person: Person): Promise<void> {
  const { id } = await until(60_000, async () => {
    const { status, body } = await ask(person, "POST", "/api/v1/statuses", {
      status: "@flattr status",
      visibility: "direct",
    });
    return status === 200 ? (body as { id: string }) : undefined;
  });
  await until(
    60_000,
    async () => {
      const { body } = await ask(person, "GET", `/api/v1/statuses/${id}/context`);
      return body?.descendants?.length > 0 ? true : sleep(200).then(() => undefined);
    },
    "an answer of the bot",
  );
}

/** What came of a request. */
export interface Answer {
  readonly status: number;
  readonly remaining: number;
  readonly link: string | null;
  // What tests look into has many forms.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

/** One request as a client sends it. A connection that breaks is status 0. */
export async function ask(
  { token, node }: Person,
  method: string,
  path: string,
  body?: object,
  key?: string,
): Promise<Answer> {
  try {
    const answer = await fetch(`${node.address}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { "idempotency-key": key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    return {
      status: answer.status,
      remaining: Number(answer.headers.get("x-ratelimit-remaining")),
      link: answer.headers.get("link"),
      body: await answer.json().catch(() => undefined),
    };
  } catch {
    return { status: 0, remaining: 0, link: null, body: undefined };
  }
}

/** A request that must be answered with 200. */
export async function accepted(person: Person, method: string, path: string, body?: object) {
  const answer = await ask(person, method, path, body);
  expect({ path, status: answer.status, body: answer.body }).toMatchObject({ path, status: 200 });
  return answer.body;
}

/** All pages of a list. */
export async function everything(person: Person, path: string): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  for (let next: string | undefined = `${path}?limit=40`; next !== undefined;) {
    const { status, body, link } = await ask(person, "GET", next);
    expect({ next, status }).toEqual({ next, status: 200 });
    all.push(...body);
    const url = /<([^>]+)>; rel="next"/.exec(link ?? "")?.[1];
    next = url === undefined || body.length === 0 ? undefined : url.replace(TRIAL_ORIGIN, "");
  }
  return all;
}

/** HTML without its tags. */
export const textOf = (html: unknown) => String(html).replaceAll(/<[^>]*>/g, "");

/** How many acknowledged posts a stream that stayed open has not told of. */
export function missedBy(ear: Ear, told: readonly Acknowledged[]): number {
  const heard = new Set(
    ear.frames.filter(({ event }) => event === "update").map(({ payload }) => payload.id),
  );
  return told.flatMap(({ posts }) => [...posts.values()]).filter((id) => !heard.has(id)).length;
}

/** The status that an address answers with; 0 when nobody does. */
export async function statusOf(url: string): Promise<number> {
  return fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
    async (answer) => {
      await answer.arrayBuffer();
      return answer.status;
    },
    () => 0,
  );
}

/** The middle of a list. */
export function medianOf(list: readonly number[]): number {
  return list.toSorted((one, other) => one - other)[Math.floor(list.length / 2)]!;
}

/** What times in ms come to, for people. */
export function figures(list: readonly number[]): string {
  return `median ${Math.round(medianOf(list))} ms, longest ${Math.round(Math.max(...list))} ms`;
}
