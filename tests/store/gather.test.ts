import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { gather } from "../../src/store/gather.ts";

interface Item {
  readonly lane: string;
  readonly key: string;
}

const item = (key: string, lane = "november"): Item => ({ key, lane });

/** A worker that remembers its batches and answers when it is told to. */
function worker(fails: (item: Item) => boolean = () => false) {
  const batches: string[][] = [];
  const gates: (() => void)[] = [];
  const give = gather<Item, string>({
    work: async (items) => {
      batches.push(items.map(({ key }) => key));
      await new Promise<void>((resolve) => gates.push(resolve));
      if (items.some(fails)) throw new Error("poison");
      return items.map(({ key, lane }) => `${key} of ${lane}`);
    },
    lane: ({ lane }) => lane,
    key: ({ key }) => key,
  });
  const open = async () => {
    for (let turn = 0; turn < 500; turn += 1) {
      gates.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { batches, give, open };
}

describe("calls that are gathered", () => {
  test("are answered each with its own answer; a lone one goes at once", async () => {
    const { batches, give, open } = worker();
    const lone = give(item("a"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(batches).toEqual([["a"]]);
    const others = Promise.all(["b", "c", "d"].map((key) => give(item(key))));
    const rest = Promise.all(["e", "f"].map((key) => give(item(key))));
    await open();
    expect(await lone).toBe("a of november");
    expect([...(await others), ...(await rest)]).toEqual(
      ["b", "c", "d", "e", "f"].map((key) => `${key} of november`),
    );
    expect(batches).toEqual([["a"], ["b", "c", "d", "e", "f"]]);
  });

  test("are never in one batch with the same key, nor with another lane, nor more than a hundred", async () => {
    const { batches, give, open } = worker();
    const all = [
      item("x"),
      item("x"),
      item("y", "december"),
      item("x", "december"),
      ...Array.from({ length: 150 }, (_, n) => item(`n${n}`)),
    ].map(give);
    await open();
    await Promise.all(all);
    expect(Math.max(...batches.map(({ length }) => length))).toBe(100);
    for (const batch of batches) expect(new Set(batch).size).toBe(batch.length);
    expect(batches.flat()).toHaveLength(154);
    expect(batches.find((batch) => batch.includes("y"))).toEqual(["y", "x"]);
  });

  test("fail alone: one that cannot be done does not take the others with it", async () => {
    const { give, open } = worker(({ key }) => key === "bad");
    const all = Promise.allSettled(["a", "bad", "c"].map((key) => give(item(key))));
    await open();
    expect((await all).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    const after = give(item("later"));
    await open();
    expect(await after).toBe("later of november");
  });

  test("one batch at a time makes larger ones", async () => {
    const batches: number[][] = [];
    const give = gather<number, number>({
      work: async (items) => {
        batches.push([...items]);
        await sleep(20);
        return items.map((one) => one * 2);
      },
      lane: () => 0,
      key: String,
      running: 1,
    });
    const later: Promise<number>[] = [];
    for (let one = 1; one < 6; one += 1) {
      later.push(give(one));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.all(later)).toEqual([2, 4, 6, 8, 10]);
    expect(batches).toEqual([[1], [2, 3, 4, 5]]);
  });
});
