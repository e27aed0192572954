/** Amounts, for their owner alone, through apps that he allowed to see them. */

import type { Account } from "../../features/account/create.ts";
import { moneyText } from "../../features/bot/words.ts";
import { balancesOf, clickNow } from "../../features/settlement/report.ts";
import type { Micro } from "../../rules/amount.ts";
import { answerLanguage } from "../../rules/bot-order.ts";
import {
  MONEY_FIELD_NAMES,
  type MoneyField,
  type MoneyLanguage,
} from "../../rules/money-fields.ts";
import { ownPages } from "../../rules/own-pages.ts";
import type { Temporal } from "../../store/time.ts";
import type { Caller, ClientParts } from "./frame.ts";

/**
 * What a click of the caller would be worth if the month closed now, in micro-units as decimal text; undefined for
 * apps that may not see amounts.
 */
export async function clickValue(
  { database }: Pick<ClientParts, "database">,
  caller: Caller | undefined,
  at: Temporal.Instant,
): Promise<string | undefined> {
  if (caller === undefined || !caller.showsMoney) return undefined;
  const { value } = await clickNow(database, caller.account.id, at);
  return value === undefined ? undefined : String(value);
}

/** A field of a profile that is computed. */
export interface ComputedField {
  readonly name: string;
  /** HTML. */
  readonly value: string;
  readonly verified_at: null;
}

/** What promised money is called: another instance owes it, and it may never come. */
const PROMISED: Readonly<Record<MoneyLanguage, string>> = {
  en: "promised by other instances",
  de: "von anderen Instanzen versprochen",
  nl: "beloofd door andere servers",
};

/**
 * The running month of the caller as fields of his own profile: for `verify_credentials` and its like alone. Apps that
 * may not see amounts get the number of flattrs, and a link to the page that has the rest.
 */
export async function moneyFields(
  { database }: Pick<ClientParts, "database">,
  { account, showsMoney }: { readonly account: Account; readonly showsMoney: boolean },
  at: Temporal.Instant,
): Promise<readonly ComputedField[]> {
  const { origin, currency } = database.settings;
  const language = answerLanguage(account.postLanguage);
  const { budget, flattrs, value } = await clickNow(database, account.id, at);
  const field = (name: MoneyField, shown: string): ComputedField => ({
    name: MONEY_FIELD_NAMES[name][language],
    value: shown,
    verified_at: null,
  });
  if (!showsMoney) {
    const pages = ownPages(origin);
    return [
      field("budget", `<a href="${pages}" rel="nofollow noopener noreferrer">${pages}</a>`),
      field("clicks", String(flattrs)),
    ];
  }
  const money = (amount: Micro) => moneyText(amount, currency, language);
  const { earnings, pending } = await balancesOf(database, account.id);
  return [
    field("budget", money(budget)),
    field("clicks", String(flattrs)),
    field("value", value === undefined ? "–" : money(value)),
    field(
      "waiting",
      pending > 0n
        ? `${money(earnings)} + ${money(pending)} ${PROMISED[language]}`
        : money(earnings),
    ),
  ];
}
