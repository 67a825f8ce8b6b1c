// How the tests run. It must not know any of them.

import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { ClosingLine } from './test/support/closing-line.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', new ClosingLine()],
    // The tests share the machine with their database, and wait for it more than they compute.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Some tests hold real processes to bounds of seconds: a machine that was busy with something else gets a second look.
    retry: process.env['CI'] ? 1 : 0,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
