/**
 * Other servers, for tests: real HTTP on loopback, real RSA keys, and able to lie in every way. Their signatures are
 * made here by hand, not by the library that verifies them.
 */

import { createHash, generateKeyPair, type KeyObject, sign as signBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";

/** A request that a server got. */
export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** What a server answers at one path. */
export type Answer = (
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
) => void | Promise<void>;

/** Somebody on such a server. */
export interface RemoteActor {
  readonly uri: string;
  readonly keyId: string;
  readonly privateKey: KeyObject;
  readonly publicPem: string;
  /** As it is served. */
  readonly document: Record<string, unknown>;
}

/** Another server. */
export interface RemoteHost {
  readonly origin: string;
  readonly host: string;
  /** Every request that it got. */
  readonly requests: Recorded[];
  /** Connections that were made, whether anything was asked or not. */
  connections(): number;
  /** Answers at a path, `/users/e` or with its query. */
  at(path: string, answer: Answer): void;
  /** Serves a JSON document there. */
  serve(path: string, document: unknown, contentType?: string): void;
  /** Somebody new, whose document is served. */
  actor(name: string, members?: Record<string, unknown>): Promise<RemoteActor>;
}

export const ACTIVITY_JSON = "application/activity+json";

/** RSA keys are dear to make: each file makes a few and deals them out. */
const keys: Promise<{ publicKey: KeyObject; privateKey: KeyObject }>[] = [];
const generate = promisify(generateKeyPair);

/** The n-th RSA key of this file. */
export function rsaKey(place: number): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  return (keys[place] ??= generate("rsa", { modulusLength: 2048 }));
}

/** Starts a server on an address of the loopback net; it goes away with the test. */
export async function remoteHost(address = "127.0.0.1"): Promise<RemoteHost> {
  const answers = new Map<string, Answer>();
  const requests: Recorded[] = [];
  let connections = 0;
  let actors = 0;
  const server = createServer((incoming, response) => {
    const parts: Buffer[] = [];
    incoming.on("data", (part: Buffer) => parts.push(part));
    incoming.on("end", () => {
      const { method = "", url = "", headers } = incoming;
      const body = Buffer.concat(parts);
      requests.push({ method, path: url, headers, body });
      const answer = answers.get(url) ?? answers.get(url.split("?")[0]!);
      if (answer === undefined) response.writeHead(404).end();
      else void answer(incoming, response, body);
    });
  });
  server.on("connection", () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const host = `${address}:${(server.address() as AddressInfo).port}`;
  const origin = `http://${host}`;
  const at = (path: string, answer: Answer) => void answers.set(path, answer);
  const serve = (path: string, document: unknown, contentType = ACTIVITY_JSON) =>
    at(path, (_, response) => {
      response.writeHead(200, { "content-type": contentType }).end(JSON.stringify(document));
    });
  return {
    origin,
    host,
    requests,
    connections: () => connections,
    at,
    serve,
    async actor(name, members = {}) {
      const { publicKey, privateKey } = await rsaKey(
        Number(address.split(".")[3]) * 4 + (actors += 1),
      );
      const uri = `${origin}/users/${name}`;
      const publicPem = publicKey.export({ type: "spki", format: "pem" }).toString();
      const document = {
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
        id: uri,
        type: "Person",
        preferredUsername: name,
        inbox: `${uri}/inbox`,
        publicKey: { id: `${uri}#main-key`, owner: uri, publicKeyPem: publicPem },
        ...members,
      };
      serve(`/users/${name}`, document);
      return { uri, keyId: `${uri}#main-key`, privateKey, publicPem, document };
    },
  };
}

/** A name server on loopback. */
export interface NameServer {
  /** For `setServers`. */
  readonly address: string;
  /** Names that were asked for, as often as they were. */
  readonly asked: string[];
}

/** Starts a name server. It knows these names and never answers for any other. */
export async function nameServer(
  names: Readonly<Record<string, readonly string[]>> = {},
): Promise<NameServer> {
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (question, { port, address }) => {
    const labels: string[] = [];
    let place = 12;
    for (; question[place] !== 0; place += question[place]! + 1)
      labels.push(question.toString("latin1", place + 1, place + 1 + question[place]!));
    const name = labels.join(".");
    asked.push(name);
    const addresses = names[name];
    if (addresses === undefined) return;
    const isFour = question.readUInt16BE(place + 1) === 1;
    const records = addresses
      .filter((one) => one.includes(":") !== isFour)
      .map((one) => {
        const bytes = isFour
          ? Buffer.from(one.split(".").map(Number))
          : Buffer.from(
              one
                .split(":")
                .map((part) => part.padStart(4, "0"))
                .join(""),
              "hex",
            );
        const head = Buffer.from([0xc0, 12, 0, isFour ? 1 : 28, 0, 1, 0, 0, 0, 0, 0, bytes.length]);
        return Buffer.concat([head, bytes]);
      });
    const head = Buffer.from(question.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt32BE(0, 8);
    const answer = Buffer.concat([head, question.subarray(12, place + 5), ...records]);
    socket.send(answer, port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  onTestFinished(() => void socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, asked };
}

/** What a signature is made of; each part may be a lie. */
export interface Signing {
  readonly url: string;
  readonly body: string | Buffer;
  readonly keyId: string;
  readonly privateKey: KeyObject;
  readonly date: Date;
  readonly kind?: "draft-cavage" | "rfc9421";
  /** The parts that are covered, in order. */
  readonly covered?: readonly string[];
  /** Replaces headers before they are signed; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** What stands behind the covered parts (RFC 9421), or beside them. */
  readonly parameters?: string;
}

/** The headers of a signed POST. */
export function signedPost(signing: Signing): Record<string, string> {
  const { url, body, date, kind = "draft-cavage" } = signing;
  const digest = createHash("sha256").update(body).digest("base64");
  const headers: Record<string, string> = {
    host: new URL(url).host,
    date: date.toUTCString(),
    "content-type": ACTIVITY_JSON,
    ...(kind === "rfc9421"
      ? { "content-digest": `sha-256=:${digest}:` }
      : { digest: `SHA-256=${digest}` }),
  };
  for (const [name, value] of Object.entries(signing.headers ?? {})) {
    if (value === undefined) delete headers[name];
    else headers[name] = value;
  }
  return kind === "rfc9421" ? rfc9421(signing, headers) : draftCavage(signing, headers);
}

function draftCavage(
  {
    url,
    keyId,
    privateKey,
    covered = ["(request-target)", "host", "date", "digest"],
    parameters = "",
  }: Signing,
  headers: Record<string, string>,
): Record<string, string> {
  const lines = covered.map((part) =>
    part === "(request-target)"
      ? `(request-target): post ${new URL(url).pathname}`
      : `${part}: ${headers[part] ?? ""}`,
  );
  const signature = signBytes("sha256", Buffer.from(lines.join("\n")), privateKey).toString(
    "base64",
  );
  return {
    ...headers,
    signature: `keyId="${keyId}",algorithm="rsa-sha256",headers="${covered.join(" ")}",signature="${signature}"${parameters}`,
  };
}

function rfc9421(
  {
    url,
    keyId,
    privateKey,
    date,
    covered = ["@method", "@target-uri", "content-digest"],
    parameters = `;created=${Math.floor(date.getTime() / 1000)}`,
  }: Signing,
  headers: Record<string, string>,
): Record<string, string> {
  const { href, host, pathname } = new URL(url);
  const derived: Record<string, string> = {
    "@method": "POST",
    "@target-uri": href,
    "@authority": host,
    "@path": pathname,
  };
  const input = `(${covered.map((part) => `"${part}"`).join(" ")});alg="rsa-v1_5-sha256";keyid="${keyId}"${parameters}`;
  const lines = [
    ...covered.map((part) => `"${part}": ${derived[part] ?? headers[part] ?? ""}`),
    `"@signature-params": ${input}`,
  ];
  const signature = signBytes("sha256", Buffer.from(lines.join("\n")), privateKey).toString(
    "base64",
  );
  return { ...headers, "signature-input": `sig1=${input}`, signature: `sig1=:${signature}:` };
}

/** What was answered. */
export interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Posts exactly these headers, in this order, a name as often as it stands there. */
export function post(
  url: string,
  headers: Readonly<Record<string, string>> | readonly (readonly [string, string])[],
  body: string | Buffer,
  from = "127.0.0.1",
): Promise<Answered> {
  const pairs = Array.isArray(headers)
    ? (headers as readonly (readonly [string, string])[])
    : Object.entries(headers);
  // HTTP needs one; whoever signs brings it along.
  const isNamed = pairs.some(([name]) => name.toLowerCase() === "host");
  const host = isNamed ? [] : ["host", new URL(url).host];
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: "POST",
        localAddress: from,
        headers: [
          ...host,
          ...pairs.flat(),
          "content-length",
          String(Buffer.byteLength(body)),
        ] as never,
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("end", () =>
          resolve({
            status: answer.statusCode!,
            headers: answer.headers,
            body: Buffer.concat(parts).toString(),
          }),
        );
        answer.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
