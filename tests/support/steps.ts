/** A reporter that says one line for each step, as it is done. */

import type { Reporter, TestCase, TestModule } from "vitest/node";
import { SCREENSHOTS } from "./browser.ts";

export class StepReporter implements Reporter {
  private done = 0;
  private failed = 0;
  private readonly startedAt = performance.now();

  onTestCaseResult(test: TestCase): void {
    const { state, errors = [] } = test.result();
    const seconds = ((test.diagnostic()?.duration ?? 0) / 1000).toFixed(1);
    const isRight = state === "passed";
    this.done += 1;
    if (!isRight) this.failed += 1;
    say(`${isRight ? "ok    " : "FAILED"} ${test.fullName.replaceAll(" > ", ": ")} (${seconds} s)`);
    for (const { message, diff, stacks = [] } of errors) {
      const places = stacks.map(({ file, line }) => `at ${file}:${line}`);
      for (const line of [message, ...(diff?.split("\n") ?? []), ...places]) say(`       ${line}`);
    }
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message: string }[]): void {
    const errors = [
      ...modules.flatMap((module) => module.errors()),
      ...modules.flatMap((module) =>
        [...module.children.allSuites()].flatMap((suite) => suite.errors()),
      ),
      ...unhandled,
    ];
    for (const { message } of errors) say(`FAILED outside of the steps: ${message}`);
    const seconds = Math.round((performance.now() - this.startedAt) / 1000);
    say(`${this.done} steps, ${this.done - this.failed} passed, in ${seconds} s`);
    say(`Pictures of the sign-in and consent pages: ${SCREENSHOTS}`);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
