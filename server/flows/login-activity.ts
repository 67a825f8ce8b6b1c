// What happened to the account, newest first.

import type { LoginEvent } from '../domain/login-event.ts';
import type { Deps, SignedInCaller } from './context.ts';

/** The events older than `before` (an event id), and the id to go on from. Nothing older than 400 days is shown. */
export async function listLoginActivity(
  deps: Deps,
  caller: SignedInCaller,
  before: string | null,
  count: number,
): Promise<{ readonly events: readonly LoginEvent[]; readonly next: string | undefined }> {
  const notBefore = new Date(deps.clock.now().getTime() - deps.limits.activityRetentionMs);
  const events = await deps.store.listEvents(caller.session.accountId, before, notBefore, count + 1);
  const page = events.slice(0, count);
  return { events: page, next: events.length > count ? page.at(-1)?.eventId : undefined };
}
