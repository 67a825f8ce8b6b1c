// Calls that are made at one moment, and what became of each.

import { CountersignError } from '../../clients/errors.ts';

/** The good answers, and the outcome of each call in its order: OK, the reason of its refusal, or what else it threw. */
export async function outcomesAtOnce<T>(calls: readonly (() => Promise<T>)[]) {
  const answers = await Promise.allSettled(calls.map((call) => call()));
  const good: T[] = [];
  const reasons = answers.map((answer) => {
    if (answer.status === 'fulfilled') {
      good.push(answer.value);
      return 'OK';
    }
    return answer.reason instanceof CountersignError ? answer.reason.reason : String(answer.reason);
  });
  const counts: Record<string, number> = {};
  for (const reason of reasons) counts[reason] = (counts[reason] ?? 0) + 1;
  return { good, reasons, counts };
}

export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
