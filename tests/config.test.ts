import { describe, expect, test } from "vitest";
import { ConfigError, readConfig } from "../src/config.ts";

describe("settings", () => {
  test("have defaults that make a trial on this machine", () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      origin: undefined,
      port: 3000,
      hosts: ["127.0.0.1", "::1"],
      databaseUrl: undefined,
      feeBasisPoints: 0,
      currency: "EUR",
      minimumBudget: 2_000_000n,
      unclaimedMonths: 12,
      logLevel: "info",
    });
    expect(config.masterKeyFile).toBe(`${config.dataFolder}/master-key`);
  });

  test("that are empty are unset", () => {
    expect(readConfig({ ORIGIN: "", PORT: " ", FEE_BASIS_POINTS: "" })).toEqual(readConfig({}));
  });

  const wrong: [variable: string, value: string, words: string][] = [
    ["ORIGIN", "flattr.example", "without a path"],
    ["ORIGIN", "https://flattr.example/path", "without a path"],
    ["ORIGIN", "ftp://flattr.example", "without a path"],
    ["PORT", "70000", "0 to 65535"],
    ["PORT", "http", "0 to 65535"],
    ["DATABASE_URL", "mysql://localhost/x", "PostgreSQL 15"],
    ["CLOCK_OFFSET", "one month", "ISO 8601"],
    ["FEE_BASIS_POINTS", "1001", "0 to 1000"],
    ["FEE_BASIS_POINTS", "2.5", "0 to 1000"],
    ["CURRENCY", "eur", "three capital letters"],
    ["MINIMUM_BUDGET", "2.005", "above zero"],
    ["MINIMUM_BUDGET", "0", "above zero"],
    ["UNCLAIMED_MONTHS", "2", "3 to 36"],
    ["UNCLAIMED_MONTHS", "37", "3 to 36"],
    ["CLIENT_REQUESTS", "29", "from 30"],
    ["CLIENT_REQUESTS", "many", "from 30"],
    ["UNSAFE_TRIAL", "yes", "0 or 1"],
    ["LOG_LEVEL", "loud", "debug, info, warning, error"],
    ["CUSTODY", "none", "only prepaid is built"],
    ["CUSTODY", "transit", "only prepaid is built"],
    ["CUSTODY", "pocket", "none, transit and prepaid"],
  ];
  test.each(wrong)(
    "%s=%s ends the start with a sentence that names the variable, the rule and a good value",
    (variable, value, words) => {
      const read = () => readConfig({ [variable]: value });
      expect(read).toThrow(ConfigError);
      expect(read).toThrow(words);
      expect(read).toThrow(`for example ${variable}=`);
    },
  );

  test("of the database that would be passed over are refused", () => {
    for (const query of [
      "sslmode=verify-ca",
      "sslmode=prefer",
      "options=-c%20x",
      "sslrootcert=/x",
    ]) {
      expect(() => readConfig({ DATABASE_URL: `postgres://db.example/fl?${query}` })).toThrow(
        "no other parameters",
      );
    }
    expect(
      readConfig({ DATABASE_URL: "postgres://db.example/fl?sslmode=verify-full" }).databaseUrl,
    ).toContain("verify-full");
  });

  test("that are wrong never repeat a password", () => {
    expect(() => readConfig({ DATABASE_URL: "mysql://me:geheim@localhost/x" })).toThrow(
      /^(?!.*geheim)/,
    );
  });

  test("shift the clock in trials only", () => {
    expect(
      readConfig({ CLOCK_OFFSET: "P1M", ORIGIN: "http://localhost:3000" }).clockOffset.months,
    ).toBe(1);
    expect(readConfig({ CLOCK_OFFSET: "-PT5S" }).clockOffset.seconds).toBe(-5);
    expect(() => readConfig({ CLOCK_OFFSET: "P1M", ORIGIN: "https://flattr.example" })).toThrow(
      "for trials",
    );
    expect(
      readConfig({ CLOCK_OFFSET: "P1M", ORIGIN: "https://flattr.example", UNSAFE_TRIAL: "1" })
        .clockOffset.months,
    ).toBe(1);
  });
});
