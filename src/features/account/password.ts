/** Passwords: argon2id, few at a time. */

import { hash, verify } from "@node-rs/argon2";
import { Refusal } from "../../store/refusal.ts";

/** 19 MiB, two passes: the smallest setting that OWASP recommends, about 15 ms. */
const OPTIONS = { algorithm: 2 /* argon2id */, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

const CHARS_MIN = 8;
const CHARS_MAX = 256;

/** Spellings of one password are one password. */
function normalise(password: string): string {
  return password.normalize("NFKC");
}

/** @throws Refusal "account_invalid" when the password is too short or too long */
export async function hashPassword(password: string): Promise<string> {
  const length = [...normalise(password)].length;
  if (length < CHARS_MIN || length > CHARS_MAX) {
    throw new Refusal("account_invalid", {
      what: "password",
      rule: `a password has ${CHARS_MIN} to ${CHARS_MAX} characters`,
    });
  }
  return hash(normalise(password), OPTIONS);
}

/** True when the password is the one that was hashed. */
export async function isPassword(passwordHash: string, password: string): Promise<boolean> {
  return verify(passwordHash, normalise(password));
}

/**
 * A hash of nothing that anybody can type, made with `OPTIONS`: who asks for a name that is not there waits as long as
 * for one that is.
 */
export const NOBODYS_HASH =
  "$argon2id$v=19$m=19456,t=2,p=1$a6VhmhxpA8qsQzBfY56NBg$v3p/NPkEO/g3VJdgcLJP43yC3AdiU4ghyCCyj+rNuaw";

/** Passwords that are checked at the same time: each takes 19 MiB and a core. */
const AT_ONCE_MAX = 2;

/** How many may wait for that: together less than a second. Whoever comes then is asked to come again. */
const WAITING_MAX = 40;

/** Longest text that is taken for a password, in UTF-16 units: normalising longer ones is work for nothing. */
const TYPED_CHARS_MAX = 4 * CHARS_MAX;

/** Checks passwords of all who sign in at one instance, a few at a time. */
export interface PasswordCheck {
  /**
   * Whether this is the password. Takes as long when there is none.
   *
   * @returns "busy" when too many wait already
   */
  isRight(passwordHash: string | null, password: string): Promise<boolean | "busy">;
}

/** Opens the check. */
export function openPasswordCheck(atOnce = AT_ONCE_MAX, waitingMax = WAITING_MAX): PasswordCheck {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    async isRight(passwordHash, password) {
      if (running >= atOnce) {
        if (waiting.length >= waitingMax) return "busy";
        // Whoever leaves hands over the place, so nobody slips in between.
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else running += 1;
      try {
        const isPossible = passwordHash !== null && password.length <= TYPED_CHARS_MAX;
        const isSame = isPossible
          ? await isPassword(passwordHash, password)
          : await isPassword(NOBODYS_HASH, "");
        return isPossible && isSame;
      } finally {
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
