// Services as processes of their own that check sessions with the SDK. It knows no test runner: the bench measures with it too.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { SessionCheckerOptions } from '../../clients/service/checker.ts';

/** What a check ended with. */
export type Verdict = { readonly sessionId: string } | { readonly reason: string; readonly cause: string };

export interface CheckingService {
  check(token: string, fresh?: boolean): Promise<Verdict>;
  /** Checks without end; when it is refused first, in milliseconds of this machine's `monotonicMs`. */
  untilRefused(token: string): Promise<number>;
  staleness(): Promise<number>;
  /** The sessions that it was told have ended, in order. */
  readonly told: readonly string[];
  /** Closes the checker: the process ends by itself, with this code. */
  close(): Promise<number | null>;
}

export interface CheckingServices {
  /** Starts one, and waits until it is ready. */
  start(options: Omit<SessionCheckerOptions, 'onProblem'>): Promise<CheckingService>;
  /** Ends those that run. */
  stop(): Promise<void>;
}

/** Milliseconds that every process of this machine counts alike. */
export const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;

export type Question =
  | { readonly ask: 'check'; readonly token: string; readonly fresh: boolean }
  | { readonly ask: 'untilRefused'; readonly token: string }
  | { readonly ask: 'staleness' };
export type Message = { readonly answer: number; readonly value: unknown } | { readonly told: string };

export function checkingServices(): CheckingServices {
  const running = new Set<ChildProcess>();
  return {
    start: async (options) => {
      const child = fork(join(import.meta.dirname, 'session-checker-process.ts'), [JSON.stringify(options)], {
        // Not what a test runner gives its own workers.
        execArgv: [],
      });
      running.add(child);
      const exit = once(child, 'exit').then(([code]): number | null => {
        running.delete(child);
        for (const { reject } of waiting.values()) reject(new Error(`the service ended with ${code}`));
        return code;
      });
      const waiting = new Map<number, PromiseWithResolvers<unknown>>();
      const told: string[] = [];
      let last = 0;
      child.on('message', (message: Message) => {
        if ('told' in message) told.push(message.told);
        else waiting.get(message.answer)?.resolve(message.value);
      });
      const ask = (question?: Question): Promise<unknown> => {
        const answer = Promise.withResolvers<unknown>();
        const number = question === undefined ? 0 : ++last;
        waiting.set(number, answer);
        if (question !== undefined) child.send({ ...question, number });
        return answer.promise.finally(() => waiting.delete(number));
      };
      await ask();
      return {
        check: (token, fresh = false) => ask({ ask: 'check', token, fresh }) as Promise<Verdict>,
        untilRefused: (token) => ask({ ask: 'untilRefused', token }) as Promise<number>,
        // JSON has no infinity.
        staleness: async () => ((await ask({ ask: 'staleness' })) as number | null) ?? Number.POSITIVE_INFINITY,
        told,
        close: () => {
          child.disconnect();
          return exit;
        },
      };
    },
    stop: async () => {
      const ends = [...running].map((child) => once(child, 'exit'));
      for (const child of running) child.kill('SIGKILL');
      await Promise.all(ends);
    },
  };
}
