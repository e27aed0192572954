import { defineConfig } from "vitest/config";
import { keepInMemory } from "./tests/support/memory.ts";

keepInMemory();
import { StepReporter } from "./tests/support/steps.ts";

/** `npm run test:clients`: unmodified client libraries and a real browser on two instances, step by step. */
export default defineConfig({
  test: {
    include: ["tests/clients/**/*.test.ts"],
    reporters: [new StepReporter()],
    // Each file has two instances, their databases and a browser: enough for this machine.
    fileParallelism: false,
    testTimeout: 40_000,
    hookTimeout: 120_000,
    expect: { requireAssertions: true },
  },
});
