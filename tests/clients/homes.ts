/** Two instances as real processes, with a time of their own, and everything that a day with clients needs. */

import { createServer } from "node:http";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { Temporal } from "../../src/store/time.ts";
import { openBrowser } from "../support/browser.ts";
import { freePorts } from "../support/instances.ts";
import { newFolder, removeFolder, runJson, serve, type Serving } from "../support/process.ts";
import { openPushService, type PushService } from "../support/push-service.ts";
import { type Front, makeCertificates, openFront } from "../support/tls.ts";
import { openWire, readAlong, type Wire } from "../support/wire.ts";

/** When the day is. */
const DAY = "2026-11-10T18:00:00Z";

/** Five minutes after the month's end. */
const CLOSE = "2026-12-01T00:05:00Z";

/** The month of the day. */
export const MONTH = "2026-11";

/** A name that a front may say as Host, and that must never come back. */
export const WRONG_HOST = "wrong.example";

/** What everybody types here. */
export const PASSWORD = "correct horse battery";

/** An instance of the day. */
export interface Home {
  readonly host: string;
  readonly origin: string;
  /** Before it, where it has one. */
  readonly front: Front | undefined;
  /** Runs a command that must work. @returns the first object that it printed */
  run(...args: readonly string[]): Promise<Record<string, unknown>>;
  /** Makes an account, with PASSWORD. */
  settle(name: string): Promise<void>;
  /** What the process has logged. */
  log(): string;
}

/** All of it. */
export interface Day {
  readonly scheme: "http" | "https";
  readonly harbour: Home;
  readonly meadow: Home;
  readonly browser: Browser;
  /** A page of another origin: where apps of the browser live, and where they are called back. */
  readonly back: string;
  readonly push: PushService;
  readonly wire: Wire;
  /** Ends both, and starts them again after the month's end. */
  endMonth(): Promise<void>;
  close(): Promise<void>;
}

/** Starts everything. With https each instance stands behind a front, and is asked through it alone. */
export async function openDay(scheme: "http" | "https"): Promise<Day> {
  const endings: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const end of endings.toReversed()) await end();
  };
  try {
    return await startDay(scheme, endings, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function startDay(
  scheme: "http" | "https",
  endings: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Day> {
  const isSecure = scheme === "https";
  const folders = await Promise.all([newFolder(), newFolder()]);
  const keptIn = dirname(folders[0]);
  const certificates = isSecure ? await makeCertificates(keptIn) : undefined;
  const ports = await freePorts(5);
  const push = await openPushService();
  endings.push(() => push.close());
  const app = createServer((_, answer) => answer.end("You are in the app.")).listen(ports[4]);
  endings.push(async () => void app.close());
  const browser = await openBrowser();
  endings.push(() => browser.close());
  const fronts = isSecure ? ports.slice(2, 4) : ports;
  const hosts = fronts.slice(0, 2).map((port) => `127.0.0.1:${port}`);
  const wire = openWire(() =>
    isSecure
      ? [
          WRONG_HOST,
          ...ports.slice(0, 2).map((port) => `127.0.0.1:${port}`),
          ...hosts.flatMap((host) => [`http://${host}`, `ws://${host}`]),
        ]
      : ["https://127.0.0.1"],
  );
  const stopReading = isSecure ? () => {} : readAlong(wire);
  endings.push(async () => stopReading());

  const homes = await Promise.all(
    folders.map(async (folder, place) => {
      const port = ports[place]!;
      const host = hosts[place]!;
      const front =
        certificates &&
        (await openFront({
          port: fronts[place]!,
          target: port,
          certificates,
          see: (passed) => wire.see(passed),
        }));
      endings.push(async () => front?.close());
      return openHome({
        folder,
        port,
        host,
        front,
        settings: {
          ORIGIN: `${scheme}://${host}`,
          HOST: "127.0.0.1",
          ALLOW_PRIVATE_ADDRESSES: [...hosts, push.host].join(","),
          UNSAFE_TRIAL: "1",
          ...(certificates ? { NODE_EXTRA_CA_CERTS: certificates.authorityFile } : {}),
        },
        endings,
      });
    }),
  );
  const [harbour, meadow] = homes as [StartedHome, StartedHome];
  const atDay = offsetTo(DAY);
  await Promise.all(homes.map((home) => home.start(atDay)));
  return {
    scheme,
    harbour,
    meadow,
    browser,
    back: `http://127.0.0.1:${ports[4]}/back`,
    push,
    wire,
    async endMonth() {
      await Promise.all(homes.map((home) => home.stop()));
      const atClose = offsetTo(CLOSE);
      await Promise.all(homes.map((home) => home.start(atClose)));
    },
    close,
  };
}

/** What shifts a clock to a time. Two that are shifted alike agree, as clocks of servers do. */
const offsetTo = (time: string) =>
  Temporal.Now.instant().until(Temporal.Instant.from(time)).toString();

interface StartedHome extends Home {
  /** @param clockOffset CLOCK_OFFSET, also of the commands from now on */
  start(clockOffset: string): Promise<void>;
  stop(): Promise<void>;
}

function openHome({
  folder,
  port,
  host,
  front,
  settings,
  endings,
}: {
  readonly folder: string;
  readonly port: number;
  readonly host: string;
  readonly front: Front | undefined;
  readonly settings: Readonly<Record<string, string>> & { readonly ORIGIN: string };
  readonly endings: (() => Promise<void>)[];
}): StartedHome {
  let offset = "PT0S";
  let serving: Serving | undefined;
  let logged = "";
  const environment = () => ({ ...settings, CLOCK_OFFSET: offset });
  const stop = async () => {
    if (serving === undefined) return;
    serving.child.kill("SIGTERM");
    logged += (await serving.ended).stderr;
    serving = undefined;
  };
  endings.push(async () => {
    await stop();
    await removeFolder(folder);
  });
  const run = async (...args: readonly string[]) =>
    (await runJson(folder, args, environment()))[0] ?? {};
  return {
    host,
    origin: settings.ORIGIN,
    front,
    run,
    async settle(name) {
      await run(
        ...["account", "create", name, "--email", `${name}@mail.example`],
        ...["--password", PASSWORD],
      );
    },
    log: () => logged + (serving?.stderr() ?? ""),
    async start(clockOffset) {
      offset = clockOffset;
      serving = await serve(folder, environment(), ["--port", String(port)]);
    },
    stop,
  };
}

/** What goes from one instance to the other takes a second or two; a slow machine gets ten times that. */
const PATIENCE_MS = 20_000;

/** Apps have limits, too, so one does not ask too often. */
const LOOK_MS = 250;

/** Looks until something is there. @throws Error when it does not come */
export async function soon<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline)
      throw new Error(`${what}: did not happen within ${PATIENCE_MS / 1000} s`);
    await sleep(LOOK_MS);
  }
}
