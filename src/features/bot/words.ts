/** What `@flattr` says, in each language; and its two forms, with amounts and without. */

import { formatAmount, type Micro } from "../../rules/amount.ts";
import type { MoneyLanguage } from "../../rules/money-fields.ts";
import { ownPages } from "../../rules/own-pages.ts";
import type { Settings } from "../../store/database.ts";
import { Temporal } from "../../store/time.ts";

/** A message that is ready to be sent. */
export interface Said {
  readonly language: MoneyLanguage;
  /** With … in the place of each amount: what every app may show. */
  readonly text: string;
  /** With amounts, for apps that may see them; undefined when it has none. */
  readonly full: string | undefined;
}

/** What fills the gaps of a sentence. */
export interface Gaps {
  readonly [name: string]: string | number | Temporal.Instant | { readonly amount: Micro };
}

const SENTENCES = {
  welcome: {
    en: "Welcome! Here a favourite is a flattr: one equal share of your monthly budget. At the end of the month your budget is divided equally over everything that you flattred. You set the budget, and whether favourites count, at {pages}. I write to you about your money, and I understand direct messages: status, pause, undo, budget 5, help.",
    de: "Willkommen! Ein Favorit ist hier ein Flattr: ein gleicher Teil deines Monatsbudgets. Am Monatsende wird dein Budget gleichmäßig auf alles verteilt, was du geflattert hast. Das Budget, und ob Favoriten zählen, stellst du hier ein: {pages}. Ich schreibe dir über dein Geld und verstehe Direktnachrichten: Status, Pause, Rückgängig, Budget 5, Hilfe.",
    nl: "Welkom! Een favoriet is hier een flattr: een gelijk deel van je maandbudget. Aan het einde van de maand wordt je budget gelijk verdeeld over alles wat je hebt geflattrd. Het budget, en of favorieten tellen, stel je hier in: {pages}. Ik schrijf je over je geld en begrijp directe berichten: status, pauze, terug, budget 5, hulp.",
  },
  help: {
    en: "I understand: status (your month so far), pause (budget 0), undo (takes back your newest flattr of this month), budget 5 (lowers your budget; raises it up to the ceiling that you set). Everything else is at {pages}",
    de: "Ich verstehe: Status (dein Monat bisher), Pause (Budget 0), Rückgängig (nimmt deinen neuesten Flattr dieses Monats zurück), Budget 5 (senkt dein Budget; erhöht es bis zu der Grenze, die du gesetzt hast). Alles andere: {pages}",
    nl: "Ik begrijp: status (je maand tot nu toe), pauze (budget 0), terug (neemt je nieuwste flattr van deze maand terug), budget 5 (verlaagt je budget; verhoogt het tot de grens die je hebt gezet). Al het andere: {pages}",
  },
  status: {
    en: "{month}: flattrs so far: {count}, each worth {value} now. Your budget is {budget}, and {available} is there. The month closes on {closes}.",
    de: "{month}: Flattrs bisher: {count}, jeder jetzt {value} wert. Dein Budget ist {budget}, vorhanden sind {available}. Der Monat endet am {closes}.",
    nl: "{month}: flattrs tot nu toe: {count}, elk nu {value} waard. Je budget is {budget}, en er is {available}. De maand eindigt op {closes}.",
  },
  statusEmpty: {
    en: "{month}: no flattrs so far. Your budget is {budget}, and {available} is there. The month closes on {closes}.",
    de: "{month}: bisher keine Flattrs. Dein Budget ist {budget}, vorhanden sind {available}. Der Monat endet am {closes}.",
    nl: "{month}: nog geen flattrs. Je budget is {budget}, en er is {available}. De maand eindigt op {closes}.",
  },
  budget: {
    en: "Your budget is {budget} a month.",
    de: "Dein Budget ist {budget} im Monat.",
    nl: "Je budget is {budget} per maand.",
  },
  budgetSet: {
    en: "Your budget is {budget} a month now, for the whole of {month} and from then on.",
    de: "Dein Budget ist jetzt {budget} im Monat, für den ganzen {month} und von da an.",
    nl: "Je budget is nu {budget} per maand, voor heel {month} en daarna.",
  },
  paused: {
    en: "Your budget is paused: your flattrs of {month} give nothing, unless you set a budget before the month closes: {pages}",
    de: "Dein Budget pausiert: deine Flattrs im {month} geben nichts, wenn du nicht vor dem Monatsende ein Budget setzt: {pages}",
    nl: "Je budget is gepauzeerd: je flattrs van {month} geven niets, tenzij je voor het einde van de maand een budget instelt: {pages}",
  },
  budgetAbove: {
    en: "I may not raise your budget that far. You can do it yourself: {pages}",
    de: "So weit darf ich dein Budget nicht erhöhen. Du kannst es selbst: {pages}",
    nl: "Zo ver mag ik je budget niet verhogen. Je kunt het zelf: {pages}",
  },
  budgetAsked: {
    en: "I have read that. A message lowers your budget, or raises it up to the ceiling that you set. This app may not show what it is now: {pages}",
    de: "Das habe ich gelesen. Eine Nachricht senkt dein Budget oder erhöht es bis zu der Grenze, die du gesetzt hast. Wie hoch es jetzt ist, darf diese App nicht zeigen: {pages}",
    nl: "Dat heb ik gelezen. Een bericht verlaagt je budget, of verhoogt het tot de grens die je hebt gezet. Hoe hoog het nu is mag deze app niet tonen: {pages}",
  },
  budgetBelow: {
    en: "The smallest budget here is {minimum}; 0 is a pause. Nothing has changed.",
    de: "Das kleinste Budget hier ist {minimum}; 0 ist eine Pause. Es hat sich nichts geändert.",
    nl: "Het kleinste budget hier is {minimum}; 0 is een pauze. Er is niets veranderd.",
  },
  budgetUnclear: {
    en: "I do not understand that amount. Write it like “budget 5” or “budget 5.00 {currency}”. Nothing has changed.",
    de: "Diesen Betrag verstehe ich nicht. Schreib ihn wie „Budget 5“ oder „Budget 5,00 {currency}“. Es hat sich nichts geändert.",
    nl: "Dit bedrag begrijp ik niet. Schrijf het als ‘budget 5’ of ‘budget 5,00 {currency}’. Er is niets veranderd.",
  },
  undone: {
    en: "Taken back: {thing}",
    de: "Zurückgenommen: {thing}",
    nl: "Teruggenomen: {thing}",
  },
  nothingToUndo: {
    en: "You flattred nothing in {month} that can be taken back.",
    de: "Du hast im {month} nichts geflattert, was sich zurücknehmen lässt.",
    nl: "Je hebt in {month} niets geflattrd dat terug kan.",
  },
  closed: {
    en: "{month} is closed: your flattrs ({count}) got {spent} in all. Who got what: {pages}",
    de: "Der {month} ist abgeschlossen: deine Flattrs ({count}) haben zusammen {spent} gegeben. Wer was bekommt: {pages}",
    nl: "{month} is afgesloten: je flattrs ({count}) kregen samen {spent}. Wie wat krijgt: {pages}",
  },
  closedPaused: {
    en: "{month} is closed. Your budget was paused, so your flattrs ({count}) gave nothing. {pages}",
    de: "Der {month} ist abgeschlossen. Dein Budget pausierte, also haben deine Flattrs ({count}) nichts gegeben. {pages}",
    nl: "{month} is afgesloten. Je budget was gepauzeerd, dus je flattrs ({count}) gaven niets. {pages}",
  },
  unfunded: {
    en: "{month} is closed, and there was no money for your flattrs ({count}). Money that arrives before {until} still goes to them: {pages}",
    de: "Der {month} ist abgeschlossen, und für deine Flattrs ({count}) war kein Geld da. Was vor dem {until} ankommt, geht noch an sie: {pages}",
    nl: "{month} is afgesloten, en er was geen geld voor je flattrs ({count}). Geld dat voor {until} aankomt gaat nog naar hen: {pages}",
  },
  late: {
    en: "Your money came in time: your flattrs ({count}) of {month} got {spent} in all. Who got what: {pages}",
    de: "Dein Geld kam rechtzeitig: deine Flattrs ({count}) im {month} haben zusammen {spent} gegeben. Wer was bekommt: {pages}",
    nl: "Je geld kwam op tijd: je flattrs ({count}) van {month} kregen samen {spent}. Wie wat krijgt: {pages}",
  },
  lapsed: {
    en: "{month} is over for good: no money came for your flattrs ({count}), so they gave nothing. {pages}",
    de: "Der {month} ist endgültig vorbei: für deine Flattrs ({count}) kam kein Geld, sie haben nichts gegeben. {pages}",
    nl: "{month} is definitief voorbij: er kwam geen geld voor je flattrs ({count}), dus gaven ze niets. {pages}",
  },
  low: {
    en: "{month} closes on {closes}. Your flattrs are to share {budget}, and {available} is there. You can top up: {pages}",
    de: "Der {month} endet am {closes}. Deine Flattrs sollen sich {budget} teilen, vorhanden sind {available}. Aufladen kannst du hier: {pages}",
    nl: "{month} eindigt op {closes}. Je flattrs delen {budget}, en er is {available}. Opwaarderen kan hier: {pages}",
  },
  received: {
    en: "People of this instance gave you {amount} in {month}. {pages}",
    de: "Leute dieser Instanz haben dir im {month} {amount} gegeben. {pages}",
    nl: "Mensen van deze server gaven je {amount} in {month}. {pages}",
  },
  receivedLate: {
    en: "People of this instance who paid late gave you {amount} more for {month}. {pages}",
    de: "Leute dieser Instanz, die spät bezahlt haben, haben dir für den {month} noch {amount} gegeben. {pages}",
    nl: "Mensen van deze server die laat betaalden gaven je nog {amount} voor {month}. {pages}",
  },
  covered: {
    en: "{host} has paid what its people gave you in {month}: {amount}. {pages}",
    de: "{host} hat bezahlt, was seine Leute dir im {month} gegeben haben: {amount}. {pages}",
    nl: "{host} heeft betaald wat zijn mensen je gaven in {month}: {amount}. {pages}",
  },
} satisfies Record<string, Readonly<Record<MoneyLanguage, string>>>;

/** Something that can be said. */
export type Sentence = keyof typeof SENTENCES;

const HIDDEN: Readonly<Record<MoneyLanguage, string>> = {
  en: "… stands for an amount, which this app may not show. Your figures: {pages}",
  de: "… steht für einen Betrag, den diese App nicht zeigen darf. Deine Zahlen: {pages}",
  nl: "… staat voor een bedrag dat deze app niet mag tonen. Je cijfers: {pages}",
};

/**
 * Sentences that tell an amount by being said, and what is said instead where amounts are not shown: an app that may not
 * see the budget would find it by asking for one after the other.
 */
const VEILED: Partial<Readonly<Record<Sentence, Sentence>>> = {
  budgetSet: "budgetAsked",
  budgetAbove: "budgetAsked",
};

/** Says it to somebody, in his language. */
export function say(
  settings: Settings,
  { to, language }: { readonly to: string; readonly language: MoneyLanguage },
  sentence: Sentence,
  gaps: Gaps = {},
): Said {
  const pages = ownPages(settings.origin);
  const template = (which: Sentence) => `@${to} ${SENTENCES[which][language]}`;
  const filled = (showsMoney: boolean, which = sentence) =>
    fill(template(which), { ...gaps, pages }, (gap) =>
      typeof gap === "object" && "amount" in gap
        ? showsMoney
          ? moneyText(gap.amount, settings.currency, language)
          : "…"
        : gap instanceof Temporal.Instant
          ? dateText(gap, language)
          : String(gap),
    );
  const veil = VEILED[sentence];
  if (veil !== undefined) return { language, text: filled(false, veil), full: filled(true) };
  const hasAmounts = Object.entries(gaps).some(
    ([name, gap]) =>
      typeof gap === "object" && "amount" in gap && template(sentence).includes(`{${name}}`),
  );
  if (!hasAmounts) return { language, text: filled(false), full: undefined };
  const hint = fill(HIDDEN[language], { pages }, String);
  return { language, text: `${filled(false)}\n\n${hint}`, full: filled(true) };
}

/** An amount as people of a language write it, with its currency. */
export function moneyText(amount: Micro, currency: string, language: MoneyLanguage): string {
  const digits = formatAmount(amount, currency);
  return `${language === "en" ? digits : digits.replace(".", ",")} ${currency}`;
}

/** A month by its name. */
export function monthText(month: string, language: MoneyLanguage): string {
  return Temporal.PlainYearMonth.from(month)
    .toPlainDate({ day: 1 })
    .toLocaleString(language, { month: "long", year: "numeric" });
}

/** All days and times are of UTC, as the months are. */
function dateText(at: Temporal.Instant, language: MoneyLanguage): string {
  const time = at.toZonedDateTimeISO("UTC").toPlainDateTime();
  return `${time.toLocaleString(language, { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" })} UTC`;
}

/** Gaps are filled once: what fills them is never looked through again. */
function fill(template: string, gaps: Gaps, textOf: (gap: Gaps[string]) => string): string {
  return template.replaceAll(/\{(\w+)\}/g, (gap, name: string) =>
    Object.hasOwn(gaps, name) ? textOf(gaps[name]!) : gap,
  );
}
