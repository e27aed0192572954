/** A synthetic month, made in sets: patrons, creators elsewhere, money, and flattrs in random order of arrival. */

import type postgres from "postgres";
import { periodNumber } from "../src/rules/period.ts";
import { turnMonths } from "../src/features/settlement/turn.ts";
import { withClient, withDatabase } from "./server.ts";
import { MONTH, MONTH_OPENS } from "./settings.ts";

/** Creators, the servers that they are on, and how many things each one has made. */
const CREATORS = 50_000;
const ORIGINS = 2_000;
const THINGS_EACH = 10;

export const THINGS = CREATORS * THINGS_EACH;

/** One patron in so many has an empty purse. */
const EMPTY_PURSE_EVERY = 50;

/** First ids; everything else is counted up from them. */
const FIRST_ACTOR = 1_000_000_000;
const FIRST_PATRON = 2_000_000_000;
const FIRST_THING = 3_000_000_000;

/** The id of the patron or thing of that number, counted from 1. */
export const patronId = (number: number): bigint => BigInt(FIRST_PATRON + number);
export const thingId = (number: number): bigint => BigInt(FIRST_THING + number);

/** How a month is filled. */
export interface Size {
  readonly patrons: number;
  /** Things that each patron draws; drawing one twice counts once. 0: no flattrs. */
  readonly draws: number;
}

/** Opens the month and fills it. The triggers of the ledger are on; those of flattr are off, it is the right month. */
export async function fillMonth(url: string, { patrons, draws }: Size): Promise<void> {
  await withDatabase(url, 2, (database) => turnMonths(database, MONTH_OPENS));
  await withClient(url, async (sql) => {
    await sql`SELECT setseed(0.5)`;
    await fillCreators(sql);
    await fillPatrons(sql, patrons);
    if (draws > 0) await fillFlattrs(sql, patrons, draws);
    await sql`VACUUM (ANALYZE, FREEZE)`;
  });
}

async function fillCreators(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(`
    INSERT INTO actor (id, uri, host, found_at)
    SELECT ${FIRST_ACTOR} + n, format('https://s%s.example/users/c%s', n % ${ORIGINS}, n), format('s%s.example', n % ${ORIGINS}), '2026-11-01Z'
      FROM generate_series(1, ${CREATORS}) n;
    INSERT INTO split (id, key) SELECT id, format('[["%s",1]]', uri) FROM actor;
    INSERT INTO split_part (split, payee, weight) SELECT id, id, 1 FROM actor;
    INSERT INTO ledger.account (kind, owner, currency, floor) SELECT 'waiting', id, 'EUR', 0 FROM actor ORDER BY id;
    INSERT INTO thing (id, uri, kind, split, found_at)
    SELECT ${FIRST_THING} + n, format('https://s%s.example/notes/%s', creator % ${ORIGINS}, n), 'Note', ${FIRST_ACTOR} + creator, '2026-11-01Z'
      FROM (SELECT n, (n - 1) / ${THINGS_EACH} + 1 AS creator FROM generate_series(1, ${THINGS}) n) things`);
}

/** Accounts with a budget of 2 to 50 EUR and as much money, except for some with an empty purse. */
async function fillPatrons(sql: postgres.Sql, patrons: number): Promise<void> {
  await sql.unsafe(`
    INSERT INTO actor (id, uri, host, found_at)
    SELECT ${FIRST_PATRON} + n, 'https://home.example/users/p' || n, 'home.example', '2026-11-01Z' FROM generate_series(1, ${patrons}) n;
    INSERT INTO account (id, actor, name, email, role, created_at)
    SELECT ${FIRST_PATRON} + n, ${FIRST_PATRON} + n, 'p' || n, format('p%s@mail.example', n), 'user', '2026-11-01Z' FROM generate_series(1, ${patrons}) n;
    INSERT INTO ledger.account (kind, owner, currency, floor)
    SELECT kind, id, 'EUR', 0 FROM account, unnest(ARRAY['budget', 'earnings']) kind ORDER BY kind, id;
    INSERT INTO budget (patron, since, amount)
    SELECT id, '2026-11-01Z', (200 + floor(random() * 4801))::bigint * 10000 FROM account ORDER BY id;
    BEGIN;
    INSERT INTO ledger.transfer (key, kind, at)
    SELECT 'cash:' || patron, 'fund', '2026-11-01Z' FROM budget WHERE patron % ${EMPTY_PURSE_EVERY} <> 0 ORDER BY patron;
    INSERT INTO cash (id, patron, amount, at, transfer)
    SELECT b.patron, b.patron, b.amount, '2026-11-01Z', t.id FROM budget b JOIN ledger.transfer t ON t.key = 'cash:' || b.patron;
    INSERT INTO ledger.entry (transfer, account, amount)
    SELECT c.transfer, a.id, c.amount FROM cash c JOIN ledger.account a ON a.kind = 'budget' AND a.owner = c.patron
    UNION ALL
    SELECT c.transfer, a.id, -c.amount FROM cash c JOIN ledger.account a ON a.kind = 'world'
    ORDER BY 1, 2;
    COMMIT`);
}

/** Creators by Zipf's law with s = 1 (a rank is drawn evenly on a logarithmic scale), one of their things evenly. */
async function fillFlattrs(sql: postgres.Sql, patrons: number, draws: number): Promise<void> {
  const month = periodNumber(MONTH);
  await sql.unsafe(`
    ALTER TABLE flattr DISABLE TRIGGER USER;
    SET work_mem = '256MB';
    CREATE TEMPORARY TABLE drawn AS
    SELECT patron, creator, (creator - 1) * ${THINGS_EACH} + 1 + floor(random() * ${THINGS_EACH})::bigint AS thing
      FROM (SELECT patron, floor(exp(random() * ln(${CREATORS + 1}.0::float8)))::bigint AS creator
              FROM generate_series(1, ${patrons}) patron, generate_series(1, ${draws})) draw;
    INSERT INTO flattr (period, id, patron, thing, split, source, private, at)
    SELECT ${month}, (floor(extract(epoch FROM at) * 1000)::bigint << 16) | (place & 65535), ${FIRST_PATRON} + patron, ${FIRST_THING} + thing,
           ${FIRST_ACTOR} + creator, 'click', false, at
      FROM (SELECT *, '2026-11-01Z'::timestamptz + place * interval '30 days' / (count(*) OVER () + 1) AS at
              FROM (SELECT *, row_number() OVER (ORDER BY random()) AS place
                      FROM (SELECT DISTINCT patron, creator, thing FROM drawn) once) placed) timed
     ORDER BY place;
    DROP TABLE drawn;
    RESET work_mem;
    ALTER TABLE flattr ENABLE TRIGGER USER`);
}
