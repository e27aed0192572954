/** What clients are told for each refusal. Complete: a new reason without a status does not compile. */

import type { Facts, Reason, Refusal } from "../../store/refusal.ts";

type Status = 400 | 401 | 403 | 404 | 409 | 410 | 413 | 422 | 429 | 503;
type Answer = readonly [Status, string | ((facts: Facts) => string)];

const ANSWERS: Readonly<Record<Reason, Answer>> = {
  account_invalid: [422, ({ what, rule }) => `The ${what} cannot be used: ${rule}.`],
  account_taken: [422, ({ what }) => `This ${what} belongs to another account.`],
  account_unknown: [404, "Record not found"],
  amount_invalid: [422, "An amount is above zero and in whole cents."],
  announcement_invalid: [422, ({ rule }) => `This announcement cannot be made so: ${rule}.`],
  app_invalid: [422, ({ what, rule }) => `The ${what} cannot be used: ${rule}.`],
  balance_too_low: [422, "So much is not there, or not free until the last month is closed."],
  budget_invalid: [422, "A budget is in whole cents; 0 is a pause."],
  budget_too_low: [422, "This is below the smallest budget; 0 is a pause."],
  client_unknown: [401, "No app is known by this id and secret."],
  currency_invalid: [422, "This instance keeps its books in another currency."],
  document_invalid: [422, "Its server sent something that cannot be used."],
  filter_invalid: [422, ({ rule }) => `This filter cannot be made so: ${rule}.`],
  flattr_owner: [403, "Nobody pays himself: this is your own."],
  follow_blocked: [403, "One of the two has blocked the other."],
  follow_elsewhere: [422, "Its server says no address where that could be asked."],
  follow_invalid: [422, "Nobody follows himself."],
  list_invalid: [422, ({ rule }) => `This list cannot be made so: ${rule}.`],
  idempotency_mismatch: [422, "This Idempotency-Key stands for another post."],
  marker_invalid: [422, "A marker names the last entry that was read by its id."],
  media_busy: [503, "Too many pictures are being worked on. Try again in a moment."],
  media_in_use: [422, "A post has this picture."],
  media_invalid: [422, ({ rule }) => `This picture cannot be used: ${rule}.`],
  media_too_large: [413, ({ megabytes }) => `A picture has at most ${megabytes} MB.`],
  media_unknown: [422, ({ max }) => `A post has at most ${max} pictures, each uploaded for it.`],
  grant_invalid: [400, "This code cannot be used, or was used before."],
  money_hidden: [403, "This app may not see amounts: it has no scope money:read."],
  money_in_browser: [403, ({ pages }) => `Money is set in the browser alone: ${pages}`],
  no_payee: [422, "Nobody is known who could be paid for this."],
  not_found: [404, "Record not found"],
  note_invalid: [422, ({ max }) => `A note about somebody has at most ${max} characters.`],
  oneself: [422, "That cannot be done to oneself."],
  payee_blocked: [403, "This instance does not pay whoever made this."],
  payee_declined: [403, "Whoever made this does not want money. A favourite is always welcome."],
  payee_unknown: [404, "Record not found"],
  peer_behind: [409, "This line is being put in order."],
  peer_forked: [409, "This line is frozen."],
  peer_limit_reached: [429, "So many new lines in one day are not opened."],
  peer_unknown: [404, "Record not found"],
  period_closed: [409, ({ period }) => `The month ${period} is over: what was given stays given.`],
  period_invalid: [422, ({ period, why }) => `The month ${period} cannot be used: ${why}.`],
  period_open: [409, ({ period }) => `The month ${period} is not over.`],
  poll_closed: [422, "This poll is over."],
  poll_invalid: [422, ({ rule }) => `This poll cannot be made: ${rule}.`],
  pin_invalid: [
    422,
    ({ max }) => `At most ${max} of your own public posts stand on top of your profile.`,
  ],
  post_invalid: [422, ({ max }) => `A post has 1 to ${max} characters.`],
  profile_invalid: [422, ({ what, rule }) => `The ${what} cannot be used: ${rule}.`],
  post_unscheduled: [422, "Posts cannot be planned for later here."],
  push_invalid: [422, ({ what, rule }) => `The ${what} cannot be used: ${rule}.`],
  receipt_unknown: [404, "There is no receipt for this month."],
  reference_invalid: [422, "This reference cannot be used."],
  reference_taken: [409, "This reference stands for another payment."],
  report_invalid: [422, ({ rule }) => `This report cannot be taken: ${rule}.`],
  subscription_invalid: [422, "A subscription runs for 1 to 120 months, or without end."],
  unreachable: [503, ({ host }) => `${host} does not answer. Try again in a while.`],
  visibility_invalid: [422, "A post is public, unlisted, private or direct."],
  url_invalid: [422, "This is neither an address nor a handle."],
  vote_invalid: [422, ({ rule }) => `This vote does not count: ${rule}.`],
  voted: [422, "You have voted in this poll already."],
};

/** The status and the body for a refusal. */
export function answerTo({ reason, facts }: Refusal): {
  readonly status: Status;
  readonly body: { readonly error: string; readonly error_description: string };
} {
  const [status, sentence] = ANSWERS[reason];
  const error_description = typeof sentence === "string" ? sentence : sentence(facts);
  // Clients know nothing here by this sentence, whatever it was that is not here.
  return status === 404
    ? { status, body: { error: error_description, error_description: reason } }
    : { status, body: { error: reason, error_description } };
}
