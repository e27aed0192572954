/** `settle`, `statement`, `check`. */

import type { Command } from "commander";
import { accountNamed } from "../../features/account/find.ts";
import { checkBooks } from "../../features/transfer/check.ts";
import { receiptOf } from "../../features/settlement/receipt.ts";
import { type MonthReport, monthReport } from "../../features/settlement/report.ts";
import { settle, settleDryRun } from "../../features/settlement/settle.ts";
import { turnMonths } from "../../features/settlement/turn.ts";
import { periodOf } from "../../rules/period.ts";
import type { Database } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import { money, periodArgument, type Answer, type House, type Run } from "./terminal.ts";

/** Adds these commands to the program. */
export function monthCommands(program: Command, run: Run): void {
  program
    .command("settle")
    .option("--period <month>", "YYYY-MM; the newest month that is over without it")
    .option(
      "--dry-run",
      "say what would happen, and change nothing; clicks of the new month wait while it runs",
    )
    .description("close a month that is over; safe to run twice")
    .action(({ period: text, dryRun }: { period?: string; dryRun?: true }) =>
      run(async ({ database, clock }) => {
        const wish = { period: periodArgument(text), at: clock.now() };
        const { spent, fee, own, peers, waiting, ...summary } = await (
          dryRun ? settleDryRun : settle
        )(database, wish);
        const parts = [
          `${money(own, database)} to creators here`,
          ...(peers === 0n ? [] : [`${money(peers, database)} to creators of other instances`]),
          `${money(waiting, database)} waiting for creators elsewhere`,
          `${money(fee, database)} fee`,
        ];
        const unfunded =
          summary.unfunded === 0
            ? ""
            : `; ${summary.unfunded} with an empty purse can still pay in`;
        return {
          json: {
            ...summary,
            currency: database.settings.currency,
            spentMicro: String(spent),
            feeMicro: String(fee),
            ownMicro: String(own),
            peersMicro: String(peers),
            waitingMicro: String(waiting),
            dryRun: dryRun === true,
          },
          text: `${summary.period} ${dryRun ? "would be" : "is"} ${summary.state}: ${summary.paying} of ${summary.patrons} patrons gave ${money(spent, database)} for ${summary.flattrs} flattrs: ${parts.join(", ")}${unfunded}`,
        };
      }),
    );

  program
    .command("statement")
    .argument("<name>")
    .option("--period <month>", "YYYY-MM; the running month without it")
    .option("--receipt", "print the signed receipt instead")
    .description("what NAME gave and received")
    .action((name: string, { period, receipt }: { period?: string; receipt?: true }) =>
      run(async (house) =>
        receipt ? receiptAnswer(house, name, period) : statementAnswer(house, name, period),
      ),
    );

  program
    .command("check")
    .description(
      "check the books, deriving everything once more from raw rows; exit status 1 if anything is off",
    )
    .action(() =>
      run(async ({ database }) => {
        const findings = await checkBooks(database);
        if (findings.length === 0)
          return { json: { ok: true, findings: 0 }, text: "The books are right." };
        const lines = findings.map(({ promise, detail }) => `- ${promise}: ${detail}`);
        return {
          json: [...findings, { ok: false, findings: findings.length }],
          text: `${findings.length} findings\n${lines.join("\n")}`,
          failed: true,
        };
      }),
    );
}

async function statementAnswer(
  { database, clock }: House,
  name: string,
  text: string | undefined,
): Promise<Answer> {
  const at = clock.now();
  await turnMonths(database, at);
  const account = await accountNamed(database.drizzle, name);
  const period = periodArgument(text) ?? periodOf(at);
  const report = await monthReport(database, account.id, period);
  if (report === undefined)
    throw new Refusal("period_invalid", { period, why: "this instance did not know it" });
  return {
    json: {
      account: account.name,
      period,
      state: report.state,
      settlement: report.settlement ?? null,
      currency: database.settings.currency,
      budgetMicro: String(report.budget),
      availableMicro: String(report.available),
      flattrs: report.flattrs,
      spentMicro: String(report.spent),
      feeMicro: String(report.fee),
      valueOfClickMicro: report.valueOfClick === undefined ? null : String(report.valueOfClick),
      gave: report.gave.map(({ thing, payee, amount, state }) => ({
        thing,
        payee,
        amountMicro: amount === undefined ? null : String(amount),
        state: state ?? null,
      })),
      received: report.received.map(({ thing, flattrs, amount }) => ({
        thing,
        flattrs,
        amountMicro: String(amount),
      })),
      receivedMicro: String(report.received.reduce((total, { amount }) => total + amount, 0n)),
      promised: report.promised.map(({ host, amount, released }) => ({
        host,
        amountMicro: String(amount),
        releasedMicro: String(released),
      })),
      balance: {
        budgetMicro: String(report.balance.budget),
        earningsMicro: String(report.balance.earnings),
        pendingMicro: String(report.balance.pending),
      },
    },
    text: statementText(account.name, report, database),
  };
}

function statementText(name: string, report: MonthReport, database: Database): string {
  const amount = (micro: bigint) => money(micro, database);
  const given = report.gave.map(
    ({ thing, payee, amount: part, state }) =>
      `  ${part === undefined ? "-" : amount(part)}  ${thing} to ${payee}${state === undefined ? "" : ` (${state})`}`,
  );
  const received = report.received.map(
    ({ thing, flattrs, amount: part }) => `  ${amount(part)}  ${thing} (${flattrs} flattrs)`,
  );
  const promised = report.promised.map(({ host, amount: all, released }) =>
    released === all
      ? `  ${amount(all)}  from ${host}, paid`
      : `  ${amount(all)}  from ${host}, of which ${amount(all - released)} is pending: owed by ${host}`,
  );
  return [
    `${name}, ${report.period} (${report.settlement ?? report.state})`,
    `Budget ${amount(report.budget)}, there ${amount(report.available)}, ${report.flattrs} flattrs count` +
      (report.valueOfClick === undefined
        ? `, spent ${amount(report.spent)} of which ${amount(report.fee)} fee`
        : `, a click is worth ${amount(report.valueOfClick)} now`),
    ...(given.length === 0 ? ["Gave nothing"] : ["Gave", ...given]),
    ...(received.length + promised.length === 0 ? ["Received nothing"] : ["Received", ...received]),
    ...promised,
    `Now there: ${amount(report.balance.budget)} to give, ${amount(report.balance.earnings)} earned` +
      (report.balance.pending === 0n ? "" : `, ${amount(report.balance.pending)} pending`),
  ].join("\n");
}

async function receiptAnswer(
  { database, signer, clock }: House,
  name: string,
  text: string | undefined,
): Promise<Answer> {
  const at = clock.now();
  await turnMonths(database, at);
  const account = await accountNamed(database.drizzle, name);
  const period = periodArgument(text) ?? periodOf(at);
  const receipts: { kind: string; jws: string }[] = [];
  for (const kind of ["patron", "creator"] as const) {
    const jws = await receiptOf(database, signer, { period, kind, account: account.id, at });
    if (jws !== undefined) receipts.push({ kind, jws });
  }
  if (receipts.length === 0) throw new Refusal("receipt_unknown", { period });
  return {
    json: receipts.map((receipt) => ({ account: account.name, period, ...receipt })),
    text: receipts.map(({ jws }) => jws).join("\n"),
  };
}
