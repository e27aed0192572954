/** How the database worked: the plan of each statement as it was really done, also of those that triggers and functions did. */

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
  readonly ms: number;
  /** Rows that all its steps looked at. */
  readonly rows: number;
  /** Pages that it looked at, each as often as it did. */
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
  plansOf(work: () => Promise<unknown>): Promise<readonly Plan[]>;
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

/** Opens the clients that an instance opens, with the same settings, and hears what the server says. */
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
    async plansOf(work) {
      heard = [];
      await work();
      return heard;
    },
  };
}

/** What the client asks for itself when it connects. */
const OWN = /\bpg_catalog\b|\bpg_type\b/;

function planOf({ message }: postgres.Notice): Plan | undefined {
  const [, ms, json] = /^duration: ([\d.]+) ms {2}plan:\n(\{.*)$/s.exec(message ?? "") ?? [];
  if (json === undefined) return undefined;
  const { "Query Text": query, Plan: root } = JSON.parse(json) as {
    readonly "Query Text": string;
    readonly Plan: Step;
  };
  if (OWN.test(query)) return undefined;
  const steps = stepsOf(root);
  return {
    ms: Number(ms),
    query: query.replaceAll(/\s+/g, " ").trim(),
    rows: steps.reduce((all, step) => all + rowsOf(step), 0),
    pages: (root["Shared Hit Blocks"] ?? 0) + (root["Shared Read Blocks"] ?? 0),
    scanned: [...new Set(steps.flatMap((step) => (isScan(step) ? [step["Relation Name"]!] : [])))],
    text: lines(root, 0).join("\n"),
  };
}

function stepsOf(step: Step): readonly Step[] {
  return [step, ...(step.Plans ?? []).flatMap(stepsOf)];
}

const isScan = (step: Step) =>
  step["Node Type"] === "Seq Scan" && step["Relation Name"] !== undefined;

/** Rows are told as the mean of all loops. */
function rowsOf(step: Step): number {
  const each =
    step["Actual Rows"] +
    (step["Rows Removed by Filter"] ?? 0) +
    (step["Rows Removed by Index Recheck"] ?? 0) +
    (step["Rows Removed by Join Filter"] ?? 0);
  return each * step["Actual Loops"];
}

function lines(step: Step, depth: number): readonly string[] {
  const cond = step["Index Cond"] === undefined ? "" : ` on ${step["Index Cond"]}`;
  const filter = step.Filter === undefined ? "" : ` if ${step.Filter}`;
  const pages = (step["Shared Hit Blocks"] ?? 0) + (step["Shared Read Blocks"] ?? 0);
  const where = [step["Relation Name"], step["Index Name"]].filter(Boolean).join(" by ");
  const said = `${step["Node Type"]} ${where}${cond}${filter}`.slice(0, 300);
  const line = `${"  ".repeat(depth)}${said} (${rowsOf(step)} rows, ${step["Actual Loops"]} times, ${pages} pages)`;
  return [line, ...(step.Plans ?? []).flatMap((inner) => lines(inner, depth + 1))];
}
