import { describe, expect, test } from "vitest";
import { readLike, readReaction } from "../../src/edges/federation/like.ts";
import { vectors } from "../support/vectors.ts";

interface Case {
  readonly id: string;
  readonly title: string;
  readonly activity: Record<string, unknown>;
  readonly known?: readonly Record<string, unknown>[];
  readonly expected: Record<string, unknown>;
}

describe("likes.json", () => {
  test.each(vectors<Case>("likes.json"))("$id $title", ({ activity, known = [], expected }) => {
    const received = new Map(
      known.map((like) => {
        const read = readLike(like)!;
        return [read.like, read] as const;
      }),
    );
    expect(readReaction(activity, (id) => received.get(id))).toEqual(expected);
  });
});
