/** What people and operators of several instances do, at random and at once; and what they were told about it. */

import { setTimeout as sleep } from "node:timers/promises";
import type { House } from "./houses.ts";
import type { Outcome } from "./neighbour.ts";
import type { Random } from "./random.ts";

/** A click, or one taken back. */
export interface Click {
  readonly house: House;
  readonly patron: string;
  readonly thing: string;
  readonly act: "flattr" | "unflattr";
  /** The month of the patron's instance. */
  readonly month: string;
  /** unsure: it may have happened or not · withdrawn: the month was over, and the favourite alone went. */
  readonly result: "done" | "unsure" | "refused" | "withdrawn";
  readonly flattr: string | undefined;
  /** Real time when it was ordered and when it was answered. */
  readonly from: number;
  readonly to: number;
}

/** Real money between two operators: each books it when he sees it at his bank. */
export interface Payment {
  readonly from: House;
  readonly to: House;
  readonly amount: string;
  readonly reference: string;
}

/** People of one instance; half of them work in each lane. */
export const PEOPLE = ["ann", "bob", "cem", "dot"];

const LANES = 2;

/** Posts of one instance; more would only spread the clicks. */
const POSTS_MAX = 12;

const CENT = 10_000n;

/** Limits that operators choose from: from "pay first" to more than a month gives. */
const LIMITS = [0n, 100n, 400n, 2000n, 5000n];

/** Everything that goes on beside the kills. */
export class Doings {
  readonly clicks: Click[] = [];
  readonly payments: Payment[] = [];
  readonly posts: string[] = [];
  /** Orders by what they were, and what came of them. */
  readonly counts = new Map<string, number>();
  readonly #houses: readonly House[];
  readonly #random: Random;
  #isOver = false;
  #lanes: Promise<void>[] = [];
  #references = 0;
  #fault: Error | undefined;

  constructor(houses: readonly House[], random: Random) {
    this.#houses = houses;
    this.#random = random;
  }

  /** Gives every instance its people; some of them have not paid in. */
  async settleIn(): Promise<void> {
    await Promise.all(
      this.#houses.map(async (house) => {
        for (const [place, name] of PEOPLE.entries()) {
          const budget = String(CENT * BigInt(200 + this.#random.below(600)));
          const money = place === 3 ? "0" : String(CENT * BigInt(1000 + this.#random.below(1500)));
          await house.must({ do: "person", name, budget, money });
          const { uri } = await house.must({ do: "post", name, text: "Hello" });
          this.posts.push(uri as string);
        }
      }),
    );
  }

  start(): void {
    this.#lanes = this.#houses.flatMap((house) =>
      Array.from({ length: LANES }, (_, lane) =>
        this.#run(
          house,
          PEOPLE.filter((_name, place) => place % LANES === lane),
        ).catch((error: Error) => {
          this.#fault ??= error;
        }),
      ),
    );
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** Both operators look through their bank statements and book what is not booked yet. */
  async bookAllPayments(): Promise<void> {
    for (const { from, to, amount, reference } of this.payments) {
      await from.must({ do: "paid", host: to.host, amount, reference });
      await to.must({ do: "received", host: from.host, amount, reference });
    }
  }

  async #run(house: House, people: readonly string[]): Promise<void> {
    while (!this.#isOver) {
      await sleep(80 + this.#random.below(350));
      await this.#doOne(house, this.#random.pick(people));
    }
  }

  async #doOne(house: House, name: string): Promise<void> {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 8) return this.#post(house, name);
    if (kind < 52) return this.#click(house, name, "flattr");
    if (kind < 66) return this.#click(house, name, "unflattr");
    if (kind < 76) {
      const whom = this.#somebodyElse(house);
      const act = random.chance(65) ? "follow" : "unfollow";
      return this.#count(act, await house.order({ do: act, name, whom }));
    }
    if (kind < 82) {
      const amount = String(CENT * BigInt(1 + random.below(400)));
      const reference = this.#reference();
      return this.#count("fund", await house.order({ do: "fund", name, amount, reference }));
    }
    if (kind < 93) return this.#pay(house);
    if (kind < 97) {
      const { host } = this.#otherHouse(house);
      const amount = String(CENT * random.pick(LIMITS));
      return this.#count("limit", await house.order({ do: "limit", host, amount }));
    }
    if (kind < 98) return this.#count("settle", await house.order({ do: "settle" }));
    await this.#check(house);
  }

  /** Whatever is going on, the books are right. */
  async #check(house: House): Promise<void> {
    const outcome = await house.order({ do: "check" });
    this.#count("check", outcome);
    if (!("done" in outcome)) return;
    const findings = outcome.done["findings"] as unknown[];
    if (findings.length > 0)
      throw new Error(`${house.name}: ${JSON.stringify(findings, undefined, 1)}`);
  }

  async #post(house: House, name: string): Promise<void> {
    if (this.posts.filter((uri) => uri.startsWith(house.origin)).length >= POSTS_MAX) return;
    const outcome = await house.order({ do: "post", name, text: `Post ${this.#reference()}` });
    this.#count("post", outcome);
    if ("done" in outcome) this.posts.push(outcome.done["uri"] as string);
  }

  async #click(house: House, name: string, act: Click["act"]): Promise<void> {
    const patron = `${house.origin}/users/${name}`;
    const thing = this.#thingFor(house, patron, act);
    if (thing === undefined) return;
    const from = Date.now();
    const { month } = house;
    const outcome = await house.order({ do: act, name, thing });
    this.#count(act, outcome);
    if ("failed" in outcome && outcome.failed === "no worker") return;
    const isWithdrawn =
      act === "unflattr" && "refused" in outcome && outcome.refused === "period_closed";
    const isDone = "done" in outcome;
    this.clicks.push({
      house,
      patron,
      thing,
      act,
      month: isDone && act === "flattr" ? String(outcome.done["period"]) : month,
      result: isDone
        ? "done"
        : isWithdrawn
          ? "withdrawn"
          : "refused" in outcome
            ? "refused"
            : "unsure",
      flattr: isDone && act === "flattr" ? String(outcome.done["flattr"]) : undefined,
      from,
      to: Date.now(),
    });
  }

  /** What is taken back was given lately; what is given was sometimes taken back a moment ago. */
  #thingFor(house: House, patron: string, act: Click["act"]): string | undefined {
    const random = this.#random;
    const mine = this.clicks
      .filter((click) => click.patron === patron && click.result !== "refused")
      .slice(-6);
    if (act === "unflattr" || random.chance(25))
      return mine.length === 0 ? undefined : random.pick(mine).thing;
    if (random.chance(10)) return this.#somebodyElse(house);
    const isHere = random.chance(20);
    const things = this.posts.filter((uri) => uri.startsWith(`${house.origin}/`) === isHere);
    return things.length === 0 ? undefined : random.pick(things);
  }

  async #pay(house: House): Promise<void> {
    const random = this.#random;
    const known = this.payments.filter(({ from, to }) => from === house || to === house);
    if (known.length === 0 || random.chance(40)) {
      const other = this.#otherHouse(house);
      const [from, to] = random.chance(50) ? [house, other] : [other, house];
      const amount = String(CENT * BigInt(1 + random.below(500)));
      const payment = { from, to, amount, reference: this.#reference() };
      const outcome = await this.#bookPayment(house, payment);
      // Nobody pays somebody with whom he keeps no line.
      if (!("refused" in outcome)) this.payments.push(payment);
    } else await this.#bookPayment(house, random.pick(known));
  }

  async #bookPayment(house: House, { from, to, amount, reference }: Payment): Promise<Outcome> {
    const [act, host] =
      from === house ? (["paid", to.host] as const) : (["received", from.host] as const);
    const outcome = await house.order({ do: act, host, amount, reference });
    this.#count(act, outcome);
    return outcome;
  }

  #somebodyElse(house: House): string {
    return `${this.#otherHouse(house).origin}/users/${this.#random.pick(PEOPLE)}`;
  }

  #otherHouse(house: House): House {
    return this.#random.pick(this.#houses.filter((other) => other !== house));
  }

  #reference(): string {
    return `R${(this.#references += 1)}`;
  }

  #count(what: string, outcome: Outcome): void {
    const how =
      "done" in outcome
        ? "done"
        : "refused" in outcome
          ? outcome.refused
          : outcome.failed.replace(/[/]tmp[^ ]*/, "").slice(0, 60);
    const key = `${what}: ${how}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }
}
