// How many guesses find a password, as zxcvbn counts them: words, names, dates, keyboard walks, letters replaced by digits. It has no
// pauses, so it runs in a thread beside the event loop.

import { Worker } from 'node:worker_threads';
import { DomainError } from '../domain/errors.ts';
import type { DirectoryLog } from './breached-passwords.ts';
import type { StrengthAnswer, StrengthQuestion } from './strength-worker.ts';

export interface Strength {
  /**
   * How many guesses find a password, by somebody who tries these words first (in lower case). The first call starts the thread, and
   * waits for about a second. Refuses with DEPENDENCY_UNAVAILABLE where too many wait already, or the thread is gone.
   */
  guesses(password: string, words: readonly string[]): Promise<number>;
  /** Ends the thread; what waits for it is refused. */
  close(): Promise<void>;
}

/** 4 s of the slowest, 0.5 s of most. */
const mostWaiting = 200;
const retryAfterMs = 2_000;
/** The dictionaries take some 40 MB of it; without bounds the thread keeps three times as much before it clears up. */
const resourceLimits = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 8 };

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, PromiseWithResolvers<number>>;
}

export function createStrength(log: DirectoryLog): Strength {
  let thread: Thread | undefined;
  let lastId = 0;

  const start = (): Thread => {
    const waiting: Thread['waiting'] = new Map();
    const worker = new Worker(new URL('./strength-worker.ts', import.meta.url), { resourceLimits });
    // Nothing is lost with it.
    worker.unref();
    worker.on('message', ({ id, guesses }: StrengthAnswer) => {
      if (guesses === undefined) waiting.get(id)?.reject(new Error('zxcvbn failed at a password'));
      else waiting.get(id)?.resolve(guesses);
      waiting.delete(id);
    });
    worker.on('error', (error) => log.error({ err: error }, 'the thread that judges passwords has failed'));
    worker.on('exit', () => {
      if (thread?.worker === worker) thread = undefined;
      for (const { reject } of waiting.values())
        reject(new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs }));
    });
    return { worker, waiting };
  };

  return {
    guesses: async (password, words) => {
      thread ??= start();
      const { worker, waiting } = thread;
      if (waiting.size >= mostWaiting) throw new DomainError({ reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs });
      lastId += 1;
      const answer = Promise.withResolvers<number>();
      waiting.set(lastId, answer);
      worker.postMessage({ id: lastId, password, words } satisfies StrengthQuestion);
      return answer.promise;
    },
    close: async () => {
      await thread?.worker.terminate();
    },
  };
}
