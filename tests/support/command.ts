/** The program as a script calls it. */

import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** What came of a command. */
export interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs commands with these settings. */
export function commands(settings: Readonly<Record<string, string>>) {
  const { TEST_DATABASE_URL: _, ...inherited } = process.env;
  const env = { ...inherited, DATA_DIR: join(tmpdir(), "fl-no-such-folder"), ...settings };
  return async (args: readonly string[], input = ""): Promise<Outcome> => {
    const child = spawn(process.execPath, [join(root, "bin/fediflattr.js"), ...args], {
      cwd: root,
      env,
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (text: Buffer) => (out += text.toString()));
    child.stderr.on("data", (text: Buffer) => (err += text.toString()));
    child.stdin.on("error", () => {}).end(input);
    const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { status, out, err };
  };
}
