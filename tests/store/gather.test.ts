import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { gather, gatherEach } from "../../src/store/gather.ts";

interface Item {
  readonly lane: string;
  readonly key: string;
}

const item = (key: string, lane = "november"): Item => ({ key, lane });

/** A worker that remembers its batches and answers when it is told to. */
function worker(fails: (item: Item) => boolean = () => false) {
  // However slow the machine is, nobody has waited long.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
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

  test("are tried once more together when a connection breaks, and then fail at once: nobody waits for the tries of others", async () => {
    const away = Object.assign(new Error("nobody there"), { code: "CONNECTION_CLOSED" });
    let broken = 2;
    const tries: (readonly number[])[] = [];
    const give = gather<number, number>({
      work: async (items) => {
        tries.push(items);
        if ((broken -= 1) >= 0) throw away;
        return items;
      },
    });
    const all = await Promise.allSettled([1, 2, 3].map(give));
    expect(all).toEqual(all.map(() => ({ status: "rejected", reason: away })));
    expect(tries).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    broken = 1;
    expect(await Promise.all([4, 5].map(give))).toEqual([4, 5]);
  });

  test("go beside what hangs after a moment, however few they are", async () => {
    const batches: (readonly number[])[] = [];
    const give = gather<number, number>({
      work: async (items) => {
        batches.push(items);
        if (items.includes(1)) await new Promise(() => {});
        return items;
      },
    });
    void give(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await Promise.all([give(2), give(3)])).toEqual([2, 3]);
    expect(batches).toEqual([[1], [2, 3]]);
  });

  test("that may not go together do not count as many", async () => {
    const { batches, give, open } = worker();
    const all = ["a", "x", "x", "x", "x", "x", "x"].map((name) => give(item(name)));
    await new Promise((resolve) => setImmediate(resolve));
    expect(batches).toEqual([["a", "x"]]);
    await open();
    await Promise.all(all);
  });

  test("go together after what is on its way when they are few, and beside it when they are many", async () => {
    const { batches, give, open } = worker();
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    const all: Promise<string>[] = [];
    for (const name of names) {
      all.push(give(item(name)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Nothing was answered yet.
    expect(batches).toEqual([["a"], ["b", "c", "d", "e", "f", "g"]]);
    all.push(give(item("h")));
    await new Promise((resolve) => setImmediate(resolve));
    expect(batches).toHaveLength(2);
    await open();
    expect(await Promise.all(all)).toEqual([...names, "h"].map((name) => `${name} of november`));
    expect(batches.at(-1)).toEqual(["h"]);
  });

  test("to one database never go with those to another", async () => {
    const asked: { database: object; items: readonly number[] }[] = [];
    const [one, other] = [{ sql: {} }, { sql: {} }] as unknown as Database[];
    const give = gatherEach<Database, number, number>((database) => ({
      work: async (items) => {
        asked.push({ database, items });
        return items.map((item) => item * 2);
      },
    }));
    expect(
      await Promise.all([give(one!, 1), give(other!, 2), give(one!, 3), give(other!, 4)]),
    ).toEqual([2, 4, 6, 8]);
    expect(asked).toEqual([
      { database: one, items: [1, 3] },
      { database: other, items: [2, 4] },
    ]);
  });

  test("one batch at a time makes larger ones", async () => {
    const batches: number[][] = [];
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const give = gather<number, number>({
      work: async (items) => {
        batches.push([...items]);
        await released;
        return items.map((one) => one * 2);
      },
      running: 1,
    });
    const later: Promise<number>[] = [];
    for (let one = 1; one < 6; one += 1) {
      later.push(give(one));
      await new Promise((resolve) => setImmediate(resolve));
    }
    release();
    expect(await Promise.all(later)).toEqual([2, 4, 6, 8, 10]);
    expect(batches).toEqual([[1], [2, 3, 4, 5]]);
  });
});
