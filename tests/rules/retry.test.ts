import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  deliveryPauseMs,
  hostPauseMs,
  RETRY_FIRST_MS,
  RETRY_LAST_MS,
  retryAfterMs,
} from "../../src/rules/retry.ts";

const id = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n });

describe("the pause before the next try", () => {
  test("grows from half a minute to a day and no further, and is the same for the same row", () => {
    fc.assert(
      fc.property(id, fc.integer({ min: 1, max: 1000 }), (row, attempts) => {
        const pause = deliveryPauseMs(attempts, row);
        expect(pause).toBe(deliveryPauseMs(attempts, row));
        expect(pause).toBeGreaterThanOrEqual(RETRY_FIRST_MS * 0.87);
        expect(pause).toBeLessThanOrEqual(RETRY_LAST_MS);
        expect(deliveryPauseMs(attempts + 1, row)).toBeGreaterThanOrEqual(pause);
      }),
    );
    expect(deliveryPauseMs(50, 1n)).toBeGreaterThan(RETRY_LAST_MS * 0.87);
  });

  test("differs from row to row, also for rows that follow each other", () => {
    const pauses = Array.from({ length: 1000 }, (_, n) =>
      deliveryPauseMs(3, (1n << 60n) + BigInt(n)),
    );
    expect(new Set(pauses).size).toBeGreaterThan(950);
    const mean = pauses.reduce((sum, pause) => sum + pause, 0) / pauses.length;
    expect(mean / (RETRY_FIRST_MS * 16)).toBeCloseTo(1, 1);
  });

  test("of a host doubles, and differs from host to host", () => {
    const hosts = Array.from({ length: 100 }, (_, n) => `h${n}.example`);
    expect(new Set(hosts.map((host) => hostPauseMs(5, host))).size).toBeGreaterThan(90);
    for (let failures = 1; failures < 40; failures += 1) {
      const [pause, next] = [
        hostPauseMs(failures, "h.example"),
        hostPauseMs(failures + 1, "h.example"),
      ];
      expect(next).toBeGreaterThanOrEqual(pause);
      expect(next).toBeLessThanOrEqual(Math.min(2 * pause + 1, RETRY_LAST_MS));
    }
  });
});

describe("Retry-After", () => {
  const now = Date.parse("2026-11-10T12:00:00Z");

  test.each([
    ["0", 1000],
    ["120", 120_000],
    [" 30 ", 30_000],
    ["99999999", RETRY_LAST_MS],
    ["Tue, 10 Nov 2026 12:01:00 GMT", 60_000],
    ["Tue, 10 Nov 2020 12:01:00 GMT", 1000],
    ["Tue, 10 Nov 2099 12:01:00 GMT", RETRY_LAST_MS],
    ["", undefined],
    ["soon", undefined],
    ["-5 hours", undefined],
    ["1".repeat(100), undefined],
    [null, undefined],
  ])("%j is %j ms", (header, ms) => {
    expect(retryAfterMs(header, now)).toBe(ms);
  });
});
