/** No answer of the client API costs more the more posts there are: by the plans of all that its database did for it. */

import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fillReaders, READER, type ReaderSize } from "../../bench/readers.ts";
import { account } from "../../src/features/account/schema.ts";
import { audienceOf, audienceOfGone } from "../../src/features/notice/audience.ts";
import { periodNumber, periodOf } from "../../src/rules/period.ts";
import { Temporal } from "../../src/store/time.ts";
import { clientHouse } from "../support/client.ts";
import { leaveUnchecked, testDatabase } from "../support/database.ts";
import { type Observed, observe, type Plan } from "../support/plans.ts";

/** Two instances of the same people, who follow the same; on one they wrote and favourited ten times as much. */
const SMALL: ReaderSize = {
  here: 20,
  elsewhere: 2_500,
  posts: 4_000,
  follows: 3_000,
  favourites: 4_000,
  read: 400,
};
const LARGE: ReaderSize = { ...SMALL, posts: 40_000, favourites: 40_000 };

/** Tables that nobody reads through, whatever he asks; flattrs are kept in one for each month. */
const GROWING = new Set([
  "post",
  "thing",
  "favourite",
  "boost",
  "home",
  "notification",
  "post_tag",
  "post_word",
  "post_mention",
  "actor",
  "follow",
]);
const isGrowing = (table: string) => GROWING.has(table) || table.startsWith("flattr_");

/** How much more the large instance may look at: a page is fuller or emptier by chance, an index one level deeper. */
const TIMES_MAX = 1.5;
const MORE_ROWS_MAX = 60;
const MORE_PAGES_MAX = 120;

/** Whom the reader follows and who wrote a fourth of all posts; a hashtag and a word that half of them have. */
const BUSY = 2_000_000_007n;
const COMMON = "everywhere";
const OTHERS = "others";

/** More than any other post has. */
const ANSWERS = 15;

/** What the reader favourited. */
const OWN_FAVOURITES = 90;

/** Pages that are full on both instances. */
const LIMIT = "limit=10";

/** What was asked, and all that the database did for it. */
type Asked = ReadonlyMap<string, readonly Plan[]>;

const ends: (() => Promise<void>)[] = [];
let small: Observed;
let large: Observed;

beforeAll(async () => {
  small = await instance(SMALL);
  large = await instance(LARGE);
}, 120_000);

afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});

test("no answer reads through a table, or looks at more the more posts there are", async () => {
  const [few, many] = [await everything(small), await everything(large)];
  expect(many.size).toBeGreaterThan(80);
  expect(scans(many)).toEqual([]);
  expect(growth(few, many)).toEqual([]);
}, 60_000);

test("what reads through a table or looks at more the more posts there are is found out", async () => {
  const bad = {
    scan: "SELECT count(*) FROM post WHERE html LIKE '%nowhere%'",
    "scan in a function": `DO $$ BEGIN PERFORM count(*) FROM post WHERE html LIKE '%nowhere%'; END $$`,
    rows: `SET enable_seqscan = off; SELECT post FROM post_word WHERE word = '${COMMON}'`,
    // An index is read from one end to the other, and not one row is found in it.
    pages: "SET enable_seqscan = off; SELECT FROM pair WHERE one > 0 AND other = 0",
  };
  const ask = async ({ database, plansOf }: Observed) => {
    await database.sql.unsafe(`
      CREATE TABLE pair AS SELECT n AS one, n AS other FROM generate_series(1, (SELECT 10 * count(*) FROM post)) n;
      CREATE INDEX ON pair (one, other)`);
    const asked = new Map<string, readonly Plan[]>();
    for (const [name, query] of Object.entries(bad))
      asked.set(name, await plansOf(() => database.sql.unsafe(query)));
    return asked;
  };
  const [few, many] = [await ask(small), await ask(large)];
  const names = (lines: readonly string[]) => lines.map((line) => line.split(":")[0]);
  expect(names(scans(many))).toEqual(["scan", "scan in a function"]);
  expect(names(growth(few, many))).toEqual(Object.keys(bad));
});

/** An instance full of posts, whose plans are heard. */
async function instance(size: ReaderSize): Promise<Observed> {
  const database = await testDatabase({}, (end) => ends.push(end));
  leaveUnchecked(database);
  await fillReaders(database.url, database.settings.origin, size);
  await database.sql.begin(async (tx) => {
    await tx`SET LOCAL session_replication_role = replica`;
    await tx`UPDATE actor SET is_indexable = true`;
    await tx`UPDATE post SET visibility = 'public', in_reply_to = NULL WHERE text IS NOT NULL`;
    await tx`UPDATE post SET author = ${BUSY} WHERE id % 8 IN (1, 4) AND text IS NULL`;
    // He himself did as much on both.
    await tx`DELETE FROM favourite f USING account x WHERE x.id = ${READER} AND f.actor = x.actor
                AND f.id NOT IN (SELECT o.id FROM favourite o WHERE o.actor = x.actor ORDER BY o.id DESC LIMIT ${OWN_FAVOURITES})`;
    // What is rare is as rare among more posts.
    await tx`UPDATE post SET attachments = NULL WHERE id NOT IN (SELECT id FROM post WHERE attachments IS NOT NULL AND visibility = 'public' AND in_reply_to IS NULL AND author <> ${BUSY} ORDER BY id LIMIT 30)`;
    await tx`UPDATE post SET attachments = '[]' WHERE id IN (SELECT id FROM post WHERE author = ${BUSY} ORDER BY id LIMIT 12)`;
    await tx`UPDATE post SET in_reply_to = 'https://nowhere.example/' || id WHERE author = ${BUSY} AND id NOT IN (SELECT id FROM post WHERE author = ${BUSY} ORDER BY id LIMIT 20)`;
    await tx`UPDATE post SET pinned_at = at WHERE id IN (SELECT id FROM post WHERE author = ${BUSY} ORDER BY id LIMIT 3)`;
    await tx`INSERT INTO post_tag (post, author, tag) SELECT id, author, ${COMMON} FROM post WHERE id % 2 = 0`;
    // A hashtag of all the others, of which the busy one has the fewest that fill a page; and pictures of people here.
    await tx`
      INSERT INTO post_tag (post, author, tag) SELECT id, author, ${OTHERS} FROM post
       WHERE author <> ${BUSY} OR id IN (SELECT id FROM post WHERE author = ${BUSY} ORDER BY id LIMIT 12)`;
    await tx`UPDATE post SET attachments = '[]' WHERE id IN (SELECT id FROM post WHERE text IS NOT NULL ORDER BY id LIMIT 12)`;
    await tx`INSERT INTO post_word (word, post) SELECT ${COMMON}, id FROM post WHERE id % 2 = 0`;
    await tx`
      INSERT INTO home (account, id, post, actor)
      SELECT ${READER}, id, id, author FROM post WHERE author = ${BUSY} ORDER BY id DESC LIMIT 300 ON CONFLICT DO NOTHING`;
    await tx`
      INSERT INTO flattr (period, id, patron, thing, split, source, private, at)
      SELECT ${periodNumber(periodOf(Temporal.Now.instant()))}, f.id, x.id, f.thing, t.split, 'favourite', false, f.at
        FROM favourite f JOIN account x ON x.actor = f.actor JOIN thing t ON t.id = f.thing
       WHERE x.id <> ${READER}`;
    await tx`INSERT INTO trend (post, rank, flattrs, at) SELECT id, row_number() OVER (ORDER BY id), 1, at FROM post ORDER BY id LIMIT 50`;
    // One conversation that is the same on both.
    const [talk] = await tx<[{ id: bigint; uri: string }]>`
      SELECT p.id, t.uri FROM post p JOIN thing t ON t.id = p.thing
       WHERE p.visibility = 'public' AND p.text IS NULL AND p.in_reply_to IS NULL AND p.author <> ${BUSY} ORDER BY p.id LIMIT 1`;
    await tx`UPDATE post SET in_reply_to = 'https://nowhere.example/' || id WHERE in_reply_to = ${talk.uri}`;
    await tx`
      UPDATE post SET in_reply_to = ${talk.uri}
       WHERE id IN (SELECT id FROM post WHERE author <> ${BUSY} AND id > ${talk.id} ORDER BY id DESC LIMIT ${ANSWERS})`;
  });
  // As where there are many more people: PostgreSQL thinks that nobody does anything often.
  await database.sql`ALTER TABLE favourite ALTER actor SET (n_distinct = -0.25)`;
  await database.sql`ALTER TABLE post_mention ALTER actor SET (n_distinct = -0.25)`;
  await database.sql`ALTER TABLE flattr ALTER patron SET (n_distinct = -0.25)`;
  await database.sql`VACUUM ANALYZE`;
  return observe(database, (end) => ends.push(end));
}

/** Asks everything that a reader's client asks, one after the other. */
async function everything({ database, plansOf }: Observed): Promise<Asked> {
  const now = Temporal.Now.instant();
  const house = clientHouse(database, now.toString());
  const [reader] = await database.drizzle.select().from(account).where(eq(account.id, READER));
  const ask = await house.as(reader!, "read write follow push money:read flattr:read flattr:write");
  const [{ id }] = await database.sql<[{ id: bigint }]>`
    SELECT p.id FROM post p JOIN thing t ON t.id = p.thing JOIN post r ON r.in_reply_to = t.uri
     GROUP BY p.id HAVING count(*) = ${ANSWERS}`;
  const asked = new Map<string, readonly Plan[]>();
  const answered = async (method: string, path: string, body?: unknown) => {
    let answer: Awaited<ReturnType<typeof ask>> | undefined;
    const plans = await plansOf(async () => {
      answer = await ask(method, path, body);
    });
    const name = `${method} ${path.replaceAll(/\d{5,}/g, "N")}`;
    asked.set(name, plans);
    expect([name, answer!.status < 300]).toEqual([name, true]);
    return answer!.body as { readonly id: string };
  };
  const heard = async (name: string, work: () => Promise<unknown>) =>
    asked.set(name, await plansOf(work));

  const { id: list } = await answered("POST", "/api/v1/lists", { title: "Busy" });
  await answered("POST", `/api/v1/lists/${list}/accounts`, { account_ids: [String(BUSY)] });
  await answered("POST", "/api/v2/filters", {
    title: "No rain",
    context: ["home", "public", "thread", "notifications", "account"],
    keywords_attributes: [{ keyword: "rain" }],
  });
  const post = `/api/v1/statuses/${id}`;
  for (const what of ["favourite", "bookmark", "reblog", "mute", "unmute", "unreblog"])
    await answered("POST", `${post}/${what}`);
  for (const what of ["", "/context", "/history", "/favourited_by", "/reblogged_by"])
    await answered("GET", `${post}${what}?${LIMIT}`);
  // Every address without an id, as it is.
  const plain = house.app.routes.filter(
    ({ method, path }) =>
      method === "GET" && /^\/api\/(?!v1\/streaming|v1\/media)[^:*]+$/.test(path),
  );
  for (const path of new Set(plain.map((route) => route.path)))
    await plansOf(() => ask("GET", `${path}?${LIMIT}`)).then((plans) =>
      asked.set(`GET ${path}`, plans),
    );
  const pages = [
    "timelines/home?max_id=9000000000000000000&",
    "timelines/public?max_id=9000000000000000000&",
    "timelines/public?min_id=1&",
    "timelines/public?local=true&",
    "timelines/public?remote=true&",
    "timelines/public?only_media=true&",
    "timelines/public?local=true&only_media=true&",
    "timelines/public?remote=true&only_media=true&",
    `timelines/tag/${COMMON}?`,
    `timelines/tag/${COMMON}?any[]=tag31&none[]=tag7&only_media=true&`,
    `timelines/list/${list}?`,
    `accounts/${BUSY}/statuses?`,
    `accounts/${BUSY}/statuses?pinned=true&`,
    `accounts/${BUSY}/statuses?only_media=true&`,
    `accounts/${BUSY}/statuses?only_media=true&max_id=9000000000000000000&`,
    `accounts/${BUSY}/statuses?exclude_replies=true&`,
    `accounts/${BUSY}/statuses?exclude_replies=true&max_id=9000000000000000000&`,
    `accounts/${BUSY}/statuses?exclude_reblogs=true&`,
    `accounts/${BUSY}/statuses?tagged=${COMMON}&`,
    `accounts/${BUSY}/statuses?tagged=${OTHERS}&`,
    `accounts/${BUSY}?`,
    `accounts/${BUSY}/followers?`,
    `accounts/${READER}/following?`,
    `accounts/relationships?id[]=${BUSY}&id[]=2000000008&`,
    "accounts/lookup?acct=c7@s7.example&",
    "accounts/search?q=c1&",
    "notifications?types[]=mention&",
    "notifications?max_id=9000000000000000000&",
  ];
  for (const page of pages) await answered("GET", `/api/v1/${page}${LIMIT}`);
  // Of strangers the conditions are others.
  for (const page of pages.filter((one) => /^(?:timelines\/(?:public|tag)|accounts\/\d)/.test(one)))
    await heard(`stranger ${page}`, async () =>
      expect((await house.ask("GET", `/api/v1/${page}${LIMIT}`)).status).toBe(200),
    );
  for (const what of ["", "/context", "/favourited_by"])
    await heard(`stranger post${what}`, () => house.ask("GET", `${post}${what}?${LIMIT}`));
  for (const [type, text] of [
    ["accounts", "creator"],
    ["statuses", COMMON],
    ["statuses", `${COMMON} nowhere`],
    ["hashtags", "tag"],
  ])
    await answered("GET", `/api/v2/search?type=${type}&q=${text}&${LIMIT}`);
  await answered("GET", "/api/v2/notifications?grouped_types[]=favourite&limit=10");
  await heard("POST favourite again", () => ask("POST", `${post}/favourite`));
  await answered("POST", `${post}/unfavourite`);
  const text = `Hello @c7@s7.example, #${COMMON}`;
  const { id: own } = await answered("POST", "/api/v1/statuses", { status: text });
  const reply = { status: "And more", in_reply_to_id: own };
  await heard("POST an answer", () => ask("POST", "/api/v1/statuses", reply));
  await answered("PUT", `/api/v1/statuses/${own}`, { status: `${text}!` });
  await answered("DELETE", `/api/v1/statuses/${own}`);
  for (const what of ["mute", "unmute", "unfollow", "follow", "block", "unblock"])
    await answered("POST", `/api/v1/accounts/${BUSY}/${what}`);

  const [subject, accounts] = [id, [READER, READER + 1n]];
  const listened = { accounts, tags: [COMMON], lists: [BigInt(list)] };
  for (const kind of ["post", "edit", "boost"] as const)
    await heard(`stream ${kind}`, () => audienceOf(database, { kind, subject }, listened, now));
  await heard("stream gone", () => audienceOfGone(database, subject, accounts));
  return asked;
}

/** Tables that were read from one end to the other, with the plans. */
function scans(asked: Asked): readonly string[] {
  return [...asked].flatMap(([name, plans]) =>
    plans.flatMap(({ scanned, query, text }) => {
      const wrong = scanned.filter(isGrowing);
      return wrong.length === 0 ? [] : [`${name}: scans ${wrong.join(", ")}\n${query}\n${text}`];
    }),
  );
}

/** What looked at more on the large instance, with the plan there. */
function growth(few: Asked, many: Asked): readonly string[] {
  return [...many].flatMap(([name, plans]) => {
    const before = byQuery(few.get(name) ?? []);
    return [...byQuery(plans)].flatMap(([query, { rows, pages, text }]) => {
      const { rows: rowsBefore, pages: pagesBefore } = before.get(query) ?? { rows: 0, pages: 0 };
      const isMore =
        rows > rowsBefore * TIMES_MAX + MORE_ROWS_MAX ||
        pages > pagesBefore * TIMES_MAX + MORE_PAGES_MAX;
      return isMore
        ? [
            `${name}: ${rowsBefore} rows became ${rows}, ${pagesBefore} pages ${pages}\n${query}\n${text}`,
          ]
        : [];
    });
  });
}

/** The same statement may be done more than once for one answer. */
function byQuery(
  plans: readonly Plan[],
): ReadonlyMap<string, Pick<Plan, "rows" | "pages" | "text">> {
  const all = new Map<string, Pick<Plan, "rows" | "pages" | "text">>();
  for (const { query, rows, pages, text } of plans) {
    const known = all.get(query) ?? { rows: 0, pages: 0 };
    all.set(query, { rows: known.rows + rows, pages: known.pages + pages, text });
  }
  return all;
}
