/** `announce`: what the operator says to everybody. */

import { type Command, InvalidArgumentError, Option } from "commander";
import {
  announce,
  type Announcement,
  announcements,
  endAnnouncement,
} from "../../features/notice/announcement.ts";
import { Refusal } from "../../store/refusal.ts";
import { Temporal } from "../../store/time.ts";
import { idArgument, type Run } from "./terminal.ts";

interface AnnounceOptions {
  readonly until?: Temporal.Instant;
  readonly list?: true;
  readonly end?: bigint;
}

/** Adds this command to the program. */
export function announcementCommands(program: Command, run: Run): void {
  program
    .command("announce")
    .argument("[text]", "what everybody is told")
    .addOption(
      new Option(
        "--until <time>",
        "when it is old: a day, such as 2026-12-24, or a time with its zone",
      )
        .argParser(timeArgument)
        .conflicts(["list", "end"]),
    )
    .addOption(new Option("--list", "what is said now").conflicts("end"))
    .addOption(new Option("--end <id>", "end an announcement").argParser(idArgument))
    .description("say something to everybody of this instance, in their clients")
    .action((text: string | undefined, { until, list, end }: AnnounceOptions) =>
      run(async ({ database, clock }) => {
        const at = clock.now();
        if ((list === true || end !== undefined) && text !== undefined)
          throw new Refusal("announcement_invalid", {
            rule: "a text is not said together with --list or --end",
          });
        if (list) {
          const said = await announcements(database, at);
          return {
            json: said.map(announcementLine),
            text:
              said.length === 0 ? "Nothing is announced." : said.map(announcementText).join("\n"),
          };
        }
        if (end !== undefined) {
          const ended = await endAnnouncement(database, { id: end, at });
          return { json: announcementLine(ended), text: `${ended.id} is over` };
        }
        const made = await announce(database, { text: text ?? "", until, at });
        return { json: announcementLine(made), text: announcementText(made) };
      }),
    );
}

function announcementLine({ id, text, at, until }: Announcement): object {
  return { id: String(id), text, at: at.toString(), until: until?.toString() ?? null };
}

function announcementText({ id, text, until }: Announcement): string {
  return `${id}${until === null ? "" : ` until ${until.toString()}`}: ${text}`;
}

/** A day means its end. */
function timeArgument(text: string): Temporal.Instant {
  try {
    return /^\d{4}-\d{2}-\d{2}$/.test(text)
      ? Temporal.PlainDate.from(text).add({ days: 1 }).toZonedDateTime("UTC").toInstant()
      : Temporal.Instant.from(text);
  } catch {
    throw new InvalidArgumentError("It must be a day, or a time such as 2026-12-24T18:00:00Z.");
  }
}
