/** Servers of others on loopback: they remember what they were sent, and answer what the test wants. */

import { createHash, createVerify } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type Clock, Temporal } from "../../src/store/time.ts";

/** What a sink was asked. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The body as JSON, or undefined. */
  readonly activity: Record<string, unknown> | undefined;
}

/** What a sink answers. */
export interface Told {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
  /** Answers so much later. */
  readonly afterMs?: number;
}

export interface Sink {
  readonly origin: string;
  /** With its port. */
  readonly host: string;
  readonly asked: Asked[];
  /** Of the POSTs. */
  readonly activities: () => Record<string, unknown>[];
  answer: (asked: Asked) => Told | Promise<Told>;
  /** Nobody listens from now on. */
  readonly die: () => Promise<void>;
  /** Listens again, at the same address. */
  readonly revive: () => Promise<void>;
}

/** A server that takes everything, until told otherwise. */
export async function sink(
  answer: (asked: Asked) => Told | Promise<Told> = () => ({ status: 202 }),
): Promise<Sink> {
  const asked: Asked[] = [];
  let server: Server;
  const listen = (port: number) =>
    new Promise<number>((resolve, reject) => {
      server = createServer((request, response) => {
        const parts: Buffer[] = [];
        request.on("data", (part: Buffer) => parts.push(part));
        request.on("end", () => {
          void (async () => {
            const body = Buffer.concat(parts).toString();
            const one: Asked = {
              method: request.method!,
              path: request.url!,
              headers: request.headers,
              body,
              activity: body.startsWith("{") ? JSON.parse(body) : undefined,
            };
            asked.push(one);
            const {
              status = 200,
              headers = {},
              body: told = "",
              afterMs = 0,
            } = await found.answer(one);
            if (afterMs > 0) await new Promise((resume) => setTimeout(resume, afterMs));
            const text = typeof told === "string" ? told : JSON.stringify(told);
            response.writeHead(status, {
              ...(typeof told === "string" ? {} : { "content-type": "application/activity+json" }),
              ...headers,
            });
            response.end(text);
          })();
        });
      });
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  const die = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const port = await listen(0);
  onTestFinished(async () => {
    if (server.listening) await die();
  });
  const host = `127.0.0.1:${port}`;
  const found: Sink = {
    origin: `http://${host}`,
    host,
    asked,
    activities: () =>
      asked.filter(({ method }) => method === "POST").map(({ activity }) => activity!),
    answer,
    die,
    revive: async () => void (await listen(port)),
  };
  return found;
}

/** A clock that goes when it is told to. */
export interface TestClock extends Clock {
  advance(duration: Temporal.DurationLike): void;
}

export function testClock(start = "2026-11-10T12:00:00Z"): TestClock {
  let instant = Temporal.Instant.from(start);
  return {
    now: () => instant,
    real: () => instant,
    advance: (duration) => (instant = instant.add(duration)),
  };
}

/** Waits for something that comes soon. */
export async function until(
  check: () => boolean | Promise<boolean>,
  what = "what was waited for",
  msMax = 10_000,
): Promise<void> {
  const end = performance.now() + msMax;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Checks a draft-cavage signature and the digest under it, with code of its own. */
export function isSigned({ method, path, headers, body }: Asked, publicPem: string): boolean {
  const parts = new Map(
    [...String(headers["signature"]).matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [
      name!,
      value!,
    ]),
  );
  const covered = parts.get("headers")!.split(" ");
  const text = covered
    .map((name) =>
      name === "(request-target)"
        ? `${name}: ${method.toLowerCase()} ${path}`
        : `${name}: ${String(headers[name])}`,
    )
    .join("\n");
  const digest = `SHA-256=${createHash("sha256").update(body).digest("base64")}`;
  return (
    ["(request-target)", "host", "date", "digest"].every((name) => covered.includes(name)) &&
    headers["digest"] === digest &&
    parts.get("algorithm") === "rsa-sha256" &&
    createVerify("sha256").update(text).verify(publicPem, parts.get("signature")!, "base64")
  );
}

/** Checks an RFC 9421 signature and the digest under it, with code of its own. */
export function isSigned9421(
  { method, headers, body }: Asked,
  url: string,
  publicPem: string,
): boolean {
  const [, parameters] = /^sig1=(.*)$/.exec(String(headers["signature-input"])) ?? [];
  const [, signature] = /^sig1=:([^:]*):$/.exec(String(headers["signature"])) ?? [];
  if (parameters === undefined || signature === undefined) return false;
  const covered = [.../^\(([^)]*)\)/.exec(parameters)![1]!.matchAll(/"([^"]+)"/g)].map(
    ([, name]) => name!,
  );
  const derived: Record<string, string> = {
    "@method": method,
    "@target-uri": url,
    "@authority": new URL(url).host,
  };
  const text = [
    ...covered.map((name) => `"${name}": ${derived[name] ?? String(headers[name])}`),
    `"@signature-params": ${parameters}`,
  ].join("\n");
  const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  return (
    ["@method", "@target-uri", "content-digest"].every((name) => covered.includes(name)) &&
    headers["content-digest"] === digest &&
    createVerify("sha256").update(text).verify(publicPem, signature, "base64")
  );
}
