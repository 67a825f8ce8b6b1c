// What happened to the account, newest first.

import { DomainError } from '../domain/errors.ts';
import type { Deps, SignedInCaller } from './context.ts';
import type { ActivityFilter, EventPage } from './ports.ts';

/**
 * The events that fit, older than `before` (an event id), and the id to go on from. Nothing older than 400 days is shown.
 * A filter of more than time is looked for in a bounded number of events at a time: the page may be short, or empty, while
 * there is more.
 */
export async function listLoginActivity(
  deps: Deps,
  caller: SignedInCaller,
  filter: ActivityFilter,
  before: string | null,
  count: number,
): Promise<EventPage> {
  const { startTime, endTime } = filter;
  if (startTime !== null && endTime !== null && startTime >= endTime) {
    const violations = [{ field: 'filter.start_time', description: 'must be before end_time' }];
    throw new DomainError({ reason: 'REQUEST_INVALID', violations });
  }
  const notBefore = new Date(deps.clock.now().getTime() - deps.limits.activityRetentionMs);
  return deps.store.listEvents(caller.session.accountId, filter, before, notBefore, count);
}
