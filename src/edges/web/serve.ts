/** HTTP on the addresses of `HOST`. */

import type { AddressInfo } from "node:net";
import { createAdaptorServer, type ServerType } from "@hono/node-server";

/** Where to listen. */
export interface Where {
  readonly hosts: readonly string[];
  /** 0: any free one. */
  readonly port: number;
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

/** Headers and whole requests of slow clients: they hold a socket each. */
const HEADERS_MS_MAX = 15_000;
const REQUEST_MS_MAX = 60_000;

/** How long running requests may take when the instance stops. */
const DRAIN_MS_MAX = 20_000;

/**
 * Listens on every address that the machine has; a machine without IPv6 simply lacks one.
 *
 * @throws Error with a sentence when the port is taken or none of the addresses exists here
 */
export async function serveHttp(fetch: Fetch, { hosts, port }: Where): Promise<Listening> {
  const servers: ServerType[] = [];
  let chosen = port;
  let missing: unknown;
  for (const host of hosts) {
    try {
      const server = await listen(fetch, host, chosen);
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
    close: async () => {
      await Promise.all(servers.map(close));
    },
  };
}

async function listen(fetch: Fetch, host: string, port: number): Promise<ServerType> {
  const server = createAdaptorServer({
    fetch: (request, { incoming }) =>
      fetch(request, remoteAddressOf(request, incoming.socket.remoteAddress ?? "")),
    serverOptions: { headersTimeout: HEADERS_MS_MAX, requestTimeout: REQUEST_MS_MAX },
  });
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

/**
 * Who asks. What a proxy adds is believed only of one on this machine, and of what it says only the last address,
 * which it wrote itself.
 */
export function remoteAddressOf(request: Request, socketAddress: string): string {
  const isLocal = /^(?:::ffff:)?127\.|^::1$/.test(socketAddress);
  const forwarded = isLocal
    ? request.headers.get("x-forwarded-for")?.split(",").at(-1)?.trim()
    : "";
  return forwarded === undefined || forwarded === "" ? socketAddress : forwarded;
}
