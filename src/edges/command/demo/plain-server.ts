/**
 * An ordinary fediverse server, as small as it can be: one person with a key, WebFinger, notes, and an inbox that
 * checks signatures. It knows nothing of money, and shares no code with the instances that it talks to.
 */

import {
  createHash,
  createSign,
  createVerify,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readAll } from "node:stream/consumers";
import type { Temporal } from "../../../store/time.ts";

/** A JSON object of ActivityStreams. */
type Document = Record<string, unknown>;

/** The running server. */
export interface PlainServer {
  readonly host: string;
  readonly origin: string;
  /** The one person who lives here. */
  readonly person: string;
  /** Everything that its inbox took, in the order in which it came. */
  readonly received: readonly Document[];
  /** Who favourites a note now. */
  favouritesOf(note: string): readonly string[];
  /** Writes a note and sends it to all followers. @returns its id */
  publish(text: string, at: Temporal.Instant): Promise<string>;
  follow(actor: string): Promise<void>;
  /** An ordinary favourite. */
  like(object: string, author: string): Promise<void>;
  close(): Promise<void>;
}

const TYPE = "application/activity+json";
const CONTEXT = "https://www.w3.org/ns/activitystreams";
const PUBLIC = `${CONTEXT}#Public`;

/** Requests of its own. */
const DEADLINE_MS = 10_000;

/** The person's name in handles. */
const NAME = "nora";

/** Parts that a signature must cover (draft-cavage). */
const COVERED = ["(request-target)", "host", "date", "digest"];

/** Starts it on a free port of this machine. @param real the machine's time, for signatures */
export async function startPlainServer(real: () => Temporal.Instant): Promise<PlainServer> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const server = createServer((request, response) => {
    answer(request).then(
      ({ status, type, body }) => send(response, status, type, body),
      () => send(response, 500, "text/plain", "broken"),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const origin = `http://${host}`;
  const person = `${origin}/users/${NAME}`;
  const notes = new Map<string, Document>();
  const received: Document[] = [];
  const followers = new Set<string>();
  /** Note and actor, by the id of the Like. */
  const likes = new Map<string, { note: string; actor: string }>();
  const keys = new Map<string, string>();
  const answers = new Set<Promise<unknown>>();
  let made = 0;

  const favouritesOf = (note: string) =>
    [...likes.values()].filter((like) => like.note === note).map(({ actor }) => actor);

  const documents = (): Document => ({
    [person]: {
      "@context": [CONTEXT, "https://w3id.org/security/v1"],
      id: person,
      type: "Person",
      preferredUsername: NAME,
      name: "Nora",
      inbox: `${person}/inbox`,
      outbox: `${person}/outbox`,
      followers: `${person}/followers`,
      publicKey: {
        id: `${person}#main-key`,
        owner: person,
        publicKeyPem: publicKey.export({ type: "spki", format: "pem" }),
      },
    },
    [`${person}/outbox`]: collection(`${person}/outbox`, notes.size),
    [`${person}/followers`]: collection(`${person}/followers`, followers.size),
  });

  const webfinger = (resource: string | null) =>
    resource === `acct:${NAME}@${host}` || resource === person
      ? {
          subject: `acct:${NAME}@${host}`,
          links: [{ rel: "self", type: TYPE, href: person }],
        }
      : undefined;

  const page = () =>
    `<!doctype html><meta charset="utf-8"><title>Lantern</title><h1>Lantern</h1><p>An ordinary server that knows nothing of money.</p><ul>${[
      ...notes.values(),
    ]
      .map(
        (note) =>
          `<li>${String(note["content"])} (${favouritesOf(String(note["id"])).length} favourites)</li>`,
      )
      .join("")}</ul>`;

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const url = new URL(request.url ?? "/", origin);
    if (request.method === "POST")
      return url.pathname === `/users/${NAME}/inbox` ? takeIn(request) : NOTHING;
    if (url.pathname === "/")
      return { status: 200, type: "text/html; charset=utf-8", body: page() };
    const found =
      url.pathname === "/.well-known/webfinger"
        ? webfinger(url.searchParams.get("resource"))
        : (documents()[origin + url.pathname] ?? notes.get(origin + url.pathname));
    if (found === undefined) return NOTHING;
    const type = url.pathname.startsWith("/.well-known/") ? "application/jrd+json" : TYPE;
    return { status: 200, type, body: JSON.stringify(found) };
  };

  const takeIn = async (request: IncomingMessage): Promise<Answer> => {
    const body = await readAll(request);
    const activity = JSON.parse(body) as Document;
    if (!(await isSigned(request, body, String(activity["actor"]))))
      return { status: 401, type: "text/plain", body: "not signed" };
    received.push(activity);
    const { id, type, actor, object } = activity;
    if (type === "Like") likes.set(String(id), { note: String(object), actor: String(actor) });
    if (type === "Undo" && isDocument(object)) likes.delete(String(object["id"]));
    if (type === "Follow") {
      followers.add(String(actor));
      // Answered after the request is: the other side may not have booked its own Follow yet.
      track(post(String(actor), { type: "Accept", object: activity }));
    }
    return { status: 202, type: "text/plain", body: "" };
  };

  const track = (work: Promise<unknown>) => {
    const done = work.catch(() => {});
    answers.add(done);
    void done.finally(() => answers.delete(done));
  };

  /** True when the key of this actor signed exactly this request. */
  const isSigned = async (
    { headers, method, url }: IncomingMessage,
    body: string,
    actor: string,
  ) => {
    const parts = new Map(
      [...String(headers["signature"]).matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [
        name,
        value!,
      ]),
    );
    const covered = (parts.get("headers") ?? "").split(" ");
    const keyId = parts.get("keyId") ?? "";
    const isWhole =
      COVERED.every((part) => covered.includes(part)) &&
      headers["digest"] === digestOf(body) &&
      keyId.startsWith(`${actor}#`);
    if (!isWhole) return false;
    const pem = keys.get(keyId) ?? keyIn(await read(actor), keyId);
    if (pem === undefined) return false;
    keys.set(keyId, pem);
    const text = covered
      .map((part) =>
        part === "(request-target)"
          ? `${part}: ${String(method).toLowerCase()} ${url}`
          : `${part}: ${String(headers[part])}`,
      )
      .join("\n");
    return createVerify("sha256")
      .update(text)
      .verify(pem, parts.get("signature") ?? "", "base64");
  };

  /** Sends an activity of the person to the inbox of another one. */
  const post = async (to: string, activity: Document): Promise<void> => {
    const { inbox } = await read(to);
    made += 1;
    const body = JSON.stringify({
      "@context": CONTEXT,
      id: `${origin}/activities/${made}`,
      actor: person,
      ...activity,
    });
    const date = new Date(real().epochMilliseconds).toUTCString();
    const { status } = await fetch(String(inbox), {
      method: "POST",
      headers: {
        "content-type": TYPE,
        ...signed(new URL(String(inbox)), body, date, { person, privateKey }),
      },
      body,
      redirect: "error",
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    if (status !== 202)
      throw new Error(`${String(inbox)} answered ${status} to a ${String(activity["type"])}`);
  };

  return {
    host,
    origin,
    person,
    received,
    favouritesOf,
    async publish(text, at) {
      made += 1;
      const id = `${origin}/notes/${made}`;
      const note = {
        id,
        type: "Note",
        attributedTo: person,
        content: `<p>${text}</p>`,
        published: at.toString({ smallestUnit: "second" }),
        to: [PUBLIC],
        cc: [`${person}/followers`],
      };
      notes.set(id, { "@context": CONTEXT, ...note });
      const create = { type: "Create", to: note.to, cc: note.cc, object: note };
      await Promise.all([...followers].map((follower) => post(follower, create)));
      return id;
    },
    follow: (actor) => post(actor, { type: "Follow", object: actor }),
    like: (object, author) => post(author, { type: "Like", object }),
    async close() {
      await Promise.all(answers);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const NOTHING: Answer = { status: 404, type: "text/plain", body: "nothing here" };

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type });
  response.end(body);
}

function collection(id: string, totalItems: number): Document {
  return { "@context": CONTEXT, id, type: "OrderedCollection", totalItems };
}

/** The headers of a signed POST. @see https://datatracker.ietf.org/doc/html/draft-cavage-http-signatures-12 */
function signed(
  { host, pathname }: URL,
  body: string,
  date: string,
  { person, privateKey }: { person: string; privateKey: KeyObject },
): Record<string, string> {
  const digest = digestOf(body);
  const text = `(request-target): post ${pathname}\nhost: ${host}\ndate: ${date}\ndigest: ${digest}`;
  const signature = createSign("sha256").update(text).sign(privateKey, "base64");
  return {
    date,
    digest,
    signature: `keyId="${person}#main-key",algorithm="rsa-sha256",headers="${COVERED.join(" ")}",signature="${signature}"`,
  };
}

function digestOf(body: string): string {
  return `SHA-256=${createHash("sha256").update(body).digest("base64")}`;
}

async function read(address: string): Promise<Document> {
  const answer = await fetch(address, {
    headers: { accept: TYPE },
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return (await answer.json()) as Document;
}

function keyIn({ publicKey }: Document, keyId: string): string | undefined {
  return isDocument(publicKey) && publicKey["id"] === keyId
    ? String(publicKey["publicKeyPem"])
    : undefined;
}

function isDocument(value: unknown): value is Document {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
