/** Work that is dear is done a few at a time; a few more may wait. */

/**
 * Runs work in the order in which it comes.
 *
 * @param atOnce how much of it runs together
 * @param waitingMax how much of it may wait; beyond that `refusal` is thrown at once
 */
export function turns(
  atOnce: number,
  waitingMax: number,
): <T>(work: () => Promise<T>, refusal: () => Error) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work, refusal) => {
    if (running >= atOnce) {
      if (waiting.length >= waitingMax) throw refusal();
      // Whoever ends hands his turn over, so nobody comes in between.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
