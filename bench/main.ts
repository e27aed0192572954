/** `npm run bench -- NAME [options]`: one JSON line per figure. */

import { parseArgs } from "node:util";
import { benchClick } from "./click.ts";
import { benchClients } from "./clients.ts";
import { benchDeliver } from "./deliver.ts";
import { benchInbox } from "./inbox.ts";
import type { Options } from "./options.ts";
import { benchSettle } from "./settle.ts";
import { benchStart } from "./start.ts";
import { benchTransfer } from "./transfer.ts";

const BENCHES: Readonly<Record<string, (options: Options) => Promise<void>>> = {
  settle: benchSettle,
  click: benchClick,
  clients: benchClients,
  start: benchStart,
  inbox: benchInbox,
  deliver: benchDeliver,
  transfer: benchTransfer,
};

const USAGE = `npm run bench -- ${Object.keys(BENCHES).join("|")} [--database URL] [--patrons 10000,100000] [--rounds 3] [--seconds 6] [--questions home,favourite] [--profile FOLDER]`;

// Ends here and now: work that was interrupted may still hold connections.
process.exit(await main(process.argv.slice(2)));

async function main(args: string[]): Promise<number> {
  let name: string | undefined;
  let options: Options;
  try {
    ({ name, options } = readArguments(args));
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const bench = Object.hasOwn(BENCHES, name ?? "") ? BENCHES[name!] : undefined;
  if (bench === undefined) {
    console.error(
      name === undefined
        ? `Say what to measure.\n${USAGE}`
        : `There is no bench called "${name}".\n${USAGE}`,
    );
    return 2;
  }
  try {
    await bench(options);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    return 1;
  }
}

function readArguments(args: string[]): { name: string | undefined; options: Options } {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      database: { type: "string" },
      patrons: { type: "string", default: "10000,100000" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "6" },
      questions: { type: "string" },
      profile: { type: "string" },
    },
  });
  if (positionals.length > 1) throw new Error(`"${positionals[1]}" is one word too many.`);
  return {
    name: positionals[0],
    options: {
      database: values.database,
      patrons: values.patrons.split(",").map((text) => positive("--patrons", text)),
      rounds: positive("--rounds", values.rounds),
      seconds: positive("--seconds", values.seconds),
      questions: values.questions?.split(","),
      profile: values.profile,
    },
  };
}

function positive(option: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new Error(`${option} takes whole numbers above zero, not "${text}".`);
  return Number(text);
}
