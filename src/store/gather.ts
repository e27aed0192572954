/** Group commit: calls that arrive while earlier ones are being answered are done together, in one statement. */

/** How calls are gathered. */
export interface Gathering<Item, Answer> {
  /** Does some items at once; answers in their order. One that fails makes all fail: then each is done by itself. */
  readonly work: (items: readonly Item[]) => Promise<readonly Answer[]>;
  /** Items of one batch must have the same lane, such as the month. */
  readonly lane: (item: Item) => unknown;
  /** Two items with the same key are never in one batch. */
  readonly key: (item: Item) => string;
  /** Batches on their way at once: less makes larger ones. */
  readonly running?: number;
}

/** Most items of one batch. */
const BATCH_MAX = 100;

/** Batches on their way at once, as a rule. Nobody waits for a timer: a call that finds less than these running is sent at once. */
const RUNNING_MAX = 4;

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** A function that does one item, together with others if others are waiting. */
export function gather<Item, Answer>({
  work,
  lane,
  key,
  running: most = RUNNING_MAX,
}: Gathering<Item, Answer>): (item: Item) => Promise<Answer> {
  let waiting: Waiting<Item, Answer>[] = [];
  let running = 0;

  const takeBatch = (): Waiting<Item, Answer>[] => {
    const [first] = waiting;
    if (first === undefined) return [];
    const batch = new Map<string, Waiting<Item, Answer>>();
    const later: Waiting<Item, Answer>[] = [];
    for (const one of waiting) {
      const fits =
        batch.size < BATCH_MAX && lane(one.item) === lane(first.item) && !batch.has(key(one.item));
      if (fits) batch.set(key(one.item), one);
      else later.push(one);
    }
    waiting = later;
    return [...batch.values()];
  };

  const doBatch = async (batch: readonly Waiting<Item, Answer>[]): Promise<void> => {
    try {
      const answers = await work(batch.map(({ item }) => item));
      for (const [place, { resolve }] of batch.entries()) resolve(answers[place]!);
    } catch (error) {
      if (batch.length === 1) batch[0]!.reject(error);
      else for (const one of batch) await doBatch([one]);
    }
  };

  const pump = (): void => {
    while (running < most && waiting.length > 0) {
      running += 1;
      void doBatch(takeBatch()).finally(() => {
        running -= 1;
        pump();
      });
    }
  };

  return (item) =>
    new Promise<Answer>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      // After this turn of the loop: calls that came together go together.
      queueMicrotask(pump);
    });
}
