/** `budget`, `fund`, `refund`. */

import type { Command } from "commander";
import { accountNamed } from "../../features/account/find.ts";
import { fund, refund } from "../../features/budget/cash.ts";
import { setBudget } from "../../features/budget/set.ts";
import { amountArgument, money, type Run } from "./terminal.ts";

/** Adds these commands to the program. */
export function moneyCommands(program: Command, run: Run): void {
  program
    .command("budget")
    .description("monthly budgets")
    .command("set")
    .argument("<name>")
    .argument("<amount>", "such as 5.00; 0 is a pause")
    .description(
      "set what somebody gives a month; the last one set before the month's end counts for all of it",
    )
    .action((name: string, text: string) =>
      run(async ({ database, clock }) => {
        const patron = await accountNamed(database.drizzle, name);
        const amount = amountArgument(text, database, "budget_invalid");
        const period = await setBudget(database, { patron: patron.id, amount, at: clock.now() });
        return {
          json: {
            account: patron.name,
            budgetMicro: String(amount),
            currency: database.settings.currency,
            from: period,
          },
          text:
            amount === 0n
              ? `${patron.name} pauses from ${period} on`
              : `${patron.name} gives ${money(amount, database)} a month, from ${period} on`,
        };
      }),
    );

  const rails = [
    { verb: "fund", does: "book money that came in", work: fund, sign: 1n, words: "paid in" },
    {
      verb: "refund",
      does: "book money that went back",
      work: refund,
      sign: -1n,
      words: "got back",
    },
  ] as const;
  for (const { verb, does, work, sign, words } of rails) {
    program
      .command(verb)
      .argument("<name>")
      .argument("<amount>", "such as 20.00")
      .option("--note <text>", "for the books")
      .option("--reference <text>", "the bank's reference: booking the same one again does nothing")
      .description(`${does}, by hand`)
      .action(
        (name: string, text: string, { note, reference }: { note?: string; reference?: string }) =>
          run(async ({ database, clock }) => {
            const patron = await accountNamed(database.drizzle, name);
            const amount = amountArgument(text, database, "amount_invalid");
            const { id, booked } = await work(database, {
              patron: patron.id,
              amount,
              note,
              reference,
              at: clock.now(),
            });
            return {
              json: {
                account: patron.name,
                id: String(id),
                amountMicro: String(sign * amount),
                currency: database.settings.currency,
                booked,
              },
              text: booked
                ? `${patron.name} ${words} ${money(amount, database)}`
                : `${patron.name}: this reference was booked before, nothing changed`,
            };
          }),
      );
  }
}
