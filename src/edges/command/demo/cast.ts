/** Who and what the demonstration is about, and what must come of it: plain arithmetic, apart from the program's own. */

/** A sum in equal parts; what is left over goes to the first ones, a millionth each. */
function parts(sum: bigint, count: number): bigint[] {
  const many = BigInt(count);
  return Array.from(
    { length: count },
    (_, place) => sum / many + (BigInt(place) < sum % many ? 1n : 0n),
  );
}

const total = (amounts: readonly bigint[]) => amounts.reduce((sum, amount) => sum + amount, 0n);

/** The next whole cent: banks know nothing smaller. */
const inCents = (amount: bigint) => ((amount + 9_999n) / 10_000n) * 10_000n;

/** Monthly budgets, and what is paid in. */
export const BUDGETS = { alice: 5_000_000n, bob: 2_000_000n, carol: 3_000_000n } as const;
export const PAID_IN = { alice: 20_000_000n, bob: 2_000_000n, carol: 10_000_000n } as const;

/** Alice clicks Carol's, Dave's, Bob's and Nora's posts; Bob Carol's, Dave's and Nora's; Carol Bob's, Dave's, Nora's. */
export const CLICKS = { alice: 4, bob: 3, carol: 3 } as const;

const [aliceToCarol, aliceToDave, aliceToBob, aliceToNora] = parts(BUDGETS.alice, CLICKS.alice) as [
  bigint,
  bigint,
  bigint,
  bigint,
];
const [bobToCarol, bobToDave, bobToNora] = parts(BUDGETS.bob, CLICKS.bob) as [
  bigint,
  bigint,
  bigint,
];
const [carolToBob, carolToDave, carolToNora] = parts(BUDGETS.carol, CLICKS.carol) as [
  bigint,
  bigint,
  bigint,
];

/** What each click is worth, in the order in which they were made. */
export const SHARES = {
  alice: [aliceToCarol, aliceToDave, aliceToBob, aliceToNora],
  bob: [bobToCarol, bobToDave, bobToNora],
  carol: [carolToBob, carolToDave, carolToNora],
} as const;

/** What an instance's patrons gave, and to whom. */
interface Division {
  readonly spent: bigint;
  /** To its own creators. */
  readonly own: bigint;
  /** To creators of the other instance. */
  readonly peers: bigint;
  /** To creators of servers that know nothing of money. */
  readonly waiting: bigint;
}

/** The month of Harbour, whose patrons are Alice and Bob. */
export const HARBOUR: Division = {
  spent: BUDGETS.alice + BUDGETS.bob,
  own: aliceToBob,
  peers: total([aliceToCarol, aliceToDave, bobToCarol, bobToDave]),
  waiting: aliceToNora + bobToNora,
};

/** The month of Meadow, whose patron is Carol. */
export const MEADOW: Division = {
  spent: BUDGETS.carol,
  own: carolToDave,
  peers: carolToBob,
  waiting: carolToNora,
};

/** What creators are promised by the other instance. */
export const PROMISED = {
  bob: carolToBob,
  carol: aliceToCarol + bobToCarol,
  dave: aliceToDave + bobToDave,
} as const;

/** What creators have when everything is paid. */
export const EARNED = {
  bob: aliceToBob + PROMISED.bob,
  carol: PROMISED.carol,
  dave: carolToDave + PROMISED.dave,
} as const;

/** What the operators pay each other, in whole cents. */
export const PAYMENTS = { harbour: inCents(HARBOUR.peers), meadow: inCents(MEADOW.peers) } as const;

/** What a bank transfer is known by on both sides (ISO 11649). */
export const REFERENCES = { harbour: "RF37HARBOUR202611", meadow: "RF84MEADOW202611" } as const;
