/**
 * FEDERATION.md and docs/protocol print nothing that is not really served, sent or written: each example is compared
 * with what the code makes. `UPDATE_DOCUMENTS=1` writes the examples anew.
 *
 * An example says in its info string what it is: `json served:/users/alice` is fetched by HTTP, `json sent:Like` is
 * what arrived at another server, `json body:Transfer` the body of a statement that two instances with fixed keys and
 * a fixed clock exchange, `json vector:ID` a step of the vectors, `json answer:gap` an answer of the ledger endpoint.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { DOOR_LIMITS } from "../../src/edges/federation/door.ts";
import { statusOf } from "../../src/edges/federation/ledger.ts";
import {
  ACTIVITY_BYTES_MAX,
  ACTIVITY_LIMITS,
  BODY_DEADLINE_MS,
} from "../../src/edges/federation/limits.ts";
import { isPulledBy, readPull, signPull } from "../../src/edges/federation/pull-signature.ts";
import { SKEW_MS_MAX } from "../../src/edges/federation/signature.ts";
import { rememberProfile } from "../../src/features/account/remember.ts";
import { giveFlattr } from "../../src/features/flattr/give.ts";
import { takeBackFlattr } from "../../src/features/flattr/take-back.ts";
import { removeFollower } from "../../src/features/follow/answer.ts";
import { followActor, unfollowActor } from "../../src/features/follow/follow.ts";
import { lockPeer, openPeer, type PeerId } from "../../src/features/peer/peer.ts";
import { rememberWay } from "../../src/features/peer/way.ts";
import { boostPost, unboostPost } from "../../src/features/post/boost.ts";
import { deletePost, editPost, writePost } from "../../src/features/post/write.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { headFor, logAfter } from "../../src/features/statement/log.ts";
import {
  digestOf,
  type Document,
  isSigned,
  multibaseOf,
  privateKeyOf,
  type Proof,
  publicKeyOf,
} from "../../src/features/statement/proof.ts";
import {
  STATEMENTS_A_DAY_MAX,
  type Taken,
  takeStatement,
} from "../../src/features/statement/take.ts";
import {
  instanceActor,
  type StatementParts,
  writeStatement,
} from "../../src/features/statement/write.ts";
import { KINDS } from "../../src/features/transfer/kinds.ts";
import { payPeer, receiveFromPeer } from "../../src/features/transfer/payment.ts";
import { sendTransfers } from "../../src/features/transfer/send.ts";
import { openInstance } from "../../src/instance.ts";
import type { Json } from "../../src/rules/canonical.ts";
import {
  COUNT_PATRONS_MIN,
  ID_CHARS_MAX,
  LINES_MAX,
  NAMESPACE,
  STATEMENT_BYTES_MAX,
} from "../../src/rules/statement.ts";
import { Temporal } from "../../src/store/time.ts";
import { VERSION } from "../../src/version.ts";
import {
  at,
  click,
  eur,
  person,
  remotePost,
  type TestDatabase,
  testDatabase,
  testMasterKeyFile,
} from "../support/database.ts";
import { rsaKey, signedPost } from "../support/hostile.ts";
import { sink, until } from "../support/sink.ts";
import { vectors } from "../support/vectors.ts";

const root = join(import.meta.dirname, "../..");
const PATHS = ["FEDERATION.md", "docs/protocol/README.md"] as const;
const isUpdate = process.env["UPDATE_DOCUMENTS"] === "1";

/** An example of a document. */
interface Example {
  readonly path: string;
  /** Such as `served` and `/users/alice`. */
  readonly how: string;
  readonly what: string;
  readonly text: string;
}

const FENCE = /^```(\S+) ([a-z]+):(.+)\n([^]*?)^```$/gm;

const textOf = (path: string) => readFileSync(join(root, path), "utf8");

const examples: readonly Example[] = PATHS.flatMap((path) =>
  [...textOf(path).matchAll(FENCE)].map(([, , how, what, text]) => ({
    path,
    how: how!,
    what: what!,
    text: text!,
  })),
);

/** Compares the examples of some kinds with what the code makes; or writes that into the documents. */
function compare(found: ReadonlyMap<string, string>, ...hows: readonly string[]): void {
  const wanted = examples.filter(({ how }) => hows.includes(how));
  expect(wanted.length).toBeGreaterThan(0);
  if (isUpdate) {
    for (const path of PATHS) {
      const text = textOf(path).replace(FENCE, (whole, language, how, what) =>
        found.has(`${how}:${what}`)
          ? `\`\`\`${language} ${how}:${what}\n${found.get(`${how}:${what}`)}\n\`\`\``
          : whole,
      );
      writeFileSync(join(root, path), text);
    }
    return;
  }
  const made = wanted.map(({ path, how, what }) => ({
    path,
    example: `${how}:${what}`,
    text: `${found.get(`${how}:${what}`)}\n`,
  }));
  const printed = wanted.map(({ path, how, what, text }) => ({
    path,
    example: `${how}:${what}`,
    text,
  }));
  expect(printed).toEqual(made);
}

/** Characters of a line of JSON. */
const WIDTH = 80;

/** JSON as the documents print it: what fits into one line stands in one. */
function print(value: unknown, indent = ""): string {
  const flat = JSON.stringify(value).replace(/"(?:[^"\\]|\\.)*"|[,:]/g, (part) =>
    part === "," || part === ":" ? `${part} ` : part,
  );
  if (indent.length + flat.length <= WIDTH) return flat;
  const inner = `${indent}  `;
  if (Array.isArray(value))
    return `[\n${value.map((one) => inner + print(one, inner)).join(",\n")}\n${indent}]`;
  if (typeof value === "object" && value !== null)
    return `{\n${Object.entries(value)
      .map(([key, one]) => `${inner}${JSON.stringify(key)}: ${print(one, inner)}`)
      .join(",\n")}\n${indent}}`;
  return JSON.stringify(value);
}

/** The canonical form sorts members; people read them in this order. Their order means nothing. */
const MEMBERS = [
  ...["@context", "id", "type", "actor", "to", "object", "published", "at", "seq", "prev"],
  ...["kind", "period", "of", "digest", "accepted", "settled", "rejected", "currencies"],
  ...["beneficiary", "currency", "amount", "total", "lines", "count", "rail", "reference"],
];

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const place = (key: string) => (MEMBERS.indexOf(key) + MEMBERS.length + 1) % (MEMBERS.length + 1);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => place(one) - place(other) || (one < other ? -1 : 1))
      .map(([key, member]) => [key, inOrder(member)]),
  );
}

/** Ids as the documents print them, and the real ones. */
const PRINTED_POST = "116123456789012345";
const PRINTED_LIKE = "116123456789054321";
const PRINTED_ID = "116123456789098765";
/** The statement key of the vectors. */
const PRINTED_KEY = "z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX";

const HOME = "https://home.example";
const FAR = "https://far.example";

/**
 * All that cannot be fixed in advance, and nothing else:
 *
 * 1. the neighbour's address on loopback is printed as far.example;
 * 2. the ids of a post, a Like, a Follow, a boost and an answer are made from a counter: each is printed as one number;
 * 3. the RSA keys of actors are made at random: of a PEM, its beginning and its end are printed;
 * 4. so is the instance's statement key: that of the vectors is printed;
 * 5. the program's version is printed as x.y.z.
 */
function normalised(
  value: unknown,
  { far, post, like }: { far: string; post: string; like: string },
): unknown {
  const host = new URL(far).host;
  const text = JSON.stringify(value)
    .replaceAll(far, FAR)
    .replaceAll(host, "far.example")
    .replaceAll(post, PRINTED_POST)
    .replaceAll(like, PRINTED_LIKE)
    .replace(/#(answers|boosts|follows)\/\d{15,19}/g, `#$1/${PRINTED_ID}`)
    .replace(
      /(-----BEGIN PUBLIC KEY-----\\n)(MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A)(?:[\w+/=]|\\n)+(IDAQAB)(\\n-----END PUBLIC KEY-----)(\\n)?/g,
      "$1$2…$3$4$5",
    )
    .replace(
      /"publicKeyMultibase":"z6Mk[1-9A-HJ-NP-Za-km-z]{44}"/g,
      `"publicKeyMultibase":"${PRINTED_KEY}"`,
    )
    .replaceAll(`"version":"${VERSION}"`, '"version":"x.y.z"');
  return JSON.parse(text);
}

const JSON_TYPES = /^application\/(?:(?:activity|ld|jrd)\+)?json(?:;|$)/;

test("served and sent: what another server gets", async () => {
  const database = await testDatabase();
  const far = await sink(({ method }) => ({ status: method === "POST" ? 202 : 404 }));
  const { publicKey, privateKey } = await rsaKey(0);
  const bob = `${far.origin}/users/bob`;
  const bobId = await database.drizzle.transaction((tx) =>
    rememberProfile(
      tx,
      {
        uri: bob,
        kind: "Person",
        name: "bob",
        inbox: `${bob}/inbox`,
        sharedInbox: `${far.origin}/inbox`,
        isLocked: false,
        fields: [],
        alsoKnownAs: [],
        keys: [
          {
            id: `${bob}#main-key`,
            publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
          },
        ],
      },
      at("2026-11-20"),
    ),
  );
  expect(bobId).toBeGreaterThan(0n);
  const folder = await mkdtemp(join(tmpdir(), "fl-documents-"));
  const noon = Temporal.Instant.from("2026-11-21T12:00:00Z");
  const instance = await openInstance(
    readConfig({
      DATA_DIR: folder,
      DATABASE_URL: database.url,
      MASTER_KEY_FILE: testMasterKeyFile(),
      ORIGIN: HOME,
      PORT: "0",
      HOST: "127.0.0.1",
      ALLOW_PRIVATE_ADDRESSES: far.host,
      UNSAFE_TRIAL: "1",
      CLOCK_OFFSET: Temporal.Now.instant().until(noon).round("second").toString(),
    }),
  );
  onTestFinished(async () => {
    await instance.close();
    await rm(folder, { recursive: true, force: true });
  });
  const { port } = await instance.serve();
  await instance.work();
  const here = `http://127.0.0.1:${port}`;
  const arrived = async (type: string, of?: string) => {
    const wanted = () =>
      far.activities().find((activity) => {
        const object = activity["object"];
        const kind = typeof object === "object" && object !== null && "type" in object;
        return activity["type"] === type && (of === undefined || (kind && object.type === of));
      });
    await until(() => wanted() !== undefined, `${type} at the neighbour`, 20_000);
    return wanted()!;
  };

  const alice = await person(database, "alice");
  await followActor(database, { follower: alice, uri: bob, at: at("2026-11-21T10:00:00Z") });
  const sent = new Map<string, unknown>([["Follow", await arrived("Follow")]]);
  const follow = JSON.stringify({
    "@context": "https://www.w3.org/ns/activitystreams",
    id: `${bob}#follows/7`,
    type: "Follow",
    actor: bob,
    object: `${HOME}/users/alice`,
  });
  const answer = await fetch(`${here}/users/alice/inbox`, {
    method: "POST",
    headers: signedPost({
      url: `${HOME}/users/alice/inbox`,
      body: follow,
      keyId: `${bob}#main-key`,
      privateKey,
      date: new Date(),
    }),
    body: follow,
  });
  expect(answer.status).toBe(202);
  sent.set("Accept", await arrived("Accept"));
  const { id, uri } = await writePost(database, {
    author: alice,
    text: "Good morning, @bob@far.example! #harvest".replace("far.example", far.host),
    at: at("2026-11-21T10:05:00Z"),
  });
  expect(uri).toBe(`${HOME}/users/alice/posts/${id}`);
  sent.set("Create", await arrived("Create"));
  const thing = await remotePost(database, `${bob}/posts/1`, bob);
  const { flattr } = await giveFlattr(database, {
    patron: alice.id,
    thing,
    source: "click",
    at: at("2026-11-21T10:15:00Z"),
  });
  sent.set("Like", await arrived("Like"));

  const ids = { far: far.origin, post: String(id), like: String(flattr) };
  const found = new Map<string, string>();
  for (const { how, what } of examples) {
    if (how !== "served") continue;
    const path = what.replace(PRINTED_POST, ids.post).replace(PRINTED_LIKE, ids.like);
    const served = await fetch(here + path, { headers: { accept: "application/activity+json" } });
    expect({ path, status: served.status }).toEqual({ path, status: 200 });
    expect(served.headers.get("content-type")).toMatch(JSON_TYPES);
    found.set(`served:${what}`, print(normalised(await served.json(), ids)));
  }

  // A Like is served at its id as it was sent.
  const like = await fetch(`${here}/likes/${flattr}`);
  expect(await like.json()).toEqual(sent.get("Like"));
  await takeBackFlattr(database, { patron: alice.id, thing, at: at("2026-11-21T10:20:00Z") });
  sent.set("Undo", await arrived("Undo"));
  const own = { author: alice, post: id };
  const text = "Good evening, @bob@far.example!".replace("far.example", far.host);
  await editPost(database, { ...own, text, at: at("2026-11-21T10:25:00Z") });
  sent.set("Update", await arrived("Update"));
  await boostPost(database, { account: alice, post: id, at: at("2026-11-21T10:30:00Z") });
  sent.set("Announce", await arrived("Announce"));
  // What is taken back looks alike, whatever it is.
  await unboostPost(database, { account: alice, post: id, at: at("2026-11-21T10:31:00Z") });
  await arrived("Undo", "Announce");
  await unfollowActor(database, { follower: alice, uri: bob, at: at("2026-11-21T10:32:00Z") });
  await arrived("Undo", "Follow");
  await deletePost(database, { ...own, at: at("2026-11-21T10:35:00Z") });
  sent.set("Delete", await arrived("Delete"));
  const pair = { followee: alice, follower: bobId, at: at("2026-11-21T10:40:00Z") };
  await removeFollower(database, pair);
  sent.set("Reject", await arrived("Reject"));
  for (const [type, activity] of sent) found.set(`sent:${type}`, print(normalised(activity, ids)));
  compare(found, "served", "sent");
  // Whatever arrived is printed: nothing is sent that the documents do not know.
  expect(new Set(far.activities().map(({ type }) => type))).toEqual(new Set(sent.keys()));
  expect(new Set(examples.filter(({ how }) => how === "sent").map(({ what }) => what))).toEqual(
    new Set(sent.keys()),
  );
});

/** One side of a line, with a fixed key. */
interface Side {
  readonly database: TestDatabase;
  readonly parts: StatementParts;
  readonly publicKeyMultibase: string;
  peer: PeerId;
  readonly keyId: string;
}

/** The seeds of both: the first is that of the vectors' key. */
const SEEDS = { p: 1, q: 3 };

async function side(name: "p" | "q"): Promise<Side> {
  const origin = `https://${name}.example`;
  const database = await testDatabase({ origin });
  const privateKey = privateKeyOf(Buffer.alloc(32, SEEDS[name]));
  const key = { id: `${origin}/actor#ed25519-1`, privateKey };
  return {
    database,
    parts: { database, keyOf: () => Promise.resolve(key) },
    keyId: key.id,
    publicKeyMultibase: multibaseOf(privateKey),
    peer: 0n,
  };
}

function introduce(one: Side, other: Side, when: Temporal.Instant): Promise<PeerId> {
  const { origin } = other.database.settings;
  const found = {
    actor: instanceActor(origin),
    host: new URL(origin).host,
    ledger: `${origin}/ledger`,
    keys: [{ id: other.keyId, publicKeyMultibase: other.publicKeyMultibase }],
  };
  return one.database.drizzle.transaction((tx) => openPeer(one.database, tx, found, when));
}

/** Every statement that the one has written to the other, taken in order until nothing is left. */
async function carry(sides: readonly [Side, Side], when: Temporal.Instant): Promise<Taken[]> {
  const outcomes: Taken[] = [];
  for (let before = -1; before !== outcomes.length;) {
    before = outcomes.length;
    for (const [from, to] of [sides, sides.toReversed() as [Side, Side]]) {
      const [last] = await to.database.sql<[{ seq: bigint }]>`
        SELECT COALESCE(max(seq), 0) AS seq FROM statement WHERE direction = 'in'`;
      const { statements } = await logAfter(from.parts, {
        peer: from.peer,
        direction: "out",
        after: Number(last.seq),
      });
      for (const text of statements)
        outcomes.push(await takeStatement(to.parts, KINDS, JSON.parse(text), when));
    }
  }
  return outcomes;
}

const logOf = async ({ parts, peer }: Side): Promise<Document[]> =>
  (await logAfter(parts, { peer, direction: "out", after: 0 })).statements.map(
    (text) => JSON.parse(text) as Document,
  );

describe("statements", () => {
  test("are what two instances say to each other in a month", async () => {
    const [p, q] = [await side("p"), await side("q")];
    const opened = at("2026-11-20T09:00:00Z");
    p.peer = await introduce(p, q, opened);
    q.peer = await introduce(q, p, opened);
    await person(q.database, "bob");
    const { database } = p;
    const names = { alice: "5.00", dave: "3.00", erin: "4.00" };
    const patrons = await Promise.all(
      Object.entries(names).map(([name, money]) =>
        person(database, name, { budget: money, money }),
      ),
    );
    const byBob = await remotePost(
      database,
      "https://q.example/users/bob/posts/1",
      "https://q.example/users/bob",
    );
    const byGone = await remotePost(
      database,
      "https://q.example/users/gone/posts/1",
      "https://q.example/users/gone",
    );
    for (const patron of patrons) await click(database, patron, byBob);
    await click(database, patrons[0]!, byGone);
    const found = {
      actor: "https://q.example/actor",
      host: "q.example",
      ledger: "https://q.example/ledger",
      keys: [{ id: q.keyId, publicKeyMultibase: q.publicKeyMultibase }],
    };
    await rememberWay(database, { host: "q.example", found, at: opened });
    const closed = at("2026-12-01T00:10:00Z");
    await settle(database, { at: closed });
    await sendTransfers(p.parts, closed);
    await carry([p, q], closed);
    const payment = { currency: "EUR", amount: eur("9.50"), reference: "RF18 5390 0754 7034" };
    await payPeer(p.parts, { ...payment, host: "q.example", at: at("2026-12-03T09:00:00Z") });
    await carry([p, q], at("2026-12-03T09:00:01Z"));
    await receiveFromPeer(q.parts, {
      ...payment,
      host: "p.example",
      at: at("2026-12-04T10:00:00Z"),
    });
    await carry([p, q], at("2026-12-04T10:00:01Z"));

    // A change of keys is taken, though no instance makes one by itself yet: so the document's own words are signed.
    const rotation = examples.find(({ how, what }) => how === "taken" && what === "KeyRotation")!;
    await database.drizzle.transaction(async (tx) =>
      writeStatement(p.parts, tx, await lockPeer(tx, p.peer), {
        type: ["Update", "KeyRotation"],
        object: "https://p.example/actor",
        body: JSON.parse(rotation.text) as Json,
        at: at("2026-12-05T10:00:00Z"),
        isSent: true,
      }),
    );
    const outcomes = await carry([p, q], at("2026-12-05T10:00:01Z"));
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(["Accept", "heard"]);

    const [ofP, ofQ] = [await logOf(p), await logOf(q)];
    const kinds = (log: Document[]) => log.map(({ type }) => (type as string[]).join(" "));
    expect(kinds(ofP)).toEqual([
      "Offer Terms",
      "Offer Transfer",
      "Accept Receipt",
      "Offer Settlement",
      "Update KeyRotation",
    ]);
    expect(kinds(ofQ)).toEqual([
      "Offer Terms",
      "Accept Receipt",
      "Accept Receipt",
      "Accept Receipt",
      "Accept Receipt",
      "Accept Receipt",
    ]);
    const key = publicKeyOf(p.publicKeyMultibase)!;
    for (const document of ofP)
      expect(isSigned(document, document["proof"] as Proof, key)).toBe(true);

    const made = new Map<string, string>();
    const body = (what: string, document: Document | undefined) =>
      made.set(`body:${what}`, print(inOrder(document!["body"])));
    body("Terms", ofP[0]);
    body("Transfer", ofP[1]);
    body("Settlement", ofP[3]);
    body("Receipt for a Transfer", ofQ[2]);
    body("Receipt for a Settlement", ofQ[3]);
    body("Receipt for a payment", ofQ[4]);
    const head = await headFor(q.parts, await peerOf(q), at("2026-12-06T03:17:00Z"));
    made.set("said:head", print(inOrder(JSON.parse(head))));
    compare(made, "said", "body");
  });

  const peerOf = ({ database, peer }: Side) =>
    database.drizzle.transaction((tx) => lockPeer(tx, peer));

  test("are read as the vectors say: the digest of T1, and a Reject", () => {
    interface Case {
      readonly id: string;
      readonly title: string;
      readonly steps: {
        readonly post: { readonly raw: string };
        readonly expect: { readonly receipt: unknown };
      }[];
    }
    const cases = vectors<Case>("statements.json");
    const step = (id: string) => cases.find((one) => one.id === id)!.steps[0]!;
    const t1 = JSON.parse(step("statement-001").post.raw) as Document;
    compare(
      new Map([
        ["vector:statement-001", print(t1)],
        ["vector:statement-038", print(step("statement-038").expect.receipt)],
      ]),
      "vector",
    );
    const { text } = examples.find(({ what }) => what === "statement-001")!;
    const document = isUpdate ? t1 : (JSON.parse(text) as Document);
    expect(isSigned(document, document["proof"] as Proof, publicKeyOf(PRINTED_KEY)!)).toBe(true);
    expect(textOf("docs/protocol/README.md")).toContain(digestOf(document));
  });

  test("are pulled with the headers that the document prints", () => {
    const url = "https://p.example/ledger/q.example/after/1";
    const privateKey = privateKeyOf(Buffer.alloc(32, SEEDS.q));
    const when = at("2026-12-01T00:11:00Z");
    const headers = signPull(url, {
      keyId: "https://q.example/actor#ed25519-1",
      privateKey,
      at: when,
    });
    const { host, pathname } = new URL(url);
    compare(
      new Map([
        [
          "asked:pull",
          [
            `GET ${pathname} HTTP/1.1`,
            `Host: ${host}`,
            `Signature-Input: ${headers["signature-input"]}`,
            `Signature: ${headers["signature"]}`,
          ].join("\n"),
        ],
      ]),
      "asked",
    );
    const claim = readPull(new Headers(headers), when)!;
    expect(isPulledBy(publicKeyOf(multibaseOf(privateKey))!, url, claim)).toBe(true);
  });

  test("are answered with the status and the code that the document names", () => {
    type Plain = Exclude<Taken, { receipt: string } | { pullAfter: number } | { outcome: "heard" }>;
    // Every one of them, or the types do not fit.
    const faults: Record<Exclude<Plain["outcome"], "unknownPeer">, true> = {
      malformed: true,
      badContext: true,
      wrongAudience: true,
      noProof: true,
      badProof: true,
      forgedOrigin: true,
      unpinnedKey: true,
      badSignature: true,
      retiredKey: true,
      fork: true,
      frozen: true,
      tooMany: true,
      behind: true,
    };
    const wanted = (Object.keys(faults) as (keyof typeof faults)[]).map(
      (outcome): [string, number] => [outcome, statusOf({ outcome }).status],
    );
    wanted.push([
      "unknownPeer",
      statusOf({ outcome: "unknownPeer", introduces: undefined }).status,
    ]);
    const rows = [...textOf("docs/protocol/README.md").matchAll(/^\| (\d{3}) \| `(\w+)` \|/gm)]
      .map(([, status, code]): [string, number] => [code!, Number(status)])
      .filter(([code]) => code !== "tooLarge");
    expect(new Map(rows)).toEqual(new Map(wanted));
    compare(
      new Map([
        ["answer:gap", print(JSON.parse(statusOf({ outcome: "gap", pullAfter: 3 }).body))],
        ["answer:unpinnedKey", print(JSON.parse(statusOf({ outcome: "unpinnedKey" }).body))],
      ]),
      "answer",
    );
  });
});

test("the limits that the documents name are those of the code", () => {
  const [federation, protocol] = PATHS.map(textOf) as [string, string];
  const kib = (bytes: number) => `${bytes / 1024} KiB`;
  expect(federation).toContain(`${kib(ACTIVITY_BYTES_MAX)}, ${ACTIVITY_LIMITS.depthMax} levels`);
  expect(federation).toContain(`${ACTIVITY_LIMITS.valuesMax} values`);
  expect(federation).toContain(`${BODY_DEADLINE_MS / 1000} seconds`);
  expect(federation).toContain(`${SKEW_MS_MAX / 3_600_000} hour`);
  const { activities, activitiesOfActor, newcomers, refusals, knocks } = DOOR_LIMITS;
  for (const [what, { burst, perSecond }] of [
    ["activities of one host", activities],
    ["activities of one actor", activitiesOfActor],
    ["actors of one host who are not known yet, named by one sender", newcomers],
    ["refused requests of one sender (IPv4 address, IPv6 /64)", refusals],
  ] as const)
    expect(federation).toContain(`| ${what} | ${burst} at once, then ${perSecond} a second`);
  expect(federation).toContain(`| ${knocks.perSender} of one sender, ${knocks.all} in all |`);
  expect(protocol).toContain(`1 to ${LINES_MAX} lines`);
  expect(protocol).toContain(`the ${STATEMENTS_A_DAY_MAX + 1}st statement`);
  expect(protocol).toContain(`at most ${ID_CHARS_MAX} characters`);
  expect(protocol).toContain(`at least ${COUNT_PATRONS_MIN} patrons`);
  expect(protocol).toContain(`\`${NAMESPACE}\``);
  expect(protocol).toContain(kib(STATEMENT_BYTES_MAX));
});

test("every example of JSON says what it is", () => {
  const all = PATHS.flatMap((path) => [...textOf(path).matchAll(/^```json(.*)$/gm)]);
  expect(all.filter(([, what]) => !/^ [a-z]+:\S/.test(what!)).map(([line]) => line)).toEqual([]);
  expect(all.length).toBeGreaterThanOrEqual(25);
});
