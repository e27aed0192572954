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
  announcement_invalid: ({ rule }) => `This announcement cannot be made so: ${rule}.`,
  app_invalid: ({ what, rule }) => `The ${what} of this app cannot be used: ${rule}.`,
  balance_too_low: () =>
    "So much is not there, or not free until the month that is over is closed.",
  budget_invalid: () => "A budget is written in whole cents, such as 5.00; 0 is a pause.",
  budget_too_low: (_, { minimumBudget }) =>
    `A monthly budget is at least ${minimumBudget}; 0 is a pause.`,
  client_unknown: () => "No app is known by this id and secret.",
  currency_invalid: ({ currency }, { currency: own }) =>
    `This instance keeps its books in ${own}, not in ${currency}.`,
  document_invalid: ({ rule }) => `This document cannot be used: ${rule}.`,
  filter_invalid: ({ rule }) => `This filter cannot be made so: ${rule}.`,
  flattr_owner: () => "Nobody pays himself: this is the account's own.",
  follow_blocked: () => "One of the two has blocked the other.",
  follow_elsewhere: ({ uri }) =>
    `${uri} cannot be followed: its server says no address where that could be asked.`,
  follow_invalid: () => "Nobody follows himself.",
  list_invalid: ({ rule }) => `This list cannot be made so: ${rule}.`,
  idempotency_mismatch: () => "This key stands for another post.",
  marker_invalid: () => "A marker names the last entry that was read by its id.",
  media_busy: () => "Too many pictures are being worked on. Try again in a moment.",
  media_in_use: () => "A post has this picture.",
  media_invalid: ({ rule }) => `This picture cannot be used: ${rule}.`,
  media_too_large: ({ megabytes }) => `A picture has at most ${megabytes} MB.`,
  media_unknown: ({ max }) => `A post has at most ${max} pictures, each uploaded for it.`,
  grant_invalid: () => "This code cannot be used, or was used before.",
  money_hidden: () => "This app may not see amounts.",
  money_in_browser: ({ pages }) => `Money is set in the browser alone: ${pages}`,
  no_payee: () =>
    "Nobody is known who could be paid for this. Its author becomes known when its document is learnt (thing learn) or named (thing add).",
  not_found: () => "There is no such thing here.",
  note_invalid: ({ max }) => `A note about somebody has at most ${max} characters.`,
  oneself: () => "That cannot be done to oneself.",
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
  poll_closed: () => "This poll is over.",
  poll_invalid: ({ rule }) => `This poll cannot be made: ${rule}.`,
  pin_invalid: ({ max }) => `At most ${max} of one's own public posts stand on top of a profile.`,
  post_invalid: ({ max }) => `A post has 1 to ${max} characters.`,
  profile_invalid: ({ what, rule }) => `The ${what} cannot be used: ${rule}.`,
  post_unscheduled: () => "Posts cannot be planned for later here.",
  push_invalid: ({ what, rule }) => `The ${what} of this app cannot be used: ${rule}.`,
  receipt_unknown: ({ period }) =>
    `There is no receipt for ${period}: no money moved, or the month is not closed.`,
  reference_invalid: ({ max }) =>
    `A reference is what both banks know the payment by, 1 to ${max} characters.`,
  reference_taken: ({ reference }) => `The reference ${reference} stands for another payment.`,
  report_invalid: ({ rule }) => `This report cannot be taken: ${rule}.`,
  subscription_invalid: () =>
    "A subscription runs for 1 to 120 months, or without --months until it is ended.",
  unreachable: ({ host }) => `${host} does not answer. Try again in a while.`,
  visibility_invalid: () => "A post is public, unlisted, private or direct.",
  url_invalid: ({ url }) => `${url} is neither an address nor a handle.`,
  vote_invalid: ({ rule }) => `This vote does not count: ${rule}.`,
  voted: () => "You have voted in this poll already.",
};

/** The sentence for a refusal. */
export function sentenceOf(
  reason: Reason,
  facts: Facts,
  limits: { readonly minimumBudget: string; readonly currency: string },
): string {
  return SENTENCES[reason](facts, limits);
}
