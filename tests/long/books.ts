/** Reads what instances have in their databases, and compares it: with each other, and with what was acknowledged. */

import { readConfig } from "../../src/config.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { openInstance } from "../../src/instance.ts";
import type { Acknowledged } from "../support/disturbance.ts";
import type { Click, Doings } from "./doings.ts";
import type { House } from "./houses.ts";

/** Where one line with another instance stands. */
interface Line {
  readonly host: string;
  readonly state: string;
  readonly alarm: string | null;
  readonly acceptedIn: bigint;
  readonly settledIn: bigint;
  readonly acceptedOut: bigint;
  readonly settledOut: bigint;
}

/** What one instance has in its database. */
export interface Book {
  readonly house: House;
  readonly findings: readonly unknown[];
  readonly lines: readonly Line[];
  /** Lines of ours by host: month, part, beneficiary, amount, state. */
  readonly owed: readonly {
    host: string;
    key: string;
    payee: string;
    amount: bigint;
    state: string;
    reason: string | null;
  }[];
  /** Lines of others by host, as they were credited here. */
  readonly credited: readonly {
    host: string;
    key: string;
    once: string;
    account: string;
    amount: bigint;
  }[];
  /** From the ledger's entries: what was promised by each host to each account, and what of it became earnings. */
  readonly booked: readonly { host: string; account: string; pending: bigint; released: bigint }[];
  readonly statements: ReadonlyMap<string, string>;
  readonly activities: ReadonlySet<string>;
  /** Flattrs: `patron thing` and months. */
  readonly flattrs: ReadonlyMap<string, readonly { month: string; id: string }[]>;
  /** Favourites of people elsewhere: `actor thing`. */
  readonly favourites: ReadonlySet<string>;
  /** `follower followee`, accepted. */
  readonly follows: ReadonlySet<string>;
  readonly things: ReadonlySet<string>;
  readonly transfers: number;
}

/** Reads an instance that does not run. */
export async function readBook(house: House): Promise<Book> {
  const instance = await openInstance(readConfig({ ...house.environment, DATA_DIR: house.folder }));
  try {
    const { sql } = instance.database;
    const month = sql`to_char(p.opens AT TIME ZONE 'UTC', 'YYYY-MM')`;
    const flattrs = new Map<string, { month: string; id: string }[]>();
    for (const row of await sql<{ pair: string; month: string; id: bigint }[]>`
      SELECT a.uri || ' ' || t.uri AS pair, ${month} AS month, f.id FROM flattr f JOIN period p ON p.id = f.period
        JOIN account x ON x.id = f.patron JOIN actor a ON a.id = x.actor JOIN thing t ON t.id = f.thing ORDER BY f.id`)
      flattrs.set(row.pair, [
        ...(flattrs.get(row.pair) ?? []),
        { month: row.month, id: String(row.id) },
      ]);
    const texts = async (rows: Promise<{ text: string }[]>) =>
      new Set((await rows).map(({ text }) => text));
    const statements = await sql<{ id: string; digest: string }[]>`
      SELECT direction || ' ' || p.host || ' ' || s.seq AS id, digest FROM statement s JOIN peer p ON p.id = s.peer
      UNION ALL SELECT 'id ' || s.id, digest FROM statement s`;
    const [{ transfers }] = await sql<
      [{ transfers: number }]
    >`SELECT count(*)::int AS transfers FROM statement WHERE kind = 'Transfer' AND direction = 'out'`;
    return {
      house,
      findings: await checkBooks(instance.database),
      transfers,
      lines: await sql<Line[]>`
        SELECT p.host, p.state, (SELECT string_agg(a.alarm, '; ') FROM peer_alarm a WHERE a.peer = p.id AND a.cleared_at IS NULL) AS alarm, x.accepted_in AS "acceptedIn", x.settled_in AS "settledIn",
               x.accepted_out AS "acceptedOut", x.settled_out AS "settledOut"
          FROM peer p JOIN position x ON x.peer = p.id ORDER BY p.host`,
      owed: await sql<Book["owed"][number][]>`
        SELECT q.host, concat_ws(' ', ${month}, l.part, a.uri, l.amount) AS key, a.uri AS payee, l.amount, l.state, l.reason
          FROM line l JOIN peer q ON q.id = l.peer JOIN actor a ON a.id = l.payee JOIN period p ON p.id = l.period ORDER BY key`,
      credited: await sql<Book["credited"][number][]>`
        SELECT q.host, concat_ws(' ', ${month}, t.kind, l.beneficiary, l.amount) AS key,
               concat_ws(' ', ${month}, t.kind, l.beneficiary, l.currency) AS once, c.name AS account, l.amount
          FROM transfer_line l JOIN transfer_in t ON t.peer = l.peer AND t.seq = l.seq JOIN peer q ON q.id = l.peer
          JOIN period p ON p.id = l.period JOIN account c ON c.id = l.account ORDER BY key`,
      booked: await sql<Book["booked"][number][]>`
        SELECT q.host, c.name AS account, sum(e.amount)::bigint AS pending,
               (-COALESCE(sum(e.amount) FILTER (WHERE t.kind = 'release'), 0))::bigint AS released
          FROM ledger.entry e JOIN ledger.account a ON a.id = e.account AND a.kind = 'pending' JOIN ledger.transfer t ON t.id = e.transfer
          JOIN account c ON c.id = a.owner JOIN peer q ON q.id = a.peer GROUP BY q.host, c.name ORDER BY 1, 2`,
      statements: new Map(statements.map(({ id, digest }) => [id, digest])),
      activities: await texts(sql<{ text: string }[]>`SELECT id AS text FROM activity`),
      flattrs,
      favourites: await texts(sql<{ text: string }[]>`
        SELECT a.uri || ' ' || t.uri AS text FROM favourite f JOIN actor a ON a.id = f.actor JOIN thing t ON t.id = f.thing`),
      follows: await texts(sql<{ text: string }[]>`
        SELECT a.uri || ' ' || b.uri AS text FROM follow f JOIN actor a ON a.id = f.follower JOIN actor b ON b.id = f.followee
         WHERE f.state = 'accepted'`),
      things: await texts(
        sql<{ text: string }[]>`SELECT uri AS text FROM thing WHERE deleted_at IS NULL`,
      ),
    };
  } finally {
    await instance.close();
  }
}

/** Books of two instances that keep lines with each other. @returns what does not agree */
export function disagreements(books: readonly Book[]): string[] {
  const wrong: string[] = [];
  for (const one of books) {
    const { name, host } = one.house;
    for (const finding of one.findings) wrong.push(`${name}: ${JSON.stringify(finding)}`);
    const seen = new Set<string>();
    for (const { host: from, once } of one.credited) {
      if (seen.has(`${from} ${once}`)) wrong.push(`${name}: ${from} is credited twice: ${once}`);
      seen.add(`${from} ${once}`);
    }
    for (const line of one.lines) {
      const who = `${name} with ${line.host}`;
      if (line.state !== "open") wrong.push(`${who}: ${line.state}: ${line.alarm}`);
      const other = books.find((book) => book.house.host === line.host)!;
      const back = other.lines.find((known) => known.host === host);
      const theirs = { accepted: back?.acceptedIn ?? 0n, settled: back?.settledIn ?? 0n };
      if (line.acceptedOut !== theirs.accepted || line.settledOut !== theirs.settled)
        wrong.push(
          `${who}: accepted ${line.acceptedOut}, settled ${line.settledOut} instead of ${theirs.accepted}, ${theirs.settled}`,
        );
      wrong.push(...compareLines(who, one, other), ...compareLogs(who, one, other));
    }
  }
  return wrong;
}

/** What the debtor says was accepted, line by line and creator by creator, against what the creditor has booked. */
function compareLines(who: string, debtor: Book, creditor: Book): string[] {
  const wrong: string[] = [];
  const said = debtor.owed.filter(
    ({ host, state }) => host === creditor.house.host && state === "accepted",
  );
  const credited = creditor.credited.filter(({ host }) => host === debtor.house.host);
  const differ = (what: string, keys: readonly string[], others: readonly string[]) => {
    const left = new Set(others);
    const missing = keys.filter((key) => !left.has(key));
    if (missing.length > 0) wrong.push(`${who}: ${what}: ${missing.join(", ")}`);
  };
  const [ours, theirs] = [said, credited].map((lines) => lines.map(({ key }) => key));
  differ("accepted, and not credited", ours!, theirs!);
  differ("credited, and not accepted", theirs!, ours!);
  const sums = new Map<string, bigint>();
  for (const { payee, amount } of said) {
    const account = payee.split("/").at(-1)!;
    sums.set(account, (sums.get(account) ?? 0n) + amount);
  }
  for (const { host, account, pending, released } of creditor.booked) {
    if (host !== debtor.house.host) continue;
    if (pending + released !== (sums.get(account) ?? 0n))
      wrong.push(
        `${who}: ${account} has ${pending} pending and ${released} released instead of ${sums.get(account) ?? 0n}`,
      );
    sums.delete(account);
  }
  for (const [account, amount] of sums) wrong.push(`${who}: ${account} has nothing of ${amount}`);
  return wrong;
}

/** What the one has sent is what the other has received, to the digest. */
function compareLogs(who: string, one: Book, other: Book): string[] {
  const wrong: string[] = [];
  for (const [id, digest] of one.statements) {
    const [direction, host, seq] = id.split(" ");
    if (direction === "id" || host !== other.house.host) continue;
    const way = direction === "out" ? "in" : "out";
    const there = other.statements.get(`${way} ${one.house.host} ${seq}`);
    if (there !== digest) wrong.push(`${who}: statement ${direction} ${seq} is ${there} there`);
  }
  return wrong;
}

/** True when what an instance did at an instant is not in its database, since that is from a backup. */
export function isForgotten({ forgotten }: House, from: number, to = from): boolean {
  return forgotten.some((span) => to >= span.from && from <= span.to);
}

/** How much there was to look at. */
export interface Looked {
  activities: number;
  statements: number;
  clicks: number;
  favourites: number;
  follows: number;
}

/** Everything that was acknowledged, to people and to other instances. @returns what is not there */
export function missing(
  books: readonly Book[],
  { clicks }: Doings,
  acknowledged: readonly Acknowledged[],
  looked: Looked,
): string[] {
  return [
    ...missingLetters(books, acknowledged, looked),
    ...missingClicks(books, clicks, looked),
    ...wrongFavourites(books, clicks, acknowledged, looked),
    ...wrongFollows(books, looked),
  ];
}

function missingLetters(
  books: readonly Book[],
  acknowledged: readonly Acknowledged[],
  looked: Looked,
): string[] {
  const wrong: string[] = [];
  for (const { port, path, status, body, at } of acknowledged) {
    const book = books.find(({ house }) => house.settings.publicPort === port)!;
    const id = String(body["id"]);
    if (path === "/ledger") {
      // 202: it has a gap, and nothing of this was taken. A statement comes back even after a restore.
      if (status === 202) continue;
      looked.statements += 1;
      if (!book.statements.has(`id ${id}`))
        wrong.push(`${book.house.name}: ${id} is not in its log`);
    } else if (!isForgotten(book.house, at)) {
      looked.activities += 1;
      if (!book.activities.has(id))
        wrong.push(
          `${book.house.name}: ${String(body["type"])} ${id} was acknowledged and is not there`,
        );
    }
  }
  return [...new Set(wrong)];
}

/** For each patron, thing and month: what is there at the end, as far as the patron can know. */
function missingClicks(books: readonly Book[], clicks: readonly Click[], looked: Looked): string[] {
  const states = new Map<string, "there" | "gone" | "unsure">();
  const last = new Map<string, Click>();
  for (const click of clicks) {
    if (click.result === "refused" || click.result === "withdrawn") continue;
    const key = `${click.patron} ${click.thing} ${click.month}`;
    const before = states.get(key) ?? "gone";
    const wanted = click.act === "flattr" ? "there" : "gone";
    const isSure = click.result === "done" && !isForgotten(click.house, click.from, click.to);
    states.set(key, isSure || before === wanted ? wanted : "unsure");
    last.set(key, click);
  }
  const wrong: string[] = [];
  for (const [key, state] of states) {
    if (state === "unsure") continue;
    looked.clicks += 1;
    const { house, patron, thing, month } = last.get(key)!;
    const book = books.find((one) => one.house === house)!;
    const isThere =
      book.flattrs.get(`${patron} ${thing}`)?.some((row) => row.month === month) ?? false;
    if (isThere !== (state === "there"))
      wrong.push(
        `${house.name}: ${key} is ${isThere ? "there" : "not there"}, but should be ${state}: ${history(`${patron} ${thing}`, clicks, [])}; ${whereIs(book, last.get(key)!)}`,
      );
  }
  return wrong;
}

function whereIs({ flattrs }: Book, { flattr }: Click): string {
  const found = [...flattrs].find(([, rows]) => rows.some(({ id }) => id === flattr));
  return `flattr ${flattr ?? "unknown"} is ${found === undefined ? "nowhere" : `of ${found[0]}`}`;
}

/** Each thing shows those who flattr it, as far as one click or one taking back decides that. */
function wrongFavourites(
  books: readonly Book[],
  clicks: readonly Click[],
  acknowledged: readonly Acknowledged[],
  looked: Looked,
): string[] {
  const touched = new Set<string>();
  for (const { house, patron, thing, from, to } of clicks)
    if (isForgotten(house, from, to)) touched.add(`${patron} ${thing}`);
  for (const { port, body, at } of acknowledged) {
    const { house } = books.find((book) => book.house.settings.publicPort === port)!;
    if (isForgotten(house, at)) touched.add(`${String(body["actor"])} ${aboutOf(body)}`);
  }
  const wrong: string[] = [];
  for (const pair of new Set(clicks.map(({ patron, thing }) => `${patron} ${thing}`))) {
    const [patron, thing] = pair.split(" ") as [string, string];
    const home = books.find(({ house }) => patron.startsWith(`${house.origin}/`))!;
    const away = books.find(({ house }) => thing.startsWith(`${house.origin}/`))!;
    if (home === away || touched.has(pair) || !away.things.has(thing)) continue;
    const rows = home.flattrs.get(pair) ?? [];
    const all = clicks.filter((one) => one.patron === patron && one.thing === thing);
    const months = all.filter(({ result }) => result === "done" || result === "unsure");
    // Once the month is over a favourite may be withdrawn while its flattr stays; nobody knows who died meanwhile.
    if (months.length === 0 || all.some(({ result }) => result === "withdrawn")) continue;
    if (all.some(({ act, result }) => act === "unflattr" && result === "unsure")) continue;
    const newest = months
      .map(({ month }) => month)
      .sort()
      .at(-1)!;
    // Given in an earlier month and taken back in a later one, it is both.
    if (rows.length > 0 && !rows.some(({ month }) => month === newest)) continue;
    looked.favourites += 1;
    const isThere = away.favourites.has(pair);
    if (isThere !== rows.length > 0)
      wrong.push(
        `${away.house.name}: the favourite ${pair} is ${isThere ? "there, and undone" : "missing"}: ${history(pair, clicks, acknowledged)}`,
      );
  }
  return wrong;
}

function history(
  pair: string,
  clicks: readonly Click[],
  acknowledged: readonly Acknowledged[],
): string {
  const time = (ms: number) => new Date(ms).toISOString().slice(14, 23);
  return [
    ...clicks
      .filter(({ patron, thing }) => `${patron} ${thing}` === pair)
      .map(
        ({ act, month, result, flattr, from, to }) =>
          [from, `${time(from)}–${time(to)} ${act} ${month} ${result} ${flattr ?? ""}`] as const,
      ),
    ...acknowledged
      .filter(({ body }) => `${String(body["actor"])} ${aboutOf(body)}` === pair)
      .map(
        ({ body, at }) =>
          [at, `${time(at)} ${String(body["type"])} ${String(body["id"])} taken`] as const,
      ),
  ]
    .sort(([one], [other]) => one - other)
    .map(([, words]) => words)
    .join("; ");
}

/** The thing that a Like is about, or that of the Like that an Undo takes back. */
function aboutOf({ object }: Readonly<Record<string, unknown>>): string {
  if (typeof object === "object" && object !== null && "object" in object)
    return String(object.object);
  return String(object);
}

/** Whoever follows is known as a follower. What a restored instance has forgotten cannot be compared. */
function wrongFollows(books: readonly Book[], looked: Looked): string[] {
  const wrong: string[] = [];
  const whole = books.filter(({ house }) => house.forgotten.length === 0);
  for (const one of whole) {
    for (const other of whole) {
      if (one === other) continue;
      const between = (book: Book) =>
        [...book.follows].filter((pair) => {
          const [follower, followee] = pair.split(" ");
          return (
            follower!.startsWith(`${one.house.origin}/`) &&
            followee!.startsWith(`${other.house.origin}/`)
          );
        });
      const [here, there] = [between(one), between(other)];
      looked.follows += here.length;
      for (const pair of here)
        if (!there.includes(pair)) wrong.push(`${other.house.name}: does not know that ${pair}`);
      for (const pair of there)
        if (!here.includes(pair)) wrong.push(`${one.house.name}: has forgotten that ${pair}`);
    }
  }
  return wrong;
}
