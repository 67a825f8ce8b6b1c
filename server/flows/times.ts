// The times of a filter, wherever there is one.

import { DomainError } from '../domain/errors.ts';

export interface Times {
  /** From then on. */
  readonly startTime: Date | null;
  /** Before then. */
  readonly endTime: Date | null;
}

/** Refuses what begins when it ends, or after. */
export function refuseBackwards({ startTime, endTime }: Times): void {
  if (startTime === null || endTime === null || startTime < endTime) return;
  const violations = [{ field: 'filter.start_time', description: 'must be before end_time' }];
  throw new DomainError({ reason: 'REQUEST_INVALID', violations });
}
