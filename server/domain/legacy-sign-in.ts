// The sign-in of older generations of the app, which asks no code: whom it may let in, and which of its answers are noted. Pure.

import { type ClientVersion, compareClientVersions } from './client-version.ts';
import type { LoginEvent } from './login-event.ts';
import { networkOf } from './network.ts';

export type LegacyRefusal = 'CLIENT_VERSION_UNSUPPORTED' | 'TWO_STEP_REQUIRED';

/** Why it may not; undefined where it may. `version` is undefined where the app claims none, or what is no version. */
export function refuseLegacySignIn(
  version: ClientVersion | undefined,
  minimum: ClientVersion,
  twoStepEnabled: boolean,
): LegacyRefusal | undefined {
  if (version === undefined || compareClientVersions(version, minimum) < 0) return 'CLIENT_VERSION_UNSUPPORTED';
  return twoStepEnabled ? 'TWO_STEP_REQUIRED' : undefined;
}

/** How long an entry stands for those like it: an old app that tries again and again must not bury what else happened. */
export const legacyRepeatMs = 3_600_000;
/** Of the entries of that long, however they differ: then somebody floods the list, and it says so. */
export const mostLegacyEntries = 100;

export type LegacyEntry = Pick<LoginEvent, 'kind' | 'device' | 'origin'>;

/** Whether an answer is noted, by the entries of the last `legacyRepeatMs`: the same, to the same kind of app and network, once. */
export function isNoted(entry: LegacyEntry, recent: readonly LegacyEntry[]): boolean {
  if (recent.length >= mostLegacyEntries) return false;
  const sameAs = likeness(entry);
  return recent.every((past) => likeness(past) !== sameAs);
}

const likeness = ({ kind, device, origin }: LegacyEntry) =>
  `${kind} ${device?.platform} ${networkOf(origin.ipAddress)}`;
