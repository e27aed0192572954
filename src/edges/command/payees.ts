/** `decline`, `alias`, `block`: who is paid. */

import type { Command } from "commander";
import { accountNamed } from "../../features/account/find.ts";
import { addAlias } from "../../features/claim/alias.ts";
import {
  acceptPayments,
  blockPayments,
  type BlockTarget,
  declinePayments,
  unblockPayments,
} from "../../features/claim/standing.ts";
import { requirePayee } from "../../features/thing/find.ts";
import type { House, Run } from "./terminal.ts";

/** Adds these commands to the program. */
export function payeeCommands(program: Command, run: Run): void {
  program
    .command("decline")
    .argument("<payee>", "an address or a handle")
    .option("--undo", "the creator wants money again")
    .description("a creator wants no money: what waits goes back to its patrons")
    .action((text: string, { undo }: { undo?: true }) =>
      run(async ({ database, clock }) => {
        const payee = await requirePayee(database, text);
        await (undo ? acceptPayments : declinePayments)(database, { payee, at: clock.now() });
        return {
          json: { payee, declines: !undo },
          text: undo ? `${payee} accepts money` : `${payee} wants no money`,
        };
      }),
    );

  program
    .command("alias")
    .argument("<name>")
    .argument("<payee>", "an address or a handle")
    .description("an actor elsewhere is NAME's own: nobody pays himself")
    .action((name: string, text: string) =>
      run(async ({ database, clock }) => {
        const account = await accountNamed(database.drizzle, name);
        const payee = await requirePayee(database, text);
        await addAlias(database, { account: account.id, payee, at: clock.now() });
        return {
          json: { account: account.name, alias: payee },
          text: `${payee} is ${account.name}'s own`,
        };
      }),
    );

  program
    .command("block")
    .argument("<who>", "an actor's address or handle, or a host")
    .option("--undo", "pay them again")
    .description(
      "pay an actor, or everybody of a host, no more: what waits goes back to the patrons",
    )
    .action((text: string, { undo }: { undo?: true }) =>
      run(async (house) => {
        const target = await blockTarget(house, text);
        await (undo ? unblockPayments : blockPayments)(house.database, {
          ...target,
          at: house.clock.now(),
        });
        return {
          json: { ...target, blocked: !undo },
          text: `${target.target} is ${undo ? "paid again" : "not paid any more"}`,
        };
      }),
    );
}

/** A word with a dot or a port, and neither a scheme nor an @, is a host. */
async function blockTarget({ database }: House, text: string): Promise<BlockTarget> {
  if (
    !text.includes("@") &&
    !text.includes("/") &&
    /[.:]/.test(text) &&
    URL.canParse(`https://${text}`)
  ) {
    return { kind: "host", target: new URL(`https://${text}`).host };
  }
  return { kind: "payee", target: await requirePayee(database, text) };
}
