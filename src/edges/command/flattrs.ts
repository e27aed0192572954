/** `flattr`, `unflattr`, `subscribe`, `unsubscribe`, `thing`. */

import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { accountNamed } from "../../features/account/find.ts";
import { giveFlattr } from "../../features/flattr/give.ts";
import { pauseSubscription, subscribe, unsubscribe } from "../../features/flattr/subscribe.ts";
import { takeBackFlattr } from "../../features/flattr/take-back.ts";
import { keepWordsOfThing } from "../../features/post/words.ts";
import { thingOfDocument } from "../../features/thing/document.ts";
import { type NewThing, rememberThing } from "../../features/thing/thing.ts";
import { canonicalAddress } from "../../rules/address.ts";
import type { Payee } from "../../rules/split.ts";
import { retrying } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { type House, type Run, wholeNumber } from "./terminal.ts";

/** Adds these commands to the program. */
export function flattrCommands(program: Command, run: Run): void {
  const which = async ({ database, clock, resolver }: House, name: string, text: string) => {
    const { id, name: account } = await accountNamed(database.drizzle, name);
    const thing = await resolver.thing(text);
    return { account, patron: id, thing, at: clock.now() };
  };

  program
    .command("flattr")
    .argument("<name>")
    .argument("<what>", "an address or a handle")
    .option("--private", "tell nobody")
    .option("--public", "tell, even if NAME's flattrs are private by choice")
    .description("flattr something as if NAME had clicked")
    .action((name: string, what: string, options: { private?: true; public?: true }) =>
      run(async (house) => {
        const { account, ...gift } = await which(house, name, what);
        const visibility = options.private ? true : options.public ? false : undefined;
        const { flattr, period, again } = await giveFlattr(house.database, {
          ...gift,
          source: "click",
          private: visibility,
        });
        await keepWordsOfThing(house.database, gift.thing);
        return {
          json: { account, thing: what, flattr: String(flattr), period, again },
          text: again
            ? `${account} had flattred this in ${period} already`
            : `${account} flattred ${what} in ${period}`,
        };
      }),
    );

  program
    .command("unflattr")
    .argument("<name>")
    .argument("<what>", "an address or a handle")
    .description("take a flattr of the running month back")
    .action((name: string, what: string) =>
      run(async (house) => {
        const { account, ...click } = await which(house, name, what);
        const flattr = await takeBackFlattr(house.database, click);
        return {
          json: { account, thing: what, flattr: String(flattr), taken: true },
          text: `${account} took it back`,
        };
      }),
    );

  program
    .command("subscribe")
    .argument("<name>")
    .argument("<what>", "an address or a handle")
    .option("--months <n>", "how many months; without it until it is ended", wholeNumber)
    .option("--pause", "make no flattrs until it is subscribed again")
    .description("flattr something at the opening of every month from the next one on")
    .action((name: string, what: string, { months, pause }: { months?: number; pause?: true }) =>
      run(async (house) => {
        const { account, ...wish } = await which(house, name, what);
        const made = pause
          ? await pauseSubscription(house.database, wish)
          : await subscribe(house.database, { ...wish, months: months ?? null });
        const length =
          made.monthsLeft === null ? "until it is ended" : `for ${made.monthsLeft} months`;
        return {
          json: {
            account,
            thing: what,
            subscription: String(made.id),
            monthsLeft: made.monthsLeft,
            paused: made.pausedAt !== null,
          },
          text: pause
            ? `${account}'s subscription rests`
            : `${account} flattrs ${what} every month, ${length}`,
        };
      }),
    );

  program
    .command("unsubscribe")
    .argument("<name>")
    .argument("<what>", "an address or a handle")
    .description("end a subscription; the flattr of the running month stays")
    .action((name: string, what: string) =>
      run(async (house) => {
        const { account, ...wish } = await which(house, name, what);
        const ended = await unsubscribe(house.database, wish);
        return {
          json: { account, thing: what, subscription: String(ended.id), ended: true },
          text: `${account} no longer subscribes to ${what}`,
        };
      }),
    );

  thingCommands(program, run);
}

function thingCommands(program: Command, run: Run): void {
  const thing = program.command("thing").description("what can be flattred");
  const remember = async ({ database, clock }: House, found: NewThing) => {
    const id = await retrying(() =>
      database.drizzle.transaction((tx) =>
        rememberThing(tx, database.settings, found, clock.now()),
      ),
    );
    const payees = found.payees.map(({ payee }) => payee);
    return {
      json: { thing: found.uri, id: String(id), kind: found.kind, payees },
      text: `${found.uri} (${found.kind}) pays ${payees.join(", ")}`,
    };
  };

  thing
    .command("learn")
    .argument("<file>", "an ActivityStreams document as JSON, or an answer recorded as {url, body}")
    .option("--from <address>", "where it came from; its own id without this")
    .description(
      "remember a post or an actor of another server, with the authors that its document names",
    )
    .action((file: string, { from }: { from?: string }) =>
      run(async (house) => {
        const { document, url } = await readDocument(file);
        const found = thingOfDocument(document, from ?? url);
        return remember(house, { ...found, addresses: [from ?? url, ...(found.addresses ?? [])] });
      }),
    );

  thing
    .command("add")
    .argument("<address>")
    .requiredOption(
      "--author <actor...>",
      "who is paid: the address of an actor, and a WEIGHT after a blank for unequal parts",
    )
    .description("remember a page, naming its authors by hand")
    .action((address: string, { author }: { author: string[] }) =>
      run((house) =>
        remember(house, {
          uri: canonicalAddress(address) ?? address,
          kind: "Page",
          payees: author.map(payeeArgument),
        }),
      ),
    );
}

/** A document, or an answer as it was recorded: `{url, body}`. */
async function readDocument(file: string): Promise<{ document: unknown; url: string }> {
  try {
    const read = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown> | null;
    const recorded = typeof read?.["body"] === "object" && typeof read["url"] === "string";
    return recorded
      ? { document: read["body"], url: String(read["url"]) }
      : { document: read, url: String(read?.["id"]) };
  } catch (cause) {
    throw new Refusal("document_invalid", {
      rule: `${file} must be a file with JSON (${cause instanceof Error ? cause.message : ""})`,
    });
  }
}

/** `ACTOR` or `ACTOR WEIGHT`: no address holds a blank. */
function payeeArgument(text: string): Payee {
  const [payee = "", weight = "1", ...more] = text.split(" ");
  if (more.length > 0 || !/^\d{1,9}$/.test(weight)) throw new Refusal("no_payee", { payee: text });
  return { payee, weight: Number(weight) };
}
