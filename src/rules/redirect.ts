/** Addresses to which a browser is sent: those of apps after signing in, and those of our own pages. */

/** No address: the code is shown, and people carry it over by hand. */
export const OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob";

/** Longest redirect address, in characters. */
const REDIRECT_CHARS_MAX = 2000;

/** Schemes that a browser runs, reads from the device, or opens in something else than an app that asked to sign in. */
const UNSAFE_SCHEMES: ReadonlySet<string> = new Set([
  "about",
  "blob",
  "chrome",
  "content",
  "data",
  "file",
  "filesystem",
  "ftp",
  "intent",
  "jar",
  "javascript",
  "mailto",
  "resource",
  "sms",
  "tel",
  "vbscript",
  "view-source",
  "ws",
  "wss",
]);

/** Hosts that never leave the device, as a parser of addresses writes them. */
const LOOPBACK = /^(?:localhost|[a-z0-9-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * Which rule an app's redirect address breaks; undefined when it can be used. Apps have their own schemes or `https`;
 * what travels unencrypted would show the code to everybody on the way, so `http` leads to the device itself only.
 *
 * @param allowsHttp true where this instance itself is only reached by `http`
 * @see https://www.rfc-editor.org/rfc/rfc8252#section-7
 */
export function redirectFault(uri: string, allowsHttp: boolean): string | undefined {
  if (uri === OUT_OF_BAND) return undefined;
  if (uri.length > REDIRECT_CHARS_MAX) return `it has at most ${REDIRECT_CHARS_MAX} characters`;
  if (!/^[\x21-\x7e]+$/.test(uri) || /[\\"'<>`{}|^]/.test(uri))
    return "it is written in the characters that an address may have";
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined || !URL.canParse(uri)) return "it must be a whole address";
  if (UNSAFE_SCHEMES.has(scheme)) return `${scheme}: leads to no app`;
  if (uri.includes("#")) return "it has no fragment";
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?]*)/i.exec(uri)?.[1];
  if (authority?.includes("@")) return "it names no user";
  if (scheme === "https" || scheme === "http") {
    if (authority === undefined || authority === "") return "it must name a host";
    // A Content-Security-Policy would read anything else as something else.
    if (!/^[\w.:[\]-]+$/.test(new URL(uri).hostname)) return "it must name a host";
    if (scheme === "http" && !allowsHttp && !LOOPBACK.test(new URL(uri).hostname))
      return "http is for this device alone (localhost); use https";
  }
  return undefined;
}

/**
 * What a Content-Security-Policy calls the place of a redirect address: the origin, or the scheme of an app.
 *
 * @see https://www.w3.org/TR/CSP3/#grammardef-source-list
 */
export function redirectSource(uri: string): string {
  const { protocol, hostname, origin } = new URL(uri);
  // Addresses of IPv6 cannot be written there.
  return (protocol === "https:" || protocol === "http:") && !hostname.startsWith("[")
    ? origin
    : protocol;
}

/** Where people are sent, as they may read it: the host, or the scheme of an app. */
export function redirectPlace(uri: string): string {
  const { protocol, host } = new URL(uri);
  return protocol === "https:" || protocol === "http:" ? host : protocol;
}

/** A redirect address with parameters behind it. The rest of it stays as the app wrote it, letter by letter. */
export function withParameters(
  uri: string,
  parameters: Readonly<Record<string, string | undefined>>,
): string {
  const added = Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(value!)}`)
    .join("&");
  if (!uri.includes("?")) return `${uri}?${added}`;
  return /[?&]$/.test(uri) ? `${uri}${added}` : `${uri}&${added}`;
}

/** Longest path of ours that is gone back to, in characters. */
const PATH_CHARS_MAX = 2000;

/** Slashes either way, at the beginning: what follows them is a host. */
const HOST_FOLLOWS = /^[/\\]{2}/;

/** A path of ours from what a link says, as it can be sent to a browser; undefined for what leads elsewhere. */
export function ownPath(text: string, origin: string): string | undefined {
  if (text.length > PATH_CHARS_MAX || !/^\/[\x21-\x7e]*$/.test(text)) return undefined;
  if (text.includes("\\") || !URL.canParse(text, origin)) return undefined;
  const url = new URL(text, origin);
  if (url.origin !== origin || HOST_FOLLOWS.test(text) || HOST_FOLLOWS.test(url.pathname))
    return undefined;
  try {
    if (HOST_FOLLOWS.test(decodeURIComponent(url.pathname))) return undefined;
  } catch {
    return undefined;
  }
  return `${url.pathname}${url.search}`;
}
