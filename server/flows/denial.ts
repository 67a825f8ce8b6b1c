// "It wasn't me": by a trusted device, or by the signed link in an e-mail. The challenge closes, and its network waits an
// hour; of one that was verified the session and its device's trust end, two-step verification is on again where it was switched
// off with it, and the account needs a new password.

import type { Account } from '../domain/account.ts';
import type { Advice } from '../domain/advice.ts';
import { type Challenge, challengeState } from '../domain/challenge.ts';
import { appendAndAlert } from './alerts.ts';
import { type Deps, decide, decideFor, eventOf, refuse, type SignedInCaller } from './context.ts';
import type { AccountTransaction } from './ports.ts';
import { endTrust } from './trusted-devices.ts';

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

/** How long the link in an e-mail works. Long enough for a mailbox that is read once a week. */
const denyLinkLifetimeMs = 7 * 24 * 3_600_000;

/** The secret of a link that denies this challenge, good from now on for 7 days. */
export function signDenyLink(deps: Deps, challenge: Pick<Challenge, 'accountId' | 'challengeId'>): string {
  const { accountId, challengeId } = challenge;
  const expireTime = new Date(deps.clock.now().getTime() + denyLinkLifetimeMs);
  return deps.links.sign({ accountId, challengeId, expireTime });
}

/** What the page behind a link shows before it asks: `over` where it was used, or denied in the app. Changes nothing. */
export type DenyLinkView =
  | { readonly kind: 'ask'; readonly challenge: Challenge }
  | { readonly kind: 'over' }
  | { readonly kind: 'invalid' };

export async function lookUpDenyLink(deps: Deps, token: string): Promise<DenyLinkView> {
  const link = deps.links.read(token, deps.clock.now());
  const challenge = link && (await deps.store.findChallenge(link.accountId, link.challengeId));
  if (challenge === undefined) return { kind: 'invalid' };
  return challenge.denyTime === null ? { kind: 'ask', challenge } : { kind: 'over' };
}

export type DenyLinkResult =
  | { readonly kind: 'done'; readonly advice: readonly Advice[]; readonly challenge: Challenge }
  | { readonly kind: 'over' }
  | { readonly kind: 'invalid' };

/** Denies what the link names, once. */
export async function denyByLink(deps: Deps, token: string): Promise<DenyLinkResult> {
  const link = deps.links.read(token, deps.clock.now());
  if (link === undefined) return { kind: 'invalid' };
  return decide<DenyLinkResult>(deps, link.accountId, async (tx) => {
    const [account, challenge] = await Promise.all([tx.account, tx.challenge(link.challengeId)]);
    if (account === undefined || challenge === undefined) return { ok: { kind: 'invalid' } };
    if (challenge.denyTime !== null) return { ok: { kind: 'over' } };
    await deny(deps, tx, account, challenge, null);
    return { ok: { kind: 'done', advice: adviceAfterDenial(challenge), challenge } };
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
  const { challengeId } = challenge;
  const devices = await tx.appDevices(now);
  const isOpen = challengeState(challenge, now) === 'PENDING';
  const closed = isOpen ? ({ state: 'CLOSED', settleTime: now } as const) : {};
  tx.saveChallenge({ ...challenge, ...closed, denyTime: now });
  let told = devices;
  if (challenge.state === 'VERIFIED') {
    // What was switched off with this code is on again: the password that is known must not be enough.
    const switchedOff = challenge.purpose === 'SWITCH_OFF' && !account.twoStepEnabled;
    if (switchedOff) tx.appendEvent(eventOf(deps, account.accountId, 'SETTINGS_CHANGED', now));
    tx.saveAccount({
      ...account,
      passwordChangeRequired: true,
      twoStepEnabled: account.twoStepEnabled || switchedOff,
    });
    tx.closeChallenges(now);
    const session = challenge.sessionId === null ? undefined : await tx.session(challenge.sessionId);
    const intruder = session && (await tx.device(session.deviceId));
    if (intruder !== undefined) {
      told = devices.filter(({ deviceId }) => deviceId !== intruder.deviceId);
      endTrust(tx, intruder, now);
      tx.appendEvent(
        eventOf(deps, account.accountId, 'DEVICE_REMOVED', now, {
          device: challenge.device,
          deviceId: intruder.deviceId,
        }),
      );
    }
  }
  // Of who asked, not of who denied.
  const event = eventOf(deps, account.accountId, 'CHALLENGE_DENIED', now, {
    device: challenge.device,
    challengeId,
    origin: challenge.origin,
  });
  appendAndAlert(deps, tx, 'CHALLENGE_DENIED', event, told, denyingDeviceId, now);
}

/** Somebody knows the password; who got in may have read the code in the mailbox, and may have left a device. */
function adviceAfterDenial(challenge: Challenge): readonly Advice[] {
  if (challenge.state !== 'VERIFIED') return ['CHANGE_PASSWORD', 'CHANGE_PASSWORD_ELSEWHERE'];
  const readMail = challenge.sends.EMAIL !== undefined;
  return [
    'CHANGE_PASSWORD',
    'CHANGE_PASSWORD_ELSEWHERE',
    'REVIEW_TRUSTED_DEVICES',
    ...(readMail ? (['CHECK_MAILBOX'] as const) : []),
  ];
}
