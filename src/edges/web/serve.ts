/** HTTP on the addresses of `HOST`. */

import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createAdaptorServer, type ServerType } from "@hono/node-server";
import ipaddr from "ipaddr.js";

/** Where to listen. */
export interface Where {
  readonly hosts: readonly string[];
  /** 0: any free one. */
  readonly port: number;
  /** Addresses and ranges of proxies that are believed when they say for whom they ask. */
  readonly trustedProxies: readonly string[];
}

/** A server that answers. */
export interface Listening {
  /** An address that answers, for people on this machine. */
  readonly address: string;
  readonly port: number;
  /** Accepts no more connections and waits for the requests that run. */
  close(): Promise<void>;
}

/** Answers a request; `remoteAddress` is who really asks, as far as that can be known. */
export type Fetch = (request: Request, remoteAddress: string) => Response | Promise<Response>;

/** Takes a connection that wants to become a WebSocket, and answers it in any case. */
export type Upgrade = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  remoteAddress: string,
) => void;

/** Headers and whole requests of slow clients: they hold a socket each. */
const HEADERS_MS_MAX = 10_000;
const REQUEST_MS_MAX = 60_000;

/** How often it is looked for such. */
const SLOW_LOOKED_FOR_MS = 2_000;

/** How long running requests may take when the instance stops. */
const DRAIN_MS_MAX = 20_000;

/**
 * Listens on every address that the machine has; a machine without IPv6 simply lacks one.
 *
 * @param upgrade without it a request for a WebSocket is a request like any other
 * @throws Error with a sentence when the port is taken or none of the addresses exists here
 */
export async function serveHttp(
  fetch: Fetch,
  { hosts, port, trustedProxies }: Where,
  upgrade?: Upgrade,
): Promise<Listening> {
  const isTrusted = trustIn(trustedProxies);
  const answer: Answer = (request, { incoming }) =>
    fetch(
      request,
      remoteAddressOf(
        request.headers.get("x-forwarded-for"),
        incoming.socket.remoteAddress ?? "",
        isTrusted,
      ),
    );
  const upgraded = new Set<Duplex>();
  const change: Change | undefined =
    upgrade &&
    ((request, socket, head) => {
      upgraded.add(socket);
      socket.once("close", () => upgraded.delete(socket));
      const said = request.headers["x-forwarded-for"];
      upgrade(
        request,
        socket,
        head,
        remoteAddressOf(
          Array.isArray(said) ? said.join(",") : said,
          request.socket.remoteAddress ?? "",
          isTrusted,
        ),
      );
    });
  // The server no longer knows them, and yet it waits for them.
  const closeAll = async (): Promise<void> => {
    const late = setTimeout(() => {
      for (const socket of upgraded) socket.destroy();
    }, DRAIN_MS_MAX);
    await Promise.all(servers.map(close));
    clearTimeout(late);
  };
  const servers: ServerType[] = [];
  let chosen = port;
  let missing: unknown;
  for (const host of hosts) {
    try {
      const server = await listen({ answer, change }, host, chosen);
      servers.push(server);
      chosen = (server.address() as AddressInfo).port;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EADDRNOTAVAIL" && code !== "EAFNOSUPPORT" && code !== "EINVAL") {
        await Promise.all(servers.map(close));
        if (code === "EADDRINUSE")
          throw new Error(
            `port ${port} is taken on ${host}: stop what uses it, or set PORT to another one`,
            { cause: error },
          );
        throw error;
      }
      missing = error;
    }
  }
  if (servers.length === 0)
    throw new Error(`none of the addresses in HOST (${hosts.join(", ")}) exists on this machine`, {
      cause: missing,
    });
  return {
    address: `http://localhost:${chosen}`,
    port: chosen,
    close: closeAll,
  };
}

type Answer = (
  request: Request,
  connection: {
    readonly incoming: { readonly socket: { readonly remoteAddress?: string | undefined } };
  },
) => Response | Promise<Response>;

type Change = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

async function listen(
  { answer, change }: { readonly answer: Answer; readonly change: Change | undefined },
  host: string,
  port: number,
): Promise<ServerType> {
  const server = createAdaptorServer({
    fetch: answer,
    serverOptions: {
      // Whoever would rather speak another HTTP is answered in this one.
      shouldUpgradeCallback: ({ headers }) =>
        change !== undefined && headers.upgrade?.toLowerCase() === "websocket",
      headersTimeout: HEADERS_MS_MAX,
      requestTimeout: REQUEST_MS_MAX,
      connectionsCheckingInterval: SLOW_LOOKED_FOR_MS,
    },
  });
  if (change !== undefined) server.on("upgrade", change);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: host.includes(":") }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return server;
}

async function close(server: ServerType): Promise<void> {
  await new Promise<void>((resolve) => {
    const late = setTimeout(
      () => "closeAllConnections" in server && server.closeAllConnections(),
      DRAIN_MS_MAX,
    );
    server.close(() => {
      clearTimeout(late);
      resolve();
    });
    if ("closeIdleConnections" in server) server.closeIdleConnections();
  });
}

/** True for the addresses of proxies that are believed. */
function trustIn(trustedProxies: readonly string[]): (address: string) => boolean {
  const ranges = trustedProxies.map((range): [ipaddr.IPv4 | ipaddr.IPv6, number] => {
    if (range.includes("/")) return ipaddr.parseCIDR(range);
    const address = ipaddr.parse(range);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  });
  return (text) => {
    const address = ipaddr.process(text);
    return ranges.some(
      ([base, bits]) => address.kind() === base.kind() && address.match(base, bits),
    );
  };
}

/**
 * Who asks. Each proxy adds whom it heard at the end; so the list is read from there, as long as it is a trusted proxy
 * who says it. What stands before that was said by a stranger.
 */
export function remoteAddressOf(
  forwardedFor: string | null | undefined,
  socketAddress: string,
  isTrusted: (address: string) => boolean,
): string {
  let address = socketAddress;
  for (const said of forwardedFor?.split(",").toReversed() ?? []) {
    const earlier = said.trim();
    if (!ipaddr.isValid(address) || !isTrusted(address) || !ipaddr.isValid(earlier)) break;
    address = earlier;
  }
  return address;
}
