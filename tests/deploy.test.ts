/** What operators install: the service, the TLS front, the image, the scripts, and the pages that tell of them. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { readConfig } from "../src/config.ts";
import { criticise, parseContainerfile, splitStages } from "./support/containerfile.ts";
import { freePorts } from "./support/instances.ts";

const root = join(import.meta.dirname, "..");
const unit = read("deploy/fediflattr.service");

/** The highest exposure, in tenths, that the service may have; 0 is none, 100 is everything. */
const EXPOSURE_MAX = 20;

/** Variables in deploy/ and docs/host that are somebody else's, each with its reader. */
const OTHER_VARIABLES = new Map([
  ["FEDIFLATTR_BUNDLE", "bin/fediflattr.js"],
  ["NODE_ENV", "Node's libraries"],
  ["NODE_OPTIONS", "Node"],
  ["PATH", "the shell"],
  ["UPSTREAM", "deploy/Caddyfile"],
  ["POSTGRES_USER", "the image of PostgreSQL"],
  ["POSTGRES_DB", "the image of PostgreSQL"],
  ["POSTGRES_PASSWORD", "the image of PostgreSQL"],
  ["POSTGRES_INITDB_ARGS", "the image of PostgreSQL"],
]);

/** Words that look like variables and are none. */
const NO_VARIABLES = new Set(["AF_UNIX", "AF_INET", "AF_INET6", "NET_BIND_SERVICE"]);

describe("the service", () => {
  test("systemd reads it without a complaint, alone and with the key's extra file", (ctx) => {
    needs(ctx, "systemd-analyze", "systemd");
    expect(verify(unit)).toBe("");
    expect(verify(unit, read("deploy/master-key.conf"))).toBe("");
  });

  test("a misspelt line would be noticed", (ctx) => {
    needs(ctx, "systemd-analyze", "systemd");
    expect(verify(unit.replace("ProtectHome=", "ProtectHouse="))).toContain("ProtectHouse");
    expect(verify(unit, "[Service]\nLoadCredentials=a:b\n")).toContain("LoadCredentials");
  });

  test("it is exposed as little as is possible for a JavaScript server with a database", (ctx) => {
    needs(ctx, "systemd-analyze", "systemd");
    const { tenths, passed } = exposure(unit);
    expect(tenths).toBeLessThanOrEqual(EXPOSURE_MAX);
    expect(passed).toBe(true);
  });

  test("a service without the limits would be refused", (ctx) => {
    needs(ctx, "systemd-analyze", "systemd");
    const open = unit.replaceAll(/^(?:Protect|Private|System|Restrict|Capability).*\n/gm, "");
    const { tenths, passed } = exposure(open);
    expect(tenths).toBeGreaterThan(EXPOSURE_MAX);
    expect(passed).toBe(false);
  });

  test("it stops the server before the database, and lets JavaScript compile", () => {
    const values = settingsOf(unit);
    expect(values.get("KillMode")).toBe("mixed");
    expect(values.get("KillSignal")).toBe("SIGTERM");
    expect(values.get("TimeoutStopSec")).toBe("30");
    expect(values.get("Restart")).toBe("on-failure");
    // Commands of the same user hold locks whose owner must be visible.
    expect(values.has("PrivateUsers")).toBe(false);
    expect(values.has("MemoryDenyWriteExecute")).toBe(false);
  });

  test("the address of no private network can be reached, but loopback can", () => {
    const denied = [...unit.matchAll(/^IPAddressDeny=(.*)$/gm)].flatMap(([, list = ""]) =>
      list.split(" "),
    );
    for (const range of [
      "10.0.0.0/8",
      "172.16.0.0/12",
      "192.168.0.0/16",
      "169.254.0.0/16",
      "fc00::/7",
    ]) {
      expect(denied).toContain(range);
    }
    expect(settingsOf(unit).get("IPAddressAllow")).toBe("localhost");
  });

  test("the command for operators runs the same program on the same data", () => {
    const command = read("deploy/command.sh");
    const values = settingsOf(unit);
    const [node = "", program = ""] = (values.get("ExecStart") ?? "").split(" ");
    const folder = "/opt/fediflattr/";
    expect(command).toContain(`cd ${folder.slice(0, -1)}\n`);
    expect(command).toContain(`\t${node.replace(folder, "")} `);
    expect(command).toContain(` ${program.replace(folder, "")} "$@"`);
    expect(command).toContain(`runuser -u ${values.get("User")} --`);
    // Commands do not serve: how garbage is collected does not matter to them.
    const environment = [...unit.matchAll(/^Environment=(?!NODE_OPTIONS)(.*)$/gm)].map(
      ([, pair = ""]) => pair,
    );
    expect(command).toContain(`env ${environment.join(" ")} `);
    expect(command).toContain(`--env-file-if-exists=${values.get("EnvironmentFile")?.slice(1)} `);
    expect(existsSync(join(root, program.replace(folder, "")))).toBe(true);
  });
});

test("as a service, in a container and by npm start, Node collects garbage in the same small steps", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: { start: string } };
  const options = /^node (--\S+) bin\/fediflattr\.js serve$/.exec(scripts.start)?.[1];
  expect(options).toMatch(/^--max-semi-space-size=\d+$/);
  expect(unit).toContain(`\nEnvironment=NODE_OPTIONS=${options}\n`);
  expect(read("deploy/Containerfile")).toContain(`\nENV NODE_OPTIONS=${options}\n`);
});

describe("the backup", () => {
  test("the service pauses, everything is in one archive, and only its owner can read that", () => {
    const place = machine();
    const { status, calls, archives } = place.backUp();
    expect(status).toBe(0);
    expect(calls).toEqual(["is-active --quiet fediflattr", "stop fediflattr", "start fediflattr"]);
    expect(archives).toHaveLength(1);
    const archive = join(place.target, archives[0] ?? "");
    expect(statSync(archive).mode & 0o077).toBe(0);
    const listed = spawnSync("tar", ["-tzf", archive], { encoding: "utf8" }).stdout.split("\n");
    expect(listed).toContain("var/lib/fediflattr/master-key");
    expect(listed).toContain("var/lib/fediflattr/postgres/PG_VERSION");
    expect(listed).toContain("etc/fediflattr/environment");
  });

  test("a backup that fails is no archive, says so, and the service starts again", () => {
    const place = machine();
    rmSync(join(place.folder, "var/lib/fediflattr"), { recursive: true });
    const { status, calls, archives } = place.backUp();
    expect(status).not.toBe(0);
    expect(calls.at(-1)).toBe("start fediflattr");
    expect(archives.filter((name) => name.endsWith(".tar.gz"))).toEqual([]);
  });

  test("a service that does not run is not started", () => {
    const place = machine({ active: false });
    expect(place.backUp()).toMatchObject({ status: 0, calls: ["is-active --quiet fediflattr"] });
  });
});

describe("the TLS front", () => {
  test("Caddy accepts it, with one node and with two", (ctx) => {
    needs(ctx, "caddy", "caddy");
    const file = join(root, "deploy/Caddyfile");
    for (const upstream of [undefined, "10.0.0.2:3000 10.0.0.3:3000"]) {
      const env = { ...caddyFolders(), ...(upstream === undefined ? {} : { UPSTREAM: upstream }) };
      const { status, stderr } = spawnSync(
        "caddy",
        ["validate", "--adapter", "caddyfile", "--config", file],
        { encoding: "utf8", env },
      );
      expect(stderr).not.toContain("not formatted");
      expect(status === 0 ? "valid" : stderr).toBe("valid");
    }
    const two = adapt({
      UPSTREAM: "10.0.0.2:3000 10.0.0.3:3000",
      ORIGIN: "https://flattr.example",
    });
    expect(two).toContain('"dial":"10.0.0.3:3000"');
    expect(two).toContain('"host":["flattr.example"]');
    expect(adapt({})).toContain('"dial":"127.0.0.1:3000"');
  });

  test("it passes Host, says who asked, and believes no client about that", async (ctx) => {
    needs(ctx, "caddy", "caddy");
    const front = await startFront();
    const answer = await front.ask("/@anna", {
      host: "flattr.example",
      headers: { "x-forwarded-host": "evil.example", "x-forwarded-for": "192.0.2.7" },
    });
    expect(answer.status).toBe(200);
    const seen = JSON.parse(answer.text) as Record<string, string>;
    expect(seen["host"]).toBe("flattr.example");
    expect(seen["x-forwarded-host"]).toBe("flattr.example");
    expect(seen["x-forwarded-for"]).toBe("127.0.0.1");
    expect(seen["x-forwarded-proto"]).toBe("http");
  });

  test("what is for operators stays inside, and a giant body outside", async (ctx) => {
    needs(ctx, "caddy", "caddy");
    const front = await startFront();
    for (const path of ["/readyz", "/metrics", "/metrics/more"]) {
      expect({ path, status: (await front.ask(path)).status }).toEqual({ path, status: 404 });
    }
    expect((await front.ask("/inbox", { body: "x".repeat(256 * 1024) })).status).toBe(200);
    const taken = front.bodies.length;
    const giant = await front.ask("/inbox", { body: "x".repeat(20_100_000) });
    expect(giant.status).toBeGreaterThanOrEqual(400);
    expect(front.bodies.slice(taken)).toEqual([]);
  });

  test("a stream passes, and says who asked, whatever the client says", async (ctx) => {
    needs(ctx, "caddy", "caddy");
    const front = await startFront();
    const socket = new WebSocket(`ws://127.0.0.1:${front.port}/api/v1/streaming`, ["a-token"], {
      headers: { "x-forwarded-for": "192.0.2.7" },
    });
    const [said] = (await once(socket, "message")) as [Buffer];
    const closed = once(socket, "close");
    socket.close();
    await closed;
    expect(JSON.parse(said.toString())).toMatchObject({
      "x-forwarded-for": "127.0.0.1",
      "sec-websocket-protocol": "a-token",
    });
    expect(socket.protocol).toBe("a-token");
  });

  test("a request waits while the server restarts", async (ctx) => {
    needs(ctx, "caddy", "caddy");
    const front = await startFront();
    await front.stopServer();
    const [answer] = await Promise.all([front.ask("/@anna"), sleep(1000).then(front.startServer)]);
    expect(answer.status).toBe(200);
  });
});

describe("the image", () => {
  const text = read("deploy/Containerfile");
  const context = {
    exists: (path: string) => existsSync(join(root, path)),
    ignore: read("deploy/Containerfile.dockerignore").split("\n"),
  };

  test("the Containerfile has no fault that can be found without building it", () => {
    expect(criticise(text, context)).toEqual([]);
  });

  test("it runs the Node that the project pins", () => {
    const { optionalDependencies } = JSON.parse(read("package.json")) as {
      optionalDependencies: Record<string, string>;
    };
    const bases = parseContainerfile(text).filter(({ name }) => name === "FROM");
    expect(bases).toHaveLength(splitStages(parseContainerfile(text)).length);
    for (const { rest } of bases) expect(rest).toContain(`/node:${optionalDependencies["node"]}-`);
  });

  test.each([
    ["a floating base", [/node:[\d.]+-bookworm-slim AS build/, "node:24 AS build"], "FROM"],
    ["a base without a tag", [/node:[\d.]+-bookworm-slim AS build/, "node AS build"], "FROM"],
    ["a base that a variable decides", [/node:[\d.]+-\S+ AS build/, "node:$V AS build"], "FROM"],
    ["a file that is not there", ["COPY bin bin", "COPY cellar bin"], "COPY cellar"],
    ["a file from outside", ["COPY bin bin", "COPY ../bin bin"], "COPY ../bin"],
    ["a file that the ignore file hides", ["COPY bin bin", "COPY docs docs"], "COPY docs"],
    ["a stage that does not exist", ["--from=build ", "--from=bild "], "no earlier stage"],
    [
      "a product that no stage makes",
      ["/build/dist dist", "/elsewhere/dist dist"],
      "does not make",
    ],
    ["ADD", ["COPY bin bin", "ADD bin bin"], "ADD"],
    ["an unknown instruction", ["EXPOSE 3000", "EXPOZE 3000"], "EXPOZE"],
    ["no user", ["USER 10001:10001\n", ""], "USER"],
    ["root by name", ["USER 10001:10001", "USER root"], "root"],
    ["root by number", ["USER 10001:10001", "USER 0:0"], "root"],
    ["root again at the end", ["STOPSIGNAL", "USER root\nSTOPSIGNAL"], "root"],
    [
      "a secret in ENV",
      ["ENV NODE_ENV=production", "ENV MASTER_KEY=x NODE_ENV=production"],
      "secret",
    ],
    ["a secret in the old form of ENV", ["EXPOSE 3000", "ENV SMTP_PASSWORD x"], "secret"],
    ["a secret in ARG", ["EXPOSE 3000", "ARG API_TOKEN"], "secret"],
    ["a database's address", ["EXPOSE 3000", "ENV DATABASE_URL=postgres://a:b@c/d"], "secret"],
    ["no health check", [/HEALTHCHECK .*\\\n.*\n/, ""], "HEALTHCHECK"],
    [
      "a health check that is switched off",
      [/HEALTHCHECK .*\\\n.*\n/, "HEALTHCHECK NONE\n"],
      "HEALTHCHECK",
    ],
    ["a health check that is no list", ['CMD ["node", "-e"', 'CMD ["node" "-e"'], "HEALTHCHECK"],
    ["another signal", ["STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL"], "STOPSIGNAL"],
    ["a shell in front", ['CMD ["serve"]', "CMD serve"], "JSON list"],
  ] as const)("%s is refused", (_, [from, to], complaint) => {
    const broken = text.replace(from, to);
    expect(broken).not.toBe(text);
    const faults = criticise(broken, context);
    expect(faults).not.toEqual([]);
    expect(faults.join("\n")).toContain(complaint);
  });

  test("a file without any stage is refused", () => {
    expect(criticise("# nothing\n", context)).toEqual(["there is no FROM"]);
  });

  test("the services of compose.yaml are limited, and their files exist", () => {
    const services = servicesOf(read("deploy/compose.yaml"));
    expect([...services.keys()]).toEqual(["database", "fediflattr", "caddy"]);
    for (const [name, lines] of services) {
      expect(lines).toContain('security_opt: ["no-new-privileges:true"]');
      expect(lines).toContain("restart: unless-stopped");
      expect(lines).toMatch(
        name === "fediflattr" ? /dockerfile: deploy\/Containerfile/ : /image: \S+:\d/,
      );
    }
    for (const name of ["fediflattr", "caddy"]) {
      expect(services.get(name)).toContain("read_only: true");
      expect(services.get(name)).toContain("cap_drop: [ALL]");
    }
    expect(services.get("database")).toContain("healthcheck:");
    expect(services.get("fediflattr")).toContain("condition: service_healthy");
    expect(services.get("fediflattr")).toContain("stop_grace_period: 30s");
    // Only the front can be reached from outside.
    expect(
      [...services].flatMap(([name, lines]) => (lines.includes("ports:") ? [name] : [])),
    ).toEqual(["caddy"]);
  });
});

describe("the settings", () => {
  const source = read("src/config.ts");
  const known = settingNames(source);

  test("every variable in deploy/ and docs/host is a setting, or one of a few of others", () => {
    const files = [...filesIn("deploy"), ...filesIn("docs/host")];
    expect(files.length).toBeGreaterThan(7);
    const strange = files.flatMap((file) =>
      variablesIn(read(file))
        .filter((name) => !known.has(name) && !OTHER_VARIABLES.has(name) && !NO_VARIABLES.has(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(strange).toEqual([]);
  });

  test("a variable that nothing reads would be found", () => {
    const text =
      "`SMTP_HOST` {$SITE:localhost} ${DOMAIN:?} Environment=PORTS=1\n      ORIGINS: x\n";
    expect(variablesIn(text).sort()).toEqual(["DOMAIN", "ORIGINS", "PORTS", "SITE", "SMTP_HOST"]);
  });

  test("the list of others holds no setting, and nothing that is gone", () => {
    const used = new Set(
      [...filesIn("deploy"), ...filesIn("docs/host")].flatMap((file) => variablesIn(read(file))),
    );
    expect(
      [...OTHER_VARIABLES.keys()].filter((name) => known.has(name) || !used.has(name)),
    ).toEqual([]);
  });

  test("settings.md has each setting once, and no other", () => {
    const rows = documentedSettings(read("docs/host/settings.md"));
    expect(known.size).toBeGreaterThan(10);
    expect(rows.map(({ name }) => name).sort()).toEqual([...known].sort());
  });

  test("the defaults of settings.md are the real ones", () => {
    const unset = written(readConfig({}));
    const isRight = ({ name, value }: { name: string; value: string | undefined }) =>
      value === undefined
        ? new RegExp(
            `read\\(\\s*env,\\s*"${name}",\\s*(?:undefined|\\[\\])|env\\["${name}"\\]`,
          ).test(source)
        : written(readConfig({ [name]: value })) === unset;
    const rows = documentedSettings(read("docs/host/settings.md"));
    expect(rows.filter((row) => !isRight(row))).toEqual([]);
    expect(rows.filter(({ meaning }) => meaning.length < 20)).toEqual([]);
    expect(isRight({ name: "PORT", value: "3001" })).toBe(false);
    expect(isRight({ name: "PORT", value: undefined })).toBe(false);
  });
});

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder)).map((name) => `${folder}/${name}`);
}

/** A folder that is gone after the test. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "fediflattr-deploy-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Without the program the test is skipped on a developer's machine, and fails where it must not be left out. */
function needs(ctx: { skip(reason: string): void }, program: string, aptPackage: string): void {
  const found = (process.env["PATH"] ?? "")
    .split(":")
    .some((folder) => existsSync(join(folder, program)));
  if (found) return;
  const reason = `the program ${program} is missing: install the apt package ${aptPackage}`;
  if ((process.env["CI"] ?? "") !== "") throw new Error(reason);
  ctx.skip(reason);
}

/** A copy of the unit whose program exists here, with an extra file if there is one. */
function placeUnit(text: string, extra?: string): string {
  const folder = temporaryFolder();
  const file = join(folder, "fediflattr.service");
  writeFileSync(file, text.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`));
  if (extra !== undefined) {
    mkdirSync(`${file}.d`);
    writeFileSync(join(`${file}.d`, "extra.conf"), extra);
  }
  return file;
}

/** What systemd says about a unit; it ends with 0 even when it ignores lines, so its words count. */
function verify(text: string, extra?: string): string {
  const { stdout, stderr, status } = spawnSync(
    "systemd-analyze",
    ["verify", placeUnit(text, extra)],
    {
      encoding: "utf8",
    },
  );
  return `${stdout}${stderr}${status === 0 ? "" : `ended with ${status}`}`;
}

function exposure(text: string): { tenths: number; passed: boolean } {
  const { stdout, status } = spawnSync(
    "systemd-analyze",
    ["security", "--offline=true", "--no-pager", `--threshold=${EXPOSURE_MAX}`, placeUnit(text)],
    { encoding: "utf8" },
  );
  const level = /Overall exposure level for \S+: (\d+\.\d)/.exec(stdout)?.[1] ?? "";
  return { tenths: Math.round(Number.parseFloat(level) * 10), passed: status === 0 };
}

/** The lines of a unit; of a name that occurs again, the last. */
function settingsOf(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]),
  );
}

/** A folder that looks like an installed machine, and a `systemctl` that only writes down what it is told. */
function machine({ active = true } = {}) {
  const folder = temporaryFolder();
  const target = join(folder, "backups");
  const log = join(folder, "calls");
  for (const [path, text] of [
    ["var/lib/fediflattr/master-key", "key"],
    ["var/lib/fediflattr/postgres/PG_VERSION", "18"],
    ["etc/fediflattr/environment", "ORIGIN=https://flattr.example"],
    [
      "bin/systemctl",
      `#!/bin/sh\necho "$*" >> '${log}'\n[ "$1" != is-active ] || exit ${active ? 0 : 3}\n`,
    ],
  ] as const) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  chmodSync(join(folder, "bin/systemctl"), 0o755);
  return {
    folder,
    target,
    backUp() {
      const { status } = spawnSync("sh", [join(root, "deploy/backup.sh"), target, folder], {
        env: { PATH: `${join(folder, "bin")}:${process.env["PATH"]}` },
      });
      const calls = readFileSync(log, "utf8").trimEnd().split("\n");
      return { status, calls, archives: readdirSync(target) };
    },
  };
}

/** Caddy writes below these folders only. */
function caddyFolders(): Record<string, string> {
  const folder = temporaryFolder();
  return {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    XDG_DATA_HOME: folder,
    XDG_CONFIG_HOME: folder,
  };
}

/** The front's configuration as Caddy understands it. */
function adapt(env: Record<string, string>): string {
  const folder = temporaryFolder();
  cpSync(join(root, "deploy/Caddyfile"), join(folder, "Caddyfile"));
  const { stdout, stderr, status } = spawnSync(
    "caddy",
    ["adapt", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")],
    { encoding: "utf8", env: { ...caddyFolders(), ...env } },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** Caddy with our file, over plain HTTP, in front of a server that answers with the headers it was sent. */
async function startFront() {
  const bodies: string[] = [];
  const [port, upstreamPort] = (await freePorts(2)) as [number, number];
  let server: Server | undefined;
  const startServer = async () => {
    server = createServer((incoming, outgoing) => {
      let body = "";
      incoming.setEncoding("utf8").on("data", (part: string) => (body += part));
      incoming.on("end", () => {
        bodies.push(body);
        outgoing.end(JSON.stringify(incoming.headers));
      });
    });
    new WebSocketServer({ server }).on("connection", (socket, { headers }) =>
      socket.send(JSON.stringify(headers)),
    );
    await new Promise<void>((done) => server?.listen(upstreamPort, "127.0.0.1", done));
  };
  const stopServer = async () => {
    server?.closeAllConnections();
    await new Promise((done) => server?.close(done));
  };

  await startServer();
  const origin = `http://:${port}`;
  const config = JSON.parse(
    adapt({ ORIGIN: origin, UPSTREAM: `127.0.0.1:${upstreamPort}` }),
  ) as object;
  const env = caddyFolders();
  const caddy = spawn("caddy", ["run", "--config", "-"], {
    stdio: ["pipe", "ignore", "ignore"],
    env,
  });
  const ended = new Promise((done) => caddy.once("exit", done));
  onTestFinished(async () => {
    caddy.kill();
    await Promise.all([ended, stopServer()]);
  });
  caddy.stdin.end(JSON.stringify({ ...config, admin: { disabled: true } }));

  const ask = (path: string, options: Question = {}) => put(port, path, options);
  for (let tries = 0; ; tries += 1) {
    const up = await ask("/").then(
      () => true,
      () => false,
    );
    if (up) break;
    if (tries > 100) throw new Error("Caddy does not answer");
    await sleep(50);
  }
  return { ask, bodies, port, startServer, stopServer };
}

interface Question {
  readonly host?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

async function put(port: number, path: string, { host, headers, body }: Question) {
  return new Promise<{ status: number; text: string }>((done, failed) => {
    const method = body === undefined ? "GET" : "POST";
    const all = { ...headers, ...(host === undefined ? {} : { host }), connection: "close" };
    const outgoing = request(
      { host: "127.0.0.1", port, path, method, headers: all },
      (answer: IncomingMessage) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => (text += part));
        answer.on("end", () => done({ status: answer.statusCode ?? 0, text }));
      },
    );
    outgoing.on("error", failed);
    outgoing.end(body);
  });
}

/** The text of each service in a compose file. */
function servicesOf(text: string): Map<string, string> {
  const block = /^services:\n((?:(?: .*)?\n)*)/m.exec(text)?.[1] ?? "";
  const parts = block.split(/^ {2}(?=\w+:$)/m).filter((part) => part.trim() !== "");
  return new Map(parts.map((part) => [part.slice(0, part.indexOf(":")), part]));
}

/** The names of all settings that the program reads. */
function settingNames(source: string): Set<string> {
  return new Set(
    [...source.matchAll(/read\(\s*env,\s*"([A-Z_]+)"|env\["([A-Z_]+)"\]/g)].map(
      ([, a, b]) => a ?? b ?? "",
    ),
  );
}

/** The environment variables that a text names, in any of the forms that our files have. */
function variablesIn(text: string): string[] {
  const forms = [
    /\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b/g,
    /(?<![A-Za-z0-9_-])([A-Z][A-Z0-9]+)=/g,
    /\{\$([A-Z]\w*)/g,
    /\$\{([A-Z]\w*)/g,
    /^ {6}([A-Z][A-Z0-9_]+): /gm,
  ];
  return [
    ...new Set(forms.flatMap((form) => [...text.matchAll(form)].map(([, name = ""]) => name))),
  ];
}

/** The rows of the table: name, default (undefined: not set), meaning. */
function documentedSettings(
  text: string,
): { name: string; value: string | undefined; meaning: string }[] {
  return [...text.matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`|not set) \| (.*) \|$/gm)].map(
    ([, name = "", value, meaning = ""]) => ({ name, value, meaning }),
  );
}

/** Settings as text, so that two can be compared. */
function written(config: object): string {
  return JSON.stringify(config, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
}
