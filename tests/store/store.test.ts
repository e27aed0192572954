import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { type Config, readConfig } from "../../src/config.ts";
import { hashPassword, isPassword } from "../../src/features/account/password.ts";
import { createAccount } from "../../src/features/account/create.ts";
import { accountNamed } from "../../src/features/account/find.ts";
import { openInstance } from "../../src/instance.ts";
import { addressOf, retrying } from "../../src/store/database.ts";
import { addJob, dropJob, handle, startJobs } from "../../src/store/jobs.ts";
import { openMasterKey, openVault } from "../../src/store/keys.ts";
import { isWriteToVanishedServer } from "../../src/store/survive.ts";
import { fromSqlTime, machineClock, sqlTime, Temporal } from "../../src/store/time.ts";
import { at, testDatabase } from "../support/database.ts";
import { databaseUrl, withServer } from "../support/server.ts";

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "fl-store-"));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** The settings of an instance on an empty database. */
async function emptyInstance(): Promise<Config> {
  const name = `fl_empty_${process.pid}_${Math.floor(performance.now() * 1000)}`;
  const serverUrl = inject("serverUrl");
  await withServer(serverUrl, (sql) => sql.unsafe(`CREATE DATABASE ${name}`));
  onTestFinished(() =>
    withServer(serverUrl, (sql) => sql.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)).then(
      () => {},
    ),
  );
  return readConfig({
    DATA_DIR: await folder(),
    DATABASE_URL: databaseUrl(serverUrl, name),
    ORIGIN: "https://one.example",
  });
}

describe("the master key", () => {
  test("is made once, readable by its owner alone", async () => {
    const file = join(await folder(), "deep/master-key");
    const vault = await openMasterKey(file, undefined);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await openMasterKey(file, vault.fingerprint)).fingerprint).toBe(vault.fingerprint);
    expect(await readFile(file, "utf8")).not.toContain(vault.fingerprint);
  });

  test("is never made anew for a database that had one, and another one's is refused", async () => {
    const home = await folder();
    const file = join(home, "master-key");
    await expect(openMasterKey(file, "0123456789abcdef")).rejects.toThrow("put the file back");
    await expect(stat(file)).rejects.toThrow();
    await openMasterKey(file, undefined);
    await expect(openMasterKey(file, "0123456789abcdef")).rejects.toThrow("another database");
    expect((await readdir(home)).sort()).toEqual(["master-key"]);
    await writeFile(file, "not a key");
    await expect(openMasterKey(file, undefined)).rejects.toThrow("32 bytes");
  });

  test("opens what it sealed, for the place it was sealed for, and nothing that was changed", () => {
    const vault = openVault(new Uint8Array(32).fill(7));
    const sealed = vault.seal(Buffer.from("secret"), "row:1");
    expect(Buffer.from(vault.unseal(sealed, "row:1")).toString()).toBe("secret");
    expect(() => vault.unseal(sealed, "row:2")).toThrow();
    expect(() => openVault(new Uint8Array(32)).unseal(sealed, "row:1")).toThrow();
    for (const place of [0, 15, sealed.length - 1]) {
      const changed = Uint8Array.from(sealed);
      changed[place]! ^= 1;
      expect(() => vault.unseal(changed, "row:1")).toThrow();
    }
    expect(vault.seal(Buffer.from("secret"), "row:1")).not.toEqual(sealed);
  });

  test("missing beside a used database stops the start with a sentence, and no key is written", async () => {
    const config = await emptyInstance();
    await (await openInstance(config)).close();
    await rm(config.masterKeyFile);
    await expect(openInstance(config)).rejects.toThrow("put the file back");
    await expect(stat(config.masterKeyFile)).rejects.toThrow();
  });

  test("keeps the signing key unreadable in the database", async () => {
    const { sql } = await testDatabase();
    const [row] = await sql<
      [{ sealed: Buffer; public: string }]
    >`SELECT sealed, public_jwk AS public FROM signing_key`;
    expect(row.sealed.toString("latin1")).not.toMatch(/"d"|kty/);
    expect(JSON.parse(row.public)).not.toHaveProperty("d");
  });
});

describe("an instance", () => {
  test("is made once by many processes that start at once", async () => {
    const config = await emptyInstance();
    const instances = await Promise.all([1, 2, 3].map(() => openInstance(config)));
    const [{ database }] = instances as [(typeof instances)[number]];
    expect(await database.sql`SELECT kind FROM ledger.account ORDER BY kind`).toEqual([
      { kind: "fee" },
      { kind: "world" },
    ]);
    expect(await database.sql`SELECT use FROM signing_key ORDER BY use`).toEqual([
      { use: "receipt" },
      { use: "statement" },
    ]);
    for (const instance of instances) await instance.close();
  });

  test("keeps its origin and its currency", async () => {
    const config = await emptyInstance();
    await (await openInstance(config)).close();
    await expect(openInstance({ ...config, origin: "https://two.example" })).rejects.toThrow(
      "belongs to https://one.example",
    );
    await expect(openInstance({ ...config, currency: "USD" })).rejects.toThrow("in EUR");
    const again = await openInstance({ ...config, origin: undefined });
    expect(again.database.settings.origin).toBe("https://one.example");
    await again.close();
  });

  test("that is public keeps its clock, whatever the shell says about its origin", async () => {
    const config = await emptyInstance();
    await (await openInstance(config)).close();
    const shifted = { ...config, origin: undefined, clockOffset: Temporal.Duration.from("P2M") };
    await expect(openInstance(shifted)).rejects.toThrow("CLOCK_OFFSET is for trials");
    await (await openInstance({ ...shifted, isUnsafeTrial: true })).close();
  });

  test("refuses a database that a newer program used", async () => {
    const config = await emptyInstance();
    const instance = await openInstance(config);
    await instance.database
      .sql`INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('newer', 9999999999999)`;
    await instance.close();
    await expect(openInstance(config)).rejects.toThrow("newer Fediflattr");
  });
});

describe("the clock", () => {
  test("shifts the time of the domain by the calendar and leaves the real one alone", () => {
    const clock = machineClock(Temporal.Duration.from("P1M"));
    const expected = clock.real().toZonedDateTimeISO("UTC").add({ months: 1 }).toInstant();
    expect(Math.abs(clock.now().epochMilliseconds - expected.epochMilliseconds)).toBeLessThan(1000);
  });

  test("goes to the database and back without loss", async () => {
    const database = await testDatabase();
    for (const text of [
      "2026-11-30T23:59:59.999Z",
      "1999-12-31T23:59:59Z",
      "2400-02-29T00:00:00.001Z",
    ]) {
      const [row] = await database.drizzle.execute<{ at: string }>(
        sql`SELECT ${sqlTime(at(text))}::timestamptz AS at`,
      );
      expect(fromSqlTime(row!.at).equals(at(text))).toBe(true);
    }
  });
});

describe("ids", () => {
  test("are ordered by time and of constant length for a century, and never repeat", async () => {
    const { sql } = await testDatabase();
    const [row] = await sql<[{ ids: number; ordered: boolean; shortest: number; longest: number }]>`
      SELECT count(DISTINCT id)::int AS ids, bool_and(before IS NULL OR before < id) AS ordered, min(length(id::text)) AS shortest, max(length(id::text)) AS longest
        FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before
                FROM (SELECT n, new_id('2026-01-01'::timestamptz + n * interval '1 week') AS id FROM generate_series(1, 5000) n) made) compared`;
    expect(row).toEqual({ ids: 5000, ordered: true, shortest: 18, longest: 18 });
  });

  test("that collide are drawn again", async () => {
    const database = await testDatabase();
    await database.sql`INSERT INTO actor (id, uri, host, found_at) VALUES (new_id('2026-11-05'), 'https://far.example/x', 'far.example', now())`;
    // The counter comes round to the number that this millisecond has seen already.
    await database.sql`SELECT setval('id_tail', (SELECT id & 65535 FROM actor), false)`;
    const made = await createAccount(database, {
      name: "alice",
      email: "a@mail.example",
      role: "user",
      at: at("2026-11-05T00:00:00Z"),
    });
    expect(made.name).toBe("alice");
    let tries = 0;
    await retrying(async () => {
      tries += 1;
      if (tries === 1)
        await database.sql`INSERT INTO actor (id, uri, host, found_at) SELECT id, 'https://far.example/y', host, found_at FROM actor LIMIT 1`;
    });
    expect(tries).toBe(2);
  });
});

describe("jobs", () => {
  test("run if their transaction is committed, once, and again after a failure", async () => {
    const database = await testDatabase();
    const greet = { name: "test.greet" } as { name: string; payload?: { to: string } };
    const seen: string[] = [];
    await database.drizzle.transaction((tx) => addJob(tx, greet, { to: "committed" }, "one"));
    await database.drizzle.transaction((tx) => addJob(tx, greet, { to: "replaced" }, "two"));
    await database.drizzle.transaction((tx) => addJob(tx, greet, { to: "committed too" }, "two"));
    await database.drizzle
      .transaction(async (tx) => {
        await addJob(tx, greet, { to: "rolled back" }, "three");
        throw new Error("no");
      })
      .catch(() => {});
    const jobs = startJobs(database.url, [
      { handlers: [handle(greet, async ({ to }) => void seen.push(to))], schedules: [] },
    ]);
    for (let tries = 0; seen.length < 2 && tries < 200; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
    await jobs.stop();
    expect(seen.sort()).toEqual(["committed", "committed too"]);
  });
});

describe("lanes of jobs", () => {
  test("do not wait for each other", async () => {
    const database = await testDatabase();
    const ask = { name: "test.ask" } as { name: string; payload?: { host: number } };
    const book = { name: "test.book" } as { name: string; payload?: Record<string, never> };
    const open: (() => void)[] = [];
    const seen: string[] = [];
    const jobs = startJobs(database.url, [
      {
        handlers: [
          handle(ask, async ({ host }) => {
            await new Promise<void>((resolve) => open.push(resolve));
            seen.push(`asked ${host}`);
          }),
        ],
        schedules: [],
      },
      { handlers: [handle(book, async () => void seen.push("booked"))], schedules: [] },
    ]);
    // Keys of any length: addresses of others are part of them.
    for (let host = 0; host < 8; host += 1)
      await addJob(database.drizzle, ask, { host }, `${"x".repeat(1000)}${host}`);
    await dropJob(database.drizzle, `${"x".repeat(1000)}7`);
    await expect.poll(() => open.length, { timeout: 10_000 }).toBe(2);
    await addJob(database.drizzle, book, {}, "book");
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual(["booked"]);
    const opening = setInterval(() => open.splice(0).forEach((done) => done()), 20);
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(8);
    clearInterval(opening);
    await jobs.stop();
    expect(seen).not.toContain("asked 7");
  });
});

describe("the guard against a vanished server", () => {
  test("passes over exactly the errors of that write", () => {
    const fault = new TypeError("Cannot read properties of null (reading 'write')");
    fault.stack = `TypeError: ${fault.message}\n    at Immediate.nextWrite (file:///app/node_modules/postgres/src/connection.js:255:22)`;
    expect(isWriteToVanishedServer(fault)).toBe(true);
    const broken = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
    expect(isWriteToVanishedServer(broken)).toBe(false);
    broken.stack = `Error: write EPIPE\n    at Writable.write (node:internal/streams/writable:512:10)\n    at Immediate.nextWrite [as _onImmediate] (file:///app/node_modules/postgres/src/connection.js:255:22)`;
    expect(isWriteToVanishedServer(broken)).toBe(true);
    const elsewhere = new TypeError(fault.message);
    expect(isWriteToVanishedServer(elsewhere)).toBe(false);
    expect(isWriteToVanishedServer(new Error("other"))).toBe(false);
    const other = new TypeError("Cannot read properties of null (reading 'read')");
    other.stack = fault.stack;
    expect(isWriteToVanishedServer(other)).toBe(false);
  });
});

describe("addresses of databases", () => {
  test.each([
    [
      "postgres://me:p%40ss@db.example:5433/fl",
      { host: "db.example", port: 5433, user: "me", password: "p@ss", database: "fl" },
    ],
    [
      "postgresql://me@localhost/fl?host=%2Fvar%2Frun",
      { host: "/var/run", user: "me", database: "fl" },
    ],
    [
      "postgres://db.example/fl?sslmode=verify-full",
      { host: "db.example", database: "fl", ssl: "verify-full" },
    ],
  ])("%s", (url, expected) => {
    expect(addressOf(url)).toEqual(expected);
  });
});

describe("people", () => {
  test("have a password that only they know", async () => {
    const hash = await hashPassword("correct horse battery");
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await isPassword(hash, "correct horse battery")).toBe(true);
    expect(await isPassword(hash, "correct horse batterz")).toBe(false);
    // The same letters in another encoding are the same password.
    expect(await isPassword(await hashPassword("größer-als-8"), "größer-als-8")).toBe(true);
    for (const password of ["short", "x".repeat(257)])
      await expect(hashPassword(password)).rejects.toMatchObject({ reason: "account_invalid" });
  });

  test("are known by one name and one address", async () => {
    const database = await testDatabase();
    const make = (name: string, email: string) =>
      createAccount(database, { name, email, role: "admin", at: at("2026-11-01") });
    const alice = await make("Alice", "Alice@mail.example");
    expect(await accountNamed(database.drizzle, "@ALICE")).toEqual(alice);
    await expect(make("alice", "other@mail.example")).rejects.toMatchObject({
      reason: "account_taken",
      facts: { what: "name" },
    });
    await expect(make("other", "alice@mail.example")).rejects.toMatchObject({
      reason: "account_taken",
      facts: { what: "email" },
    });
    for (const name of ["", "a b", "flattr", "x".repeat(31), "ä", "a/b", "a@b"])
      await expect(make(name, "n@mail.example")).rejects.toMatchObject({
        reason: "account_invalid",
      });
    for (const email of [
      "",
      "a@b",
      "a b@c.example",
      "a@b..example",
      "<a@b.example>",
      "a@b.example\nBcc: x@y.example",
      '"a"@b.example',
      "a@[127.0.0.1]",
    ]) {
      await expect(make("n", email)).rejects.toMatchObject({ reason: "account_invalid" });
    }
    const all = await Promise.allSettled(
      Array.from({ length: 5 }, () => make("bob", "bob@mail.example")),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});
