/** OAuth scopes: Mastodon's, and ours for flattrs and money. */

/** Parts of `read`. @see https://docs.joinmastodon.org/api/oauth-scopes/ */
const READ = [
  "accounts",
  "blocks",
  "bookmarks",
  "favourites",
  "filters",
  "follows",
  "lists",
  "mutes",
  "notifications",
  "search",
  "statuses",
] as const;

/** Parts of `write`. */
const WRITE = [
  "accounts",
  "blocks",
  "bookmarks",
  "conversations",
  "favourites",
  "filters",
  "follows",
  "lists",
  "media",
  "mutes",
  "notifications",
  "reports",
  "statuses",
] as const;

/** What the old scope `follow` stands for. */
const FOLLOW = ["read", "write"].flatMap((verb) =>
  ["blocks", "follows", "mutes"].map((what) => `${verb}:${what}`),
);

/**
 * Every scope that there is. Nothing above `flattr:` and `money:` includes them: whoever may read posts may not read
 * what somebody gives, and no scope of Mastodon's shows an amount.
 */
export const SCOPES: readonly string[] = [
  "read",
  ...READ.map((what) => `read:${what}`),
  "write",
  ...WRITE.map((what) => `write:${what}`),
  "follow",
  "push",
  "profile",
  "flattr:read",
  "flattr:write",
  "money:read",
];

/** Longest list of scopes that is read, in characters: all of them together are shorter. */
const CHARS_MAX = 1000;

/**
 * The scopes in a text that parts them by blanks, as OAuth has it; each once, in our order. `read` when it is empty.
 *
 * @returns undefined when one of them is none of ours
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-3.3
 */
export function parseScopes(text: string): readonly string[] | undefined {
  if (text.length > CHARS_MAX) return undefined;
  const wanted = new Set(text.split(/[\s+]+/).filter((part) => part !== ""));
  if (wanted.size === 0) return ["read"];
  const known = SCOPES.filter((scope) => wanted.has(scope));
  return known.length === wanted.size ? known : undefined;
}

/** True when one of the granted scopes is the wanted one or includes it. */
export function allows(granted: Iterable<string>, wanted: string): boolean {
  const [verb] = wanted.split(":");
  for (const scope of granted) {
    if (scope === wanted) return true;
    if ((scope === "read" || scope === "write") && verb === scope) return true;
    if (scope === "follow" && FOLLOW.includes(wanted)) return true;
  }
  return false;
}

/** True when everything wanted is granted. */
export function allowsAll(granted: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((scope) => allows(granted, scope));
}

/** True for scopes by which an app can spend the budget: by favourites, or by flattrs of its own. */
export function maySpend(granted: readonly string[]): boolean {
  return allows(granted, "write:favourites") || granted.includes("flattr:write");
}
