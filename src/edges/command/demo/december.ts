/** The second half of the demonstration: the month closes, statements cross, real money moves, books are compared. */

import {
  BUDGETS,
  EARNED,
  HARBOUR,
  MEADOW,
  PAYMENTS,
  PROMISED,
  REFERENCES,
  SHARES,
} from "./cast.ts";
import type { DemoInstance, Said } from "./instance.ts";
import { plain, title } from "./november.ts";
import { expectOf, lineWhen, micro, type Stage, startAt } from "./stage.ts";
import { CURRENCY, eur, expectSame } from "./teller.ts";

/** Five minutes after November has ended. */
const CLOSE = "2026-12-01T00:05:00Z";

/** A day after nobody can fund November any more. */
const FINAL = "2026-12-09T09:00:00Z";

/** The month that is closed. */
const MONTH = "2026-11";

/** One direction in which money is owed. */
interface Direction {
  readonly from: DemoInstance;
  readonly to: DemoInstance;
  readonly owed: bigint;
  readonly payment: bigint;
  readonly reference: string;
  readonly sentence: string;
}

function directions({ harbour, meadow }: Stage): readonly Direction[] {
  return [
    {
      from: harbour,
      to: meadow,
      owed: HARBOUR.peers,
      payment: PAYMENTS.harbour,
      reference: REFERENCES.harbour,
      sentence: `${eur(PROMISED.carol)} for Carol and ${eur(PROMISED.dave)} for Dave`,
    },
    {
      from: meadow,
      to: harbour,
      owed: MEADOW.peers,
      payment: PAYMENTS.meadow,
      reference: REFERENCES.meadow,
      sentence: `${eur(PROMISED.bob)} for Bob`,
    },
  ];
}

/** From a month full of clicks to two books that agree. @returns by how much they do not */
export async function december(stage: Stage): Promise<bigint> {
  await close(stage);
  await cross(stage);
  await pay(stage);
  return compare(stage);
}

async function close(stage: Stage): Promise<void> {
  const { harbour, meadow, teller } = stage;
  teller.chapter("3. The month closes", "1 December 2026, 00:05");
  await startAt(stage, CLOSE);
  for (const { name } of [harbour, meadow])
    teller.step(
      { step: "start", who: name, state: "running" },
      `${title(name)} is started again; November is over.`,
    );
  const months = [
    [harbour, HARBOUR, 2, 7, "Bob"],
    [meadow, MEADOW, 1, 3, "Dave"],
  ] as const;
  await Promise.all(
    months.map(([home, { spent, own, peers, waiting }, patrons, flattrs]) =>
      expectOf(home, ["settle"], {
        period: MONTH,
        state: "closed",
        patrons,
        paying: patrons,
        flattrs,
        spentMicro: spent,
        feeMicro: 0n,
        ownMicro: own,
        peersMicro: peers,
        waitingMicro: waiting,
      }),
    ),
  );
  const gave = async (home: DemoInstance, name: keyof typeof SHARES) => {
    const said = await expectOf(home, ["statement", name, "--period", MONTH], {
      settlement: "settled",
      spentMicro: BUDGETS[name],
    });
    expectSame(
      `what ${name}'s clicks gave`,
      (said["gave"] as { amountMicro: string }[]).map(({ amountMicro }) => amountMicro),
      SHARES[name],
    );
  };
  await Promise.all([gave(harbour, "alice"), gave(harbour, "bob"), gave(meadow, "carol")]);
  const patrons = [
    [
      "alice",
      harbour,
      `Alice's ${eur(BUDGETS.alice)} are divided by her 4 clicks: ${eur(SHARES.alice[0])} each.`,
    ],
    [
      "bob",
      harbour,
      `Bob's ${eur(BUDGETS.bob)} are divided by his 3 clicks: ${SHARES.bob.map(eur).join(", ")}. Not a millionth is lost.`,
    ],
    [
      "carol",
      meadow,
      `Carol's ${eur(BUDGETS.carol)} are divided by her 3 clicks: ${eur(SHARES.carol[0])} each.`,
    ],
  ] as const;
  for (const [name, home, sentence] of patrons)
    teller.step(
      { step: "divide", who: `${name}@${home.name}`, amount: BUDGETS[name], state: "settled" },
      sentence,
    );
  for (const [home, { spent, own, peers, waiting }, , , creator] of months)
    teller.step(
      { step: "close", who: home.name, amount: spent, state: "closed" },
      `${title(home.name)} closes November. Of ${eur(spent)}, ${eur(own)} go to ${creator} at once, ${eur(peers)} are owed to creators of the other instance, and ${eur(waiting)} wait for Nora.`,
    );
  const waits = [
    [
      harbour,
      HARBOUR.waiting,
      `Nora never registered anywhere. ${eur(HARBOUR.waiting)} wait for her at Harbour,`,
    ],
    [
      meadow,
      MEADOW.waiting,
      `and ${eur(MEADOW.waiting)} at Meadow, until she proves who she is. If she never does, they go back to those who gave them.`,
    ],
  ] as const;
  for (const [home, amount, sentence] of waits)
    teller.step(
      { step: "wait", who: "nora@lantern", amount, state: `waiting at ${home.name}` },
      sentence,
    );
  teller.look("One click is one share of its patron's month. Nobody set an amount anywhere.");
}

async function cross(stage: Stage): Promise<void> {
  const { harbour, meadow, teller } = stage;
  teller.chapter("4. Statements cross", "1 December 2026");
  const all = directions(stage);
  const owes = (owed: bigint, isOwed: bigint) => ({
    acceptedOutMicro: owed,
    settledOutMicro: 0n,
    inFlightMicro: 0n,
    payableMicro: owed,
    acceptedInMicro: isOwed,
    settledInMicro: 0n,
  });
  await Promise.all([
    lineWhen(stage, harbour, owes(HARBOUR.peers, MEADOW.peers)),
    lineWhen(stage, meadow, owes(MEADOW.peers, HARBOUR.peers)),
  ]);
  for (const { from, to, owed, sentence } of all) {
    teller.step(
      { step: "transfer", who: from.name, amount: owed, state: "signed" },
      `${title(from.name)} signs a Transfer of ${eur(owed)}: ${sentence}.`,
    );
    teller.step(
      { step: "receipt", who: to.name, amount: owed, state: "accepted" },
      `${title(to.name)} checks it, accepts all of it, and signs a Receipt: now both know that ${eur(owed)} are owed.`,
    );
  }
  const pending = (home: DemoInstance, name: keyof typeof PROMISED, from: DemoInstance) =>
    expectPromise(home, name, {
      host: from.host,
      released: 0n,
      earned: EARNED[name] - PROMISED[name],
    });
  await Promise.all([
    pending(meadow, "carol", harbour),
    pending(meadow, "dave", harbour),
    pending(harbour, "bob", meadow),
  ]);
  for (const [name, home, from] of [
    ["carol", meadow, harbour],
    ["dave", meadow, harbour],
    ["bob", harbour, meadow],
  ] as const)
    teller.step(
      { step: "promise", who: `${name}@${home.name}`, amount: PROMISED[name], state: "pending" },
      `${title(name)} sees ${eur(PROMISED[name])} pending, owed by ${title(from.name)}.`,
    );
  teller.look(
    "A promise is not money: nobody can spend what is pending. But neither side can deny it, since both have signed.",
  );
}

async function expectPromise(
  home: DemoInstance,
  name: keyof typeof PROMISED,
  { host, released, earned }: { host: string; released: bigint; earned: bigint },
): Promise<void> {
  const said = await home.run("statement", name, "--period", MONTH);
  const { earningsMicro, pendingMicro } = said["balance"] as Said;
  expectSame(
    `what ${name} was promised and has`,
    { promised: said["promised"], earningsMicro, pendingMicro },
    {
      promised: [{ host, amountMicro: PROMISED[name], releasedMicro: released }],
      earningsMicro: earned,
      pendingMicro: PROMISED[name] - released,
    },
  );
}

async function pay(stage: Stage): Promise<void> {
  const { harbour, meadow, teller } = stage;
  teller.chapter("5. Real money moves", "9 December 2026");
  await startAt(stage, FINAL);
  await Promise.all(
    [harbour, meadow].map((home) =>
      expectOf(home, ["settle", "--period", MONTH], { state: "final" }),
    ),
  );
  for (const { name } of [harbour, meadow])
    teller.step(
      { step: "close", who: name, state: "final" },
      `A week has passed: November is final at ${title(name)}.`,
    );
  const all = directions(stage);
  const booked = ({ payment, reference }: Direction, verb: string, { host }: DemoInstance) =>
    ["peer", verb, host, CURRENCY, plain(payment), "--reference", reference] as const;
  await Promise.all(
    all.map(async (direction) => {
      const { from, to, payment } = direction;
      const told = { amountMicro: payment, again: false };
      await expectOf(from, booked(direction, "paid", to), { ...told, settledOutMicro: 0n });
      await expectOf(to, booked(direction, "received", from), { ...told, settledInMicro: payment });
      await lineWhen(stage, from, {
        settledOutMicro: payment,
        unconfirmedMicro: 0n,
        unanswered: 0,
      });
    }),
  );
  const released = (home: DemoInstance, name: keyof typeof PROMISED, from: DemoInstance) =>
    expectPromise(home, name, { host: from.host, released: PROMISED[name], earned: EARNED[name] });
  await Promise.all([
    released(meadow, "carol", harbour),
    released(meadow, "dave", harbour),
    released(harbour, "bob", meadow),
  ]);
  for (const { from, to, owed, payment, reference } of all) {
    const rest = payment - owed;
    const credit =
      rest === 0n
        ? ""
        : ` Banks know only whole cents: ${eur(rest)} more than is owed, a credit for next month.`;
    teller.step(
      { step: "peer paid", who: from.name, amount: payment, state: "paid" },
      `The operator of ${title(from.name)} sends ${eur(payment)} by bank, with the reference ${reference}, and books "peer paid".${credit}`,
    );
    teller.step(
      { step: "peer received", who: to.name, amount: payment, state: "settled" },
      `The operator of ${title(to.name)} finds it on the bank account and books "peer received": a second Receipt says so.`,
    );
  }
  for (const [name, home] of [
    ["carol", meadow],
    ["dave", meadow],
    ["bob", harbour],
  ] as const) {
    const fromHome = EARNED[name] - PROMISED[name];
    const altogether =
      fromHome === 0n
        ? ""
        : ` With ${eur(fromHome)} from patrons of ${title(home.name)} itself that makes ${eur(EARNED[name])} earned in November.`;
    teller.step(
      { step: "release", who: `${name}@${home.name}`, amount: PROMISED[name], state: "released" },
      `${title(name)}'s ${eur(PROMISED[name])} are no longer pending: they are released.${altogether}`,
    );
  }
  teller.look("Words released nothing: only the operator who has the money on the account could.");
}

/** Compares what each side says about each direction, and lets both check themselves. */
async function compare(stage: Stage): Promise<bigint> {
  const { harbour, meadow, teller } = stage;
  teller.chapter("6. Both books agree", "9 December 2026");
  const [ours, theirs] = await Promise.all([
    harbour.run("peer", "show", meadow.host),
    meadow.run("peer", "show", harbour.host),
  ]);
  const lines: ReadonlyMap<DemoInstance, Said> = new Map([
    [harbour, ours],
    [meadow, theirs],
  ]);
  let difference = 0n;
  for (const { from, to, owed, payment } of directions(stage)) {
    const [debtor, creditor] = [lines.get(from)!, lines.get(to)!];
    const accepted = {
      says: micro(debtor, "acceptedOutMicro"),
      hears: micro(creditor, "acceptedInMicro"),
    };
    const settled = {
      says: micro(debtor, "settledOutMicro"),
      hears: micro(creditor, "settledInMicro"),
    };
    const apart = distance(accepted) + distance(settled);
    difference += apart;
    if (apart === 0n) {
      expectSame(`accepted from ${from.name} to ${to.name}`, accepted.says, owed);
      expectSame(`settled from ${from.name} to ${to.name}`, settled.says, payment);
    }
    teller.step(
      {
        step: "accepted",
        who: `${from.name} to ${to.name}`,
        amount: accepted.says,
        state: agreement(accepted),
      },
      `${title(from.name)} owed ${eur(accepted.says)} and has paid ${eur(settled.says)}, says ${title(from.name)};`,
    );
    teller.step(
      {
        step: "settled",
        who: `${from.name} to ${to.name}`,
        amount: settled.says,
        state: agreement(settled),
      },
      `it owed ${eur(accepted.hears)} and has paid ${eur(settled.hears)}, says ${title(to.name)}.`,
    );
  }
  await Promise.all(
    [harbour, meadow].map((home) => expectOf(home, ["check"], { ok: true, findings: 0 })),
  );
  for (const { name } of [harbour, meadow])
    teller.step(
      { step: "check", who: name, state: "right" },
      `${title(name)} derives all its books once more from raw rows ("check"): they are right.`,
    );
  return difference;
}

interface Told {
  readonly says: bigint;
  readonly hears: bigint;
}

function distance({ says, hears }: Told): bigint {
  return says > hears ? says - hears : hears - says;
}

function agreement(told: Told): string {
  return distance(told) === 0n ? "agrees" : "differs";
}
