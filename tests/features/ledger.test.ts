/** Each state that must not be, tried by hand: the database refuses it, and nothing has changed. */

import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { toMicro } from "../../src/rules/amount.ts";
import { move } from "../../src/rules/posting.ts";
import { book, openLedgerAccounts } from "../../src/features/ledger/book.ts";
import { checkLedger } from "../../src/features/ledger/check.ts";
import { checkBooks } from "../../src/features/transfer/check.ts";
import { settle } from "../../src/features/settlement/settle.ts";
import { sqlFailure, type Tx } from "../../src/store/database.ts";
import {
  at,
  click,
  eur,
  leaveUnchecked,
  localPost,
  person,
  remotePost,
  snapshot,
  testDatabase,
  type TestDatabase,
} from "../support/database.ts";

/** An instance with a patron who has 20.00 and a creator, and one month closed. */
async function closedMonth(): Promise<TestDatabase> {
  const database = await testDatabase();
  const alice = await person(database, "alice", { budget: "5.00", money: "20.00" });
  const bob = await person(database, "bob");
  await click(database, alice, await localPost(database, bob));
  await click(
    database,
    alice,
    await remotePost(database, "https://far.example/1", "https://far.example/u/ann"),
  );
  await settle(database, { at: at("2026-12-01") });
  return database;
}

/** What the database says to a statement, as SQLSTATE and constraint; "accepted" if it says nothing. */
async function answerTo(
  database: TestDatabase,
  statement: string | ((tx: Tx) => Promise<unknown>),
): Promise<string> {
  try {
    await database.drizzle.transaction(async (tx) => {
      await (typeof statement === "string" ? tx.execute(sql.raw(statement)) : statement(tx));
    });
    return "accepted";
  } catch (error) {
    const failure = sqlFailure(error);
    if (failure === undefined) throw error;
    return [failure.code, failure.constraint].filter((part) => part !== undefined).join(" ");
  }
}

const newTransfer = `INSERT INTO ledger.transfer (key, kind, at) VALUES ('try', 'try', now()) RETURNING id`;
const legs = (list: string) =>
  `WITH t AS (${newTransfer}) INSERT INTO ledger.entry (transfer, account, amount) SELECT t.id, x.account, x.amount FROM t, (VALUES ${list}) x(account, amount)`;
const account = (kind: string) => `(SELECT min(id) FROM ledger.account WHERE kind = '${kind}')`;

const ILLEGAL: Record<string, [statement: string, answer: string]> = {
  "legs that do not add up to zero": [
    legs(`(${account("world")}, -5::bigint), (${account("budget")}, 4)`),
    "23514 entry_balanced",
  ],
  "a single leg": [legs(`(${account("world")}, -5::bigint)`), "23514 entry_balanced"],
  "legs that add up over two currencies only": [
    `WITH a AS (SELECT 1) ${legs(`(${account("world")}, -5::bigint), ((SELECT id FROM ledger.account WHERE currency = 'USD'), 5)`).replace("WITH t", ", t")}`,
    "23514 entry_balanced",
  ],
  "an overdraft": [
    legs(`(${account("earnings")}, -99000000::bigint), (${account("world")}, 99000000)`),
    "23514 balance_floor",
  ],
  "an unknown account": [
    legs(`(${account("world")}, -5::bigint), (999999, 5)`),
    "23503 entry_account",
  ],
  "an unknown transfer": [
    `INSERT INTO ledger.entry (transfer, account, amount) VALUES (999999, ${account("world")}, -5), (999999, ${account("budget")}, 5)`,
    "23503 entry_transfer",
  ],
  "balanced legs added to an earlier transfer": [
    `INSERT INTO ledger.entry (transfer, account, amount) SELECT t.id, x.account, x.amount FROM (SELECT min(id) AS id FROM ledger.transfer) t, (VALUES (${account("fee")}, 5::bigint), (${account("payable")}, -5)) x(account, amount)`,
    "23503 entry_transfer",
  ],
  "an empty leg": [
    legs(`(${account("world")}, 0::bigint), (${account("budget")}, 0)`),
    "23514 entry_amount",
  ],
  "an account twice in one transfer": [
    legs(`(${account("world")}, -5::bigint), (${account("world")}, 5)`),
    "23505 entry_transfer_account_pk",
  ],
  "a changed entry": ["UPDATE ledger.entry SET amount = amount + 1", "FL002"],
  "a deleted entry": ["DELETE FROM ledger.entry", "FL002"],
  "an emptied table of entries": ["TRUNCATE ledger.entry", "FL002"],
  "a changed transfer": ["UPDATE ledger.transfer SET kind = 'other'", "FL002"],
  "a deleted transfer": ["DELETE FROM ledger.transfer", "FL002"],
  "a key used twice": [
    "INSERT INTO ledger.transfer (key, kind, at) SELECT key, kind, at FROM ledger.transfer LIMIT 1",
    "23505 transfer_key_unique",
  ],
  "a changed balance": ["UPDATE ledger.balance SET amount = amount + 1", "FL002"],
  "a balance out of nothing": [
    "INSERT INTO ledger.balance (account, amount) VALUES (999999, 5)",
    "FL002",
  ],
  "a deleted balance": ["DELETE FROM ledger.balance", "FL002"],
  "emptied balances": ["TRUNCATE ledger.balance", "FL002"],
  "a floor taken away": ["UPDATE ledger.account SET floor = NULL", "FL002"],
  "a deleted account": [`DELETE FROM ledger.account WHERE kind = 'budget'`, "FL002"],
  "an account of an unknown kind": [
    `INSERT INTO ledger.account (kind, owner, currency, floor) VALUES ('purse', 5, 'EUR', 0)`,
    "23514 account_kind",
  ],
  "a purse without a floor": [
    `INSERT INTO ledger.account (kind, owner, currency) VALUES ('budget', 999, 'EUR')`,
    "23514 account_floor",
  ],
  "a second flattr of the same thing in a month": [
    "INSERT INTO flattr SELECT period, id + 1, patron, thing, split, source, private, at FROM flattr LIMIT 1",
    "FL001",
  ],
  "a flattr in a closed month": [
    "INSERT INTO flattr SELECT period, id + 1, patron, thing + 1, split, source, private, at FROM flattr LIMIT 1",
    "FL001",
  ],
  "a flattr taken back in a closed month": ["DELETE FROM flattr", "FL001"],
  "a flattr taken back past its parent table": ["DELETE FROM flattr_202611", "FL001"],
  "a changed flattr": ["UPDATE flattr SET thing = thing + 1", "FL002"],
  "an emptied month": ["TRUNCATE flattr_202611", "FL002"],
  "a second settlement of a patron and month": [
    "INSERT INTO settlement SELECT * FROM settlement",
    "23505 settlement_period_patron_pk",
  ],
  "a settlement that goes back": ["UPDATE settlement SET state = 'frozen'", "FL002"],
  "a frozen budget changed later": ["UPDATE settlement SET budget = budget + 1", "FL002"],
  "a deleted settlement": ["DELETE FROM settlement", "FL002"],
  "a changed share": ["UPDATE share SET amount = amount + 1", "FL002"],
  "a share deleted past its parent table": ["DELETE FROM share_202611", "FL002"],
  "a budget set for a closed month": [
    "INSERT INTO budget (patron, since, amount) SELECT patron, since, amount FROM budget LIMIT 1",
    "FL001",
  ],
  "a changed budget": ["UPDATE budget SET amount = 0", "FL002"],
  "a month opened again": ["UPDATE period SET state = 'open' WHERE state <> 'open'", "FL002"],
  "a month's fee changed": ["UPDATE period SET fee_bp = 100", "FL002"],
  "a deleted month": ["DELETE FROM period", "FL002"],
  "waiting money resolved by a transfer of another transaction": [
    `INSERT INTO ledger.resolution (transfer, account, resolved_by) SELECT e.transfer, e.account, e.transfer FROM ledger.entry e JOIN ledger.account a ON a.id = e.account WHERE a.kind = 'waiting'`,
    "23503 resolution_waiting",
  ],
  "money resolved that does not wait": [
    `WITH t AS (${newTransfer}) INSERT INTO ledger.resolution (transfer, account, resolved_by) SELECT e.transfer, e.account, t.id FROM t, ledger.entry e JOIN ledger.account a ON a.id = e.account WHERE a.kind = 'earnings'`,
    "23503 resolution_waiting",
  ],
  "a split that changes": ["UPDATE split_part SET weight = 2", "FL002"],
};

describe("the ledger refuses", () => {
  test("every illegal state, and nothing changes", async () => {
    const database = await closedMonth();
    await database.drizzle.transaction(async (tx) => {
      await openLedgerAccounts(tx, "USD", [{ kind: "fee" }]);
      await openLedgerAccounts(tx, "EUR", [{ kind: "payable", peer: 1n }]);
    });
    const before = await snapshot(database);
    const answers: Record<string, string> = {};
    for (const [name, [statement]] of Object.entries(ILLEGAL))
      answers[name] = await answerTo(database, statement);
    expect(answers).toEqual(
      Object.fromEntries(Object.entries(ILLEGAL).map(([name, [, answer]]) => [name, answer])),
    );
    expect(await snapshot(database)).toBe(before);
  });

  test("a second flattr of the same thing while the month is open", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    await click(
      database,
      alice,
      await remotePost(database, "https://far.example/1", "https://far.example/u/ann"),
    );
    expect(
      await answerTo(
        database,
        "INSERT INTO flattr SELECT period, id + 1, patron, thing, split, source, private, at FROM flattr",
      ),
    ).toBe("23505 flattr_202611_period_patron_thing_key");
  });

  test("a transfer that claims to be of another transaction", async () => {
    const database = await testDatabase();
    await person(database, "alice");
    // The column says another transaction; the trigger writes the true one, so the legs may come.
    const statement = legs(`(${account("world")}, -5::bigint), (${account("budget")}, 5)`).replace(
      "(key, kind, at) VALUES ('try', 'try', now())",
      "(key, kind, at, xact) VALUES ('try', 'try', now(), '1'::xid8)",
    );
    expect(await answerTo(database, statement)).toBe("accepted");
    expect(
      await answerTo(
        database,
        `INSERT INTO ledger.entry (transfer, account, amount) SELECT id, ${account("fee")}, 5 FROM ledger.transfer WHERE key = 'try'`,
      ),
    ).toBe("23503 entry_transfer");
    // This was no event of the house, and the check notices.
    expect((await checkLedger(database.drizzle)).map(({ promise }) => promise)).toEqual(
      UNEXPLAINED,
    );
    leaveUnchecked(database);
  });
});

/** What the check says of transfers that a test booked for no reason, if they touch the world. */
const UNEXPLAINED = [
  "what came in and went out is what was booked from and to the world",
  "every transfer is explained by an event of the house",
];

describe("booking", () => {
  test("the same key books once, also at once from many sides", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice", { money: "10.00" });
    const booking = {
      key: "once",
      kind: "refund",
      at: at("2026-11-05"),
      legs: [
        { account: { kind: "budget" as const, owner: alice.id }, amount: toMicro(-5n) },
        { account: { kind: "fee" as const }, amount: toMicro(5n) },
      ],
    };
    const made = await Promise.all(
      Array.from({ length: 8 }, () =>
        database.drizzle.transaction((tx) => book(tx, "EUR", booking)),
      ),
    );
    expect(made.filter((id) => id !== undefined)).toHaveLength(1);
    expect(await database.sql`SELECT 1 FROM ledger.transfer WHERE key = 'once'`).toHaveLength(1);
    expect((await checkLedger(database.drizzle)).map(({ promise }) => promise)).toEqual(
      UNEXPLAINED.slice(1),
    );
    leaveUnchecked(database);
  });

  test("legs that are not balanced never reach the database", async () => {
    const database = await testDatabase();
    const unbalanced = {
      key: "off",
      kind: "try",
      at: at("2026-11-05"),
      legs: [{ account: { kind: "world" as const }, amount: eur("1.00") }],
    };
    await expect(database.drizzle.transaction((tx) => book(tx, "EUR", unbalanced))).rejects.toThrow(
      "not balanced",
    );
  });

  test("transfers between the same accounts from both sides at once all pass", async () => {
    const database = await testDatabase();
    const people = [
      await person(database, "a", { money: "50.00" }),
      await person(database, "b", { money: "50.00" }),
      await person(database, "c", { money: "50.00" }),
    ];
    const moves = Array.from({ length: 60 }, (_, turn) => {
      const [from, to] = [people[turn % 3]!.id, people[(turn + 1 + (turn % 2)) % 3]!.id];
      const legsOf = [
        { account: { kind: "budget" as const, owner: from }, amount: toMicro(-7n) },
        { account: { kind: "budget" as const, owner: to }, amount: toMicro(7n) },
      ];
      return database.drizzle.transaction((tx) =>
        book(tx, "EUR", {
          key: `move ${turn}`,
          kind: "try",
          at: at("2026-11-05"),
          legs: turn % 2 === 0 ? legsOf : legsOf.toReversed(),
        }),
      );
    });
    expect((await Promise.all(moves)).every((id) => id !== undefined)).toBe(true);
    expect(new Set((await checkLedger(database.drizzle)).map(({ promise }) => promise))).toEqual(
      new Set(UNEXPLAINED.slice(1)),
    );
    leaveUnchecked(database);
  });

  test("amounts above 2^53 come back as they went in", async () => {
    const database = await testDatabase();
    const alice = await person(database, "alice");
    const amount = 2n ** 53n + 1n;
    await database.drizzle.transaction((tx) =>
      book(tx, "EUR", {
        key: "large",
        kind: "try",
        at: at("2026-11-05"),
        legs: [
          { account: { kind: "world" }, amount: toMicro(-amount) },
          { account: { kind: "budget", owner: alice.id }, amount: toMicro(amount) },
        ],
      }),
    );
    expect(await database.sql`SELECT amount FROM ledger.balance WHERE amount > 0`).toEqual([
      { amount },
    ]);
    leaveUnchecked(database);
  });
});

describe("the check finds what somebody did behind the triggers", () => {
  /** Runs statements as a superuser would who switches the triggers off, looks, and takes it all back. */
  async function findingsAfter(database: TestDatabase, statement: string): Promise<string[]> {
    await database.sql.unsafe(
      `CREATE TABLE undo AS SELECT 1; ALTER TABLE ledger.entry DISABLE TRIGGER USER; ALTER TABLE ledger.balance DISABLE TRIGGER USER; ALTER TABLE share DISABLE TRIGGER USER; ALTER TABLE settlement DISABLE TRIGGER USER; ALTER TABLE flattr DISABLE TRIGGER USER; ALTER TABLE budget DISABLE TRIGGER USER`,
    );
    const [forward, back] = statement.split(" | ");
    await database.sql.unsafe(forward!);
    const findings = await checkBooks(database);
    await database.sql.unsafe(back!);
    return [...new Set(findings.map(({ promise }) => promise))];
  }

  const spoil: [name: string, statement: string, promise: string][] = [
    [
      "a balance",
      "UPDATE ledger.balance SET amount = amount + 1 WHERE amount > 0 | UPDATE ledger.balance SET amount = amount - 1 WHERE amount > 0",
      "every balance is the sum of its entries",
    ],
    [
      "an entry",
      "UPDATE ledger.entry SET amount = amount + 1 WHERE amount > 0 | UPDATE ledger.entry SET amount = amount - 1 WHERE amount > 0",
      "every transfer adds up to zero in each currency",
    ],
    [
      "a share",
      "UPDATE share SET amount = amount + 1 | UPDATE share SET amount = amount - 1",
      "every share is what the division gives",
    ],
    [
      "a spent amount",
      "UPDATE settlement SET spent = spent - 1 | UPDATE settlement SET spent = spent + 1",
      "what is spent is the smaller of budget and purse",
    ],
    [
      "a fee",
      "UPDATE settlement SET fee = fee + 1 | UPDATE settlement SET fee = fee - 1",
      "the fee is that of the month",
    ],
    [
      "a divisor",
      "UPDATE settlement SET flattrs = 3 | UPDATE settlement SET flattrs = 2",
      "the divisor is the number of flattrs that count",
    ],
    [
      "a frozen budget",
      "UPDATE settlement SET budget = budget + 1 | UPDATE settlement SET budget = budget - 1",
      "the frozen budget is the last one set before the month's end",
    ],
    [
      "a click moved to another month",
      "UPDATE flattr SET at = at + interval '1 month' | UPDATE flattr SET at = at - interval '1 month'",
      "a flattr lies in its month",
    ],
    [
      "the history of a budget",
      "UPDATE budget SET amount = amount + 10000 | UPDATE budget SET amount = amount - 10000",
      "the frozen budget is the last one set before the month's end",
    ],
  ];
  test.each(spoil)("%s", async (_, statement, promise) => {
    const database = await closedMonth();
    expect(await findingsAfter(database, statement)).toContain(promise);
  });

  test("a transfer that nothing explains, and a return that went elsewhere", async () => {
    const database = await closedMonth();
    const alice = (
      await database.sql<[{ id: bigint }]>`SELECT id FROM account WHERE name = 'alice'`
    )[0].id;
    await database.drizzle.transaction((tx) =>
      book(tx, "EUR", {
        key: "bogus",
        kind: "bogus",
        at: at("2026-12-05"),
        legs: move(eur("1.00"), { kind: "budget", owner: alice }, { kind: "fee" }),
      }),
    );
    expect((await checkBooks(database)).map(({ promise }) => promise)).toEqual([
      "every transfer is explained by an event of the house",
    ]);
    await database.sql.begin(async (tx) => {
      const [credit] = await tx<[{ transfer: bigint; account: bigint; amount: bigint }]>`
        SELECT e.* FROM ledger.entry e JOIN ledger.account a ON a.id = e.account WHERE a.kind = 'waiting'`;
      const [made] = await tx<
        [{ id: bigint }]
      >`INSERT INTO ledger.transfer (key, kind, at, period) VALUES ('taken', 'return', '2026-12-05', 202611) RETURNING id`;
      await tx`INSERT INTO ledger.resolution (transfer, account, resolved_by) VALUES (${credit.transfer}, ${credit.account}, ${made.id})`;
      await tx`INSERT INTO ledger.entry (transfer, account, amount)
        SELECT ${made.id}::bigint, ${credit.account}::bigint, ${-credit.amount}::bigint
        UNION ALL SELECT ${made.id}, (SELECT id FROM ledger.account WHERE kind = 'fee'), ${credit.amount}`;
    });
    expect((await checkBooks(database)).map(({ promise }) => promise)).toContain(
      "a return gives each patron exactly what he had given",
    );
    leaveUnchecked(database);
  });
});
