/** The month's end after a day with clients: favourites become money. */

import { expect, test } from "vitest";
import { type Day, MONTH, soon } from "./homes.ts";
import { MASTO_PEOPLE, mastoMoney } from "./masto-day.ts";

/** The steps, in order. */
export function closeSteps(dayOf: () => Day): void {
  test("the instances start again in the next month, and the month closes", async () => {
    const day = dayOf();
    await day.endMonth();
    const closed = await day.harbour.run("settle", "--period", MONTH);
    expect(closed).toMatchObject({ period: MONTH, state: "closed" });
  });

  test("the favourites are promised money at the other instance", async () => {
    const day = dayOf();
    await soon("the promise has arrived", async () => {
      const { promised } = await day.meadow.run("statement", MASTO_PEOPLE.creator, "--period", MONTH);
      return (promised as unknown[]).length > 0;
    });
    await mastoMoney(day);
  });
}
