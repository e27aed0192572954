/** How the demonstration tells what happens: sentences for people, or one JSON object per step. */

import { formatAmount } from "../../../rules/amount.ts";
import { DemoFault } from "./instance.ts";

/** The one currency of the demonstration. */
export const CURRENCY = "EUR";

/** One step, as scripts read it. */
export interface Step {
  readonly step: string;
  /** `instance`, or `person@instance`. */
  readonly who: string;
  /** What it is about; nothing where no money is involved. */
  readonly amount?: bigint;
  readonly state: string;
}

/** Tells. */
export interface Teller {
  /** A part of the story, with the time on the clocks of both instances. */
  chapter(title: string, when: string): void;
  /** Something that happened and was checked. */
  step(step: Step, sentence: string): void;
  /** What to look at. */
  look(sentence: string): void;
  /** Anything else, for people only. */
  say(text: string): void;
  /** The last line. */
  end(agreement: { differenceMicro: bigint }): void;
}

/** Columns of a terminal that nobody has to scroll. */
const WIDTH = 96;

/** Tells by lines. */
export function teller(write: (line: string) => void, isJson: boolean): Teller {
  const say = (text: string) => {
    if (!isJson) write(text);
  };
  return {
    say,
    chapter: (title, when) => say(`\n${title} - ${when}\n`),
    step({ step, who, amount = 0n, state }, sentence) {
      if (isJson) write(JSON.stringify({ step, who, amountMicro: String(amount), state }));
      else say(wrapped(sentence, "  "));
    },
    look: (sentence) => say(`\n${wrapped(sentence, "  > ")}`),
    end({ differenceMicro }) {
      const agree = differenceMicro === 0n;
      if (isJson) write(JSON.stringify({ agree, differenceMicro: String(differenceMicro) }));
      else
        say(
          agree
            ? "\nBoth books agree to the millionth of a euro."
            : `\nTHE BOOKS DIFFER by ${eur(differenceMicro)}.`,
        );
    },
  };
}

function wrapped(text: string, first: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > WIDTH - first.length) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines
    .map((line, place) => (place === 0 ? first : " ".repeat(first.length)) + line)
    .join("\n");
}

/** An amount as people read it. */
export function eur(amount: bigint): string {
  return `${formatAmount(amount, CURRENCY)} ${CURRENCY}`;
}

/** Compares what came out with what must. @throws DemoFault that names the step, and both */
export function expectSame(step: string, found: unknown, wanted: unknown): void {
  const [one, other] = [shown(found), shown(wanted)];
  if (one !== other)
    throw new DemoFault(`"${step}" came out wrong: it is ${one}, and must be ${other}`);
}

function shown(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? `${part}` : part));
}
