/** The month's end after a day with clients: favourites become money. */

import { expect, test } from "vitest";
import { type Day, MONTH, soon } from "./homes.ts";
import { mastoMoney } from "./masto/day.ts";
import { MASTO_PEOPLE } from "./masto/people.ts";
import { MEGALODON_PEOPLE, megalodonMoney } from "./megalodon-day.ts";

const BUDGETS = Number(MASTO_PEOPLE.budget) + Number(MEGALODON_PEOPLE.budget);

/** The steps, in order. */
export function closeSteps(dayOf: () => Day): void {
  test("the instances start again in the next month, and the month closes", async () => {
    const day = dayOf();
    await day.endMonth();
    expect(await day.harbour.run("settle", "--period", MONTH)).toMatchObject({
      period: MONTH,
      state: "closed",
      // Their neighbours have flattred, too, and have no budget.
      flattrs: 4,
      paying: 2,
      spentMicro: `${BUDGETS}000000`,
      peersMicro: `${BUDGETS}000000`,
    });
  });

  test("the favourites are promised money at the other instance", async () => {
    const day = dayOf();
    const accepted = await soon("the promises", async () => {
      const line = await day.meadow.run("peer", "show", day.harbour.host);
      return line["acceptedInMicro"] !== "0" && line["acceptedInMicro"];
    });
    expect(accepted).toBe(`${BUDGETS}000000`);
    await mastoMoney(day);
    await megalodonMoney(day);
  });

  test("the operators pay each other, and the creators have it", async () => {
    const { harbour, meadow } = dayOf();
    const paid = ["EUR", `${BUDGETS}.00`, "--reference", "RF37HARBOUR202611"];
    await harbour.run("peer", "paid", meadow.host, ...paid);
    await meadow.run("peer", "received", harbour.host, ...paid);
    for (const [name, amount] of [
      [MASTO_PEOPLE.creator, "5000000"],
      [MEGALODON_PEOPLE.creator, "3000000"],
    ] as const) {
      const { balance } = await meadow.run("statement", name, "--period", MONTH);
      expect(balance).toMatchObject({ earningsMicro: amount, pendingMicro: "0" });
    }
  });

  test("every object that passed by was one that strict clients can read", () => {
    const { seen } = dayOf().wire;
    for (const [kind, count] of Object.entries(seen)) expect(count, kind).toBeGreaterThan(0);
    expect(seen.status).toBeGreaterThan(100);
  });
}
