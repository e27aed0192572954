/** What people type, before it is kept: nothing in it hides, moves a cursor or turns other text around. */

/**
 * Control characters but for tab and line feed, marks that turn the direction of all that follows, and characters that
 * are none. Joiners and the marks of one direction stay: some alphabets and emoji are made with them.
 */
const HARMFUL =
  /[\0-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]/g;

/** Text of any length, with the line ends of this house. */
export function typedText(text: string): string {
  return text
    .toWellFormed()
    .replaceAll("\ufffd", "")
    .replaceAll(/\r\n?|[\u2028\u2029]/g, "\n")
    .replaceAll(HARMFUL, "")
    .trim();
}

/** Text of one line. */
export function typedLine(text: string): string {
  return typedText(text).replaceAll(/\s+/g, " ");
}

/** Characters as people count them, near enough: code points. Stops counting above `most`. */
export function isLongerThan(text: string, most: number): boolean {
  // At most two units a character: what is longer needs no counting.
  return text.length > 2 * most || [...text].length > most;
}
