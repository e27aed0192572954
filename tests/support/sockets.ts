/** Streaming on a loopback port, and clients that listen to it. */

import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { statusOf } from "../../src/edges/mastodon/status.ts";
import {
  openStreaming,
  type Streaming,
  type StreamingLimits,
} from "../../src/edges/mastodon/streaming.ts";
import type { Render } from "../../src/edges/mastodon/telling.ts";
import { serveHttp } from "../../src/edges/web/serve.ts";
import { app } from "../../src/features/access/schema.ts";
import { createToken } from "../../src/features/access/token.ts";
import type { Account } from "../../src/features/account/create.ts";
import { openEvents } from "../../src/features/notice/stream.ts";
import type { Database } from "../../src/store/database.ts";
import { openRates } from "../../src/store/rates.ts";
import { type Clock, Temporal } from "../../src/store/time.ts";
import { at } from "./database.ts";

/** The domain stands on one day; sockets live in real time. */
const clock: Clock = { now: () => at("2026-11-10"), real: () => Temporal.Now.instant() };

/** One node. */
export interface StreamNode {
  readonly url: string;
  readonly streaming: Streaming;
  /** How often something was rendered. */
  readonly rendered: string[];
  close(): Promise<void>;
}

/** Starts a node on a database. Posts are shown as the client API shows them. */
export async function streamNode(
  database: Database,
  { limits, render }: { limits?: Partial<StreamingLimits>; render?: Render } = {},
): Promise<StreamNode> {
  const rendered: string[] = [];
  const shown: Render = async (kind, id, account, place) => {
    rendered.push(`${kind} ${account.name} ${place}`);
    if (render !== undefined) return render(kind, id, account, place);
    if (kind !== "status") return { id: String(id), kind };
    const access = { token: 0n, app: 0n, account, scopes: new Set<string>(), countsFlattrs: true };
    return statusOf({ database, clock }, { account, access, showsMoney: false }, id);
  };
  const rates = openRates(database, clock);
  const events = openEvents(database);
  const streaming = openStreaming({
    database,
    clock,
    events,
    rates,
    render: shown,
    ...(limits === undefined ? {} : { limits }),
  });
  const listening = await serveHttp(
    () => Response.json({ error: "Record not found" }, { status: 404 }),
    { hosts: ["127.0.0.1"], port: 0, trustedProxies: [] },
    (...asked) => streaming.upgrade(...asked),
  );
  let closed: Promise<void> | undefined;
  const close = () =>
    (closed ??= (async () => {
      await streaming.close();
      await listening.close();
      events.close();
      await rates.close();
    })());
  onTestFinished(close);
  return { url: `127.0.0.1:${listening.port}`, streaming, rendered, close };
}

/** A token of somebody. */
export async function tokenOf(
  database: Database,
  account: Account | undefined,
  scopes: readonly string[] = ["read"],
): Promise<{ id: bigint; secret: string }> {
  const name = `app ${Math.floor(performance.now() * 1e6)}`;
  const [made] = await database.drizzle
    .insert(app)
    .values({
      id: BigInt(Math.floor(performance.now() * 1e6)),
      clientId: name,
      secretDigest: new Uint8Array(32),
      name,
      redirectUris: [],
      scopes,
      createdAt: at("2026-11-01"),
    })
    .returning();
  return createToken(database.drizzle, {
    app: made!.id,
    account: account?.id,
    scopes,
    countsFlattrs: true,
    at: at("2026-11-01"),
  });
}

/** What a client was told, its payload read. */
export interface Frame {
  readonly stream: readonly string[];
  readonly event: string;
  // What tests look into has many forms.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly payload: any;
  readonly error?: string;
  readonly status?: number;
}

/** A client that listens. */
export interface Ear {
  readonly socket: WebSocket;
  readonly frames: Frame[];
  readonly closed: Promise<number>;
  say(words: unknown): void;
  /** The next frame that fits, also one that came before; taken out of `frames`. */
  frame(fits?: (frame: Frame) => boolean, patienceMs?: number): Promise<Frame>;
  /** Listens to a stream, and is sure of it. */
  listen(stream: string, more?: Record<string, unknown>): Promise<void>;
}

/** Why a socket was not opened. */
export class NotOpened extends Error {
  readonly status: number;
  readonly body: string;
  constructor(status: number, body: string) {
    super(`${status} ${body}`);
    this.status = status;
    this.body = body;
  }
}

/** Opens a socket. @throws NotOpened */
export async function ear(
  node: Pick<StreamNode, "url">,
  {
    path = "/api/v1/streaming",
    protocol,
    headers = {},
  }: { path?: string; protocol?: string; headers?: Record<string, string> },
): Promise<Ear> {
  const socket = new WebSocket(
    `ws://${node.url}${path}`,
    protocol === undefined ? [] : [protocol],
    {
      headers,
    },
  );
  const frames: Frame[] = [];
  socket.on("message", (data) => {
    const frame = JSON.parse((data as Buffer).toString()) as Frame;
    const isText =
      frame.payload === undefined || /^(delete|announcement\.delete)$/.test(frame.event);
    frames.push(isText ? frame : { ...frame, payload: JSON.parse(frame.payload as string) });
  });
  const closed = new Promise<number>((resolve) => socket.on("close", resolve));
  await new Promise<void>((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("unexpected-response", (_, answer) => {
      let body = "";
      answer.on("data", (part: Buffer) => (body += part.toString()));
      answer.on("end", () => reject(new NotOpened(answer.statusCode!, body)));
    });
    socket.on("error", reject);
  });
  socket.removeAllListeners("error");
  socket.on("error", () => {});
  onTestFinished(() => socket.terminate());
  const made: Ear = {
    socket,
    frames,
    closed,
    say: (words) => socket.send(typeof words === "string" ? words : JSON.stringify(words)),
    async frame(fits = () => true, patienceMs = 3_000) {
      const deadline = performance.now() + patienceMs;
      for (;;) {
        const place = frames.findIndex(fits);
        if (place !== -1) return frames.splice(place, 1)[0]!;
        if (performance.now() > deadline)
          throw new Error(`no such frame came; there are ${JSON.stringify(frames)}`);
        await sleep(10);
      }
    },
    async listen(stream, more = {}) {
      made.say({ type: "subscribe", stream, ...more });
      // Words are followed in their order: when the second one is refused, the first one holds.
      made.say({ type: "subscribe", stream: "" });
      await made.frame(({ error }) => error === "stream_unknown");
    },
  };
  return made;
}

/** An open socket that listens to these streams. */
export async function listener(
  node: Pick<StreamNode, "url">,
  secret: string,
  ...streams: readonly (string | readonly [string, Record<string, unknown>])[]
): Promise<Ear> {
  const made = await ear(node, { protocol: secret });
  for (const stream of streams)
    await (typeof stream === "string" ? made.listen(stream) : made.listen(...stream));
  return made;
}

/** Long enough that whatever comes has come. */
export const quiet = () => sleep(500);
