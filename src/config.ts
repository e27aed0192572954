/** Every setting: name, default, unit, meaning. Parsed once, handed down; nobody else reads the environment. */

import { join, resolve } from "node:path";
import ipaddr from "ipaddr.js";
import { type Micro, parseAmount } from "./rules/amount.ts";
import { FEE_BASIS_POINTS_MAX } from "./rules/division.ts";
import { Temporal } from "./store/time.ts";

/** The settings of one process. */
export interface Config {
  /** `ORIGIN`: the public address, part of every id. Undefined: the one the database remembers, else localhost. */
  readonly origin: string | undefined;
  /** `PORT`: where HTTP is served. */
  readonly port: number;
  /** `HOST`: the addresses that are listened on. */
  readonly hosts: readonly string[];
  /** `TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed, as addresses and CIDR ranges. */
  readonly trustedProxies: readonly string[];
  /** `DATA_DIR`: everything that must be kept is in this folder. */
  readonly dataFolder: string;
  /** `DATABASE_URL`: a served PostgreSQL 15 or newer. Undefined: the embedded one, in the data folder. */
  readonly databaseUrl: string | undefined;
  /** `MASTER_KEY_FILE`: the key that encrypts secrets in the database; made once. */
  readonly masterKeyFile: string;
  /** `CLOCK_OFFSET`: shifts the clock of the domain, for trials. */
  readonly clockOffset: Temporal.Duration;
  /** `UNSAFE_TRIAL`: 1 allows a shifted clock on a public instance. */
  readonly isUnsafeTrial: boolean;
  /** `FEE_BASIS_POINTS`: the operator's part in hundredths of a percent; for months that open later. */
  readonly feeBasisPoints: number;
  /** `CURRENCY`: the one currency of this instance (ISO 4217). */
  readonly currency: string;
  /** `MINIMUM_BUDGET`: the lowest monthly budget. */
  readonly minimumBudget: Micro;
  /** `UNCLAIMED_MONTHS`: how long money waits for its creator before it goes back. */
  readonly unclaimedMonths: number;
  /** `PEER_LIMIT`: the most that a new peer may owe before it is paid. */
  readonly peerLimit: Micro;
  /** `CLIENT_REQUESTS`: how often one app of one person may ask within five minutes. */
  readonly clientRequests: number;
  /** `ALLOW_PRIVATE_ADDRESSES`: each `host:port` may be asked although it is private, by http, too; for trials. */
  readonly allowedPrivate: readonly string[];
  /** `LOG_LEVEL`. */
  readonly logLevel: LogLevel;
  /** Where the migrations are; beside the program, not a setting. */
  readonly migrationsFolder: string;
}

/** What `LOG_LEVEL` may be, from much to little. */
export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A setting that cannot be used. The message is for the operator: the variable, the rule, a good value. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings. Empty variables count as unset.
 *
 * @throws ConfigError with a sentence that names the variable, the rule and a good value
 */
export function readConfig(env: Environment): Config {
  const origin = read(env, "ORIGIN", undefined, parseOrigin);
  const dataFolder = resolve(read(env, "DATA_DIR", "./data", (text) => text));
  const currency = read(env, "CURRENCY", "EUR", parseCurrency);
  const config: Config = {
    origin,
    port: read(env, "PORT", 3000, parsePort),
    hosts: read(env, "HOST", ["127.0.0.1", "::1"], (text) =>
      text.split(",").map((host) => host.trim()),
    ),
    trustedProxies: read(env, "TRUSTED_PROXIES", ["127.0.0.0/8", "::1"], parseProxies),
    dataFolder,
    databaseUrl: read(env, "DATABASE_URL", undefined, parseDatabaseUrl),
    masterKeyFile: resolve(
      read(env, "MASTER_KEY_FILE", join(dataFolder, "master-key"), (text) => text),
    ),
    clockOffset: read(env, "CLOCK_OFFSET", new Temporal.Duration(), parseOffset),
    isUnsafeTrial: read(env, "UNSAFE_TRIAL", false, parseSwitch),
    feeBasisPoints: read(env, "FEE_BASIS_POINTS", 0, parseFee),
    currency,
    minimumBudget: read(env, "MINIMUM_BUDGET", parseAmount("2", currency)!, (text) =>
      parseMinimum(text, currency),
    ),
    unclaimedMonths: read(env, "UNCLAIMED_MONTHS", 12, parseUnclaimedMonths),
    clientRequests: read(env, "CLIENT_REQUESTS", 300, parseClientRequests),
    peerLimit: read(env, "PEER_LIMIT", parseAmount("50", currency)!, (text) =>
      parsePeerLimit(text, currency),
    ),
    allowedPrivate: read(env, "ALLOW_PRIVATE_ADDRESSES", [], parsePrivateAddresses),
    logLevel: read(env, "LOG_LEVEL", "info", parseLogLevel),
    migrationsFolder: join(import.meta.dirname, "../migrations"),
  };
  read(env, "CUSTODY", "prepaid", parseCustody);
  refuseShiftedClock(config, origin ?? trialOrigin(config));
  return config;
}

/** The origin that an instance gets when nobody said one: only good for a trial on this machine. */
export function trialOrigin(config: Config): string {
  return `http://localhost:${config.port}`;
}

function read<T>(
  env: Environment,
  name: string,
  otherwise: T,
  parse: (text: string, name: string) => T,
): T {
  const text = env[name]?.trim();
  if (text === undefined || text === "") return otherwise;
  return parse(text, name);
}

function wrong(name: string, text: string, rule: string, good: string): ConfigError {
  return new ConfigError(`${name} is "${text}", but ${rule}; for example ${name}=${good}`);
}

function parseOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url !== undefined &&
    (url.protocol === "https:" || url.protocol === "http:") &&
    url.origin === text.replace(/\/$/, "");
  if (!plain)
    throw wrong(
      "ORIGIN",
      text,
      "it must be the public address without a path",
      "https://flattr.example",
    );
  return url.origin;
}

function parsePort(text: string): number {
  const port = wholeNumber(text);
  if (port === undefined || port > 65_535)
    throw wrong("PORT", text, "it must be a port number from 0 to 65535", "3000");
  return port;
}

function parseProxies(text: string): string[] {
  const ranges = text.split(",").map((range) => range.trim());
  for (const range of ranges) {
    const isRange = range.includes("/") ? ipaddr.isValidCIDR(range) : ipaddr.isValid(range);
    if (!isRange || !/[.:].*[.:]/.test(range))
      throw wrong(
        "TRUSTED_PROXIES",
        text,
        "it is a list of the addresses or CIDR ranges of your own proxies, separated by commas",
        "127.0.0.0/8,::1,10.0.0.5",
      );
  }
  return ranges;
}

function parseDatabaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isKnown = [...(url?.searchParams ?? [])].every(
    ([name, value]) =>
      name === "host" ||
      (name === "sslmode" && ["disable", "require", "verify-full"].includes(value)),
  );
  // The address may hold a password: it is not repeated. What it asks of the connection must not be passed over.
  if (url === undefined || !["postgres:", "postgresql:"].includes(url.protocol) || !isKnown) {
    throw new ConfigError(
      "DATABASE_URL must be the address of a PostgreSQL 15 or newer, with no other parameters than host (the folder of a socket) and sslmode (disable, require or verify-full); for example DATABASE_URL=postgres://fediflattr@localhost/fediflattr",
    );
  }
  return text;
}

function parseOffset(text: string): Temporal.Duration {
  try {
    return Temporal.Duration.from(text);
  } catch {
    throw wrong("CLOCK_OFFSET", text, "it must be a duration as ISO 8601 writes it", "P1M");
  }
}

function parseSwitch(text: string, name: string): boolean {
  if (text !== "0" && text !== "1") throw wrong(name, text, "it is a switch, 0 or 1", "0");
  return text === "1";
}

function parseFee(text: string): number {
  const points = wholeNumber(text);
  if (points === undefined || points > FEE_BASIS_POINTS_MAX) {
    throw wrong(
      "FEE_BASIS_POINTS",
      text,
      "a fee is a whole number of hundredths of a percent from 0 to 1000, which is 10 %",
      "500",
    );
  }
  return points;
}

function parseCurrency(text: string): string {
  if (!/^[A-Z]{3}$/.test(text))
    throw wrong("CURRENCY", text, "it must be a currency code of three capital letters", "EUR");
  return text;
}

function parseMinimum(text: string, currency: string): Micro {
  const amount = parseAmount(text, currency);
  if (amount === undefined || amount === 0n)
    throw wrong("MINIMUM_BUDGET", text, `it must be an amount of ${currency} above zero`, "2.00");
  return amount;
}

function parsePeerLimit(text: string, currency: string): Micro {
  const amount = parseAmount(text, currency);
  if (amount === undefined)
    throw wrong("PEER_LIMIT", text, `it must be an amount of ${currency}, or 0`, "50.00");
  return amount;
}

function parseClientRequests(text: string): number {
  const requests = wholeNumber(text);
  if (requests === undefined || requests < 30)
    throw wrong(
      "CLIENT_REQUESTS",
      text,
      "it must be a number of requests within five minutes, from 30 to 999999",
      "300",
    );
  return requests;
}

function parsePrivateAddresses(text: string): string[] {
  const addresses = text.split(",").map((address) => address.trim());
  for (const address of addresses) {
    const url = URL.canParse(`http://${address}`) ? new URL(`http://${address}`) : undefined;
    if (
      url === undefined ||
      !/:\d{1,5}$/.test(address) ||
      url.pathname !== "/" ||
      url.username !== ""
    )
      throw wrong(
        "ALLOW_PRIVATE_ADDRESSES",
        text,
        "it is a list of host:port, separated by commas, for trials on this machine",
        "127.0.0.1:3001,127.0.0.1:3002",
      );
  }
  return addresses;
}

function parseUnclaimedMonths(text: string): number {
  const months = wholeNumber(text);
  if (months === undefined || months < 3 || months > 36)
    throw wrong("UNCLAIMED_MONTHS", text, "it must be a number of months from 3 to 36", "12");
  return months;
}

function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level === undefined)
    throw wrong("LOG_LEVEL", text, `it must be one of ${LOG_LEVELS.join(", ")}`, "info");
  return level;
}

function parseCustody(text: string): string {
  if (text === "none" || text === "transit")
    throw wrong(
      "CUSTODY",
      text,
      "only prepaid is built so far: money is paid in before it is given",
      "prepaid",
    );
  if (text !== "prepaid")
    throw wrong(
      "CUSTODY",
      text,
      "the ways of holding money are none, transit and prepaid, of which only prepaid is built so far",
      "prepaid",
    );
  return text;
}

/**
 * Shifted months on a public instance would close real months at wrong times.
 *
 * @param origin the one that the instance really has, which the database may know better than the environment
 */
export function refuseShiftedClock({ clockOffset, isUnsafeTrial }: Config, origin: string): void {
  if (clockOffset.blank || isUnsafeTrial || !origin.startsWith("https:")) return;
  throw new ConfigError(
    `CLOCK_OFFSET is for trials: it needs an ORIGIN that begins with http: (this is ${origin}) or, if you know what you do, UNSAFE_TRIAL=1`,
  );
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}
