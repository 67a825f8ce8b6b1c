// "This wasn't me" to an entry of the login activity, by a verified session or by a link: whoever it was is put out, and the entry
// is marked.

import type { Account } from '../domain/account.ts';
import type { Advice } from '../domain/advice.ts';
import { type Challenge, denied } from '../domain/challenge.ts';
import { type LoginEvent, timeOfUuid } from '../domain/login-event.ts';
import { appendAndAlert } from './alerts.ts';
import { type Deps, decide, decideFor, refuse, type SignedInCaller } from './context.ts';
import { adviceAfterIntrusion, type LinkOutcome, putOut } from './intruders.ts';
import type { AccountTransaction } from './store-ports.ts';

export async function reportLoginActivity(
  deps: Deps,
  eventId: string,
  caller: SignedInCaller,
): Promise<readonly Advice[]> {
  return decideFor(deps, caller, async (tx, account) => {
    const found = await find(deps, tx, eventId);
    if (found === undefined) return refuse({ reason: 'EVENT_UNKNOWN' });
    // A repeat gets the same advice and changes nothing.
    if (!found.event.reported) await report(deps, tx, account, found, caller.device.deviceId);
    return { ok: adviceAfterIntrusion(found.challenge) };
  });
}

/** Reports what a link names, once. */
export function reportOnce(deps: Deps, accountId: string, eventId: string): Promise<LinkOutcome> {
  return decide<LinkOutcome>(deps, accountId, async (tx) => {
    const [account, found] = await Promise.all([tx.account, find(deps, tx, eventId)]);
    if (account === undefined || found === undefined) return { ok: { kind: 'invalid' } };
    if (found.event.reported) return { ok: { kind: 'over' } };
    await report(deps, tx, account, found, null);
    return { ok: { kind: 'done', about: 'event', advice: adviceAfterIntrusion(found.challenge) } };
  });
}

interface Found {
  readonly event: LoginEvent;
  readonly challenge: Challenge | undefined;
}

/** An entry that the list still shows. */
async function find(deps: Deps, tx: AccountTransaction, eventId: string): Promise<Found | undefined> {
  const event = await tx.event(eventId);
  const oldest = deps.clock.now().getTime() - deps.limits.activityRetentionMs;
  if (event === undefined || timeOfUuid(eventId).getTime() < oldest) return undefined;
  return { event, challenge: event.challengeId === null ? undefined : await tx.challenge(event.challengeId) };
}

async function report(
  deps: Deps,
  tx: AccountTransaction,
  account: Account,
  { event, challenge }: Found,
  reportingDeviceId: string | null,
): Promise<void> {
  const now = deps.clock.now();
  const devices = await tx.appDevices(now);
  tx.markReported(event.eventId);
  // As if it had been denied: its network waits before it may ask for the next code.
  if (challenge?.denyTime === null) tx.saveChallenge(denied(challenge, now));
  const sessionId = event.sessionId ?? challenge?.sessionId ?? null;
  const deviceId = event.deviceId ?? challenge?.deviceId ?? null;
  const out = await putOut(deps, tx, account, { sessionId, deviceId, challenge }, now);
  if (out === undefined) return;
  const told = devices.filter(({ deviceId }) => deviceId !== out.intruder.deviceId);
  appendAndAlert(deps, tx, 'DEVICE_REMOVED', out.removal, told, reportingDeviceId, now);
}
