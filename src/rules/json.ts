/** Reading JSON that strangers wrote: strict, within limits, in one pass. */

/** How much a document may hold. */
export interface JsonLimits {
  /** Objects and arrays inside each other. */
  readonly depthMax: number;
  /** Values of all kinds together. */
  readonly valuesMax: number;
  /** Items of one array. */
  readonly itemsMax: number;
  /** UTF-16 units of one text or name. */
  readonly textMax: number;
}

/** A text that is no JSON, or not the JSON that we read. The message says what is wrong, not what was sent. */
export class JsonFault extends Error {
  constructor(rule: string) {
    super(rule);
    this.name = "JsonFault";
  }
}

/** Names that mean something to the language itself. */
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORDS: readonly (readonly [string, boolean | null])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The value that the text holds. Beyond RFC 8259 it refuses names that stand twice in an object, `__proto__` and
 * `constructor`, NUL, half surrogate pairs, and numbers that are not finite. Each character is looked at once.
 *
 * @throws JsonFault
 */
export function parseJson(text: string, limits: JsonLimits): unknown {
  let place = 0;
  let values = 0;

  const fail = (rule: string): never => {
    throw new JsonFault(rule);
  };

  const skipSpace = (): void => {
    for (;;) {
      const code = text.charCodeAt(place);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      place += 1;
    }
  };

  /** The character that comes next after white space, still unread. */
  const next = (): string => {
    skipSpace();
    return text.charAt(place);
  };

  const readText = (): string => {
    const start = place;
    let isPlain = true;
    place += 1;
    for (;;) {
      const code = text.charCodeAt(place);
      if (code === QUOTE) break;
      // Also the end of the text, whose code is NaN.
      if (!(code >= 0x20)) fail("a text is not closed or holds a control character");
      if (code === BACKSLASH) {
        isPlain = false;
        place += 1;
      }
      place += 1;
      // An escape is up to six characters long; what it means is counted below.
      if (place - start > 6 * limits.textMax + 2) fail(`a text is longer than ${limits.textMax}`);
    }
    place += 1;
    const read = isPlain ? text.slice(start + 1, place - 1) : unescape(text.slice(start, place));
    if (read.length > limits.textMax) fail(`a text is longer than ${limits.textMax}`);
    if (!isPlain && read.includes("\0")) fail("a text holds NUL");
    if (!read.isWellFormed()) fail("a text holds half a surrogate pair");
    return read;
  };

  const unescape = (quoted: string): string => {
    try {
      return JSON.parse(quoted) as string;
    } catch {
      return fail("a text holds an unknown escape");
    }
  };

  const readObject = (depth: number): Record<string, unknown> => {
    const object: Record<string, unknown> = {};
    place += 1;
    if (next() === "}") {
      place += 1;
      return object;
    }
    for (;;) {
      if (next() !== '"') fail("a name is missing");
      const name = readText();
      if (FORBIDDEN_NAMES.has(name)) fail(`the name ${name} is not allowed`);
      if (Object.hasOwn(object, name)) fail("a name stands twice in an object");
      if (next() !== ":") fail("a colon is missing");
      place += 1;
      object[name] = readValue(depth);
      const after = next();
      place += 1;
      if (after === "}") return object;
      if (after !== ",") fail("an object is not closed");
    }
  };

  const readArray = (depth: number): unknown[] => {
    const items: unknown[] = [];
    place += 1;
    if (next() === "]") {
      place += 1;
      return items;
    }
    for (;;) {
      if (items.length === limits.itemsMax) fail(`an array has more than ${limits.itemsMax} items`);
      items.push(readValue(depth));
      const after = next();
      place += 1;
      if (after === "]") return items;
      if (after !== ",") fail("an array is not closed");
    }
  };

  const readScalar = (): unknown => {
    for (const [word, value] of WORDS) {
      if (text.startsWith(word, place)) {
        place += word.length;
        return value;
      }
    }
    NUMBER.lastIndex = place;
    const [digits] = NUMBER.exec(text) ?? fail("a value is missing");
    place = NUMBER.lastIndex;
    const number = Number(digits);
    return Number.isFinite(number) ? number : fail("a number is too large");
  };

  const readValue = (depth: number): unknown => {
    values += 1;
    if (values > limits.valuesMax) fail(`there are more than ${limits.valuesMax} values`);
    const first = next();
    if (first === '"') return readText();
    if (first !== "{" && first !== "[") return readScalar();
    if (depth === limits.depthMax) fail(`it is deeper than ${limits.depthMax}`);
    return first === "{" ? readObject(depth + 1) : readArray(depth + 1);
  };

  const value = readValue(0);
  if (next() !== "") fail("something follows the value");
  return value;
}
