/** The command line. */

import { configure, getStreamSink } from "@logtape/logtape";
import { join } from "node:path";
import { AsyncLocalStorage } from "node:async_hooks";
import { Writable } from "node:stream";
import { Command, CommanderError } from "commander";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { accountCommands } from "./edges/command/accounts.ts";
import { announcementCommands } from "./edges/command/announcements.ts";
import { type DemoParts, demoCommand } from "./edges/command/demo.ts";
import { flattrCommands } from "./edges/command/flattrs.ts";
import { socialCommands } from "./edges/command/social.ts";
import { moneyCommands } from "./edges/command/money.ts";
import { monthCommands } from "./edges/command/months.ts";
import { payeeCommands } from "./edges/command/payees.ts";
import { peerCommands } from "./edges/command/peers.ts";
import { reportCommands } from "./edges/command/reports.ts";
import { sentenceOf } from "./edges/command/sentences.ts";
import { type Answer, type Run, wholeNumber } from "./edges/command/terminal.ts";
import type { Instance } from "./instance.ts";
import { formatAmount } from "./rules/amount.ts";
import { logFormatter, messageOf } from "./store/log.ts";
import { Refusal } from "./store/refusal.ts";
import { surviveVanishedDatabase } from "./store/survive.ts";
import { machineClock } from "./store/time.ts";

/** Something was refused or failed. */
const EXIT_FAILED = 1;

/** The command or a setting was wrong. */
const EXIT_USAGE = 2;

/** What a command says in its log, if nobody wants more: its answer says the rest. */
const QUIET = "warning";

/** Runs one command and ends the process with its status. */
export async function main(args: readonly string[]): Promise<void> {
  surviveVanishedDatabase();
  const program = new Command("fediflattr")
    .description("Flattr for the fediverse")
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .option("--json", "print one JSON object per line");
  const isJson = () => args.includes("--json");
  const run: Run = async (work) => {
    const config = await start({ LOG_LEVEL: process.env["LOG_LEVEL"] || QUIET });
    const instance = await openInstance(config);
    try {
      const answer = await work(instance);
      print(answer, isJson());
      if (answer.failed) process.exitCode = EXIT_FAILED;
    } finally {
      await instance.close();
    }
  };
  program
    .command("serve")
    .option("--role <role>", "all, web (answers) or work (does jobs)", "all")
    .option("--port <n>", "instead of PORT", wholeNumber)
    .description("run the instance")
    .action((options: { role: string; port?: number }) => serve(options, isJson()));
  program
    .command("migrate")
    .description("bring the database up to date")
    .action(() =>
      run(async ({ database }) => ({
        json: { migrated: true, origin: database.settings.origin },
        text: "The database is up to date.",
      })),
    );
  accountCommands(program, run);
  socialCommands(program, run);
  moneyCommands(program, run);
  flattrCommands(program, run);
  payeeCommands(program, run);
  peerCommands(program, run);
  monthCommands(program, run);
  announcementCommands(program, run);
  reportCommands(program, run);
  demoCommand(program, (play) => demonstrate(play, isJson()));
  everyCommand(program, (command) =>
    command
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .option("--json", "print one JSON object per line"),
  );

  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    report(error, isJson());
  }
}

async function serve(
  { role, port }: { role: string; port?: number },
  isJson: boolean,
): Promise<void> {
  if (role !== "all" && role !== "web" && role !== "work")
    throw new ConfigError(`--role is "${role}", but it is all, web or work`);
  const config = await start(port === undefined ? {} : { PORT: String(port) });
  const ending = endOnSignal();
  const instance = await openInstance(config);
  try {
    const listening = role === "work" ? undefined : await instance.serve();
    if (role !== "web") await instance.work();
    const { origin } = instance.database.settings;
    const next = "npm run -s fediflattr -- account create NAME --email ADDRESS --admin";
    const where =
      listening === undefined
        ? "Fediflattr does its jobs"
        : `Fediflattr answers on ${listening.address}${listening.address === origin ? "" : ` for ${origin}`}`;
    print(
      {
        json: {
          address: listening?.address ?? null,
          origin,
          role,
          next,
        },
        text: `${where} - next: ${next}`,
      },
      isJson,
    );
    await ending;
  } finally {
    await instance.close();
  }
  process.exit();
}

/** Runs the demonstration; ctrl-C and a reader who goes away end it in order, with all that it started. */
async function demonstrate(
  play: (parts: DemoParts) => Promise<boolean>,
  isJson: boolean,
): Promise<void> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new Error("the demonstration was interrupted"));
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, interrupt);
  process.stdout.on("error", interrupt);
  const isFine = await play({
    file: join(import.meta.dirname, "../bin/fediflattr.js"),
    environment: process.env,
    interrupted: interruption.signal,
    clock: machineClock(),
    write: (line) => void process.stdout.write(`${line}\n`),
    remark: (line) => void process.stderr.write(`${line}\n`),
    isJson,
  });
  if (!isFine) process.exitCode = EXIT_FAILED;
}

/** Loaded by the commands that open an instance: help and mistakes are answered without it. */
async function openInstance(config: Config): Promise<Instance> {
  const opened = await import("./instance.ts");
  return opened.openInstance(config);
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
async function endOnSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    let signals = 0;
    const end = () => {
      signals += 1;
      if (signals > 1) process.exit(EXIT_FAILED);
      resolve();
    };
    process.on("SIGTERM", end);
    process.on("SIGINT", end);
  });
}

/** Reads the settings and opens the log, which goes to standard error. */
async function start(changes: Readonly<Record<string, string>> = {}): Promise<Config> {
  const config = readConfig({ ...process.env, ...changes });
  await configure({
    // Fedify adds to the log what it works on; without a place for that each request would warn.
    contextLocalStorage: new AsyncLocalStorage(),
    sinks: {
      log: getStreamSink(Writable.toWeb(process.stderr), { formatter: logFormatter() }),
    },
    loggers: [
      { category: "fediflattr", sinks: ["log"], lowestLevel: config.logLevel },
      { category: ["logtape", "meta"], sinks: ["log"], lowestLevel: "warning" },
    ],
  });
  return config;
}

function everyCommand(command: Command, change: (command: Command) => void): void {
  for (const child of command.commands) {
    change(child);
    everyCommand(child, change);
  }
}

function print({ json, text }: Answer, isJson: boolean): void {
  const lines = isJson ? [json].flat().map((line) => JSON.stringify(line)) : [text];
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** Says what went wrong: a code, a sentence, a status. */
function report(error: unknown, isJson: boolean): void {
  // Help was asked for, and printed.
  if (error instanceof CommanderError && error.exitCode === 0) return;
  const { code, sentence, status } = describe(error);
  if (isJson)
    process.stdout.write(`${JSON.stringify({ error: code, error_description: sentence })}\n`);
  else process.stderr.write(`${code}: ${sentence}\n`);
  process.exitCode = status;
}

function describe(error: unknown): { code: string; sentence: string; status: number } {
  if (error instanceof CommanderError) {
    const isSilent = error.code === "commander.help";
    const sentence = isSilent
      ? "Say which command; --help lists them."
      : error.message.replace(/^error: /, "");
    return { code: "command_invalid", sentence, status: EXIT_USAGE };
  }
  if (error instanceof ConfigError)
    return { code: "setting_invalid", sentence: error.message, status: EXIT_USAGE };
  if (error instanceof Refusal) {
    const { currency, minimumBudget } = readConfig(process.env);
    const limits = {
      currency,
      minimumBudget: `${formatAmount(minimumBudget, currency)} ${currency}`,
    };
    return {
      code: error.reason,
      sentence: sentenceOf(error.reason, error.facts, limits),
      status: EXIT_FAILED,
    };
  }
  return { code: "failed", sentence: messageOf(error), status: EXIT_FAILED };
}
