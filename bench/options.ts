/** What a bench is told. */
export interface Options {
  /** A served PostgreSQL whose user may make databases; undefined: an embedded one in a temporary folder. */
  readonly database: string | undefined;
  /** Sizes of the month. */
  readonly patrons: readonly number[];
  /** Figures are medians of so many rounds. */
  readonly rounds: number;
  /** How long one load lasts. */
  readonly seconds: number;
  /** What is asked of those questions that a bench has; undefined: all of them. */
  readonly questions: readonly string[] | undefined;
  /** A folder for CPU profiles of the servers that run; undefined: none are made. */
  readonly profile: string | undefined;
}
