/** What people write to `@flattr`: one word, and for a budget an amount. */

import { type Micro, parseAmount } from "./amount.ts";
import { isMoneyLanguage, type MoneyLanguage } from "./money-fields.ts";

/** What `@flattr` does when it is asked. */
export type BotWord = "status" | "pause" | "undo" | "help" | "budget";

/** A message to `@flattr`, understood as far as it can be. */
export interface BotOrder {
  /** Undefined: the message begins with no word that is known. */
  readonly word: BotWord | undefined;
  /** The language of the word, when it is a word of one language alone. */
  readonly language: MoneyLanguage | undefined;
  /** What follows the word; only of a budget. Undefined: it is no amount of this currency. */
  readonly amount: Micro | undefined;
  /** True when something follows the word. */
  readonly hasMore: boolean;
}

const WORDS: Readonly<Record<string, readonly [BotWord, MoneyLanguage | undefined]>> = {
  status: ["status", undefined],
  stand: ["status", undefined],
  pause: ["pause", undefined],
  pausieren: ["pause", "de"],
  pauze: ["pause", "nl"],
  pauzeer: ["pause", "nl"],
  undo: ["undo", undefined],
  rückgängig: ["undo", "de"],
  zurück: ["undo", "de"],
  ongedaan: ["undo", "nl"],
  terug: ["undo", "nl"],
  help: ["help", undefined],
  hilfe: ["help", "de"],
  hulp: ["help", "nl"],
  budget: ["budget", undefined],
};

/** A word that is longer is none that is known, an amount that is longer none that anybody sets. */
const PART_CHARS_MAX = 40;

/** Signs that people write for the currencies that they know by one. */
const SIGNS: Readonly<Record<string, string>> = { "€": "EUR", $: "USD", "£": "GBP", "¥": "JPY" };

/** Reads a message: its first word that is no mention, in any case, and what follows it. */
export function parseOrder(text: string, currency: string): BotOrder {
  const [first = "", ...rest] = text
    .normalize("NFC")
    .split(/\s+/u)
    .filter((part) => part !== "" && !part.startsWith("@"));
  const key = first.toLowerCase().replaceAll(/[^\p{L}]/gu, "");
  const [word, language] =
    first.length <= PART_CHARS_MAX && Object.hasOwn(WORDS, key) ? WORDS[key]! : [undefined];
  const more = rest.join(" ");
  return {
    word,
    language,
    amount: word === "budget" ? amountOf(more, currency) : undefined,
    hasMore: more !== "",
  };
}

/** "5", "5.00", "5,00 EUR", "€5": an amount, before or after it perhaps its currency, and nothing else. */
function amountOf(text: string, currency: string): Micro | undefined {
  if (text.length > PART_CHARS_MAX) return undefined;
  const match = /^([a-z]{3}|[€$£¥])?\s*(\d[\d.,]*?)\s*([a-z]{3}|euro|[€$£¥])?[.!]?$/i.exec(text);
  if (match === null) return undefined;
  const [, before, digits = "", after] = match;
  for (const named of [before, after]) {
    if (named === undefined) continue;
    const code = named.toLowerCase() === "euro" ? "EUR" : (SIGNS[named] ?? named.toUpperCase());
    if (code !== currency) return undefined;
  }
  return parseAmount(digits, currency);
}

/** The language in which somebody is answered: that in which he writes posts, if it is one of ours, else that of his word. */
export function answerLanguage(postLanguage: string | null, spoken?: MoneyLanguage): MoneyLanguage {
  const own = postLanguage?.toLowerCase().split("-")[0];
  return own !== undefined && isMoneyLanguage(own) ? own : (spoken ?? "en");
}
