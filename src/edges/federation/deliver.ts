/** The way out: takes deliveries that are due, sends them, and keeps those that did not arrive. */

import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import {
  type Due,
  endDeliveries,
  forgetInbox,
  forgetMessages,
  type Later,
  putBack,
  takeDue,
} from "../../features/activity/due.ts";
import {
  forgetHosts,
  type Failure,
  type Health,
  healthOf,
  HEALTHY,
  hostAnswered,
  hostsFailed,
} from "../../features/activity/host.ts";
import { askWay } from "../../features/peer/way.ts";
import { gather } from "../../store/gather.ts";
import { recent } from "../../store/recent.ts";
import type { Temporal } from "../../store/time.ts";
import { hostOf, isResting, type Lane, letWait, openLane, roomOf } from "./lane.ts";
import { openSender, type Outcome, pauseOf, POST_MS_MAX, type SenderParts } from "./send.ts";
import type { SignatureKind } from "./sign.ts";

/** What delivery works with. */
export interface DeliveryParts extends SenderParts {
  readonly limits?: Partial<DeliveryLimits>;
}

/** How much is done at once. */
export interface DeliveryLimits {
  /** Requests on their way. */
  readonly requests: number;
  /** Of these, to one host. */
  readonly requestsPerHost: number;
}

/** Waiting costs a socket and no more; one host gets as many as a browser would open, and no more. */
const LIMITS: DeliveryLimits = { requests: 128, requestsPerHost: 4 };

/** Tries that begin in one turn of the event loop: each signs, and opens a connection. */
const START_MAX = 4;

/** How often the table is looked at when nobody says that there is something. */
const POLL_MS = 200;

/** What comes while the table is looked at is taken together with what comes in this time after it. */
const GATHER_MS = 50;

/** After a fault of our own, such as a database that is starting again. */
const FAULT_MS = 1000;

/** Deliveries that are taken in one go, and those that wait in memory. */
const TAKE_MAX = 200;
const WAITING_MAX = 2000;

/** Longest a delivery is anybody's: waiting in a lane, fetching an actor, and two requests. */
const LEASE_MS = 180_000;
const SEND_MS = 4 * POST_MS_MAX;

/** A host that failed so often is dead for about two weeks; what is older than that is let go. */
const HOST_FAILURES_MAX = 25;
const DEAD_DAYS = 14;

/** How often is forgotten what nothing waits for. */
const FORGET_MS = 600_000;

/** Longest wait for running requests at the end; what is cut off is taken again when its lease ends. */
const STOP_MS = 2 * POST_MS_MAX + 5000;

/** Hosts of which is remembered whether they answer. */
const HOSTS_MAX = 10_000;

/** Whoever was told of a flattr is asked how he is paid; hosts of which that was seen to, and for how long. */
const WAYS_MAX = 10_000;
const WAY_MS = 3_600_000;

/**
 * Starts delivering. Any number of processes may: a delivery is leased to one of them.
 *
 * `nudge` says that there is something; `stop` lets requests that run come to their end and leaves the rest in the
 * table.
 */
export function startDelivery(parts: DeliveryParts): { nudge(): void; stop(): Promise<void> } {
  const delivery = new Delivery(parts);
  const done = delivery.run();
  return {
    nudge: () => delivery.wake(),
    stop: async () => {
      delivery.stop();
      await done;
    },
  };
}

class Delivery {
  readonly #parts: DeliveryParts;
  readonly #limits: DeliveryLimits;
  readonly #logger = getLogger(["fediflattr", "delivery"]);
  readonly #lanes = new Map<string, Lane>();
  readonly #send: (due: Due, first: SignatureKind) => Promise<Outcome>;
  readonly #end: (id: bigint) => Promise<void>;
  readonly #putBack: (row: Later) => Promise<void>;
  readonly #fail: (failure: Failure) => Promise<Health>;
  readonly #ways = recent<string, number>(WAYS_MAX);
  /** Hosts that were tried, and whether the last try found them in trouble: remembered longer than their lanes are. */
  readonly #answering = recent<string, boolean>(HOSTS_MAX);
  /** Tries that are not over, with all that follows from them. */
  readonly #tries = new Set<Promise<void>>();
  #waiting = 0;
  #running = 0;
  #isStopping = false;
  #isNudged = false;
  #isPumping = false;
  #wake = () => {};
  #forgotAtMs = 0;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#limits = { ...LIMITS, ...parts.limits };
    const { database, clock } = parts;
    this.#send = openSender(parts);
    // What ends while earlier ends are being written is written with the next ones, in one statement.
    this.#end = gather<bigint, void>({
      work: async (ids) => {
        await endDeliveries(database, ids, clock.real());
        return ids.map(() => undefined);
      },
      key: String,
    });
    this.#fail = gather<Failure, Health>({
      work: (failures) => hostsFailed(database, failures),
      key: ({ host }) => host,
    });
    this.#putBack = gather<Later, void>({
      work: async (rows) => {
        await putBack(database, rows);
        return rows.map(() => undefined);
      },
      key: ({ id }) => String(id),
    });
  }

  wake(): void {
    this.#isNudged = true;
    this.#wake();
  }

  stop(): void {
    this.#isStopping = true;
    this.#wake();
  }

  async run(): Promise<void> {
    while (!this.#isStopping) {
      let pauseMs = POLL_MS;
      try {
        await this.#forgetNowAndThen();
        const room = Math.min(TAKE_MAX, WAITING_MAX - this.#waiting);
        if (room > 0 && (await this.#take(room)) === room) pauseMs = 0;
      } catch (error) {
        this.#logger.warning("delivery rests a moment: {error}", { error });
        pauseMs = FAULT_MS;
      }
      if (pauseMs > 0) await this.#sleep(pauseMs);
    }
    await this.#leave();
  }

  /** Until it is time, or somebody says that there is something. */
  async #sleep(ms: number): Promise<void> {
    if (this.#isStopping) return;
    if (this.#isNudged) {
      this.#isNudged = false;
      await sleep(GATHER_MS);
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => {};
    this.#isNudged = false;
  }

  /** Takes what is due into the lanes of its hosts. */
  async #take(limit: number): Promise<number> {
    const { database, clock } = this.#parts;
    const now = clock.real();
    const { due, orphans } = await takeDue(database, { now, leaseMs: LEASE_MS, limit });
    for (const { id } of orphans)
      this.#follow(this.#letGo(id, "nobody is left to tell it, or may be told"));
    const hosts = new Set<string>();
    for (const one of due) {
      const host = hostOf(one);
      if (host !== undefined) hosts.add(host);
    }
    const healths = hosts.size === 0 ? new Map() : await healthOf(database, [...hosts]);
    for (const one of due) {
      const host = hostOf(one);
      if (host === undefined) {
        this.#follow(this.#letGo(one.id, "its inbox has no address"));
        continue;
      }
      const lane = this.#laneOf(host);
      lane.health = healths.get(host) ?? HEALTHY;
      if (isResting(lane.health, now)) this.#follow(this.#leaveAlone(one, lane.health));
      else if (lane.waiting.length >= roomOf(lane, this.#limits.requestsPerHost, WAITING_MAX / 2)) {
        const milliseconds = Math.ceil(
          Math.max((lane.waiting.length * lane.meanMs) / this.#limits.requestsPerHost, POLL_MS),
        );
        this.#follow(this.#putBack({ ...one, due: now.add({ milliseconds }), error: undefined }));
      } else {
        letWait(lane, one);
        this.#waiting += 1;
      }
    }
    this.#pump();
    return due.length + orphans.length;
  }

  /** A first click does not wait until somebody looks which hosts were never asked. */
  #seeToWay(origin: string): void {
    const { database, clock } = this.#parts;
    const nowMs = clock.real().epochMilliseconds;
    if ((this.#ways.get(origin) ?? -Infinity) > nowMs - WAY_MS) return;
    this.#ways.set(origin, nowMs);
    this.#follow(askWay(database, origin, clock.now()));
  }

  #laneOf(host: string): Lane {
    const known = this.#lanes.get(host);
    if (known !== undefined) return known;
    const lane = openLane(host, this.#answering.get(host) ?? false);
    this.#lanes.set(host, lane);
    return lane;
  }

  /** Starts as many tries as may run; each host in its turn. Few at once: others wait for this process, too. */
  #pump(): void {
    if (this.#isPumping) return;
    let started = 0;
    for (const lane of this.#lanes.values()) {
      if (lane.waiting.length === 0 && lane.running === 0) this.#lanes.delete(lane.host);
      while (
        !this.#isStopping &&
        this.#running < this.#limits.requests &&
        lane.running < (lane.isAnswering ? this.#limits.requestsPerHost : 1) &&
        lane.waiting.length > 0
      ) {
        if (started === START_MAX) return this.#pumpSoon();
        started += 1;
        this.#waiting -= 1;
        this.#start(lane, lane.waiting.shift()!);
      }
    }
  }

  #pumpSoon(): void {
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #start(lane: Lane, due: Due): void {
    this.#running += 1;
    lane.running += 1;
    const free = () => {
      this.#running -= 1;
      lane.running -= 1;
      // The last shall be first: a host that was served goes behind the others.
      if (this.#lanes.delete(lane.host)) this.#lanes.set(lane.host, lane);
      this.#pump();
      if (this.#waiting < WAITING_MAX / 2 && this.#waiting > 0) this.#wakeIfFull();
    };
    this.#follow(this.#try(lane, due, free));
  }

  #wakeIfFull(): void {
    if (this.#waiting + TAKE_MAX >= WAITING_MAX) this.#wake();
  }

  /** Keeps a promise until it is fulfilled; a fault leaves the row to the end of its lease. */
  #follow(work: Promise<void>): void {
    const done = work.catch((error: unknown) =>
      this.#logger.warning("a delivery failed by our own fault and is tried again: {error}", {
        error,
      }),
    );
    this.#tries.add(done);
    void done.finally(() => this.#tries.delete(done));
  }

  /** One try, from the lane to what its outcome asks for. `free` is called as soon as another request may start. */
  async #try(lane: Lane, due: Due, free: () => void): Promise<void> {
    const { clock } = this.#parts;
    const since = clock.real();
    const leaseMs = due.lease.epochMilliseconds - since.epochMilliseconds;
    let outcome: Outcome | undefined;
    try {
      if (isResting(lane.health, since)) return await this.#leaveAlone(due, lane.health);
      // Somebody else might take it in the middle: it waits anew, and was not tried.
      if (leaseMs < SEND_MS) return await this.#putBack({ ...due, due: since, error: undefined });
      outcome = await this.#send(due, lane.health.takesRfc9421 ? "rfc9421" : "draft-cavage");
      const tookMs = clock.real().epochMilliseconds - since.epochMilliseconds;
      lane.meanMs = Math.max(1, lane.meanMs * 0.9 + tookMs * 0.1);
      lane.isAnswering = outcome.kind !== "host";
      this.#answering.set(lane.host, lane.isAnswering);
      if (outcome.kind === "host") {
        await this.#slowDown(lane, outcome, since);
        this.#waiting -= lane.waiting.length;
        for (const waiting of lane.waiting.splice(0))
          this.#follow(this.#leaveAlone(waiting, lane.health));
      }
    } finally {
      free();
    }
    await this.#settle(lane, due, outcome);
  }

  /** A host is in trouble. */
  async #slowDown(
    lane: Lane,
    { error, pauseMs }: Extract<Outcome, { kind: "host" }>,
    since: Temporal.Instant,
  ): Promise<void> {
    const { clock } = this.#parts;
    const { host } = lane;
    lane.health = await this.#fail({ host, error, since, now: clock.real(), pauseMs });
    this.#logger.info("{host} does not take anything ({error}), next try at {next}", {
      host,
      error,
      next: String(lane.health.nextTryAt),
    });
  }

  async #settle(lane: Lane, due: Due, outcome: Outcome): Promise<void> {
    const { database, clock } = this.#parts;
    const now = clock.real();
    // Who cannot be reached could not say it: he is found when hosts are looked for.
    if (due.said.kind === "favourite" && due.said.period !== null && hasAnswered(outcome))
      this.#seeToWay(new URL(due.said.payee).origin);
    switch (outcome.kind) {
      case "taken": {
        const takesRfc9421 = outcome.signature === "rfc9421";
        if (lane.health.failures > 0 || lane.health.takesRfc9421 !== takesRfc9421) {
          lane.health = { ...HEALTHY, takesRfc9421 };
          await hostAnswered(database, { host: lane.host, takesRfc9421, now });
        }
        return this.#end(due.id);
      }
      case "ended": {
        if (outcome.isGone === true) await this.#forgetInbox(due);
        return this.#letGo(due.id, `${lane.host}: ${outcome.error}`);
      }
      case "later": {
        const milliseconds = pauseOf(due, outcome.error);
        if (milliseconds === undefined) {
          if (outcome.isGone === true) await this.#forgetInbox(due);
          return this.#letGo(due.id, `${lane.host}: ${outcome.error}`);
        }
        return this.#putBack({ ...due, due: now.add({ milliseconds }), error: outcome.error });
      }
      case "host": {
        const rest = lane.health.nextTryAt ?? now;
        const milliseconds = outcome.isRow === true ? pauseOf(due, outcome.error) : 0;
        if (milliseconds === undefined || this.#isDead(due, lane.health))
          return this.#letGo(due.id, `${lane.host}: ${outcome.error}`);
        const wanted = now.add({ milliseconds });
        const next = wanted.epochMilliseconds > rest.epochMilliseconds ? wanted : rest;
        return this.#putBack({ ...due, due: next, error: outcome.error });
      }
    }
  }

  /** Not tried, since its host rests: due when the host is. */
  async #leaveAlone(due: Due, health: Health): Promise<void> {
    if (this.#isDead(due, health)) return this.#letGo(due.id, "its host is dead");
    return this.#putBack({ ...due, due: health.nextTryAt!, error: undefined });
  }

  /** Its own server says where else it is, when somebody wants to know. */
  async #forgetInbox({ target }: Due): Promise<void> {
    if (target.inbox !== undefined) await forgetInbox(this.#parts.database, target.inbox);
  }

  #isDead({ at }: Due, { failures }: Health): boolean {
    const ageMs = this.#parts.clock.now().epochMilliseconds - at.epochMilliseconds;
    return failures >= HOST_FAILURES_MAX && ageMs > DEAD_DAYS * 24 * 3_600_000;
  }

  /** It never arrives: said in the log, and gone. */
  async #letGo(id: bigint, error: string): Promise<void> {
    this.#logger.warning("delivery {id} ends here: {error}", { id: String(id), error });
    await this.#end(id);
  }

  async #forgetNowAndThen(): Promise<void> {
    const { database, clock } = this.#parts;
    const now = clock.real();
    if (now.epochMilliseconds - this.#forgotAtMs < FORGET_MS) return;
    this.#forgotAtMs = now.epochMilliseconds;
    await forgetHosts(database, now);
    await forgetMessages(database);
  }

  /** Gives back what was not sent, and waits for what is on its way. */
  async #leave(): Promise<void> {
    const now = this.#parts.clock.real();
    for (const lane of this.#lanes.values()) {
      for (const due of lane.waiting.splice(0))
        this.#follow(this.#putBack({ ...due, due: now, error: undefined }));
    }
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), STOP_MS);
    const isOver = new Promise<void>((resolve) =>
      deadline.signal.addEventListener("abort", () => resolve(), { once: true }),
    );
    while (this.#tries.size > 0 && !deadline.signal.aborted)
      await Promise.race([Promise.allSettled(this.#tries), isOver]);
    clearTimeout(timer);
  }
}

/** Some server said something, be it that it takes nothing. */
function hasAnswered(outcome: Outcome): boolean {
  return outcome.kind !== "host" || /^\d+$/.test(outcome.error);
}
