import { defineConfig } from "vitest/config";
import { TallyReporter } from "./tests/support/tally.ts";

/** `npm run test:vectors`: the vectors and fixtures alone, of VECTORS_DIR and FIXTURES_DIR if these are set. */
export default defineConfig({
  test: {
    include: ["tests/conformance/**/*.test.ts"],
    globalSetup: ["tests/support/server.ts"],
    reporters: [new TallyReporter()],
    maxWorkers: 2,
    testTimeout: 30_000,
    expect: { requireAssertions: true },
  },
});
