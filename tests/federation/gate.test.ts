/** What strangers may send at all: bytes, time, JSON, contexts. Nothing here needs a key. */

import { request, type RequestOptions } from "node:http";
import { connect } from "node:net";
import { brotliCompressSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { serveHttp } from "../../src/edges/web/serve.ts";
import { contextFault } from "../../src/edges/federation/context.ts";
import { ACTIVITY_LIMITS, openBuckets } from "../../src/edges/federation/limits.ts";
import { senderOf } from "../../src/store/sender.ts";
import { JsonFault, parseJson } from "../../src/rules/json.ts";
import { recent } from "../../src/store/recent.ts";
import { cpuTimer } from "../support/cpu.ts";
import { testDatabase } from "../support/database.ts";
import {
  ACTIVITY_JSON,
  type Answered,
  post,
  type RemoteActor,
  remoteHost,
  signedPost,
} from "../support/hostile.ts";
import { ANY_RATE, type Receiver, receiver } from "../support/receiver.ts";
import { vectors } from "../support/vectors.ts";

const AS = "https://www.w3.org/ns/activitystreams";
const TYPE = { "content-type": ACTIVITY_JSON };

async function scene(bodyDeadlineMs = 10_000): Promise<{ home: Receiver; e: RemoteActor }> {
  const database = await testDatabase();
  const E = await remoteHost("127.0.0.3");
  const e = await E.actor("e");
  const home = await receiver(database, [E], { limits: { ...ANY_RATE, bodyDeadlineMs } });
  return { home, e };
}

const codeOf = ({ body }: Answered): string => (JSON.parse(body) as { error: string }).error;

function signed(home: Receiver, e: RemoteActor, body: string): Promise<Answered> {
  const headers = signedPost({
    url: home.inbox,
    body,
    keyId: e.keyId,
    privateKey: e.privateKey,
    date: new Date(home.clock.real().epochMilliseconds),
  });
  return post(home.inbox, headers, body);
}

const like = (e: RemoteActor, members: Record<string, unknown> = {}) => ({
  "@context": AS,
  id: `${e.uri}/likes/1`,
  type: "Like",
  actor: e.uri,
  object: "https://home.example/users/a/posts/1",
  ...members,
});

/** How long somebody else waits meanwhile. */
async function healthMs(home: Receiver): Promise<number> {
  const begun = performance.now();
  expect((await fetch(`${home.origin}/healthz`)).status).toBe(200);
  return performance.now() - begun;
}

/** Writes to a socket, and gives back what came until it was closed or the time was over. */
async function raw(
  home: Receiver,
  write: (send: (text: string | Buffer) => boolean, isOver: () => boolean) => Promise<void> | void,
  forMs = 1_500,
): Promise<{ text: string; isClosed: boolean; afterMs: number }> {
  const { hostname, port } = new URL(home.origin);
  const begun = performance.now();
  return new Promise((resolve) => {
    let text = "";
    let isOver = false;
    const socket = connect(Number(port), hostname);
    const end = (isClosed: boolean) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(late);
      socket.destroy();
      resolve({ text, isClosed, afterMs: performance.now() - begun });
    };
    const late = setTimeout(() => end(false), forMs);
    socket.on("data", (part: Buffer) => (text += part.toString("latin1")));
    socket.on("error", () => end(true));
    socket.on("close", () => end(true));
    void write(
      (part) => !isOver && socket.write(part),
      () => isOver,
    );
  });
}

const head = (home: Receiver, more: string) =>
  `POST /inbox HTTP/1.1\r\nhost: ${new URL(home.origin).host}\r\ncontent-type: ${ACTIVITY_JSON}\r\n${more}\r\n\r\n`;

describe("N01 size", () => {
  test("what is too long is refused at once, announced or not", async () => {
    const { home, e } = await scene();
    const before = process.memoryUsage().rss;
    for (const bytes of [300_000, 262_145]) {
      const answer = await post(home.inbox, TYPE, Buffer.alloc(bytes, " "));
      expect([answer.status, codeOf(answer)]).toEqual([413, "body_too_large"]);
    }
    const announced = await raw(home, (send) => void send(head(home, "content-length: 30000000")));
    expect(announced.text).toMatch(/^HTTP\/1\.1 413 /);
    let sent = 0;
    const endless = await raw(home, async (send, isOver) => {
      send(head(home, "transfer-encoding: chunked"));
      const part = Buffer.from(`10000\r\n${" ".repeat(0x10000)}\r\n`);
      while (!isOver() && sent < 200_000_000) {
        send(part);
        sent += part.length;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
    expect(endless.text).toMatch(/^HTTP\/1\.1 413 /);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    // The twin: as long as is allowed, most of it white space.
    const body = JSON.stringify(like(e));
    const whole = body + " ".repeat(262_144 - body.length);
    expect((await signed(home, e, whole)).status).toBe(202);
    expect((await signed(home, e, `${whole} `)).status).toBe(413);
  });

  test("a body that is longer than announced is as long as announced", async () => {
    const { home } = await scene();
    const { text } = await raw(home, (send) => {
      send(head(home, "content-length: 10"));
      send(" ".repeat(1_000_000));
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(home.admitted).toEqual([]);
  });
});

describe("N02 N03 depth and width", () => {
  const nested = (levels: number, open: string, close: string, inside = "1") =>
    open.repeat(levels) + inside + close.repeat(levels);
  const bodies: readonly (readonly [string, string])[] = [
    ["800 objects in each other", nested(800, '{"object":{"type":"Note","x":', "}}")],
    ["5,000 arrays in each other", nested(5_000, "[", "]")],
    ["17 levels", nested(17, '{"a":', "}")],
    ["100,000 open brackets", "[".repeat(100_000)],
    ["a list of 60,000 texts", `{"tag":[${Array(60_000).fill('"x"').join(",")}]}`],
    ["a list of 201", `{"tag":[${Array(201).fill("1").join(",")}]}`],
    ["10,000 names", `{${Array.from({ length: 10_000 }, (_, n) => `"n${n}":1`).join(",")}}`],
    ["a text of 100,000 characters", `{"content":"${"x".repeat(100_000)}"}`],
    ["a name of 100,000 characters", `{"${"x".repeat(100_000)}":1}`],
    ["half a text of escapes", `{"content":"${"\\\\".repeat(120_000)}`],
    ["a number of 200,000 digits", `{"a":${"9".repeat(200_000)}}`],
    ["a number of zeros", `{"a":0.${"0".repeat(200_000)}e}`],
    ["200,000 spaces and nothing", " ".repeat(200_000)],
  ];

  test("a body that is too deep or too wide costs next to nothing, and nobody waits", async () => {
    const { home } = await scene();
    await healthMs(home);
    for (const [name, body] of bodies) {
      // The best of three: compiling and collecting are not what is measured.
      const spentMs: number[] = [];
      const waitedMs: number[] = [];
      for (let turn = 0; turn < 3; turn += 1) {
        const spent = cpuTimer();
        const [answer, waited] = await Promise.all([post(home.inbox, TYPE, body), healthMs(home)]);
        spentMs.push(spent());
        waitedMs.push(waited);
        expect([name, answer.status, codeOf(answer)]).toEqual([name, 400, "json_invalid"]);
      }
      expect(Math.min(...waitedMs), `${name}: ms for somebody else`).toBeLessThan(500);
      expect(Math.min(...spentMs), `${name}: CPU ms, sender included`).toBeLessThan(50);
    }
  });

  test("just not too deep and just not too wide is read", async () => {
    const { home, e } = await scene();
    // The activity is the first level.
    const object = JSON.parse(nested(15, '{"a":', "}")) as unknown;
    for (const members of [
      { object },
      { tag: Array(200).fill("x") },
      { content: "x".repeat(65_536) },
    ])
      expect((await signed(home, e, JSON.stringify(like(e, members)))).status).toBe(202);
    const deeper = JSON.parse(nested(16, '{"a":', "}")) as unknown;
    const body = JSON.stringify(like(e, { object: deeper }));
    expect((await signed(home, e, body)).status).toBe(400);
  });
});

describe("N04 folded bodies", () => {
  test("are refused, whatever folds them", async () => {
    const { home, e } = await scene();
    const bomb = Buffer.alloc(20_000_000);
    for (const [encoding, body] of [
      ["gzip", gzipSync(bomb)],
      ["br", brotliCompressSync(bomb.subarray(0, 1_000_000))],
      ["deflate", Buffer.from("x")],
      ["zstd", Buffer.from("x")],
      ["x-unknown", Buffer.from("{}")],
      ["identity, gzip", Buffer.from("{}")],
    ] as const) {
      const answer = await post(home.inbox, { ...TYPE, "content-encoding": encoding }, body);
      expect([encoding, answer.status, codeOf(answer)]).toEqual([encoding, 415, "body_encoded"]);
    }
    const body = JSON.stringify(like(e));
    const headers = signedPost({
      url: home.inbox,
      body,
      keyId: e.keyId,
      privateKey: e.privateKey,
      date: new Date(home.clock.real().epochMilliseconds),
    });
    const plain = await post(home.inbox, { ...headers, "content-encoding": "identity" }, body);
    expect(plain.status).toBe(202);
  });

  test("and so are bodies of another type, and anything but a POST", async () => {
    const { home, e } = await scene();
    for (const type of [
      "application/json",
      "text/html",
      "application/ld+json",
      "multipart/form-data; boundary=x",
      "application/activity+json, text/html",
      "application/activity+json; a",
    ]) {
      const answer = await post(home.inbox, { "content-type": type }, JSON.stringify(like(e)));
      expect([type, answer.status, codeOf(answer)]).toEqual([type, 415, "type_unsupported"]);
    }
    expect((await fetch(home.inbox)).status).toBe(405);
    expect((await signed(home, e, JSON.stringify(like(e)))).status).toBe(202);
  });
});

describe("N05 slow bodies", () => {
  test("a body of a byte now and then ends with the deadline, and fifty of them stop nobody", async () => {
    const { home } = await scene(600);
    const dripping = Array.from({ length: 50 }, () =>
      raw(
        home,
        async (send, isOver) => {
          send(head(home, "content-length: 1000"));
          while (!isOver()) {
            send(" ");
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        },
        5_000,
      ).then(({ text }) => text),
    );
    const silent = raw(home, (send) => void send(head(home, "content-length: 1000")), 2_500);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const waitedMs = [await healthMs(home), await healthMs(home), await healthMs(home)];
    expect(Math.min(...waitedMs)).toBeLessThan(500);
    expect((await silent).text).toMatch(/^HTTP\/1\.1 408 /);
    for (const text of await Promise.all(dripping)) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(home.admitted).toEqual([]);
  });

  test("a body that breaks off has no effect", async () => {
    const { home, e } = await scene();
    const before = await home.effect();
    const { hostname, port } = new URL(home.origin);
    const socket = connect(Number(port), hostname);
    onTestFinished(() => void socket.destroy());
    socket.write(head(home, "content-length: 1000") + JSON.stringify(like(e)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await home.effect()).toBe(before);
    await healthMs(home);
  });
});

describe("N05 N14 the server of all this", () => {
  /** Says who asks, as far as it believes it. */
  async function whoAsks(trustedProxies: readonly string[], host = "127.0.0.1") {
    const listening = await serveHttp((_, remoteAddress) => new Response(remoteAddress), {
      hosts: [host],
      port: 0,
      trustedProxies,
    });
    onTestFinished(() => listening.close());
    return async (...said: readonly string[]) => {
      const answer = await get(`http://127.0.0.1:${listening.port}/`, {
        headers: {
          "x-forwarded-for": [...said],
          "x-real-ip": "198.51.100.99",
          forwarded: "for=198.51.100.99",
        },
      });
      return answer;
    };
  }

  test("believes a proxy only when the operator does", async () => {
    const usual = await whoAsks(readConfig({}).trustedProxies);
    expect(await usual("198.51.100.7")).toBe("198.51.100.7");
    // What a stranger says stands before what the proxy heard.
    expect(await usual("203.0.113.1, 198.51.100.7")).toBe("198.51.100.7");
    expect(await usual("127.0.0.1, 198.51.100.7")).toBe("198.51.100.7");
    expect(await usual("203.0.113.1", "2001:db8::7")).toBe("2001:db8::7");
    expect(await usual()).toBe("127.0.0.1");
    expect(await usual("unknown")).toBe("127.0.0.1");
    expect(await usual("198.51.100.7, nonsense")).toBe("127.0.0.1");
    const none = await whoAsks(["192.0.2.1"]);
    expect(await none("198.51.100.7")).toBe("127.0.0.1");
  });

  test("reads the list of several proxies from its end", async () => {
    const chain = await whoAsks(["127.0.0.0/8", "10.1.0.0/16", "fd00::/8"]);
    expect(await chain("203.0.113.1, 198.51.100.7, 10.1.2.3")).toBe("198.51.100.7");
    expect(await chain("198.51.100.7, fd00::5, 10.1.2.3")).toBe("198.51.100.7");
    expect(await chain("198.51.100.7, 10.2.0.1, 10.1.2.3")).toBe("10.2.0.1");
    expect(await chain("10.1.2.3")).toBe("10.1.2.3");
    const both = await whoAsks(["127.0.0.1"], "0.0.0.0");
    expect(await both("198.51.100.7")).toBe("198.51.100.7");
  });

  test.each(["10.0.0.0/33", "caddy", "10", "1.2.3.4,,5.6.7.8", "0x7f.1", "::1/129"])(
    "does not start with proxies %s",
    (text) => {
      expect(() => readConfig({ TRUSTED_PROXIES: text })).toThrow(
        /^TRUSTED_PROXIES is .*; for example/,
      );
    },
  );

  test("starts with addresses and ranges", () => {
    expect(
      readConfig({ TRUSTED_PROXIES: " 10.0.0.5, 172.30.94.0/24,::1 " }).trustedProxies,
    ).toEqual(["10.0.0.5", "172.30.94.0/24", "::1"]);
  });

  test("lets nobody take his time with headers", async () => {
    const listening = await serveHttp(() => new Response("ok"), {
      hosts: ["127.0.0.1"],
      port: 0,
      trustedProxies: [],
    });
    onTestFinished(() => listening.close());
    const begun = performance.now();
    const ended = Array.from({ length: 20 }, async () => {
      const socket = connect(listening.port, "127.0.0.1");
      onTestFinished(() => void socket.destroy());
      socket.on("error", () => {});
      socket.write("POST /inbox HTTP/1.1\r\nHost: home.example\r\nx: ");
      const dripping = setInterval(() => socket.writable && socket.write("x"), 500);
      await new Promise((resolve) => socket.once("close", resolve).resume());
      clearInterval(dripping);
    });
    expect(await get(`http://127.0.0.1:${listening.port}/`)).toBe("ok");
    await Promise.all(ended);
    expect(performance.now() - begun).toBeLessThan(25_000);
  }, 40_000);
});

/** What is answered to a GET. */
async function get(url: string, options: RequestOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, options, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve(text));
    })
      .on("error", reject)
      .end();
  });
}

describe("JSON", () => {
  const parse = (text: string) => parseJson(text, ACTIVITY_LIMITS);
  const faults = [
    "",
    " ",
    "{",
    "}",
    "{}{}",
    "{},",
    "[1,]",
    "[,1]",
    '{"a":1,}',
    '{"a"}',
    '{"a":}',
    "{a:1}",
    "{'a':1}",
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "-",
    "0x10",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "undefined",
    "tru",
    "truetrue",
    "nul",
    '"',
    '"\\"',
    '"\\x41"',
    '"\\u12"',
    '"a\nb"',
    '"a\tb"',
    '"\u0000"',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\ud800"',
    '{"\\ud800":1}',
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"b":{"a":1,"a":1}}',
    '{"__proto__":{}}',
    '{"\\u005f_proto__":{}}',
    '{"a":{"constructor":1}}',
    '{"prototype":1}',
    "\ufeff{}",
    "\u00a0{}",
    "/* */{}",
    "{} // x",
  ];

  test("is refused where it is not strict", () => {
    for (const text of faults) expect(() => parse(text), JSON.stringify(text)).toThrow(JsonFault);
  });

  test("is read as the language reads it", () => {
    const texts = [
      "{}",
      "[]",
      "0",
      "-0",
      "1.5e-3",
      '"a"',
      "null",
      ' [ 1 , { "a" : [ ] } ]\n',
      '"\\u00e9\\n\\t\\"\\\\\\/\\ud83c\\udfa8🎨\u007f"',
      '{"":1,"toString":2,"hasOwnProperty":3}',
    ];
    for (const text of texts) expect(parse(text), text).toEqual(JSON.parse(text));
  });

  test("any value that fits is read as it was written", () => {
    const limits = { depthMax: 64, valuesMax: 1e6, itemsMax: 1e6, textMax: 1e6 };
    const isReadable = (text: string) =>
      !text.includes("\\u0000") && !/constructor|proto/.test(text);
    fc.assert(
      fc.property(fc.json({ maxDepth: 8, stringUnit: "grapheme" }), (text) => {
        fc.pre(isReadable(text) && text.isWellFormed() && !/\\ud[89a-f]/i.test(text));
        expect(parseJson(text, limits)).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  test("whatever the language refuses is refused here, too", () => {
    const pieces = [
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      '"a"',
      "1",
      "-",
      "e",
      ".",
      "true",
      " ",
      "\\",
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (parts) => {
        const text = parts.join("");
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(() => parse(text)).toThrow(JsonFault);
          return;
        }
        try {
          expect(parse(text)).toEqual(expected);
        } catch (error) {
          // Only a name that stands twice is refused here and not there.
          expect((error as Error).message).toBe("a name stands twice in an object");
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("contexts", () => {
  const withContext = (context: unknown) => contextFault({ "@context": context, type: "Like" });

  test("of all vectors are understood", () => {
    for (const { id, activity } of vectors<{
      id: string;
      title: string;
      activity: Record<string, unknown>;
    }>("likes.json"))
      expect([id, contextFault(activity)]).toEqual([id, undefined]);
  });

  test("that other servers use are understood", () => {
    const pleroma = [AS, "https://pl.example/schemas/litepub-0.1.jsonld", { "@language": "und" }];
    const lemmy = ["https://join-lemmy.org/context.json", AS];
    const peertube = [
      AS,
      "https://w3id.org/security/v1",
      {
        RsaSignature2017: "https://w3id.org/security#RsaSignature2017",
        pt: "https://joinpeertube.org/ns#",
        likes: { "@id": "as:likes", "@type": "@id" },
        icons: "as:icon",
        support: { "@type": "sc:Text", "@id": "pt:support" },
      },
    ];
    for (const context of [undefined, AS, [AS], pleroma, lemmy, peertube])
      expect(withContext(context)).toBeUndefined();
  });

  test("that move or rename anything are not", async () => {
    const bad: readonly unknown[] = [
      null,
      [AS, null],
      [AS, 7],
      [AS, [AS]],
      "https://e.example/context",
      "http://127.0.0.1/contexts",
      [AS, "https://w3id.org/../evil"],
      [AS, { "@vocab": "https://e.example/" }],
      [AS, { "@base": "https://v.example/" }],
      [AS, { "@import": "https://e.example/" }],
      [AS, { "@language": { "@id": "x" } }],
      [AS, { actor: "https://e.example/ns#other" }],
      [AS, { actor: "as:object" }],
      [AS, { actor: { "@id": "as:object", "@type": "@id" } }],
      [AS, { object: null }],
      [AS, { id: "as:actor" }],
      [AS, { Like: "as:Undo" }],
      [AS, { as: "https://e.example/ns#" }],
      [AS, { g: "@graph" }],
      [AS, { g: { "@id": "@graph" } }],
      [AS, { me: "@id" }],
      [AS, { kind: { "@id": "@type" } }],
      [AS, { x: { "@reverse": "as:actor" } }],
      [AS, { object: { "@id": "as:object", "@reverse": "as:actor" } }],
      [AS, { x: { "@id": "https://e.example/x", "@container": "@graph" } }],
      [AS, { object: { "@id": "as:object", "@container": ["@graph"] } }],
      [AS, { x: { "@id": "https://e.example/x", "@nest": "y" } }],
      [AS, { x: { "@id": "https://e.example/x", "@context": { actor: "as:object" } } }],
    ];
    for (const context of bad)
      expect([context, withContext(context)]).not.toEqual([context, undefined]);
    const members: readonly Record<string, unknown>[] = [
      { "@graph": [] },
      { "@included": [] },
      { "@reverse": {} },
      { "@nest": {} },
      { "@id": "https://v.example/1" },
      { "@type": "Undo" },
      { object: { "@graph": [] } },
      { object: { tag: [{ "@reverse": {} }] } },
      { object: { "@context": "https://e.example/context" } },
      { object: { "@context": [AS, { actor: "as:object" }] } },
      { object: { "@context": null } },
    ];
    for (const member of members)
      expect([member, contextFault({ "@context": AS, ...member })]).not.toEqual([
        member,
        undefined,
      ]);
  });

  test("are looked at before anything else is believed", async () => {
    const { home, e } = await scene();
    const context = [AS, { actor: "https://e.example/ns#other" }];
    const bad = await signed(home, e, JSON.stringify(like(e, { "@context": context })));
    expect([bad.status, codeOf(bad)]).toEqual([400, "context_invalid"]);
    expect(home.admitted).toEqual([]);
    expect((await signed(home, e, JSON.stringify(like(e)))).status).toBe(202);
  });
});

describe("buckets", () => {
  test("give so many at once, and so many a second after that", () => {
    const buckets = openBuckets({ burst: 3, perSecond: 2 });
    const take = (atMs: number, key = "a") => buckets.take(key, atMs);
    expect([take(0), take(0), take(0), take(0)]).toEqual([0, 0, 0, 1]);
    expect(buckets.waitSeconds("a", 0)).toBe(1);
    expect(take(0, "b")).toBe(0);
    expect(take(499)).toBe(1);
    expect(take(500)).toBe(0);
    expect(take(500)).toBe(1);
    // Never more than the burst, and a clock that goes back gives nothing.
    expect([take(60_000), take(60_000), take(60_000), take(60_000)]).toEqual([0, 0, 0, 1]);
    expect(take(0)).toBe(1);
  });

  test("are bounded: strangers do not fill the memory", () => {
    const buckets = openBuckets({ burst: 1, perSecond: 1e-9 });
    const begun = process.cpuUsage();
    for (let key = 0; key < 300_000; key += 1) buckets.take(`host-${key}.example`, 0);
    // Nor does it cost more to forget than to remember.
    expect(process.cpuUsage(begun).user / 1000).toBeLessThan(1_500);
    expect(buckets.take("host-299999.example", 0)).toBeGreaterThan(0);
    expect(buckets.take("host-0.example", 0)).toBe(0);
  });

  test("and a bounded map keeps what was used last", () => {
    const map = recent<number, string>(16);
    for (let key = 0; key < 1_000; key += 1) {
      map.set(key, String(key));
      map.get(0);
      expect(map.size).toBeLessThanOrEqual(16);
    }
    expect([map.get(0), map.get(999), map.get(500)]).toEqual(["0", "999", undefined]);
    map.delete(999);
    expect(map.get(999)).toBeUndefined();
  });

  test("stand for whoever has the address", () => {
    expect(senderOf("::ffff:198.51.100.7")).toBe("198.51.100.7");
    expect(senderOf("2001:db8:1:2:3:4:5:6")).toBe(senderOf("2001:db8:1:2::9"));
    expect(senderOf("2001:db8:1:2::9")).not.toBe(senderOf("2001:db8:1:3::9"));
    expect(senderOf("")).toBe("");
  });
});
