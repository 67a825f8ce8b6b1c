// What a call is refused with.

import { CountersignError } from '../../clients/errors.ts';

/** The refusal that a call ends with; fails where it succeeds, or fails for no reason of ours. */
export async function refusal(call: Promise<unknown>): Promise<CountersignError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('the call was not refused');
}
