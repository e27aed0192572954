/** The one way out: every request to another server, guarded against private addresses, endless answers and redirects. */

import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { Resolver } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import ipaddr from "ipaddr.js";
import { Agent, buildConnector, request as send } from "undici";
import { together } from "./recent.ts";

/** Why a request was not made, or its answer not taken. */
export type EgressCode =
  | "address_refused"
  | "scheme_refused"
  | "too_large"
  | "timeout"
  | "redirects"
  | "encoded"
  | "unreachable";

/** A request that was refused on our side, or that the world failed. */
export class EgressError extends Error {
  readonly code: EgressCode;

  constructor(code: EgressCode, what: string, cause?: unknown) {
    super(`${code}: ${what}`, cause === undefined ? undefined : { cause });
    this.name = "EgressError";
    this.code = code;
  }
}

/** What may be asked of a request. */
export interface EgressOptions {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Longest answer, counted as it arrives. */
  readonly bytesMax?: number;
  /** For everything together: name, connection, redirects, answer. */
  readonly deadlineMs?: number;
  /** 0: a redirect is an answer like any other. Only GET is ever redirected. */
  readonly redirectsMax?: number;
  /** Adds a signature; called for each hop, and no more once the host has changed. */
  readonly sign?: (request: Request) => Promise<Request>;
}

/** An answer, read to its end. */
export interface EgressAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The address that answered, after redirects. */
  readonly url: string;
}

/** Requests to other servers. */
export interface Egress {
  /** @throws EgressError */
  request(url: string, options?: EgressOptions): Promise<EgressAnswer>;
  /** True for a `host:port` that may be asked although it is private: then by http. */
  isAllowedPrivate(host: string): boolean;
  close(): Promise<void>;
}

/** Asks for all addresses of a name. */
export type Lookup = (name: string) => Promise<readonly LookupAddress[]>;

/** How the way out is opened. */
export interface EgressSettings {
  /** `host:port`s that may be asked although they are private, by http, too. */
  readonly allowedPrivate: readonly string[];
  /** Some servers refuse who does not say his name. */
  readonly userAgent: string;
  /** Asks for the addresses of a name; the machine's name servers unless a test has its own. */
  readonly lookup?: Lookup;
  /** Other name servers than those of the machine, as `address:port`. */
  readonly nameServers?: readonly string[];
}

/** An answer longer than this is no document of ours: the largest that others send is a tenth of it. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/** A whole request, since a server that drips would hold us for ever. */
const DEADLINE_MS = 10_000;

/** One server holds at most so many of our connections. */
const CONNECTIONS_PER_HOST_MAX = 8;

/** Idle connections are let go soon: thousands of servers may be told the same. */
const KEEP_ALIVE_MS = 4_000;

/** One question to a name server; it is asked twice. An honest one answers within a second. */
const NAME_MS_MAX = 2_000;
const NAME_TRIES = 2;

/** Names that are asked for at the same time: more than there are knocks at the door and deliveries at once. */
const NAMES_ASKED_MAX = 1_024;

const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Opens the way out. */
export function openEgress({
  allowedPrivate,
  userAgent,
  nameServers,
  lookup,
}: EgressSettings): Egress {
  const names = openNames(nameServers);
  const allowed = new Set(allowedPrivate.map((address) => address.toLowerCase()));
  const agent = new Agent({
    connect: guardedConnector(allowed, lookup ?? names.lookup),
    connections: CONNECTIONS_PER_HOST_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    pipelining: 1,
  });

  const headersOf = async (
    url: URL,
    { method = "GET", headers = {}, body }: EgressOptions,
    sign: EgressOptions["sign"],
  ): Promise<Record<string, string>> => {
    const plain = { host: url.host, ...headers };
    // A request that is not signed here needs no object: deliveries bring their signature with them.
    if (sign === undefined) return plain;
    const request = new Request(url.href, {
      method,
      redirect: "manual",
      headers: plain,
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : new Uint8Array(body) }),
    });
    return Object.fromEntries((await sign(request)).headers);
  };

  const hop = async (
    url: URL,
    { method = "GET", body, bytesMax = ANSWER_BYTES_MAX }: EgressOptions,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<EgressAnswer> => {
    const answer = await send(url, {
      dispatcher: agent,
      method,
      // Not signed: a proxy on the way may write them anew.
      headers: {
        ...headers,
        "accept-encoding": "identity",
        "user-agent": userAgent,
      },
      body: body ?? null,
      signal,
    });
    try {
      const answered = new Headers();
      for (const [name, value] of Object.entries(answer.headers))
        for (const one of [value].flat()) if (one !== undefined) answered.append(name, one);
      const encoding = answered.get("content-encoding");
      // A few kilobytes can unfold to gigabytes; nobody was asked to fold.
      if (encoding !== null && encoding.trim().toLowerCase() !== "identity")
        throw new EgressError("encoded", `${url.origin} answered with ${encoding.slice(0, 40)}`);
      if (Number(answered.get("content-length") ?? 0) > bytesMax)
        throw new EgressError("too_large", `${url.origin} announced more than ${bytesMax} bytes`);
      const parts: Uint8Array[] = [];
      let bytes = 0;
      for await (const part of answer.body as AsyncIterable<Uint8Array>) {
        bytes += part.length;
        if (bytes > bytesMax)
          throw new EgressError(
            "too_large",
            `${url.origin} answered with more than ${bytesMax} bytes`,
          );
        parts.push(part);
      }
      return {
        status: answer.statusCode,
        headers: answered,
        body: new Uint8Array(Buffer.concat(parts)),
        url: url.href,
      };
    } finally {
      // Stops a server in the middle of an answer that nobody wants.
      answer.body.on("error", () => {}).destroy();
    }
  };

  return {
    async request(address, options = {}) {
      const { method = "GET", redirectsMax = 0, deadlineMs = DEADLINE_MS } = options;
      const signal = AbortSignal.timeout(deadlineMs);
      const first = permitted(address, allowed);
      let url = first;
      let { sign } = options;
      for (let hops = 0; ; hops += 1) {
        // A signature that we cannot make is our own failure, not that of the other server.
        const headers = await headersOf(url, options, sign);
        const answer = await hop(url, options, headers, signal).catch((error: unknown) => {
          throw asEgressError(error, url, signal);
        });
        const location = answer.headers.get("location");
        const isRedirect =
          method === "GET" &&
          redirectsMax > 0 &&
          REDIRECT_STATUSES.has(answer.status) &&
          location !== null;
        if (!isRedirect) return answer;
        if (hops === redirectsMax)
          throw new EgressError(
            "redirects",
            `${first.href} leads further than ${redirectsMax} times`,
          );
        if (!URL.canParse(location, url.href))
          throw new EgressError("redirects", `${url.href} leads to no address`);
        const next = permitted(new URL(location, url.href).href, allowed);
        if (next.protocol === "http:" && url.protocol === "https:")
          throw new EgressError("scheme_refused", `${url.href} leads from https to http`);
        // What we sign is meant for one server: nobody passes it on.
        if (next.host !== first.host) sign = undefined;
        url = next;
      }
    },
    isAllowedPrivate: (host) => allowed.has(host.toLowerCase()),
    async close() {
      await agent.close();
      names.close();
    },
  };
}

/**
 * The address, when it may be asked: https on its own port, or exactly an allowed `host:port`.
 *
 * @throws EgressError
 */
export function permitted(address: string, allowed: ReadonlySet<string>): URL {
  if (!URL.canParse(address)) throw new EgressError("scheme_refused", "this is no address");
  const url = new URL(address);
  url.hash = "";
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new EgressError("scheme_refused", `${url.protocol} is not asked`);
  if (url.username !== "" || url.password !== "")
    throw new EgressError("address_refused", "an address with a name or a password in it");
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  if (allowed.has(`${url.hostname}:${port}`)) return url;
  if (url.protocol !== "https:")
    throw new EgressError("scheme_refused", `${url.origin} is not encrypted`);
  if (port !== "443") throw new EgressError("address_refused", `port ${port} of ${url.hostname}`);
  const literal = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(literal) !== 0 && !isPublic(literal))
    throw new EgressError("address_refused", `${literal} is not public`);
  return url;
}

/** True for an address that belongs to somebody in the public net. */
export function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "unicast";
}

/**
 * Asks name servers without the threads of the system's own resolver: those are few, and verifying signatures needs
 * them, so that names which never answer would stop everything. Names of the machine itself (`/etc/hosts`) mean nothing
 * here: they are private.
 */
function openNames(nameServers?: readonly string[]): { lookup: Lookup; close: () => void } {
  const open = () => {
    const made = new Resolver({ timeout: NAME_MS_MAX, tries: NAME_TRIES });
    if (nameServers !== undefined) made.setServers(nameServers);
    return made;
  };
  let resolver = open();
  let asked = 0;
  return {
    lookup: together(async (name) => {
      if (asked >= NAMES_ASKED_MAX) throw new EgressError("unreachable", "too many names at once");
      asked += 1;
      try {
        const used = resolver;
        const [four, six] = await Promise.allSettled([used.resolve4(name), used.resolve6(name)]);
        const addresses = [
          ...(four.status === "fulfilled" ? four.value : []).map((address) => ({
            address,
            family: 4,
          })),
          ...(six.status === "fulfilled" ? six.value : []).map((address) => ({
            address,
            family: 6,
          })),
        ];
        if (addresses.length > 0 || four.status === "fulfilled") return addresses;
        // It knows the name servers of the moment when it was made; the machine may have others by now.
        if (used === resolver && isSilence(four.reason)) resolver = open();
        throw four.reason;
      } finally {
        asked -= 1;
      }
    }),
    close: () => resolver.cancel(),
  };
}

/** True when no name server answered, which says nothing about the name. */
function isSilence(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ETIMEOUT" || code === "ECONNREFUSED";
}

/**
 * Connects to public addresses only. A name is asked once, all its addresses are looked at, and the connection goes to
 * one of those: a name that means something else a moment later changes nothing. Literal addresses are never looked up
 * by the system, so they are checked by themselves. What is allowed by name is asked as the machine understands it.
 */
function guardedConnector(allowed: ReadonlySet<string>, lookup: Lookup): buildConnector.connector {
  const guarded: LookupFunction = (name, options, callback) => {
    lookup(name).then(
      (addresses) => {
        const [first] = addresses;
        if (first === undefined || !addresses.every(({ address }) => isPublic(address)))
          return callback(new EgressError("address_refused", `${name} has a private address`), []);
        if (options.all === true) return callback(null, [...addresses]);
        callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
  const open = () => {
    // Made once, not again for each connection.
    const shared = { timeout: DEADLINE_MS, secureContext: createSecureContext() };
    return {
      toPublic: buildConnector({ ...shared, lookup: guarded }),
      toAllowed: buildConnector({ ...shared, lookup: systemLookup }),
    };
  };
  let opened: ReturnType<typeof open> | undefined;
  return (options, callback) => {
    const { toPublic, toAllowed } = (opened ??= open());
    const name = options.hostname.replace(/^\[|\]$/g, "");
    const port =
      options.port === "" ? (options.protocol === "https:" ? "443" : "80") : options.port;
    if (allowed.has(`${options.hostname}:${port}`)) return toAllowed(options, callback);
    if (isIP(name) !== 0 && !isPublic(name))
      return callback(new EgressError("address_refused", `${name} is not public`), null);
    toPublic(options, callback);
  };
}

/** What went wrong, in our words; the deadline is known by its signal. */
function asEgressError(error: unknown, url: URL, signal: AbortSignal): EgressError {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof EgressError) return cause;
  if (signal.aborted) return new EgressError("timeout", `${url.origin} took too long`, error);
  return new EgressError("unreachable", `${url.origin} does not answer`, error);
}
