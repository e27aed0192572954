/** Streaming to clients by WebSocket. @see https://docs.joinmastodon.org/methods/streaming/ */

import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import { Hono } from "hono";
import { type WebSocket, WebSocketServer } from "ws";
import { type Access, findToken } from "../../features/access/token.ts";
import type { Account } from "../../features/account/create.ts";
import type { Events, StreamEvent } from "../../features/notice/stream.ts";
import { type Database, TEXTS } from "../../store/database.ts";
import type { Rates } from "../../store/rates.ts";
import { senderOf } from "../../store/sender.ts";
import type { Clock } from "../../store/time.ts";
import type { ClientEnv } from "./frame.ts";
import { CLOSE, SOCKET_LIMITS, type SocketLimits, StreamSocket } from "./sockets.ts";
import { type Render, openTelling } from "./telling.ts";

/** What streaming works with. */
export interface StreamingParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly rates: Rates;
  readonly render: Render;
  readonly limits?: Partial<StreamingLimits>;
}

/** How much is open at once. */
export interface StreamingLimits extends SocketLimits {
  /** Sockets of one account on one node. */
  readonly perAccount: number;
  /** Sockets of one node; each costs some ten kilobytes. */
  readonly all: number;
  /** Sockets of which the token is being looked at. */
  readonly knocking: number;
  /** How often it is asked whether anybody is there, and whether the token still is. */
  readonly heartbeatMs: number;
}

const LIMITS: StreamingLimits = {
  ...SOCKET_LIMITS,
  perAccount: 30,
  all: 10_000,
  knocking: 500,
  heartbeatMs: 30_000,
};

/** Sockets that one sender may open. A client that loses its network comes back a few times a minute. */
const OPENED = { limit: 300, windowMs: 300_000 };

/** The longest thing that an honest client says has some hundred bytes. */
const MESSAGE_BYTES_MAX = 4 * 1024;

/** How long sockets may take to say goodbye. */
const GOODBYE_MS = 1_000;

/** Streaming that runs. */
export interface Streaming {
  /** Takes a request for a socket; answers it in any case. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, remoteAddress: string): void;
  /** Opens nothing any more, says goodbye, and waits for a moment. */
  close(): Promise<void>;
}

/** The one address that is asked without a socket. */
export const streamingRoutes = () =>
  new Hono<ClientEnv>().get("/api/v1/streaming/health", (c) => c.text("OK"));

/** Opens streaming. Nothing runs before the first socket. */
export function openStreaming(parts: StreamingParts): Streaming {
  return new Sockets(parts);
}

/** A request for a socket that gets none. */
class Refused extends Error {
  readonly status: number;

  constructor(status: number, error: string) {
    super(error);
    this.status = status;
  }
}

class Sockets implements Streaming {
  readonly #parts: StreamingParts;
  readonly #limits: StreamingLimits;
  readonly #logger = getLogger(["fediflattr", "streams"]);
  readonly #open = new Set<StreamSocket>();
  /** Sockets of each account, also those that are about to open. */
  readonly #seats = new Map<bigint, number>();
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
    // The token; a browser closes a socket whose protocol is not said back.
    handleProtocols: (protocols) => [...protocols][0] ?? false,
  });
  readonly #tell: (event: StreamEvent) => void;
  #listening: Promise<() => void> | undefined;
  #heart: NodeJS.Timeout | undefined;
  #knocking = 0;
  #isClosed = false;

  constructor(parts: StreamingParts) {
    this.#parts = parts;
    this.#limits = { ...LIMITS, ...parts.limits };
    this.#tell = openTelling(parts, this.#open);
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, remoteAddress: string): void {
    // Nobody else listens to it before it is a WebSocket.
    socket.on("error", () => socket.destroy());
    this.#knock(request, socket, head, remoteAddress).catch((error: unknown) => {
      if (!(error instanceof Refused))
        this.#logger.warning("a socket was not opened: {error}", { error });
      refuse(socket, error instanceof Refused ? error : new Refused(503, "unavailable"));
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#heart);
    this.#heart = undefined;
    for (const client of this.#open) client.close(CLOSE.goingAway, "this server is going away");
    const waitMs = 20;
    for (let waited = 0; this.#open.size > 0 && waited < GOODBYE_MS; waited += waitMs)
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    for (const client of this.#open) client.terminate();
    await this.#stopListening();
    this.#server.close();
  }

  async #knock(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    remoteAddress: string,
  ): Promise<void> {
    const { database, clock, rates } = this.#parts;
    const url = new URL(request.url ?? "/", "http://localhost");
    if (!isStreaming(url.pathname)) throw new Refused(404, "Record not found");
    if (
      this.#isClosed ||
      this.#knocking >= this.#limits.knocking ||
      this.#open.size >= this.#limits.all
    )
      throw new Refused(503, "unavailable");
    if (rates.take(`streaming ${senderOf(remoteAddress)}`, OPENED).isOver)
      throw new Refused(429, "too_many_requests");
    const secret = secretOf(request, url);
    this.#knocking += 1;
    let access: Access | undefined;
    try {
      access = secret === undefined ? undefined : await findToken(database, secret, clock.now());
    } finally {
      this.#knocking -= 1;
    }
    const account = access?.account;
    if (access === undefined || account === undefined)
      throw new Refused(401, "The access token is invalid");
    if (socket.destroyed) return;
    if (!this.#takeSeat(account.id, socket)) throw new Refused(429, "too_many_sockets");
    await (this.#listening ??= this.#listen());
    if (this.#isClosed) throw new Refused(503, "unavailable");
    this.#server.handleUpgrade(
      request,
      socket,
      head,
      (opened) =>
        void this.#admit(opened, access, account, url).catch((error: unknown) => {
          this.#logger.warning("a socket was closed again: {error}", { error });
          opened.terminate();
        }),
    );
  }

  async #admit(socket: WebSocket, access: Access, account: Account, url: URL): Promise<void> {
    const { clock } = this.#parts;
    const client = new StreamSocket(socket, {
      account,
      access,
      limits: this.#limits,
      ownsList: (owner, list) => this.#ownsList(owner, list),
    });
    this.#open.add(client);
    socket.on("close", () => this.#open.delete(client));
    client.hear(() => clock.real().epochMilliseconds);
    this.#heart ??= setInterval(() => void this.#beat(), this.#limits.heartbeatMs).unref();
    const stream = url.searchParams.get("stream");
    if (stream !== null)
      client.say({
        type: "subscribe",
        stream,
        tag: url.searchParams.get("tag") ?? undefined,
        list: url.searchParams.get("list") ?? undefined,
      });
    // It may have ended between the look at it and now, before anybody would have told this socket.
    await this.#letGoOf([client]);
  }

  /** One more socket of an account, until the socket is closed; false when it has enough. */
  #takeSeat(account: bigint, socket: Duplex): boolean {
    const taken = this.#seats.get(account) ?? 0;
    if (taken >= this.#limits.perAccount) return false;
    this.#seats.set(account, taken + 1);
    socket.once("close", () => {
      const left = this.#seats.get(account)! - 1;
      if (left === 0) this.#seats.delete(account);
      else this.#seats.set(account, left);
      if (this.#seats.size === 0) void this.#stopListening();
    });
    return true;
  }

  async #listen(): Promise<() => void> {
    try {
      return await this.#parts.events.listen((event) => this.#hear(event));
    } catch (error) {
      this.#listening = undefined;
      throw error;
    }
  }

  async #stopListening(): Promise<void> {
    const listening = this.#listening;
    this.#listening = undefined;
    clearInterval(this.#heart);
    this.#heart = undefined;
    (await listening?.catch(() => undefined))?.();
  }

  #hear(event: StreamEvent): void {
    if (event.kind !== "token_gone") return this.#tell(event);
    for (const client of this.#open)
      if (client.token === event.subject) client.close(CLOSE.policy, "the access token has ended");
  }

  async #beat(): Promise<void> {
    for (const client of this.#open) client.ping();
    await this.#letGoOf([...this.#open]).catch((error: unknown) =>
      this.#logger.info("tokens of open sockets are looked at later: {error}", { error }),
    );
  }

  /** Closes those whose token has gone, also when it went without a word, with its app or its account. */
  async #letGoOf(clients: readonly StreamSocket[]): Promise<void> {
    const { sql } = this.#parts.database;
    const tokens = [...new Set(clients.map(({ token }) => String(token)))];
    if (tokens.length === 0) return;
    const rows = await sql<{ id: bigint }[]>`
      SELECT id FROM token WHERE id = ANY (${sql.array(tokens, TEXTS)}::bigint[])`;
    const left = new Set(rows.map(({ id }) => id));
    for (const client of clients)
      if (!left.has(client.token)) client.close(CLOSE.policy, "the access token has ended");
  }

  async #ownsList(account: bigint, list: bigint): Promise<boolean> {
    const { sql } = this.#parts.database;
    const found = await sql`SELECT FROM list WHERE id = ${list} AND account = ${account}`;
    return found.length === 1;
  }
}

/** True for the address at which sockets are opened. */
export function isStreaming(pathname: string): boolean {
  return pathname === "/api/v1/streaming" || pathname === "/api/v1/streaming/";
}

/** The token: in its own header, in the address, or as the protocol, since browsers can say nothing else. */
function secretOf({ headers }: IncomingMessage, url: URL): string | undefined {
  if (headers.authorization !== undefined)
    return /^Bearer +(\S+)$/i.exec(headers.authorization.trim())?.[1];
  return (
    url.searchParams.get("access_token") ?? headers["sec-websocket-protocol"]?.split(",")[0]?.trim()
  );
}

function refuse(socket: Duplex, { status, message }: Refused): void {
  if (socket.destroyed) return;
  const body = JSON.stringify({ error: message, error_description: `${message}.` });
  // Nothing else watches it any more: whoever never hangs up would keep it for ever.
  socket.once("finish", () => socket.destroy());
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
      "Connection: close",
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(status === 429 || status === 503 ? ["Retry-After: 30"] : []),
      "",
      body,
    ].join("\r\n"),
  );
}
