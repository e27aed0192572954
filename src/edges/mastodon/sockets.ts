/** One open socket of a client: what it listens to, what it says, and when it has to go. */

import type { RawData, WebSocket } from "ws";
import type { Access } from "../../features/access/token.ts";
import type { Account } from "../../features/account/create.ts";
import { allows } from "../../rules/scope.ts";
import { type Stream, streamNamed } from "./streams.ts";

/** What one client may cost. */
export interface SocketLimits {
  /** Streams of one socket. */
  readonly streams: number;
  /** Messages and pings of a client in `messagesMs`. Honest ones send a handful when they start. */
  readonly messages: number;
  readonly messagesMs: number;
  /** What waits for a client that does not read; after that it is let go. */
  readonly waitingBytes: number;
}

/** Limits of one socket. A post has some 5 kB: more than a hundred may wait. */
export const SOCKET_LIMITS: SocketLimits = {
  streams: 50,
  messages: 60,
  messagesMs: 10_000,
  waitingBytes: 1024 * 1024,
};

/** Why a socket is closed. @see https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
export const CLOSE = { goingAway: 1001, unsupported: 1003, policy: 1008 } as const;

/** Asks whether a list belongs to an account. */
export type OwnsList = (account: bigint, list: bigint) => Promise<boolean>;

/** What clients say. */
interface Said {
  readonly type: string;
  readonly stream: string;
  readonly tag?: string | undefined;
  readonly list?: string | undefined;
}

/** An open socket. */
export class StreamSocket {
  readonly account: Account;
  readonly token: bigint;
  readonly #access: Access;
  readonly #socket: WebSocket;
  readonly #limits: SocketLimits;
  readonly #ownsList: OwnsList;
  readonly #streams = new Map<string, Stream>();
  #isAlive = true;
  #messages = 0;
  #messagesUntilMs = 0;
  /** What was said before is done before what is said after it. */
  #doing: Promise<void> = Promise.resolve();

  constructor(
    socket: WebSocket,
    {
      account,
      access,
      limits,
      ownsList,
    }: {
      readonly account: Account;
      readonly access: Access;
      readonly limits: SocketLimits;
      readonly ownsList: OwnsList;
    },
  ) {
    this.account = account;
    this.token = access.token;
    this.#access = access;
    this.#socket = socket;
    this.#limits = limits;
    this.#ownsList = ownsList;
    socket.on("pong", () => (this.#isAlive = true));
    // What it says against the protocol closes it; the reason is no news.
    socket.on("error", () => {});
  }

  /** What it listens to. */
  get streams(): Iterable<Stream> {
    return this.#streams.values();
  }

  /** True when it may be told of notifications in its stream of everything. */
  get hearsNotifications(): boolean {
    return allows(this.#access.scopes, "read:notifications");
  }

  /** True while it listens to exactly this. */
  listensTo(stream: Stream): boolean {
    return this.isOpen && this.#streams.get(stream.key) === stream;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Begins to hear what the client says. @param nowMs real time */
  hear(nowMs: () => number): void {
    this.#socket.on("ping", () => void this.#isTooMuch(nowMs()));
    this.#socket.on("message", (words, isBinary) => {
      if (this.#isTooMuch(nowMs())) return;
      if (isBinary) return this.close(CLOSE.unsupported, "text only");
      const said = parseSaid(words);
      if (said === undefined)
        return this.#refuse(400, "invalid_request", 'Say {"type": "subscribe", "stream": "user"}.');
      this.say(said);
    });
  }

  /** Begins or ends listening to a stream, after all that was said before. */
  say(said: Said): void {
    this.#doing = this.#doing
      .then(() => this.#follow(said))
      .catch(() => this.#refuse(503, "unavailable", "That did not work just now. Try again."));
  }

  /** A frame for one of its streams. A client that does not read is let go: it asks again when it is back. */
  send(stream: Stream, event: string, payload: string | undefined): void {
    this.#write(
      JSON.stringify({
        stream: stream.names,
        event,
        ...(payload === undefined ? {} : { payload }),
      }),
    );
  }

  /** Asks whether anybody is there; whoever did not answer the last time is let go. */
  ping(): void {
    if (!this.#isAlive) return this.#socket.terminate();
    this.#isAlive = false;
    if (this.isOpen) this.#socket.ping();
  }

  close(code: number, why: string): void {
    this.#streams.clear();
    this.#socket.close(code, why);
  }

  /** At once, without a word. */
  terminate(): void {
    this.#streams.clear();
    this.#socket.terminate();
  }

  async #follow({ type, stream: name, tag, list }: Said): Promise<void> {
    const stream = streamNamed(name, { tag, list });
    if (stream === undefined)
      return this.#refuse(
        400,
        "stream_unknown",
        "A stream has a name, a hashtag has a tag, and a list has the id of a list.",
      );
    if (type === "unsubscribe") {
      this.#streams.delete(stream.key);
      return;
    }
    if (!allows(this.#access.scopes, stream.scope))
      return this.#refuse(
        401,
        "insufficient_scope",
        `This stream needs the scope ${stream.scope}.`,
      );
    if (stream.list !== undefined && !(await this.#ownsList(this.account.id, stream.list)))
      return this.#refuse(404, "Record not found", "There is no such list of yours.");
    if (this.#streams.has(stream.key) || !this.isOpen) return;
    if (this.#streams.size >= this.#limits.streams)
      return this.#refuse(
        429,
        "too_many_streams",
        `One socket listens to at most ${this.#limits.streams} streams.`,
      );
    this.#streams.set(stream.key, stream);
  }

  #refuse(status: number, error: string, error_description: string): void {
    this.#write(JSON.stringify({ error, error_description, status }));
  }

  #write(text: string): void {
    if (!this.isOpen) return;
    if (this.#socket.bufferedAmount > this.#limits.waitingBytes) return this.terminate();
    this.#socket.send(text);
  }

  /** Counts what a client says; who talks without an end is closed. */
  #isTooMuch(nowMs: number): boolean {
    if (nowMs >= this.#messagesUntilMs) {
      this.#messages = 0;
      this.#messagesUntilMs = nowMs + this.#limits.messagesMs;
    }
    this.#messages += 1;
    if (this.#messages <= this.#limits.messages) return false;
    this.close(CLOSE.policy, "too many messages");
    return true;
  }
}

function parseSaid(words: RawData): Said | undefined {
  let said: unknown;
  try {
    said = JSON.parse((words as Buffer).toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof said !== "object" || said === null) return undefined;
  const { type, stream, tag, list } = said as Readonly<Record<string, unknown>>;
  if ((type !== "subscribe" && type !== "unsubscribe") || typeof stream !== "string")
    return undefined;
  return {
    type,
    stream,
    tag: typeof tag === "string" ? tag : undefined,
    list: typeof list === "string" || typeof list === "number" ? String(list) : undefined,
  };
}
