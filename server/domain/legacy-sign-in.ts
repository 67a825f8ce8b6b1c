// The sign-in of older generations of the app, which asks no code: whom it may let in, and which of its refusals are noted. Pure.

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

/** How long a refusal stands for those like it: an old app that tries again and again must not bury what else happened. */
export const legacyRepeatMs = 3_600_000;
/** Of the refusals of that long, however they differ: then somebody floods the list, and it says so. */
export const mostLegacyRefusals = 100;

export type NotedRefusal = Pick<LoginEvent, 'device' | 'origin'>;

/**
 * Whether a refusal is noted, by those of the last `legacyRepeatMs`: to the same kind of app and network, once. What was allowed is
 * always noted.
 */
export function isNoted(entry: NotedRefusal, recent: readonly NotedRefusal[]): boolean {
  if (recent.length >= mostLegacyRefusals) return false;
  const sameAs = likeness(entry);
  return recent.every((past) => likeness(past) !== sameAs);
}

const likeness = ({ device, origin }: NotedRefusal) => `${device?.platform} ${networkOf(origin.ipAddress)}`;
