/** How the database worked: the plan of each statement as it was really done, also of those inside triggers and functions. */

import type postgres from "postgres";
import { type Database, openClients } from "../../src/store/database.ts";
import { databaseUrl, withServer } from "./server.ts";

/** One step of a plan, as PostgreSQL tells it. */
interface Step {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Index Cond"?: string;
  readonly Filter?: string;
  /** Rows are told as the mean of all loops. */
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly "Rows Removed by Join Filter"?: number;
  readonly "Shared Hit Blocks"?: number;
  readonly "Shared Read Blocks"?: number;
  readonly Plans?: readonly Step[];
}

/** A statement that was done. */
export interface Plan {
  readonly query: string;
  /** Rows that all its steps looked at. */
  readonly rows: number;
  /**
   * Pages that it looked at, each as often as it did: also what an index holds between two rows that are wanted. Not
   * those that it wrote to: where a row finds room, and what an index tidies up then, is another matter each time.
   */
  readonly pages: number;
  /** Tables that it read from one end to the other. */
  readonly scanned: readonly string[];
  /** For people. */
  readonly text: string;
}

/** A database whose plans are heard. */
export interface Observed {
  readonly database: Database;
  /** The plans of all that is done meanwhile. */
  readonly plansOf: (work: () => Promise<unknown>) => Promise<readonly Plan[]>;
}

/** Settings of the module that tells plans; it comes with every PostgreSQL. */
const SETTINGS = {
  session_preload_libraries: "auto_explain",
  "auto_explain.log_min_duration": "0",
  "auto_explain.log_analyze": "on",
  "auto_explain.log_buffers": "on",
  "auto_explain.log_timing": "off",
  "auto_explain.log_nested_statements": "on",
  "auto_explain.log_format": "json",
  "auto_explain.log_level": "notice",
};

/** Opens the clients that an instance opens, with their settings, on a database of its own, and hears what the server says. */
export async function observe(
  { url, settings }: { readonly url: string; readonly settings: Database["settings"] },
  whenOver: (end: () => Promise<void>) => void,
): Promise<Observed> {
  const name = new URL(url).pathname.slice(1);
  await withServer(databaseUrl(url, "postgres"), async (sql) => {
    for (const [setting, value] of Object.entries(SETTINGS))
      await sql.unsafe(`ALTER DATABASE ${name} SET ${setting} = '${value}'`);
  });
  let heard: Plan[] = [];
  const { end, ...clients } = openClients(url, 4, (notice) => {
    const plan = planOf(notice);
    if (plan !== undefined) heard.push(plan);
  });
  whenOver(end);
  return {
    database: { ...clients, settings },
    plansOf: async (work) => {
      heard = [];
      await work();
      return heard;
    },
  };
}

/** What clients ask for themselves when they connect. */
const OWN = /\bpg_catalog\b|\bpg_type\b/;

function planOf({ message }: postgres.Notice): Plan | undefined {
  const json = /^duration: [\d.]+ ms {2}plan:\n(\{.*)$/s.exec(message ?? "")?.[1];
  if (json === undefined) return undefined;
  const { "Query Text": query, Plan: root } = JSON.parse(json) as {
    readonly "Query Text": string;
    readonly Plan: Step;
  };
  if (OWN.test(query)) return undefined;
  const steps = stepsOf(root);
  return {
    query: query.replaceAll(/\s+/g, " ").trim(),
    rows: Math.round(sum(steps.map(rowsOf))),
    pages: pagesOf(root) - sum(steps.map(writtenBy)),
    scanned: [...new Set(steps.flatMap(scannedBy))],
    text: lines(root, 0).join("\n"),
  };
}

function stepsOf(step: Step): readonly Step[] {
  return [step, ...(step.Plans ?? []).flatMap(stepsOf)];
}

/** A scan of which a plan speaks, but that was never begun, reads nothing. */
function scannedBy(step: Step): readonly string[] {
  const table = step["Relation Name"];
  return step["Node Type"] === "Seq Scan" && table !== undefined && step["Actual Loops"] > 0
    ? [table]
    : [];
}

function rowsOf(step: Step): number {
  const each =
    step["Actual Rows"] +
    (step["Rows Removed by Filter"] ?? 0) +
    (step["Rows Removed by Index Recheck"] ?? 0) +
    (step["Rows Removed by Join Filter"] ?? 0);
  return each * step["Actual Loops"];
}

function pagesOf(step: Step): number {
  return (step["Shared Hit Blocks"] ?? 0) + (step["Shared Read Blocks"] ?? 0);
}

/** The pages of a step that writes without those of the steps that tell it what; a step's pages hold those of its own steps. */
function writtenBy(step: Step): number {
  if (step["Node Type"] !== "ModifyTable") return 0;
  return Math.max(0, pagesOf(step) - sum((step.Plans ?? []).map(pagesOf)));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

/** Conditions may be as long as the query. */
const LINE_CHARS_MAX = 240;

function lines(step: Step, depth: number): readonly string[] {
  const where = [step["Relation Name"], step["Index Name"]].filter(Boolean).join(" by ");
  const condition = step["Index Cond"] === undefined ? "" : ` where ${step["Index Cond"]}`;
  const filter = step.Filter === undefined ? "" : ` if ${step.Filter}`;
  const said = `${step["Node Type"]} ${where}${condition}${filter}`.slice(0, LINE_CHARS_MAX);
  const figures = `${Math.round(rowsOf(step))} rows, ${step["Actual Loops"]} times, ${pagesOf(step)} pages`;
  const line = `${"  ".repeat(depth)}${said} (${figures})`;
  return [line, ...(step.Plans ?? []).flatMap((inner) => lines(inner, depth + 1))];
}
