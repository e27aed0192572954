import { createECDH, createPublicKey, randomBytes, verify } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Hono } from "hono";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  answerError,
  type ClientEnv,
  type ClientParts,
  signedIn,
} from "../../src/edges/mastodon/frame.ts";
import { pushRoutes } from "../../src/edges/mastodon/push.ts";
import { endToken } from "../../src/features/access/token.ts";
import type { Account } from "../../src/features/account/create.ts";
import { hiding } from "../../src/features/filter/hidden.ts";
import { createFilter } from "../../src/features/filter/own.ts";
import { ensureOwnActors } from "../../src/features/account/own.ts";
import { notify } from "../../src/features/notice/notify.ts";
import { pushJobs } from "../../src/features/notice/push.ts";
import { pushKeyOf, vapidPublicKey } from "../../src/features/notice/push-key.ts";
import { cleanName, plainText } from "../../src/features/post/clean.ts";
import { writePost } from "../../src/features/post/write.ts";
import { openEgress } from "../../src/store/egress.ts";
import { startJobs } from "../../src/store/jobs.ts";
import { openMasterKey } from "../../src/store/keys.ts";
import { openClients } from "../../src/store/database.ts";
import { type Clock, Temporal } from "../../src/store/time.ts";
import {
  at,
  person,
  testDatabase,
  testMasterKeyFile,
  type TestDatabase,
} from "../support/database.ts";
import { until } from "../support/process.ts";
import { tokenOf } from "../support/sockets.ts";

const ece = createRequire(createRequire(import.meta.url).resolve("web-push"))("http_ece") as {
  decrypt(body: Buffer, options: Readonly<Record<string, unknown>>): Buffer;
};

const NOW = at("2026-11-10");
const clock: Clock = { now: () => NOW, real: () => Temporal.Now.instant() };

/** What a push service was sent. */
interface Pushed {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A push service on loopback. */
async function pushService() {
  const pushed: Pushed[] = [];
  const service = { pushed, status: (_: Pushed): number => 201, host: "", origin: "" };
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const one = { path: request.url!, headers: request.headers, body: Buffer.concat(parts) };
      pushed.push(one);
      response.writeHead(service.status(one)).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  service.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  service.origin = `http://${service.host}`;
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return service;
}

/** An app's keys. */
function appKeys() {
  const pair = createECDH("prime256v1");
  pair.generateKeys();
  const auth = randomBytes(16);
  return {
    keys: { p256dh: pair.getPublicKey("base64url"), auth: auth.toString("base64url") },
    /** What was pushed, read as the app reads it. */
    read({ headers, body }: Pushed): string {
      const encoding = headers["content-encoding"];
      const parameter = (header: string, name: string) =>
        new RegExp(`(?:^|[;,])\\s*${name}=([^;,]+)`).exec(header)![1]!;
      return ece
        .decrypt(body, {
          version: encoding,
          privateKey: pair,
          authSecret: auth.toString("base64url"),
          ...(encoding === "aesgcm"
            ? {
                dh: parameter(headers["crypto-key"] as string, "dh"),
                salt: parameter(headers["encryption"] as string, "salt"),
              }
            : {}),
        })
        .toString();
    },
  };
}

async function house() {
  const database = await testDatabase();
  const vault = await openMasterKey(testMasterKeyFile(), undefined);
  const service = await pushService();
  const egress = openEgress({ allowedPrivate: [service.host], userAgent: "test" });
  onTestFinished(() => egress.close());
  const vapidKey = () => vapidPublicKey(database, vault, NOW);
  const isAllowedPrivate = (host: string) => egress.isAllowedPrivate(host);
  const app = new Hono<ClientEnv>()
    .use(signedIn({ database, clock } as unknown as ClientParts))
    .route("/", pushRoutes({ database, clock, vapidKey, isAllowedPrivate }))
    .onError(answerError);
  const isHidden = hiding(database, clock);
  const jobs = startJobs(database.url, [
    {
      handlers: pushJobs({ database, egress, vault, clock, plainText, cleanName, isHidden }),
      schedules: [],
    },
  ]);
  onTestFinished(() => jobs.stop());
  const [ada, bob] = [await person(database, "ada"), await person(database, "bob")];
  return { database, vault, service, app, ada, bob, vapidKey };
}

type House = Awaited<ReturnType<typeof house>>;

const PATH = "/api/v1/push/subscription";
const ALL = {
  mention: true,
  favourite: true,
  reblog: true,
  follow: true,
  follow_request: true,
  poll: true,
  status: true,
  update: true,
};

/** As an app of somebody. */
async function appOf(
  { app, database, service }: House,
  account: Account,
  scopes = ["read", "push"],
) {
  const token = await tokenOf(database, account, scopes);
  const keys = appKeys();
  const ask = async (method: string, body?: unknown) => {
    const answer = await app.request(PATH, {
      method,
      headers: {
        authorization: `Bearer ${token.secret}`,
        ...(body === undefined || body instanceof URLSearchParams
          ? {}
          : { "content-type": "application/json" }),
      },
      ...(body === undefined
        ? {}
        : { body: body instanceof URLSearchParams ? body : JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const path = `/to/${token.id}`;
  const subscribe = (
    more: Record<string, unknown> = {},
    data: Record<string, unknown> = { alerts: ALL },
  ) =>
    ask("POST", {
      subscription: {
        endpoint: `${service.origin}${path}`,
        keys: keys.keys,
        standard: true,
        ...more,
      },
      data,
    });
  return { ...keys, token, ask, subscribe, path };
}

const tell = (
  { database }: Pick<House, "database">,
  account: Account,
  actor: Account,
  post?: bigint,
) =>
  database.drizzle.transaction((tx) =>
    notify(tx, {
      account: account.id,
      kind: post === undefined ? "follow" : "mention",
      actor: actor.actor,
      post,
      at: NOW,
    }),
  );

const arrived = ({ service }: House, many: number) =>
  until(15_000, async () => (service.pushed.length >= many ? true : undefined), `push ${many}`);

/** Until no job of this kind waits any more. */
const done = ({ database }: { database: TestDatabase }) =>
  until(20_000, async () => {
    const [row] = await database.sql<
      [{ many: number }]
    >`SELECT count(*)::int AS many FROM graphile_worker.jobs WHERE task_identifier LIKE 'notice.push%'`;
    return row.many === 0 ? true : undefined;
  });

describe("a subscription", () => {
  test("is made, shown, changed and ended, as JSON and as nested forms", async () => {
    const made = await house();
    const one = await appOf(made, made.ada);
    expect((await one.ask("GET")).status).toBe(404);
    expect((await one.ask("PUT", { data: { alerts: {} } })).status).toBe(404);
    const json = await one.subscribe(
      {},
      { alerts: { mention: true, "admin.sign_up": true }, policy: "followed" },
    );
    expect(json.status).toBe(200);
    expect(json.body).toEqual({
      id: expect.stringMatching(/^\d+$/),
      endpoint: `${made.service.origin}${one.path}`,
      standard: true,
      alerts: {
        mention: true,
        favourite: false,
        reblog: false,
        follow: false,
        follow_request: false,
        poll: false,
        status: false,
        update: false,
      },
      policy: "followed",
      server_key: await made.vapidKey(),
    });
    expect((await one.ask("GET")).body).toEqual(json.body);
    const form = await one.ask(
      "POST",
      new URLSearchParams({
        "subscription[endpoint]": `${made.service.origin}/other`,
        "subscription[keys][p256dh]": one.keys.p256dh,
        "subscription[keys][auth]": one.keys.auth,
        "data[alerts][follow]": "1",
        "data[alerts][mention]": "false",
      }),
    );
    expect(form.body).toMatchObject({
      endpoint: `${made.service.origin}/other`,
      standard: false,
      policy: "all",
      alerts: { follow: true, mention: false },
    });
    expect(form.body["id"]).not.toBe(json.body["id"]);
    const changed = await one.ask(
      "PUT",
      new URLSearchParams({ "data[alerts][poll]": "true", "data[policy]": "none" }),
    );
    expect(changed.body).toMatchObject({
      alerts: { poll: true, follow: false },
      policy: "none",
      endpoint: `${made.service.origin}/other`,
    });
    expect(await one.ask("DELETE")).toEqual({ status: 200, body: {} });
    expect(await one.ask("DELETE")).toEqual({ status: 200, body: {} });
    expect((await one.ask("GET")).status).toBe(404);
  });

  test("belongs to its token alone, and ends with it", async () => {
    const made = await house();
    const [one, two] = [await appOf(made, made.ada), await appOf(made, made.ada)];
    await one.subscribe();
    expect((await two.ask("GET")).status).toBe(404);
    await two.ask("DELETE");
    expect((await one.ask("GET")).status).toBe(200);
    await made.database.drizzle.transaction((tx) => endToken(tx, one.token.id, NOW));
    expect((await one.ask("GET")).status).toBe(401);
    expect((await made.database.sql`SELECT FROM push_subscription`).count).toBe(0);
  });

  test("needs the scope push", async () => {
    const made = await house();
    const one = await appOf(made, made.ada, ["read", "write", "follow"]);
    for (const method of ["POST", "GET", "PUT", "DELETE"])
      expect((await one.ask(method, method === "GET" ? undefined : {})).status, method).toBe(403);
  });

  test.each([
    ["http", { endpoint: "http://push.example/x" }],
    ["a private address", { endpoint: "https://127.0.0.1/x" }],
    ["a private address in another form", { endpoint: "https://[::ffff:10.0.0.1]/x" }],
    ["the metadata of clouds", { endpoint: "https://169.254.169.254/latest" }],
    ["another port", { endpoint: "https://push.example:8443/x" }],
    ["a password", { endpoint: "https://me:secret@push.example/x" }],
    ["no address", { endpoint: "push" }],
    ["a script", { endpoint: "javascript:alert(1)" }],
    ["an endless address", { endpoint: `https://push.example/${"x".repeat(3_000)}` }],
    ["no keys", { keys: {} }],
    [
      "a key that is no point",
      {
        keys: {
          p256dh: Buffer.alloc(65, 4).toString("base64url"),
          auth: randomBytes(16).toString("base64url"),
        },
      },
    ],
    ["a short key", { keys: { p256dh: "BAAA", auth: randomBytes(16).toString("base64url") } }],
    ["a short secret", { keys: { ...appKeys().keys, auth: "AAAA" } }],
  ])("with %s is refused, and changes nothing", async (_, more) => {
    const made = await house();
    const one = await appOf(made, made.ada);
    const before = await one.subscribe();
    const { status, body } = await one.subscribe(more);
    expect([status, body["error"]]).toEqual([422, "push_invalid"]);
    expect((await one.ask("GET")).body).toEqual(before.body);
  });

  test("with a policy that is none is refused", async () => {
    const made = await house();
    const one = await appOf(made, made.ada);
    expect((await one.subscribe({}, { policy: "everybody" })).status).toBe(422);
  });
});

describe("a notification", () => {
  test.each([true, false])(
    "wakes the app, readable by it alone, in the form it wants (standard: %s)",
    async (standard) => {
      const made = await house();
      const { database, ada, bob, service } = made;
      const one = await appOf(made, ada);
      await one.subscribe({ standard });
      const { id: post } = await writePost(database, {
        author: bob,
        text: "@ada look\nat this",
        visibility: "direct",
        at: NOW,
      });
      await arrived(made, 1);
      const [pushed] = service.pushed;
      expect(pushed!.path).toBe(one.path);
      expect(pushed!.headers).toMatchObject({
        ttl: "172800",
        urgency: "normal",
        "content-encoding": standard ? "aes128gcm" : "aesgcm",
        "content-type": "application/octet-stream",
      });
      const [row] = await database.sql<
        [{ id: bigint }]
      >`SELECT id FROM notification WHERE post = ${post}`;
      const text = one.read(pushed!);
      // Larger than what JavaScript reads exactly.
      expect(text).toContain(`{"notification_id":${row.id},`);
      expect(JSON.parse(text)).toMatchObject({
        notification_type: "mention",
        access_token: "",
        preferred_locale: "en",
        title: "bob spoke to you",
        body: "@ada look at this",
        icon: "",
      });
      expect(() => appKeys().read(pushed!)).toThrow();
      expect(pushed!.body.includes("look")).toBe(false);
    },
  );

  test("is signed with the key of this instance, for that push service alone", async () => {
    const made = await house();
    const one = await appOf(made, made.ada);
    await one.subscribe();
    await tell(made, made.ada, made.bob);
    await arrived(made, 1);
    const [, jwt, key] = /^vapid t=([^,]+), k=(.+)$/.exec(
      made.service.pushed[0]!.headers.authorization!,
    )!;
    expect(key).toBe(await made.vapidKey());
    const [head, claims, signature] = jwt!.split(".");
    expect(JSON.parse(Buffer.from(claims!, "base64url").toString())).toMatchObject({
      aud: made.service.origin,
      sub: "https://home.example",
    });
    const point = Buffer.from(key!, "base64url");
    const publicKey = createPublicKey({
      format: "jwk",
      key: {
        kty: "EC",
        crv: "P-256",
        x: point.subarray(1, 33).toString("base64url"),
        y: point.subarray(33).toString("base64url"),
      },
    });
    const signed = Buffer.from(`${head}.${claims}`);
    expect(
      verify(
        "sha256",
        signed,
        { key: publicKey, dsaEncoding: "ieee-p1363" },
        Buffer.from(signature!, "base64url"),
      ),
    ).toBe(true);
  });

  test("wakes no app that does not want it: kind, policy, other people", async () => {
    const made = await house();
    const { ada, bob, database, service } = made;
    const eve = await person(database, "eve");
    await database.sql`INSERT INTO follow (follower, followee, state, since) VALUES (${ada.actor}, ${bob.actor}, 'accepted', now()), (${eve.actor}, ${ada.actor}, 'accepted', now())`;
    const wants = async (data: Record<string, unknown>, account = ada) => {
      const one = await appOf(made, account);
      await one.subscribe({}, data);
      return one.path;
    };
    await wants({ alerts: { mention: true } });
    await wants({ alerts: ALL, policy: "none" });
    await wants({ alerts: ALL }, bob);
    const all = await wants({ alerts: ALL });
    const followed = await wants({ alerts: ALL, policy: "followed" });
    const follower = await wants({ alerts: ALL, policy: "follower" });
    await tell(made, ada, bob);
    await arrived(made, 2);
    await done(made);
    expect(service.pushed.map(({ path }) => path).sort()).toEqual([all, followed].sort());
    service.pushed.length = 0;
    await tell(made, ada, eve);
    await arrived(made, 2);
    await done(made);
    expect(service.pushed.map(({ path }) => path).sort()).toEqual([all, follower].sort());
  });

  test("that a filter hides wakes nobody, as long as the filter stands", async () => {
    const made = await house();
    const { ada, bob, database, service } = made;
    const one = await appOf(made, ada);
    await one.subscribe();
    const say = (text: string) =>
      writePost(database, { author: bob, text: `@ada ${text}`, visibility: "direct", at: NOW });
    for (const [action, place] of [
      ["hide", "notifications"],
      ["warn", "notifications"],
      ["hide", "home"],
    ] as const)
      await createFilter(database, {
        account: ada,
        title: "Spiders",
        places: [place],
        action,
        until: undefined,
        keywords: [{ keyword: `${action} ${place}`, isWholeWord: true }],
        at: NOW,
      });
    await say("hide notifications");
    await say("warn notifications");
    await say("hide home");
    await arrived(made, 2);
    await done(made);
    const bodies = service.pushed.map((pushed) => JSON.parse(one.read(pushed)).body as string);
    expect(bodies.toSorted()).toEqual(["@ada hide home", "@ada warn notifications"]);
  });

  test("ends the subscription when the push service says that it is over", async () => {
    const made = await house();
    const [gone, stays] = [await appOf(made, made.ada), await appOf(made, made.ada)];
    await gone.subscribe();
    await stays.subscribe();
    made.service.status = ({ path }) => (path === gone.path ? 410 : 201);
    await tell(made, made.ada, made.bob);
    await arrived(made, 2);
    await done(made);
    expect((await gone.ask("GET")).status).toBe(404);
    expect((await stays.ask("GET")).status).toBe(200);
  });

  test("is tried again when the push service is in trouble, for that app alone; and not for ever", async () => {
    const made = await house();
    const [ill, well] = [await appOf(made, made.ada), await appOf(made, made.ada)];
    await ill.subscribe();
    await well.subscribe();
    let tries = 0;
    made.service.status = ({ path }) => (path === ill.path && (tries += 1) <= 1 ? 503 : 201);
    await tell(made, made.ada, made.bob);
    const waiting = await until(15_000, async () => {
      const rows = await made.database.sql<{ max_attempts: number }[]>`
        SELECT max_attempts FROM graphile_worker.jobs WHERE task_identifier = 'notice.push.one' AND attempts = 1 AND last_error IS NOT NULL`;
      return rows[0];
    });
    expect(waiting.max_attempts).toBe(6);
    await arrived(made, 3);
    await done(made);
    expect(made.service.pushed.filter(({ path }) => path === ill.path)).toHaveLength(2);
    expect(made.service.pushed.filter(({ path }) => path === well.path)).toHaveLength(1);
  });

  test("that was refused for good is let go, and the app stays subscribed", async () => {
    const made = await house();
    const one = await appOf(made, made.ada);
    await one.subscribe();
    made.service.status = () => 413;
    await tell(made, made.ada, made.bob);
    await arrived(made, 1);
    await done(made);
    expect(made.service.pushed).toHaveLength(1);
    expect((await one.ask("GET")).status).toBe(200);
  });

  test("goes to no address that has become private: its subscription ends", async () => {
    const made = await house();
    const one = await appOf(made, made.ada);
    await one.subscribe();
    await made.database.sql`UPDATE push_subscription SET endpoint = 'https://127.0.0.1/x'`;
    await tell(made, made.ada, made.bob);
    await until(10_000, async () => ((await one.ask("GET")).status === 404 ? true : undefined));
    expect(made.service.pushed).toEqual([]);
  });

  test("that is gone or old wakes nobody", async () => {
    const made = await house();
    const one = await appOf(made, made.ada);
    await one.subscribe();
    const { sql } = made.database;
    await sql.begin(async (tx) => {
      await tx`INSERT INTO notification (id, account, kind, actor, at) VALUES (1, ${made.ada.id}, 'follow', ${made.bob.actor}, '2026-11-01')`;
      for (const id of ["1", "2"])
        await tx`SELECT graphile_worker.add_job('notice.push', json_build_object('notification', ${id}::text))`;
    });
    await done(made);
    await sleep(200);
    expect(made.service.pushed).toEqual([]);
  });

  test("shows a warning instead of what is behind it, and of the words of @flattr nothing: they may name amounts", async () => {
    const made = await house();
    const { database, ada, bob } = made;
    const one = await appOf(made, ada);
    await one.subscribe();
    await writePost(database, {
      author: bob,
      text: "@ada secret",
      summary: "Spoiler",
      visibility: "direct",
      at: NOW,
    });
    await arrived(made, 1);
    expect(JSON.parse(one.read(made.service.pushed[0]!))).toMatchObject({ body: "Spoiler" });
    const { flattr } = await ensureOwnActors(database.drizzle, database.settings.origin, NOW);
    const { id } = await writePost(database, {
      author: bob,
      text: "@bob You received 12.34 EUR",
      visibility: "direct",
      at: NOW,
    });
    await database.sql`UPDATE post SET author = ${flattr} WHERE id = ${id}`;
    await database.drizzle.transaction((tx) =>
      notify(tx, { account: ada.id, kind: "mention", actor: flattr, post: id, at: NOW }),
    );
    await arrived(made, 2);
    const text = one.read(made.service.pushed[1]!);
    expect(JSON.parse(text)).toMatchObject({ title: "flattr spoke to you", body: "" });
    expect(text).not.toMatch(/12\.34|EUR|received/);
  });

  test("of somebody elsewhere is plain, short, and fits", async () => {
    const made = await house();
    const { database, ada, bob } = made;
    const one = await appOf(made, ada);
    await one.subscribe();
    const { id } = await writePost(database, { author: bob, text: "x", at: NOW });
    const html = `<p>Hi <script>alert(1)</script><b>there</b> &lt;3</p><p>${"🥖".repeat(1_000)}</p>`;
    await database.sql`UPDATE post SET text = NULL, html = ${html} WHERE id = ${id}`;
    await database.sql`UPDATE actor SET display_name = ${`\u202e${"B".repeat(5_000)}`}, icon = ${`https://far.example/${"i".repeat(5_000)}`} WHERE id = ${bob.actor}`;
    await tell(made, ada, bob, id);
    await arrived(made, 1);
    const { title, body, icon } = JSON.parse(one.read(made.service.pushed[0]!)) as Record<
      string,
      string
    >;
    expect(title).toMatch(/^B{100} spoke to you$/);
    expect(body).toMatch(/^Hi there <3 (🥖)+…$/u);
    expect([...body!]).toHaveLength(140);
    expect(icon).toBe("");
    expect(made.service.pushed[0]!.body.length).toBeLessThan(4_096);
  });

  test("wakes at most so many apps of one account", async () => {
    const made = await house();
    for (let n = 0; n < 23; n += 1) await (await appOf(made, made.ada)).subscribe();
    await tell(made, made.ada, made.bob);
    await arrived(made, 20);
    await done(made);
    expect(made.service.pushed).toHaveLength(20);
  });
});

test("the key of push services is made once, by whichever node comes first, and its private half is sealed", async () => {
  const database = await testDatabase();
  const vault = await openMasterKey(testMasterKeyFile(), undefined);
  const nodes = Array.from({ length: 4 }, () => openClients(database.url, 2));
  try {
    const keys = await Promise.all(nodes.map((one) => pushKeyOf(one, vault, NOW)));
    expect(new Set(keys.map(({ publicKey }) => publicKey)).size).toBe(1);
    expect(new Set(keys.map(({ privateKey }) => privateKey)).size).toBe(1);
    const rows = await database.sql<
      { row: string; public_key: string }[]
    >`SELECT k::text AS row, public_key FROM push_key k`;
    expect(rows).toHaveLength(1);
    expect(Buffer.from(rows[0]!.public_key, "base64url")).toHaveLength(65);
    const hex = Buffer.from(keys[0]!.privateKey).toString("hex");
    expect(rows[0]!.row).not.toContain(hex);
    expect(rows[0]!.row).not.toContain(keys[0]!.privateKey);
  } finally {
    await Promise.all(nodes.map(({ end }) => end()));
  }
});
