/** A whole day with `masto`, which is used as its own documentation uses it. */

import { expect } from "vitest";
import { type Day, MONTH } from "../homes.ts";
import { liveSteps } from "./live.ts";
import { type Known, MASTO_PEOPLE } from "./people.ts";
import { postSteps } from "./posts.ts";
import { readingSteps } from "./reading.ts";
import { signInSteps } from "./sign-in.ts";

/** The steps, in order; each needs those before it. */
export function mastoDay(dayOf: () => Day): void {
  const state = {} as Known;
  for (const steps of [signInSteps, postSteps, readingSteps, liveSteps]) steps(dayOf, state);
}

/** What the day left to be divided: the budget as a whole, for one post. */
export async function mastoMoney({ harbour, meadow }: Day): Promise<void> {
  const { patron, creator } = MASTO_PEOPLE;
  const gave = await harbour.run("statement", patron, "--period", MONTH);
  expect(gave).toMatchObject({ settlement: "settled", spentMicro: "5000000" });
  const got = await meadow.run("statement", creator, "--period", MONTH);
  expect(got).toMatchObject({ promised: [{ host: harbour.host, amountMicro: "5000000" }] });
}
