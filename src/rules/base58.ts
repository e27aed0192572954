/** Bytes as base58btc, the alphabet of multibase `z`. @see https://www.w3.org/TR/cid-1.0/#multibase-0 */

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** Longest text that is read: keys and signatures need at most 90 characters, and the work grows with the square. */
const TEXT_CHARS_MAX = 200;

/** Writes bytes as base58btc, without the `z`. */
export function base58(bytes: Uint8Array): string {
  let number = bytes.reduce((total, byte) => total * 256n + BigInt(byte), 0n);
  let text = "";
  for (; number > 0n; number /= 58n) text = ALPHABET[Number(number % 58n)]! + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return ALPHABET[0]!.repeat(zeros === -1 ? bytes.length : zeros) + text;
}

/** @returns the bytes, or undefined when the text is no base58btc */
export function fromBase58(text: string): Uint8Array | undefined {
  if (text.length > TEXT_CHARS_MAX) return undefined;
  let number = 0n;
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit === -1) return undefined;
    number = number * 58n + BigInt(digit);
  }
  const bytes: number[] = [];
  for (; number > 0n; number /= 256n) bytes.unshift(Number(number % 256n));
  const zeros = [...text].findIndex((character) => character !== ALPHABET[0]);
  return Uint8Array.from([...Array(zeros === -1 ? text.length : zeros).fill(0), ...bytes]);
}
