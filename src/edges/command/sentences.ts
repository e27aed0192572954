/** What the terminal says to each refusal. Complete: a new reason without a sentence does not compile. */

import type { Facts, Reason } from "../../store/refusal.ts";

type Sentence = (
  facts: Facts,
  limits: { readonly minimumBudget: string; readonly currency: string },
) => string;

const SENTENCES: Readonly<Record<Reason, Sentence>> = {
  account_invalid: ({ what, rule }) => `The ${what} cannot be used: ${rule}.`,
  account_taken: ({ what }) => `This ${what} belongs to another account.`,
  account_unknown: ({ name }) => `Nobody here is called ${name}.`,
  amount_invalid: (_, { currency }) =>
    `An amount is above zero and in whole cents, at most 999999999.99 ${currency}, such as 20.00.`,
  balance_too_low: () =>
    "So much is not there, or not free until the month that is over is closed.",
  budget_invalid: () => "A budget is written in whole cents, such as 5.00; 0 is a pause.",
  budget_too_low: (_, { minimumBudget }) =>
    `A monthly budget is at least ${minimumBudget}; 0 is a pause.`,
  currency_invalid: ({ currency }, { currency: own }) =>
    `This instance keeps its books in ${own}, not in ${currency}.`,
  document_invalid: ({ rule }) => `This document cannot be used: ${rule}.`,
  flattr_owner: () => "Nobody pays himself: this is the account's own.",
  follow_elsewhere: ({ uri }) =>
    `${uri} cannot be followed: its server says no address where that could be asked.`,
  follow_invalid: () => "Nobody follows himself.",
  no_payee: () =>
    "Nobody is known who could be paid for this. Its author becomes known when its document is learnt (thing learn) or named (thing add).",
  not_found: () => "There is no such thing here.",
  payee_blocked: () => "The operator of this instance does not pay whoever made this.",
  payee_declined: () => "Whoever made this does not want money. A favourite is always welcome.",
  payee_unknown: ({ payee }) => `Nobody is known as ${payee}: name an address or a known handle.`,
  peer_behind: ({ host }) =>
    `${host} does not say whether this database, perhaps from a backup, has forgotten statements of yours. Try again later; --unasked goes on, and breaks the line if it has.`,
  peer_forked: ({ host }) =>
    `${host} told two stories: its line stays frozen until both operators agree. peer show tells both.`,
  peer_limit_reached: () => "So many new lines in one day are not opened. Try again tomorrow.",
  peer_unknown: ({ host }) => `This instance keeps no line with ${host}.`,
  period_closed: ({ period, withdrawn }) =>
    `The month ${period} is over: what was given stays given.${withdrawn === undefined ? "" : " The favourite is withdrawn."}`,
  period_invalid: ({ period, why }) => `The month ${period} cannot be used: ${why}.`,
  period_open: ({ period }) => `The month ${period} is not over.`,
  post_invalid: ({ max }) => `A post has 1 to ${max} characters.`,
  receipt_unknown: ({ period }) =>
    `There is no receipt for ${period}: no money moved, or the month is not closed.`,
  reference_invalid: ({ max }) =>
    `A reference is what both banks know the payment by, 1 to ${max} characters.`,
  reference_taken: ({ reference }) => `The reference ${reference} stands for another payment.`,
  subscription_invalid: () =>
    "A subscription runs for 1 to 120 months, or without --months until it is ended.",
  unreachable: ({ host }) => `${host} does not answer. Try again in a while.`,
  url_invalid: ({ url }) => `${url} is neither an address nor a handle.`,
};

/** The sentence for a refusal. */
export function sentenceOf(
  reason: Reason,
  facts: Facts,
  limits: { readonly minimumBudget: string; readonly currency: string },
): string {
  return SENTENCES[reason](facts, limits);
}
