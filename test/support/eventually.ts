// Waits for something to become true, with a deadline.

import { setTimeout as sleep } from 'node:timers/promises';

/** Runs `look` until it does not throw. @throws what it threw last, once the deadline has passed. */
export async function eventually<T>(timeoutMs: number, look: () => T | Promise<T>): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(20);
    }
  }
}
