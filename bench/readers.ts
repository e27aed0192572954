/** A synthetic instance full of posts: people here and elsewhere, what they wrote, and one who follows many. */

import type postgres from "postgres";
import { turnMonths } from "../src/features/settlement/turn.ts";
import { Temporal } from "../src/store/time.ts";
import { withClient, withDatabase } from "./server.ts";

/** How much there is. */
export interface ReaderSize {
  readonly here: number;
  readonly elsewhere: number;
  readonly posts: number;
  readonly follows: number;
  readonly favourites: number;
  /** Whom the one reader follows. */
  readonly read: number;
}

export const READERS: ReaderSize = {
  here: 200,
  elsewhere: 20_000,
  posts: 1_000_000,
  follows: 100_000,
  favourites: 500_000,
  read: 2_000,
};

/** First ids; everything else is counted up from them. */
const FIRST_HERE = 1_000_000_000;
const FIRST_ELSEWHERE = 2_000_000_000;

/** Servers elsewhere, and one author in so many who wants to be found. */
const HOSTS = 500;
const INDEXABLE_EVERY = 20;

/** One post in so many is a reply, has a picture, a hashtag. */
const REPLY_EVERY = 4;
const PICTURE_EVERY = 5;
const TAGGED_EVERY = 3;
const TAGS = 2_000;

/** Posts are of the last year; their numbers are their order in time. */
const YEAR_SECONDS = 365 * 24 * 3600;

/** The row of `account` of the reader: the first one. */
export const READER = BigInt(FIRST_HERE + 1);

/** Words that posts are made of. */
const WORDS =
  "budget favourite click share creator server thread evening coffee bicycle garden music window river mountain letter winter summer bread paint story camera signal paper stone light shadow forest engine".split(
    " ",
  );

/** A word that some posts have, and one that hardly any has. */
export const COMMON_WORD = "coffee";

/** Fills an empty instance. Triggers are off: what they keep is made in sets. */
export async function fillReaders(url: string, origin: string, size: ReaderSize): Promise<void> {
  await withDatabase(url, 2, (database) => turnMonths(database, Temporal.Now.instant()));
  await withClient(url, async (sql) => {
    await sql`SELECT setseed(0.5)`;
    await sql`SET session_replication_role = replica`;
    await sql`SET synchronous_commit = off`;
    await sql`SET work_mem = '256MB'`;
    await sql`SET maintenance_work_mem = '256MB'`;
    await fillPeople(sql, origin, size);
    await fillPosts(sql, size);
    await fillReactions(sql, size);
    await sql`SET session_replication_role = origin`;
    await sql`VACUUM (ANALYZE, FREEZE)`;
    await sql`CHECKPOINT`;
  });
}

async function fillPeople(
  sql: postgres.Sql,
  origin: string,
  { here, elsewhere, follows, read }: ReaderSize,
): Promise<void> {
  const { host } = new URL(origin);
  await sql.unsafe(`
    INSERT INTO actor (id, uri, host, name, display_name, summary, url, inbox, shared_inbox, found_at, fetched_at, is_indexable)
    SELECT ${FIRST_HERE} + n, '${origin}/users/p' || n, '${host}', 'p' || n, 'Person ' || n, '<p>Somebody here</p>', NULL, NULL, NULL, now(), now(), true
      FROM generate_series(1, ${here}) n
    UNION ALL
    SELECT ${FIRST_ELSEWHERE} + n, format('https://s%s.example/users/c%s', n % ${HOSTS}, n), format('s%s.example', n % ${HOSTS}), 'c' || n, 'Creator ' || n,
           '<p>I make things. <a href="https://c.example">More</a></p>', format('https://s%s.example/@c%s', n % ${HOSTS}, n),
           format('https://s%s.example/users/c%s/inbox', n % ${HOSTS}, n), format('https://s%s.example/inbox', n % ${HOSTS}), now(), now(), n % ${INDEXABLE_EVERY} = 0
      FROM generate_series(1, ${elsewhere}) n;
    INSERT INTO account (id, actor, name, email, role, created_at)
    SELECT ${FIRST_HERE} + n, ${FIRST_HERE} + n, 'p' || n, format('p%s@mail.example', n), 'user', now() - interval '2 years' FROM generate_series(1, ${here}) n;
    INSERT INTO ledger.account (kind, owner, currency, floor)
    SELECT kind, id, 'EUR', 0 FROM account, unnest(ARRAY['budget', 'earnings']) kind
    UNION ALL SELECT 'waiting', id, 'EUR', 0 FROM actor WHERE id > ${FIRST_ELSEWHERE};
    INSERT INTO budget (patron, since, amount) SELECT id, now() - interval '1 year', 5000000 FROM account;
    INSERT INTO split (id, key) SELECT id, format('[["%s",1]]', uri) FROM actor;
    INSERT INTO split_part (split, payee, weight) SELECT id, id, 1 FROM actor;
    INSERT INTO follow (follower, followee, uri, state, since)
    SELECT ${READER}, ${FIRST_ELSEWHERE} + n, NULL, 'accepted', now() FROM generate_series(1, ${read}) n
    UNION
    SELECT ${FIRST_HERE} + 2 + floor(random() * (${here} - 1))::int, ${FIRST_ELSEWHERE} + 1 + floor(random() * ${elsewhere})::int, NULL, 'accepted', now()
      FROM generate_series(1, ${follows - read}) n
    ON CONFLICT DO NOTHING`);
}

async function fillPosts(sql: postgres.Sql, { here, elsewhere, posts }: ReaderSize): Promise<void> {
  const words = `(ARRAY['${WORDS.join("','")}'])`;
  const pick = (n: number) =>
    `${words}[1 + ((w.n * ${n} + w.n / ${WORDS.length * n}) % ${WORDS.length})::int]`;
  const sentence = [3, 5, 7, 11, 13, 17, 19, 23].map(pick).join(" || ' ' || ");
  await sql.unsafe(`
    CREATE TEMPORARY TABLE w AS
    SELECT n, (floor(extract(epoch FROM at) * 1000)::bigint << 16) | (n & 65535) AS id, at,
           CASE WHEN n % 100 = 0 THEN ${FIRST_HERE} + 1 + n / 100 % ${here} ELSE ${FIRST_ELSEWHERE} + 1 + floor(random() * ${elsewhere})::int END AS author
      FROM (SELECT n, now() - interval '1 second' * (${YEAR_SECONDS} * (1 - n::float8 / ${posts})) AS at FROM generate_series(1, ${posts}) n) times;
    CREATE INDEX ON w (n);
    ANALYZE w;
    INSERT INTO thing (id, uri, kind, split, found_at)
    SELECT w.id, CASE WHEN a.id < ${FIRST_ELSEWHERE} THEN a.uri || '/posts/' || w.id ELSE a.uri || '/statuses/' || w.n END, 'Note', w.author, w.at
      FROM w JOIN actor a ON a.id = w.author;
    ANALYZE thing;
    INSERT INTO post (id, author, thing, text, html, visibility, in_reply_to, url, attachments, at, language)
    SELECT w.id, w.author, w.id,
           CASE WHEN w.author < ${FIRST_ELSEWHERE} THEN ${sentence} END,
           CASE WHEN w.author >= ${FIRST_ELSEWHERE} THEN '<p>' || ${sentence} || ' <a href="https://s1.example/x" class="u-url">s1.example/x</a></p><p>' || ${sentence} || '</p>' END,
           CASE WHEN w.n % 10 = 0 THEN 'unlisted' WHEN w.n % 33 = 0 THEN 'followers' ELSE 'public' END,
           CASE WHEN w.n % ${REPLY_EVERY} = 0 AND w.n > 1000 THEN t.uri END, NULL,
           CASE WHEN w.n % ${PICTURE_EVERY} = 0 THEN '[{"url":"https://s1.example/media/1.webp","mediaType":"image/webp","description":"A picture"}]'::jsonb END,
           w.at, 'en'
      FROM w LEFT JOIN w r ON r.n = w.n - 1 - (w.n * 7 % 900) AND w.n % ${REPLY_EVERY} = 0 LEFT JOIN thing t ON t.id = r.id;
    ANALYZE post;
    ANALYZE follow;
    INSERT INTO post_tag (post, author, tag) SELECT id, author, 'tag' || n * 31 % ${TAGS} FROM w WHERE n % ${TAGGED_EVERY} = 0;
    INSERT INTO post_mention (post, actor) SELECT w.id, r.author FROM w JOIN w r ON r.n = w.n - 1 - (w.n * 7 % 900) WHERE w.n % ${REPLY_EVERY} = 0 AND w.n > 1000;
    INSERT INTO post_word (word, post)
    SELECT DISTINCT word, p.id FROM post p JOIN actor a ON a.id = p.author, regexp_split_to_table(regexp_replace(COALESCE(p.text, p.html), '<[^>]*>', ' ', 'g'), '\\W+') word
     WHERE a.is_indexable AND word <> '';
    INSERT INTO actor_count (actor, posts, last_post_at) SELECT author, count(*), max(at) FROM post GROUP BY author;
    INSERT INTO actor_count (actor, followers) SELECT followee, count(*) FROM follow GROUP BY followee
    ON CONFLICT (actor) DO UPDATE SET followers = excluded.followers;
    INSERT INTO actor_count (actor, following) SELECT follower, count(*) FROM follow GROUP BY follower
    ON CONFLICT (actor) DO UPDATE SET following = excluded.following;
    INSERT INTO home (account, id, post, actor)
    SELECT x.id, p.id, p.id, p.author FROM account x
     CROSS JOIN LATERAL (SELECT p.id, p.author FROM follow f CROSS JOIN LATERAL (
             SELECT p.id, p.author FROM post p WHERE p.author = f.followee AND p.in_reply_to IS NULL ORDER BY p.id DESC LIMIT 20) p
          WHERE f.follower = x.actor ORDER BY p.id DESC LIMIT 800) p`);
}

/** Likes, boosts, bookmarks, and what the reader was told. */
async function fillReactions(
  sql: postgres.Sql,
  { here, elsewhere, posts, favourites }: ReaderSize,
): Promise<void> {
  await sql.unsafe(`
    CREATE INDEX ON w (id);
    INSERT INTO favourite (actor, thing, id, uri, at)
    SELECT DISTINCT ON (actor, thing) actor, thing, (floor(extract(epoch FROM now()) * 1000)::bigint << 16) - k, 'https://x.example/likes/' || k, now()
      FROM (SELECT k, CASE WHEN k % 2 = 0 THEN ${FIRST_HERE} + 1 + floor(random() * ${here})::int ELSE ${FIRST_ELSEWHERE} + 1 + floor(random() * ${elsewhere})::int END AS actor,
                   w.id AS thing FROM generate_series(1, ${favourites}) k JOIN w ON w.n = 1 + (k::bigint * 7919 % ${posts})) drawn;
    INSERT INTO boost (id, actor, post, uri, at)
    SELECT DISTINCT ON (actor, post) id, actor, post, uri, now() FROM (
      SELECT (floor(extract(epoch FROM now()) * 1000)::bigint << 16) - 10000000 - k AS id, ${FIRST_ELSEWHERE} + 1 + floor(random() * ${elsewhere})::int AS actor, w.id AS post,
             'https://x.example/boosts/' || k AS uri FROM generate_series(1, ${Math.floor(favourites / 10)}) k JOIN w ON w.n = 1 + (k::bigint * 104729 % ${posts})) drawn;
    INSERT INTO notification (id, account, kind, actor, post, at)
    SELECT (floor(extract(epoch FROM now()) * 1000)::bigint << 16) - k, ${READER}, (ARRAY['favourite', 'mention', 'reblog'])[1 + k % 3], ${FIRST_ELSEWHERE} + k,
           (SELECT id FROM w WHERE n = ${posts} - k), now() FROM generate_series(1, 2000) k`);
}
