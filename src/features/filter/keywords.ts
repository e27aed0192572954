/**
 * Finding many words in one text, in one pass: the time depends on the length of the text and of the words, never on
 * what somebody wrote into them.
 *
 * @see https://doi.org/10.1145/360825.360855 (Aho and Corasick)
 */

/** A word or phrase, taken as it is: nothing in it has a meaning of its own. */
export interface Keyword {
  readonly keyword: string;
  /** True: where a word begins and ends. */
  readonly isWholeWord: boolean;
}

/** Words that are ready to be looked for. */
export interface Compiled {
  readonly root: Node;
  /** Those that are compared, as `wordOf` has them, with where they must stand. */
  readonly words: readonly {
    readonly text: string;
    readonly startsWord: boolean;
    readonly endsWord: boolean;
  }[];
}

/** A beginning of some words. */
interface Node {
  readonly next: Map<number, Node>;
  /** The longest other beginning that this one ends with. */
  fall: Node | undefined;
  /** The places of the words that end here. */
  readonly words: number[];
  /** The nearest beginning on the way of `fall` at which words end. */
  shorter: Node | undefined;
}

/** What nobody sees: with it a word would look the same and be another one. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;

/** Letters and digits, with the marks on them; tried on the end and on the beginning of two code units. */
const ENDS_IN_WORD = /[\p{L}\p{N}\p{M}_]$/u;
const BEGINS_WITH_WORD = /^[\p{L}\p{N}\p{M}_]/u;

/** A text as it is compared: one case, one form of each letter, one kind of space. */
export function comparable(text: string): string {
  return text.replaceAll(INVISIBLE, "").normalize("NFC").toLowerCase().replaceAll(/\s+/g, " ");
}

/** Makes words ready. What is empty is never found. */
export function compileKeywords(keywords: readonly Keyword[]): Compiled {
  const root = newNode();
  const words = keywords.map(({ keyword, isWholeWord }, place) => {
    const text = comparable(keyword).trim();
    let node = root;
    for (let n = 0; n < text.length; n += 1) {
      const unit = text.charCodeAt(n);
      let next = node.next.get(unit);
      if (next === undefined) node.next.set(unit, (next = newNode()));
      node = next;
    }
    if (node !== root) node.words.push(place);
    return {
      text,
      startsWord: isWholeWord && BEGINS_WITH_WORD.test(text.slice(0, 2)),
      endsWord: isWholeWord && ENDS_IN_WORD.test(text.slice(-2)),
    };
  });
  // Shorter beginnings first, so that what a beginning falls back to is ready when it is needed.
  const waiting = [...root.next.values()];
  for (const node of waiting) node.fall = root;
  for (const node of waiting)
    for (const [unit, next] of node.next) {
      const fall = follow(root, node.fall, unit);
      next.fall = fall;
      next.shorter = fall.words.length > 0 ? fall : fall.shorter;
      waiting.push(next);
    }
  return { root, words };
}

/** The places of the words that stand in a text, each once, in their order. */
export function matchedIn({ root, words }: Compiled, written: string): readonly number[] {
  const text = ` ${comparable(written)} `;
  const { begins, ends } = edgesOf(text);
  const found = new Set<number>();
  let node = root;
  for (let n = 0; n < text.length && found.size < words.length; n += 1) {
    node = follow(root, node, text.charCodeAt(n));
    let ending: Node | undefined = node.words.length > 0 ? node : node.shorter;
    for (; ending !== undefined; ending = ending.shorter)
      for (const place of ending.words) {
        const { text: word, startsWord, endsWord } = words[place]!;
        const isInside = (endsWord && begins(n + 1)) || (startsWord && ends(n + 1 - word.length));
        if (!isInside) found.add(place);
      }
  }
  return [...found].toSorted((a, b) => a - b);
}

function newNode(): Node {
  return { next: new Map(), fall: undefined, words: [], shorter: undefined };
}

/** Where a text stands after one more unit. */
function follow(root: Node, from: Node | undefined, unit: number): Node {
  for (let node = from; node !== undefined; node = node.fall) {
    const next = node.next.get(unit);
    if (next !== undefined) return next;
  }
  return root;
}

/** Whether a letter or digit begins or ends at a place of a text; looked at once, however many words end there. */
function edgesOf(text: string) {
  const once = (isThere: (place: number) => boolean) => {
    const known = new Int8Array(text.length + 1);
    return (place: number): boolean => (known[place] ||= isThere(place) ? 1 : -1) === 1;
  };
  return {
    begins: once((place) => BEGINS_WITH_WORD.test(text.slice(place, place + 2))),
    ends: once((place) => ENDS_IN_WORD.test(text.slice(Math.max(place - 2, 0), place))),
  };
}
