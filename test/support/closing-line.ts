// Closes a test run with "N passed, N failed" alone on a line, for people and programs that read the end only.
// It must not know what is tested.

import type { Reporter, SerializedError, TestModule } from 'vitest/node';

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    let passed = 0;
    let skipped = 0;
    // What broke outside of any test counts too: the run is no less red for it.
    let failed = unhandledErrors.length;
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      const states = tests.map((test) => test.result().state);
      const failedTests = states.filter((state) => state === 'failed').length;
      passed += states.filter((state) => state === 'passed').length;
      skipped += states.filter((state) => state === 'skipped').length;
      failed += module.state() === 'failed' ? Math.max(failedTests, 1) : failedTests;
    }
    const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`;
    // At the exit: other reporters and the teardown have their say before.
    process.once('exit', () => {
      if (passed + failed === 0) process.exitCode = 1;
      process.stdout.write(line);
    });
  }
}
