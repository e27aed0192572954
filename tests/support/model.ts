/**
 * What must come out of a list of events, in plain code: objects, BigInt, loops. It shares nothing with the program,
 * neither rules nor calendar nor SQL, so that a mistake would have to be made twice in different words.
 */

/** Instants are milliseconds since 1970; amounts are micro-units. */
export interface ModelSettings {
  readonly feeBasisPoints: number;
  readonly minimumBudget: bigint;
  readonly unclaimedMonths: number;
}

export interface ModelThing {
  readonly uri: string;
  /** Weights above zero; one entry per payee. */
  readonly authors: readonly { readonly payee: string; readonly weight: number }[];
}

/** One event. Which members matter depends on `do`. */
export type ModelEvent = { readonly at: number } & (
  | { readonly do: "tick" }
  | { readonly do: "fee"; readonly feeBasisPoints: number }
  | { readonly do: "budget"; readonly patron: string; readonly amount: bigint }
  | { readonly do: "refund"; readonly patron: string; readonly amount: bigint }
  | {
      readonly do: "fund";
      readonly patron: string;
      readonly amount: bigint;
      readonly reference?: string;
    }
  | {
      readonly do: "flattr";
      readonly patron: string;
      readonly thing: string;
      readonly private: boolean;
    }
  | {
      readonly do: "undo" | "unsubscribe" | "pause";
      readonly patron: string;
      readonly thing: string;
    }
  | {
      readonly do: "subscribe";
      readonly patron: string;
      readonly thing: string;
      readonly months: number | null;
    }
  | { readonly do: "alias"; readonly patron: string; readonly payee: string }
  | { readonly do: "decline" | "accept" | "forget"; readonly payee: string }
  | { readonly do: "block" | "unblock"; readonly kind: "payee" | "host"; readonly target: string }
  | { readonly do: "authors"; readonly thing: string; readonly authors: ModelThing["authors"] }
  | { readonly do: "delete"; readonly thing: string }
);

export interface ModelSettlement {
  state: "frozen" | "settled" | "unfunded" | "late" | "lapsed";
  readonly budget: bigint;
  readonly available: bigint;
  flattrs: number;
  spent: bigint;
  fee: bigint;
  /** "<thing> <payee>" → amount. */
  shares: Record<string, bigint>;
}

export interface ModelMonth {
  readonly number: number;
  readonly opens: number;
  readonly closes: number;
  readonly fee: number;
  state: "open" | "frozen" | "closed" | "final";
  readonly flattrs: Flattr[];
  readonly settlements: Map<string, ModelSettlement>;
  /** Who is paid, fixed at the freeze: for each flattr its payees that take part, the patron's own ones included. */
  paid: Set<string>;
  /** `alias`es as they were at the month's end. */
  own: Map<string, Set<string>>;
}

interface Flattr {
  readonly patron: string;
  readonly thing: string;
  readonly authors: ModelThing["authors"];
  readonly subscribed: boolean;
  /** The order in which it came. */
  readonly order: number;
}

interface Subscription {
  readonly patron: string;
  readonly thing: string;
  readonly since: number;
  left: number | null;
  paused: boolean;
  ended: boolean;
  readonly order: number;
}

/** Money of one patron that waits for a payee, from one month. */
export interface Waiting {
  readonly month: number;
  readonly patron: string;
  readonly payee: string;
  readonly amount: bigint;
  state: "waiting" | "returned";
}

const DAY_MS = 86_400_000;

/** An instance as the rules have it. Give it events in the order of time. */
export class Model {
  readonly months: ModelMonth[] = [];
  readonly budgets = new Map<string, bigint>();
  readonly earnings = new Map<string, bigint>();
  readonly waiting: Waiting[] = [];
  fees = 0n;
  /** All that came in, less all that went out. */
  inside = 0n;

  #fee: number;
  #order = 0;
  readonly #settings: ModelSettings;
  readonly #things = new Map<string, { authors: ModelThing["authors"]; deleted: boolean }>();
  readonly #wanted = new Map<string, { since: number; amount: bigint }[]>();
  readonly #subscriptions: Subscription[] = [];
  readonly #aliases: { patron: string; payee: string; since: number }[] = [];
  readonly #declined = new Set<string>();
  readonly #blocked = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #references = new Map<string, string>();
  readonly #local: ReadonlyMap<string, string>;

  /** @param people local names with their actor's URI; @param begin when the first month is opened */
  constructor(
    settings: ModelSettings,
    people: ReadonlyMap<string, string>,
    things: readonly ModelThing[],
    begin: number,
  ) {
    this.#settings = settings;
    this.#fee = settings.feeBasisPoints;
    this.#local = people;
    for (const { uri, authors } of things) this.#things.set(uri, { authors, deleted: false });
    for (const name of people.keys()) this.budgets.set(name, 0n);
    this.#turn(begin);
  }

  /** Does one event. @returns "ok", "again", or the reason why it is refused */
  apply(event: ModelEvent): string {
    switch (event.do) {
      case "tick":
        return this.#tick(event.at);
      case "fee":
        this.#fee = event.feeBasisPoints;
        return "ok";
      case "authors":
        this.#things.get(event.thing)!.authors = event.authors;
        return "ok";
      case "delete":
        this.#things.get(event.thing)!.deleted = true;
        return "ok";
      default:
    }
    if (event.do === "budget" && event.amount !== 0n && event.amount < this.#settings.minimumBudget)
      return "budget_too_low";
    if (event.do === "flattr") {
      const refusal = this.#refuseFlattr(event.patron, event.thing);
      if (refusal !== undefined) return refusal;
    }
    this.#turn(event.at);
    const open = this.months.at(-1)!;
    if (event.at < open.opens) return "period_closed";
    switch (event.do) {
      case "budget":
        push(this.#wanted, event.patron, { since: event.at, amount: event.amount });
        return "ok";
      case "fund":
        return this.#fund(event);
      case "refund":
        return this.#refund(event);
      case "flattr": {
        const { patron, thing } = event;
        if (open.flattrs.some((one) => one.patron === patron && one.thing === thing))
          return "again";
        const { authors } = this.#things.get(thing)!;
        open.flattrs.push({ patron, thing, authors, subscribed: false, order: (this.#order += 1) });
        return "ok";
      }
      case "undo":
        return this.#undo(open, event.patron, event.thing);
      case "subscribe":
        return this.#subscribe(event);
      case "unsubscribe":
      case "pause": {
        const found = this.#running(event.patron, event.thing);
        if (found === undefined) return "not_found";
        if (event.do === "pause") found.paused = true;
        else found.ended = true;
        return "ok";
      }
      case "alias":
        if (!this.#isOwn(event.patron, event.payee))
          this.#aliases.push({ patron: event.patron, payee: event.payee, since: event.at });
        return "ok";
      case "accept":
        this.#declined.delete(event.payee);
        return "ok";
      case "unblock":
        this.#blocked.delete(`${event.kind} ${event.target}`);
        return "ok";
      case "decline":
        this.#declined.add(event.payee);
        break;
      case "forget":
        this.#gone.add(event.payee);
        break;
      case "block":
        this.#blocked.add(`${event.kind} ${event.target}`);
    }
    this.#giveBack(({ payee }) => this.#isUnpaid(payee));
    return "ok";
  }

  /** The URI of somebody of this instance. */
  actorOf(patron: string): string {
    return this.#local.get(patron)!;
  }

  /** What waits for a payee now. */
  waitingFor(payee: string): bigint {
    return sumOf(
      this.waiting.filter((one) => one.payee === payee && one.state === "waiting"),
      ({ amount }) => amount,
    );
  }

  /** Nothing is made and nothing lost. @throws Error when the model itself does not add up */
  assertBalanced(): void {
    const there =
      sumOf([...this.budgets.values()], (amount) => amount) +
      sumOf([...this.earnings.values()], (amount) => amount) +
      sumOf(
        this.waiting.filter(({ state }) => state === "waiting"),
        ({ amount }) => amount,
      ) +
      this.fees;
    if (there !== this.inside) throw new Error(`the model has ${there} of ${this.inside}`);
  }

  #refuseFlattr(patron: string, thing: string): string | undefined {
    const known = this.#things.get(thing)!;
    if (known.deleted) return "not_found";
    return this.#refusePayees(patron, known.authors);
  }

  #refusePayees(patron: string, authors: ModelThing["authors"]): string | undefined {
    const isOwn = ({ payee }: { payee: string }) => this.#isOwn(patron, payee);
    if (authors.some((one) => !isOwn(one) && !this.#isUnpaid(one.payee))) return undefined;
    return authors.some(isOwn) ? "flattr_owner" : "payee_unpaid";
  }

  #isOwn(patron: string, payee: string): boolean {
    return (
      this.#local.get(patron) === payee ||
      this.#aliases.some((one) => one.patron === patron && one.payee === payee)
    );
  }

  #isUnpaid(payee: string): boolean {
    return (
      this.#gone.has(payee) ||
      this.#declined.has(payee) ||
      this.#blocked.has(`payee ${payee}`) ||
      this.#blocked.has(`host ${new URL(payee).host}`)
    );
  }

  #running(patron: string, thing: string): Subscription | undefined {
    return this.#subscriptions.find(
      (one) => one.patron === patron && one.thing === thing && !one.ended,
    );
  }

  #subscribe(event: ModelEvent & { do: "subscribe" }): string {
    const { patron, thing, months, at } = event;
    const refusal = this.#refuseFlattr(patron, thing);
    if (refusal !== undefined) return refusal;
    const running = this.#running(patron, thing);
    if (running !== undefined) {
      running.left = months;
      running.paused = false;
      return "ok";
    }
    this.#subscriptions.push({
      patron,
      thing,
      since: at,
      left: months,
      paused: false,
      ended: false,
      order: (this.#order += 1),
    });
    return "ok";
  }

  #undo(open: ModelMonth, patron: string, thing: string): string {
    const isIt = (one: Flattr) => one.patron === patron && one.thing === thing;
    const place = open.flattrs.findIndex(isIt);
    if (place >= 0) {
      open.flattrs.splice(place, 1);
      return "ok";
    }
    return this.months.some(({ flattrs }) => flattrs.some(isIt)) ? "period_closed" : "not_found";
  }

  #fund({ at, patron, amount, reference }: ModelEvent & { do: "fund" }): string {
    if (reference !== undefined) {
      const key = `${patron} ${amount}`;
      const earlier = this.#references.get(reference);
      if (earlier !== undefined) return earlier === key ? "again" : "reference_taken";
      this.#references.set(reference, key);
    }
    this.inside += amount;
    this.#add(this.budgets, patron, amount);
    const month = this.months.findLast(({ settlements }) => {
      const mine = settlements.get(patron);
      return (
        mine !== undefined && mine.available === 0n && ["frozen", "unfunded"].includes(mine.state)
      );
    });
    if (month === undefined || at >= month.closes + 7 * DAY_MS) return "ok";
    const mine = month.settlements.get(patron)!;
    if (mine.state === "frozen") this.#settlePatron(month, patron, mine);
    if (mine.state !== "unfunded") return "ok";
    mine.state = "late";
    this.#divide(month, patron, mine, amount);
    this.#giveBack(
      (one) => one.month === month.number && one.patron === patron && this.#isUnpaid(one.payee),
    );
    return "ok";
  }

  #refund({ patron, amount }: ModelEvent & { do: "refund" }): string {
    const reserved = sumOf(this.months, ({ settlements }) => {
      const mine = settlements.get(patron);
      return mine?.state === "frozen" ? least(mine.budget, mine.available) : 0n;
    });
    if (amount > this.budgets.get(patron)! - reserved) return "balance_too_low";
    this.inside -= amount;
    this.#add(this.budgets, patron, -amount);
    return "ok";
  }

  /** Opens and freezes up to an instant. A month is only frozen when those before are closed. */
  #turn(at: number): void {
    if (this.months.length === 0) this.#open(monthOf(at));
    while (this.months.at(-1)!.closes <= at) {
      const over = this.months.at(-1)!;
      for (const month of this.months) if (month.state === "frozen") this.#close(month);
      this.#freeze(over);
      this.#open(monthAfter(over.number));
    }
  }

  #tick(at: number): string {
    this.#turn(at);
    for (const month of this.months) if (month.state === "frozen") this.#close(month);
    for (const month of this.months) {
      if (month.state !== "closed" || at < month.closes + 7 * DAY_MS) continue;
      for (const mine of month.settlements.values())
        if (mine.state === "unfunded") mine.state = "lapsed";
      month.state = "final";
    }
    let oldest = monthOf(at);
    for (let back = 0; back < this.#settings.unclaimedMonths; back += 1)
      oldest = monthBefore(oldest);
    this.#giveBack(({ month }) => month < oldest);
    return "ok";
  }

  #open(number: number): void {
    const month: ModelMonth = {
      number,
      opens: startOf(number),
      closes: startOf(monthAfter(number)),
      fee: this.#fee,
      state: "open",
      flattrs: [],
      settlements: new Map(),
      paid: new Set(),
      own: new Map(),
    };
    this.months.push(month);
    const due = this.#subscriptions
      .filter(({ ended, paused, since }) => !ended && !paused && since < month.opens)
      .sort((one, other) => one.order - other.order);
    for (const one of due) {
      if (one.left !== null) one.left -= 1;
      if (one.left === 0) one.ended = true;
      if (this.#refuseFlattr(one.patron, one.thing) !== undefined) continue;
      const { authors } = this.#things.get(one.thing)!;
      const { patron, thing } = one;
      month.flattrs.push({ patron, thing, authors, subscribed: true, order: (this.#order += 1) });
    }
  }

  #freeze(month: ModelMonth): void {
    month.state = "frozen";
    for (const { patron, authors } of month.flattrs) {
      for (const { payee } of authors) if (!this.#isUnpaid(payee)) month.paid.add(payee);
      if (month.settlements.has(patron)) continue;
      const wanted = this.#wanted.get(patron)?.findLast(({ since }) => since < month.closes);
      month.settlements.set(patron, {
        state: "frozen",
        budget: wanted?.amount ?? 0n,
        available: this.budgets.get(patron)!,
        flattrs: 0,
        spent: 0n,
        fee: 0n,
        shares: {},
      });
    }
    for (const [patron, actor] of this.#local) {
      const own = this.#aliases.filter((one) => one.patron === patron && one.since < month.closes);
      month.own.set(patron, new Set([actor, ...own.map(({ payee }) => payee)]));
    }
  }

  #close(month: ModelMonth): void {
    for (const [patron, mine] of month.settlements)
      if (mine.state === "frozen") this.#settlePatron(month, patron, mine);
    month.state = "closed";
    this.#giveBack((one) => one.month === month.number && this.#isUnpaid(one.payee));
  }

  #settlePatron(month: ModelMonth, patron: string, mine: ModelSettlement): void {
    mine.flattrs = this.#counting(month, patron).length;
    const isEmpty = mine.flattrs > 0 && mine.budget > 0n && mine.available === 0n;
    mine.state = isEmpty ? "unfunded" : "settled";
    if (!isEmpty) this.#divide(month, patron, mine, mine.available);
  }

  /** Flattrs that count, in the order of the division, with the payees that take part. */
  #counting(month: ModelMonth, patron: string): Flattr[] {
    const own = month.own.get(patron)!;
    return month.flattrs
      .filter((one) => one.patron === patron)
      .map((one) => ({
        ...one,
        authors: one.authors.filter(({ payee }) => month.paid.has(payee) && !own.has(payee)),
      }))
      .filter(({ authors }) => authors.length > 0)
      .sort(
        (one, other) =>
          Number(other.subscribed) - Number(one.subscribed) || one.order - other.order,
      );
  }

  #divide(month: ModelMonth, patron: string, mine: ModelSettlement, money: bigint): void {
    const flattrs = this.#counting(month, patron);
    if (flattrs.length === 0) return;
    mine.spent = least(mine.budget, money);
    mine.fee = (mine.spent * BigInt(month.fee)) / 10_000n;
    if (mine.spent === 0n) return;
    this.#add(this.budgets, patron, -mine.spent);
    this.fees += mine.fee;
    const pot = mine.spent - mine.fee;
    const whole = BigInt(flattrs.length);
    flattrs.forEach(({ thing, authors }, place) => {
      const share = pot / whole + (BigInt(place) < pot % whole ? 1n : 0n);
      for (const [payee, amount] of splitUp(share, authors)) {
        mine.shares[`${thing} ${payee}`] = amount;
        this.#credit(month.number, patron, payee, amount);
      }
    });
  }

  #credit(month: number, patron: string, payee: string, amount: bigint): void {
    if ([...this.#local.values()].includes(payee)) this.#add(this.earnings, payee, amount);
    else if (amount > 0n) this.waiting.push({ month, patron, payee, amount, state: "waiting" });
  }

  #giveBack(which: (one: Waiting) => boolean): void {
    for (const one of this.waiting) {
      if (one.state !== "waiting" || !which(one)) continue;
      one.state = "returned";
      this.#add(this.budgets, one.patron, one.amount);
    }
  }

  #add(to: Map<string, bigint>, key: string, amount: bigint): void {
    to.set(key, (to.get(key) ?? 0n) + amount);
  }
}

/** The parts of a share: rounded down, what is missing to those that lost most, then to the lower address. */
function splitUp(share: bigint, authors: ModelThing["authors"]): [string, bigint][] {
  const whole = sumOf(authors, ({ weight }) => BigInt(weight));
  const parts = authors.map(({ payee, weight }) => ({
    payee,
    amount: (share * BigInt(weight)) / whole,
    lost: (share * BigInt(weight)) % whole,
  }));
  let missing = share - sumOf(parts, ({ amount }) => amount);
  while (missing > 0n) {
    let best: (typeof parts)[number] | undefined;
    for (const part of parts) {
      if (part.lost < 0n) continue;
      const isBetter =
        best === undefined ||
        part.lost > best.lost ||
        (part.lost === best.lost &&
          Buffer.compare(Buffer.from(part.payee), Buffer.from(best.payee)) < 0);
      if (isBetter) best = part;
    }
    best!.amount += 1n;
    best!.lost = -1n;
    missing -= 1n;
  }
  return parts.map(({ payee, amount }) => [payee, amount]);
}

function sumOf<T>(list: readonly T[], amountOf: (one: T) => bigint): bigint {
  let total = 0n;
  for (const one of list) total += amountOf(one);
  return total;
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

function push<T>(lists: Map<string, T[]>, key: string, value: T): void {
  lists.set(key, [...(lists.get(key) ?? []), value]);
}

/** Months as numbers: 202611. */
export function monthOf(at: number): number {
  const date = new Date(at);
  return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1;
}

export function monthAfter(month: number): number {
  return month % 100 === 12 ? month + 89 : month + 1;
}

function monthBefore(month: number): number {
  return month % 100 === 1 ? month - 89 : month - 1;
}

/** The first millisecond of a month. */
export function startOf(month: number): number {
  return Date.UTC(Math.trunc(month / 100), (month % 100) - 1, 1);
}
