/** Group commit: calls that arrive while earlier ones are being answered are done together, in one statement. */

import { type Database, isDatabaseAway } from "./database.ts";

/** How calls are gathered. */
export interface Gathering<Item, Answer> {
  /**
   * Does some items at once, each perhaps twice; answers in their order. One that fails makes all fail: then each is done
   * by itself. When it was the database, all are done once more together.
   */
  readonly work: (items: readonly Item[]) => Promise<readonly Answer[]>;
  /** Items of one batch must have the same lane, such as the month. */
  readonly lane?: (item: Item) => unknown;
  /** Two items with the same key are never in one batch. */
  readonly key?: (item: Item) => string;
  /** Most batches on their way at once: less makes larger ones. */
  readonly running?: number;
}

/** Most items of one batch. */
const BATCH_MAX = 100;

/** Most batches on their way at once, as a rule. */
const RUNNING_MAX = 8;

/**
 * Nobody who finds nothing on its way waits. Otherwise so many go beside it, since fewer cost less when they go together
 * after it; and whatever waits goes after so long, since what is on its way may hang.
 */
const BESIDE_MIN = 6;
const WAIT_MS = 20;

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly lane: unknown;
  readonly key: string | undefined;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** A function that does one item, together with others if others are waiting. */
export function gather<Item, Answer>({
  work,
  lane = () => undefined,
  key,
  running: most = RUNNING_MAX,
}: Gathering<Item, Answer>): (item: Item) => Promise<Answer> {
  let waiting: Waiting<Item, Answer>[] = [];
  let running = 0;
  let patience: NodeJS.Timeout | undefined;

  /** Those that may go with the first, if it is worth while: otherwise none. */
  const takeBatch = (least: number): readonly Waiting<Item, Answer>[] => {
    const [first] = waiting;
    const batch: Waiting<Item, Answer>[] = [];
    const keys = new Set<string>();
    const later: Waiting<Item, Answer>[] = [];
    for (const one of waiting) {
      const fits =
        batch.length < BATCH_MAX &&
        one.lane === first!.lane &&
        (one.key === undefined || !keys.has(one.key));
      if (fits) batch.push(one);
      else later.push(one);
      if (fits && one.key !== undefined) keys.add(one.key);
    }
    if (batch.length < least) return [];
    waiting = later;
    return batch;
  };

  const doBatch = async (batch: readonly Waiting<Item, Answer>[], tries = 1): Promise<void> => {
    try {
      const answers = await work(batch.map(({ item }) => item));
      for (const [place, { resolve }] of batch.entries()) resolve(answers[place]!);
    } catch (error) {
      // A connection may have broken; the next try is made by another one.
      if (batch.length > 1 && isDatabaseAway(error) && tries === 1) await doBatch(batch, 2);
      else if (batch.length === 1 || isDatabaseAway(error))
        for (const { reject } of batch) reject(error);
      else for (const one of batch) await doBatch([one]);
    }
  };

  const pump = (least = BESIDE_MIN): void => {
    while (waiting.length > 0 && running < most) {
      const batch = takeBatch(running === 0 ? 1 : least);
      if (batch.length === 0) break;
      running += 1;
      void doBatch(batch).finally(() => {
        running -= 1;
        pump();
      });
    }
    if (waiting.length === 0) {
      clearTimeout(patience);
      patience = undefined;
    } else
      patience ??= setTimeout(() => {
        patience = undefined;
        pump(1);
      }, WAIT_MS);
  };

  return (item) =>
    new Promise<Answer>((resolve, reject) => {
      waiting.push({ item, lane: lane(item), key: key?.(item), resolve, reject });
      // After this turn of the loop: calls that came together go together.
      queueMicrotask(() => pump());
    });
}

/**
 * Calls to one open database are gathered by themselves, with what was known of it at the first; what they are gathered
 * in is gone with it.
 */
export function gatherEach<Store extends Pick<Database, "sql">, Item, Answer>(
  open: (database: Store) => Gathering<Item, Answer>,
): (database: Store, item: Item) => Promise<Answer> {
  const gathered = new WeakMap<Database["sql"], (item: Item) => Promise<Answer>>();
  return (database, item) => {
    let give = gathered.get(database.sql);
    if (give === undefined) gathered.set(database.sql, (give = gather(open(database))));
    return give(item);
  };
}
