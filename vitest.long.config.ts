import { defineConfig } from "vitest/config";

/** `npm run test:long`: kills, races, random months, month boundaries. One file after the other. */
export default defineConfig({
  test: {
    include: ["tests/long/**/*.test.ts"],
    globalSetup: ["tests/support/server.ts"],
    fileParallelism: false,
    testTimeout: 60 * 60_000,
    hookTimeout: 60_000,
    expect: { requireAssertions: true },
  },
});
