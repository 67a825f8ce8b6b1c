// "It wasn't me" to a challenge, by a trusted device or by a link. It closes, and its network waits an hour; who got in with it is
// put out.

import type { Account } from '../domain/account.ts';
import type { Advice } from '../domain/advice.ts';
import { type Challenge, denied } from '../domain/challenge.ts';
import { appendAndAlert } from './alerts.ts';
import { type Deps, decide, decideFor, eventOf, refuse, type SignedInCaller } from './context.ts';
import { adviceAfterIntrusion, type LinkOutcome, putOut } from './intruders.ts';
import type { AccountTransaction } from './store-ports.ts';

export async function denyChallenge(
  deps: Deps,
  challengeId: string,
  caller: SignedInCaller,
): Promise<readonly Advice[]> {
  return decideFor(deps, caller, async (tx, account) => {
    const challenge = await tx.challenge(challengeId);
    if (challenge === undefined) return refuse({ reason: 'CHALLENGE_UNKNOWN' });
    // A repeat gets the same advice and changes nothing.
    if (challenge.denyTime === null) await deny(deps, tx, account, challenge, caller.device.deviceId);
    return { ok: adviceAfterDenial(challenge) };
  });
}

async function deny(
  deps: Deps,
  tx: AccountTransaction,
  account: Account,
  challenge: Challenge,
  denyingDeviceId: string | null,
): Promise<void> {
  const now = deps.clock.now();
  const { challengeId, accountId, sessionId } = challenge;
  const devices = await tx.appDevices(now);
  tx.saveChallenge(denied(challenge, now));
  let told = devices;
  if (gotFar(challenge)) {
    const out = await putOut(deps, tx, account, { sessionId, deviceId: challenge.deviceId, challenge }, now);
    if (out !== undefined) {
      told = devices.filter(({ deviceId }) => deviceId !== out.intruder.deviceId);
      tx.appendEvent(out.removal);
    }
  }
  // Of who asked, not of who denied.
  const event = eventOf(deps, accountId, 'CHALLENGE_DENIED', now, {
    device: challenge.device,
    challengeId,
    origin: challenge.origin,
  });
  appendAndAlert(deps, tx, 'CHALLENGE_DENIED', event, told, denyingDeviceId, now);
}

/** Whether somebody was let in, or holds the token of a trusted device, which was asked for a code all the same. */
function gotFar({ state, purpose, deviceId }: Challenge): boolean {
  return state === 'VERIFIED' || (purpose === 'SIGN_IN' && deviceId !== null);
}

/** Somebody knows the password. */
function adviceAfterDenial(challenge: Challenge): readonly Advice[] {
  return gotFar(challenge) ? adviceAfterIntrusion(challenge) : ['CHANGE_PASSWORD', 'CHANGE_PASSWORD_ELSEWHERE'];
}

/** Denies what a link names, once. */
export function denyOnce(deps: Deps, accountId: string, challengeId: string): Promise<LinkOutcome> {
  return decide<LinkOutcome>(deps, accountId, async (tx) => {
    const [account, challenge] = await Promise.all([tx.account, tx.challenge(challengeId)]);
    if (account === undefined || challenge === undefined) return { ok: { kind: 'invalid' } };
    if (challenge.denyTime !== null) return { ok: { kind: 'over' } };
    await deny(deps, tx, account, challenge, null);
    return { ok: { kind: 'done', about: 'challenge', advice: adviceAfterDenial(challenge) } };
  });
}
