/** A small reader and critic of Containerfiles, so that mistakes show without a container engine. */

import { posix } from "node:path";

export interface Instruction {
  readonly name: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly rest: string;
}

export interface Stage {
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

/** What the critic has to know of the folder that is built from. */
export interface Context {
  /** Whether this path exists in the checkout. */
  exists(path: string): boolean;
  /** The lines of the ignore file, which decide what the build is handed. */
  readonly ignore: readonly string[];
}

const KNOWN = new Set(
  "ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL RUN SHELL STOPSIGNAL USER VOLUME WORKDIR".split(
    " ",
  ),
);

/** An image tag that names one release: three numbers. */
const PINNED_TAG = /:v?\d+\.\d+\.\d+(?:-[\w.-]+)?$/;

const SECRET = /PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|KEY|DATABASE_URL/i;

/** The instructions, with continued lines joined and comments left out. */
export function parseContainerfile(text: string): Instruction[] {
  const lines = text
    .split("\n")
    .filter((line) => !/^\s*#/.test(line))
    .join("\n")
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n");
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => {
      const [, name = "", flags = "", rest = ""] =
        /^(\S+)\s*((?:--[a-z-]+(?:=\S*)?\s+)*)(.*)$/.exec(line) ?? [];
      const pairs = [...flags.matchAll(/--([a-z-]+)(?:=(\S*))?/g)];
      return {
        name: name.toUpperCase(),
        flags: Object.fromEntries(pairs.map(([, key = "", value = ""]) => [key, value])),
        rest: rest.trim(),
      };
    });
}

/** What is wrong with a Containerfile, one sentence each; empty when nothing is. */
export function criticise(text: string, context: Context): string[] {
  const instructions = parseContainerfile(text);
  const stages = splitStages(instructions);
  const final = stages.at(-1);
  if (final === undefined) return ["there is no FROM"];
  return [
    ...instructions.flatMap(criticiseInstruction),
    ...stages.flatMap((stage, index) => criticiseStage(stage, stages.slice(0, index), context)),
    ...criticiseFinal(final),
  ];
}

/** The stages, each beginning with its FROM. A stage without a name is known by its number. */
export function splitStages(instructions: readonly Instruction[]): Stage[] {
  const starts = instructions.flatMap(({ name }, index) => (name === "FROM" ? [index] : []));
  return starts.map((start, index) => {
    const own = instructions.slice(start, starts[index + 1]);
    return {
      name: / AS (\S+)$/i.exec(own[0]?.rest ?? "")?.[1] ?? String(index),
      instructions: own,
    };
  });
}

/** The names that ENV and ARG set. */
export function variablesOf({ name, rest }: Instruction): string[] {
  if (name === "ARG") return [rest.split("=")[0] ?? ""];
  if (name !== "ENV") return [];
  const pairs = [...rest.matchAll(/(?:^|\s)([A-Za-z_]\w*)=/g)].map(([, key = ""]) => key);
  return pairs.length > 0 ? pairs : [rest.split(/\s/)[0] ?? ""];
}

function criticiseInstruction(instruction: Instruction): string[] {
  const { name, rest } = instruction;
  const faults: string[] = [];
  if (name === "ADD") faults.push(`ADD ${rest}: use COPY, which neither downloads nor unpacks`);
  else if (!KNOWN.has(name)) faults.push(`${name} is no instruction`);
  if (/<<-?['"]?[A-Z]/.test(rest)) faults.push(`${name}: text blocks are not understood here`);
  for (const variable of variablesOf(instruction)) {
    if (SECRET.test(variable) && !variable.endsWith("_FILE")) {
      faults.push(`${name} ${variable}: a secret would stay in the image`);
    }
  }
  if (["CMD", "ENTRYPOINT"].includes(name) && words(rest) === undefined) {
    faults.push(`${name} ${rest}: write it as a JSON list, so that no shell keeps the signals`);
  }
  return faults;
}

function criticiseStage(stage: Stage, earlier: readonly Stage[], context: Context): string[] {
  return stage.instructions.flatMap((instruction, index) => {
    if (instruction.name === "FROM") return criticiseBase(instruction, earlier);
    if (instruction.name !== "COPY") return [];
    const from = instruction.flags["from"];
    if (from === undefined) return criticiseContextCopy(instruction, context);
    const source = earlier.find(({ name }, number) => name === from || String(number) === from);
    if (source === undefined) return [`COPY --from=${from}: no earlier stage has that name`];
    return sourcesOf(instruction)
      .filter((path) => !makes(source, path))
      .map(
        (path) =>
          `COPY --from=${from} ${path}: instruction ${index} takes what that stage does not make`,
      );
  });
}

function criticiseBase({ rest }: Instruction, earlier: readonly Stage[]): string[] {
  const image = rest.split(/\s/)[0] ?? "";
  const pinned =
    earlier.some(({ name }) => name === image) ||
    /@sha256:[0-9a-f]{64}$/.test(image) ||
    PINNED_TAG.test(image);
  return pinned ? [] : [`FROM ${image}: pin it to one release (three numbers) or to a digest`];
}

function criticiseContextCopy(instruction: Instruction, context: Context): string[] {
  return sourcesOf(instruction).flatMap((path) => {
    if (path.startsWith("/") || posix.normalize(path).startsWith("..")) {
      return [`COPY ${path}: it lies outside of the checkout`];
    }
    if (!context.exists(path)) return [`COPY ${path}: the checkout has no such file`];
    if (isIgnored(path, context.ignore)) return [`COPY ${path}: the ignore file leaves it out`];
    return [];
  });
}

function criticiseFinal({ instructions }: Stage): string[] {
  const last = (name: string) => instructions.findLast((known) => known.name === name)?.rest;
  const user = last("USER");
  const health = last("HEALTHCHECK");
  const faults: string[] = [];
  if (user === undefined) faults.push("the last stage sets no USER, so it runs as root");
  else if (/^(?:root|0+)(?::|$)/.test(user))
    faults.push(`USER ${user}: the last stage runs as root`);
  if (health === undefined || health === "NONE") faults.push("the last stage has no HEALTHCHECK");
  else if (words(health.replace(/^.*?CMD\s+/, "")) === undefined) {
    faults.push("HEALTHCHECK: its CMD is no JSON list");
  }
  if (last("STOPSIGNAL") !== "SIGTERM")
    faults.push("the last stage does not say STOPSIGNAL SIGTERM");
  if (last("CMD") === undefined && last("ENTRYPOINT") === undefined) {
    faults.push("the last stage starts nothing");
  }
  return faults;
}

/** Whether a stage makes this path: it copied it there, or it ran something in the folder around it. */
function makes({ instructions }: Stage, path: string): boolean {
  let folder = "/";
  const made = new Set<string>();
  const folders = new Set<string>();
  for (const instruction of instructions) {
    if (instruction.name === "WORKDIR") folder = posix.resolve(folder, instruction.rest);
    if (instruction.name === "RUN") folders.add(folder);
    if (instruction.name !== "COPY") continue;
    const target = posix.resolve(folder, targetOf(instruction));
    made.add(target);
    for (const source of sourcesOf(instruction))
      made.add(posix.join(target, posix.basename(source)));
  }
  return made.has(path) || folders.has(posix.dirname(path));
}

/** What decides is the last line that matches the path or a folder above it. */
function isIgnored(path: string, lines: readonly string[]): boolean {
  const parts = posix.normalize(path).split("/");
  const paths = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  let ignored = false;
  for (const line of lines.map((text) => text.trim())) {
    if (line === "" || line.startsWith("#")) continue;
    const pattern = line.replace(/^!/, "");
    if (pattern === "*" || paths.includes(pattern)) ignored = !line.startsWith("!");
  }
  return ignored;
}

function argumentsOf({ rest }: Instruction): string[] {
  return words(rest) ?? rest.split(/\s+/);
}

function sourcesOf(instruction: Instruction): string[] {
  return argumentsOf(instruction).slice(0, -1);
}

function targetOf(instruction: Instruction): string {
  return argumentsOf(instruction).at(-1) ?? "";
}

/** The words of a JSON list; undefined when it is none. */
function words(text: string): string[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    if (!Array.isArray(list) || list.length === 0) return undefined;
    return list.every((word) => typeof word === "string") ? list : undefined;
  } catch {
    return undefined;
  }
}
