/** Text: how it compares, byte by byte as SQL's `COLLATE "C"` does, and how the words of strangers are shown. */

/** Order of two texts by their UTF-8 bytes; never by locale, and not by UTF-16 units either. */
export function compareBytes(one: string, other: string): number {
  if (one === other) return 0;
  const left = [...one];
  const right = [...other];
  for (let place = 0; place < left.length && place < right.length; place += 1) {
    const difference = left[place]!.codePointAt(0)! - right[place]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** What strangers wrote, for the eyes of an operator: nothing in it moves a cursor or turns text around. */
export function printable(text: string, charsMax: number): string {
  const shown = text.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
  return shown.length > charsMax ? `${shown.slice(0, charsMax - 1).toWellFormed()}…` : shown;
}
