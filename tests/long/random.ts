/** Random numbers that can be drawn again: the seed is told when something fails, and `SEED` sets it. */

/** A source of random choices. */
export interface Random {
  readonly seed: number;
  /** A whole number from 0 up to and without `end`. */
  below(end: number): number;
  /** True so many times in a hundred. */
  chance(percent: number): boolean;
  pick<T>(from: readonly T[]): T;
}

/** The seed of a run: that of the environment, else another one each time. */
export function chosenSeed(): number {
  const named = Number(process.env["SEED"]);
  return Number.isInteger(named) && named > 0 ? named : Date.now() % 1_000_000_000;
}

/** Starts the choices of a seed (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number) => Math.floor(next() * end);
  return {
    seed,
    below,
    chance: (percent) => below(100) < percent,
    pick: (from) => from[below(from.length)]!,
  };
}
