// What happened to the account, newest first.

import type { Deps, SignedInCaller } from './context.ts';
import type { ActivityFilter, EventPage } from './store-ports.ts';
import { refuseBackwards } from './times.ts';

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
  refuseBackwards(filter);
  const notBefore = new Date(deps.clock.now().getTime() - deps.limits.activityRetentionMs);
  return deps.store.listEvents(caller.session.accountId, filter, before, notBefore, count);
}
