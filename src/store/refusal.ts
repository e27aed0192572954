/** Expected noes of the domain. Edges have one table each from reason to status and sentence. */

/** Why something is refused: a machine-readable code that never changes its meaning. */
export type Reason =
  | "account_invalid"
  | "account_taken"
  | "account_unknown"
  | "amount_invalid"
  | "balance_too_low"
  | "budget_invalid"
  | "budget_too_low"
  | "currency_invalid"
  | "document_invalid"
  | "flattr_owner"
  | "follow_elsewhere"
  | "follow_invalid"
  | "no_payee"
  | "not_found"
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
  | "post_invalid"
  | "receipt_unknown"
  | "reference_invalid"
  | "reference_taken"
  | "subscription_invalid"
  | "unreachable"
  | "url_invalid";

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
