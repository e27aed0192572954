/** Tells open sockets what happened: who of them gets it is one question, and each account gets its own view of it. */

import { getLogger } from "@logtape/logtape";
import type { Account } from "../../features/account/create.ts";
import { audienceOf, audienceOfGone, type Listened } from "../../features/notice/audience.ts";
import type { StreamEvent } from "../../features/notice/stream.ts";
import { type Database, isDatabaseAway } from "../../store/database.ts";
import type { Clock } from "../../store/time.ts";
import type { StreamSocket } from "./sockets.ts";
import { placeOf, standsIn, type Stream, type StreamPlace } from "./streams.ts";

/**
 * What an account sees of something, as clients read it; undefined when it is not for its eyes, or it hides it in that
 * place. Never with amounts.
 *
 * @param kind status: a post or a boost
 */
export type Render = (
  kind: "status" | "notification" | "announcement",
  id: bigint,
  account: Account,
  place: StreamPlace,
) => Promise<unknown>;

/** What telling works with. */
export interface TellingParts {
  readonly database: Pick<Database, "sql">;
  readonly clock: Clock;
  readonly render: Render;
}

/** Events that wait to be told. With more than these waiting, whoever is interested reads them in his timelines. */
const WAITING_MAX = 5_000;

/** Views that are made at once. */
const RENDERED_MAX = 8;

/** How often the database is asked for one event, and how long is waited in between. */
const TRIES_MAX = 3;
const AGAIN_MS = 500;

/** The same while the database is away: a minute, in which another server takes its place. Nothing new comes meanwhile. */
const AWAY_TRIES_MAX = 120;

/** Asks again when the database was away for a moment. */
async function again<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (tries >= (isDatabaseAway(error) ? AWAY_TRIES_MAX : TRIES_MAX)) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

/** One frame for one socket. */
interface Target {
  readonly client: StreamSocket;
  readonly stream: Stream;
}

/** Opens it. What it gives takes events and tells them in their order, each to the sockets that are open then. */
export function openTelling(
  parts: TellingParts,
  open: ReadonlySet<StreamSocket>,
): (event: StreamEvent) => void {
  const logger = getLogger(["fediflattr", "streams"]);
  const waiting: StreamEvent[] = [];
  let isTelling = false;

  const run = async (): Promise<void> => {
    isTelling = true;
    for (let event = waiting.shift(); event !== undefined; event = waiting.shift())
      await tellOne(parts, open, event).catch((error: unknown) =>
        logger.warning("open streams are not told of a {kind}: {error}", {
          kind: event.kind,
          error,
        }),
      );
    isTelling = false;
  };

  return (event) => {
    if (waiting.length >= WAITING_MAX) {
      logger.warning("open streams are not told of a {kind}: too much waits", { kind: event.kind });
      return;
    }
    waiting.push(event);
    if (!isTelling) void run();
  };
}

async function tellOne(
  parts: TellingParts,
  open: ReadonlySet<StreamSocket>,
  event: StreamEvent,
): Promise<void> {
  const { subject } = event;
  switch (event.kind) {
    case "post":
    case "boost":
    case "edit":
      return tellOfPost(parts, open, event);
    case "delete":
      return tellOfGone(parts, open, subject!);
    case "notification": {
      const targets = targetsOf(open, ({ stream, client }) => {
        if (client.account.id !== event.account) return false;
        return (
          stream.kind === "notifications" || (stream.kind === "user" && client.hearsNotifications)
        );
      });
      return tellViews(parts, targets, {
        name: "notification",
        kind: "notification",
        id: subject!,
      });
    }
    case "filters":
      for (const { client, stream } of targetsOf(open, isUsers))
        if (client.account.id === event.account) client.send(stream, "filters_changed", undefined);
      return;
    case "announcement":
      return tellViews(parts, targetsOf(open, isUsers), {
        name: "announcement",
        kind: "announcement",
        id: subject!,
      });
    case "announcement_gone":
      for (const { client, stream } of targetsOf(open, isUsers))
        client.send(stream, "announcement.delete", String(subject));
      return;
    case "token_gone":
      return;
  }
}

const isUsers = ({ stream }: Target): boolean => stream.kind === "user";

function targetsOf(
  open: ReadonlySet<StreamSocket>,
  isMeant: (target: Target) => boolean,
): Target[] {
  const targets: Target[] = [];
  for (const client of open)
    for (const stream of client.streams)
      if (isMeant({ client, stream })) targets.push({ client, stream });
  return targets;
}

async function tellOfPost(
  parts: TellingParts,
  open: ReadonlySet<StreamSocket>,
  event: StreamEvent,
): Promise<void> {
  const listened = listenedTo(open);
  if (listened.accounts.length === 0) return;
  const audience = await again(() =>
    audienceOf(parts.database, event, listened, parts.clock.now()),
  );
  if (audience === undefined) return;
  await tellViews(
    parts,
    targetsOf(open, ({ client, stream }) => standsIn(stream, audience, client.account.id)),
    {
      name: event.kind === "edit" ? "status.update" : "update",
      kind: "status",
      id: event.subject!,
    },
  );
}

async function tellOfGone(
  { database }: TellingParts,
  open: ReadonlySet<StreamSocket>,
  subject: bigint,
): Promise<void> {
  const listened = listenedTo(open);
  if (listened.accounts.length === 0) return;
  const readers = await again(() => audienceOfGone(database, subject, listened.accounts));
  for (const { client, stream } of targetsOf(open, isTimeline)) {
    if (readers !== undefined && (!readers.has(client.account.id) || placeOf(stream) === "public"))
      continue;
    client.send(stream, "delete", String(subject));
  }
}

const isTimeline = ({ stream: { kind } }: Target): boolean =>
  kind === "user" || kind === "public" || kind === "tag" || kind === "list";

function listenedTo(open: ReadonlySet<StreamSocket>): Listened {
  const accounts = new Set<bigint>();
  const tags = new Set<string>();
  const lists = new Set<bigint>();
  for (const { client, stream } of targetsOf(open, isTimeline)) {
    accounts.add(client.account.id);
    if (stream.tag !== undefined) tags.add(stream.tag);
    if (stream.list !== undefined) lists.add(stream.list);
  }
  return { accounts: [...accounts], tags: [...tags], lists: [...lists] };
}

/** Makes each account's view once for each place, and sends it to those sockets that still want it then. */
async function tellViews(
  { render }: TellingParts,
  targets: readonly Target[],
  event: {
    readonly name: string;
    readonly kind: Parameters<Render>[0];
    readonly id: bigint;
  },
): Promise<void> {
  const views = new Map<string, { account: Account; place: StreamPlace; targets: Target[] }>();
  for (const target of targets) {
    const { account } = target.client;
    const place = event.kind === "notification" ? "notifications" : placeOf(target.stream);
    const key = `${account.id} ${place}`;
    const view = views.get(key) ?? { account, place, targets: [] };
    view.targets.push(target);
    views.set(key, view);
  }
  const left = views.values();
  const renderNext = async (): Promise<void> => {
    for (const view of left) {
      const { account, place } = view;
      // What cannot be shown to one is shown to the others.
      const shown = await again(() => render(event.kind, event.id, account, place)).catch(
        (error: unknown) => {
          getLogger(["fediflattr", "streams"]).warning("{kind} {id} is not shown: {error}", {
            kind: event.kind,
            id: String(event.id),
            error,
          });
          return undefined;
        },
      );
      if (shown === undefined) continue;
      const payload = JSON.stringify(shown);
      for (const { client, stream } of view.targets)
        if (client.listensTo(stream)) client.send(stream, event.name, payload);
    }
  };
  await Promise.all(Array.from({ length: Math.min(RENDERED_MAX, views.size) }, renderNext));
}
