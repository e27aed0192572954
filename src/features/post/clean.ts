/** What other servers wrote, made fit to be shown. It is kept as it came, and cleaned each time, so a better rule serves old posts, too. */

import sanitize from "sanitize-html";
import { escapeHtml } from "./text.ts";

/** Elements that stay; of all others only the text does. */
const ELEMENTS = [
  "p",
  "br",
  "a",
  "span",
  "em",
  "strong",
  "del",
  "code",
  "pre",
  "blockquote",
  "ul",
  "ol",
  "li",
];

/** Classes that mean something to clients. */
const CLASSES = ["mention", "hashtag", "u-url", "h-card"];

/** Deeper elements are dropped: nobody quotes so often. */
const DEPTH_MAX = 30;

/** Characters of HTML that are looked at. */
export const HTML_CHARS_MAX = 100_000;

/** Characters of a name that are shown. */
const NAME_CHARS_MAX = 100;

/**
 * Control characters, characters without width, and those that turn the direction of writing: with them one name
 * looks like another.
 */
const DECEPTIVE = /[\p{Cc}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]/gu;

/** HTML with nothing but harmless elements, and links that tell nobody where the reader came from. */
export function cleanHtml(html: string): string {
  return sanitize(html.slice(0, HTML_CHARS_MAX), {
    allowedTags: ELEMENTS,
    allowedAttributes: { a: ["href", "rel", "class"], span: ["class"] },
    allowedClasses: { a: CLASSES, span: CLASSES },
    allowedSchemes: ["http", "https"],
    allowProtocolRelative: false,
    nestingLimit: DEPTH_MAX,
    disallowedTagsMode: "discard",
    nonTextTags: ["script", "style", "textarea", "option", "noscript", "template", "title"],
    transformTags: {
      a: (_, { href, class: classes }) => ({
        tagName: "a",
        attribs: {
          // An address without a host would be one of ours.
          ...(href !== undefined && /^https?:\/\/[^/]/i.test(href) ? { href } : {}),
          ...(classes === undefined ? {} : { class: classes }),
          rel: "nofollow noopener noreferrer ugc",
        },
      }),
    },
  });
}

/** HTML as plain text, for titles and previews. */
export function plainText(html: string): string {
  const text = sanitize(html.slice(0, HTML_CHARS_MAX).replaceAll(/<br\s*\/?>|<\/p>/gi, " "), {
    allowedTags: [],
    allowedAttributes: {},
  });
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&")
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** A name as plain text that looks like nothing but itself; to be escaped where it is shown. */
export function cleanName(name: string): string {
  return [...name.replaceAll(DECEPTIVE, "").replaceAll(/\s+/g, " ").trim()]
    .slice(0, NAME_CHARS_MAX)
    .join("");
}

/** A handle, with the host as the network knows it: letters of other alphabets in punycode. */
export function shownHandle(name: string | null, host: string): string {
  const ascii = URL.canParse(`https://${host}`) ? new URL(`https://${host}`).host : "invalid";
  return `@${cleanName(name ?? "?").replaceAll(/[^\w.-]/g, "?")}@${ascii}`;
}

/** Plain text as HTML of one paragraph. */
export function paragraph(text: string): string {
  return `<p>${escapeHtml(text)}</p>`;
}
