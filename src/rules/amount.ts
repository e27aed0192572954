/** Money as integers. One unit everywhere: the micro, one millionth of a currency's major unit (R2). */

declare const micro: unique symbol;

/** An amount in micro-units: 1 EUR is 1 000 000. An integer always; never a float, never cents. */
export type Micro = bigint & { readonly [micro]: true };

/** Micro-units in one major unit (one euro). */
export const MICRO_PER_MAJOR = 1_000_000n;

/** The largest amount that the database can hold, and so the largest that any rule accepts. */
export const AMOUNT_MAX = 2n ** 63n - 1n;

/** The largest amount that a person may set or pay in at once: 999 999 999.99. Keeps every sum far from the 64-bit edge. */
export const PERSONAL_AMOUNT_MAX = toMicro(999_999_999_990_000n);

/** Marks an integer as an amount in micro-units. Negative ones are legs of a posting. */
export function toMicro(amount: bigint): Micro {
  return amount as Micro;
}

/** No money. */
export const ZERO = toMicro(0n);

/** Adds amounts of one currency. */
export function sum(amounts: Iterable<bigint>): Micro {
  let total = 0n;
  for (const amount of amounts) total += amount;
  return toMicro(total);
}

/** The smaller of two amounts. */
export function smaller(one: Micro, other: Micro): Micro {
  return one < other ? one : other;
}

/** Digits after the point in real payments, where they are not two (ISO 4217). */
const MINOR_DIGITS: Readonly<Record<string, number>> = {
  JPY: 0,
  KRW: 0,
  ISK: 0,
  CLP: 0,
  TND: 3,
  KWD: 3,
  BHD: 3,
};

/** How many digits after the point real payments of a currency have: 2 for EUR, 0 for JPY (ISO 4217). */
export function minorDigits(currency: string): number {
  // Peers may write any word here, also one that every object knows.
  return Object.hasOwn(MINOR_DIGITS, currency) ? MINOR_DIGITS[currency]! : 2;
}

/**
 * Reads what a person writes, "5", "5.00" or "5,00", as whole minor units of a currency.
 *
 * @returns the amount, or undefined when it is no such number, has more digits than the currency's
 *   real payments have, or passes `PERSONAL_AMOUNT_MAX`
 */
export function parseAmount(text: string, currency: string): Micro | undefined {
  const match = /^(\d{1,9})(?:[.,](\d{1,3}))?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, major = "", fraction = ""] = match;
  if (fraction.length > minorDigits(currency)) return undefined;
  const amount = BigInt(major) * MICRO_PER_MAJOR + BigInt(fraction.padEnd(6, "0"));
  return amount > PERSONAL_AMOUNT_MAX ? undefined : toMicro(amount);
}

/**
 * Writes an amount for people, "5.00"; digits beyond the currency's minor unit are shown only when
 * they are not zero, "0.222223", so that nothing is hidden by rounding.
 */
export function formatAmount(amount: bigint, currency: string): string {
  const positive = amount < 0n ? -amount : amount;
  const fraction = (positive % MICRO_PER_MAJOR).toString().padStart(6, "0");
  const shown =
    fraction.slice(0, minorDigits(currency)) +
    fraction.slice(minorDigits(currency)).replace(/0+$/, "");
  return `${amount < 0n ? "-" : ""}${positive / MICRO_PER_MAJOR}${shown === "" ? "" : `.${shown}`}`;
}

/** True for an amount that real payments can have. */
export function isWholeMinor(amount: Micro, currency: string): boolean {
  return amount % 10n ** BigInt(6 - minorDigits(currency)) === 0n;
}
