/**
 * A bad network between instances: a proxy before each of them that loses requests and answers, doubles, delays and
 * overtakes, and writes down what was acknowledged. Bodies and headers stay as they are.
 */

import {
  createServer,
  type IncomingMessage,
  request as send,
  type ServerResponse,
} from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../long/random.ts";

/** One way through the network: who is asked on `port` is the one who listens on `target`. */
export interface Gate {
  readonly port: number;
  readonly target: number;
}

/** Something that an inbox or a ledger answered with 2xx, whether or not the answer arrived. */
export interface Acknowledged {
  /** The port of the gate. */
  readonly port: number;
  readonly path: string;
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** Real time, in milliseconds. */
  readonly at: number;
}

/** What the network did. */
export type Mishap =
  | "passed"
  | "requests lost"
  | "requests swallowed"
  | "answers lost"
  | "doubled"
  | "doubled late"
  | "delayed"
  | "delayed beyond the deadline"
  | "answered 502"
  | "nobody there";

/** The network while it is open. */
export interface Network {
  readonly acknowledged: readonly Acknowledged[];
  readonly counts: ReadonlyMap<Mishap, number>;
  /** Requests that were refused, by path and status: a look at what goes wrong. */
  readonly refused: ReadonlyMap<string, number>;
  /** From now on everything passes, but for what is on its way already. */
  calm(): void;
  /** True when nothing is on its way. */
  isIdle(): boolean;
  close(): Promise<void>;
}

/** Chances in a thousand; what is left passes as it is. */
const CHANCES: readonly (readonly [Mishap, number])[] = [
  ["requests lost", 50],
  ["requests swallowed", 5],
  ["answers lost", 60],
  ["doubled", 60],
  ["doubled late", 30],
  ["delayed", 220],
  ["delayed beyond the deadline", 8],
  ["answered 502", 20],
];

/** Long enough that what was sent later comes earlier. */
const DELAY_MS_MAX = 1500;

/** Instances give up a request after 10 s, and one to a ledger after 30 s. */
const DEADLINE_MS = 11_000;

/** A copy comes when nobody thinks of the first one any more. */
const LATE_MS_MAX = 15_000;

/** A calm network keeps a request so long when nobody is there. */
const CALM_TRIES_MAX = 40;
const CALM_PAUSE_MS = 200;

interface Letter {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

interface Reply {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** Opens the gates, disturbed from the beginning. */
export async function openNetwork(random: Random, gates: readonly Gate[]): Promise<Network> {
  const acknowledged: Acknowledged[] = [];
  const counts = new Map<Mishap, number>();
  const refused = new Map<string, number>();
  const count = (what: Mishap) => counts.set(what, (counts.get(what) ?? 0) + 1);
  const closing = new AbortController();
  const weather = { isCalm: false };
  let onTheWay = 0;

  const forward = async (gate: Gate, letter: Letter): Promise<Reply | undefined> => {
    onTheWay += 1;
    try {
      let reply = await deliver(gate.target, letter);
      // Whoever is still starting is waited for, as long as whoever asks waits.
      for (
        let tries = 0;
        weather.isCalm && reply === undefined && tries < CALM_TRIES_MAX;
        tries += 1
      ) {
        await sleep(CALM_PAUSE_MS);
        reply = await deliver(gate.target, letter);
      }
      if (reply === undefined) count("nobody there");
      else note(gate, letter, reply);
      return reply;
    } finally {
      onTheWay -= 1;
    }
  };

  const note = ({ port }: Gate, { method, path, body }: Letter, { status }: Reply) => {
    if (status >= 400) {
      const which = `${method} ${path.replace(/\d{6,}/g, "N").replace(/\?.*/, "")} ${status}`;
      refused.set(which, (refused.get(which) ?? 0) + 1);
    }
    if (method !== "POST" || status < 200 || status > 299) return;
    const said = JSON.parse(body.toString("utf8")) as Record<string, unknown>;
    acknowledged.push({ port, path, status, body: said, at: Date.now() });
  };

  const later = async (ms: number) => {
    onTheWay += 1;
    try {
      await sleep(ms, undefined, { signal: closing.signal }).catch(() => {});
    } finally {
      onTheWay -= 1;
    }
  };

  const choose = (): Mishap => {
    if (weather.isCalm) return "passed";
    let drawn = random.below(1000);
    for (const [mishap, chance] of CHANCES) {
      if (drawn < chance) return mishap;
      drawn -= chance;
    }
    return "passed";
  };

  const pass = async (gate: Gate, letter: Letter, response: ServerResponse): Promise<void> => {
    const mishap = choose();
    count(mishap);
    const answer = async () => reply(response, await forward(gate, letter));
    switch (mishap) {
      case "requests lost":
        response.destroy();
        return;
      case "requests swallowed":
        await later(DEADLINE_MS);
        response.destroy();
        return;
      case "answered 502":
        response.writeHead(502, { "content-type": "text/plain" }).end("Bad Gateway");
        return;
      case "answers lost":
        await forward(gate, letter);
        response.destroy();
        return;
      case "doubled":
        await Promise.all([answer(), forward(gate, letter)]);
        return;
      case "doubled late":
        await answer();
        await later(random.below(LATE_MS_MAX));
        await forward(gate, letter);
        return;
      case "delayed":
        await later(random.below(DELAY_MS_MAX));
        break;
      case "delayed beyond the deadline":
        await later(DEADLINE_MS + random.below(LATE_MS_MAX - DEADLINE_MS));
        break;
      default:
    }
    await answer();
  };

  const servers = gates.map((gate) =>
    createServer((request, response) => {
      request.on("error", () => {});
      response.on("error", () => {});
      readLetter(request).then(
        (letter) => pass(gate, letter, response).catch(() => response.destroy()),
        () => response.destroy(),
      );
    }),
  );
  await Promise.all(
    servers.map(
      (server, place) =>
        new Promise<void>((resolve, reject) => {
          server.once("error", reject);
          server.listen(gates[place]!.port, "127.0.0.1", resolve);
        }),
    ),
  );

  return {
    acknowledged,
    counts,
    refused,
    calm() {
      weather.isCalm = true;
    },
    isIdle: () => onTheWay === 0,
    async close() {
      weather.isCalm = true;
      closing.abort();
      await Promise.all(
        servers.map(
          (server) =>
            new Promise((resolve) => {
              server.close(resolve);
              server.closeAllConnections();
            }),
        ),
      );
    },
  };
}

async function readLetter(request: IncomingMessage): Promise<Letter> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return {
    method: request.method!,
    path: request.url!,
    headers: withoutHops(request.rawHeaders),
    body: Buffer.concat(parts),
  };
}

/** Headers as they were written, but for those that belong to one connection. */
function withoutHops(raw: readonly string[]): string[] {
  const kept: string[] = [];
  for (let place = 0; place < raw.length; place += 2)
    if (!/^(?:connection|keep-alive|transfer-encoding)$/i.test(raw[place]!))
      kept.push(raw[place]!, raw[place + 1]!);
  return kept;
}

/** Undefined when nobody answers there. */
function deliver(
  port: number,
  { method, path, headers, body }: Letter,
): Promise<Reply | undefined> {
  return new Promise((resolve) => {
    const nobody = () => resolve(undefined);
    const sent = send(
      {
        host: "127.0.0.1",
        port,
        method,
        path,
        headers: [...headers, "connection", "close"],
        agent: false,
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("error", nobody);
        response.on("end", () =>
          resolve({
            status: response.statusCode!,
            headers: withoutHops(response.rawHeaders),
            body: Buffer.concat(parts),
          }),
        );
        response.on("close", nobody);
      },
    );
    sent.on("error", nobody);
    sent.setTimeout(60_000, () => sent.destroy());
    sent.end(body);
  });
}

/** Gives an answer back; whoever asked may be gone. */
function reply(response: ServerResponse, answer: Reply | undefined): void {
  if (answer === undefined || response.destroyed) {
    response.destroy();
    return;
  }
  response.writeHead(answer.status, [...answer.headers]).end(answer.body);
}
