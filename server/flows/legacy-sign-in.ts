// What the sign-in of older generations of the app asks after its own password check: whether it may let an account in.

import { type ClientVersion, parseClientVersion } from '../domain/client-version.ts';
import type { Platform } from '../domain/device.ts';
import { DomainError } from '../domain/errors.ts';
import { isNoted, type LegacyRefusal, legacyRepeatMs, refuseLegacySignIn } from '../domain/legacy-sign-in.ts';
import { findUnusual, isAlarming } from '../domain/unusual.ts';
import { appendAndAlert } from './alerts.ts';
import { type Deps, decide, eventOf, oddities, refuse } from './context.ts';

export interface LegacySignIn {
  readonly accountId: string;
  /** As the app claims it; may be anything. */
  readonly clientVersion: string;
  readonly platform: Platform;
  /** Empty where it is not known. */
  readonly ipAddress: string;
}

export interface LegacyAnswer {
  /** Undefined where it may be let in. */
  readonly refusal: LegacyRefusal | undefined;
  /** The account's language. */
  readonly locale: string;
}

/**
 * The answer stands in the login activity; of refusals one within the hour before stands for those like it. The owner is told of an
 * odd one that was let in, as often an hour as there may be codes.
 */
export async function authorizeLegacySignIn(
  deps: Deps,
  { accountId, clientVersion, platform, ipAddress }: LegacySignIn,
  minimum: ClientVersion,
): Promise<LegacyAnswer> {
  const directory = await deps.directory.getAccount(accountId);
  if (directory === undefined) throw new DomainError({ reason: 'ACCOUNT_UNKNOWN' });
  const version = parseClientVersion(clientVersion);
  const now = deps.clock.now();
  const origin = deps.places.originOf(ipAddress);
  return decide<LegacyAnswer>(deps, accountId, async (tx) => {
    const [account, sightings, refusals, devices, told] = await Promise.all([
      tx.account,
      tx.sightings(),
      tx.legacyRefusals(new Date(now.getTime() - legacyRepeatMs)),
      tx.appDevices(now),
      tx.countMails('UNUSUAL_SIGN_IN', new Date(now.getTime() - deps.limits.challengesPerAccount.windowMs)),
    ]);
    if (account === undefined) return refuse({ reason: 'ACCOUNT_UNKNOWN' });
    const refusal = refuseLegacySignIn(version, minimum, account.twoStepEnabled);
    // That login knows no devices: every one of its would be new.
    const findings = findUnusual(
      { time: now, origin, deviceId: null },
      { sightings, countries: account.countries ?? [] },
    ).filter(({ unusual }) => unusual !== 'NEW_DEVICE');
    const kind = refusal === undefined ? 'SIGNED_IN_WITHOUT_TWO_STEP' : 'REFUSED_OLD_CLIENT';
    const event = eventOf(deps, accountId, kind, now, {
      // What is no version is shown to nobody.
      device: { displayName: '', model: '', platform, osVersion: '', appVersion: version?.text ?? '' },
      origin,
      ...oddities(findings),
    });
    if (refusal === undefined && isAlarming(findings) && told < deps.limits.challengesPerAccount.count) {
      appendAndAlert(deps, tx, 'UNUSUAL_SIGN_IN', event, devices, null, now);
    } else if (refusal === undefined || isNoted(event, refusals)) tx.appendEvent(event);
    return { ok: { refusal, locale: directory.locale } };
  });
}
