/** Figures: medians, and one JSON line for each. */

/** What a figure should reach: at most or at least this. */
export interface Reach {
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** Prints the figures of one bench. */
export function printerOf(bench: string) {
  return (figure: string, value: number | boolean, unit: string, reach?: Reach): void => {
    console.log(
      JSON.stringify({
        bench,
        figure,
        value: typeof value === "number" ? rounded(value) : value,
        unit,
        ...(reach === undefined ? {} : { reach: wordsOf(reach), reached: isReached(value, reach) }),
      }),
    );
  };
}

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return Number.isInteger(middle)
    ? (sorted[middle - 1]! + sorted[middle]!) / 2
    : sorted[Math.floor(middle)]!;
}

/** Three significant digits, and all digits before the point. */
function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

function wordsOf({ atMost, atLeast }: Reach): string {
  return atMost === undefined ? `>= ${atLeast}` : `<= ${atMost}`;
}

function isReached(value: number | boolean, { atMost, atLeast }: Reach): boolean {
  return (
    typeof value === "number" &&
    (atMost === undefined || value <= atMost) &&
    (atLeast === undefined || value >= atLeast)
  );
}
