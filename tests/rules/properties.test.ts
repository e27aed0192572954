/** What is true for every amount, not only for the vectors. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatAmount,
  MICRO_PER_MAJOR,
  parseAmount,
  sum,
  toMicro,
} from "../../src/rules/amount.ts";
import { base58, fromBase58 } from "../../src/rules/base58.ts";
import { canonicalJson, type Json } from "../../src/rules/canonical.ts";
import { divide, feeOf } from "../../src/rules/division.ts";
import { closeMonth, type CountedFlattr } from "../../src/rules/month.ts";
import {
  closesAt,
  graceEndsAt,
  opensAt,
  parsePeriod,
  type Period,
  periodAfter,
  periodFromNumber,
  periodNumber,
  periodOf,
} from "../../src/rules/period.ts";
import { isBalanced, move, moneyIn } from "../../src/rules/posting.ts";
import { splitShare, takingPart } from "../../src/rules/split.ts";
import { compareBytes } from "../../src/rules/text.ts";
import { Temporal } from "../../src/store/time.ts";

const amounts = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(toMicro);
const counts = fc.integer({ min: 1, max: 2000 });
const basisPoints = fc.integer({ min: 0, max: 1000 });
const payees = fc.array(
  fc.record({ payee: fc.webUrl(), weight: fc.integer({ min: 0, max: 1_000_000_000 }) }),
  { minLength: 1, maxLength: 20 },
);
const runs = { numRuns: 2000 };

describe("division", () => {
  test("fee and shares add up to what is spent, and shares differ by at most one micro", () => {
    fc.assert(
      fc.property(amounts, basisPoints, counts, (amount, points, count) => {
        const { spent, fee, shares } = divide(amount, points, count);
        expect(fee + sum(shares)).toBe(spent);
        expect(spent).toBe(amount);
        expect(shares[0]! - shares.at(-1)!).toBeLessThanOrEqual(1n);
        expect(shares.every((share, place) => place === 0 || share <= shares[place - 1]!)).toBe(
          true,
        );
      }),
      runs,
    );
  });

  test("the fee is the plain quotient, computed without passing 64 bits", () => {
    fc.assert(
      fc.property(amounts, basisPoints, (amount, points) => {
        expect(feeOf(amount, points)).toBe((amount * BigInt(points)) / 10_000n);
        expect((amount / 10_000n) * BigInt(points)).toBeLessThan(2n ** 63n);
      }),
      runs,
    );
  });

  test("more money never gives anybody less", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 62n }),
        fc.bigInt({ min: 0n, max: 2n ** 61n }),
        basisPoints,
        counts,
        (amount, more, points, count) => {
          const [less, larger] = [
            divide(toMicro(amount), points, count).shares,
            divide(toMicro(amount + more), points, count).shares,
          ];
          expect(larger.every((share, place) => share >= less[place]!)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("splits", () => {
  test("parts add up exactly, none is further than one micro from its due, and the order of the input changes nothing", () => {
    fc.assert(
      fc.property(amounts, payees, fc.infiniteStream(fc.nat()), (share, list, order) => {
        const taking = takingPart(list, new Set());
        fc.pre(taking.length > 0);
        const parts = splitShare(share, taking);
        const whole = taking.reduce((total, { weight }) => total + BigInt(weight), 0n);
        expect(sum(parts.map(({ amount }) => amount))).toBe(share);
        for (const { payee, amount } of parts) {
          const due = share * BigInt(taking.find((one) => one.payee === payee)!.weight);
          expect(amount * whole - due).toBeLessThan(whole);
          expect(due - amount * whole).toBeLessThan(whole);
        }
        const shuffled = list
          .map((one) => ({ one, key: order.next().value! }))
          .sort((a, b) => a.key - b.key);
        expect(
          splitShare(
            share,
            takingPart(
              shuffled.map(({ one }) => one),
              new Set(),
            ),
          ),
        ).toEqual(parts);
      }),
      { numRuns: 500 },
    );
  });

  test("a payee named twice is one payee with both weights", () => {
    expect(
      takingPart(
        [
          { payee: "https://a.example/x", weight: 2 },
          { payee: "https://b.example/y", weight: 1 },
          { payee: "https://a.example/x", weight: 3 },
        ],
        new Set(),
      ),
    ).toEqual([
      { payee: "https://a.example/x", weight: 5 },
      { payee: "https://b.example/y", weight: 1 },
    ]);
  });

  test("text sorts by its bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (one, other) => {
        expect(Math.sign(compareBytes(one, other))).toBe(
          Buffer.compare(Buffer.from(one), Buffer.from(other)),
        );
      }),
      runs,
    );
  });
});

describe("whole months", () => {
  const flattrs = fc
    .array(
      fc.record({ source: fc.constantFrom("subscription" as const, "click" as const), payees }),
      { maxLength: 30 },
    )
    .map((list): CountedFlattr[] => list.map((one, place) => ({ ...one, id: BigInt(place * 7) })));

  test("what is spent is fee plus parts; who is left out gets nothing; the order of the flattrs as read changes nothing", () => {
    fc.assert(
      fc.property(
        amounts,
        amounts,
        basisPoints,
        flattrs,
        (budget, available, feeBasisPoints, list) => {
          const leftOut = new Set(
            list
              .flatMap(({ payees: all }) => all.slice(0, 1).map(({ payee }) => payee))
              .slice(0, 5),
          );
          const month = closeMonth({ budget, available, feeBasisPoints, flattrs: list, leftOut });
          const parts = month.shares.flatMap((share) => share.parts);
          expect(month.fee + sum(parts.map(({ amount }) => amount))).toBe(month.spent);
          expect(
            month.spent === 0n || month.spent === (budget < available ? budget : available),
          ).toBe(true);
          expect(parts.some(({ payee }) => leftOut.has(payee))).toBe(false);
          expect(
            closeMonth({ budget, available, feeBasisPoints, flattrs: list.toReversed(), leftOut }),
          ).toEqual(month);
          const first = month.shares.findIndex(
            ({ flattr }) => list.find(({ id }) => id === flattr)!.source === "click",
          );
          expect(
            month.shares
              .slice(Math.max(first, 0))
              .every(
                ({ flattr }) =>
                  first === -1 || list.find(({ id }) => id === flattr)!.source === "click",
              ),
          ).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("an empty purse with a budget and a flattr waits for money; without either there is nothing to wait for", () => {
    const one: CountedFlattr = {
      id: 1n,
      source: "click",
      payees: [{ payee: "https://a.example/x", weight: 1 }],
    };
    const base = {
      budget: toMicro(2_000_000n),
      available: toMicro(0n),
      feeBasisPoints: 0,
      flattrs: [one],
      leftOut: new Set<string>(),
    };
    expect(closeMonth(base).state).toBe("unfunded");
    expect(closeMonth({ ...base, budget: toMicro(0n) }).state).toBe("settled");
    expect(closeMonth({ ...base, flattrs: [] }).state).toBe("settled");
    expect(closeMonth({ ...base, leftOut: new Set(["https://a.example/x"]) }).state).toBe(
      "settled",
    );
    expect(closeMonth({ ...base, available: toMicro(1n) })).toMatchObject({
      state: "settled",
      spent: 1n,
    });
  });
});

describe("periods", () => {
  test("months lie side by side without gap or overlap, and every instant lies in its month", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("1970-01-01"), max: new Date("4000-01-01"), noInvalidDate: true }),
        (date) => {
          const at = Temporal.Instant.fromEpochMilliseconds(date.getTime());
          const period = periodOf(at);
          expect(period).toBe(date.toISOString().slice(0, 7));
          expect(Temporal.Instant.compare(opensAt(period), at)).toBeLessThanOrEqual(0);
          expect(Temporal.Instant.compare(at, closesAt(period))).toBe(-1);
          expect(opensAt(periodAfter(period)).equals(closesAt(period))).toBe(true);
          expect(periodFromNumber(periodNumber(period))).toBe(period);
          expect(periodAfter(periodAfter(period, 5), -5)).toBe(period);
        },
      ),
      runs,
    );
  });

  test("the grace is seven days, half open", () => {
    expect(graceEndsAt("2026-11" as Period).toString()).toBe("2026-12-08T00:00:00Z");
  });

  test.each(["2026-13", "2026-00", "26-01", "2026-1", "2026-011", "", "2026-11 "])(
    "%j is no month",
    (text) => {
      expect(parsePeriod(text)).toBeUndefined();
    },
  );
});

describe("amounts", () => {
  test("whatever is written is read again", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 99_999_999_999n }), (cents) => {
        const amount = toMicro(cents * 10_000n);
        expect(parseAmount(formatAmount(amount, "EUR"), "EUR")).toBe(amount);
      }),
      runs,
    );
  });

  test.each([
    ["2", 2n * MICRO_PER_MAJOR],
    ["2.00", 2_000_000n],
    ["2,50", 2_500_000n],
    ["0.01", 10_000n],
    ["999999999.99", 999_999_999_990_000n],
  ])("%s is read", (text, amount) => {
    expect(parseAmount(text, "EUR")).toBe(amount);
  });

  test.each([
    "1.999",
    "-1",
    "1e3",
    "0x10",
    "",
    " ",
    "1.",
    ".5",
    "1 000",
    "1.0.0",
    "٣",
    "1000000000",
    "Infinity",
    "NaN",
  ])("%j is no amount of euros", (text) => {
    expect(parseAmount(text, "EUR")).toBeUndefined();
  });

  test("currencies have their own minor units", () => {
    expect(parseAmount("5", "JPY")).toBe(5_000_000n);
    expect(parseAmount("5.0", "JPY")).toBeUndefined();
    expect(parseAmount("1.234", "TND")).toBe(1_234_000n);
    expect(formatAmount(5_000_000n, "JPY")).toBe("5");
    expect(formatAmount(222_223n, "EUR")).toBe("0.222223");
    expect(formatAmount(-1_500_000n, "EUR")).toBe("-1.50");
  });
});

describe("postings", () => {
  const positive = fc.bigInt({ min: 1n, max: 2n ** 50n }).map(toMicro);

  test("every posting of the rules is balanced", () => {
    fc.assert(
      fc.property(positive, (amount) => {
        expect(isBalanced(moneyIn(1n, amount))).toBe(true);
        expect(isBalanced(move(amount, { kind: "budget", owner: 1n }, { kind: "world" }))).toBe(
          true,
        );
      }),
    );
  });

  test("nothing else is", () => {
    const legs = move(toMicro(5n), { kind: "world" }, { kind: "fee" });
    expect(isBalanced([])).toBe(false);
    expect(isBalanced(legs.slice(1))).toBe(false);
    expect(isBalanced([...legs, ...legs])).toBe(false);
    expect(
      isBalanced([...legs, { account: { kind: "budget", owner: 1n }, amount: toMicro(0n) }]),
    ).toBe(false);
  });
});

describe("bytes and canonical text", () => {
  test("base58 is read back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(fromBase58(base58(bytes))).toEqual(Uint8Array.from(bytes));
      }),
    );
    expect(fromBase58("0")).toBeUndefined();
    expect(fromBase58("1".repeat(201))).toBeUndefined();
  });

  test("canonical text means the same, and the order of the members does not matter", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value as Json);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text) as Json)).toBe(text);
      }),
    );
  });

  test("what has no canonical form is refused", () => {
    expect(() => canonicalJson("\ud800")).toThrow(TypeError);
    expect(() => canonicalJson(Number.NaN as Json)).toThrow(TypeError);
  });
});
