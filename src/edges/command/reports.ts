/** `report`: what people and other servers complain about. */

import type { Command } from "commander";
import { endReport, type OpenReport, openReports } from "../../features/report/open.ts";
import { idArgument, type Run } from "./terminal.ts";

/** Adds these commands to the program. */
export function reportCommands(program: Command, run: Run): void {
  const reports = program.command("report").description("what people complain about");

  reports
    .command("list")
    .description("complaints that wait, the oldest first")
    .action(() =>
      run(async ({ database }) => {
        const open = await openReports(database);
        return {
          json: open.map(({ id, at, ...one }) => ({
            id: String(id),
            at: at.toString(),
            ...one,
          })),
          text: open.length === 0 ? "Nothing waits." : open.map(reportText).join("\n"),
        };
      }),
    );

  reports
    .command("done")
    .argument("<id>", "as the list shows it", idArgument)
    .description("what was to be done is done")
    .action((id: bigint) =>
      run(async ({ database, clock }) => {
        await endReport(database, { id, at: clock.now() });
        return { json: { id: String(id), done: true }, text: `${id} is done` };
      }),
    );
}

/** Characters that a terminal would obey, and those that turn or hide what stands beside them. */
const OBEYED = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** What strangers wrote is shown without characters that a terminal would obey, each paragraph on one line. */
function reportText({
  id,
  at,
  reporter,
  target,
  posts,
  comment,
  category,
  isForwarded,
}: OpenReport) {
  const words = comment
    .split("\n")
    .map((line) => line.replaceAll(OBEYED, "").trim())
    .filter((line) => line !== "");
  return [
    `${id} ${at.toString({ smallestUnit: "second" })} ${category}: ${reporter ?? "somebody who is gone"} about ${target}${isForwarded ? ", whose server was told" : ""}`,
    ...posts.map((uri) => `  ${uri}`),
    ...words.map((line) => `  > ${line}`),
  ].join("\n");
}
