/**
 * Fields of a profile that are computed for its owner's eyes alone. They are known by their names, in whatever language
 * and however a program wrote them back: a profile that is saved as it was read must hold no amount.
 */

/** What these fields tell. */
export type MoneyField = "budget" | "clicks" | "value" | "waiting";

/** Languages that they are told in. */
export type MoneyLanguage = "en" | "de" | "nl";

/** True for a language in which money is told here. */
export function isMoneyLanguage(text: string): text is MoneyLanguage {
  return text === "en" || text === "de" || text === "nl";
}

/** Names that nobody gives to a field of his own. A name that was ever used stays reserved. */
export const MONEY_FIELD_NAMES: Readonly<
  Record<MoneyField, Readonly<Record<MoneyLanguage, string>>>
> = {
  budget: { en: "💶 Flattr budget", de: "💶 Flattr-Budget", nl: "💶 Flattr-budget" },
  clicks: {
    en: "💶 Flattrs this month",
    de: "💶 Flattrs in diesem Monat",
    nl: "💶 Flattrs deze maand",
  },
  value: {
    en: "💶 Value of a flattr now",
    de: "💶 Wert eines Flattrs jetzt",
    nl: "💶 Waarde van een flattr nu",
  },
  waiting: {
    en: "💶 Flattr money waiting for you",
    de: "💶 Flattr-Geld wartet auf dich",
    nl: "💶 Flattr-geld wacht op je",
  },
};

/** Letters and digits alone: programs take pictures, spaces and punctuation away, or write them otherwise. */
const bare = (name: string) =>
  name
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]/gu, "");

const RESERVED: ReadonlySet<string> = new Set(
  Object.values(MONEY_FIELD_NAMES).flatMap((names) => Object.values(names).map(bare)),
);

/** True for the name of a computed field. */
export function isMoneyField(name: string): boolean {
  return RESERVED.has(bare(name));
}
