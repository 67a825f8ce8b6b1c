// The calls of a load: made as a good client makes them, repeated while that is safe and worth it, and counted. It must not know
// what they are for.

import { Code } from '@connectrpc/connect';
import { CountersignError } from '../../clients/errors.ts';
import { isWorthAnotherTry, pause } from '../../clients/streams.ts';

/** Of one load. A call that is repeated counts once each time. */
export interface CallCounts {
  calls: number;
  acknowledged: number;
  /** By reason; where none came, as when a connection broke, by the words. */
  readonly refused: Record<string, number>;
  retried: number;
  /** From the first try of a call to its acknowledgement. */
  slowestMs: number;
}

export const newCounts = (): CallCounts => ({ calls: 0, acknowledged: 0, refused: {}, retried: 0, slowestMs: 0 });

/** How often something was refused or not answered. */
export const notAcknowledged = ({ refused }: CallCounts): number =>
  Object.values(refused).reduce((sum, count) => sum + count, 0);

/** Makes a call once. @throws CountersignError */
export async function callOnce<T>(counts: CallCounts, make: () => Promise<T>): Promise<T> {
  counts.calls += 1;
  try {
    const answer = await make();
    counts.acknowledged += 1;
    return answer;
  } catch (error) {
    const why = CountersignError.is(error)
      ? error.reason || `no answer (${error.rawMessage.slice(0, 60)})`
      : String(error);
    counts.refused[why] = (counts.refused[why] ?? 0) + 1;
    throw error;
  }
}

/**
 * Makes a call until it is acknowledged: every call here may be repeated with the same parameters, as the contract says.
 *
 * @param make is told how often it was made before.
 * @throws what no repetition mends, or the last refusal once `patienceMs` have passed.
 */
export async function insist<T>(
  counts: CallCounts,
  make: (tries: number) => Promise<T>,
  patienceMs: number,
): Promise<T> {
  const begin = performance.now();
  const never = new AbortController().signal;
  for (let tries = 0; ; tries++) {
    try {
      const answer = await callOnce(counts, () => make(tries));
      counts.slowestMs = Math.max(counts.slowestMs, performance.now() - begin);
      return answer;
    } catch (error) {
      if (!CountersignError.is(error) || !mayHelp(error) || performance.now() - begin > patienceMs) throw error;
      counts.retried += 1;
      await pause(error.retryAfter, tries + 1, never, 2_000);
    }
  }
}

/** Whether the same call may fare better: the refusal says so, or none came. What is our own fault is no reason to try again. */
function mayHelp(error: CountersignError): boolean {
  if (error.reason === '') return isWorthAnotherTry(error) || error.code === Code.DeadlineExceeded;
  return error.retryAfter !== undefined || error.code === Code.DeadlineExceeded;
}
