/** Expected noes of the domain. Edges have one table each from reason to status and sentence. */

/** Why something is refused: a machine-readable code that never changes its meaning. */
export type Reason =
  | "account_invalid"
  | "account_taken"
  | "account_unknown"
  | "amount_invalid"
  | "announcement_invalid"
  | "app_invalid"
  | "balance_too_low"
  | "budget_invalid"
  | "budget_too_low"
  | "client_unknown"
  | "currency_invalid"
  | "document_invalid"
  | "filter_invalid"
  | "flattr_owner"
  | "follow_blocked"
  | "follow_elsewhere"
  | "follow_invalid"
  | "list_invalid"
  | "idempotency_mismatch"
  | "marker_invalid"
  | "media_busy"
  | "media_in_use"
  | "media_invalid"
  | "media_too_large"
  | "media_unknown"
  | "grant_invalid"
  | "money_hidden"
  | "money_in_browser"
  | "no_payee"
  | "not_found"
  | "note_invalid"
  | "oneself"
  | "payee_blocked"
  | "payee_declined"
  | "payee_unknown"
  | "peer_behind"
  | "peer_forked"
  | "peer_limit_reached"
  | "peer_unknown"
  | "period_closed"
  | "period_invalid"
  | "period_open"
  | "poll_closed"
  | "poll_invalid"
  | "pin_invalid"
  | "post_invalid"
  | "profile_invalid"
  | "post_unscheduled"
  | "push_invalid"
  | "receipt_unknown"
  | "reference_invalid"
  | "reference_taken"
  | "report_invalid"
  | "subscription_invalid"
  | "unreachable"
  | "url_invalid"
  | "visibility_invalid"
  | "vote_invalid"
  | "voted";

/** What a sentence may want to name: the minimum, the name that is taken, … */
export type Facts = Readonly<Record<string, string>>;

/**
 * An expected no. Thrown inside a transaction it rolls everything back, so a refusal never leaves a trace.
 */
export class Refusal extends Error {
  readonly reason: Reason;
  readonly facts: Facts;

  constructor(reason: Reason, facts: Facts = {}) {
    super(reason);
    this.name = "Refusal";
    this.reason = reason;
    this.facts = facts;
  }
}
