/** A lock between processes of one machine: a file that holds the pid of its owner. */

import { link, readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** How long a live owner is waited for: the first start of a database on a slow disk. */
const WAIT_MS_MAX = 60_000;

/**
 * Runs `work` while holding the lock. The lock of a process that is gone is taken over.
 *
 * @throws Error when a live process keeps it for longer than a minute
 */
export async function withLockFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  const mine = await identityOf(process.pid);
  const deadline = performance.now() + WAIT_MS_MAX;
  while (!(await tryLock(path, mine))) {
    const owner = await readFile(path, "utf8").catch(() => undefined);
    if (owner !== undefined && !(await isAlive(owner))) await takeOver(path, owner, mine);
    else if (performance.now() > deadline)
      throw new Error(`the process ${owner} holds ${path} for more than a minute`);
    else await sleep(50);
  }
  try {
    return await work();
  } finally {
    if ((await readFile(path, "utf8").catch(() => undefined)) === mine)
      await rm(path, { force: true });
  }
}

/** Writes the file aside and links it into place, so that a lock is never seen without its owner. */
async function tryLock(path: string, mine: string): Promise<boolean> {
  const draft = `${path}.${process.pid}.${(drafts += 1)}`;
  await writeFile(draft, mine, { mode: 0o600 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

let drafts = 0;

/**
 * Removes the lock of a dead process. One process at a time, and only if it is still that lock: between a look and a
 * removal somebody else could have taken it.
 */
async function takeOver(path: string, dead: string, mine: string): Promise<void> {
  const takeover = `${path}.takeover`;
  if (!(await tryLock(takeover, mine))) {
    const other = await readFile(takeover, "utf8").catch(() => undefined);
    if (other !== undefined && !(await isAlive(other))) await rm(takeover, { force: true });
    await sleep(50);
    return;
  }
  try {
    if ((await readFile(path, "utf8").catch(() => undefined)) === dead)
      await rm(path, { force: true });
  } finally {
    await rm(takeover, { force: true });
  }
}

/**
 * Pid and, where /proc tells it, the start time: a pid alone may be somebody else's by now. A process that has ended
 * and only waits for its parent to notice has no identity any more.
 */
async function identityOf(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? "" : `${pid} ${fields[19] ?? ""}`;
}

async function isAlive(owner: string): Promise<boolean> {
  const pid = Number(owner.split(" ")[0]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return (await identityOf(pid)) === owner;
}
