/** A TLS front before an instance, as operators put one there, with certificates of an authority made for one run. */

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { type IncomingMessage, request as ask } from "node:http";
import { createServer } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What a front shows, and what those must know who believe it. */
export interface Certificates {
  /** The authority's own certificate, as a file: NODE_EXTRA_CA_CERTS of a process. */
  readonly authorityFile: string;
  readonly certificate: string;
  readonly key: string;
}

/** Makes an authority and a certificate of 127.0.0.1, good for two days. This process believes them from now on. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const file = (name: string) => join(folder, name);
  const made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const lasting = ["-days", "2"];
  await run("openssl", [
    ...["req", ...made, ...lasting, "-subj", "/CN=Authority of one test run"],
    ...["-addext", "keyUsage=critical,keyCertSign"],
    ...["-keyout", file("authority.key"), "-out", file("authority.pem")],
  ]);
  await run("openssl", [
    ...["req", ...made, ...lasting, "-subj", "/CN=127.0.0.1"],
    ...["-CA", file("authority.pem"), "-CAkey", file("authority.key")],
    ...["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"],
    ...["-keyout", file("front.key"), "-out", file("front.pem")],
  ]);
  const [authority, certificate, key] = await Promise.all(
    ["authority.pem", "front.pem", "front.key"].map((name) => readFile(file(name), "utf8")),
  );
  setDefaultCACertificates([...getCACertificates("default"), authority!]);
  return { authorityFile: file("authority.pem"), certificate: certificate!, key: key! };
}

/** An answer that went through a front. */
export interface Passed {
  readonly method: string;
  readonly path: string;
  readonly isSignedIn: boolean;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A front that answers. */
export interface Front {
  /** What it says as Host to the instance; undefined: what it heard. */
  host: string | undefined;
  close(): Promise<void>;
}

/** Opens a front on a port of 127.0.0.1 for what listens on another one. */
export async function openFront({
  port,
  target,
  certificates: { certificate: cert, key },
  see,
}: {
  readonly port: number;
  readonly target: number;
  readonly certificates: Certificates;
  /** Is shown every answer that is text. */
  readonly see: (passed: Passed) => void;
}): Promise<Front> {
  const headersOf = (incoming: IncomingMessage): NodeJS.Dict<string | string[]> => ({
    ...incoming.headers,
    ...(front.host === undefined ? {} : { host: front.host }),
    "x-forwarded-for": incoming.socket.remoteAddress,
    "x-forwarded-proto": "https",
    // What passes is read.
    "accept-encoding": "identity",
  });
  const server = createServer({ cert, key }, (incoming, outgoing) => {
    const { method = "GET", url: path = "/" } = incoming;
    const asked = ask(
      { host: "127.0.0.1", port: target, method, path, headers: headersOf(incoming) },
      (answer) => {
        const { statusCode: status = 502, headers } = answer;
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => {
          if (!/json|html|text/.test(headers["content-type"] ?? "")) return;
          const isSignedIn = incoming.headers.authorization !== undefined;
          const text = Buffer.concat(chunks).toString();
          see({ method, path, isSignedIn, status, headers: headersFrom(headers), text });
        });
        outgoing.writeHead(status, headers);
        answer.pipe(outgoing);
      },
    );
    asked.on("error", () => outgoing.writeHead(502).end());
    incoming.pipe(asked);
  });
  server.on("upgrade", (incoming, socket, head: Buffer) => {
    const lines = Object.entries(headersOf(incoming)).map(
      ([name, value]) => `${name}: ${String(value)}`,
    );
    const further = connect(target, "127.0.0.1");
    further.write(`GET ${incoming.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    further.write(head);
    further.pipe(socket).pipe(further);
    further.on("error", () => socket.destroy());
    socket.on("error", () => further.destroy());
    socket.on("close", () => further.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const front: Front = {
    host: undefined,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return front;
}

function headersFrom(headers: NodeJS.Dict<string | string[]>): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers))
    for (const one of [value ?? []].flat()) all.append(name, one);
  return all;
}
