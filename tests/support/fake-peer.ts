/**
 * Another instance, for tests: real HTTP on loopback, a log of its own, and able to lie in every way. What it signs is
 * made here, with canonical JSON and signatures of this file's own, not by the code that checks it.
 */

import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { base58 } from "../../src/rules/base58.ts";
import { STATEMENT_CONTEXT } from "../../src/rules/statement.ts";
import { ACTIVITY_JSON, type Answered, post } from "./hostile.ts";

/** A statement, or anything that pretends to be one. */
export type Statement = Record<string, unknown>;

/** A key that signs statements. */
export interface FakeKey {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicKeyMultibase: string;
}

/** A request that it got. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly at: number;
}

/** What it answers instead of the truth. */
export type Lie = (asked: Asked, response: ServerResponse) => void | Promise<void>;

/** The parts of a statement that a test says; the rest is as it should be. */
export type Said = Statement & {
  readonly type: readonly [string, string];
  readonly body: unknown;
  /** Signs instead of its own key. */
  readonly key?: FakeKey;
};

/** An instance of our kind, as far as anybody can see. */
export interface FakePeer {
  readonly host: string;
  readonly origin: string;
  readonly actor: string;
  readonly key: FakeKey;
  /** What it said, in order; a lie may be added by hand. */
  readonly log: Statement[];
  /** What it was told, at its place. */
  readonly heard: Statement[];
  readonly asked: Asked[];
  /** To whom it speaks: nothing is signed before. */
  speakTo(origin: string): void;
  /** Answers so at `POST /ledger`, `GET /ledger/…/head` and the like: whatever begins with these words. */
  lie(at: string, lie: Lie): void;
  /** The truth, for a lie that tells it sometimes. */
  readonly answer: Lie;
  /** Says the truth again. */
  repent(at: string): void;
  /** Answers Transfers with a Receipt of the test's own; undefined: with an honest one. */
  judge(verdict: (transfer: Statement) => Said | undefined): void;
  /** A key of its own; the seed is one byte, thirty-two times. */
  keyOf(seed: number, id?: string): FakeKey;
  /** The next statement, signed, and not yet said. */
  statement(said: Said): Statement;
  /** The next statement, in its log. */
  say(said: Said): Statement;
  /** Posts it as it is. */
  post(document: Statement | string, path?: string): Promise<FakeAnswer>;
  /** Says it and posts it. */
  tell(said: Said): Promise<FakeAnswer>;
  /** Says its Terms: the first contact. */
  greet(limit?: string): Promise<FakeAnswer>;
  /** The body of a Transfer. */
  transfer(lines: Record<string, string>, more?: Statement): Statement;
  /** A Receipt for something that it was told. */
  receipt(of: Statement, body: Statement, type?: "Accept" | "Reject"): Said;
  /** Serves a person of its own; whom people flattr. */
  person(name: string): string;
  /** Its signed head. */
  head(lies?: Statement): Statement;
  close(): Promise<void>;
}

/** What was answered, read. */
export interface FakeAnswer extends Answered {
  readonly json: Statement;
}

/** How a peer is made. */
export interface FakePeerOptions {
  readonly seed?: number;
  readonly address?: string;
  /** Takes what ends it, for one that several tests share. */
  readonly whenOver?: (end: () => Promise<void>) => void;
}

/** Starts one. */
export async function fakePeer({
  seed = 1,
  address = "127.0.0.1",
  whenOver = onTestFinished,
}: FakePeerOptions = {}): Promise<FakePeer> {
  const lies = new Map<string, Lie>();
  const people = new Map<string, Statement>();
  const asked: Asked[] = [];
  const log: Statement[] = [];
  const heard: Statement[] = [];
  const server = createServer((incoming, response) => {
    void readAll(incoming).then(async (body) => {
      if (body === undefined) return;
      const { method, url: path, headers } = incoming;
      const one = { method: method!, path: path!, headers, body, at: performance.now() };
      asked.push(one);
      const words = `${one.method} ${one.path}`;
      const lie = [...lies].findLast(([at]) => words.startsWith(at))?.[1];
      await (lie ?? honest)(one, response);
    });
  });
  server.keepAliveTimeout = 500;
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  whenOver(close);

  const host = `${address}:${(server.address() as AddressInfo).port}`;
  const origin = `http://${host}`;
  const actor = `${origin}/actor`;
  let theirs = "";
  const keyOf = (byte: number, id = `${actor}#ed25519-1`): FakeKey => ({
    id,
    ...keyPair(Buffer.alloc(32, byte)),
  });
  const key = keyOf(seed);
  let verdict: Parameters<FakePeer["judge"]>[0] = () => undefined;

  const statement = ({ key: by = key, ...said }: Said): Statement => {
    const seq = log.length + 1;
    const document: Statement = {
      "@context": STATEMENT_CONTEXT,
      id: `${origin}/ledger/${new URL(theirs).host}/${seq}`,
      actor,
      to: `${theirs}/actor`,
      object: actor,
      published: "2026-12-01T00:10:00Z",
      seq,
      prev: log.length === 0 ? null : digestOf(log.at(-1)!),
      ...said,
    };
    return { ...document, proof: proofOf(document, by) };
  };
  const say = (said: Said): Statement => {
    const made = statement(said);
    log.push(made);
    return made;
  };
  const send = async (document: Statement | string, path = "/ledger"): Promise<FakeAnswer> => {
    const text = typeof document === "string" ? document : JSON.stringify(document);
    const answer = await post(`${theirs}${path}`, { "content-type": ACTIVITY_JSON }, text);
    const json = jsonOf(answer.body);
    // A Receipt that comes as an answer is part of their log, too.
    if (answer.status === 200 && typeof json["seq"] === "number") heard[json["seq"] - 1] ??= json;
    return { ...answer, json };
  };
  const terms = (limit: string): Said => ({
    type: ["Offer", "Terms"],
    body: { currencies: { EUR: { limit } }, rails: [] },
  });
  const receipt = (of: Statement, body: Statement, type: "Accept" | "Reject" = "Accept"): Said => ({
    type: [type, "Receipt"],
    object: of["id"],
    body: { of: { seq: of["seq"], digest: digestOf(of) }, ...body },
  });
  const head = (said: Statement = {}): Statement => {
    const document: Statement = {
      "@context": STATEMENT_CONTEXT,
      actor,
      to: `${theirs}/actor`,
      at: "2026-12-01T00:10:00Z",
      log: standOf(log),
      received: standOf(unbroken(heard)),
      positions: [],
      ...said,
    };
    return { ...document, proof: proofOf(document, key) };
  };

  /** What an honest creditor would answer. */
  const take = (document: Statement): { status: number; body?: Statement } => {
    const seq = document["seq"] as number;
    if (heard[seq - 1] !== undefined) {
      const answer = log.find((one) => ofSeq(one) === seq);
      return answer === undefined ? { status: 204 } : { status: 200, body: answer };
    }
    heard[seq - 1] = document;
    const [, kind] = document["type"] as string[];
    if (kind === "Receipt") return { status: 204 };
    if (kind === "Terms" && !log.some((one) => (one["type"] as string[])[1] === "Terms"))
      say(terms("50000000"));
    const { total } = document["body"] as { total?: string };
    const honestly = receipt(
      document,
      kind === "Transfer" ? { accepted: total, rejected: [] } : {},
    );
    return { status: 200, body: say((kind === "Transfer" && verdict(document)) || honestly) };
  };

  const honest: Lie = ({ method, path, body }, response) => {
    const json = (value: unknown, status = 200, type = ACTIVITY_JSON) =>
      response.writeHead(status, { "content-type": type }).end(JSON.stringify(value));
    const page = /^\/ledger\/[^/]+\/(after|received)\/(\d+)$/.exec(path);
    const named = people.get(path);
    if (method === "POST" && path === "/ledger") {
      const taken = take(JSON.parse(body) as Statement);
      if (taken.body === undefined) response.writeHead(taken.status).end();
      else json(taken.body, taken.status);
    } else if (method === "POST") response.writeHead(202).end();
    else if (path.startsWith("/.well-known/webfinger"))
      json(
        { subject: `${origin}/`, links: [{ rel: "self", type: ACTIVITY_JSON, href: actor }] },
        200,
        "application/jrd+json",
      );
    else if (path === "/actor") json(instanceActor({ origin, keys: [key] }));
    else if (page !== null) {
      const [, direction, after] = page;
      json({
        statements: (direction === "after" ? log : unbroken(heard)).slice(Number(after)),
        more: false,
      });
    } else if (/^\/ledger\/[^/]+\/head$/.test(path)) json(head());
    else if (named !== undefined) json(named);
    else response.writeHead(404).end();
  };

  return {
    host,
    origin,
    actor,
    key,
    log,
    heard,
    asked,
    keyOf,
    statement,
    say,
    receipt,
    head,
    close,
    answer: honest,
    speakTo: (at) => void (theirs = at),
    lie: (at, lie) => void lies.set(at, lie),
    repent: (at) => void lies.delete(at),
    judge: (made) => void (verdict = made),
    post: send,
    tell: (said) => send(say(said)),
    greet: (limit = "50000000") => send(say(terms(limit))),
    transfer: (lines, more = {}) => ({
      kind: "correction",
      period: "2026-08",
      currency: "EUR",
      total: String(Object.values(lines).reduce((sum, amount) => sum + BigInt(amount), 0n)),
      lines: Object.entries(lines).map(([beneficiary, amount]) => ({ beneficiary, amount })),
      ...more,
    }),
    person(name) {
      const uri = `${origin}/users/${name}`;
      people.set(`/users/${name}`, {
        "@context": "https://www.w3.org/ns/activitystreams",
        id: uri,
        type: "Person",
        preferredUsername: name,
        inbox: `${uri}/inbox`,
      });
      return uri;
    },
  };
}

/** The document of an instance actor. */
export function instanceActor({
  origin,
  keys,
  ledger = `${origin}/ledger`,
}: {
  origin: string;
  keys: readonly FakeKey[];
  ledger?: string;
}): Statement {
  const actor = `${origin}/actor`;
  return {
    "@context": ["https://www.w3.org/ns/activitystreams", "https://www.w3.org/ns/did/v1"],
    id: actor,
    type: "Application",
    preferredUsername: new URL(origin).host,
    inbox: `${origin}/inbox`,
    assertionMethod: keys.map(({ id, publicKeyMultibase }) => ({
      id,
      type: "Multikey",
      controller: actor,
      publicKeyMultibase,
    })),
    attachment: [
      {
        type: "Link",
        name: "Ledger",
        href: ledger,
        mediaType: ACTIVITY_JSON,
        rel: "https://w3id.org/fep/9b24#ledger",
      },
    ],
  };
}

/** Answers with these bytes. */
export const saying =
  (body: string | Buffer, { status = 200, type = ACTIVITY_JSON } = {}): Lie =>
  (_, response) =>
    void response.writeHead(status, { "content-type": type }).end(body);

/** Answers with a status, and where to go. */
export const sending =
  (location: string): Lie =>
  (_, response) =>
    void response.writeHead(302, { location }).end();

/** Never answers. */
export const silent: Lie = () => {};

/** One byte each half second, for ever. */
export const dripping: Lie = async (_, response) => {
  response.writeHead(200, { "content-type": ACTIVITY_JSON });
  while (!response.destroyed) {
    response.write(" ");
    await sleep(500);
  }
};

/** So many bytes, as fast as they are taken. */
export const pouring =
  (bytes: number): Lie =>
  async (_, response) => {
    response.writeHead(200, { "content-type": ACTIVITY_JSON });
    const part = Buffer.alloc(64 * 1024, " ");
    for (let sent = 0; sent < bytes && !response.destroyed; sent += part.length)
      if (!response.write(part) && !response.destroyed) await sleep(5);
    response.end();
  };

/** RFC 8785 for what tests write: texts, integers, lists and objects. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join()}}`;
}

/** The digest of a statement. */
export function digestOf({ proof: _, ...rest }: Statement): string {
  return `sha256:${sha256(canonical(rest)).toString("hex")}`;
}

/** Signs a document as FEP-8b32 says. */
export function proofOf({ proof: _, ...document }: Statement, { id, privateKey }: FakeKey) {
  const config = {
    "@context": document["@context"],
    type: "DataIntegrityProof",
    cryptosuite: "eddsa-jcs-2022",
    verificationMethod: id,
    proofPurpose: "assertionMethod",
    created: "2026-12-01T00:10:00Z",
  };
  const hashes = Buffer.concat([sha256(canonical(config)), sha256(canonical(document))]);
  return { ...config, proofValue: `z${base58(sign(null, hashes, privateKey))}` };
}

function keyPair(seed: Buffer): Omit<FakeKey, "id"> {
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  const privateKey = createPrivateKey({
    key: Buffer.concat([head, seed]),
    format: "der",
    type: "pkcs8",
  });
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  const bytes = Buffer.concat([Buffer.from([0xed, 0x01]), Buffer.from(x!, "base64url")]);
  return { privateKey, publicKeyMultibase: `z${base58(bytes)}` };
}

/** As far as nothing is missing. */
function unbroken(log: readonly (Statement | undefined)[]): Statement[] {
  const end = log.findIndex((one) => one === undefined);
  return (end === -1 ? log : log.slice(0, end)) as Statement[];
}

function standOf(log: readonly Statement[]): Statement {
  return log.length === 0
    ? { seq: 0, digest: null }
    : { seq: log.length, digest: digestOf(log.at(-1)!) };
}

function ofSeq(receipt: Statement): unknown {
  return (receipt["body"] as { of?: { seq?: unknown } }).of?.seq;
}

const sha256 = (text: string) => createHash("sha256").update(text).digest();

function jsonOf(text: string): Statement {
  try {
    return JSON.parse(text) as Statement;
  } catch {
    return {};
  }
}

/** @returns undefined when the sender hung up */
async function readAll(incoming: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  try {
    for await (const part of incoming) parts.push(part as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(parts).toString();
}
