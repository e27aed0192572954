import { describe, expect, test } from "vitest";
import { toMicro } from "../../src/rules/amount.ts";
import { type Payee, splitShare, takingPart } from "../../src/rules/split.ts";
import { vectors } from "../support/vectors.ts";

interface Case {
  readonly id: string;
  readonly title: string;
  readonly share: string;
  readonly payees: Payee[];
  readonly without: { payee: string; reason: string }[];
  readonly expected: { counts: boolean; parts: { payee: string; amount: string }[] };
}

describe("splits.json", () => {
  test.each(vectors<Case>("splits.json"))("$id $title", ({ share, payees, without, expected }) => {
    const taking = takingPart(payees, new Set(without.map(({ payee }) => payee)));
    const counts = taking.length > 0;
    const parts = counts ? splitShare(toMicro(BigInt(share)), taking) : [];
    expect({
      counts,
      parts: parts.map(({ payee, amount }) => ({ payee, amount: String(amount) })),
    }).toEqual(expected);
  });
});
