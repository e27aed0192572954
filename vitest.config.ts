import { defineConfig } from "vitest/config";
import { keepInMemory } from "./tests/support/memory.ts";

keepInMemory();

/** `npm test`: everything but the long runs and the client libraries. One database server for the run, one database for each file. */
export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["tests/long/**", "tests/clients/**"],
    globalSetup: ["tests/support/server.ts"],
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { requireAssertions: true },
  },
});
