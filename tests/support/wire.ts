/** Reads along what passes between clients and an instance: each object as strictly as typed clients read it. */

import {
  strictAccount,
  strictInstance,
  strictNotification,
  strictRelationship,
  strictStatus,
} from "./strict.ts";
import type { Passed } from "./tls.ts";

/** How often which kind of object was checked. */
export type Seen = Readonly<
  Record<"status" | "account" | "relationship" | "notification" | "instance", number>
>;

/** What reads along. */
export interface Wire {
  see(passed: Passed): void;
  /** The same for an object that came by a stream. */
  seeStreamed(kind: "status" | "notification", value: unknown): void;
  /** What was wrong since the last call; empty when nothing was. */
  faults(): string[];
  readonly seen: Seen;
}

type Json = Record<string, unknown>;

/** Which objects stand in which answers. The first that fits counts. */
const ANSWERS: readonly (readonly [RegExp, (look: Look, body: unknown) => void])[] = [
  [/^\/api\/v2\/instance$/, (look, body) => look("instance", body)],
  [
    /^\/api\/v1\/statuses\/\d+\/context$/,
    (look, body) => {
      const { ancestors, descendants } = body as Json;
      look("status", ancestors);
      look("status", descendants);
    },
  ],
  [
    /^\/api\/v1\/statuses\/\d+\/(favourited_by|reblogged_by)$/,
    (look, body) => look("account", body),
  ],
  [/^\/api\/v1\/statuses\/\d+\/(source|history)$/, () => {}],
  [/^\/api\/v1\/statuses(\/\d+(\/\w+)?)?$/, (look, body) => look("status", body)],
  [
    /^\/api\/v1\/(timelines\/.+|favourites|bookmarks|trends\/statuses|accounts\/\d+\/statuses)$/,
    (look, body) => look("status", body),
  ],
  [/^\/api\/v1\/accounts\/relationships$/, (look, body) => look("relationship", body)],
  [
    /^\/api\/v1\/accounts\/\d+\/(un)?(follow|block|mute|pin|endorse)$/,
    (look, body) => look("relationship", body),
  ],
  [/^\/api\/v1\/accounts\/\d+\/note$/, (look, body) => look("relationship", body)],
  [
    /^\/api\/v1\/accounts\/(verify_credentials|update_credentials|lookup|search|\d+|\d+\/(followers|following))$/,
    (look, body) => look("account", body),
  ],
  [
    /^\/api\/v1\/(mutes|blocks|follow_requests|lists\/\d+\/accounts)$/,
    (look, body) => look("account", body),
  ],
  [/^\/api\/v1\/notifications(\/\d+)?$/, (look, body) => look("notification", body)],
  [
    /^\/api\/v2\/(notifications|search)$/,
    (look, body) => {
      const { accounts, statuses } = body as Json;
      look("account", accounts);
      look("status", statuses);
    },
  ],
];

type Look = (kind: keyof Seen, value: unknown) => void;

/** @param strange what no answer may contain: names of the instance that are not its ORIGIN */
export function openWire(strange: () => readonly string[]): Wire {
  const seen = { status: 0, account: 0, relationship: 0, notification: 0, instance: 0 };
  let faults: string[] = [];

  const lookFor =
    (where: string, isSignedIn: boolean): Look =>
    (kind, value) => {
      const checks = {
        status: (one: unknown) => strictStatus(one, { isSignedIn }),
        account: strictAccount,
        relationship: strictRelationship,
        notification: strictNotification,
        instance: strictInstance,
      };
      for (const one of [value].flat()) {
        seen[kind] += 1;
        try {
          checks[kind](one);
        } catch (error) {
          faults.push(`${where}: ${(error as Error).message}`);
        }
      }
    };

  return {
    seen,
    see({ method, path, isSignedIn, status, headers, text }) {
      const where = `${method} ${path} ${status}`;
      const all = `${[...headers].map(([name, value]) => `${name}: ${value}`).join("\n")}\n${text}`;
      for (const name of strange()) if (all.includes(name)) faults.push(`${where}: names ${name}`);
      if (status >= 500) faults.push(`${where}: ${text}`);
      const { pathname } = new URL(path, "http://localhost");
      if (status !== 200 || !/json/.test(headers.get("content-type") ?? "")) return;
      const [, check] = ANSWERS.find(([form]) => form.test(pathname)) ?? [];
      // Of some changes nothing is told but that they were made.
      if (text === "{}") return;
      check?.(lookFor(where, isSignedIn), JSON.parse(text));
    },
    seeStreamed: (kind, value) => lookFor("stream", true)(kind, value),
    faults() {
      const found = faults;
      faults = [];
      return found;
    },
  };
}

/** Lets the wire see what this process fetches, until the returned function is called. */
export function readAlong(wire: Wire): () => void {
  const plain = globalThis.fetch;
  globalThis.fetch = async (...asked) => {
    const request = new Request(...asked);
    const { method, url, headers } = request;
    const answer = await plain(request);
    const text = await answer.clone().text();
    const isSignedIn = headers.has("authorization");
    const path = url.slice(new URL(url).origin.length);
    wire.see({ method, path, isSignedIn, status: answer.status, headers: answer.headers, text });
    return answer;
  };
  return () => {
    globalThis.fetch = plain;
  };
}

/** An object as it came, of one whose names a library has written in its own way. */
export function asSent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asSent);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      asSent(member),
    ]),
  );
}
