/** The front door: who gets in, and that nothing at all happens when somebody does not. */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { blockPayments, unblockPayments } from "../../src/features/claim/standing.ts";
import { testDatabase } from "../support/database.ts";
import {
  type Answered,
  post,
  type RemoteActor,
  type RemoteHost,
  remoteHost,
  rsaKey,
  signedPost,
  type Signing,
} from "../support/hostile.ts";
import { ANY_RATE, type Receiver, receiver, testClock } from "../support/receiver.ts";

const AS = "https://www.w3.org/ns/activitystreams";
const KINDS = ["draft-cavage", "rfc9421"] as const;

type Activity = Record<string, unknown>;

let count = 0;

function like(actor: string, members: Activity = {}): Activity {
  count += 1;
  return {
    "@context": AS,
    id: `${actor}/likes/${count}`,
    type: "Like",
    actor,
    object: "https://home.example/users/a/posts/1",
    ...members,
  };
}

/** What one sends in the name of whoever stands in the activity. */
interface Sending extends Partial<Signing> {
  readonly activity?: unknown;
  /** Changes the headers after they are signed. */
  readonly change?: (
    headers: Record<string, string>,
  ) => Record<string, string> | readonly (readonly [string, string])[];
  /** The address of the sender's machine. */
  readonly from?: string;
  /** What is posted instead of what was signed. */
  readonly sent?: string | Buffer;
}

function send(to: Receiver, by: RemoteActor, sending: Sending = {}): Promise<Answered> {
  const {
    activity = like(by.uri),
    change = (headers) => headers,
    sent,
    from,
    ...signing
  } = sending;
  const body = signing.body ?? JSON.stringify(activity);
  const headers = signedPost({
    url: to.inbox,
    body,
    keyId: by.keyId,
    privateKey: by.privateKey,
    date: new Date(to.clock.real().epochMilliseconds),
    ...signing,
  });
  return post(signing.url ?? to.inbox, change(headers), sent ?? body, from);
}

const codeOf = ({ body }: Answered): string => (JSON.parse(body) as { error: string }).error;

/** Two servers and somebody on each; both are known to the receiver already. */
async function scene(options: Parameters<typeof receiver>[2] = {}): Promise<{
  home: Receiver;
  database: Awaited<ReturnType<typeof testDatabase>>;
  V: RemoteHost;
  E: RemoteHost;
  v: RemoteActor;
  e: RemoteActor;
}> {
  const database = await testDatabase();
  const [V, E] = [await remoteHost("127.0.0.2"), await remoteHost("127.0.0.3")];
  const [v, e] = [await V.actor("v"), await E.actor("e")];
  const home = await receiver(database, [V, E], options);
  expect((await send(home, v)).status).toBe(202);
  expect((await send(home, e)).status).toBe(202);
  return { home, database, V, E, v, e };
}

/** Nothing happened: not in the database, nothing admitted, nobody asked. */
async function withoutEffect(
  { home, V, E }: { home: Receiver; V: RemoteHost; E: RemoteHost },
  attempt: () => Promise<Answered>,
): Promise<Answered> {
  const asked = () => V.connections() + E.connections();
  const [before, askedBefore] = [await home.effect(), asked()];
  const answer = await attempt();
  expect(await home.effect()).toBe(before);
  expect(asked()).toBe(askedBefore);
  return answer;
}

describe("who gets in", () => {
  test.each(KINDS)(
    "an unknown actor, with one request; a known one with none (%s)",
    async (kind) => {
      const database = await testDatabase();
      const V = await remoteHost("127.0.0.2");
      const v = await V.actor("v");
      const home = await receiver(database, [V]);
      const activity = like(v.uri, {
        proof: { type: "DataIntegrityProof" },
        signature: { type: "RsaSignature2017" },
        paymentPeriod: "2026-11",
      });
      expect(await send(home, v, { activity, kind })).toMatchObject({ status: 202, body: "" });
      expect(V.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(["GET /users/v"]);
      const { proof: _proof, signature: _signature, ...rest } = activity;
      expect(home.admitted).toEqual([
        { activity: rest, actor: expect.any(BigInt), actorUri: v.uri, id: activity["id"] },
      ]);
      for (let turn = 0; turn < 3; turn += 1)
        expect((await send(home, v, { kind })).status).toBe(202);
      expect(V.requests).toHaveLength(1);
      // Another process, or this one after a restart: the database knows.
      const restarted = await receiver(database, [V]);
      expect((await send(restarted, v, { kind })).status).toBe(202);
      expect(V.requests).toHaveLength(1);
    },
  );

  test("actors are asked by a signed request that anybody can verify", async () => {
    const { V } = await scene();
    const [{ headers, path }] = V.requests as [(typeof V.requests)[number]];
    expect(path).toBe("/users/v");
    expect(headers["signature"]).toMatch(/headers="\(request-target\) date host"/);
    expect(headers["signature"]).toMatch(/^keyId="http:\/\/127\.0\.0\.1:\d+\/actor#main-key"/);
    expect(headers["accept"]).toContain("application/activity+json");
    expect(headers["user-agent"]).toBe("Fediflattr/test");
  });

  test("a key whose id is a path of its own is found in the actor's document", async () => {
    const database = await testDatabase();
    const V = await remoteHost("127.0.0.2");
    const v = await V.actor("v");
    const keyId = `${v.uri}/main-key`;
    V.serve("/users/v", {
      ...v.document,
      publicKey: [{ id: keyId, owner: v.uri, publicKeyPem: v.publicPem }],
    });
    const home = await receiver(database, [V]);
    expect((await send(home, v, { keyId })).status).toBe(202);
    expect(V.requests).toHaveLength(1);
  });

  test("many at once from one unknown actor ask his server once", async () => {
    const database = await testDatabase();
    const V = await remoteHost("127.0.0.2");
    const v = await V.actor("v");
    const home = await receiver(database, [V]);
    const answers = await Promise.all(Array.from({ length: 50 }, () => send(home, v)));
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(202));
    expect(V.requests).toHaveLength(1);
  });

  test("F07 the same activity a hundred times in parallel is always the same activity", async () => {
    const { home, v } = await scene();
    home.admitted.length = 0;
    const activity = like(v.uri);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => send(home, v, { activity })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(202));
    // Once is counted behind the door, by this id and this actor.
    expect(new Set(home.admitted.map(({ id, actor }) => `${id} ${actor}`)).size).toBe(1);
  });
});

describe("F01 F02 whose key", () => {
  test.each(KINDS)("A does not sign what B does (%s)", async (kind) => {
    const place = await scene();
    const { home, v, e } = place;
    const activity = like(v.uri);
    const answer = await withoutEffect(place, () => send(home, e, { activity, kind }));
    expect([answer.status, codeOf(answer)]).toEqual([401, "signature_invalid"]);
    // Nor with B's key id and A's key: B's server is asked once for a new key, and has none.
    const before = await home.effect();
    const forged = await send(home, e, { activity, kind, keyId: v.keyId });
    expect(forged.status).toBe(401);
    expect(home.admitted).toHaveLength(2);
    expect(await home.effect()).toBe(before);
    expect((await send(home, v, { activity, kind })).status).toBe(202);
  });

  test.each(KINDS.flatMap((kind) => ["users/v", "actor"].map((victim) => [kind, victim] as const)))(
    "a stranger's key that names its owner is not the owner's (%s, %s)",
    async (kind, victim) => {
      const place = await scene();
      const { home, V, E, e } = place;
      const uri = `${V.origin}/${victim}`;
      E.serve("/key", {
        "@context": ["https://w3id.org/security/v1"],
        id: `${E.origin}/key`,
        type: "Key",
        owner: uri,
        publicKeyPem: e.publicPem,
      });
      const answer = await withoutEffect(place, () =>
        send(home, e, { activity: like(uri), kind, keyId: `${E.origin}/key` }),
      );
      expect(answer.status).toBe(401);
    },
  );

  test("an actor who lists somebody else's key does not get it", async () => {
    const place = await scene();
    const { home, E, v, e } = place;
    E.serve("/users/thief", {
      ...e.document,
      id: `${E.origin}/users/thief`,
      inbox: `${E.origin}/users/thief/inbox`,
      publicKey: { id: v.keyId, owner: v.uri, publicKeyPem: e.publicPem },
    });
    const thief = { ...e, uri: `${E.origin}/users/thief`, keyId: v.keyId };
    const answer = await withoutEffect(place, () => send(home, thief));
    expect(answer.status).toBe(401);
    expect((await send(home, v)).status).toBe(202);
  });

  test("another actor of the same server does not sign for him either", async () => {
    const place = await scene();
    const { home, V, v } = place;
    const w = await V.actor("w");
    expect((await send(home, w)).status).toBe(202);
    const admitted = home.admitted.length;
    expect((await send(home, w, { activity: like(v.uri) })).status).toBe(401);
    expect(home.admitted).toHaveLength(admitted);
    expect((await send(home, v)).status).toBe(202);
  });

  test("nobody speaks as an actor of ours, and our own server is not asked", async () => {
    const database = await testDatabase();
    const E = await remoteHost("127.0.0.3");
    const e = await E.actor("e");
    const home = await receiver(database, [E], { isOwnAllowed: true });
    expect((await send(home, e)).status).toBe(202);
    const before = await home.effect();
    for (const uri of [`${home.origin}/users/alice`, `${home.origin}/actor`]) {
      const forged = { ...e, uri, keyId: `${uri}#main-key` };
      expect([uri, (await send(home, forged)).status]).toEqual([uri, 401]);
    }
    expect(await home.effect()).toBe(before);
    expect(home.strays).toEqual([]);
  });

  test("GHSA-8863 an id that leads to another actor's document lends it no keys", async () => {
    const place = await scene();
    const { home, V, E, e } = place;
    V.at("/users/lead", (_, response) => {
      response.writeHead(302, { location: `${E.origin}/users/e` }).end();
    });
    V.serve("/users/copy", e.document);
    // Word for word what V would say of his own user, but for the key, and it is E who says it.
    const claimed = `${V.origin}/users/claim`;
    E.serve("/users/claim", {
      ...e.document,
      id: claimed,
      inbox: `${claimed}/inbox`,
      publicKey: { id: `${claimed}#main-key`, owner: claimed, publicKeyPem: e.publicPem },
    });
    V.at("/users/claim", (_, response) => {
      response.writeHead(302, { location: `${E.origin}/users/claim` }).end();
    });
    const before = await home.effect();
    for (const name of ["lead", "copy", "claim"]) {
      const uri = `${V.origin}/users/${name}`;
      const answer = await send(home, { ...e, uri, keyId: `${uri}#main-key` });
      expect([name, answer.status]).toEqual([name, 401]);
    }
    expect(await home.effect()).toBe(before);
  });
});

describe("F03 F08 ids and actors", () => {
  test("an id of another origin is refused, and does not take the place of the real one", async () => {
    const place = await scene();
    const { home, v, e } = place;
    const id = `${v.uri}/likes/9`;
    const answer = await withoutEffect(place, () =>
      send(home, e, { activity: like(e.uri, { id }) }),
    );
    expect([answer.status, codeOf(answer)]).toEqual([403, "id_foreign"]);
    expect((await send(home, v, { activity: like(v.uri, { id }) })).status).toBe(202);
    expect(home.admitted.filter((one) => one.id === id)).toHaveLength(1);
  });

  test("there is exactly one actor and one id, written as they are compared", async () => {
    const place = await scene();
    const { home, E, v, e } = place;
    const port = new URL(e.uri).port;
    const actors = [
      [e.uri, v.uri],
      [v.uri, e.uri],
      [e.uri],
      { id: e.uri },
      { id: e.uri, type: "Person" },
      null,
      undefined,
      "",
      7,
      "acct:e@e.example",
      "did:key:z6Mk",
      "data:,e",
      "/users/e",
      e.uri.replace("http:", "HTTP:"),
      e.uri.replace("http://", "http://v@"),
      e.uri.replace("http:", "https:").replace(`:${port}`, ":443"),
      "https://E.example/users/e",
      "https://e.example./users/e",
      "https://e\u0301.example/users/e",
      "https://e.example\u200b/users/e",
      "https://v.example\\@e.example/users/e",
      " https://e.example/users/e",
      "http://e.example/users/e",
      `http://127.0.0.9:${port}/users/e`,
      `${e.uri} x`,
    ];
    for (const actor of actors) {
      const activity = { ...like(e.uri), actor };
      const answer = await withoutEffect(place, () => send(home, e, { activity }));
      expect([actor, answer.status, codeOf(answer)]).toEqual([actor, 400, "actor_invalid"]);
    }
    for (const id of [undefined, null, "", [like(e.uri)["id"]], "urn:uuid:1", "/likes/1", 7]) {
      const activity = { ...like(e.uri), id };
      const answer = await withoutEffect(place, () => send(home, e, { activity }));
      expect([id, answer.status, codeOf(answer)]).toEqual([id, 400, "id_invalid"]);
    }
    const other = like(e.uri, { id: `${E.origin.replace("127.0.0.3", "127.0.0.2")}/1` });
    expect((await withoutEffect(place, () => send(home, e, { activity: other }))).status).toBe(400);
    expect((await send(home, e)).status).toBe(202);
  });

  test("the same name twice in an object is refused, whichever comes first", async () => {
    const place = await scene();
    const { home, v, e } = place;
    for (const [one, other] of [
      [v.uri, e.uri],
      [e.uri, v.uri],
    ]) {
      const text = JSON.stringify(like(e.uri)).replace(
        `"actor":"${e.uri}"`,
        `"actor":"${one}","actor":"${other}"`,
      );
      expect(text).toContain(`"actor":"${one}","actor"`);
      const answer = await withoutEffect(place, () => send(home, e, { body: text }));
      expect([answer.status, codeOf(answer)]).toEqual([400, "json_invalid"]);
    }
  });
});

describe("F04 F05 F06 what is covered", () => {
  const uncovered: readonly (readonly [string, Partial<Signing>])[] = [
    ["without the digest", { covered: ["(request-target)", "host", "date"] }],
    ["without the path", { covered: ["host", "date", "digest"] }],
    ["without the host", { covered: ["(request-target)", "date", "digest"] }],
    ["without the date", { covered: ["(request-target)", "host", "digest"] }],
    ["nothing", { covered: ["digest"] }],
    ["a part twice", { covered: ["(request-target)", "host", "date", "digest", "date"] }],
    ["a part that is not there", { covered: ["(request-target)", "host", "date", "digest", "x"] }],
    ["the digest of another body", { headers: { digest: `SHA-256=${sha256("other")}` } }],
    ["no digest", { headers: { digest: undefined } }],
    ["a weak digest", { headers: { digest: `SHA=${sha256("other").slice(0, 28)}` } }],
    ["no date", { headers: { date: undefined } }],
    ["no time", { headers: { date: "yesterday" } }],
    ["9421 without the digest", { kind: "rfc9421", covered: ["@method", "@target-uri"] }],
    ["9421 without the address", { kind: "rfc9421", covered: ["@method", "content-digest"] }],
    [
      "9421 with half the address",
      { kind: "rfc9421", covered: ["@method", "@path", "content-digest"] },
    ],
    ["9421 without the method", { kind: "rfc9421", covered: ["@target-uri", "content-digest"] }],
    [
      "9421 with the digest of another body",
      { kind: "rfc9421", headers: { "content-digest": `sha-256=:${sha256("other")}:` } },
    ],
    ["9421 without created", { kind: "rfc9421", parameters: "" }],
    [
      "9421 over a part that is not plain",
      { kind: "rfc9421", covered: ["@method", "@target-uri", 'content-digest";req;x="'] },
    ],
  ];

  test("what leaves out, doubles or contradicts anything is refused", async () => {
    const place = await scene();
    for (const [name, signing] of uncovered) {
      const answer = await withoutEffect(place, () => send(place.home, place.e, signing));
      expect([name, answer.status, codeOf(answer)]).toEqual([name, 401, "signature_invalid"]);
    }
    for (const kind of KINDS) expect((await send(place.home, place.e, { kind })).status).toBe(202);
  });

  const covered: readonly (readonly [string, Partial<Signing>])[] = [
    [
      "more than needed",
      { covered: ["(request-target)", "content-type", "date", "digest", "host"] },
    ],
    ["in another order", { covered: ["digest", "host", "date", "(request-target)"] }],
    [
      "by host and path",
      { kind: "rfc9421", covered: ["@method", "@authority", "@path", "content-digest"] },
    ],
    [
      "as Fedify does",
      {
        kind: "rfc9421",
        covered: ["@method", "@target-uri", "@authority", "host", "date", "content-digest"],
      },
    ],
  ];

  test("what covers enough is accepted, in any order", async () => {
    const { home, e } = await scene();
    for (const [name, signing] of covered)
      expect([name, (await send(home, e, signing)).status]).toEqual([name, 202]);
  });

  test.each(KINDS)("a body that is not the signed one is refused (%s)", async (kind) => {
    const place = await scene();
    const activity = like(place.e.uri);
    const sent = JSON.stringify({ ...activity, object: "https://home.example/users/a/posts/2" });
    const answer = await withoutEffect(place, () =>
      send(place.home, place.e, { activity, kind, sent }),
    );
    expect(answer.status).toBe(401);
    expect((await send(place.home, place.e, { activity, kind })).status).toBe(202);
  });

  test("two of a header are refused", async () => {
    const place = await scene();
    const other = `SHA-256=${sha256("other")}`;
    const doubled: readonly (readonly [string, (value: string) => readonly string[]])[] = [
      ["digest", (value) => [value, other]],
      ["digest", (value) => [other, value]],
      ["date", (value) => [value, value]],
    ];
    for (const [name, both] of doubled) {
      const change = (headers: Record<string, string>) => [
        ...Object.entries(headers).filter(([known]) => known !== name),
        ...both(headers[name]!).map((value) => [name, value] as const),
      ];
      const answer = await withoutEffect(place, () => send(place.home, place.e, { change }));
      expect([name, answer.status]).toEqual([name, 401]);
    }
    // Nor is a weak digest believed, or one that stands twice, however true.
    const body = JSON.stringify(like(place.e.uri));
    const weak = createHash("sha1").update(body).digest("base64");
    const strong = `SHA-256=${sha256(body)}`;
    for (const digest of [`SHA=${weak}`, `${strong},SHA=${weak}`, `${strong}, ${strong}`]) {
      const headers = { digest };
      const answer = await withoutEffect(place, () => send(place.home, place.e, { body, headers }));
      expect([digest, answer.status]).toEqual([digest, 401]);
    }
    const headers = { digest: strong.replace("SHA", "sha") };
    expect((await send(place.home, place.e, { body, headers })).status).toBe(202);
  });

  test("a request is from this hour", async () => {
    const { home, e } = await scene();
    const answers = [
      [-2 * 3600, 401],
      [2 * 3600, 401],
      [-3601, 401],
      [3601, 401],
      [-30, 202],
      [-3599, 202],
      [3599, 202],
    ] as const;
    for (const [seconds, status] of answers) {
      const date = new Date(home.clock.real().epochMilliseconds + seconds * 1000);
      const before = home.admitted.length;
      for (const kind of KINDS)
        expect([seconds, (await send(home, e, { date, kind })).status]).toEqual([seconds, status]);
      expect(home.admitted.length - before).toBe(status === 202 ? 2 : 0);
    }
  });

  test("what has expired is refused, in both kinds", async () => {
    const place = await scene();
    const { home, e } = place;
    const now = Math.floor(home.clock.real().epochMilliseconds / 1000);
    const expiring = (seconds: number) =>
      [
        { parameters: `,expires=${now + seconds}` },
        { kind: "rfc9421", parameters: `;created=${now};expires=${now + seconds}` },
      ] as const;
    for (const signing of expiring(-1))
      expect((await withoutEffect(place, () => send(home, e, signing))).status).toBe(401);
    for (const signing of expiring(60)) expect((await send(home, e, signing)).status).toBe(202);
  });

  test("F06 what was signed for one server is not taken by another", async () => {
    const { home, database, V, E, e } = await scene();
    const other = await receiver(database, [V, E], { address: "127.0.0.4" });
    const activity = like(e.uri);
    for (const kind of KINDS) {
      const body = JSON.stringify(activity);
      const headers = signedPost({
        url: home.inbox,
        body,
        keyId: e.keyId,
        privateKey: e.privateKey,
        kind,
        date: new Date(home.clock.real().epochMilliseconds),
      });
      expect((await post(other.inbox, headers, body)).status).toBe(401);
      const renamed = { ...headers, host: new URL(other.origin).host };
      expect((await post(other.inbox, renamed, body)).status).toBe(401);
      expect((await post(`${home.origin}/users/a/inbox`, headers, body)).status).toBe(401);
      expect(other.admitted).toEqual([]);
      expect((await post(home.inbox, headers, body)).status).toBe(202);
    }
  });

  test("an inbox has no query", async () => {
    const place = await scene();
    const url = `${place.home.inbox}?after=3`;
    const answer = await withoutEffect(place, () => send(place.home, place.e, { url }));
    expect([answer.status, codeOf(answer)]).toEqual([400, "address_invalid"]);
  });
});

describe("F14 F15 F16 exactly one HTTP signature", () => {
  test("proofs in the body are no way in", async () => {
    const place = await scene();
    const { home, v } = place;
    const activity = like(v.uri, {
      signature: { type: "RsaSignature2017", creator: v.keyId, signatureValue: "AAAA" },
      proof: { type: "DataIntegrityProof", cryptosuite: "eddsa-jcs-2022", proofValue: "zAAAA" },
    });
    const body = JSON.stringify(activity);
    const answer = await withoutEffect(place, () =>
      post(home.inbox, { "content-type": "application/activity+json" }, body),
    );
    expect([answer.status, codeOf(answer)]).toEqual([401, "signature_missing"]);
    expect((await send(home, v, { activity })).status).toBe(202);
  });

  type Change = NonNullable<Sending["change"]>;
  type Kind = (typeof KINDS)[number];
  const changes: [string, Change, Kind?][] = [
    ["keyId twice", (h) => ({ ...h, signature: `keyId="http://127.0.0.3/x",${h["signature"]}` })],
    ["headers twice", (h) => ({ ...h, signature: `${h["signature"]},headers="date"` })],
    ["two Signature headers", (h) => [...Object.entries(h), ["Signature", h["signature"]!]]],
    ["one in Authorization, too", (h) => ({ ...h, authorization: `Signature ${h["signature"]}` })],
    ["an unknown parameter", (h) => ({ ...h, signature: `${h["signature"]},opaque="x"` })],
    [
      "another algorithm",
      (h) => ({ ...h, signature: h["signature"]!.replace("rsa-sha256", "none") }),
    ],
    ["a comma at the end", (h) => ({ ...h, signature: `${h["signature"]},` })],
    [
      "no signature in it",
      (h) => ({ ...h, signature: h["signature"]!.replace(/,signature=.*/, "") }),
    ],
    ["no keyId", (h) => ({ ...h, signature: h["signature"]!.replace(/keyId="[^"]*",/, "") })],
    [
      "no base64",
      (h) => ({ ...h, signature: h["signature"]!.replace(/signature=".*/, 'signature="%%"') }),
    ],
    ["an empty header", (h) => ({ ...h, signature: "" })],
    [
      "two labels",
      (h) => ({
        ...h,
        "signature-input": `${h["signature-input"]}, ${h["signature-input"]!.replace("sig1", "sig2")}`,
      }),
      "rfc9421",
    ],
    [
      "two labels and two signatures",
      (h) => [
        ...Object.entries(h),
        ["signature-input", h["signature-input"]!.replace("sig1", "sig2")],
        ["signature", h["signature"]!.replace("sig1", "sig2")],
      ],
      "rfc9421",
    ],
    [
      "the signature of another label",
      (h) => ({ ...h, signature: h["signature"]!.replace("sig1", "sig2") }),
      "rfc9421",
    ],
    [
      "another algorithm in 9421",
      (h) => ({
        ...h,
        "signature-input": h["signature-input"]!.replace("rsa-v1_5-sha256", "hmac-sha256"),
      }),
      "rfc9421",
    ],
    ["no Signature to the input", ({ signature: _, ...h }) => h, "rfc9421"],
  ];

  test("anything but one signature is refused, and nobody is asked", async () => {
    const place = await scene();
    for (const [name, change, kind = "draft-cavage"] of changes) {
      const answer = await withoutEffect(place, () => send(place.home, place.e, { change, kind }));
      expect([name, answer.status, codeOf(answer)]).toEqual([name, 401, "signature_invalid"]);
    }
    for (const kind of KINDS) expect((await send(place.home, place.e, { kind })).status).toBe(202);
  });

  test.each(KINDS)("F16 keys are named by an address of the actor's origin (%s)", async (kind) => {
    const place = await scene();
    const { home, V, e } = place;
    const ids = [
      "acct:e@e.example",
      "data:application/json,{}",
      "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
      "/users/e#main-key",
      "#main-key",
      "http://e.example/users/e#main-key",
      "https://e.example/users/e#main-key",
      e.keyId.replace("http://", "https://"),
      e.keyId.replace("http://", `http://${V.host}@`),
      `${V.origin}/users/e#main-key`,
      "javascript:alert(1)",
    ];
    for (const keyId of ids) {
      const answer = await withoutEffect(place, () => send(home, e, { keyId, kind }));
      expect([keyId, answer.status]).toEqual([keyId, 401]);
    }
    expect((await send(home, e, { kind })).status).toBe(202);
  });
});

describe("F11 F10 documents", () => {
  /** Somebody new whose document is served like this knocks. */
  const knocked = async (
    { home, E, e }: Awaited<ReturnType<typeof scene>>,
    contentType: string,
    members: Activity = {},
    keyMembers: Activity = {},
  ): Promise<{ status: number; asked: number; admitted: boolean }> => {
    count += 1;
    const path = `/users/e${count}`;
    const uri = `${E.origin}${path}`;
    const keyId = `${uri}#main-key`;
    const publicKey = { id: keyId, owner: uri, publicKeyPem: e.publicPem, ...keyMembers };
    const document = { ...e.document, id: uri, inbox: `${uri}/inbox`, publicKey, ...members };
    E.serve(path, document, contentType);
    const { status } = await send(home, { ...e, uri, keyId });
    return {
      status,
      asked: E.requests.filter((request) => request.path === path).length,
      admitted: home.admitted.some(({ actorUri }) => actorUri === uri),
    };
  };

  test("F11 an actor is served as a document of ActivityPub, and as nothing else", async () => {
    const place = await scene();
    const uploads = [
      "application/json",
      "text/plain",
      "application/octet-stream",
      "text/html",
      "application/ld+json",
      'application/ld+json; profile="https://e.example/"',
      "image/png",
      "application/activity+json-seq",
      "",
    ];
    for (const type of uploads)
      expect([type, await knocked(place, type)]).toEqual([
        type,
        { status: 401, asked: 1, admitted: false },
      ]);
    const documents = [
      "application/activity+json",
      "application/activity+json; charset=utf-8",
      'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
      'application/ld+json;profile="https://www.w3.org/ns/activitystreams";charset=utf-8',
    ];
    for (const type of documents)
      expect([type, await knocked(place, type)]).toEqual([
        type,
        { status: 202, asked: 1, admitted: true },
      ]);
  });

  test("a document that says the wrong things about its actor is none", async () => {
    const place = await scene();
    const said: readonly (readonly [string, Activity, number])[] = [
      ["its id is another's", { id: "http://127.0.0.2/users/v" }, 401],
      ["it is a post", { type: "Note" }, 401],
      ["it is gone", { type: "Tombstone" }, 401],
      ["N08 its inbox is a private address", { inbox: "http://10.0.0.1:6379/" }, 401],
      ["N08 its inbox is another's", { inbox: "https://v.example/inbox" }, 401],
      ["it has no key", { publicKey: undefined }, 401],
      ["it holds a list of a thousand and one", { tag: Array(1_001).fill("x") }, 401],
      ["it holds more than is read", { tag: Array(500).fill("x"), unknown: { a: [1] } }, 202],
    ];
    for (const [name, members, status] of said) {
      const { admitted, ...answer } = await knocked(place, "application/activity+json", members);
      expect([name, answer.status, admitted]).toEqual([name, status, status === 202]);
    }
    const keys: readonly (readonly [Activity, number])[] = [
      [{ owner: "https://v.example/users/v" }, 401],
      [{ owner: place.e.uri }, 401],
      [{ id: "https://v.example/users/v#main-key" }, 401],
      [{ publicKeyPem: place.v.publicPem }, 401],
      [{ publicKeyPem: `${place.e.publicPem}x`.repeat(20) }, 401],
      [{ owner: undefined }, 202],
      [{ type: "CryptographicKey" }, 202],
    ];
    for (const [said, status] of keys) {
      const { admitted, ...answer } = await knocked(place, "application/activity+json", {}, said);
      expect([said, answer.status, admitted]).toEqual([said, status, status === 202]);
    }
  });

  test("N08 a shared inbox elsewhere is not remembered", async () => {
    const database = await testDatabase();
    const E = await remoteHost("127.0.0.3");
    const e = await E.actor("e", { endpoints: { sharedInbox: "http://10.0.0.1:6379/" } });
    const f = await E.actor("f", { endpoints: { sharedInbox: `${E.origin}/inbox` } });
    const home = await receiver(database, [E]);
    expect((await send(home, e)).status).toBe(202);
    expect((await send(home, f)).status).toBe(202);
    const rows = await database.sql<{ inbox: string; shared_inbox: string | null }[]>`
      SELECT inbox, shared_inbox FROM actor WHERE host = ${E.host} ORDER BY uri`;
    expect(rows).toEqual([
      { inbox: `${e.uri}/inbox`, shared_inbox: null },
      { inbox: `${f.uri}/inbox`, shared_inbox: `${E.origin}/inbox` },
    ]);
  });

  test.each([
    ["an RSA key of 1024 bits", 1024, 401],
    ["one of 2048 bits", 2048, 202],
  ])("%s", async (_, modulusLength, status) => {
    const { generateKeyPairSync } = await import("node:crypto");
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength });
    const database = await testDatabase();
    const E = await remoteHost("127.0.0.3");
    const publicKeyPem = publicKey.export({ type: "spki", format: "pem" }).toString();
    const uri = `${E.origin}/users/w`;
    const keyId = `${uri}#main-key`;
    const publicKeyMember = { id: keyId, owner: uri, publicKeyPem };
    const w = await E.actor("w", { publicKey: publicKeyMember });
    const home = await receiver(database, [E]);
    expect((await send(home, { ...w, privateKey })).status).toBe(status);
  });
});

describe("F13 blocks", () => {
  test.each(["payee", "host"] as const)("a blocked %s gets 403 within a second", async (kind) => {
    const place = await scene();
    const { home, database, E, v, e } = place;
    const target = kind === "payee" ? e.uri : E.host;
    await blockPayments(database, { kind, target, at: home.clock.now() });
    home.clock.forward({ seconds: 1 });
    for (const url of [home.inbox, `${home.origin}/users/a/inbox`]) {
      const answer = await withoutEffect(place, () => send(home, e, { url }));
      expect([answer.status, codeOf(answer)]).toEqual([403, "actor_blocked"]);
    }
    // Nobody asks a blocked server anything, even for somebody new.
    const f = await E.actor("f");
    const answer = await send(home, f);
    expect(answer.status).toBe(kind === "host" ? 403 : 202);
    expect(E.requests.filter(({ path }) => path === "/users/f")).toHaveLength(
      kind === "host" ? 0 : 1,
    );
    expect((await send(home, v)).status).toBe(202);
    await unblockPayments(database, { kind, target, at: home.clock.now() });
    home.clock.forward({ seconds: 1 });
    expect((await send(home, e)).status).toBe(202);
  });
});

describe("whoever is only spoken of", () => {
  test("is asked for once, and remembered when he says something himself", async () => {
    const database = await testDatabase();
    const [V, E] = [await remoteHost("127.0.0.2"), await remoteHost("127.0.0.3")];
    const [v, e] = [await V.actor("v"), await E.actor("e")];
    const home = await receiver(database, [V, E]);
    const known = () => database.sql`SELECT uri FROM actor WHERE host = ${V.host}`;
    const keys = () => database.sql`SELECT id FROM actor_key WHERE id = ${v.keyId}`;
    for (let turn = 0; turn < 5; turn += 1)
      expect((await send(home, { ...e, uri: v.uri, keyId: v.keyId })).status).toBe(401);
    expect([await known(), await keys()]).toEqual([[], []]);
    expect((await send(home, v)).status).toBe(202);
    expect([await known(), await keys()]).toEqual([[{ uri: v.uri }], [{ id: v.keyId }]]);
    expect(V.requests).toHaveLength(1);
  });
});

describe("keys that change, and actors that go", () => {
  test("a new key is found, and a false signature asks once in ten minutes", async () => {
    const place = await scene();
    const { home, E, e } = place;
    const { publicKey, privateKey } = await rsaKey(0);
    const asked = () => E.requests.length;
    expect(asked()).toBe(1);
    // False signatures with the old key in its place: one question.
    const stranger = { ...e, privateKey };
    for (let turn = 0; turn < 20; turn += 1) expect((await send(home, stranger)).status).toBe(401);
    expect(asked()).toBe(2);
    // The key changes while nobody is asked: refused, until ten minutes have passed.
    const publicKeyPem = publicKey.export({ type: "spki", format: "pem" });
    E.serve("/users/e", { ...e.document, publicKey: { id: e.keyId, owner: e.uri, publicKeyPem } });
    expect((await send(home, stranger)).status).toBe(401);
    home.clock.forward({ minutes: 10 });
    const before = home.admitted.length;
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(home, stranger)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(202));
    expect(home.admitted.length - before).toBe(10);
    expect(asked()).toBe(3);
    // And the old key opens nothing any more.
    expect((await send(home, e)).status).toBe(401);
  });

  test("a new key id is found, and the old one is forgotten", async () => {
    const { home, database, E, e } = await scene();
    const keyId = `${e.uri}#second-key`;
    const { publicKey, privateKey } = await rsaKey(0);
    const publicKeyPem = publicKey.export({ type: "spki", format: "pem" });
    E.serve("/users/e", { ...e.document, publicKey: { id: keyId, owner: e.uri, publicKeyPem } });
    expect((await send(home, { ...e, keyId, privateKey })).status).toBe(202);
    const rows = await database.sql`SELECT id FROM actor_key WHERE id LIKE ${`${e.uri}%`}`;
    expect(rows).toEqual([{ id: keyId }]);
  });

  test("N10 a thousand posts with a dead key ask twice at most", async () => {
    const database = await testDatabase();
    const E = await remoteHost("127.0.0.3");
    const e = await E.actor("e");
    const home = await receiver(database, [E]);
    const dead = { ...e, uri: `${E.origin}/users/dead`, keyId: `${E.origin}/users/dead#main-key` };
    const before = await home.effect();
    for (let batch = 0; batch < 20; batch += 1) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => send(home, dead)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    }
    expect(E.requests.length).toBeLessThanOrEqual(2);
    expect(home.admitted).toEqual([]);
    // The instance actor signs, so it is there now; nothing else is.
    const added = (await home.effect()).split("\n").filter((line) => !before.includes(line));
    expect(added.filter((line) => !line.includes(`${home.origin}/`))).toEqual([]);
    // A key that is only missing in a document that is there: once more.
    const missing = { ...e, keyId: `${e.uri}#other-key` };
    for (let turn = 0; turn < 20; turn += 1) expect((await send(home, missing)).status).toBe(401);
    expect(E.requests.filter(({ path }) => path === "/users/e").length).toBeLessThanOrEqual(2);
    // Ten minutes later the dead one may live again.
    E.serve("/users/dead", {
      ...e.document,
      id: dead.uri,
      inbox: `${dead.uri}/inbox`,
      publicKey: { id: dead.keyId, owner: dead.uri, publicKeyPem: e.publicPem },
    });
    expect((await send(home, dead)).status).toBe(401);
    home.clock.forward({ minutes: 10 });
    expect((await send(home, dead)).status).toBe(202);
  });

  test("the deletion of somebody unknown is heard out, without a question and without effect", async () => {
    const place = await scene();
    const { home, E, e } = place;
    const gone = { ...e, uri: `${E.origin}/users/gone`, keyId: `${E.origin}/users/gone#main-key` };
    for (const object of [gone.uri, { id: gone.uri, type: "Tombstone" }]) {
      const activity = like(gone.uri, { type: "Delete", object });
      const answer = await withoutEffect(place, () => send(home, gone, { activity }));
      expect(answer).toMatchObject({ status: 202, body: "" });
    }
    // Not so the deletion of anything else, and not without a signature that could be one.
    const post404 = like(gone.uri, { type: "Delete", object: `${gone.uri}/posts/1` });
    expect((await send(home, gone, { activity: post404 })).status).toBe(401);
    const unsigned = JSON.stringify(like(gone.uri, { type: "Delete", object: gone.uri }));
    const type = { "content-type": "application/activity+json" };
    expect((await post(home.inbox, type, unsigned)).status).toBe(401);
  });

  test("the deletion of somebody known is verified with his last key", async () => {
    const place = await scene();
    const { home, database, E, v, e } = place;
    E.at("/users/e", (_, response) => void response.writeHead(410).end());
    const activity = like(e.uri, { type: "Delete", object: e.uri });
    expect((await send(home, { ...v, uri: e.uri, keyId: e.keyId }, { activity })).status).toBe(202);
    expect(home.admitted.some(({ id }) => id === activity["id"])).toBe(false);
    expect((await send(home, e, { activity })).status).toBe(202);
    expect(home.admitted.some(({ id }) => id === activity["id"])).toBe(true);
    // Once that was believed, nothing more comes from there.
    await database.sql`UPDATE actor SET deleted_at = '2026-11-21T12:00:00Z' WHERE uri = ${e.uri}`;
    home.clock.forward({ minutes: 5 });
    const late = await withoutEffect(place, () => send(home, e));
    expect([late.status, codeOf(late)]).toEqual([403, "actor_deleted"]);
    const again = await withoutEffect(place, () => send(home, e, { activity }));
    expect(again.status).toBe(202);
  });
});

describe("rates", () => {
  test("N14 what is refused is counted by the address of the connection, whatever a header says", async () => {
    const database = await testDatabase();
    const E = await remoteHost("127.0.0.3");
    const e = await E.actor("e");
    const home = await receiver(database, [E], {
      limits: { refusals: { burst: 3, perSecond: 1 } },
    });
    const unsigned = (place: number) =>
      post(
        home.inbox,
        {
          "content-type": "application/activity+json",
          "x-forwarded-for": `198.51.100.${place}`,
          "x-forwarded-host": "v.example",
          forwarded: `for=198.51.100.${place};host=v.example`,
        },
        JSON.stringify(like(e.uri)),
      );
    expect((await send(home, e)).status).toBe(202);
    for (const status of [401, 401, 401, 429, 429])
      expect((await unsigned(status)).status).toBe(status);
    // Whose key is known is heard, though somebody with the same address was refused too often.
    expect((await send(home, e)).status).toBe(202);
    // Nobody is asked about anybody else.
    const asked = E.requests.length;
    const f = await E.actor("f");
    const limited = await send(home, f);
    expect([limited.status, codeOf(limited)]).toEqual([429, "too_many_requests"]);
    expect(limited.headers["retry-after"]).toBe("1");
    expect((await send(home, { ...f, uri: e.uri, keyId: e.keyId })).status).toBe(429);
    expect(E.requests).toHaveLength(asked);
    home.clock.forward({ seconds: 1 });
    // Nor does a header change for whom a request is meant.
    const change = (headers: Record<string, string>) => ({
      ...headers,
      "x-forwarded-host": "v.example",
      "x-forwarded-proto": "https",
    });
    expect((await send(home, e, { change })).status).toBe(202);
  });

  test("one server has its share, and nobody else can use it up", async () => {
    const { home, database, V, E, v, e } = await scene();
    const strict = await receiver(database, [V, E], {
      limits: {
        refusals: { burst: 1000, perSecond: 1 },
        activities: { burst: 5, perSecond: 1 },
      },
      clock: home.clock,
    });
    // False ones in V's name count for nothing.
    for (let turn = 0; turn < 10; turn += 1)
      expect((await send(strict, { ...e, uri: v.uri, keyId: v.keyId })).status).toBe(401);
    const statuses: number[] = [];
    for (let turn = 0; turn < 7; turn += 1) statuses.push((await send(strict, v)).status);
    expect(statuses).toEqual([202, 202, 202, 202, 202, 429, 429]);
    expect((await send(strict, e)).status).toBe(202);
    home.clock.forward({ seconds: 2 });
    expect((await send(strict, v)).status).toBe(202);
  });

  test("one actor has his share, and leaves the rest to others of his server", async () => {
    const { home, database, E, e } = await scene();
    const f = await E.actor("f");
    const strict = await receiver(database, [E], {
      limits: { ...ANY_RATE, activitiesOfActor: { burst: 2, perSecond: 1 } },
      clock: home.clock,
    });
    const statuses: number[] = [];
    for (const who of [e, e, e, f]) statuses.push((await send(strict, who)).status);
    expect(statuses).toEqual([202, 202, 429, 202]);
  });

  test("by default a popular post may bring 300 at once, from many actors of one server", async () => {
    const { home, database, V, E, v } = await scene();
    const others = await Promise.all(["w", "x"].map((name) => V.actor(name)));
    const usual = await receiver(database, [V, E], {
      limits: { knocks: ANY_RATE.knocks! },
      clock: testClock(),
    });
    expect(home.admitted).toHaveLength(2);
    for (const who of others) expect((await send(usual, who)).status).toBe(202);
    const all = [v, ...others];
    const answers = await Promise.all(
      Array.from({ length: 298 }, (_, turn) => send(usual, all[turn % 3]!)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect((await send(usual, v)).status).toBe(429);
    usual.clock.forward({ seconds: 1 });
    const more = await Promise.all(
      Array.from({ length: 60 }, (_, turn) => send(usual, all[turn % 3]!)),
    );
    expect(new Set(more.map(({ status }) => status))).toEqual(new Set([202]));
  });

  test("actors who are not known yet are asked for, so many of one server and no more", async () => {
    const database = await testDatabase();
    const [V, E] = [await remoteHost("127.0.0.2"), await remoteHost("127.0.0.3")];
    const [v, e] = [await V.actor("v"), await E.actor("e")];
    const home = await receiver(database, [V, E], {
      limits: { ...ANY_RATE, newcomers: { burst: 3, perSecond: 1 } },
    });
    expect((await send(home, e)).status).toBe(202);
    const invented = (name: number) => ({
      ...e,
      uri: `${E.origin}/users/i${name}`,
      keyId: `${E.origin}/users/i${name}#main-key`,
    });
    const statuses: number[] = [];
    for (const turn of [1, 2, 3, 4]) statuses.push((await send(home, invented(turn))).status);
    expect(statuses).toEqual([401, 401, 429, 429]);
    expect(E.requests).toHaveLength(3);
    // Neither who is known nor another server's newcomers wait for that; nor does this server itself, when somebody
    // else has only claimed to be it.
    expect((await send(home, e)).status).toBe(202);
    expect((await send(home, v)).status).toBe(202);
    expect((await send(home, await E.actor("new"), { from: "127.0.0.5" })).status).toBe(202);
    home.clock.forward({ seconds: 1 });
    expect((await send(home, invented(3))).status).toBe(401);
  });

  test("what is heard out without effect is counted, too", async () => {
    const database = await testDatabase();
    const E = await remoteHost("127.0.0.3");
    const e = await E.actor("e");
    const home = await receiver(database, [E], {
      limits: { ...ANY_RATE, refusals: { burst: 2, perSecond: 1 } },
    });
    const gone = { ...e, uri: `${E.origin}/users/gone`, keyId: `${E.origin}/users/gone#main-key` };
    const activity = like(gone.uri, { type: "Delete", object: gone.uri });
    const statuses: number[] = [];
    for (let turn = 0; turn < 3; turn += 1)
      statuses.push((await send(home, gone, { activity })).status);
    expect(statuses).toEqual([202, 202, 429]);
  });

  test("so many knocks at once are listened to, of one sender and in all", async () => {
    const database = await testDatabase();
    const E = await remoteHost("127.0.0.3");
    const e = await E.actor("e");
    const home = await receiver(database, [E], {
      limits: { ...ANY_RATE, knocks: { perSender: 4, all: 512 } },
    });
    expect((await send(home, e)).status).toBe(202);
    const slow = await Promise.all(Array.from({ length: 4 }, () => halfPost(home.inbox)));
    const refused = await send(home, e);
    expect([refused.status, codeOf(refused)]).toEqual([429, "too_many_requests"]);
    slow.pop()!.destroy();
    await expect.poll(async () => (await send(home, e)).status, { timeout: 10_000 }).toBe(202);
    for (const socket of slow) socket.destroy();

    const narrow = await receiver(database, [E], {
      limits: { ...ANY_RATE, knocks: { perSender: 32, all: 2 } },
      address: "127.0.0.4",
    });
    expect((await send(narrow, e)).status).toBe(202);
    const two = await Promise.all(Array.from({ length: 2 }, () => halfPost(narrow.inbox)));
    const crowded = await send(narrow, e);
    expect([crowded.status, codeOf(crowded)]).toEqual([503, "crowded"]);
    for (const socket of two) socket.destroy();
    await expect.poll(async () => (await send(narrow, e)).status, { timeout: 10_000 }).toBe(202);
  });
});

/** A POST whose body never comes; resolves when the server has heard of it. */
async function halfPost(url: string): Promise<Socket> {
  const { hostname, port, host, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(
    `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/activity+json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n`,
  );
  await once(socket, "data");
  return socket;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
