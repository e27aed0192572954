/** Web addresses: which spellings mean the same thing (R4). */

/** Longest address that is kept, in bytes of UTF-8 and so in characters, too; longer ones are refused. */
export const ADDRESS_CHARS_MAX = 2048;

/** Query parameters that only say where a reader came from. */
const TRACKING =
  /^(utm_\w+|fbclid|gclid|dclid|msclkid|mc_[ce]id|igshid|yclid|_hs(enc|mi)|ref_src|pk_\w+|mtm_\w+)$/i;

/**
 * The one spelling of a web address: lower-case host, default port and dot segments gone, no
 * fragment unless it is a page of its own (`#!`), no tracking parameters.
 *
 * @returns undefined when the text is no http(s) address, carries a password, or is too long
 */
export function canonicalAddress(text: string): string | undefined {
  const url = parseAddress(text);
  if (url === undefined) return undefined;
  if (!url.hash.startsWith("#!")) url.hash = "";
  const tracked = [...url.searchParams.keys()].filter((name) => TRACKING.test(name));
  // Only touched when needed: rewriting the query would re-encode addresses that are ids elsewhere.
  for (const name of tracked) url.searchParams.delete(name);
  // Other letters than those of ASCII become longer.
  return url.href.length <= ADDRESS_CHARS_MAX ? url.href : undefined;
}

/** True when two addresses have the same scheme, host and port (FEP-fe34). */
export function sameOrigin(one: string, other: string): boolean {
  const [first, second] = [parseAddress(one), parseAddress(other)];
  return first !== undefined && second !== undefined && first.origin === second.origin;
}

/**
 * A web address that is written as it is compared: its host in lower case and punycode, without a dot at its end, and
 * no default port. Ids are compared as texts, so another spelling would be another id of the same thing.
 */
export function webAddress(text: string): URL | undefined {
  const url = parseAddress(text);
  const isPlain =
    url !== undefined &&
    (text === url.origin || text.startsWith(`${url.origin}/`)) &&
    !url.hostname.endsWith(".");
  return isPlain ? url : undefined;
}

/** What a URL parser would quietly drop or encode makes two texts of one address: such texts are no addresses. */
const UNSEEN = /[\u0000-\u0020\u007f-\u00a0\u2028\u2029\ufeff]/;

function parseAddress(text: string): URL | undefined {
  if (
    text.length > ADDRESS_CHARS_MAX ||
    // An index of the database takes no more.
    new TextEncoder().encode(text).length > ADDRESS_CHARS_MAX ||
    UNSEEN.test(text) ||
    !text.isWellFormed() ||
    !URL.canParse(text)
  )
    return undefined;
  const url = new URL(text);
  const isWeb = url.protocol === "https:" || url.protocol === "http:";
  return isWeb && url.username === "" && url.password === "" ? url : undefined;
}

/** A handle, `name`, `@name` or `@name@host`; undefined when the text is none. */
export function parseHandle(text: string): { name: string; host: string | undefined } | undefined {
  const match =
    /^@?([a-z0-9_](?:[a-z0-9_.-]{0,62}[a-z0-9_])?)(?:@([a-z0-9.-]+(?::\d{1,5})?))?$/i.exec(text);
  return match === null ? undefined : { name: match[1]!, host: match[2]?.toLowerCase() };
}
