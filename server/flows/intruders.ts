// How somebody who should not be there is put out: with a denied challenge, or with an entry of the login activity that its owner
// does not know.

import type { Account } from '../domain/account.ts';
import type { Advice } from '../domain/advice.ts';
import type { Challenge } from '../domain/challenge.ts';
import type { Device } from '../domain/device.ts';
import type { LoginEvent } from '../domain/login-event.ts';
import { countriesWithout } from '../domain/unusual.ts';
import { type Deps, describe, eventOf } from './context.ts';
import type { AccountTransaction } from './store-ports.ts';
import { endTrust } from './trusted-devices.ts';

/** By what an intruder is known: the session, else the device, and the challenge that let them in. */
export interface Trace {
  readonly sessionId: string | null;
  readonly deviceId: string | null;
  readonly challenge: Challenge | undefined;
}

/**
 * Ends the session and its device's trust, closes every pending challenge, marks that the account needs a new password, and
 * switches two-step verification on again where that device switched it off. Returns the event of the device's removal, for
 * the caller to append, with the device; undefined where there is none to remove any more.
 */
export async function putOut(
  deps: Deps,
  tx: AccountTransaction,
  account: Account,
  { sessionId, deviceId, challenge }: Trace,
  now: Date,
): Promise<{ readonly intruder: Device; readonly removal: LoginEvent } | undefined> {
  const session = sessionId === null ? undefined : await tx.session(sessionId);
  const id = session?.deviceId ?? deviceId;
  const intruder = id === null ? undefined : await tx.device(id);
  const [switchedOff, countries] = await Promise.all([
    hasSwitchedOff(tx, account, challenge, intruder),
    countriesOfOthers(tx, account, intruder),
  ]);
  // The password that is known must not be enough.
  if (switchedOff) tx.appendEvent(eventOf(deps, account.accountId, 'SETTINGS_CHANGED', now));
  const twoStepEnabled = account.twoStepEnabled || switchedOff;
  tx.saveAccount({ ...account, passwordChangeRequired: true, twoStepEnabled, countries });
  tx.closeChallenges(now);
  if (intruder === undefined || intruder.trustEndTime !== null) return undefined;
  endTrust(tx, intruder, now);
  const removal = eventOf(deps, account.accountId, 'DEVICE_REMOVED', now, {
    device: describe(intruder, intruder.appVersion),
    deviceId: intruder.deviceId,
  });
  return { intruder, removal };
}

async function hasSwitchedOff(
  tx: AccountTransaction,
  account: Account,
  challenge: Challenge | undefined,
  intruder: Device | undefined,
): Promise<boolean> {
  if (account.twoStepEnabled) return false;
  if (challenge?.purpose === 'SWITCH_OFF' && challenge.state === 'VERIFIED') return true;
  return intruder !== undefined && (await tx.hasSwitchedOff(intruder.deviceId));
}

/** A country that only they came from is as new as before. */
async function countriesOfOthers(
  tx: AccountTransaction,
  { countries }: Account,
  intruder: Device | undefined,
): Promise<readonly string[] | null> {
  const code = intruder?.signedInFrom?.origin.place?.countryCode;
  if (code === undefined) return countries;
  const sightings = await tx.sightings();
  const isOthers = sightings.some(
    ({ deviceId, place }) => deviceId !== intruder?.deviceId && place?.countryCode === code,
  );
  return isOthers ? countries : countriesWithout(countries, code);
}

/** What to do after somebody was in: they know the password, may have read the code in the mailbox, and may have left a device. */
export function adviceAfterIntrusion(challenge: Challenge | undefined): readonly Advice[] {
  return [
    'CHANGE_PASSWORD',
    'CHANGE_PASSWORD_ELSEWHERE',
    'REVIEW_TRUSTED_DEVICES',
    ...(challenge?.sends.EMAIL === undefined ? [] : (['CHECK_MAILBOX'] as const)),
  ];
}

/** What became of "it wasn't me" by a link: `over` where it was said before. */
export type LinkOutcome =
  | { readonly kind: 'done'; readonly about: 'challenge' | 'event'; readonly advice: readonly Advice[] }
  | { readonly kind: 'over' }
  | { readonly kind: 'invalid' };
