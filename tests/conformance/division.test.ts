import { describe, expect, test } from "vitest";
import { toMicro } from "../../src/rules/amount.ts";
import { divide } from "../../src/rules/division.ts";
import { vectors } from "../support/vectors.ts";

interface Case {
  readonly id: string;
  readonly title: string;
  readonly amount: string;
  readonly feeBp: number;
  readonly flattrs: number;
  readonly expected: { spent: string; fee: string; shared: string; shares: [string, number][] };
}

/** Neighbours that are equal, as [amount, how many]. */
function fold(shares: readonly bigint[]): [string, number][] {
  const runs: [string, number][] = [];
  for (const share of shares) {
    const last = runs.at(-1);
    if (last?.[0] === String(share)) last[1] += 1;
    else runs.push([String(share), 1]);
  }
  return runs;
}

describe("division.json", () => {
  test.each(vectors<Case>("division.json"))(
    "$id $title",
    ({ amount, feeBp, flattrs, expected }) => {
      const { spent, fee, shared, shares } = divide(toMicro(BigInt(amount)), feeBp, flattrs);
      expect({
        spent: String(spent),
        fee: String(fee),
        shared: String(shared),
        shares: fold(shares),
      }).toEqual(expected);
    },
  );
});
