/** The account as its owner sees it. @see https://docs.joinmastodon.org/entities/Account/#CredentialAccount */

import { peopleIn } from "../../features/follow/people.ts";
import { Refusal } from "../../store/refusal.ts";
import { accountOf, type Entity } from "./account.ts";
import type { Caller, ClientParts } from "./frame.ts";
import { moneyFields } from "./money.ts";
import { VISIBILITY_NAMES } from "./status.ts";

/** Requests that are counted. */
const REQUESTS_MAX = 80;

/**
 * The caller's own account, with what he typed. Fields about his money, which nobody else ever sees, stand in `fields`
 * alone, never in `source`, and only where they are asked for: where he looks at himself.
 *
 * @throws Refusal "account_unknown" when it is gone
 */
export async function credentialAccount(
  parts: Pick<ClientParts, "database" | "clock">,
  caller: Caller,
  { withMoney }: { readonly withMoney: boolean },
): Promise<Entity> {
  const { account } = caller;
  const at = parts.clock.now();
  const [entity, money, asking] = await Promise.all([
    accountOf(parts, account.actor),
    withMoney ? moneyFields(parts, caller, at) : [],
    peopleIn(
      parts.database,
      { kind: "asking", of: account.actor },
      { limit: REQUESTS_MAX, maxId: undefined, sinceId: undefined, minId: undefined },
      at,
    ),
  ]);
  if (entity === undefined) throw new Refusal("account_unknown");
  return {
    ...entity,
    fields: [...(entity["fields"] as readonly unknown[]), ...money],
    source: {
      privacy: VISIBILITY_NAMES[account.postVisibility],
      sensitive: account.postsSensitive,
      language: account.postLanguage,
      note: account.note,
      fields: account.fields.map(({ name, value }) => ({ name, value, verified_at: null })),
      follow_requests_count: asking.length,
      discoverable: account.isDiscoverable,
      indexable: entity["indexable"],
      hide_collections: false,
    },
    role: {
      id: account.role === "admin" ? "3" : "-99",
      name: account.role === "admin" ? "Admin" : "",
      color: "",
      permissions: "0",
      highlighted: false,
    },
  };
}
