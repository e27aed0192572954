/** A reporter that says one thing for each file of cases: how many there are and how many passed. */

import type { Reporter, TestModule, TestSuite } from "vitest/node";

export class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    for (const suite of modules.flatMap((module) => [...module.children.suites()])) say(suite);
    for (const { errors } of modules.map((module) => ({ errors: module.errors() })))
      for (const error of errors) process.stdout.write(`${error.message}\n`);
    if (unhandled.length > 0) process.stdout.write(`${unhandled.length} errors outside of tests\n`);
  }
}

function say(suite: TestSuite): void {
  const cases = [...suite.children.allTests()];
  const failed = cases.filter((one) => one.result().state !== "passed");
  process.stdout.write(
    `${suite.name}: ${cases.length} cases, ${cases.length - failed.length} passed\n`,
  );
  for (const one of failed) {
    const { errors = [] } = one.result();
    process.stdout.write(
      `  ${one.name}\n    ${errors.map(({ message }) => message).join("\n    ")}\n`,
    );
  }
}
