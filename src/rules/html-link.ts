/** The link from a web page to its ActivityPub document. Reads each character once, whatever the page holds. */

/** Pages say it in their head, which is near their beginning. */
const CHARS_MAX = 256 * 1024;

/** Elements whose content is text, whatever it looks like. */
const TEXT_ELEMENTS = ["script", "style", "title", "noscript", "template", "textarea"] as const;

/** What a page may say beside its links. */
type Attributes = ReadonlyMap<string, string>;

/**
 * The address in the first `<link rel="alternate">` of the page's head whose type is accepted.
 *
 * @returns as it is written there, so it may be relative; undefined when there is none
 */
export function alternateLink(
  html: string,
  isAccepted: (type: string) => boolean,
): string | undefined {
  const page = html.slice(0, CHARS_MAX);
  // Letter for letter: some capitals of other alphabets become longer.
  const lower = page.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
  for (let place = lower.indexOf("<"); place !== -1; place = lower.indexOf("<", place)) {
    if (lower.startsWith("<!--", place)) {
      place = after(lower, "-->", place + 4);
      continue;
    }
    const name = nameAt(lower, place + 1);
    if (name === "" && !/[/!?]/.test(page[place + 1] ?? "")) {
      place += 1;
      continue;
    }
    if (name === "body" || lower.startsWith("</head", place)) return undefined;
    const { attributes, end } = attributesAt(page, place + 1 + name.length);
    if (name === "link") {
      const rels = (attributes.get("rel") ?? "").toLowerCase().split(/\s+/);
      const href = attributes.get("href");
      if (rels.includes("alternate") && isAccepted(attributes.get("type") ?? "") && href)
        return href;
    }
    const isText = TEXT_ELEMENTS.some((element) => element === name);
    place = isText ? after(lower, `</${name}`, end) : end;
  }
  return undefined;
}

/** The place behind the next occurrence; the end when there is none. */
function after(text: string, what: string, from: number): number {
  const place = text.indexOf(what, from);
  return place === -1 ? text.length : place + what.length;
}

function nameAt(lower: string, from: number): string {
  NAME.lastIndex = from;
  return NAME.exec(lower)?.[0] ?? "";
}

const NAME = /[a-z][a-z0-9-]*/y;
const BLANK = /\s*/y;
const SPACE = /[\s/]*/y;
const ATTRIBUTE = /[^\s/>=]+/y;
const UNQUOTED = /[^\s>]*/y;

/** The attributes of a tag, and the place behind it. */
function attributesAt(page: string, from: number): { attributes: Attributes; end: number } {
  const attributes = new Map<string, string>();
  let place = from;
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = place;
    const found = pattern.exec(page)?.[0] ?? "";
    place += found.length;
    return found;
  };
  while (place < page.length) {
    match(SPACE);
    if (page[place] === ">") return { attributes, end: place + 1 };
    const name = match(ATTRIBUTE).toLowerCase();
    if (name === "" && page[place] !== "=") break;
    match(SPACE);
    let value = "";
    if (page[place] === "=") {
      place += 1;
      match(BLANK);
      const quote = page[place];
      if (quote === '"' || quote === "'") {
        const closing = page.indexOf(quote, place + 1);
        if (closing === -1) return { attributes, end: page.length };
        value = page.slice(place + 1, closing);
        place = closing + 1;
      } else value = match(UNQUOTED);
    }
    if (!attributes.has(name)) attributes.set(name, decoded(value));
  }
  return { attributes, end: place };
}

/** What stands for characters in addresses. */
function decoded(text: string): string {
  return text
    .replaceAll(/&(?:quot|#34|#x22);/gi, '"')
    .replaceAll(/&(?:apos|#39|#x27);/gi, "'")
    .replaceAll(/&(?:amp|#38|#x26);/gi, "&");
}
