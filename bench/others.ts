/**
 * The program of `elsewhere.ts`: many small servers that take everything, serve the documents of their people, and can
 * post signed Likes. A process of its own, so that what it costs is not counted.
 */

import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent, request } from "undici";
import {
  type Answer,
  hostOf,
  KEYS,
  type LikeOrder,
  type Order,
  SERVERS,
  type Target,
} from "./elsewhere.ts";
import { freePort } from "./running.ts";

const ACTIVITY_JSON = "application/activity+json";

const keys = Array.from({ length: KEYS }, () =>
  generateKeyPairSync("rsa", { modulusLength: 2048 }),
);
const publicPems = keys.map(({ publicKey }) =>
  publicKey.export({ type: "spki", format: "pem" }).toString(),
);

const port = await freePort();
const seen = { gets: 0, posts: 0, inboxes: new Set<string>() };
let signed: {
  readonly target: Target;
  readonly headers: Record<string, string>;
  readonly body: string;
}[] = [];

await Promise.all(
  Array.from({ length: SERVERS }, async (_, server) => {
    const [address] = hostOf(server, port).split(":");
    await once(createServer(answerRequest).listen(port, address), "listening");
  }),
);

process.on("disconnect", () => process.exit());
process.on("message", (order: Order) => void follow(order));
answer({});

async function follow(order: Order): Promise<void> {
  switch (order.do) {
    case "sign":
      signed = order.likes.map((like) => signLike(like, order.to));
      return answer({});
    case "post":
      return answer({ posted: await postAll(order.inFlight) });
    case "tally": {
      const tally = { gets: seen.gets, posts: seen.posts, inboxes: seen.inboxes.size };
      [seen.gets, seen.posts] = [0, 0];
      seen.inboxes.clear();
      return answer({ tally });
    }
    case "end":
      process.exit();
  }
}

function answer(more: Partial<Answer>): void {
  process.send!({
    port,
    publicPems,
    posted: { statuses: {}, wallMs: 0, p50Ms: 0, p99Ms: 0 },
    tally: { gets: 0, posts: 0, inboxes: 0 },
    ...more,
  } satisfies Answer);
}

function answerRequest(request: IncomingMessage, response: ServerResponse): void {
  const address = `http://${request.headers.host}${request.url}`;
  if (request.method === "GET") {
    seen.gets += 1;
    const person = /^\/users\/u(\d+)$/.exec(request.url ?? "");
    if (person === null) return void response.writeHead(404).end();
    response
      .writeHead(200, { "content-type": ACTIVITY_JSON })
      .end(JSON.stringify(documentOf(address, Number(person[1]))));
    return;
  }
  request.resume().on("end", () => {
    // What is not signed is not taken, so that an unsigned delivery is not mistaken for a cheap one.
    const isSigned = request.headers["signature"] !== undefined;
    response.writeHead(isSigned ? 202 : 400).end();
    if (!isSigned) return;
    seen.posts += 1;
    seen.inboxes.add(address);
  });
}

function documentOf(uri: string, number: number): object {
  return {
    "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
    id: uri,
    type: "Person",
    preferredUsername: `u${number}`,
    inbox: `${uri}/inbox`,
    publicKey: { id: `${uri}#main-key`, owner: uri, publicKeyPem: publicPems[number % KEYS] },
  };
}

/** By draft-cavage, with the parts that most servers cover. */
function signLike({ id, actor, object, key }: LikeOrder, target: Target): (typeof signed)[number] {
  const body = JSON.stringify({
    "@context": "https://www.w3.org/ns/activitystreams",
    id,
    type: "Like",
    actor,
    object,
  });
  const digest = `SHA-256=${createHash("sha256").update(body).digest("base64")}`;
  const date = new Date().toUTCString();
  const text = `(request-target): post ${target.path}\nhost: ${target.host}\ndate: ${date}\ndigest: ${digest}`;
  const signature = sign("sha256", Buffer.from(text), keys[key]!.privateKey).toString("base64");
  return {
    target,
    body,
    headers: {
      host: target.host,
      date,
      digest,
      "content-type": ACTIVITY_JSON,
      signature: `keyId="${actor}#main-key",algorithm="rsa-sha256",headers="(request-target) host date digest",signature="${signature}"`,
    },
  };
}

async function postAll(inFlight: number): Promise<Answer["posted"]> {
  const agent = new Agent({ connections: inFlight, pipelining: 1 });
  const statuses: Record<string, number> = {};
  const tookMs: number[] = [];
  const queue = signed.values();
  const start = performance.now();
  const post = async () => {
    for (const { target, headers, body } of queue) {
      const since = performance.now();
      const response = await request(`${target.address}${target.path}`, {
        dispatcher: agent,
        method: "POST",
        headers,
        body,
      });
      await response.body.dump();
      tookMs.push(performance.now() - since);
      statuses[response.statusCode] = (statuses[response.statusCode] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, post));
  const wallMs = performance.now() - start;
  await agent.close();
  tookMs.sort((a, b) => a - b);
  const at = (share: number) =>
    tookMs[Math.min(tookMs.length - 1, Math.floor(tookMs.length * share))] ?? 0;
  return { statuses, wallMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}
